"""Who may act for some schools of a board: what he sees, and what he may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import msgspec
import pytest

from config.errors import ConfigurationError, KoppelhubError
from config.operators import Grant, Operator, Role
from config.settings import Settings
from mappings.canonical.fields import Entity
from sync_engine.actor import Actor, named_actor
from sync_engine.cases import assign, colleagues, find_case
from sync_engine.decisions import put_away
from sync_engine.declined import declined
from sync_engine.drift import drift
from sync_engine.errors import NoRightError, SyncError
from sync_engine.explain import explain
from sync_engine.find import find_leerlingen, hub_key
from sync_engine.history import list_runs
from sync_engine.options import Decision, Kind, Options, Verdict
from sync_engine.outcome import RunReport
from sync_engine.pins import lift, pin
from sync_engine.plans import list_plans, read_plan
from sync_engine.reach import Reach
from sync_engine.renumbering import Change
from sync_engine.rights import OF_SCHOOLS, acting
from sync_engine.runs import run
from sync_engine.schedule.jobs import Job, perform
from sync_engine.search import by_key, search
from sync_engine.selection import select
from sync_engine.store.engine import Store
from sync_engine.switches import switch_off
from sync_engine.view import store_context
from tests.support.boards import fill
from tests.support.hubs import bench
from tests.support.memory import MemorySource
from tests.support.pair import CANARY, CONFIGURATION, MINE, OTHER, Pair, pair
from tests.support.reorganised import WHOLE


@pytest.fixture
def two(store: Store, tmp_path: Path) -> Iterator[Pair]:
    """On each database."""
    with pair(store, tmp_path) as made:
        yield made


def test_the_store_shows_what_is_of_the_school_and_no_more(two: Pair) -> None:
    """One world for many questions: it takes a second to make."""
    hub = two.seen_by("mies")
    with hub.store.work() as work:
        names = {row[0] for row in work.rows("SELECT achternaam FROM leerling")}
        assert names == {
            *(f"Jansen {bird}" for bird in ("merel", "mus", "specht")),
            *("Trekvogel", "nest kauw", "nest valk"),
        }
        for table, column in (
            ("shadow", "source_key"),
            ("source_record", "source_key"),
            ("link", "source_key"),
            ("zaak", "source_key"),
            ("quarantine", "source_key"),
            ("decision", "source_key"),
            ("step", "source"),
            ("koppeling", "name"),
            ("groep", "naam"),
            ("verzorger", "achternaam"),
        ):
            told = [row[0] for row in work.rows(f"SELECT {column} FROM {table}")]
            assert told, table
            assert not [one for one in told if CANARY in one], table
        for table in ("inbox", "kern_inbox", "suppression", "transfer", "counterpart"):
            assert work.execute(f"SELECT 1 FROM {table}") == []
        # who is of both schools is seen whole, by each koppeling and scope that has him
        rows = work.execute("SELECT COUNT(*) FROM shadow WHERE source_key = 'trekvogel'")
        assert rows == [(2,)]
        assert select(hub, work, source=None, school=None).names == ["eigen", "samen"]
        assert find_leerlingen(hub, work, hub_key(two.both)) == [two.both]
        with pytest.raises(SyncError, match="there is no leerling with that key"):
            by_key(hub, work, Entity.LEERLING, hub_key(two.other["leerling"]))
        with pytest.raises(ConfigurationError, match="no school with that BRIN"):
            select(hub, work, source=None, school=OTHER)
        assert colleagues(hub, work, find_case(hub, work, two.mine["case"])) == [
            *("mies", "moos", "mia", "baas")
        ]
    with two.hub.store.work() as work:
        case = find_case(two.hub, work, two.other["case"])
        assert colleagues(two.hub, work, case) == ["mia", "baas"]
    assert {match.name for match in search(hub, Entity.LEERLING, "jansen", operator="mies")} == {
        *("Vast merel Jansen merel", "Kind mus Jansen mus", "Kind specht Jansen specht")
    }
    assert {one.id for one in list_plans(hub)} == {two.mine["both"], two.mine["plan"]}
    steps = read_plan(hub, two.mine["both"], limit=50).steps
    assert [step.key for step in steps if "voorletters" in step.changes]
    assert two.leaks(repr(steps)) == []
    assert {run.koppeling for run in list_runs(hub, koppeling=None, limit=50)} == {"samen", "eigen"}
    with store_context(hub, 1) as context:
        why = explain(context, Entity.LEERLING, two.both)
    assert {claim.scope for reason in why.fields for claim in reason.claims} == {
        *("leerling/mijn", "leerling/ander")
    }
    with two.hub.store.work() as work, work.transaction():  # as if a person had refused it all
        work.execute(
            "UPDATE shadow SET refused_run = (SELECT MAX(r.id) FROM run r "
            "WHERE r.koppeling_id = shadow.koppeling_id)"
        )
    told = list(declined(hub, "samen"))
    assert told
    assert two.leaks(repr(told)) == []
    assert len(told) < len(list(declined(two.hub, "samen")))
    with two.hub.store.work() as work, work.transaction():
        work.execute("UPDATE shadow SET refused_run = NULL")
    found = drift(hub, "samen", Options(dry=True, brins=(MINE,), operator="mies"), limit=99)
    assert {record.source_key for record in found.records} == {"specht"}
    # another koppeling of the other school comes to know one of his: he is seen whole still
    known = two.made.sources["samen"].here(Entity.LEERLING, "mijn")["merel"]
    two.made.sources[f"{CANARY}-las"].put(Entity.LEERLING, f"{CANARY} merel", **known)
    two.made.sync(f"{CANARY}-las")
    with store_context(hub, 1) as context:
        why = explain(context, Entity.LEERLING, two.mine["leerling"], only="achternaam")
    assert {claim.koppeling for claim in why.fields[0].claims} == {"samen", f"{CANARY}-las"}
    # and the system on the same connections' database sees everything
    assert two.made.query("SELECT COUNT(*) FROM leerling") == [(12,)]


def test_what_he_asks_is_judged_by_what_it_touches(two: Pair) -> None:
    hub, before = replace(two.seen_by("moos")), two.of_other()
    their = two.other["leerling"]
    merge = Decision(Verdict.MERGE, Entity.LEERLING, core_id=two.mine["leerling"], other=their)
    link = Decision(Verdict.LINK, Entity.LEERLING, "nest valk", their, case_id=two.mine["case"])
    split = Decision(Verdict.SPLIT, Entity.LEERLING, f"{CANARY} geel")
    create = Decision(Verdict.CREATE, Entity.LEERLING, "nest ekster", case_id=two.mine["hidden"])
    for options, error in (
        (Options(), NoRightError),
        (Options(brins=(OTHER,)), NoRightError),
        (Options(kind=Kind.REPLAY), NoRightError),
        (Options(kind=Kind.ADOPT), NoRightError),
        (Options(kind=Kind.ONLY, pupils=(their,)), SyncError),
        (Options(kind=Kind.ONLY, only=(f"{CANARY} geel",)), NoRightError),
        (Options(kind=Kind.REPLAY, quarantine=True, only=(f"{CANARY} kapot",)), SyncError),
        (Options(kind=Kind.APPLY, approved=two.mine["both"]), NoRightError),
        (Options(kind=Kind.REFUSE, refused=two.mine["both"]), NoRightError),
        (Options(kind=Kind.UNDO, undone=two.mine["last"]), NoRightError),
        (Options(kind=Kind.REFOLD, cores=(their,)), SyncError),
        (Options(kind=Kind.DECIDE, decision=merge), SyncError),
        (Options(kind=Kind.DECIDE, decision=link), SyncError),
        (Options(kind=Kind.DECIDE, decision=split), SyncError),
        (Options(kind=Kind.DECIDE, decision=create), NoRightError),
        (Options(kind=Kind.DECIDE, lifted=two.other["act"]), SyncError),
        (Options(kind=Kind.DECIDE, alike=(two.other["case"],)), SyncError),
    ):
        with pytest.raises(error) as caught:
            run(hub, "samen", options)
        assert type(caught.value) is error, options
        assert two.leaks(f"{caught.value} {caught.value.advice}") == []
    other = {"entity": Entity.LEERLING, "field": "roepnaam", "reason": "proef", "operator": "moos"}
    for attempt in (
        lambda: switch_off(hub, ["samen"], operator="moos", why="proef"),
        lambda: put_away(hub, two.mine["both"], operator="moos"),
        lambda: pin(hub, their, value="Anders", **other),  # type: ignore[arg-type] # of one row each
        lambda: lift(hub, two.other["pin"], operator="moos"),
        lambda: assign(hub, two.other["case"], to=None, operator="moos"),
        lambda: run(hub, f"{CANARY}-las", Options()),
    ):
        with pytest.raises(KoppelhubError):
            attempt()
    assert two.of_other() == before
    trail = two.made.query("SELECT COUNT(*) FROM audit WHERE action = 'refused'")
    assert trail[0][0] >= 8


def test_what_he_may_ask_is_done_and_leaves_what_waits_elsewhere(two: Pair) -> None:
    hub, before = two.seen_by("mies"), two.of_other()
    wanted = Options(brins=(MINE,), by_hand=True, operator="mies")
    report = perform(two.hub, Job.by_hand_of("samen", wanted))  # as a worker does it for him
    assert isinstance(report, RunReport)
    assert report.applied == {"leerling.change": 1}
    with pytest.raises(KoppelhubError, match="a part of what samen serves"):
        perform(two.hub, Job.by_hand_of("samen", replace(wanted, brins=())))
    assert run(hub, "samen", wanted).applied == {}
    assert run(hub, "eigen", Options(kind=Kind.APPLY, approved=two.mine["plan"])).error == ""
    assert run(hub, "eigen", Options(operator="mies")).error == ""
    lift(hub, two.mine["pin"], operator="mies")
    assert run(hub, "samen", Options(kind=Kind.DECIDE, lifted=two.mine["act"])).error == ""
    switch_off(hub, ["eigen"], operator="mies", why="proef")
    assert two.of_other() == before
    # the plan of before still waits for who may decide on it: his runs put none in its place
    (plan,) = [one for one in list_plans(two.hub) if one.id == two.mine["both"]]
    assert plan.replaced_by is None
    assert two.made.sync("samen").applied == {"leerling.change": 2}  # that, and what the pin hid


def test_a_scope_of_more_schools_is_told_apart_by_the_core(store: Store, tmp_path: Path) -> None:
    """A koppeling that brings a whole board in one list, as some systems do."""
    source = MemorySource(tuple(Entity))
    fill(source, "nest", vestiging="99XX01", pupils={"merel": 1, "mus": None}, staff={"uil": 2})
    others = {f"{CANARY} geel": 3, f"{CANARY} rood": None}
    staff = {f"{CANARY} meester": 4}
    fill(source, CANARY, vestiging="98XX02", pupils=others, staff=staff)
    made = bench(store, tmp_path, sources={"samen": source}, configuration=CONFIGURATION)
    made.policy(guards=WHOLE)
    made.sync("samen")
    hub = replace(made.hub, actor=named_actor(made.hub.settings, "mies", origin=""))
    with hub.store.work() as work:
        for entity, count in ((Entity.LEERLING, 2), (Entity.VERZORGER, 2), (Entity.GROEP, 1)):
            told = work.execute(f"SELECT * FROM {entity}")
            assert len(told) == count, entity
            assert CANARY not in repr(told)
        assert work.execute("SELECT achternaam FROM medewerker") == [("Smit uil",)]
        assert work.execute("SELECT COUNT(*) FROM groepsdeelname") == [(3,)]
        core = work.execute("SELECT id FROM leerling ORDER BY id")[0][0]
        chosen = select(hub, work, source="samen", school=MINE)
        condition, params = chosen.of_scope(work, "scope_id")
        rows = work.execute(
            "SELECT source_key FROM shadow WHERE entity = 'leerling' AND " + condition, params
        )  # and not none: that would read as all is well
        assert {row[0] for row in rows} == {"merel", "mus"}
    with store_context(hub, 1) as context:
        assert explain(context, Entity.LEERLING, core).fields
    with pytest.raises(NoRightError, match="a part of the schools"):
        run(hub, "samen", Options(brins=(MINE,)))
    assert run(hub, "samen", Options(kind=Kind.ONLY, pupils=(core,))).error == ""
    made.close()


def test_a_school_that_changed_its_number_is_his_under_both(store: Store, tmp_path: Path) -> None:
    made = bench(store, tmp_path, configuration=CONFIGURATION)
    with made.hub.store.work() as work:
        work.execute(
            "INSERT INTO herinrichting (tenant_id, name, on_day, changes, operator, why, "
            "created_at, run_id) VALUES (1, 'nieuw', ?, ?, 'baas', 'proef', ?, 1)",
            (
                date(2026, 8, 1),
                msgspec.json.encode([Change("97XX01", "99XX01")]).decode(),
                made.clock.now(),
            ),
        )
    hub = replace(made.hub, actor=named_actor(made.hub.settings, "mia", origin=""))
    mine = replace(hub, actor=hub.actor.acting(Role.HELPDESK))
    assert mine.reach == Reach(frozenset(), frozenset({"99XX01", "97XX01"}))
    made.close()


# -- without a database ----------------------------------------------------------------------------

GRANTS = (
    Grant(role=Role.HELPDESK, schools=("99XX",)),
    Grant(role=Role.READ, tenants=("noord",)),
    Grant(role=Role.ADMIN, tenants=("oost",)),
)
ACTOR = Actor("mies", None, frozenset(), "", grants=GRANTS).acting(None)


@pytest.mark.parametrize(
    ("command", "least", "tenants", "schools"),
    [
        ("runs", Role.READ, {"noord", "oost"}, {"99XX"}),
        ("keys", Role.READ, {"noord", "oost"}, set()),
        ("sync", Role.HELPDESK, {"oost"}, {"99XX"}),
        ("explain leerling", Role.READ, {"noord", "oost"}, {"99XX"}),
        ("purge", Role.ADMIN, {"oost"}, set()),
    ],
)
def test_a_command_is_for_whom_he_has_its_role(
    command: str, least: Role, tenants: set[str], schools: set[str]
) -> None:
    found = acting(ACTOR, command, least)
    assert found.tenants == frozenset(tenants)
    assert found.schools == frozenset(schools)


def test_a_grant_that_is_gone_counts_no_more(tmp_path: Path) -> None:
    path = tmp_path / "koppelhub.toml"
    path.write_text(CONFIGURATION)
    settings = Settings.load(path, env={})
    known = named_actor(settings, "mies", origin="")
    assert (known.role, known.is_limited) == (Role.HELPDESK, True)
    assert known.schools == frozenset({"99XX"})
    one = Operator(name="mies", role=Role.READ, tenants=("bestuur",))
    less = settings.model_copy(update={"operator": (one,)})
    actor = named_actor(less, "mies", origin="")
    assert (actor.role, actor.is_limited) == (Role.READ, False)
    assert named_actor(less, "moos", origin="").role is None


def test_who_has_a_role_for_schools_alone_does_nothing_to_a_tenant_whole() -> None:
    actor = Actor("mies", None, frozenset(), "", grants=GRANTS[:1]).acting(None)
    assert "purge" not in OF_SCHOOLS
    with pytest.raises(NoRightError, match="for some schools only"):
        acting(actor, "herinrichting list", Role.READ)
    told = ["helpdesk voor school 99XX", "read voor noord", "admin voor oost"]
    assert list(map(str, ACTOR.grants)) == told


@pytest.mark.parametrize(
    ("numbers", "is_his", "shared"),
    [
        (["99XX01", "99XX"], True, True),
        (["99XX01", "99XX02", "99XX"], False, True),
        (["98XX01", "98XX"], False, False),
        (["99XX"], False, True),
        ([], False, False),
    ],
)
def test_a_scope_is_his_where_all_that_it_lists_is(
    numbers: list[str], is_his: bool, shared: bool
) -> None:
    reach = Reach(frozenset(), frozenset({"99XX01"}))
    assert (reach.has_scope(numbers), reach.shares(numbers)) == (is_his, shared)
