"""How alike two persons must be: for a case, and for many cases to be answered at once.

A score never links by itself. What is not said for a koppeling or an entity is as elsewhere; the
most specific one that says something counts: an entity of a koppeling, the koppeling, the entity,
all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from config.frozen import Frozen, Share

WEIGHED: Final = frozenset({"leerling", "medewerker"})
"""The entities that are weighed; verzorgers are alike by equal parts, and by no score."""

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Scale(Frozen):
    """What holds for one entity of one koppeling.

    Attributes:
        weights: part of a person (`achternaam`) → weight.
        case_at: score between 0 and 1 from which a case is opened; below it a record is new.
        sure_at: score from which `case link-all` may take a case where something differs; None, the
            default, is never. It links nobody by itself.
    """

    weights: dict[str, Weight]
    case_at: Share
    sure_at: Share | None = None

    @model_validator(mode="after")
    def _is_sure_of_cases_only(self) -> Self:
        if self.sure_at is not None and self.sure_at < self.case_at:
            message = "sure_at must be at least case_at"
            raise ValueError(message)
        if not any(self.weights.values()):
            message = "weights: at least one must be above 0"
            raise ValueError(message)
        return self

    def is_case(self, score: float) -> bool:
        """Whether a person is asked."""
        return score >= self.case_at

    def is_sure(self, score: float) -> bool:
        """Whether a person may answer it together with others."""
        return self.sure_at is not None and score >= self.sure_at


class OtherScale(Frozen):
    """What one entity does otherwise; None is as elsewhere."""

    weights: dict[str, Weight] | None = None
    case_at: Share | None = None
    sure_at: Share | None = None


class SourceScale(OtherScale):
    """What one koppeling does otherwise, and its entities."""

    entities: dict[str, OtherScale] = Field(default_factory=dict)


class Correlation(Scale):
    """How alike two persons must be, and the entities and koppelingen that do otherwise."""

    entities: dict[str, OtherScale] = Field(default_factory=dict)
    sources: dict[str, SourceScale] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _each_holds(self) -> Self:
        for where, named in (("", self.entities), *self._of_sources()):
            if unknown := sorted(named.keys() - WEIGHED):
                known = " and ".join(sorted(WEIGHED))
                message = f"{where}entities.{unknown[0]}: only {known} are weighed"
                raise ValueError(message)
        for source in ("", *self.sources):
            for entity in ("", *sorted(WEIGHED)):
                self.of(entity, source)
        return self

    def _of_sources(self) -> Iterator[tuple[str, Mapping[str, OtherScale]]]:
        yield from ((f"sources.{name}.", source.entities) for name, source in self.sources.items())

    def of(self, entity: str, source: str = "") -> Scale:
        """What holds for an entity of a koppeling."""
        found = {"weights": self.weights, "case_at": self.case_at, "sure_at": self.sure_at}
        for other in self._others(entity, source):
            said = {"weights": other.weights, "case_at": other.case_at, "sure_at": other.sure_at}
            found |= {name: value for name, value in said.items() if value is not None}
        return Scale.model_validate(found)

    def _others(self, entity: str, source: str) -> Iterator[OtherScale]:
        """What holds otherwise there, the most specific last."""
        if entity in self.entities:
            yield self.entities[entity]
        own = self.sources.get(source)
        if own is not None:
            yield own
            if entity in own.entities:
                yield own.entities[entity]
