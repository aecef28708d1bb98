"""Obtaining ECK iDs: who is hashed, asked, yielded and left, with stores in memory."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Collection, Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import pytest

from config.errors import ConfigurationError
from connectors.base import Scope
from connectors.eckid import records
from connectors.eckid.keeping import Asked, Kept, Refused, Stam, tie
from connectors.eckid.persons import marked
from connectors.errors import (
    RequestRefusedError,
)
from connectors.pseudonyms import Pseudonyms, Standing
from connectors.stores import Pupil, Teacher
from tests.support.eckid import (
    CHAIN,
    SCOPE,
    SECTOR,
    TWENTY,
    VESTIGING,
    Koppeling,
    MemoryPeople,
    bsn,
    everybody,
    obtain,
    pages_of,
    pupil,
    records_of,
    without_pgn,
)

DAY = "2026-11-01"
OTHER = SECTOR[:-4] + "ffff"
MARK = "bWFyayBvZiBhIG51bWJlcg=="


@pytest.fixture
def koppeling() -> Koppeling:
    return Koppeling()


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
