"""Which failures of the database may pass by themselves."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg
import psycopg.errors
import pytest

from sync_engine.errors import RunActiveError, StoreError
from sync_engine.store.failures import store_error


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
