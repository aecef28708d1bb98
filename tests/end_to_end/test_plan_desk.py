"""Plans as the helpdesk sees them: what waits, what it would do, and who said yes."""

from __future__ import annotations

import csv
import io
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.school.changes import Changes
from sync_engine.hubkeys import hub_key
from tests.support.lines import KOPPELING
from tests.support.shell import Shell, newest, paragraph, shell_of

LEAVERS = 13
"""Pupils that `hold` takes away: one of the fourteen stands in both lists."""


def hold(shell: Shell) -> str:
    """Seven pupils disappear from each list: more closings than may go by themselves."""
    shell.sync()
    changes = Changes(shell.line.school)
    for position in range(3, 10):
        changes.set_shown("leerling", 0, position=position, shown=False)
        changes.set_shown("leerling", 1, position=position, shown=False)
    for _ in range(2):
        shell.line.later(hours=8)
        assert shell.sync().code in {0, 3}
    return newest(shell.line, "plan")


def closed(shell: Shell) -> int:
    return int(shell.line.query("SELECT COUNT(*) FROM leerling WHERE geldig_tot IS NOT NULL")[0][0])


def test_a_held_plan_is_seen_at_once_read_and_approved(shell: Shell) -> None:
    plan = hold(shell)
    assert closed(shell) == 0
    listed = shell("plan", "list")
    assert "vastgehouden" in listed.out
    (found,) = shell("plan", "list", "--json").data
    assert (str(found["id"]), found["koppeling"]) == (plan, KOPPELING)
    assert found["waiting"] >= LEAVERS
    (run, *_) = shell("runs", "--json").data
    assert (str(run["plan_id"]), run["held"]) == (plan, found["waiting"])

    shown = shell("plan", "show", plan, "--entity", "leerling", "--op", "close", "--held", "--json")
    assert len(shown.data["steps"]) == LEAVERS
    assert all(step["state"] == "held" and step["held_for"] for step in shown.data["steps"])
    key = shown.data["steps"][0]["key"]
    alone = shell("plan", "show", plan, "--key", key, "--json").data
    assert {step["key"] for step in alone["steps"]} == {key}

    no = shell("plan", "approve", plan, stdin="n\n")
    assert (no.code, closed(shell)) == (0, 0)
    assert "- sluit leerling" in no.out
    assert "Er is niets gewijzigd" in no.out
    yes = shell("plan", "approve", plan, stdin="y\n")
    assert (yes.code, closed(shell)) == (0, LEAVERS)
    assert "Er wacht geen plan" in shell("plan", "list").out
    told = shell("plan", "list", "--state", "approved", "--json").data[0]
    assert told["decided_by"]
    assert told["decided_at"]


def test_a_plan_that_was_replaced_does_not_say_that_it_waits(shell: Shell) -> None:
    plan = hold(shell)
    assert "wacht op een mens" in shell("plan", "show", plan).out
    shell.line.later(hours=8)
    shell.sync()
    newer = newest(shell.line, "plan")
    said = shell("plan", "show", plan).out
    assert f"vervangen door {newer}" in said
    assert "wacht op een mens" not in said


def test_a_plan_that_can_no_longer_be_approved_says_who_decided_and_when(quick: Shell) -> None:
    plan = hold(quick)
    assert quick("plan", "approve", plan, "--yes").code == 0
    before = quick.everything()
    again = quick("plan", "approve", plan, "--yes")
    assert again.code == 4
    assert "al goedgekeurd door " in paragraph(again)
    dry = quick.report("--dry-run")["plan_id"]
    assert "een proef" in paragraph(quick("plan", "apply", str(dry), "--yes"))
    assert quick.everything() == before


def test_a_plan_over_its_time_is_refused_and_no_longer_listed(quick: Shell) -> None:
    plan = hold(quick)
    quick.line.later(hours=80)
    assert quick("plan", "list", "--json").data == []
    assert quick("plan", "list", "--state", "expired", "--json").data[0]["id"] == int(plan)
    refused = quick("plan", "approve", plan, "--yes")
    assert (refused.code, "termijn van dit plan is om" in refused.err) == (4, True)
    assert closed(quick) == 0


def test_a_later_plan_shows_what_waits_and_replaces_the_earlier(quick: Shell) -> None:
    first = hold(quick)
    quick.line.later(hours=8)
    quick.sync()
    (found,) = quick("plan", "list", "--json").data
    assert found["id"] > int(first)
    every = {p["id"]: p for p in quick("plan", "list", "--all", "--json").data}
    assert every[int(first)]["replaced_by"] == found["id"]
    assert f"plan {found['id']}" in quick("plan", "show", first).out


def test_a_plan_goes_into_a_file_that_only_its_owner_reads(quick: Shell, tmp_path: Path) -> None:
    plan = hold(quick)
    path = tmp_path / "plan.csv"
    said = quick("plan", "show", plan, "--entity", "leerling", "--held", "--csv", str(path))
    assert said.code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig")), delimiter=";"))
    assert len({row["hubsleutel"] for row in rows}) == LEAVERS
    assert {row["veld"] for row in rows if row["na"]} >= {"geldig_tot"}
    assert {row["bewerking"] for row in rows} == {"sluit"}


def test_a_field_is_chosen_over_the_whole_plan(quick: Shell) -> None:
    quick.sync()
    plan = newest(quick.line, "plan")
    shown = quick("plan", "show", plan, "--field", "leerlingnummer", "--limit", "3", "--json").data
    assert (len(shown["steps"]), shown["more"]) == (3, 37)
    assert {step["entity"] for step in shown["steps"]} == {"leerling"}


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (("plan", "list", "--source", "somtoday-dmo"), KOPPELING),
        (("plan", "list", "--school", "99XY"), "99XX"),
        (("plan", "list", "--state", "helt"), "held"),
        (("plan", "show", "1", "--entity", "leerlng"), "leerling"),
        (("plan", "show", "1", "--op", "klose"), "close"),
        (("plan", "show", "1", "--entity", "leerling", "--field", "geboortdatum"), "geboortedatum"),
        (("plan", "show", "77"), "1, 2"),
        (("plan", "approve", "77", "--yes"), "1, 2"),
        (("run", "show", "77"), "1, 2"),
        (("runs", "--source", "somtday"), KOPPELING),
        (("sync", "--source", "somtoday"), KOPPELING),
        (("sync", "--source", KOPPELING, "--school", "99XY"), "99XX"),
        (("sync", "--source", KOPPELING, "--school", "99XX22"), "99XX02"),
        (("case", "list", "--school", "99XX22"), "99XX02"),
        (("quarantine", "list", "--school", "99XX22"), "99XX02"),
        (("todo", "--source", "somtoday"), KOPPELING),
        (("case", "show", "7"), "er nog geen"),
        (("sync", "--source", KOPPELING, "--entity", "leerlng"), "leerling"),
        (("replay", "--source", KOPPELING, "--entity", "leerlng"), "leerling"),
        (("diff", "--source", KOPPELING, "--entity", "leerlng"), "leerling"),
        (("purge", "--tenant", "dmeo", "--yes"), "demo"),
        (("keys", "rotate", "--tenant", "dmeo"), "demo"),
        (("connectors", "check", "--source", "somtoday"), KOPPELING),
    ],
)
def test_what_is_mistyped_names_the_nearest_and_changes_nothing(
    arguments: tuple[str, ...], near: str, twice: Shell
) -> None:
    before = twice.everything()
    said = twice(*arguments)
    assert said.code in {2, 4}
    text = said.err + said.out
    assert near in text
    assert "Traceback" not in text
    assert twice.everything() == before


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """An installation that synced twice, and is only asked."""
    with pytest.MonkeyPatch.context() as patch:
        for shell in shell_of(tmp_path_factory.mktemp("twice"), patch):
            shell.sync()
            shell.sync()
            yield shell


def test_a_mistyped_pupil_names_the_hub_keys_that_come_near(twice: Shell) -> None:
    ((number,),) = twice.line.query("SELECT MAX(id) FROM leerling")
    key = hub_key(number)
    wrong = key[:-1] + ("0" if key[-1] != "0" else "1")
    assert key in paragraph(twice("explain", "leerling", wrong))
    keys = [hub_key(row[0]) for row in twice.line.query("SELECT id FROM leerling")]
    told = twice("explain", "leerling", keys[0], "--field", "leerlingnummer", "--json").data
    known = str(told[0]["explanation"]["fields"][0]["value"])
    said = paragraph(twice("explain", "leerling", f"{known}0"))
    assert f"Bedoelt u {keys[0]}" in said
    assert known not in said
