"""The clock on the command line: what comes when, what is queued, what is refused."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from config.settings import Settings
from tests.support.lines import KOPPELING
from tests.support.shell import Shell

PAGE = Path(__file__).parents[2] / "docs" / "scheduling.md"


def test_jobs_says_what_comes_when_and_that_nobody_serves(quick: Shell) -> None:
    said = quick("jobs", "--json").data
    assert set(said) == {"jobs", "asked", "processes"}
    (full,) = [job for job in said["jobs"] if job["koppeling"]]
    assert set(full) >= {
        *("koppeling", "kind", "schedule", "next_due", "local", "stand", "due_at", "waits_for"),
        *("until", "tries", "outcome", "ended_at", "error", "advice"),
    }
    assert (full["koppeling"], full["kind"], full["stand"]) == (KOPPELING, "full", "planned")
    assert full["schedule"] == "15 2 * * *"
    assert full["local"].startswith("2026-11-0")
    assert {job["kind"] for job in said["jobs"]} >= {"full", "purge"}
    text = quick("jobs", "--source", KOPPELING)
    assert text.code == 0
    assert "somtoday-demo" in text.out
    assert "purge" not in text.out
    assert "niets begint vanzelf" in text.out
    assert quick("jobs", "--source", "weg").code == 2


def test_what_is_queued_where_no_worker_lives_runs_at_once(quick: Shell) -> None:
    said = quick.sync("--queue")
    assert said.code == 0
    assert "Er is geen worker: deze run draait nu hier." in said.out
    assert quick.line.query("SELECT state FROM run") == [("done",)]
    again = quick("resync", "school", "99XX", "--queue", "--json")
    assert (again.code, len(again.data["parts"])) == (0, 1)


def test_a_worker_needs_postgres_and_says_what_does_without(quick: Shell) -> None:
    said = quick("worker")
    assert said.code == 2
    assert "koppelhub serve" in said.err


def test_deltas_of_a_system_that_cannot_tell_are_refused_before_anything_begins(
    quick: Shell,
) -> None:
    path = quick.line.folder / "koppelhub.toml"
    text = path.read_text(encoding="utf-8").replace("# delta_schedule", "delta_schedule")
    path.write_text(text, encoding="utf-8")
    said = quick("serve", "--port", "0")
    assert said.code == 2
    assert f"source[{KOPPELING}].delta_schedule" in said.err
    assert quick.line.query("SELECT COUNT(*) FROM process_heartbeat") == [(0,)]
    assert "delta_schedule" in quick("doctor").out


@pytest.mark.parametrize("example", [*range(2)])
def test_the_examples_of_the_documentation_are_understood(quick: Shell, example: int) -> None:
    blocks = PAGE.read_text(encoding="utf-8").split("```toml\n")[1:]
    block = blocks[example].split("```")[0]
    tomllib.loads(block)
    overlay = quick.line.folder / "overlay.toml"
    overlay.write_text(block, encoding="utf-8")
    made = Settings.load(
        quick.line.folder / "koppelhub.toml", env={"KOPPELHUB_OVERLAY": str(overlay)}
    )
    assert made.find_source(KOPPELING).schedule is not None
