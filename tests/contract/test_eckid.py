"""The ECK iD connector against the sandbox, with the stores of a real hub on both databases.

Hashes cost N=16 here: the facility cannot see what a hash was made of, and hashing itself is proven
in tests/unit/connectors/test_eckid_hashing.py.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from config.clock import Clock
from config.errors import ConfigurationError
from config.sources import Source
from connectors.base import Capability, Connector, Link, Scope
from connectors.eckid.connector import ECKID, EckIdConnector
from connectors.eckid.hashing import PUBLISHED_SALT, Hasher
from connectors.eckid.manifest import MANIFEST
from connectors.eckid.records import FIELDS, MODELS
from connectors.protocols.parsing import field_paths
from connectors.protocols.rest import Limits
from fixtures.sandbox import faults
from fixtures.sandbox.eckid import EckIdSandbox
from mappings.canonical.fields import Entity
from mappings.eckid import MAPPING
from sync_engine.hubkeys import hub_key
from sync_engine.options import Decision, Kind, Verdict
from sync_engine.outcome import Outcome, RunReport
from sync_engine.store.engine import Store
from tests.contract.suite import Fault, Harness, ReadingSuite
from tests.support.eckid import Doomed, Fuse, Killed
from tests.support.hubs import Bench, bench
from tests.support.people import (
    ASKS,
    CONFIGURATION,
    PURPOSE,
    VMBO,
    administration,
    bsn,
    enrol,
)

PUPILS: Final = 30
SETTINGS: Final = {"batch_from": "10", "batch_size": "20", "per_second": "0", "hash_threads": "1"}
ECK: Final = "eck"


ON_SQLITE: Final = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
"""Where databases differ in nothing that is looked at."""


class Town:
    """A hub whose koppeling `eck` asks the sandbox, and pupils who are enrolled by `las`."""

    def __init__(self, store: Store, folder: Path, pki: Path) -> None:
        names = ("las", "anders")
        self.bench: Bench = bench(
            store,
            folder,
            sources={name: administration() for name in names},
            configuration=CONFIGURATION + ASKS.replace("pseudo", "eckid") + PURPOSE,
        )
        self.clock, self.las = self.bench.clock, self.bench.sources["las"]
        self.sandbox = EckIdSandbox(pki, now=self.clock.now)
        self.facility = self.sandbox.facility
        self.fuse: Fuse | None = None
        others, mappings = self.bench.hub.connect, self.bench.hub.find_mapping

        def connect(source: Source, clock: Clock) -> Connector:
            return self.connect() if source.system == "eckid" else others(source, clock)

        self.bench.hub = replace(
            self.bench.hub,
            connect=connect,
            find_mapping=lambda system: MAPPING if system == "eckid" else mappings(system),
        )

    def connect(self) -> EckIdConnector:
        """A connector of the koppeling; with a fuse one that is killed at some call."""
        hub = self.bench.hub
        source = hub.settings.find_source(ECK)

        def of(real: Any) -> Any:
            return real if self.fuse is None else Doomed(real, self.fuse)

        link = Link(
            ECK,
            {**self.sandbox.options, **SETTINGS},
            vault=of(hub.vault(ECK)),
            batches=of(hub.batches(ECK)),
            people=hub.people(source),
        )
        limits = Limits(total=timedelta(seconds=5))
        return ECKID.connect(link, clock=self.clock, limits=limits, cost=16)

    def enrol(self, *numbers: int) -> None:
        """Have pupils with a BSN of their own in the core."""
        for number in numbers:
            enrol(self.las, f"p{number}", bsn=bsn(number).reveal())
        self.bench.sync("las")

    def run(self, **options: Any) -> RunReport:
        """One run of the koppeling, some time after the last one."""
        self.bench.later(0.2)
        return self.bench.sync(ECK, **options)

    def core(self, number: int) -> int:
        """The hub id of a pupil."""
        return self.bench.core(Entity.LEERLING, f"p{number}", "las")

    def truth(self, number: int) -> str:
        """What the facility has for the BSN of a pupil."""
        hpgn = Hasher(PUBLISHED_SALT, 16).hash_one(bsn(number)).reveal()
        options = self.sandbox.options
        stam = self.facility.stampseudoniem(hpgn)
        return self.facility.eck_id(stam, options["keten"], options["sector"])

    def obtained(self) -> dict[int, str]:
        """Hub id → ECK iD, as the core has them."""
        found = self.bench.identifiers().items()
        return {owner: text for (owner, kind, _), text in found if kind == "eck_id"}

    def everybody(self, *numbers: int) -> None:
        """Each of these has the ECK iD of the facility, and nobody else has one."""
        assert self.obtained() == {self.core(n): self.truth(n) for n in numbers}

    def repeated(self) -> int:
        """How often a hash was sent once more."""
        counts = self.facility.counts.hpgns
        return counts.total() - len(counts)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("eckid")


@pytest.fixture
def town(store: Store, tmp_path: Path, pki: Path) -> Iterator[Town]:
    made = Town(store, tmp_path, pki)
    with made.sandbox:
        yield made
    made.bench.close()


# -- the suite -------------------------------------------------------------------------------------


class EckIdHarness(Harness):
    """Pupils who have their ECK iDs already, but for the last ones."""

    def __init__(self, town: Town) -> None:
        self.town, self.clock = town, town.clock
        self.today = date(2026, 11, 2)
        town.enrol(*range(PUPILS))
        town.run()

    def connect(self) -> Connector:
        return self.town.connect()

    def persons(self, scopes: Iterable[Scope]) -> Scope:
        return next(scope for scope in scopes if scope.key == VMBO)

    def truth(self, scope: Scope) -> list[str]:
        if scope.key != VMBO:
            return []
        return [hub_key(number) for number in sorted(self.town.core(n) for n in range(PUPILS))]

    def misbehave(self, fault: Fault) -> None:
        raise NotImplementedError  # no answer of the facility is a page

    def canaries(self) -> frozenset[str]:
        return frozenset(bsn(number).reveal() for number in range(PUPILS))


@ON_SQLITE
class TestReading(ReadingSuite):
    """What every connector must do."""

    @pytest.fixture
    def harness(self, town: Town) -> Harness:
        return EckIdHarness(town)


# -- a school's days -------------------------------------------------------------------------------


def test_pupils_get_their_eck_ids_in_batches_and_the_next_night_costs_nothing(town: Town) -> None:
    town.enrol(*range(PUPILS))
    report = town.run()
    assert report.outcome is Outcome.DONE
    asked = town.facility.counts.operations.copy()
    assert asked["submitStampseudonymBatch"] == asked["submitEckIdBatch"] == 2
    assert asked["retrieveStampseudonym"] == 0
    assert town.repeated() == 0
    town.facility.counts.operations.clear()
    assert town.run().outcome is Outcome.DONE
    assert not town.facility.counts.operations, "nobody is asked for, so nothing is asked"
    town.everybody(*range(PUPILS))
    assert town.facility.counts.bare_numbers == 0


@ON_SQLITE
def test_one_pupil_is_looked_up_by_his_hub_key(town: Town) -> None:
    town.enrol(1, 2, 3)
    town.run(kind=Kind.ONLY, only=(hub_key(town.core(2)),))
    assert town.facility.counts.operations["retrieveStampseudonym"] == 1
    town.everybody(2)


@ON_SQLITE
def test_who_is_looked_up_and_has_no_pgn_is_told_so(town: Town) -> None:
    town.enrol(1)
    enrol(town.las, "zonder")
    town.bench.sync("las")
    core = town.bench.core(Entity.LEERLING, "zonder", "las")
    report = town.run(kind=Kind.ONLY, only=(hub_key(core),))
    assert report.outcome is Outcome.PARTIAL
    (reading,) = [reading for reading in report.readings if reading.scope.endswith(VMBO)]
    assert reading.reason == "1 have no PGN"
    assert "geen PGN" in reading.advice
    assert not town.facility.counts.hpgns


@ON_SQLITE
def test_a_preview_asks_for_nobody_and_says_how_many_it_would(town: Town) -> None:
    town.enrol(1, 2, 3)
    report = town.run(dry=True)
    assert not town.facility.counts.operations
    assert not town.facility.counts.hpgns
    (reading,) = [reading for reading in report.readings if reading.scope.endswith(VMBO)]
    assert "3 are not asked for yet" in reading.reason
    assert town.bench.hub.count("vault") == town.bench.hub.count("batch") == 0
    town.run()
    town.everybody(1, 2, 3)


@ON_SQLITE
def test_a_changed_pgn_is_set_apart_and_keeps_what_was_obtained(town: Town) -> None:
    town.enrol(1, 2)
    town.run()
    before = town.obtained()
    enrol(town.las, "p1", bsn=bsn(101).reveal())
    town.bench.sync("las")
    report = town.run()
    assert sum(reading.quarantined for reading in report.readings) == 1
    assert town.obtained() == before
    assert len(town.facility.counts.hpgns) == 2, "the new number was not hashed"


def test_records_that_are_parted_leave_the_eck_id_with_the_number(town: Town) -> None:
    town.enrol(1)
    enrol(town.las, "p2")
    town.bench.sync("las")
    one, two = town.core(1), town.core(2)
    merge = Decision(Verdict.MERGE, Entity.LEERLING, core_id=one, other=two)
    town.bench.sync("las", kind=Kind.DECIDE, decision=merge, operator="petra", why="dezelfde")
    town.run()
    assert list(town.obtained()) == [town.core(1)] == [town.core(2)]
    split = Decision(Verdict.SPLIT, Entity.LEERLING, source_key="p1")
    town.bench.sync("las", kind=Kind.DECIDE, decision=split, operator="petra", why="toch niet")
    assert town.core(1) != town.core(2)
    town.run()
    town.everybody(1)
    assert town.bench.hub.count("zaak") == 0
    assert town.run().outcome is Outcome.DONE
    town.everybody(1)


def test_killed_with_real_stores_everybody_gets_his_own(town: Town) -> None:
    """At some calls; tests/unit/connectors/test_eckid_batches.py does it at each."""
    for number, (call, after) in enumerate([(9, True), (12, False), (20, True), (30, False)]):
        town.enrol(*range(12 * number, 12 * number + 12))
        town.fuse = Fuse(call, after=after)
        with pytest.raises(Killed):
            town.run()
        assert town.fuse.what
        town.fuse = None
    for _ in range(3):
        report = town.run()
    assert report.outcome is Outcome.DONE
    town.everybody(*range(48))


@ON_SQLITE
def test_a_run_whose_time_is_up_leaves_its_batches_to_the_next_one(town: Town) -> None:
    town.enrol(*range(PUPILS))
    report = town.run(time_limit=timedelta(seconds=12))
    assert report.outcome is not Outcome.DONE
    assert town.clock.now() - report.started_at < timedelta(seconds=30)
    assert town.facility.counts.operations["submitStampseudonymBatch"] > 0
    assert town.run().outcome is Outcome.DONE
    assert town.repeated() == 0
    town.everybody(*range(PUPILS))


@pytest.mark.assumed("eckid-daily-limit")
def test_the_limit_of_the_day_ends_at_midnight(town: Town) -> None:
    town.facility.set_rules({"per_day": 1})
    town.enrol(*range(PUPILS))
    report = town.run()
    assert report.outcome is Outcome.PARTIAL
    assert "middernacht" in report.readings[0].advice
    for _ in range(6):
        town.bench.later(24)
        report = town.run()
    assert report.outcome is Outcome.DONE
    assert town.repeated() == 0, "what was hashed was sent"
    town.everybody(*range(PUPILS))


@pytest.mark.parametrize(
    "fault",
    [
        faults.UnknownIndex(action="retrieveBatch"),
        faults.DoubleIndex(action="retrieveBatch"),
        faults.MissingIndex(action="retrieveBatch"),
        faults.WrongPseudonym(how="kind", action="retrieveBatch"),
        faults.TruncatedXml(action="retrieveBatch"),
    ],
    ids=lambda fault: type(fault).__name__,
)
@ON_SQLITE
def test_a_wrong_answer_costs_what_is_wrong_in_it(town: Town, fault: Any) -> None:
    town.enrol(*range(12))
    town.sandbox.misbehave(fault)
    assert town.run().outcome is not Outcome.DONE
    town.bench.later(25)
    for _ in range(3):
        report = town.run()
    assert report.outcome is Outcome.DONE
    town.everybody(*range(12))


@ON_SQLITE
def test_a_submission_without_an_answer_is_made_once_more(town: Town) -> None:
    town.enrol(*range(12))
    town.sandbox.misbehave(faults.Reset(action="submitStampseudonymBatch"))
    assert town.run().outcome is Outcome.DONE
    town.everybody(*range(12))


@ON_SQLITE
def test_no_number_hash_or_pseudonym_is_told(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    town.enrol(*range(12))
    town.facility.set_rules({"per_day": 0})
    town.run()
    town.sandbox.eckid.callers.clear()
    town.enrol(13)
    report = town.run()
    text = f"{caplog.text}{report!r}"
    assert report.readings
    assert "ketenid.nl/" not in text
    assert not any(bsn(n).reveal() in text for n in range(14))
    assert not any(hpgn in text for hpgn in town.facility.counts.hpgns)


@ON_SQLITE
def test_verifying_finds_who_is_given_another_one(town: Town) -> None:
    town.enrol(1, 2)
    town.run()
    connector = town.connect()
    (scope,) = (s for s in connector.scopes(today=date(2026, 11, 2)) if s.key == VMBO)
    assert connector.verify(scope).equal == 2
    town.sandbox.misbehave(faults.WrongPseudonym(how="other", action="retrieveEckId"))
    assert len(connector.verify(scope).different) == 1
    connector.close()


# -- what is declared ------------------------------------------------------------------------------


def test_what_is_declared_is_what_is_read() -> None:
    for resource in MANIFEST.resources:
        assert set(FIELDS) == set(field_paths(MODELS[resource.name]))
        assert set(resource.fields) == {*FIELDS, "vraag"}
        assert Capability.DELTA not in resource.capabilities
    assert MAPPING.resources == tuple(resource.name for resource in MANIFEST.resources)


@ON_SQLITE
def test_without_the_stores_of_an_engine_there_is_no_connector(town: Town) -> None:
    options = {**town.sandbox.options, **SETTINGS}
    with pytest.raises(ConfigurationError, match="no vault"):
        ECKID.connect(Link(ECK, options))
