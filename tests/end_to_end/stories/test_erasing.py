"""Stories of a person who is erased: he goes, he does not come back, and nobody else is touched."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.end_to_end.test_backup import lose
from tests.support.story import Row, Story

WHY = ("--why", "verzoek van de ouders")
ALL = ("--despite-retention", "--yes")


def name_of(story: Story, number: str) -> str:
    (answer,) = story.asks("explain", "leerling", "-", stdin=f"{number}\n")
    fields = {field["name"]: field["value"] for field in answer["explanation"]["fields"]}
    return str(fields["achternaam"])


def files(story: Story) -> bytes:
    """Every byte of the database's files."""
    path = story.line.hub.store.path
    assert path is not None
    with sqlite3.connect(path) as connection:  # what is read back is what stands there
        connection.execute("SELECT COUNT(*) FROM leerling").fetchall()
    return b"".join(
        file.read_bytes() for file in path.parent.glob(f"{path.name}*") if file.is_file()
    )


def others(story: Story, but: set[str]) -> dict[str, list[Row]]:
    """Pupils and their inschrijvingen but for some hub keys."""
    gone = {story.core_id(key) for key in but}
    return {
        "leerling": [row for row in story.rows("leerling") if row["id"] not in gone],
        "inschrijving": [
            row for row in story.rows("inschrijving") if row["leerling_id"] not in gone
        ],
    }


def test_a_pupil_is_erased_and_what_the_school_still_delivers_is_not_stored(
    bsn_story: Story,
) -> None:
    """His parents ask for it. The school forgets to remove him from Somtoday."""
    story = bsn_story
    child, sibling = story.child(10), story.child(11)
    number, uuid = story.number(child), story.uuid(child)
    name = name_of(story, number)
    key, other = story.hub_key(number), story.hub_key(story.number(sibling))
    guardians = {row["verzorger_id"] for row in story.rows("verzorger_relatie")}
    before, unresolved = others(story, {key}), len(story.line.query("SELECT 1 FROM open_reference"))

    refused = story.shell("erase", "leerling", "-", *WHY, "--yes", stdin=f"{number}\n")
    assert refused.code == 4  # he is enrolled: the school decides, not the hub
    assert "--despite-retention" in refused.out + refused.err
    no = story.shell("erase", "leerling", key, *WHY, "--despite-retention", stdin="n\n")
    assert (no.code, "Er is niets gewist" in no.out) == (0, True)
    assert (name in no.err, name in no.out) == (True, False)  # who it is, before he is gone
    assert story.line.query("SELECT subject FROM audit WHERE action = 'erase preview'") == [(key,)]
    assert len(story.rows("leerling")) == 40

    seen = story.asks("erase", "leerling", "-", "--dry-run", stdin=f"{number}\n")
    done = story.asks("erase", "leerling", "-", *WHY, *ALL, stdin=f"{number}\n")
    assert seen["records"] == done["records"]
    assert (done["records"]["leerling"], done["key"]) == (1, key)
    assert uuid.encode() not in files(story)
    for report in (story.night(), story.night(8), story.night()):
        assert sum(reading["suppressed"] for reading in report["readings"]) > 0
        assert (report["outcome"], report["applied"]) == ("done", {})
    assert len(story.line.query("SELECT 1 FROM open_reference")) == unresolved
    assert uuid.encode() not in files(story)
    assert others(story, {key}) == before
    assert story.core_id(other) in {row["id"] for row in story.rows("leerling")}
    left = {row["verzorger_id"] for row in story.rows("verzorger_relatie")}
    assert {row["id"] for row in story.rows("verzorger")} >= left
    assert len(guardians - left) == len(done["along"])
    told = story.shell("explain", "leerling", key)
    assert (told.code, "er niet (meer)" in told.out + told.err) == (2, True)
    ((who, why),) = story.line.query("SELECT subject, why FROM audit WHERE action = 'erase'")
    assert (who, WHY[1] in why) == (key, True)
    story.types("audit", "verify")


def test_a_record_erased_that_comes_back(bsn_story: Story) -> None:
    """The school makes him anew in Somtoday: another record, another number, the same BSN."""
    story = bsn_story
    child = story.child(10)
    key = story.hub_key(story.number(child))
    story.types("erase", "leerling", key, *WHY, *ALL)
    before = len(story.rows("verzorger")), len(story.rows("inschrijving"))
    second = story.mistakes.enrol_again(child, 0, without=("leerlingnummer",))
    report = story.night()
    assert (report["outcome"], report["waiting"]) == ("done", 0)
    assert sum(reading["suppressed"] for reading in report["readings"]) > 1
    assert len(story.rows("leerling")) == 39
    assert (len(story.rows("verzorger")), len(story.rows("inschrijving"))) == before
    assert story.uuid(second).encode() not in files(story)
    story.calm()


def test_a_new_pupil_with_his_old_number_is_nobody_we_know(story: Story) -> None:
    """The school gives his leerlingnummer to a first-year, of another birth date."""
    child = story.child(10)
    number = story.number(child)
    story.types("erase", "leerling", story.hub_key(number), *WHY, *ALL)
    fresh = story.changes.arrive(0, 0)
    story.changes.patch(story.uuid(fresh), leerlingnummer=int(number))
    assert story.night()["applied"]["leerling.create"] == 1
    assert story.row("leerling", story.hub_key(number))["geldig_tot"] is None


def test_a_mistake_is_lifted_and_he_comes_back_whole(story: Story) -> None:
    """The wrong pupil was erased."""
    child = story.child(10)
    key = story.hub_key(story.number(child))
    groups, enrolled = story.groups(key), len(story.enrolments(key))
    guardians = len(story.rows("verzorger_relatie", "leerling_id = ?", story.core_id(key)))
    story.types("erase", "leerling", key, *WHY, *ALL)
    story.night()
    (listed,) = story.asks("erase", "list")
    assert listed["key"] == key
    wrong = story.shell("erase", "lift", "9999", "--why", "vergissing", "--yes")
    assert (wrong.code, "erase list" in wrong.out + wrong.err) == (4, True)
    story.types("erase", "lift", str(listed["number"]), "--why", "vergissing", "--yes")
    story.nights(2)
    again = story.hub_key(story.number(child))
    assert again != key
    assert (story.groups(again), len(story.enrolments(again))) == (groups, enrolled)
    relations = story.rows("verzorger_relatie", "leerling_id = ?", story.core_id(again))
    assert len(relations) == guardians
    assert story.asks("erase", "list") == []
    assert story.asks("erase", "list", "--all")[0]["lifted_why"] == "vergissing"
    story.calm()


def test_a_backup_of_before_does_not_bring_him_back(story: Story, tmp_path: Path) -> None:
    """The disk fails the day after; the backup still has him."""
    child = story.child(10)
    number, key = story.number(child), story.hub_key(story.number(child))
    file = tmp_path / "hub.backup"
    story.types("db", "backup", str(file))
    story.types("erase", "leerling", key, *WHY, *ALL)
    second = tmp_path / "later.backup"
    story.types("db", "backup", str(second))
    url = story.line.hub.settings.database.resolve()
    lists = story.line.hub.settings.keys.file
    listed = lists.with_name(f"{lists.name}.erasures")
    lose(story.line, url)
    listed.rename(tmp_path / "weg")
    refused = story.shell("db", "restore", str(second))
    assert (refused.code, "lijst van wissingen" in refused.out + refused.err) == (2, True)
    lose(story.line, url)
    (tmp_path / "weg").rename(listed)
    said = story.types("db", "restore", str(file))
    assert "Opnieuw gewist: 1" in said.out
    assert len(story.rows("leerling")) == 39
    assert "wissingen" in story.shell("doctor").out
    assert number.encode() not in listed.read_bytes()
    assert story.night()["outcome"] == "done"
    assert len(story.rows("leerling")) == 39
    story.types("audit", "verify")
