"""How a school stands with pseudonyms that the hub obtains, in runs and when somebody looks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from config.errors import ConfigurationError
from connectors.pseudonyms import Verification
from fixtures.school.keys import synthetic_eckid
from mappings.canonical.fields import Entity
from sector.identifiers import Vestigingsnummer
from sync_engine.errors import SyncError
from sync_engine.health import State, health
from sync_engine.hubkeys import hub_key
from sync_engine.options import Kind
from sync_engine.outcome import ExitCode, Outcome
from sync_engine.pseudonyms import Missing, pupil_keys, standing, verify, without_one
from sync_engine.schedule.planner import entries
from sync_engine.store.engine import Store
from tests.support.hubs import Bench, bench
from tests.support.people import ASKS, CONFIGURATION, HAVO, VMBO, administration, bsn, enrol
from tests.support.pseudonyms import Facility, pseudo_bench


@pytest.fixture
def facility() -> Facility:
    return Facility()


@pytest.fixture
def made(sqlite_store: Store, tmp_path: Path, facility: Facility) -> Iterator[Bench]:
    found = pseudo_bench(sqlite_store, tmp_path, facility)
    yield found
    found.close()


@pytest.fixture
def both(store: Store, tmp_path: Path, facility: Facility) -> Iterator[Bench]:
    found = pseudo_bench(store, tmp_path, facility)
    yield found
    found.close()


def test_a_school_is_counted_by_vestiging(both: Bench, facility: Facility) -> None:
    las = both.sources["las"]
    for number in range(4):
        enrol(las, f"l{number}", bsn=bsn(number).reveal())
    enrol(las, "geleverd", bsn=bsn(5).reveal(), eck_id=synthetic_eckid(1, 1))
    enrol(las, "zonder")
    enrol(las, "weg", last="2026-01-01", eck_id=synthetic_eckid(1, 2))
    enrol(las, "havo", HAVO, bsn=bsn(6).reveal())
    facility.slow = {bsn(3).reveal()}
    both.sync("las")
    both.sync("eck")
    facility.slow |= {bsn(9).reveal()}
    enrol(las, "l0", bsn=bsn(9).reveal())  # another PGN
    both.later()
    both.sync("las")
    found = standing(both.hub, "99XX")
    vmbo, havo = found.places
    assert (vmbo.koppeling, vmbo.place, vmbo.name) == ("eck", VMBO, f"Naam {VMBO}")
    told = vmbo.standing
    assert (told.persons, told.obtained, told.waiting, told.without_pgn, told.changed) == (
        *(6, 3, 1),
        *(1, 1),
    )
    assert (vmbo.delivered, havo.delivered, havo.standing.obtained) == (1, 0, 1)
    assert (found.leerlingen, found.delivered, found.nowhere, found.missing) == (7, 1, 0, ())
    assert not found.is_clean
    (alone,) = standing(both.hub, HAVO).places
    assert alone.place == HAVO


def test_a_school_says_what_is_to_be_configured(store: Store, tmp_path: Path) -> None:
    made = pseudo_bench(store, tmp_path, Facility(), purpose="")
    assert standing(made.hub, "99XX").missing == (Missing.PURPOSE, Missing.READ)
    made.sources["las"].put(Entity.LEERLING, "a", achternaam="A", geboortedatum="2012-01-01")
    made.sources["las"].put(Entity.INSCHRIJVING, "a", leerling="a", geldig_van="2025-08-01")
    made.sync("las")
    found = standing(made.hub, "99XX")
    assert (found.missing, found.nowhere) == ((Missing.PURPOSE, Missing.VESTIGING), 1)
    sources = tuple(s.model_copy(update={"pgn": ()}) for s in made.hub.settings.source)
    settings = made.hub.settings.model_copy(
        update={"source": tuple(s for s in sources if s.system != "pseudo")}
    )
    made.hub = replace(made.hub, settings=settings)
    found = standing(made.hub, "99XX")
    assert found.missing == (Missing.KOPPELING, Missing.TELLER, Missing.VESTIGING)
    with pytest.raises(SyncError) as refused:
        verify(made.hub, "99XX")
    assert "docs/eckid-school.md" in refused.value.advice
    made.close()


def test_where_the_administration_delivers_them_all_nothing_is_to_be_configured(
    made: Bench,
) -> None:
    sources = tuple(s for s in made.hub.settings.source if s.system != "pseudo")
    settings = made.hub.settings.model_copy(update={"source": sources})
    made.hub = replace(made.hub, settings=settings)
    enrol(made.sources["las"], "a", eck_id=synthetic_eckid(1, 1))
    made.sync("las")
    assert standing(made.hub, "99XX").is_clean
    enrol(made.sources["las"], "b")
    made.sync("las")
    assert Missing.KOPPELING in standing(made.hub, "99XX").missing


def test_vestigingen_that_do_not_match_are_named(both: Bench) -> None:
    las = both.sources["las"]
    enrol(las, "a", bsn=bsn(1).reveal())
    enrol(las, "b", HAVO, bsn=bsn(2).reveal())
    both.sync("las")
    choose(both, VMBO, "99XX77")
    found = standing(both.hub, "99XX")
    assert (found.unknown, found.unserved) == (("99XX77",), (HAVO,))
    assert found.missing == (Missing.UNKNOWN, Missing.UNSERVED)
    assert not found.is_clean
    choose(both, "99XX77")
    assert "99XX77" in both.sync("eck").advice


def test_where_the_core_knows_no_pgn_at_all_that_is_what_is_missing(made: Bench) -> None:
    las = made.sources["las"]
    enrol(las, "a")
    enrol(las, "b")
    made.sync("las")
    assert standing(made.hub, "99XX").missing == (Missing.PGN,)
    assert without_one(made.hub, "99XX") == (2, 2)
    enrol(las, "b", bsn=bsn(2).reveal())
    made.later()
    made.sync("las")
    assert standing(made.hub, "99XX").missing == ()


def choose(bench: Bench, *numbers: str) -> None:
    """The vestigingen of the koppeling that obtains."""
    chosen = {"vestigingen": tuple(Vestigingsnummer(number) for number in numbers)}
    sources = tuple(
        s.model_copy(update=chosen) if s.name == "eck" else s for s in bench.hub.settings.source
    )
    settings = bench.hub.settings.model_copy(update={"source": sources})
    bench.hub = replace(bench.hub, settings=settings)


def test_a_school_that_is_not_there_is_refused(made: Bench) -> None:
    with pytest.raises(ConfigurationError):
        standing(made.hub, "12AB")


def test_asking_again_compares_and_writes_nothing(made: Bench, facility: Facility) -> None:
    for number in range(3):
        enrol(made.sources["las"], f"l{number}", bsn=bsn(number).reveal())
    made.sync("las")
    made.sync("eck")
    (key,) = pupil_keys(made.hub, [hub_key(made.core(Entity.LEERLING, "l1", "las"))])
    facility.leads[bsn(1).reveal()] = bsn(8).reveal()
    before = made.dump()
    told: list[int] = []
    vmbo, havo = verify(made.hub, "99XX", told=lambda _, count: told.append(count))
    assert vmbo.found == Verification(3, 2, (key,))
    assert (havo.found, told) == (Verification(0, 0), [1, 2, 3])
    (one, _) = verify(made.hub, "99XX", keys=[key])
    assert (one.found.asked, one.found.different) == (1, (key,))
    assert made.dump() == before


# -- runs ------------------------------------------------------------------------------------------


def test_a_run_in_which_everybody_waits_is_partial_and_says_so(
    made: Bench, facility: Facility
) -> None:
    enrol(made.sources["las"], "a", bsn=bsn(1).reveal())
    made.sync("las")
    facility.slow = {bsn(1).reveal()}
    report = made.sync("eck")
    assert (report.outcome, report.exit_code, report.error) == (
        Outcome.PARTIAL,
        ExitCode.PARTIAL,
        "",
    )
    (vmbo,) = [reading for reading in report.readings if reading.reason]
    assert (vmbo.reason, vmbo.advice) == (
        "1 persons wait for an answer",
        "De volgende run haalt het antwoord op.",
    )
    assert (report.unread, report.waits, report.events) == (0, 1, [])
    facility.slow = set()
    made.later()
    assert made.sync("eck").outcome is Outcome.DONE


def test_a_first_run_in_which_everybody_waits_is_no_failure(
    made: Bench, facility: Facility
) -> None:
    enrol(made.sources["las"], "a", bsn=bsn(1).reveal())
    made.sync("las")
    facility.slow = {bsn(1).reveal()}
    made.sync("eck")
    (one,) = [k for k in health(made.hub).koppelingen if k.name == "eck"]
    assert {problem.state for problem in one.problems} == {State.WARNING}


def test_what_waits_is_not_asked_for_twice_in_one_run(made: Bench, facility: Facility) -> None:
    enrol(made.sources["las"], "a", bsn=bsn(1).reveal())
    enrol(made.sources["las"], "b", bsn=bsn(2).reveal())
    made.sync("las")
    facility.slow = {bsn(1).reveal()}
    before = len(made.query("SELECT 1 FROM audit WHERE action = 'pgn'"))
    made.sync("eck")
    assert len(made.query("SELECT 1 FROM audit WHERE action = 'pgn'")) == before + 1


def test_who_waits_keeps_nobody_from_being_fresh(made: Bench, facility: Facility) -> None:
    for number in range(2):
        enrol(made.sources["las"], f"l{number}", bsn=bsn(number).reveal())
    made.sync("las")
    facility.slow = {bsn(1).reveal()}
    assert made.sync("eck").good
    (one,) = [k for k in health(made.hub).koppelingen if k.name == "eck"]
    assert one.good_at is not None
    assert [(p.kind, p.text.split(" ", 2)[2]) for p in one.problems] == [
        ("partial", "wacht nog op antwoorden; die komen vanzelf")
    ]


def test_of_what_falls_due_at_once_the_administration_goes_first(
    sqlite_store: Store, tmp_path: Path
) -> None:
    first, *rest = CONFIGURATION.split("[[source]]", 1)
    adds = ASKS.replace("pseudo", "eckid") + 'schedule = "0 3 * * *"\n'
    las = rest[0].replace('tenant = "bestuur"', 'tenant = "bestuur"\nschedule = "0 3 * * *"')
    text = f"{first}{adds}[[source]]{las}"
    made = bench(sqlite_store, tmp_path, sources={"las": administration()}, configuration=text)
    names = [entry.key.koppeling for entry in entries(made.hub)]
    assert made.hub.sources()[0].name == "eck"
    assert names.index("las") < names.index("anders") < names.index("eck")
    made.close()


def test_one_pupil_who_waits_is_told_too(made: Bench, facility: Facility) -> None:
    enrol(made.sources["las"], "a", bsn=bsn(1).reveal())
    made.sync("las")
    facility.slow = {bsn(1).reveal()}
    key = hub_key(made.core(Entity.LEERLING, "a", "las"))
    options = {"kind": Kind.ONLY, "only": (key,), "resources": ("leerling",)}
    report = made.sync("eck", **options)
    assert (report.outcome, report.waits) == (Outcome.PARTIAL, 1)
    facility.slow = set()
    assert made.sync("eck", **options).outcome is Outcome.DONE
    assert facility.asked == [bsn(1).reveal()]
