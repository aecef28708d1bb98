"""Stories of nights on which a source is wrong: nobody is lost, and the morning after."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.sandbox import faults
from fixtures.school.population import Leerling
from tests.support.coredump import differences
from tests.support.story import Row, Story, copied_story

ASKS_SOONER = """
[policy.guards.change]
share = 0.3
floor = 10
"""
SHARED = (
    *("uuid", "leerlingnummer", "roepnaam", "achternaam", "plaatsingen", "verzorgers"),
    *("vestiging", "lesgroepen"),
)


@pytest.fixture
def careful(loaded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    """A school of forty that wants to be asked from ten changes of one field on."""
    with copied_story(loaded, tmp_path, monkeypatch, more=ASKS_SOONER) as told:
        yield told


def told(report: Row) -> dict[str, str]:
    """Resource → what the school must do, of what was not read whole."""
    return {part["resource"]: part["advice"] for part in report["readings"] if part["reason"]}


def test_a_vestiging_that_answers_nothing_loses_nobody(both: Story) -> None:
    """For three nights Somtoday answers every list of one vestiging with nothing."""
    story = both
    before = story.core()
    vestiging = story.school.vestiging_uuid(1)
    story.line.sandbox.misbehave(faults.EmptyPage(path=vestiging, count=None))
    for _ in range(3):
        report = story.night()
        assert (report["outcome"], report["applied"]) == ("partial", {})
        assert "Vraag de school" in told(report)["leerling"]
    assert differences(before, story.core()) == {}
    (run, *_) = story.asks("runs")
    shown = story.types("run", "show", str(run["id"])).out
    assert "School Het Baken" in shown  # which vestiging
    assert "Er is niets afgesloten" in shown

    story.line.sandbox.behave()
    assert story.night()["applied"] == {}
    assert differences(before, story.core()) == {}
    story.calm()


def test_class_lists_that_empty_because_pupils_are_missing_wait(story: Story) -> None:
    """Only the list of pupils is empty, so the groepen of that vestiging have no members."""
    before = story.core()
    story.mistakes.show_list("leerling", 1, shown=False)
    report = story.night()
    assert (report["outcome"], report["applied"]) == ("held", {})
    (hold,) = report["holds"]
    assert (hold["entity"], hold["field"]) == ("groep", "groepsdeelname")
    plan = str(report["plan_id"])
    assert "zou eindigen" in story.types("plan", "list").out
    why = "lijst van de vestiging was leeg"
    story.types("plan", "refuse", plan, "--why", why, stdin="y\n")
    assert story.asks("plan", "list") == []
    assert story.night()["applied"] == {}  # still empty, and not proposed again
    assert differences(before, story.core()) == {}

    story.mistakes.show_list("leerling", 1, shown=True)
    story.night()
    assert differences(before, story.core()) == {}
    assert story.asks("refused", "list") == []
    story.calm()


def test_veldpermissies_that_are_taken_back_erase_nothing(story: Story) -> None:
    """The school unticks nearly all fields of its pupils at one vestiging."""
    before = story.core()
    key = story.hub_key(story.number(story.child(4)))
    rights = story.mistakes.share_nothing(0, "leerlingen", but=SHARED)
    report = story.night()
    assert (report["outcome"], report["applied"]) == ("done", {})
    (event,) = report["events"]
    assert "no longer" in event
    assert "School De Haven" in event
    assert {claim["state"] for claim in story.told(key, "mobiel")["claims"]} == {"retained"}
    story.changes.patch(story.uuid(story.child(4)), roepnaam="Nieuw")
    assert story.night()["applied"] == {"leerling.change": 1}  # what is shared still counts
    story.changes.patch(story.uuid(story.child(4)), roepnaam=story.before(key, "roepnaam")[0])
    story.night()
    assert differences(before, story.core()) == {}

    story.changes.set_rights(0, rights)
    story.night()
    assert {claim["state"] for claim in story.told(key, "mobiel")["claims"]} == {"value"}
    assert differences(before, story.core()) == {}
    story.calm()


def test_a_vestiging_that_is_closed_to_us_loses_nobody_and_stops_no_other(story: Story) -> None:
    """The school withdrew the koppeling for one vestiging; the other goes on."""
    child = story.child(4)
    key = story.hub_key(story.number(child))
    closed = story.school.vestiging_uuid(1)
    story.line.sandbox.misbehave(faults.Unauthorized(path=closed, count=None))
    story.changes.patch(story.uuid(child), roepnaam="Nieuw")
    before = story.core()
    report = story.night()
    assert (report["outcome"], report["applied"]) == ("partial", {"leerling.change": 1})
    assert "Vraag de school om in Somtoday" in told(report)["leerling"]
    assert story.row("leerling", key)["roepnaam"] == "Nieuw"
    story.nights(2)
    changed = differences(before, story.core())
    assert {table: len(rows) for table, (_, rows) in changed.items()} == {"leerling": 1}

    story.line.sandbox.behave()
    assert story.night()["applied"] == {}
    story.calm()


def test_an_old_backup_at_the_source_is_stopped_turned_back_and_mended(careful: Story) -> None:
    """Somtoday is restored from a backup of a week ago: names and placements go back in time."""
    story = careful
    backup = story.mistakes.backup()
    _a_week_goes_by(story)
    good, today = story.core(), story.mistakes.backup()

    story.mistakes.restore(backup)
    report = story.night()
    assert report["outcome"] == "held"
    held = {(hold["entity"], hold["field"]) for hold in report["holds"]}
    assert ("leerling", "contactgegeven/email") in held
    assert _names(story) == ["Van-Verbetering", "Van-Verbetering", "Oudendijk"]  # no e-mail: passed
    plan, run = str(report["plan_id"]), str(report["run_id"])
    shown = story.types("plan", "show", plan, "--limit", "2").out
    assert "@nieuw.voorbeeld.example -> " in shown

    why = "Somtoday is teruggezet uit een backup, de school herstelt het"
    story.types("plan", "refuse", plan, "--why", why, stdin="y\n")
    story.types("run", "undo", run, "--why", why, stdin="y\n")  # what was not over a threshold
    assert differences(good, story.core()) == {}
    assert story.night()["applied"] == {}  # the source still says so; nobody is asked again
    assert story.asks("plan", "list") == []
    assert differences(good, story.core()) == {}

    story.mistakes.restore(today)  # the school puts today's administration back
    assert story.night()["applied"] == {}
    assert story.asks("refused", "list") == []
    assert differences(good, story.core()) == {}
    story.calm()


def _a_week_goes_by(story: Story) -> None:
    """Everybody gets another e-mail address, as announced; some names and groepen are mended."""
    for child in _children(story):
        if story.mistakes.shown(child).get("emailadres"):
            new = f"{story.number(child)}@nieuw.voorbeeld.example"
            story.changes.patch(story.uuid(child), emailadres=new)
    announced = story.night()
    assert announced["outcome"] == "held"
    story.types("plan", "approve", str(announced["plan_id"]), stdin="y\n")
    for child in _renamed(story):
        story.changes.patch(story.uuid(child), achternaam="Van-Verbetering", voorvoegsel=None)
    for place in (2, 3):
        story.changes.move_stamgroep(story.child(place), 0, stamgroep=1)
    story.nights(6)
    assert _names(story) == ["Van-Verbetering"] * 3


def _children(story: Story) -> list[Leerling]:
    return [story.child(place, v) for v in (0, 1) for place in range(20)]


def _renamed(story: Story) -> list[Leerling]:
    """The last of them has no e-mail address."""
    return [story.child(place) for place in (8, 9, 4)]


def _names(story: Story) -> list[str]:
    keys = [story.hub_key(story.number(child)) for child in _renamed(story)]
    return [str(story.row("leerling", key)["achternaam"]) for key in keys]
