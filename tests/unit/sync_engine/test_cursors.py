"""Cursors shown, cleared, set and merged by a person: whole, audited, and never during a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from config.errors import ConfigurationError, KoppelhubError
from console.output import to_json
from mappings.canonical.fields import Entity
from sync_engine import cursors
from sync_engine.cursors import Act, CursorView, Given, read_document
from sync_engine.errors import RunActiveError, SyncError
from sync_engine.outcome import Outcome
from sync_engine.store.engine import Store
from sync_engine.store.locks import lease
from tests.support.hubs import Bench, Kind, bench
from tests.support.memory import MemorySource

WHO = {"operator": "jan", "why": "na een herstel"}


@pytest.fixture
def made(store: Store, tmp_path: Path) -> Iterator[Bench]:
    """Two entities of two pupils and one groep, read whole once: both have a cursor."""
    source = MemorySource((Entity.LEERLING, Entity.GROEP))
    for key in ("l1", "l2"):
        source.put(Entity.LEERLING, key, achternaam=key)
    bench_ = bench(store, tmp_path, sources={"s0": source})
    bench_.sync()
    yield bench_
    bench_.close()


def shown(made: Bench) -> dict[str, str]:
    return {view.resource: view.value for view in cursors.show(made.hub, "s0")}


def states(made: Bench) -> dict[str, str]:
    """How the readings of the next delta end."""
    report = made.sync(kind=Kind.DELTA)
    assert report.outcome in {Outcome.DONE, Outcome.PARTIAL}
    return {reading.resource: reading.state for reading in report.readings}


def trail(made: Bench) -> list[tuple[str, ...]]:
    return made.query("SELECT operator, action, subject, why FROM audit ORDER BY id")


def test_a_cursor_is_shown_with_the_run_that_left_it(made: Bench) -> None:
    found = cursors.show(made.hub, "s0", resources=["leerling"])
    assert found == [CursorView("leerling", "hoofd", "hoofd", found[0].value, 1)]
    assert set(shown(made)) == {"leerling", "groep"}


def test_a_cleared_cursor_makes_the_next_delta_read_that_part_whole(made: Bench) -> None:
    gone = cursors.clear(made.hub, "s0", resources=["leerling"], **WHO)
    assert [view.resource for view in gone] == ["leerling"]
    assert set(shown(made)) == {"groep"}
    assert trail(made) == [("jan", "cursor clear", "koppeling s0", "na een herstel")]
    assert states(made) == {"leerling": "complete", "groep": "delta"}
    assert set(shown(made)) == {"leerling", "groep"}


def test_an_older_cursor_brings_again_what_came_since_and_does_no_harm(made: Bench) -> None:
    older = shown(made)["leerling"]
    made.sources["s0"].put(Entity.LEERLING, "l3", achternaam="l3")
    made.sync(kind=Kind.DELTA)
    newer = shown(made)["leerling"]
    assert newer != older
    given = (Given("leerling", "hoofd", older),)
    cursors.put(made.hub, "s0", given, act=Act.ONE, **WHO)
    (view,) = cursors.show(made.hub, "s0", resources=["leerling"])
    assert (view.value, view.run_id) == (older, cursors.BY_HAND)
    assert made.sync(kind=Kind.DELTA).steps == {}
    assert shown(made)["leerling"] == newer


def test_a_merge_leaves_what_the_document_does_not_name_and_a_replacement_forgets_it(
    made: Bench,
) -> None:
    before = shown(made)
    given = (Given("leerling", "hoofd", "0"),)
    cursors.put(made.hub, "s0", given, act=Act.MERGE, **WHO)
    assert shown(made) == before | {"leerling": "0"}
    cursors.put(made.hub, "s0", given, act=Act.REPLACE, **WHO)
    assert shown(made) == {"leerling": "0"}
    assert [action for _, action, _, _ in trail(made)] == ["cursor merge", "cursor set"]


def test_what_is_shown_as_json_can_be_put_back(made: Bench) -> None:
    views = cursors.show(made.hub, "s0")
    text = to_json({"source": "s0", "cursors": views}).encode()
    cursors.clear(made.hub, "s0", **WHO)
    assert shown(made) == {}
    cursors.put(made.hub, "s0", read_document(text, source="s0"), act=Act.MERGE, **WHO)
    assert shown(made) == {view.resource: view.value for view in views}


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b'{"source": "s0"}',
        b'{"source": "s1", "cursors": []}',
        b'{"source": "s0", "cursors": [{"resource": "leerling", "scope": "hoofd"}]}',
        b'{"source": "s0", "cursors": [{"resource": "a", "scope": "b", "value": "1"},'
        b' {"resource": "a", "scope": "b", "value": "2"}]}',
        b"[" * 100_000,
    ],
)
def test_a_document_that_is_none_changes_nothing(document: bytes) -> None:
    with pytest.raises(SyncError) as refused:
        read_document(document, source="s0")
    assert refused.value.advice


@pytest.mark.parametrize(
    "given",
    [
        Given("leerling", "elders", "1"),
        Given("niets", "hoofd", "1"),
        Given("leerling", "hoofd", ""),
        Given("leerling", "hoofd", "x" * (cursors.LARGEST + 1)),
    ],
)
def test_a_wrong_cursor_leaves_all_as_they_were(made: Bench, given: Given) -> None:
    before = shown(made)
    good = Given("groep", "hoofd", "0")
    for act in Act:
        with pytest.raises(KoppelhubError):
            cursors.put(made.hub, "s0", (good, given), act=act, **WHO)
    assert shown(made) == before
    assert trail(made) == []


def test_nothing_changes_while_a_run_is_under_way(made: Bench) -> None:
    number = made.hub.koppeling("s0").id
    with lease(made.hub.store, f"koppeling-{number}"), pytest.raises(RunActiveError):
        cursors.clear(made.hub, "s0", **WHO)
    assert set(shown(made)) == {"leerling", "groep"}


def test_an_unknown_part_is_refused(made: Bench) -> None:
    with pytest.raises(ConfigurationError):
        cursors.show(made.hub, "s0", resources=["leerlngen"])
    with pytest.raises(ConfigurationError):
        cursors.clear(made.hub, "s0", scope="elders", **WHO)
    assert cursors.only_scope(made.hub, "s0", "leerling") == "hoofd"
    with pytest.raises(SyncError):
        cursors.only_scope(made.hub, "s0", "vak")


def test_a_document_is_bounded_in_what_it_repeats(made: Bench) -> None:
    text = msgspec.json.encode({"source": "y" * 10_000, "cursors": []})
    with pytest.raises(SyncError) as refused:
        read_document(text, source="s0")
    assert len(str(refused.value)) < 200
