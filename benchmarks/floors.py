"""Floors: what cannot be avoided. Reading the pages; inserting the core's rows."""

from __future__ import annotations

import sqlite3
from os import urandom
from pathlib import Path
from time import perf_counter

import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.data import Dataset
from benchmarks.installation import install

_TABLES = ("leerling", "advies", "identificatie", "contactgegeven", "adres")


def parse(data: Dataset, resource: str, variant: str = "same") -> float:
    """Seconds that orjson needs for the pages, read from their files."""
    began = perf_counter()
    for body in data.bodies(resource, variant):
        orjson.loads(body)
    return perf_counter() - began


def insert(folder: Path, loaded: Path, *, sealed: bool) -> float:
    """Seconds that `executemany` needs for the rows of a core that a first load made.

    Into the same tables with the same indexes, in one transaction. `sealed`: each identifier, and
    one journal entry per record (its values as JSON), are encrypted and inserted too.
    """
    install(folder)
    origin = sqlite3.connect(loaded / "hub.db")
    rows = {t: origin.execute(f"SELECT * FROM {t}").fetchall() for t in _TABLES}
    origin.close()
    database = sqlite3.connect(folder / "hub.db", isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL"):
        database.execute(f"PRAGMA {pragma}")
    began = perf_counter()
    database.execute("BEGIN IMMEDIATE")
    for table, found in rows.items():
        if not found:
            continue
        if sealed and table == "identificatie":
            found = [(*row[:3], _seal(b"100000"), *row[4:]) for row in found]
        marks = ", ".join("?" * len(found[0]))
        database.executemany(f"INSERT INTO {table} VALUES ({marks})", found)
    if sealed:
        _journal(database, rows["leerling"] + rows["advies"])
    database.execute("COMMIT")
    seconds = perf_counter() - began
    database.close()
    return seconds


def _journal(database: sqlite3.Connection, records: list[tuple[object, ...]]) -> None:
    database.executemany(
        "INSERT INTO step (id, plan_id, run_id, entity, core_id, source, op, state, held_for, "
        "digest, salt, change) VALUES (?, 1, 1, 'leerling', ?, '', 'create', 'planned', '', ?, ?, "
        "?)",
        (
            (number, row[0], urandom(16), urandom(16), _seal(orjson.dumps(row)))
            for number, row in enumerate(records, 1)
        ),
    )


def _seal(plain: bytes) -> bytes:
    nonce = urandom(12)
    return nonce + AESGCM(urandom(32)).encrypt(nonce, plain, None)
