from __future__ import annotations

import logging
import sqlite3
import traceback
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, MetaData, Table, insert, select
from sqlmodel import Session

from sync_engine.errors import StoreError
from sync_engine.store.dialect import array_literal, json_list, to_psycopg
from sync_engine.store.engine import Store
from sync_engine.store.tables import Tenant
from sync_engine.store.values import Instant, instant, instant_text
from sync_engine.store.work import FETCH_ROWS, LOAD_ROWS, Work

NOON = datetime(2026, 8, 1, 14, 0, tzinfo=timezone(timedelta(hours=2)))


@pytest.fixture
def work(store: Store) -> Iterator[Work]:
    with store.work() as work:
        work.temp_table(
            "w_t",
            "id BIGINT PRIMARY KEY, naam TEXT, body BLOB, flag BOOLEAN, dag DATE, "
            "op TIMESTAMP, getal REAL, jaar INTEGER",
        )
        yield work


COLUMNS = ("id", "naam", "body", "flag", "dag", "op", "getal", "jaar")
ROW = (1, "a?%'é", b"\x00\xff", True, date(2026, 8, 1), NOON, 1.5, 7)
READ = (1, "a?%'é", b"\x00\xff", 1, "2026-08-01", "2026-08-01 12:00:00.000000", 1.5, 7)
EMPTY = (2, None, None, None, None, None, None, None)


def test_both_databases_give_the_same_values_back(work: Work) -> None:
    assert work.load("w_t", COLUMNS, [ROW, EMPTY]) == 2
    assert work.execute("SELECT * FROM w_t ORDER BY id") == [READ, EMPTY]


def test_parameters_take_the_type_of_the_column(work: Work) -> None:
    work.execute(f"INSERT INTO w_t VALUES ({', '.join('?' * 8)})", ROW)
    found = work.execute(
        "SELECT id, '?' || '%' FROM w_t WHERE naam = ? AND body = ? AND flag = ? AND dag = ? "
        "AND op = ? AND getal = ? AND jaar = ? AND flag IS TRUE -- what?",
        ROW[1:],
    )
    assert found == [(1, "?%")]


def test_rows_that_were_read_can_be_loaded_again(work: Work) -> None:
    work.load("w_t", COLUMNS, [ROW])
    rows = work.execute("SELECT * FROM w_t")
    work.execute("DELETE FROM w_t")
    work.load("w_t", COLUMNS, rows)
    assert work.execute("SELECT * FROM w_t") == [READ]


def test_temporary_rows_move_to_a_real_table_without_casts(work: Work) -> None:
    work.temp_table("w_key", "digest BLOB, stored_on DATE, body BLOB, run_id INTEGER, id BIGINT")
    work.load("w_key", ("body", "stored_on", "run_id", "id"), [(b"x", date(2026, 8, 1), 3, 9)])
    work.execute(
        "INSERT INTO raw_payload (record_id, run_id, stored_on, body) "
        "SELECT id, run_id, stored_on, body FROM w_key"
    )
    assert work.changes == 1
    work.execute("UPDATE raw_payload SET stored_on = ?", ("2026-08-02",))
    assert work.execute("SELECT record_id, stored_on FROM raw_payload") == [(9, "2026-08-02")]


def test_sums_and_averages_are_numbers(work: Work) -> None:
    work.load("w_t", ("id", "jaar"), [(1, 2), (2, 5)])
    row = work.execute("SELECT SUM(id), AVG(jaar), COUNT(*), MAX(id) FROM w_t")[0]
    assert row == (3, 3.5, 2, 2)
    assert isinstance(row[0], int)


def test_work_and_small_reads_agree_on_instants(store: Store) -> None:
    now = datetime(2026, 8, 1, 12, 0, 0, 250, tzinfo=UTC)
    with store.work() as work:
        tenant = work.execute(
            "INSERT INTO tenant (name, title) VALUES (?, ?) RETURNING id", ("a", "A")
        )[0][0]
        work.execute(
            "INSERT INTO key_check (master_id, check_value, created_at) VALUES (?, ?, ?)",
            ("k", b"v", now),
        )
        text = work.execute("SELECT created_at FROM key_check")[0][0]
        assert text == "2026-08-01 12:00:00.000250"
        assert instant(text) == now
    with Session(store.engine) as session:
        assert session.get_one(Tenant, tenant).title == "A"


def test_a_naive_instant_is_refused(work: Work) -> None:
    naive = datetime(2026, 8, 1, 12, 0)  # noqa: DTZ001 -- what is refused
    with pytest.raises(StoreError):
        work.execute("UPDATE w_t SET op = ?", (naive,))
    with pytest.raises(StoreError):
        work.load("w_t", ("id", "op"), [(5, naive)])


def test_uuids_and_decimals_are_written_alike(work: Work) -> None:
    number = uuid.UUID(int=10)
    work.execute("INSERT INTO w_t (id, naam, getal) VALUES (1, ?, ?)", (number, Decimal("1.5")))
    assert work.execute("SELECT naam, getal FROM w_t") == [(number.hex, 1.5)]


def test_changes_counts_what_was_written_and_nothing_else(work: Work) -> None:
    work.load("w_t", ("id",), [(n,) for n in range(5)])
    assert work.changes == 5
    work.execute("SELECT * FROM w_t")
    assert work.changes == 0
    work.execute("UPDATE w_t SET jaar = 1 WHERE id > 2")
    assert work.changes == 2
    work.execute("INSERT INTO w_t (id) VALUES (4) ON CONFLICT (id) DO NOTHING")
    assert work.changes == 0
    work.execute(
        "WITH doomed AS (SELECT 1 AS id) DELETE FROM w_t WHERE id IN (SELECT id FROM doomed)"
    )
    assert work.changes == 1
    with work.transaction():
        work.execute("DELETE FROM w_t")
    assert work.changes == 4


def test_many_finds_texts_numbers_and_dates(work: Work) -> None:
    odd = ['a"b', "c\\d", "e,f", "{g}", "NULL", "", "é"]
    work.load("w_t", ("id", "naam"), list(enumerate(odd)))
    work.load("w_t", ("id", "dag"), [(100, date(2026, 8, 1))])
    query = f"SELECT COUNT(*) FROM w_t WHERE {work.many('naam')}"
    assert work.execute(query, (work.values([*odd, "absent"]),)) == [(len(odd),)]
    assert work.execute(query, (work.values([]),)) == [(0,)]
    query = f"SELECT COUNT(*) FROM w_t WHERE {work.many('id')}"
    assert work.execute(query, (work.values(list(range(50_000))),)) == [(len(odd) + 1,)]
    query = f"SELECT id FROM w_t WHERE {work.many('dag')}"
    assert work.execute(query, (work.values(["2026-08-01"]),)) == [(100,)]


def test_a_stream_goes_on_while_other_statements_and_transactions_run(work: Work) -> None:
    total = 2 * FETCH_ROWS + 3
    work.load("w_t", ("id",), ((n,) for n in range(total)))
    work.temp_table("w_seen", "id BIGINT")
    seen = 0
    for row in work.rows("SELECT id FROM w_t ORDER BY id"):
        if row[0] % 1000 == 0:
            with work.transaction():
                work.execute("INSERT INTO w_seen (id) VALUES (?)", row)
        seen += 1
    assert seen == total
    assert work.execute("SELECT COUNT(*) FROM w_seen") == [(5,)]


def test_a_load_may_read_from_its_own_work(work: Work) -> None:
    total = LOAD_ROWS + FETCH_ROWS + 1
    work.load("w_t", ("id",), ((n,) for n in range(total)))
    work.temp_table("w_copy", "id BIGINT")
    with work.transaction():
        assert work.load("w_copy", ("id",), work.rows("SELECT id FROM w_t")) == total
    assert work.load("w_copy", ("id",), work.rows("SELECT id FROM w_t")) == total
    assert work.load("w_copy", ("id",), iter(())) == 0


def test_a_stream_survives_a_writer_elsewhere_and_a_write_of_its_own(store: Store) -> None:
    """SQLite cannot write from an old snapshot: the stream has to let go of it."""
    total = 3 * FETCH_ROWS
    with store.work() as work, store.work() as other:
        work.load("core_salt", ("core_id", "salt"), ((n, b"%d" % n) for n in range(total)))
        stream = work.rows("SELECT core_id, salt FROM core_salt ORDER BY core_id")
        seen = [next(stream)]
        other.execute("INSERT INTO tenant (name, title) VALUES ('elders', '')")
        with work.transaction():
            work.execute("INSERT INTO tenant (name, title) VALUES ('hier', '')")
        seen += stream
        assert seen == [(n, b"%d" % n) for n in range(total)]
        assert work.execute("SELECT COUNT(*) FROM tenant") == [(2,)]


def test_two_streams_go_side_by_side_and_may_be_left_unread(work: Work) -> None:
    work.load("w_t", ("id",), ((n,) for n in range(FETCH_ROWS * 2)))
    first = work.rows("SELECT id FROM w_t ORDER BY id")
    second = work.rows("SELECT id FROM w_t ORDER BY id DESC")
    assert next(first) == (0,)
    assert next(second) == (FETCH_ROWS * 2 - 1,)
    assert next(first) == (1,)
    with work.transaction():
        work.execute("UPDATE w_t SET jaar = 1")
    work.rows("SELECT id FROM w_t")


def test_a_transaction_commits_as_a_whole(store: Store) -> None:
    with store.work() as work, store.work() as other:
        with work.transaction():
            work.execute("INSERT INTO tenant (name, title) VALUES ('a', '')")
            assert other.execute("SELECT COUNT(*) FROM tenant") == [(0,)]
        assert other.execute("SELECT COUNT(*) FROM tenant") == [(1,)]
        assert work.longest_hold > 0


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_transaction_that_fails_leaves_nothing(store: Store, error: type[BaseException]) -> None:
    with store.work() as work:

        def fail(sql: str) -> None:
            with work.transaction():
                work.execute("INSERT INTO tenant (name, title) VALUES ('a', '')")
                work.execute(sql)
                raise error

        with pytest.raises(error):
            fail("SELECT 1")
        with pytest.raises(StoreError):
            fail("SELECT * FROM no_such_table")
        assert work.execute("SELECT COUNT(*) FROM tenant") == [(0,)]
        with work.transaction():
            work.execute("INSERT INTO tenant (name, title) VALUES ('b', '')")
        assert work.execute("SELECT name FROM tenant") == [("b",)]


def test_a_transaction_inside_a_transaction_is_refused(work: Work) -> None:
    with work.transaction(), pytest.raises(StoreError, match="under way"), work.transaction():
        pass


def test_closing_rolls_back(store: Store) -> None:
    with store.work() as work:
        work.execute("BEGIN")
        work.execute("INSERT INTO tenant (name, title) VALUES ('a', '')")
    with store.work() as work:
        assert work.execute("SELECT COUNT(*) FROM tenant") == [(0,)]


def test_a_load_is_all_or_nothing(store: Store) -> None:
    rows = [(n, b"x") for n in range(LOAD_ROWS + 10)] + [(3, b"twice")]
    with store.work() as work:
        with pytest.raises(StoreError):
            work.load("core_salt", ("core_id", "salt"), rows)
        assert work.execute("SELECT COUNT(*) FROM core_salt") == [(0,)]


def test_an_error_of_who_gives_the_rows_passes_unchanged(work: Work) -> None:
    def rows() -> Iterator[tuple[int]]:
        yield (1,)
        raise LookupError

    with pytest.raises(LookupError):
        work.load("w_t", ("id",), rows())
    assert work.execute("SELECT COUNT(*) FROM w_t") == [(0,)]


def test_a_writer_that_waits_too_long_is_told_what_to_do(store: Store) -> None:
    url = store.engine.url.render_as_string(hide_password=False)
    with (
        Store.open(url, busy=timedelta(milliseconds=30)) as hasty,
        store.work() as work,
        hasty.work() as late,
    ):
        work.execute("INSERT INTO tenant (name, title) VALUES ('a', '')")
        with work.transaction():
            work.execute("UPDATE tenant SET title = 'b'")
            with pytest.raises(StoreError) as caught, late.transaction():
                late.execute("UPDATE tenant SET title = 'c'")
        assert "bezet" in caught.value.advice
        with late.transaction():
            late.execute("UPDATE tenant SET title = 'c'")


CANARY = "Kanarie-9371"


@pytest.mark.parametrize(
    ("sql", "params"),
    [
        ("INSERT INTO tenant (name, title) VALUES (?, ?)", (CANARY, "")),  # unique
        ("INSERT INTO tenant (name, title) VALUES (?, NULL)", (CANARY,)),
        ("INSERT INTO tenant (name, title) VALUES (?, ?)", (CANARY, CANARY + "\ud800")),
        ("INSERT INTO tenant (name, title) VALUES (?, ?)", (CANARY, {"naam": CANARY})),
        ("INSERT INTO tenant (name, title) VALUES (?)", (CANARY,)),
        ("SELECT FROM WHERE ?", (CANARY,)),
        ("SELECT 1 FROM tenant WHERE no_such_column = ?", (CANARY,)),
        ("INSERT INTO id_block (name, next) VALUES (?, ?)", (CANARY, 2**70)),
        ("SELECT ?, ?", (CANARY,)),
    ],
)
def test_no_error_holds_a_value(
    store: Store, caplog: pytest.LogCaptureFixture, sql: str, params: tuple[Any, ...]
) -> None:
    caplog.set_level(logging.DEBUG)
    with store.work() as work:
        work.execute("INSERT INTO tenant (name, title) VALUES (?, '')", (CANARY,))
        with pytest.raises(StoreError) as caught:
            work.execute(sql, params)
    error = caught.value
    shown = "".join(traceback.format_exception(error)) + repr(error.__context__) + caplog.text
    assert "Kanarie" not in shown
    assert error.__context__ is None
    assert error.advice


def test_an_error_names_the_constraint(store: Store) -> None:
    with store.work() as work:
        work.execute("INSERT INTO tenant (name, title) VALUES ('a', '')")
        with pytest.raises(StoreError, match=r"tenant(\.name|_name)"):
            work.execute("INSERT INTO tenant (name, title) VALUES ('a', '')")


@pytest.mark.parametrize("name", ["Leerling", "a b", 'x"', "a;b", "", "ünï"])
def test_a_name_that_is_not_plain_never_reaches_the_database(work: Work, name: str) -> None:
    with pytest.raises(StoreError, match="not plain"):
        work.temp_table(name, "id INTEGER")
    with pytest.raises(StoreError, match="not plain"):
        work.load("w_t", (name,), [(1,)])


def test_a_temporary_table_is_empty_when_asked_again(work: Work) -> None:
    work.load("w_t", ("id",), [(1,)])
    work.temp_table("w_t", "id BIGINT")
    assert work.execute("SELECT COUNT(*) FROM w_t") == [(0,)]


def test_a_temporary_view_is_replaced_and_reads_the_overlay(work: Work) -> None:
    work.temp_view("v_t", "SELECT id FROM w_t")
    work.temp_view("v_t", "SELECT id, naam FROM w_t WHERE id > 1")
    work.load("w_t", ("id", "naam"), [(1, "a"), (2, "b")])
    assert work.execute("SELECT * FROM v_t") == [(2, "b")]


def test_temporary_tables_of_two_works_do_not_meet(work: Work, store: Store) -> None:
    work.load("w_t", ("id",), [(1,)])
    with store.work() as other:
        other.temp_table("w_t", "id BIGINT")
        assert other.execute("SELECT COUNT(*) FROM w_t") == [(0,)]


def test_who_made_no_temporary_table_empties_none(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most Works are one small read; each statement of tidying is one more way to the server."""
    with store.work() as work:
        monkeypatch.setattr(type(work), "_empty", lambda *_: pytest.fail("emptied"))
        work.execute("SELECT 1")


def test_a_temporary_load_needs_no_write_lock(sqlite_store: Store) -> None:
    with sqlite_store.work() as work, sqlite_store.work() as writer:
        work.temp_table("w_t", "id BIGINT")
        with writer.transaction():
            writer.execute("INSERT INTO tenant (name, title) VALUES ('a', '')")
            assert work.load("w_t", ("id",), [(1,)]) == 1


def test_placeholders_are_found_outside_literals_only() -> None:
    sql = """SELECT '?', "a?%", ?, x % 2 /* ? */ FROM t -- it's ?\nWHERE y LIKE '%''?' AND z=?"""
    wanted = (
        """SELECT '?', "a?%%", %s, x %% 2 /* ? */ FROM t -- it's ?\nWHERE y LIKE '%%''?' AND z=%s"""
    )
    assert to_psycopg(sql) == wanted


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00"))))
def test_lists_of_any_text_arrive_whole(items: list[str]) -> None:
    connection = sqlite3.connect(":memory:")
    found = connection.execute("SELECT value FROM json_each(?)", (json_list(items),)).fetchall()
    connection.close()
    assert [row[0] for row in found] == items


@pytest.mark.postgres
def test_arrays_of_any_text_arrive_whole(postgres_store: Store) -> None:
    with postgres_store.work() as work:

        @given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00"))))
        def check(items: list[str]) -> None:
            rows = work.execute("SELECT unnest(CAST(? AS text[]))", (array_literal(items),))
            assert [row[0] for row in rows] == items

        check()


@given(st.datetimes(timezones=st.timezones()), st.datetimes(timezones=st.timezones()))
def test_instants_sort_as_their_texts(one: datetime, two: datetime) -> None:
    try:
        texts = instant_text(one), instant_text(two)
    except OverflowError:  # the first and last day that a datetime has
        return
    assert instant(texts[0]) == one
    assert (texts[0] < texts[1]) == (one < two)


def test_an_instant_column_is_aware_on_both(store: Store) -> None:
    table = Table("moment", MetaData(), Column("at", Instant))
    with store.engine.begin() as connection:
        table.create(connection)
        connection.execute(insert(table).values(at=NOON))
        found = connection.execute(select(table.c.at)).scalar_one()
    assert found == NOON
    assert found.utcoffset() == timedelta()
    with store.work() as work:
        assert work.execute("SELECT at FROM moment WHERE at = ?", (NOON,)) == [(READ[5],)]


def test_a_table_is_covered_for_a_while_also_in_statements_that_are_prepared(store: Store) -> None:
    with store.work() as work:
        work.execute("INSERT INTO tenant (name, title) VALUES ('een', 'Een'), ('twee', 'Twee')")
        names = "SELECT name FROM tenant WHERE name <> ? ORDER BY name"
        for _ in range(8):  # more often than a driver needs to prepare it
            assert work.execute(names, ("",)) == [("een",), ("twee",)]
        query = f"SELECT * FROM {work.base('tenant')} WHERE name = 'twee'"
        with work.covered({"tenant": query}):
            assert work.execute(names, ("",)) == [("twee",)]
            with work.covered({"koppeling": f"SELECT * FROM {work.base('koppeling')} WHERE false"}):
                assert work.execute("SELECT COUNT(*) FROM koppeling") == [(0,)]
            assert work.execute(names, ("",)) == [("twee",)]
        assert work.execute(names, ("",)) == [("een",), ("twee",)]
    with store.work() as again:  # the same connection, kept
        assert again.execute(names, ("",)) == [("een",), ("twee",)]


def test_a_connection_on_which_a_cover_was_broken_off_is_not_kept(store: Store) -> None:
    names = "SELECT name FROM tenant"
    with store.work() as work:
        work.execute("INSERT INTO tenant (name, title) VALUES ('een', 'Een')")
        views = {"tenant": f"SELECT * FROM {work.base('tenant')} WHERE false", "koppeling": "SELEC"}
        with pytest.raises(StoreError), work.covered(views):
            pass
        assert work.execute(names) == []  # the first of them stands there
    with store.work() as work:
        assert work.execute(names) == [("een",)]
        nobody = {"tenant": f"SELECT * FROM {work.base('tenant')} WHERE false"}
        with pytest.raises(ZeroDivisionError), work.covered(nobody):
            raise ZeroDivisionError
        assert work.execute(names) == [("een",)]
