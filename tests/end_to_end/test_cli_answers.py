"""What the command line tells: stable JSON, explanations, and a trail of who looked."""

from __future__ import annotations

import re

from fixtures.school.changes import Changes
from fixtures.school.day import Day
from tests.support.lines import KOPPELING
from tests.support.shell import Shell, run_cli


def test_every_answer_is_one_json_object_with_stable_keys(quick: Shell) -> None:
    """A key may come; one that goes breaks somebody's script."""
    report = quick.report()
    assert set(report) >= {
        *("run_id", "koppeling", "kind", "outcome", "started_at", "finished_at", "plan_id"),
        *("readings", "steps", "situations", "held", "holds", "unresolved", "waiting"),
        *("quarantine", "cases", "events", "error", "advice", "retryable"),
        *("refused", "longest_hold_seconds"),
    }
    assert set(report["readings"][0]) >= {
        *("resource", "scope", "state", "read", "added", "changed", "missing", "gone"),
        *("quarantined", "warnings", "reason", "advice"),
    }
    (listed,) = quick("runs", "--json").data
    assert set(listed) >= {
        *("id", "koppeling", "kind", "state", "started_at", "finished_at", "read", "added"),
        *("changed", "gone", "quarantined", "error", "advice"),
    }
    detail = quick("run", "show", "1", "--json").data
    assert set(detail) >= {
        *("run", "operator", "counts", "readings", "events", "quarantine", "plans"),
    }
    assert detail["run"] == listed
    plan = quick("plan", "show", "1", "--limit", "1", "--json").data
    assert set(plan) >= {
        *("id", "run_id", "koppeling", "state", "created_at", "expires_at", "counts", "holds"),
        *("steps", "more"),
    }
    assert set(plan["steps"][0]) >= {
        *("entity", "key", "source", "op", "state", "held_for", "changes", "labels"),
    }
    (finding, *_) = quick("doctor", "--json").data
    assert set(finding) >= {"level", "subject", "message", "advice"}
    (check,) = quick("connectors", "check", "--json").data
    assert set(check) >= {"koppeling", "results"}
    assert run_cli("exit-codes", "--json").data["75"]
    assert set(run_cli("connectors", "--json").data) >= {"connectors", "broken"}


def test_explain_says_for_each_field_who_gave_it_and_what_it_was(quick: Shell) -> None:
    quick.sync()
    line = quick.line
    uuid, number = line.query(
        "SELECT l.source_key, p.gebruikersnaam FROM leerling p JOIN link l ON l.core_id = p.id "
        "WHERE p.gebruikersnaam IS NOT NULL ORDER BY p.id"
    )[0]
    Changes(line.school).patch(uuid, roepnaam="Nieuwenaam")
    line.later(days=1)
    quick.sync()

    (by_number,) = quick("explain", "leerling", number, "--json").data
    key = by_number["key"]
    assert re.fullmatch(r"K-[0-9A-Z]+[0-9A-Z*~$=]", key)
    (by_key,) = quick("explain", "leerling", key, "--json").data
    assert by_key == by_number
    fields = {reason["name"]: reason for reason in by_key["explanation"]["fields"]}
    assert set(fields["roepnaam"]) >= {
        *("name", "value", "rule", "koppeling", "run_id", "pin_id", "claims", "history"),
    }
    assert fields["roepnaam"]["value"] == "Nieuwenaam"
    assert fields["roepnaam"]["koppeling"] == KOPPELING
    assert [change["run_id"] for change in fields["roepnaam"]["history"]] == [1, 2]

    (one,) = quick("explain", "leerling", key, "--field", "roepnaam", "--json").data
    assert [reason["name"] for reason in one["explanation"]["fields"]] == ["roepnaam"]
    text = quick("explain", "leerling", key, "--field", "roepnaam")
    assert "Nieuwenaam" in text.out
    assert " in run 2 " in text.out
    looked = line.query("SELECT action, subject FROM audit WHERE action = 'explain'")
    assert looked == [("explain", key)] * 4
    wrong = quick("explain", "leerling", key, "--field", "schoenmaat")
    assert (wrong.code, "Kies een van: achternaam" in wrong.err) == (2, True)
    typed = key[:-1] + ("0" if key[-1] != "0" else "1")
    assert "Neem de sleutel over" in quick("explain", "leerling", typed).err


def test_what_a_person_looks_at_and_approves_is_in_the_audit_trail(quick: Shell) -> None:
    quick.sync()
    Day(quick.line.school).one_day()
    quick.line.later(days=1)
    plan = quick.report("--plan")["plan_id"]
    assert quick("plan", "apply", str(plan), "--yes").code == 0
    assert quick("plan", "apply", str(plan), "--yes").code == 4
    source = f"koppeling {KOPPELING}"
    assert quick.line.query("SELECT action, subject FROM audit ORDER BY id") == [
        ("sync", source),
        ("sync", source),
        ("plan approve", f"plan {plan}"),
    ]
