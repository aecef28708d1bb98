"""Several schools of three boards under one hub, as ops sees them on a Friday morning at 08:05.

Their administrations are sandboxes on loopback, read by real runs over four nights. Last night one
was down, one had a broken record, in one a third of the pupils was gone and twins were swapped; one
has not been read for two days. Everything is synthetic, and the same each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from config.operators import Role
from config.settings import Settings
from console.setup import initialise
from fixtures.sandbox import faults
from fixtures.sandbox.magister import MagisterSandbox
from fixtures.sandbox.somtoday import SomtodaySandbox
from fixtures.sandbox.uwlr import UwlrSandbox
from fixtures.school.changes import Changes
from fixtures.school.mistakes import Mistakes
from fixtures.school.plan import NARROW, WIDE, Rights, plan_school
from fixtures.school.school import School
from sync_engine.actor import Actor
from sync_engine.hub import Hub
from sync_engine.outcome import RunReport
from sync_engine.runs import Options, run
from sync_engine.schedule.heartbeat import Heartbeat, ProcessKind
from tests.support.lines import PatientClock

FIRST: Final = datetime(2026, 11, 3, 1, 15, tzinfo=UTC)
MORNING: Final = datetime(2026, 11, 6, 7, 5, tzinfo=UTC)
NIGHT: Final = timedelta(days=1)

MAIN: Final = "het-voorbeeld"
"""The koppeling of the school that the helpdesk is called by."""

_BOARDS: Final = {
    "demo": ("Stichting Voorbeeldonderwijs", ("99XX", "98XX")),
    "noord": ("Onderwijsgroep Noorderlicht", ("97XX", "96XX", "95XX")),
    "oost": ("Vereniging Oosterscholen", ("94XX", "93XX")),
}
_NAMES: Final = {
    "99XX": "Praktijkschool Het Voorbeeld",
    "98XX": "De Regenboog",
    "97XX": "College Noordzee",
    "96XX": "De Vuurtoren",
    "95XX": "Het Kompas",
    "94XX": "Lyceum De Linde",
    "93XX": "Vakschool Oost",
}
_SYSTEMS: Final = (
    (MAIN, "somtoday", "99XX", 60),
    ("het-voorbeeld-uwlr", "uwlr", "99XX", 60),
    ("de-regenboog", "somtoday", "98XX", 8),
    ("college-noordzee", "magister", "97XX", 8),
    ("de-vuurtoren", "somtoday", "96XX", 8),
    ("het-kompas", "magister", "95XX", 8),
    ("de-linde", "magister", "94XX", 8),
    ("vakschool-oost", "somtoday", "93XX", 8),
)
_SHARES_BSN: Final = Rights({"leerlingen": frozenset({"bankgegevens"})})

_HEAD: Final = """
[database]
url = "sqlite:///koppelhub.db"
[keys]
file = "koppelhub.keys"
[[operator]]
name = "petra"
role = "helpdesk"
[[operator]]
name = "baas"
role = "admin"
[[operator]]
name = "jan"
role = "read"
[[operator]]
name = "noor"
role = "helpdesk"
tenants = ["noord"]
"""


@dataclass
class Town:
    """All of it.

    Attributes:
        clock: of the hub; the sandboxes follow it.
        sandboxes: by name of the koppeling.
    """

    hub: Hub
    clock: PatientClock
    schools: dict[str, School]
    sandboxes: dict[str, SomtodaySandbox | MagisterSandbox | UwlrSandbox]
    reports: dict[str, list[RunReport]] = field(default_factory=dict)

    def sync(self, name: str) -> RunReport:
        """One run of a koppeling by the clock, in which time goes by."""

        def takes_time(*_: object) -> None:
            self.clock.advance(timedelta(seconds=1))

        report = run(self.hub, name, Options(), progress=takes_time)
        self.reports.setdefault(name, []).append(report)
        return report

    def night(self, *names: str) -> None:
        """The runs of the night that it is now."""
        for school in self.schools.values():
            school.today = self.clock.now().date()
        for name in names:
            self.sync(name)
            self.clock.advance(timedelta(minutes=3))

    def somtoday(self, name: str = MAIN) -> SomtodaySandbox:
        """The sandbox of a koppeling with Somtoday."""
        sandbox = self.sandboxes[name]
        assert isinstance(sandbox, SomtodaySandbox)
        return sandbox

    def actor(self, name: str) -> Actor:
        """An operator of the configuration, as the door lets him in."""
        operator = next(o for o in self.hub.settings.operator if o.name == name)
        tenants = None if operator.tenants is None else frozenset(operator.tenants)
        return Actor(name, operator.role, tenants, "127.0.0.1")

    def as_seen_by(self, name: str) -> Hub:
        """The hub of that operator."""
        return replace(self.hub, actor=self.actor(name))


ADMIN: Final = Actor("beheer", Role.ADMIN, None, "127.0.0.1")


@contextmanager
def town(folder: Path, *, only: tuple[str, ...] = ()) -> Iterator[Town]:
    """Start it, and play the nights until this morning.

    Args:
        folder: where the installation comes to stand.
        only: koppelingen; empty for all.
    """
    with ExitStack() as ends, pytest.MonkeyPatch.context() as patch:
        made = _opened(folder, ends, patch, only=only)
        _play(made)
        made.clock.set(MORNING)
        clock = Heartbeat(made.hub.store, made.clock, kind=ProcessKind.SERVE, label="de stad")
        clock.beat()  # the process that keeps the schedules is there
        yield made


def _opened(
    folder: Path, ends: ExitStack, patch: pytest.MonkeyPatch, *, only: tuple[str, ...]
) -> Town:
    schools: dict[str, School] = {}
    sandboxes: dict[str, SomtodaySandbox | MagisterSandbox | UwlrSandbox] = {}
    text = _HEAD + "".join(_board(name) for name in _BOARDS)
    clock = PatientClock(FIRST)
    for number, (name, system, brin, pupils) in enumerate(_SYSTEMS):
        if only and name not in only:
            continue
        if brin not in schools:
            rights = (_SHARES_BSN if name == MAIN else WIDE, NARROW)
            plan = plan_school(pupils, seed=1 + number, brin=brin, rights=rights)
            schools[brin] = School(plan)
        kind = {"somtoday": SomtodaySandbox, "magister": MagisterSandbox, "uwlr": UwlrSandbox}
        sandbox = kind[system](schools[brin])
        ends.enter_context(sandbox)
        sandbox.now = clock.now
        sandboxes[name] = sandbox
        text += _source(name, system, brin, sandbox, patch)
    initialise(folder, configuration=text)
    hub = Hub.open(Settings.load(folder / "koppelhub.toml", env={}), clock)
    ends.callback(hub.close)
    return Town(hub, clock, schools, sandboxes)


def _board(name: str) -> str:
    title, brins = _BOARDS[name]
    schools = "".join(
        f'[[tenant.school]]\nbrin = "{brin}"\nname = "{_NAMES[brin]}"\n' for brin in brins
    )
    return f'[[tenant]]\nname = "{name}"\ntitle = "{title}"\n{schools}'


def _source(
    name: str,
    system: str,
    brin: str,
    sandbox: SomtodaySandbox | MagisterSandbox | UwlrSandbox,
    patch: pytest.MonkeyPatch,
) -> str:
    tenant = next(board for board, (_, brins) in _BOARDS.items() if brin in brins)
    secret = f"TOWN_{name.upper().replace('-', '_')}"
    options = {"per_second": "0"}
    pgn = also = ""
    if isinstance(sandbox, SomtodaySandbox):
        patch.setenv(secret, sandbox.credentials.client_secret)
        options |= {
            "api_base": sandbox.api_base,
            "token_url": sandbox.token_url,
            "organisation": sandbox.school.uuid,
            "client_id": sandbox.credentials.client_id,
        }
        hidden = "client_secret"
        if name == MAIN:
            pgn = (
                '[[source.pgn]]\npurpose = "rod"\nlegal_basis = "WVO 2020, artikel 8.1"\n'
                "agreed_on = 2026-08-01\n"
            )
    elif isinstance(sandbox, MagisterSandbox):
        patch.setenv(secret, sandbox.account.password)
        options |= {"base_url": sandbox.base_url, "username": sandbox.account.user}
        hidden = "password"
    else:
        patch.setenv(secret, sandbox.grant.sleutel)
        patch.setenv(f"{secret}_CODE", sandbox.grant.klantcode)
        also = f'klantcode = {{ env = "{secret}_CODE" }}\n'
        options |= {
            "endpoint": sandbox.endpoint,
            "klantnaam": sandbox.grant.klantnaam,
            "vestigingen": brin,
        }
        hidden = "autorisatiesleutel"
    lines = "".join(f'{key} = "{value}"\n' for key, value in options.items())
    return (
        f'[[source]]\nname = "{name}"\nsystem = "{system}"\ntenant = "{tenant}"\n'
        f'vestigingen = ["{brin}00", "{brin}01", "{brin}02"]\nschedule = "15 2 * * *"\n{pgn}'
        f'[source.options]\n{lines}{also}{hidden} = {{ env = "{secret}" }}\n'
    )


def _play(town: Town) -> None:
    """Four nights."""
    names = tuple(town.sandboxes)
    for night in range(3):
        town.clock.set(FIRST + night * NIGHT)
        stale = {"vakschool-oost"} if night > 1 else set()
        town.night(*(name for name in names if name not in stale))
    town.clock.set(FIRST + 3 * NIGHT)
    _mishaps(town)
    town.night(*(name for name in names if name != "vakschool-oost"))


def _mishaps(town: Town) -> None:
    if MAIN in town.sandboxes:
        school = town.somtoday().school
        changes, mistakes = Changes(school), Mistakes(school)
        child = school.population.leerling
        mistakes.swap(child(0, 10, year=0), child(0, 11, year=0))
        changes.patch(mistakes.uuid(child(0, 3, year=0)), roepnaam="Sterre")
        for place in range(12, 28):
            key = mistakes.uuid(child(0, place, year=0))
            changes.patch(key, emailadres=f"leerling{place}@nieuw.example")
        town.somtoday().misbehave(faults.ImpossibleDate(path="/leerling", at=2))
    if "de-linde" in town.sandboxes:
        town.sandboxes["de-linde"].stop()
    if "de-regenboog" in town.sandboxes:
        school = town.somtoday("de-regenboog").school
        for place in range(3):
            Changes(school).leave(school.population.leerling(0, place, year=0))
