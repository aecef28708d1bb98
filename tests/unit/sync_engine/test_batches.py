"""Batches: written before they are sent, their answer kept for a day at most, forgotten at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from connectors.stores import Batch
from mappings.canonical.fields import Entity
from sync_engine import doctor, purge
from sync_engine.batches import ANSWER_KEPT
from sync_engine.errors import StoreError
from sync_engine.options import Kind
from sync_engine.schedule.duties import duty_of
from sync_engine.store.engine import Store
from tests.property.stores import DoomedStore, Killed
from tests.support.boards import NEW, OLD, Boards, boards, sound
from tests.support.hubs import Bench, bench
from tests.support.keeping import Keeping, keeping
from tests.support.memory import MemorySource

CANARY = b"<value>Kanarie-8832</value>" * 40
TWO_YEARS = 731 * 24
HALF = timedelta(seconds=30)


def pupils(store: Store, folder: Path) -> Iterator[Bench]:
    """Two koppelingen, the first with some pupils."""
    one = bench(store, folder, sources=2)
    for key in "abc":
        one.sources["s0"].put(Entity.LEERLING, key, achternaam=f"Naam{key}")
    one.sync("s0")
    yield one
    one.close()


@pytest.fixture
def made(store: Store, tmp_path: Path) -> Iterator[Bench]:
    """On either database."""
    yield from pupils(store, tmp_path)


@pytest.fixture
def quick(sqlite_store: Store, tmp_path: Path) -> Iterator[Bench]:
    """On SQLite alone, for what is no matter of the database."""
    yield from pupils(sqlite_store, tmp_path)


@pytest.fixture
def kept(made: Bench) -> Keeping:
    return keeping(made)


@pytest.fixture
def quick_kept(quick: Bench) -> Keeping:
    return keeping(quick)


def left(made: Bench) -> list[Any]:
    """(state, outcome, answer, salt) of every batch, and who still stands in one."""
    rows = made.query("SELECT state, outcome, answer, salt FROM batch ORDER BY id")
    return [*rows, made.query("SELECT COUNT(*) FROM batch_person")[0][0]]


# -- the way of a batch ----------------------------------------------------------------------------


def test_a_batch_is_known_from_the_moment_before_it_is_sent(quick_kept: Keeping) -> None:
    batch = quick_kept.batches.make("hashes", [30, 10, 20])
    assert quick_kept.batches.waiting() == [batch]
    assert batch.persons == (30, 10, 20)
    assert (batch.sent_at, batch.reference, batch.has_answer) == (None, "", False)
    assert "30" not in repr(batch)


def test_a_batch_goes_its_way_and_every_step_of_it_is_remembered(
    made: Bench, kept: Keeping
) -> None:
    batches, at = kept.batches, made.clock.now()
    batch = batches.sent(batches.make("hashes", [1, 2]), reference="2026x", next_at=at + HALF)
    assert batches.waiting() == [batch]
    assert (batch.sent_at, batch.next_at, batch.polls) == (at, at + HALF, 0)
    batch = batches.polled(batch, next_at=at + 2 * HALF)
    batch = batches.polled(batch, next_at=at + 3 * HALF)
    assert batches.waiting() == [batch]
    assert (batch.polls, batch.next_at) == (2, at + 3 * HALF)
    batch = batches.answered(batch, CANARY)
    assert batches.waiting() == [batch]
    assert batch.has_answer
    assert batches.answer(batch) == CANARY
    batches.close(batch, outcome="done", counts={"found": 1, "failed": 1})
    assert batches.waiting() == []
    assert left(made) == [("closed", "done", None, None), 0]
    told = made.query("SELECT reference, size, polls, counts FROM batch")
    assert told == [("2026x", 2, 2, '{"found":1,"failed":1}')]


def test_an_answer_stands_encrypted_and_under_no_other_number(
    quick: Bench, quick_kept: Keeping
) -> None:
    one, other = quick_kept.asked(1, body=CANARY), quick_kept.asked(2, body=b"anders")
    blobs: dict[int, bytes] = dict(quick.query("SELECT id, answer FROM batch"))
    assert b"Kanarie" not in bytes(blobs[one.number])
    quick.query("UPDATE batch SET answer = ? WHERE id = ?", blobs[one.number], other.number)
    with pytest.raises(StoreError, match=rf"^batch\|{other.number}"):
        quick_kept.batches.answer(other)


@pytest.mark.parametrize("step", ["sent", "polled", "answered"])
def test_a_step_that_does_not_follow_is_refused_and_changes_nothing(
    quick: Bench, quick_kept: Keeping, step: str
) -> None:
    batches, at = quick_kept.batches, quick.clock.now()
    batch = quick_kept.asked(1, body=CANARY) if step != "polled" else batches.make("soort", [1])
    before = quick.dump()
    steps = {
        "sent": partial(batches.sent, reference="nog eens", next_at=at),
        "polled": partial(batches.polled, next_at=at),
        "answered": partial(batches.answered, body=b"een ander antwoord"),
    }
    with pytest.raises(StoreError, match=rf"^batch {batch.number} is not") as caught:
        steps[step](batch)
    assert "volgende run" in caught.value.advice
    assert quick.dump() == before


def test_closing_twice_keeps_what_came_first(quick: Bench, quick_kept: Keeping) -> None:
    batch = quick_kept.asked(1)
    quick_kept.batches.close(batch, outcome="done", counts={"found": 1})
    quick_kept.batches.close(batch, outcome="lost", counts={})
    assert quick.query("SELECT outcome, counts FROM batch") == [("done", '{"found":1}')]


def test_a_koppeling_sees_and_changes_its_own_batches_alone(
    quick: Bench, quick_kept: Keeping
) -> None:
    batch = quick_kept.asked(1, body=CANARY)
    other = keeping(quick, "s1").batches
    assert other.waiting() == []
    assert other.made_since("soort", batch.made_at) == 0
    with pytest.raises(LookupError):
        other.answer(batch)
    other.close(batch, outcome="done", counts={})
    assert quick_kept.batches.waiting() == [batch]


def test_what_was_sent_is_counted_by_kind_and_instant_closed_or_not(
    made: Bench, kept: Keeping
) -> None:
    batches, midnight = kept.batches, made.clock.now()
    kept.asked(1, kind="hashes")
    made.later(1)
    later = made.clock.now()
    closed = kept.asked(2, kind="hashes")
    batches.close(closed, outcome="done", counts={})
    kept.asked(3, kind="anders")
    batches.make("hashes", [4])  # was never sent
    assert batches.made_since("hashes", midnight) == 2
    assert batches.made_since("hashes", later) == 1
    assert batches.made_since("hashes", later + HALF) == 0


def test_killed_anywhere_an_answer_is_kept_whole_or_still_to_be_asked_for(
    sqlite_store: Store, tmp_path: Path
) -> None:
    made = bench(sqlite_store, tmp_path)
    killed = 0
    for statement in range(1, 9):
        batch = keeping(made).asked(1, 2)
        doomed: Any = DoomedStore(sqlite_store, statement)
        try:
            keeping(made, store=doomed).batches.answered(batch, CANARY)
        except Killed:
            killed += 1
        (now,) = keeping(made).batches.waiting()
        assert now.persons == (1, 2)
        if now.has_answer:
            assert keeping(made).batches.answer(now) == CANARY
        keeping(made).batches.close(now, outcome="done", counts={})
    assert 1 < killed < 8
    made.close()


# -- what is kept, and how long --------------------------------------------------------------------


def test_an_answer_is_not_given_out_nor_kept_after_a_day(quick: Bench, quick_kept: Keeping) -> None:
    batch = quick_kept.asked(1, body=CANARY)
    quick.later(23.4)
    assert quick_kept.batches.waiting() == [batch]
    assert quick_kept.batches.answer(batch) == CANARY
    quick.later(0.2)
    with pytest.raises(LookupError):
        quick_kept.batches.answer(batch)
    assert quick_kept.batches.waiting() == []
    assert left(quick) == [("closed", "expired", None, None), 0]


def test_purge_forgets_answers_of_more_than_a_day_and_who_nobody_asks_about(
    made: Bench, kept: Keeping
) -> None:
    kept.asked(1, body=CANARY)
    waits = kept.asked(2)
    made.later(25)
    keeping(made, "s1").asked(3, body=b"jong")
    (preview,) = purge.purge(made.hub, operator="test", dry=True)
    assert preview.rows == {"batch answers": 1}
    assert left(made)[0][0] == "answered"
    (report,) = purge.purge(made.hub, operator="test")
    assert report.rows == preview.rows
    assert [row[:2] for row in left(made)[:-1]] == [
        ("closed", "expired"),
        ("sent", ""),
        ("answered", ""),
    ]
    assert kept.batches.waiting() == [waits]
    made.later(7 * 24)
    purge.purge(made.hub, operator="test")
    assert [row[1] for row in left(made)[:-1]] == ["expired", "lost", "expired"]
    assert left(made)[-1] == 0
    made.later(TWO_YEARS)
    (report,) = purge.purge(made.hub, operator="test")
    assert report.rows["batch"] == 3
    assert left(made) == [0]


def test_the_clock_forgets_an_answer_within_a_day_of_every_koppeling(
    quick: Bench, quick_kept: Keeping
) -> None:
    duty = duty_of("answers")
    quick_kept.asked(1, body=CANARY)
    quick.later(1)
    keeping(quick, "s1").asked(2, body=CANARY)
    for hours, states in ((22.4, ["answered"] * 2), (0.25, ["closed", "answered"])):
        quick.later(hours)
        duty.carry_out(quick.hub)
        assert [row[0] for row in left(quick)[:-1]] == states
    assert duty.light
    assert ANSWER_KEPT + 2 * timedelta(minutes=15) <= timedelta(hours=24)


def test_doctor_says_that_an_answer_is_kept_too_long(quick: Bench, quick_kept: Keeping) -> None:
    quick_kept.asked(1, body=CANARY)
    assert list(doctor._answers(quick.hub)) == []
    quick.later(25)
    (finding,) = doctor._answers(quick.hub)
    assert (finding.level, finding.subject) == ("let op", "koppeling s0")
    assert "koppelhub purge" in finding.advice


def test_who_is_purged_or_undone_leaves_his_place_empty_and_the_others_keep_theirs(
    made: Bench, kept: Keeping
) -> None:
    source = made.sources["s0"]
    source.put(Entity.LEERLING, "d", achternaam="Naamd")
    brought = made.sync("s0")
    a, b, c, d = (made.core(Entity.LEERLING, key) for key in "abcd")
    assert made.sync("s0", kind=Kind.UNDO, undone=brought.run_id, operator="jan").error == ""
    source.remove(Entity.LEERLING, "a")
    source.remove(Entity.LEERLING, "d")
    made.settle("s0")
    made.later(TWO_YEARS)
    batch = kept.asked(b, a, c)
    purge.purge(made.hub, operator="test")
    assert [one.persons for one in kept.batches.waiting()] == [(b, 0, c)]
    assert replace(batch, persons=(b, 0, c)) == kept.batches.waiting()[0]
    assert made.query("SELECT 1 FROM batch_person WHERE core_id IN (?, ?)", a, d) == []


def test_who_a_run_brought_that_is_undone_is_not_asked_about_any_more(
    quick: Bench, quick_kept: Keeping
) -> None:
    quick.sources["s0"].put(Entity.LEERLING, "d", achternaam="Naamd")
    brought = quick.sync("s0")
    a, d = (quick.core(Entity.LEERLING, key) for key in "ad")
    quick_kept.asked(d, a)
    assert quick.sync("s0", kind=Kind.UNDO, undone=brought.run_id, operator="jan").error == ""
    assert [one.persons for one in quick_kept.batches.waiting()] == [(0, a)]


# -- another board ---------------------------------------------------------------------------------


def school(name: str, *keys: str) -> MemorySource:
    source = MemorySource(tuple(Entity))
    for key in keys:
        source.put(Entity.LEERLING, key, achternaam=f"{name} {key}")
    return source


@pytest.fixture
def two(store: Store, tmp_path: Path) -> Iterator[Boards]:
    sources = {name: school(name, f"{name}a", f"{name}b") for name in ("s0", "s1", "s2")}
    with boards(store, tmp_path, {"s0": OLD, "s1": OLD, "s2": NEW}, sources) as made:
        made.nights(rounds=1)
        yield made


def test_batches_of_who_goes_to_another_board_are_lost_and_those_of_others_go_on(
    two: Boards,
) -> None:
    made = two.made
    goes, stays = made.core(Entity.LEERLING, "s0a"), made.core(Entity.LEERLING, "s1a", "s1")
    west = made.core(Entity.LEERLING, "s2a", "s2")
    keeping(made, "s0").asked(goes, body=CANARY)
    mixed = keeping(made, "s1").asked(stays, goes, body=CANARY)
    own = keeping(made, "s1").asked(stays, body=CANARY)
    other = keeping(made, "s2").asked(west, body=CANARY)
    running = keeping(made, "s1").batches
    two.move("s0")
    sound(made)
    assert [row[:3] for row in left(made)[:2]] == [("closed", "lost", None)] * 2
    assert left(made)[-1] == 2
    with pytest.raises(StoreError):
        running.answered(mixed, b"te laat")
    assert keeping(made, "s0").batches.waiting() == []
    for name, batch in (("s1", own), ("s2", other)):
        kept: list[Batch] = list(keeping(made, name).batches.waiting())
        assert kept == [batch]
        assert keeping(made, name).batches.answer(batch) == CANARY
    assert keeping(made, "s0").batches.made_since("soort", mixed.made_at) == 1
