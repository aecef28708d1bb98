"""The client of the number facility against the sandbox, over real mutual TLS."""

from __future__ import annotations

import io
import logging
import os
import re
import ssl
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lxml import etree
from msgspec import structs

from config.clock import FixedClock
from config.errors import ConfigurationError, KoppelhubError
from connectors.base import Budget, Layer
from connectors.eckid import check, wire
from connectors.eckid.answers import is_refused_certificate
from connectors.eckid.client import Nummervoorziening
from connectors.eckid.facility import Facility as FacilitySeam
from connectors.eckid.faults import (
    AnswerGoneError,
    DailyLimitError,
    NotAdmittedError,
    NotReadyError,
    OutOfOrderError,
    WrongEnvironmentError,
)
from connectors.eckid.hashing import Hasher, Hpgn
from connectors.eckid.manifest import MANIFEST, SYSTEM
from connectors.eckid.options import Options, read_options
from connectors.errors import (
    AuthenticationError,
    ConnectorError,
    IncompleteAnswerError,
    OutcomeUnknownError,
    ProtocolViolationError,
    RequestRefusedError,
    SourceUnavailableError,
)
from connectors.protocols.pacing import Patience
from connectors.protocols.rest import Limits, RestTransport
from fixtures.sandbox import faults
from fixtures.sandbox.eckid import CALLER, SCHOOL, EckIdSandbox
from fixtures.sandbox.eckid_facility import CHAIN, SECTOR, Environment, Facility
from fixtures.sandbox.eckid_messages import NS
from fixtures.sandbox.messages import Answer, Request
from fixtures.sandbox.tls import Certificates
from sector.identifiers import Stampseudoniem

ROOT = Path(__file__).parents[2]
WSDL = (
    Path(os.environ.get("KOPPELHUB_SPECS", ROOT.parent / "shared/specs")) / "eckid/eckid-java.wsdl"
)
NOW = datetime(2026, 11, 2, 3, tzinfo=UTC)
PROCESSING = timedelta(seconds=30)

CANARY = "099990019"  # a number that stands where only a name belongs
PUPIL = Hpgn("9735dfd2235eaeb5f0300886bcc99c82ffc1d6420c4e0bde8de7218def2135fa")
TEACHER = Hpgn("0b870ff044775ef0360655c40d5b284b7e3ae2b72207a6894794d787eb019e60")
PUPIL_STAM = (
    "https://ketenid.nl/sppilot/d0f58d6544562db32383d9fbd7e7d1c6857f9eb8fdaf43db9ac4fac8f3c6897c"
    "c6149985fe4a7b91b9be09a11c65b6bfd4d900357b0c96336b5521aaee261cf7"
)
PUPIL_ECK = (
    "https://ketenid.nl/pilot/5889fc51565c5488833c42cb2b724c67107bb250be8ed99c881c89632adc37b0"
    "5dd197ee95af1c75be47cb7f9a593ad9ddb2e1f25d2e52c90dbb8dcae4515763"
)


def hpgn(number: int) -> Hpgn:
    return Hpgn(f"{number:064x}")


class Watched(EckIdSandbox):
    """Remembers what came in, whatever it meets."""

    def __init__(self, folder: Path, clock: FixedClock, facility: Facility | None = None) -> None:
        self.seen: list[Request] = []
        super().__init__(folder, facility=facility, now=clock.now)

    def respond(self, request: Request) -> Answer:
        self.seen.append(request)
        return super().respond(request)

    def asked(self, operation: str) -> int:
        """How often an operation was asked for, refused ones included."""
        action = f'"{NS}/{operation}"'
        return sum(request.headers.get("soapaction") == action for request in self.seen)


class Desk:
    """One koppeling with the sandbox."""

    def __init__(self, sandbox: Watched, clock: FixedClock, **options: str) -> None:
        given = {**sandbox.options, **options}
        self.options: Options = read_options(given, manifest=MANIFEST)
        self.clock = clock
        self.transport = RestTransport(
            SYSTEM,
            clock=clock,
            budget=Budget(0, 1),
            limits=Limits(total=timedelta(seconds=5), patience=Patience(attempts=3)),
            tls=self.options.tls,
        )
        self.client = Nummervoorziening(self.options, transport=self.transport, clock=clock)

    def check(self) -> list[tuple[Layer, bool, str]]:
        found = check.run(self.client, Hasher(b"zout van proef", cost=16), self.options)
        return [(result.layer, result.ok, result.advice) for result in found]

    def failing(self) -> tuple[Layer, str]:
        """The one layer that fails, and its sentence."""
        results = self.check()
        ((layer, advice),) = [(layer, advice) for layer, ok, advice in results if not ok]
        assert results[-1][0] is layer
        assert advice
        return layer, advice


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("eckid-client")


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def sandbox(pki: Path, clock: FixedClock) -> Iterator[Watched]:
    with Watched(pki, clock) as running:
        yield running


@pytest.fixture
def desk(sandbox: Watched, clock: FixedClock) -> Iterator[Desk]:
    made = Desk(sandbox, clock)
    yield made
    made.transport.close()


@pytest.fixture
def client(desk: Desk) -> Nummervoorziening:
    return desk.client


# -- what it does ----------------------------------------------------------------------------------


def test_it_is_a_facility(client: Nummervoorziening) -> None:
    seam: FacilitySeam = client
    assert seam is client


def test_a_ping_says_what_it_is(client: Nummervoorziening) -> None:
    ping = client.ping()
    assert (ping.available, ping.version[:3], ping.system_time) == (True, "2.0", NOW)


def test_chains_and_sectors_are_asked_once_a_day(
    client: Nummervoorziening, sandbox: Watched, clock: FixedClock
) -> None:
    assert CHAIN in [one.id for one in client.chains()]
    assert SECTOR in [one.id for one in client.sectors()]
    assert all(one.name for one in (*client.chains(), *client.sectors()))
    assert sandbox.asked("retrieveChains") == 1
    clock.sleep(timedelta(days=1))
    client.chains()
    assert sandbox.asked("retrieveChains") == 2


def test_the_published_pupil_gets_the_published_pseudonyms(client: Nummervoorziening) -> None:
    stam = client.stampseudoniem(PUPIL)
    assert stam.reveal() == PUPIL_STAM
    assert client.eck_id(stam).reveal() == PUPIL_ECK


def test_a_batch_goes_both_ways(client: Nummervoorziening, clock: FixedClock) -> None:
    first = client.submit_hashes({1: PUPIL, 7: hpgn(7), -3: hpgn(3)})
    with pytest.raises(NotReadyError):
        client.fetch(first)
    clock.sleep(PROCESSING)
    body = client.fetch(first)
    found = client.read(body)
    assert found.found[1] == PUPIL_STAM
    assert set(found.found) == {1, 7, -3}
    with pytest.raises(AnswerGoneError):
        client.fetch(first)
    second = client.submit_stampseudoniemen(
        {index: Stampseudoniem(value) for index, value in found.found.items()}
    )
    clock.sleep(PROCESSING)
    assert client.read(client.fetch(second)).found[1] == PUPIL_ECK


@pytest.mark.assumed("eckid-replace")
def test_a_replacement_leads_the_new_hash_to_the_former_pseudonym(
    client: Nummervoorziening, sandbox: Watched
) -> None:
    before = client.stampseudoniem(hpgn(1))
    assert client.replace(hpgn(1), hpgn(2)) == before
    assert client.stampseudoniem(hpgn(2)) == before
    with pytest.raises(RequestRefusedError) as caught:
        client.stampseudoniem(hpgn(1))
    assert caught.value.code == "BlockedHPgnException"
    (sent,) = [r.body for r in sandbox.seen if b"replaceStampseudonymRequest" in r.body]
    assert b"effectiveDate" not in sent


@pytest.mark.parametrize("count", [0, 5001])
@pytest.mark.assumed("eckid-batch")
def test_a_batch_of_nobody_or_of_too_many_is_not_sent(
    client: Nummervoorziening, sandbox: Watched, count: int
) -> None:
    with pytest.raises(ValueError, match="5000"):
        client.submit_hashes({n: hpgn(n) for n in range(count)})
    assert sandbox.asked("submitStampseudonymBatch") == 0


@pytest.mark.assumed("eckid-addressing")
def test_every_message_is_addressed_as_prescribed(
    client: Nummervoorziening, sandbox: Watched
) -> None:
    """Spec: eckid.md, section 6: Action, MessageID, To, From; no ReplyTo."""
    client.ping()
    client.stampseudoniem(PUPIL)
    wsa = "{http://www.w3.org/2005/08/addressing}"
    for request in sandbox.seen:
        (header,) = etree.fromstring(request.body).findall("{*}Header")
        told = {child.tag.removeprefix(wsa): child for child in header}
        assert set(told) == {"Action", "MessageID", "To", "From"}
        assert f'"{told["Action"].text}"' == request.headers["soapaction"]
        assert (told["To"].text, told["MessageID"].text or "")[0] == sandbox.endpoint
        assert told["From"].findtext(f"{wsa}Address", "").endswith(f"?oin={SCHOOL}")
        assert request.headers["content-type"].startswith("text/xml")
    assert len(set(sandbox.eckid.message_ids)) == len(sandbox.eckid.message_ids) == 2


@pytest.mark.needs_shared_specs
def test_the_official_schema_takes_every_request(desk: Desk, sandbox: Watched) -> None:
    if not WSDL.exists():
        pytest.skip("the official description is not beside this checkout")
    (found,) = etree.parse(WSDL).iter("{http://www.w3.org/2001/XMLSchema}schema")
    schema = etree.XMLSchema(etree.fromstring(etree.tostring(found)))
    client = desk.client
    client.ping()
    stam = client.stampseudoniem(PUPIL)
    client.eck_id(stam)
    client.submit_stampseudoniemen({-1: stam, 2**31 - 1: stam})
    client.read(fetch_one(desk))
    client.replace(hpgn(1), hpgn(2))
    judged: set[str] = set()
    for request in sandbox.seen:
        (body,) = etree.fromstring(request.body).findall("{*}Body")
        schema.assertValid(etree.ElementTree(body[0]))
        judged.add(etree.QName(body[0]).localname.removesuffix("Request"))
    assert len(judged) == 9


def test_no_other_network_than_our_own_is_used(
    client: Nummervoorziening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not while the description is loaded, and not for a call."""

    def refuse(*given: object, **named: object) -> None:
        raise AssertionError

    monkeypatch.setattr("requests.sessions.Session.send", refuse)
    monkeypatch.setattr("requests.sessions.Session.__init__", refuse)
    wire._description.cache_clear()
    assert client.ping().available
    for name in ("http://127.0.0.1:1/x.xsd", "file:///etc/hostname", "/etc/hostname"):
        with pytest.raises(ValueError, match="nothing is loaded"):
            wire._Carrier().load(name)


# -- faults ----------------------------------------------------------------------------------------

TABLE: list[tuple[str | None, int, type[ConnectorError], int]] = [
    ("NotAllowedCallerException", 500, NotAdmittedError, 1),
    ("InvalidHPgnException", 500, RequestRefusedError, 1),
    ("BlockedHPgnException", 500, RequestRefusedError, 1),
    ("HashOperationException", 500, OutOfOrderError, 3),
    ("ContentRemovedException", 500, AnswerGoneError, 1),
    ("ContentAlreadyRetrievedException", 503, AnswerGoneError, 1),
    ("LimitDailyBatchSubmissionsExceededException", 500, DailyLimitError, 1),
    ("notFinishedException", 500, RequestRefusedError, 1),
    ("NotFinishedExceptions", 500, RequestRefusedError, 1),
    ("OnbekendeException", 500, RequestRefusedError, 1),
    ("OnbekendeException", 502, SourceUnavailableError, 3),
    ("OnbekendeException", 503, SourceUnavailableError, 3),
    ("OnbekendeException", 504, SourceUnavailableError, 3),
    ("", 500, RequestRefusedError, 1),
    (None, 500, RequestRefusedError, 1),
    (None, 503, SourceUnavailableError, 3),
    ("InvalidHPgnException", 200, RequestRefusedError, 1),
    ("InvalidHPgnException", 400, RequestRefusedError, 1),
]


@pytest.mark.assumed("eckid-faults")
@pytest.mark.parametrize(("actor", "status", "kind", "times"), TABLE)
def test_a_fault_is_what_its_actor_says(
    client: Nummervoorziening,
    sandbox: Watched,
    actor: str | None,
    status: int,
    kind: type[ConnectorError],
    times: int,
) -> None:
    """Spec: eckid.md, section 11."""
    sandbox.misbehave(faults.SoapFault(actor=actor, status=status, count=None))
    with pytest.raises(ConnectorError) as caught:
        client.stampseudoniem(PUPIL)
    assert type(caught.value) is kind
    assert caught.value.advice
    assert sandbox.asked("retrieveStampseudonym") == times


@pytest.mark.parametrize("actor", ["NotFinishedException", "TemporaryBlockedException"])
def test_an_answer_that_is_not_there_yet_is_asked_for_once_a_poll(
    client: Nummervoorziening, sandbox: Watched, actor: str
) -> None:
    reference = client.submit_hashes({1: PUPIL})
    for status in (500, 200):
        sandbox.misbehave(faults.SoapFault(actor=actor, status=status))
        with pytest.raises(NotReadyError):
            client.fetch(reference)
    assert sandbox.asked("retrieveBatch") == 2


def test_a_chain_that_is_refused_is_looked_up_once_more(
    client: Nummervoorziening, sandbox: Watched
) -> None:
    stam = client.stampseudoniem(PUPIL)
    client.eck_id(stam)
    sandbox.facility.withdraw(CHAIN)
    with pytest.raises(ConfigurationError) as caught:
        client.eck_id(stam)
    assert "keten" in str(caught.value)
    assert caught.value.advice.startswith("Pas de instelling `keten`")
    assert sandbox.asked("retrieveChains") == 2
    sandbox.facility.restore()
    assert client.eck_id(stam).reveal() == PUPIL_ECK


def test_an_id_that_is_not_listed_names_the_setting_and_the_nearest(
    sandbox: Watched, clock: FixedClock
) -> None:
    desk = Desk(sandbox, clock, sector=SECTOR[:-1] + "f")
    with pytest.raises(ConfigurationError) as caught:
        desk.client.submit_stampseudoniemen({1: Stampseudoniem(PUPIL_STAM)})
    assert str(caught.value) == "eckid: sector is not in the list of the number facility"
    assert f"Bedoelt u {SECTOR} (" in caught.value.advice
    assert sandbox.asked("submitEckIdBatch") == 0
    assert (sandbox.asked("retrieveChains"), sandbox.asked("retrieveSectors")) == (1, 1)
    desk.transport.close()


def test_what_a_list_holds_is_shown_as_text_and_no_longer_than_an_id(
    sandbox: Watched, clock: FixedClock
) -> None:
    kept = sandbox.facility.sectors
    strange = replace(kept[0], id="\n\u202e" + "x" * 5000, name="y" * 5000)
    sandbox.facility.sectors = (strange, *kept[1:])
    desk = Desk(sandbox, clock, sector=f"{SECTOR[:-4]}ffff")
    with pytest.raises(ConfigurationError) as caught:
        desk.client.submit_stampseudoniemen({1: Stampseudoniem(PUPIL_STAM)})
    assert caught.value.advice.isprintable()
    assert len(caught.value.advice) < 1500
    desk.transport.close()
    sandbox.facility.sectors = kept


# -- what goes wrong on the way --------------------------------------------------------------------


def test_what_only_reads_is_asked_again(client: Nummervoorziening, sandbox: Watched) -> None:
    for ask in (
        client.ping,
        client.chains,
        client.sectors,
        lambda: client.stampseudoniem(PUPIL),
        lambda: client.eck_id(Stampseudoniem(PUPIL_STAM)),
    ):
        sandbox.misbehave(faults.Reset(count=2))
        ask()


def fetch_one(desk: Desk) -> bytes:
    reference = desk.client.submit_hashes({1: PUPIL})
    desk.clock.sleep(PROCESSING)
    return desk.client.fetch(reference)


ONCE: dict[str, Callable[[Desk], object]] = {
    "submitStampseudonymBatch": lambda desk: desk.client.submit_hashes({1: PUPIL}),
    "submitEckIdBatch": lambda desk: desk.client.submit_stampseudoniemen(
        {1: Stampseudoniem(PUPIL_STAM)}
    ),
    "retrieveBatch": fetch_one,
}


@pytest.mark.parametrize("operation", list(ONCE))
@pytest.mark.parametrize(
    "fault", [faults.Reset(), faults.ServerError(status=503), faults.LostAnswer()]
)
def test_what_may_not_be_repeated_is_sent_once(
    desk: Desk, sandbox: Watched, operation: str, fault: faults.AnyFault
) -> None:
    sandbox.misbehave(structs.replace(fault, action=f"/{operation}"))
    with pytest.raises(SourceUnavailableError):
        ONCE[operation](desk)
    assert sandbox.asked(operation) == 1
    assert not sandbox.board.unmet


@pytest.mark.assumed("eckid-repeat")
def test_an_answer_that_got_lost_on_the_way_is_gone_and_submitted_anew(
    client: Nummervoorziening, sandbox: Watched, clock: FixedClock
) -> None:
    """Spec: eckid.md, section 10 rule 4."""
    reference = client.submit_hashes({1: PUPIL})
    clock.sleep(PROCESSING)
    sandbox.misbehave(faults.LostAnswer())
    with pytest.raises(SourceUnavailableError):
        client.fetch(reference)
    clock.sleep(PROCESSING)
    with pytest.raises(AnswerGoneError):
        client.fetch(reference)
    again = client.submit_hashes({1: PUPIL})
    clock.sleep(PROCESSING)
    assert client.read(client.fetch(again)).found == {1: PUPIL_STAM}


@pytest.mark.parametrize("fault", [faults.LostAnswer(), faults.TruncatedXml()])
def test_a_replacement_without_an_answer_is_not_known_and_not_repeated(
    client: Nummervoorziening, sandbox: Watched, fault: faults.AnyFault
) -> None:
    before = client.stampseudoniem(hpgn(1))
    sandbox.misbehave(fault)
    with pytest.raises(OutcomeUnknownError) as caught:
        client.replace(hpgn(1), hpgn(2))
    assert caught.value.advice
    assert sandbox.asked("replaceStampseudonym") == 1
    assert client.stampseudoniem(hpgn(2)) == before


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (faults.HtmlAsXml(), ProtocolViolationError),
        (faults.TruncatedXml(), ProtocolViolationError),
        (faults.WrongNamespace(), ProtocolViolationError),
        (faults.Doctype(), ProtocolViolationError),
        (faults.Doctype(bomb=True), ProtocolViolationError),
        (faults.WrongContentType(), ProtocolViolationError),
        (faults.Redirect(), ProtocolViolationError),
        (faults.WrongPseudonym(how="malformed"), ProtocolViolationError),
        (faults.WrongPseudonym(how="kind"), ProtocolViolationError),
        (faults.WrongPseudonym(how="environment"), WrongEnvironmentError),
    ],
)
def test_what_is_no_answer_is_refused(
    client: Nummervoorziening,
    sandbox: Watched,
    fault: faults.AnyFault,
    kind: type[ProtocolViolationError],
) -> None:
    sandbox.misbehave(fault)
    with pytest.raises(ProtocolViolationError) as caught:
        client.stampseudoniem(PUPIL)
    assert type(caught.value) is kind
    assert not re.search("[0-9a-f]{16}", str(caught.value))
    assert PUPIL.reveal() not in str(caught.value)


def test_the_one_answer_is_handed_over_unread(
    client: Nummervoorziening, sandbox: Watched, clock: FixedClock
) -> None:
    """Whatever is wrong with it is found after it was kept, and by `read`."""
    reference = client.submit_hashes({1: PUPIL})
    clock.sleep(PROCESSING)
    sandbox.misbehave(faults.TruncatedXml())
    body = client.fetch(reference)
    assert body.startswith(b"<?xml")
    with pytest.raises(IncompleteAnswerError):
        client.read(body)


def test_a_page_for_people_is_not_taken_for_the_answer(
    client: Nummervoorziening, sandbox: Watched, clock: FixedClock
) -> None:
    """A gateway's; the answer itself is still to be had."""
    reference = client.submit_hashes({1: PUPIL})
    clock.sleep(PROCESSING)
    for page in (faults.HtmlAsXml(), faults.NotJson()):
        sandbox.misbehave(page)
        with pytest.raises(ProtocolViolationError):
            client.fetch(reference)
    sandbox.misbehave(faults.WrongContentType())
    assert client.read(client.fetch(reference)).found == {1: PUPIL_STAM}


@pytest.mark.assumed("eckid-production-form")
def test_an_answer_with_pseudonyms_of_production_is_refused_in_a_test(
    pki: Path, clock: FixedClock
) -> None:
    live = Facility(Environment.PRODUCTIE, now=clock.now)
    with Watched(pki, clock, live) as sandbox:
        salt = "test:rktYml0MIp9TC9u6Ny6uqw=="
        desk = Desk(sandbox, clock, omgeving="test", salt=salt)
        with pytest.raises(WrongEnvironmentError):
            desk.client.stampseudoniem(PUPIL)
        reference = desk.client.submit_hashes({1: PUPIL})
        clock.sleep(PROCESSING)
        with pytest.raises(WrongEnvironmentError):
            desk.client.read(desk.client.fetch(reference))
        desk.transport.close()


def test_the_limit_of_the_day_is_told_apart(client: Nummervoorziening, sandbox: Watched) -> None:
    sandbox.facility.set_rules({"per_day": 1})
    client.submit_hashes({1: PUPIL})
    with pytest.raises(DailyLimitError):
        client.submit_hashes({1: PUPIL})


def test_an_answer_of_some_mebibytes_is_bounded(
    client: Nummervoorziening, sandbox: Watched
) -> None:
    sandbox.misbehave(faults.HugeBody(count=None))
    with pytest.raises(ProtocolViolationError):
        client.ping()


# -- nothing of a person anywhere ------------------------------------------------------------------


def test_nothing_of_a_person_is_logged_or_in_an_error(
    client: Nummervoorziening, sandbox: Watched, clock: FixedClock, desk: Desk
) -> None:
    heard = io.StringIO()
    handler = logging.StreamHandler(heard)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    shown: list[str] = []
    pseudonyms: set[str] = set()
    try:
        stam = client.stampseudoniem(hpgn(11))
        pseudonyms |= {stam.reveal(), client.eck_id(stam).reveal()}
        reference = client.submit_hashes({1: hpgn(12)})
        clock.sleep(PROCESSING)
        result = client.read(client.fetch(reference))
        pseudonyms |= set(result.found.values())
        shown.append(repr(result))
        for fault in (
            faults.SoapFault(actor="InvalidHPgnException"),
            faults.SoapFault(actor="BlockedHPgnException", status=200),
            faults.SoapFault(actor=None),
            faults.SoapFault(actor=hpgn(13).reveal()),
            faults.SoapFault(actor=CANARY),
            faults.WrongPseudonym(how="malformed"),
            faults.WrongPseudonym(how="environment"),
            faults.TruncatedXml(),
            faults.Doctype(bomb=True),
        ):
            sandbox.misbehave(fault)
            for ask in (lambda: client.stampseudoniem(hpgn(13)), lambda: client.eck_id(stam)):
                try:
                    ask()
                except KoppelhubError as error:
                    shown += traceback.format_exception(error)
                    shown += [error.advice, repr(error), repr(error.args)]
                    context: BaseException | None = error
                    while context is not None:
                        shown += [str(context), repr(vars(context))]
                        context = context.__cause__ or context.__context__
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    told = "\n".join((heard.getvalue(), *shown, repr(desk.options), repr(client)))
    assert "submitStampseudonymBatch: 1 persons" in told
    assert "urn:uuid:" in told
    for secret in (*(hpgn(n).reveal() for n in (11, 12, 13)), *pseudonyms, "Voorbeeld", CANARY):
        assert secret not in told
        assert secret[-64:] not in told


# -- check -----------------------------------------------------------------------------------------


def test_a_good_koppeling_passes_every_layer_and_asks_for_nobody(
    desk: Desk, sandbox: Watched
) -> None:
    layers = [Layer.NETWORK, Layer.TLS, Layer.LOGIN, Layer.RIGHTS, Layer.SHAPE]
    assert desk.check() == [(layer, True, "") for layer in layers]
    assert set(sandbox.facility.counts.operations) == {"ping", "retrieveChains", "retrieveSectors"}


def test_another_version_is_told_and_is_no_failure(desk: Desk, sandbox: Watched) -> None:
    sandbox.misbehave(faults.WrongVersion(count=None))
    (*_, (layer, ok, advice)) = desk.check()
    assert (layer, ok) == (Layer.SHAPE, True)
    assert "versie" in advice


def test_each_failure_has_its_layer(sandbox: Watched, clock: FixedClock, tmp_path: Path) -> None:
    desk = Desk(sandbox, clock)
    sandbox.misbehave(faults.NotAvailable())
    assert desk.failing()[0] is Layer.NETWORK
    sandbox.misbehave(faults.Reset(count=3))
    assert desk.failing()[0] is Layer.NETWORK
    sandbox.misbehave(faults.Forbidden())
    assert desk.failing()[0] is Layer.LOGIN
    sandbox.misbehave(faults.NotFound())
    assert desk.failing()[0] is Layer.NETWORK
    sandbox.misbehave(faults.TruncatedXml())
    assert desk.failing()[0] is Layer.SHAPE
    sandbox.eckid.command("deny", {"oin": SCHOOL})
    layer, advice = desk.failing()
    assert (layer, "overeenkomst" in advice) == (Layer.RIGHTS, True)
    sandbox.eckid.command("allow", {"oin": SCHOOL})
    sandbox.facility.withdraw(SECTOR)
    layer, advice = desk.failing()
    assert (layer, "`sector`" in advice) == (Layer.SHAPE, True)
    sandbox.facility.restore()
    desk.transport.close()
    elsewhere = Certificates(tmp_path)
    distrusting = Desk(sandbox, clock, ca_file=str(elsewhere.authority))
    assert distrusting.failing()[0] is Layer.TLS
    distrusting.transport.close()


def test_a_certificate_that_is_not_admitted_is_a_matter_of_login(
    sandbox: Watched, clock: FixedClock, tmp_path: Path
) -> None:
    strange = Certificates(tmp_path).client(CALLER)
    desk = Desk(
        sandbox, clock, client_certificate=str(strange.certificate), client_key=str(strange.key)
    )
    layer, advice = desk.failing()
    assert (layer, "certificaat" in advice) == (Layer.LOGIN, True)
    with pytest.raises(AuthenticationError) as caught:
        desk.client.stampseudoniem(PUPIL)
    assert "client_certificate" in caught.value.advice
    desk.transport.close()


@pytest.mark.parametrize(
    ("reason", "ours"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", True),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", True),
        ("TLSV1_ALERT_UNKNOWN_CA", True),
        ("TLSV1_ALERT_PROTOCOL_VERSION", False),
        ("CERTIFICATE_VERIFY_FAILED", False),
        (None, False),
    ],
)
def test_only_an_alert_about_a_certificate_is_about_ours(reason: str | None, ours: bool) -> None:
    cause = ssl.SSLError()
    cause.reason = reason  # type: ignore[assignment]  # it may be absent
    error = ProtocolViolationError("ping", where="tls")
    error.__cause__ = OSError()
    error.__cause__.__context__ = cause
    assert is_refused_certificate(error) is ours


def test_hashing_that_is_wrong_is_found_by_the_check(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.eckid.hashing._derive", lambda *given: "0" * 64)
    assert desk.failing()[0] is Layer.SHAPE
