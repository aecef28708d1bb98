"""A school changes its number, its records or its koppeling: its records go on, none is closed.

The order is told twice: the herinrichting is in force before the source changes, or it is put in
force after a night has doubled everything.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from config.clock import local_date
from config.guards import GuardKind
from mappings.canonical.fields import Entity
from sector.identifiers import Vestigingsnummer
from sync_engine import planning, runs
from sync_engine.herinrichtingen import in_force
from sync_engine.options import Decision, Kind, Options, Verdict
from sync_engine.outcome import Outcome, RunReport
from sync_engine.past import state_of
from sync_engine.renumbering import Change, Herinrichting
from tests.support.hubs import Bench
from tests.support.memory import MemorySource
from tests.support.reorganised import (
    CLOSABLE,
    NEW,
    OLD,
    PUPILS,
    WHOLE,
    Names,
    apply,
    fill,
    herinrichting,
    ids,
    leave_scope,
    numbers,
    open_rows,
)
from tests.unit.sync_engine.conftest import Make

ANEW = Change(OLD, OLD)
RECORDS = Names(of=" nieuw", number=NEW)
PERSONS = replace(RECORDS, persons=" nieuw")
WAYS = {
    "records": (RECORDS, Change(OLD, NEW)),
    "persons": (PERSONS, Change(OLD, NEW)),
    "numbers of pupils": (replace(PERSONS, leerlingnummers=False), Change(OLD, NEW)),
    "same number": (replace(PERSONS, number=OLD), ANEW),
    "mid-year": (replace(PERSONS, start="2026-11-01"), Change(OLD, NEW)),
    "no opleiding": (replace(RECORDS, opleiding=False), Change(OLD, NEW)),
}


@pytest.fixture
def school(make: Make) -> Bench:
    """A school whose first night is over."""
    bench = make({"s0": MemorySource(tuple(Entity), scope_keys=("oud",))})
    bench.policy(guards=WHOLE)
    fill(bench.sources["s0"], "oud", Names())
    assert bench.sync().outcome is Outcome.DONE
    return bench


def night(bench: Bench, name: str = "s0") -> RunReport:
    bench.later(24)
    return bench.sync(name)


def goes_on(bench: Bench, names: Names) -> None:
    """The source lists the school under other records, and those of before no more."""
    source = bench.sources["s0"]
    source.scope_keys = (*source.scope_keys, "nieuw")
    fill(source, "nieuw", names)
    leave_scope(source, "oud")


def closed(bench: Bench) -> int:
    """Steps that closed anything, of all runs."""
    rows = bench.query(
        "SELECT COUNT(*) FROM step s JOIN plan p ON p.id = s.plan_id "
        "WHERE p.applied AND s.state = 'planned' AND s.op = 'close'"
    )
    return int(rows[0][0])


@pytest.mark.parametrize("way", WAYS)
def test_a_school_that_goes_on_under_other_records_keeps_all_of_its_own(
    school: Bench, way: str
) -> None:
    names, change = WAYS[way]
    before, there = ids(school), open_rows(school)
    apply(school, herinrichting(change))
    goes_on(school, names)
    first = night(school)
    assert first.situations.get("unmatched", 0) == 0
    assert first.held == 0
    for _ in range(2):
        assert night(school).steps == {}
    assert (ids(school), open_rows(school), closed(school)) == (before, there, 0)
    assert numbers(school) == [names.number]
    assert school.cases() == []
    starts = {row[0] for row in school.query("SELECT geldig_van FROM inschrijving")}
    assert starts == {"2026-08-01"}  # who goes on began when he began


@pytest.mark.parametrize("way", WAYS)
def test_what_was_doubled_by_then_becomes_one_again_and_undo_parts_it(
    school: Bench, way: str
) -> None:
    names, change = WAYS[way]
    before, there = ids(school), open_rows(school)
    goes_on(school, names)
    night(school)
    night(school)
    doubled = ids(school)
    assert len(doubled[Entity.GROEP]) == 2 * len(before[Entity.GROEP])
    core = {str(e): school.query(f"SELECT * FROM {e} ORDER BY id") for e in CLOSABLE}

    report = apply(school, herinrichting(change))
    assert report.merged["groep"] == 2
    assert report.merged["inschrijving"] == len(PUPILS)
    assert (ids(school), open_rows(school), closed(school)) == (before, there, 0)
    for _ in range(2):
        assert night(school).steps == {}
    assert ids(school) == before

    undone = school.sync(kind=Kind.UNDO, undone=report.run_id)
    assert (undone.error, undone.doubts) == ("", [])
    assert ids(school) == doubled
    again = {str(e): school.query(f"SELECT * FROM {e} ORDER BY id") for e in CLOSABLE}
    assert _without_runs(again) == _without_runs(core)
    assert night(school).steps == {}
    assert ids(school) == doubled


def _without_runs(rows: dict[str, list[tuple[object, ...]]]) -> dict[str, list[object]]:
    """Rows of the core without the run that wrote them last."""
    return {name: [row[:5] + row[6:] for row in listed] for name, listed in rows.items()}


def test_nothing_of_it_counts_before_a_person_applied_it(school: Bench) -> None:
    before = school.dump()
    shown = runs.run(
        school.hub, "s0", Options(kind=Kind.DECIDE, herinrichting=herinrichting(), dry=True)
    )
    assert shown.steps == {"vestiging.change": 1}
    assert school.dump() == before
    assert night(school).steps == {}
    assert numbers(school) == [OLD]


def test_the_number_changes_on_its_day_and_the_past_keeps_the_old_one(school: Bench) -> None:
    day = date(2026, 10, 8)
    report = apply(school, herinrichting(on=day))
    assert report.steps == {}
    while school.clock.now().date() < day:
        assert numbers(school) == [OLD]
        last = night(school)
    assert last.steps == {"vestiging.change": 1}
    assert numbers(school) == [NEW]
    core_id = ids(school)[Entity.VESTIGING][0]
    for on, number in ((date(2026, 10, 7), OLD), (day, NEW)):
        told = state_of(school.hub, Entity.VESTIGING, core_id, operator="jan", on=on)
        assert told.values["vestigingsnummer"] == number
    known = state_of(
        school.hub,
        Entity.VESTIGING,
        core_id,
        operator="jan",
        on=day,
        as_known=school.clock.now().date(),
    )
    assert known.values["vestigingsnummer"] == NEW


def test_a_source_that_changes_the_number_early_changes_nothing_before_the_day(
    school: Bench,
) -> None:
    """The same records, another number: until the day it is the old one, whoever says what."""
    apply(school, herinrichting(on=date(2027, 8, 1)))
    fill(school.sources["s0"], "oud", Names(number=NEW))
    before = ids(school)
    assert night(school).steps == {}
    assert (ids(school), numbers(school)) == (before, [OLD])


def test_while_both_are_listed_pupils_are_taken_over_one_by_one(school: Bench) -> None:
    """The administration moves them in some days, and empties the old vestiging bit by bit."""
    before, there = ids(school), open_rows(school)
    apply(school, herinrichting())
    source = school.sources["s0"]
    fill(source, "over", PERSONS)
    source.scope_keys = ("oud", "nieuw")
    source.brins["nieuw"] = source.brins.pop("over")
    moved = {name: source.here(name, "over") for name in Entity}
    for name in (Entity.VESTIGING, Entity.OPLEIDING, Entity.VAK):
        for key, values in moved[name].items():
            source.put(name, key, "nieuw", **values)
    groups = moved[Entity.GROEP]
    for place, pupil in enumerate(PUPILS):
        for name in Entity:
            for key, values in moved[name].items():
                if key.removesuffix(" nieuw")[-1] == pupil and name is not Entity.GROEP:
                    source.put(name, key, "nieuw", **values)
                    source.remove(name, key.removesuffix(" nieuw"), "oud")
        for key, values in groups.items():
            arrived = [
                f"{p} nieuw" for p in PUPILS[: place + 1] if f"{p} nieuw" in values["leerlingen"]
            ]
            left = [p for p in PUPILS[place + 1 :] if f"{p} nieuw" in values["leerlingen"]]
            if arrived:
                source.put(Entity.GROEP, key, "nieuw", **{**values, "leerlingen": arrived})
            old = source.here(Entity.GROEP, "oud")[key.removesuffix(" nieuw")]
            source.put(
                Entity.GROEP, key.removesuffix(" nieuw"), "oud", **{**old, "leerlingen": left}
            )
        night(school)
        night(school)
        assert ids(school) == before, pupil
        assert open_rows(school) == there, pupil
    leave_scope(source, "oud")
    night(school)
    assert night(school).steps == {}
    assert (ids(school), open_rows(school), closed(school)) == (before, there, 0)


def test_who_really_left_while_both_are_listed_is_closed(school: Bench) -> None:
    apply(school, herinrichting())
    source = school.sources["s0"]
    source.scope_keys = ("oud", "nieuw")
    fill(source, "nieuw", RECORDS)
    for entity, key in ((Entity.LEERLING, "a"), (Entity.INSCHRIJVING, "ia")):
        source.remove(entity, key, "oud")
    source.remove(Entity.LEERLING, "a", "nieuw")
    source.remove(Entity.INSCHRIJVING, "ia nieuw", "nieuw")
    night(school)
    night(school)
    assert school.query("SELECT COUNT(*) FROM leerling WHERE tot_afgeleid") == [(1,)]


def test_two_records_that_look_like_one_of_before_are_asked(school: Bench) -> None:
    """Nobody is joined by looks where a second one has them too."""
    apply(school, herinrichting())
    goes_on(school, replace(PERSONS, leerlingnummers=False, known=""))
    source = school.sources["s0"]
    twin = {**source.here(Entity.LEERLING, "nieuw")["c nieuw"], "leerlingnummer": "9999"}
    source.put(Entity.LEERLING, "c dubbel", "nieuw", **twin)
    before = ids(school)
    night(school)
    assert ids(school)[Entity.LEERLING] == before[Entity.LEERLING]
    assert [case[2] for case in school.cases() if case[1] == "leerling"] == [
        "c dubbel",
        "c nieuw",
    ]


def test_two_vestigingen_with_the_same_opleidingen_do_not_trade_them(make: Make) -> None:
    """A whole BRIN changes: every vestiging goes on with its own vakken and opleidingen."""
    bench = make({"s0": MemorySource(tuple(Entity), scope_keys=("een", "twee"))})
    bench.policy(guards=WHOLE)
    source = bench.sources["s0"]
    fill(source, "een", Names())
    other = Names(of=" twee", persons=" twee", number="99XX02", leerlingnummers=False, known="")
    _fill_other(source, "twee", other)
    bench.sync()
    before, there = ids(bench), open_rows(bench)
    links = bench.query("SELECT id, vestiging_id FROM opleiding ORDER BY id")
    made = herinrichting(Change("99XX01", "99YY01"), Change("99XX02", "99YY02"))
    apply(bench, made)
    source.scope_keys = ("een nieuw", "twee nieuw")
    fill(source, "een nieuw", Names(of=" n", persons=" n", number="99YY01"))
    _fill_other(source, "twee nieuw", replace(other, of=" tn", persons=" tn", number="99YY02"))
    night(bench)
    night(bench)
    assert (ids(bench), open_rows(bench)) == (before, there)
    assert bench.query("SELECT id, vestiging_id FROM opleiding ORDER BY id") == links
    assert bench.cases() == []


def _fill_other(source: MemorySource, scope: str, names: Names) -> None:
    """Other children, in klassen with the same names."""
    fill(source, scope, names)
    for entity in (Entity.LEERLING, Entity.VERZORGER):
        for key, values in list(source.here(entity, scope).items()):
            changed = {**values, "achternaam": f"de Vries{values['achternaam'][-1]}"}
            if "email" in changed:
                changed["email"] = f"vries.{changed['email']}"
            source.put(entity, key, scope, **changed)


def test_two_vestigingen_that_share_a_number_stay_two(make: Make) -> None:
    """An administration may have two under one BRIN6: which goes on as which is for a person."""
    bench = make({"s0": MemorySource(tuple(Entity), scope_keys=("een", "twee"))})
    bench.policy(guards=WHOLE)
    source = bench.sources["s0"]
    fill(source, "een", Names())
    _fill_other(source, "twee", Names(of=" twee", persons=" twee", leerlingnummers=False, known=""))
    bench.sync()
    before, there = ids(bench), open_rows(bench)
    apply(bench, herinrichting())
    assert (ids(bench), open_rows(bench), bench.cases()) == (before, there, [])
    fill(source, "een", Names(number=NEW))
    source.put(Entity.VESTIGING, "v twee", "twee", naam="Noord", vestigingsnummer=NEW)
    source.brins["twee"] = (NEW, NEW[:4])
    night(bench)
    assert night(bench).steps == {}
    assert (ids(bench), open_rows(bench), bench.cases()) == (before, there, [])

    fill(source, "een nieuw", Names(of=" n", number=NEW))
    source.scope_keys = ("een nieuw", "twee")
    night(bench)
    night(bench)
    assert [row[1:3] for row in bench.cases()] == [("vestiging", "v n")]
    assert set(before[Entity.GROEP]) < set(ids(bench)[Entity.GROEP])  # theirs wait for it
    decision = Decision(Verdict.LINK, Entity.VESTIGING, "v n", before[Entity.VESTIGING][0])
    bench.sync(kind=Kind.DECIDE, decision=decision)
    night(bench)
    assert night(bench).steps == {}
    assert (ids(bench), bench.cases()) == (before, [])


def test_a_koppeling_that_knows_the_old_number_alone_goes_on_as_it_was(school: Bench) -> None:
    """Nothing is former where nothing takes its place: who leaves a groep leaves it."""
    apply(school, herinrichting())
    source = school.sources["s0"]
    group = {**source.here(Entity.GROEP, "oud")["g0"], "leerlingen": ["a"]}
    source.put(Entity.GROEP, "g0", "oud", **group)
    night(school)
    assert len(open_rows(school)["groepsdeelname"]) == len(PUPILS) - 1
    with school.context() as context:
        assert context.former_scopes == set()


def test_a_koppeling_that_names_the_old_number_reads_the_new_one(school: Bench) -> None:
    apply(school, herinrichting())
    only = (Vestigingsnummer(OLD),)
    sources = tuple(s.model_copy(update={"vestigingen": only}) for s in school.hub.settings.source)
    settings = school.hub.settings.model_copy(update={"source": sources})
    school.hub = replace(school.hub, settings=settings)
    goes_on(school, RECORDS)
    assert {reading.scope for reading in night(school).readings} == {"nieuw"}


# -- two koppelingen become one --------------------------------------------------------------------


@pytest.fixture
def two(make: Make) -> Bench:
    """A school that one koppeling brings, and another koppeling that will."""
    bench = make({name: MemorySource(tuple(Entity), scope_keys=("oud",)) for name in ("s0", "s1")})
    bench.policy(guards=WHOLE)
    fill(bench.sources["s0"], "oud", Names())
    bench.sources["s1"].put(Entity.VESTIGING, "elders", "oud", naam="Elders")
    for name in ("s0", "s1"):
        assert bench.sync(name).outcome is Outcome.DONE
    return bench


@pytest.mark.parametrize("number", [OLD, NEW])
def test_a_koppeling_that_takes_over_goes_on_with_the_same_records(two: Bench, number: str) -> None:
    before, there = ids(two), open_rows(two)
    apply(two, herinrichting(Change(OLD, number, source="s0")), "s1")
    other = two.sources["s1"]
    other.scope_keys = ("oud", "nieuw")
    fill(other, "nieuw", replace(PERSONS, number=number, leerlingnummers=False))
    night(two, "s1")
    assert night(two, "s1").steps == {}
    assert (ids(two), open_rows(two), closed(two)) == (before, there, 0)
    assert two.cases() == []


def test_a_koppeling_that_stopped_is_not_believed_and_closes_nobody(two: Bench) -> None:
    apply(two, herinrichting(Change(OLD, OLD, source="s0")), "s1")
    other = two.sources["s1"]
    other.scope_keys = ("oud", "nieuw")
    fill(other, "nieuw", replace(PERSONS, number=OLD))
    night(two, "s1")
    there = open_rows(two)
    two.sources["s0"].put(Entity.LEERLING, "a", "oud", achternaam="Verouderd")
    for pupil in "bcd":
        two.sources["s0"].remove(Entity.LEERLING, pupil, "oud")
    night(two)
    night(two)
    assert open_rows(two) == there
    names = {row[0] for row in two.query("SELECT achternaam FROM leerling")}
    assert names == {f"Jansen{pupil}" for pupil in PUPILS}


def test_a_school_that_leaves_its_tenant_is_closed_there_and_nobody_else(two: Bench) -> None:
    """It goes to another bevoegd gezag: what is of it alone ends, by the word of a person."""
    other = two.sources["s1"]
    stays = {"achternaam": "Blijver", "roepnaam": "Kind", "geboortedatum": "2012-05-05"}
    other.put(Entity.LEERLING, "blijver", "oud", **stays)
    night(two, "s1")
    apply(two, herinrichting(Change(OLD, OLD, source="s0")), "s1")
    assert closed(two) == 0
    (made,) = _known(two)
    report = two.sync("s1", kind=Kind.DECIDE, finished=made.id)
    assert report.applied["leerling.close"] == len(PUPILS)
    left = two.query("SELECT achternaam FROM leerling WHERE geldig_tot IS NULL")
    assert left == [("Blijver",)]
    assert two.query("SELECT naam FROM vestiging WHERE geldig_tot IS NULL") == [("Elders",)]
    for name in ("s0", "s1"):
        assert night(two, name).steps == {}


# -- guards, schools, and what is refused ----------------------------------------------------------


def test_guards_and_selections_know_a_school_by_each_of_its_numbers(school: Bench) -> None:
    school.policy(guards={**WHOLE, "schools": {OLD: {"close": {"number": 1, "floor": 0}}}})
    apply(school, herinrichting())
    goes_on(school, RECORDS)
    night(school)
    assert [s.name for s in school.hub.sources_of(OLD)] == ["s0"]
    for number in (OLD, NEW):
        report = school.sync(brins=(number,))
        assert {reading.scope for reading in report.readings} == {"nieuw"}
        assert {reading.schools for reading in report.readings} == {(NEW, NEW[:4])}
    for pupil in "ab":
        school.sources["s0"].remove(Entity.LEERLING, pupil, "nieuw")
    night(school)
    held = night(school)
    assert held.held
    assert {hold.school for hold in held.holds} == {NEW}
    with school.context() as context:
        own = context.policy.guards.own_threshold
        assert own(GuardKind.CLOSE, "leerling", school=NEW, on=None) is not None


def test_an_instelling_that_is_taken_in_is_one_with_the_other_from_the_day(make: Make) -> None:
    bench = make({"s0": MemorySource(tuple(Entity))})
    source = bench.sources["s0"]
    source.put(Entity.INSTELLING, "een", naam="Een", brin="99YY")
    source.put(Entity.INSTELLING, "twee", naam="Twee", brin="99XX")
    bench.sync()
    first, second = bench.core(Entity.INSTELLING, "een"), bench.core(Entity.INSTELLING, "twee")
    day = date(2026, 10, 7)
    apply(bench, herinrichting(Change("99XX", "99YY", joins=True), on=day))
    night(bench)
    assert bench.core(Entity.INSTELLING, "twee") == second
    night(bench)
    assert bench.core(Entity.INSTELLING, "twee") == first == bench.core(Entity.INSTELLING, "een")
    assert bench.query("SELECT id, brin FROM instelling") == [(first, "99YY")]
    assert night(bench).steps == {}


def test_the_act_uses_nothing_that_waits_for_a_person(school: Bench) -> None:
    school.policy(guards={**WHOLE, "close": {"share": 0.01, "floor": 0}})
    for pupil in "ab":
        school.sources["s0"].remove(Entity.LEERLING, pupil, "oud")
    night(school)
    assert night(school).held
    there = open_rows(school)
    apply(school, herinrichting())
    assert open_rows(school) == there


def test_what_is_in_force_is_refused_a_second_time(school: Bench) -> None:
    apply(school, herinrichting())
    again = runs.run(school.hub, "s0", Options(kind=Kind.DECIDE, herinrichting=herinrichting()))
    assert "in force already" in again.error
    assert again.advice


def test_undoing_it_takes_it_back_and_it_may_be_applied_anew(school: Bench) -> None:
    report = apply(school, herinrichting())
    assert numbers(school) == [NEW]
    school.sync(kind=Kind.UNDO, undone=report.run_id)
    assert numbers(school) == [OLD]
    with school.hub.store.work() as work:
        assert in_force(work, [1]) == []
    assert night(school).steps == {}
    assert numbers(school) == [OLD]
    apply(school, herinrichting())
    assert numbers(school) == [NEW]


def test_who_is_left_behind_is_closed_when_a_person_finishes_it_and_not_before(
    school: Bench,
) -> None:
    """Who left in the meantime stands under the old number alone."""
    apply(school, herinrichting())
    goes_on(school, PERSONS)
    source = school.sources["s0"]
    for entity, key in (
        (Entity.LEERLING, "d"),
        (Entity.INSCHRIJVING, "id"),
        (Entity.VERZORGER, "ouder d"),
        (Entity.VERZORGER_RELATIE, "relatie d"),
    ):
        source.remove(entity, f"{key} nieuw", "nieuw")
    group = {**source.here(Entity.GROEP, "nieuw")["g1 nieuw"], "leerlingen": ["c nieuw"]}
    source.put(Entity.GROEP, "g1 nieuw", "nieuw", **group)
    there, last = open_rows(school), local_date(school.clock.now())
    for _ in range(3):
        night(school)
    assert open_rows(school) == there

    (made,) = _known(school)
    report = school.sync(kind=Kind.DECIDE, finished=made.id)
    assert report.applied["leerling.close"] == 1
    assert school.query(
        "SELECT achternaam, geldig_tot FROM leerling WHERE geldig_tot IS NOT NULL"
    ) == [("Jansend", str(last + timedelta(days=1)))]
    assert len(open_rows(school)["groepsdeelname"]) == len(PUPILS) - 1
    assert closed(school) == 4  # he, his placement, and his guardian with the relation
    assert night(school).steps == {}

    undone = school.sync(kind=Kind.UNDO, undone=report.run_id)
    assert (undone.error, open_rows(school)) == ("", there)
    assert night(school).steps == {}


def _known(bench: Bench) -> list[Herinrichting]:
    with bench.hub.store.work() as work:
        return in_force(work, [1])


def test_a_run_that_was_killed_leaves_the_matching_to_the_next(
    school: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What must be matched anew is written down with the numbers that it was matched by."""
    goes_on(school, PERSONS)
    night(school)
    _in_force_unseen(school, herinrichting())
    with monkeypatch.context() as patch:
        patch.setattr(planning, "apply", _killed)
        with pytest.raises(KeyboardInterrupt):
            night(school)
    night(school)
    assert len(ids(school)[Entity.GROEP]) == 2
    assert len(ids(school)[Entity.VERZORGER]) == len(PUPILS)


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def _in_force_unseen(bench: Bench, made: Herinrichting) -> None:
    """In force through another koppeling: this one has not run since."""
    import msgspec

    with bench.hub.store.work() as work:
        work.execute(
            "INSERT INTO herinrichting (tenant_id, name, on_day, changes, operator, why, "
            "created_at, run_id) VALUES (1, ?, ?, ?, 'jan', '', ?, 0)",
            (made.name, made.on, msgspec.json.encode(made.changes).decode(), bench.clock.now()),
        )
