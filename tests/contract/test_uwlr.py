"""The UWLR connector against its sandbox: the common suite, and what is read.

An answer has no pages: everything comes at once. So a short, repeated or skipped page, and a record
that comes or goes between two pages, do not exist here; in their place stand the faults that only
UWLR has. Pupils that are missing from a document that is whole cannot be told from pupils who left:
that is what the second reading of the engine is for.
"""

from __future__ import annotations

from datetime import date

import pytest

from connectors.base import Connector, Scope
from connectors.errors import (
    ProtocolViolationError,
)
from connectors.uwlr.records import source_key
from fixtures.sandbox import faults
from fixtures.school.edexml import FULL, LVS, SMALL
from tests.contract.suite import ConnectorSuite, Fault, Harness, keys, read
from tests.support.uwlr import connect, scope, tell, truth
from tests.support.uwlr_harness import TODAY, UwlrHarness


@pytest.fixture
def harness(uwlr: UwlrHarness) -> UwlrHarness:
    return uwlr


class TestUwlrAsAnyConnector(ConnectorSuite):
    """The common suite."""

    @pytest.fixture
    def harness(self, uwlr: UwlrHarness) -> Harness:
        return uwlr

    @pytest.mark.parametrize("fault", [Fault.DOUBLE, Fault.NO_KEY, Fault.REPEATED_PAGE])
    def test_a_reading_is_complete_only_when_it_holds_everything(
        self, harness: Harness, connector: Connector, persons: Scope, fault: Fault
    ) -> None:
        harness.misbehave(fault)
        reading = connector.snapshot(persons)
        found = keys(read(reading))
        assert len(found) == len(set(found))
        assert not reading.completeness.complete
        assert reading.completeness.reason
        assert reading.completeness.advice


# -- one question for all --------------------------------------------------------------------------


@pytest.mark.parametrize("profile", [SMALL, LVS, FULL])
@pytest.mark.parametrize("version", ["2.1", "2.2", "2.3"])
def test_every_profile_and_version_is_read_whole(
    harness: UwlrHarness, profile: str, version: str
) -> None:
    tell(harness.sandbox, profile=profile)
    connector = harness.connect(xsdversie=version)
    for one in connector.scopes(today=TODAY):
        reading = connector.snapshot(one)
        found = keys(read(reading))
        assert reading.completeness.complete, reading.completeness.reason
        if one.resource != "school":
            assert found == truth(harness.sandbox, one.resource, version=version)
    assert len(harness.sandbox.requests) == 1  # every resource read the same answer


@pytest.mark.assumed("uwlr-delivered-when-seen")
def test_what_the_profile_does_not_allow_is_not_delivered(harness: UwlrHarness) -> None:
    wanted = {
        (SMALL, "2.2"): {"geboortedatum"},
        (SMALL, "2.3"): set(),
        (LVS, "2.2"): {"geboortedatum", "geslacht", "voorletters-1"},
        (LVS, "2.3"): {"geboortedatum", "geslacht"},
    }
    sometimes = {"geboortedatum", "geslacht", "voorletters-1", "emailadres", "gebruikersnaam"}
    for (profile, version), fields in wanted.items():
        tell(harness.sandbox, profile=profile)
        reading = harness.connect(xsdversie=version).snapshot(scope())
        read(reading)
        given = {name for name, told in reading.contract.fields.items() if told}
        assert given & sometimes == fields


def test_a_version_without_eck_id_delivers_none(harness: UwlrHarness) -> None:
    for version, given in (("2.1", False), ("2.2", True)):
        reading = harness.connect(xsdversie=version).snapshot(scope())
        read(reading)
        assert reading.contract.delivers("eckid") is given


def test_what_was_not_agreed_on_is_cut_off_and_never_kept(harness: UwlrHarness) -> None:
    tell(harness.sandbox, profile=FULL)
    special = ("bsn", "etniciteit", "land_moeder", "postcodenl")
    named = (b"emailadres", b"gebruikersnaam", b"geslacht", b"instroomdatum")
    for profile, kept in ((SMALL, False), (FULL, True)):
        drop = frozenset({"leerling.bsn", "leerling.sofinummer", "leerling.onderwijsnummer"})
        connector = connect(harness.sandbox, harness.clock, drop=drop, options={"profiel": profile})
        harness.made.append(connector)
        reading = connector.snapshot(scope())
        bodies = b"".join(body for page in reading for body in page.bodies)
        assert not [name for name in special if f'"{name}"'.encode() in bodies]
        assert all((b'"%s"' % name in bodies) is kept for name in named)
        assert reading.contract.delivers("emailadres") is kept
        assert not reading.contract.delivers("bsn")


def test_a_number_is_read_where_a_purpose_allows_it(harness: UwlrHarness) -> None:
    tell(harness.sandbox, profile=FULL)
    reading = harness.connect().snapshot(scope())
    (body, *_) = [body for page in reading for body in page.bodies]
    assert reading.contract.delivers("bsn")
    assert b'"bsn"' in body
    assert b"etniciteit" not in body


def test_an_eck_id_that_may_not_be_read_leaves_the_keys(harness: UwlrHarness) -> None:
    connector = connect(harness.sandbox, harness.clock, drop=frozenset({"leerling.eckid"}))
    harness.made.append(connector)
    reading = connector.snapshot(scope())
    pages = read(reading)
    assert keys(pages) == truth(harness.sandbox, "leerling")
    assert b"ketenid" not in b"".join(body for page in pages for body in page.bodies)
    assert not reading.contract.delivers("eckid")


def test_members_of_a_group_are_those_who_say_so(harness: UwlrHarness) -> None:
    connector = harness.connect()
    pupils = {
        key: connector.parse("leerling", body).record
        for page in connector.snapshot(scope())
        for key, body in zip(page.keys, page.bodies, strict=True)
    }
    for resource in ("groep", "samengestelde_groep"):
        for page in connector.snapshot(scope(resource)):
            for key, body in zip(page.keys, page.bodies, strict=True):
                group = connector.parse(resource, body).record
                said = {
                    k
                    for k, p in pupils.items()
                    if key in {p.groep, *(p.samengestelde_groepen or ())}  # type: ignore[attr-defined] # a Leerling
                }
                assert set(group.leerlingen) == said  # type: ignore[attr-defined] # a Groep
                assert said


# -- ECK iD in the place of a key ------------------------------------------------------------------


@pytest.mark.assumed("uwlr-2.3-optional-key")
def test_in_2_3_a_pupil_may_be_known_by_eck_id_alone(harness: UwlrHarness) -> None:
    tell(harness.sandbox, keyless=True)
    reading = harness.connect(xsdversie="2.3").snapshot(scope())
    pages = read(reading)
    told = truth(harness.sandbox, "leerling", version="2.3")
    assert keys(pages) == [
        source_key(None, one) if one.startswith("https:") else one for one in told
    ]
    assert reading.completeness.complete
    assert not any("ketenid" in key for key in keys(pages))  # nowhere in plain text


def test_before_2_3_who_has_no_key_is_set_apart(harness: UwlrHarness) -> None:
    tell(harness.sandbox, keyless=True)
    harness.sandbox.uwlr.versions = ("2.2", "2.3")
    harness.sandbox.misbehave(faults.NoKey(at=2))
    reading = harness.connect(xsdversie="2.2").snapshot(scope())
    rejected = [error for page in reading for error, _ in page.rejected]
    assert [(error.path, "2.3" in error.rule) for error in rejected] == [("key", True)]
    assert "no usable key" in reading.completeness.reason


def test_one_eck_id_of_two_persons_is_given_to_neither(harness: UwlrHarness) -> None:
    harness.sandbox.misbehave(faults.SharedEckid())
    connector = harness.connect()
    reading = connector.snapshot(scope())
    pages = read(reading)
    parsed = [connector.parse("leerling", body) for page in pages for body in page.bodies]
    dropped = [one for one in parsed if "eckid" in one.record.dropped]  # type: ignore[attr-defined] # a SourceModel
    assert len(dropped) == 2
    assert all("another person" in one.problems[0].rule for one in dropped)
    assert reading.completeness.complete
    assert keys(pages) == truth(harness.sandbox, "leerling")


# -- whole school, and no school of BRIN -----------------------------------------------------------


@pytest.mark.parametrize("options", [{"vestigingen": "99XX"}, {"vestigingen": "99XX00"}])
def test_a_brin_without_digits_is_the_whole_school(
    harness: UwlrHarness, options: dict[str, str]
) -> None:
    connector = harness.set(**options)
    (one,) = [s for s in connector.scopes(today=TODAY) if s.resource == "leerling"]
    assert one.brins == ("99XX00", "99XX")
    both = [key for v in (0, 1) for key in truth(harness.sandbox, "leerling", vestiging=v)]
    assert keys(read(connector.snapshot(one))) == list(dict.fromkeys(both))


def test_a_school_without_brin_is_asked_by_its_key(harness: UwlrHarness) -> None:
    connector = harness.connect(vestigingen="", schoolkeys="SCHOOL-99XX")
    scopes = list(connector.scopes(today=TODAY))
    assert all(one.brins == () for one in scopes)
    reading = connector.snapshot(scopes[0])
    ((body,),) = [page.bodies for page in reading]
    assert b"SCHOOL-99XX" in body
    assert read(connector.snapshot(scope(place="SCHOOL-99XX")))


def test_next_year_is_a_scope_of_its_own_where_it_is_asked_for(harness: UwlrHarness) -> None:
    connector = harness.connect(volgend="true")
    before = {one.key for one in connector.scopes(today=date(2026, 11, 2))}
    assert not any(key.endswith("/volgend") for key in before)
    found = [s for s in connector.scopes(today=date(2027, 5, 2)) if s.key.endswith("/volgend")]
    assert {one.resource for one in found} == {
        "leerling",
        "leerkracht",
        "groep",
        "samengestelde_groep",
    }
    assert {(one.rank, one.schooljaar) for one in found} == {(1, 2027)}
    reading = connector.snapshot(next(one for one in found if one.resource == "leerling"))
    assert read(reading)
    assert reading.completeness.complete


@pytest.mark.assumed("uwlr-whole-school")
def test_an_answer_about_another_school_is_refused(harness: UwlrHarness) -> None:
    for name, content in (("schooljaar", "2025-2026"), ("brincode", "88AA")):
        harness.sandbox.uwlr.misread = (name, content)
        with pytest.raises(ProtocolViolationError) as caught:
            read(harness.connect().snapshot(scope()))
        assert caught.value.where == name
    harness.sandbox.uwlr.misread = None


def test_no_data_closes_nobody(harness: UwlrHarness) -> None:
    connector = harness.connect()
    past = Scope("leerling", "99XX01/huidig", schooljaar=2019)
    reading = connector.snapshot(past)
    assert read(reading) == []
    assert not reading.completeness.complete
    assert "no data" in reading.completeness.reason
    assert reading.completeness.advice
