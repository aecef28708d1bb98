"""What differs between the core and a source, told by canonical field; nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mappings.canonical.fields import Entity
from mappings.canonical.schema import fields_of
from mappings.mapping import DescribedRow, Strength
from sync_engine.drift import DECLINED, PINNED, Drift, RecordDrift, drift
from sync_engine.find import hub_key
from sync_engine.flat import SECRET, field_of, target_of
from sync_engine.options import Kind, Options
from sync_engine.outcome import ExitCode
from sync_engine.pins import pin
from sync_engine.store.engine import Store
from tests.support.hubs import OF_RUNS, Bench, bench
from tests.support.memory import MemoryMapping, MemorySource

Make = Callable[..., Bench]
READ = (Entity.VESTIGING, Entity.MEDEWERKER, Entity.LEERLING, Entity.GROEP)
BSN = "999990019"
_ECK = f"https://ketenid.nl/pilot/{'a' * 128}"
ADRES = {"straat": "Dorpsweg", "huisnummer": "1", "woonplaats": "Baken"}


class Described(MemoryMapping):
    """The identity, with the rows that it would have as a table."""

    def describe(self) -> Sequence[DescribedRow]:
        return [
            DescribedRow(
                str(entity), entity, name, (f"Bron.{name}",), "text", "a text", "", strength, False
            )
            for entity in READ
            for name in fields_of(entity)
            for strength in [Strength.STRONG if name == "adres_geheim" else Strength.NORMAL]
        ]


@pytest.fixture
def make(store: Store, tmp_path: Path) -> Iterator[Make]:
    made: list[Bench] = []

    def make(count: int = 1) -> Bench:
        sources = {f"s{number}": MemorySource(READ) for number in range(count)}
        made.append(bench(store, tmp_path, sources=sources, mappings=[Described()]))
        return made[-1]

    yield make
    for one in made:
        one.close()


def compare(bench: Bench, name: str = "s0", *, limit: int = 50, **options: Any) -> Drift:
    asked = Options(dry=True, operator="helpdesk", **options)
    return drift(bench.hub, name, asked, limit=limit)


def school(make: Make, **more: Any) -> Bench:
    bench = make()
    source = bench.sources["s0"]
    source.put(Entity.VESTIGING, "v1", naam="Noord", vestigingsnummer="99XX00")
    source.put(Entity.VESTIGING, "v2", naam="Zuid", vestigingsnummer="99XX01")
    for key in "abcd":
        source.put(Entity.LEERLING, key, achternaam="Jansen", roepnaam="Anna", **more)
    source.put(
        Entity.GROEP, "g", naam="3A", soort="stamgroep", vestiging="v1", leerlingen=["a", "b"]
    )
    bench.sync()
    return bench


def fields(found: Drift) -> dict[tuple[str, str], int]:
    return {(told.entity, told.field): told.records for told in found.fields}


def one(found: Drift, entity: Entity, key: str) -> RecordDrift:
    (record,) = [r for r in found.records if (r.entity, r.source_key) == (str(entity), key)]
    return record


def test_where_nothing_differs_nothing_is_told(make: Make) -> None:
    found = compare(school(make))
    assert (found.entities, found.fields, found.records, found.more) == ([], [], [], 0)
    assert found.exit_code is ExitCode.DONE


def test_who_is_there_by_another_source_alone_is_told_and_is_no_difference(make: Make) -> None:
    bench = make(2)
    for number, name in enumerate(bench.sources):
        bench.sources[name].put(Entity.LEERLING, "a", achternaam="Jansen", eck_id=_ECK)
        bench.sources[name].put(Entity.MEDEWERKER, f"m{number}", achternaam="Smit")
    for key in "bcd":
        bench.sources["s0"].put(Entity.LEERLING, key, achternaam="Jansen")
    bench.sync("s0")
    told: list[RecordDrift] = []
    found = drift(bench.hub, "s1", Options(dry=True), limit=2, each=told.append)
    assert [(e.entity, e.records, len(e.keys)) for e in found.elsewhere] == [
        ("medewerker", 1, 1),
        ("leerling", 3, 2),
    ]
    apart = {record.key for record in told if record.op == "elsewhere"}
    assert apart == {hub_key(bench.core(Entity.LEERLING, key)) for key in "bcd"} | {
        hub_key(bench.core(Entity.MEDEWERKER, "m0"))
    }
    bench.sync("s1")
    again = compare(bench, "s1")
    assert ([e.records for e in again.elsewhere], again.exit_code) == ([1, 3], ExitCode.DONE)
    assert [e.records for e in compare(bench, "s0").elsewhere] == [1]
    assert compare(bench, "s1", resources=("leerling",)).elsewhere == []


def test_each_field_that_differs_is_counted_with_the_rows_that_fill_it(make: Make) -> None:
    bench = school(make)
    source = bench.sources["s0"]
    source.put(Entity.LEERLING, "a", achternaam="De Jong", roepnaam="Anna")
    source.put(Entity.LEERLING, "b", achternaam="De Jong", roepnaam="Bo")
    found = compare(bench)
    assert fields(found) == {("leerling", "achternaam"): 2, ("leerling", "roepnaam"): 1}
    (row,) = found.fields[0].rows
    assert (row.resource, row.source, row.function, row.strength) == (
        "leerling",
        ("Bron.achternaam",),
        "text",
        Strength.NORMAL,
    )
    (counted,) = found.entities
    assert (counted.create, counted.change, counted.close, counted.reopen) == (0, 2, 0, 0)
    record = one(found, Entity.LEERLING, "b")
    assert record.fields == {"achternaam": ["Jansen", "De Jong"], "roepnaam": ["Anna", "Bo"]}
    assert record.paths == {"achternaam": "Bron.achternaam", "roepnaam": "Bron.roepnaam"}
    assert (record.resource, record.raw_key) == ("leerling", "b")
    assert record.key == hub_key(bench.core(Entity.LEERLING, "b"))
    assert found.exit_code is ExitCode.PARTIAL


def test_it_leaves_no_trace_but_the_plan_and_the_audit_trail(make: Make) -> None:
    bench = school(make)
    source = bench.sources["s0"]
    source.put(Entity.LEERLING, "a", achternaam="De Jong")
    source.put(Entity.LEERLING, "x", achternaam="Nieuw")
    source.put(Entity.LEERLING, "b", kapot=True)
    compare(bench)  # a tenant's key, where it had none
    before, runs = bench.dump(), bench.query("SELECT MAX(id) FROM run")[0][0]
    found = compare(bench)
    assert bench.dump() == before
    assert bench.query("SELECT state FROM plan WHERE run_id > ?", runs) == [("dry",)]
    lines = bench.query("SELECT operator, action, subject FROM audit ORDER BY id DESC LIMIT 2")
    assert lines == [
        ("helpdesk", action, f"plan {found.report.plan_id}") for action in ("diff", "dry run")
    ]
    assert {"run", "plan", "step", "audit"} <= OF_RUNS


def test_what_is_on_one_side_only_is_named_and_its_values_are_not(make: Make) -> None:
    bench = school(make)
    source = bench.sources["s0"]
    source.put(Entity.LEERLING, "x", achternaam="Nieuw")
    source.remove(Entity.LEERLING, "a")
    bench.later()
    bench.sync(plan_only=True)
    bench.later()
    found = compare(bench)
    pupils = next(told for told in found.entities if told.entity == "leerling")
    assert (pupils.create, pupils.close) == (1, 1)
    new, closed = one(found, Entity.LEERLING, "x"), one(found, Entity.LEERLING, "a")
    assert (new.op, new.key, new.raw_key, new.fields) == ("create", "", "x", {})
    assert (closed.op, closed.fields) == ("close", {})
    assert closed.key == hub_key(bench.core(Entity.LEERLING, "a"))
    assert ("leerling", "geldig_tot") not in fields(found)


def test_references_and_members_go_by_the_keys_of_the_source(make: Make) -> None:
    bench = school(make)
    source = bench.sources["s0"]
    source.put(Entity.LEERLING, "x", achternaam="Nieuw")
    source.put(
        Entity.GROEP,
        "g",
        naam="3A",
        soort="stamgroep",
        vestiging="v2",
        leerlingen=["b", "c", "x"],
    )
    found = compare(bench)
    record = one(found, Entity.GROEP, "g")
    assert record.fields["vestiging"] == ["v1", "v2"]
    gone, come = record.fields["leerlingen"]
    assert (gone, sorted(str(key) for key in come or ())) == (["a"], ["c", "x"])  # type: ignore[union-attr] # a list
    assert fields(found) == {("groep", "vestiging"): 1, ("groep", "leerlingen"): 1}


def test_personal_numbers_are_masked_and_what_is_secret_is_left_out(make: Make) -> None:
    bench = school(make, bsn=None, adres=ADRES, mobiel="0612345678", telefoon_geheim=False)
    source = bench.sources["s0"]
    source.put(
        Entity.LEERLING,
        "a",
        achternaam="Jansen",
        roepnaam="Anna",
        bsn=BSN,
        adres={**ADRES, "huisnummer": "2"},
        adres_geheim=True,
        mobiel="0687654321",
        telefoon_geheim=False,
    )
    source.put(
        Entity.LEERLING,
        "b",
        achternaam="Jansen",
        roepnaam="Anna",
        adres=ADRES,
        mobiel="0612345678",
        telefoon_geheim=True,
    )
    found = compare(bench)
    record = one(found, Entity.LEERLING, "a")
    assert record.fields["bsn"] == [None, f"…{BSN[-4:]}"]
    assert record.fields["adres"] == [SECRET, SECRET]
    assert record.fields["adres_geheim"] == [None, True]
    assert record.fields["mobiel"] == ["0612345678", "0687654321"]
    # that it is secret now is said by its own field, not by the number
    assert one(found, Entity.LEERLING, "b").fields == {"telefoon_geheim": [False, True]}
    assert BSN not in repr(found)
    assert "Dorpsweg" not in repr(record)


def test_what_is_held_or_planned_differs_still(make: Make) -> None:
    bench = school(make)
    bench.sources["s0"].put(Entity.LEERLING, "a", achternaam="De Jong", roepnaam="Anna")
    bench.sync(plan_only=True)
    assert fields(compare(bench)) == {("leerling", "achternaam"): 1}


def test_what_could_not_be_compared_is_no_agreement(make: Make) -> None:
    bench = school(make)
    bench.sources["s0"].faults["leerling", "hoofd"] = "error"
    found = compare(bench)
    assert (found.entities, found.exit_code) == ([], ExitCode.PARTIAL)


def test_what_was_undone_differs_until_the_source_says_something_else(make: Make) -> None:
    bench = school(make, adres=ADRES, adres_geheim=True)
    source = bench.sources["s0"]
    for key in "ab":
        source.put(
            *(Entity.LEERLING, key),
            achternaam="Jansen",
            roepnaam="Bo",
            adres={**ADRES, "huisnummer": "9"},
            adres_geheim=True,
        )
    source.put(Entity.LEERLING, "x", achternaam="Nieuw")
    source.put(
        Entity.GROEP, "g", naam="3A", soort="stamgroep", vestiging="v1", leerlingen=["b", "x"]
    )
    run = bench.sync()
    undo = bench.sync(kind=Kind.UNDO, undone=run.run_id, operator="balie")
    bench.settle()
    found = compare(bench, limit=3)
    assert (found.entities, found.declined_records, len(found.declined)) == ([], 4, 3)
    assert found.exit_code is ExitCode.PARTIAL
    told: list[RecordDrift] = []
    drift(bench.hub, "s0", Options(dry=True), limit=1, each=told.append)
    records = {(one.entity, one.source_key): one for one in told}
    one = records["leerling", "a"]
    assert (one.op, one.would, one.key) == (
        DECLINED,
        "change",
        hub_key(bench.core(Entity.LEERLING, "a")),
    )
    assert one.fields == {"roepnaam": ["Anna", "Bo"], "adres": [SECRET, SECRET]}
    assert one.paths["roepnaam"] == "Bron.roepnaam"
    assert (one.resource, one.raw_key) == ("leerling", "a")
    assert one.word is not None
    assert (one.word.run_id, one.word.kind, one.word.operator) == (undo.run_id, "undo", "balie")
    assert (records["leerling", "x"].would, records["leerling", "x"].key) == ("create", "")
    assert records["groep", "g"].fields == {"leerlingen": [["a"], ["x"]]}

    assert compare(bench, resources=("groep",)).declined_records == 1
    source.put(Entity.LEERLING, "a", achternaam="Jansen", roepnaam="Cor", adres=ADRES)
    found = compare(bench)
    assert found.declined_records == 3
    assert [record.source_key for record in found.records] == ["a"]


def test_a_refusal_that_the_core_knows_by_another_source_is_no_difference(make: Make) -> None:
    bench = make(2)
    for name in bench.sources:
        bench.sources[name].put(Entity.LEERLING, "a", achternaam="Jansen", eck_id=_ECK)
        bench.sync(name)
    bench.sources["s0"].put(Entity.LEERLING, "a", achternaam="De Jong", eck_id=_ECK)
    run = bench.sync("s0")
    bench.sync("s0", kind=Kind.UNDO, undone=run.run_id, operator="balie")
    assert [record.fields for record in compare(bench).declined] == [
        {"achternaam": ["Jansen", "De Jong"]}
    ]
    bench.policy(authority={"order": {"*": ["s1"]}})
    bench.sources["s1"].put(Entity.LEERLING, "a", achternaam="De Jong", eck_id=_ECK)
    bench.settle("s1")
    found = compare(bench)
    assert (found.declined, found.entities) == ([], [])


def test_a_source_that_cannot_be_read_is_a_failure(make: Make) -> None:
    bench = school(make)
    found = compare(bench, resources=("toverstaf",))
    assert found.exit_code is ExitCode.FAILED
    assert "toverstaf" in found.report.error


def test_the_first_records_are_kept_and_every_one_is_counted_and_handed_over(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync_engine.drift._SLICE", 2)
    bench = school(make)
    for key in "abcd":
        bench.sources["s0"].put(Entity.LEERLING, key, achternaam=f"Nieuw {key}", roepnaam="Anna")
    handed: list[RecordDrift] = []
    found = drift(bench.hub, "s0", Options(dry=True), limit=3, each=handed.append)
    assert (len(found.records), found.more) == (3, 1)
    assert [record.source_key for record in handed] == list("abcd")
    assert fields(found) == {("leerling", "achternaam"): 4}


def test_what_is_pinned_and_differs_is_handed_over_too_but_for_other_schools(make: Make) -> None:
    bench = make(1)
    bench.sources["s0"].brins["hoofd"] = ("99XX00",)
    bench.sources["s0"].put(Entity.LEERLING, "a", achternaam="Jansen", roepnaam="Anna")
    bench.sync("s0")
    core_id = bench.core(Entity.LEERLING, "a")
    for name, value in (("roepnaam", "Anne"), ("achternaam", "Jansen")):
        pin(
            *(bench.hub, core_id),
            entity=Entity.LEERLING,
            field=name,
            value=value,
            reason="de school belt",
            operator="balie",
        )
    bench.sync("s0")
    handed: list[RecordDrift] = []
    drift(bench.hub, "s0", Options(dry=True, brins=("99XX",)), limit=3, each=handed.append)
    assert [(r.op, r.key, r.fields) for r in handed] == [
        (PINNED, hub_key(core_id), {"roepnaam": ["Anne", "Anna"]})
    ]
    handed.clear()
    other = Options(dry=True, brins=("98XX",))
    assert drift(bench.hub, "s0", other, limit=3, each=handed.append).pinned == []
    assert handed == []


def test_a_record_that_this_source_holds_from_now_on_has_its_key(make: Make) -> None:
    bench = make(2)
    eck = f"https://ketenid.nl/pilot/{'a' * 128}"
    bench.sources["s0"].fields["leerling"] = frozenset({"achternaam", "eck_id"})
    bench.sources["s0"].put(Entity.LEERLING, "a", achternaam="Jansen", eck_id=eck)
    bench.sync("s0")
    bench.sources["s1"].put(
        Entity.LEERLING, "anders", achternaam="Jansen", roepnaam="Anna", eck_id=eck
    )
    found = compare(bench, "s1")
    record = one(found, Entity.LEERLING, "anders")
    assert record.fields == {"roepnaam": [None, "Anna"]}
    assert record.key == hub_key(bench.core(Entity.LEERLING, "a"))
    assert not bench.query("SELECT 1 FROM link WHERE source_key = 'anders'")


@pytest.mark.parametrize("entity", list(Entity))
def test_every_canonical_field_has_a_key_in_the_flat_state(entity: Entity) -> None:
    known = set(fields_of(entity))
    named = {
        field_of(entity, key)
        for name, description in fields_of(entity).items()
        for key in (
            f"{name}_id",
            name,
            f"contactgegeven/{description.role}",
            f"adres/{description.role}",
            f"identificatie/{description.role}/0",
            f"identificatie/{description.role}/7",
            f"groepsdeelname/{description.role}/17",
        )
    }
    assert known <= named
    for name, description in fields_of(entity).items():
        if description.target is not None:
            keys = (f"{name}_id", f"groepsdeelname/{description.role}/17")
            assert description.target in {target_of(entity, key) for key in keys}
