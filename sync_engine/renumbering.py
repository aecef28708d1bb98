"""Renumbering: what the schools of one tenant are called, on one day. Pure.

The numbers of one school through time are one *family*: every number of it means the same school,
whenever a source says which. What a number reads as on a day is the number in force then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final

import msgspec

from config.guards import BRIN_LENGTH, Guards
from mappings.canonical.fields import Entity
from sync_engine.fold import Folded, Winner
from sync_engine.project import State

HERINRICHTING: Final = "herinrichting"
"""The rule that gives a number, and the kind of the key that joins two numbers of one school."""

NUMBERED: Final[Mapping[Entity, str]] = {
    Entity.INSTELLING: "brin",
    Entity.VESTIGING: "vestigingsnummer",
}
"""The entities that have a number of a school → the field that holds it."""


class Change(msgspec.Struct, frozen=True):
    """What one number becomes; see `config.herinrichting.NumberChange`.

    Attributes:
        becomes: the number from the day on; the same where only the records are new.
        joins: the school is taken in by one that has that number already.
        source: the koppeling that stops bringing the school, or ''.
    """

    number: str
    becomes: str
    joins: bool = False
    source: str = ""


class Herinrichting(msgspec.Struct, frozen=True):
    """One reorganisation: numbers that change on one day.

    Attributes:
        id: of its row; 0 while it is not in force.
        finished: who was left behind under an old number is gone.
        last_days: former scope (its number, as text) → last day of what was left behind there.
    """

    name: str
    on: date
    changes: tuple[Change, ...]
    id: int = 0
    finished: bool = False
    last_days: Mapping[str, date] = {}


class Renumbering:
    """The numbers of one tenant on one day.

    Args:
        every: the herinrichtingen that count.
        on: the day.
    """

    def __init__(self, every: Sequence[Herinrichting] = (), *, on: date = date.min) -> None:
        self.every = tuple(sorted(every, key=lambda h: (h.on, h.name)))
        self.on = on
        self._dated = [(h.on, change) for h in self.every for change in h.changes]
        self._after = {change.number: (day, change) for day, change in self._dated}
        self._families: dict[str, set[str]] = {}
        for day, change in self._dated:
            mine = self._family(change.number)
            if not change.joins or day <= on:  # until that day the two are two
                mine |= self._family(change.becomes)
                for number in mine:
                    self._families[number] = mine

    def __bool__(self) -> bool:
        """Whether anything changes at all."""
        return bool(self._dated)

    def _family(self, number: str) -> set[str]:
        return self._families.setdefault(number, {number})

    def knows(self, number: str) -> bool:
        """Whether a number is one that changes, or that another becomes."""
        return number in self._families

    def names(self, number: str) -> tuple[str, ...]:
        """Every number of the same school, its own included, in order."""
        return tuple(sorted(self._families.get(number, {number})))

    def now(self, number: str) -> str:
        """The number in force on the day, whichever of a school's numbers is given."""
        while True:  # what is not in force yet is what it was
            before = self._before(number)
            if before is None or before[0] <= self.on:
                break
            number = before[1].number
        while True:
            day, change = self._after.get(number, (date.max, None))
            if change is None or day > self.on or change.becomes == number:
                return number
            number = change.becomes

    def _before(self, number: str) -> tuple[date, Change] | None:
        """The change by which a school got this number."""
        for day, change in self._dated:
            if change.becomes == number != change.number and not change.joins:
                return day, change
        return None

    def every_name(self, numbers: Iterable[str]) -> tuple[str, ...]:
        """All that schools with these numbers are called, BRINs of vestigingen included."""
        if not self:
            return tuple(numbers)
        found: dict[str, None] = {}
        for number in numbers:
            for name in (number, *self.names(number)):
                found[name] = None
                found[name[:BRIN_LENGTH]] = None
        return tuple(found)

    def schools(self, numbers: Sequence[str]) -> tuple[str, ...]:
        """The numbers of a scope as they are in force on the day, with the BRINs of them."""
        if not self:
            return tuple(numbers)
        placed = [self.now(n) for n in numbers if len(n) > BRIN_LENGTH]
        brins = [number[:BRIN_LENGTH] for number in placed]
        if not placed:
            brins = [self.now(n) for n in numbers]
        return tuple(dict.fromkeys((*placed, *brins)))

    def is_old(self, numbers: Sequence[str]) -> bool:
        """Whether all that a scope says it is of are numbers that are replaced by others."""
        own = places(numbers)
        replaced = {c.number for _, c in self._dated if c.becomes != c.number and not c.joins}
        return bool(own) and replaced.issuperset(own)

    def is_anew(self, numbers: Sequence[str]) -> bool:
        """Whether a school keeps its number, and is brought under new records."""
        own = places(numbers)
        anew = {c.number for _, c in self._dated if c.becomes == c.number}
        return bool(own) and anew.issuperset(own)

    def covers(self, numbers: Sequence[str]) -> bool:
        """Whether everything that a scope says it is of is a school that changes."""
        own = places(numbers)
        return bool(own) and all(self.knows(number) for number in own)

    def stopped_on(self, source: str, numbers: Sequence[str]) -> date | None:
        """Since which day a koppeling brings the schools of a scope no more; None: it does."""
        own = places(numbers)
        over = {
            name: day
            for day, c in self._dated
            if c.source == source and day <= self.on
            for name in self.names(c.number)
        }
        return max(map(over.__getitem__, own)) if own and over.keys() >= set(own) else None

    # -- what depends on it ------------------------------------------------------------------------

    def number(self, folded: Folded) -> None:
        """Let a folded instelling or vestiging have the numbers of the day."""
        for name in (NUMBERED.get(folded.entity), "brins"):
            if name is None or not isinstance(value := folded.values.get(name), str | list):
                continue
            told, winner = self._told(value), folded.winners[name]
            if told != value and winner.pin_id is None:
                folded.values[name] = told
                folded.winners[name] = Winner(HERINRICHTING, winner.claim)

    def number_state(self, entity: Entity, state: State) -> None:
        """The same in the flat state of an instelling or vestiging."""
        name = NUMBERED.get(entity)
        if name is None:
            return
        if isinstance(value := state.get(name), str):
            state[name] = self.now(value)
        if isinstance(listed := state.get("brins"), str):
            told = self._told(msgspec.json.decode(listed, type=list[object]))
            state["brins"] = msgspec.json.encode(told).decode()

    def _told(self, value: str | list[object]) -> object:
        if isinstance(value, str):
            return self.now(value)
        return list(dict.fromkeys(self.now(str(number)) for number in value))

    def guards(self, guards: Guards) -> Guards:
        """Thresholds of a school count under each of its numbers; its own go first."""
        schools = dict(guards.schools)
        for number in self._families:
            known = next((n for n in self.names(number) if n in guards.schools), None)
            if number not in schools and known is not None:
                schools[number] = guards.schools[known]
        return guards.model_copy(update={"schools": schools}) if self else guards


def at_odds(every: Sequence[Herinrichting], made: Herinrichting) -> str:
    """Why a herinrichting cannot be in force beside these, or ''.

    A number may change again, later; not twice from the same number, nor back to one that was.
    """
    if any(each.name == made.name for each in every):
        return f"herinrichting {made.name} is in force already"
    begun = {c.number: (each, c) for each in every for c in each.changes}
    reached = {c.becomes: each for each in every for c in each.changes if c.becomes != c.number}
    for change in made.changes:
        if change.number in begun:
            return f"{change.number} changes in herinrichting {begun[change.number][0].name} too"
        if change.becomes in begun:
            return f"{change.becomes} is what was, by herinrichting {begun[change.becomes][0].name}"
        if change.becomes in reached and not change.joins:
            name = reached[change.becomes].name
            return f"{change.becomes} is the new number of another school in herinrichting {name}"
        if change.number in reached and reached[change.number].on >= made.on:
            name = reached[change.number].name
            return f"{change.number} is a number from herinrichting {name} on, which is not earlier"
    return ""


def places(numbers: Sequence[str]) -> list[str]:
    """The vestigingsnummers of a scope; its BRINs where it names no vestiging."""
    return [n for n in numbers if len(n) > BRIN_LENGTH] or list(numbers)
