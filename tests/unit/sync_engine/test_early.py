"""What a run receives first is matched by keys that were made while it was mapped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Scope
from fixtures.school.keys import synthetic_bsn
from mappings.canonical.fields import Entity
from sync_engine import early, nodes
from sync_engine.context import Context
from sync_engine.store.engine import Store
from tests.support import memory
from tests.support.hubs import Bench, Kind, bench
from tests.support.memory import DeltaReading, MemorySource

LEERLING = {"achternaam": "Naam", "geboortedatum": "2012-03-04"}


@pytest.fixture
def hub(store: Store, tmp_path: Path) -> Iterator[Bench]:
    """Two sources of one board; the second lists its pupils in two scopes."""
    sources = {
        "s0": MemorySource((Entity.LEERLING,)),
        "s1": MemorySource((Entity.LEERLING,), scope_keys=("hoofd", "later")),
    }
    made = bench(store, tmp_path, sources=sources)
    yield made
    made.close()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of the records that correlation opened."""
    found: list[str] = []

    def load(context: Context, entity: Entity, keys: Sequence[str], *places: Any) -> Any:
        found.extend(keys)
        return nodes.load_nodes(context, entity, keys, *places)

    monkeypatch.setattr(early, "load_nodes", load)
    return found


def put(hub: Bench, name: str, key: str, number: int, scope: str = "hoofd") -> None:
    values = LEERLING | {"achternaam": f"Naam {key}", "bsn": synthetic_bsn(number)}
    hub.sources[name].put(Entity.LEERLING, key, scope, **values)


def test_a_first_load_is_matched_without_opening_what_it_received(
    hub: Bench, opened: list[str]
) -> None:
    put(hub, "s0", "a", 1)
    put(hub, "s1", "b", 1)
    put(hub, "s1", "c", 2)
    hub.sync("s0")
    hub.sync("s1", dry=True)
    hub.sync("s1")
    assert opened == []
    one = hub.core(Entity.LEERLING, "a")
    assert hub.core(Entity.LEERLING, "b", "s1") == one != hub.core(Entity.LEERLING, "c", "s1")


def test_what_stands_in_two_scopes_is_opened_and_laid_together(
    hub: Bench, opened: list[str]
) -> None:
    put(hub, "s0", "a", 1)
    hub.sources["s1"].put(Entity.LEERLING, "b", "hoofd", **LEERLING)
    put(hub, "s1", "b", 1, "later")
    hub.sync("s0")
    hub.sync("s1")
    assert opened == ["b"]
    assert hub.core(Entity.LEERLING, "a") == hub.core(Entity.LEERLING, "b", "s1")


def test_what_came_twice_in_one_run_is_matched_by_what_came_last(
    hub: Bench, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Twice(DeltaReading):
        def __init__(self, source: MemorySource, scope: Scope, cursor: int) -> None:
            super().__init__(source, scope, cursor)
            self.items = [(key, values | {"bsn": synthetic_bsn(2)}) for key, values in self.items]
            self.items += [(key, values | {"bsn": synthetic_bsn(1)}) for key, values in self.items]

    put(hub, "s0", "a", 1)
    hub.sync("s0")
    hub.sync("s1")
    monkeypatch.setattr(memory, "DeltaReading", Twice)
    hub.sources["s1"].page_size = 1
    put(hub, "s1", "b", 2)
    hub.sync("s1", kind=Kind.DELTA)
    assert opened == ["b"]
    assert hub.core(Entity.LEERLING, "a") == hub.core(Entity.LEERLING, "b", "s1")


def test_the_keys_hold_no_number(hub: Bench) -> None:
    number = synthetic_bsn(1)
    form = b'{"achternaam":"Jansen","bsn":"%s","geboortedatum":"2012-03-04"}' % number.encode()
    with hub.context() as context:
        kept = early.keys_of_form(context, Entity.LEERLING, "a", form, issuer=1)
    assert b"Jansen" not in kept
    assert number.encode() not in kept
