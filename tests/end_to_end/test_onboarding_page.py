"""A school comes in on the pages: the acts of the commands, their refusals, and no secret typed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from config import fragments
from config.operators import Role
from sync_engine.actor import Actor
from sync_engine.onboarding import ways
from tests.support.newcomer import BRIN, NAME, Newcomer, newcomer
from tests.support.processes import until
from tests.support.seat import Visitor, seated_house

BAAS = Actor("baas", Role.ADMIN, None, "192.0.2.1")
JAN = Actor("jan", Role.READ, None, "192.0.2.2")
OF_DEMO = Actor("els", Role.ADMIN, frozenset({"demo"}), "192.0.2.3")
SCHOOL: dict[str, Any] = {
    "brin": BRIN,
    "name": NAME,
    "tenant": "",
    "new_tenant": "demo",
    "title": "Stichting",
}
AGREE: dict[str, Any] = {
    "basis": "verwerkersovereenkomst 12",
    "purpose": "leerlingvolgsysteem",
    "on": "2026-08-01",
}
AT = "/aansluiten/koppelingen/som"


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Newcomer]:
    with newcomer(tmp_path / "huis") as made:
        yield made


@pytest.fixture
def baas(new: Newcomer) -> Iterator[Visitor]:
    with seated_house(new.house, BAAS) as visitor:
        yield visitor


def linked(new: Newcomer, baas: Visitor) -> None:
    """A school with a koppeling, and its secret."""
    baas.does("/aansluiten/nieuw", **SCHOOL)
    form = {"system": "somtoday", "name": "som", "secrets": "file", **new.settings}
    page = baas.does(f"/aansluiten/scholen/{BRIN}/zoek", status=200, **form).text
    assert new.sandbox.school.uuid in page
    (found,) = re.findall(r'name="found" value="([^"]+)"', page)
    answer = baas.does(f"/aansluiten/scholen/{BRIN}/koppel", found=found, **form)
    assert answer.headers["location"] == AT
    new.put_secret()


def standing(new: Newcomer) -> dict[str, str]:
    (way,) = ways(new.house.current.hub())
    return {str(one.step): str(one.standing) for one in way.steps}


def noted(new: Newcomer) -> list[str]:
    rows = new.rows("SELECT action FROM audit WHERE operator = 'baas' ORDER BY id")
    return [str(row[0]) for row in rows]


def test_from_nothing_to_live_without_a_restart(new: Newcomer, baas: Visitor) -> None:
    assert "Een school toevoegen" in baas.sees("/aansluiten")
    linked(new, baas)
    assert "staat er" in baas.sees(AT)
    assert standing(new)["agreement"] == "next"
    baas.does(f"{AT}/overeenkomst", **AGREE)
    assert standing(new)["check"] == "next"
    baas.does(f"{AT}/controle")
    page = baas.sees(AT)
    assert "inloggen" in page
    assert standing(new)["plan"] == "next"
    assert "a step comes first" in baas.does(f"{AT}/live", status=409, schedule="20 3 * * *").text
    answer = baas.does(f"{AT}/plan")
    until(lambda: standing(new)["apply"] == "next")
    assert answer.headers["location"] == f"{AT}?na=0"
    ((plan,),) = new.rows("SELECT id FROM plan")
    assert f"/plannen/{plan}" in baas.sees(f"{AT}?na=0")
    (shown,) = set(re.findall(r'name="shown" value="([^"]+)"', baas.sees(f"/plannen/{plan}")))
    baas.does(f"/plannen/{plan}/goedkeuren", shown=shown)
    assert standing(new)["live"] == "next"
    assert "every" in baas.does(f"{AT}/live", status=409, schedule="nooit").text
    baas.does(f"{AT}/live", schedule="20 3 * * *")
    assert set(standing(new).values()) == {"done"}
    assert "Elke school is aangesloten" in baas.sees("/aansluiten")
    assert new.rows("SELECT COUNT(*) FROM leerling")[0][0] > 0
    steps = ["school add", "source link", "source agree", "connectors check", "sync"]
    steps += ["plan approve", "source live"]
    assert [action for action in noted(new) if action in steps] == steps


def test_a_secret_is_never_typed_and_the_page_says_where_it_goes(
    new: Newcomer, baas: Visitor
) -> None:
    baas.does("/aansluiten/nieuw", **SCHOOL)
    form = baas.sees(f"/aansluiten/scholen/{BRIN}?systeem=somtoday")
    assert "client_secret" not in re.findall(r'<input[^>]*type="text"[^>]*>', form).__repr__()
    assert "organisation" not in re.findall(r'name="set\.(\w+)"', form)
    sent = {"system": "somtoday", "name": "som", "set.client_secret": "abc", **new.settings}
    baas.does(f"/aansluiten/scholen/{BRIN}/koppel", found=new.sandbox.school.uuid, **sent)
    file = fragments.folder_of(new.folder / "koppelhub.toml") / "source-som.toml"
    assert "abc" not in file.read_text("utf-8")
    place = str(new.folder / "secrets" / "som.client_secret")
    assert place in file.read_text("utf-8")
    page = baas.sees(AT)
    assert "ontbreekt" in page
    assert place in page
    baas.does(f"{AT}/overeenkomst", **AGREE)
    assert place in baas.does(f"{AT}/plan", status=409).text
    assert new.rows("SELECT COUNT(*) FROM run") == [(0,)]
    baas.seat.actor = JAN
    assert place not in baas.sees(AT)


def test_what_was_confirmed_must_be_what_the_system_says(new: Newcomer, baas: Visitor) -> None:
    baas.does("/aansluiten/nieuw", **SCHOOL)
    form = {"system": "somtoday", "name": "som", **new.settings}
    path = f"/aansluiten/scholen/{BRIN}/koppel"
    page = baas.does(path, status=409, found="00000000-0000-4000-8000-00000000dead", **form).text
    assert "andere organisatie" in page
    assert f'value="{new.sandbox.api_base}"' in page  # and nothing is to be typed again
    own = {**form, "set.organisation": "00000000-0000-4000-8000-00000000dead"}
    baas.does(path, found=new.sandbox.school.uuid, **own)
    folder = fragments.folder_of(new.folder / "koppelhub.toml")
    assert new.sandbox.school.uuid in (folder / "source-som.toml").read_text("utf-8")
    assert "already" in baas.does(path, status=409, found=new.sandbox.school.uuid, **form).text
    bad = {**form, "name": "../x"}
    assert "kleine letters" in baas.does(path, status=409, **bad).text


def test_what_the_configuration_cannot_hold_is_not_written(new: Newcomer, baas: Visitor) -> None:
    page = baas.does("/aansluiten/nieuw", status=409, **{**SCHOOL, "brin": "nee"}).text
    assert f'value="{NAME}"' in page
    bad = {**SCHOOL, "contact": "geen adres"}
    assert "e-mail" in baas.does("/aansluiten/nieuw", status=409, **bad).text
    assert not list(fragments.folder_of(new.folder / "koppelhub.toml").glob("*.toml"))
    linked(new, baas)
    page = baas.does(f"{AT}/overeenkomst", status=409, **{**AGREE, "on": "morgen"}).text
    assert 'value="leerlingvolgsysteem"' in page
    assert standing(new)["agreement"] == "next"


def test_a_check_that_fails_names_the_layer_and_is_no_step(new: Newcomer, baas: Visitor) -> None:
    linked(new, baas)
    baas.does(f"{AT}/overeenkomst", **AGREE)
    new.put_secret(text="onjuist")
    baas.does(f"{AT}/controle")
    page = baas.sees(AT)
    assert re.search(r'class="state critical".*?inloggen', page)
    assert standing(new)["check"] == "next"
    new.put_secret()
    baas.does(f"{AT}/controle")
    assert standing(new)["check"] == "done"


def test_each_act_needs_what_its_command_needs(new: Newcomer, baas: Visitor) -> None:
    linked(new, baas)
    acts = {
        "/aansluiten/nieuw": SCHOOL,
        f"/aansluiten/scholen/{BRIN}/zoek": {"system": "somtoday", "name": "x", **new.settings},
        f"/aansluiten/scholen/{BRIN}/koppel": {"system": "somtoday", "name": "x", **new.settings},
        f"{AT}/overeenkomst": AGREE,
        f"{AT}/plan": {},
        f"{AT}/live": {"schedule": "20 3 * * *"},
        f"{AT}/overnemen": {"school": BRIN},
    }
    asked = len(new.sandbox.requests)
    baas.seat.actor = JAN
    for path, form in acts.items():
        baas.does(path, status=403, **form)
    assert "Leg vast" not in baas.sees(AT)
    assert "Een bron koppelen" not in baas.sees(f"/aansluiten/scholen/{BRIN}?systeem=somtoday")
    baas.seat.actor = OF_DEMO
    for path in tuple(acts)[:3]:
        baas.does(path, status=403, **acts[path])
    baas.seat.actor = replace(OF_DEMO, tenants=frozenset({"anders"}))
    baas.sees(AT, status=404)
    assert len(new.sandbox.requests) == asked
    refused = new.rows("SELECT COUNT(*) FROM audit WHERE action = 'refused'")
    assert refused == [(len(acts) + 3,)]
