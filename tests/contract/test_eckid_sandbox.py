"""The number facility over real mutual TLS: its interface, its judge, and how it misbehaves.

The official WSDL stands beside the checkout and is never copied into the project: it judges every
request and every answer here, and a zeep client made of it does all nine operations. Where it is
not, the tests by hand remain.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import zeep
from lxml import etree
from zeep.transports import Transport
from zeep.wsa import WsAddressingPlugin

from config.clock import FixedClock
from fixtures.sandbox import faults
from fixtures.sandbox.eckid import CALLER, PATH, SCHOOL, EckIdSandbox
from fixtures.sandbox.eckid_facility import CHAIN, SECTOR, Environment, Facility, Rules
from fixtures.sandbox.eckid_messages import FROM, NS, OPERATIONS, SOAP, WSA
from fixtures.sandbox.faults import AnyFault
from fixtures.sandbox.tls import Certificates, ClientFiles
from tests.unit.fixtures.test_eckid_facility import (
    PUPIL,
    PUPIL_ECK,
    PUPIL_STAM,
    TEACHER,
    TEACHER_ECK,
    TEACHER_STAM,
    hpgn,
)

ROOT = Path(__file__).parents[2]
WSDL = (
    Path(os.environ.get("KOPPELHUB_SPECS", ROOT.parent / "shared/specs")) / "eckid/eckid-java.wsdl"
)
NOW = datetime(2026, 11, 2, 3, tzinfo=UTC)
ENDED = timedelta(seconds=20)


class Caller:
    """Speaks to one sandbox by hand, with a certificate."""

    def __init__(self, sandbox: EckIdSandbox, shown: ClientFiles | None = None) -> None:
        self.sandbox, shown = sandbox, shown or sandbox.client
        trust = ssl.create_default_context(cafile=str(sandbox.certificates.authority))
        trust.load_cert_chain(shown.certificate, shown.key, shown.password or None)
        self.http = httpx.Client(verify=trust, timeout=5)

    def envelope(self, operation: str, content: str = "", **headers: str) -> str:
        told = {
            "Action": f"{NS}/{operation}",
            "MessageID": f"urn:uuid:{uuid4()}",
            "To": self.sandbox.endpoint,
            "From": f"<a:Address>{FROM}{SCHOOL}</a:Address>",
            **headers,
        }
        header = "".join(f"<a:{name}>{text}</a:{name}>" for name, text in told.items() if text)
        body = f"<e:{operation}Request>{content}</e:{operation}Request>"
        return (
            f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{WSA}" xmlns:e="{NS}">'
            f"<s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
        )

    def post(self, operation: str, body: str | bytes, **headers: str) -> httpx.Response:
        told = {
            "Content-Type": "text/xml;charset=UTF-8",
            "SOAPAction": f'"{NS}/{operation}"',
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return self.http.post(self.sandbox.endpoint, content=body, headers=told)

    def ask(self, operation: str, content: str = "", **headers: str) -> httpx.Response:
        return self.post(operation, self.envelope(operation, content, **headers))

    def submit(self, *hashes: str) -> str:
        """A batch of hashes; its identifier."""
        rows = (
            f"<e:hpgnList><e:index>{n}</e:index><e:hPgn>{one}</e:hPgn></e:hpgnList>"
            for n, one in enumerate(hashes)
        )
        return text(self.ask("submitStampseudonymBatch", "".join(rows)), "batchIdentifier")

    def fetch(self, reference: str) -> httpx.Response:
        return self.ask("retrieveBatch", f"<e:batchIdentifier>{reference}</e:batchIdentifier>")


def text(answer: httpx.Response, name: str) -> str:
    (found,) = etree.fromstring(answer.content).iter(f"{{{NS}}}{name}")
    return found.text or ""


def pairs(answer: httpx.Response, name: str = "success") -> list[tuple[int, str]]:
    assert answer.status_code == 200
    return [
        (int(one[0].text or ""), one[1].text or "")
        for one in etree.fromstring(answer.content).iter(f"{{{NS}}}{name}")
    ]


def fault(answer: httpx.Response) -> tuple[int, str | None, str]:
    """Status, `faultactor` (None where there is no such element) and `faultstring`."""
    (found,) = etree.fromstring(answer.content).iter(f"{{{SOAP}}}Fault")
    actor = found.find("faultactor")
    told = None if actor is None else actor.text or ""
    return answer.status_code, told, found.findtext("faultstring") or ""


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("eckid")


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def sandbox(pki: Path, clock: FixedClock) -> Iterator[EckIdSandbox]:
    with EckIdSandbox(pki, now=clock.now) as running:
        yield running


@pytest.fixture
def caller(sandbox: EckIdSandbox) -> Iterator[Caller]:
    made = Caller(sandbox)
    yield made
    made.http.close()


# -- who may call ----------------------------------------------------------------------------------


def test_without_a_certificate_of_its_authority_nobody_gets_in(
    sandbox: EckIdSandbox, tmp_path: Path
) -> None:
    known = ssl.create_default_context(cafile=str(sandbox.certificates.authority))
    for strange in (
        None,
        Certificates(tmp_path).client(CALLER),
        sandbox.certificates.client(CALLER, name="expired", expired=True),
    ):
        if strange is not None:
            known.load_cert_chain(strange.certificate, strange.key)
        with pytest.raises(httpx.TransportError):
            httpx.post(sandbox.endpoint, verify=known, content=b"")
    assert sandbox.requests == []


def test_the_oin_of_the_certificate_and_that_of_the_school_must_be_known(
    sandbox: EckIdSandbox, caller: Caller
) -> None:
    made = sandbox.certificates.client
    for number, shown in enumerate(
        (made("00000003111111110000", name="other"), made("", name="none", password="geheim"))
    ):
        stranger = Caller(sandbox, shown)
        status, actor, said = fault(stranger.ask("ping"))
        assert (status, actor) == (500, "NotAllowedCallerException")
        assert ("00000003111111110000" in said) == (number == 0)
        stranger.http.close()
    other = f"<a:Address>{FROM}0000000700099YY00000</a:Address>"
    assert fault(caller.ask("ping", From=other))[1] == "NotAllowedCallerException"
    assert caller.ask("ping").status_code == 200
    caller.http.post(f"{sandbox.url}/_sandbox/deny", json={"oin": SCHOOL})
    assert fault(caller.ask("ping"))[1] == "NotAllowedCallerException"
    caller.http.post(f"{sandbox.url}/_sandbox/allow", json={"oin": SCHOOL})
    assert caller.ask("ping").status_code == 200


# -- messages --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Action", ""),
        ("Action", f"{NS}/retrieveChains"),
        ("MessageID", ""),
        ("MessageID", "uuid:5f0c5a52-8a0f-4c55-9b0e-0d6a3f0b7f11"),
        ("MessageID", "urn:uuid:5f0c"),
        ("To", ""),
        ("To", "https://elders.example/eck/ws/201703"),
        ("From", ""),
        ("From", f"<a:Address>{WSA}/anonymous</a:Address>"),
        ("From", f"<a:Address>{FROM}42</a:Address>"),
        ("From", f"{FROM}{SCHOOL}"),
    ],
)
def test_addressing_is_demanded(caller: Caller, name: str, value: str) -> None:
    assert fault(caller.ask("ping", **{name: value}))[1] == "SandboxInvalidMessageException"


def test_the_soapaction_belongs_to_the_message(caller: Caller) -> None:
    body = caller.envelope("ping")
    assert caller.post("ping", body).status_code == 200
    for action in ("", f'"{NS}/retrieveChains"'):
        answer = caller.post("ping", body, SOAPAction=action)
        assert fault(answer)[1] == "SandboxInvalidMessageException"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<s:Envelope", '<!DOCTYPE x [<!ENTITY a "b">]><s:Envelope'),
        ("</s:Body>", ""),
        (f'xmlns:e="{NS}"', 'xmlns:e="http://id.school/eck/schemas/v1_0"'),
        ("e:pingRequest>", "e:pongRequest>"),
        ("<e:pingRequest>", "<e:pingRequest><e:extra/>"),
        ("<a:Action>", '<x:y xmlns:x="x" s:mustUnderstand="1"/><a:Action>'),
        ("<a:To>", "<a:MessageID>urn:uuid:1</a:MessageID><a:To>"),
    ],
)
def test_what_is_no_message_is_refused(caller: Caller, before: str, after: str) -> None:
    body = caller.envelope("ping")
    assert before in body
    answer = caller.post("ping", body.replace(before, after))
    assert fault(answer)[1] == "SandboxInvalidMessageException"


def test_other_ways_in_lead_nowhere(caller: Caller, sandbox: EckIdSandbox) -> None:
    body = caller.envelope("ping")
    answer = caller.post("ping", body, Content_Type="application/soap+xml")
    assert fault(answer)[1] == "SandboxInvalidMessageException"
    assert fault(caller.post("ping", b"\xff\xfe<"))[1] == "SandboxInvalidMessageException"
    assert caller.http.get(sandbox.endpoint).status_code == 405
    assert caller.http.post(f"{sandbox.url}/elders").status_code == 404
    assert caller.post("ping", b" " * 4_000_001).status_code == 413


@pytest.mark.parametrize(
    ("operation", "content"),
    [
        ("retrieveStampseudonym", ""),
        ("retrieveStampseudonym", "<e:hPgn>a</e:hPgn>"),
        ("retrieveEckId", "<e:stampseudonym>a</e:stampseudonym><e:sectorId>b</e:sectorId>"),
        ("submitStampseudonymBatch", "<e:hpgnList><e:hPgn>a</e:hPgn></e:hpgnList>"),
        (
            "submitStampseudonymBatch",
            "<e:hpgnList><e:index>x</e:index><e:hPgn>a</e:hPgn></e:hpgnList>",
        ),
        (
            "replaceStampseudonym",
            f"<e:hpgnOld>{PUPIL}</e:hpgnOld><e:hpgnNew>{TEACHER}</e:hpgnNew>"
            "<e:effectiveDate>morgen</e:effectiveDate>",
        ),
    ],
)
def test_content_is_held_to_the_interface(caller: Caller, operation: str, content: str) -> None:
    assert fault(caller.ask(operation, content))[1] == "SandboxInvalidMessageException"
    assert caller.sandbox.facility.counts.hpgns == {}


def test_a_fault_has_its_name_in_faultactor_and_repeats_the_input(caller: Caller) -> None:
    asked = "<e:hpgn>063138219</e:hpgn>"
    status, actor, said = fault(caller.ask("retrieveStampseudonym", asked))
    assert (status, actor) == (500, "InvalidHPgnException")
    assert "063138219" in said
    caller.sandbox.eckid.fault_status = 200
    assert fault(caller.ask("retrieveStampseudonym", asked))[:2] == (200, actor)


def test_everything_that_was_asked_is_counted_without_values(caller: Caller) -> None:
    for _ in range(2):
        caller.ask("retrieveStampseudonym", f"<e:hpgn>{PUPIL}</e:hpgn>")
    caller.submit(PUPIL, TEACHER)
    answer = caller.http.post(f"{caller.sandbox.url}/_sandbox/counts")
    assert answer.json() == {
        "operations": {"retrieveStampseudonym": 2, "submitStampseudonymBatch": 1},
        "hpgns": 2,
        "hpgns_repeated": 2,
        "pseudonyms": 0,
        "pseudonyms_repeated": 0,
        "bare_numbers": 0,
    }
    assert len(set(caller.sandbox.eckid.message_ids)) == 3


def test_a_batch_of_the_most_elements_is_taken(caller: Caller, clock: FixedClock) -> None:
    most = caller.sandbox.facility.rules.most
    reference = caller.submit(*(hpgn(str(number)) for number in range(most)))
    clock.advance(ENDED)
    found = pairs(caller.fetch(reference))
    assert [index for index, _ in found] == list(range(most)) == list(range(5000))
    listed = "".join(
        f"<e:stampseudonymList><e:index>{index}</e:index>"
        f"<e:stampseudonym>{value}</e:stampseudonym></e:stampseudonymList>"
        for index, value in found
    )
    place = f"<e:chainId>{CHAIN}</e:chainId><e:sectorId>{SECTOR}</e:sectorId>"
    reference = text(caller.ask("submitEckIdBatch", listed + place), "batchIdentifier")
    clock.advance(ENDED)
    assert len({value for _, value in pairs(caller.fetch(reference))}) == most


# -- misbehaving -----------------------------------------------------------------------------------


def misbehave(caller: Caller, fault: AnyFault) -> None:
    caller.sandbox.misbehave(fault)


def test_a_fault_meets_the_operation_that_it_names(caller: Caller) -> None:
    misbehave(caller, faults.ServerError(status=503, action="retrieveChains"))
    assert caller.ask("ping").status_code == 200
    assert caller.ask("retrieveChains").status_code == 503
    assert caller.ask("retrieveChains").status_code == 200


@pytest.mark.parametrize("actor", [None, "", "HashOperationException", "BrandNewException"])
@pytest.mark.parametrize("status", [200, 500])
def test_any_fault_can_be_asked_for(caller: Caller, actor: str | None, status: int) -> None:
    misbehave(caller, faults.SoapFault(actor=actor, status=status))
    found = fault(caller.ask("retrieveStampseudonym", f"<e:hpgn>{PUPIL}</e:hpgn>"))
    assert found[:2] == (status, actor)
    assert PUPIL in found[2]
    assert caller.sandbox.facility.counts.hpgns == {}


@pytest.mark.parametrize("fault", [faults.LostAnswer(), faults.CutBody()])
def test_a_result_whose_answer_is_lost_is_gone(
    caller: Caller, clock: FixedClock, fault: AnyFault
) -> None:
    reference = caller.submit(PUPIL)
    clock.advance(ENDED)
    misbehave(caller, fault)
    with pytest.raises(httpx.TransportError):
        caller.fetch(reference)
    caller.http.close()
    again = Caller(caller.sandbox)
    assert b"<faultactor>ContentAlreadyRetrievedException<" in again.fetch(reference).content
    again.http.close()


@pytest.mark.parametrize("fault", [faults.Reset(), faults.ServerError()])
def test_a_result_that_was_never_asked_for_is_still_there(
    caller: Caller, clock: FixedClock, fault: AnyFault
) -> None:
    reference = caller.submit(PUPIL)
    clock.advance(ENDED)
    misbehave(caller, fault)
    try:
        assert caller.fetch(reference).status_code == 500
    except httpx.TransportError:
        assert isinstance(fault, faults.Reset)
    again = Caller(caller.sandbox)
    assert pairs(again.fetch(reference)) == [(0, PUPIL_STAM)]
    again.http.close()


def test_a_huge_answer_is_huge(caller: Caller) -> None:
    misbehave(caller, faults.HugeBody(size_bytes=2_000_000))
    assert len(caller.ask("ping").content) == 2_000_000


@pytest.mark.parametrize("fault", [faults.SlowBody(pause_seconds=30), faults.Hang()])
def test_an_answer_comes_slowly_or_never(caller: Caller, fault: AnyFault) -> None:
    assert caller.ask("ping").status_code == 200  # the connection stands
    misbehave(caller, fault)
    caller.http.timeout = httpx.Timeout(0.1)
    with pytest.raises(httpx.ReadTimeout):
        caller.ask("ping")


@pytest.mark.parametrize(
    ("fault", "has"),
    [
        (faults.Doctype(), b"<!DOCTYPE Envelope>"),
        (faults.Doctype(bomb=True), b"&l9;</a:RelatesTo>"),
        (faults.HtmlAsXml(), b"<h1>Even geduld</h1>"),
        (faults.WrongNamespace(namespace="urn:x"), b'xmlns:e="urn:x"'),
        (faults.WrongVersion(), b"<e:applicationVersion>1.9.4<"),
        (faults.NotAvailable(), b"<e:available>false<"),
    ],
)
def test_an_answer_is_spoiled(caller: Caller, fault: AnyFault, has: bytes) -> None:
    misbehave(caller, fault)
    assert has in caller.ask("ping").content
    assert has not in caller.ask("ping").content


def test_an_answer_is_cut_short(caller: Caller) -> None:
    misbehave(caller, faults.TruncatedXml())
    with pytest.raises(etree.XMLSyntaxError):
        etree.fromstring(caller.ask("ping").content)


OTHER_STAM = PUPIL_STAM[:-128] + PUPIL_STAM[-128:][::-1]


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (faults.UnknownIndex(index=9), [(0, PUPIL_STAM), (1, TEACHER_STAM), (9, PUPIL_STAM)]),
        (faults.DoubleIndex(), [(0, PUPIL_STAM), (1, TEACHER_STAM), (0, PUPIL_STAM)]),
        (
            faults.DoubleIndex(altered=True),
            [(0, PUPIL_STAM), (1, TEACHER_STAM), (0, TEACHER_STAM)],
        ),
        (faults.DoubleIndex(failed=True), [(0, PUPIL_STAM), (1, TEACHER_STAM)]),
        (faults.MissingIndex(), [(0, PUPIL_STAM)]),
        (faults.WrongPseudonym(how="other"), [(0, OTHER_STAM), (1, TEACHER_STAM)]),
        (
            faults.WrongPseudonym(how="environment", at=None),
            [
                (0, PUPIL_STAM.replace("sppilot", "sp201703")),
                (1, TEACHER_STAM.replace("sppilot", "sp201703")),
            ],
        ),
        (
            faults.WrongPseudonym(how="kind", at=1),
            [(0, PUPIL_STAM), (1, TEACHER_STAM.replace("sppilot", "pilot"))],
        ),
        (
            faults.WrongPseudonym(how="malformed"),
            [(0, PUPIL_STAM[:-128] + PUPIL_STAM[-128:-1].upper()), (1, TEACHER_STAM)],
        ),
    ],
)
def test_a_result_is_wrong(
    caller: Caller, clock: FixedClock, fault: AnyFault, found: list[tuple[int, str]]
) -> None:
    reference = caller.submit(PUPIL, TEACHER)
    clock.advance(ENDED)
    misbehave(caller, fault)
    answer = caller.fetch(reference)
    assert pairs(answer) == found
    doubled = isinstance(fault, faults.DoubleIndex) and fault.failed
    assert [index for index, _ in pairs(answer, "failed")] == [0] * doubled


def test_a_replacement_is_answered_with_another_stampseudoniem(caller: Caller) -> None:
    misbehave(caller, faults.WrongPseudonym(how="other", action="replaceStampseudonym"))
    both = f"<e:hpgnOld>{PUPIL}</e:hpgnOld><e:hpgnNew>{hpgn('new')}</e:hpgnNew>"
    assert text(caller.ask("replaceStampseudonym", both), "stampseudonym") == OTHER_STAM
    found = caller.ask("retrieveStampseudonym", f"<e:hpgn>{hpgn('new')}</e:hpgn>")
    assert text(found, "stampseudonym") == PUPIL_STAM


def test_limits_lists_and_time_are_set_from_outside(caller: Caller) -> None:
    def command(name: str, **arguments: object) -> None:
        url = f"{caller.sandbox.url}/_sandbox/{name}"
        assert caller.http.post(url, json=arguments).status_code == 200

    reference = caller.submit(PUPIL)
    command("advance", seconds=20)
    assert pairs(caller.fetch(reference)) == [(0, PUPIL_STAM)]
    command("set", per_day=1, version="2.0.9", cool_down=1.5)
    row = f"<e:hpgnList><e:index>1</e:index><e:hPgn>{PUPIL}</e:hPgn></e:hpgnList>"
    refused = fault(caller.ask("submitStampseudonymBatch", row))
    assert refused[1] == "LimitDailyBatchSubmissionsExceededException"
    assert text(caller.ask("ping"), "applicationVersion") == "2.0.9"
    assert caller.sandbox.facility.rules == Rules(per_day=1, cool_down=timedelta(seconds=1.5))
    command("withdraw", id=CHAIN)
    assert CHAIN.encode() not in caller.ask("retrieveChains").content
    command("restore")
    assert CHAIN.encode() in caller.ask("retrieveChains").content


# -- judged by the official description ------------------------------------------------------------


class Judge:
    """The schema of the official WSDL, on every request and every answer of a sandbox."""

    def __init__(self, schema: etree.XMLSchema, sandbox: EckIdSandbox) -> None:
        self.schema, self.judged = schema, 0
        sandbox.eckid.heard = self.judge
        sandbox.observer = lambda exchange: self.judge(exchange.body)

    def judge(self, document: bytes) -> None:
        (body,) = etree.fromstring(document).iterfind(f"{{{SOAP}}}Body")
        if body[0].tag != f"{{{SOAP}}}Fault":
            self.schema.assertValid(etree.ElementTree(body[0]))
            self.judged += 1


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    """Cut out of the official WSDL, with its prefixes."""
    if not WSDL.exists():
        pytest.skip("the official WSDL is not beside this checkout")
    (found,) = etree.parse(WSDL).iter("{http://www.w3.org/2001/XMLSchema}schema")
    return etree.XMLSchema(etree.fromstring(etree.tostring(found)))


@pytest.fixture
def judge(schema: etree.XMLSchema, sandbox: EckIdSandbox) -> Judge:
    return Judge(schema, sandbox)


@pytest.fixture
def official(sandbox: EckIdSandbox) -> Iterator[Callable[..., Any]]:
    """Calls an operation through a client that is made of the official WSDL."""
    if not WSDL.exists():
        pytest.skip("the official WSDL is not beside this checkout")
    transport = Transport(timeout=5, operation_timeout=5)
    shown = sandbox.client
    transport.session.trust_env = False
    transport.session.cert = (str(shown.certificate), str(shown.key))
    transport.session.verify = str(sandbox.certificates.authority)
    client = zeep.Client(str(WSDL), transport=transport, plugins=[WsAddressingPlugin()])
    service = client.create_service(f"{{{NS}}}EckIDSoapBinding", sandbox.endpoint)
    sender = etree.Element(f"{{{WSA}}}From")
    etree.SubElement(sender, f"{{{WSA}}}Address").text = f"{FROM}{SCHOOL}"

    def call(operation: str, **arguments: object) -> Any:
        return getattr(service, operation)(**arguments, _soapheaders=[sender])

    yield call
    transport.session.close()


@pytest.mark.needs_shared_specs
def test_a_client_of_the_official_wsdl_does_all_nine_operations(
    official: Callable[..., Any], judge: Judge, sandbox: EckIdSandbox, clock: FixedClock
) -> None:
    place = {"chainId": CHAIN, "sectorId": SECTOR}
    ping = official("ping")
    assert (ping.available, ping.applicationVersion, ping.systemTime) == (True, "2.0.1", NOW)
    assert CHAIN in {chain.id for chain in official("retrieveChains")}
    assert SECTOR in {sector.id for sector in official("retrieveSectors")}
    assert official("retrieveStampseudonym", hpgn=PUPIL) == PUPIL_STAM
    assert official("retrieveEckId", stampseudonym=PUPIL_STAM, **place) == PUPIL_ECK

    hashes = [{"index": 4, "hPgn": TEACHER}, {"index": 5, "hPgn": ""}]
    first = official("submitStampseudonymBatch", hpgnList=hashes)
    known = [{"index": 0, "stampseudonym": TEACHER_STAM}]
    second = official("submitEckIdBatch", stampseudonymList=known, **place)
    with pytest.raises(zeep.exceptions.Fault) as caught:
        official("retrieveBatch", batchIdentifier=first)
    assert caught.value.actor == "NotFinishedException"
    clock.advance(ENDED)
    result = official("retrieveBatch", batchIdentifier=first)
    assert [(one.index, one.value) for one in result.success] == [(4, TEACHER_STAM)]
    assert [one.index for one in result.failed] == [5]
    result = official("retrieveBatch", batchIdentifier=second)
    assert [(one.index, one.value) for one in result.success] == [(0, TEACHER_ECK)]

    replaced = official(
        "replaceStampseudonym", hpgnOld=PUPIL, hpgnNew=hpgn("new"), effectiveDate=NOW
    )
    assert replaced == PUPIL_STAM
    with pytest.raises(zeep.exceptions.Fault) as caught:
        official("retrieveStampseudonym", hpgn=PUPIL)
    assert caught.value.actor == "BlockedHPgnException"

    assert set(sandbox.facility.counts.operations) == set(OPERATIONS)
    assert len(OPERATIONS) == 9
    calls = sum(sandbox.facility.counts.operations.values())
    assert judge.judged == 2 * calls - 2  # all of them, but for the answers that are faults
    assert len(set(sandbox.eckid.message_ids)) == calls == 12


@pytest.mark.needs_shared_specs
def test_what_the_official_schema_refuses_the_facility_refuses(
    schema: etree.XMLSchema, caller: Caller
) -> None:
    place = f"<e:chainId>{CHAIN}</e:chainId><e:sectorId>{SECTOR}</e:sectorId>"
    for operation, content in (
        ("submitStampseudonymBatch", ""),
        ("submitEckIdBatch", place),
        ("ping", "<e:extra/>"),
        ("retrieveEckId", place),
    ):
        (body,) = etree.fromstring(caller.envelope(operation, content)).iterfind(f"{{{SOAP}}}Body")
        assert not schema.validate(etree.ElementTree(body[0]))
        assert fault(caller.ask(operation, content))[0] == 500


def test_the_options_are_those_of_a_koppeling(tmp_path: Path) -> None:
    made = EckIdSandbox(tmp_path, facility=Facility(Environment.PRODUCTIE))
    assert made.options | {"endpoint": ""} == {
        "endpoint": "",
        "omgeving": "productie",
        "salt": "productie:a29wcGVsaHVic2FuZGJveA==",
        "oin": SCHOOL,
        "keten": CHAIN,
        "sector": SECTOR,
        "client_certificate": str(tmp_path / "client.pem"),
        "client_key": str(tmp_path / "client-key.pem"),
        "ca_file": str(tmp_path / "ca.pem"),
    }
    assert made.options["endpoint"].endswith(PATH)
    made.stop()
