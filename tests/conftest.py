"""Databases for tests, and the hypothesis profiles.

`sqlite_url`, `postgres_url` and `database_url` (both) are fresh and empty; `ready_url` (both) has
the current schema, and no keys yet; `store` (both) is that, opened. The PostgreSQL server comes
from a wheel, one per test process, and goes with it.
Whatever a Somtoday sandbox answers in any test is judged by the published description.
"""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from fixtures.sandbox.recorder import VARIABLE
from sync_engine.store.engine import Store
from tests.support.judge import Court, published
from tests.support.postgres import PostgresServer, quick_folder
from tests.support.template import sqlite_template

if memory := quick_folder():  # SQLite waits for the disk at every close
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", memory)

settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile(
    "long", settings.get_profile("ci"), derandomize=False, max_examples=10_000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

__all__ = ["PostgresServer"]  # where tests looked for it before

BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]

LONGEST = frozenset({"test_kill.py", "test_convergence.py"})

gc.disable()  # until all is collected, of which nothing is garbage


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: one that began last would keep the other workers waiting."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """What was collected stays until the end: the garbage collector need not look at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
    gc.enable()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server of this test process. Without one the tests are skipped, and fail in CI."""
    folder = Path(tempfile.mkdtemp(prefix="koppelhub-pg-", dir=quick_folder()))
    try:
        server = PostgresServer(folder)
    except Exception as exc:
        shutil.rmtree(folder, ignore_errors=True)
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"PostgreSQL does not start here: {type(exc).__name__}: {exc}")
    yield server
    server.close()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite database that is not there yet."""
    return f"sqlite:///{tmp_path / 'hub.db'}"


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """An empty PostgreSQL database."""
    name = postgres_server.create()
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture(params=BOTH)
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database, on each of the two in turn."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def ready_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A PostgreSQL database of the current schema that nobody has used."""
    with postgres_server.ready_url() as url:
        yield url


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "hub.db"
    sqlite_template(path)
    return path


@pytest.fixture
def ready_sqlite_url(sqlite_url: str) -> str:
    """A SQLite database of the current schema that nobody has used."""
    sqlite_template(Path(sqlite_url.removeprefix("sqlite:///")))
    return sqlite_url


@pytest.fixture(params=BOTH)
def ready_url(request: pytest.FixtureRequest) -> str:
    """A database of the current schema that nobody has used, on each of the two in turn."""
    return str(request.getfixturevalue(f"ready_{request.param}_url"))


@pytest.fixture
def sqlite_store(ready_sqlite_url: str) -> Iterator[Store]:
    """A SQLite database of the current schema, opened."""
    with Store.open(ready_sqlite_url) as store:
        yield store


@pytest.fixture
def postgres_store(postgres_server: PostgresServer) -> Iterator[Store]:
    """A PostgreSQL database of the current schema, opened."""
    with postgres_server.ready_store() as store:
        yield store


@pytest.fixture(params=BOTH)
def store(request: pytest.FixtureRequest) -> Store:
    """A database of the current schema, opened, on each of the two in turn."""
    found = request.getfixturevalue(f"{request.param}_store")
    assert isinstance(found, Store)
    return found


@pytest.fixture(scope="session", autouse=True)
def _court(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Court | None]:
    """Every sandbox of this session, in whatever process, records for it."""
    judge = published()
    if judge is None:
        yield None
        return
    folder = tmp_path_factory.mktemp("exchanges")
    court = Court(folder, judge)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(folder))
        yield court
    rest = court.problems()
    shutil.rmtree(folder)
    assert rest == []


@pytest.fixture(autouse=True)
def _judged(request: pytest.FixtureRequest, _court: Court | None) -> Iterator[None]:
    """Every request and answer since the test before fits the description, or this test fails."""
    yield
    if _court is not None:
        asks_wrongly = request.node.get_closest_marker("asks_wrongly") is not None
        problems = _court.problems(requests=not asks_wrongly)
        assert problems == []


_MAY_SKIP = frozenset({"needs_shared_specs"})
"""Markers of tests that need what a machine may not have, in CI either."""


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Under CI a skipped test is a failure; elsewhere pytest names what it skipped and why."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") != "true" or reporter is None or hasattr(session.config, "workerinput"):
        return
    skipped = [
        report.nodeid
        for report in reporter.stats.get("skipped", ())
        if not _MAY_SKIP & set(report.keywords)
    ]
    if skipped:
        reporter.write_line(f"skipped in CI, and so failed: {', '.join(skipped)}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
