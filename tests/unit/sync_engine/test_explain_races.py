"""Somebody looks while others write: what is explained is one moment of the database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mappings.canonical.fields import Entity
from sync_engine import history, view
from sync_engine.context import Context
from sync_engine.find import hub_key
from sync_engine.scopes import load_scopes
from sync_engine.store.engine import Store
from tests.support.hubs import Bench
from tests.support.hubs import bench as made
from tests.support.memory import MemorySource

ECK = f"https://ketenid.nl/pilot/{'a' * 128}"


def _pupil(source: MemorySource, key: str, name: str) -> None:
    source.put(Entity.LEERLING, key, achternaam=name, geboortedatum="2010-01-01", eck_id=ECK)


def _explained(bench: Bench) -> dict[str, Any]:
    key = hub_key(bench.core(Entity.LEERLING, "x"))
    ((_, told),) = history.explain_leerling(bench.hub, key, field=None, operator="test")
    return {reason.name: reason for reason in told.fields}


def test_what_is_explained_is_one_moment(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another koppeling brings its first scopes, and this pupil in them, in the middle of it."""
    bench = made(store, tmp_path, sources=2)
    bench.policy(authority={"order": {"*": ["s1", "s0"]}})
    _pupil(bench.sources["s0"], "x", "Een")
    bench.sync("s0")
    _pupil(bench.sources["s1"], "y", "Twee")
    done: list[object] = []

    def loading(context: Context) -> None:
        load_scopes(context)
        if not done:
            done.append("begun")
            done.append(bench.sync("s1"))

    monkeypatch.setattr(view, "load_scopes", loading)
    reason = _explained(bench)["achternaam"]
    assert len(done) == 2
    assert (reason.value, [claim.koppeling for claim in reason.claims]) == ("Een", ["s0"])
    after = _explained(bench)["achternaam"]
    assert (after.value, {claim.koppeling for claim in after.claims}) == ("Twee", {"s0", "s1"})
    assert bench.query("SELECT COUNT(*) FROM audit WHERE action = 'explain'") == [(2,)]
    bench.close()
