"""Which organisation a school is: asked of Somtoday's own list by BRIN, without any key."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from config.clock import FixedClock
from config.errors import ConfigurationError
from connectors.base import Directory
from connectors.errors import ConnectorError, ProtocolViolationError, RequestRefusedError
from connectors.registry import factory
from connectors.somtoday.discovery import organisations
from fixtures.sandbox import faults
from fixtures.sandbox.faults import AnyFault
from fixtures.sandbox.somtoday import SomtodaySandbox
from fixtures.school.plan import plan_school
from fixtures.school.school import School
from tests.contract.conftest import SandboxMaker

CLOCK = FixedClock(datetime(2026, 11, 2, tzinfo=UTC))


@pytest.fixture
def sandbox(checked_sandbox: SandboxMaker) -> SomtodaySandbox:
    return checked_sandbox(School(plan_school(5)))


def asked(sandbox: SomtodaySandbox, brin: str = "99XX") -> list[tuple[str, tuple[str, ...]]]:
    found = organisations({"api_base": sandbox.api_base}, brin=brin, clock=CLOCK)
    return [(one.key, one.brins) for one in found]


def test_a_school_is_found_by_its_brin_and_no_token_is_asked(sandbox: SomtodaySandbox) -> None:
    ((key, brins),) = asked(sandbox)
    assert key == sandbox.school.uuid
    assert "99XX" in brins
    assert [request.path for request in sandbox.requests] == ["/rest/v1/connect/instelling"]


def test_a_school_that_is_not_listed_is_not_found(sandbox: SomtodaySandbox) -> None:
    assert asked(sandbox, "99YY") == []


def test_another_school_in_the_answer_is_left_out(sandbox: SomtodaySandbox) -> None:
    """The list may answer with everybody, whatever was asked."""
    sandbox.misbehave(
        faults.WrongValue(path="instelling", at=0, field="brins", value=["99YY"]),
    )
    assert asked(sandbox) == []


def test_somtoday_is_a_directory_and_says_which_setting_it_fills() -> None:
    somtoday, magister = factory("somtoday"), factory("magister")
    assert isinstance(somtoday, Directory)
    assert somtoday.organisation_setting == "organisation"
    assert not isinstance(magister, Directory)


@pytest.mark.parametrize("brin", ["99XX00", "", "../..", "99X&naam=a"])
def test_what_is_no_brin_is_not_asked(sandbox: SomtodaySandbox, brin: str) -> None:
    with pytest.raises(ConfigurationError):
        asked(sandbox, brin)
    assert sandbox.requests == []


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (faults.NotJson(path="instelling"), ProtocolViolationError),
        (faults.TruncatedJson(path="instelling"), ProtocolViolationError),
        (faults.Redirect(path="instelling"), ProtocolViolationError),
        (faults.Forbidden(path="instelling"), RequestRefusedError),
        (faults.HugeBody(path="instelling"), ProtocolViolationError),
        (faults.WrongValue(path="instelling", at=0, field="brins", value="99XX"), ConnectorError),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_answer_that_is_not_right_finds_nobody(
    sandbox: SomtodaySandbox, fault: AnyFault, kind: type[ConnectorError]
) -> None:
    sandbox.misbehave(fault)
    with pytest.raises(kind):
        asked(sandbox)
