"""The read-only views answer on both databases."""

from __future__ import annotations

import pytest
from sync_engine.store.engine import Store


@pytest.mark.parametrize("view", ["klassenlijst", "journal", "situatie"])
def test_a_view_can_be_read(store: Store, view: str) -> None:
    with store.work() as work:
        assert work.execute(f"SELECT * FROM {view}") == []
