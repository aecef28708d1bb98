"""A hub that reads a Referentiebron and delivers to another, both on real sockets."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from config.clock import Clock, FixedClock
from config.keyring import Keyring
from config.settings import Settings
from config.sources import Source
from connectors.base import Connector, Link, Manifest
from connectors.protocols.pacing import Patience
from connectors.protocols.rest import Limits, RestTransport
from fixtures.sandbox.reference import ReferenceSandbox
from fixtures.sandbox.reference_intake import Intake
from koppelhub_referentie.connector import MANIFEST, ReferentieConnector
from koppelhub_referentie.mapping import MAPPING
from koppelhub_referentie.outward import AFNEMER
from mappings.outward import asked
from sync_engine import runs
from sync_engine.context import Target
from sync_engine.hub import Hub
from sync_engine.hubkeys import hub_key
from sync_engine.outbox.delivering import Delivery, deliver
from sync_engine.outbox.objects import read_objects
from sync_engine.outbox.targets import targets_of
from sync_engine.outcome import RunReport
from sync_engine.runs import Kind, Options
from sync_engine.store.engine import Store
from sync_engine.store.keys import record_keys
from sync_engine.store.work import Row

BRON, AFNEMER_NAME = "bron", "afnemer"
READ = ("vestiging", "leerling", "verzorger", "verzorger_relatie", "inschrijving")

SETTINGS = """
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
resources = ["vestiging", "leerling", "verzorger", "verzorger_relatie", "inschrijving"]
[[source]]
name = "afnemer"
system = "referentie"
tenant = "bestuur"
resources = ["leerlingen"]
[policy.guards.close]
share = 1.0
[policy.guards.create]
share = 1000.0
[policy.guards.change]
share = 1.0
[policy.guards.empty]
share = 1.0
"""

QUICK = Limits(
    connect=timedelta(seconds=2),
    total=timedelta(milliseconds=400),
    patience=Patience(attempts=1),
)


class _Hub(Hub):
    """Knows its one connector without making it each time, as it knows those that are installed."""

    def manifest(self, source: Source) -> Manifest:
        """Of the Referentiebron."""
        return MANIFEST


@dataclass
class OutboxBench:
    """One hub, the source that it reads and the target that it delivers to.

    Attributes:
        wrap: laid around the connector of each delivery; a test kills one with it.
    """

    hub: Hub
    clock: FixedClock
    bron: ReferenceSandbox
    afnemer: ReferenceSandbox
    wrap: list[Callable[[Connector], Connector]] = field(default_factory=list)

    @property
    def intake(self) -> Intake:
        """What the target was given."""
        return self.afnemer.reference.intake

    @property
    def target(self) -> Target:
        """The one koppeling that is delivered to."""
        (one,) = targets_of(self.hub, self.hub.koppeling(AFNEMER_NAME).tenant_id)
        return one

    def pupil(self, key: str, **fields: object) -> None:
        """A leerling as the source says him now."""
        told: dict[str, object] = {"achternaam": "Jansen", "geboortedatum": "2014-05-06"}
        self.bron.reference.put("leerling", key, **(told | fields))

    def sync(self, **options: Any) -> RunReport:
        """Read the source and apply what it says."""
        report = runs.run(self.hub, BRON, Options(kind=Kind.FULL, **options))
        assert not report.error, report.error
        return report

    def undo(self, run_id: int) -> RunReport:
        """Turn a run round."""
        report = runs.run(
            self.hub, BRON, Options(kind=Kind.UNDO, undone=run_id, operator="anna", why="fout")
        )
        assert not report.error, report.error
        return report

    def deliver(self, **options: Any) -> Delivery:
        """Deliver once."""
        return deliver(self.hub, self.target, **options)

    def later(self, **duration: float) -> None:
        """Time goes by."""
        self.clock.advance(timedelta(**duration))

    def query(self, sql: str, *params: object) -> list[Row]:
        """Rows of the database."""
        with self.hub.store.work() as work:
            return work.execute(sql, params)

    def states(self) -> list[str]:
        """The states of all messages, in the order in which they were made."""
        return [row[0] for row in self.query("SELECT state FROM outbox ORDER BY id")]

    def cases(self, state: str = "open") -> list[Row]:
        """Cases of refused messages."""
        return self.query(
            "SELECT source_key, rule FROM zaak WHERE kind = 'message' AND state = ? ORDER BY id",
            state,
        )

    def key(self, source_key: str) -> str:
        """The hub key of a leerling of the source."""
        ((core_id,),) = self.query(
            "SELECT l.core_id FROM link l JOIN koppeling k ON k.id = l.koppeling_id "
            "WHERE l.entity = 'leerling' AND k.name = ? AND l.source_key = ?",
            BRON,
            source_key,
        )
        return hub_key(core_id)

    def wanted(self) -> dict[str, bytes]:
        """Hub key → what the target should have, by the mapping alone."""
        row = self.target.koppeling
        with self.hub.store.work() as work:
            cores = [c for (c,) in work.execute("SELECT id FROM leerling ORDER BY id")]
            on = self.clock.now().date()
            things = read_objects(work, AFNEMER, row.tenant_id, cores, on=on)
        bodies = {hub_key(core_id): asked(AFNEMER, thing) for core_id, thing in things.items()}
        return {key: body for key, body in bodies.items() if body is not None}


@contextmanager
def outbox_bench(store: Store, folder: Path, *, clock: FixedClock) -> Iterator[OutboxBench]:
    """Wire a hub between two Referentiebronnen; guards hold nothing back."""
    folder.mkdir(exist_ok=True)
    path = folder / "koppelhub.toml"
    path.write_text(SETTINGS, encoding="utf-8")
    keyring = Keyring.create(folder / "keys.json")
    record_keys(store, keyring, now=clock.now())
    with ReferenceSandbox() as bron, ReferenceSandbox() as afnemer:
        wrap: list[Callable[[Connector], Connector]] = []
        trust = ssl.create_default_context()  # once, and not for each connector

        def connect(source: Source, clock: Clock) -> Connector:
            sandbox = bron if source.name == BRON else afnemer
            options = {"base_url": sandbox.url, "token": sandbox.reference.token, "limit": "200"}
            drop = frozenset({"leerling.bsn"})
            link = Link(source.name, options, source.resources, drop=drop)
            transport = RestTransport(
                "referentie", clock=clock, budget=MANIFEST.budget, limits=QUICK, tls=trust
            )
            made: Connector = ReferentieConnector(link, options, transport=transport)
            if source.name == AFNEMER_NAME:
                for layer in wrap:
                    made = layer(made)
            return made

        hub = _Hub(
            Settings.load(path, env={}),
            store,
            keyring,
            clock,
            connect,
            find_mapping=lambda _: MAPPING,
            find_outward=lambda _: AFNEMER,
        )
        hub.mirror()
        yield OutboxBench(hub, clock, bron, afnemer, wrap)
