"""Resync by hand: a leerling, a groep, an entity or a school, from all koppelingen that have it.

Each koppeling gets a run of its own, by hand: exempt from permitted hours, counted in the rate
budget. One that fails or is busy does not stop the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from config.errors import ConfigurationError, KoppelhubError
from config.nearest import choice
from config.sources import Source
from connectors.base import Capability, Resource
from mappings.canonical.fields import Entity
from sync_engine.admission import at_the_keyboard
from sync_engine.audit import note
from sync_engine.errors import SyncError
from sync_engine.hub import Hub
from sync_engine.options import Kind, Options, Progress
from sync_engine.outcome import ExitCode, RunReport
from sync_engine.runs import run

_WORST: Final = (
    ExitCode.FAILED,
    ExitCode.LATER,
    ExitCode.REFUSED,
    ExitCode.HELD,
    ExitCode.PARTIAL,
    ExitCode.DONE,
)


@dataclass(frozen=True, slots=True)
class Part:
    """What one koppeling is asked.

    Attributes:
        says: in Dutch: what is read of it, and how much where it is more than what was asked.
    """

    koppeling: str
    says: str
    options: Options


@dataclass(slots=True)
class Done:
    """What one koppeling did; `report` is None where its run did not begin.

    Attributes:
        remarks: what is out of the ordinary, and did not keep it from running (Dutch).
    """

    koppeling: str
    says: str
    seconds: float
    report: RunReport | None = None
    error: str = ""
    advice: str = ""
    code: ExitCode = ExitCode.DONE
    remarks: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Resync:
    """What a resync did."""

    what: str
    parts: list[Done] = field(default_factory=list)

    @property
    def exit_code(self) -> ExitCode:
        """The worst of its parts."""
        codes = {part.code for part in self.parts}
        return next(code for code in _WORST if code in codes or code is ExitCode.DONE)


# -- what to ask -----------------------------------------------------------------------------------


def of_leerling(hub: Hub, core_id: int) -> list[Part]:
    """Every koppeling that knows a leerling, and those that serve his vestiging and may know him.

    Raises: SyncError if nobody serves him.
    """
    known = _knowing(hub, Entity.LEERLING, core_id)
    schools = _schools(hub, core_id)
    parts = [_known_pupil(hub, source, core_id) for source in known]
    for source in hub.sources():
        numbers = [n for n in schools if source in hub.sources_of(n)]
        if source in known or not numbers or source.tenant not in {s.tenant for s in known}:
            continue
        resources = resources_of(hub, source, Entity.LEERLING)
        if resources and hub.manifest(source).adds:  # it knows him by his hub key
            parts.append(_known_pupil(hub, source, core_id))
        elif resources:
            says = f"kent hem nog niet: alle leerlingen van {', '.join(numbers)} worden gelezen"
            options = Options(resources=resources, brins=tuple(numbers), by_hand=True)
            parts.append(Part(source.name, says, options))
    return _some(parts, "no koppeling of the configuration knows this leerling")


def _known_pupil(hub: Hub, source: Source, core_id: int) -> Part:
    options = Options(kind=Kind.ONLY, pupils=(core_id,), by_hand=True)
    alone = {r.name for r in _resources(hub, source) if Capability.LOOKUP in r.capabilities}
    scopes = _standing(hub, source.name, core_id, without=alone)
    if not scopes:
        return Part(source.name, "alleen hij en zijn verzorgers worden opgevraagd", options)
    listed = ", ".join(f"{label or resource} ({count})" for resource, label, count in scopes)
    says = f"kan geen losse leerling leveren: wat hem bevat wordt gelezen tot hij er is: {listed}"
    return Part(source.name, says, options)


def of_groep(hub: Hub, core_id: int) -> list[Part]:
    """Every koppeling that knows a groep. Raises: SyncError if none does."""
    options = Options(kind=Kind.ONLY, groups=(core_id,), by_hand=True)
    says = "de groep en wie erin zit worden opgevraagd"
    known = _knowing(hub, Entity.GROEP, core_id)
    return _some(
        [Part(source.name, says, options) for source in known],
        "no koppeling of the configuration knows this groep",
    )


def of_entity(hub: Hub, entity: Entity, schools: Sequence[str]) -> list[Part]:
    """Every koppeling that brings an entity, of some schools or of all.

    Raises: SyncError if none does; ConfigurationError if there is no such school.
    """
    parts = []
    for source, brins in _serving(hub, schools):
        resources = resources_of(hub, source, entity)
        if resources:
            options = Options(resources=resources, brins=brins, by_hand=True)
            parts.append(Part(source.name, f"gelezen wordt: {', '.join(resources)}", options))
    return _some(parts, f"no koppeling brings {entity}")


def of_school(hub: Hub, schools: Sequence[str]) -> list[Part]:
    """Every koppeling that serves these schools, whole.

    Raises: ConfigurationError if there is no such school; SyncError if nothing serves it.
    """
    return _some(
        [
            Part(source.name, "alles van deze school wordt gelezen", Options(brins=b, by_hand=True))
            for source, b in _serving(hub, schools)
        ],
        "no koppeling serves this school",
    )


def _serving(hub: Hub, schools: Sequence[str]) -> list[tuple[Source, tuple[str, ...]]]:
    """Koppelingen with the schools that each of them serves; all of them where none is named.

    Who was read before and never listed a part of a school is not asked for it: its run would fail.

    Raises: ConfigurationError if there is no such school, or nobody ever listed it.
    """
    if not schools:
        return [(source, ()) for source in hub.sources()]
    found: dict[str, list[str]] = {}
    for school in schools:
        serving = hub.sources_of(school)
        listed = {source.name: _listed(hub, source) for source in serving}
        names = [name.strip().upper() for name in hub.names_of(school)]
        asked = [s for s in serving if _may_list(listed[s.name], names)]
        if serving and not asked:
            known = dict.fromkeys(number for each in listed.values() for number in each)
            raise ConfigurationError(
                f"no koppeling lists a part of school {names[0]}",
                advice=f"{choice(names[0], known)} Is zij nieuw in de bron, lees dan alles: "
                f"`koppelhub sync --source {serving[0].name}`.",
            )
        for source in asked:
            found.setdefault(source.name, []).extend(hub.schools(source.name, [school]))
    return [(hub.source(name), tuple(brins)) for name, brins in found.items()]


def _may_list(listed: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a part of a school may be among what a koppeling lists; unread, it may be."""
    return not listed or any(number.startswith(name) for number in listed for name in names)


def _listed(hub: Hub, source: Source) -> list[str]:
    """The BRINs and vestigingsnummers of the parts that a koppeling listed; empty where unknown."""
    with hub.store.work() as work:
        rows = work.execute(
            "SELECT DISTINCT s.brins FROM scope s JOIN koppeling k ON k.id = s.koppeling_id "
            "WHERE k.name = ? AND NOT s.adopted AND s.ended_run IS NULL",
            (source.name,),
        )
    every = [number for (text,) in rows for number in msgspec.json.decode(text, type=list[str])]
    return list(dict.fromkeys(every))


def resources_of(hub: Hub, source: Source, entity: Entity) -> tuple[str, ...]:
    """The resources of a koppeling that bring an entity, of those that it reads by itself."""
    rows = hub.mapping(source.system).describe()
    bringing = {row.resource for row in rows if row.entity is entity} or {str(entity)}
    chosen = [
        resource.name
        for resource in _resources(hub, source)
        if (resource.name in source.resources if source.resources else not resource.optional)
    ]
    return tuple(name for name in chosen if name in bringing)


def _resources(hub: Hub, source: Source) -> Sequence[Resource]:
    connector = hub.connect(source, hub.clock)
    try:
        return connector.manifest.resources
    finally:
        connector.close()


def _knowing(hub: Hub, entity: Entity, core_id: int) -> list[Source]:
    """The configured koppelingen that have a record."""
    with hub.store.work() as work:
        rows = work.execute(
            "SELECT DISTINCT k.name FROM link l JOIN koppeling k ON k.id = l.koppeling_id "
            "WHERE l.core_id = ? AND l.entity = ?",
            (core_id, str(entity)),
        )
    names = {row[0] for row in rows}
    return [source for source in hub.sources() if source.name in names]


def _schools(hub: Hub, core_id: int) -> list[str]:
    """The vestigingsnummers where a leerling is placed, that the configuration has."""
    today = hub.today()
    with hub.store.work() as work:
        rows = work.execute(
            "SELECT DISTINCT v.vestigingsnummer, v.brins FROM inschrijving i "
            "JOIN vestiging v ON v.id = i.vestiging_id WHERE i.leerling_id = ? "
            "AND (i.geldig_tot IS NULL OR i.geldig_tot > ?)",
            (core_id, today),
        )
    numbers: dict[str, None] = {}
    for number, brins in rows:
        listed = msgspec.json.decode(brins, type=list[str]) if brins else []
        numbers.update(dict.fromkeys(filter(None, [number, *listed])))
    found = []
    for number in numbers:
        try:
            hub.sources_of(number)
        except ConfigurationError:
            continue
        found.append(number)
    return found


def _standing(
    hub: Hub, koppeling: str, core_id: int, *, without: set[str]
) -> list[tuple[str, str, int]]:
    """(resource, label, records) of the scopes that hold him and cannot be asked for him alone."""
    with hub.store.work() as work:
        rows = work.execute(
            "SELECT DISTINCT p.resource, p.label, p.complete_count FROM koppeling k "
            "JOIN link l ON l.koppeling_id = k.id JOIN shadow s ON s.koppeling_id = l.koppeling_id "
            "AND s.entity = l.entity AND s.source_key = l.source_key "
            "JOIN scope p ON p.id = s.scope_id WHERE k.name = ? AND l.entity = 'leerling' "
            "AND l.core_id = ? AND NOT s.received_gone AND p.ended_run IS NULL "
            "ORDER BY p.resource, p.label",
            (koppeling, core_id),
        )
    return [(row[0], row[1], row[2]) for row in rows if row[0] not in without]


def _some(parts: list[Part], otherwise: str) -> list[Part]:
    if not parts:
        raise SyncError(otherwise, advice="Zie `koppelhub connectors check` en de configuratie.")
    return parts


# -- asking it -------------------------------------------------------------------------------------


def resync(
    hub: Hub,
    parts: Sequence[Part],
    *,
    what: str,
    operator: str,
    action: str = "resync",
    dry: bool = False,
    progress: Progress | None = None,
    told: Callable[[Done], None] | None = None,
) -> Resync:
    """Run every part, one koppeling after another, and put in the audit trail who asked.

    Args:
        hub: of the koppelingen.
        parts: what each is asked.
        what: hub key or number of the school that it is about; no name.
        operator: who asks.
        action: what the audit trail calls it.
        dry: show what would change, and change nothing.
        progress: told what goes on.
        told: is handed each part as it is done.
    """
    found = Resync(what)
    with hub.store.work() as work:
        note(hub, work, operator=operator, action=action, subject=what)
    for part in parts:
        done = _asked(hub, part, operator=operator, dry=dry, progress=progress)
        found.parts.append(done)
        if told is not None:
            told(done)
    return found


def _asked(hub: Hub, part: Part, *, operator: str, dry: bool, progress: Progress | None) -> Done:
    began = time.monotonic()
    done = Done(part.koppeling, part.says, 0.0)
    try:
        options = replace(part.options, operator=operator, dry=dry)
        source = hub.source(part.koppeling)
        with at_the_keyboard(hub, source, options.kind) as done.remarks:
            done.report = run(hub, part.koppeling, options, progress=progress)
        done.code = done.report.exit_code
    except KoppelhubError as error:
        done.error, done.advice = str(error), error.advice
        retryable = getattr(error, "retryable", False) is True
        done.code = ExitCode.LATER if retryable else ExitCode.FAILED
    done.seconds = round(time.monotonic() - began, 1)
    return done
