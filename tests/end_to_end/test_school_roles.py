"""Every command, given by somebody who may act for one school of a board of two.

Nothing of a record of the other school is told or changed, whatever he asks; a number or key of it
is answered as one that there is not; and what concerns the board whole is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import pytest

import cli
from config.clock import Clock
from config.settings import Settings
from console.roles import least_of
from sync_engine.find import hub_key
from sync_engine.hub import Hub
from sync_engine.store.engine import Store
from tests.support.pair import CANARY, Pair, pair
from tests.support.shell import Said, run_cli

_REFUSED: Final = 4


@dataclass
class Seat:
    """A keyboard before both schools."""

    schools: Pair
    sits: Callable[[str], None]

    def __call__(self, *arguments: str, stdin: str = "") -> Said:
        config = str(self.schools.folder / "koppelhub.toml")
        return run_cli(*arguments, "--config", config, stdin=stdin)


@pytest.fixture
def seat(sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Seat]:
    with pair(sqlite_store, tmp_path) as schools:

        def opened(settings: Settings, clock: Clock) -> Hub:
            return replace(schools.hub, store=Store.open(f"sqlite:///{sqlite_store.path}"))

        monkeypatch.setattr(Hub, "open", opened)

        def sits(name: str) -> None:
            monkeypatch.setattr("pwd.getpwuid", lambda _: SimpleNamespace(pw_name=name))

        sits("mies")
        yield Seat(schools, sits)


def lines(mine: dict[str, int], other: dict[str, int], both: int) -> dict[str, list[str]]:
    """Command → what is typed after it, and after `|` on standard input.

    `-` before it: it names something of the other school, which there is not. `!`: it is about more
    than his school, and refused. `~`: it is his, and comes to nothing or to more than one.
    """
    own, their, shared = (hub_key(n) for n in (mine["leerling"], other["leerling"], both))
    groep, klas = hub_key(mine["groep"]), hub_key(other["groep"])
    return {
        "alerts list": ["!"],
        "alerts retry": ["!"],
        "alerts run": ["!"],
        "alerts test": ["! --channel mail"],
        "account add": ["! iemand"],
        "account disable": ["! iemand"],
        "account end-sessions": ["! --all"],
        "account list": ["!"],
        "account password": ["! iemand"],
        "adopt": ["! --source samen --school 99XX --yes"],
        "audit show": ["!"],
        "audit verify": ["!"],
        "case assign": [f"{mine['case']}", f"- {other['case']}"],
        "case close": [f"- {other['case']} --why proef --yes"],
        "case create": [f"- {other['case']} --yes", f"! {mine['hidden']} --yes"],
        "case decisions": ["--all", "--source samen", "- --source kanarie-las"],
        "case ignore": [f"- {other['case']} --yes"],
        "case lift": [f"- {other['act']} --yes", f"{mine['act']} --yes"],
        "case link": [
            f"- {other['case']} --to {own} --yes",
            f"- {mine['case']} --to {their} --yes",
        ],
        "case link-all": ["--source samen --yes"],
        "case list": [
            "--state all",
            "--csv -",
            "--source samen --school 99XX",
            "- --source kanarie-las",
        ],
        "case merge": [f"- {own} {their} --yes", f"- {their} {own} --yes"],
        "case note": [f"{mine['case']}|gebeld", f"- {other['case']}|gebeld"],
        "case show": [
            f"{mine['case']}",
            f"{mine['broken']}",
            f"{mine['hidden']}",
            f"- {other['case']}",
            f"- {other['broken']}",
        ],
        "case split": [f"- --source samen --record {CANARY} --yes"],
        "connectors check": ["--source samen", "- --source kanarie-las"],
        "correlation try": ["! --source samen", "! --source kanarie-las"],
        "cursor clear": [
            "--source eigen --why proef --yes",
            "- --source kanarie-las --why proef --yes",
        ],
        "cursor merge": ["! --source samen bestand --why proef --yes"],
        "cursor set": ["! --source samen bestand --why proef --yes"],
        "cursor show": ["--source samen", "- --source kanarie-las"],
        "db backup": ["! kopie"],
        "db restore": ["! kopie"],
        "db upgrade": ["!"],
        "diff": [
            "--source eigen",
            "--source samen --school 99XX",
            "! --source samen",
            "- --source kanarie-las",
            "- --source samen --school 98XX",
            "! --target samen",
            "- --target kanarie-las",
        ],
        "explain leerling": [
            own,
            shared,
            "samen:trekvogel",
            f"- {their}",
            "- 0200",
            f"- samen:{CANARY}",
            "~ --find -|Jansen",
            "~ --find -|Ekster",
            "- --find -|geel",
        ],
        "eckid approve": [f"! {own} --yes"],
        "eckid obtain": ["! --school 99XX"],
        "eckid replace": [f"! {own} --why proef"],
        "eckid replacements": ["!"],
        "eckid status": ["! --school 99XX"],
        "eckid verify": ["! --school 99XX"],
        "eckid withdraw": [f"! {own} --why proef"],
        "explain groep": [groep, "1A", f"- {klas}"],
        "health": ["--all", "--school 99XX", "- --school 98XX", "- --source kanarie-las"],
        "herinrichting apply": ["! iets --why proef --yes"],
        "herinrichting finish": ["! iets --yes"],
        "herinrichting list": ["!"],
        "herinrichting preview": ["! iets"],
        "history leerling": [own, shared, f"- {their}"],
        "history groep": [groep, f"- {klas}"],
        "inbox": ["!"],
        "inbox serve": ["!"],
        "outbox approve": ["! 1 --yes"],
        "outbox deliver": ["!"],
        "outbox list": ["!"],
        "outbox refuse": ["! 1 --why proef --yes"],
        "outbox show": ["! 1"],
        "jobs": ["", "--source samen", "- --source kanarie-las"],
        "keys": ["!"],
        "keys master": ["!"],
        "keys rotate": ["!"],
        "onboarding": ["", "--school 99XX", "- --school 98XX"],
        "pin lift": [f"- {other['pin']} --yes"],
        "pin list": ["", "--idle", "--school 99XX", "- --school 98XX"],
        "pin set": [
            f"leerling {own} voorvoegsel --why proef --yes|van",
            f"- leerling {their} roepnaam --why x --yes|A",
        ],
        "plan apply": [f"! {mine['both']} --yes", f"- {other['plan']} --yes"],
        "plan approve": [
            f"! {mine['both']} --yes",
            f"- {other['plan']} --yes",
            f"{mine['plan']} --yes",
        ],
        "plan list": ["--all", "--source samen --all", "- --source kanarie-las"],
        "plan refuse": [f"! {mine['both']} --why proef --yes", f"- {other['plan']} --why x --yes"],
        "plan show": [
            f"{mine['both']}",
            f"{mine['both']} --csv -",
            f"{mine['plan']}",
            f"- {other['plan']}",
            f"{mine['both']} --key {their}",
        ],
        "purge": ["! --yes"],
        "quarantine list": [
            "",
            "--csv -",
            "--school 99XX",
            "- --school 98XX",
            "- --source kanarie-las",
        ],
        "quarantine retry": ["! --source samen --yes", f"- --source samen --only {CANARY} --yes"],
        "refused lift": [
            f"- --source samen --run {other['refused']} --record {CANARY} --yes",
            f"--source samen --run {mine['refused']} --yes",
        ],
        "refused list": [
            "",
            "--source samen",
            f"--run {other['refused']}",
            "- --source kanarie-las",
        ],
        "replay": ["! --source samen --yes", "- --source kanarie-las", "--source eigen --dry-run"],
        "report weekly": ["--school 99XX", "--school 99XX --csv -", "- --school 98XX"],
        "resync entity": ["leerling --school 99XX", "- leerling --school 98XX"],
        "resync groep": [groep, f"- {klas}"],
        "resync leerling": [own, shared, f"- {their}"],
        "resync school": ["99XX", "- 98XX"],
        "run show": [f"{mine['run']}", f"{mine['last']}", f"- {other['run']}"],
        "run undo": [f"! {mine['last']} --yes", f"- {other['run']} --yes"],
        "runs": ["", "--source samen", "- --source kanarie-las"],
        "school add": ["! --tenant bestuur --brin 97XX --name Nieuw"],
        "school leave": ["! --tenant bestuur --why proef --yes"],
        "serve": ["!"],
        "source agree": ["! samen --basis x --purpose y --on 2026-01-01"],
        "source link": ["! nieuw --system memory --school 99XX"],
        "source list": [""],
        "source live": ["! samen --schedule 0,*,*,*,*"],
        "source maintenance": [
            "eigen --why proef --yes",
            "eigen end --yes",
            "! samen --why x --yes",
            "- kanarie-las --why x --yes",
        ],
        "source off": [
            *("eigen --why proef --yes", "! samen --why proef --yes"),
            "- kanarie-las --why proef --yes",
        ],
        "source on": [
            *("eigen --why proef --yes", "! samen --why proef --yes"),
            "- kanarie-las --why proef --yes",
        ],
        "state leerling": [own, shared, f"- {their}"],
        "state groep": [groep, f"- {klas}"],
        "status": ["--source samen", "- --source kanarie-las"],
        "sync": [
            "--source samen --school 99XX --dry-run",
            "--source eigen",
            "! --source samen",
            "- --source samen --school 98XX",
            "- --source kanarie-las",
            "--source samen --school 99XX --plan",
            "! --source samen --entity leerling",
            "--source samen --school 99XX",
        ],
        "todo": ["", "--source samen", "- --source kanarie-las", "- --school 98XX"],
        "worker": ["!"],
    }


_NUMBERS: Final = (
    *("leerling", "groep", "case", "hidden", "broken", "act", "pin", "refused", "both", "plan"),
    *("run", "last"),
)


def test_every_command_has_a_row_here() -> None:
    commands = cli.commands_of(cli._command())
    least = {name: least_of(name) for name, command in commands if command.callback is not None}
    told = lines(dict.fromkeys(_NUMBERS, 1), dict.fromkeys(_NUMBERS, 1), 1)
    groups = {name.partition(" ")[0] for name in told} & {"explain", "history", "state"}
    missing = [n for n in least if n not in told and n not in groups and least[n] is not None]
    assert missing == []


def test_nothing_of_another_school_is_told_or_changed_whatever_is_asked(seat: Seat) -> None:
    schools, wrong = seat.schools, list[str]()
    before = schools.of_other()
    typed = lines(schools.mine, schools.other, schools.both)
    for command, line in [(command, line) for command, some in typed.items() for line in some]:
        mark, rest = re.fullmatch(r"(?:([-!~])(?: |$))?(.*)", line).groups()  # type: ignore[union-attr] # it fits every line
        arguments, _, stdin = rest.partition("|")
        said = seat(*command.split(), *arguments.split(), stdin=stdin)
        told = said.out + said.err
        if mark == "!":  # an administrator of that school may no more than its helpdesk
            seat.sits("moos")
            again = seat(*command.split(), *arguments.split(), stdin=stdin)
            seat.sits("mies")
            told += again.out + again.err
            said = said if said.code != _REFUSED else again
        for token in arguments.split() if mark == "-" else ():
            told = told.replace(token, "")
        wrong += [f"{command} {line} tells {leak}" for leak in schools.leaks(told)]
        good = {
            "-": said.code not in {0, 1},
            "!": said.code == _REFUSED,
            "~": said.code != _REFUSED,
        }
        if not good.get(mark, said.code in {0, 1}):
            wrong.append(f"{command} {line} ends {said.code}: {told[-300:]}")
        if mark == "!" and not re.search("schol|school|role", said.err):
            wrong.append(f"{command} {line} says not who may: {said.err}")
    assert wrong == []
    assert schools.of_other() == before
