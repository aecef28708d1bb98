"""Fixtures of the contract tests: Somtoday sandboxes that are stopped, and had no bug."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Protocol

import pytest

from fixtures.sandbox.somtoday import Credentials, SomtodaySandbox
from fixtures.school.files import PageFiles
from fixtures.school.school import School


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
