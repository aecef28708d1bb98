"""`explain groep`: who is in it by name and key, and who came and went, in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mappings.canonical.fields import Entity
from sync_engine.find import hub_key
from sync_engine.store.engine import Store
from tests.support.desk import Desk, desk_of
from tests.support.hubs import bench

PUPILS = [f"l{number:02d}" for number in range(12)]


def group(desk: Desk, *members: str, teacher: str) -> None:
    desk.bench.sources["s0"].put(
        *(Entity.GROEP, "g"),
        naam="3A",
        soort="lesgroep",
        vak="wi",
        leerlingen=list(members),
        docenten=[teacher],
    )


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Iterator[Desk]:
    """A groep of twelve that a pupil and a docent leave after the first run."""
    made = bench(store, tmp_path)
    source = made.sources["s0"]
    for key in (*PUPILS, "later"):
        source.put(Entity.LEERLING, key, roepnaam="Puck", achternaam=f"Naam {key}")
    for key in ("m1", "m2"):
        source.put(Entity.MEDEWERKER, key, voornamen="Max", achternaam=f"Docent {key}")
    source.put(Entity.VAK, "wi", naam="Wiskunde")
    with desk_of(made) as found:
        group(found, *PUPILS, teacher="m1")
        made.sync()
        made.later(24)
        group(found, *PUPILS[1:], "later", teacher="m2")
        made.sync()
        yield found
    made.close()


def called(desk: Desk, entity: Entity, key: str, name: str) -> str:
    return f"{name} {hub_key(desk.bench.core(entity, key))}"


def test_members_teachers_and_subject_have_names_and_keys(desk: Desk) -> None:
    key = hub_key(desk.bench.core(Entity.GROEP, "g"))
    told = desk("explain", "groep", key)
    assert told.code == 0
    assert called(desk, Entity.VAK, "wi", "Wiskunde") in told.out
    assert "leerlingen, nu: 12" in told.out
    assert f"... en nog 2; zie `koppelhub explain groep {key} --field leerlingen`" in told.out
    assert called(desk, Entity.LEERLING, "l01", "Puck Naam l01") in told.out
    assert f"    {called(desk, Entity.MEDEWERKER, 'm2', 'Docent m2')}\n" in told.out
    gone = called(desk, Entity.LEERLING, "l00", "Puck Naam l00")
    come = called(desk, Entity.LEERLING, "later", "Puck Naam later")
    assert f"    - {gone} (t/m 2026-10-05) in run 2" in told.out
    assert f"    + {come} (vanaf 2026-10-06) in run 2" in told.out
    assert "False" not in told.out
    assert "l01, l02" not in told.out
    assert max(map(len, told.out.splitlines())) < 200
    looked = desk.bench.query("SELECT subject FROM audit WHERE action = 'explain'")
    assert looked == [(key,)]

    whole = desk("explain", "groep", key, "--field", "leerlingen")
    for pupil in PUPILS[1:]:
        assert called(desk, Entity.LEERLING, pupil, f"Puck Naam {pupil}") in whole.out
    (answer,) = desk("explain", "groep", key, "--field", "leerlingen", "--json").data
    (reason,) = answer["explanation"]["fields"]
    assert reason["labels"]["later"] == come
    assert reason["history"][-1]["who"] in {come, gone}
