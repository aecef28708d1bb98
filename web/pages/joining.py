"""Schools that are on their way into the hub: what is done, and what comes next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from starlette.responses import Response

from config.errors import ConfigurationError, KoppelhubError
from config.operators import Role
from config.secret import Secret
from config.sources import Source
from connectors import registry
from connectors.base import Directory, Keeps, Organisation, Setting
from sync_engine.adoption import AdoptionReport
from sync_engine.history import list_runs
from sync_engine.onboarding import Standing, Step, Way, ways
from sync_engine.plans import list_plans
from web.pages import labels
from web.pages.asking import AGAIN, waits
from web.pages.desk import Desk, Page
from web.pages.links import of_koppeling
from web.pages.switching import standing
from web.pages.systems import schools_of, title_of
from web.texts import marked

STEPS: Final = {
    Step.LINK: marked("gekoppeld"),
    Step.AGREEMENT: marked("overeenkomst vastgelegd"),
    Step.CHECK: marked("verbinding en rechten gecontroleerd"),
    Step.ADOPT: marked("overgenomen wat er al stond"),
    Step.PLAN: marked("eerste plan gemaakt"),
    Step.APPLY: marked("eerste plan toegepast"),
    Step.LIVE: marked("draait vanzelf"),
}
STANDINGS: Final = {
    Standing.DONE: marked("klaar"),
    Standing.NEXT: marked("nu"),
    Standing.LATER: marked("later"),
    Standing.OPTIONAL: marked("mag"),
}
SHAPES: Final = {
    Standing.DONE: "good",
    Standing.NEXT: "warning",
    Standing.LATER: "none",
    Standing.OPTIONAL: "none",
}
LAYERS: Final = {
    "network": marked("netwerk"),
    "tls": marked("beveiligde verbinding"),
    "login": marked("inloggen"),
    "rights": marked("rechten"),
    "layout": marked("lijsten van de school"),
    "shape": marked("vorm van de gegevens"),
    "data": marked("gegevens"),
}
"""Layer of a check → what people call it."""
SCHEDULE: Final = "15 2 * * *"
_RUNS: Final = 3


def joining(desk: Desk) -> Response:
    """Every koppeling that has a step to take; all of them where that is asked."""
    every = ways(desk.hub)
    whole = desk.asked("alle") == "1"
    return desk.show(
        "joining.html",
        ways=[way for way in every if whole or way.next is not None],
        whole=whole,
        adds=may_add(desk),
        **_words(),
    )


def may_add(desk: Desk) -> bool:
    """Whether he may add schools and link sources: that is about the whole installation."""
    return desk.may(Role.ADMIN) and desk.is_of_all


def _words() -> dict[str, Any]:
    return {
        "steps": STEPS,
        "standings": STANDINGS,
        "shapes": SHAPES,
        "of_koppeling": of_koppeling,
        "of_joining": of_joining,
        "title_of": title_of,
        "labels": labels,
    }


def of_joining(name: str) -> str:
    """Where a koppeling is brought in."""
    return f"/aansluiten{of_koppeling(name)}"


# -- a school --------------------------------------------------------------------------------------


def new(desk: Desk) -> Response:
    """The form for a school."""
    return shown_new(desk, {})


def shown_new(
    desk: Desk, given: Mapping[str, str], *, error: KoppelhubError | None = None
) -> Response:
    """The form for a school, with what was given and why that was not taken."""
    allowed = desk.hub.actor.tenants
    tenants = [one for one in desk.hub.settings.tenant if allowed is None or one.name in allowed]
    return desk.show(
        "joining_new.html",
        status=200 if error is None else 409,
        tenants=tenants,
        given=given,
        error=error,
        adds=may_add(desk),
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a secret is to be put, for a koppeling that is to be: nobody types one on a page."""

    setting: Setting
    file: str
    env: str


def school(desk: Desk) -> Response:
    """One school: its koppelingen, and the form for another one."""
    return shown_school(desk, desk.name("brin").upper()[:4], {"system": desk.asked("systeem")})


def shown_school(
    desk: Desk, brin: str, given: Mapping[str, str], *, error: KoppelhubError | None = None
) -> Response:
    """A school, with what was given for a new koppeling and why that was not taken."""
    mine = ways(desk.hub, school=brin)
    system = given.get("system", "")
    systems = sorted(registry.find().installed, key=title_of)
    settings: tuple[Setting, ...] = ()
    if system in systems:
        settings = asked_settings(system)
    name = given.get("name") or f"{system}-{brin.lower()}"
    return desk.show(
        "joining_school.html",
        status=200 if error is None else 409,
        brin=brin,
        name=mine[0].name,
        ways=mine,
        systems=systems,
        system=system if system in systems else "",
        plain=[one for one in settings if not one.secret],
        places=[place_of(desk, name, one) for one in settings if one.secret],
        proposed=name,
        given=given,
        error=error,
        adds=may_add(desk),
        known=[each for each in schools_of(desk.hub) if each.brin == brin],
        **_words(),
    )


def asked_settings(system: str) -> tuple[Setting, ...]:
    """What a person is asked of a system: not its organisation, where the system says that."""
    factory = registry.factory(system)
    found = factory.organisation_setting if isinstance(factory, Directory) else None
    return tuple(one for one in factory.manifest.settings if one.name != found)


def place_of(desk: Desk, name: str, setting: Setting) -> Place:
    """Where the hub will look for a secret of a koppeling: a file beside the configuration."""
    origin = desk.hub.settings.origin or Path("koppelhub.toml")
    file = origin.resolve().parent / "secrets" / f"{name}.{setting.name}"
    return Place(setting, str(file), f"{name}_{setting.name}".upper().replace("-", "_"))


def shown_found(
    desk: Desk, brin: str, given: Mapping[str, str], found: Organisation | None
) -> Response:
    """What a system answered to the BRIN, for a person to confirm."""
    return desk.show(
        "joining_found.html",
        brin=brin,
        given=given,
        found=found,
        system=given.get("system", ""),
        title_of=title_of,
    )


# -- a koppeling -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a secret of a koppeling is, and whether it is there now."""

    name: str
    where: str
    is_file: bool
    is_there: bool


def koppeling(desk: Desk) -> Response:
    """One koppeling on its way in: each step with how it stands, and what to do for it."""
    return shown_koppeling(desk, desk.name("koppeling"))


def shown_koppeling(
    desk: Desk,
    name: str,
    *,
    error: KoppelhubError | None = None,
    given: Mapping[str, str] | None = None,
    adoption: AdoptionReport | None = None,
) -> Response:
    """A koppeling, with what was given and why that was not taken, or what would be adopted."""
    source = desk.hub.source(name)
    runs = list_runs(desk.hub, koppeling=name, limit=_RUNS)
    checked = desk.house.checks.last(name)
    waiting = waits(desk, runs[0] if runs else None)
    busy = waiting or (checked is not None and not checked.is_over)
    plans = list_plans(desk.hub, koppelingen=[name], limit=1)
    switch = standing(desk, name)
    return desk.show(
        "joining_koppeling.html",
        status=200 if error is None else 409,
        refresh=int(AGAIN.total_seconds()) if busy and desk.request.method == "GET" else 0,
        source=source,
        way=_way_of(desk, source),
        secrets=_secrets(source),
        checked=checked,
        layers=LAYERS,
        runs=runs,
        waits=waiting,
        plan=plans[0] if plans else None,
        adopts=Keeps.INBOX in desk.hub.manifest(source).keeps,
        adoption=adoption,
        switch=switch,
        in_maintenance=switch.in_maintenance(desk.now),
        given=given or {},
        schedule=SCHEDULE,
        error=error,
        **_words(),
    )


def _way_of(desk: Desk, source: Source) -> Way:
    """Its way, of the first of the schools that it serves."""
    return next(way for way in ways(desk.hub) if way.source == source.name)


def _secrets(source: Source) -> list[Kept]:
    found = []
    for name, option in source.options.items():
        if not isinstance(option, Secret):
            continue
        try:
            is_there = bool(option.resolve())
        except ConfigurationError:
            is_there = False
        where = str(option.file or option.env)
        found.append(Kept(name, where, option.file is not None, is_there))
    return found


PAGES: Final = (
    Page("/aansluiten", joining, "onboarding"),
    Page("/aansluiten/nieuw", new, "onboarding"),
    Page("/aansluiten/scholen/{brin}", school, "onboarding"),
    Page("/aansluiten/koppelingen/{koppeling}", koppeling, "onboarding"),
)
