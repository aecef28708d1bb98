"""Installations for the tests of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.shell import Shell, shell_of


@pytest.fixture
def shell(ready_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A fresh installation on each database."""
    yield from shell_of(tmp_path, monkeypatch, url=ready_url)


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A fresh installation on SQLite."""
    yield from shell_of(tmp_path, monkeypatch)
