"""What would change a value, and what waits: in words for the phone."""

from __future__ import annotations

import pytest

from mappings.canonical.fields import Entity
from sync_engine.errors import SyncError
from sync_engine.explain import FieldReason
from sync_engine.history import explain_record
from tests.support.hubs import Bench
from tests.unit.sync_engine.conftest import Make

ECK = f"https://ketenid.nl/pilot/{'f' * 128}"


def two(make: Make) -> Bench:
    """Two sources of one pupil; s0 is believed."""
    made = make(2)
    made.policy(authority={"order": {"*": ["s0", "s1"]}})
    for name in ("s0", "s1"):
        made.sources[name].put(
            Entity.LEERLING, "l", achternaam="Jansen", roepnaam=f"Van {name}", eck_id=ECK
        )
        made.sync(name)
    return made


def why(made: Bench, field: str, entity: Entity = Entity.LEERLING, key: str = "l") -> FieldReason:
    core = made.core(entity, key)
    told = explain_record(made.hub, entity, core, field=field, operator="balie")
    return told.fields[0]


def test_one_source_alone_changes_it(make: Make) -> None:
    made = make()
    made.sources["s0"].put(Entity.GROEP, "g", naam="1A", soort="stamgroep")
    made.sync()
    assert why(made, "naam", Entity.GROEP, "g").changes_when == (
        "verandert als s0 iets anders levert"
    )


def test_who_is_believed_less_counts_only_after_it(make: Make) -> None:
    assert why(two(make), "roepnaam").changes_when == (
        "verandert als s0 iets anders levert; s1 telt pas als s0 dit veld niet meer heeft"
    )


def test_what_is_delivered_no_longer_says_so(make: Make) -> None:
    made = make()
    source = made.sources["s0"]
    source.put(Entity.LEERLING, "l", achternaam="Jansen", roepnaam="Jan")
    made.sync()
    source.fields["leerling"] = frozenset({"achternaam"})
    made.sync()
    assert "levert dit veld niet meer" in why(made, "roepnaam").changes_when


def test_a_secret_field_says_by_what(make: Make) -> None:
    made = make()
    made.sources["s0"].put(
        Entity.LEERLING, "l", achternaam="Jansen", adres={"straat": "Dam"}, adres_geheim=True
    )
    made.sync()
    assert "geheim door adres_geheim (s0)" in why(made, "adres").changes_when


def test_what_is_held_waits_with_its_plan(make: Make) -> None:
    made = two(make)
    made.policy(guards={"change": {"number": 1, "share": None, "floor": 0}})
    made.sources["s0"].put(Entity.LEERLING, "l", achternaam="Jansen", roepnaam="Anders", eck_id=ECK)
    held = made.sync("s0")
    reason = why(made, "roepnaam")
    assert reason.value == "Van s0"
    (waiting,) = reason.waiting
    assert (waiting.state, waiting.value, waiting.number) == ("held", "Anders", held.plan_id)
    assert f"vastgehouden in plan {held.plan_id}" in reason.changes_when
    assert why(made, "achternaam").waiting == []


def test_what_was_refused_says_in_which_run(make: Make) -> None:
    made = two(make)
    made.sources["s0"].put(Entity.LEERLING, "l", achternaam="Jansen", roepnaam="Anders", eck_id=ECK)
    made.sync("s0", plan_only=True)
    made.query(
        "UPDATE shadow SET pending = false, refused_fp = received_fp, refused_run = 3 "
        "WHERE received_fp <> accepted_fp"
    )
    (waiting,) = why(made, "roepnaam").waiting
    assert (waiting.state, waiting.value, waiting.number) == ("refused", "Anders", 3)


def test_a_disappearance_that_is_held_is_told_of_the_record(make: Make) -> None:
    made = make()
    for number in range(9):
        made.sources["s0"].put(Entity.LEERLING, f"l{number}", achternaam="Jansen")
    made.sync()
    made.policy(guards={"close": {"number": 1, "share": None, "floor": 0}})
    made.sources["s0"].remove(Entity.LEERLING, "l0")
    made.settle("s0", rounds=2)
    core = made.core(Entity.LEERLING, "l0")
    told = explain_record(made.hub, Entity.LEERLING, core, field=None, operator="balie")
    assert [waiting.state for waiting in told.waiting] == ["held"]
    assert not told.closed


def test_any_entity_is_explained(make: Make) -> None:
    made = make()
    source = made.sources["s0"]
    source.put(Entity.LEERLING, "l", achternaam="Jansen")
    source.put(Entity.INSCHRIJVING, "i", leerling="l", leerjaar=3)
    made.sync()
    assert why(made, "leerjaar", Entity.INSCHRIJVING, "i").value == 3
    with pytest.raises(SyncError):
        explain_record(made.hub, Entity.GROEP, 4242, field=None, operator="balie")


def test_a_form_in_quarantine_is_told_of_the_record(make: Make) -> None:
    made = make()
    source = made.sources["s0"]
    source.put(Entity.LEERLING, "l", achternaam="Jansen")
    made.sync()
    source.put(Entity.LEERLING, "l", achternaam="Jansen", kapot=True)
    made.sync()
    core = made.core(Entity.LEERLING, "l")
    told = explain_record(made.hub, Entity.LEERLING, core, field=None, operator="balie")
    (waiting,) = told.waiting
    assert waiting.state == "quarantined"
    assert "quarantaine sinds run 2: kapot" in waiting.why


def test_a_field_that_nobody_delivers_says_so_and_why(make: Make) -> None:
    made = make()
    made.sources["s0"].fields["leerling"] = frozenset({"achternaam", "adres_geheim"})
    made.sources["s0"].put(Entity.LEERLING, "l", achternaam="Jansen", adres_geheim=True)
    made.sync()
    reason = why(made, "adres")
    assert reason.value is None
    assert "geen koppeling levert dit veld nu" in reason.changes_when
    assert "geheim door adres_geheim (s0)" in reason.changes_when
