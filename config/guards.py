"""How much one run may do before it waits for a person: thresholds, and where others hold.

The most specific one that exists counts: vestiging, BRIN, koppeling, then all. At each of them the
seasons that the day lies in go before the rest of the year, an entity before all entities. What is
configured for a school or koppeling alone stands in `schools` and `sources`. The seasons that are
packaged yield to what an installation sets for the whole year.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import Field, model_validator

from config.frozen import AnyShare, Frozen, MonthDay, falls_within

BRIN_LENGTH: Final = 4


class Threshold(Frozen):
    """How much is too much.

    Attributes:
        share: part of what is known (0.05 is five percent), or None.
        number: number of records, or None.
        floor: up to and including this number nothing is hit, whatever the share.
    """

    share: AnyShare | None = None
    number: Annotated[int, Field(ge=1)] | None = None
    floor: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _one_bound_at_least(self) -> Self:
        if self.share is None and self.number is None:
            message = "needs a share, a number or both"
            raise ValueError(message)
        return self

    def exceeded(self, count: int, known: int) -> bool:
        """Whether so many, of so many known, is too much; never when nothing is known yet."""
        if count <= self.floor or known <= 0:
            return False
        if self.number is not None and count >= self.number:
            return True
        return self.share is not None and count / known >= self.share


class GuardKind(StrEnum):
    """What a guard looks at."""

    CLOSE = "close"
    CREATE = "create"
    CHANGE = "change"
    EMPTY = "empty"
    DESERT = "desert"


class Rest(StrEnum):
    """What becomes of the parts of a plan that are not in doubt themselves."""

    GO = "go"
    HOLD = "hold"


class Guard(Threshold):
    """The threshold of one kind of change, and those of the entities that have their own."""

    entities: dict[str, Threshold] = Field(default_factory=dict)


class OtherGuard(Frozen):
    """As Guard, but what it does not say is as elsewhere: it may hold for some entities only."""

    share: AnyShare | None = None
    number: Annotated[int, Field(ge=1)] | None = None
    floor: Annotated[int, Field(ge=0)] = 0
    entities: dict[str, Threshold] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.share is None and self.number is None and (self.floor or not self.entities):
            message = "needs a share, a number or entities"
            raise ValueError(message)
        return self

    def threshold(self, entity: str) -> Threshold | None:
        """What it says of one entity, if anything."""
        if entity in self.entities:
            return self.entities[entity]
        if self.share is None and self.number is None:
            return None
        return Threshold(share=self.share, number=self.number, floor=self.floor)


class Others(Frozen):
    """Thresholds that go before the general ones."""

    close: OtherGuard | None = None
    create: OtherGuard | None = None
    change: OtherGuard | None = None
    empty: OtherGuard | None = None
    desert: OtherGuard | None = None

    def threshold(self, kind: GuardKind, entity: str) -> Threshold | None:
        """What they say of one kind of change in one entity, if anything."""
        guard = _one(self, kind)
        return None if guard is None else guard.threshold(entity)


def _one(others: Others, kind: GuardKind) -> OtherGuard | None:
    guards: dict[GuardKind, OtherGuard | None] = {
        GuardKind.CLOSE: others.close,
        GuardKind.CREATE: others.create,
        GuardKind.CHANGE: others.change,
        GuardKind.EMPTY: others.empty,
        GuardKind.DESERT: others.desert,
    }
    return guards[kind]


class Season(Others):
    """A part of the year with thresholds of its own, from a first through a last day."""

    first: MonthDay = Field(alias="from")
    last: MonthDay = Field(alias="to")

    def holds(self, on: date) -> bool:
        """Whether a day (a local date) lies in it."""
        return falls_within(on, first=self.first, last=self.last)


class Place(Others):
    """What one koppeling or school does otherwise."""

    incomplete: Rest | None = None
    held_rest: Rest | None = None
    seasons: dict[str, Season] = Field(default_factory=dict)


class Guards(Frozen):
    """What may pass without a person.

    Attributes:
        incomplete: what becomes of what was read where something was not read to its end. Nothing
            is ever closed by that.
        held_rest: what becomes of what is not in doubt where something is held.
        desert_from: a groep that has so many leerlingen and loses them all is deserted.
        seasons: name → part of the year; of several that a day lies in the first by name counts.
        sources: name of a koppeling → what it does otherwise.
        schools: BRIN or vestigingsnummer → what it does otherwise.
    """

    close: Guard
    create: Guard
    change: Guard
    empty: Guard
    desert: Guard
    desert_from: Annotated[int, Field(ge=1)]
    incomplete: Rest
    held_rest: Rest
    seasons: dict[str, Season] = Field(default_factory=dict)
    sources: dict[str, Place] = Field(default_factory=dict)
    schools: dict[str, Place] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _a_part_is_at_most_the_whole(self) -> Self:
        for where, kind, threshold in self._every():
            part = kind is not GuardKind.CREATE
            if part and threshold.share is not None and threshold.share > 1:
                message = f"{where}{kind}: a share is at most 1 (0.05 is five percent)"
                raise ValueError(message)
        return self

    def _every(self) -> Iterator[tuple[str, GuardKind, Threshold]]:
        """(where, kind, threshold) of all that are configured."""
        for kind in GuardKind:
            guard = self.of(kind)
            yield from (("", kind, each) for each in (guard, *guard.entities.values()))
        for where, others in self._places():
            for kind in GuardKind:
                one = _one(others, kind)
                if one is None:
                    continue
                general = one.threshold("")
                each = [*one.entities.values(), *([] if general is None else [general])]
                yield from ((where, kind, threshold) for threshold in each)

    def _places(self) -> Iterator[tuple[str, Others]]:
        yield from ((f"seasons.{name}.", season) for name, season in self.seasons.items())
        for group, places in (("sources", self.sources), ("schools", self.schools)):
            for name, place in places.items():
                yield f"{group}.{name}.", place
                for season_name, season in place.seasons.items():
                    yield f"{group}.{name}.seasons.{season_name}.", season

    def entities(self) -> dict[str, Collection[str]]:
        """Key of the configuration → the entities that it names."""
        named: dict[str, Collection[str]] = {
            f"guards.{kind}.entities": self.of(kind).entities for kind in GuardKind
        }
        for where, others in self._places():
            for kind in GuardKind:
                one = _one(others, kind)
                if one is not None:
                    named[f"guards.{where}{kind}.entities"] = one.entities
        return named

    def of(self, kind: GuardKind) -> Guard:
        """The guard of one kind."""
        guards = {
            GuardKind.CLOSE: self.close,
            GuardKind.CREATE: self.create,
            GuardKind.CHANGE: self.change,
            GuardKind.EMPTY: self.empty,
            GuardKind.DESERT: self.desert,
        }
        return guards[kind]

    def threshold(
        self,
        kind: GuardKind,
        entity: str,
        *,
        source: str = "",
        school: str = "",
        on: date | None = None,
    ) -> Threshold:
        """The threshold for one kind of change in one entity.

        Args:
            kind: of change.
            entity: its name.
            source: name of the koppeling.
            school: BRIN or vestigingsnummer, or '' for the whole of the koppeling.
            on: the local date, for seasons; None is outside all of them.
        """
        own = self.own_threshold(kind, entity, school=school, on=on)
        if own is not None:
            return own
        found = _within(self.sources.get(source), kind, entity, on=on)
        if found is None:
            found = _seasonal(self.seasons, kind, entity, on=on)
        if found is not None:
            return found
        guard = self.of(kind)
        return guard.entities.get(entity, guard)

    def own_threshold(
        self, kind: GuardKind, entity: str, *, school: str, on: date | None
    ) -> Threshold | None:
        """What is configured for this school by name, if anything: the vestiging before its BRIN.

        What a school has a threshold of its own for is judged by that, not with its koppeling.
        """
        for place in _names(school):
            found = _within(self.schools.get(place), kind, entity, on=on)
            if found is not None:
                return found
        return None

    def rest_of(self, source: str, school: str) -> Rest:
        """What becomes of what is not in doubt there where something is held."""
        return self._said(source, school)[0] or self.held_rest

    def incomplete_of(self, source: str, school: str) -> Rest:
        """What becomes of what was read there where something was not read to its end."""
        return self._said(source, school)[1] or self.incomplete

    def _said(self, source: str, school: str) -> tuple[Rest | None, Rest | None]:
        places = [self.schools.get(name) for name in _names(school)] + [self.sources.get(source)]
        known = [place for place in places if place is not None]
        rest = next((p.held_rest for p in known if p.held_rest is not None), None)
        incomplete = next((p.incomplete for p in known if p.incomplete is not None), None)
        return rest, incomplete


def yielding(packaged: Mapping[str, Any], explicit: Mapping[str, Any]) -> dict[str, Any]:
    """The packaged guards, whose seasons are silent on what is configured for the whole year.

    Who sets a threshold means it, in summer too; a season that he sets himself is laid over this.

    Args:
        packaged: tables of `[policy.guards]`, as they are packaged.
        explicit: the same, as the configuration of the installation has them; not checked yet.
    """
    guards = deepcopy(dict(packaged))
    for season in guards.get("seasons", {}).values():
        for kind in GuardKind:
            said, own = explicit.get(kind), season.get(kind)
            if not isinstance(said, dict) or own is None:
                continue
            if said.keys() - {"entities"}:  # of whatever entity
                del season[kind]
                continue
            named = said.get("entities")
            for entity in named if isinstance(named, dict) else ():
                own.get("entities", {}).pop(entity, None)
            if not own.get("entities") and not {"share", "number"} & own.keys():
                del season[kind]
    return guards


def _names(school: str) -> Sequence[str]:
    """A vestigingsnummer and its BRIN, the more specific first."""
    return tuple(dict.fromkeys((school, school[:BRIN_LENGTH]))) if school else ()


def _within(
    place: Place | None, kind: GuardKind, entity: str, *, on: date | None
) -> Threshold | None:
    if place is None:
        return None
    found = _seasonal(place.seasons, kind, entity, on=on)
    return place.threshold(kind, entity) if found is None else found


def _seasonal(
    seasons: Mapping[str, Season], kind: GuardKind, entity: str, *, on: date | None
) -> Threshold | None:
    if on is None:
        return None
    for _, season in sorted(seasons.items()):
        found = season.threshold(kind, entity) if season.holds(on) else None
        if found is not None:
            return found
    return None
