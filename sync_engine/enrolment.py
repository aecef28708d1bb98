"""Enrolment: schools and koppelingen that commands write into the configuration, step by step.

Each is a fragment of the configuration (config/fragments.py), written only when the whole
configuration is sound with it, and a line in the audit trail. Secrets are references.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from config import fragments
from config.errors import ConfigurationError
from config.nearest import choice
from config.settings import Settings
from connectors import registry
from connectors.base import Directory, Organisation
from sector.identifiers import Brin, InvalidIdentifierError
from sync_engine.audit import note
from sync_engine.errors import SyncError
from sync_engine.hub import Hub
from sync_engine.onboarding import Step, facts_of, missing_before, steps_of

_TYPED: Final = (
    "Laat deze instelling weg: de organisatie wordt bij de BRIN opgezocht, zodat niemand een "
    "verkeerde kan typen."
)


class NotYetError(SyncError):
    """A step comes before this one."""

    refused = True
    default_advice = "Zie `koppelhub onboarding` voor de volgende stap."


@dataclass(frozen=True, slots=True)
class NewSource:
    """A koppeling that is to be made.

    Attributes:
        options: plain settings.
        secrets: setting → where its secret is (`{"env": "NAME"}`).
        vestigingen: vestigingsnummers; empty for all.
    """

    name: str
    system: str
    school: str
    options: Mapping[str, str]
    secrets: Mapping[str, Mapping[str, str]]
    vestigingen: tuple[str, ...] = ()


def add_school(
    hub: Hub, *, tenant: str, brin: str, name: str, title: str | None, contact: str | None
) -> Path:
    """Write a school into the configuration; where it stands now.

    Args:
        hub: the installation.
        tenant: of which it is; a new one is made where a `title` is given.
        brin: of the school.
        name: of the school.
        title: of a new tenant.
        contact: where its weekly report goes.

    Raises: ConfigurationError if it is there already, or something is not as it must be.
    """
    try:
        number = Brin(brin).reveal()
    except InvalidIdentifierError as exc:
        raise ConfigurationError(f"school: brin: {exc.rule}") from None
    known = [one.name for one in hub.settings.tenant]
    if tenant not in known and title is None:
        raise ConfigurationError(
            f"there is no tenant {tenant!r}",
            advice=f"{choice(tenant, known)} Een nieuw bestuur krijgt een naam met --title.",
        )
    if any(s.brin.reveal() == number for t in hub.settings.tenant for s in t.school):
        raise ConfigurationError(
            f"school {number} is in the configuration already",
            advice=f"Zie `koppelhub onboarding --school {number}`.",
        )
    school = {"brin": number, "name": name} | ({"contact": contact} if contact else {})
    table: dict[str, Any] = {"name": tenant} | ({"title": title} if title is not None else {})
    path = _write(hub, f"school-{number}", lambda _: {"tenant": [table | {"school": [school]}]})
    _note(hub, "school add", f"school {number}", f"tenant {tenant}")
    return path


def find_organisation(hub: Hub, new: NewSource) -> Organisation | None:
    """The organisation that a school is in that system; None where the system has no directory.

    Raises: ConfigurationError if the koppeling cannot be made of these settings, the organisation
        was typed, or none or several are found; ConnectorError.
    """
    factory = registry.factory(new.system)
    setting = factory.organisation_setting if isinstance(factory, Directory) else None
    if setting is not None and (setting in new.options or setting in new.secrets):
        raise ConfigurationError(f"{new.system}: {setting} is not typed", advice=_TYPED)
    _check_new(hub, new, found=setting)
    if not isinstance(factory, Directory):
        return None
    brin = new.school.strip().upper()[:4]
    found = factory.organisations(new.options, brin=brin, clock=hub.clock)
    if len(found) != 1:
        many = "no" if not found else "more than one"
        raise ConfigurationError(
            f"{new.system}: {many} organisation lists school {brin}",
            advice="Vraag de leverancier onder welke BRIN deze school bij hem staat.",
        )
    return found[0]


def link_source(hub: Hub, new: NewSource, organisation: Organisation | None) -> Path:
    """Write a koppeling into the configuration; it reads nothing yet. Where it stands now.

    Raises: ConfigurationError if one of that name is there, or a setting is not as it must be.
    """
    options: dict[str, Any] = dict(new.options)
    factory = registry.factory(new.system)
    found: str | None = None
    if organisation is not None and isinstance(factory, Directory):
        found = factory.organisation_setting
        options[found] = organisation.key
    options |= {name: dict(where) for name, where in new.secrets.items()}
    tenant = _check_new(hub, new, found=found)
    table: dict[str, Any] = {"name": new.name, "system": new.system, "tenant": tenant}
    if new.vestigingen:
        table["vestigingen"] = list(new.vestigingen)
    table["options"] = options
    path = _write(hub, f"source-{new.name}", lambda _: {"source": [table]})
    why = "" if organisation is None else f"organisation {organisation.key} of {new.school}"
    _note(hub, "source link", f"koppeling {new.name}", why)
    return path


def agree(hub: Hub, name: str, *, on: date, basis: str, purpose: str) -> Path:
    """Record that the school agreed; where it stands now. Raises: ConfigurationError."""
    hub.source(name)
    agreement = {"on": on, "basis": basis, "purpose": purpose}
    path = _change(hub, name, {"agreement": agreement})
    _note(hub, "source agree", f"koppeling {name}", f"{on.isoformat()} {basis}")
    return path


def go_live(hub: Hub, name: str, *, schedule: str) -> Path:
    """Let a koppeling run by itself; where that stands now.

    Raises: NotYetError if a step comes before it; ConfigurationError.
    """
    source = hub.source(name)
    steps = steps_of(source, facts_of(hub), school="", production=hub.settings.production)
    if before := missing_before(steps, Step.LIVE):
        raise NotYetError(
            f"koppeling {name}: a step comes first: {before.step}",
            advice=f"Eerst: {before.title}. {before.command}",
        )
    path = _change(hub, name, {"schedule": schedule})
    _note(hub, "source live", f"koppeling {name}", schedule)
    return path


# -- the configuration -----------------------------------------------------------------------------


def _tenant_of(settings: Settings, school: str) -> str:
    brin = school.strip().upper()[:4]
    found = [t.name for t in settings.tenant if any(s.brin.reveal() == brin for s in t.school)]
    if not found:
        raise ConfigurationError(
            f"there is no school {brin}", advice="Voeg haar eerst toe met `koppelhub school add`."
        )
    if len(found) > 1:
        raise ConfigurationError(
            f"school {brin} is of more than one tenant: {', '.join(found)}",
            advice="Schrijf deze koppeling zelf in koppelhub.toml, als [[source]] met het bestuur "
            "(tenant) en de vestigingen waar zij van is.",
        )
    return found[0]


def _check_new(hub: Hub, new: NewSource, *, found: str | None) -> str:
    """The tenant of a koppeling that may be made.

    Args:
        hub: the installation.
        new: the koppeling.
        found: the setting that is looked up.

    Raises: ConfigurationError if one of that name is there, there is no such school, or the system
        does not know a setting, or misses one.
    """
    if any(source.name == new.name for source in hub.settings.source):
        raise ConfigurationError(
            f"there is a koppeling {new.name!r} already",
            advice="Geef de nieuwe koppeling een andere naam.",
        )
    tenant = _tenant_of(hub.settings, new.school)
    manifest = registry.factory(new.system).manifest
    known = {setting.name: setting for setting in manifest.settings}
    for name in (*new.options, *new.secrets):
        if name not in known:
            raise ConfigurationError(
                f"{new.system} has no setting {name!r}", advice=choice(name, known)
            )
        if known[name].secret and name in new.options:
            raise ConfigurationError(
                f"{new.system}: {name} is a secret; give a reference to it",
                advice=f"Schrijf --secret {name}=env:NAAM of --secret {name}=file:PAD.",
            )
    given = {*new.options, *new.secrets, found}
    missing = [s.name for s in manifest.settings if s.required and s.name not in given]
    if missing:
        raise ConfigurationError(
            f"{new.system}: missing: {', '.join(missing)}",
            advice="Geef ze met --set NAAM=WAARDE, of een geheim met --secret NAAM=env:NAAM.",
        )
    return tenant


def _change(hub: Hub, name: str, values: Mapping[str, Any]) -> Path:
    """Lay values over a koppeling, in its own fragment."""

    def edit(tables: dict[str, Any]) -> dict[str, Any]:
        listed = tables.get("source", [])
        mine: Sequence[dict[str, Any]] = [one for one in listed if one.get("name") == name]
        others = [one for one in listed if one.get("name") != name]
        table = {**(mine[0] if mine else {"name": name}), **values}
        return {**tables, "source": [*others, table]}

    return _write(hub, f"source-{name}", edit)


def _write(hub: Hub, name: str, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> Path:
    main = hub.settings.origin
    if main is None:
        raise ConfigurationError("these settings were not read from a file")
    return fragments.change(main, name, edit, check=lambda draft: Settings.load(main, draft=draft))


def _note(hub: Hub, action: str, subject: str, why: str) -> None:
    with hub.store.work() as work:
        note(hub, work, operator=hub.actor.name, action=action, subject=subject, why=why)
