"""A school goes to another board: nobody is closed, doubled or left with the wrong keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mappings.canonical.fields import Entity
from sync_engine.outcome import Outcome
from sync_engine.store.engine import Store
from tests.support.boards import NEW, OLD, Boards, boards, core, fill, sound
from tests.support.memory import MemorySource


@pytest.fixture
def two(store: Store, tmp_path: Path) -> Iterator[Boards]:
    """Noord (s0) and Zuid (s1) of the old board; a pupil, a teacher and the instelling are both's."""
    sources = {name: MemorySource(tuple(Entity)) for name in ("s0", "s1", "s2")}
    fill(
        sources["s0"],
        "noord",
        vestiging="99XX01",
        pupils={"a": 1, "b": None, "c": None, "beide": 5},
        staff={"juf": 1, "meester": None},
    )
    fill(
        sources["s1"],
        "zuid",
        vestiging="99XX02",
        pupils={"x": 11, "y": None, "beide z": 5},
        staff={"juf z": 1, "zus": None},
    )
    fill(sources["s2"], "west", vestiging="99YY01", pupils={"w": 21}, staff={"wim": 7})
    with boards(store, tmp_path, {"s0": OLD, "s1": OLD, "s2": NEW}, sources) as made:
        for _ in range(2):
            for name in sources:
                assert made.made.sync(name).outcome is Outcome.DONE
            made.made.later()
        yield made


def test_who_is_of_the_school_alone_keeps_his_number(two: Boards) -> None:
    made = two.made
    old, new = two.tenant(OLD), two.tenant(NEW)
    sound(made)
    before = core(made, old)
    there = core(made, new)
    report = two.move("s0")
    sound(made)
    assert report.twins
    for name in ("s0", "s1", "s2") * 2:
        made.later(24)
        run = made.sync(name)
        assert (run.error, run.outcome) == ("", Outcome.DONE), (name, run)
        assert not [step for step in run.steps if step.endswith((".create", ".close"))], name
        sound(made)
    assert made.cases() == []
    moved = {row[0] for row in core(made, new)["leerling"]} - {row[0] for row in there["leerling"]}
    assert len(moved) == 4
    assert len(moved & {row[0] for row in before["leerling"]}) == 3
