"""What exists near to a number or key that was mistyped; only what the actor may see."""

from __future__ import annotations

from collections.abc import Sequence

from config.errors import ConfigurationError
from config.nearest import choice
from mappings.canonical.fields import Entity
from mappings.canonical.schema import fields_of
from sync_engine.store.work import Work


def near_numbers(
    work: Work, source: str, column: str, number: int, params: Sequence[object]
) -> str:
    """Advice (Dutch): the numbers nearest to one that there is not.

    Args:
        work: of the hub.
        source: what follows FROM, with the condition that shows only what may be seen; its rows may
            have one number several times, or none.
        column: the number's.
        number: that was typed.
        params: of `source`.
    """
    found = work.execute(
        f"SELECT number FROM (SELECT DISTINCT {column} AS number FROM {source}) AS known "
        "WHERE number IS NOT NULL ORDER BY ABS(number - ?), number LIMIT 3",
        (*params, number),
    )
    numbers = ", ".join(str(row[0]) for row in sorted(found))
    return f"De dichtstbijzijnde die er zijn: {numbers}." if numbers else "Er is er nog geen."


def checked_entity(text: str) -> Entity:
    """The entity of that name. Raises: ConfigurationError; it names the nearest."""
    try:
        return Entity(text.strip().lower())
    except ValueError:
        raise ConfigurationError(
            f"there is no entity {text!r}", advice=choice(text, map(str, Entity))
        ) from None


def checked_field(text: str, entity: Entity | None) -> str:
    """A canonical field of one entity, or of any.

    Raises: ConfigurationError; it names the nearest.
    """
    known = [n for e in ([entity] if entity else Entity) for n in fields_of(e)]
    if text not in known:
        raise ConfigurationError(
            f"{entity or 'the schema'} has no field {text!r}",
            advice=choice(text, sorted(set(known))),
        )
    return text


def checked_word(text: str, known: Sequence[str], *, what: str) -> str:
    """One of a few words. Raises: ConfigurationError; it names the nearest."""
    if text not in known:
        raise ConfigurationError(f"there is no {what} {text!r}", advice=choice(text, known))
    return text
