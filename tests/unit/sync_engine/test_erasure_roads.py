"""The roads by which an erased person might come back: none of them brings him."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.base import Action, Message, Receipt
from fixtures.school.keys import synthetic_bsn
from mappings.canonical.fields import Entity
from sync_engine import adoption, purge, rotation
from sync_engine.errors import ErasureRefusedError
from sync_engine.leaving import leave
from sync_engine.options import Kind
from sync_engine.store.engine import Store
from tests.property.stores import DoomedStore, Killed
from tests.support.boards import NEW, OLD, boards
from tests.support.hubs import Bench
from tests.support.kern import KernBench
from tests.support.memory import MemorySource
from tests.unit.sync_engine.conftest import Make
from tests.unit.sync_engine.test_erasure import (
    CANARY,
    CANARY_KEY,
    erased,
    groep,
    pupil,
    school,
    traces,
)


@pytest.fixture
def made(make: Make) -> Bench:
    return make(2)


def nobody(made: Bench) -> None:
    """He is nowhere, byte by byte, and the others are all there."""
    assert made.query("SELECT COUNT(*) FROM leerling") == [(2,)]
    assert traces(made, CANARY, CANARY_KEY) == []


def test_undo_and_replay_of_what_was_before(made: Bench) -> None:
    school(made)
    made.settle("s0", rounds=2)
    source = made.sources["s0"]
    source.put(Entity.LEERLING, CANARY_KEY, **pupil(0, achternaam=CANARY, roepnaam=f"B{CANARY}"))
    groep(made, CANARY_KEY, "ander")
    changed = made.sync("s0")
    assert changed.applied == {"groep.change": 1, "leerling.change": 1}
    groep(made, "zus", "ander")
    later = made.sync("s0")
    erased(made, made.core(Entity.LEERLING, CANARY_KEY))
    for run_id in (later.run_id, changed.run_id):
        made.sync("s0", kind=Kind.UNDO, undone=run_id, operator="test")
        nobody(made)
    made.mappings["memory"].version = "2"
    replayed = made.sync("s0", kind=Kind.REPLAY)
    assert (replayed.outcome, replayed.suppressed) == ("done", 0)
    made.sync("s0")
    nobody(made)


def test_what_a_killed_run_had_received_is_swept(made: Bench) -> None:
    school(made)
    made.sync("s0")
    other, hub = made.sources["s1"], made.hub
    other.put(Entity.LEERLING, f"{CANARY_KEY}s1", **pupil(0, achternaam=CANARY))
    other.put(Entity.INSCHRIJVING, f"is1{CANARY_KEY}", leerling=f"{CANARY_KEY}s1")
    for statements in range(60, 400, 10):
        doomed: Any = DoomedStore(hub.store, statements)
        made.hub = replace(hub, store=doomed)
        with suppress(Killed):
            made.sync("s1", plan_only=True)
        made.hub = hub
        if made.query("SELECT 1 FROM shadow WHERE source_key = ?", f"is1{CANARY_KEY}"):
            break
    assert not made.query("SELECT 1 FROM link WHERE source_key = ?", f"{CANARY_KEY}s1")
    erased(made, made.core(Entity.LEERLING, CANARY_KEY))
    nobody(made)
    made.sync("s1")
    nobody(made)


def test_a_plan_that_waits_brings_nobody(made: Bench) -> None:
    school(made)
    made.sync("s0")
    source = made.sources["s0"]
    source.put(Entity.LEERLING, CANARY_KEY, **pupil(0, achternaam=f"Ander{CANARY}"))
    source.put(Entity.LEERLING, "zus", **pupil(1, achternaam="Anders"))
    held = made.sync("s0", plan_only=True)
    seen = erased(made, made.core(Entity.LEERLING, CANARY_KEY))
    assert seen.plans == [held.plan_id]
    done = made.sync("s0", kind=Kind.APPLY, approved=held.plan_id, operator="test")
    assert done.applied == {"leerling.change": 1}
    nobody(made)


def test_the_tracking_application_may_send_what_it_likes(kern: KernBench) -> None:
    made = kern.bench
    for key, number in ((CANARY_KEY, 0), ("zus", 1), ("ander", 2)):
        kern.say("leerling", key, achternaam=CANARY if number == 0 else "Jansen")
    kern.say("verzorger", "o", achternaam="Ouder")
    kern.say("verzorger_relatie", "r", verzorger="o", leerling="zus")
    made.sync("kern")
    core_id = made.core(Entity.LEERLING, CANARY_KEY, "kern")
    body = msgspec.json.encode({"achternaam": CANARY}).decode()
    kern.insert("leerling", CANARY_KEY, "t1", body=body)
    kern.insert("toetsresultaat", "t9", "t2", body=f'{{"leerling":"{CANARY_KEY}"}}')
    kern.insert("leerling", "zus", "t3", body='{"achternaam":"Zuster"}')
    done = erased(made, core_id)
    assert (done.rows["kern_inbox"], done.rows["inbox"]) == (2, 1)
    nobody(made)
    told = [
        Message("m90", "leerling", CANARY_KEY, Action.PUT, body.encode()),
        Message("m91", "leerling", CANARY_KEY, Action.DELETE),
        Message(
            "m92", "toetsresultaat", "t9", Action.PUT, f'{{"leerling":"{CANARY_KEY}"}}'.encode()
        ),
        Message("m93", "leerling", "zus", Action.PUT, b'{"key":"zus","achternaam":"Zusje"}'),
    ]
    suppressed = Receipt.SUPPRESSED
    assert kern.inbox.put(told) == [suppressed, suppressed, suppressed, Receipt.ACCEPTED]
    kern.insert("leerling", CANARY_KEY, "t4", body=body)
    made.sync("kern")
    assert not made.query("SELECT 1 FROM kern_inbox")
    nobody(made)


def test_who_is_adopted_is_who_is_left(kern: KernBench) -> None:
    made = kern.bench
    for key, number in ((CANARY_KEY, 0), ("zus", 1), ("ander", 2)):
        kern.say("leerling", key, achternaam=CANARY if number == 0 else "Jansen")
    made.sync("kern")
    erased(made, made.core(Entity.LEERLING, CANARY_KEY, "kern"))
    adoption.adopt(made.hub, "kern", operator="test", schools=(), dry=False)
    nobody(made)


def test_a_new_key_of_the_tenant_recognises_him_still(made: Bench) -> None:
    school(made)
    made.sync("s0")
    erased(made, made.core(Entity.LEERLING, CANARY_KEY))
    rotation.rotate(made.hub, operator="test")
    made.later(1)
    assert made.sync("s0").suppressed > 0
    purge.purge(made.hub, operator="test")
    assert made.sync("s0").suppressed > 0
    nobody(made)


def test_another_board_is_told_and_recognises_him(sqlite_store: Store, tmp_path: Path) -> None:
    """His school goes to another board, whose keys are others."""
    sources = {name: MemorySource(tuple(Entity)) for name in ("a", "b")}
    with boards(sqlite_store, tmp_path, {"a": OLD, "b": NEW}, sources) as two:
        made = two.made
        school(made, "a")
        sources["b"].put(Entity.LEERLING, "bee", **pupil(5))
        two.nights()
        erased(made, made.core(Entity.LEERLING, CANARY_KEY, "a"))
        two.move("a")
        sources["b"].put(Entity.LEERLING, "elders", **pupil(0, achternaam=CANARY))
        for report in two.nights("a", "b"):
            assert (report.outcome, report.suppressed > 0) == ("done", True)
        assert made.query("SELECT COUNT(*) FROM leerling") == [(3,)]
        two.move("a", old=NEW, new=OLD)
        assert all(report.suppressed > 0 for report in two.nights("a"))
        assert traces(made, CANARY, CANARY_KEY, "elders") == []


def test_a_board_that_leaves_takes_its_erasures_along(sqlite_store: Store, tmp_path: Path) -> None:
    sources = {name: MemorySource(tuple(Entity)) for name in ("a", "b")}
    with boards(sqlite_store, tmp_path, {"a": OLD, "b": NEW}, sources) as two:
        made = two.made
        school(made, "a")
        two.nights("a")
        erased(made, made.core(Entity.LEERLING, CANARY_KEY, "a"))
        left = [t for t in made.hub.settings.tenant if t.name != OLD]
        kept = [s for s in made.hub.settings.source if s.tenant != OLD]
        settings = made.hub.settings.model_copy(update={"tenant": left, "source": kept})
        made.hub = replace(made.hub, settings=settings)
        leave(made.hub, OLD, operator="jan", why="weg")
        assert not made.query("SELECT 1 FROM suppression")
        purge.purge(made.hub, operator="test")  # the list still has a line of it
        assert not made.query("SELECT 1 FROM suppression UNION ALL SELECT 1 FROM tenant_key")


def test_a_number_of_his_does_not_take_away_who_is_known(made: Bench) -> None:
    """An existing link answers first: a typing error of the school erases nobody."""
    school(made)
    made.sync("s0")
    erased(made, made.core(Entity.LEERLING, CANARY_KEY))
    typed = pupil(1, bsn=synthetic_bsn(1), roepnaam="Zus")
    made.sources["s0"].put(Entity.LEERLING, "zus", **typed)
    assert made.sync("s0").applied == {"leerling.change": 1}
    assert made.query("SELECT COUNT(*) FROM leerling") == [(2,)]


def test_only_persons_are_erased(made: Bench) -> None:
    school(made)
    made.sync("s0")
    with pytest.raises(ErasureRefusedError, match="cannot be erased"):
        erased(made, made.core(Entity.GROEP, "g"), Entity.GROEP)
    wanted: Any = made.core(Entity.VERZORGER, "samen")
    done = erased(made, wanted, Entity.VERZORGER)
    assert done.records == {"verzorger": 1, "verzorger_relatie": 2}
    for report in (made.sync("s0"), made.sync("s0")):
        assert (report.waiting, report.applied, report.suppressed) == (0, {}, 3)
    assert made.query("SELECT COUNT(*) FROM leerling") == [(3,)]
