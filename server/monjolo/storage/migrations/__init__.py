"""The history of the tables. `REVISIONS` names it in order: a start need not load Alembic to know it."""

REVISIONS = ("0001", "0002", "0003", "0004", "0005")
HEAD = REVISIONS[-1]
