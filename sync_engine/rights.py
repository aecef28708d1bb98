"""What a person may ask for who may act for some schools of a tenant only.

What he may see is laid over the store (reach.py); here stands what he may do. A command that is not
listed concerns tenants whole, and is refused to who has his role for schools alone. A run that he
asks for is judged before it begins, by the records that it names: whatever asks, and wherever the
run is carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import msgspec

from config.errors import KoppelhubError
from config.operators import Role
from sync_engine.actor import Actor, named_actor
from sync_engine.audit import note
from sync_engine.cases import candidates_of, find_case
from sync_engine.errors import NoRightError, SyncError
from sync_engine.hub import Hub
from sync_engine.nearby import near_numbers
from sync_engine.options import Apart, Kind, Options
from sync_engine.outcome import RunReport
from sync_engine.reach import ELSEWHERE, seen_among, served
from sync_engine.store.work import Work

OF_SCHOOLS: Final = frozenset(
    {"case assign", "case close", "case create", "case decisions", "case ignore", "case lift"}
    | {"case link", "case link-all", "case list", "case merge", "case note", "case show"}
    | {"case split", "connectors check", "cursor clear", "cursor show", "diff", "health"}
    | {"jobs", "onboarding", "pin lift", "pin list", "pin set", "plan apply", "plan approve"}
    | {"plan list", "plan refuse", "plan show", "quarantine list", "quarantine retry"}
    | {"refused lift", "refused list", "replay", "report weekly", "run show", "run undo", "runs"}
    | {"source list", "source maintenance", "source off", "source on", "status", "sync", "todo"}
    | {"explain", "history", "resync", "state"}
)
"""Commands, and groups with one command for each entity, that know what belongs to a school."""

_PLANS_WHAT_WAITS: Final = frozenset({Kind.FULL, Kind.DELTA, Kind.ONLY, Kind.REPLAY})
"""Kinds of runs that use what was received before, whoever asks."""
_WAITING: Final = "s.plan_id = ? AND (s.state = 'held' OR p.state = 'open')"
_APPLIED: Final = "s.run_id = ? AND p.applied"


def acting(actor: Actor, command: str, least: Role | None) -> Actor:
    """A person as he gives a command: only for whom he has the role that it needs.

    Raises: NoRightError if he has it for nobody, or for schools while it concerns tenants whole.
    """
    group = command.partition(" ")[0]
    apart = command in OF_SCHOOLS or group in OF_SCHOOLS
    found = actor.acting(least, whole=not apart)
    if least is None or not actor.may(least):
        return found
    if found.role is None or (actor.is_limited and found.tenants == frozenset() and not apart):
        raise NoRightError(
            f"{actor.name} has the role {least} for some schools only; {command!r} is about all "
            "of a tenant",
            advice=f"Vraag het aan een collega met de rol {least} voor het hele bestuur.",
        )
    return found


def reminder(actor: Actor, everywhere: Actor) -> str:
    """What to say with an answer that there is no such thing (Dutch); empty for nothing.

    Args:
        actor: as he gives his command.
        everywhere: with all his roles: he may see more than he may change.
    """
    if (actor.tenants, actor.schools) == (everywhere.tenants, everywhere.schools):
        return ""
    return f"U hebt deze rollen: {'; '.join(map(str, everywhere.grants))}."


def check_source(hub: Hub, name: str) -> None:
    """Do nothing where the actor may act for all that a koppeling serves.

    Raises: NoRightError; ConfigurationError if there is no such koppeling that he may see.
    """
    with _noted(hub, f"koppeling {name}"):
        _check_source(hub, name)


def check_tenant_of(hub: Hub, name: str) -> None:
    """Do nothing where the actor may act for the whole tenant of a koppeling.

    Raises: NoRightError; ConfigurationError if there is no such koppeling that he may see.
    """
    source, reach = hub.source(name), hub.reach
    if reach is None or source.tenant in reach.tenants:
        return
    with _noted(hub, f"koppeling {name}"):
        raise NoRightError(
            f"{hub.actor.name} may act for some schools only; what is delivered to {name} is of "
            "all of a tenant",
            advice="Een koppeling levert voor een heel bestuur. Vraag het aan een collega die voor "
            "het hele bestuur mag werken.",
        )


def check_plan(hub: Hub, name: str, plan_id: int) -> None:
    """Do nothing where the actor may decide on what waits in a plan of a koppeling.

    Raises: NoRightError.
    """
    if hub.actor.is_limited:
        with _noted(hub, f"plan {plan_id}"), hub.store.work() as work:
            _check_steps(hub, work, name, _WAITING, plan_id)


@contextmanager
def _noted(hub: Hub, subject: str) -> Iterator[None]:
    """Put in the audit trail that he tried what he may not."""
    try:
        yield
    except NoRightError as error:
        with hub.store.work() as work:
            operator = hub.actor.name
            note(hub, work, operator=operator, action="refused", subject=subject, why=str(error))
        raise


def _check_source(hub: Hub, name: str) -> None:
    source, reach = hub.source(name), hub.reach
    if reach is None or reach.has_whole(hub.settings, source):
        return
    schools = ", ".join(served(hub.settings, source))
    raise NoRightError(
        f"{hub.actor.name} may act for a part of what {name} serves; this is about all of it",
        advice=f"Dit geldt voor alle scholen van {name}. Vraag het aan een collega met de rol "
        f"{Role.HELPDESK} voor al die scholen: {schools}.",
    )


def checked_run(hub: Hub, name: str, options: Options) -> Options:
    """What the actor may ask, as the run is to do it; of who may act for tenants whole it is that.

    Raises: NoRightError; SyncError and the like, as for a record that there is not, where it names
        one of another school.
    """
    if hub.actor.is_limited:
        with _noted(hub, f"koppeling {name}"):
            _check_run(hub, name, options)
        if options.kind in _PLANS_WHAT_WAITS:
            return replace(options, apart=_apart(hub, name))
    return options


def as_seen(hub: Hub, report: RunReport) -> RunReport:
    """What a run did, for who asked it: records of other schools are not named."""
    if hub.actor.is_limited and report.doubts:
        with hub.store.work() as work:
            seen = seen_among(work, [d.core_id for d in report.doubts if d.core_id is not None])
        report.doubts = [
            doubt
            if doubt.core_id in seen
            else replace(doubt, core_id=None, source="" if doubt.core_id is None else ELSEWHERE)
            for doubt in report.doubts
        ]
    return report


def _apart(hub: Hub, name: str) -> Apart | None:
    """What of a koppeling is left as it is; None where its tenant is his whole."""
    source, reach = hub.source(name), hub.reach
    if reach is None or source.tenant in reach.tenants:
        return None
    with hub.store.work() as work:
        hidden = _hidden_scopes(work, hub.koppeling(name).id)
    unsaid = reach.has_whole(hub.settings, source)
    return Apart(tuple(hidden), tuple(sorted(reach.schools)), unsaid)


def may_switch(hub: Hub, name: str) -> bool:
    """Whether the actor may do, as helpdesk, what is about all that a koppeling serves."""
    return _may(hub, name, lambda own, _: _check_source(own, name))


def may_decide(hub: Hub, name: str, plan_id: int) -> bool:
    """Whether the actor may say yes or no to what waits in a plan of a koppeling."""
    return _may(hub, name, lambda own, work: _check_steps(own, work, name, _WAITING, plan_id))


def may_undo(hub: Hub, name: str, run_id: int) -> bool:
    """Whether the actor may undo a run of a koppeling."""
    return _may(hub, name, lambda own, work: _check_steps(own, work, name, _APPLIED, run_id))


def may_touch(hub: Hub, case_id: int) -> bool:
    """Whether the actor may do, as helpdesk, something with a case."""
    if not hub.actor.may(Role.HELPDESK):
        return False
    own = replace(hub, actor=hub.actor.acting(Role.HELPDESK))
    try:
        with own.store.work() as work:
            find_case(own, work, case_id)
    except KoppelhubError:
        return False
    return True


def _may(hub: Hub, name: str, judge: Callable[[Hub, Work], None]) -> bool:
    """Whether the actor as helpdesk may act for a koppeling, and a part of it is judged so."""
    if not hub.actor.may(Role.HELPDESK):
        return False
    own = replace(hub, actor=hub.actor.acting(Role.HELPDESK))
    try:
        own.source(name)
        if own.actor.is_limited:
            with own.store.work() as work:
                judge(own, work)
    except KoppelhubError:
        return False
    return True


def as_asked(hub: Hub, operator: str) -> Hub:
    """The hub as somebody uses it for whom the system carries out what he asked before.

    Of who may act for some schools only his rights are those of now.
    """
    actor = named_actor(hub.settings, operator, origin=hub.actor.origin)
    return replace(hub, actor=actor.acting(Role.HELPDESK)) if actor.is_limited else hub


def _hidden_scopes(work: Work, koppeling_id: int) -> dict[int, list[str]]:
    """Scopes of a koppeling that are of other schools too, with all schools that they are of."""
    rows = work.execute(
        f"SELECT id, brins FROM {work.real('scope')} WHERE koppeling_id = ? "
        "AND id NOT IN (SELECT id FROM scope) ORDER BY id",
        (koppeling_id,),
    )
    return {number: msgspec.json.decode(brins, type=list[str]) for number, brins in rows}


def _check_run(hub: Hub, name: str, options: Options) -> None:
    with hub.store.work() as work:
        match options.kind:
            case Kind.FULL | Kind.DELTA:
                _check_schools(hub, name, options.brins)
            case Kind.REPLAY if options.quarantine and options.only:
                _check_quarantined(work, hub.koppeling(name).id, options.only)
            case Kind.REPLAY:
                _check_schools(hub, name, options.brins)
            case Kind.ONLY:
                _check_looked_up(hub, work, name, options)
            case Kind.APPLY | Kind.REFUSE:
                _check_steps(hub, work, name, _WAITING, options.approved or options.refused or 0)
            case Kind.UNDO:
                _check_steps(hub, work, name, _APPLIED, options.undone or 0)
            case Kind.REFOLD:
                _check_cores(work, options.cores)
            case Kind.DECIDE:
                _check_decision(hub, work, name, options)
            case _:
                _check_source(hub, name)


def _check_schools(hub: Hub, name: str, schools: Sequence[str]) -> None:
    reach = hub.reach
    tenant = hub.source(name).tenant
    if reach is None or tenant in reach.tenants:
        return
    if not schools or not all(reach.covers(number) for number in schools):
        _check_source(hub, name)
    number = hub.koppeling(name).id
    with hub.store.work() as work:
        own = work.execute("SELECT 1 FROM scope WHERE koppeling_id = ? LIMIT 1", (number,))
        hidden = _hidden_scopes(work, number)
    if not own and any(reach.shares(numbers) for numbers in hidden.values()):
        raise _others(hub, name)  # it brings schools together, and none alone


def _check_looked_up(hub: Hub, work: Work, name: str, options: Options) -> None:
    """Records that a source is asked for: those that stand in his scopes."""
    _check_cores(work, (*options.pupils, *options.groups))
    if not options.only:
        return
    number = hub.koppeling(name).id
    for key in options.only:
        if not work.execute(
            "SELECT 1 FROM source_record r JOIN scope p ON p.id = r.scope_id "
            "WHERE p.koppeling_id = ? AND r.source_key = ? LIMIT 1",
            (number, key),
        ):
            _check_source(hub, name)


def _check_quarantined(work: Work, koppeling_id: int, keys: Iterable[str]) -> None:
    for key in keys:
        if not work.execute(
            "SELECT 1 FROM quarantine q JOIN scope p ON p.id = q.scope_id "
            "WHERE p.koppeling_id = ? AND q.source_key = ? LIMIT 1",
            (koppeling_id, key),
        ):
            raise SyncError(
                "no record with that key is in quarantine",
                advice="Zie `koppelhub quarantine list`.",
            )


def _check_steps(hub: Hub, work: Work, name: str, which: str, number: int) -> None:
    """Raises: NoRightError if a plan or run has steps of records that are not his."""
    counts = [
        work.execute(
            f"SELECT COUNT(*) FROM {step} s JOIN {work.real('plan')} p ON p.id = s.plan_id "
            f"WHERE {which}",
            (number,),
        )[0][0]
        for step in (work.real("step"), "step")
    ]
    if counts[0] != counts[1]:
        raise _others(hub, name)


def _others(hub: Hub, name: str) -> NoRightError:
    schools = ", ".join(served(hub.settings, hub.source(name)))
    return NoRightError(
        f"{hub.actor.name} may act for a part of the schools that this touches",
        advice="Dit raakt ook records van een andere school. Vraag het aan een collega met de rol "
        f"{Role.HELPDESK} voor alle scholen van {name}: {schools}.",
    )


def _check_cores(work: Work, cores: Iterable[int], *, entity: str = "leerling") -> None:
    for core_id in cores:
        if not _sees(work, core_id):
            raise SyncError(
                f"there is no {entity} with that key",
                advice="Neem de sleutel over zoals `koppelhub explain` of `case show` hem toont.",
            )


def _check_decision(hub: Hub, work: Work, name: str, options: Options) -> None:
    if options.herinrichting is not None or options.finished is not None:
        raise _others(hub, name)
    for number in options.alike:
        _check_case(hub, work, name, number)
    if options.lifted is not None:
        _check_act(hub, work, name, options.lifted)
    decision = options.decision
    if decision is None:
        return
    if decision.case_id is not None:
        _check_case(hub, work, name, decision.case_id)
    cores = [n for n in (decision.core_id, decision.other) if n is not None]
    _check_cores(work, cores, entity=decision.entity)
    if decision.source_key and not work.execute(
        "SELECT 1 FROM shadow WHERE koppeling_id = ? AND entity = ? AND source_key = ? LIMIT 1",
        (hub.koppeling(name).id, str(decision.entity), decision.source_key),
    ):
        raise SyncError(
            f"{name} has no such {decision.entity}",
            advice="Neem de sleutel over uit `koppelhub case show`.",
        )


def _check_case(hub: Hub, work: Work, name: str, number: int) -> None:
    """Raises: SyncError if it is not his; NoRightError if it names a record of another school."""
    rows = work.execute("SELECT detail FROM zaak WHERE id = ?", (number,))
    if not rows:
        near = near_numbers(work, "zaak WHERE true", "id", number, ())
        raise SyncError(f"there is no case {number}", advice=f"{near} Zie `koppelhub case list`.")
    if not all(_sees(work, core_id) for core_id in candidates_of(rows[0][0])):
        raise _others(hub, name)


def _sees(work: Work, core_id: int) -> bool:
    """Whether a record, or what it was merged into, is his."""
    rows = work.execute("SELECT survivor_id FROM alias WHERE core_id = ?", (core_id,))
    return bool(seen_among(work, [int(rows[0][0]) if rows else core_id]))


def _check_act(hub: Hub, work: Work, name: str, act: int) -> None:
    """Raises: NoRightError if a decision is about records that are not his too."""
    counts = [
        work.execute(f"SELECT COUNT(*) FROM {table} WHERE act = ?", (act,))[0][0]
        for table in (work.real("decision"), "decision")
    ]
    if not counts[1]:
        near = near_numbers(work, "decision WHERE act IS NOT NULL", "act", act, ())
        raise SyncError(
            f"there is no decision {act}", advice=f"{near} Zie `koppelhub case decisions`."
        )
    if counts[0] != counts[1]:
        raise _others(hub, name)
