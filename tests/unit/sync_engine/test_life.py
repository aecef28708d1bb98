"""Everything that ever happened to one record, in order of time."""

from __future__ import annotations

import pytest

from mappings.canonical.fields import Entity
from sync_engine import pins
from sync_engine.errors import SyncError
from sync_engine.find import hub_key
from sync_engine.history import explain_record
from sync_engine.life import Life, life_of
from sync_engine.runs import Kind
from tests.support.hubs import Bench
from tests.unit.sync_engine.conftest import Make

ECK = f"https://ketenid.nl/pilot/{'c' * 128}"


def lived(make: Make) -> tuple[Bench, int]:
    """A pupil who was renamed, changed class, was pinned, looked at, and left."""
    made = make()
    source = made.sources["s0"]
    source.put(Entity.LEERLING, "l", achternaam="Jansen", roepnaam="Jan", eck_id=ECK)
    for number in range(9):
        source.put(Entity.LEERLING, f"ander{number}", achternaam="Ander")
    source.put(Entity.INSCHRIJVING, "i", leerling="l", leerjaar=1)
    source.put(Entity.GROEP, "a", naam="1A", soort="stamgroep", leerlingen=["l", "ander0"])
    source.put(Entity.GROEP, "b", naam="1B", soort="stamgroep", leerlingen=["ander1"])
    made.sync()
    core = made.core(Entity.LEERLING, "l")
    made.later()
    source.put(Entity.LEERLING, "l", achternaam="Janssen", roepnaam="Jan", eck_id=ECK)
    source.put(Entity.GROEP, "a", naam="1A", soort="stamgroep", leerlingen=["ander0"])
    source.put(Entity.GROEP, "b", naam="1B", soort="stamgroep", leerlingen=["ander1", "l"])
    made.sync(operator="nachtrun")
    made.later()
    pins.pin(
        made.hub,
        core,
        entity=Entity.LEERLING,
        field="roepnaam",
        value="Johan",
        reason="Vraag van de school",
        operator="balie",
    )
    made.sync()
    made.later()
    explain_record(made.hub, Entity.LEERLING, core, field=None, operator="inzage")
    source.remove(Entity.LEERLING, "l")
    made.settle("s0", rounds=2)
    return made, core


def life(made: Bench, core: int, limit: int = 100, page: int = 1) -> Life:
    return life_of(made.hub, Entity.LEERLING, core, operator="test", limit=limit, page=page)


def test_everything_is_told_in_order_of_time(make: Make) -> None:
    made, core = lived(make)
    told = life(made, core)
    assert [h.at for h in told.happenings] == sorted(h.at for h in told.happenings)
    kinds = [h.kind for h in told.happenings]
    for kind in ("create", "link", "member", "change", "pin", "look", "close"):
        assert kind in kinds, kind
    assert kinds.index("create") < kinds.index("change") < kinds.index("pin")
    assert kinds.index("pin") < kinds.index("look") < len(kinds) - kinds[::-1].index("close")


def test_each_change_says_run_operator_source_and_both_values(make: Make) -> None:
    made, core = lived(make)
    changed = next(
        h for h in life(made, core).happenings if "achternaam" in h.changes and h.kind == "change"
    )
    assert changed.changes["achternaam"] == ["Jansen", "Janssen"]
    assert (changed.run_id, changed.operator, changed.source) == (2, "nachtrun", "s0")


def test_what_a_person_did_says_why(make: Make) -> None:
    made, core = lived(make)
    made.sources["s0"].put(Entity.LEERLING, "l", achternaam="Fout", eck_id=ECK)
    undone = made.sync().run_id
    made.sync(kind=Kind.UNDO, undone=undone, why="verkeerd getypt", operator="balie")
    made.sources["s0"].put(Entity.LEERLING, "l", achternaam="Weer fout", eck_id=ECK)
    plan = made.sync(plan_only=True).plan_id
    made.sync(kind=Kind.REFUSE, refused=plan, why="klopt niet", operator="balie")
    told = [(h.kind, h.why) for h in life(made, core).happenings if h.why]
    assert told == [
        ("pin", "Vraag van de school"),
        ("close", "verkeerd getypt"),  # he had left before
        ("refuse", "klopt niet"),
    ]


def test_groepen_come_and_go(make: Make) -> None:
    made, core = lived(make)
    texts = [h.text for h in life(made, core).happenings if h.kind == "member"]
    assert [text.split(" als ")[0] for text in texts][:3] == [
        "in groep 1A",
        "uit groep 1A",
        "in groep 1B",
    ] or [text.split(" als ")[0] for text in texts][:3] == [
        "in groep 1A",
        "in groep 1B",
        "uit groep 1A",
    ]


def test_what_is_his_is_told_with_him(make: Make) -> None:
    made, core = lived(make)
    told = [h for h in life(made, core).happenings if h.entity == "inschrijving"]
    assert (told[0].kind, told[0].text) == ("create", "inschrijving: gemaakt")


def test_a_personal_number_is_told_by_its_end(make: Make) -> None:
    made, core = lived(make)
    assert ECK not in repr(life(made, core))
    assert "…cccc" in repr(life(made, core))


def test_it_is_paged(make: Make) -> None:
    made, core = lived(make)
    whole = life(made, core)
    first, second = life(made, core, limit=4), life(made, core, limit=4, page=2)
    assert [h.text for h in first.happenings + second.happenings] == [
        h.text for h in whole.happenings[:8]
    ]
    assert first.more == first.total - 4


def test_who_looks_at_the_history_is_in_it_the_next_time(make: Make) -> None:
    made, core = lived(make)
    life(made, core)
    looks = [h for h in life(made, core).happenings if h.kind == "look"]
    assert ("history", "test") in {(h.text, h.operator) for h in looks}


def test_a_merge_is_told_and_what_was_of_the_other_with_it(make: Make) -> None:
    made = make(2)
    for name, said in (("s0", {"eck_id": ECK}), ("s1", {})):
        made.sources[name].put(Entity.LEERLING, "l", achternaam=name, **said)
        made.sync(name)
    younger = made.core(Entity.LEERLING, "l", "s1")
    made.later()
    made.sources["s1"].put(Entity.LEERLING, "l", achternaam="s1", eck_id=ECK)
    made.sync("s1")
    core = made.core(Entity.LEERLING, "l", "s1")
    assert core != younger
    told = life(made, core)
    assert any(h.kind == "merge" and hub_key(younger) in h.text for h in told.happenings)
    assert {h.subject for h in told.happenings if h.kind == "create"} == {
        hub_key(core),
        hub_key(younger),
    }


def test_a_refused_or_held_plan_is_no_step(make: Make) -> None:
    made, core = lived(make)
    made.sources["s0"].put(Entity.LEERLING, "l", achternaam="Terug", eck_id=ECK)
    made.sync(plan_only=True)
    assert not any(
        h.changes.get("achternaam", [None, None])[1] == "Terug" for h in life(made, core).happenings
    )
    made.sync(kind=Kind.FULL)
    assert any(
        h.changes.get("achternaam", [None, None])[1] == "Terug" for h in life(made, core).happenings
    )


def test_of_who_was_never_here_nothing_is_told(make: Make) -> None:
    made, _ = lived(make)
    with pytest.raises(SyncError):
        life(made, 999_999)
