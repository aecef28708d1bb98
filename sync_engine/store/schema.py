"""Which schema a database has, which one this release needs, and the way from one to the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from sync_engine.errors import StoreError

UPGRADE_ADVICE: Final = "Werk de database bij met `koppelhub db upgrade`."
EMPTY_ADVICE: Final = (
    "Voor een nieuwe database: `koppelhub db upgrade`. Komt zij in de plaats van een die verloren "
    "is: `koppelhub db restore FILE`, vóór iets anders."
)
NEWER_ADVICE: Final = (
    "Deze database is bijgewerkt door een nieuwere versie van Koppelhub. Installeer die versie; "
    "een oudere versie mag er niet mee werken."
)
INIT_ADVICE: Final = (
    "Is zij verloren: zet een back-up terug met `koppelhub db restore FILE`. Staat zij elders: "
    "verbeter haar plaats. Is dit een nieuwe installatie: maak haar met `koppelhub init`."
)

_MIGRATIONS: Final = Path(__file__).parent / "migrations"


@dataclass(frozen=True, slots=True)
class SchemaState:
    """Where a database stands.

    Attributes:
        current: its revision; None where it has no schema yet.
        head: the revision that this release needs.
        known: whether this release knows `current`; it does not know that of a newer one.
    """

    current: str | None
    head: str
    known: bool

    @property
    def is_current(self) -> bool:
        """Whether this release can work with it."""
        return self.current == self.head

    def refuse(self) -> None:
        """Do nothing where this release can work with it.

        Raises: StoreError whose advice says what to do.
        """
        if self.is_current:
            return
        if self.current is None:
            raise StoreError("the database has no schema yet", advice=EMPTY_ADVICE)
        where = f"the schema is {self.current}, this release needs {self.head}"
        raise StoreError(where, advice=UPGRADE_ADVICE if self.known else NEWER_ADVICE)


@cache
def revisions() -> tuple[str, ...]:
    """All revisions that this release knows, oldest first.

    They go one after another and are the first four digits of their file's name: opening a database
    need not load Alembic, which takes longer than all else.

    Raises: StoreError if this installation holds none.
    """
    found = sorted(path.name[:4] for path in (_MIGRATIONS / "versions").glob("[0-9]*_*.py"))
    if not found:
        raise StoreError("this installation holds no migrations")
    return tuple(found)


def schema_state(connection: Connection) -> SchemaState:
    """Where the database of this connection stands; changes nothing."""
    current: str | None = None
    if inspect(connection).has_table("alembic_version"):
        current = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    known = revisions()
    return SchemaState(current=current, head=known[-1], known=current is None or current in known)


def upgrade(connection: Connection) -> None:
    """Run the migrations that are missing, in one transaction of this connection.

    Raises: StoreError if the schema is of a newer release, or a migration fails.
    """
    from alembic import command  # here: see `revisions`
    from alembic.config import Config
    from alembic.util.exc import CommandError

    state = schema_state(connection)
    if not state.known:
        state.refuse()
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as exc:
        raise StoreError("the migrations of this installation do not fit together") from exc
