"""A dry run shows what the run would do, and leaves everything as it was."""

from __future__ import annotations

from datetime import date

from mappings.canonical.fields import Entity
from sync_engine import pins
from tests.support.hubs import Bench
from tests.support.memory import MemorySource
from tests.unit.sync_engine.conftest import Make

ECK = f"https://ketenid.nl/pilot/{'a' * 128}"


def shown_and_done(bench: Bench) -> dict[str, int]:
    """The steps of a dry run, which are those of the run after it; the dry run wrote nothing."""
    bench.sync(dry=True)  # the first one that opens a scope or koppeling is not what is compared
    before = bench.dump()
    shown = bench.sync(dry=True).steps
    assert bench.dump() == before
    done = bench.sync()
    assert shown == done.applied
    assert bench.sync().steps == {}
    return shown


def names(bench: Bench) -> list[str]:
    return [row[0] for row in bench.query("SELECT achternaam FROM leerling")]


def test_another_order_of_authority_is_shown(make: Make) -> None:
    bench = make(2)
    for name, said in (("s0", "Een"), ("s1", "Ander")):
        bench.sources[name].put(Entity.LEERLING, "x", achternaam=said, eck_id=ECK)
        bench.sync(name)
    bench.policy(authority={"order": {"*": ["s0", "s1"]}})
    bench.sync()
    assert names(bench) == ["Een"]
    bench.policy(authority={"order": {"*": ["s1", "s0"]}})
    assert shown_and_done(bench) == {"leerling.change": 1}
    assert names(bench) == ["Ander"]


def test_a_scope_that_is_listed_no_longer_is_shown(make: Make) -> None:
    bench = make({"s0": MemorySource(tuple(Entity), scope_keys=("a", "b"))})
    source = bench.sources["s0"]
    for scope in ("a", "b"):
        source.put(Entity.LEERLING, "x", scope, achternaam=f"Scope{scope}")
    bench.sync()
    (before,) = names(bench)
    source.scope_keys = ("b",) if before == "Scopea" else ("a",)
    assert shown_and_done(bench) == {"leerling.change": 1}
    assert names(bench) != [before]


def test_a_scope_that_is_listed_again_is_shown(make: Make) -> None:
    bench = make({"s0": MemorySource(tuple(Entity), scope_keys=("a", "b"))})
    source = bench.sources["s0"]
    for scope in ("a", "b"):
        source.put(Entity.LEERLING, "x", scope, achternaam=f"Scope{scope}")
    bench.sync()
    (before,) = names(bench)
    source.scope_keys = ("b",) if before == "Scopea" else ("a",)
    bench.sync()
    source.scope_keys = ("a", "b")
    assert shown_and_done(bench) == {"leerling.change": 1}
    assert names(bench) == [before]


def test_a_pin_that_expired_is_shown(make: Make) -> None:
    bench = make()
    bench.sources["s0"].put(Entity.LEERLING, "x", achternaam="Bron")
    bench.sync()
    pins.pin(
        bench.hub,
        bench.core(Entity.LEERLING, "x"),
        entity=Entity.LEERLING,
        field="achternaam",
        value="Vast",
        reason="reden",
        operator="operator",
        until=date(2026, 10, 6),
    )
    bench.sync()
    assert names(bench) == ["Vast"]
    bench.later(72)
    assert shown_and_done(bench) == {"leerling.change": 1}
    assert names(bench) == ["Bron"]


def test_what_a_dry_run_received_is_found_by_number_not_by_search(make: Make) -> None:
    with make().context() as context:
        for view in ("v_record", "v_shadow"):
            told = context.work.execute(f"EXPLAIN QUERY PLAN SELECT * FROM {view} WHERE id = 1")
            steps = [row[3] for row in told]
            assert any("SEARCH w" in step for step in steps)
            assert not [step for step in steps if step.startswith("SCAN w")]


def test_a_step_is_named_the_same_whoever_was_received_first(make: Make) -> None:
    """Two records that become one: of one the form stands in the store already, it was in doubt."""
    bench = make(2)
    born = {"geboortedatum": "1980-01-01"}
    bench.sources["s1"].put(Entity.MEDEWERKER, "x", achternaam="Visser", **born)
    bench.sync("s1")
    number = {"personeelsnummer": "7"}
    bench.sources["s0"].put(Entity.MEDEWERKER, "m2", achternaam="Visser", **born, **number)
    bench.sync("s0")
    assert bench.cases() == [("s0", "medewerker", "m2", "score")]
    bench.sources["s0"].put(Entity.MEDEWERKER, "m1", achternaam="Smit", **born, **number)
    bench.sources["s0"].put(Entity.INSCHRIJVING, "i", leerling="l", mentor="m2")
    bench.sources["s0"].put(Entity.INSCHRIJVING, "j", leerling="l", mentor="m1")
    bench.sources["s0"].put(Entity.LEERLING, "l", achternaam="Jansen")
    plans = [bench.sync("s0", dry=dry).plan_id for dry in (True, False)]
    dry, real = (
        sorted(bench.query("SELECT entity, op, digest, source FROM step WHERE plan_id = ?", plan))
        for plan in plans
    )
    assert dry == real
    assert len(real) == 4
