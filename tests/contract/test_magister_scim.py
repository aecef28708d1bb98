"""Magister's user accounts against the sandbox's SCIM: the common suite, and what is special."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import msgspec
import pytest

from config.clock import FixedClock
from config.errors import ConfigurationError
from connectors.base import Connector, Layer, Link, Scope
from connectors.errors import (
    AuthenticationError,
    ConnectorError,
    ProtocolViolationError,
    RateLimitedError,
    RequestRefusedError,
    SourceUnavailableError,
)
from connectors.magister.connector import MAGISTER
from connectors.magister.scim_connector import RESOURCE
from connectors.protocols.rest import Limits
from fixtures.sandbox import faults
from fixtures.sandbox.faults import AnyFault
from fixtures.sandbox.magister import MagisterSandbox
from fixtures.sandbox.tls import Certificates, serve_with
from fixtures.school.plan import plan_school
from fixtures.school.population import Leerling, Medewerker
from fixtures.school.school import School, Selection
from tests.contract.suite import ConnectorSuite, Fault, Harness, keys, read

PUPILS = 130  # two pages

_FAULTS: dict[Fault, AnyFault] = {
    Fault.SHORT_PAGE: faults.ShortPage(after=1, drop=3),
    Fault.EMPTY_PAGE: faults.EmptyPage(after=1),
    Fault.REPEATED_PAGE: faults.RepeatedPage(after=1),
    Fault.SKIPPED_PAGE: faults.SkippedPage(after=1),
    Fault.DOUBLE: faults.DuplicateRecord(after=1),
    Fault.NO_KEY: faults.MissingField(after=1, at=3, field="id"),
    Fault.WRONG_OPTIONAL: faults.WrongValue(after=1, at=3, field="userName", value=7),
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


class ScimHarness(Harness):
    """A school whose accounts fill two pages."""

    def __init__(self, sandbox: MagisterSandbox) -> None:
        self.sandbox = sandbox
        self.clock = FixedClock(datetime(2026, 11, 2, 3, tzinfo=UTC))
        self.today = date(2026, 11, 2)
        self.made: list[Connector] = []

    def connect(self, **options: str) -> Connector:
        link = Link(
            "proef",
            {
                "mode": "scim",
                "scim_url": self.sandbox.scim_base,
                "token_url": self.sandbox.token_url,
                "client_id": self.sandbox.client.client_id,
                "client_secret": self.sandbox.client.client_secret,
                "per_second": "0",
                **options,
            },
        )
        limits = Limits(total=timedelta(seconds=10), body_bytes=1 << 20)
        connector = MAGISTER.connect(link, clock=self.clock, limits=limits)
        self.made.append(connector)
        return connector

    def scope(self) -> Scope:
        (scope,) = self.connect().scopes(today=self.today)
        return scope

    def persons(self, scopes: Iterable[Scope]) -> Scope:
        (scope,) = scopes
        return scope

    def truth(self, scope: Scope) -> list[str]:
        assert scope.resource == RESOURCE
        school = self.sandbox.school
        today = school.peil()._replace(selection=Selection.TODAY)
        return [
            self.sandbox.magister.scim.user_id(key)
            for vestiging in range(len(school.population.sizes))
            for key in school.keys("leerling", vestiging, peil=today, offset=0, amount=10**6)
            if isinstance(key, Leerling)
        ]

    def misbehave(self, fault: Fault) -> None:
        self.arm(_FAULTS[fault])

    def arm(self, fault: AnyFault, *, path: str = "/scim/Users") -> None:
        self.sandbox.misbehave(msgspec.structs.replace(fault, path=path))

    def accounts(self) -> list[dict[str, object]]:
        """The first users, as another program reads them."""
        own = self.sandbox.client
        form = {"grant_type": "client_credentials", "client_id": own.client_id}
        with httpx.Client() as http:
            token = http.post(
                self.sandbox.token_url, data={**form, "client_secret": own.client_secret}
            ).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            found = http.get(f"{self.sandbox.scim_base}/Users?count=200", headers=headers).json()
        users: list[dict[str, object]] = found["Resources"]
        return users

    def canaries(self) -> frozenset[str]:
        found = {self.sandbox.client.client_secret}
        for user in self.accounts():
            name = msgspec.convert(user["name"], dict[str, str])
            found |= {str(user["id"]), str(user["userName"]), name["familyName"]}
        self.sandbox.forget_requests()
        return frozenset(value for value in found if len(value) >= 6)


@pytest.fixture(scope="module")
def school() -> School:
    return School(plan_school(PUPILS))


@pytest.fixture
def harness(school: School) -> Iterator[ScimHarness]:
    with MagisterSandbox(School(school.plan)) as sandbox:
        made = ScimHarness(sandbox)
        yield made
        for connector in made.made:
            connector.close()


class TestScimAsAnyConnector(ConnectorSuite):
    """The common suite."""

    @pytest.fixture
    def harness(self, school: School) -> Iterator[Harness]:
        with MagisterSandbox(School(school.plan)) as sandbox:
            yield ScimHarness(sandbox)


def test_every_path_and_parameter_is_one_that_the_server_has(harness: ScimHarness) -> None:
    connector = harness.connect()
    read(connector.snapshot(harness.scope()))
    connector.check()
    assert {
        (asked.path, asked.query_names, asked.status) for asked in harness.sandbox.requests
    } == {
        ("/connect/token", (), 200),
        ("/scim/Schemas", (), 200),
        ("/scim/Users", ("count", "startIndex"), 200),
    }


def test_staff_are_counted_and_not_delivered(
    harness: ScimHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing that is known of a user says that he is staff."""
    school = harness.sandbox.school
    staff = {
        harness.sandbox.magister.scim.user_id(key)
        for key in school.keys("medewerker", 0, peil=school.peil("HUIDIG"), offset=0, amount=999)
        if isinstance(key, Medewerker)
    }
    caplog.set_level("INFO", "connectors.magister.users")
    reading = harness.connect().snapshot(harness.scope())
    found = set(keys(read(reading)))
    assert reading.completeness.complete
    assert staff
    assert not found & staff
    assert f"{len(found)} pupils; " in caplog.text
    assert "; 0 without" not in caplog.text


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (faults.ShortPage(after=1, drop=3), "another number of users"),
        (faults.EmptyPage(after=1), "another number of users"),
        (faults.RepeatedPage(after=1), "another page"),
        (faults.SkippedPage(after=1), "another page"),
        (faults.RecordInserted(after=1), "total changed"),
        (faults.RecordDeleted(after=1), "total changed"),
        (faults.DuplicateRecord(after=1), "another number of users"),
        (faults.MissingField(after=1, at=3, field="id"), "no usable id"),
        (faults.WrongValue(field="id", value=7), "no usable id"),
    ],
)
def test_what_may_have_cost_a_pupil_is_not_complete(
    harness: ScimHarness, fault: AnyFault, reason: str
) -> None:
    harness.arm(fault)
    reading = harness.connect().snapshot(harness.scope())
    read(reading)
    assert not reading.completeness.complete
    assert reason in reading.completeness.reason
    assert harness.sandbox.board.unmet == []


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (faults.ServerError(after=1, count=None), SourceUnavailableError),
        (faults.RateLimited(after=1, retry_after=86400), RateLimitedError),
        (faults.Unauthorized(after=1, count=None), RequestRefusedError),
        (faults.Forbidden(after=1), RequestRefusedError),
        (faults.NotFound(after=1), RequestRefusedError),
        (faults.Redirect(after=1), ProtocolViolationError),
        (faults.NotJson(after=1), ProtocolViolationError),
        (faults.WrongContentType(after=1), ProtocolViolationError),
    ],
)
def test_what_cannot_be_read_ends_the_scope_by_its_class(
    harness: ScimHarness, fault: AnyFault, kind: type[ConnectorError]
) -> None:
    harness.arm(fault)
    reading = harness.connect().snapshot(harness.scope())
    with pytest.raises(ConnectorError) as caught:
        read(reading)
    assert type(caught.value) is kind
    assert caught.value.operation == "GET Users"
    assert not reading.completeness.complete


def test_refused_credentials_stop_the_source(harness: ScimHarness) -> None:
    reading = harness.connect(client_secret="een ander").snapshot(harness.scope())
    with pytest.raises(AuthenticationError):
        read(reading)


@pytest.mark.parametrize("key", ["", ".", "..", "../Schemas", "a/b?c#d", "é", "%2e%2e"])
def test_a_key_stays_one_segment_of_the_path(harness: ScimHarness, key: str) -> None:
    reading = harness.connect().lookup(harness.scope(), keys=[key])
    assert keys(read(reading)) == []
    asked = {one.path for one in harness.sandbox.requests} - {"/connect/token", "/scim/Schemas"}
    assert all(path.startswith("/scim/Users/") and path.count("/") == 3 for path in asked)


# -- check -----------------------------------------------------------------------------------------


def test_check_proves_every_layer_and_reads_no_user(harness: ScimHarness) -> None:
    results = harness.connect().check()
    assert [result.layer for result in results] == list(Layer)
    assert all(result.ok for result in results)
    assert "users" in results[-1].message


@pytest.mark.parametrize(
    ("path", "fault", "layer"),
    [
        ("/connect/token", faults.Reset(count=None), Layer.NETWORK),
        ("/connect/token", faults.Unauthorized(), Layer.LOGIN),
        ("/scim/Schemas", faults.Forbidden(), Layer.RIGHTS),
        ("/scim/Users", faults.Unauthorized(count=None), Layer.RIGHTS),
        ("/scim/Schemas", faults.NotJson(), Layer.SHAPE),
        ("/scim/Users", faults.NotFound(), Layer.NETWORK),
        ("/scim/Schemas", faults.EmptyPage(), Layer.LAYOUT),
        ("/scim/Users", faults.WrongContentType(), Layer.SHAPE),
    ],
)
def test_check_names_the_layer_that_fails(
    harness: ScimHarness, path: str, fault: AnyFault, layer: Layer
) -> None:
    harness.arm(fault, path=path)
    *passed, failed = harness.connect().check()
    assert all(result.ok for result in passed)
    assert (failed.layer, failed.ok) == (layer, False)
    assert failed.advice


def test_check_names_the_attribute_that_is_not_there(harness: ScimHarness) -> None:
    failed = harness.connect(scim_number="leerlingnummer").check()[-1]
    assert failed.layer is Layer.LAYOUT
    assert "scim_number" in failed.advice


def test_check_finds_a_closed_port(harness: ScimHarness) -> None:
    connector = harness.connect()
    harness.sandbox.stop()
    (failed,) = connector.check()
    assert failed.layer is Layer.NETWORK


def test_check_finds_a_certificate_that_is_not_trusted(school: School, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    with MagisterSandbox(School(school.plan), tls=serve_with(certificates.server())) as sandbox:
        harness = ScimHarness(sandbox)
        *_, failed = harness.connect().check()
        assert failed.layer is Layer.TLS
        trusted = harness.connect(ca_bundle=str(certificates.authority)).check()
        assert all(result.ok for result in trusted)
        for connector in harness.made:
            connector.close()


@pytest.mark.parametrize("name", ["scim_number", "scim_prefix"])
@pytest.mark.parametrize("value", ["een naam", "urn:x", "1a", "a" * 101, "a\nb"])
def test_an_attribute_that_is_none_is_refused_by_its_setting(name: str, value: str) -> None:
    options = {"mode": "scim", "client_id": "x", "client_secret": "y", name: value}
    with pytest.raises(ConfigurationError, match=name) as caught:
        MAGISTER.connect(Link("proef", options))
    assert value not in str(caught.value)


def test_a_filter_that_accounts_cannot_have_is_refused() -> None:
    options = {"mode": "scim", "client_id": "x", "client_secret": "y", "klas_niet": "9.*"}
    with pytest.raises(ConfigurationError, match="klas"):
        MAGISTER.connect(Link("proef", options))
