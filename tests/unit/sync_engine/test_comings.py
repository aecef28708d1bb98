"""Of a groep whose members changed only who came or went is looked at, with the same end.

Every story ends with all groepen folded whole: that changes nothing.
"""

from __future__ import annotations

from typing import Any

import pytest

from mappings.canonical.fields import Entity
from sync_engine import comings, pins, plan
from sync_engine.runs import Kind
from tests.support.hubs import Bench
from tests.unit.sync_engine.conftest import Make

ECK = f"https://ketenid.nl/pilot/{'c' * 128}"
PUPILS = [f"l{number}" for number in range(12)]


@pytest.fixture
def narrowed(monkeypatch: pytest.MonkeyPatch) -> list[set[int]]:
    """What `narrow` left of each batch, as it happens."""
    seen: list[set[int]] = []

    def watched(*args: Any, **kwargs: Any) -> set[int]:
        seen.append(comings.narrow(*args, **kwargs))
        return seen[-1]

    monkeypatch.setattr(plan, "narrow", watched)
    return seen


def school(make: Make, members: list[str]) -> Bench:
    made = make()
    source = made.sources["s0"]
    for key in PUPILS:
        source.put(Entity.LEERLING, key, achternaam="Jansen", eck_id=None)
    for key in ("d0", "d1"):
        source.put(Entity.MEDEWERKER, key, achternaam="Bos")
    group(made, members)
    made.sync()
    made.later()
    return made


def group(made: Bench, members: list[str], **fields: Any) -> None:
    named = {"naam": "3A", "soort": "lesgroep", "docenten": ["d0"], **fields}
    made.sources["s0"].put(Entity.GROEP, "g", leerlingen=members, **named)


def open_members(made: Bench, role: str = "leerling") -> list[str]:
    """The source keys of who is in the groep."""
    rows = made.query(
        "SELECT DISTINCT l.source_key FROM groepsdeelname d "
        "JOIN link l ON l.core_id = d.persoon_id "
        f"WHERE NOT d.beeindigd AND d.rol = '{role}' ORDER BY 1"
    )
    return [row[0] for row in rows]


def folded_whole_changes_nothing(made: Bench) -> None:
    """All that is accepted, folded again."""
    with made.hub.store.work() as work, work.transaction():
        work.execute(
            "INSERT INTO refold (core_id, tenant_id, entity, reason) "
            "SELECT id, tenant_id, 'groep', 'test' FROM groep WHERE true ON CONFLICT DO NOTHING"
        )
    before = made.query("SELECT * FROM groepsdeelname ORDER BY id")
    assert not made.sync().steps
    assert made.query("SELECT * FROM groepsdeelname ORDER BY id") == before


def test_only_who_came_or_went_is_written(make: Make, narrowed: list[set[int]]) -> None:
    made = school(make, PUPILS[:6])
    before = made.query("SELECT * FROM groepsdeelname ORDER BY id")
    narrowed.clear()
    group(made, [*PUPILS[1:6], "l9"], naam="3B")
    made.sync()
    assert narrowed == [{made.core(Entity.GROEP, "g")}]
    after = made.query("SELECT * FROM groepsdeelname ORDER BY id")
    assert len(after) == len(before) + 1
    assert sum(row not in after for row in before) == 1
    assert open_members(made) == [*PUPILS[1:6], "l9"]
    assert open_members(made, "docent") == ["d0"]
    assert made.query("SELECT naam FROM groep") == [("3B",)]
    folded_whole_changes_nothing(made)


def test_who_comes_back_has_a_new_row(make: Make, narrowed: list[set[int]]) -> None:
    made = school(make, PUPILS[:6])
    for members in (PUPILS[1:6], PUPILS[:6]):
        narrowed.clear()
        group(made, members)
        made.sync()
        made.later()
        assert narrowed == [{made.core(Entity.GROEP, "g")}]
    assert open_members(made) == PUPILS[:6]
    assert made.query("SELECT COUNT(*) FROM groepsdeelname WHERE rol = 'leerling'") == [(7,)]
    folded_whole_changes_nothing(made)


@pytest.mark.parametrize(
    ("members", "fields"),
    [
        (PUPILS[6:], {}),  # all are others
        (PUPILS[1:6], {"docenten": ["d1"]}),
        ([*PUPILS[:6], "nobody"], {"docenten": ["d0", "d1"]}),
    ],
)
def test_whatever_changes_the_end_is_that_of_a_whole_fold(
    make: Make, members: list[str], fields: dict[str, Any]
) -> None:
    made = school(make, PUPILS[:6])
    group(made, members, **fields)
    made.sync()
    assert open_members(made) == sorted(set(members) - {"nobody"})
    assert open_members(made, "docent") == fields.get("docenten", ["d0"])
    folded_whole_changes_nothing(made)


def test_a_groep_that_loses_everybody_waits_for_a_person(make: Make) -> None:
    made = school(make, PUPILS[:6])
    group(made, [])
    assert made.sync().held == 1
    assert open_members(made) == PUPILS[:6]


def test_who_is_not_known_yet_is_remembered_and_comes_later(make: Make) -> None:
    made = school(make, [*PUPILS[:5], "later"])
    group(made, [*PUPILS[:4], "later", "latest"])
    made.sync()
    opened = made.query("SELECT target_key FROM open_reference ORDER BY target_key")
    assert opened == [("later",), ("latest",)]
    made.sources["s0"].put(Entity.LEERLING, "later", achternaam="Later")
    group(made, [*PUPILS[:3], "later", "latest"])
    made.sync()
    assert open_members(made) == [*PUPILS[:3], "later"]
    assert made.query("SELECT target_key FROM open_reference") == [("latest",)]
    folded_whole_changes_nothing(made)


def test_of_two_keys_of_one_pupil_one_may_go(make: Make, narrowed: list[set[int]]) -> None:
    made = school(make, PUPILS[:6])
    for key in ("l0", "l9"):
        made.sources["s0"].put(Entity.LEERLING, key, achternaam="Jansen", eck_id=ECK)
    made.sync()
    assert made.core(Entity.LEERLING, "l0") == made.core(Entity.LEERLING, "l9")
    made.later()
    group(made, [*PUPILS[:6], "l9"])
    made.sync()
    made.later()
    narrowed.clear()
    group(made, [*PUPILS[1:6], "l9"])
    made.sync()
    assert narrowed == [set()]
    assert open_members(made) == [*PUPILS[:6], "l9"]  # under both names he is there
    folded_whole_changes_nothing(made)


def test_a_period_that_changes_goes_over_all_members(make: Make, narrowed: list[set[int]]) -> None:
    made = school(make, PUPILS[:6])
    narrowed.clear()
    group(made, PUPILS[1:6], geldig_tot="2027-01-01")
    made.sync()
    assert narrowed == [set()]
    ends = made.query("SELECT DISTINCT geldig_tot FROM groepsdeelname WHERE NOT beeindigd")
    assert [str(row[0]) for row in ends] == ["2027-01-01"]
    folded_whole_changes_nothing(made)


def test_what_is_pinned_or_marked_is_folded_whole(make: Make, narrowed: list[set[int]]) -> None:
    made = school(make, PUPILS[:6])
    core = made.core(Entity.GROEP, "g")
    pins.pin(
        made.hub,
        core,
        entity=Entity.GROEP,
        field="naam",
        value="vast",
        reason="test",
        operator="test",
    )
    narrowed.clear()
    group(made, PUPILS[1:6])
    made.sync()
    assert narrowed == [set()]
    assert open_members(made) == PUPILS[1:6]
    folded_whole_changes_nothing(made)


def test_an_undone_change_brings_the_rows_back(make: Make) -> None:
    made = school(make, PUPILS[:6])
    before = made.query("SELECT persoon_id, geldig_van, beeindigd FROM groepsdeelname ORDER BY id")
    group(made, [*PUPILS[1:6], "l9"])
    run = made.sync().run_id
    made.later()
    made.sync(kind=Kind.UNDO, undone=run)
    after = made.query("SELECT persoon_id, geldig_van, beeindigd FROM groepsdeelname ORDER BY id")
    assert after == before
    folded_whole_changes_nothing(made)
