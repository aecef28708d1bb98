"""Whom a plan names: a key that a person can use, or that the record is still to be made."""

from __future__ import annotations

from console.views import told_change
from mappings.canonical.fields import Entity
from sync_engine.find import hub_key
from sync_engine.hubkeys import NEW
from sync_engine.plans import StepView, read_plan
from sync_engine.runs import Kind
from tests.support.hubs import Bench
from tests.unit.sync_engine.conftest import Make

PUCK = {"roepnaam": "Puck", "achternaam": "Françoise"}


def group(bench: Bench, *members: str) -> None:
    source = bench.sources["s0"]
    for key in {"a", "b", *members}:
        source.put(Entity.LEERLING, key, **PUCK)
    source.put(Entity.VESTIGING, "v", naam="Noord", vestigingsnummer="99XX00")
    named = {"naam": "3A", "soort": "stamgroep", "vestiging": "v"}
    source.put(Entity.GROEP, "g", **named, leerlingen=list(members))


def steps(bench: Bench, plan_id: int | None) -> dict[str, StepView]:
    assert plan_id is not None
    return {step.entity: step for step in read_plan(bench.hub, plan_id, limit=50).steps}


def members(step: StepView) -> list[str]:
    return sorted(
        told_change(step, name, *pair)
        for name, pair in step.changes.items()
        if name.startswith("groepsdeelname/")
    )


def test_a_member_is_named_with_his_key_and_who_is_to_be_made_has_none(make: Make) -> None:
    bench = make()
    group(bench, "a", "b")
    bench.sync()
    puck = f"Puck Françoise {hub_key(bench.core(Entity.LEERLING, 'a'))}"
    group(bench, "b", "x")
    for how in ({"dry": True}, {"plan_only": True}):
        found = steps(bench, bench.sync(**how).plan_id)
        gone, come = members(found["groep"])[::-1]
        assert gone.startswith(f"- leerling {puck} ") or come.startswith(f"- leerling {puck} ")
        assert any(f"+ leerling {NEW} " in told for told in (gone, come))
        assert found["leerling"].key == ""

    waits = bench.reports[-1].plan_id
    done = bench.sync(kind=Kind.APPLY, approved=waits)
    found = steps(bench, done.plan_id)
    made = hub_key(bench.core(Entity.LEERLING, "x"))
    assert found["leerling"].key == made
    assert any(f"+ leerling Puck Françoise {made} " in told for told in members(found["groep"]))
