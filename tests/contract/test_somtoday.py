"""The Somtoday connector against its sandbox: the common suite, and each misbehaviour's outcome."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from config.clock import FixedClock
from connectors.base import Layer, Link, Page, Scope
from connectors.errors import (
    AuthenticationError,
    ConnectorError,
    ProtocolViolationError,
    RateLimitedError,
    RequestRefusedError,
    SourceUnavailableError,
)
from connectors.protocols.rest import Limits
from connectors.somtoday.connector import SOMTODAY, SomtodayConnector
from fixtures.sandbox import faults
from fixtures.sandbox.faults import AnyFault
from fixtures.sandbox.somtoday import SomtodaySandbox
from fixtures.school.pages import Pages
from fixtures.school.plan import plan_school
from fixtures.school.school import School
from tests.contract.conftest import SandboxMaker
from tests.contract.suite import ConnectorSuite, Fault, Harness, keys, read

PUPILS = 60
PAGE_SIZE = 10

_FAULTS: dict[Fault, AnyFault] = {
    Fault.SHORT_PAGE: faults.ShortPage(after=1, drop=3),
    Fault.EMPTY_PAGE: faults.EmptyPage(after=1),
    Fault.REPEATED_PAGE: faults.RepeatedPage(after=1),
    Fault.SKIPPED_PAGE: faults.SkippedPage(after=1),
    Fault.DOUBLE: faults.DuplicateRecord(after=1),
    Fault.NO_KEY: faults.MissingField(after=1, at=3),
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
    Fault.REFUSED: faults.Unauthorized(after=1, count=2),
}


class SomtodayHarness(Harness):
    """A school of two locations that share different fields."""

    def __init__(self, sandbox: SomtodaySandbox) -> None:
        self.sandbox = sandbox
        self.school = sandbox.school
        self.clock = FixedClock(datetime(2026, 11, 2, 3, tzinfo=UTC))
        self.today = date(2026, 11, 2)
        self.path = f"/{self.school.vestiging_uuid(0)}/leerling"
        self.made: list[SomtodayConnector] = []

    def connect(
        self, *, timeout: timedelta = timedelta(seconds=10), **options: str
    ) -> SomtodayConnector:
        link = Link(
            "proef",
            {
                "api_base": self.sandbox.api_base,
                "token_url": self.sandbox.token_url,
                "organisation": self.school.uuid,
                "client_id": self.sandbox.credentials.client_id,
                "client_secret": self.sandbox.credentials.client_secret,
                "page_size": str(PAGE_SIZE),
                "per_second": "0",
                **options,
            },
            resources=tuple(resource.name for resource in SOMTODAY.manifest.resources),
        )
        limits = Limits(total=timeout, body_bytes=1_000_000)
        connector = SOMTODAY.connect(link, clock=self.clock, limits=limits)
        self.made.append(connector)
        return connector

    def scope(self, resource: str = "leerling", vestiging: int = 0, peil: str = "HUIDIG") -> Scope:
        return Scope(resource, f"{self.school.vestiging_uuid(vestiging)}/{peil}")

    def persons(self, scopes: Iterable[Scope]) -> Scope:
        return next(scope for scope in scopes if scope == self._like(scope))

    def _like(self, scope: Scope) -> Scope | None:
        wanted = self.scope()
        same = (scope.resource, scope.key) == (wanted.resource, wanted.key)
        return scope if same else None

    def truth(self, scope: Scope) -> list[str]:
        school = self.school
        if scope.resource == "instelling":
            return [school.uuid]
        count = len(school.population.sizes)
        if scope.resource == "vestiging":
            return [school.vestiging_uuid(number) for number in range(count)]
        uuid, _, peil = scope.key.partition("/")
        vestiging = school.vestiging_of(uuid)
        assert vestiging is not None
        resource = "leerling" if scope.resource.endswith("dossier") else scope.resource
        page = Pages(school).page(
            resource,
            vestiging,
            peil=school.peil(peil or None),
            offset=0,
            amount=10**6,
            permissions=False,
        )
        (records,) = msgspec.json.decode(page).values()
        return [record["uuid"] for record in records]

    def misbehave(self, fault: Fault) -> None:
        self.arm(_FAULTS[fault])

    def arm(self, fault: AnyFault) -> None:
        """Do this when the pupils of the first location are asked."""
        self.sandbox.misbehave(msgspec.structs.replace(fault, path=self.path))

    def canaries(self) -> frozenset[str]:
        page = Pages(self.school).page(
            "leerling", 0, peil=self.school.peil("HUIDIG"), offset=0, amount=200, permissions=False
        )
        pupils = msgspec.json.decode(page)["leerlingen"]
        names = ("achternaam", "voornamen", "emailadres", "geboortedatum", "eckid", "mobielnummer")
        found = {str(pupil[name]) for pupil in pupils for name in names if name in pupil}
        found |= {str(pupil.get("adres", {}).get("straat", "")) for pupil in pupils}
        found.add(self.sandbox.credentials.client_secret)
        return frozenset(value for value in found if len(value) >= 6)


@pytest.fixture
def somtoday(checked_sandbox: SandboxMaker) -> Iterator[SomtodayHarness]:
    """Every exchange with this sandbox is held against the published description."""
    made = SomtodayHarness(checked_sandbox(School(plan_school(PUPILS))))
    yield made
    for connector in made.made:
        connector.close()


@pytest.fixture
def harness(somtoday: SomtodayHarness) -> SomtodayHarness:
    return somtoday


class TestSomtodayAsAnyConnector(ConnectorSuite):
    """The common suite."""

    @pytest.fixture
    def harness(self, somtoday: SomtodayHarness) -> Harness:
        return somtoday


def test_every_path_and_parameter_is_one_that_somtoday_has(harness: SomtodayHarness) -> None:
    connector = harness.connect()
    for scope in connector.scopes(today=date(2027, 6, 1)):
        read(connector.snapshot(scope))
    connector.check()
    statuses = {recorded.status for recorded in harness.sandbox.requests}
    assert statuses == {200}  # the sandbox answers 400 to an unknown parameter, 302 to a slash


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (faults.EmptyPage(after=1), "inserted or deleted"),
        (faults.RepeatedPage(after=1), "inserted or deleted"),
        (faults.SkippedPage(after=1), "inserted or deleted"),
        (faults.RecordInserted(after=1), "inserted or deleted"),
        (faults.RecordDeleted(after=1), "inserted or deleted"),
        (faults.DuplicateRecord(after=1), "came twice"),
        (faults.DuplicateRecord(), "came twice"),
        (faults.MissingField(after=1, at=3), "no usable key"),
        (faults.MissingField(at=9), "no usable key"),
        (faults.WrongValue(field="uuid", value="x"), "no usable key"),
        (faults.NarrowedPermissions(after=1), "permissions changed"),
    ],
)
def test_what_may_have_cost_a_record_is_not_complete(
    harness: SomtodayHarness, fault: AnyFault, reason: str
) -> None:
    harness.arm(fault)
    reading = harness.connect().snapshot(harness.scope())
    read(reading)
    assert not reading.completeness.complete
    assert reason in reading.completeness.reason
    assert harness.sandbox.board.unmet == []


@pytest.mark.parametrize(
    "fault",
    [
        faults.ShortPage(after=1, drop=3),
        faults.ShortPage(drop=9),
        faults.EmptyPage(),
        faults.RateLimited(after=1, retry_after=9),
        faults.RateLimited(after=1, retry_after=None, count=3),
        faults.ServerError(after=1, status=503, count=3),
        faults.Reset(after=1, count=3),
        faults.CutBody(after=1, count=3),
        faults.ExpiredToken(after=2),
        faults.UnknownField(count=None),
        faults.WrongValue(field="plaatsingen[0].leerjaar", value="drie"),
        faults.ImpossibleDate(at=2),
        faults.MixedDatetime(at=2),
        faults.MissingField(field="achternaam"),
    ],
)
def test_what_costs_no_record_leaves_the_reading_complete(
    harness: SomtodayHarness, fault: AnyFault
) -> None:
    harness.arm(fault)
    reading = harness.connect().snapshot(harness.scope())
    assert keys(read(reading)) == harness.truth(harness.scope())
    assert reading.completeness.complete, reading.completeness.reason
    assert harness.sandbox.board.unmet == []


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (faults.ServerError(after=1, count=None), SourceUnavailableError),
        (faults.Reset(after=1, count=None), SourceUnavailableError),
        (faults.RateLimited(after=1, retry_after=86400), RateLimitedError),
        (faults.Unauthorized(after=1, count=None), RequestRefusedError),
        (faults.Forbidden(after=1), RequestRefusedError),
        (faults.NotFound(after=1), RequestRefusedError),
        (faults.Redirect(after=1), ProtocolViolationError),
        (faults.TruncatedJson(after=1), ProtocolViolationError),
        (faults.NotJson(after=1), ProtocolViolationError),
        (faults.WrongContentType(after=1), ProtocolViolationError),
        (faults.HugeBody(after=1), ProtocolViolationError),
        (faults.HugeBody(after=1, size_bytes=5_000_000), ProtocolViolationError),
    ],
)
def test_what_cannot_be_read_ends_the_scope_by_its_class(
    harness: SomtodayHarness, fault: AnyFault, kind: type[ConnectorError]
) -> None:
    harness.arm(fault)
    reading = harness.connect().snapshot(harness.scope())
    pages: list[Page] = []
    with pytest.raises(ConnectorError) as caught:
        pages.extend(reading)
    assert type(caught.value) is kind
    assert caught.value.operation == "GET leerling"
    assert keys(pages) == harness.truth(harness.scope())[:PAGE_SIZE]
    assert not reading.completeness.complete


def test_a_narrowed_permission_hands_over_nothing_under_the_old_contract(
    harness: SomtodayHarness,
) -> None:
    harness.arm(faults.NarrowedPermissions(after=1))
    reading = harness.connect().snapshot(harness.scope())
    assert keys(read(reading)) == harness.truth(harness.scope())[:PAGE_SIZE]
    assert reading.contract.delivers("emailadres")
    again = harness.connect().snapshot(harness.scope())
    read(again)
    assert not again.contract.delivers("emailadres")
    assert again.completeness.complete


def test_a_page_that_never_comes_is_asked_in_halves(harness: SomtodayHarness) -> None:
    harness.arm(faults.Hang(query="amount=40"))
    connector = harness.connect(timeout=timedelta(seconds=0.3), page_size="40")
    reading = connector.snapshot(harness.scope())
    assert keys(read(reading)) == harness.truth(harness.scope())
    assert reading.completeness.complete
    harness.sandbox.release()


def test_a_location_that_refuses_leaves_the_other_readable(harness: SomtodayHarness) -> None:
    harness.arm(faults.Unauthorized(count=None))
    connector = harness.connect()
    with pytest.raises(RequestRefusedError):
        read(connector.snapshot(harness.scope()))
    other = harness.scope(vestiging=1)
    assert keys(read(connector.snapshot(other))) == harness.truth(other)


def test_next_year_may_be_refused_alone(harness: SomtodayHarness) -> None:
    harness.sandbox.misbehave(faults.Unauthorized(query="VOLGEND", count=None))
    connector = harness.connect()
    with pytest.raises(RequestRefusedError) as caught:
        read(connector.snapshot(harness.scope(peil="VOLGEND")))
    assert caught.value.code == "401"
    assert keys(read(connector.snapshot(harness.scope()))) == harness.truth(harness.scope())


def test_progress_files_without_right_are_refused_alone(harness: SomtodayHarness) -> None:
    harness.sandbox.misbehave(faults.Forbidden(path="voortgangsdossier", count=None))
    connector = harness.connect()
    with pytest.raises(RequestRefusedError) as caught:
        read(connector.snapshot(harness.scope("voortgangsdossier")))
    assert caught.value.code == "403"
    assert connector.snapshot(harness.scope()).completeness is not None
    assert keys(read(connector.snapshot(harness.scope()))) == harness.truth(harness.scope())


def test_a_busy_token_endpoint_is_waited_for(harness: SomtodayHarness) -> None:
    harness.sandbox.misbehave(faults.RateLimited(path="/oauth2/token", retry_after=11))
    read(harness.connect().snapshot(harness.scope()))
    assert harness.clock.slept >= timedelta(seconds=11)


def test_wrong_credentials_stop_the_source(harness: SomtodayHarness) -> None:
    secret = harness.sandbox.credentials.client_secret.strip()
    connector = harness.connect(client_secret=secret)  # trimmed is not the same secret
    with pytest.raises(AuthenticationError):
        connector.scopes(today=harness.today)
    assert [r.layer for r in connector.check() if not r.ok] == [Layer.LOGIN]


def test_check_reads_no_person(harness: SomtodayHarness) -> None:
    assert all(result.ok for result in harness.connect().check())
    lists = [r for r in harness.sandbox.requests if r.path.endswith("/leerling")]
    assert lists
    assert all("uuid" in recorded.query_names for recorded in lists)


def test_two_locations_have_contracts_of_their_own(harness: SomtodayHarness) -> None:
    connector = harness.connect()
    wide, narrow = (connector.snapshot(harness.scope(vestiging=v)) for v in (0, 1))
    read(wide)
    read(narrow)
    assert wide.contract.delivers("eckid")
    assert not narrow.contract.delivers("eckid")
    assert not narrow.contract.delivers("plaatsingen.mentoren")
    assert narrow.contract.delivers("plaatsingen.mentoren.EersteMentorStamgroep")
