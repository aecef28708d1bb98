"""Where an administration delivers another ECK iD than the one that the hub obtained. Pure.

Both stay in the core with their origin; a case is open meanwhile (asked.py keeps it), at the
koppeling that delivers, and closes by itself when they agree, when one of both is gone, or when a
person fixed the one that is delivered.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import date
from functools import cache
from typing import Final

from config.guards import BRIN_LENGTH
from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from sync_engine.fold import RETAINED, Claim, Json

PSEUDONYM: Final = "pseudonym"
"""Kind of these cases."""

Schools = Callable[[Claim], Collection[str]]
"""BRINs and vestigingsnummers of the scope of a claim."""


@cache
def pairs(entity: Entity) -> tuple[tuple[str, str], ...]:
    """(field that is delivered, field that is obtained) of the same kind of number."""
    fields = fields_of(entity).items()
    delivered = {f.role: name for name, f in fields if f.kind is Kind.IDENTIFIER}
    return tuple(
        (delivered[f.role], name)
        for name, f in fields
        if f.kind is Kind.PSEUDONYM and f.role in delivered
    )


def differing(
    entity: Entity, claims: Sequence[Claim], *, schools: Schools, today: date
) -> dict[str, list[Claim]]:
    """Field → the claims that deliver another value than was obtained.

    A person may have one of each sector: what is delivered is compared with what was obtained for
    the school that delivers, and equals it if it equals that of any sector.

    Args:
        entity: of the record.
        claims: on the record, all of them.
        schools: where a claim is of.
        today: what was over by then is not compared.
    """
    found = {}
    for name, obtained in pairs(entity):
        ours = [c for c in claims if _obtained(c, obtained) is not None]
        values = {_obtained(claim, obtained) for claim in ours}
        here = [schools(claim) for claim in ours if not _is_over(claim, obtained, today)]
        other = [
            claim
            for claim in claims
            if _live(claim, name) is not None
            and str(claim.form[name]) not in values
            and any(_meet(schools(claim), school) for school in here)
        ]
        if other:
            found[name] = other
    return found


def _live(claim: Claim, name: str) -> Json:
    """What a claim says of a field now; None for nothing."""
    kept = claim.form.get(RETAINED) or ()
    if claim.gone or claim.ended or name in kept:  # type: ignore[operator] # a list of names
        return None
    return claim.form.get(name)


def _obtained(claim: Claim, name: str) -> str | None:
    value = _live(claim, name)
    return str(value["waarde"]) if isinstance(value, dict) else None


def _is_over(claim: Claim, name: str, today: date) -> bool:
    value = claim.form[name]
    until = value.get("geldig_tot") if isinstance(value, dict) else None
    return until is not None and str(until) <= today.isoformat()


def _meet(one: Collection[str], other: Collection[str]) -> bool:
    """Whether two scopes may be of one school; who does not say of which may be of any."""
    if not one or not other:
        return True
    fine = [{s for s in schools if len(s) > BRIN_LENGTH} for schools in (one, other)]
    if all(fine):
        return bool(fine[0] & fine[1])
    return bool({s[:BRIN_LENGTH] for s in one} & {s[:BRIN_LENGTH] for s in other})
