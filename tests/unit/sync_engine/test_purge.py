"""Purge: what is over its time goes with everything of it, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import SQLModel

from fixtures.school.keys import synthetic_bsn
from mappings.canonical.fields import Entity
from sync_engine import pins, purge
from sync_engine.cases import write_note
from sync_engine.errors import RunActiveError
from sync_engine.find import hub_key
from sync_engine.options import Decision, Kind, Verdict
from sync_engine.plans import read_plan
from sync_engine.purge import PurgeReport
from sync_engine.store.engine import Store
from sync_engine.store.locks import tenant_lock
from tests.property.stores import DoomedStore, Killed
from tests.support.hubs import Bench, bench

DAYS = 24
TWO_YEARS = 731 * DAYS
OF_PURGES = frozenset({"audit", "audit_anchor"})
ENTITIES = frozenset(map(str, Entity))
NAMES_A_CORE_RECORD = {
    "core_id",
    "survivor_id",
    "eigenaar_id",
    "persoon_id",
    "groep_id",
    "leerling_id",
    "verzorger_id",
}


@pytest.fixture
def made(store: Store, tmp_path: Path) -> Iterator[Bench]:
    """Two sources on each of the two databases."""
    one = bench(store, tmp_path, sources=2)
    yield one
    one.close()


def school(made: Bench, *pupils: str, name: str = "s0") -> None:
    """Pupils, each with an inschrijving and a verzorger, in one groep."""
    source = made.sources[name]
    source.put(Entity.VESTIGING, "v", naam="Haven", vestigingsnummer="99XX01")
    for number, key in enumerate(pupils):
        source.put(
            Entity.LEERLING,
            key,
            achternaam=f"Purgeerling{key}",
            geboortedatum="2012-03-04",
            bsn=synthetic_bsn(number + 1),
            leerlingnummer=str(100 + number),
            email=f"{key}@thuis.example",
            adres={"straat": "Kade", "postcode": "1234AB"},
        )
        source.put(Entity.INSCHRIJVING, f"i{key}", leerling=key, vestiging="v")
        source.put(Entity.VERZORGER, f"o{key}", achternaam=f"Ouder{key}")
        source.put(Entity.VERZORGER_RELATIE, f"r{key}", verzorger=f"o{key}", leerling=key)
    groep = {"naam": "1A", "soort": "stamgroep", "schooljaar": "2026/2027", "vestiging": "v"}
    source.put(Entity.GROEP, "g", **groep, leerlingen=list(pupils))


def leaves(made: Bench, key: str, *stay: str, name: str = "s0") -> None:
    """A pupil and all that is his disappear from a source, and that is confirmed."""
    source = made.sources[name]
    for entity, record in (
        (Entity.LEERLING, key),
        (Entity.INSCHRIJVING, f"i{key}"),
        (Entity.VERZORGER, f"o{key}"),
        (Entity.VERZORGER_RELATIE, f"r{key}"),
    ):
        source.remove(entity, record)
    groep = {"naam": "1A", "soort": "stamgroep", "schooljaar": "2026/2027", "vestiging": "v"}
    source.put(Entity.GROEP, "g", **groep, leerlingen=list(stay))
    made.settle(name)


def purged(made: Bench, **options: Any) -> PurgeReport:
    (report,) = purge.purge(made.hub, operator="test", **options)
    return report


def named(made: Bench, core_id: int) -> set[str]:
    """The tables that still name a core record."""
    return {
        name
        for name, table in SQLModel.metadata.tables.items()
        for column in table.columns
        if (column.name in NAMES_A_CORE_RECORD or (column.name == "id" and name in ENTITIES))
        if made.query(f"SELECT 1 FROM {name} WHERE {column.name} = ? LIMIT 1", core_id)
    }


# -- a record that goes ----------------------------------------------------------------------------


def test_a_record_goes_with_everything_of_it_and_no_other_is_touched(made: Bench) -> None:
    school(made, "a", "b")
    made.sync("s0")
    gone = {
        entity: made.core(entity, key)
        for entity, key in ((Entity.LEERLING, "a"), (Entity.INSCHRIJVING, "ia"))
    }
    person: Any = {"entity": Entity.LEERLING, "reason": "test", "operator": "test"}
    pins.pin(made.hub, gone[Entity.LEERLING], field="roepnaam", value="Pin", **person)
    leaves(made, "a", "b")
    made.later(TWO_YEARS)
    made.sync("s0")
    before = made.dump(without=OF_PURGES)
    preview = purged(made, dry=True)
    assert made.dump(without=OF_PURGES) == before
    report = purged(made)
    assert report.records == {
        "verzorger_relatie": 1,
        "inschrijving": 1,
        "verzorger": 1,
        "leerling": 1,
    }
    assert preview.records == report.records
    assert preview.rows == {name: n for name, n in report.rows.items() if name != "run"}
    for core_id in gone.values():
        assert named(made, core_id) == {"step"}
        steps = made.query("SELECT salt, change, source FROM step WHERE core_id = ?", core_id)
        assert {(salt, bytes(change), source) for salt, change, source in steps} == {
            (None, b"", "")
        }
    told = made.query("SELECT why FROM audit WHERE subject LIKE 'leerling%'")
    assert told == [(hub_key(gone[Entity.LEERLING]),)]
    stays = [hub_key(c) for c in gone.values()] + ["Purgeerlinga", "oa", "ia"]
    assert "Purgeerlinga" not in repr(made.dump(without=frozenset()))
    assert made.query("SELECT achternaam FROM leerling") == [("Purgeerlingb",)]
    assert not made.query("SELECT 1 FROM shadow WHERE source_key IN ('a', 'ia', 'oa', 'ra')")
    assert not made.query("SELECT 1 FROM source_record WHERE source_key IN ('a', 'ia', 'oa')")
    for table, rows in made.dump(without=OF_PURGES).items():
        left = [row for row in before[table] if row not in rows]
        assert table == "step" or all(row in before[table] for row in rows), table
        assert not any("Purgeerlingb" in repr(row) for row in left), (table, stays)
    assert not made.sync("s0").steps
    assert purged(made).is_empty


def test_before_its_period_is_over_nothing_goes(made: Bench) -> None:
    school(made, "a", "b")
    made.sync("s0")
    leaves(made, "a", "b")
    made.later(725 * DAYS)
    purged(made)
    assert len(made.query("SELECT id FROM leerling")) == 2
    made.later(10 * DAYS)
    assert purged(made).records["leerling"] == 1


def test_a_record_that_is_delivered_again_comes_back_as_new(made: Bench) -> None:
    school(made, "a", "b")
    made.sync("s0")
    old = made.core(Entity.LEERLING, "a")
    leaves(made, "a", "b")
    made.later(TWO_YEARS)
    purged(made)
    school(made, "a", "b")
    report = made.sync("s0")
    assert report.steps["leerling.create"] == 1
    new = made.core(Entity.LEERLING, "a")
    assert new > old
    members = made.query("SELECT persoon_id FROM groepsdeelname WHERE NOT beeindigd")
    assert {row[0] for row in members} == {new, made.core(Entity.LEERLING, "b")}
    assert made.query("SELECT leerling_id FROM inschrijving WHERE leerling_id = ?", new)
    assert not made.sync("s0").steps


def test_a_class_may_have_a_period_of_its_own_and_keeps_what_it_refers_to(made: Bench) -> None:
    made.policy(retention={"entities": {"inschrijving": "1825d", "verzorger": "30d"}})
    school(made, "a", "b")
    made.sync("s0")
    leaves(made, "a", "b")
    made.later(40 * DAYS)
    assert not purged(made).records  # the relation refers to the verzorger
    made.later(TWO_YEARS)
    assert purged(made).records == {"verzorger_relatie": 1, "verzorger": 1}
    made.later(TWO_YEARS)
    made.later(400 * DAYS)
    assert purged(made).records == {"inschrijving": 1, "leerling": 1}


def test_records_that_stand_above_one_another_go_from_below(made: Bench) -> None:
    source = made.sources["s0"]
    source.put(Entity.LEERLING, "a", achternaam="Jansen")
    for key, above in (("t1", None), ("t2", "t1"), ("t3", "t2")):
        source.put(Entity.TOETSRESULTAAT, key, leerling="a", bovenliggend=above)
    made.sync("s0")
    made.sync("s0")
    for key in ("t1", "t2", "t3"):
        source.remove(Entity.TOETSRESULTAAT, key)
    source.put(Entity.TOETSRESULTAAT, "blijft", leerling="a")
    made.settle("s0")
    made.later(TWO_YEARS)
    assert purged(made).records == {"toetsresultaat": 3}
    assert len(made.query("SELECT id FROM toetsresultaat")) == 1


def test_what_was_merged_goes_with_its_survivor(made: Bench) -> None:
    eck = f"https://ketenid.nl/pilot/{'a' * 128}"
    for name, key in (("s0", "a"), ("s1", "b")):
        made.sources[name].put(Entity.LEERLING, key, achternaam="Jansen", roepnaam=name)
        made.sources[name].put(Entity.LEERLING, "blijft", achternaam="Blijft", roepnaam=name)
        made.sync(name)
    younger = made.core(Entity.LEERLING, "b", "s1")
    for name, key in (("s0", "a"), ("s1", "b")):
        made.sources[name].put(Entity.LEERLING, key, achternaam="Jansen", eck_id=eck)
        made.sync(name)
    older = made.core(Entity.LEERLING, "a")
    assert made.query("SELECT core_id, survivor_id FROM alias") == [(younger, older)]
    made.sources["s0"].remove(Entity.LEERLING, "a")
    made.settle("s0")
    made.later(TWO_YEARS)
    assert not purged(made).records  # s1 still has it
    made.sources["s1"].remove(Entity.LEERLING, "b")
    made.settle("s1")
    made.later(TWO_YEARS)
    assert purged(made).records == {"leerling": 1}
    assert named(made, older) | named(made, younger) == {"step"}


# -- what keeps a record ---------------------------------------------------------------------------


def old_pupil(made: Bench) -> int:
    """A pupil who left long ago."""
    source = made.sources["s0"]
    source.put(Entity.LEERLING, "a", achternaam="Jansen", geboortedatum="2012-03-04")
    source.put(Entity.LEERLING, "b", achternaam="Blijft", geboortedatum="2013-05-06")
    made.sync("s0")
    source.remove(Entity.LEERLING, "a")
    made.settle("s0")
    made.later(TWO_YEARS)
    return made.core(Entity.LEERLING, "a")


def test_an_old_closed_case_goes_with_its_notes_and_a_young_or_open_one_stays(made: Bench) -> None:
    made.sync("s0")
    numbers = []
    with made.hub.store.work() as work:
        tenant, koppeling = work.execute("SELECT tenant_id, id FROM koppeling WHERE name = 's0'")[0]
        run = work.execute("SELECT MAX(id) FROM run")[0][0]
        for key, state in (("oud", "closed"), ("open", "open")):
            rows = work.execute(
                "INSERT INTO zaak (tenant_id, koppeling_id, kind, entity, source_key, state, rule, "
                "detail, opened_run, closed_run) VALUES (?, ?, 'score', 'leerling', ?, ?, 'x', "
                "'[]', ?, ?) RETURNING id",
                (tenant, koppeling, key, state, run, run if state == "closed" else None),
            )
            numbers.append(rows[0][0])
    for number in numbers:
        write_note(made.hub, number, "besproken met de school", operator="balie")
    made.later(TWO_YEARS - DAYS)
    purge.purge(made.hub, operator="test")
    assert [row[0] for row in made.query("SELECT source_key FROM zaak")] == ["oud", "open"]
    made.later(2 * DAYS)
    purge.purge(made.hub, operator="test")
    assert [row[0] for row in made.query("SELECT source_key FROM zaak")] == ["open"]
    assert made.query("SELECT COUNT(*) FROM zaak_notitie") == [(1,)]


def test_who_an_open_case_speaks_of_stays(made: Bench) -> None:
    core_id = old_pupil(made)
    twin = {"achternaam": "Jansen", "geboortedatum": "2012-03-04"}
    made.sources["s1"].put(Entity.LEERLING, "x", **twin)
    made.sync("s1")
    assert made.cases() == [("s1", "leerling", "x", "score")]
    assert not purged(made).records
    with made.hub.store.work() as work:  # a case of another kind tells nothing of him
        work.execute("UPDATE zaak SET detail = '{}'")
    assert purged(made, dry=True).records == {"leerling": 1}
    with made.hub.store.work() as work:
        work.execute("UPDATE zaak SET detail = ?", (f'[{{"core_id":{core_id}}}]',))
    assert not purged(made).records
    made.sources["s1"].put(Entity.LEERLING, "x", achternaam="Bakker")
    made.sync("s1")
    assert purged(made).records == {"leerling": 1}
    assert named(made, core_id) == {"step"}


def test_who_a_waiting_plan_would_change_stays_until_it_has_expired(made: Bench) -> None:
    old_pupil(made)
    made.sources["s0"].put(Entity.LEERLING, "a", achternaam="Terug")
    made.sync("s0", plan_only=True)
    assert not purged(made).records
    made.sources["s0"].remove(Entity.LEERLING, "a")
    made.settle("s0")
    assert not purged(made).records  # gone again, but only just
    assert len(made.query("SELECT id FROM leerling")) == 2


def test_what_policy_keeps_is_never_purged(made: Bench) -> None:
    made.policy(reactions={"gone": "keep"})
    old_pupil(made)
    assert not purged(made).records


def test_what_still_is_delivered_stays_however_long_ago_it_ended(made: Bench) -> None:
    source = made.sources["s0"]
    source.put(Entity.MEDEWERKER, "m", achternaam="Smit", geldig_tot="2001-01-01")
    source.put(Entity.MEDEWERKER, "n", achternaam="Visser")
    made.sync("s0")
    made.later(TWO_YEARS)
    assert not purged(made).records
    source.remove(Entity.MEDEWERKER, "m")
    made.settle("s0")
    made.later(700 * DAYS)
    assert not purged(made).records
    made.later(40 * DAYS)
    assert purged(made).records == {"medewerker": 1}


def test_a_run_that_holds_the_tenant_is_waited_for(made: Bench) -> None:
    old_pupil(made)
    at_once = partial(tenant_lock, wait=timedelta())
    with pytest.MonkeyPatch.context() as patch, tenant_lock(made.hub.store, 1):
        patch.setattr(purge, "tenant_lock", at_once)
        with pytest.raises(RunActiveError):
            purged(made)
    assert purged(made).records == {"leerling": 1}


# -- rows by their own age -------------------------------------------------------------------------


def test_of_a_record_that_is_delivered_the_newest_payload_stays(made: Bench) -> None:
    source = made.sources["s0"]
    for name in ("Eerst", "Later", "Laatst"):
        source.put(Entity.LEERLING, "a", achternaam=name)
        source.put(Entity.LEERLING, "weg", achternaam=name)
        made.sync("s0")
        made.later(10 * DAYS)
    source.remove(Entity.LEERLING, "weg")
    source.put(Entity.LEERLING, "erbij", achternaam="Erbij")
    made.settle("s0")
    newest = made.query(
        "SELECT MAX(p.id) FROM raw_payload p JOIN source_record r ON r.id = p.record_id "
        "GROUP BY r.source_key HAVING r.source_key <> 'weg' ORDER BY 1"
    )
    made.later(15 * DAYS)  # stored 45, 35 and 25 days ago
    assert purged(made).rows == {"raw_payload": 4}
    made.later(31 * DAYS)
    assert purged(made).rows["raw_payload"] == 1
    assert made.query("SELECT id FROM raw_payload ORDER BY id") == newest


def test_of_quarantine_the_content_goes_and_what_must_be_mended_stays_listed(made: Bench) -> None:
    source = made.sources["s0"]
    source.put(Entity.LEERLING, "goed", achternaam="Goed")
    source.put(Entity.LEERLING, "stuk", kapot=True)
    made.sync("s0")
    made.later(89 * DAYS)
    assert not purged(made).rows
    made.later(2 * DAYS)
    assert purged(made).rows == {"quarantine content": 1}
    assert made.query("SELECT source_key, rule, salt, body FROM quarantine") == [
        ("stuk", "is kapot", None, b"")
    ]
    assert made.sync("s0").quarantine == 1  # nothing was forgotten
    source.put(Entity.LEERLING, "stuk", achternaam="Heel")
    assert made.sync("s0").steps == {"leerling.create": 1}
    assert not made.query("SELECT 1 FROM quarantine")


def test_a_plan_that_nobody_approved_expires_and_later_loses_its_values(made: Bench) -> None:
    made.sources["s0"].put(Entity.LEERLING, "a", achternaam="Jansen")
    plan = made.sync("s0", plan_only=True).plan_id
    assert plan is not None
    made.later(3 * DAYS)
    assert not purged(made).rows
    made.later(1)
    assert purged(made).rows == {"plan expired": 1}
    assert made.query("SELECT state FROM plan") == [("expired",)]
    assert read_plan(made.hub, plan, limit=9).steps[0].changes
    report = made.sync("s0", kind=Kind.APPLY, approved=plan)
    assert report.refused
    made.later(31 * DAYS)
    assert purged(made).rows["plan values"] == 1
    assert not read_plan(made.hub, plan, limit=9).steps[0].changes
    assert made.sync("s0").applied == {"leerling.create": 1}


def test_who_left_a_group_long_ago_is_no_longer_in_its_history(made: Bench) -> None:
    made.policy(retention={"entities": {"groepsdeelname": "365d"}})
    school(made, "a", "b")
    made.sync("s0")
    school(made, "a", "b", "c")
    groep = {"naam": "1A", "soort": "stamgroep", "schooljaar": "2026/2027", "vestiging": "v"}
    made.sources["s0"].put(Entity.GROEP, "g", **groep, leerlingen=["a"])
    made.settle("s0")
    assert len(made.query("SELECT id FROM groepsdeelname")) == 2
    made.later(366 * DAYS)
    assert purged(made).rows["groepsdeelname"] == 1
    left = made.query("SELECT persoon_id FROM groepsdeelname")
    assert left == [(made.core(Entity.LEERLING, "a"),)]
    assert not made.sync("s0").steps


def test_runs_go_with_what_they_read_but_not_while_anything_names_them(made: Bench) -> None:
    made.sources["s0"].put(Entity.LEERLING, "a", achternaam="Jansen")
    first = made.sync("s0").run_id
    for _ in range(3):
        made.sync("s0")
    made.later(TWO_YEARS)
    last = made.sync("s0").run_id
    rows = purged(made).rows
    assert rows["run"] == 3
    assert rows["reading"] == 4 * len(Entity)
    assert made.query("SELECT id FROM run ORDER BY id") == [(first,), (last,)]
    told = made.query("SELECT s.state, p.applied FROM step s JOIN plan p ON p.id = s.plan_id")
    assert told == [("planned", 1)]
    made.later(TWO_YEARS * 2)
    assert purged(made).rows["journal"] == 1
    assert made.query("SELECT achternaam FROM leerling") == [("Jansen",)]
    assert not made.sync("s0").steps


def test_from_whom_a_record_was_parted_is_known_as_long_as_that_holds(made: Bench) -> None:
    for source in made.sources.values():
        source.put(Entity.LEERLING, "a", achternaam="Jansen", bsn=synthetic_bsn(1))
    made.settle()
    decision = Decision(Verdict.SPLIT, Entity.LEERLING, "a")
    made.sync("s1", kind=Kind.DECIDE, decision=decision, why="x", operator="test")
    made.later(TWO_YEARS)
    purged(made)
    made.sources["s0"].put(Entity.LEERLING, "a", achternaam="Bos", bsn=synthetic_bsn(1))
    made.settle()
    assert made.cases() == []
    made.sync("s1", kind=Kind.DECIDE, lifted=1, operator="test")
    made.later(TWO_YEARS)
    purged(made)
    assert made.query("SELECT * FROM former_link") == []


def test_what_never_became_a_record_goes_too(made: Bench) -> None:
    source = made.sources["s0"]
    source.put(Entity.INSCHRIJVING, "i", leerling="nooit")
    source.put(Entity.INSCHRIJVING, "j", leerling="nooit")
    assert made.sync("s0").waiting == 2
    source.remove(Entity.INSCHRIJVING, "i")
    made.settle("s0")
    made.later(725 * DAYS)
    assert "shadow" not in purged(made).rows
    made.later(10 * DAYS)
    assert purged(made).rows["shadow"] == 1
    assert made.query("SELECT source_key FROM shadow") == [("j",)]
    assert made.query("SELECT source_key FROM source_record") == [("j",)]
    assert made.query("SELECT source_key FROM open_reference") == [("j",)]


# -- killed ----------------------------------------------------------------------------------------


def test_killed_at_any_statement_the_next_purge_goes_on(
    make_two: Callable[[], tuple[Bench, Bench]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "CORE_BATCH", 1)
    monkeypatch.setattr(purge, "ROW_BATCH", 2)
    made, control = make_two()
    for one in (made, control):
        school(one, "a", "b", "c")
        one.sync("s0")
        leaves(one, "a", "b", "c")
        leaves(one, "b", "c")
        one.later(TWO_YEARS)
    purged(control)
    hub, killed = made.hub, 0
    for statements in range(0, 2_000, 7):
        doomed: Any = DoomedStore(hub.store, statements)
        made.hub = replace(hub, store=doomed)
        try:
            purged(made)
        except Killed:
            killed += 1
        else:
            break
        finally:
            made.hub = hub
        _sound(made)
    else:
        pytest.fail("no purge came to its end")
    assert killed > 20
    assert _shape(made) == _shape(control)
    assert not made.sync("s0").steps


def _sound(made: Bench) -> None:
    """Nothing hangs on a core record that is not there."""
    cores = " UNION ALL ".join(f"SELECT id FROM {entity}" for entity in Entity)
    for table, column in (
        ("link", "core_id"),
        ("match_key", "core_id"),
        ("core_salt", "core_id"),
        ("contactgegeven", "eigenaar_id"),
        ("identificatie", "eigenaar_id"),
        ("adres", "eigenaar_id"),
        ("inschrijving", "leerling_id"),
        ("verzorger_relatie", "verzorger_id"),
        ("groepsdeelname", "persoon_id"),
    ):
        assert not made.query(f"SELECT 1 FROM {table} WHERE {column} NOT IN ({cores})"), table
    assert not made.query(
        "SELECT 1 FROM shadow_form f WHERE NOT EXISTS (SELECT 1 FROM shadow s "
        "WHERE s.id = f.shadow_id)"
    )
    assert not made.query(
        "SELECT 1 FROM shadow s WHERE NOT EXISTS (SELECT 1 FROM source_record r "
        "WHERE r.id = s.record_id)",
    )


def _shape(made: Bench) -> dict[str, int]:
    """Rows per table: salts and nonces differ between two hubs."""
    return {name: len(rows) for name, rows in made.dump(without=OF_PURGES).items()}


@pytest.fixture
def make_two(
    database_url: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], tuple[Bench, Bench]]]:
    """A bench on each database, and one beside it on SQLite that nobody kills."""
    opened: list[Any] = []

    def make() -> tuple[Bench, Bench]:
        pair = []
        other = tmp_path_factory.mktemp("control")
        for url, folder in ((database_url, tmp_path), (f"sqlite:///{other / 'hub.db'}", other)):
            store = Store.open(url, create=True)
            store.upgrade()
            pair.append(bench(store, folder, sources=2))
            opened.extend((pair[-1], store))
        return pair[0], pair[1]

    yield make
    for one in opened:
        one.close()
