"""Stories of pupils who move, stand in two places, leave and come back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from config.clock import local_date
from tests.support.coredump import differences
from tests.support.story import Story, copied_story

SHORT_MEMORY = """
[policy.retention]
tombstone = "60d"
"""
OTHER_PLACEMENT = "3b0a1f1e-0000-4000-8000-00000000d0b1"


@pytest.fixture
def forgetful(loaded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    """A school that keeps who left for sixty days."""
    with copied_story(loaded, tmp_path, monkeypatch, more=SHORT_MEMORY) as told:
        yield told


def test_a_pupil_who_moves_vestiging_and_gets_another_number_stays_one(story: Story) -> None:
    """The record moves along in Somtoday; only the leerlingnummer is another."""
    child = story.child(4)
    number = story.number(child)
    key, count = story.hub_key(number), len(story.rows("leerling"))
    (old,) = story.enrolments(key)

    story.changes.move_vestiging(child, from_vestiging=0, to_vestiging=1)
    story.changes.patch(story.uuid(child), leerlingnummer=777_001)
    story.nights(2)
    assert story.hub_key("777001") == key
    assert story.before(key, "leerlingnummer") == [number]
    assert len(story.rows("leerling")) == count
    (now,) = story.enrolments(key)
    assert now["vestiging_id"] != old["vestiging_id"]
    assert old["id"] in {row["id"] for row in story.enrolments(key, open_=False)}  # kept, ended
    assert story.groups(key) == ["1A", "b1bi4", "b1en2", "b1mentoruur", "b1ne1"]
    assert story.row("leerling", key)["geldig_tot"] is None
    story.calm()


def test_a_school_rings_with_the_number_of_an_old_letter(story: Story) -> None:
    """The source gave him another leerlingnummer since, and later his old one to a classmate."""
    child, mate = story.child(4), story.child(5)
    number, own = story.number(child), story.number(mate)
    key, other = story.hub_key(number), story.hub_key(own)
    story.changes.patch(story.uuid(child), leerlingnummer=777_001)
    story.night()
    day = local_date(story.line.clock.now())
    told = f"Oud leerlingnummer: heette tot {day} zo; heet nu {key}."

    said = story.types("explain", "leerling", "-", stdin=f"{number}\n")
    assert said.err == f"{told}\n"
    assert f"leerling {key}" in said.out
    for words in (("explain",), ("history",), ("state",), ("resync",)):
        for meant in ("-",), ("--find", "-"):
            found = story.asks(*words, "leerling", *meant, stdin=f"{number}\n")
            found = found[0] if isinstance(found, list) else found
            assert found["hint"] == told, words
            assert found.get("key", key) == key
    pin = ("pin", "set", "leerling", "roepnaam", "--find", "-", "--why", "brief", "--yes")
    pinned = story.asks(*pin, stdin=f"{number}\nNoa\n")
    assert pinned["hint"] == told
    assert story.row("leerling", key)["roepnaam"] == "Noa"
    now = story.types("explain", "leerling", "-", "--json", stdin="777001\n")
    assert (now.err, now.data[0]["hint"]) == ("", "")
    story.calm()

    story.changes.patch(story.uuid(mate), leerlingnummer=int(number))
    story.night()
    said = story.types("explain", "leerling", "--find", "-", stdin=f"{number}\n")
    assert f"leerling {other}" in said.out
    assert said.err == f"Dit leerlingnummer had eerder een ander: {key} (tot {day}).\n"
    assert key in story.types("explain", "leerling", "-", stdin="777001\n").out
    assert story.cases() == []
    story.calm()


def test_a_pupil_who_moves_into_a_new_record_is_put_together_by_the_helpdesk(both: Story) -> None:
    """The other vestiging made a record of its own: another uuid, another number, no ECK iD."""
    story = both
    child = story.child(4)
    key, count = story.hub_key(story.number(child)), len(story.rows("leerling"))
    (old,) = story.enrolments(key)
    new = story.mistakes.enrol_again(child, 1, without=("eckid",))
    story.changes.patch(story.uuid(new), leerlingnummer=777_001)
    story.changes.leave(child)
    story.nights(2)
    other = story.hub_key("777001")
    assert other != key
    assert story.row("leerling", key)["geldig_tot"] is not None  # to the hub he left

    why = "verhuisd naar de andere vestiging, nieuw nummer"
    story.types("case", "merge", other, key, "--why", why, stdin="y\n")
    assert story.hub_key("777001") == key  # the older key stays, whichever was typed first
    assert story.row("leerling", key)["geldig_tot"] is None
    assert len(story.rows("leerling")) == count
    first, now = story.enrolments(key, open_=False)
    assert (first["id"], first["tot_afgeleid"]) == (old["id"], True)
    assert story.enrolments(key) == [now]
    assert story.groups(key) == ["1A", "b1bi4", "b1en2", "b1mentoruur", "b1ne1"]
    story.calm()


def test_a_pupil_in_two_vestigingen_is_one_pupil_with_two_inschrijvingen(story: Story) -> None:
    """He follows lessons at the other vestiging too, and later stops there."""
    child = story.child(4)
    key = story.hub_key(story.number(child))
    home = story.groups(key)

    story.mistakes.also_at(child, 1)
    story.night()
    assert len({row["vestiging_id"] for row in story.enrolments(key)}) == 2
    assert set(home) < set(story.groups(key))
    assert len(story.links(key)) == 1
    story.calm()

    story.changes.leave(child, vestiging=1)
    story.nights(2)
    assert len(story.enrolments(key)) == 1
    assert len(story.enrolments(key, open_=False)) == 2
    assert story.groups(key) == home
    assert story.row("leerling", key)["geldig_tot"] is None  # gone from one list is not gone
    story.calm()


def test_a_placement_that_stands_twice_in_a_record_is_one(story: Story) -> None:
    """Somtoday lists the same placement twice."""
    before = story.core()
    story.mistakes.double_placement(story.child(4))
    report = story.night()
    assert any("plaatsingen" in event for event in report["events"])  # the school can mend it
    assert differences(before, story.core()) == {}
    story.calm()


def test_a_second_placement_for_the_same_time_doubles_no_pupil(story: Story) -> None:
    """A placement was entered twice, as two; the school removes one."""
    child = story.child(4)
    key = story.hub_key(story.number(child))
    (right,) = story.enrolments(key)
    lists = story.rows("klassenlijst", "leerling_id = ?", story.core_id(key))

    story.mistakes.double_placement(child, uuid=OTHER_PLACEMENT)
    assert story.night()["applied"] == {"inschrijving.create": 1}
    assert story.rows("klassenlijst", "leerling_id = ?", story.core_id(key)) == lists
    assert len(story.enrolments(key)) == 2  # as the source says it
    story.calm()

    story.mistakes.mend(child, "plaatsingen")
    assert story.night()["applied"] == {"inschrijving.close": 1}  # at once: his record says so
    assert [row["id"] for row in story.enrolments(key)] == [right["id"]]
    assert story.rows("klassenlijst", "leerling_id = ?", story.core_id(key)) == lists
    story.calm()


def test_a_pupil_who_comes_back_under_the_same_record_goes_on_where_he_left(story: Story) -> None:
    """He left in November and is enrolled again in January."""
    child = story.child(4)
    key = story.hub_key(story.number(child))
    lists = story.groups(key)
    story.changes.leave(child)
    story.nights(2)
    left = story.row("leerling", key)["geldig_tot"]
    assert left is not None
    assert story.groups(key) == []

    story.later(days=60)
    story.mistakes.come_back(child)
    story.night()
    assert story.hub_key(story.number(child)) == key
    assert story.row("leerling", key)["geldig_tot"] is None
    assert story.groups(key) == lists
    first, second = story.enrolments(key, open_=False)
    assert (first["geldig_tot"], second["id"] == first["id"]) == (left, False)
    ended = story.rows("groepsdeelname", "persoon_id = ? AND beeindigd", story.core_id(key))
    assert len(ended) == len(lists)  # that he was there in autumn is kept
    story.calm()


def test_a_pupil_who_comes_back_under_another_record_is_recognised(story: Story) -> None:
    """In January the school makes a new record, with a new number; the ECK iD is the same."""
    child = story.child(4)
    key, count = story.hub_key(story.number(child)), len(story.rows("leerling"))
    story.changes.leave(child)
    story.nights(2)
    story.later(days=60)

    new = story.mistakes.enrol_again(child, 0)
    story.changes.patch(story.uuid(new), leerlingnummer=777_003)
    story.night()
    assert story.hub_key("777003") == key
    assert len(story.rows("leerling")) == count
    assert story.row("leerling", key)["geldig_tot"] is None
    assert len(story.enrolments(key, open_=False)) == 2
    assert len(story.enrolments(key)) == 1
    story.calm()


def test_who_was_removed_for_good_and_comes_back_is_new(forgetful: Story) -> None:
    """His time was over and everything of him was purged; then he is enrolled again."""
    story = forgetful
    child = story.child(4)
    number = story.number(child)
    key = story.hub_key(number)
    story.changes.leave(child)
    story.nights(2)
    story.later(days=62)
    story.types("purge", stdin="y\n")
    assert story.shell("explain", "leerling", "-", stdin=f"{number}\n").code == 2
    assert story.links(key) == []

    story.mistakes.come_back(child)
    report = story.night()
    assert report["applied"]["leerling.create"] == 1
    again = story.hub_key(number)
    assert again != key
    history = story.told(again, "roepnaam")["history"]
    assert [change["op"] for change in history] == ["create"]  # nothing of before is known
    assert len(story.enrolments(again, open_=False)) == 1
    assert story.groups(again)
    story.calm()
