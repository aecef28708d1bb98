"""Any single change to any column of any line of the audit trail is found, and of its anchor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_engine import audit
from sync_engine.actor import Actor
from sync_engine.errors import StoreError
from sync_engine.store.engine import Store
from tests.support.hubs import Bench, bench

LINES = 6
TEXTS = ("operator", "action", "subject", "why", "origin")
BLOBS = ("previous", "digest")
ANCHOR = ("lines", "last_id", "digest", "master_id", "mac")


@pytest.fixture(scope="module")
def trail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("trail")
    with Store.open(f"sqlite:///{folder / 'hub.db'}", create=True) as store:
        store.upgrade()
        made = bench(store, folder)
        made.hub = replace(made.hub, actor=Actor("jan", origin="balie"))
        with store.work() as work:
            for number in range(LINES):
                audit.note(
                    made.hub,
                    work,
                    operator="jan",
                    action="explain",
                    subject=f"K-{number}",
                    why="" if number % 2 else "vraag van school",
                )
        yield made
        made.close()


def is_whole_after(trail: Bench, sql: str, *params: object) -> bool | None:
    """Whether the trail is found whole after a change, which is then taken back.

    None where the database itself refuses the change.
    """
    with trail.hub.store.work() as work:
        before = work.execute("SELECT * FROM audit"), work.execute("SELECT * FROM audit_anchor")
        try:
            work.execute(sql, params)
        except StoreError:
            return None
        found = audit.verify(trail.hub, work).is_whole
        work.execute("DELETE FROM audit")
        work.execute("DELETE FROM audit_anchor")
        for table, rows in zip(("audit", "audit_anchor"), before, strict=True):
            for row in rows:
                marks = ", ".join("?" for _ in row)
                work.execute(f"INSERT INTO {table} VALUES ({marks})", row)
        assert audit.verify(trail.hub, work).is_whole
        return found


@given(line=st.integers(1, LINES), column=st.sampled_from(TEXTS), text=st.text(max_size=8))
def test_no_text_changes_unseen(trail: Bench, line: int, column: str, text: str) -> None:
    if "\x00" in text or any("\ud800" <= c <= "\udfff" for c in text):
        return
    known = trail.query(f"SELECT {column} FROM audit WHERE id = ?", line)[0][0]
    changed = text if text != known else f"{text}x"
    whole = is_whole_after(trail, f"UPDATE audit SET {column} = ? WHERE id = ?", changed, line)
    assert whole is False


@given(line=st.integers(1, LINES), column=st.sampled_from(BLOBS), place=st.integers(0, 255))
def test_no_digest_changes_unseen(trail: Bench, line: int, column: str, place: int) -> None:
    known = bytearray(trail.query(f"SELECT {column} FROM audit WHERE id = ?", line)[0][0])
    known[place // 8] ^= 1 << place % 8
    sql = f"UPDATE audit SET {column} = ? WHERE id = ?"
    assert is_whole_after(trail, sql, bytes(known), line) is False


@given(line=st.integers(1, LINES), seconds=st.integers(1, 10**8), back=st.booleans())
def test_no_moment_changes_unseen(trail: Bench, line: int, seconds: int, *, back: bool) -> None:
    sign = "-" if back else "+"
    sql = "UPDATE audit SET at = datetime(at, ?) || '.000000' WHERE id = ?"
    assert is_whole_after(trail, sql, f"{sign}{seconds} seconds", line) is False


@given(line=st.integers(1, LINES), number=st.integers(-3, LINES + 5))
def test_no_number_changes_unseen(trail: Bench, line: int, number: int) -> None:
    if number == line:
        return
    whole = is_whole_after(trail, "UPDATE audit SET id = ? WHERE id = ?", number, line)
    assert not whole


@given(line=st.integers(1, LINES), column=st.sampled_from(("origin",)))
def test_an_origin_is_not_taken_away_unseen(trail: Bench, line: int, column: str) -> None:
    sql = f"UPDATE audit SET {column} = NULL WHERE id = ?"
    assert is_whole_after(trail, sql, line) is False


@given(lines=st.sets(st.integers(1, LINES), min_size=1))
def test_no_lines_are_removed_unseen(trail: Bench, lines: set[int]) -> None:
    listed = ", ".join(map(str, sorted(lines)))
    assert is_whole_after(trail, f"DELETE FROM audit WHERE id IN ({listed})") is False


@given(column=st.sampled_from(ANCHOR), by=st.integers(1, 9))
def test_no_anchor_changes_unseen(trail: Bench, column: str, by: int) -> None:
    changed = {
        "lines": f"lines + {by}",
        "last_id": f"last_id - {by}",
        "master_id": f"master_id || '{by}'",
    }.get(column, f"CAST({column} || 'x{by}' AS BLOB)")
    assert is_whole_after(trail, f"UPDATE audit_anchor SET {column} = {changed}") is False
