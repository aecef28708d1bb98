from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from sync_engine.errors import StoreError
from sync_engine.store.engine import Store
from sync_engine.store.sessions import KEPT, Sessions
from sync_engine.store.work import Work


class Plain:
    """A connection that says when it is closed."""

    def __init__(self) -> None:
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


def driver_of(work: Work) -> Any:
    """The driver's connection beneath a Work."""
    return vars(work)["_session"].connection


def test_a_connection_is_used_again_and_its_temporary_tables_are_empty(store: Store) -> None:
    with store.work() as work:
        first = driver_of(work)
        work.temp_table("w_t", "id BIGINT", index=["(id)"])
        work.temp_like("w_like", "tenant", ("id", "name"))
        work.temp_view("v_t", "SELECT id FROM w_t")
        work.load("w_t", ("id",), [(1,), (2,)])
        work.execute("INSERT INTO w_like (id, name) VALUES (1, 'a')")
    with store.work() as work:
        assert driver_of(work) is first
        work.temp_table("w_t", "id BIGINT", index=["(id)"])
        work.temp_like("w_like", "tenant", ("id", "name"))
        work.temp_view("v_t", "SELECT id FROM w_t")
        assert work.execute("SELECT COUNT(*) FROM w_t") == [(0,)]
        assert work.execute("SELECT COUNT(*) FROM w_like") == [(0,)]
        work.load("w_t", ("id",), [(3,)])
        assert work.execute("SELECT id FROM v_t") == [(3,)]


def test_a_large_temporary_table_is_empty_too(store: Store) -> None:
    for _ in range(2):
        with store.work() as work:
            work.temp_table("w_t", "id BIGINT, naam TEXT")
            assert work.execute("SELECT COUNT(*) FROM w_t") == [(0,)]
            work.load("w_t", ("id", "naam"), ((n, "x" * 400) for n in range(12_000)))


def test_a_file_that_grew_large_is_given_back(sqlite_store: Store) -> None:
    with sqlite_store.work() as work:
        first = driver_of(work)
        work.temp_table("w_t", "naam TEXT")
        work.load("w_t", ("naam",), (("x" * 400,) for n in range(12_000)))
    with sqlite_store.work() as work:
        assert driver_of(work) is not first


def test_another_table_of_that_name_takes_its_place_and_its_views_go(store: Store) -> None:
    with store.work() as work:
        work.temp_table("w_t", "id BIGINT")
        work.temp_view("v_t", "SELECT id FROM w_t")
    with store.work() as work:
        work.temp_table("w_t", "id BIGINT, naam TEXT")
        work.load("w_t", ("id", "naam"), [(1, "a")])
        with pytest.raises(StoreError):
            work.execute("SELECT id FROM v_t")
        work.temp_view("v_t", "SELECT id FROM w_t")
        assert work.execute("SELECT id FROM v_t") == [(1,)]


def test_what_was_made_in_a_transaction_that_failed_is_made_again(store: Store) -> None:
    def fail(work: Work) -> None:
        with work.transaction():
            work.temp_table("w_new", "id BIGINT")
            work.temp_view("v_t", "SELECT id FROM w_new")
            raise LookupError

    with store.work() as work:
        work.temp_table("w_t", "id BIGINT")
        work.temp_view("v_t", "SELECT id FROM w_t")
        with pytest.raises(LookupError):
            fail(work)
        work.load("w_t", ("id",), [(7,)])
        assert work.execute("SELECT id FROM v_t") == [(7,)]
        work.temp_table("w_new", "id BIGINT")
        assert work.execute("SELECT COUNT(*) FROM w_new") == [(0,)]


def test_what_is_under_way_ends_with_the_work(store: Store) -> None:
    with store.work() as work:
        work.execute("BEGIN")
        work.execute("INSERT INTO tenant (name, title) VALUES ('a', '')")
        stream = work.rows("SELECT name FROM tenant")
    work.close()  # once more is nothing
    with pytest.raises(StoreError):
        list(stream)
    with pytest.raises(StoreError, match="closed"):
        work.execute("SELECT 1")
    with store.work() as work, work.transaction():
        assert work.execute("SELECT COUNT(*) FROM tenant") == [(0,)]
        work.execute("INSERT INTO tenant (name, title) VALUES ('a', '')")


@pytest.mark.postgres
def test_locks_end_with_the_work(postgres_store: Store) -> None:
    with postgres_store.work() as work:
        work.execute("SELECT pg_advisory_lock(9)")
    with postgres_store.work(), postgres_store.work() as other:
        assert other.execute("SELECT pg_try_advisory_lock(9)") == [(True,)]


@pytest.mark.postgres
def test_a_connection_that_the_server_ended_is_not_used_again(postgres_store: Store) -> None:
    with postgres_store.work() as work, postgres_store.work() as other:
        ((number,),) = work.execute("SELECT pg_backend_pid()")
        gone = driver_of(work)
        assert other.execute("SELECT pg_terminate_backend(?, 10000)", (number,)) == [(True,)]
        work.close()
        other.execute("SELECT 1")
    for _ in range(3):
        with postgres_store.work() as work:
            assert driver_of(work) is not gone
            assert work.execute("SELECT 1") == [(1,)]


@pytest.mark.postgres
def test_an_idle_connection_that_the_server_ends_is_not_used_again(postgres_store: Store) -> None:
    with postgres_store.work() as other:
        with postgres_store.work() as work:
            ((number,),) = work.execute("SELECT pg_backend_pid()")
            gone = driver_of(work)
        assert other.execute("SELECT pg_terminate_backend(?, 10000)", (number,)) == [(True,)]
        with postgres_store.work() as work:
            assert driver_of(work) is not gone
            assert work.execute("SELECT 1") == [(1,)]


def test_so_many_are_kept_and_no_more() -> None:
    sessions = Sessions(Plain)
    taken = [sessions.take() for _ in range(KEPT + 2)]
    for session in taken:
        sessions.give(session)
    assert [s.connection.is_closed for s in taken] == [False] * KEPT + [True] * 2
    assert sessions.take() is taken[KEPT - 1]


def test_an_old_one_and_a_dead_one_are_closed() -> None:
    now = [0.0]
    dead: list[Plain] = []
    sessions = Sessions(Plain, is_alive=lambda c: c not in dead, monotonic=lambda: now[0])
    first = sessions.take()
    sessions.give(first)
    now[0] += timedelta(minutes=14).total_seconds()
    assert sessions.take() is first
    now[0] += timedelta(minutes=2).total_seconds()
    sessions.give(first)
    assert first.connection.is_closed
    second = sessions.take()
    sessions.give(second)
    dead.append(second.connection)
    third = sessions.take()
    assert third is not second
    assert second.connection.is_closed
    sessions.give(third)
    now[0] += timedelta(minutes=16).total_seconds()
    assert sessions.take() is not third


def test_closing_closes_those_in_use_when_they_come_back() -> None:
    sessions = Sessions(Plain)
    idle, used = sessions.take(), sessions.take()
    sessions.give(idle)
    sessions.close()
    assert [s.connection.is_closed for s in (idle, used)] == [True, False]
    sessions.give(used)
    assert used.connection.is_closed
    later = sessions.take()
    sessions.give(later)
    assert not later.connection.is_closed


def test_threads_never_share_one() -> None:
    sessions, held, lock = Sessions(Plain), set[int](), threading.Lock()
    doubles: list[int] = []

    def use() -> None:
        for _ in range(200):
            session = sessions.take()
            with lock:
                doubles.extend(held & {id(session)})
                held.add(id(session))
            with lock:
                held.discard(id(session))
            sessions.give(session)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert doubles == []
