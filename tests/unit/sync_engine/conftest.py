"""A hub over sources in memory, for the behaviour of the engine as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Capability, Manifest, Reading, Scope
from sync_engine.store.engine import Store
from tests.support.hubs import Bench, bench
from tests.support.kern import TOKEN, TOKEN_NAME, KernBench, closing_bench, kern_bench
from tests.support.memory import MemoryConnector, MemorySource

Make = Callable[..., Bench]


@pytest.fixture
def make(sqlite_store: Store, tmp_path: Path) -> Iterator[Make]:
    """Makes a bench on SQLite; the property tests hold PostgreSQL to the same."""
    made: list[Bench] = []

    def make(sources: Any = 1, **options: Any) -> Bench:
        made.append(bench(sqlite_store, tmp_path, sources=sources, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def without_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources in memory that cannot be asked for single records."""
    declared = MemorySource.manifest
    read = frozenset({Capability.CHECK, Capability.SNAPSHOT})

    def manifest(self: MemorySource) -> Manifest:
        made = declared(self)
        return replace(
            made, resources=tuple(replace(one, capabilities=read) for one in made.resources)
        )

    def refused(self: MemoryConnector, scope: Scope, *, keys: Any) -> Reading:
        raise AssertionError("a look-up is not declared")

    monkeypatch.setattr(MemorySource, "manifest", manifest)
    monkeypatch.setattr(MemoryConnector, "lookup", refused)


@pytest.fixture
def kern(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[KernBench]:
    """An installation whose tracking application writes through the inbox, on SQLite."""
    monkeypatch.setenv(TOKEN_NAME, TOKEN)
    with closing_bench(kern_bench(sqlite_store, tmp_path)) as one:
        yield one
