"""A person overrules: refuses a plan, undoes a run, decides a case, and takes it back."""

from __future__ import annotations

from fixtures.school.changes import Changes
from tests.support.coredump import core_dump, differences
from tests.support.lines import KOPPELING
from tests.support.shell import Shell, newest


def pupils(shell: Shell) -> list[str]:
    """Source keys of the pupils, in order."""
    rows = shell.line.query(
        "SELECT source_key FROM link WHERE entity = 'leerling' ORDER BY source_key"
    )
    return [row[0] for row in rows]


def test_a_run_is_undone_after_it_was_shown(shell: Shell) -> None:
    shell.sync()
    before = core_dump(shell.line.hub)
    Changes(shell.line.school).patch(pupils(shell)[0], voornamen="Verkeerd Getypt")
    shell.line.later(hours=1)
    shell.sync()
    run = newest(shell.line, "run")
    asked = shell("run", "undo", run, stdin="n\n")
    assert asked.code == 0
    assert "Verkeerd Getypt" in asked.out
    assert "Er is niets gewijzigd" in asked.out
    assert differences(core_dump(shell.line.hub), before)
    assert shell("plan", "list", "--json").data == []

    done = shell("run", "undo", run, "--why", "verkeerd getypt", stdin="y\n")
    assert done.code == 0
    assert shell.line.query(
        "SELECT decided_why FROM plan WHERE decided_at IS NOT NULL ORDER BY id DESC LIMIT 1"
    ) == [("verkeerd getypt",)]
    trail = shell("audit", "show", "--json").data
    assert ("run undo", f"run {run}") in {(line["action"], line["subject"]) for line in trail}
    assert differences(core_dump(shell.line.hub), before) == {}
    shell.line.later(hours=8)
    assert shell.report()["applied"] == {}
    differs = shell.of_source("diff")
    assert differs.code == 1
    assert "geen verschil" not in differs.out
    assert "anders, teruggedraaid: leerling" in differs.out
    assert "bron zegt Verkeerd Getypt" in differs.out
    for options, records in (((), 1), (("--school", "99XX"), 1), (("--entity", "vestiging"), 0)):
        assert shell.of_source("diff", *options, "--json").data["declined_records"] == records
    nothing = shell("refused", "lift", "--source", KOPPELING, "--run", "999")
    assert (nothing.code, nothing.out) == (0, "Er is niets geweigerd.\n")
    refused = shell("refused", "list", "--json").data
    assert [(r["entity"], r["says"], r["kind"]) for r in refused] == [
        ("leerling", "gewijzigd", "undo")
    ]
    lift = ("refused", "lift", "--source", KOPPELING, "--run", str(refused[0]["run_id"]))
    shown = shell(*lift, stdin="n\n")
    assert shown.code == 0
    told, no, _ = shown.out.partition("Er is niets gewijzigd")
    assert no
    assert pupils(shell)[0] in told
    assert "voornamen: nu " in told
    assert "wordt Verkeerd Getypt" in told
    assert "1 record telt dan weer mee" in told
    assert shell("refused", "list", "--json").data == refused
    other = shell(*lift, "--record", pupils(shell)[1])
    assert (other.code, other.out) == (0, "Er is niets geweigerd.\n")
    lifted = shell(
        *("refused", "lift", "--source", KOPPELING, "--run", str(refused[0]["run_id"]), "--yes")
    )
    assert lifted.code == 0
    assert shell.report()["applied"] == {"leerling.change": 1}


def test_a_plan_is_refused_with_a_reason_and_not_proposed_again(shell: Shell) -> None:
    shell.sync()
    before = core_dump(shell.line.hub)
    Changes(shell.line.school).patch(pupils(shell)[0], voornamen="Verkeerd Getypt")
    shell.line.later(hours=1)
    plan = str(shell.report("--plan")["plan_id"])
    said = shell("plan", "refuse", plan, "--why", "klopt niet volgens de school", "--yes")
    assert said.code == 0
    assert "geweigerd: 1" in said.out
    again = shell("plan", "approve", plan, "--yes")
    assert again.code == 4
    assert "klopt niet volgens de school" in again.err
    shell.line.later(hours=8)
    assert shell.report()["applied"] == {}
    assert differences(core_dump(shell.line.hub), before) == {}


def test_pupils_are_merged_and_parted_again(shell: Shell) -> None:
    shell.sync()
    before = core_dump(shell.line.hub)
    one, other = (
        row["key"]
        for key in pupils(shell)[:2]
        for row in shell("explain", "leerling", _number(shell, key), "--json").data
    )
    asked = shell("case", "merge", other, one, "--why", "zelfde kind", stdin="n\n")
    assert f"{other} gaat op in {one}, de oudste. Samenvoegen? [j/N]" in asked.err
    merged = shell("case", "merge", one, other, "--why", "zelfde kind", "--yes")
    assert merged.code == 0
    assert len(shell.line.query("SELECT 1 FROM leerling")) == 39
    decisions = shell("case", "decisions", "--json").data
    assert [d["kind"] for d in decisions] == ["link"]
    assert decisions[0]["why"] == "zelfde kind"
    shell.line.later(hours=8)
    assert shell.report()["applied"] == {}
    lifted = shell("case", "lift", str(decisions[0]["act"]), stdin="j\n")
    assert lifted.code == 0
    assert f"-> {other}\n" in lifted.out  # who is made again has no name yet, but has his key
    told = shell("history", "leerling", one)
    assert f"besluit {decisions[0]['act']}: link" in told.out
    assert ": zelfde kind" in told.out
    assert differences(core_dump(shell.line.hub), before) == {}


def _number(shell: Shell, source_key: str) -> str:
    from sync_engine.hubkeys import hub_key

    rows = shell.line.query(
        "SELECT core_id FROM link WHERE entity = 'leerling' AND source_key = ?", source_key
    )
    return hub_key(rows[0][0])


def test_what_is_not_there_is_answered_with_what_is(shell: Shell) -> None:
    shell.sync()
    for command in (
        ("run", "undo", "99"),
        ("case", "link", "9", "--to", "K-11"),
        ("case", "lift", "7"),
    ):
        said = shell(*command, "--yes")
        assert said.code in {2, 4}
        assert "Fout: there is no" in said.err
