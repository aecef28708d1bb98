"""Cases on the page: side by side, decided after a look at what it does, noted and assigned."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from config.operators import Operator, Role
from mappings.canonical.fields import Entity
from sync_engine.cases import assign
from sync_engine.decisions import put_away
from sync_engine.errors import StalePlanError, SyncError
from sync_engine.hubkeys import hub_key
from sync_engine.store.locks import lease
from tests.support.hubs import Bench
from tests.unit.web.conftest import JAN, PETRA, Visit, trail
from tests.unit.web.test_plan_pages import shown

PUPIL = {"achternaam": "Jansen", "roepnaam": "Kim", "geboortedatum": "2012-03-04"}


def alike(bench: Bench) -> int:
    """A pupil of s0, and one of s1 who looks like him: the number of the case."""
    bench.sources["s0"].put(
        Entity.LEERLING, "a", **PUPIL, telefoon="0612345678", telefoon_geheim=True
    )
    bench.sources["s1"].put(Entity.LEERLING, "b", **PUPIL, geboorteplaats="Delft")
    bench.sync("s0")
    bench.sync("s1")
    return int(bench.query("SELECT id FROM zaak")[0][0])


def choices(page: str) -> list[str]:
    return re.findall(r'name="choice" value="([^"]+)"', page)


def test_a_decision_is_seen_first_and_then_done(make: Callable[..., Bench], seated: Visit) -> None:
    bench = make(2)
    case = alike(bench)
    pupil = bench.core(Entity.LEERLING, "a")
    desk = seated(bench)
    assert f"zaak {case}" in desk.sees("/zaken")
    page = desk.sees(f"/zaken/{case}")
    assert "looks like" not in page  # the kind says it in Dutch
    assert "aan één kant" in page  # a birthplace that one of both does not have
    assert choices(page) == [f"link {hub_key(pupil)}", "create", "ignore"]
    answer = desk.does(f"/zaken/{case}/beslissen", choice=f"link {hub_key(pupil)}")
    assert bench.cases() != []  # nothing is decided by looking
    plan = desk.sees(answer.headers["location"])
    assert "in zijn geheel, of helemaal niet" in plan
    done = desk.does(
        f"{answer.headers['location']}/goedkeuren", shown=shown(plan), why="school: hetzelfde kind"
    )
    assert "beslissing" in desk.sees(done.headers["location"])
    assert bench.cases() == []
    assert bench.core(Entity.LEERLING, "b", "s1") == pupil
    assert bench.query("SELECT operator, why, case_id FROM decision") == [
        ("petra", "school: hetzelfde kind", case)
    ]
    assert ("petra", "case link", f"case {case}", "10.0.0.4") in trail(bench)


def test_never_mind_leaves_no_plan_and_no_decision(one: Bench, seated: Visit) -> None:
    bench = one
    bench.sources["s0"].put(Entity.LEERLING, "a", **PUPIL)
    bench.policy(reactions={"unmatched": "case"})
    bench.sync()
    (case,) = [int(row[0]) for row in bench.query("SELECT id FROM zaak")]
    desk = seated(bench)
    answer = desk.does(f"/zaken/{case}/beslissen", choice="create")
    version = shown(desk.sees(answer.headers["location"]))
    desk.does(f"{answer.headers['location']}/weigeren", shown=version)
    assert bench.query("SELECT COUNT(*) FROM decision") == [(0,)]
    assert bench.query("SELECT COUNT(*) FROM leerling") == [(0,)]
    assert [row[0] for row in bench.query("SELECT state FROM zaak")] == ["open"]
    assert "Er wacht geen plan" in desk.sees("/plannen")


def test_never_mind_comes_too_late_while_a_colleague_has_it_done(one: Bench, seated: Visit) -> None:
    bench = one
    bench.sources["s0"].put(Entity.LEERLING, "a", **PUPIL)
    bench.policy(reactions={"unmatched": "case"})
    bench.sync()
    desk = seated(bench)
    (case,) = [int(row[0]) for row in bench.query("SELECT id FROM zaak")]
    path = desk.does(f"/zaken/{case}/beslissen", choice="create").headers["location"]
    version = shown(desk.sees(path))
    ((koppeling,),) = bench.query("SELECT id FROM koppeling")
    with lease(bench.hub.store, f"koppeling-{koppeling}"):  # as a run that does it holds it
        desk.does(f"{path}/weigeren", status=409, shown=version)
    plan = int(path.rpartition("/")[2])
    assert bench.query("SELECT state, decided_by FROM plan WHERE id = ?", plan) == [("open", None)]
    assert "not confirmed" not in [line[1] for line in trail(bench)]
    desk.does(f"{path}/goedkeuren", shown=version)
    with pytest.raises(StalePlanError):
        put_away(bench.hub, plan, operator="petra")
    assert "not confirmed" not in [line[1] for line in trail(bench)]


def test_a_choice_that_was_not_offered_does_nothing(two: Bench, seated: Visit) -> None:
    bench = two
    case = alike(bench)
    desk = seated(bench)
    for choice, status in (("", 422), ("link K-ZZZ", 409), ("merge", 409), ("toveren", 409)):
        answer = desk.does(f"/zaken/{case}/beslissen", status=status, choice=choice)
        assert "Er is niets gedaan" in answer.text
    assert bench.query("SELECT COUNT(*) FROM decision") == [(0,)]


def test_side_by_side_tells_what_agrees_and_nothing_that_is_secret(
    two: Bench, seated: Visit
) -> None:
    bench = two
    page = seated(bench).sees(f"/zaken/{alike(bench)}")
    assert "Jansen <span" in page
    assert "Delft" in page
    assert "(geheim)" in page
    assert "12345678" not in page
    assert ("petra", "case show", "case 1", "10.0.0.4") in trail(bench)


def test_a_case_is_noted_and_given(two: Bench, seated: Visit) -> None:
    bench = two
    case = alike(bench)
    desk = seated(bench)
    desk.does(f"/zaken/{case}/notitie", note="Gebeld met de school.\nBelt terug.")
    desk.does(f"/zaken/{case}/geven", to="petra")
    page = desk.sees(f"/zaken/{case}")
    assert "Gebeld met de school." in page
    assert f"zaak {case}" in desk.sees("/zaken?mijn=1")
    desk.does(f"/zaken/{case}/geven", to="")
    assert f"zaak {case}" not in desk.sees("/zaken?mijn=1")
    desk.does(f"/zaken/{case}/notitie", status=409, note=" ")
    desk.does(f"/zaken/{case}/geven", status=422, to="onbekend")
    assert bench.query("SELECT assignee FROM zaak") == [(None,)]
    assert {line[1] for line in trail(bench)} >= {"case note", "case assign", "case list"}


def test_who_may_only_read_changes_no_case(two: Bench, seated: Visit) -> None:
    bench = two
    case = alike(bench)
    desk = seated(bench, JAN)
    assert choices(desk.sees(f"/zaken/{case}")) == []
    for what in ("beslissen", "notitie", "geven", "sluiten"):
        desk.does(f"/zaken/{case}/{what}", status=403, choice="create", note="x", why="x", to="jan")
    assert bench.query("SELECT COUNT(*) FROM zaak_notitie") == [(0,)]
    assert desk.seat.actor != PETRA


def test_a_case_is_given_only_to_who_may_see_it(two: Bench, seated: Visit) -> None:
    bench = two
    case = alike(bench)
    named = tuple(
        Operator(name=name, role=Role.HELPDESK, tenants=tenants)
        for name, tenants in (("petra", ("bestuur",)), ("anna", None), ("els", ("elders",)))
    )
    settings = bench.hub.settings.model_copy(update={"operator": named})
    bench.hub = replace(bench.hub, settings=settings)
    desk = seated(bench, replace(PETRA, tenants=frozenset({"bestuur"})))
    page = desk.sees(f"/zaken/{case}")
    assert ">anna<" in page
    assert "els" not in re.findall(r"<option[^>]*>([^<]*)", page)
    assert "Er is niets gedaan" in desk.does(f"/zaken/{case}/geven", status=422, to="els").text
    with pytest.raises(SyncError):
        assign(bench.hub, case, to="els", operator="petra")
    desk.does(f"/zaken/{case}/geven", to="anna")
    assert bench.query("SELECT assignee FROM zaak") == [("anna",)]


def test_nothing_that_is_secret_is_told_in_any_kind_of_case(two: Bench, seated: Visit) -> None:
    bench = two
    secret: dict[str, Any] = {"mobiel": "0687654321", "telefoon": "0612345678"}
    secret |= {"adres": {"postcode": "9999ZZ", "huisnummer": "7"}}
    secret |= {"telefoon_geheim": True, "adres_geheim": True}
    bench.policy(reactions={"unmatched": "case"})
    bench.sources["s0"].put(Entity.LEERLING, "a", **PUPIL, **secret)
    bench.sync("s0")
    ((case,),) = bench.query("SELECT id FROM zaak")
    desk = seated(bench)
    pages = [desk.sees(f"/zaken/{case}")]  # of nobody whom he may be
    bench.policy(reactions={"unmatched": "create"})
    bench.sync("s0")
    bench.sources["s1"].put(Entity.LEERLING, "b", **PUPIL, mobiel="0633334444")
    bench.sync("s1")
    ((case,),) = bench.query("SELECT id FROM zaak WHERE kind = 'score'")
    pages.append(desk.sees(f"/zaken/{case}"))
    for page in pages:
        assert "(geheim)" in page
        for number in ("87654321", "12345678", "33334444", "9999ZZ"):
            assert number not in page


def test_a_number_or_sign_that_no_database_takes_is_told_as_what_is_not_there(
    make: Callable[..., Bench], seated: Visit
) -> None:
    bench = make(2)
    case = alike(bench)
    desk = seated(bench)
    for place in ("zaken", "plannen", "runs"):
        assert "Dit is er niet" in desk.sees(f"/{place}/{10**20}", status=404)
    before = trail(bench)
    desk.does(f"/zaken/{case}/notitie", status=400, note="nul\0teken")
    assert trail(bench) == before
