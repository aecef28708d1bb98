"""What might remain of an erased person beside what is plainly his: nothing that can be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.school.keys import synthetic_bsn
from mappings.canonical.fields import Entity
from sync_engine import cases
from sync_engine.errors import ErasureRefusedError
from sync_engine.options import Kind, Verdict
from sync_engine.store.engine import Store
from tests.support.hubs import Bench, bench
from tests.support.kern import KernBench
from tests.support.readable import readable
from tests.unit.sync_engine.conftest import Make
from tests.unit.sync_engine.test_decisions import decide
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


@pytest.fixture
def both(store: Store, tmp_path: Path) -> Iterator[Bench]:
    one = bench(store, tmp_path, sources=2)
    yield one
    one.close()


def alone(made: Bench) -> None:
    """The school, and he is in no groep: its record may name his key for a while."""
    school(made)
    groep(made, "zus", "ander")
    made.sync("s0")


def nothing(made: Bench, *texts: str) -> None:
    """With all keys in hand nobody reads a word of him."""
    every = (CANARY, CANARY_KEY, *texts)
    assert traces(made, *every) == []
    assert readable(made, *every) == []


def test_messages_about_what_is_his_go_with_him(kern: KernBench) -> None:
    made = kern.bench
    kern.say("leerling", CANARY_KEY, achternaam=CANARY)
    kern.say("leerling", "zus", achternaam="Jansen")
    for key in (CANARY_KEY, "zus"):
        kern.say("toetsresultaat", f"t-{key}", leerling=key, resultaat="8")
    made.sync("kern")
    kern.say("toetsresultaat", f"t-{CANARY_KEY}", leerling=CANARY_KEY, resultaat="9")
    kern.say("toetsresultaat", f"u-{CANARY_KEY}", leerling=CANARY_KEY, resultaat="7")
    kern.insert("toetsresultaat", f"t-{CANARY_KEY}", "t2", action="delete")
    erased(made, made.core(Entity.LEERLING, CANARY_KEY, "kern"))
    nothing(made)
    assert made.query("SELECT COUNT(*) FROM inbox") == [(2,)]
    assert not made.query("SELECT 1 FROM kern_inbox")


def test_what_cannot_be_read_of_his_goes_with_him_and_with_its_notes(both: Bench) -> None:
    made = both
    alone(made)
    source = made.sources["s0"]
    source.put(Entity.TOETSRESULTAAT, "stuk", leerling=CANARY_KEY, resultaat="8", kapot=True)
    source.put(Entity.LEERLING, f"{CANARY_KEY}b", **pupil(0, achternaam=CANARY), kapot=True)
    source.put(Entity.TOETSRESULTAAT, "ook", leerling="zus", resultaat="8", kapot=True)
    made.sync("s0")
    assert made.query("SELECT COUNT(*) FROM quarantine") == [(3,)]
    for (number,) in made.query("SELECT id FROM zaak WHERE state = 'open'"):
        cases.write_note(made.hub, number, "besproken", operator="test")
    erased(made, made.core(Entity.LEERLING, CANARY_KEY))
    nothing(made)
    assert made.query("SELECT source_key FROM quarantine") == [("ook",)]
    assert made.query("SELECT COUNT(*) FROM zaak_notitie") == [(1,)]
    report = made.sync("s0")
    assert (report.quarantine, made.query("SELECT COUNT(*) FROM quarantine")) == (1, [(1,)])
    nothing(made)


def test_who_is_known_and_cannot_be_read_with_his_number_is_not_lost(made: Bench) -> None:
    """A sister with his BSN by a typing error, in a record that cannot be read."""
    alone(made)
    typed = pupil(1, bsn=synthetic_bsn(1))
    made.sources["s0"].put(Entity.LEERLING, "zus", **typed, kapot=True)
    made.sync("s0")
    erased(made, made.core(Entity.LEERLING, CANARY_KEY))
    report = made.sync("s0")
    assert report.quarantine == 1
    assert made.query("SELECT source_key FROM quarantine") == [("zus",)]


def test_who_was_taken_for_him_for_a_while_keeps_nothing_of_him(both: Bench) -> None:
    """His second record was linked to another pupil by mistake, and split off again."""
    made = both
    alone(made)
    other = made.sources["s1"]
    other.put(
        Entity.LEERLING, f"{CANARY_KEY}s1", achternaam=f"B{CANARY}", geboorteplaats=f"C{CANARY}"
    )
    made.sync("s1")
    wrong = made.core(Entity.LEERLING, "ander")
    if not made.query("SELECT 1 FROM link WHERE source_key = ?", f"{CANARY_KEY}s1"):
        decide(made, Verdict.LINK, f"{CANARY_KEY}s1", "s1", core_id=wrong)
    else:
        his = made.core(Entity.LEERLING, f"{CANARY_KEY}s1", "s1")
        decide(made, Verdict.MERGE, core_id=wrong, other=his)
    assert made.core(Entity.LEERLING, f"{CANARY_KEY}s1", "s1") == wrong
    made.settle("s0", "s1", rounds=1)
    decide(made, Verdict.SPLIT, f"{CANARY_KEY}s1", "s1")
    made.settle("s0", "s1", rounds=1)
    apart = made.core(Entity.LEERLING, f"{CANARY_KEY}s1", "s1")
    assert apart != wrong
    erased(made, apart)
    erased(made, made.core(Entity.LEERLING, CANARY_KEY))
    nothing(made)
    made.settle("s0", "s1", rounds=1)
    assert made.query("SELECT COUNT(*) FROM leerling") == [(2,)]
    nothing(made)


def test_a_record_of_his_that_a_person_refused_goes_too(made: Bench) -> None:
    alone(made)
    made.sources["s1"].put(Entity.LEERLING, f"{CANARY_KEY}s1", **pupil(0, achternaam=CANARY))
    held = made.sync("s1", plan_only=True)
    made.sync("s1", kind=Kind.REFUSE, approved=held.plan_id, operator="test")
    assert made.query("SELECT pending FROM shadow WHERE source_key = ?", f"{CANARY_KEY}s1") == [
        (False,)
    ]
    erased(made, made.core(Entity.LEERLING, CANARY_KEY))
    nothing(made)


def test_a_record_of_his_that_a_person_ignored_goes_too(made: Bench) -> None:
    alone(made)
    twin = pupil(0, achternaam=CANARY, bsn=synthetic_bsn(9), leerlingnummer=None)
    made.sources["s1"].put(Entity.LEERLING, f"{CANARY_KEY}s1", **twin)
    made.sync("s1")
    decide(made, Verdict.IGNORE, f"{CANARY_KEY}s1", "s1")
    made.sources["s1"].put(Entity.LEERLING, f"{CANARY_KEY}s1", **pupil(0, achternaam=CANARY))
    made.sync("s1")
    erased(made, made.core(Entity.LEERLING, CANARY_KEY))
    nothing(made)


def test_who_has_his_eck_id_by_mistake_and_another_bsn_is_not_he(made: Bench) -> None:
    """The hub made a case of it while he was there; now the other comes in."""
    source, eck = made.sources["s0"], f"https://ketenid.nl/pilot/{'a' * 128}"
    source.put(Entity.LEERLING, CANARY_KEY, **pupil(0, achternaam=CANARY, eck_id=eck))
    source.put(Entity.LEERLING, "zus", **pupil(1, eck_id=eck))
    made.sync("s0")
    assert made.query("SELECT COUNT(*) FROM leerling") == [(1,)]
    assert made.query("SELECT source_key FROM link WHERE entity = 'leerling'") == [(CANARY_KEY,)]
    erased(made, made.core(Entity.LEERLING, CANARY_KEY))
    made.settle("s0", rounds=2)
    assert made.query("SELECT achternaam FROM leerling") == [("Leerling1",)]
    other = made.sources["s1"]
    other.put(Entity.LEERLING, f"{CANARY_KEY}s1", **pupil(0, achternaam=CANARY, eck_id=eck))
    assert made.sync("s1").suppressed == 1
    nothing(made)


def test_who_only_looks_like_him_is_asked_of_first(made: Bench) -> None:
    """Nothing tells of him in that record but his name: a person must say whether it is he."""
    alone(made)
    twin = pupil(0, achternaam=CANARY, bsn=None, leerlingnummer=None)
    made.sources["s1"].put(Entity.LEERLING, f"{CANARY_KEY}s1", **twin)
    made.sync("s1")
    core_id = made.core(Entity.LEERLING, CANARY_KEY)
    ((number,),) = made.query("SELECT id FROM zaak WHERE state = 'open'")
    assert erased(made, core_id, dry=True).doubts == [number]
    decide(made, Verdict.LINK, f"{CANARY_KEY}s1", "s1", core_id=core_id)
    assert erased(made, core_id).doubts == []
    nothing(made)
    assert made.sync("s1").suppressed == 1


def test_two_who_became_one_go_as_one(made: Bench) -> None:
    alone(made)
    twin = pupil(0, achternaam=CANARY, bsn=None, leerlingnummer=None)
    made.sources["s1"].put(Entity.LEERLING, f"{CANARY_KEY}s1", **twin)
    made.sync("s1")
    decide(made, Verdict.CREATE, f"{CANARY_KEY}s1", "s1")
    one = made.core(Entity.LEERLING, CANARY_KEY)
    other = made.core(Entity.LEERLING, f"{CANARY_KEY}s1", "s1")
    assert one != other
    decide(made, Verdict.MERGE, core_id=one, other=other)
    with pytest.raises(ErasureRefusedError, match="any more"):
        erased(made, max(one, other))  # no command gives an alias
    erased(made, min(one, other))
    nothing(made)
    assert made.sync("s1").suppressed == 1
    assert not made.query("SELECT 1 FROM alias")
