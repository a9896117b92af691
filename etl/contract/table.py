"""A table is its columns, each with an Arrow type and a meaning. Spark's type names follow from the Arrow types."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import pyarrow as pa

STRING, INT, LONG, FLOAT, DOUBLE = pa.string(), pa.int32(), pa.int64(), pa.float32(), pa.float64()
DATE = pa.date32()
_SPARK = {STRING: "string", INT: "int", LONG: "bigint", FLOAT: "float", DOUBLE: "double", DATE: "date"}


@dataclass(frozen=True)
class Column:
    """A name with a <placeholder>, e.g. f_<feature>, stands for several columns of one type."""

    name: str
    type: pa.DataType
    meaning: str


@dataclass(frozen=True)
class Table:
    """`description`: what a row is."""

    description: str
    columns: tuple[Column, ...]

    def schema(self, named: Mapping[str, Iterable[str]] = MappingProxyType({})) -> pa.Schema:
        """The Arrow schema. `named`: the columns that each name with a <placeholder> stands for."""
        return pa.schema(
            [
                (name, column.type)
                for column in self.columns
                for name in (named[column.name] if "<" in column.name else [column.name])
            ]
        )

    @property
    def names(self) -> list[str]:
        """The columns, of a table without placeholders."""
        return list(self.schema().names)


@dataclass(frozen=True)
class LakeTable(Table):
    """A published table: its folder below [lake] root, and the job that writes it."""

    path: str
    made_by: str


def spark_types(schema: pa.Schema) -> dict[str, str]:
    """Column -> Spark's name of its type."""
    return {field.name: _SPARK[field.type] for field in schema}


def ddl(schema: pa.Schema) -> str:
    """The schema as Spark reads it from text."""
    return ", ".join(f"`{name}` {kind}" for name, kind in spark_types(schema).items())
