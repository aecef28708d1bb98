"""A hub over a Referentiebron on a real socket, on a database that a test hands in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from config.clock import Clock, FixedClock
from config.keyring import Keyring
from config.settings import Settings
from config.sources import Source
from connectors.base import Connector, Link
from fixtures.sandbox.reference import ReferenceApplication, ReferenceSandbox
from koppelhub_referentie.connector import REFERENTIE
from koppelhub_referentie.mapping import MAPPING
from sync_engine import runs
from sync_engine.hub import Hub
from sync_engine.outcome import RunReport
from sync_engine.runs import Kind, Options
from sync_engine.store.engine import Store
from sync_engine.store.keys import record_keys
from sync_engine.store.work import Row

NAME = "bron"
NIGHT = timedelta(days=1)

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
[[source]]
name = "bron"
system = "referentie"
tenant = "bestuur"
resources = [RESOURCES]
[policy.guards.close]
share = 1.0
[policy.guards.create]
share = 1000.0
[policy.guards.change]
share = 1.0
[policy.guards.empty]
share = 1.0
"""


@dataclass
class ReferentieBench:
    """One hub and the source that it reads.

    Attributes:
        wrap: laid around the connector of each run; a test breaks off a reading with it.
    """

    hub: Hub
    clock: FixedClock
    sandbox: ReferenceSandbox
    wrap: list[Callable[[Connector], Connector]]

    @property
    def source(self) -> ReferenceApplication:
        """What the source holds, to be changed."""
        return self.sandbox.reference

    def sync(self, kind: Kind = Kind.FULL, **options: Any) -> RunReport:
        """Run once."""
        return runs.run(self.hub, NAME, Options(kind=kind, **options))

    def delta(self, **options: Any) -> RunReport:
        """Run once, by changes."""
        return self.sync(Kind.DELTA, **options)

    def query(self, sql: str, *params: object) -> list[Row]:
        """Rows of the database."""
        with self.hub.store.work() as work:
            return work.execute(sql, params)

    def pupils(self) -> dict[str, tuple[str, bool]]:
        """Source key → surname, and whether the pupil is still there."""
        rows = self.query(
            "SELECT l.source_key, c.achternaam, c.geldig_tot FROM leerling c "
            "JOIN link l ON l.core_id = c.id"
        )
        return {key: (name, end is None) for key, name, end in rows}

    def states(self, report: RunReport) -> dict[str, str]:
        """Resource → how its reading ended."""
        return {reading.resource: reading.state for reading in report.readings}

    def cursor(self, resource: str = "leerling") -> str | None:
        """Where the next delta of a resource begins."""
        rows = self.query(
            "SELECT c.value FROM source_cursor c JOIN scope s ON s.id = c.scope_id "
            "WHERE s.resource = ?",
            resource,
        )
        return rows[0][0] if rows else None


def referentie_bench(
    store: Store,
    folder: Path,
    sandbox: ReferenceSandbox,
    *,
    clock: FixedClock,
    limit: int = 3,
    resources: Sequence[str] = ("leerling", "groep"),
) -> ReferentieBench:
    """Wire a hub to a Referentiebron; guards hold nothing back.

    Args:
        store: a database of the current schema.
        folder: where keys and settings stand.
        sandbox: the source.
        clock: shared by hubs that are to be compared.
        limit: records per page.
        resources: what is read.
    """
    folder.mkdir(exist_ok=True)
    path = folder / "koppelhub.toml"
    listed = ", ".join(f'"{name}"' for name in resources)
    path.write_text(_SETTINGS.replace("RESOURCES", listed), encoding="utf-8")
    keyring = Keyring.create(folder / "keys.json")
    record_keys(store, keyring, now=clock.now())
    wrap: list[Callable[[Connector], Connector]] = []

    def connect(source: Source, clock: Clock) -> Connector:
        options = {
            "base_url": sandbox.url,
            "token": sandbox.reference.token,
            "limit": str(limit),
        }
        link = Link(source.name, options, source.resources, drop=frozenset({"leerling.bsn"}))
        connector: Connector = REFERENTIE.connect(link, clock=clock)
        for layer in wrap:
            connector = layer(connector)
        return connector

    hub = Hub(
        Settings.load(path, env={}), store, keyring, clock, connect, find_mapping=lambda _: MAPPING
    )
    hub.mirror()
    return ReferentieBench(hub, clock, sandbox, wrap)
