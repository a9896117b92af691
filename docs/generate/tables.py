"""Tables of all columns, from the contract."""

from etl.contract import RAW, TABLES, Table


def raw() -> str:
    """The tables that a source gives."""
    return "\n\n".join(
        f"### {name}\n\nA row is {table.description}.\n\n{_columns(table)}" for name, table in RAW.items()
    )


def results() -> str:
    """The tables that the jobs publish."""
    return "\n\n".join(
        f"### {_text(table.path)}\n\nA row is {table.description}. Written by `{table.made_by}`.\n\n{_columns(table)}"
        for table in TABLES.values()
    )


def _columns(table: Table) -> str:
    rows = [f"| `{column.name}` | {_text(str(column.type))} | {column.meaning} |" for column in table.columns]
    return "\n".join(["| column | type | meaning |", "|---|---|---|", *rows])


def _text(name: str) -> str:
    return name.replace("<", "&lt;")
