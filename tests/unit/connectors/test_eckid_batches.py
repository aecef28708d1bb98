"""Batches: answers that are not right, come late or never, and the limit of the day."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from config.errors import ConfigurationError
from connectors.eckid.faults import WrongEnvironmentError
from connectors.eckid.keeping import Refused
from connectors.eckid.obtaining import once_more
from connectors.errors import (
    ProtocolViolationError,
    RequestRefusedError,
    SourceUnavailableError,
)
from connectors.pseudonyms import Standing
from tests.support.eckid import (
    CHAIN,
    SCOPE,
    SECTOR,
    TWENTY,
    VESTIGING,
    Fuse,
    Killed,
    Koppeling,
    bsn,
    everybody,
    lost,
    obtain,
    pupil,
    records_of,
)

DAY = "2026-11-01"


@pytest.fixture
def koppeling() -> Koppeling:
    return Koppeling()


# -- answers that are not right --------------------------------------------------------------------


def double(answer: dict[str, Any]) -> None:
    answer["found"].append([1, answer["found"][0][1]])


def missing(answer: dict[str, Any]) -> None:
    answer["found"] = answer["found"][1:]


def strange(answer: dict[str, Any]) -> None:
    answer["found"].append([99, answer["found"][0][1]])


def other_kind(answer: dict[str, Any]) -> None:
    index, value = answer["found"][0]
    path = "pilot" if "sppilot" in value else "sppilot"
    answer["found"][0] = [index, f"https://ketenid.nl/{path}/{'a' * 128}"]


def somebody_elses(answer: dict[str, Any]) -> None:
    answer["found"][0] = [answer["found"][0][0], answer["found"][1][1]]


@pytest.mark.parametrize(
    ("meddle", "fewer"),
    [(somebody_elses, 2), (double, 1), (missing, 1), (strange, 0), (other_kind, 1)],
)
def test_right_rows_of_a_wrong_answer_are_kept_and_the_rest_is_asked_again_next_time(
    koppeling: Koppeling, meddle: Callable[[dict[str, Any]], None], fewer: int
) -> None:
    koppeling.pupils(*range(1, 11))
    koppeling.facility.meddle = meddle
    found, completeness = obtain(koppeling)
    assert len(found) == 10 - 2 * fewer  # one of each of two answers
    assert not completeness.complete
    assert "ops" in completeness.advice
    koppeling.facility.meddle = lambda answer: None
    found, completeness = obtain(koppeling)
    assert completeness.complete
    everybody(koppeling, *range(1, 11))


def test_who_is_refused_is_asked_three_times_and_then_becomes_a_question(
    koppeling: Koppeling,
) -> None:
    koppeling.pupils(*range(1, 11))
    koppeling.facility.refusing = {koppeling.hasher.of(bsn(3))}
    for times in (1, 2, 3):
        found, completeness = obtain(koppeling)
        assert len(found) == 9
        assert not completeness.complete
        assert not completeness.waits
        assert "1 were refused" in completeness.reason
        assert koppeling.hasher.hashed[bsn(3).reveal()] == times
    found, completeness = obtain(koppeling)
    assert completeness.complete
    assert found["K-3"]["vraag"] == "geweigerd"
    assert koppeling.hasher.hashed[bsn(3).reveal()] == 3
    assert koppeling.connect().standing(SCOPE) == Standing(persons=10, obtained=9, refused=1)
    koppeling.people.put(pupil(3, bsn(103)))  # another number is another matter
    found, completeness = obtain(koppeling)
    assert completeness.complete
    assert found["K-3"]["eck_id"] == koppeling.eck_of(bsn(103))


def test_who_was_refused_too_often_is_asked_again_where_he_is_named(koppeling: Koppeling) -> None:
    koppeling.pupils(*range(1, 11))
    koppeling.facility.refusing = {koppeling.hasher.of(bsn(n)) for n in (3, 4)}
    for _ in range(4):
        obtain(koppeling)
    reading = koppeling.connect().lookup(SCOPE, keys=["K-3"])
    assert records_of(reading) == {}
    assert "1 were refused" in reading.completeness.reason
    assert koppeling.hasher.hashed[bsn(3).reveal()] == 4
    found, _ = obtain(koppeling)
    assert found["K-3"]["vraag"] == "geweigerd"
    koppeling.facility.refusing = set()  # it was the facility's own fault
    found = records_of(koppeling.connect().lookup(SCOPE, keys=["K-3"]))
    assert found["K-3"]["eck_id"] == koppeling.eck_of(bsn(3))
    found, _ = obtain(koppeling)
    assert "vraag" not in found["K-3"]
    assert found["K-4"]["vraag"] == "geweigerd"
    assert koppeling.hasher.hashed[bsn(4).reveal()] == 3


@pytest.mark.parametrize("amount", [3, 10])
def test_reading_twice_in_one_run_asks_nobody_twice(koppeling: Koppeling, amount: int) -> None:
    koppeling.pupils(*range(1, amount + 1))
    koppeling.facility.refusing = {koppeling.hasher.of(bsn(3))}
    connector = koppeling.connect()
    for _ in range(2):
        reading = connector.snapshot(SCOPE)
        assert len(records_of(reading)) == amount - 1
        assert not reading.completeness.complete
    assert koppeling.hasher.hashed[bsn(3).reveal()] == 1


def test_refusals_that_are_no_matter_of_persons_end_the_reading(koppeling: Koppeling) -> None:
    koppeling.pupils(1, 2, 3)
    koppeling.facility.refusing = {koppeling.hasher.of(bsn(n)) for n in (1, 2, 3)}
    with pytest.raises(RequestRefusedError):
        obtain(koppeling)


def test_pseudonyms_of_the_other_environment_are_never_kept(
    koppeling: Koppeling,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    koppeling.pupils(*range(1, 11))
    read = koppeling.facility.read

    def wrong(body: bytes) -> Any:
        raise WrongEnvironmentError("production in test", where="value", system="eckid")

    monkeypatch.setattr(koppeling.facility, "read", wrong)  # settings that are wrong
    for _ in range(2):
        with pytest.raises(WrongEnvironmentError):
            obtain(koppeling)
        koppeling.clock.advance(timedelta(minutes=10))
    assert koppeling.vault.kind("stampseudoniem") == {}
    assert koppeling.hasher.hashed.total() == 10, "the answer is kept: nobody is hashed again"
    monkeypatch.setattr(koppeling.facility, "read", read)  # the settings are mended
    _, completeness = obtain(koppeling)
    assert completeness.complete
    assert koppeling.hasher.hashed.total() == 10


def test_an_answer_that_cannot_be_read_is_kept_for_a_day(
    koppeling: Koppeling,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    koppeling.pupils(*range(1, 11))
    read = koppeling.facility.read

    def unreadable(body: bytes) -> Any:
        raise ProtocolViolationError("no such answer", where="body", system="eckid")

    monkeypatch.setattr(koppeling.facility, "read", unreadable)  # another version
    _, completeness = obtain(koppeling)
    assert "cannot be read (1)" in completeness.reason
    koppeling.pupils(*range(11, 21))
    _, completeness = obtain(koppeling)
    assert "cannot be read (2)" in completeness.reason, "each once a run"
    assert koppeling.hasher.hashed.total() == 20
    koppeling.clock.advance(timedelta(hours=25))
    obtain(koppeling)
    assert koppeling.batches.closed[0][1] == "onleesbaar"
    monkeypatch.setattr(koppeling.facility, "read", read)  # mended
    for _ in range(2):
        koppeling.clock.advance(timedelta(hours=1))
        _, completeness = obtain(koppeling)
    assert completeness.complete
    everybody(koppeling, *range(1, 21))


def test_one_person_who_is_in_the_hub_twice_has_one_pseudonym_twice(koppeling: Koppeling) -> None:
    koppeling.pupils(*range(1, 11))
    koppeling.people.put(pupil(2, bsn(1)))
    _, completeness = obtain(koppeling)
    assert completeness.complete
    assert koppeling.obtained()[1] == koppeling.obtained()[2] == koppeling.eck_of(bsn(1))


def test_a_pseudonym_that_is_kept_is_never_written_over(koppeling: Koppeling) -> None:
    koppeling.pupils(*range(1, 11))
    koppeling.facility.ready_after = 20
    obtain(koppeling)
    (kind,) = [kind for kind in koppeling.vault.values if kind.startswith("gevraagd/")]
    mark = json.loads(koppeling.vault.values[kind][1])["mark"]
    kept = {"v": f"https://ketenid.nl/sppilot/{'b' * 128}", "mark": mark, "sinds": DAY}
    koppeling.vault.write(kind.removeprefix("gevraagd/"), {1: json.dumps(kept).encode()})
    koppeling.facility.ready_after = 0
    koppeling.clock.advance(timedelta(minutes=10))
    _, completeness = obtain(koppeling)
    assert "differs from the one that is kept (1)" in completeness.reason
    assert not completeness.waits
    assert koppeling.vault.kind("stampseudoniem")[1] == kept


def test_a_refusal_of_a_batch_is_counted_once_however_often_it_is_taken_in() -> None:
    first = once_more(None, "m", batch=7)
    assert first == Refused("m", 1, 7)
    assert once_more(first, "m", batch=7) is None
    assert once_more(first, "m", batch=8) == Refused("m", 2, 8)
    assert once_more(first, "m") == Refused("m", 2)
    assert once_more(first, "another", batch=7) == Refused("another", 1, 7)


# -- waiting ---------------------------------------------------------------------------------------


@pytest.mark.assumed("eckid-polling")
def test_a_slow_facility_is_left_to_the_next_run(koppeling: Koppeling) -> None:
    koppeling.pupils(*TWENTY)
    koppeling.facility.ready_after = 15
    found, completeness = obtain(koppeling)
    assert found == {}
    assert "20 wait" in completeness.reason
    assert completeness.advice
    assert completeness.waits, "that is no failure"
    assert koppeling.facility.polls == 20, "two batches, ten times each"
    assert koppeling.clock.slept < timedelta(minutes=7)
    assert koppeling.connect().standing(SCOPE) == Standing(persons=20, waiting=20)
    obtain(koppeling)
    assert koppeling.facility.polls == 20, "five minutes are not over"
    for _ in range(12):
        koppeling.clock.advance(timedelta(minutes=5))
        _, completeness = obtain(koppeling)
    assert completeness.complete
    assert koppeling.hasher.hashed.total() == 20
    everybody(koppeling, *TWENTY)


def test_a_batch_is_given_up_after_a_day(koppeling: Koppeling) -> None:
    koppeling.pupils(*range(1, 11))
    koppeling.facility.ready_after = 1000
    obtain(koppeling)
    koppeling.clock.advance(timedelta(hours=24))
    _, completeness = obtain(koppeling)
    assert "given up" in completeness.reason
    koppeling.facility.ready_after = 1
    koppeling.clock.advance(timedelta(hours=1))
    _, completeness = obtain(koppeling)
    assert completeness.complete
    assert koppeling.hasher.hashed.total() == 20


def test_an_answer_that_is_gone_is_asked_for_anew(
    koppeling: Koppeling,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    koppeling.pupils(*range(1, 11))
    fetch = koppeling.facility.fetch

    def lose(reference: str) -> bytes:
        fetch(reference)
        raise lost()

    koppeling.facility.ready_after = 0
    monkeypatch.setattr(koppeling.facility, "fetch", lose)  # the line breaks
    obtain(koppeling)
    monkeypatch.setattr(koppeling.facility, "fetch", fetch)  # it is mended
    koppeling.clock.advance(timedelta(minutes=10))
    obtain(koppeling)
    _, completeness = obtain(koppeling)
    assert completeness.complete
    assert koppeling.batches.closed[0][1] == "verloren"
    everybody(koppeling, *range(1, 11))


def test_a_batch_that_is_refused_counts_against_its_persons(
    koppeling: Koppeling,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    koppeling.pupils(*range(1, 11))

    def unknown(reference: str) -> bytes:
        raise RequestRefusedError("unknown batch", code="", system="eckid")

    monkeypatch.setattr(koppeling.facility, "fetch", unknown)  # it forgot everything
    for _ in range(5):
        obtain(koppeling)
        koppeling.clock.advance(timedelta(minutes=10))
    assert max(koppeling.hasher.hashed.values()) == 3
    assert koppeling.connect().standing(SCOPE).refused == 10


@pytest.mark.parametrize("status", ["404", "429", "400"])
def test_a_status_without_a_fault_is_asked_again_and_counts_against_nobody(
    koppeling: Koppeling, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    koppeling.pupils(*range(1, 11))
    fetch, koppeling.facility.ready_after = koppeling.facility.fetch, 0
    times = iter(range(3))

    def gateway(reference: str) -> bytes:
        if next(times, None) is not None:  # what stands before the facility is being mended
            raise RequestRefusedError("status", code=status, system="eckid")
        return fetch(reference)

    monkeypatch.setattr(koppeling.facility, "fetch", gateway)
    _, completeness = obtain(koppeling)
    assert "an answer could not be fetched" in completeness.reason
    everybody(koppeling, *range(1, 11))
    assert koppeling.hasher.hashed.total() == 10


def test_so_many_batches_are_under_way_and_no_more(koppeling: Koppeling) -> None:
    koppeling.pupils(*range(1, 301))
    koppeling.facility.ready_after = 1000
    _, completeness = obtain(koppeling)
    assert len(koppeling.facility.submissions) == 20
    assert koppeling.hasher.hashed.total() == 200
    assert "100 are not asked for yet" in completeness.reason
    koppeling.facility.ready_after = 0
    koppeling.clock.advance(timedelta(minutes=10))
    _, completeness = obtain(koppeling)
    assert completeness.complete
    assert koppeling.hasher.hashed.total() == 300


def test_another_koppeling_waits_for_who_is_in_a_batch(koppeling: Koppeling) -> None:
    koppeling.pupils(*TWENTY)
    koppeling.facility.ready_after = 20
    obtain(koppeling)
    other = koppeling.beside("eckid-zuid")
    found, completeness = obtain(other)
    assert found == {}
    assert "20 wait" in completeness.reason
    assert koppeling.hasher.hashed.total() == 20
    koppeling.clock.advance(timedelta(days=2))  # that koppeling is no more
    koppeling.facility.ready_after = 0
    _, completeness = obtain(other)
    assert completeness.complete
    everybody(koppeling, *TWENTY)


# -- the limit of the day --------------------------------------------------------------------------


def test_at_the_limit_of_the_day_nobody_is_hashed_for_nothing(koppeling: Koppeling) -> None:
    koppeling.pupils(*range(1, 41))
    koppeling.facility.daily = 1
    _, completeness = obtain(koppeling)
    assert not completeness.complete
    assert "middernacht" in completeness.advice
    assert koppeling.hasher.hashed.total() == 20, "a batch, and the piece that was refused"
    assert len(koppeling.obtained()) == 10, "what was hashed goes by single calls"
    assert koppeling.vault.kind("gevraagd") == {}
    for _ in range(3):
        koppeling.clock.advance(timedelta(hours=1))
        obtain(koppeling)
    assert koppeling.hasher.hashed.total() == 20
    for number in range(33, 41):
        koppeling.people.pupils_of[VESTIGING].pop(number)
    obtain(koppeling)
    assert koppeling.hasher.hashed.total() == 20, "12 are no handful, though their last piece is"
    koppeling.pupils(*range(33, 41))
    for _ in range(8):
        koppeling.clock.advance(timedelta(days=1))
        _, completeness = obtain(koppeling)
    assert completeness.complete
    everybody(koppeling, *range(1, 41))
    assert set(koppeling.hasher.hashed.values()) == {1}


def test_a_handful_goes_on_under_the_limit(koppeling: Koppeling) -> None:
    koppeling.facility.daily = 0
    koppeling.pupils(*range(1, 11))
    obtain(koppeling)
    assert len(koppeling.obtained()) == 10
    koppeling.pupils(11, 12)
    _, completeness = obtain(koppeling)
    assert completeness.complete
    everybody(koppeling, *range(1, 13))


# -- stopping and failing --------------------------------------------------------------------------


def test_whoever_stops_reading_loses_no_hash(koppeling: Koppeling) -> None:
    koppeling.pupils(*range(1, 11))
    pages = iter(koppeling.connect().snapshot(SCOPE))
    while not koppeling.hasher.hashed:
        next(pages)
    del pages  # as a run does whose time is up
    assert koppeling.facility.submissions == [8]
    koppeling.clock.advance(timedelta(minutes=10))
    _, completeness = obtain(koppeling)
    assert completeness.complete
    again = koppeling.hasher.hashed
    assert again.total() - len(again) <= 1, "but for what the pool had in hand"


def test_a_facility_that_is_away_for_a_moment_costs_no_hash(
    koppeling: Koppeling,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    koppeling.pupils(*range(1, 11))
    submit = koppeling.facility.submit_hashes
    failures = iter([lost(), lost()])

    def away(hashes: Any) -> str:
        for error in failures:
            raise error
        return submit(hashes)

    monkeypatch.setattr(koppeling.facility, "submit_hashes", away)  # it restarts
    _, completeness = obtain(koppeling)
    assert completeness.complete
    assert koppeling.hasher.hashed.total() == 10
    assert [outcome for _, outcome, _ in koppeling.batches.closed][:2] == ["niet aangenomen"] * 2


def test_nobody_is_hashed_for_a_facility_that_is_not_there(koppeling: Koppeling) -> None:
    koppeling.pupils(*range(1, 11))
    koppeling.facility.available = False
    with pytest.raises(SourceUnavailableError):
        obtain(koppeling)
    assert koppeling.hasher.hashed.total() == 0


@pytest.mark.parametrize(("setting", "other"), [("keten", CHAIN), ("sector", SECTOR)])
def test_a_chain_or_sector_that_is_not_listed_is_told_before_anybody_is_hashed(
    setting: str, other: str
) -> None:
    koppeling = Koppeling(**{setting: f"{other[:-4]}ffff"})
    koppeling.pupils(1)
    with pytest.raises(ConfigurationError, match=setting):
        obtain(koppeling)
    assert koppeling.hasher.hashed.total() == 0


@pytest.mark.parametrize("amount", [3, 13])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_any_call_nobody_is_lost_or_asked_twice_without_need(
    amount: int, after: bool
) -> None:
    """Every call of the stores and the facility in turn; a new process goes on afterwards."""
    call, killed = 0, True
    while killed:
        koppeling = Koppeling()
        koppeling.pupils(*range(1, amount + 1))
        fuse = Fuse(call, after=after)
        killed = False
        try:
            obtain(koppeling, fuse)
        except Killed:
            killed = True
        for _ in range(3):
            koppeling.clock.advance(timedelta(minutes=6))
            _, completeness = obtain(koppeling)
        assert completeness.complete, (call, fuse.what)
        assert koppeling.batches.waiting() == []
        assert koppeling.vault.kind("gevraagd") == {}
        everybody(koppeling, *range(1, amount + 1))
        hashed = koppeling.hasher.hashed.total() - amount
        asked = [n for n in koppeling.facility.submitted.values() if n > 1]
        assert not hashed or (fuse.what in LOSES_HASHES[after] and hashed <= 10), (call, fuse.what)
        assert not asked or (fuse.what in LOSES_ANSWERS[after] and len(asked) <= 10), fuse.what
        call += 1
    assert call > (50 if amount > 3 else 15)


LOSES_HASHES = {
    False: {"make", "write", "submit_hashes", "sent", "answered", "stampseudoniem"},
    True: {"make", "write", "submit_hashes", "fetch", "stampseudoniem"},
}
"""Killed before or after one of these, hashes in hand are lost, or the answer to them."""

LOSES_ANSWERS = {
    False: {"write", "sent", "answered"},
    True: {"submit_hashes", "submit_stampseudoniemen", "stampseudoniem", "eck_id", "fetch"},
}
"""Killed before or after one of these, an answer is lost: only then is anybody asked for twice."""
