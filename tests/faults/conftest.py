"""Databases and processes for the fault tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.arena import Arena, PostgresDatabase, SqliteFile
from tests.faults.processes import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A warm server of processes."""
    with Server() as started:
        yield started


@pytest.fixture(scope="session")
def second_server() -> Iterator[Server]:
    """Another, for two processes at once."""
    with Server() as started:
        yield started


@pytest.fixture
def postgres_database(postgres_server: Any) -> Iterator[PostgresDatabase]:
    """A PostgreSQL database that can be put back."""
    database = PostgresDatabase(postgres_server.url("postgres"))
    yield database
    database.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def arena(request: pytest.FixtureRequest, tmp_path: Path, server: Server) -> Arena:
    """An installation on each of the two databases in turn."""
    if request.param == "sqlite":
        return Arena(tmp_path, SqliteFile(tmp_path), server)
    return Arena(tmp_path, request.getfixturevalue("postgres_database"), server)
