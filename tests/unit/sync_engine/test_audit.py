"""The audit trail: what a line holds, and that whatever is done to it is found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from threading import Thread

import pytest

from config.clock import FixedClock
from sync_engine import audit
from sync_engine.actor import Actor
from sync_engine.store.engine import Store
from sync_engine.store.values import instant
from tests.support.hubs import Bench, bench


@pytest.fixture
def made(store: Store, tmp_path: Path) -> Iterator[Bench]:
    """Four lines by two people, on each database."""
    found = bench(store, tmp_path)
    found.hub = replace(found.hub, actor=Actor("piet", origin="balie-1 /dev/pts/3"))
    for number, operator in enumerate(("piet", "jan", "piet", "jan"), start=1):
        write(found, operator, f"K-{number}")
    yield found
    found.close()


def write(made: Bench, operator: str = "piet", subject: str = "K-9", why: str = "") -> None:
    assert isinstance(made.clock, FixedClock)
    made.clock.advance(timedelta(minutes=1))
    with made.hub.store.work() as work:
        audit.note(made.hub, work, operator=operator, action="explain", subject=subject, why=why)


def verdict(made: Bench, witness: str | None = None) -> audit.Verdict:
    with made.hub.store.work() as work:
        return audit.verify(made.hub, work, witness=witness)


def execute(made: Bench, sql: str, *params: object) -> None:
    with made.hub.store.work() as work:
        work.execute(sql, params)


def test_a_line_says_from_where(made: Bench) -> None:
    assert made.query("SELECT DISTINCT origin FROM audit") == [("balie-1 /dev/pts/3",)]


def test_a_trail_that_nobody_touched_is_whole(made: Bench) -> None:
    found = verdict(made)
    assert (found.is_whole, found.lines, found.broken) == (True, 4, None)
    write(made)
    assert verdict(made, witness=found.head).is_whole


def test_an_empty_trail_is_whole(store: Store, tmp_path: Path) -> None:
    assert verdict(bench(store, tmp_path)).is_whole


TAMPERED: dict[str, list[str]] = {
    "a changed line": ["UPDATE audit SET subject = 'K-8' WHERE id = 2"],
    "a removed line": ["DELETE FROM audit WHERE id = 2"],
    "a removed first line": ["DELETE FROM audit WHERE id = 1"],
    "two lines in each other's place": [
        "UPDATE audit SET id = 99 WHERE id = 2",
        "UPDATE audit SET id = 2 WHERE id = 3",
        "UPDATE audit SET id = 3 WHERE id = 99",
    ],
    "a line twice": [
        "INSERT INTO audit (id, at, operator, action, subject, why, origin, previous, digest) "
        "SELECT 9, at, operator, action, subject, why, origin, previous, digest "
        "FROM audit WHERE id = 4"
    ],
    "a cut end": ["DELETE FROM audit WHERE id = 4"],
    "no line at all": ["DELETE FROM audit"],
    "no anchor": ["DELETE FROM audit_anchor"],
    "neither lines nor anchor": ["DELETE FROM audit", "DELETE FROM audit_anchor"],
    "an anchor of another count": ["UPDATE audit_anchor SET lines = 5"],
}


@pytest.mark.parametrize("what", TAMPERED)
def test_what_was_done_to_it_is_found(what: str, made: Bench) -> None:
    for sql in TAMPERED[what]:
        execute(made, sql)
    assert not verdict(made).is_whole
    write(made)  # and a line that is written after it does not heal it
    assert not verdict(made).is_whole


def test_the_first_line_that_is_wrong_is_named(made: Bench) -> None:
    execute(made, "UPDATE audit SET why = 'zomaar' WHERE id = 3")
    found = verdict(made)
    assert (found.lines, found.broken, found.what) == (2, 3, "deze regel is gewijzigd")


def test_a_trail_that_was_computed_anew_without_the_key_is_found(made: Bench) -> None:
    forge(made)
    found = verdict(made)
    assert (found.broken, found.lines) == (None, 4)
    assert "het einde klopt niet" in found.what


def forge(made: Bench) -> None:
    """The whole trail anew with another subject in the second line, without the key."""
    digest = bytes(32)
    for number, *texts in made.query(
        "SELECT id, at, operator, action, subject, why, origin FROM audit ORDER BY id"
    ):
        if number == 2:
            texts[3] = "K-8"
        previous = digest
        digest = audit._digest(previous, str(number), *texts)
        execute(
            made,
            "UPDATE audit SET subject = ?, previous = ?, digest = ? WHERE id = ?",
            texts[3],
            previous,
            digest,
            number,
        )


def test_a_trail_that_was_cut_and_written_on_is_found_by_its_witness(made: Bench) -> None:
    """Who can put the whole database back can put the anchor back: then only a witness tells."""
    anchor = made.query("SELECT lines, last_id, digest, master_id, mac FROM audit_anchor")[0]
    write(made, subject="K-77")
    head = verdict(made).head
    execute(made, "DELETE FROM audit WHERE id = 5")
    execute(
        made,
        "UPDATE audit_anchor SET lines = ?, last_id = ?, digest = ?, master_id = ?, mac = ?",
        *anchor,
    )
    assert verdict(made).is_whole
    assert "--witness" in verdict(made, witness=head).what


def test_lines_of_before_the_anchor_verify_and_are_anchored_once(made: Bench) -> None:
    execute(made, "DELETE FROM audit")
    execute(made, "DELETE FROM audit_anchor")
    digest = bytes(32)
    for number in (1, 2):
        at = made.clock.now()
        hashed = sha256(digest)
        for part in (at.isoformat(), "piet", "explain", f"K-{number}", ""):
            hashed.update(len(part.encode()).to_bytes(4, "big") + part.encode())
        execute(
            made,
            "INSERT INTO audit (id, at, operator, action, subject, why, previous, digest) "
            "VALUES (?, ?, 'piet', 'explain', ?, '', ?, ?)",
            number,
            at,
            f"K-{number}",
            digest,
            hashed.digest(),
        )
        digest = hashed.digest()
    with made.hub.store.work() as work:
        assert audit.is_unanchored(work)
        assert audit.anchor_former(made.hub, work) == 2
        assert not audit.is_unanchored(work)
    if made.hub.store.path is None:  # the sequence knows nothing of numbers that a test wrote
        execute(made, "SELECT setval(pg_get_serial_sequence('audit', 'id'), 2)")
    write(made)
    assert verdict(made).is_whole
    execute(made, "UPDATE audit SET subject = 'K-8' WHERE id = 1")
    assert verdict(made).broken == 1


def test_it_is_shown_by_person_subject_and_day_newest_first(made: Bench) -> None:
    write(made, "chef", "tenant 1", "K-3 K-30")
    with made.hub.store.work() as work:
        assert [line.id for line in audit.show(work)] == [5, 4, 3, 2, 1]
        assert [line.id for line in audit.show(work, operator="jan")] == [4, 2]
        assert [line.id for line in audit.show(work, subject="K-3")] == [5, 3]
        assert [line.id for line in audit.show(work, subject="K%")] == []
        last = instant(made.query("SELECT at FROM audit WHERE id = 4")[0][0])
        assert [line.id for line in audit.show(work, since=last)] == [5, 4]
        assert [line.id for line in audit.show(work, limit=1)] == [5]


def test_two_at_once_follow_one_another(made: Bench) -> None:
    threads = [Thread(target=write_many, args=(made, n)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = verdict(made)
    assert (found.is_whole, found.lines) == (True, 4 + 3 * 5)


def write_many(made: Bench, number: int) -> None:
    with made.hub.store.work() as work:
        for _ in range(5):
            audit.note(made.hub, work, operator=f"o{number}", action="explain", subject="K-1")
