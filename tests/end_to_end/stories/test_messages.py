"""The school has another system to which the hub delivers; the helpdesk mends what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fixtures.sandbox.reference import ReferenceSandbox
from fixtures.sandbox.reference_intake import Intake, Refusal
from tests.support.story import Story, copied_story

_TARGET = """
[[source]]
name = "afnemer"
system = "referentie"
tenant = "demo"
resources = ["leerlingen"]
[source.options]
base_url = "URL"
token = { env = "AFNEMER_TOKEN" }
"""
_POINTS = """
[koppelhub.connectors]
referentie = koppelhub_referentie.connector:REFERENTIE
[koppelhub.mappings]
referentie = koppelhub_referentie.mapping:MAPPING
[koppelhub.targets]
referentie = koppelhub_referentie.outward:AFNEMER
"""


@dataclass
class Delivering:
    """A school that is read, and a system that hears of it."""

    story: Story
    intake: Intake

    def delivers(self, *options: str, code: int = 0) -> Any:
        """What waits is delivered. Returns what the command says of it."""
        said = self.story.shell("outbox", "deliver", *options, "--json")
        assert said.code == code, said.out + said.err
        (found,) = said.data["deliveries"]
        return found

    def messages(self, *options: str) -> list[Any]:
        """What `outbox list` tells."""
        found: list[Any] = self.story.asks("outbox", "list", *options)["messages"]
        return found


@pytest.fixture
def school(loaded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Delivering]:
    """Everything that the other system should have is there."""
    package = tmp_path / "pakket" / "koppelhub_referentie-1.0.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: koppelhub-referentie\n")
    (package / "entry_points.txt").write_text(_POINTS)
    monkeypatch.syspath_prepend(str(package.parent))
    with ReferenceSandbox() as sandbox:
        monkeypatch.setenv("AFNEMER_TOKEN", sandbox.reference.token)
        more = _TARGET.replace("URL", sandbox.url)
        with copied_story(loaded, tmp_path, monkeypatch, more=more) as story:
            made = Delivering(story, sandbox.reference.intake)
            assert made.delivers()["confirmed"] == len(made.intake.pupils) > 30
            yield made


def test_a_message_that_is_refused_becomes_a_case_that_closes_when_it_is_mended(
    school: Delivering,
) -> None:
    story, child = school.story, school.story.child(3)
    key = story.hub_key(story.number(child))
    school.intake.refuse(key, Refusal("te_lang", "achternaam", "hoogstens_20_tekens"))
    story.changes.patch(story.uuid(child), achternaam="Vandenberghe-Wolfeschlegel")
    story.night()
    assert school.delivers(code=1)["undeliverable"] == 1

    (case,) = story.cases("--kind", "message")
    assert case["source_key"] == key
    told = story.types("case", "show", str(case["id"])).out
    assert "te_lang: achternaam: hoogstens_20_tekens" in told
    assert "koppelhub outbox deliver --again" in told
    assert "case show" in story.types("todo").out
    assert story.shell("case", "close", str(case["id"]), "--why", "klaar", "--yes").code != 0

    story.changes.patch(story.uuid(child), achternaam="Wolf")
    school.intake.refuse(key, None)
    story.night()
    assert story.cases("--kind", "message")  # it is not there yet
    school.delivers()
    assert school.intake.pupils[key]["achternaam"] == "Wolf"
    assert story.cases("--kind", "message") == []
    assert story.asks("case", "show", str(case["id"]))["case"]["state"] == "closed"
    assert school.messages() == []


def test_a_run_that_is_undone_is_corrected_at_the_target_once_a_person_says_so(
    school: Delivering,
) -> None:
    story, child = school.story, school.story.child(5)
    key = story.hub_key(story.number(child))
    before = school.intake.bodies
    story.changes.patch(story.uuid(child), achternaam="Vergissing")
    run = str(story.night()["run_id"])
    school.delivers()
    assert school.intake.pupils[key]["achternaam"] == "Vergissing"

    story.types("run", "undo", run, "--why", "verkeerde leerling", stdin="y\n")
    school.delivers(code=3)
    assert school.intake.pupils[key]["achternaam"] == "Vergissing"
    (message,) = school.messages()
    assert (message["state"], message["key"], str(message["undone"])) == ("asks", key, run)
    assert "outbox list" in story.types("todo").out
    shown = story.types("outbox", "show", str(message["id"])).out
    assert "Vergissing" in shown
    assert f"run {run} is teruggedraaid" in shown

    said = story.shell("outbox", "approve", str(message["id"]), stdin="n\n")
    assert "niets gewijzigd" in said.out
    assert school.messages()[0]["state"] == "asks"
    story.types("outbox", "approve", str(message["id"]), stdin="j\n")
    school.delivers()
    assert school.intake.bodies == before
    trail = story.types("audit", "show").out
    assert "outbox approve" in trail
    story.nights(2)
    assert school.delivers()["confirmed"] == 0


def test_a_correction_may_be_refused_and_is_told_as_such(school: Delivering) -> None:
    story, child = school.story, school.story.child(5)
    story.changes.patch(story.uuid(child), achternaam="Goed")
    run = str(story.night()["run_id"])
    school.delivers()
    story.types("run", "undo", run, "--why", "twijfel", stdin="y\n")
    (message,) = school.messages()
    number = str(message["id"])
    story.types("outbox", "refuse", number, "--why", "daar klopt het", "--yes")
    assert school.messages() == []
    (kept,) = [m for m in school.messages("--all") if m["state"] == "declined"]
    assert kept["why"] == "daar klopt het"
    assert "Over dit bericht" in story.shell("outbox", "approve", number, "--yes").err
    unknown = story.shell("outbox", "show", "99999")
    assert unknown.code != 0
    assert "dichtstbijzijnde" in unknown.err


def test_a_school_is_told_what_the_other_system_has_otherwise(
    school: Delivering, tmp_path: Path
) -> None:
    story, child = school.story, school.story.child(5)
    key = story.hub_key(story.number(child))
    same = story.shell("diff", "--target", "afnemer")
    assert (same.code, "Er is geen verschil." in same.out) == (0, True)
    was = school.intake.pupils[key]["achternaam"]
    story.changes.patch(story.uuid(child), achternaam="Vandenberghe")
    story.night()

    told = story.shell("diff", "--target", "afnemer")
    assert told.code == 1
    assert f"anders: {key}" in told.out
    assert f"achternaam: heeft nu {was}, hoort Vandenberghe te hebben" in told.out
    assert "klaar om te versturen" in told.out
    found = story.shell("diff", "--target", "afnemer", "--json").data
    (record,) = found["records"]
    assert (record["op"], record["key"]) == ("other", key)
    assert record["fields"] == {"achternaam": ["Vandenberghe", was]}
    assert (found["ops"], found["states"]) == ({"other": 1}, {"ready": 1})
    path = tmp_path / "verschil.csv"
    assert story.shell("diff", "--target", "afnemer", "--csv", str(path)).code == 1
    heading, line = path.read_text(encoding="utf-8-sig").splitlines()
    assert heading == "verschil;hubsleutel;veld;hoort te hebben;bevestigd;bericht"
    assert line.startswith(f"anders;{key};achternaam;Vandenberghe;{was};bericht ")
    assert school.messages()[0]["state"] == "ready"  # looking sent nothing
