"""Guard: is a plan within what the policy lets pass? Pure; checked before the first write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from config.policies import GuardKind, Policy

MEMBERS = "groepsdeelname"
"""The one field that all memberships of a record are to a guard, whoever the member is."""


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
        known: entity → records of this koppeling that the core has now.
        members: entity → open memberships of those records that the core has now.
    """

    steps: Counter[tuple[str, str]] = field(default_factory=Counter)
    fields: Counter[tuple[str, str]] = field(default_factory=Counter)
    emptied: Counter[tuple[str, str]] = field(default_factory=Counter)
    known: dict[str, int] = field(default_factory=dict)
    members: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hold:
    """One part of a plan that waits for a person.

    Attributes:
        entity, op: which steps are held.
        field: only steps that change this field, where it is not empty.
        reason: in Dutch, with counts and no names.
    """

    entity: str
    op: str
    field: str
    reason: str


def judge(tally: Tally, policy: Policy) -> list[Hold]:
    """The parts of the plan that are over a threshold, in a fixed order."""
    holds: list[Hold] = []
    guards = policy.guards
    for (entity, op), count in sorted(tally.steps.items()):
        known = tally.known.get(entity, 0)
        kind = {"create": GuardKind.CREATE, "close": GuardKind.CLOSE}.get(op)
        if kind is None or (kind is GuardKind.CREATE and known == 0):
            continue
        if guards.threshold(kind, entity).exceeded(count, known):
            word = "nieuw" if op == "create" else "afgesloten"
            reason = f"{count} van {known} keer {entity} zou worden {word}"
            holds.append(Hold(entity, op, "", reason))
    emptied = {key: count for key, count in tally.emptied.items() if key[1] != MEMBERS}
    for kind, counts, word in (
        (GuardKind.CHANGE, tally.fields, "verandert"),
        (GuardKind.EMPTY, emptied, "wordt leeg"),
    ):
        holds += _fields(kind, counts, word, tally.known, policy)
    return holds + _members(tally, policy)


def _fields(
    kind: GuardKind,
    counts: Mapping[tuple[str, str], int],
    word: str,
    known: Mapping[str, int],
    policy: Policy,
) -> list[Hold]:
    return [
        Hold(entity, "change", name, f"{name} {word} bij {count} van {known[entity]} keer {entity}")
        for (entity, name), count in sorted(counts.items())
        if known.get(entity)
        and policy.guards.threshold(kind, entity).exceeded(count, known[entity])
    ]


def _members(tally: Tally, policy: Policy) -> list[Hold]:
    """Members that are lost are counted against members: few large groepen are many pupils."""
    return [
        Hold(entity, "change", MEMBERS, f"{count} van {known} keer {MEMBERS} zou eindigen")
        for (entity, name), count in sorted(tally.emptied.items())
        if name == MEMBERS
        and (known := tally.members.get(entity, 0))
        and policy.guards.threshold(GuardKind.EMPTY, entity).exceeded(count, known)
    ]
