"""A pupil whose PGN changed, was replaced, or turned out to be another pupil's."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from connectors.eckid.connector import EckIdConnector
from connectors.eckid.facility import Listed
from connectors.errors import (
    ConnectorError,
    OutcomeUnknownError,
    ParseError,
    PseudonymDiffersError,
)
from connectors.pseudonyms import Standing
from connectors.stores import Pupil
from tests.support.eckid import (
    SCOPE,
    SECTOR,
    TWENTY,
    Fuse,
    Killed,
    Koppeling,
    bsn,
    obtain,
    pages_of,
    pupil,
    without_pgn,
)

OTHER = SECTOR[:-4] + "ffff"


@pytest.fixture
def koppeling() -> Koppeling:
    return Koppeling()


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
