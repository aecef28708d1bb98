"""Where the cursor of a delta stands: never before what was received, whatever a connector says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Page
from mappings.canonical.fields import Entity
from sync_engine import stage
from sync_engine.outcome import Outcome
from sync_engine.store.engine import Store
from tests.support.hubs import Bench, Kind, bench
from tests.support.memory import MemoryReading, MemorySource


@pytest.fixture
def hub(store: Store, tmp_path: Path) -> Iterator[Bench]:
    """Seven pupils, three to a page; the memory connector gives a cursor with every page."""
    source = MemorySource((Entity.LEERLING,))
    for number in range(7):
        source.put(Entity.LEERLING, f"l{number}", achternaam=f"Naam{number}")
    made = bench(store, tmp_path, sources={"s0": source})
    yield made
    made.close()


def cursors(hub: Bench) -> list[str]:
    return [value for (value,) in hub.query("SELECT value FROM source_cursor")]


def test_a_snapshot_that_is_not_complete_keeps_no_cursor(
    hub: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    last_page = MemoryReading._page

    def with_a_cursor(reading: MemoryReading, items: Sequence[Any], *, last: bool) -> Page:
        return replace(last_page(reading, items, last=last), cursor="7")

    monkeypatch.setattr(MemoryReading, "_page", with_a_cursor)
    monkeypatch.setattr(stage, "BATCH", 3)  # each page is written before the next is taken
    monkeypatch.setattr(stage, "WRITTEN_AT", 0)
    hub.sources["s0"].faults["leerling", "hoofd"] = "error"
    assert hub.sync().outcome is Outcome.FAILED
    assert cursors(hub) == []
    hub.sync(kind=Kind.DELTA)
    assert len(cursors(hub)) == 1
    assert hub.query("SELECT COUNT(*) FROM leerling") == [(7,)]


def test_a_lookup_does_not_move_the_cursor(hub: Bench) -> None:
    hub.sync()
    before = cursors(hub)
    for key in ("l1", "l2"):
        hub.sources["s0"].put(Entity.LEERLING, key, achternaam="Anders")
    hub.sync(kind=Kind.ONLY, only=("l1",), resources=("leerling",))
    assert cursors(hub) == before
    hub.sync(kind=Kind.DELTA)
    changed = "SELECT COUNT(*) FROM leerling WHERE achternaam = 'Anders'"
    assert hub.query(changed) == [(2,)]


def test_a_lookup_that_finds_nobody_is_no_success(hub: Bench) -> None:
    hub.sync()
    report = hub.sync(kind=Kind.ONLY, only=("weg",), resources=("leerling",))
    assert report.outcome is Outcome.PARTIAL
    assert hub.sync(kind=Kind.ONLY, only=("l1",)).outcome is Outcome.DONE


def test_what_was_changed_and_later_deleted_ends_on_the_last_day_it_was_there(
    hub: Bench,
) -> None:
    hub.sync()
    hub.later(24)
    hub.sources["s0"].put(Entity.LEERLING, "l3", achternaam="Anders")
    for _ in range(3):
        hub.sync(kind=Kind.DELTA)
        hub.later(24)
    hub.sources["s0"].remove(Entity.LEERLING, "l3")
    hub.sync(kind=Kind.DELTA)
    ((end,),) = hub.query("SELECT geldig_tot FROM leerling WHERE achternaam = 'Anders'")
    # 5 October whole; by changes on the 6th, 7th and 8th, and on the 9th it is gone
    assert date.fromisoformat(str(end)) == date(2026, 10, 9)
