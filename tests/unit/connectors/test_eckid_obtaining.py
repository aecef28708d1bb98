"""Obtaining ECK iDs: who is hashed, asked, yielded and left, with stores in memory."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import pytest

from config.errors import ConfigurationError
from connectors.base import Scope
from connectors.eckid import records
from connectors.eckid.connector import EckIdConnector
from connectors.eckid.facility import Listed
from connectors.eckid.faults import WrongEnvironmentError
from connectors.eckid.keeping import Asked, Kept, Refused, Stam, tie
from connectors.eckid.obtaining import once_more
from connectors.eckid.persons import marked
from connectors.errors import (
    ConnectorError,
    OutcomeUnknownError,
    ParseError,
    ProtocolViolationError,
    PseudonymDiffersError,
    RequestRefusedError,
    SourceUnavailableError,
)
from connectors.pseudonyms import Pseudonyms, Standing
from connectors.stores import Pupil, Teacher
from tests.support.eckid import (
    CHAIN,
    SCOPE,
    SECTOR,
    VESTIGING,
    Fuse,
    Killed,
    Koppeling,
    MemoryPeople,
    bsn,
    lost,
    pages_of,
    pupil,
    records_of,
    without_pgn,
)

TWENTY = range(1, 21)
DAY = "2026-11-01"
OTHER = SECTOR[:-4] + "ffff"
MARK = "bWFyayBvZiBhIG51bWJlcg=="


@pytest.fixture
def koppeling() -> Koppeling:
    return Koppeling()


def obtain(koppeling: Koppeling, fuse: Fuse | None = None) -> tuple[dict[str, Any], Any]:
    """One reading by a process of its own: records, and how complete it was."""
    reading = koppeling.connect(fuse).snapshot(SCOPE)
    return records_of(reading), reading.completeness


def everybody(koppeling: Koppeling, *numbers: int) -> None:
    """Each of these has the facility's pseudonym, and nobody else has one."""
    assert koppeling.obtained() == {n: koppeling.eck_of(bsn(n)) for n in numbers}


# -- the way of a pupil ----------------------------------------------------------------------------


def test_a_handful_is_asked_for_by_single_calls(koppeling: Koppeling) -> None:
    koppeling.pupils(1, 2, 3)
    found, completeness = obtain(koppeling)
    assert completeness.complete
    assert list(found) == ["K-1", "K-2", "K-3"]
    assert found["K-2"] == {
        "key": "K-2",
        "eck_id": koppeling.eck_of(bsn(2)),
        "keten": CHAIN,
        "sector": SECTOR,
        "van": "2026-11-28",
        "tot": None,
    }
    assert koppeling.facility.submissions == []
    everybody(koppeling, 1, 2, 3)


def test_more_are_asked_for_in_batches_within_one_run(koppeling: Koppeling) -> None:
    koppeling.pupils(*range(1, 26))
    found, completeness = obtain(koppeling)
    assert completeness.complete
    assert len(found) == 25
    assert koppeling.facility.submissions == [10, 10, 5, 10, 10, 5]
    assert koppeling.facility.singles == 0
    everybody(koppeling, *range(1, 26))
    assert [outcome for _, outcome, _ in koppeling.batches.closed] == ["done"] * 6


def test_who_has_an_eck_id_costs_nothing_in_the_next_run(koppeling: Koppeling) -> None:
    koppeling.pupils(*TWENTY)
    first, _ = obtain(koppeling)
    calls = (koppeling.facility.submitted.total(), koppeling.hasher.hashed.total())
    koppeling.clock.advance(timedelta(days=40))
    again, completeness = obtain(koppeling)
    assert completeness.complete
    assert again == first
    assert (koppeling.facility.submitted.total(), koppeling.hasher.hashed.total()) == calls


def test_pages_come_as_soon_as_somebody_is_known(koppeling: Koppeling) -> None:
    koppeling.pupils(1, 2)
    obtain(koppeling)
    koppeling.pupils(*range(3, 23))
    reading = koppeling.connect().snapshot(SCOPE)
    seen = [(len(page.keys), koppeling.hasher.hashed.total()) for page in reading]
    assert seen[0] == (2, 2), "who was known comes before anybody is hashed"
    assert [keys for keys, _ in seen if keys] == [2, 10, 10]
    assert any(not keys and 2 < hashed < 22 for keys, hashed in seen), "hashing shows progress"


def test_a_new_pupil_alone_is_asked_for(koppeling: Koppeling) -> None:
    koppeling.pupils(*TWENTY)
    obtain(koppeling)
    koppeling.pupils(21)
    found, _ = obtain(koppeling)
    assert len(found) == 21
    assert koppeling.hasher.hashed[bsn(21).reveal()] == 1
    assert koppeling.hasher.hashed.total() == 21


def test_another_chain_asks_no_hash_again(koppeling: Koppeling) -> None:
    koppeling.pupils(*TWENTY)
    obtain(koppeling)
    other = koppeling.beside("eckid-vo", sector=OTHER)
    with pytest.raises(ConfigurationError, match="sector"):
        obtain(other)
    assert koppeling.hasher.hashed.total() == 20


def test_without_pgn_is_counted_and_no_failure(koppeling: Koppeling) -> None:
    koppeling.people.put(without_pgn(1))
    koppeling.pupils(2)
    found, completeness = obtain(koppeling)
    assert completeness.complete
    assert list(found) == ["K-2"]
    assert koppeling.connect().standing(SCOPE) == Standing(persons=2, obtained=1, without_pgn=1)


def test_who_left_keeps_his_eck_id_and_gets_none_anew(koppeling: Koppeling) -> None:
    koppeling.pupils(1)
    obtain(koppeling)
    last = date(2026, 11, 20)
    koppeling.people.put(pupil(1, until=last))
    koppeling.people.put(pupil(2, until=last))
    found, completeness = obtain(koppeling)
    assert completeness.complete
    assert {key: body["tot"] for key, body in found.items()} == {"K-1": "2026-11-20"}
    assert koppeling.hasher.hashed.total() == 1
    assert koppeling.connect().standing(SCOPE) == Standing(persons=1, obtained=1)


# -- another PGN -----------------------------------------------------------------------------------


def test_a_changed_pgn_is_neither_hashed_nor_asked_and_becomes_a_question(
    koppeling: Koppeling,
) -> None:
    koppeling.pupils(1, 2)
    obtain(koppeling)
    koppeling.people.put(pupil(1, bsn(101)))
    found, completeness = obtain(koppeling)
    assert completeness.complete
    assert found["K-1"]["vraag"] == "pgn"
    assert bsn(101).reveal() not in koppeling.hasher.hashed
    with pytest.raises(ParseError) as caught:
        koppeling.connect().parse("leerling", json.dumps(found["K-1"]).encode())
    assert (caught.value.path, caught.value.source_key) == ("pgn", "K-1")
    assert koppeling.connect().standing(SCOPE) == Standing(persons=2, obtained=1, changed=1)
    koppeling.people.put(pupil(1))  # it was a mistake, and is put right
    found, _ = obtain(koppeling)
    assert "vraag" not in found["K-1"]


def test_what_was_obtained_with_the_number_of_another_pupil_is_his(
    koppeling: Koppeling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records that were taken for one pupil were parted: the number went along, to K-2."""
    koppeling.pupils(1, 3)
    elsewhere = beside_of_another_sector(koppeling, monkeypatch)
    obtain(koppeling)
    obtain(elsewhere)
    koppeling.people.put(Pupil(1, "K-1"))
    koppeling.people.put(Pupil(2, "K-2", bsn(1)))
    (preview,) = pages_of(_rehearsed(koppeling).snapshot(SCOPE))[-1:]
    assert json.loads(preview.bodies[-1])["eck_id"] is None
    assert koppeling.obtained().keys() == {1, 3}, "a preview takes nothing back"
    for one in (koppeling, elsewhere):
        found, completeness = obtain(one)
        assert completeness.complete
        assert found["K-1"]["eck_id"] is None
        assert found["K-2"]["eck_id"] == one.eck_of(bsn(1))
        parsed = one.connect().parse("leerling", json.dumps(found["K-1"]).encode())
        assert not parsed.problems
    assert koppeling.connect().standing(SCOPE) == Standing(persons=3, obtained=2, without_pgn=1)
    koppeling.people.put(pupil(1, bsn(101)))
    found, _ = obtain(koppeling)
    assert found["K-1"]["eck_id"] == koppeling.eck_of(bsn(101))
    found, _ = obtain(elsewhere)
    assert found["K-1"]["eck_id"] == elsewhere.eck_of(bsn(101))


def test_who_exchanged_numbers_are_a_matter_for_people(koppeling: Koppeling) -> None:
    koppeling.pupils(1, 2)
    obtain(koppeling)
    koppeling.people.put(pupil(1, bsn(2)))
    koppeling.people.put(pupil(2, bsn(1)))
    found, _ = obtain(koppeling)
    assert [found[key]["vraag"] for key in ("K-1", "K-2")] == ["pgn", "pgn"]
    assert koppeling.obtained().keys() == {1, 2}


def test_who_has_no_pgn_any_more_keeps_what_is_nobody_elses(koppeling: Koppeling) -> None:
    koppeling.pupils(1, 2)
    obtain(koppeling)
    koppeling.people.put(Pupil(1, "K-1"))
    found, _ = obtain(koppeling)
    assert found["K-1"]["eck_id"] == koppeling.eck_of(bsn(1))


def test_what_was_exchanged_for_another_stampseudoniem_is_not_his(
    koppeling: Koppeling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other koppeling did not read while he lost one pseudonym and got another."""
    koppeling.pupils(1)
    elsewhere = beside_of_another_sector(koppeling, monkeypatch)
    obtain(koppeling)
    obtain(elsewhere)
    koppeling.people.put(pupil(1, bsn(101)))
    koppeling.people.put(Pupil(2, "K-2", bsn(1)))
    for _ in range(2):
        obtain(koppeling)
    found, _ = obtain(elsewhere)
    assert found["K-1"]["eck_id"] is None
    found, _ = obtain(elsewhere)
    assert found["K-1"]["eck_id"] == elsewhere.eck_of(bsn(101))


def beside_of_another_sector(koppeling: Koppeling, monkeypatch: pytest.MonkeyPatch) -> Koppeling:
    """A second koppeling over the same pupils, for a sector that the facility knows too."""
    listed = [Listed(SECTOR, "een"), Listed(OTHER, "ander")]
    monkeypatch.setattr(koppeling.facility, "sectors", lambda: listed)
    return koppeling.beside("eckid-elders", sector=OTHER)


def _rehearsed(koppeling: Koppeling) -> EckIdConnector:
    connector = koppeling.connect()
    connector.rehearse()
    return connector


def test_a_pgn_that_changed_while_the_batch_was_under_way_is_seen(koppeling: Koppeling) -> None:
    koppeling.pupils(*TWENTY)
    koppeling.facility.ready_after = 30
    obtain(koppeling)
    koppeling.people.put(pupil(7, bsn(107)))
    koppeling.facility.ready_after = 0
    koppeling.clock.advance(timedelta(minutes=10))
    found, completeness = obtain(koppeling)
    assert completeness.complete
    assert found["K-7"]["vraag"] == "pgn"
    assert found["K-7"]["eck_id"] is None
    assert bsn(107).reveal() not in koppeling.hasher.hashed


def renumbered(koppeling: Koppeling) -> Pupil:
    koppeling.pupils(1)
    obtain(koppeling)
    return pupil(1, bsn(101))


def test_a_pgn_that_is_replaced_keeps_both_pseudonyms(koppeling: Koppeling) -> None:
    now = renumbered(koppeling)
    before = koppeling.obtained()
    koppeling.people.put(now)
    connector = koppeling.connect()
    assert [connector.obtained_with(now, bsn(n)) for n in (1, 101)] == [True, False]
    assert connector.obtained_with(pupil(2), bsn(2)) is None
    connector.renumber(now, former=bsn(1))
    assert [connector.obtained_with(now, bsn(n)) for n in (1, 101)] == [False, True]
    found, _ = obtain(koppeling)
    assert "vraag" not in found["K-1"]
    assert koppeling.obtained() == before
    assert koppeling.eck_of(bsn(101)) == before[1]


@pytest.mark.parametrize("after", [False, True])
def test_a_replacement_that_was_cut_off_is_finished_the_next_time(
    koppeling: Koppeling, after: bool
) -> None:
    now = renumbered(koppeling)
    for call in range(3):
        with pytest.raises(Killed):
            koppeling.connect(Fuse(call, after=after)).renumber(now, former=bsn(1))
    koppeling.connect().renumber(now, former=bsn(1))
    koppeling.people.put(now)
    assert koppeling.connect().standing(SCOPE) == Standing(persons=1, obtained=1)
    hashed = koppeling.hasher.hashed.total()
    koppeling.connect().renumber(now, former=bsn(1))
    assert koppeling.hasher.hashed.total() == hashed, "it was done: nothing is sent"


@pytest.mark.parametrize("done", [False, True])
def test_a_replacement_without_an_answer_is_asked_for_once_more(
    koppeling: Koppeling, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    now = renumbered(koppeling)
    real = koppeling.facility.replace

    def unanswered(*args: Any) -> Any:
        if done:
            real(*args)
        raise OutcomeUnknownError("no answer", system="eckid", operation="replace")

    monkeypatch.setattr(koppeling.facility, "replace", unanswered)
    with pytest.raises(OutcomeUnknownError) as caught:
        koppeling.connect().renumber(now, former=bsn(1))
    assert "tweede keer" in caught.value.advice
    assert koppeling.hasher.of(bsn(101)) not in koppeling.facility.submitted, (
        "it would get a pseudonym of its own"
    )
    monkeypatch.setattr(koppeling.facility, "replace", real)
    koppeling.connect().renumber(now, former=bsn(1))
    koppeling.people.put(now)
    assert koppeling.connect().standing(SCOPE).obtained == 1


def test_a_replacement_that_gives_another_pseudonym_writes_nothing(
    koppeling: Koppeling,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = renumbered(koppeling)
    before = koppeling.vault.kind("stampseudoniem")
    monkeypatch.setattr(
        koppeling.facility, "stam_of", lambda hpgn: f"https://ketenid.nl/sppilot/{'0' * 128}"
    )  # a facility that errs
    with pytest.raises(PseudonymDiffersError) as caught:
        koppeling.connect().renumber(now, former=bsn(1))
    assert caught.value.advice
    assert koppeling.vault.kind("stampseudoniem") == before


@pytest.mark.parametrize(
    ("now", "former"), [(pupil(1, bsn(101)), bsn(55)), (without_pgn(1), bsn(1)), (pupil(9), bsn(1))]
)
def test_a_replacement_of_what_was_not_asked_with_is_refused_before_anything_is_sent(
    koppeling: Koppeling, now: Pupil, former: Any
) -> None:
    renumbered(koppeling)
    sent = koppeling.hasher.hashed.total()
    with pytest.raises(ConnectorError) as caught:
        koppeling.connect().renumber(now, former=former)
    assert "verstuurd" in caught.value.advice
    assert koppeling.hasher.hashed.total() == sent


def test_a_blocked_hash_that_leads_elsewhere_is_named(koppeling: Koppeling) -> None:
    now = renumbered(koppeling)
    facility, hasher = koppeling.facility, koppeling.hasher
    facility.replace(hasher.hash_one(bsn(1)), hasher.hash_one(bsn(77)))
    with pytest.raises(PseudonymDiffersError):
        koppeling.connect().renumber(now, former=bsn(1))


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


# -- some persons ----------------------------------------------------------------------------------


def test_some_persons_are_looked_up_by_single_calls(koppeling: Koppeling) -> None:
    koppeling.pupils(*TWENTY)
    reading = koppeling.connect().lookup(SCOPE, keys=["K-3", "K-4", "K-99"])
    assert list(records_of(reading)) == ["K-3", "K-4"]
    assert not reading.completeness.complete
    assert koppeling.facility.submissions == []
    everybody(koppeling, 3, 4)


def test_a_lookup_says_what_became_of_who_has_none(koppeling: Koppeling) -> None:
    koppeling.pupils(*TWENTY)
    koppeling.people.put(without_pgn(21))
    koppeling.facility.ready_after = 1000
    _, completeness = obtain(koppeling)
    assert completeness.waits
    connector = koppeling.connect()
    reading = connector.lookup(SCOPE, keys=["K-21"])
    assert records_of(reading) == {}
    assert (reading.completeness.reason, reading.completeness.waits) == ("1 have no PGN", False)
    assert "Niet verkrijgbaar: geen PGN" in reading.completeness.advice
    reading = connector.lookup(SCOPE, keys=["K-3"])
    assert records_of(reading) == {}
    assert "1 wait for the answer to a batch" in reading.completeness.reason
    assert reading.completeness.waits


def test_a_lookup_waits_for_no_batch(koppeling: Koppeling) -> None:
    koppeling.pupils(*TWENTY)
    koppeling.facility.ready_after = 20
    obtain(koppeling)
    slept = koppeling.clock.slept
    assert records_of(koppeling.connect().lookup(SCOPE, keys=["K-3"])) == {}
    assert koppeling.clock.slept == slept
    assert koppeling.hasher.hashed.total() == 20


# -- asking again ----------------------------------------------------------------------------------


def test_verifying_compares_and_hashes_and_writes_nothing(
    koppeling: Koppeling,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    koppeling.pupils(*range(1, 6))
    obtain(koppeling)
    hashed = koppeling.hasher.hashed.total()
    values = {kind: dict(held) for kind, held in koppeling.vault.values.items()}
    connector = koppeling.connect()
    assert isinstance(connector, Pseudonyms)
    told: list[int] = []
    found = connector.verify(SCOPE, told=told.append)
    assert (found.asked, found.equal, found.different, found.refused) == (5, 5, (), ())
    assert told == [1, 2, 3, 4, 5]
    monkeypatch.setattr(
        koppeling.facility, "eck_of", lambda stam: f"https://ketenid.nl/pilot/{'0' * 128}"
    )  # a facility that errs
    found = connector.verify(SCOPE, keys=["K-2"])
    assert (found.asked, found.equal, found.different) == (1, 0, ("K-2",))
    assert koppeling.hasher.hashed.total() == hashed
    assert koppeling.vault.values == values


def test_who_is_refused_when_verifying_is_named(
    koppeling: Koppeling,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    koppeling.pupils(1)
    obtain(koppeling)

    def refuse(stam: Any) -> Any:
        raise RequestRefusedError("no", code="SomethingException", system="eckid")

    monkeypatch.setattr(koppeling.facility, "eck_id", refuse)  # it does not know him
    assert koppeling.connect().verify(SCOPE).refused == ("K-1",)


# -- docenten --------------------------------------------------------------------------------------

STAFF = Scope("medewerker", VESTIGING)


@pytest.mark.assumed("a teacher is hashed by BRIN, a space and e-mail address")
@pytest.mark.assumed("eckid-docent")
def test_docenten_are_asked_for_by_school_and_address() -> None:
    koppeling = Koppeling(docenten=True)
    koppeling.people.teachers_of[VESTIGING] = [
        Teacher(1, "K-1", "99ZZ", "Juf@School.example"),
        Teacher(2, "K-2", "99ZZ", "jürgen@school.example"),  # cannot be hashed
    ]
    connector = koppeling.connect()
    found = records_of(connector.snapshot(STAFF))
    assert found["K-1"]["eck_id"] == koppeling.eck_of("99zz juf@school.example")
    assert connector.standing(STAFF) == Standing(persons=2, obtained=1, without_pgn=1)
    koppeling.people.teachers_of[VESTIGING] = [Teacher(1, "K-1", "99ZZ", "JUF@school.example")]
    assert "vraag" not in records_of(koppeling.connect().snapshot(STAFF))["K-1"]
    koppeling.people.teachers_of[VESTIGING] = [Teacher(1, "K-1", "99ZZ", "anders@school.example")]
    assert records_of(koppeling.connect().snapshot(STAFF))["K-1"]["vraag"] == "email"


def test_docenten_are_read_only_where_both_settings_say_so() -> None:
    today = date(2026, 11, 28)
    assert {s.resource for s in Koppeling().connect().scopes(today=today)} == {"leerling"}
    both = {s.resource for s in Koppeling(docenten=True).connect().scopes(today=today)}
    assert both == {"leerling", "medewerker"}


# -- many ------------------------------------------------------------------------------------------


class Crowd(MemoryPeople):
    """So many that nobody could hold them all."""

    amount = 0

    def pupils(self, vestiging: str, *, keys: Collection[str] | None = None) -> Iterator[Pupil]:
        for number in range(1, self.amount + 1):
            yield Pupil(number, f"K-{number}", bsn(number))

    def read(self, kind: str, persons: Collection[int]) -> Mapping[int, bytes]:
        """As a vault: everybody has both."""
        if kind.startswith("stampseudoniem/"):
            marks = {n: marked(self.mark(bsn(n).reveal())) for n in persons}
            return {
                n: json.dumps({"v": "s", "mark": m, "sinds": DAY}).encode()
                for n, m in marks.items()
            }
        found = kind.startswith("eck_id/")
        value = json.dumps({"v": "e", "sinds": DAY, "van": tie("s")}).encode()
        return dict.fromkeys(persons, value) if found else {}


def test_memory_does_not_grow_with_the_school(
    koppeling: Koppeling, monkeypatch: pytest.MonkeyPatch
) -> None:
    koppeling.people = crowd = Crowd()
    monkeypatch.setattr(koppeling.vault, "read", crowd.read)
    peaks = []
    for amount in (1_000, 3_000):
        crowd.amount = amount
        connector, read = koppeling.connect(), 0
        tracemalloc.start()
        for page in connector.snapshot(SCOPE):
            read += len(page.keys)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert read == amount
    assert peaks[1] < 1.2 * peaks[0]


# -- records ---------------------------------------------------------------------------------------


def test_no_pseudonym_or_number_is_shown(
    koppeling: Koppeling, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    koppeling.pupils(*range(1, 11))
    koppeling.facility.refusing = {koppeling.hasher.of(bsn(3))}
    reading = koppeling.connect().snapshot(SCOPE)
    bodies = [body for page in pages_of(reading) for body in page.bodies]
    shown = [repr(records.parse("leerling", body)) for body in bodies]
    shown += [repr(reading.completeness), *(record.getMessage() for record in caplog.records)]
    asked = Asked(MARK, "eckid-noord", 1, koppeling.clock.now())
    shown += [repr(asked), repr(Refused(MARK, 1)), repr(Stam("v", MARK, date(2026, 11, 1)))]
    shown += [repr(Kept(asked_stam=asked, refused_stam=Refused(MARK, 1)))]
    text = "\n".join(shown)
    assert "ketenid.nl" not in text
    assert MARK not in text
    assert not any(bsn(n).reveal() in text for n in range(1, 11))
