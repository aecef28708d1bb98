"""Narrow rows: what a run reads and rewrites often no longer drags its encrypted values along.

- The forms of a shadow stand in `shadow_form`: accepting one rewrites a hundred bytes, not 1,000.
- A plan says itself whether it was applied; its steps are not rewritten for it.
- SQLite only: a number that is the primary key is the row's own number (`INTEGER PRIMARY KEY`),
  without an index beside it; `link` and `match_key` are stored in the order of their key.
"""

from __future__ import annotations

import re

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

JOURNAL = """
CREATE VIEW journal AS
SELECT s.id AS id, s.run_id AS run_id, s.entity AS entity, s.core_id AS core_id, s.op AS op,
       r.started_at AS at, r.operator AS operator
FROM step s
JOIN plan p ON p.id = s.plan_id
JOIN run r ON r.id = s.run_id
WHERE s.state = 'planned' AND p.applied
"""

_FORMS = ("received", "accepted")
_NUMBER = re.compile(r"\t(\w+) BIGINT NOT NULL, ")
_IN_ORDER_OF_KEY = frozenset({"link", "match_key"})


def upgrade() -> None:
    """Part the forms from the shadows, and give SQLite's tables their own numbers."""
    op.execute("DROP VIEW journal")
    op.add_column(
        "plan", sa.Column("applied", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.execute(
        "UPDATE plan SET applied = true WHERE id IN (SELECT plan_id FROM step "
        "WHERE state = 'applied')"
    )
    op.execute("UPDATE step SET state = 'planned' WHERE state = 'applied'")
    _part_forms()
    if op.get_bind().dialect.name == "sqlite":
        _own_numbers()
    else:
        for name in _FORMS:
            op.drop_column("shadow", name)
    op.create_index("ix_source_record_scope", "source_record", ["scope_id", "id"])
    op.execute(JOURNAL)


def _part_forms() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "shadow_form",
        sa.Column("shadow_id", number, autoincrement=False, nullable=False),
        sa.Column("received", sa.LargeBinary(), nullable=False),
        sa.Column("accepted", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("shadow_id"),
    )
    op.execute(
        "INSERT INTO shadow_form (shadow_id, received, accepted) "
        "SELECT id, received, accepted FROM shadow"
    )


def _own_numbers() -> None:
    """Make tables anew from their own text: SQLite has no other way to change a primary key."""
    bind = op.get_bind()
    views = [
        (name, str(bind.exec_driver_sql(_TEXT_OF, ("view", name)).scalar_one()))
        for name in ("klassenlijst", "situatie")
    ]
    for name, _ in views:
        op.execute(f"DROP VIEW {name}")
    tables = bind.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'table'").all()
    for name, ddl in tables:
        changed = _renewed(name, ddl)
        if changed != ddl:
            _rebuild(name, changed)
    for _, text in views:
        op.execute(text)


_TEXT_OF = "SELECT sql FROM sqlite_master WHERE type = ? AND name = ?"


def _renewed(name: str, ddl: str) -> str:
    for number in _NUMBER.findall(ddl):
        if f"PRIMARY KEY ({number})" in ddl:
            ddl = ddl.replace(f"\t{number} BIGINT NOT NULL, ", f"\t{number} INTEGER NOT NULL, ")
    if name == "shadow":
        ddl = ddl.replace("\treceived BLOB NOT NULL, \n", "").replace("\taccepted BLOB, \n", "")
    if name in _IN_ORDER_OF_KEY:
        ddl = f"{ddl} WITHOUT ROWID"
    return ddl


def _rebuild(name: str, ddl: str) -> None:
    bind = op.get_bind()
    indexes = bind.exec_driver_sql(
        "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL",
        (name,),
    ).scalars()
    texts = list(indexes)
    op.execute(f"ALTER TABLE {name} RENAME TO {name}_before")
    op.execute(ddl)
    columns = bind.exec_driver_sql(f"SELECT name FROM pragma_table_info('{name}')").scalars()
    listed = ", ".join(columns)
    op.execute(f"INSERT INTO {name} ({listed}) SELECT {listed} FROM {name}_before")
    op.execute(f"DROP TABLE {name}_before")
    for text in texts:
        op.execute(text)
