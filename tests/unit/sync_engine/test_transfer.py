"""A school goes to another board: nobody is closed, doubled or left with the wrong keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigurationError
from config.operators import Role
from connectors.base import Action, Message, Receipt
from mappings.canonical.fields import Entity
from sync_engine import audit, pins
from sync_engine.actor import Actor
from sync_engine.cases import write_note
from sync_engine.errors import NoRightError, RunActiveError, StalePlanError, SyncError
from sync_engine.former_numbers import former_holders
from sync_engine.options import Decision, Kind, Verdict
from sync_engine.outcome import Outcome
from sync_engine.renumbering import Change, Herinrichting
from sync_engine.sealed import exchange_context, sealed_columns
from sync_engine.store.engine import Store
from sync_engine.store.locks import lease
from sync_engine.transfer import move
from sync_engine.transfer.rekey import Rekeyer
from sync_engine.transfer.reseal import GOES
from tests.property.stores import Killed
from tests.support.boards import NEW, OLD, Boards, boards, core, fill, held_by, sound
from tests.support.memory import MemorySource
from tests.support.reorganised import WHOLE
from tests.support.reorganised import apply as put_in_force

Make = Callable[..., Boards]


def maker(stack: ExitStack, store: Store, folder: Path) -> Make:
    """Schools of two boards: koppeling → (tenant, what `fill` takes); all read, in two nights."""

    def made(**schools: tuple[str, dict[str, Any]]) -> Boards:
        sources = {name: MemorySource(tuple(Entity)) for name in schools}
        for name, (_, given) in schools.items():
            fill(sources[name], **given)
        tenants = {name: tenant for name, (tenant, _) in schools.items()}
        found = stack.enter_context(boards(store, folder, tenants, sources))
        found.nights()
        return found

    return made


@pytest.fixture
def make(sqlite_store: Store, tmp_path: Path) -> Iterator[Make]:
    """On SQLite."""
    with ExitStack() as stack:
        yield maker(stack, sqlite_store, tmp_path)


@pytest.fixture
def make_on_both(store: Store, tmp_path: Path) -> Iterator[Make]:
    """On either database."""
    with ExitStack() as stack:
        yield maker(stack, store, tmp_path)


NOORD: dict[str, Any] = {
    "name": "noord",
    "vestiging": "99XX01",
    "pupils": {"a": 1, "b": None, "c": None, "beide": 5},
    "staff": {"juf": 1, "meester": None},
}
ZUID: dict[str, Any] = {
    "name": "zuid",
    "vestiging": "99XX02",
    "pupils": {"x": 11, "y": None, "beide z": 5},
    "staff": {"juf z": 1, "zus": None},
}
WEST: dict[str, Any] = {
    "name": "west",
    "vestiging": "99YY01",
    "code": "0300",
    "pupils": {"w": 21},
    "staff": {"wim": 7},
}
APART: dict[str, Any] = {
    "name": "oost",
    "vestiging": "99ZZ01",
    "code": "0400",
    "pupils": {"o": 31, "p": None},
    "staff": {"olga": 8},
}


def quiet(board: Boards, *names: str) -> None:
    """The nights that follow change nothing, open nothing and close nothing."""
    for report in board.nights(*names):
        assert (report.outcome, report.steps) == (Outcome.DONE, {}), report.koppeling
        assert not any(r.added or r.changed or r.missing for r in report.readings)


def test_a_school_of_its_own_goes_whole_and_nothing_of_it_is_left(make: Make) -> None:
    board = make(s0=(OLD, NOORD), s1=(OLD, APART), s2=(NEW, WEST))
    made, old, new = board.made, board.tenant(OLD), board.tenant(NEW)
    before, there = core(made, old), core(made, new)
    report = board.move("s1")
    sound(made)
    assert (report.twins, report.cut, report.whole) == ([], {}, False)
    assert (report.goes["leerling"], report.goes["groep"]) == (2, 1)
    left, came = core(made, old), core(made, new)
    for table, rows in before.items():
        assert sorted(left[table] + came[table], key=repr) == sorted(
            rows + there[table], key=repr
        ), table
    assert len(left["leerling"]) == 4
    gone = {row[0] for entity in map(str, Entity) for row in came[entity]}
    gone -= {row[0] for entity in map(str, Entity) for row in there[entity]}
    assert {name for name, core_id in held_by(made, old) if core_id in gone} == set()
    assert {"leerling", "link", "match_key", "step"} <= {n for n, _ in held_by(made, new)}
    for (table,) in (("run",), ("scope",), ("shadow",), ("zaak",), ("event",)):
        owners = f"SELECT 1 FROM {table} t JOIN koppeling k ON k.id = t.koppeling_id"
        assert not made.query(f"{owners} WHERE k.name = 's1' AND k.tenant_id = ?", old)
    quiet(board)
    assert made.cases() == []
    assert {**core(made, old)} == left
    assert {**core(made, new)} == came


def test_who_belongs_to_both_is_one_in_each_and_only_what_each_school_says(make: Make) -> None:
    board = make(s0=(OLD, NOORD), s1=(OLD, ZUID), s2=(NEW, WEST))
    made, old, new = board.made, board.tenant(OLD), board.tenant(NEW)
    shared = made.core(Entity.LEERLING, "beide")
    assert shared == made.core(Entity.LEERLING, "beide z", "s1")
    pins.pin(
        made.hub,
        shared,
        entity=Entity.LEERLING,
        field="roepnaam",
        value="Pin",
        reason="gebeld",
        operator="jan",
    )
    board.nights(rounds=1)
    told = board.announce("s0")
    shown = move.preview(made.hub, told)
    assert [(t.entity, t.new_key) for t in shown.twins] == [
        ("instelling", ""),
        ("leerling", ""),
        ("medewerker", ""),
        ("opleiding", ""),
    ]
    report = board.move("s0")
    assert (shown.goes, shown.cut, shown.carried) == (report.goes, report.cut, report.carried)
    assert [t.old_key for t in shown.twins] == [t.old_key for t in report.twins]
    sound(made)
    for run in board.nights():
        assert not [s for s in run.steps if s.endswith((".create", ".close", ".reopen"))]
        sound(made)
    assert made.cases() == []
    stays, goes = made.core(Entity.LEERLING, "beide z", "s1"), made.core(Entity.LEERLING, "beide")
    assert stays == shared != goes
    names = {row[0]: row[1:] for row in made.query("SELECT id, achternaam, roepnaam FROM leerling")}
    assert names[stays] == ("Jansen beide z", "Pin")
    assert names[goes] == ("Jansen beide", "Pin")
    assert {row[0] for row in core(made, old)["inschrijving"]}.isdisjoint(
        row[0] for row in core(made, new)["inschrijving"]
    )
    members = made.query(
        "SELECT g.tenant_id, COUNT(*) FROM groepsdeelname d JOIN groep g ON g.id = d.groep_id "
        "WHERE d.rol = 'leerling' AND NOT d.beeindigd GROUP BY g.tenant_id ORDER BY 1"
    )
    assert members == [(old, 3), (new, 5)]
    for name, own in (
        ("s0", new),
        ("s1", old),
    ):  # what a run did before is undone on its side alone
        other = core(made, old if own == new else new)
        ((first,),) = made.query(
            "SELECT MIN(r.id) FROM run r JOIN koppeling k ON k.id = r.koppeling_id "
            "WHERE k.name = ?",
            name,
        )
        assert made.sync(name, kind=Kind.UNDO, undone=first, operator="jan").error == ""
        sound(made)
        assert core(made, old if own == new else new) == other
    with made.hub.store.work() as work:
        assert audit.verify(made.hub, work).is_whole
        lines = [line for line in audit.show(work) if line.action == "transfer"]
    assert {line.subject for line in lines} == {f"tenant {old}", f"tenant {new}"}


def test_a_run_of_before_undoes_nothing_across_the_border(make: Make) -> None:
    """A run of the school that stays had made one of two pupils; the other's school went."""
    pupils = {"x": 11, "y": None, "beide z": None}
    board = make(s1=(OLD, ZUID | {"pupils": pupils}), s0=(OLD, NOORD), s2=(NEW, WEST))
    made, new = board.made, board.tenant(NEW)
    key, source = "beide z", made.sources["s1"]
    known = source.here(Entity.LEERLING)
    eck_id = made.sources["s0"].here(Entity.LEERLING)["beide"]["eck_id"]
    source.put(Entity.LEERLING, key, **known[key] | {"eck_id": eck_id})
    merging = made.sync("s1")
    assert made.query(
        "SELECT 1 FROM former_link WHERE run_id = ? AND koppeling_id = 2", merging.run_id
    )
    board.move("s0")
    board.nights("s0")
    there = core(made, new)
    undone = made.sync("s1", kind=Kind.UNDO, undone=merging.run_id, operator="jan")
    assert undone.error == ""
    sound(made)
    assert core(made, new) == there
    quiet(board, "s0")


def test_there_and_back_is_as_if_nothing_had_been(make: Make) -> None:
    board = make(s0=(OLD, NOORD), s1=(OLD, ZUID), s2=(NEW, WEST))
    made, old, new = board.made, board.tenant(OLD), board.tenant(NEW)
    before, there = core(made, old), core(made, new)
    board.move("s0")
    board.nights(rounds=1)
    report = board.move("s0", old=NEW, new=OLD)
    assert sum(report.rejoined.values()) == 4
    sound(made)
    board.nights()
    sound(made)
    assert made.cases() == []
    assert core(made, old) == before
    assert core(made, new) == there


def test_what_a_person_did_and_has_still_to_do_goes_along(make_on_both: Make) -> None:
    """A case, a decision, a pin, a refusal, a held plan, quarantine, and a run to be undone."""
    twin = {**APART, "name": "ook", "pupils": {"q": 31, "r": 33}, "staff": {"otto": 9}}
    board = make_on_both(s0=(OLD, NOORD), s1=(OLD, APART), s3=(OLD, twin), s2=(NEW, WEST))
    made = board.made
    one, other = made.sources["s1"], made.sources["s3"]
    alike = {"achternaam": "Vos", "roepnaam": "Kim", "geboortedatum": "2012-03-04"}
    for number in range(2):
        one.put(Entity.LEERLING, f"kim{number}", **alike | {"achternaam": f"Vos{number}"})
        other.put(Entity.LEERLING, f"kim{number}'", **alike | {"achternaam": f"Vos{number}"})
    board.nights(rounds=1)
    assert len(made.cases()) == 2
    kim = made.core(Entity.LEERLING, "kim0", "s1")
    linked = Decision(Verdict.LINK, Entity.LEERLING, "kim0'", core_id=kim)
    made.sync("s3", kind=Kind.DECIDE, decision=linked, why="gebeld", operator="jan")
    pin: dict[str, Any] = {"entity": Entity.LEERLING, "reason": "test", "operator": "jan"}
    pins.pin(made.hub, kim, field="geboorteplaats", value="Delft", **pin)
    one.put(Entity.LEERLING, "o", **one.here(Entity.LEERLING)["o"] | {"geboorteplaats": "Assen"})
    kept = made.sync("s1")
    made.policy(guards=WHOLE | {"change": {"share": None, "number": 1, "floor": 0}})
    one.put(Entity.LEERLING, "p", **one.here(Entity.LEERLING)["p"] | {"geboorteplaats": "Ede"})
    held = made.sync("s1")
    assert held.outcome is Outcome.HELD
    made.sync("s1", kind=Kind.REFUSE, refused=held.plan_id, why="nee", operator="jan")
    one.put(Entity.MEDEWERKER, "olga", **one.here(Entity.MEDEWERKER)["olga"] | {"roepnaam": "O"})
    held = made.sync("s1")
    one.put(Entity.LEERLING, "kapot", kapot=True)
    assert made.sync("s1").quarantine == 1
    cases = made.cases()
    messages = [
        Message("m1", "leerling", "o", Action.PUT, b"bericht"),
        Message("m2", "leerling", "p", Action.DELETE),
    ]
    made.hub.inbox("s1").put(messages)
    ((case,),) = made.query("SELECT id FROM zaak WHERE state = 'open' AND kind = 'score'")
    write_note(made.hub, case, "gebeld", operator="jan")
    state = core(made, board.tenant(OLD))

    report = board.move("s1", "s3")
    sound(made)
    assert (report.carried["plan"], report.carried["decision"], report.carried["pin"]) == (2, 1, 1)
    assert made.cases() == cases
    runs = board.nights("s3", "s1", "s2")
    assert {run.koppeling: (run.steps, run.quarantine) for run in runs} == {
        "s3": ({}, 0),
        "s1": ({"medewerker.change": 1}, 1),
        "s2": ({}, 0),
    }
    assert made.cases() == cases
    came = core(made, board.tenant(NEW))
    assert {r[0] for r in came["leerling"]} >= {made.core(Entity.LEERLING, "o", "s1"), kim}
    assert made.hub.inbox("s1").put(messages) == [Receipt.KNOWN, Receipt.KNOWN]
    assert [claim.body for claim in made.hub.inbox("s1").find("leerling", ["o", "p"])] == [
        b"bericht",
        None,
    ]
    approved = made.sync("s1", kind=Kind.APPLY, approved=held.plan_id, operator="jan")
    assert (approved.error, approved.applied, approved.held) == ("", {"medewerker.change": 1}, 0)
    undone = made.sync("s1", kind=Kind.UNDO, undone=kept.run_id, operator="jan")
    assert undone.applied == {"leerling.change": 1}
    born = "SELECT geboorteplaats FROM leerling WHERE id = ?"
    assert made.query(born, made.core(Entity.LEERLING, "o", "s1")) == [(None,)]
    assert made.query(born, made.core(Entity.LEERLING, "p", "s1")) == [(None,)]
    assert made.query(born, kim) == [("Delft",)]
    assert len(state["leerling"]) == len(core(made, board.tenant(OLD))["leerling"]) + 5
    sound(made)


def test_a_school_that_changed_its_number_goes_with_both_numbers(make: Make) -> None:
    board = make(s0=(OLD, NOORD), s1=(OLD, APART), s2=(NEW, WEST))
    made = board.made
    put_in_force(
        made, Herinrichting("nummer", date(2026, 10, 1), (Change("99ZZ01", "99ZZ05"),)), "s1"
    )
    board.nights()
    board.move("s1")
    sound(made)
    quiet(board)
    core_id = made.core(Entity.VESTIGING, "oost v", "s1")
    told = "SELECT vestigingsnummer FROM vestiging WHERE id = ?"
    assert made.query(told, core_id) == [("99ZZ05",)]
    assert made.query("SELECT tenant_id FROM herinrichting") == [(board.tenant(NEW),)]
    made.sources["s1"].put(
        Entity.VESTIGING,
        "oost v",
        naam="oost",
        vestigingsnummer="99ZZ05",
        instelling="school",
    )
    assert all(run.steps == {} for run in board.nights())


def test_two_boards_become_one_and_who_they_share_is_found_by_the_next_run(make: Make) -> None:
    """All koppelingen go; a pupil with the same ECK iD is one by the normal rules, no other is."""
    board = make(s0=(OLD, NOORD), s1=(OLD, ZUID), s2=(NEW, {**WEST, "pupils": {"w": 5, "v": None}}))
    made, old, new = board.made, board.tenant(OLD), board.tenant(NEW)
    elder = made.core(Entity.LEERLING, "beide")
    assert made.core(Entity.LEERLING, "w", "s2") != elder
    report = board.move("s0", "s1")
    assert (report.whole, report.twins, report.cut) == (True, [], {})
    sound(made)
    assert all(rows == [] for rows in core(made, old).values())
    for table, column in (
        *((t, "tenant_id") for t in ("koppeling", "zaak", "pin", "plan", "refold")),
        *((t, "tenant_id") for t in ("former_number", "herinrichting")),
    ):
        assert made.query(f"SELECT 1 FROM {table} WHERE {column} = ?", old) == [], table
    for run in board.nights(rounds=3):
        assert not [s for s in run.steps if s.endswith((".create", ".close"))]
    assert made.core(Entity.LEERLING, "w", "s2") == elder
    assert made.cases() == []
    assert len(core(made, new)["leerling"]) == 7


def test_who_left_the_staying_school_keeps_his_number_where_he_goes(make: Make) -> None:
    board = make(s0=(OLD, NOORD), s1=(OLD, ZUID), s2=(NEW, WEST))
    made = board.made
    was = made.core(Entity.LEERLING, "beide")
    for entity, key in (
        (Entity.LEERLING, "beide z"),
        (Entity.VERZORGER_RELATIE, "r beide z"),
        (Entity.INSCHRIJVING, "zuid i beide z"),
    ):
        made.sources["s1"].remove(entity, key)
    groep = made.sources["s1"].here(Entity.GROEP)["zuid g"]
    made.sources["s1"].put(Entity.GROEP, "zuid g", **groep | {"leerlingen": ["x", "y"]})
    board.nights()
    board.move("s0")
    sound(made)
    assert made.core(Entity.LEERLING, "beide") == was
    stayed = made.core(Entity.LEERLING, "beide z", "s1")
    assert stayed != was
    for run in board.nights():
        assert not [s for s in run.steps if s.endswith(".create")]
    sound(made)
    assert made.query(
        "SELECT i.leerling_id FROM inschrijving i JOIN link l ON l.core_id = i.id "
        "WHERE l.source_key = 'zuid i beide z'"
    ) == [(stayed,)]


@pytest.mark.parametrize("leaves", [False, True])
def test_who_becomes_two_is_found_on_either_side_by_his_old_number(
    make_on_both: Make, *, leaves: bool
) -> None:
    board = make_on_both(s0=(OLD, NOORD), s1=(OLD, ZUID), s2=(NEW, WEST))
    made = board.made
    for name, key in (("s0", "beide"), ("s1", "beide z")):
        made.sources[name].here(Entity.LEERLING)[key]["leerlingnummer"] = f"990{name[1]}"
    board.nights()
    if leaves:
        made.sources["s1"].remove(Entity.LEERLING, "beide z")
        board.nights()
    board.move("s0")
    sound(made)
    assert made.core(Entity.LEERLING, "beide") != made.core(Entity.LEERLING, "beide z", "s1")
    for tenant, number, name, key in (
        (NEW, "103", "s0", "beide"),
        (OLD, "202", "s1", "beide z"),
    ):
        hub = replace(made.hub, actor=Actor("petra", Role.HELPDESK, frozenset({tenant})))
        with hub.store.work() as work:
            found = former_holders(hub, work, Entity.LEERLING, "leerlingnummer", {number})
        assert set(found) == {made.core(Entity.LEERLING, key, name)}, tenant


# -- a part of what a koppeling brings -------------------------------------------------------------


def of_two_vestigingen() -> tuple[MemorySource, MemorySource]:
    """What one koppeling brings of two vestigingen; and what the other one brings afterwards."""
    before, after = (MemorySource(tuple(Entity)) for _ in range(2))
    noord = NOORD | {"pupils": {"a": 1, "b": None, "beide": 5}, "above": "hoofd"}
    zuid = ZUID | {"pupils": {"x": 11, "beide": 5}, "staff": {"juf": 1, "zus": None}}
    for source in (before, after):
        source.scope_keys = ("hoofd", "noord", "zuid")
        fill(source, **noord, scope="noord")
        if source is before:
            fill(source, **zuid, scope="zuid", above="hoofd")
    after.scope_keys = ("hoofd", "noord")
    return before, after


def test_one_vestiging_of_a_koppeling_goes_and_the_other_stays(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the part was handed over, the same command goes on."""
    one, other = of_two_vestigingen()
    sources = {"s0": one, "s9": other}
    with boards(store, tmp_path, {"s0": OLD, "s9": NEW}, sources) as board:
        made, old, new = board.made, board.tenant(OLD), board.tenant(NEW)
        board.nights("s0")
        pins.pin(
            made.hub,
            made.core(Entity.LEERLING, "b"),
            entity=Entity.LEERLING,
            field="roepnaam",
            value="Pin",
            reason="gebeld",
            operator="jan",
        )
        one.put(Entity.LEERLING, "kapot", "noord", kapot=True)
        other.put(Entity.LEERLING, "kapot", "noord", kapot=True)
        board.nights("s0")
        before = core(made, old)
        board.configure(PART)
        told = made.hub.settings.herinrichting[0]
        with pytest.raises(ConfigurationError, match="gets what herinrichting overgang brings"):
            made.sync("s9")
        dump = made.dump()
        shown = move.preview(made.hub, told)
        assert made.dump() == dump
        with monkeypatch.context() as patch:
            patch.setattr(Rekeyer, "prepare", die)
            with pytest.raises(Killed):
                move.transfer(made.hub, told, operator="jan", why="")
        assert core(made, old) == before
        assert made.query("SELECT 1 FROM scope WHERE koppeling_id = 2")
        sound(made)
        report = move.transfer(made.hub, told, operator="jan", why="")
        assert (report.goes, len(report.twins)) == (shown.goes, len(shown.twins))
        assert {t.entity for t in report.twins} == {
            *("instelling", "leerling", "medewerker", "verzorger", "verzorger_relatie"),
        }
        sound(made)
        with pytest.raises(ConfigurationError, match="99XX01 went to nieuw"):
            made.sync("s0")
        board.vestigingen["s0"] = "99XX02"
        one.scope_keys = ("hoofd", "zuid")
        one.remove(Entity.VESTIGING, "noord v", "hoofd")
        board.configure()
        for run in board.nights():
            assert not [s for s in run.steps if not s.endswith(".change")], run.steps
            assert not any(r.added or r.changed for r in run.readings)
            sound(made)
        assert all(run.steps == {} for run in board.nights())
        assert [row[0] for row in made.cases()] == ["s9"]
        came, left = core(made, new), core(made, old)
        assert {r[0] for r in came["vestiging"]} < {r[0] for r in before["vestiging"]}
        went = {made.core(Entity.LEERLING, key, "s9") for key in ("a", "b")}
        assert went < {row[0] for row in before["leerling"]}
        assert (len(came["leerling"]), len(left["leerling"])) == (3, 2)
        assert made.core(Entity.LEERLING, "beide") in {row[0] for row in before["leerling"]}


def die(_: object) -> None:
    """The process is no more."""
    raise Killed


PART = """[[herinrichting]]
name = "overgang"
tenant = "oud"
naar = "nieuw"
on = 2026-10-01
[[herinrichting.deel]]
koppeling = "s0"
vestigingen = ["99XX01"]
to = "s9"
"""


# -- what is refused -------------------------------------------------------------------------------


def test_what_cannot_be_is_refused_and_says_what_to_do(make: Make) -> None:
    board = make(s0=(OLD, NOORD), s1=(OLD, APART), s2=(NEW, WEST))
    hub = board.made.hub
    before = board.made.dump()
    with pytest.raises(ConfigurationError, match="has no koppeling 'zuid'"):
        move.preview(hub, board.announce("zuid"))
    with pytest.raises(SyncError, match="stands with nieuw already"):
        move.preview(hub, board.announce("s2"))
    with pytest.raises(SyncError, match="its day has not come") as caught:
        move.transfer(hub, board.announce("s0", on="2027-08-01"), operator="jan", why="")
    assert "preview overgang" in caught.value.advice
    told = board.announce("s0")
    of_one = replace(hub, actor=replace(hub.actor, tenants=frozenset({OLD})))
    with pytest.raises(NoRightError):
        move.preview(of_one, told)
    number = board.made.query("SELECT id FROM koppeling WHERE name = 's0'")[0][0]
    with lease(hub.store, f"koppeling-{number}"), pytest.raises(RunActiveError):
        move.transfer(hub, told, operator="jan", why="")
    board.made.query("UPDATE scope SET numbers_of = 's1' WHERE koppeling_id = ?", number)
    with pytest.raises(SyncError, match="s0 has the numbers of s1"):
        move.preview(hub, told)
    board.made.query("UPDATE scope SET numbers_of = ''")
    board.configure(PART.replace('"s9"', '"s2"'))
    with pytest.raises(SyncError, match="s2 has read something already"):
        move.preview(hub, board.made.hub.settings.herinrichting[0])
    board.tenants["s9"] = NEW
    board.configure(PART.replace("99XX01", "99XX07"))
    with pytest.raises(ConfigurationError, match="s0 never read this vestiging"):
        move.preview(hub, board.made.hub.settings.herinrichting[0])
    board.configure(PART)
    together = """'["99XX01", "99XX02"]'"""
    board.made.query(f"UPDATE scope SET brins = {together} WHERE koppeling_id = ?", number)
    with pytest.raises(SyncError, match="s0 reads its vestigingen together"):
        move.preview(board.made.hub, board.made.hub.settings.herinrichting[0])
    now = board.made.dump()
    assert {t: r for t, r in now.items() if t not in {"scope", "koppeling"}} == {
        t: r for t, r in before.items() if t not in {"scope", "koppeling"}
    }


def test_messages_to_targets_are_made_again_and_whom_one_has_is_remembered(
    make_on_both: Make,
) -> None:
    board = make_on_both(s0=(OLD, NOORD), s1=(OLD, APART), s2=(NEW, WEST))
    made, old = board.made, board.tenant(OLD)
    ((stays,),) = made.query("SELECT id FROM koppeling WHERE name = 's0'")
    mine, gone = made.core(Entity.LEERLING, "a", "s0"), made.core(Entity.LEERLING, "o", "s1")
    made.query("UPDATE koppeling SET outward = 'gemaakt'")
    for number, core_id in enumerate((mine, gone), 1):
        cipher = made.hub.cipher(old).person(bytes(16))
        made.query(
            "INSERT INTO exchange (id, koppeling_id, entity, core_id, kind, state, revision, "
            "changed_at, operator, salt, body) VALUES (?, ?, 'leerling', ?, 'outward leerlingen', "
            "'present', 1, ?, 'system', ?, ?)",
            *(number, stays, core_id, made.clock.now(), bytes(16)),
            cipher.encrypt(b"wie hij is", exchange_context(number)),
        )
        made.query(
            "INSERT INTO outbox (message_id, tenant_id, target, koppeling_id, resource, entity, "
            "core_id, state, body, run_id, attempts) "
            "VALUES (?, ?, 's0', ?, 'leerlingen', 'leerling', ?, ?, ?, 1, 0)",
            *(f"m{number}", old, stays, core_id, "ready" if number == 1 else "sent", b""),
        )
    with pytest.raises(StalePlanError, match="under way"):
        board.move("s1")
    made.query("UPDATE outbox SET state = 'confirmed' WHERE state = 'sent'")
    board.configure()
    board.move("s1")
    sound(made)
    assert made.query("SELECT message_id FROM outbox ORDER BY id") == [("m1",)]
    kept = made.query("SELECT core_id, state, body IS NULL FROM exchange ORDER BY id")
    assert kept == [(mine, "present", 0), (gone, "present", 1)]  # it is told to remove him
    assert made.query("SELECT DISTINCT outward FROM koppeling") == [("",)]


def test_a_value_that_does_not_open_stops_it(make: Make) -> None:
    board = make(s0=(OLD, NOORD), s1=(OLD, APART))
    made = board.made
    made.query(
        "UPDATE identificatie SET waarde = ? WHERE eigenaar_id = ?",
        bytes(40),
        made.core(Entity.LEERLING, "a"),
    )
    before = made.dump()
    with pytest.raises(SyncError, match=r"identificatie\.waarde: a value does not open"):
        board.move("s0")
    without = ("id_block", "tenant_key")
    assert {t: r for t, r in made.dump().items() if t not in without} == {
        t: r for t, r in before.items() if t not in without
    }


def test_a_koppeling_on_its_way_does_not_run_until_file_and_database_agree(make: Make) -> None:
    board = make(s0=(OLD, NOORD), s1=(OLD, APART), s2=(NEW, WEST))
    board.tenants["s1"] = NEW
    with pytest.raises(ConfigurationError, match="differs from the database") as caught:
        board.configure()
    assert "[[herinrichting]]" in caught.value.advice
    told = board.announce("s1")
    with pytest.raises(ConfigurationError, match="stands with tenant oud") as caught:
        board.made.sync("s1")
    assert "herinrichting apply" in caught.value.advice
    assert board.made.sync("s0").steps == {}
    move.transfer(board.made.hub, told, operator="jan", why="")
    quiet(board)
    board.tenants["s1"] = OLD
    board.announce("s1")
    with pytest.raises(ConfigurationError, match="stands with tenant nieuw"):
        board.made.sync("s1")


def test_every_sealed_column_says_what_of_it_goes() -> None:
    assert set(GOES) == {sealed.table for sealed in sealed_columns()}
