"""The UWLR connector against its sandbox: the common suite, and each misbehaviour's outcome.

An answer has no pages: everything comes at once. So a short, repeated or skipped page, and a record
that comes or goes between two pages, do not exist here; in their place stand the faults that only
UWLR has. Pupils that are missing from a document that is whole cannot be told from pupils who left:
that is what the second reading of the engine is for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from lxml import etree

from config.clock import FixedClock
from config.errors import ConfigurationError
from connectors.base import Connector, Layer, Page, Scope
from connectors.errors import (
    AnswerTimeoutError,
    AuthenticationError,
    ConnectorError,
    CursorExpiredError,
    IncompleteAnswerError,
    ProtocolViolationError,
    RateLimitedError,
    RequestRefusedError,
    SourceUnavailableError,
)
from connectors.uwlr.connector import UwlrConnector
from connectors.uwlr.records import source_key
from fixtures.sandbox import faults
from fixtures.sandbox.faults import AnyFault
from fixtures.sandbox.uwlr import LG, Grant, UwlrSandbox
from fixtures.school.changes import Changes
from fixtures.school.edexml import FULL, LVS, SMALL, Telling
from fixtures.school.plan import plan_school
from fixtures.school.population import Leerling
from fixtures.school.school import School
from tests.contract.suite import ConnectorSuite, Fault, Harness, keys, read
from tests.support.uwlr import connect, scope, tell, truth

NOW = datetime(2026, 11, 2, 3, tzinfo=UTC)
TODAY = date(2026, 11, 2)

_FAULTS: dict[Fault, AnyFault] = {
    Fault.DOUBLE: faults.DoubleKey(),
    Fault.NO_KEY: faults.NoKey(),
    Fault.WRONG_OPTIONAL: faults.WrongElement(),
    Fault.RATE_LIMITED: faults.RateLimited(retry_after=7),
    Fault.SERVER_ERROR: faults.ServerError(),
    Fault.RESET: faults.Reset(),
    Fault.EXPIRED_TOKEN: faults.SoapFault(code="Server.TijdelijkNietBeschikbaar"),
    Fault.TRUNCATED: faults.TruncatedXml(),
    Fault.NOT_JSON: faults.HtmlAsXml(),
    Fault.HUGE: faults.HugeBody(),
    Fault.REDIRECT: faults.Redirect(),
    Fault.REFUSED: faults.SoapFault(code="Client.AutorisatieOngeldig"),
    # what has no pages cannot do these: other faults of UWLR take their place
    Fault.SHORT_PAGE: faults.WrongNamespace(),
    Fault.EMPTY_PAGE: faults.Doctype(bomb=True),
    Fault.REPEATED_PAGE: faults.DoubleKey(altered=True),
    Fault.SKIPPED_PAGE: faults.DanglingGroup(),
    Fault.INSERTED: faults.SharedEckid(),
    Fault.DELETED: faults.Doctype(),
}


class UwlrHarness(Harness):
    """A school of two vestigingen, told under the LVS-set."""

    def __init__(self, sandbox: UwlrSandbox) -> None:
        self.sandbox = sandbox
        self.clock = FixedClock(NOW)
        self.today = TODAY
        self.made: list[UwlrConnector] = []

    def connect(
        self, *, timeout: timedelta = timedelta(seconds=10), **options: str
    ) -> UwlrConnector:
        connector = connect(self.sandbox, self.clock, timeout=timeout, options=options)
        self.made.append(connector)
        return connector

    def set(self, **options: str) -> UwlrConnector:
        """A connector with these options."""
        return self.connect(**options)  # type: ignore[arg-type] # none of them is a time-out

    def persons(self, scopes: Iterable[Scope]) -> Scope:
        return next(scope for scope in scopes if scope.resource == "leerling")

    def truth(self, scope: Scope) -> list[str]:
        if scope.resource == "school":
            return [scope.key]
        return truth(self.sandbox, scope.resource)

    def misbehave(self, fault: Fault) -> None:
        self.sandbox.misbehave(_FAULTS[fault])

    def canaries(self) -> frozenset[str]:
        edexml, told = self.sandbox.uwlr.edexml, self.sandbox.uwlr.telling
        found = {self.sandbox.grant.sleutel, self.sandbox.grant.klantcode}
        with self.sandbox.school.lock:
            for pupil in edexml.leerlingen(0, selection="HUIDIG", telling=told):
                element = etree.fromstring(f"<x>{pupil.content}</x>")
                names = ("achternaam", "roepnaam", "geboortedatum")
                found |= {element.findtext(name, "") for name in names}
                found.add(pupil.attributes.get("eckid", ""))
        return frozenset(value for value in found if len(value) >= 6)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[UwlrSandbox]:
    """One sandbox for all; every test begins with a school that behaves."""
    with UwlrSandbox(
        School(plan_school(40)), telling=Telling(profile=LVS), now=lambda: NOW
    ) as running:
        yield running


@pytest.fixture
def harness(sandbox: UwlrSandbox) -> Iterator[UwlrHarness]:
    application = sandbox.uwlr
    application.telling, application.grant = Telling(profile=LVS), sandbox.grant
    application.versions, application.header = ("2.1", "2.2", "2.3"), None
    application.heard = None
    sandbox.behave()
    sandbox.forget_requests()
    made = UwlrHarness(sandbox)
    yield made
    sandbox.behave()
    for connector in made.made:
        connector.close()


class TestUwlrAsAnyConnector(ConnectorSuite):
    """The common suite."""

    @pytest.fixture
    def harness(self, harness: UwlrHarness) -> Harness:
        return harness

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


# -- what the schema does not check ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "resource", "reason"),
    [
        (faults.DoubleKey(), "leerling", "came twice"),
        (faults.DoubleKey(altered=True), "leerling", "came twice"),
        (faults.DoubleKey(tag="leerkracht"), "leerkracht", "came twice"),
        (faults.NoKey(tag="leerkracht"), "leerkracht", "no usable key"),
        (faults.DanglingGroup(), "groep", "not in the answer"),
        (faults.DanglingGroup(), "samengestelde_groep", "not in the answer"),
    ],
)
def test_what_contradicts_itself_is_not_complete(
    harness: UwlrHarness, fault: AnyFault, resource: str, reason: str
) -> None:
    harness.sandbox.misbehave(fault)
    reading = harness.connect().snapshot(scope(resource))
    read(reading)
    assert not reading.completeness.complete
    assert reason in reading.completeness.reason
    assert harness.sandbox.board.unmet == []


def test_a_reference_that_leads_nowhere_leaves_the_pupils_complete(harness: UwlrHarness) -> None:
    harness.sandbox.misbehave(faults.DanglingGroup())
    reading = harness.connect().snapshot(scope())
    assert keys(read(reading)) == truth(harness.sandbox, "leerling")
    assert reading.completeness.complete


@pytest.mark.parametrize("fault", [faults.NoKey(), faults.DoubleKey(altered=True)])
def test_a_pupil_in_doubt_makes_no_group_smaller(harness: UwlrHarness, fault: AnyFault) -> None:
    harness.sandbox.misbehave(fault)
    reading = harness.connect().snapshot(scope("groep"))
    read(reading)
    assert not reading.contract.delivers("leerlingen")
    assert reading.contract.delivers("leerkrachten")


# -- a wire that fails -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (faults.ServerError(count=None), SourceUnavailableError),
        (faults.ServerError(status=503, count=None), SourceUnavailableError),
        (faults.Reset(count=None), SourceUnavailableError),
        (faults.CutBody(count=None), SourceUnavailableError),
        (faults.RateLimited(retry_after=86400), RateLimitedError),
        (faults.SoapFault(count=None), SourceUnavailableError),
        (faults.SoapFault(code="Client.OngeldigBericht"), ProtocolViolationError),
        (faults.SoapFault(code="Client.OngeldigeKlantIdentificatie"), RequestRefusedError),
        (faults.SoapFault(code="Client.AutorisatieOngeldig"), RequestRefusedError),
        (faults.SoapFault(code="Client.AutorisatieOngeldig", status=200), RequestRefusedError),
        (faults.SoapFault(code="Client.VocabulaireTermOngeldig"), RequestRefusedError),
        (faults.SoapFault(code="Client.IetsAnders"), RequestRefusedError),
        (faults.SoapFault(code="Iets <anders>"), ProtocolViolationError),
        (faults.Forbidden(), AuthenticationError),
        (faults.Unauthorized(), AuthenticationError),
        (faults.NotFound(), RequestRefusedError),
        (faults.Redirect(), ProtocolViolationError),
        (faults.TruncatedXml(), IncompleteAnswerError),
        (faults.TruncatedXml(keep=0.01), IncompleteAnswerError),
        (faults.Doctype(), ProtocolViolationError),
        (faults.Doctype(bomb=True), ProtocolViolationError),
        (faults.WrongNamespace(), ProtocolViolationError),
        (faults.HtmlAsXml(), ProtocolViolationError),
        (faults.WrongContentType(), ProtocolViolationError),
        (faults.HugeBody(), ProtocolViolationError),
        (faults.HugeBody(size_bytes=5_000_000), ProtocolViolationError),
    ],
)
def test_what_cannot_be_read_ends_every_scope_of_the_place_by_its_class(
    harness: UwlrHarness, fault: AnyFault, kind: type[ConnectorError]
) -> None:
    harness.sandbox.misbehave(fault)
    connector = harness.connect()
    reading = connector.snapshot(scope())
    pages: list[Page] = []
    with pytest.raises(ConnectorError) as caught:
        pages.extend(reading)
    assert type(caught.value) is kind
    assert caught.value.operation == "HaalLeerlinggegevens"
    assert "Voorbeeld" not in str(caught.value)  # a fault's text may name a person
    assert pages == []  # an answer is whole, or nothing of it is handed over
    assert not reading.completeness.complete
    asked = len(harness.sandbox.requests)
    with pytest.raises(kind):
        read(connector.snapshot(scope("groep")))
    assert len(harness.sandbox.requests) == asked  # it is not asked again for the next resource


@pytest.mark.parametrize("prefix", ["soap:", "soap.", "", "SOAP-ENV:", "ns1:"])
def test_a_fault_is_known_whatever_stands_before_its_code(
    harness: UwlrHarness, prefix: str
) -> None:
    harness.sandbox.misbehave(faults.SoapFault(code="Client.AutorisatieOngeldig", prefix=prefix))
    with pytest.raises(RequestRefusedError) as caught:
        read(harness.connect().snapshot(scope()))
    assert caught.value.code == "Client.AutorisatieOngeldig"
    assert "autorisatiesleutel" in caught.value.advice.lower()


@pytest.mark.parametrize(
    "fault",
    [
        faults.ServerError(count=3),
        faults.Reset(count=3),
        faults.CutBody(count=3),
        faults.RateLimited(retry_after=None, count=3),
        faults.SoapFault(count=3),
        faults.SoapFault(code="Server.TijdelijkNietBeschikbaar", prefix=""),
    ],
)
def test_what_passes_by_itself_is_asked_again_and_leaves_no_double(
    harness: UwlrHarness, fault: AnyFault
) -> None:
    harness.sandbox.misbehave(fault)
    reading = harness.connect().snapshot(scope())
    assert keys(read(reading)) == truth(harness.sandbox, "leerling")
    assert reading.completeness.complete


def test_an_answer_that_never_comes_is_a_time_out(harness: UwlrHarness) -> None:
    harness.sandbox.misbehave(faults.Hang(count=None))
    with pytest.raises(AnswerTimeoutError):
        read(harness.connect(timeout=timedelta(seconds=0.05)).snapshot(scope()))
    harness.sandbox.release()


# -- refusals --------------------------------------------------------------------------------------


@pytest.mark.assumed("uwlr-lower-version")
def test_a_lower_version_is_tried_where_this_one_is_not_spoken(harness: UwlrHarness) -> None:
    harness.sandbox.uwlr.versions = ("2.1",)
    connector = harness.connect(xsdversie="2.3")
    reading = connector.snapshot(scope())
    assert keys(read(reading)) == truth(harness.sandbox, "leerling", version="2.1")
    assert reading.contract.version == "UWLR 2.1"
    assert not reading.contract.delivers("eckid")
    read(connector.snapshot(scope()))
    assert len(harness.sandbox.requests) == 4  # 2.3, 2.2, 2.1; and then what was found


def test_no_version_in_common_is_a_refusal(harness: UwlrHarness) -> None:
    harness.sandbox.uwlr.versions = ("1.0",)
    with pytest.raises(RequestRefusedError) as caught:
        read(harness.connect().snapshot(scope()))
    assert "xsdversie" in caught.value.advice


@pytest.mark.parametrize("option", ["autorisatiesleutel", "klantcode", "klantnaam"])
def test_wrong_credentials_are_refused(harness: UwlrHarness, option: str) -> None:
    with pytest.raises(RequestRefusedError) as caught:
        read(harness.set(**{option: "ONBEKEND-GEHEIM"}).snapshot(scope()))
    assert "ONBEKEND-GEHEIM" not in f"{caught.value!r} {caught.value} {caught.value.advice}"


def test_a_key_for_one_vestiging_leaves_the_other_readable(harness: UwlrHarness) -> None:
    harness.sandbox.uwlr.grant = Grant(vestigingen=(1,))
    connector = harness.connect(vestigingen="99XX01,99XX02")
    with pytest.raises(RequestRefusedError):
        read(connector.snapshot(scope()))
    found = keys(read(connector.snapshot(scope(place="99XX02"))))
    assert found == truth(harness.sandbox, "leerling", vestiging=1)


def test_an_unknown_school_and_a_wrong_key_are_told_alike(harness: UwlrHarness) -> None:
    codes = []
    for options in ({"autorisatiesleutel": "X"}, {"vestigingen": "88AA"}):
        place = options.get("vestigingen", "99XX01")
        with pytest.raises(RequestRefusedError) as caught:
            read(harness.set(**options).snapshot(scope(place=place)))
        codes.append(caught.value.code)
    assert codes == ["Client.AutorisatieOngeldig"] * 2


def test_a_gateway_asks_for_a_header(harness: UwlrHarness) -> None:
    harness.sandbox.uwlr.header = ("ocp-apim-subscription-key", "geheim-1234")
    with pytest.raises(AuthenticationError):
        read(harness.connect().snapshot(scope()))
    header = "Ocp-Apim-Subscription-Key: geheim-1234"
    assert read(harness.connect(http_headers=header).snapshot(scope()))


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


# -- what changed ----------------------------------------------------------------------------------


@pytest.mark.assumed("uwlr-aanmaakdatum-as-cursor")
def test_no_changes_is_one_small_question_for_all_resources(harness: UwlrHarness) -> None:
    connector = harness.connect()
    cursor = _cursor(connector)
    harness.sandbox.forget_requests()
    for resource in ("leerkracht", "leerling", "groep", "samengestelde_groep"):
        reading = connector.delta(scope(resource), cursor=cursor)
        assert read(reading) == []
        assert reading.completeness.complete
    assert len(harness.sandbox.requests) == 1


def test_a_change_is_followed_by_a_whole_reading_of_that_answer(harness: UwlrHarness) -> None:
    connector = harness.connect()
    cursor = _cursor(connector)
    school = harness.sandbox.school
    pupil = school.keys("leerling", 0, peil=school.peil("HUIDIG"), offset=1, amount=1)[0]
    assert isinstance(pupil, Leerling)
    Changes(school).patch(school.uuid_of("leerling", pupil), roepnaam="Anders")
    harness.sandbox.forget_requests()
    for resource in ("leerling", "groep"):
        with pytest.raises(CursorExpiredError):
            read(connector.delta(scope(resource), cursor=cursor))
        reading = connector.snapshot(scope(resource))
        pages = read(reading)
        assert keys(pages) == truth(harness.sandbox, resource)
        assert reading.completeness.complete
        assert pages[-1].cursor
        assert pages[-1].cursor > cursor
    assert len(harness.sandbox.requests) == 1
    assert read(connector.delta(scope("leerling"), cursor=str(pages[-1].cursor))) == []


def test_who_left_is_told_by_a_whole_reading(harness: UwlrHarness) -> None:
    connector = harness.connect()
    cursor = _cursor(connector)
    before = truth(harness.sandbox, "leerling")
    Changes(harness.sandbox.school).set_shown("leerling", 0, position=3, shown=False)
    try:
        with pytest.raises(CursorExpiredError):
            read(connector.delta(scope(), cursor=cursor))
        assert len(keys(read(connector.snapshot(scope())))) == len(before) - 1
    finally:
        Changes(harness.sandbox.school).set_shown("leerling", 0, position=3, shown=True)


@pytest.mark.parametrize("cursor", ["gisteren", "", "2026-11-02"])
def test_a_cursor_that_is_no_moment_is_not_asked_by(harness: UwlrHarness, cursor: str) -> None:
    with pytest.raises(CursorExpiredError):
        read(harness.connect().delta(scope(), cursor=cursor))
    assert harness.sandbox.requests == []


def test_an_answer_from_the_future_gives_no_cursor(harness: UwlrHarness) -> None:
    harness.clock = FixedClock(NOW - timedelta(days=1))
    pages = read(harness.connect().snapshot(scope()))
    assert pages[-1].cursor is None


def _cursor(connector: UwlrConnector) -> str:
    pages = read(connector.snapshot(scope()))
    assert pages[-1].cursor
    return pages[-1].cursor


# -- staged ----------------------------------------------------------------------------------------


@pytest.mark.assumed("uwlr-staged-everybody")
@pytest.mark.parametrize("size", ["1", "20"])
@pytest.mark.parametrize("version", ["2.2", "2.3"])
def test_group_by_group_gives_what_one_answer_gives(
    harness: UwlrHarness, size: str, version: str
) -> None:
    tell(harness.sandbox, keyless=version == "2.3")
    whole = harness.connect(xsdversie=version)
    staged = harness.connect(xsdversie=version, mode="staged", groups_per_call=size)
    for one in whole.scopes(today=TODAY):
        ours, theirs = staged.snapshot(one), whole.snapshot(one)
        assert _content(ours) == _content(theirs)
        assert ours.completeness.complete, ours.completeness.reason
        assert ours.contract.fields == theirs.contract.fields


def _content(reading: Iterable[Page]) -> dict[str, bytes]:
    return {key: body for page in reading for key, body in zip(page.keys, page.bodies, strict=True)}


def test_persons_of_no_group_are_asked_too(harness: UwlrHarness) -> None:
    heard: list[bytes] = []
    harness.sandbox.uwlr.heard = heard.append
    read(harness.connect(mode="staged").snapshot(scope()))
    asked = [etree.fromstring(body).find(f".//{{{LG}}}groepen") for body in heard]
    keyless = [g for listed in asked if listed is not None for g in listed if g.get("key") is None]
    assert [etree.QName(group).localname for group in keyless] == ["groep", "groep"]


def test_groups_that_change_while_they_are_read_are_not_complete(harness: UwlrHarness) -> None:
    school, seen = harness.sandbox.school, [0]

    def rename(_body: bytes) -> None:
        seen[0] += 1
        if seen[0] == 3:
            tell(harness.sandbox, single_digits=True)  # the groups are told otherwise from now on

    harness.sandbox.uwlr.heard = rename
    reading = harness.connect(mode="staged").snapshot(scope())
    assert read(reading)
    assert not reading.completeness.complete
    assert "changed while" in reading.completeness.reason
    assert school.count("leerling", 0, peil=school.peil("HUIDIG"))


def test_staged_calls_ask_no_changes(harness: UwlrHarness) -> None:
    with pytest.raises(CursorExpiredError):
        read(harness.connect(mode="staged").delta(scope(), cursor="2026-11-02T01:00:00Z"))
    assert harness.sandbox.requests == []


# -- check -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "layer"),
    [
        (faults.Reset(count=None), Layer.NETWORK),
        (faults.NotFound(), Layer.NETWORK),
        (faults.Unauthorized(), Layer.LOGIN),
        (faults.SoapFault(code="Client.OngeldigeKlantIdentificatie"), Layer.LOGIN),
        (faults.SoapFault(code="Client.AutorisatieOngeldig"), Layer.RIGHTS),
        (faults.SoapFault(code="Client.OngeldigBericht"), Layer.SHAPE),
        (faults.WrongNamespace(), Layer.SHAPE),
        (faults.HtmlAsXml(), Layer.SHAPE),
        (faults.Redirect(), Layer.SHAPE),
    ],
)
def test_check_names_the_layer_that_fails(
    harness: UwlrHarness, fault: AnyFault, layer: Layer
) -> None:
    harness.sandbox.misbehave(fault)
    results = harness.connect().check()
    assert [r.layer for r in results if not r.ok] == [layer]
    assert results[-1].advice
    order: list[Layer] = [one for one in Layer if one is not Layer.LAYOUT]  # UWLR has none
    assert [r.layer for r in results] == order[: order.index(layer) + 1]


def test_check_reads_no_person(harness: UwlrHarness) -> None:
    answers: list[bytes] = []
    harness.clock = FixedClock(NOW + timedelta(minutes=10))
    harness.sandbox.observer = lambda exchange: answers.append(exchange.body)
    try:
        assert all(result.ok for result in harness.connect().check())
    finally:
        harness.sandbox.observer = None
    assert b"geenwijzigingen" in answers[0]
    assert not any(b"leerling " in answer for answer in answers)


def test_check_says_that_a_school_has_nothing(harness: UwlrHarness) -> None:
    harness.clock = FixedClock(datetime(2019, 11, 2, tzinfo=UTC))
    results = harness.connect().check()
    assert [r.layer for r in results if not r.ok] == [Layer.DATA]
    assert "2019-2020" in results[-1].message


def test_check_asks_every_vestiging(harness: UwlrHarness) -> None:
    harness.sandbox.uwlr.grant = Grant(vestigingen=(0,))
    results = harness.connect(vestigingen="99XX01,99XX02").check()
    assert [r.layer for r in results if not r.ok] == [Layer.RIGHTS]


def test_a_scope_of_another_connector_is_refused(harness: UwlrHarness) -> None:
    for key in ("88BB/huidig", "99XX01/straks"):
        with pytest.raises(ConfigurationError):
            harness.connect().snapshot(Scope("leerling", key))
