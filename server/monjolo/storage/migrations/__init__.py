"""The history of the tables. `REVISIONS` names it in order: a start need not load Alembic to know it."""

REVISIONS = ("0001",)
HEAD = REVISIONS[-1]
