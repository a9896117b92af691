"""The raw tables that a source gives."""

from etl.contract.table import DATE, DOUBLE, INT, LONG, STRING, Column, Table

_IMPRESSION_ID = Column("impression_id", STRING, "the impression")
_TS = Column("ts", LONG, "when it happened, epoch milliseconds")
_DAY = Column("day", DATE, "the partition the row lies in")

RAW = {
    "impressions": Table(
        "one item shown to one user; further columns may become features",
        (
            _IMPRESSION_ID,
            Column("user_id", STRING, "the user it was shown to"),
            Column("item_id", STRING, "the item shown"),
            _TS,
            _DAY,
            Column("domain", STRING, "page, tab or placement"),
        ),
    ),
    "clicks": Table("one click on an impression", (_IMPRESSION_ID, _TS, _DAY)),
    "actions": Table(
        "one action after a click, e.g. a like",
        (_IMPRESSION_ID, _TS, _DAY, Column("action", STRING, "kind of action")),
    ),
    "conversions": Table(
        "one conversion after a click, e.g. a purchase",
        (
            _IMPRESSION_ID,
            _TS,
            _DAY,
            Column("value", DOUBLE, "value in [0, 1], e.g. the share watched"),
            Column("converted", INT, "the conversion as 0 or 1; null: [labels] conversion_threshold decides"),
        ),
    ),
    "users": Table("one user; further columns are attributes", (Column("user_id", STRING, "the user"),)),
    "items": Table("one item; further columns are attributes", (Column("item_id", STRING, "the item"),)),
}

STAGES = ("clicks", "actions", "conversions")  # of the behaviour chain, after the impression
EVENT_TABLES = ("impressions", *STAGES)
SNAPSHOTS = {"users": "user_id", "items": "item_id"}  # table -> its key

# every source adds these to the tables above
BOOKKEEPING = Table(
    "any raw row",
    (
        Column("refused", STRING, "the reason for which the source refuses the row; null: it does not"),
        Column("raw", STRING, "the text of a row that does not parse, else null"),
    ),
)
