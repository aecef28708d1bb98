"""Stories of schools that change: another number, another Somtoday, the turn of the year."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from fixtures.sandbox.somtoday import SomtodaySandbox
from fixtures.school.overlay import INSTELLING
from fixtures.school.plan import plan_school
from fixtures.school.school import Peil, School, Selection
from tests.support.coredump import differences
from tests.support.lines import configuration
from tests.support.story import PUPILS, Story, fresh_story

OLD, NEW = "99XX01", "99YY03"
NEW_BRIN = """
[[tenant.school]]
brin = "99YY"
name = "Scholengroep Nieuw"
"""
KEPT = (
    *("instelling", "vestiging", "leerling", "medewerker", "verzorger", "verzorger_relatie"),
    *("inschrijving", "groep", "vak", "opleiding", "advies"),
)
CLOSED = (
    "SELECT COUNT(*) FROM step s JOIN plan p ON p.id = s.plan_id WHERE p.applied "
    "AND s.state = 'planned' AND s.op = 'close'"
)


def announced(*numbers: str, on: str = "2026-11-03") -> str:
    """The configuration of one herinrichting."""
    listed = "".join(f"[[herinrichting.nummer]]\n{number}\n" for number in numbers)
    return f'[[herinrichting]]\nname = "fusie"\ntenant = "demo"\non = {on}\n{listed}'


MOVED = announced(f'from = "{OLD}"\nto = "{NEW}"')


def configure(story: Story, *more: str, sandbox: SomtodaySandbox | None = None) -> None:
    """What ops writes into the configuration file."""
    text = configuration(sandbox or story.line.sandbox, more=NEW_BRIN + "".join(more))
    assert story.line.folder is not None
    (story.line.folder / "koppelhub.toml").write_text(text, encoding="utf-8")


def kept(story: Story) -> dict[str, list[Any]]:
    """The hub's number of every record, and every membership that is open."""
    found = {name: story.line.query(f"SELECT id FROM {name} ORDER BY id") for name in KEPT}
    found["groepsdeelname"] = story.line.query(
        "SELECT groep_id, rol, persoon_id FROM groepsdeelname WHERE NOT beeindigd ORDER BY 1, 2, 3"
    )
    return found


def closed(story: Story) -> int:
    """How often anything was closed."""
    return int(story.line.query(CLOSED)[0][0])


def number_of(story: Story, vestiging: int = 0, *, on: str | None = None) -> str:
    """What `state` says a vestiging was called on a day; the day of today by default."""
    key = story.key_of(story.school.vestiging_uuid(vestiging), "vestiging")
    (told,) = story.asks(
        *("state", "vestiging", "-", "--on", on or str(story.line.clock.now().date())),
        stdin=f"{key}\n",
    )
    return str(told["values"]["vestigingsnummer"])


def test_a_vestiging_that_goes_to_another_brin_takes_everything_along(story: Story) -> None:
    """In mid-year Somtoday makes it anew under the new number; its pupils keep their records."""
    before, child = kept(story), story.child(4)
    key = story.hub_key(story.number(child))
    lists, (placed,) = story.groups(key), story.enrolments(key)
    configure(story, MOVED)
    (waiting,) = story.asks("herinrichting", "list")
    assert (waiting["state"], waiting["numbers"]) == ("announced", [f"{OLD} → {NEW}"])
    shown = story.types("herinrichting", "preview", "fusie").out
    assert f"{OLD} heet vanaf 2026-11-03 {NEW}" in shown
    assert "vestiging.change 1" in shown
    assert number_of(story) == OLD

    said = story.types("herinrichting", "apply", "fusie", "--why", "fusie", stdin="y\n")
    assert "niets te wijzigen" in said.out  # it is the second of November
    story.changes.renumber(0, NEW)
    story.changes.make_anew(0)
    report = story.night()
    assert (report["outcome"], report["held"]) == ("done", 0)
    story.nights(2)
    assert (kept(story), closed(story)) == (before, 0)
    assert story.groups(key) == lists
    assert [row["id"] for row in story.enrolments(key)] == [placed["id"]]
    assert (number_of(story), number_of(story, on="2026-11-02")) == (NEW, OLD)
    for school in (OLD, NEW, "99XX", "99YY"):
        read = story.shell.report("--school", school)["readings"]
        assert {NEW in part["schools"] for part in read} >= {True}
    (told,) = story.asks("herinrichting", "list")
    assert (told["state"], told["behind"]) == ("in force", 0)
    story.calm()


def test_a_brin_that_changes_under_the_same_records_changes_on_its_day(story: Story) -> None:
    """The administration has the new number two nights too early."""
    configure(
        story,
        announced(
            'from = "99XX"\nto = "99YY"',
            f'from = "{OLD}"\nto = "99YY01"',
            'from = "99XX02"\nto = "99YY02"',
            on="2026-11-05",
        ),
    )
    story.types("herinrichting", "apply", "fusie", stdin="y\n")
    before = kept(story)
    for place, number in ((INSTELLING, "99YY"), (0, "99YY01"), (1, "99YY02")):
        story.changes.renumber(place, number)
    assert story.night()["applied"] == {}
    assert story.night()["applied"] == {}
    assert number_of(story) == OLD
    key = story.key_of(story.school.vestiging_uuid(0), "vestiging")
    (told,) = story.asks(
        *("explain", "vestiging", "-", "--field", "vestigingsnummer"), stdin=f"{key}\n"
    )
    (reason,) = told["explanation"]["fields"]
    assert (reason["value"], reason["rule"]) == (OLD, "herinrichting")
    assert [claim["value"] for claim in reason["claims"]] == ["99YY01"]  # as the source says it
    assert "herinrichting list" in reason["changes_when"]
    assert story.night()["applied"] == {"instelling.change": 1, "vestiging.change": 2}
    assert (number_of(story), number_of(story, 1)) == ("99YY01", "99YY02")
    assert (kept(story), closed(story)) == (before, 0)
    story.calm()


def test_who_comes_too_late_sees_what_becomes_one_again_and_may_undo_it(story: Story) -> None:
    """The night came first: every klas and placement of the vestiging stands there twice."""
    before = kept(story)
    story.changes.renumber(0, NEW)
    story.changes.make_anew(0)
    story.nights(2)
    doubled, ended = story.core(), closed(story)
    assert len(story.rows("groep")) > len(before["groep"])

    configure(story, announced(f'from = "{OLD}"\nto = "{NEW}"'))
    said = story.types("herinrichting", "apply", "fusie", stdin="n\n")
    assert "Wordt samengevoegd met wat er al was: groep" in said.out
    assert "Er is niets gewijzigd." in said.out
    assert differences(doubled, story.core()) == {}
    story.types("herinrichting", "apply", "fusie", stdin="y\n")
    assert (kept(story), closed(story)) == (before, ended)
    assert story.rows("vestiging", "geldig_tot IS NOT NULL") == []  # one was closed for a night
    story.calm()

    (told,) = story.asks("herinrichting", "list")
    story.types("run", "undo", str(told["run_id"]), stdin="y\n")
    assert differences(doubled, story.core()) == {}
    assert [h["state"] for h in story.asks("herinrichting", "list")] == ["taken back", "announced"]
    story.calm()


@pytest.fixture
def elsewhere(story: Story) -> Iterator[SomtodaySandbox]:
    """The same people in another organisation of Somtoday, under a BRIN of its own."""
    plan = replace(plan_school(PUPILS, brin="99YY"), keys=77)
    sandbox = SomtodaySandbox(School(plan)).start()
    yield sandbox
    sandbox.stop()


WHOLE_BRIN = (
    'from = "99XX"\nto = "99YY"',
    'from = "99XX01"\nto = "99YY01"',
    'from = "99XX02"\nto = "99YY02"',
)


def test_a_koppeling_with_another_organisation_goes_on_with_the_same_records(
    story: Story, elsewhere: SomtodaySandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody has another record there; the second vestiging shares no ECK iD."""
    before = kept(story)
    configure(story, announced(*WHOLE_BRIN))
    story.types("herinrichting", "apply", "fusie", stdin="y\n")
    configure(story, announced(*WHOLE_BRIN), sandbox=elsewhere)
    monkeypatch.setenv("KOPPELHUB_DEMO_CLIENT_SECRET", elsewhere.credentials.client_secret)
    report = story.night()
    assert (report["outcome"], report["held"]) == ("done", 0)
    assert report["situations"].get("unmatched", 0) == 0
    assert story.nights(2)["applied"] == {}
    assert story.cases() == []
    assert (kept(story), closed(story)) == (before, 0)
    assert [row[0] for row in story.line.query("SELECT brin FROM instelling")] == ["99YY"]


SECOND = """
[[source]]
name = "somtoday-nieuw"
system = "somtoday"
tenant = "demo"
[source.options]
api_base = "{0.api_base}"
token_url = "{0.token_url}"
organisation = "{0.school.uuid}"
client_id = "{0.credentials.client_id}"
client_secret = {{ env = "KOPPELHUB_DEMO_CLIENT_SECRET" }}
per_second = "0"
"""


def test_a_koppeling_that_takes_over_another_doubles_nobody(
    story: Story, elsewhere: SomtodaySandbox
) -> None:
    before = kept(story)
    second = SECOND.format(elsewhere)
    moved = (*(f'{number}\nsource = "somtoday-demo"' for number in WHOLE_BRIN),)
    configure(story, announced(*moved), second)
    story.types("herinrichting", "apply", "fusie", stdin="y\n")
    story.later(hours=24)
    for _ in range(2):
        said = story.shell("sync", "--source", "somtoday-nieuw", "--json")
        assert said.data["outcome"] == "done", said.out
        story.later(hours=24)
    assert said.data["applied"] == {}
    assert (kept(story), closed(story)) == (before, 0)
    assert story.cases() == []
    assert story.shell.report()["applied"] == {}  # the old one may run on, and says nothing more


def test_what_is_typed_wrong_changes_nothing_and_says_what_is_meant(story: Story) -> None:
    before = story.core()
    configure(story, announced('from = "99XX03"\nto = "99YY03"'))
    for command in ("preview", "apply"):
        said = story.shell("herinrichting", command, "fusie", stdin="y\n")
        assert said.code == 2
        assert "herinrichting[fusie].nummer[99XX03]: nothing was ever read" in said.err
        assert OLD in said.err
    said = story.shell("herinrichting", "preview", "fussie")
    assert "fusie" in said.err
    configure(story, announced(f'from = "{OLD}"\nto = "{NEW}"\nsource = "somtoday"'))
    said = story.shell("herinrichting", "apply", "fusie", stdin="y\n")
    assert "its tenant has no such koppeling" in said.err
    assert "somtoday-demo" in said.err
    said = story.shell("herinrichting", "finish", "fusie", stdin="y\n")
    assert "is in force" in said.err
    assert differences(before, story.core()) == {}
    configure(story, announced(f'from = "{OLD}"\nto = "{NEW}"', on="2026-11-01"))
    assert "is niet toegepast" in story.shell("doctor").out


# -- the first of August ---------------------------------------------------------------------------


@pytest.fixture
def summer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    """A school in the spring in which a merger is prepared."""
    plan = plan_school(PUPILS, today=date(2027, 5, 10))
    with fresh_story(tmp_path, monkeypatch, plan=plan) as told:
        yield told


def _sleep_until(story: Story, month: int, day: int) -> None:
    moment = datetime(2027, month, day, 1, 15, tzinfo=UTC)
    story.line.clock.advance(moment - story.line.clock.now())
    story.school.today = date(2027, month, day)


def test_on_the_first_of_august_a_vestiging_turns_and_changes_at_once(summer: Story) -> None:
    """Next year's klassen stand there already; those who leave are told, and closed by a person."""
    story = summer
    _sleep_until(story, 5, 10)
    assert story.shell.report()["outcome"] == "done"
    configure(story, announced(f'from = "{OLD}"\nto = "{NEW}"', on="2027-08-01"))
    story.types("herinrichting", "apply", "fusie", stdin="y\n")
    _sleep_until(story, 7, 31)
    assert story.shell.report()["applied"].keys() <= {"leerling.create", "verzorger.create"}
    before = kept(story)
    there = _shown(story, Selection.HUIDIG)
    leaving = there - _shown(story, Selection.VOLGEND)

    story.changes.next_schooljaar()
    story.changes.renumber(0, NEW)
    story.changes.make_anew(0)
    for day in (1, 2, 21, 22):
        _sleep_until(story, 8, day)
        report = story.shell.report()
        assert (report["outcome"], report["held"]) == ("done", 0), day
    assert {name: kept(story)[name] for name in KEPT} == {name: before[name] for name in KEPT}
    assert number_of(story) == NEW
    assert number_of(story, on="2027-07-31") == OLD
    (told,) = story.asks("herinrichting", "list")
    assert told["behind"] == len(leaving)

    story.types("herinrichting", "finish", "fusie", stdin="y\n")
    gone = story.line.query(
        "SELECT l.source_key FROM leerling p JOIN link l ON l.core_id = p.id "
        "WHERE p.geldig_tot IS NOT NULL AND l.entity = 'leerling'"
    )
    assert leaving <= {row[0] for row in gone}
    assert not {row[0] for row in gone} & _shown(story, Selection.HUIDIG)
    story.calm()


def _shown(story: Story, selection: Selection) -> set[str]:
    """The keys of the pupils that the first vestiging shows."""
    peil = Peil(story.school.year + (selection is Selection.VOLGEND), selection)
    keys = story.school.keys("leerling", 0, peil=peil, offset=0, amount=999)
    return {story.school.uuid_of("leerling", key) for key in keys}
