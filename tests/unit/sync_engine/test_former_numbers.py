"""Former numbers: an old leerlingnummer leads to the pupil, and to nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from config.operators import Role
from fixtures.school.keys import synthetic_bsn
from mappings.canonical.fields import Entity
from sync_engine import purge, rotation
from sync_engine.actor import Actor
from sync_engine.errors import SyncError
from sync_engine.find import hub_key
from sync_engine.options import Decision, Kind, Verdict
from sync_engine.outcome import Outcome
from sync_engine.search import Match, by_key, hinted, matches_of, search
from sync_engine.store.engine import Store
from tests.support.hubs import Bench, bench

LEERLING, MEDEWERKER = Entity.LEERLING, Entity.MEDEWERKER
BORN = "2012-03-04"
ONE, OTHER = "100101", "100202"
CHANGED = "2026-10-05"
TWO_YEARS = 731 * 24


@pytest.fixture
def made(store: Store, tmp_path: Path) -> Iterator[Bench]:
    """Two pupils and a medewerker with numbers, on each of the two databases."""
    one = bench(store, tmp_path)
    pupil(one, "a", leerlingnummer=ONE)
    pupil(one, "b", leerlingnummer=OTHER)
    one.sources["s0"].put(MEDEWERKER, "m", achternaam="Bakker", personeelsnummer="P77")
    one.sync()
    yield one
    one.close()


def pupil(made: Bench, key: str, **values: Any) -> None:
    values = {"achternaam": f"Naam{key}", "geboortedatum": BORN} | values
    made.sources["s0"].put(LEERLING, key, **values)


def meant(made: Bench, text: str, entity: Entity = LEERLING) -> dict[int, str]:
    """Core id → hint of whom a key means."""
    with made.hub.store.work() as work:
        found = matches_of(made.hub, work, entity, by_key(made.hub, work, entity, text))
        return {match.core_id: match.hint for match in hinted(made.hub, work, entity, text, found)}


def searched(made: Bench, text: str) -> list[Match]:
    return search(made.hub, LEERLING, text, operator="balie")


def rows(made: Bench) -> list[Any]:
    """(core id, soort, run, until) of what is kept."""
    return made.query(
        "SELECT core_id, soort, run_id, CAST(until AS TEXT) FROM former_number ORDER BY 1, 3"
    )


def nobody(made: Bench, text: str) -> str:
    with pytest.raises(SyncError) as caught:
        meant(made, text)
    return caught.value.advice


def test_a_number_that_was_replaced_finds_him_and_says_since_when(made: Bench) -> None:
    core_id = made.core(LEERLING, "a")
    pupil(made, "a", leerlingnummer="100303")
    run = made.sync().run_id
    told = f"Oud leerlingnummer: heette tot {CHANGED} zo; heet nu {hub_key(core_id)}."
    assert meant(made, ONE) == {core_id: told}
    assert [(m.core_id, m.hint) for m in searched(made, ONE)] == [(core_id, told)]
    assert [(m.core_id, m.hint) for m in searched(made, "100-101")] == [(core_id, told)]
    assert meant(made, "100303") == {core_id: ""}
    assert meant(made, hub_key(core_id)) == {core_id: ""}
    assert rows(made) == [(core_id, "leerlingnummer", run, CHANGED)]
    everything = repr(made.query("SELECT * FROM former_number"))
    assert ONE not in everything
    assert "100303" not in everything


def test_a_number_that_was_taken_away_and_one_of_a_medewerker_are_kept(made: Bench) -> None:
    core_id, member = made.core(LEERLING, "a"), made.core(MEDEWERKER, "m")
    pupil(made, "a")
    made.sources["s0"].put(MEDEWERKER, "m", achternaam="Bakker", personeelsnummer="P78")
    made.sync()
    assert meant(made, ONE)[core_id].startswith("Oud leerlingnummer")
    assert meant(made, "P77", MEDEWERKER)[member].startswith("Oud personeelsnummer")


def test_who_has_the_number_now_is_meant_and_the_other_is_told(made: Bench) -> None:
    one, other = made.core(LEERLING, "a"), made.core(LEERLING, "b")
    pupil(made, "a", leerlingnummer="100303")
    pupil(made, "b", leerlingnummer=ONE)
    made.sync()
    told = f"Dit leerlingnummer had eerder een ander: {hub_key(one)} (tot {CHANGED})."
    assert meant(made, ONE) == {other: told}
    assert [(m.core_id, m.hint) for m in searched(made, ONE)] == [(other, told)]
    assert list(meant(made, OTHER)) == [other]  # his own old one


def test_more_who_had_it_before_are_named(made: Bench) -> None:
    one, other = made.core(LEERLING, "a"), made.core(LEERLING, "b")
    pupil(made, "a", leerlingnummer="100303")
    pupil(made, "b", leerlingnummer=ONE)
    made.sync()
    pupil(made, "b", leerlingnummer="100404")
    made.later(24)
    made.sync()
    advice = nobody(made, ONE)
    assert f"{hub_key(one)} (tot {CHANGED}) of {hub_key(other)} (tot 2026-10-06)" in advice
    assert ONE not in advice
    listed = searched(made, ONE)
    assert [match.core_id for match in listed] == [one, other]
    assert all(match.hint for match in listed)


def test_an_old_number_links_nobody(made: Bench) -> None:
    core_id = made.core(LEERLING, "a")
    pupil(made, "a", leerlingnummer="100303")
    made.sync()
    pupil(made, "nieuw", achternaam="Heelanders", leerlingnummer=ONE)
    made.sync()
    assert made.core(LEERLING, "nieuw") != core_id
    assert made.cases() == []
    assert list(meant(made, ONE)) == [made.core(LEERLING, "nieuw")]


def test_only_such_numbers_are_kept_and_only_when_they_change(made: Bench) -> None:
    eck = "https://ketenid.nl/pilot/{}"
    pupil(made, "a", leerlingnummer=ONE, bsn=synthetic_bsn(1), eck_id=eck.format("a" * 128))
    made.sync()
    pupil(made, "a", achternaam="Anders", leerlingnummer=ONE, bsn=synthetic_bsn(2))
    made.sync()
    made.settle()
    assert rows(made) == []
    pupil(made, "a", leerlingnummer="100303")
    made.sync(dry=True)
    made.sync(plan_only=True)
    assert rows(made) == []


def test_a_run_that_is_undone_leaves_no_old_number_and_a_new_undo_does(made: Bench) -> None:
    core_id = made.core(LEERLING, "a")
    pupil(made, "a", leerlingnummer="100303")
    changed = made.sync().run_id
    undone = made.sync(kind=Kind.UNDO, undone=changed, operator="test")
    assert undone.outcome is Outcome.DONE
    assert meant(made, ONE) == {core_id: ""}
    assert rows(made) == []
    nobody(made, "100303")
    again = made.sync(kind=Kind.UNDO, undone=undone.run_id, operator="test")
    assert meant(made, "100303") == {core_id: ""}
    assert list(meant(made, ONE)) == [core_id]
    assert [row[2] for row in rows(made)] == [again.run_id]


def test_what_was_old_before_the_undone_run_stays_old(made: Bench) -> None:
    core_id = made.core(LEERLING, "a")
    pupil(made, "a", leerlingnummer="100303")
    first = made.sync().run_id
    pupil(made, "a", leerlingnummer=ONE)
    back = made.sync().run_id
    made.sync(kind=Kind.UNDO, undone=back, operator="test")
    assert meant(made, "100303") == {core_id: ""}
    assert list(meant(made, ONE)) == [core_id]
    assert [row[2] for row in rows(made)] == [first]


def test_the_number_of_who_was_merged_leads_to_who_stays_until_that_is_lifted(
    made: Bench,
) -> None:
    one, other = made.core(LEERLING, "a"), made.core(LEERLING, "b")
    pupil(made, "b", leerlingnummer="100303")
    made.sync()
    choice = Decision(Verdict.MERGE, LEERLING, "", core_id=one, other=other)
    merged = made.sync(kind=Kind.DECIDE, decision=choice, why="test", operator="test")
    assert (merged.outcome, merged.error) == (Outcome.DONE, "")
    assert made.query("SELECT survivor_id FROM alias") == [(one,)]
    for number in (ONE, OTHER, "100303"):
        assert list(meant(made, number)) == [one]
    ((act,),) = made.query("SELECT MAX(act) FROM decision")
    made.sync(kind=Kind.DECIDE, lifted=act, operator="test")
    assert meant(made, "100303") == {other: ""}
    assert meant(made, ONE) == {one: ""}
    assert list(meant(made, OTHER)) == [other]
    assert [row[0] for row in rows(made)] == [other]


def test_a_purge_takes_the_old_numbers_of_who_goes_and_no_others(made: Bench) -> None:
    stays = made.core(LEERLING, "b")
    pupil(made, "a", leerlingnummer="100303")
    pupil(made, "b", leerlingnummer="100404")
    made.sync()
    made.sources["s0"].remove(LEERLING, "a")
    made.settle()
    made.later(TWO_YEARS)
    made.sync()
    assert list(meant(made, ONE)) == [int(rows(made)[0][0])]
    (report,) = purge.purge(made.hub, operator="test")
    assert report.records["leerling"] == 1
    assert [row[0] for row in rows(made)] == [stays]
    nobody(made, ONE)
    assert list(meant(made, OTHER)) == [stays]


def test_another_key_of_the_tenant_finds_them_still(made: Bench) -> None:
    core_id = made.core(LEERLING, "a")
    pupil(made, "a", leerlingnummer="100303")
    made.sync()
    (report,) = rotation.rotate(made.hub, operator="test")
    assert report.version == 2
    assert list(meant(made, ONE)) == [core_id]
    pupil(made, "a", leerlingnummer="100404")
    made.sync()
    assert list(meant(made, "100303")) == [core_id]


def test_who_may_act_for_other_tenants_finds_nobody(made: Bench) -> None:
    pupil(made, "a", leerlingnummer="100303")
    made.sync()
    made.hub = replace(made.hub, actor=Actor("vreemde", Role.HELPDESK, frozenset({"ander"})))
    assert "K-" not in nobody(made, ONE).replace("(K-...)", "")
    with pytest.raises(SyncError):
        searched(made, ONE)
