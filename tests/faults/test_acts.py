"""Acts of a person that are killed on their way: as before or as after, never between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from mappings.canonical.fields import Entity
from sync_engine import runs
from sync_engine.options import Decision, Options, Verdict
from sync_engine.runs import Kind
from sync_engine.store.engine import Store
from tests.faults.ledger import check_invariants
from tests.property.stores import DoomedStore, Killed
from tests.support.hubs import Bench, bench
from tests.support.snapshot import core

_STEP = 31
"""Every so many statements: an act has some 400, and one transaction in which they count."""


def school(store: Store, folder: Path) -> Bench:
    """Two pupils in one groep, of whom the last run changed, closed, made and merged something."""
    made = bench(store, folder, sources=2)
    source = made.sources["s0"]
    for number, key in enumerate(("a", "b", "weg"), start=101):
        source.put(Entity.LEERLING, key, achternaam=f"Naam {key}", leerlingnummer=str(number))
        source.put(Entity.INSCHRIJVING, f"i{key}", leerling=key)
    source.put(Entity.GROEP, "g", naam="1A", soort="stamgroep", leerlingen=["a", "weg"])
    made.settle(rounds=2)
    source.remove(Entity.LEERLING, "weg")
    source.remove(Entity.INSCHRIJVING, "iweg")
    made.sync()
    made.later()
    source.put(Entity.LEERLING, "a", achternaam="Anders", leerlingnummer="101")
    source.put(Entity.LEERLING, "nieuw", achternaam="Nieuw")
    source.put(Entity.INSCHRIJVING, "inieuw", leerling="nieuw")
    source.put(Entity.GROEP, "g", naam="1A", soort="stamgroep", leerlingen=["b", "nieuw"])
    made.sync()
    return made


def undo(made: Bench) -> Options:
    return Options(kind=Kind.UNDO, undone=made.reports[-1].run_id)


def refuse(made: Bench) -> Options:
    made.sources["s0"].put(Entity.LEERLING, "b", achternaam="Geweigerd", leerlingnummer="102")
    plan = made.sync(plan_only=True).plan_id
    return Options(kind=Kind.REFUSE, refused=plan)


def merge(made: Bench) -> Options:
    one, other = made.core(Entity.LEERLING, "a"), made.core(Entity.LEERLING, "b")
    decision = Decision(Verdict.MERGE, Entity.LEERLING, core_id=one, other=other)
    return Options(kind=Kind.DECIDE, decision=decision)


def lift(made: Bench) -> Options:
    runs.run(made.hub, "s0", merge(made))
    return Options(kind=Kind.DECIDE, lifted=made.query("SELECT MAX(act) FROM decision")[0][0])


def told(made: Bench) -> dict[str, Any]:
    """The core, what is decided, and what is refused."""
    return core(made) | {
        "decision": made.query("SELECT kind, source_key, lifted_at IS NULL FROM decision"),
        "refused": made.query("SELECT id FROM shadow WHERE refused_run IS NOT NULL ORDER BY id"),
    }


@pytest.mark.parametrize("act", [undo, refuse, merge, lift])
def test_an_act_that_is_killed_anywhere_is_done_whole_or_not_at_all(
    store: Store, tmp_path: Path, act: Callable[[Bench], Options]
) -> None:
    made = school(store, tmp_path)
    options = act(made)
    before, killed = told(made), 0
    for statements in range(1, 5_000, _STEP):
        doomed = replace(made.hub, store=cast(Store, DoomedStore(made.hub.store, statements)))
        try:
            report = runs.run(doomed, "s0", options)
        except Killed:
            killed += 1
            check_invariants(made.hub)
            if told(made) != before:
                break  # it was done, and died afterwards
        else:
            assert report.error == ""
            break
    assert killed > 3
    after = told(made)
    assert after != before
    made.close()
