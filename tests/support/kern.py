"""A hub of the tracking application (`kern`), beside sources in memory, on a database of a test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from config.clock import Clock
from config.settings import Settings
from config.sources import Source
from connectors.base import Action, Connector, Inbox, Message
from mappings import registry
from mappings.mapping import Mapping as RecordMapping
from sync_engine.store.engine import Store
from tests.support.hubs import Bench, bench
from tests.support.memory import MemorySource

KERN = "kern"
TOKEN = "een-token-van-minstens-tweeendertig-tekens"
TOKEN_NAME = "KOPPELHUB_KERN_TOKEN"

SOURCE = """[[source]]
name = "kern"
system = "kern"
tenant = "{tenant}"
{more}
[source.options]
token = {{ env = "KOPPELHUB_KERN_TOKEN" }}
{options}
"""

PGN = """[[source.pgn]]
purpose = "rod"
legal_basis = "WVO 2020, artikel 8.1"
agreed_on = 2026-08-01
"""


def source_toml(*, tenant: str, more: str = "", options: str = "") -> str:
    """The koppeling `kern` in a configuration file."""
    return SOURCE.format(tenant=tenant, more=more, options=options)


@dataclass
class KernBench:
    """A hub with the koppeling `kern`; the others are those of `bench`."""

    bench: Bench

    @property
    def inbox(self) -> Inbox:
        """The inbox of `kern`."""
        return self.bench.hub.inbox(KERN)

    def say(self, resource: str, key: str, /, **record: Any) -> None:
        """One message; its id follows from what it says."""
        body = msgspec.json.encode({**record, "key": key}, order="sorted")
        number = self.inbox.position() + 1
        message = Message(f"m{number}", resource, key, Action.PUT, body)
        self.inbox.put([message])

    def drop(self, resource: str, key: str, /) -> None:
        """The application says that a record is gone."""
        number = self.inbox.position() + 1
        self.inbox.put([Message(f"m{number}", resource, key, Action.DELETE)])

    def insert(self, resource: str, key: str, /, message: str, **more: Any) -> None:
        """A row in the table view, as another program writes it."""
        row: dict[str, Any] = {"koppeling": KERN, "action": "put", "body": None} | more
        self.bench.query(
            "INSERT INTO kern_inbox (message_id, koppeling, resource, key, action, body) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            message,
            row["koppeling"],
            resource,
            key,
            row["action"],
            row["body"],
        )

    def pupils(self) -> dict[str, tuple[str, bool]]:
        """Key of `kern` → surname, and whether the pupil is still there."""
        rows = self.bench.query(
            "SELECT l.source_key, c.achternaam, c.geldig_tot FROM leerling c "
            "JOIN link l ON l.core_id = c.id JOIN koppeling k ON k.id = l.koppeling_id "
            "WHERE k.name = ?",
            KERN,
        )
        return {key: (name, end is None) for key, name, end in rows}


def kern_bench(
    store: Store,
    folder: Path,
    *,
    sources: Mapping[str, MemorySource] | None = None,
    more: str = "",
    options: str = "",
) -> KernBench:
    """Wire a hub with `kern`.

    Args:
        store: a database of the current schema.
        folder: where keys and settings stand.
        sources: others, in memory.
        more: TOML of the koppeling; `options` of its options.
    """
    made = bench(store, folder, sources=sources or {})
    path = folder / "koppelhub.toml"
    text = path.read_text(encoding="utf-8") + source_toml(
        tenant="bestuur", more=more, options=options
    )
    path.write_text(text, encoding="utf-8")
    memory = made.hub

    def connect(source: Source, clock: Clock) -> Connector:
        if source.name == KERN:
            return made.hub.connector(source, clock)
        return memory.connect(source, clock)

    def mapping_of(system: str) -> RecordMapping:
        return registry.mapping_of(KERN) if system == KERN else memory.find_mapping(system)

    made.hub = replace(
        memory, settings=Settings.load(path, env={}), connect=connect, find_mapping=mapping_of
    )
    made.hub.mirror()
    return KernBench(made)


@contextmanager
def closing_bench(made: KernBench) -> Iterator[KernBench]:
    """Let its connection go."""
    try:
        yield made
    finally:
        made.bench.close()
