"""A connector of another package, held to the suite that every connector is held to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime

import msgspec
import pytest

from config.clock import FixedClock
from config.errors import ConfigurationError
from connectors.base import Capability, Connector, DataClass, DeliveryContract, Layer, Link, Scope
from connectors.errors import AuthenticationError, CursorExpiredError, ProtocolViolationError
from connectors.protocols.rest import Answer, Limits
from fixtures.sandbox import faults
from fixtures.sandbox.faults import AnyFault
from fixtures.sandbox.reference import ENTITIES, ReferenceSandbox
from koppelhub_referentie.connector import MANIFEST, REFERENTIE, ReferentieConnector
from koppelhub_referentie.mapping import MAPPING
from koppelhub_referentie.reading import Changes
from mappings.canonical.fields import NOT_DELIVERED
from tests.contract.suite import MENDED, ConnectorSuite, Fault, Harness, keys, read

PUPILS = 25
PAGE_SIZE = 10
TOKEN = "geheim-van-de-bron"

_FAULTS: dict[Fault, AnyFault] = {
    Fault.SHORT_PAGE: faults.ShortPage(after=1, drop=3),
    Fault.EMPTY_PAGE: faults.EmptyPage(after=1),
    Fault.REPEATED_PAGE: faults.RepeatedPage(after=1),
    Fault.SKIPPED_PAGE: faults.SkippedPage(after=1),
    Fault.DOUBLE: faults.DuplicateRecord(after=1),
    Fault.NO_KEY: faults.MissingField(after=1, at=3, field="key"),
    Fault.WRONG_OPTIONAL: faults.WrongValue(after=1, at=3, field="roepnaam"),
    Fault.INSERTED: faults.RecordInserted(after=1),
    Fault.DELETED: faults.RecordDeleted(after=1),
    Fault.RATE_LIMITED: faults.RateLimited(after=1, retry_after=7),
    Fault.SERVER_ERROR: faults.ServerError(after=1),
    Fault.RESET: faults.Reset(after=1),
    Fault.EXPIRED_TOKEN: faults.ExpiredToken(after=1),
    Fault.TRUNCATED: faults.TruncatedJson(after=1),
    Fault.NOT_JSON: faults.NotJson(after=1),
    Fault.HUGE: faults.HugeBody(after=1),
    Fault.REDIRECT: faults.Redirect(after=1),
    Fault.REFUSED: faults.Unauthorized(after=1),
}


class ReferentieHarness(Harness):
    """A source with something of every entity, and three pages of pupils."""

    def __init__(self, sandbox: ReferenceSandbox) -> None:
        self.sandbox = sandbox
        self.source = sandbox.reference
        self.clock = FixedClock(datetime(2026, 11, 2, 3, tzinfo=UTC))
        self.today = date(2026, 11, 2)
        self.made: list[ReferentieConnector] = []
        fill(sandbox)

    def connect(
        self, options: Mapping[str, str] | None = None, *, drop: str = "leerling.bsn"
    ) -> ReferentieConnector:
        given = {"base_url": self.sandbox.url, "token": TOKEN, "limit": str(PAGE_SIZE)}
        link = Link("proef", given | dict(options or {}), drop=frozenset({drop}))
        limits = Limits(body_bytes=1_000_000)
        connector = REFERENTIE.connect(link, clock=self.clock, limits=limits)
        self.made.append(connector)
        return connector

    def persons(self, scopes: Iterable[Scope]) -> Scope:
        return next(scope for scope in scopes if scope.resource == "leerling")

    def truth(self, scope: Scope) -> list[str]:
        return list(self.source.keys(scope.resource))

    def misbehave(self, fault: Fault) -> None:
        armed = msgspec.structs.replace(_FAULTS[fault], path="/v1/leerling")
        self.sandbox.misbehave(armed)

    def canaries(self) -> frozenset[str]:
        pupils = [self.source.get("leerling", key) or {} for key in self.source.keys("leerling")]
        names = ("achternaam", "roepnaam", "email", "geboortedatum", "eck_id", "bsn")
        return frozenset(str(pupil[name]) for pupil in pupils for name in names) | {TOKEN}


def fill(sandbox: ReferenceSandbox) -> None:
    """Something of every entity."""
    put = sandbox.reference.put
    put("vestiging", "v1", naam="Locatie Noord", vestigingsnummer="99XX00")
    put("opleiding", "o1", naam="Praktijkonderwijs", code="0090")
    put("vak", "wis", naam="Wiskunde", afkorting="wi", vestiging="v1")
    put("medewerker", "m1", achternaam="Docentius", personeelsnummer="17")
    put("verzorger", "z1", achternaam="Verzorgerius", mobiel="0612345678")
    for number in range(PUPILS):
        put(
            "leerling",
            f"l{number:03}",
            achternaam=f"Achternamius{number}",
            roepnaam=f"Roepnamius{number}",
            email=f"leerling{number}@voorbeeld.example",
            geboortedatum=f"2012-01-{number + 1:02}",
            eck_id=f"https://ketenid.nl/201703/{number:0128x}",
            bsn=f"99999{number:04}",
            adres={"straat": "Dorpsstraat", "huisnummer": str(number), "postcode": "1234AB"},
        )
    put("groep", "g1", naam="1a", soort="stamgroep", leerlingen=["l000"], schooljaar="2026/2027")
    put("inschrijving", "i1", leerling="l000", vestiging="v1", geldig_van="2026-08-01")
    put("verzorger_relatie", "z1/l000", verzorger="z1", leerling="l000", ouderlijk_gezag=True)


@pytest.fixture
def referentie() -> Iterator[ReferentieHarness]:
    with ReferenceSandbox(TOKEN) as sandbox:
        harness = ReferentieHarness(sandbox)
        yield harness
        for connector in harness.made:
            connector.close()


class TestReferentieAsAnyConnector(ConnectorSuite):
    """The common suite; of its faults only a renewed token is none for a token that is fixed."""

    @pytest.fixture
    def harness(self, referentie: ReferentieHarness) -> Harness:
        return referentie

    @pytest.mark.parametrize("fault", [f for f in MENDED if f is not Fault.EXPIRED_TOKEN])
    def test_what_passes_by_itself_leaves_no_trace(
        self, harness: Harness, connector: Connector, persons: Scope, fault: Fault
    ) -> None:
        super().test_what_passes_by_itself_leaves_no_trace(harness, connector, persons, fault)


def scope(name: str = "leerling") -> Scope:
    return Scope(name, "alles")


# -- what it declares ----------------------------------------------------------------------------


def test_it_reads_and_maps_every_entity_of_the_source() -> None:
    read = [one for one in MANIFEST.resources if Capability.SNAPSHOT in one.capabilities]
    assert {resource.name for resource in read} == set(ENTITIES)
    assert set(MAPPING.resources) == set(ENTITIES)
    for resource in read:
        assert Capability.DELTA in resource.capabilities


def test_what_it_delivers_is_not_read_and_only_where_it_is_asked_for() -> None:
    (delivered,) = [one for one in MANIFEST.resources if one.name not in ENTITIES]
    assert delivered.optional
    assert delivered.capabilities == {Capability.DELIVER, Capability.CONFIRM}


def test_every_record_of_the_source_is_mapped_without_problems(
    referentie: ReferentieHarness,
) -> None:
    connector = referentie.connect()
    for each in connector.scopes(today=referentie.today):
        reading = connector.snapshot(each)
        for page in reading:
            for key, body in zip(page.keys, page.bodies, strict=True):
                record = connector.parse(each.resource, body).record
                mapped = MAPPING.map(each.resource, record, contract=reading.contract, scope=each)
                assert mapped.problems == ()
                assert [made.key for made in mapped.records] == [key]


def test_a_bsn_is_cut_off_before_it_is_kept(referentie: ReferentieHarness) -> None:
    assert MANIFEST.resource("leerling").fields["bsn"] is DataClass.SPECIAL
    bsn = str((referentie.source.get("leerling", "l000") or {})["bsn"]).encode()
    for drop, expected in (("leerling.bsn", False), ("vak.bsn", True)):
        connector = referentie.connect(drop=drop)
        reading = connector.snapshot(scope())
        bodies = b"".join(body for page in reading for body in page.bodies)
        assert (bsn in bodies) is expected
        assert reading.contract.delivers("bsn") is expected


def test_left_out_is_not_delivered_and_null_is_empty(referentie: ReferentieHarness) -> None:
    referentie.source.put("leerling", "l000", achternaam="Ander", roepnaam=None)
    connector = referentie.connect()
    reading = connector.lookup(scope(), keys=["l000"])
    (page,) = read(reading)
    record = connector.parse("leerling", page.bodies[0]).record
    (made,) = MAPPING.map("leerling", record, contract=reading.contract, scope=scope()).records
    assert getattr(made, "roepnaam") is None  # noqa: B009 - of a record of any kind
    assert getattr(made, "email") is NOT_DELIVERED  # noqa: B009


# -- what it reads -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (faults.ShortPage(after=1, drop=3), "total differs"),
        (faults.EmptyPage(after=1), "total differs"),
        (faults.RepeatedPage(after=1), "came twice"),
        (faults.SkippedPage(after=1), "total differs"),
        (faults.DuplicateRecord(after=1), "came twice"),
        (faults.RecordInserted(after=1), "total differs"),
        (faults.RecordDeleted(after=1), "total differs"),
        (faults.MissingField(after=1, at=3, field="key"), "no usable key"),
    ],
)
def test_what_may_have_cost_a_record_is_not_complete_and_gives_no_cursor(
    referentie: ReferentieHarness, fault: AnyFault, reason: str
) -> None:
    referentie.sandbox.misbehave(msgspec.structs.replace(fault, path="/v1/leerling"))
    reading = referentie.connect().snapshot(scope())
    pages = read(reading)
    assert not reading.completeness.complete
    assert reason in reading.completeness.reason
    assert [page.cursor for page in pages] == [None] * len(pages)


def test_what_changes_while_it_is_read_comes_again_with_the_first_delta(
    referentie: ReferentieHarness,
) -> None:
    connector = referentie.connect()
    pages = iter(connector.snapshot(scope()))
    cursors = [next(pages).cursor]
    referentie.source.put("leerling", "l000", achternaam="Gewijzigd")
    cursors += [page.cursor for page in pages]
    assert cursors[:-1] == [None] * (len(cursors) - 1)
    (page,) = read(connector.delta(scope(), cursor=cursors[-1]))
    assert list(page.keys) == ["l000"]


def test_a_cursor_resumes_where_it_was_given(referentie: ReferentieHarness) -> None:
    connector = referentie.connect({"limit": "2"})
    start = referentie.source.cursor
    for number in range(5):
        referentie.source.put("leerling", f"l00{number}", achternaam="Gewijzigd")
    referentie.source.remove("leerling", "l009")
    pages = read(connector.delta(scope(), cursor=start))
    assert keys(pages) == [f"l00{number}" for number in range(5)]
    assert [key for page in pages for key in page.gone] == ["l009"]
    for done in range(len(pages)):
        rest = read(connector.delta(scope(), cursor=pages[done].cursor))
        assert keys(rest) == keys(pages[done + 1 :])
    assert keys(read(connector.delta(scope(), cursor=pages[-1].cursor))) == []


def test_a_change_without_a_key_stops_the_cursor(referentie: ReferentieHarness) -> None:
    connector = referentie.connect({"limit": "1"})
    start = referentie.source.cursor
    for number in range(3):
        referentie.source.put("leerling", f"l00{number}", achternaam="Gewijzigd")
    wrong = faults.WrongValue(path="leerling/changes", after=1, field="record.key", value=7)
    referentie.sandbox.misbehave(wrong)
    reading = connector.delta(scope(), cursor=start)
    pages = read(reading)
    assert keys(pages) == ["l000", "l002"]
    assert [page.cursor is None for page in pages] == [False, True, True]
    assert len(pages[1].rejected) == 1
    assert not reading.completeness.complete
    assert reading.completeness.advice


def test_a_cursor_that_is_too_old_says_so(referentie: ReferentieHarness) -> None:
    start = referentie.source.cursor
    referentie.source.forget_changes()
    with pytest.raises(CursorExpiredError) as caught:
        read(referentie.connect().delta(scope(), cursor=start))
    assert caught.value.advice
    assert start not in str(caught.value)


def test_a_cursor_that_does_not_move_ends_the_delta() -> None:
    stuck = Answer(200, "application/json", b'{"items": [], "cursor": "c1", "more": true}')
    reading = Changes(lambda *_, **__: stuck, DeliveryContract(), frozenset(), cursor="c1", limit=1)
    with pytest.raises(ProtocolViolationError, match="does not move"):
        read(reading)
    assert not reading.completeness.complete


@pytest.mark.parametrize("key", ["", ".", "..", "changes", "../leerling/l000", "l000?x=1", "?"])
def test_a_strange_key_reads_nobody(referentie: ReferentieHarness, key: str) -> None:
    assert read(referentie.connect().lookup(scope(), keys=[key])) == []


def test_a_key_with_a_slash_is_one_key(referentie: ReferentieHarness) -> None:
    reading = referentie.connect().lookup(scope("verzorger_relatie"), keys=["z1/l000", "weg"])
    assert keys(read(reading)) == ["z1/l000"]


# -- how it fails --------------------------------------------------------------------------------


def test_a_withdrawn_token_stops_the_source_with_advice(referentie: ReferentieHarness) -> None:
    connector = referentie.connect()
    referentie.misbehave(Fault.EXPIRED_TOKEN)
    with pytest.raises(AuthenticationError) as caught:
        read(connector.snapshot(scope()))
    assert caught.value.advice
    assert [result.layer for result in connector.check() if not result.ok] == [Layer.LOGIN]


@pytest.mark.parametrize(
    ("fault", "layer"),
    [
        (faults.ServerError(count=None), Layer.NETWORK),
        (faults.Unauthorized(), Layer.LOGIN),
        (faults.Forbidden(), Layer.RIGHTS),
        (faults.NotJson(), Layer.SHAPE),
    ],
)
def test_check_names_the_layer_that_fails(
    referentie: ReferentieHarness, fault: AnyFault, layer: Layer
) -> None:
    referentie.sandbox.misbehave(fault)
    results = referentie.connect().check()
    assert [result.layer for result in results if not result.ok] == [layer]
    assert results[-1].advice
    assert next(recorded.path for recorded in referentie.sandbox.requests) == "/v1/cursor"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("base_url", "http://elders.example"),
        ("base_url", ""),
        ("token", ""),
        ("token", "twee\nregels"),
        ("limit", "0"),
        ("limit", "1001"),
        ("limit", "²"),
        ("vreemd", "1"),
    ],
)
def test_a_wrong_setting_is_named_and_not_shown(
    referentie: ReferentieHarness, name: str, value: str
) -> None:
    with pytest.raises(ConfigurationError, match=name) as caught:
        referentie.connect({name: value})
    assert name in caught.value.advice
    assert len(value) < 5 or value not in str(caught.value)
