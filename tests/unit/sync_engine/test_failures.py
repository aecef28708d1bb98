"""Which failures of the database may pass by themselves."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg
import psycopg.errors
import pytest

from sync_engine.errors import RunActiveError, StoreError
from sync_engine.store.failures import (
    FULL_ADVICE,
    READ_ONLY_ADVICE,
    UNWRITABLE_ADVICE,
    file_error,
    store_error,
)
from sync_engine.store.locks import open_lock
from sync_engine.store.sqlite import connect, create_file


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (psycopg.errors.LockNotAvailable(), True),
        (psycopg.errors.DeadlockDetected(), True),
        (psycopg.errors.SerializationFailure(), True),
        (psycopg.OperationalError(), True),  # the connection broke off
        (psycopg.errors.AdminShutdown(), True),
        (psycopg.errors.CannotConnectNow(), True),
        (psycopg.errors.TooManyConnections(), True),
        (psycopg.errors.InvalidPassword(), False),
        (psycopg.errors.InvalidCatalogName(), False),
        (psycopg.errors.UniqueViolation(), False),
        (psycopg.errors.DiskFull(), False),
        (ValueError(), False),
    ],
)
def test_only_what_may_pass_by_itself_is_retried(error: Exception, *, retryable: bool) -> None:
    assert store_error(error, doing="write").retryable is retryable


def test_a_locked_file_may_pass_by_itself_and_a_wrong_statement_may_not(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    holder = sqlite3.connect(path, isolation_level=None)
    other = sqlite3.connect(path, isolation_level=None, timeout=0)
    try:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError) as locked:
            other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError) as wrong:
            other.execute("SELECT kachel")
    finally:
        holder.close()
        other.close()
    assert store_error(locked.value, doing="write").retryable
    assert not store_error(wrong.value, doing="write").retryable


def test_another_run_passes_and_a_database_that_is_not_right_does_not() -> None:
    assert RunActiveError("held").retryable
    assert not StoreError("odd").retryable


def raised(path: str, *statements: str) -> sqlite3.Error:
    try:
        with closing(sqlite3.connect(path, uri=True, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)
    except sqlite3.Error as error:
        return error
    pytest.fail("nothing was raised")


def test_a_full_disk_is_called_full(tmp_path: Path) -> None:
    full = raised(
        f"file:{tmp_path}/x.db",
        "PRAGMA max_page_count = 2",
        "CREATE TABLE kachel (warmte BLOB)",
        "INSERT INTO kachel VALUES (zeroblob(100000))",
    )
    for error in (full, psycopg.errors.DiskFull()):
        assert store_error(error, doing="write").advice == FULL_ADVICE
    no_space = OSError(errno.ENOSPC, "No space left on device")
    assert file_error(no_space, doing="lock").advice == FULL_ADVICE
    assert "schijf" in FULL_ADVICE
    assert "niets half gedaan" in FULL_ADVICE


def test_what_cannot_be_written_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    create_file(path)
    read_only = raised(f"file:{path}?mode=ro", "CREATE TABLE kachel (warmte BLOB)")
    nowhere = raised(f"file:{tmp_path}/nergens/x.db", "CREATE TABLE kachel (warmte BLOB)")
    for error in (read_only, nowhere):
        assert store_error(error, doing="write").advice == UNWRITABLE_ADVICE
    standby = psycopg.errors.ReadOnlySqlTransaction()
    assert store_error(standby, doing="write").advice == READ_ONLY_ADVICE


def test_a_place_where_no_file_can_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "bestand").touch()
    for call in (
        lambda: create_file(tmp_path / "bestand" / "x.db"),
        lambda: connect(tmp_path / "nergens" / "x.db", busy=timedelta(0)),
        lambda: open_lock(tmp_path / "bestand" / "x.lock"),
    ):
        with pytest.raises(StoreError) as failed:
            call()
        assert failed.value.advice == UNWRITABLE_ADVICE
