"""A hub over sources in memory, for the behaviour of the engine as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sync_engine.store.engine import Store
from tests.support.hubs import Bench, bench

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
