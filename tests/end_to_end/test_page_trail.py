"""Who looks on a page leaves the line in the audit trail that the same look by command leaves."""

from __future__ import annotations

from dataclasses import replace

from config.operators import Role
from fixtures.sandbox import faults
from sync_engine.actor import Actor
from tests.support.lines import KOPPELING
from tests.support.seat import visit
from tests.support.shell import Shell

PETRA = Actor("petra", Role.HELPDESK, None, "192.0.2.7")
Lines = list[tuple[str, str]]


def since(shell: Shell, last: int) -> Lines:
    """(what, of what) of every line after that number."""
    found = "SELECT action, subject FROM audit WHERE id > ? ORDER BY id"
    return [(action, subject) for action, subject in shell.line.query(found, last)]


def last(shell: Shell) -> int:
    return int(shell.line.query("SELECT COALESCE(MAX(id), 0) FROM audit")[0][0])


def test_a_look_on_a_page_is_noted_as_the_same_look_by_command(quick: Shell) -> None:
    run = quick.report()["run_id"]
    plan = quick.report("--plan")["plan_id"]
    looks = {
        "/": (),
        "/wacht": ("todo",),
        "/plannen": ("plan", "list"),
        f"/plannen/{plan}": ("plan", "show", str(plan)),
        "/zaken": ("case", "list"),
        f"/quarantaine?koppeling={KOPPELING}": ("quarantine", "list", "--source", KOPPELING),
        "/runs": ("runs",),
        f"/runs/{run}": ("run", "show", str(run)),
        "/scholen/99XX": ("todo", "--school", "99XX"),
        f"/koppelingen/{KOPPELING}": ("todo", "--source", KOPPELING),
        "/trends": (),
    }
    hub = replace(quick.line.hub, actor=PETRA)
    noted = 0
    with visit(hub, PETRA) as petra:
        for path, command in looks.items():
            begin = last(quick)
            if command:
                assert quick(*command).code in {0, 1}, command
            by_command, begin = since(quick, begin), last(quick)
            petra.sees(path)
            assert since(quick, begin) == by_command, path
            noted += len(by_command)
    assert noted == 3
    told = quick.line.query("SELECT DISTINCT operator, origin FROM audit WHERE operator = 'petra'")
    assert told == [("petra", "192.0.2.7")]


def test_who_reads_which_records_a_source_must_mend_is_noted(quick: Shell) -> None:
    line = quick.line
    path = f"/{line.school.vestiging_uuid(0)}/leerling"
    line.sandbox.misbehave(faults.WrongValue(path=path, at=2, field="roepnaam", value=42))
    run = quick.report()["run_id"]
    looks: Lines = [("quarantine list", f"koppeling {KOPPELING}"), ("run show", f"run {run}")]
    with visit(replace(line.hub, actor=PETRA), PETRA) as petra:
        begin = last(quick)
        assert "veld weggelaten" in petra.sees("/quarantaine")  # of one that is read all the same
        petra.sees(f"/runs/{run}")
        assert since(quick, begin) == looks
        line.sandbox.misbehave(faults.WrongValue(path=path, at=1, field="achternaam", value=[1]))
        assert quick.sync().code == 1
        ((run,),) = line.query("SELECT MAX(id) FROM run")
        begin = last(quick)
        assert "Bronrecord" in petra.sees(f"/runs/{run}")
        assert quick("run", "show", str(run)).code == 0
        assert since(quick, begin) == [("run show", f"run {run}")] * 2
