"""At any earlier moment the rebuilt state is the state that stood there then."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.canonical.fields import Entity
from sync_engine import pins
from sync_engine.past import Past
from sync_engine.project import State
from sync_engine.view import store_context
from tests.property.stores import on_sqlite
from tests.support.hubs import Bench, bench

PUPILS, GROEPEN = 5, 2
Snapshot = dict[tuple[Entity, int], State]

act = st.one_of(
    st.tuples(st.just("name"), st.integers(0, PUPILS - 1), st.sampled_from(["A", "B", "C"])),
    st.tuples(st.just("number"), st.integers(0, PUPILS - 1), st.sampled_from(["1", "2", "3"])),
    st.tuples(st.just("mail"), st.integers(0, PUPILS - 1), st.sampled_from(["a", "b", ""])),
    st.tuples(st.just("groep"), st.integers(0, PUPILS - 1), st.integers(0, GROEPEN)),
    st.tuples(st.just("leave"), st.integers(0, PUPILS - 1), st.just("")),
    st.tuples(st.just("pin"), st.integers(0, PUPILS - 1), st.sampled_from(["P", "Q"])),
    st.tuples(st.just("lift"), st.integers(0, PUPILS - 1), st.just("")),
)
histories = st.lists(st.lists(act, min_size=1, max_size=4), min_size=2, max_size=6)


class World:
    """A small school whose every state is kept as it goes."""

    def __init__(self, made: Bench) -> None:
        self.made, self.pupils = made, dict[int, dict[str, Any]]()
        self.groep = dict.fromkeys(range(PUPILS), 0)
        self.kept: list[tuple[datetime, Snapshot]] = []

    def do(self, what: str, who: int, how: Any) -> None:
        pupil = self.pupils.setdefault(who, {"achternaam": "A", "leerlingnummer": f"9{who}"})
        if what == "name":
            pupil["achternaam"] = how
        elif what == "number":
            pupil["leerlingnummer"] = f"{how}{who}"
        elif what == "mail":
            pupil["email"] = f"{how}{who}@school.example" if how else None
        elif what == "groep":
            self.groep[who] = how
        elif what == "leave":
            del self.pupils[who]
        else:
            self._pin(what, who, how)

    def _pin(self, what: str, who: int, how: str) -> None:
        rows = self.made.query(
            "SELECT core_id FROM link WHERE entity = 'leerling' AND source_key = ?", f"l{who}"
        )
        if not rows:
            return
        core_id = int(rows[0][0])
        if what == "pin":
            pins.pin(
                self.made.hub,
                core_id,
                entity=Entity.LEERLING,
                field="roepnaam",
                value=how,
                reason="proef",
                operator="proef",
            )
            return
        for (pin_id,) in self.made.query(
            "SELECT id FROM pin WHERE core_id = ? AND lifted_at IS NULL", core_id
        ):
            pins.lift(self.made.hub, pin_id)

    def night(self) -> None:
        source = self.made.sources["s0"]
        for who in range(PUPILS):
            if who in self.pupils:
                source.put(Entity.LEERLING, f"l{who}", **self.pupils[who])
            else:
                source.remove(Entity.LEERLING, f"l{who}")
        for number in range(GROEPEN):
            members = sorted(f"l{w}" for w in self.pupils if self.groep[w] == number)
            source.put(
                Entity.GROEP, f"g{number}", naam=f"G{number}", soort="les", leerlingen=members
            )
        self.made.later()
        self.made.sync()
        self.kept.append((self.made.clock.now() + timedelta(seconds=1), self.now(None)))

    def now(self, until: datetime | None) -> Snapshot:
        """The state of everything at one moment: rebuilt, or where it is None as it stands."""
        found: Snapshot = {}
        with store_context(self.made.hub, 1) as context:
            past = Past(context, until)
            for entity in (Entity.LEERLING, Entity.GROEP):
                for (core_id,) in context.work.execute(f"SELECT id FROM {entity} ORDER BY id"):
                    state = past.state(entity, core_id)
                    if state is not None:
                        found[entity, core_id] = {
                            key: value for key, value in state.items() if value is not None
                        }
        return found


def live(made: Bench, history: list[list[tuple[str, int, Any]]]) -> World:
    made.policy(
        guards={kind: {"share": None, "number": 10_000} for kind in ("close", "change", "empty")}
        | {"desert_from": 10_000},
        absence={"block_shrink": 1.0, "shrink_floor": 1000},
    )
    world = World(made)
    for night in history:
        for what, who, how in night:
            world.do(what, who, how)
        world.night()
    return world


@given(history=histories)
@settings(max_examples=25)
def test_what_is_rebuilt_is_what_stood_there(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    history: list[list[tuple[str, int, Any]]],
) -> None:
    with on_sqlite(request.getfixturevalue("_sqlite_template")) as store:
        made = bench(store, tmp_path_factory.mktemp("past"))
        world = live(made, history)
        for moment, stood in world.kept:
            assert world.now(moment) == stood
        assert world.now(None) == world.kept[-1][1]
        made.close()
