"""A hub over sources in memory, on a database that a test hands in, with a clock that it sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from config.clock import Clock, FixedClock, local_date
from config.keyring import Keyring
from config.policies import Policy, default_values
from config.settings import Settings
from config.sources import Source
from connectors.base import Connector
from mappings.canonical.fields import Entity
from sync_engine import received, runs
from sync_engine.context import Context, Ids
from sync_engine.hub import Hub
from sync_engine.outcome import RunReport
from sync_engine.rows import identifier_context
from sync_engine.runs import Kind, Options
from sync_engine.scopes import load_scopes
from sync_engine.store.engine import Store
from sync_engine.store.keys import record_keys
from sync_engine.store.work import Row, Work
from tests.support.memory import MemoryConnector, MemoryMapping, MemorySource

START = datetime(2026, 10, 5, 1, 0, tzinfo=UTC)
STAGED = 7  # hours after which a second reading confirms an absence

# Tables that a run may write although nothing of the school changed.
OF_RUNS = frozenset(
    {
        "run",
        "reading",
        "plan",
        "step",
        "event",
        "audit",
        "audit_anchor",
        "id_block",
        "shared_state",
        "alembic_version",
        "koppeling_total",
    }
)

_SETTINGS = """
[database]
url = "sqlite:///unused.db"
[keys]
file = "keys.json"
[[tenant]]
name = "bestuur"
title = "Bestuur"
[[tenant.school]]
brin = "99XX"
name = "School"
"""


@dataclass
class Bench:
    """A hub with sources `s0`, `s1`... of one tenant.

    Attributes:
        reports: what every run of `sync` said, oldest first.
    """

    hub: Hub
    clock: FixedClock
    sources: dict[str, MemorySource]
    mappings: dict[str, MemoryMapping]
    reports: list[RunReport] = field(default_factory=list)
    _reader: Work | None = None

    def sync(self, name: str = "s0", /, **options: Any) -> RunReport:
        """Run one koppeling."""
        report = runs.run(self.hub, name, Options(**options))
        self.reports.append(report)
        return report

    def later(self, hours: float = STAGED) -> None:
        """Let time go by."""
        self.clock.advance(timedelta(hours=hours))

    def settle(self, *names: str, rounds: int = 3) -> None:
        """Run the koppelingen until absences are confirmed and references resolved."""
        for _ in range(rounds):
            self.later()
            for name in names or tuple(self.sources):
                self.sync(name)

    def policy(self, **tables: Any) -> None:
        """Lay tables over the packaged policies."""
        values = overlaid(default_values(), tables)
        settings = self.hub.settings.model_copy(update={"policy": Policy.model_validate(values)})
        self.hub = replace(self.hub, settings=settings)

    def query(self, sql: str, *params: object) -> list[Row]:
        """Rows of the database, on one connection that is kept."""
        if self._reader is None:
            self._reader = self.hub.store.work()
        return self._reader.execute(sql, params)

    def close(self) -> None:
        """Let the connection of `query` go."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def core(self, entity: Entity, key: str, source: str = "s0") -> int:
        """The core id that a source record is linked to."""
        rows = self.query(
            "SELECT l.core_id FROM link l JOIN koppeling k ON k.id = l.koppeling_id "
            "WHERE k.name = ? AND l.entity = ? AND l.source_key = ?",
            source,
            str(entity),
            key,
        )
        return int(rows[0][0])

    def cases(self) -> list[Row]:
        """Open cases: (koppeling, entity, source key, kind)."""
        return self.query(
            "SELECT k.name, z.entity, z.source_key, z.kind FROM zaak z "
            "JOIN koppeling k ON k.id = z.koppeling_id WHERE z.state = 'open' "
            "ORDER BY k.name, z.entity, z.source_key, z.kind"
        )

    @contextmanager
    def context(self, name: str = "s0") -> Iterator[Context]:
        """A context for reading, as explain uses it."""
        hub, row = self.hub, self.hub.koppeling(name)
        with hub.store.work() as work:
            context = Context(
                work=work,
                cipher=hub.cipher(row.tenant_id),
                koppeling=row,
                koppelingen=hub.koppelingen(row.tenant_id),
                run_id=0,
                now=hub.clock.now(),
                today=local_date(hub.clock.now()),
                reader=None,
                mapping=hub.mapping(row.system),
                mappings=hub.mappings(row.tenant_id),
                policy=hub.settings.policy,
                dry=True,
                ids=Ids(work, dry=True),
                step_ids=Ids(work, dry=True),
            )
            received.prepare(context)
            load_scopes(context)
            yield context

    def dump(self, *, without: frozenset[str] = OF_RUNS) -> dict[str, list[Row]]:
        """Every row of every table but those of runs; to compare the whole database with itself."""
        listed = (
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            if self.hub.store.path is None
            else "SELECT name FROM sqlite_master WHERE type = 'table'"
        )
        return {
            name: sorted(self.query(f"SELECT * FROM {name}"), key=repr)
            for (name,) in sorted(self.query(listed))
            if name not in without and not name.startswith("sqlite_")
        }

    def identifiers(self) -> dict[tuple[int, str, int], str]:
        """(owner, kind, issuing koppeling id) → the plain identifier, as the core holds it."""
        rows = self.query(
            "SELECT i.eigenaar_id, i.soort, i.uitgever, i.waarde, s.salt, k.id "
            "FROM identificatie i "
            "JOIN core_salt s ON s.core_id = i.eigenaar_id CROSS JOIN tenant k"
        )
        return {
            (owner, kind, issuer): self.hub.cipher(tenant)
            .person(salt)
            .decrypt(sealed, identifier_context(owner, kind))
            .decode()
            for owner, kind, issuer, sealed, salt, tenant in rows
        }


def bench(
    store: Store,
    folder: Path,
    *,
    sources: Mapping[str, MemorySource] | int = 1,
    mappings: Sequence[MemoryMapping] = (),
    configuration: str | None = None,
) -> Bench:
    """Wire a hub over sources in memory.

    Args:
        store: a database of the current schema.
        folder: where keys and settings stand.
        sources: by name, or how many that hold every entity in one scope.
        mappings: of systems; any other system gets one that adds nothing.
        configuration: tenants and sources; without it one tenant has them all.
    """
    if isinstance(sources, int):
        sources = {f"s{number}": MemorySource(tuple(Entity)) for number in range(sources)}
    held = dict(sources)
    used = {source.system: MemoryMapping(source.system) for source in held.values()}
    used |= {mapping.system: mapping for mapping in mappings}
    path = folder / "koppelhub.toml"
    told = _SETTINGS + _listed(held) if configuration is None else configuration
    path.write_text(told, encoding="utf-8")
    clock = FixedClock(START)
    keyring = Keyring.create(folder / "keys.json")
    record_keys(store, keyring, now=clock.now())

    def connect(source: Source, clock: Clock) -> Connector:
        return MemoryConnector(held[source.name])

    hub = Hub(
        Settings.load(path, env={}), store, keyring, clock, connect, find_mapping=used.__getitem__
    )
    hub.mirror()
    return Bench(hub, clock, held, used)


def _listed(sources: Mapping[str, MemorySource]) -> str:
    return "".join(
        f'[[source]]\nname = "{name}"\nsystem = "{source.system}"\ntenant = "bestuur"\n'
        for name, source in sources.items()
    )


def overlaid(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Nested tables, the second laid over the first."""
    merged = dict(base)
    for key, value in over.items():
        known = merged.get(key)
        both = isinstance(known, dict) and isinstance(value, Mapping)
        merged[key] = overlaid(known, value) if both and isinstance(known, dict) else value
    return merged


__all__ = ["Bench", "Kind", "bench"]
