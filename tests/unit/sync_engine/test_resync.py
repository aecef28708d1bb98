"""Resync by hand: everything that knows a pupil is asked about him, and only about him."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigurationError
from config.nearest import school_advice
from mappings.canonical.fields import Entity
from sync_engine.errors import SyncError
from sync_engine.options import Kind
from sync_engine.outcome import ExitCode
from sync_engine.resync import Part, Resync, of_entity, of_groep, of_leerling, of_school, resync
from sync_engine.store.engine import Store
from sync_engine.store.locks import lease
from tests.support.hubs import Bench, bench
from tests.support.memory import MemorySource
from tests.unit.sync_engine.conftest import Make

ECK = f"https://ketenid.nl/pilot/{'1' * 128}"
BOTH: dict[str, tuple[str, ...]] = {"noord": ("99XX00", "99XX"), "zuid": ("99XX01", "99XX")}


def sources() -> dict[str, MemorySource]:
    return {
        name: MemorySource(tuple(Entity), scope_keys=("noord", "zuid"), brins=BOTH)
        for name in ("s0", "s1", "s2")
    }


def school(made: Bench) -> int:
    """One pupil that s0 and s1 know, with a guardian; s2 knows others of his vestiging only."""
    made.sources["s0"].put(
        Entity.VESTIGING, "v", scope="noord", naam="Noord", vestigingsnummer="99XX00"
    )
    for name in ("s0", "s1"):
        source = made.sources[name]
        source.put(Entity.LEERLING, "l", scope="noord", achternaam="Jansen", eck_id=ECK)
        source.put(Entity.LEERLING, "x", scope="noord", achternaam=f"Ander {name}")
        source.put(Entity.VERZORGER, "o", scope="noord", achternaam=f"Ouder {name}")
        source.put(Entity.VERZORGER_RELATIE, "o/l", scope="noord", verzorger="o", leerling="l")
    made.sources["s0"].put(
        Entity.INSCHRIJVING, "i", scope="noord", leerling="l", vestiging="v", leerjaar=1
    )
    made.sources["s2"].put(Entity.LEERLING, "z", scope="noord", achternaam="Zonder")
    for name in ("s0", "s1", "s2"):
        made.sync(name)
    made.later()
    return made.core(Entity.LEERLING, "l")


def rename(made: Bench) -> None:
    """Everybody is called otherwise in every source."""
    for source in made.sources.values():
        for (resource, scope), records in source.records.items():
            if resource in {"leerling", "verzorger"}:
                for key, values in list(records.items()):
                    source.put(
                        Entity(resource), key, scope=scope, **{**values, "roepnaam": "Nieuw"}
                    )


def again(made: Bench, parts: list[Part], **options: Any) -> Resync:
    found = resync(made.hub, parts, what="K-test", operator="balie", **options)
    made.close()
    return found


def renamed(made: Bench) -> set[str]:
    rows = made.query(
        "SELECT achternaam FROM leerling WHERE roepnaam = 'Nieuw' "
        "UNION SELECT achternaam FROM verzorger WHERE roepnaam = 'Nieuw'"
    )
    return {row[0] for row in rows}


def test_a_pupil_and_his_guardians_come_from_every_source_that_knows_him(
    store: Store, tmp_path: Path
) -> None:
    made = bench(store, tmp_path, sources=sources())
    core = school(made)
    rename(made)
    found = again(made, [p for p in of_leerling(made.hub, core) if p.koppeling != "s2"])
    assert [part.koppeling for part in found.parts] == ["s0", "s1"]
    assert found.exit_code is ExitCode.DONE
    assert renamed(made) == {"Jansen", "Ouder s0", "Ouder s1"}
    made.close()


def test_who_serves_his_vestiging_and_does_not_know_him_is_read_there(make: Make) -> None:
    made = make(sources())
    core = school(made)
    made.sources["s2"].put(Entity.LEERLING, "nu", scope="noord", achternaam="Jansen", eck_id=ECK)
    parts = {part.koppeling: part for part in of_leerling(made.hub, core)}
    assert "kent hem nog niet" in parts["s2"].says
    again(made, [parts["s2"]])
    assert made.core(Entity.LEERLING, "nu", "s2") == core


def test_by_hand_and_how_many_stand_in_the_run_and_no_name(make: Make) -> None:
    made = make(sources())
    again(made, of_leerling(made.hub, school(made))[:1])
    options = made.query("SELECT options FROM run ORDER BY id DESC LIMIT 1")[0][0]
    assert '"by_hand":true' in options
    assert '"pupils":1' in options
    assert made.query("SELECT operator, subject FROM audit WHERE action = 'resync'") == [
        ("balie", "K-test")
    ]


def test_a_preview_changes_nothing(make: Make) -> None:
    made = make(sources())
    core = school(made)
    rename(made)
    before = made.dump()
    found = again(made, of_leerling(made.hub, core)[:1], dry=True)
    assert found.parts[0].report is not None
    assert found.parts[0].report.steps == {"leerling.change": 1, "verzorger.change": 1}
    assert made.dump() == before


def test_nobody_is_closed_by_it(make: Make) -> None:
    made = make(sources())
    core = school(made)
    made.sources["s0"].remove(Entity.LEERLING, "l", scope="noord")
    for _ in range(3):
        made.later()
        again(made, of_leerling(made.hub, core)[:1])
    assert made.query("SELECT geldig_tot FROM leerling WHERE id = ?", core) == [(None,)]


@pytest.mark.usefixtures("without_look_up")
def test_without_look_ups_the_smallest_scope_is_read_and_he_alone_is_planned(make: Make) -> None:
    made = make(sources())
    core = school(made)
    rename(made)
    for source in made.sources.values():
        source.said.clear()
    parts = [part for part in of_leerling(made.hub, core) if part.koppeling == "s0"]
    assert "kan geen losse leerling leveren" in parts[0].says
    assert "noord (2)" in parts[0].says
    found = again(made, parts)
    assert found.parts[0].report is not None
    assert found.parts[0].report.applied == {"leerling.change": 1, "verzorger.change": 1}
    assert {said.scope for said in made.sources["s0"].said} == {"noord"}
    assert renamed(made) == {"Jansen", "Ouder s0"}


@pytest.mark.usefixtures("without_look_up")
def test_by_key_too_only_the_scopes_that_hold_it_are_read(make: Make) -> None:
    made = make(sources())
    school(made)
    rename(made)
    source = made.sources["s0"]
    source.said.clear()
    one: dict[str, Any] = {"kind": Kind.ONLY, "resources": ("leerling",)}
    assert made.sync("s0", **one, only=("l",)).applied == {"leerling.change": 1}
    assert [(said.resource, said.scope) for said in source.said] == [("leerling", "noord")]
    source.put(Entity.LEERLING, "erbij", scope="zuid", achternaam="Nieuw")
    source.said.clear()
    assert made.sync("s0", **one, only=("erbij",)).applied == {"leerling.create": 1}
    assert {said.scope for said in source.said} == {"noord", "zuid"}  # it stood nowhere


def test_one_that_is_busy_does_not_stop_the_others(make: Make) -> None:
    made = make(sources())
    core = school(made)
    rename(made)
    row = made.hub.koppeling("s0")
    with made.hub.store.work() as work, lease(made.hub.store, f"koppeling-{row.id}", on=work):
        found = again(made, of_leerling(made.hub, core)[:2])
    assert [(part.koppeling, part.code) for part in found.parts] == [
        ("s0", ExitCode.LATER),
        ("s1", ExitCode.DONE),
    ]
    assert found.exit_code is ExitCode.LATER
    assert found.parts[0].advice


def test_a_groep_comes_from_every_source_that_knows_it(make: Make) -> None:
    made = make(sources())
    school(made)
    for name in ("s0", "s1"):
        made.sources[name].put(
            Entity.GROEP,
            "g",
            scope="noord",
            naam="1A",
            soort="stamgroep",
            schooljaar="2026/2027",
            leerlingen=["l"],
        )
        made.sync(name)
    rename(made)
    parts = of_groep(made.hub, made.core(Entity.GROEP, "g"))
    again(made, parts)
    assert "Jansen" in renamed(made)
    assert "Ander s0" not in renamed(made)
    with pytest.raises(SyncError):
        of_groep(made.hub, 4242)


def test_one_entity_of_one_school_and_a_whole_school(make: Make) -> None:
    made = make(sources())
    school(made)
    rename(made)
    for source in made.sources.values():
        source.said.clear()
    again(made, of_entity(made.hub, Entity.VERZORGER, ["99XX00"]))
    assert renamed(made) == {"Ouder s0", "Ouder s1"}
    read = {(s.resource, s.scope) for source in made.sources.values() for s in source.said}
    assert read == {("verzorger", "noord")}
    again(made, of_school(made.hub, ["99XX"]))
    assert renamed(made) >= {"Jansen", "Ander s0", "Ander s1", "Zonder"}


def test_a_vestiging_that_nobody_lists_is_refused_before_any_run(make: Make) -> None:
    made = make(sources())
    asked = of_entity(made.hub, Entity.LEERLING, ["99XX05"])  # nothing was read: it may be there
    assert len(asked) == 3
    school(made)
    for ask in (partial(of_entity, made.hub, Entity.LEERLING), partial(of_school, made.hub)):
        with pytest.raises(ConfigurationError, match="lists a part of school 99XX05") as refused:
            ask(["99XX00", "99xx05"])
        advice = refused.value.advice
        assert "Kies een van: 99XX00, 99XX, 99XX01." in advice
        assert "`koppelhub sync --source s0`" in advice
        assert "99XX05" not in advice


def test_who_never_listed_a_school_is_not_asked_for_it(make: Make) -> None:
    every = sources()
    every["s2"] = MemorySource(tuple(Entity), scope_keys=("zuid",), brins=BOTH)
    made = make(every)
    for name in every:
        made.sync(name)
    parts = of_entity(made.hub, Entity.LEERLING, ["99XX00"])
    assert [part.koppeling for part in parts] == ["s0", "s1"]


def test_no_example_is_the_number_that_was_refused(make: Make) -> None:
    made = make(sources())
    for wrong in ("98ZZ00", "99XX0"):
        with pytest.raises(ConfigurationError) as refused:
            of_school(made.hub, [wrong])
        assert "uit de configuratie" in refused.value.advice
    assert school_advice("98ZZ00").count("99XX") == 2
    assert "99XX" not in school_advice("99xx00")


def test_how_long_it_took_is_told(make: Make) -> None:
    made = make(sources())
    found = again(made, of_leerling(made.hub, school(made))[:1])
    assert found.parts[0].seconds >= 0
    report = found.parts[0].report
    assert report is not None
    assert isinstance(report.finished_at, datetime)
