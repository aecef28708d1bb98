"""A story of one pupil in two systems: without a BSN at first, and with one in the end."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path

import pytest

from config import plugins
from fixtures.sandbox.reference import ReferenceSandbox
from fixtures.school.keys import synthetic_bsn
from tests.end_to_end.stories.test_who_is_who import ONDERWIJSNUMMER
from tests.support.story import PGN, WITH_BSN, Row, Story, copied_story

BSN = synthetic_bsn(4_000_004)
SECOND = """
[[source]]
name = "bron"
system = "referentie"
tenant = "demo"
resources = ["leerling"]
[source.options]
base_url = "BASE"
token = { env = "BRON_TOKEN" }
"""


@pytest.fixture
def bron(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReferenceSandbox]:
    """A second administration, whose package is installed."""
    monkeypatch.setattr(plugins, "entry_points", _with_referentie)
    with ReferenceSandbox() as running:
        monkeypatch.setenv("BRON_TOKEN", running.reference.token)
        yield running


def _with_referentie(*, group: str) -> EntryPoints:
    part = {"koppelhub.connectors": "connector:REFERENTIE", "koppelhub.mappings": "mapping:MAPPING"}
    if group not in part:
        return entry_points(group=group)
    value = f"koppelhub_referentie.{part[group]}"
    return EntryPoints([*entry_points(group=group), EntryPoint("referentie", value, group)])


@pytest.fixture
def story(
    bron: ReferenceSandbox,
    loaded_with_bsn: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Story]:
    """A school with a purpose for personal numbers, and two administrations."""
    more = PGN + SECOND.replace("BASE", bron.url) + PGN
    with copied_story(loaded_with_bsn, tmp_path, monkeypatch, plan=WITH_BSN, more=more) as told:
        yield told


def put(bron: ReferenceSandbox, child: Row, **numbers: str) -> None:
    """What the second administration says of a child that Somtoday has too."""
    same = ("roepnaam", "achternaam", "geboortedatum", "voorvoegsel")
    bron.reference.put(
        "leerling",
        "b1",
        **{name: child[name] for name in same if name in child},
        adres={"postcode": child["adres"]["postcode"]},
        **numbers,
    )


def test_an_onderwijsnummer_is_replaced_by_a_bsn_and_stays_one_pupil(
    story: Story, bron: ReferenceSandbox
) -> None:
    """One system knows him by his onderwijsnummer, the other by nothing; then his BSN comes."""
    pupil = story.child(10)
    uuid = story.uuid(pupil)
    story.changes.patch(uuid, BSN=None, eckid=None)
    story.night()
    key, count = story.hub_key(story.number(pupil)), len(story.rows("leerling"))
    put(bron, story.mistakes.shown(pupil), onderwijsnummer=ONDERWIJSNUMMER)
    assert story.shell("sync", "--source", "bron").code == 0
    assert len(story.rows("leerling")) == count  # he looks like somebody: a person decides
    (case,) = story.cases("--source", "bron")
    assert case["kind"] == "score"
    assert key in story.types("case", "show", str(case["id"])).out
    why = "school: hetzelfde kind"
    story.types("case", "link", str(case["id"]), "--to", key, "--why", why, stdin="y\n")
    assert story.told(key, "onderwijsnummer")["value"] == f"…{ONDERWIJSNUMMER[-4:]}"

    story.changes.patch(uuid, BSN=BSN)  # Somtoday first
    assert story.night()["cases"] == 0
    put(bron, story.mistakes.shown(pupil), bsn=BSN, onderwijsnummer=ONDERWIJSNUMMER)
    assert story.shell("sync", "--source", "bron").code == 0
    put(bron, story.mistakes.shown(pupil), bsn=BSN)  # and the onderwijsnummer goes
    assert story.shell("sync", "--source", "bron").code == 0
    assert story.cases() == []
    assert len(story.rows("leerling")) == count
    assert story.hub_key(story.number(pupil)) == key
    assert story.told(key, "bsn")["value"] == f"…{BSN[-4:]}"
    assert {claim["koppeling"] for claim in story.told(key, "bsn")["claims"]} == {
        "bron",
        "somtoday-demo",
    }
    story.calm()
    assert story.shell("sync", "--source", "bron", "--json").data["applied"] == {}
