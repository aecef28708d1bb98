"""A peer: the loop that SQLModel's documentation leads to. Get, compare, keep history, commit.

Tuned once: one commit a page, and nothing expires on commit. Plain identifiers, no raw archive, no
correlation, no check of absence: less than the hub does.
"""

from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import orjson
from sqlalchemy import text
from sqlmodel import Field, Session, SQLModel, create_engine

from benchmarks.data import Dataset
from benchmarks.flat import COLUMNS, KEYS, rows
from benchmarks.same_core import of_tables


class LoopLeerling(SQLModel, table=True):
    """A pupil."""

    uuid: str = Field(primary_key=True)
    achternaam: str
    voorvoegsel: str | None = None
    roepnaam: str | None = None
    voornamen: str | None = None
    voorletters: str | None = None
    geslacht: str | None = None
    geboortedatum: str | None = Field(default=None, index=True)
    geboorteplaats: str | None = None
    geboorteland: str | None = None
    telefoon_geheim: bool | None = None
    adres_geheim: bool | None = None
    gebruikersnaam: str | None = None
    contact_via_email: bool | None = None
    herkomst_brin: str | None = None
    herkomst_naam: str | None = None
    onderwijs_sinds: str | None = None


class LoopAdvies(SQLModel, table=True):
    """A schooladvies."""

    uuid: str = Field(primary_key=True)
    soort: str = Field(primary_key=True)
    advies: str | None = None


class LoopIdentificatie(SQLModel, table=True):
    """An identifier."""

    uuid: str = Field(primary_key=True)
    soort: str = Field(primary_key=True)
    waarde: str = Field(index=True)


class LoopContactgegeven(SQLModel, table=True):
    """An e-mail address or telephone number."""

    uuid: str = Field(primary_key=True)
    soort: str = Field(primary_key=True)
    waarde: str
    geheim: bool = False


class LoopAdres(SQLModel, table=True):
    """An address."""

    uuid: str = Field(primary_key=True)
    soort: str = Field(primary_key=True)
    straat: str | None = None
    huisnummer: str | None = None
    toevoeging: str | None = None
    postcode: str | None = None
    woonplaats: str | None = None
    land: str | None = None
    geheim: bool = False


class LoopHistory(SQLModel, table=True):
    """What changed, per row."""

    id: int | None = Field(default=None, primary_key=True)
    tabel: str
    uuid: str
    at: datetime
    change: str


_MODELS: dict[str, type[SQLModel]] = {
    "leerling": LoopLeerling,
    "advies": LoopAdvies,
    "identificatie": LoopIdentificatie,
    "contactgegeven": LoopContactgegeven,
    "adres": LoopAdres,
}


def merge(path: Path, data: Dataset, variant: str = "same") -> float:
    """Seconds that the loop needs for one reading of all pupils."""
    engine = create_engine(f"sqlite:///{path}")
    SQLModel.metadata.create_all(engine, [model.__table__ for model in _tables()])
    began = perf_counter()
    with Session(engine, expire_on_commit=False) as session:
        for body in data.bodies("leerling", variant):
            for record in orjson.loads(body)["leerlingen"]:
                for table, row in rows(record):
                    _one(session, table, row)
            session.commit()
            session.expunge_all()
    seconds = perf_counter() - began
    engine.dispose()
    return seconds


def _tables() -> list[Any]:
    return [*_MODELS.values(), LoopHistory]


def _one(session: Session, table: str, row: tuple[Any, ...]) -> None:
    model, columns, size = _MODELS[table], COLUMNS[table], KEYS[table]
    values = dict(zip(columns, row, strict=True))
    present = session.get(model, row[0] if size == 1 else row[:size])
    if present is None:
        session.add(model(**values))
        changed = values
    else:
        changed = {k: v for k, v in values.items() if getattr(present, k) != v}
        for name, value in changed.items():
            setattr(present, name, value)
    if changed:
        body = orjson.dumps(changed).decode()
        session.add(LoopHistory(tabel=table, uuid=row[0], at=datetime.now(UTC), change=body))


def core(path: Path) -> dict[str, str]:
    """Table → digest, for the proof."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        return of_tables(lambda sql: connection.execute(text(sql.replace(" FROM ", " FROM loop"))))
