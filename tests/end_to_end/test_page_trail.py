"""Who looks on a page leaves the line in the audit trail that the same look by command leaves."""

from __future__ import annotations

from dataclasses import replace

from config.operators import Role
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
