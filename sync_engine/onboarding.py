"""Onboarding: how far a school is on its way into the hub, and what the next step is.

Nothing is kept for it: each step follows from the configuration, the runs and the audit trail.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from config.errors import ConfigurationError
from config.nearest import choice
from config.settings import Settings
from config.sources import School, Source
from connectors import registry
from sync_engine.hub import Hub
from sync_engine.store.work import Work

CHECK_ACTION: Final = "connectors check"
PASSED: Final = "goed"
"""What the audit trail says of a check that found nothing."""


class Step(StrEnum):
    """The way of one koppeling, in order."""

    LINK = "link"
    AGREEMENT = "agreement"
    CHECK = "check"
    ADOPT = "adopt"
    PLAN = "plan"
    APPLY = "apply"
    LIVE = "live"


class Standing(StrEnum):
    """How a step stands."""

    DONE = "done"
    NEXT = "next"
    LATER = "later"
    OPTIONAL = "optional"


_TITLES: Final = {
    Step.LINK: "gekoppeld",
    Step.AGREEMENT: "overeenkomst vastgelegd",
    Step.CHECK: "verbinding en rechten gecontroleerd",
    Step.ADOPT: "wat er al stond overgenomen (alleen als er iets stond)",
    Step.PLAN: "eerste plan gemaakt",
    Step.APPLY: "eerste plan toegepast",
    Step.LIVE: "draait vanzelf",
}
_COMMANDS: Final = {
    Step.LINK: "koppelhub source link NAAM --system SYSTEEM --school {school}",
    Step.AGREEMENT: "koppelhub source agree {source} --basis TEKST --purpose TEKST --on JJJJ-MM-DD",
    Step.CHECK: "koppelhub connectors check --source {source}",
    Step.ADOPT: "koppelhub adopt --source {source} --school {school}",
    Step.PLAN: "koppelhub sync --source {source} --plan",
    Step.APPLY: "koppelhub plan list",
    Step.LIVE: 'koppelhub source live {source} --schedule "15 2 * * *"',
}
_LATER: Final = 'koppelhub source live {source} --schedule "30 4 * * *"'


@dataclass(frozen=True, slots=True)
class StepView:
    """One step of one koppeling.

    Attributes:
        title: Dutch.
        command: what to type.
    """

    step: Step
    standing: Standing
    title: str
    command: str


@dataclass(frozen=True, slots=True)
class Way:
    """The way of one koppeling of one school; a school without any has one with no name."""

    school: str
    name: str
    source: str
    steps: tuple[StepView, ...]

    @property
    def next(self) -> StepView | None:
        """The step that is to be taken; None where all are."""
        return next((one for one in self.steps if one.standing is Standing.NEXT), None)

    def standing(self, step: Step) -> Standing:
        """How one step stands."""
        return next(one.standing for one in self.steps if one.step == step)


@dataclass(slots=True)
class Facts:
    """What the database says of koppelingen, by name.

    Attributes:
        adding: those that only add to what others say: there is nothing of theirs to adopt, and
            they are read after the others.
    """

    checked: set[str] = field(default_factory=set)
    adopted: set[str] = field(default_factory=set)
    planned: set[str] = field(default_factory=set)
    applied: set[str] = field(default_factory=set)
    adding: set[str] = field(default_factory=set)


def ways(hub: Hub, *, school: str | None = None) -> list[Way]:
    """How far every school of the actor is, or one of them.

    Raises: ConfigurationError if there is no such school.
    """
    schools = [(tenant.name, one) for tenant, one in hub.own_schools()]
    if school is not None:
        wanted = school.strip().upper()[:4]
        known = [one.brin.reveal() for _, one in schools]
        if wanted not in known:
            message = "there is no school with that BRIN in the configuration"
            raise ConfigurationError(message, advice=choice(wanted, known))
        schools = [(name, one) for name, one in schools if one.brin.reveal() == wanted]
    with hub.store.work() as work:
        facts = _facts(work)
    return [
        way
        for tenant, one in schools
        for way in _of_school(hub.settings, one, facts, tenant=tenant)
    ]


def _of_school(settings: Settings, school: School, facts: Facts, *, tenant: str) -> list[Way]:
    """The koppelingen of a school at one board: another may have some of the same BRIN."""
    brin = school.brin.reveal()
    sources = [source for source in settings.sources_of(brin) if source.tenant == tenant]
    if not sources:
        return [Way(brin, school.name, "", _steps({}, source="", school=brin))]
    return [
        Way(
            brin,
            school.name,
            source.name,
            steps_of(source, facts, school=brin, production=settings.production),
        )
        for source in sources
    ]


def steps_of(
    source: Source, facts: Facts, *, school: str, production: bool
) -> tuple[StepView, ...]:
    """The steps of one koppeling; pure.

    Args:
        source: the koppeling.
        facts: what the database says.
        school: its BRIN.
        production: whether nothing is read before the school agreed.
    """
    name = source.name
    done = {
        Step.LINK: True,
        Step.AGREEMENT: source.agreement is not None,
        Step.CHECK: name in facts.checked,
        Step.ADOPT: name in facts.adopted,
        Step.PLAN: name in facts.planned,
        Step.APPLY: name in facts.applied,
        Step.LIVE: source.schedule is not None,
    }
    steps = _steps(done, source=name, school=school, needs_agreement=production)
    return _adding(steps, name) if name in facts.adding else steps


def _adding(steps: Iterable[StepView], source: str) -> tuple[StepView, ...]:
    """Of a koppeling that only adds to what others say."""
    return tuple(
        replace(one, command=_LATER.format(source=source)) if one.step is Step.LIVE else one
        for one in steps
        if one.step is not Step.ADOPT
    )


def _steps(
    done: Mapping[Step, bool], *, source: str, school: str, needs_agreement: bool = False
) -> tuple[StepView, ...]:
    """How every step stands. Of what is live already none keeps anybody waiting any more.

    But for the agreement, without which production reads nothing.
    """
    views: list[StepView] = []
    is_next = True
    is_live = done.get(Step.LIVE, False) and done.get(Step.APPLY, False)
    for step in Step:
        standing = Standing.LATER
        if done.get(step, False):
            standing = Standing.DONE
        elif is_live and step is not Step.ADOPT:
            must = step is Step.AGREEMENT and needs_agreement
            standing = Standing.NEXT if must else Standing.OPTIONAL
        elif step is Step.ADOPT:
            standing = Standing.OPTIONAL if not done.get(Step.APPLY, False) else Standing.LATER
        elif is_next:
            standing, is_next = Standing.NEXT, False
        if step is Step.ADOPT and standing is Standing.LATER:
            continue  # the core holds what the sources say: it is too late, and not needed
        command = _COMMANDS[step].format(source=source or "NAAM", school=school)
        views.append(StepView(step, standing, _TITLES[step], command))
    return tuple(views)


def missing_before(way: Iterable[StepView], step: Step) -> StepView | None:
    """The first step before this one that is not done and must be; None where all are."""
    for one in way:
        if one.step is step:
            return None
        if one.standing not in {Standing.DONE, Standing.OPTIONAL}:
            return one
    return None


def facts_of(hub: Hub) -> Facts:
    """What the database says of all koppelingen."""
    with hub.store.work() as work:
        return _facts(work)


def _facts(work: Work) -> Facts:
    checked = work.execute(
        "SELECT a.subject, a.why FROM audit a JOIN (SELECT subject, MAX(id) AS last FROM audit "
        "WHERE action = ? GROUP BY subject) n ON n.last = a.id",
        (CHECK_ACTION,),
    )
    adopted = work.execute(
        "SELECT DISTINCT k.name FROM scope s JOIN koppeling k ON k.id = s.koppeling_id "
        "WHERE s.adopted"
    )
    plans = work.execute(
        "SELECT k.name, SUM(CASE WHEN p.applied THEN 1 ELSE 0 END) FROM plan p "
        "JOIN run r ON r.id = p.run_id JOIN koppeling k ON k.id = r.koppeling_id "
        "WHERE p.state <> 'planning' GROUP BY k.name"
    )
    installed = registry.find().installed
    adding = {system for system, factory in installed.items() if factory.manifest.adds}
    systems = work.execute("SELECT name, system FROM koppeling")
    return Facts(
        checked={subject.removeprefix("koppeling ") for subject, why in checked if why == PASSED},
        adopted={name for (name,) in adopted},
        planned={name for name, _ in plans},
        applied={name for name, applied in plans if applied},
        adding={name for name, system in systems if system in adding},
    )
