"""Fixtures of the contract tests: a Somtoday sandbox whose every exchange is judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Protocol

import pytest

from fixtures.sandbox.somtoday import Credentials, SomtodaySandbox
from fixtures.school.files import PageFiles
from fixtures.school.school import School
from tests.contract.openapi import judge


class SandboxMaker(Protocol):
    """Starts a judged sandbox."""

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
    """Makes sandboxes; at teardown every answer and request must fit the published description."""
    judged = judge()
    started: list[SomtodaySandbox] = []

    def make(
        school: School,
        *,
        credentials: Credentials | None = None,
        clock: Callable[[], float] = time.monotonic,
        files: PageFiles | None = None,
    ) -> SomtodaySandbox:
        sandbox = SomtodaySandbox(
            school, credentials=credentials, clock=clock, files=files, observer=judged.observe
        )
        started.append(sandbox.start())
        return sandbox

    yield make
    for sandbox in started:
        sandbox.stop()
    failures = [error for sandbox in started for error in sandbox.failures]
    assert failures == []
    assert judged.problems() == []
