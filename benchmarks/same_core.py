"""Proof that a peer made the same core: both as one sorted digest per table."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any

from benchmarks.data import Dataset
from benchmarks.flat import COLUMNS, Row, rows
from benchmarks.installation import open_hub
from sync_engine.rows import identifier_context
from sync_engine.store.cipher import TenantCipher


def digest(found: Iterable[Row]) -> str:
    """One digest of many rows, in any order; truths count as 0 and 1, and all else as text."""
    total = 0
    for row in found:
        plain = [int(value) if isinstance(value, bool) else value for value in row]
        body = "|".join("" if value is None else str(value) for value in plain)
        total += int.from_bytes(blake2b(body.encode(), digest_size=16).digest(), "big")
    return f"{total % (1 << 128):032x}"


def expected(data: Dataset, variant: str = "same") -> dict[str, str]:
    """Table → digest of what a school's pages say."""
    found: dict[str, list[Row]] = {table: [] for table in COLUMNS}
    for record in data.records("leerling", variant):
        for table, row in rows(record):
            found[table].append(row)
    return {table: digest(found[table]) for table in found}


def of_hub(folder: Path, data: Dataset) -> dict[str, str]:
    """Table → digest of what stands in the hub's core, identifiers decrypted."""
    hub = open_hub(folder, data)
    cipher = hub.cipher(hub.koppeling("somtoday-bench").tenant_id)
    hub.close()
    database = sqlite3.connect(folder / "hub.db")
    found = {"identificatie": digest(_identifiers(database, cipher))}
    for table, columns in COLUMNS.items():
        if table != "identificatie":
            owner = {"leerling": "id", "advies": "leerling_id"}.get(table, "eigenaar_id")
            listed = ", ".join(f"t.{name}" for name in columns[1:])
            found[table] = digest(
                database.execute(
                    f"SELECT l.source_key, {listed} FROM {table} t JOIN link l "
                    f"ON l.core_id = t.{owner} AND l.entity = 'leerling'"
                )
            )
    database.close()
    return found


def _identifiers(database: sqlite3.Connection, cipher: TenantCipher) -> Iterable[Row]:
    query = (
        "SELECT l.source_key, i.soort, i.waarde, i.eigenaar_id, s.salt FROM identificatie i "
        "JOIN link l ON l.core_id = i.eigenaar_id AND l.entity = 'leerling' "
        "JOIN core_salt s ON s.core_id = i.eigenaar_id"
    )
    for key, kind, value, owner, salt in database.execute(query):
        plain = cipher.person(salt).decrypt(value, identifier_context(owner, kind))
        yield key, kind, plain.decode()


def of_tables(execute: Any, suffix: str = "") -> dict[str, str]:
    """Table → digest of a peer's own tables; `execute` runs one query on its database."""
    return {
        table: digest(execute(f"SELECT {', '.join(columns)} FROM {table}{suffix}"))
        for table, columns in COLUMNS.items()
    }
