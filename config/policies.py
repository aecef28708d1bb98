"""What the hub does with what it reads: authority, guards, reactions, retention, as data.

The defaults are `defaults/policies.toml`; the `[policy]` tables of the configuration file are laid
over them. All models are frozen and refuse unknown keys.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from datetime import date, timedelta
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Self

from pydantic import Field, PrivateAttr, model_validator

from config.correlation import Correlation
from config.duration import Duration
from config.errors import ConfigurationError
from config.frozen import Frozen, MonthDay, Share, falls_within
from config.guards import Guards
from config.nearest import choice


class Authority(Frozen):
    """Which koppeling is believed for which field.

    Attributes:
        order: `*`, an entity or `entity.field` → names of koppelingen, most believed first.
        ask: fields (`leerling.geboortedatum`) of which a person is asked where sources disagree.
    """

    order: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    ask: tuple[str, ...] = ()
    _ranks: dict[tuple[str, str], dict[str, int]] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _lists_hold_no_doubles(self) -> Self:
        for key, names in self.order.items():
            if len(set(names)) != len(names):
                message = f"order.{key}: names a koppeling twice"
                raise ValueError(message)
        return self

    def listed(self, entity: str, field: str) -> tuple[str, ...]:
        """The most specific list that exists for a field; empty where there is none."""
        for key in (f"{entity}.{field}", entity, "*"):
            if key in self.order:
                return self.order[key]
        return ()

    def rank(self, entity: str, field: str, koppeling: str) -> int:
        """How far from the front a koppeling stands for a field: 0 is believed most.

        A koppeling that is not listed comes after all that are. Called per field and per record:
        the list is looked up once.
        """
        ranks = self._ranks.get((entity, field))
        if ranks is None:
            ranks = {name: place for place, name in enumerate(self.listed(entity, field))}
            self._ranks[(entity, field)] = ranks
        return ranks.get(koppeling, len(ranks))


class Unmatched(StrEnum):
    """What to do with a record that is like no other."""

    CREATE = "create"
    CASE = "case"
    IGNORE = "ignore"


class Unlinked(StrEnum):
    """What to do with a record that an exact key matches."""

    LINK = "link"
    CASE = "case"


class Gone(StrEnum):
    """What to do with a record that disappeared from its source."""

    CLOSE = "close"
    KEEP = "keep"


class Reaction(Frozen):
    """What to do, by situation."""

    unmatched: Unmatched = Unmatched.CREATE
    unlinked: Unlinked = Unlinked.LINK
    gone: Gone = Gone.CLOSE


class ReactionOverride(Frozen):
    """What one entity does otherwise; None is as all do."""

    unmatched: Unmatched | None = None
    unlinked: Unlinked | None = None
    gone: Gone | None = None


class Reactions(Reaction):
    """What to do by situation, and the entities that do otherwise."""

    entities: dict[str, ReactionOverride] = Field(default_factory=dict)

    def of(self, entity: str) -> Reaction:
        """The reactions that hold for one entity."""
        other = self.entities.get(entity)
        if other is None:
            return self
        return Reaction(
            unmatched=other.unmatched or self.unmatched,
            unlinked=other.unlinked or self.unlinked,
            gone=other.gone or self.gone,
        )


class Absence(Frozen):
    """When a record that is missing is believed to be gone.

    Attributes:
        confirm_after: least time between the two complete readings that both miss it.
        warn_shrink: share of a scope that disappears, from which a person is told.
        block_shrink: and from which nothing of it is closed.
        shrink_floor: up to so many missing records no share counts: a scope of four vakken may
            lose two. A reading that is empty where something was known always blocks.
        freeze: whether absence closes nothing around the turn of the schooljaar.
        freeze_from: first day of that, month-day.
        freeze_to: last day of that, inclusive.
    """

    confirm_after: Duration
    warn_shrink: Share
    block_shrink: Share
    shrink_floor: Annotated[int, Field(ge=0)]
    freeze: bool
    freeze_from: MonthDay
    freeze_to: MonthDay

    @model_validator(mode="after")
    def _warns_before_it_blocks(self) -> Self:
        if self.warn_shrink > self.block_shrink:
            message = "warn_shrink must be at most block_shrink"
            raise ValueError(message)
        return self

    def warns(self, missing: int, of: int) -> bool:
        """Whether so many missing, of so many that the scope held, is to be told."""
        return self._counts(missing, of) and missing / of >= self.warn_shrink

    def blocks(self, missing: int, of: int) -> bool:
        """Whether so many missing, of so many that the scope held, closes nothing."""
        return self._counts(missing, of) and missing / of >= self.block_shrink

    def _counts(self, missing: int, of: int) -> bool:
        return of > 0 and (missing > self.shrink_floor or missing >= of)

    def frozen(self, on: date) -> bool:
        """Whether absence closes nothing on that day (a local date)."""
        return self.freeze and falls_within(on, first=self.freeze_from, last=self.freeze_to)


class DriftReaction(StrEnum):
    """What to do with a record whose shape is not the known one."""

    EVOLVE = "evolve"  # read what is known, report the rest
    FREEZE = "freeze"  # accept nothing of this resource until a person has looked
    DISCARD_ROW = "discard_row"  # quarantine the record
    DISCARD_VALUE = "discard_value"  # drop the field


class Drift(Frozen):
    """The reaction to another shape, by resource (the source's own name of what it delivers)."""

    default: DriftReaction
    entities: dict[str, DriftReaction] = Field(default_factory=dict)

    def of(self, entity: str) -> DriftReaction:
        """The reaction for one resource or entity."""
        return self.entities.get(entity, self.default)


class Freshness(Frozen):
    """How old the last good run of a koppeling may be."""

    promised: Duration
    critical: Duration

    @model_validator(mode="after")
    def _warns_before_it_is_critical(self) -> Self:
        if self.promised > self.critical:
            message = "promised must be at most critical"
            raise ValueError(message)
        return self


class Retention(Frozen):
    """How long things are kept; see the packaged defaults for what each is.

    Attributes:
        entities: what is kept longer or shorter than `tombstone`, by the table that holds it.
    """

    raw_payload: Duration
    tombstone: Duration
    entities: dict[str, Duration] = Field(default_factory=dict)
    quarantine: Duration
    plan_expiry: Duration
    plan_values: Duration
    run: Duration
    journal: Duration
    undo: Duration
    audit: Duration

    def of(self, table: str) -> timedelta:
        """How long what was closed is kept: an entity, or `groepsdeelname`."""
        return self.entities.get(table, self.tombstone)

    def longest(self) -> timedelta:
        """The longest of those periods: for what belongs to no record of the core."""
        return max((self.tombstone, *self.entities.values()))


class Limits(Frozen):
    """Bounds on one run.

    Attributes:
        run_time: after this a run ends by itself, cleanly.
        lock_wait: how long a writer waits for another.
        request_timeout: bound on one request to a source.
    """

    run_time: Duration
    lock_wait: Duration
    request_timeout: Duration


class Policy(Frozen):
    """All policies of one installation."""

    authority: Authority
    guards: Guards
    reactions: Reactions
    absence: Absence
    correlation: Correlation
    drift: Drift
    freshness: Freshness
    retention: Retention
    limits: Limits

    @classmethod
    def defaults(cls) -> Policy:
        """The packaged policies."""
        return _defaults()

    def check_names(
        self, schema: Mapping[str, Collection[str]], *, resources: Collection[str] = ()
    ) -> None:
        """Refuse names that the canonical schema does not have: a typing error is no policy.

        Args:
            schema: entity → its field names.
            resources: the sources' own names of what they deliver, which drift is named by.

        Raises: ConfigurationError, which names the key and the name.
        """
        fields = {f"{entity}.{field}" for entity, fields in schema.items() for field in fields}
        entities: frozenset[str] = frozenset(schema)
        configured: dict[str, tuple[Collection[str], frozenset[str]]] = {
            "authority.order": (self.authority.order, entities | fields | {"*"}),
            "authority.ask": (self.authority.ask, frozenset(fields)),
            **{key: (names, entities) for key, names in self.guards.entities().items()},
            "reactions.entities": (self.reactions.entities, entities),
            "retention.entities": (self.retention.entities, entities | {"groepsdeelname"}),
            "drift.entities": (self.drift.entities, entities | frozenset(resources)),
        }
        for key, (names, known) in configured.items():
            for name in sorted(set(names) - known):
                message = f"policy.{key}: the schema has no {name!r}"
                raise ConfigurationError(message, advice=choice(name, sorted(known)))


def default_values() -> dict[str, Any]:
    """The packaged policies as plain tables, for an overlay to be laid over."""
    text = files("config").joinpath("defaults", "policies.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def _defaults() -> Policy:
    return Policy.model_validate(default_values())
