"""Exchanges: one row of an object and its target, that changes from the state that was seen."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fixtures.school.keys import synthetic_bsn
from mappings.canonical.fields import Entity
from sync_engine import purge, rotation
from sync_engine.errors import StalePlanError, StoreError, SyncError
from sync_engine.exchanges import Exchange
from sync_engine.options import Kind
from sync_engine.store.engine import Store
from tests.property.stores import Killed
from tests.support.boards import NEW, OLD, Boards, boards, sound
from tests.support.hubs import Bench, bench
from tests.support.keeping import Keeping, keeping
from tests.support.memory import MemorySource

CANARY = b"Kanarie-1190"
TWO_YEARS = 731 * 24
PUPIL = Entity.LEERLING


def two_pupils(store: Store, folder: Path) -> Iterator[Bench]:
    one = bench(store, folder, sources=2)
    for number, key in enumerate("ab"):
        one.sources["s0"].put(PUPIL, key, achternaam=f"Naam{key}", bsn=synthetic_bsn(number + 1))
    one.sync("s0")
    yield one
    one.close()


@pytest.fixture
def made(store: Store, tmp_path: Path) -> Iterator[Bench]:
    """On either database."""
    yield from two_pupils(store, tmp_path)


@pytest.fixture
def quick(sqlite_store: Store, tmp_path: Path) -> Iterator[Bench]:
    """On SQLite alone, for what is no matter of the database."""
    yield from two_pupils(sqlite_store, tmp_path)


@pytest.fixture
def kept(made: Bench) -> Keeping:
    return keeping(made)


@pytest.fixture
def quick_kept(quick: Bench) -> Keeping:
    return keeping(quick)


# -- one exchange ----------------------------------------------------------------------------------


def test_an_exchange_goes_from_state_to_state_and_is_read_as_it_is(
    made: Bench, kept: Keeping
) -> None:
    person, exchanges = made.core(PUPIL, "a"), kept.exchanges
    begun = exchanges.open(
        PUPIL, person, "vervanging", state="gevraagd", operator="jan", detail={"zaak": 7}
    )
    assert (begun.state, begun.operator, begun.detail, begun.has_body) == (
        "gevraagd",
        "jan",
        {"zaak": 7},
        False,
    )
    made.later(1)
    agreed = exchanges.move(begun, "akkoord", operator="piet", message_id="m1")
    assert agreed == exchanges.read(begun.number)
    assert (agreed.detail, agreed.message_id, agreed.operator) == ({"zaak": 7}, "m1", "piet")
    assert agreed.changed_at == made.clock.now() > begun.changed_at
    done = exchanges.move(agreed, "gedaan", operator="piet", detail={})
    assert (done.message_id, done.detail) == ("m1", {})
    assert exchanges.of_object(PUPIL, person) == exchanges.of_kind("vervanging") == [done]
    assert exchanges.of_kind("vervanging", states={"gevraagd"}) == []


def test_who_saw_it_otherwise_than_it_is_changes_nothing(quick: Bench, quick_kept: Keeping) -> None:
    seen = quick_kept.proposed(quick.core(PUPIL, "a"))
    again = quick_kept.exchanges.move(seen, "geweigerd", operator="piet")
    again = quick_kept.exchanges.move(
        again, "gevraagd", operator="jan"
    )  # the same state, seen by nobody
    before = quick.dump()
    with pytest.raises(StalePlanError, match="is not gevraagd any more") as caught:
        quick_kept.exchanges.move(seen, "akkoord", operator="piet")
    assert "Een ander was u voor" in caught.value.advice
    assert quick.dump() == before


def test_of_many_who_decide_at_once_one_is_heard(made: Bench, kept: Keeping) -> None:
    seen = kept.proposed(made.core(PUPIL, "a"))

    def decide(number: int) -> bool:
        try:
            kept.exchanges.move(seen, "akkoord", operator=f"p{number}")
        except StalePlanError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(decide, range(6))) == [False] * 5 + [True]
    assert kept.exchanges.read(seen.number).revision == 2


def test_of_each_kind_an_object_has_one(made: Bench, kept: Keeping) -> None:
    person = made.core(PUPIL, "a")
    first = kept.proposed(person)
    with pytest.raises(StalePlanError, match="has a soort already"):
        kept.proposed(person)
    other = kept.exchanges.open(PUPIL, person, "anders", state="nieuw", operator="jan")
    assert kept.exchanges.of_object(PUPIL, person) == [first, other]
    assert keeping(made, "s1").proposed(person).number not in {first.number, other.number}


def test_a_body_is_kept_encrypted_replaced_and_forgotten(quick: Bench, quick_kept: Keeping) -> None:
    exchanges = quick_kept.exchanges
    seen = quick_kept.proposed(quick.core(PUPIL, "a"), body=CANARY)
    other = quick_kept.proposed(quick.core(PUPIL, "b"), body=b"anders")
    assert CANARY not in bytes(quick.query("SELECT body FROM exchange")[0][0])
    assert (seen.has_body, exchanges.body(seen)) == (True, CANARY)
    seen = exchanges.move(seen, "verstuurd", operator="run")
    assert exchanges.body(seen) == CANARY
    seen = exchanges.move(seen, "bevestigd", operator="run", body=b"nieuw")
    assert exchanges.body(seen) == b"nieuw"
    seen = exchanges.move(seen, "klaar", operator="run", forget=True)
    assert not seen.has_body
    with pytest.raises(LookupError):
        exchanges.body(seen)
    ((salt, blob),) = quick.query("SELECT salt, body FROM exchange WHERE id = ?", other.number)
    quick.query("UPDATE exchange SET salt = ?, body = ? WHERE id = ?", salt, blob, seen.number)
    with pytest.raises(StoreError, match=rf"^exchange\|{seen.number}"):
        exchanges.body(seen)


def test_a_koppeling_sees_and_changes_its_own_exchanges_alone(
    quick: Bench, quick_kept: Keeping
) -> None:
    seen = quick_kept.proposed(quick.core(PUPIL, "a"), body=CANARY)
    other = keeping(quick, "s1").exchanges
    assert other.of_kind("soort") == []
    with pytest.raises(SyncError, match=f"has no exchange {seen.number}"):
        other.read(seen.number)
    with pytest.raises(LookupError):
        other.body(seen)
    with pytest.raises(StalePlanError):
        other.move(seen, "akkoord", operator="piet")


def test_it_is_part_of_the_transaction_that_it_is_told_of(made: Bench, kept: Keeping) -> None:
    person = made.core(PUPIL, "a")
    seen = kept.proposed(person)
    with made.hub.store.work() as work:

        def broken_off() -> None:
            with work.transaction():
                kept.exchanges.move(seen, "akkoord", operator="piet", within=work)
                kept.exchanges.open(PUPIL, person, "k", state="s", operator="piet", within=work)
                raise Killed

        with pytest.raises(Killed):
            broken_off()
        assert kept.exchanges.of_object(PUPIL, person) == [seen]
        with work.transaction():
            kept.exchanges.move(seen, "akkoord", operator="piet", within=work)
    assert kept.exchanges.read(seen.number).state == "akkoord"


# -- what becomes of it ----------------------------------------------------------------------------


def test_what_was_merged_is_shown_with_what_it_became(made: Bench, kept: Keeping) -> None:
    source = made.sources["s1"]
    source.put(PUPIL, "a'", achternaam="Naama")
    made.sync("s1")
    first, other = made.core(PUPIL, "a"), made.core(PUPIL, "a'", "s1")
    exchange = kept.proposed(other)
    source.put(PUPIL, "a'", achternaam="Naama", bsn=synthetic_bsn(1))
    run = made.sync("s1")
    assert kept.exchanges.of_object(PUPIL, first) == [exchange]
    assert made.sync("s1", kind=Kind.UNDO, undone=run.run_id, operator="jan").error == ""
    assert kept.exchanges.of_object(PUPIL, first) == []
    assert kept.exchanges.of_object(PUPIL, other) == [exchange]


def test_it_is_purged_with_its_object_and_without_one_after_its_time(
    made: Bench, kept: Keeping
) -> None:
    a, b = made.core(PUPIL, "a"), made.core(PUPIL, "b")
    kept.proposed(a, body=CANARY)
    stays = kept.proposed(b)
    kept.exchanges.open(PUPIL, 999_999, "soort", state="s", operator="jan")  # of who was undone
    made.sources["s0"].remove(PUPIL, "a")
    made.settle("s0")
    purge.purge(made.hub, operator="test")
    assert len(kept.exchanges.of_kind("soort")) == 3
    made.later(TWO_YEARS)
    (report,) = purge.purge(made.hub, operator="test")
    assert report.rows["exchange"] == 1
    assert kept.exchanges.of_kind("soort") == [stays]


def test_a_new_key_opens_what_is_kept_with_it(quick: Bench, quick_kept: Keeping) -> None:
    seen = quick_kept.proposed(quick.core(PUPIL, "a"), body=CANARY)
    (report,) = rotation.rotate(quick.hub, operator="test")
    assert report.rewritten["exchange.body"] == 1
    assert quick_kept.exchanges.body(seen) == CANARY


# -- another board ---------------------------------------------------------------------------------


def school(name: str, *pupils: tuple[str, int]) -> MemorySource:
    source = MemorySource(tuple(Entity))
    for key, number in pupils:
        source.put(PUPIL, key, achternaam=f"{name} {key}", bsn=synthetic_bsn(number))
    return source


@pytest.fixture
def two(store: Store, tmp_path: Path) -> Iterator[Boards]:
    """Two schools of the old board, who share one pupil, and one of the new."""
    sources = {
        "s0": school("noord", ("a", 1), ("beide", 5)),
        "s1": school("zuid", ("x", 3), ("beide z", 5)),
        "s2": school("west", ("w", 9)),
    }
    with boards(store, tmp_path, {"s0": OLD, "s1": OLD, "s2": NEW}, sources) as made:
        made.nights(rounds=1)
        yield made


def told(made: Bench, name: str) -> list[tuple[int, bytes]]:
    exchanges = keeping(made, name).exchanges
    return [(one.core_id, exchanges.body(one)) for one in exchanges.of_kind("soort")]


def test_it_goes_with_its_koppeling_where_its_object_goes_and_ends_where_not(two: Boards) -> None:
    made = two.made
    a, both = made.core(PUPIL, "a"), made.core(PUPIL, "beide")
    x, w = made.core(PUPIL, "x", "s1"), made.core(PUPIL, "w", "s2")

    def ask(name: str, person: int, body: bytes) -> Exchange:
        return keeping(made, name).proposed(person, body=body)

    ask("s0", a, b"gaat mee")
    ask("s0", both, b"gaat mee, van beide")
    ask("s0", x, b"blijft achter")
    ask("s1", a, b"gaat weg")
    ask("s1", both, b"blijft, van beide")
    ask("s1", x, b"blijft")
    ask("s2", w, b"van een ander")
    report = two.move("s0")
    sound(made)
    assert report.carried["exchange"] == 3
    there, here = made.core(PUPIL, "beide"), made.core(PUPIL, "beide z", "s1")
    assert there != here
    assert told(made, "s0") == [(a, b"gaat mee"), (there, b"gaat mee, van beide")]
    assert told(made, "s1") == [(here, b"blijft, van beide"), (x, b"blijft")]
    assert told(made, "s2") == [(w, b"van een ander")]
