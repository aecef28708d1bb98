"""A school's days through the command line: from a fresh installation to an approved plan."""

from __future__ import annotations

import json
import re
from typing import Any

from fixtures.school.changes import Changes
from fixtures.school.day import Day
from tests.support.coredump import core_dump, differences
from tests.support.shell import Shell, everything


def test_from_a_fresh_installation_to_a_school_in_agreement(shell: Shell) -> None:
    line = shell.line
    assert shell("doctor").code == 0
    assert shell("connectors", "check").code == 0

    before = everything(line)
    dry = shell.report("--dry-run")
    assert everything(line) == before
    assert line.query("SELECT action FROM audit ORDER BY id") == [
        ("connectors check",),
        ("dry run",),
    ]

    first = shell.report()
    assert (first["outcome"], first["steps"]) == ("done", dry["steps"])
    assert first["steps"]["leerling.create"] == 40
    again = shell.sync()
    assert (again.code, "niets te wijzigen" in again.out) == (0, True)

    Day(line.school).one_day()
    line.later(days=1)
    before = everything(line)
    dry = shell.report("--dry-run")
    assert everything(line) == before
    changed = shell.report()
    assert changed["steps"] == dry["steps"]
    assert changed["steps"]["leerling.create"] == 2
    assert shell.report()["steps"] == {}


def test_what_is_applied_is_what_was_shown_and_what_is_new_stays_held(shell: Shell) -> None:
    line = shell.line
    shell.sync()
    Day(line.school).one_day()
    line.later(days=1)
    planned = shell.sync("--plan", "--json")
    assert (planned.code, planned.data["outcome"]) == (3, "held")
    plan = str(planned.data["plan_id"])
    core = core_dump(line.hub)
    known = {row[0] for row in line.query("SELECT core_id FROM link WHERE run_id = 1")}
    shown = shell("plan", "show", plan, "--limit", "500", "--json").data
    assert (shown["state"], shown["more"]) == ("open", 0)
    assert len(shown["steps"]) == sum(planned.data["steps"].values())

    uuid = line.query(
        "SELECT source_key FROM link WHERE entity = 'leerling' ORDER BY source_key DESC"
    )[0][0]
    Changes(line.school).patch(uuid, voornamen="Later Bekend Geworden")
    line.later(hours=1)
    second = shell.report("--plan")
    assert differences(core_dump(line.hub), core) == {}

    applied = shell("plan", "apply", plan, "--json", "--yes")
    assert applied.code == 3
    done = shell("plan", "show", str(applied.data["plan_id"]), "--limit", "500", "--json").data
    assert _steps(done, "applied", known) == _steps(shown, "planned", known)
    assert [(s["entity"], s["op"]) for s in done["steps"] if s["state"] == "held"] == [
        ("leerling", "change")
    ]
    assert shell("plan", "apply", plan, "--yes").code == 4  # it has been used
    assert not line.query("SELECT 1 FROM leerling WHERE voornamen = 'Later Bekend Geworden'")

    rest = shell("plan", "apply", str(second["plan_id"]), "--yes")
    assert rest.code == 0
    assert line.query("SELECT 1 FROM leerling WHERE voornamen = 'Later Bekend Geworden'")
    assert shell.report()["steps"] == {}


def _steps(plan: dict[str, Any], state: str, known: set[int]) -> list[tuple[str, str, str, str]]:
    """Entity, source, operation and changes of each step; records yet to be made have no number."""

    def told(match: re.Match[str]) -> str:
        return match[0] if int(match[0]) in known else "new"

    return sorted(
        (
            step["entity"],
            step["source"],
            step["op"],
            re.sub(r"(?<=/)\d+(?=\")|(?<=_id\": \[)\d+", told, _text(step["changes"])),
        )
        for step in plan["steps"]
        if step["state"] == state
    )


def _text(changes: dict[str, list[Any]]) -> str:
    """References last, so that one expression finds them."""
    turned = {key: pair[::-1] if key.endswith("_id") else pair for key, pair in changes.items()}
    return json.dumps(turned, sort_keys=True)
