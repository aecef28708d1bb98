"""Fixtures of the contract tests: sandboxes that are stopped, and had no bug."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Protocol

import pytest

from fixtures.sandbox.magister import MagisterSandbox
from fixtures.sandbox.somtoday import Credentials, SomtodaySandbox
from fixtures.sandbox.uwlr import UwlrSandbox
from fixtures.school.edexml import LVS, Telling
from fixtures.school.files import PageFiles
from fixtures.school.plan import plan_school
from fixtures.school.school import School
from tests.support.magister import PUPILS, MagisterHarness
from tests.support.uwlr_harness import NOW, UwlrHarness


class SandboxMaker(Protocol):
    """Starts a sandbox."""

    def __call__(
        self,
        school: School,
        *,
        credentials: Credentials | None = None,
        clock: Callable[[], float] = time.monotonic,
        files: PageFiles | None = None,
    ) -> SomtodaySandbox:
        """Start it; the fixture stops it."""


@pytest.fixture
def checked_sandbox() -> Iterator[SandboxMaker]:
    """Makes sandboxes; like those of all tests, they are judged by the published description."""
    started: list[SomtodaySandbox] = []

    def make(
        school: School,
        *,
        credentials: Credentials | None = None,
        clock: Callable[[], float] = time.monotonic,
        files: PageFiles | None = None,
    ) -> SomtodaySandbox:
        sandbox = SomtodaySandbox(school, credentials=credentials, clock=clock, files=files)
        started.append(sandbox.start())
        return sandbox

    yield make
    for sandbox in started:
        sandbox.stop()
    failures = [error for sandbox in started for error in sandbox.failures]
    assert failures == []


@pytest.fixture(scope="module")
def magister_sandbox() -> Iterator[MagisterSandbox]:
    """One Magister for all tests of a module."""
    with MagisterSandbox(School(plan_school(PUPILS))) as started:
        yield started
    assert started.failures == []


@pytest.fixture
def magister(magister_sandbox: MagisterSandbox) -> Iterator[MagisterHarness]:
    """That Magister, which behaves again after each test."""
    application = magister_sandbox.magister
    application.calls.clear()
    made = MagisterHarness(magister_sandbox)
    yield made
    for connector in made.made:
        connector.close()
    magister_sandbox.behave()
    application.denied.clear()
    given = application.administration
    given.next_year, given.eckid, given.contract = True, False, "1"


@pytest.fixture(scope="module")
def uwlr_sandbox() -> Iterator[UwlrSandbox]:
    """One administration for all tests of a module."""
    with UwlrSandbox(
        School(plan_school(40)), telling=Telling(profile=LVS), now=lambda: NOW
    ) as running:
        yield running


@pytest.fixture
def uwlr(uwlr_sandbox: UwlrSandbox) -> Iterator[UwlrHarness]:
    """That administration; every test begins with a school that behaves."""
    application = uwlr_sandbox.uwlr
    application.telling, application.grant = Telling(profile=LVS), uwlr_sandbox.grant
    application.versions, application.header = ("2.1", "2.2", "2.3"), None
    application.heard = None
    uwlr_sandbox.behave()
    uwlr_sandbox.forget_requests()
    made = UwlrHarness(uwlr_sandbox)
    yield made
    uwlr_sandbox.behave()
    for connector in made.made:
        connector.close()
