"""A database that can be put back to how it stood, and a process to run against it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Protocol

import psycopg

from sync_engine.hub import Hub
from tests.faults.child import Job, Result
from tests.faults.ledger import Ledger, core_ledger, full_ledger
from tests.faults.processes import Server
from tests.faults.school import School, init, open_hub

_numbers = count(1)


class Database(Protocol):
    """One database of either kind."""

    @property
    def url(self) -> str:
        """Where it is now."""

    def save(self) -> None:
        """Remember how it stands; nothing may be connected."""

    def restore(self) -> None:
        """Put it back to what was saved."""


class SqliteFile:
    """A file, and a copy of it."""

    def __init__(self, folder: Path) -> None:
        self._path, self._copy = folder / "hub.db", folder / "saved.db"
        self.url = f"sqlite:///{self._path}"

    def save(self) -> None:
        """Copy the file."""
        assert not self._path.with_name("hub.db-wal").exists(), "somebody is connected"
        shutil.copyfile(self._path, self._copy)

    def restore(self) -> None:
        """Copy it back; the log of the old one goes with it."""
        for suffix in ("-wal", "-shm"):
            self._path.with_name(f"hub.db{suffix}").unlink(missing_ok=True)
        shutil.copyfile(self._copy, self._path)


class PostgresDatabase:
    """A database of a server, and a template made of it."""

    def __init__(self, admin_url: str) -> None:
        self._admin_url = admin_url
        self._admin = psycopg.connect(admin_url, autocommit=True)
        self._name, self._saved = "", ""
        self._create("template0")

    @property
    def url(self) -> str:
        """The present one."""
        return self._admin_url.replace("/postgres?", f"/{self._name}?")

    def save(self) -> None:
        """Make the template."""
        if self._saved:
            self._drop(self._saved)
        self._saved = f"saved_{next(_numbers)}"
        self._copy(self._name, self._saved)

    def restore(self) -> None:
        """Another one from the template."""
        self._drop(self._name)
        self._create(self._saved)

    def close(self) -> None:
        """Remove all."""
        for name in (self._name, self._saved):
            if name:
                self._drop(name)
        self._admin.close()

    def _create(self, template: str) -> None:
        self._name = f"fault_{next(_numbers)}"
        self._copy(template, self._name)

    def _copy(self, template: str, name: str) -> None:
        self._admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")

    def _drop(self, name: str) -> None:
        self._admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


class Arena:
    """A hub on one database, run by processes of its own.

    Args:
        folder: settings, keys, results.
        database: where.
        server: starts the processes.
    """

    def __init__(self, folder: Path, database: Database, server: Server) -> None:
        self.folder, self.database, self.server = folder, database, server
        init(folder, database.url)

    def job(
        self,
        koppeling: str,
        school: School,
        *,
        kind: str = "full",
        kill: tuple[str, int] | None = None,
        trace: bool = False,
        batch: int = 0,
        stops: tuple[str, ...] = (),
        gate: str = "",
    ) -> Job:
        """One run."""
        return Job(
            folder=str(self.folder),
            url=self.database.url,
            koppeling=koppeling,
            pupils=school.pupils,
            day=school.day,
            report=str(self.folder / f"{koppeling}.report"),
            kind=kind,
            kill=kill,
            trace=trace,
            batch=batch,
            stops=stops,
            gate=gate,
        )

    def run(self, koppeling: str, school: School, *, kind: str = "full") -> Result:
        """A run in a process that is left alone."""
        return self.server.run(self.job(koppeling, school, kind=kind))

    def live_until(self, school: School, *, kind: str = "full") -> None:
        """All days before this one, the first read as a whole, and on this day the other source."""
        for day in range(school.day):
            for koppeling in ("lvs", "las"):
                self.run(koppeling, School(school.pupils, day), kind=kind if day else "full")
        if school.day:
            self.run("lvs", school)
        else:
            with self.hub() as hub:
                hub.cipher(hub.koppeling("las").tenant_id)  # one key, so that digests compare
        self.database.save()

    @contextmanager
    def hub(self, day: int = 0) -> Iterator[Hub]:
        """The hub, opened in this process."""
        hub = open_hub(self.folder, self.database.url, day=day)
        try:
            yield hub
        finally:
            hub.close()

    def core(self) -> Ledger:
        """What apply wrote."""
        with self.hub() as hub:
            return core_ledger(hub)

    def full(self) -> Ledger:
        """All that compares."""
        with self.hub() as hub:
            return full_ledger(hub)


def differences(one: Ledger, other: Ledger) -> dict[str, tuple[int, int]]:
    """Table → rows that only one of them has; empty where they are equal. Shows no values."""
    found = {}
    for name in one.keys() | other.keys():
        left, right = set(map(repr, one.get(name, []))), set(map(repr, other.get(name, [])))
        if one.get(name) != other.get(name):
            found[name] = (len(left - right), len(right - left))
    return found
