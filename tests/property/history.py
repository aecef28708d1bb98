"""What sources said and people did, as the world itself remembers it: the input of the oracle.

Nothing is judged here: not who is who, nor what counts, nor what is gone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple

from config.clock import local_date
from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from tests.support.memory import Said

Node = tuple[str, str, str]  # source, entity, key: a record of one source
Place = tuple[str, str, str]  # source, entity, scope
At = tuple[Node, str]  # in a scope
Member = tuple[Node, str, Node]  # group, role, person
Row = dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """What one scope of a source says of a record. When it came makes no other claim of it.

    Attributes:
        values: the last that was delivered of every field.
        kept: fields of which that was once, and is no longer.
        day: on which it came.
        held: the last day on which a whole reading held it, or what was before it.
        ended: the scope is read no longer.
    """

    node: Node
    scope: str
    values: Row
    kept: set[str]
    day: date = field(compare=False)
    held: date | None = field(default=None, compare=False)
    gone: bool = False
    ended: bool = False

    @property
    def standing(self) -> tuple[str, bool, bool]:
        """Whose it is, and how far it still is said."""
        return self.node[0], self.gone, self.ended


class Reading(NamedTuple):
    """What one reading of one place yielded.

    Attributes:
        day: on which it was, as the school counts them.
        known: what any reading of this place ever yielded before.
        seen: what this one yielded.
        told: what that says, where it is not garbled.
        gone: what this one says is there no more.
        complete: it broke off nowhere.
        whole: and it was not of changes only.
    """

    place: Place
    now: datetime
    day: date
    known: set[At]
    seen: set[At]
    told: dict[At, Claim]
    gone: set[At]
    complete: bool
    whole: bool


@dataclass
class History:
    """All that is needed besides the readings.

    Attributes:
        weak: (source, entity, field) that insists less than others.
        strong: that insists more.
        order: the authority policy.
        pins: (record, field) → the value that a person fixed; the last is the newest.
        ended: (source, scope) that is read no longer.
        known: place → what its readings ever yielded.
        told: what that said last of every field.
    """

    weak: frozenset[tuple[str, str, str]] = frozenset()
    strong: frozenset[tuple[str, str, str]] = frozenset()
    order: dict[str, list[str]] = field(default_factory=dict)
    pins: dict[tuple[Node, str], Any] = field(default_factory=dict)
    ended: set[tuple[str, str]] = field(default_factory=set)
    known: dict[Place, set[At]] = field(default_factory=dict)
    told: dict[At, Row] = field(default_factory=dict)

    def reading(self, source: str, now: datetime, said: Said) -> Reading:
        """Write down one reading."""
        place, day = (source, said.resource, said.scope), local_date(now)
        told: dict[At, Claim] = {}
        for key, values in said.items:
            at = (source, said.resource, key), said.scope
            if not values.get("kapot"):
                new = {name: _written(place, name, values.get(name)) for name in said.fields}
                told_of = self.told[at] = self.told.get(at, {}) | new
                told[at] = Claim(*at, told_of, told_of.keys() - new.keys(), day)
        seen, gone = (
            {((source, said.resource, key), said.scope) for key in keys}
            for keys in ([key for key, _ in said.items], said.gone)
        )
        known = self.known.get(place, set())
        self.known[place] = known | seen
        whole = said.complete and not said.delta
        return Reading(place, now, day, known, seen, told, gone, said.complete, whole)


def _written(place: Place, name: str, value: Any) -> Any:
    """A value; who it refers to is written in full, as the key alone is of this source."""
    source, entity, _ = place
    description = fields_of(Entity(entity))[name]
    if description.kind is Kind.REFERENCE:
        return value and (source, str(description.target), value)
    if description.kind is Kind.MEMBERS:
        return value and tuple((source, str(description.target), key) for key in value)
    return value
