"""A school comes in, step by step, on the page: each act is the function of its command."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

from starlette.responses import Response

from config.errors import KoppelhubError
from config.operators import Role
from sync_engine.adoption import AdoptionReport, adopt
from sync_engine.enrolment import (
    NewSource,
    add_school,
    agree,
    find_organisation,
    go_live,
    link_source,
)
from sync_engine.errors import SyncError
from sync_engine.options import Options
from web.pages.asking import queued
from web.pages.desk import Desk, act
from web.pages.joining import (
    asked_settings,
    of_joining,
    place_of,
    shown_found,
    shown_koppeling,
    shown_new,
    shown_school,
)

_PATIENCE: Final = timedelta(seconds=15)
"""How long a page waits for a check; after that it shows the answer when it is there."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}").fullmatch
_OPTION: Final = "set."


# -- a school and its koppeling --------------------------------------------------------------------


def add(desk: Desk) -> Response:
    """Write a school into the configuration."""
    given = desk.form
    tenant, title = given.get("tenant", ""), None
    if not tenant:
        tenant, title = given.get("new_tenant", ""), given.get("title", "")
    try:
        add_school(
            desk.hub,
            tenant=tenant,
            brin=given.get("brin", ""),
            name=given.get("name", ""),
            title=title,
            contact=given.get("contact") or None,
        )
    except KoppelhubError as error:
        return shown_new(desk, given, error=error)
    return desk.go(f"/aansluiten/scholen/{given.get('brin', '').upper()}")


def find(desk: Desk) -> Response:
    """Ask the system which organisation the school is; nothing is written yet."""
    brin = desk.name("brin").upper()[:4]
    try:
        found = find_organisation(desk.hub, _new_source(desk, brin))
    except KoppelhubError as error:
        return shown_school(desk, brin, desk.form, error=error)
    return shown_found(desk, brin, desk.form, found)


def link(desk: Desk) -> Response:
    """Write the koppeling, of the organisation that was shown and confirmed."""
    brin = desk.name("brin").upper()[:4]
    try:
        new = _new_source(desk, brin)
        found = find_organisation(desk.hub, new)
        if (found.key if found is not None else "") != desk.form.get("found", ""):
            raise SyncError(
                "the system names another organisation than was shown",
                advice="Het systeem noemt nu een andere organisatie dan u zag. Zoek opnieuw.",
            )
        link_source(desk.hub, new, found)
    except KoppelhubError as error:
        return shown_school(desk, brin, desk.form, error=error)
    return desk.go(of_joining(new.name))


def _new_source(desk: Desk, brin: str) -> NewSource:
    """What was filled in; of a secret only where it will be.

    Raises: SyncError; ConfigurationError.
    """
    given = desk.form
    name, system = given.get("name", ""), given.get("system", "")
    if _NAME(name) is None:
        raise SyncError(
            "the name of a koppeling has small letters, digits, - and _",
            advice="Kies een naam van kleine letters, cijfers, streepjes en lage strepen.",
        )
    options, secrets = {}, {}
    for setting in asked_settings(system):
        if not setting.secret:
            if value := given.get(f"{_OPTION}{setting.name}", ""):
                options[setting.name] = value
        elif setting.required or given.get(f"secret.{setting.name}"):
            place = place_of(desk, name, setting)
            as_file = given.get("secrets") != "env"
            secrets[setting.name] = {"file": place.file} if as_file else {"env": place.env}
    vestigingen = tuple(given.get("vestigingen", "").upper().replace(",", " ").split())
    return NewSource(name, system, brin, options, secrets, vestigingen)


# -- its steps -------------------------------------------------------------------------------------


def agreed(desk: Desk) -> Response:
    """Record that the school agreed."""
    name, given = desk.name("koppeling"), desk.form
    try:
        agree(
            desk.hub,
            name,
            on=_day(given),
            basis=given.get("basis", ""),
            purpose=given.get("purpose", ""),
        )
    except KoppelhubError as error:
        return shown_koppeling(desk, name, error=error, given=given)
    return desk.go(of_joining(name))


def _day(given: Mapping[str, str]) -> date:
    try:
        return date.fromisoformat(given.get("on", ""))
    except ValueError:
        raise SyncError(
            "the day of the agreement is no day", advice="Kies de dag van de overeenkomst."
        ) from None


def check(desk: Desk) -> Response:
    """Check network, login and rights; what is not there in time is shown when it is."""
    name = desk.name("koppeling")
    found = desk.house.checks.ask(desk.hub, name, within=_PATIENCE)
    return desk.go(f"{of_joining(name)}{'#controle' if found.is_over else ''}")


def preview_adoption(desk: Desk) -> Response:
    """What would be taken over of what stood in the core before; nothing is."""
    name = desk.name("koppeling")
    return shown_koppeling(desk, name, adoption=_adopted(desk, name, dry=True))


def take_over(desk: Desk) -> Response:
    """Take it over."""
    name = desk.name("koppeling")
    return shown_koppeling(desk, name, adoption=_adopted(desk, name, dry=False))


def _adopted(desk: Desk, name: str, *, dry: bool) -> AdoptionReport:
    schools = desk.hub.schools(name, desk.form.get("school", "").split())
    return adopt(
        desk.hub,
        name,
        schools,
        operator=desk.operator,
        numbers_of=desk.form.get("numbers_of", ""),
        dry=dry,
    )


def plan(desk: Desk) -> Response:
    """Ask for a run that stops before it applies anything; the page shows it when it is there."""
    name = desk.name("koppeling")
    try:
        newest = queued(desk, name, Options(plan_only=True, operator=desk.operator))
    except KoppelhubError as error:
        return shown_koppeling(desk, name, error=error)
    # no fragment: a browser does not renew a page that is asked by one
    return desk.go(f"{of_joining(name)}?na={newest}")


def live(desk: Desk) -> Response:
    """Let it run by itself."""
    name, given = desk.name("koppeling"), desk.form
    try:
        go_live(desk.hub, name, schedule=given.get("schedule", ""))
    except KoppelhubError as error:
        return shown_koppeling(desk, name, error=error, given=given)
    return desk.go(of_joining(name))


_AT: Final = "/aansluiten/koppelingen/{koppeling}"
_OF: Final = "/aansluiten/scholen/{brin}"
PAGES: Final = (
    act("/aansluiten/nieuw", add, "school add", least=Role.ADMIN, of_all=True),
    act(f"{_OF}/zoek", find, "source link", least=Role.ADMIN, of_all=True),
    act(f"{_OF}/koppel", link, "source link", least=Role.ADMIN, of_all=True),
    act(f"{_AT}/overeenkomst", agreed, "source agree", least=Role.ADMIN),
    act(f"{_AT}/controle", check, "connectors check", least=Role.READ),
    act(f"{_AT}/overnemen", preview_adoption, "adopt", least=Role.ADMIN),
    act(f"{_AT}/overnemen/doen", take_over, "adopt", least=Role.ADMIN),
    act(f"{_AT}/plan", plan, "sync"),
    act(f"{_AT}/live", live, "source live", least=Role.ADMIN),
)
