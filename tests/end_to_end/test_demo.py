"""The demo: its story, on any day of the year, and what it advises when it is over."""

from __future__ import annotations

import re
import shlex
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import config.clock
from config.clock import FixedClock, SystemClock
from tests.support.shell import Said, run_cli

_PUPILS = ("--pupils", "40")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Said]:
    """A demo that was played just now, by the clock of this machine, and what it said."""
    folder = tmp_path_factory.mktemp("gespeeld") / "demo"
    said = run_cli("demo", str(folder), *_PUPILS)
    assert (said.code, said.err) == (0, "")
    return folder, said


def advised(played: tuple[Path, Said], folder: Path) -> dict[str, list[str]]:
    """What the demo advises: name of the command → its words, of a copy of its installation."""
    shutil.copytree(played[0], folder)
    lines = played[1].out.partition("En nu zelf\n")[2].splitlines()
    found = {}
    for line in lines:
        if line.startswith("  ") and "--config" in line:
            words = shlex.split(line.replace(str(played[0]), str(folder)), comments=True)
            assert Path(words[0]).name == "koppelhub"
            of_two = words[1] in {"plan", "run", "eckid"}
            found[" ".join(words[1:3]) if of_two else words[1]] = words[1:]
    return found


def test_it_tells_its_story_and_logs_beside_it(played: tuple[Path, Said]) -> None:
    folder, said = played
    assert len(re.findall(r"^Run \d van", said.out, re.MULTILINE)) == 9
    assert len(re.findall(r"^\w+dagnacht: ", said.out, re.MULTILINE)) == 5
    assert "reading failed" not in said.out
    assert "reading failed" in (folder / "koppelhub.log").read_text(encoding="utf-8")


def test_a_school_on_magister_gets_its_eck_ids(played: tuple[Path, Said], tmp_path: Path) -> None:
    folder, said = played
    assert "Personen gevraagd: 4; keer gevraagd: 4." in said.out  # of five pupils one has no PGN
    status = run_cli(*advised(played, tmp_path / "demo")["eckid status"], "--json")
    assert status.code == 1
    (place,) = status.data["places"]
    assert (place["standing"]["persons"], place["standing"]["obtained"]) == (5, 4)
    assert place["standing"]["without_pgn"] == 1
    log = (folder / "koppelhub.log").read_text(encoding="utf-8")
    for told in (said.out, log):
        assert not re.search(r"ketenid\.nl/|\b[0-9a-f]{64}|\b9[0-9]{8}\b|\b1[0-9]{8}\b", told)


def test_its_last_night_was_last_night(played: tuple[Path, Said]) -> None:
    newest = run_cli("runs", "--json", "--config", str(played[0] / "koppelhub.toml")).data[0]
    last = datetime.fromisoformat(newest["started_at"]).replace(tzinfo=UTC)
    assert timedelta() < SystemClock().now() - last < timedelta(hours=26)


def test_what_it_advises_can_be_typed_and_its_plan_approved(
    played: tuple[Path, Said], tmp_path: Path
) -> None:
    typed = advised(played, tmp_path / "demo")
    assert set(typed) == {
        *("todo", "plan show", "plan approve", "plan refuse", "runs", "run show", "doctor"),
        "eckid status",
    }
    todo = run_cli(*typed["todo"])
    assert f"koppelhub {' '.join(typed['plan show'][:3])}" in todo.out
    shown = run_cli(*typed["plan show"])
    assert "vastgehouden: contactgegeven/email" in shown.out
    assert "failed" in run_cli(*typed["run show"]).out
    assert run_cli(*typed["doctor"]).code == 1  # the last run is held: that is what it tells
    approved = run_cli(*typed["plan approve"], stdin="j\n")
    assert approved.code == 0, approved.err
    assert re.search(r"^In de kern: leerling.change \d+$", approved.out, re.MULTILINE)
    assert "Er wacht niets." in run_cli(*typed["todo"]).out
    assert run_cli(*typed["doctor"]).code == 0
    assert run_cli(*typed["runs"]).code == 0


def test_the_plan_that_it_leaves_can_be_refused(played: tuple[Path, Said], tmp_path: Path) -> None:
    typed = advised(played, tmp_path / "demo")
    refused = run_cli(*typed["plan refuse"], stdin="j\n")
    assert refused.code == 0, refused.err
    assert re.search(r"^ +geweigerd: \d+$", refused.out, re.MULTILINE)
    todo = run_cli(*typed["todo"]).out
    assert "plannen die wachten" not in todo
    assert "koppelhub refused list --source somtoday-demo" in todo


@pytest.mark.parametrize(
    "now",
    [
        datetime(2027, 7, 28, 9, tzinfo=UTC),  # absence closes nothing in a real school
        datetime(2027, 8, 3, 9, tzinfo=UTC),  # its nights lie on both sides of 1 August
        datetime(2027, 3, 29, 0, 30, tzinfo=UTC),  # 02:15 of the night before does not exist
    ],
    ids=["zomerstop", "jaarwisseling", "zomertijd"],
)
def test_the_story_is_the_same_on_any_day(
    now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FixedClock(now)
    monkeypatch.setattr(config.clock, "SystemClock", lambda: clock)
    acts = run_cli("demo", str(tmp_path / "demo"), *_PUPILS, "--no-eckid", "--json").data
    reports = [act["report"] for act in acts if act["report"]]
    outcomes = ["done", "done", "done", "partial", "done", "held"]
    assert [report["outcome"] for report in reports] == outcomes
    assert reports[1]["steps"] == {}
    assert reports[4]["steps"]["leerling.close"] == 1
    config_file = str(tmp_path / "demo" / "koppelhub.toml")
    plan = str(reports[-1]["plan_id"])
    approved = run_cli("plan", "approve", plan, "--yes", "--json", "--config", config_file)
    assert approved.code == 0, approved.out
    assert approved.data["steps"] == reports[-1]["steps"]
