"""Messages to a target over a real socket: made, delivered, confirmed, refused, asked, undone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.clock import FixedClock
from connectors.base import Connector
from connectors.targets import Answered, Outgoing
from fixtures.sandbox.faults import AnyFault, LostAnswer, RateLimited, ServerError
from fixtures.sandbox.reference_intake import Refusal
from koppelhub_referentie.connector import ReferentieConnector
from koppelhub_referentie.outward import Afnemer
from mappings.canonical.fields import Entity
from mappings.errors import MappingError
from mappings.outward import CoreObject
from sync_engine import purge, runs
from sync_engine.errors import StalePlanError, SyncError
from sync_engine.hubkeys import key_number
from sync_engine.options import Decision, Kind, Options, Verdict
from sync_engine.outbox import messages
from sync_engine.outbox.delivering import _Delivery
from sync_engine.store.engine import Store
from sync_engine.store.work import Row
from tests.support.outbox import BRON, OutboxBench, outbox_bench

START = datetime(2026, 10, 5, 6, 0, tzinfo=UTC)
NO = Refusal("verplicht", "vestiging", "ontbreekt")


@pytest.fixture
def both(store: Store, tmp_path: Path) -> Iterator[OutboxBench]:
    """On each of the two databases: one pupil, not read yet."""
    with outbox_bench(store, tmp_path / "hub", clock=FixedClock(START)) as made:
        made.pupil("l1", roepnaam="Anna")
        yield made


@pytest.fixture
def bench(sqlite_store: Store, tmp_path: Path) -> Iterator[OutboxBench]:
    """On SQLite: one pupil, not read yet."""
    with outbox_bench(sqlite_store, tmp_path / "hub", clock=FixedClock(START)) as made:
        made.pupil("l1", roepnaam="Anna")
        yield made


@pytest.fixture
def delivered(bench: OutboxBench) -> OutboxBench:
    """One pupil, whom the target has."""
    bench.sync()
    assert bench.deliver().confirmed == 1
    return bench


class Killed(BaseException):
    """The process ends here."""


class KilledConnector:
    """A connector whose process is killed at the n-th answer of a delivery."""

    def __init__(self, inner: Connector, *, after: int) -> None:
        self._inner, self._left = inner, after

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def deliver(self, given: Sequence[Outgoing]) -> Iterator[Answered]:
        """As it is, until the target has done one more than was told."""
        assert isinstance(self._inner, ReferentieConnector)
        for said in self._inner.deliver(given):
            if self._left == 0:
                raise Killed
            self._left -= 1
            yield said

    def confirm(self, ids: Sequence[str]) -> Iterator[Answered]:
        """As it is."""
        assert isinstance(self._inner, ReferentieConnector)
        return self._inner.confirm(ids)


# -- delivering ------------------------------------------------------------------------------------


def test_what_changed_is_delivered_once_and_kept_as_confirmed(both: OutboxBench) -> None:
    both.sync()
    assert both.states() == ["ready"]
    found = both.deliver()
    assert (found.confirmed, found.left, found.error) == (1, 0, "")
    assert both.intake.bodies == both.wanted()
    both.sync()
    assert both.deliver().confirmed == 0
    both.pupil("l1", roepnaam="Anne")
    both.sync()
    assert both.deliver().confirmed == 1
    assert both.intake.bodies == both.wanted()
    assert len(both.intake.effects) == 2
    sealed = both.query("SELECT body FROM exchange WHERE kind = 'outward leerlingen'")
    assert b"Jansen" not in bytes(sealed[0][0])


def test_a_newer_form_takes_the_place_of_one_that_was_not_sent(bench: OutboxBench) -> None:
    bench.sync()
    bench.pupil("l1", roepnaam="Anne")
    bench.sync()
    assert bench.states() == ["ready"]
    bench.deliver()
    assert [one["roepnaam"] for one in bench.intake.pupils.values()] == ["Anne"]
    assert len(bench.intake.messages) == 1


def test_what_is_back_as_it_was_needs_no_message(delivered: OutboxBench) -> None:
    delivered.pupil("l1", roepnaam="Anne")
    delivered.sync()
    delivered.pupil("l1", roepnaam="Anna")
    delivered.sync()
    assert delivered.states() == ["confirmed", "withdrawn"]
    delivered.deliver()
    assert len(delivered.intake.messages) == 1


def test_who_leaves_is_deleted_there(delivered: OutboxBench) -> None:
    source = delivered.bron.reference
    source.put(
        "inschrijving", "i1", leerling="l1", geldig_van="2026-08-01", geldig_tot="2026-10-20"
    )
    delivered.sync()
    assert delivered.deliver().confirmed == 0  # he is there until then
    delivered.later(days=15)  # no run touches him: the day does
    assert delivered.deliver().confirmed == 1
    assert delivered.intake.pupils == {}
    assert delivered.query("SELECT state, body FROM exchange") == [("absent", None)]


@pytest.mark.parametrize("fault", [LostAnswer(), ServerError()])
def test_what_may_have_come_goes_again_under_its_id(bench: OutboxBench, fault: AnyFault) -> None:
    bench.sync()
    bench.afnemer.misbehave(fault)
    found = bench.deliver()
    assert (found.confirmed, found.later) == (0, True)
    assert bench.states() == ["sent"]
    assert bench.deliver().confirmed == 0  # not before its time
    bench.later(minutes=2)
    assert bench.deliver().confirmed == 1
    assert len(bench.intake.effects) == len(bench.intake.messages) == 1


def test_patience_that_is_asked_for_is_given(bench: OutboxBench) -> None:
    bench.sync()
    bench.afnemer.misbehave(RateLimited(retry_after=1800))
    assert bench.deliver().later
    bench.later(minutes=20)
    assert bench.deliver().confirmed == 0
    bench.later(minutes=11)
    assert bench.deliver().confirmed == 1


def test_an_answer_that_never_came_is_asked_for(bench: OutboxBench) -> None:
    bench.sync()
    bench.intake.silent = 1
    found = bench.deliver()  # sends, waits in vain, and asks
    assert (found.confirmed, found.left) == (1, 0)
    assert bench.intake.messages[0].times == 1
    assert bench.intake.bodies == bench.wanted()


def test_a_target_that_answers_later_is_asked_until_it_does(bench: OutboxBench) -> None:
    bench.intake.answers_later = True
    bench.sync()
    assert bench.deliver().taken >= 1
    bench.pupil("l1", roepnaam="Anne")
    bench.sync()
    bench.later(minutes=6)
    bench.deliver()
    assert bench.states() == ["taken", "ready"]  # one after another
    bench.intake.process()
    bench.later(minutes=6)
    bench.deliver()
    bench.intake.process()
    bench.later(minutes=6)
    assert bench.deliver().left == 0
    assert bench.intake.bodies == bench.wanted()
    assert len(bench.intake.effects) == 2


def test_killed_between_the_target_and_the_hub_nothing_is_doubled(both: OutboxBench) -> None:
    both.pupil("l2", achternaam="Bakker")
    both.sync()
    both.wrap.append(lambda made: KilledConnector(made, after=1))  # type: ignore[arg-type,return-value] # the rest by __getattr__
    with pytest.raises(Killed):
        both.deliver()
    assert both.states() == ["confirmed", "sent"]
    both.wrap.clear()
    assert both.deliver().confirmed == 1
    assert len(both.intake.effects) == 2
    assert both.intake.bodies == both.wanted()


def test_one_that_cannot_be_made_hinders_no_other(bench: OutboxBench) -> None:
    class Picky(Afnemer):
        """Wants a roepnaam."""

        def body(self, thing: CoreObject) -> bytes | None:
            """Of whom has one."""
            if thing.record.text("roepnaam") is None:
                raise MappingError("roepnaam", "is required and missing")
            return super().body(thing)

    bench.hub = replace(bench.hub, find_outward=lambda _: Picky())
    bench.pupil("l2")
    bench.sync()
    assert bench.deliver().confirmed == 1
    assert bench.cases() == [(bench.key("l2"), "mapping: roepnaam: is required and missing")]
    bench.pupil("l2", roepnaam="Bo")
    bench.sync()
    assert bench.deliver().confirmed == 1
    assert bench.cases() == []


def test_killed_after_apply_the_obligation_stands(
    bench: OutboxBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("sync_engine.planning.make_due", killed)
        with pytest.raises(Killed):
            bench.sync()
    assert bench.states() == ["due"]
    assert bench.deliver().confirmed == 1
    assert bench.intake.bodies == bench.wanted()


# -- refused ---------------------------------------------------------------------------------------


def test_a_refusal_is_a_case_until_the_source_is_mended(bench: OutboxBench) -> None:
    bench.sync()
    key = bench.key("l1")
    bench.intake.refuse(key, NO)
    found = bench.deliver()
    assert (found.refused, found.undeliverable, found.left) == (1, 1, 1)
    assert bench.cases() == [(key, "verplicht: vestiging: ontbreekt")]
    bench.later(hours=1)
    bench.deliver()
    assert len(bench.intake.messages) == 1  # what was refused is not said again
    bench.pupil("l1", roepnaam="Anne")
    bench.sync()
    assert bench.cases()  # until it is delivered
    bench.intake.refuse(key, None)
    assert bench.deliver().confirmed == 1
    assert bench.cases() == []
    assert len(bench.cases("closed")) == 1
    assert bench.states() == ["withdrawn", "confirmed"]


def test_a_case_closes_when_no_message_is_needed_any_more(delivered: OutboxBench) -> None:
    delivered.intake.refuse(delivered.key("l1"), NO)
    delivered.pupil("l1", roepnaam="Anne")
    delivered.sync()
    delivered.deliver()
    assert delivered.cases()
    delivered.pupil("l1", roepnaam="Anna")
    delivered.sync()
    assert delivered.cases() == []
    assert delivered.states() == ["confirmed", "withdrawn"]


def test_a_person_sends_what_was_refused_again_or_never(bench: OutboxBench) -> None:
    bench.sync()
    key = bench.key("l1")
    bench.intake.refuse(key, NO)
    bench.deliver()
    bench.intake.refuse(key, None)
    ((number,),) = bench.query("SELECT id FROM outbox")
    messages.again(bench.hub, number, operator="anna")
    assert bench.deliver().confirmed == 1
    assert bench.cases() == []
    bench.intake.refuse(key, NO)
    bench.pupil("l1", roepnaam="Anne")
    bench.sync()
    bench.deliver()
    ((last,),) = bench.query("SELECT MAX(id) FROM outbox")
    messages.refuse(bench.hub, last, why="mag niet", operator="anna")
    assert bench.cases() == []
    bench.later(days=1)
    bench.deliver()
    assert bench.states() == ["confirmed", "declined"]


# -- undo ------------------------------------------------------------------------------------------


def changed(bench: OutboxBench) -> int:
    """A run that changes the pupil, not delivered yet."""
    bench.pupil("l1", roepnaam="Verkeerd")
    return bench.sync().run_id


def waiting(bench: OutboxBench) -> int:
    """The message that asks."""
    ((number,),) = bench.query("SELECT id FROM outbox WHERE state = 'asks'")
    return int(number)


def test_undone_before_it_was_sent_it_is_withdrawn(delivered: OutboxBench) -> None:
    delivered.undo(changed(delivered))
    assert delivered.states() == ["confirmed", "withdrawn"]
    assert delivered.deliver().confirmed == 0


def test_undone_after_it_was_confirmed_a_person_lets_the_correction_go(both: OutboxBench) -> None:
    both.sync()
    both.deliver()
    run = changed(both)
    both.deliver()
    undone = both.undo(run)
    assert undone.run_id
    assert both.states() == ["confirmed", "confirmed", "asks"]
    found = both.deliver()
    assert (found.confirmed, found.asks) == (0, 1)
    assert both.intake.pupils[both.key("l1")]["roepnaam"] == "Verkeerd"
    seen = messages.view(both.hub, waiting(both), operator="anna")
    assert seen.message.undone == run
    assert (seen.before or {})["roepnaam"] == "Verkeerd"
    assert (seen.after or {})["roepnaam"] == "Anna"
    messages.approve(both.hub, seen, operator="anna")
    both.later(days=1)  # everything is looked at again: what was approved stays approved
    assert both.deliver().confirmed == 1
    assert both.intake.bodies == both.wanted()
    assert both.intake.pupils[both.key("l1")]["roepnaam"] == "Anna"
    audit = both.query("SELECT action FROM audit WHERE action LIKE 'outbox%' ORDER BY id")
    assert [action for (action,) in audit] == ["outbox show", "outbox approve"]


def test_a_correction_that_is_refused_is_not_made_again(delivered: OutboxBench) -> None:
    run = changed(delivered)
    delivered.deliver()
    delivered.undo(run)
    messages.refuse(delivered.hub, waiting(delivered), why="daar goed", operator="anna")
    for _ in range(3):
        delivered.later(days=1)
        delivered.sync()
        assert delivered.deliver().confirmed == 0
    assert delivered.states()[-1] == "declined"
    delivered.pupil("l1", roepnaam="Nieuw")
    delivered.sync()
    assert delivered.states()[-1] == "asks"  # another form: it is asked once more


def test_what_changed_since_it_was_shown_is_not_approved(delivered: OutboxBench) -> None:
    run = changed(delivered)
    delivered.deliver()
    delivered.undo(run)
    seen = messages.view(delivered.hub, waiting(delivered), operator="anna")
    delivered.pupil("l1", roepnaam="Verkeerd", achternaam="Smit")
    delivered.sync()
    with pytest.raises(StalePlanError):
        messages.approve(delivered.hub, seen, operator="anna")
    assert delivered.states()[-1] == "asks"


def test_undone_while_it_is_under_way_it_is_corrected_after_it(bench: OutboxBench) -> None:
    bench.intake.answers_later = True
    run = bench.sync().run_id
    bench.deliver()
    bench.undo(run)
    assert bench.states() == ["taken", "asks"]
    bench.intake.process()
    bench.later(minutes=6)
    bench.deliver()
    assert bench.states() == ["confirmed", "asks"]
    seen = messages.view(bench.hub, waiting(bench), operator="anna")
    assert (seen.message.action, seen.after) == ("delete", None)


def test_a_message_that_is_not_there_is_told_with_the_nearest(delivered: OutboxBench) -> None:
    with pytest.raises(SyncError) as told:
        messages.view(delivered.hub, 99, operator="anna")
    assert "1" in told.value.advice
    with pytest.raises(SyncError):
        messages.refuse(delivered.hub, 1, why="nee", operator="anna")


# -- who is not there any more ---------------------------------------------------------------------


class Archive(Afnemer):
    """A target that keeps who left."""

    def body(self, thing: CoreObject) -> bytes | None:
        """Whoever the core has."""
        return b'{"achternaam":"%s"}' % str(thing.record.text("achternaam")).encode()


def test_who_is_purged_is_removed_at_the_target(both: OutboxBench) -> None:
    both.hub = replace(both.hub, find_outward=lambda _: Archive())
    for number in range(2, 5):
        both.pupil(f"l{number}")
    both.sync()
    both.deliver()
    gone = both.key("l1")
    both.bron.reference.remove("leerling", "l1")
    for _ in range(2):
        both.later(days=1)
        both.sync()
    both.deliver()
    assert gone in both.intake.pupils  # that target keeps who left
    both.later(days=731)
    both.sync()
    (report,) = purge.purge(both.hub, operator="test")
    assert report.records["leerling"] == 1
    kept = "SELECT state, salt, body FROM exchange WHERE salt IS NULL"
    assert both.query(kept) == [("present", None, None)]
    assert both.deliver().confirmed == 1
    assert gone not in both.intake.pupils
    assert len(both.intake.pupils) == 3
    assert both.query(kept) == [("absent", None, None)]


def test_what_is_over_goes_after_its_time(delivered: OutboxBench) -> None:
    (report,) = purge.purge(delivered.hub, operator="test")
    assert "outbox" not in report.rows
    delivered.later(days=800)
    delivered.sync()
    (report,) = purge.purge(delivered.hub, operator="test")
    assert report.rows["outbox"] == 1
    assert delivered.query("SELECT state FROM exchange") == [("present",)]


# -- what belongs to an object ---------------------------------------------------------------------


def family(bench: OutboxBench) -> None:
    """Two pupils at a vestiging with one guardian, whom the target has."""
    put = bench.bron.reference.put
    bench.pupil("l2", roepnaam="Bo")
    put("vestiging", "v", naam="De Boog", vestigingsnummer="99XX01")
    put("verzorger", "o", achternaam="Ouder", telefoon="+31201234567")
    for number in (1, 2):
        put(
            "inschrijving",
            f"i{number}",
            leerling=f"l{number}",
            vestiging="v",
            geldig_van="2026-08-01",
        )
        put(
            "verzorger_relatie",
            f"r{number}",
            verzorger="o",
            leerling=f"l{number}",
            ouderlijk_gezag=True,
        )
    bench.sync()
    bench.deliver()
    told = bench.intake.pupils[bench.key("l1")]
    assert told["vestiging"] == "De Boog"
    assert told["verzorgers"] == [{"achternaam": "Ouder", "telefoon": "+31201234567"}]


def test_what_belongs_to_a_pupil_is_told_when_it_changes(both: OutboxBench) -> None:
    family(both)
    put = both.bron.reference.put

    def heard() -> int:
        both.later(minutes=1)
        both.sync()
        confirmed = both.deliver().confirmed
        assert both.intake.bodies == both.wanted()
        return confirmed

    put("vestiging", "v", naam="De Brug", vestigingsnummer="99XX01")
    assert heard() == 2
    put("verzorger", "o", achternaam="Ouder", telefoon="+31207654321")
    assert heard() == 2
    put("verzorger_relatie", "r1", verzorger="o", leerling="l1", ouderlijk_gezag=False)
    assert heard() == 1
    assert both.intake.pupils[both.key("l1")]["verzorgers"] == []
    put("inschrijving", "i2", leerling="l2", vestiging="v", geldig_van="2026-08-01", leerjaar=2)
    assert heard() == 0  # the target has no leerjaar


def test_two_who_are_one_are_one_at_the_target(bench: OutboxBench) -> None:
    family(bench)
    lost = bench.key("l2")
    one, other = (key_number(bench.key(key)) for key in ("l1", "l2"))
    decision = Decision(Verdict.MERGE, Entity.LEERLING, core_id=one, other=other)
    options = Options(kind=Kind.DECIDE, decision=decision, operator="anna", why="dezelfde")
    assert not runs.run(bench.hub, BRON, options).error
    assert bench.key("l2") == bench.key("l1")
    bench.deliver()
    assert lost not in bench.intake.pupils
    assert bench.intake.bodies == bench.wanted()
    assert len(bench.intake.pupils) == 1


def test_a_preview_makes_no_message(bench: OutboxBench) -> None:
    bench.sync(dry=True)
    bench.sync(plan_only=True)
    assert bench.states() == []


def test_what_is_made_anew_while_it_is_about_to_go_goes_as_it_is_now(
    both: OutboxBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    both.sync()
    written = _Delivery._written

    def meanwhile(self: _Delivery, rows: Sequence[Row]) -> list[Outgoing]:
        both.pupil("l1", roepnaam="Intussen")
        both.sync()
        monkeypatch.setattr(_Delivery, "_written", written)
        return written(self, rows)

    monkeypatch.setattr(_Delivery, "_written", meanwhile)
    assert both.deliver().confirmed == 1
    assert both.intake.bodies == both.wanted()
    assert both.deliver().confirmed == 0
