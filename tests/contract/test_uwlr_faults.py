"""A UWLR answer or wire that is wrong: each misbehaviour and its outcome."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connectors.base import Page
from connectors.errors import (
    AnswerTimeoutError,
    AuthenticationError,
    ConnectorError,
    IncompleteAnswerError,
    ProtocolViolationError,
    RateLimitedError,
    RequestRefusedError,
    SourceUnavailableError,
)
from fixtures.sandbox import faults
from fixtures.sandbox.faults import AnyFault
from fixtures.sandbox.uwlr import Grant
from tests.contract.suite import keys, read
from tests.support.uwlr import scope, truth
from tests.support.uwlr_harness import UwlrHarness


@pytest.fixture
def harness(uwlr: UwlrHarness) -> UwlrHarness:
    return uwlr


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
