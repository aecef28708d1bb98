"""A PGN that changed: proposed by one, approved by another, carried out once, never by halves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import ConnectorError, OutcomeUnknownError
from mappings.canonical.fields import Entity
from sector.identifiers import Vestigingsnummer
from sync_engine import replacing
from sync_engine.actor import Actor
from sync_engine.errors import (
    MaintenanceError,
    NoRightError,
    RunActiveError,
    StoreError,
    SyncError,
)
from sync_engine.former_pgn import is_told_together
from sync_engine.health import health
from sync_engine.hubkeys import hub_key
from sync_engine.outcome import Outcome
from sync_engine.replacing import State, approve, propose, replacements, withdraw
from sync_engine.selection import select
from sync_engine.store.engine import Store
from sync_engine.store.locks import lease
from sync_engine.switches import begin_maintenance, end_maintenance
from sync_engine.todo import todo
from tests.support.hubs import Bench
from tests.support.kern import KERN, PGN, TOKEN, TOKEN_NAME, closing_bench, kern_bench
from tests.support.people import HAVO, bsn, enrol, onderwijsnummer
from tests.support.pseudonyms import Facility, KilledError, pseudo_bench


@pytest.fixture
def facility() -> Facility:
    return Facility()


@pytest.fixture
def made(sqlite_store: Store, tmp_path: Path, facility: Facility) -> Iterator[Bench]:
    """A leerling whose pseudonym was obtained with one BSN, and who has another one now."""
    with _changed(sqlite_store, tmp_path, facility) as found:
        yield found


@pytest.fixture
def both(store: Store, tmp_path: Path, facility: Facility) -> Iterator[Bench]:
    """The same on each database."""
    with _changed(store, tmp_path, facility) as found:
        yield found


@contextmanager
def _changed(store: Store, folder: Path, facility: Facility) -> Iterator[Bench]:
    found = pseudo_bench(store, folder, facility)
    enrol(found.sources["las"], "jip", bsn=bsn(1).reveal())
    enrol(found.sources["las"], "janneke", bsn=bsn(3).reveal())
    found.sync("las")
    assert found.sync("eck").outcome is Outcome.DONE
    enrol(found.sources["las"], "jip", bsn=bsn(2).reveal())
    found.later()
    found.sync("las")
    report = found.sync("eck")
    assert (report.outcome, report.quarantine) == (Outcome.PARTIAL, 1)
    yield found
    found.close()


def key(made: Bench, name: str = "jip") -> str:
    return hub_key(made.core(Entity.LEERLING, name, "las"))


def proposed(made: Bench, **options: Any) -> Any:
    given = {"why": "typefout", "on": None, "operator": "els", **options}
    return propose(made.hub, key(made), **given)


def states(made: Bench) -> list[State]:
    sources = [made.hub.source("eck")]
    return [one.state for one in replacements(made.hub, sources, everything=True)]


def trail(made: Bench) -> list[tuple[str, str]]:
    return [
        (row[0], row[1])
        for row in made.query(
            "SELECT action, operator FROM audit WHERE action LIKE 'pgn %' ORDER BY id"
        )
    ]


def test_the_koppeling_of_his_own_vestiging_is_asked(made: Bench) -> None:
    eck = made.hub.settings.find_source("eck")
    other = {"name": "ander", "vestigingen": (Vestigingsnummer(HAVO),)}
    sources = (eck.model_copy(update=other), *made.hub.settings.source)
    settings = made.hub.settings.model_copy(update={"source": sources})
    made.hub = replace(made.hub, settings=settings)
    made.hub.mirror()
    assert proposed(made).koppeling == "eck"


# -- two persons -----------------------------------------------------------------------------------


def test_one_proposes_another_approves_and_the_pseudonym_stays(
    both: Bench, facility: Facility
) -> None:
    one = proposed(both)
    assert (one.state, one.on, one.proposed_by, one.alone) == (
        "proposed",
        "2026-10-05",
        "els",
        False,
    )
    assert facility.replaced == []
    two = approve(both.hub, key(both), operator="piet")
    assert (two.state, two.approved_by, two.error) == ("done", "piet", "")
    assert facility.replaced == [(bsn(1).reveal(), bsn(2).reveal())]
    assert trail(both) == [
        ("pgn propose", "els"),
        ("pgn approve", "piet"),
        ("pgn replace", "piet"),
        ("pgn replaced", "piet"),
    ]
    report = both.sync("eck")
    assert (report.outcome, report.quarantine, both.cases()) == (Outcome.DONE, 0, [])
    assert both.sync("eck").outcome is Outcome.DONE
    assert len(facility.asked) == 2  # nobody was asked for anew


def test_who_proposed_it_may_not_approve_it(made: Bench, facility: Facility) -> None:
    proposed(made)
    with pytest.raises(NoRightError) as refused:
        approve(made.hub, key(made), operator="els")
    assert "collega" in refused.value.advice
    assert (states(made), facility.replaced) == ([State.PROPOSED], [])


@pytest.mark.parametrize("who", ["system", ""])
def test_the_system_is_no_person(made: Bench, who: str) -> None:
    with pytest.raises(NoRightError):
        proposed(made, operator=who)
    proposed(made)
    with pytest.raises(NoRightError):
        approve(made.hub, key(made), operator=who)
    assert states(made) == [State.PROPOSED]


def test_a_run_carries_nothing_out_that_nobody_approved(made: Bench, facility: Facility) -> None:
    proposed(made)
    made.sync("eck")
    assert (states(made), facility.replaced) == ([State.PROPOSED], [])


def test_there_is_one_at_a_time_and_it_can_be_withdrawn(made: Bench, facility: Facility) -> None:
    proposed(made)
    with pytest.raises(SyncError, match="is proposed") as twice:
        proposed(made, operator="piet")
    assert "approve" in twice.value.advice
    gone = withdraw(made.hub, key(made), why="toch niet", operator="els")
    assert (gone.state, gone.why) == (State.WITHDRAWN, "toch niet")
    with pytest.raises(SyncError, match="no replacement"):
        approve(made.hub, key(made), operator="piet")
    proposed(made, operator="piet")
    assert approve(made.hub, key(made), operator="els").state is State.DONE
    assert len(facility.replaced) == 1
    assert made.query("SELECT COUNT(*) FROM exchange WHERE body IS NOT NULL") == [(0,)]


def test_what_a_colleague_must_look_at_waits_for_the_helpdesk(both: Bench) -> None:
    def waiting(school: str | None = None) -> list[tuple[str, str, int, str]]:
        with both.hub.store.work() as work:
            chosen = select(both.hub, work, source=None, school=school)
        found = [item for item in todo(both.hub, chosen).items if item.kind == "replacement"]
        return [(i.koppeling, i.what, i.count, i.command) for i in found]

    assert waiting() == []
    proposed(both)
    ((name, what, count, command),) = waiting()
    assert (name, count, command) == ("eck", 1, "koppelhub eckid replacements --source eck")
    assert "een collega keurt het goed" in what
    approve(both.hub, key(both), operator="piet")
    assert waiting() == []


# -- one person ------------------------------------------------------------------------------------


def test_where_the_source_tells_both_numbers_of_one_leerling_one_person_is_enough(
    made: Bench, facility: Facility
) -> None:
    las = made.sources["las"]
    enrol(las, "kees", onderwijsnummer=onderwijsnummer(5).reveal())
    made.sync("las")
    made.sync("eck")
    enrol(las, "kees", onderwijsnummer=onderwijsnummer(5).reveal(), bsn=bsn(5).reveal())
    made.sync("las")
    kees = key(made, "kees")
    assert propose(made.hub, kees, why="kreeg een BSN", on=None, operator="els").alone
    assert approve(made.hub, kees, operator="els").state is State.DONE
    assert facility.replaced == [(onderwijsnummer(5).reveal(), bsn(5).reveal())]


def test_numbers_of_two_sources_are_not_told_together(made: Bench) -> None:
    enrol(made.sources["las"], "kees", onderwijsnummer=onderwijsnummer(5).reveal())
    made.sync("las")
    made.sync("eck")
    enrol(made.sources["las"], "kees", bsn=bsn(5).reveal())  # the former one is gone
    made.sync("las")
    assert not propose(made.hub, key(made, "kees"), why="?", on=None, operator="els").alone


# -- its day ---------------------------------------------------------------------------------------


def test_an_approved_one_waits_for_its_day_and_the_first_run_of_it_does_it(
    made: Bench, facility: Facility
) -> None:
    proposed(made, on=date(2026, 10, 7))
    assert approve(made.hub, key(made), operator="piet").state is State.APPROVED
    made.clock.set(made.clock.now().replace(day=6, hour=21))  # 23:00 in Amsterdam
    made.sync("eck")
    assert approve(made.hub, key(made), operator="els").state is State.APPROVED
    assert facility.replaced == []
    made.later(1.5)  # past midnight there, and not yet in UTC
    report = made.sync("eck")
    assert (report.quarantine, states(made)) == (0, [State.DONE])
    assert len(facility.replaced) == 1
    assert trail(made)[-2:] == [("pgn replace", "system"), ("pgn replaced", "system")]


def test_approving_once_more_on_the_day_does_it_too(made: Bench, facility: Facility) -> None:
    proposed(made, on=date(2026, 10, 6))
    approve(made.hub, key(made), operator="piet")
    made.later(24)
    assert approve(made.hub, key(made), operator="els").state is State.DONE
    assert len(facility.replaced) == 1


def test_a_dry_run_does_nothing(made: Bench, facility: Facility) -> None:
    proposed(made, on=date(2026, 10, 6))
    approve(made.hub, key(made), operator="piet")
    made.later(24)
    made.sync("eck", dry=True)
    assert (states(made), facility.replaced) == ([State.APPROVED], [])


# -- what cannot be replaced -----------------------------------------------------------------------


def test_whose_number_did_not_change_has_nothing_to_replace(made: Bench) -> None:
    with pytest.raises(SyncError, match="obtained with") as refused:
        propose(made.hub, key(made, "janneke"), why="?", on=None, operator="els")
    assert "niets te vervangen" in refused.value.advice


def test_who_has_no_pseudonym_has_nothing_to_replace(made: Bench) -> None:
    enrol(made.sources["las"], "nieuw", bsn=bsn(8).reveal())
    made.sync("las")
    with pytest.raises(SyncError, match="no pseudonym"):
        propose(made.hub, key(made, "nieuw"), why="?", on=None, operator="els")


def test_without_the_former_number_it_is_refused_with_what_to_do_by_hand(made: Bench) -> None:
    with made.hub.store.work() as work, work.transaction():
        work.execute("UPDATE step SET salt = NULL")  # as retention leaves the journal
    with pytest.raises(SyncError, match="former PGN") as refused:
        proposed(made)
    assert "met de hand" in refused.value.advice
    assert (states(made), trail(made)) == ([], [])


def test_a_journal_that_went_meanwhile_ends_what_was_approved(
    made: Bench, facility: Facility
) -> None:
    proposed(made)
    with made.hub.store.work() as work, work.transaction():
        work.execute("UPDATE step SET salt = NULL")
    ended = approve(made.hub, key(made), operator="piet")
    assert (ended.state, facility.replaced) == (State.REFUSED, [])
    assert "met de hand" in ended.advice


def test_a_number_that_is_of_another_leerling_now_is_never_replaced(
    both: Bench, facility: Facility
) -> None:
    """It would be blocked for him, and cannot be undone."""
    proposed(both)
    enrol(both.sources["las"], "janneke", bsn=bsn(1).reveal())
    both.later()
    both.sync("las")
    ended = approve(both.hub, key(both), operator="piet")
    assert (ended.state, facility.replaced) == (State.REFUSED, [])
    assert key(both, "janneke") in ended.advice
    with pytest.raises(SyncError, match="another leerling") as refused:
        proposed(both)
    assert bsn(1).reveal() not in f"{refused.value} {refused.value.advice}"
    enrol(both.sources["las"], "janneke", bsn=bsn(3).reveal())  # the school puts it right
    both.later()
    both.sync("las")
    proposed(both)
    assert approve(both.hub, key(both), operator="piet").state is State.DONE


def test_another_number_than_was_approved_is_not_replaced(made: Bench, facility: Facility) -> None:
    proposed(made)
    enrol(made.sources["las"], "jip", bsn=bsn(9).reveal())
    made.later()
    made.sync("las")
    ended = approve(made.hub, key(made), operator="piet")
    assert (ended.state, facility.replaced) == (State.REFUSED, [])
    proposed(made)  # of the numbers of now
    assert approve(made.hub, key(made), operator="piet").state is State.DONE
    assert facility.replaced == [(bsn(1).reveal(), bsn(9).reveal())]


def test_a_number_that_was_put_back_needs_nothing(made: Bench, facility: Facility) -> None:
    proposed(made)
    enrol(made.sources["las"], "jip", bsn=bsn(1).reveal())
    made.later()
    made.sync("las")
    assert approve(made.hub, key(made), operator="piet").state is State.REFUSED
    assert facility.replaced == []
    assert made.sync("eck").quarantine == 0


# -- faults ----------------------------------------------------------------------------------------


def test_another_pseudonym_is_an_alarm_and_nothing_is_written(
    both: Bench, facility: Facility
) -> None:
    facility.differs = True
    before = both.query("SELECT value FROM vault ORDER BY core_id")
    proposed(both)
    ended = approve(both.hub, key(both), operator="piet")
    assert ended.state is State.ALARM
    assert "meld dit bij ops" in ended.advice
    assert both.query("SELECT value FROM vault ORDER BY core_id") == before
    (one,) = [k for k in health(both.hub).koppelingen if k.name == "eck"]
    (alarm,) = [p for p in one.problems if p.kind == "alarm"]
    assert (alarm.state, alarm.count) == ("critical", 1)
    with pytest.raises(SyncError) as refused:
        approve(both.hub, key(both), operator="piet")
    assert "zoek dat eerst" in refused.value.advice
    both.sync("eck")
    assert len(facility.replaced) == 1  # it is not tried again by itself
    withdraw(both.hub, key(both), why="uitgezocht met Kennisnet", operator="els")
    (one,) = [k for k in health(both.hub).koppelingen if k.name == "eck"]
    assert "alarm" not in {p.kind for p in one.problems}


@pytest.mark.parametrize("after", [False, True])
def test_no_answer_leaves_it_approved_and_the_next_run_does_it(
    made: Bench, facility: Facility, *, after: bool
) -> None:
    facility.fault = OutcomeUnknownError("no answer", system="pseudo", operation="replace")
    facility.fault_after = after
    proposed(made)
    with pytest.raises(ConnectorError):
        approve(made.hub, key(made), operator="piet")
    (waits,) = replacements(made.hub, [made.hub.source("eck")])
    assert (waits.state, waits.error) == (State.APPROVED, "no answer")
    assert made.sync("eck").quarantine == 0
    assert states(made) == [State.DONE]


def test_a_run_goes_on_where_a_replacement_cannot(made: Bench, facility: Facility) -> None:
    proposed(made, on=date(2026, 10, 6))
    approve(made.hub, key(made), operator="piet")
    made.later(24)
    facility.fault = OutcomeUnknownError("no answer", system="pseudo", operation="replace")
    report = made.sync("eck")
    assert (report.outcome, report.quarantine, report.read) == (Outcome.PARTIAL, 1, 2)
    assert states(made) == [State.APPROVED]


@pytest.mark.parametrize(("differs", "state"), [(False, State.DONE), (True, State.ALARM)])
def test_what_was_withdrawn_while_it_was_carried_out_is_told_as_it_ended(
    made: Bench, facility: Facility, monkeypatch: pytest.MonkeyPatch, *, differs: bool, state: State
) -> None:
    facility.differs = differs
    replace_ = facility.replace

    def meanwhile(former: str, now: str) -> str:
        withdraw(made.hub, key(made), why="toch niet", operator="els")
        return replace_(former, now)

    monkeypatch.setattr(facility, "replace", meanwhile)
    proposed(made)
    assert approve(made.hub, key(made), operator="piet").state is state
    assert states(made) == [state]
    assert [action for action, _ in trail(made)][-2] == "pgn withdraw"


def test_in_maintenance_it_is_approved_and_not_carried_out(made: Bench, facility: Facility) -> None:
    proposed(made)
    begin_maintenance(made.hub, ["eck"], operator="els", why="onderhoud")
    with pytest.raises(MaintenanceError):
        approve(made.hub, key(made), operator="piet")
    assert (states(made), facility.replaced) == ([State.APPROVED], [])
    end_maintenance(made.hub, ["eck"], operator="els")
    assert approve(made.hub, key(made), operator="piet").state is State.DONE


@pytest.mark.parametrize("after", [False, True])
def test_killed_between_call_and_write_it_is_done_once_by_the_next(
    both: Bench, facility: Facility, *, after: bool
) -> None:
    facility.fault, facility.fault_after = KilledError(), after
    proposed(both)
    with pytest.raises(KilledError):
        approve(both.hub, key(both), operator="piet")
    assert (states(both), trail(both)[-1]) == ([State.APPROVED], ("pgn replace", "piet"))
    assert both.sync("eck").quarantine == 0
    assert (states(both), facility.leads) == ([State.DONE], {bsn(2).reveal(): bsn(1).reveal()})


def test_killed_before_it_could_say_so_it_is_not_asked_again(
    made: Bench, facility: Facility, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sync_engine.replacing import _Carrier

    def killed(*_: Any, **__: Any) -> Any:
        raise KilledError

    proposed(made)
    with monkeypatch.context() as patch:
        patch.setattr(_Carrier, "_end", killed)
        with pytest.raises(KilledError):
            approve(made.hub, key(made), operator="piet")
    made.sync("eck")
    assert (states(made), len(facility.replaced)) == ([State.DONE], 1)


def test_a_database_that_is_in_the_way_ends_nothing(
    made: Bench, facility: Facility, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: Any) -> Any:
        raise StoreError("another writer is in the way", retryable=True)

    proposed(made)
    with monkeypatch.context() as patch:
        patch.setattr(replacing, "former_pgns", busy)
        with pytest.raises(StoreError):
            approve(made.hub, key(made), operator="piet")
    assert (states(made), facility.replaced) == ([State.APPROVED], [])
    assert approve(made.hub, key(made), operator="piet").state is State.DONE


def test_while_a_run_is_under_way_nothing_is_approved(made: Bench) -> None:
    proposed(made)
    row = made.hub.koppeling("eck")
    with lease(made.hub.store, f"koppeling-{row.id}"), pytest.raises(RunActiveError):
        approve(made.hub, key(made), operator="piet")
    assert states(made) == [State.PROPOSED]


# -- privacy ---------------------------------------------------------------------------------------


def test_no_number_stands_anywhere_in_the_clear(
    made: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    proposed(made)
    approve(made.hub, key(made), operator="piet")
    kept = repr(made.dump(without=frozenset())) + caplog.text
    for number in (1, 2, 3):
        assert bsn(number).reveal() not in kept
    shown = repr(replacements(made.hub, [made.hub.source("eck")], everything=True))
    assert bsn(1).reveal() not in shown


def test_who_may_not_act_for_the_tenant_knows_of_no_leerling(made: Bench) -> None:
    stranger = replace(made.hub, actor=Actor("piet", tenants=frozenset()))
    proposed(made)
    with pytest.raises(SyncError):
        approve(stranger, key(made), operator="piet")


# -- what an application says ----------------------------------------------------------------------


def test_an_application_may_say_that_it_corrected_a_number(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_NAME, TOKEN)
    with closing_bench(kern_bench(sqlite_store, tmp_path, more=PGN)) as kern:
        person = {"achternaam": "A", "geboortedatum": "2012-01-01"}
        kern.say("leerling", "l1", **person, bsn=bsn(1).reveal())
        kern.bench.sync(KERN)
        core = kern.bench.core(Entity.LEERLING, "l1", KERN)
        tenant = kern.bench.hub.koppeling(KERN).tenant_id

        def corrected(number: int, **flag: bool) -> bool:
            kern.say("leerling", "l1", **person, bsn=bsn(number).reveal(), **flag)
            report = kern.bench.sync(KERN)
            assert (report.error, report.quarantine, report.events) == ("", 0, [])
            return is_told_together(kern.bench.hub, tenant, core, former=bsn(1), now=bsn(2))

        assert not corrected(2)
        assert corrected(2, pgn_gecorrigeerd=True)
        assert not corrected(2, pgn_gecorrigeerd=False)
        assert not corrected(3, pgn_gecorrigeerd=True)  # of another number than is meant
