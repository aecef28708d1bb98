"""Two koppelingen that know a person by one key, and one that only adds to what others say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from config.policies import Unmatched
from mappings.canonical.fields import Entity
from sync_engine.erasure import acts
from sync_engine.options import Decision, Kind, Verdict
from tests.support.hubs import Bench
from tests.unit.sync_engine.conftest import Make

ECK = "https://ketenid.nl/pilot/{}"
ONE, OTHER = (ECK.format(digit * 128) for digit in "ab")


def say(bench: Bench, name: str, **said: Any) -> None:
    """Set one koppeling otherwise."""
    settings = bench.hub.settings
    sources = tuple(
        source.model_copy(update=said) if source.name == name else source
        for source in settings.source
    )
    bench.hub = replace(bench.hub, settings=settings.model_copy(update={"source": sources}))


def two(make: Make, **said: Any) -> Bench:
    """Two sources; the second has the keys of the first, and knows ECK iDs."""
    bench = make(2)
    say(bench, "s1", keys_of="s0", **said)
    bench.sources["s0"].fields = {"leerling": frozenset({"achternaam"})}
    for number in range(3):
        bench.sources["s0"].put(Entity.LEERLING, f"l{number}", achternaam=f"Jansen{number}")
        eck = ECK.format(f"{number}" * 128)
        bench.sources["s1"].put(Entity.LEERLING, f"l{number}", achternaam="Anders", eck_id=eck)
    return bench


def pupils(bench: Bench) -> int:
    return int(bench.query("SELECT COUNT(*) FROM leerling")[0][0])


@pytest.mark.parametrize("order", [("s0", "s1"), ("s1", "s0")])
def test_who_has_the_same_key_is_the_same_whoever_comes_first(
    make: Make, order: tuple[str, str]
) -> None:
    bench = two(make)
    for name in order:
        bench.sync(name)
    assert pupils(bench) == 3
    for number in range(3):
        key = f"l{number}"
        assert bench.core(Entity.LEERLING, key, "s0") == bench.core(Entity.LEERLING, key, "s1")
    assert bench.query("SELECT COUNT(*) FROM identificatie") == [(3,)]
    assert bench.cases() == []
    bench.later()
    assert bench.sync("s0").steps == bench.sync("s1").steps == {}


def test_nothing_is_said_of_keys_unless_the_configuration_says_it(make: Make) -> None:
    bench = two(make)
    say(bench, "s1", keys_of=None)
    bench.sync("s0")
    bench.sync("s1")
    assert pupils(bench) == 6


def test_staff_have_the_same_keys_and_groups_have_not(make: Make) -> None:
    bench = make(2)
    say(bench, "s1", keys_of="s0")
    for name in ("s0", "s1"):
        source = bench.sources[name]
        source.put(Entity.MEDEWERKER, "m", achternaam=f"Docent{name}")
        source.put(Entity.VERZORGER, "v", achternaam=f"Ouder{name}")
        source.put(Entity.GROEP, "g", naam=f"1{name}", soort="stamgroep")
        bench.sync(name)
    for entity, count in (("medewerker", 1), ("verzorger", 2), ("groep", 2)):
        assert bench.query(f"SELECT COUNT(*) FROM {entity}") == [(count,)]


def test_one_key_and_two_eck_ids_are_a_case(make: Make) -> None:
    bench = make(2)
    say(bench, "s1", keys_of="s0")
    bench.sources["s0"].put(Entity.LEERLING, "l", achternaam="Jansen", eck_id=ONE)
    bench.sources["s1"].put(Entity.LEERLING, "l", achternaam="Jansen", eck_id=OTHER)
    bench.sync("s0")
    bench.sync("s1")
    assert bench.cases() == [("s1", "leerling", "l", "contradiction")]
    assert pupils(bench) == 1


def test_what_a_person_decided_goes_before_the_key(make: Make) -> None:
    bench = two(make)
    bench.sync("s0")
    bench.sync("s1")
    split = Decision(Verdict.SPLIT, Entity.LEERLING, "l1")
    bench.sync("s1", kind=Kind.DECIDE, decision=split, operator="test", why="een ander")
    assert pupils(bench) == 4
    bench.settle()
    assert pupils(bench) == 4
    assert bench.core(Entity.LEERLING, "l1", "s0") != bench.core(Entity.LEERLING, "l1", "s1")


def test_a_koppeling_that_only_adds_makes_nobody(make: Make) -> None:
    bench = two(make, unmatched=Unmatched.IGNORE)
    bench.sources["s1"].put(Entity.LEERLING, "nieuw", achternaam="Nieuw")
    bench.sync("s0")
    bench.sync("s1")
    assert pupils(bench) == 3
    bench.sources["s0"].put(Entity.LEERLING, "nieuw", achternaam="Nieuw")
    bench.later()
    bench.sync("s0")
    bench.sync("s1")  # and is tried again, each run
    assert pupils(bench) == 4
    assert bench.core(Entity.LEERLING, "nieuw", "s0") == bench.core(Entity.LEERLING, "nieuw", "s1")


def test_or_asks_a_person_whatever_policy_says_of_one_entity(make: Make) -> None:
    bench = two(make, unmatched=Unmatched.CASE)
    bench.policy(reactions={"entities": {"leerling": {"unmatched": "create"}}})
    say(bench, "s1", keys_of=None, unmatched=Unmatched.CASE)
    bench.sync("s0")
    bench.sync("s1")
    assert [case[3] for case in bench.cases()] == ["unmatched"] * 3
    assert pupils(bench) == 3


def test_a_source_that_gives_everybody_another_key_has_lost_nobody(make: Make) -> None:
    bench = make()
    source = bench.sources["s0"]
    for number in range(12):
        eck = ECK.format(f"{number:x}" * 128)
        source.put(Entity.LEERLING, f"oud{number}", achternaam="Jansen", eck_id=eck)
    bench.sync()
    for number in range(12):
        eck = ECK.format(f"{number:x}" * 128)
        source.remove(Entity.LEERLING, f"oud{number}")
        source.put(Entity.LEERLING, f"nieuw{number}", achternaam="Jansen", eck_id=eck)
    states = []
    for _ in range(3):
        bench.later()
        (reading,) = [r for r in bench.sync().readings if r.resource == "leerling"]
        states.append(reading.state)
    assert states[-1] == "complete"
    assert bench.query("SELECT COUNT(*), COUNT(geldig_tot) FROM leerling") == [(12, 0)]
    assert bench.query("SELECT COUNT(*) FROM source_record WHERE gone") == [(12,)]


def test_who_is_really_gone_meanwhile_still_counts(make: Make) -> None:
    bench = make()
    source = bench.sources["s0"]
    for number in range(12):
        eck = ECK.format(f"{number:x}" * 128)
        source.put(Entity.LEERLING, f"oud{number}", achternaam="Jansen", eck_id=eck)
    bench.sync()
    for number in range(12):
        source.remove(Entity.LEERLING, f"oud{number}")
        if number < 3:
            eck = ECK.format(f"{number:x}" * 128)
            source.put(Entity.LEERLING, f"nieuw{number}", achternaam="Jansen", eck_id=eck)
    for _ in range(3):
        bench.later()
        bench.sync()
    assert bench.query("SELECT COUNT(geldig_tot) FROM leerling") == [(0,)]  # nine at once: blocked


def test_the_keys_of_a_third_koppeling_say_nothing(make: Make) -> None:
    bench = make(3)
    say(bench, "s1", keys_of="s0")
    for name in ("s2", "s1", "s0"):
        bench.sources[name].put(Entity.LEERLING, "l", achternaam=f"Jansen{name}")
        bench.sync(name)
    assert pupils(bench) == 2
    assert bench.core(Entity.LEERLING, "l", "s0") == bench.core(Entity.LEERLING, "l", "s1")


def test_who_is_erased_stays_away_from_the_koppeling_that_has_the_same_keys(make: Make) -> None:
    bench = two(make)
    bench.sync("s0")
    acts.erase(
        bench.hub, Entity.LEERLING, bench.core(Entity.LEERLING, "l1"), operator="test", why="test"
    )
    assert bench.sync("s1").suppressed == 1
    assert bench.sync("s0").suppressed == 1
    assert pupils(bench) == 2
