"""Guard: is a plan within what the policy lets pass? Pure; checked before the first write.

A plan is judged as a whole, and for each school that it touches: BRIN and vestiging. A school that
has a threshold of its own is judged by that alone, and not counted with its koppeling.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TypeAlias

from config.errors import ConfigurationError
from config.guards import BRIN_LENGTH, GuardKind, Rest
from config.policies import Policy
from mappings.canonical.fields import Entity

MEMBERS = "groepsdeelname"
"""The one field that all memberships of a record are to a guard, whoever the member is."""
DESERTED = f"{MEMBERS}/*"
"""The field of a groep that loses all its leerlingen."""
ANY = "*"
"""Every entity, or everything that may be done to it."""

Schools: TypeAlias = tuple[str, ...]
"""BRINs and vestigingsnummers that a record belongs to, as its scopes name them."""


def guard_field(key: str) -> str:
    """The field that a key of the flat state belongs to: what is tallied under it is held by it."""
    return MEMBERS if key.startswith(f"{MEMBERS}/") else key


@dataclass(slots=True)
class Tally:
    """What a plan would do, counted.

    Attributes:
        steps: (entity, op) → records.
        fields: (entity, field) → records in which it changes.
        emptied: (entity, field) → records in which a value becomes empty; of MEMBERS: the members
            that are lost.
        deserted: entity → groepen that lose all their leerlingen.
        known: entity → records of this koppeling that the core has now.
        members: entity → open memberships of those records that the core has now.
        schools: the same, of the records of these schools alone.
    """

    steps: Counter[tuple[str, str]] = field(default_factory=Counter)
    fields: Counter[tuple[str, str]] = field(default_factory=Counter)
    emptied: Counter[tuple[str, str]] = field(default_factory=Counter)
    deserted: Counter[str] = field(default_factory=Counter)
    known: dict[str, int] = field(default_factory=dict)
    members: dict[str, int] = field(default_factory=dict)
    schools: dict[Schools, Tally] = field(default_factory=dict)

    def of(self, schools: Schools) -> Tally:
        """The part of these schools; made where there is none."""
        part = self.schools.get(schools)
        if part is None:
            part = self.schools[schools] = Tally()
        return part

    def by_school(self) -> dict[str, Tally]:
        """BRIN or vestigingsnummer → what is counted under it, without what is known there."""
        found: dict[str, Tally] = {}
        for schools, part in sorted(self.schools.items()):
            for school in schools:
                whole = found.setdefault(school, Tally())
                whole.steps += part.steps
                whole.fields += part.fields
                whole.emptied += part.emptied
                whole.deserted += part.deserted
        return found

    def counted(self) -> Iterator[tuple[GuardKind, str, str, int]]:
        """(kind, entity, field, how many) of everything that a guard looks at, in a fixed order."""
        kinds = {"create": GuardKind.CREATE, "close": GuardKind.CLOSE}
        for (entity, op), count in sorted(self.steps.items()):
            if op in kinds:
                yield kinds[op], entity, "", count
        for (entity, name), count in sorted(self.fields.items()):
            yield GuardKind.CHANGE, entity, name, count
        for (entity, name), count in sorted(self.emptied.items()):
            yield GuardKind.EMPTY, entity, name, count
        for entity, count in sorted(self.deserted.items()):
            yield GuardKind.DESERT, entity, DESERTED, count


@dataclass(frozen=True, slots=True)
class Hold:
    """One part of a plan that waits for a person.

    Attributes:
        entity, op: which steps are held; ANY for all.
        field: only steps that change this field, where it is not empty.
        reason: in Dutch, with counts and no names.
        school: only steps of this BRIN or vestigingsnummer, where it is not empty.
    """

    entity: str
    op: str
    field: str
    reason: str
    school: str = ""

    def covers(self, entity: str, op: str, schools: Iterable[str]) -> bool:
        """Whether a step may be held by it, as far as its field does not say otherwise."""
        return (
            self.entity in {ANY, entity}
            and self.op in {ANY, op}
            and (not self.school or self.school in schools)
        )


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a person lets pass in one run: up to so many records of one kind of change."""

    kind: GuardKind
    entity: str
    number: int

    def __str__(self) -> str:
        """As it is typed."""
        return f"{self.kind}={self.entity}:{self.number}"


_ALLOWANCE = re.compile(r"(close|create|change|empty|desert)=([a-z_]+):([1-9][0-9]{0,8})")


def read_allowance(text: str) -> Allowance:
    """What a person typed: `close=leerling:200`.

    Raises: ConfigurationError if it is nothing of the kind.
    """
    match = _ALLOWANCE.fullmatch(text.strip())
    if match is None or match[2] not in set(Entity):
        message = "what a run is allowed is written as kind=entity:number"
        kinds = ", ".join(GuardKind)
        advice = f"Schrijf bijvoorbeeld close=leerling:200. Soorten: {kinds}."
        raise ConfigurationError(message, advice=advice)
    return Allowance(GuardKind(match[1]), match[2], int(match[3]))


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a guard knows of a run besides its plan.

    Attributes:
        koppeling: its name.
        on: the local date, for the seasons of the policy.
        allowed: what a person lets pass this once.
        incomplete: BRINs and vestigingsnummers of what was not read to its end; None where all was,
            empty where it is not known of whom it was.
    """

    koppeling: str = ""
    on: date | None = None
    allowed: tuple[Allowance, ...] = ()
    incomplete: frozenset[str] | None = None


_EVERYWHERE = Circumstances()


def judge(
    tally: Tally,
    policy: Policy,
    at: Circumstances = _EVERYWHERE,
    *,
    schools: Mapping[str, Tally] | None = None,
) -> list[Hold]:
    """The parts of the plan that are over a threshold, in a fixed order.

    Args:
        tally: of the whole plan.
        policy: the thresholds.
        at: of this run.
        schools: by school, as `Tally.by_school` gives it, with what is known there.
    """
    judged = _Judge(policy, at, tally, schools or {})
    found = judged.place("")
    for school in sorted(judged.schools):
        held = {(hold.entity, hold.op, hold.field) for hold in found if not hold.school}
        brin = school[:BRIN_LENGTH]
        held |= {(h.entity, h.op, h.field) for h in found if h.school == brin != school}
        found += [h for h in judged.place(school) if (h.entity, h.op, h.field) not in held]
    return found + judged.rest(found)


class _Judge:
    def __init__(
        self, policy: Policy, at: Circumstances, tally: Tally, schools: Mapping[str, Tally]
    ) -> None:
        self.guards, self.at, self.tally, self.schools = policy.guards, at, tally, schools

    def place(self, school: str) -> list[Hold]:
        """One BRIN or vestiging, or the whole; without what is judged by a threshold of its own."""
        tally = self.schools[school] if school else self.tally
        holds = []
        for kind, entity, name, counted in tally.counted():
            count, known = counted, _known(tally, kind, entity, name)
            apart = self._apart(kind, entity, school)
            if apart:
                parts = [p for key, p in self.tally.schools.items() if apart.intersection(key)]
                count -= sum(_count(part, kind, entity, name) for part in parts)
                known -= sum(_known(self.schools[s], kind, entity, name) for s in _outer(apart))
            holds += self._over(kind, entity, name, count=count, known=known, school=school)
        return _once(holds)

    def _apart(self, kind: GuardKind, entity: str, place: str) -> set[str]:
        """The schools in a place that have a threshold of their own."""
        own, on = self.guards.own_threshold, self.at.on
        general = own(kind, entity, school=place, on=on)
        return {
            school
            for school in self.schools
            if school != place
            and school.startswith(place)
            and own(kind, entity, school=school, on=on) != general
        }

    def _over(
        self, kind: GuardKind, entity: str, name: str, *, count: int, known: int, school: str
    ) -> list[Hold]:
        threshold = self.guards.threshold(
            kind, entity, source=self.at.koppeling, school=school, on=self.at.on
        )
        if not threshold.exceeded(count, known) or self._allowed(kind, entity, count):
            return []
        reason = _REASONS[kind].format(n=count, of=known, entity=entity, field=name or entity)
        if kind is GuardKind.EMPTY and name == MEMBERS:
            reason = f"{count} van {known} keer {MEMBERS} zou eindigen"
        if school:
            reason = f"{reason} ({school})"
        op = _OPS.get(kind, "change")
        return [Hold(entity, op, name, reason, school)]

    def _allowed(self, kind: GuardKind, entity: str, count: int) -> bool:
        return any(
            (allowance.kind, allowance.entity) == (kind, entity) and count <= allowance.number
            for allowance in self.at.allowed
        )

    def rest(self, holds: Collection[Hold]) -> list[Hold]:
        """What is not in doubt and waits with it, where the policy says so."""
        found: list[Hold] = []
        at, guards = self.at, self.guards
        if at.incomplete is not None:
            concerned = at.incomplete or {""}
            waits = {s for s in concerned if _holds(guards.incomplete_of(at.koppeling, s))}
            reason = "niet alles is gelezen; het beleid laat de rest dan wachten"
            found += [Hold(ANY, ANY, "", reason, school) for school in _outer(waits)]
        if holds:
            reason = "een ander deel is vastgehouden; het beleid laat de rest dan wachten"
            touched = {hold.school for hold in holds}
            if "" in touched:
                touched |= set(self.schools)
            waits = {s for s in touched if _holds(guards.rest_of(at.koppeling, s))}
            found += [Hold(ANY, ANY, "", reason, school) for school in _outer(waits)]
        return _once(found)


_OPS = {GuardKind.CLOSE: "close", GuardKind.CREATE: "create"}
_REASONS = {
    GuardKind.CLOSE: "{n} van {of} keer {entity} zou worden afgesloten",
    GuardKind.CREATE: "{n} van {of} keer {entity} zou worden nieuw",
    GuardKind.CHANGE: "{field} verandert bij {n} van {of} keer {entity}",
    GuardKind.EMPTY: "{field} wordt leeg bij {n} van {of} keer {entity}",
    GuardKind.DESERT: "{n} keer {entity} zou al zijn leerlingen verliezen",
}


def _holds(rest: Rest) -> bool:
    return rest is Rest.HOLD


def _outer(schools: Collection[str]) -> list[str]:
    """Without the vestigingen of a BRIN that is named itself, and alone the whole where it is."""
    if "" in schools:
        return [""]
    return sorted(s for s in schools if len(s) == BRIN_LENGTH or s[:BRIN_LENGTH] not in schools)


def _count(tally: Tally, kind: GuardKind, entity: str, name: str) -> int:
    if kind is GuardKind.DESERT:
        return tally.deserted[entity]
    if kind is GuardKind.CHANGE:
        return tally.fields[entity, name]
    if kind is GuardKind.EMPTY:
        return tally.emptied[entity, name]
    return tally.steps[entity, _OPS[kind]]


def _known(tally: Tally, kind: GuardKind, entity: str, name: str) -> int:
    """Members that are lost are counted against members: few large groepen are many pupils."""
    known = tally.members if kind is GuardKind.EMPTY and name == MEMBERS else tally.known
    return known.get(entity, 0)


def _once(holds: Iterable[Hold]) -> list[Hold]:
    """The first of those that hold the same steps: a field that changes may be emptied too."""
    found: dict[tuple[str, str, str, str], Hold] = {}
    for hold in holds:
        found.setdefault((hold.entity, hold.op, hold.field, hold.school), hold)
    members = {(hold.entity, hold.school) for hold in found.values() if hold.field == MEMBERS}
    return [
        hold
        for hold in found.values()  # who holds every change of members holds the deserted too
        if hold.field != DESERTED or (hold.entity, hold.school) not in members
    ]
