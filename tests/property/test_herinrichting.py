"""However a school changes, and whenever a person says so: the same records go on, none is closed.

Drawn are what the source makes anew, how the school is numbered, on which day it holds, when it is
put in force, and when the former scopes are listed no more.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.canonical.fields import Entity
from sync_engine.options import Kind
from sync_engine.outcome import Outcome
from sync_engine.renumbering import Change
from tests.property.stores import on_postgres, on_sqlite
from tests.support.hubs import Bench, bench
from tests.support.memory import MemorySource
from tests.support.postgres import PostgresServer
from tests.support.reorganised import (
    CLOSABLE,
    NEW,
    OLD,
    WHOLE,
    Names,
    apply,
    fill,
    herinrichting,
    ids,
    leave_scope,
    numbers,
    open_rows,
)

NAMES = st.builds(
    Names,
    of=st.just(" nieuw"),
    persons=st.sampled_from(["", " nieuw"]),
    number=st.sampled_from([OLD, NEW]),
    leerlingnummers=st.booleans(),
    known=st.sampled_from(["", "ab", "abcd"]),
    start=st.sampled_from(["2026-08-01", "2026-10-20"]),
    opleiding=st.booleans(),
)
BEFORE, BETWEEN, LATE = 0, 1, 2
"""When it is put in force: before the source changes, while both are listed, after that."""


@contextmanager
def school(store_of: object) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory() as folder, store_of as store:  # type: ignore[attr-defined] # a context manager
        source = MemorySource(tuple(Entity), scope_keys=("oud",))
        made = bench(store, Path(folder), sources={"s0": source})
        made.policy(guards=WHOLE)
        fill(source, "oud", Names())
        assert made.sync().outcome is Outcome.DONE
        with closing(made):
            yield made


def live_through(
    made: Bench, names: Names, *, when: int, day: date, overlap: int, undo: bool
) -> None:
    """The merger, told in any order; what must hold is asked after every night."""
    source, change = made.sources["s0"], Change(OLD, names.number)
    before, there = ids(made), open_rows(made)
    in_force = False

    def night() -> None:
        made.later(24)
        report = made.sync()
        assert report.error == ""
        if in_force:
            assert (ids(made), open_rows(made)) == (before, there)

    if when == BEFORE:
        run = apply(made, herinrichting(change, on=day)).run_id
        in_force = True
    fill(source, "nieuw", names)
    source.scope_keys = ("oud", "nieuw")
    for _ in range(overlap):
        night()
    if when == BETWEEN:
        run = apply(made, herinrichting(change, on=day)).run_id
        in_force = True
        night()
    leave_scope(source, "oud")
    night()
    if when == LATE:
        doubled = _core(made)
        run = apply(made, herinrichting(change, on=day)).run_id
        in_force = True
    night()
    night()
    assert made.cases() == []
    called = names.number if day <= made.clock.now().date() else OLD
    assert numbers(made) == [called]
    if undo and when == LATE:
        assert made.sync(kind=Kind.UNDO, undone=run).error == ""
        assert _core(made) == doubled


def _core(made: Bench) -> dict[str, list[Any]]:
    """The rows of the core, without the run that wrote each last."""
    return {
        str(entity): [
            row[:5] + row[6:] for row in made.query(f"SELECT * FROM {entity} ORDER BY id")
        ]
        for entity in CLOSABLE
    }


CASES = {
    "names": NAMES,
    "when": st.sampled_from([BEFORE, BETWEEN, LATE]),
    "day": st.sampled_from([date(2026, 10, 1), date(2026, 10, 7), date(2027, 8, 1)]),
    "overlap": st.integers(0, 2),
    "undo": st.booleans(),
}


@settings(max_examples=8)
@given(**CASES)
def test_a_school_that_changes_keeps_every_record_however_it_goes(
    _sqlite_template: Path,  # noqa: PT019 - hypothesis hands over what it draws by name too
    names: Names,
    when: int,
    day: date,
    overlap: int,
    undo: bool,
) -> None:
    with school(on_sqlite(_sqlite_template)) as made:
        live_through(made, names, when=when, day=day, overlap=overlap, undo=undo)


@pytest.mark.postgres
@settings(max_examples=1)
@given(**CASES)
def test_it_does_on_postgresql_too(
    postgres_server: PostgresServer, names: Names, when: int, day: date, overlap: int, undo: bool
) -> None:
    with school(on_postgres(postgres_server)) as made:
        live_through(made, replace(names), when=when, day=day, overlap=overlap, undo=undo)
