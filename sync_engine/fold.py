"""The fold: claims, pins and policy → one core record. Pure; reads no clock.

A *claim* is what one shadow says of the record. For each field one claim wins; the order is total,
so that the same claims give the same record in any order of arrival (design.md, idea 2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import TypeAlias, cast

import msgspec

from mappings.canonical.fields import Entity, Field, Kind
from mappings.canonical.schema import fields_of
from mappings.mapping import Strength

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"

RETAINED = "~"
"""In a form: names of the fields that the source delivered once and delivers no longer."""

PERIOD = "="
"""In an adopted form: [geldig_van, geldig_tot, tot_afgeleid] of the row that stood in the core."""

# Numbers that are unique only within the koppeling that issued them: every koppeling's is kept.
ISSUED = frozenset({"leerlingnummer", "personeelsnummer"})


class Claim(msgspec.Struct, frozen=True):
    """What one accepted shadow says.

    Attributes:
        shadow_id: which shadow.
        koppeling: name, id and authority are looked up by it.
        rank: of its scope; 0 is current.
        scope: stable key of the scope, to break ties.
        form: delivered fields, and under `~` the retained ones; references are source keys.
        gone: the source no longer has it.
        first_on: first day that the source was seen to say this record exists.
        observed_on: day on which the form was received.
        held_until: last day on which a complete reading held it, once it is gone.
        run_id: the run that received the form.
        ended: its scope is not read any more (another schooljaar, a withdrawn right): it proves
            nothing about presence, and is believed last.
        adopted: it stood in the core before any source said anything: it is ended, and believed
            after everything that a source ever said, whatever the policy.
        issuer: the koppeling that issued its numbers; 0 is its own.
        former: its scope is of a school before that changed its number or its records: what is new
            there goes on from it, and keeps its first day.
        silent: its koppeling only adds to records that others make: it says nothing of whether and
            since when the record is there.
    """

    shadow_id: int
    koppeling: str
    koppeling_id: int
    source_key: str
    rank: int
    scope: str
    form: Mapping[str, Json]
    gone: bool
    first_on: date
    observed_on: date
    held_until: date | None
    run_id: int
    ended: bool = False
    adopted: bool = False
    issuer: int = 0
    former: bool = False
    silent: bool = False

    @property
    def issued_by(self) -> int:
        """The koppeling that issued its numbers."""
        return self.issuer or self.koppeling_id


_Key: TypeAlias = tuple[bool, bool, bool, bool, int, str, int, int, str, str]


@dataclass(frozen=True, slots=True)
class PinValue:
    """A value fixed by hand."""

    pin_id: int
    value: Json


@dataclass(frozen=True, slots=True)
class FoldRules:
    """What of configuration and mappings the fold depends on.

    Attributes:
        authority: (entity, field, koppeling) → rank, lowest believed.
        strength: (entity, field, koppeling) → strength of that mapping.
        number: gives an instelling or vestiging the number of the day (renumbering.py).
    """

    authority: Callable[[str, str, str], int]
    strength: Callable[[str, str, str], Strength]
    number: Callable[[Folded], None] | None = None


class Reference(msgspec.Struct, frozen=True):
    """A reference as its source makes it; resolved through links."""

    koppeling_id: int
    entity: Entity
    key: str


class Winner(msgspec.Struct, frozen=True):
    """Why a field has its value: the claim or pin that gave it, and by which rule."""

    rule: str
    claim: Claim | None = None
    pin_id: int | None = None


class Folded(msgspec.Struct):
    """One core record before its references are resolved.

    Attributes:
        values: field → value (JSON); REFERENCE fields hold a Reference or None, MEMBERS fields a
            list of References.
        issued: (field, koppeling id) → identifier that this koppeling issued, or pseudonym that it
            obtained.
        winners: field → why.
        closed: no live source has it any more.
        start, end: half-open period; `inferred` when the end follows from absence.
    """

    entity: Entity
    values: dict[str, object] = {}
    issued: dict[tuple[str, int], Json] = {}
    winners: dict[str, Winner] = {}
    closed: bool = False
    start: date | None = None
    end: date | None = None
    inferred: bool = False
    first_on: date | None = None
    observed_on: date | None = None


def fold(
    entity: Entity,
    claims: Sequence[Claim],
    *,
    pins: Mapping[str, PinValue],
    rules: FoldRules,
) -> Folded:
    """Fold the claims on one core record into its values.

    At least one claim that is not silent is needed. Order of the claims has no influence.
    """
    folded = Folded(entity)
    telling = claims
    if len(claims) == 1 and not pins:  # by far the most common case
        _take_only(folded, claims[0])
    else:
        telling = [claim for claim in claims if not claim.silent]
        _stands(folded, telling)
        _take_all(folded, claims, pins=pins, rules=rules)
    if rules.number is not None:
        rules.number(folded)
    _close(folded, telling)
    return folded


def _stands(folded: Folded, telling: Sequence[Claim]) -> None:
    """Whether the record is there, and since when it was seen."""
    live = _judging(telling)
    folded.closed = bool(live) and all(claim.gone for claim in live)
    folded.first_on = min(claim.first_on for claim in telling)
    folded.observed_on = max(claim.observed_on for claim in telling)


def _take_all(
    folded: Folded, claims: Sequence[Claim], *, pins: Mapping[str, PinValue], rules: FoldRules
) -> None:
    """Of several claims, or beside a pin, the most believed value of every field."""
    entity = folded.entity
    for name, description in fields_of(entity).items():
        candidates = [claim for claim in claims if name in claim.form]
        winner = _winner(str(entity), name, candidates, pins=pins, rules=rules)
        if winner is None:
            continue
        folded.winners[name] = winner
        _take(folded, name, winner, candidates=candidates, kind=description.kind, pins=pins)
        if kept_of_each(description):
            for claim in sorted(candidates, key=_order(str(entity), name, rules)):
                _keep_issued(folded, name, description, claim)


def kept_of_each(description: Field) -> bool:
    """Whether a record has a value of each koppeling: a number of its own, or a pseudonym."""
    return description.role in ISSUED or description.kind is Kind.PSEUDONYM


def _judging(claims: Sequence[Claim]) -> list[Claim]:
    """The claims that say whether the record is there still.

    What is not read any more says nothing of that; where nothing else is left, whoever was gone
    before stays gone. Of what was adopted only the application itself can say that it is gone.
    """
    live = [claim for claim in claims if not claim.ended]
    adopted = [claim for claim in claims if claim.adopted]
    if not live and adopted and all(claim.gone for claim in adopted):
        return adopted
    return live or [claim for claim in claims if not claim.adopted]


@cache
def _special(entity: Entity) -> tuple[tuple[str, Field], ...]:
    """The fields whose value is more than what the form holds."""
    return tuple(
        (name, description)
        for name, description in fields_of(entity).items()
        if description.kind in {Kind.REFERENCE, Kind.MEMBERS} or kept_of_each(description)
    )


def _take_only(folded: Folded, claim: Claim) -> None:
    """One claim and no pin: every field that it delivers is the record's, as below."""
    form, entity = claim.form, folded.entity
    folded.closed = claim.gone
    folded.first_on, folded.observed_on = claim.first_on, claim.observed_on
    known = fields_of(entity)
    values: dict[str, object] = {name: value for name, value in form.items() if name in known}
    folded.winners = dict.fromkeys(values, Winner("only source", claim))
    folded.values = values
    for name, description in _special(entity):
        if name not in values:
            continue
        value = form[name]
        if description.target is not None and description.kind is Kind.MEMBERS:
            values[name] = [
                Reference(claim.koppeling_id, description.target, key)
                for key in _members(name, claim, (claim,))
            ]
        elif value is None:
            continue
        elif description.target is not None:
            values[name] = Reference(claim.koppeling_id, description.target, str(value))
        else:
            _keep_issued(folded, name, description, claim)


def _order(entity: str, name: str, rules: FoldRules) -> Callable[[Claim], _Key]:
    obtained = fields_of(Entity(entity))[name].kind is Kind.PSEUDONYM

    def key(claim: Claim) -> _Key:
        retained = name in claim.form.get(RETAINED, ())  # type: ignore[operator] # a list of names
        authority = rules.authority(entity, name, claim.koppeling)
        return (
            claim.adopted,
            claim.gone,
            claim.ended,
            retained,
            authority,
            claim.koppeling,
            _shortness(claim.form[name]) if obtained else 0,
            claim.rank,
            claim.scope,
            claim.source_key,
        )

    return key


def _shortness(pseudonym: Json) -> int:
    """Less for what lasts longer: who left one vestiging may be at another still."""
    if not isinstance(pseudonym, dict):
        return date.max.toordinal()
    until = pseudonym.get("geldig_tot")
    return 0 if until is None else (date.max - date.fromisoformat(str(until))).days


def _winner(
    entity: str,
    name: str,
    candidates: Sequence[Claim],
    *,
    pins: Mapping[str, PinValue],
    rules: FoldRules,
) -> Winner | None:
    pin = pins.get(name)
    if len(candidates) == 1 and pin is None:
        return Winner("only source", candidates[0])
    if not candidates:
        return None if pin is None else Winner("pin", pin_id=pin.pin_id)
    ordered = sorted(candidates, key=_order(entity, name, rules))
    weak = [c for c in ordered if rules.strength(entity, name, c.koppeling) is Strength.WEAK]
    firm = [c for c in ordered if c not in weak]
    best = firm[0] if firm else weak[0]
    rule = "authority"
    if firm and best.form[name] is None:
        filled = next((c for c in weak if c.form[name] is not None), None)
        if filled is not None:
            best, rule = filled, "weak mapping fills an empty field"
    strong = rules.strength(entity, name, best.koppeling) is Strength.STRONG and best.form[name]
    if pin is not None and not strong:  # a strong mapping insists on what it says, not on nothing
        return Winner("pin", claim=best, pin_id=pin.pin_id)
    return Winner(rule if len(ordered) > 1 else "only source", best)


def _take(
    folded: Folded,
    name: str,
    winner: Winner,
    *,
    candidates: Sequence[Claim],
    kind: Kind,
    pins: Mapping[str, PinValue],
) -> None:
    if winner.pin_id is not None:
        folded.values[name] = pins[name].value
        return
    claim = winner.claim
    if claim is None:
        return
    value = claim.form[name]
    description = fields_of(folded.entity)[name]
    if kind is Kind.REFERENCE and description.target is not None:
        folded.values[name] = (
            None if value is None else Reference(claim.koppeling_id, description.target, str(value))
        )
    elif kind is Kind.MEMBERS and description.target is not None:
        folded.values[name] = [
            Reference(claim.koppeling_id, description.target, key)
            for key in _members(name, claim, candidates)
        ]
    else:
        folded.values[name] = value


def _members(name: str, winner: Claim, candidates: Sequence[Claim]) -> list[str]:
    """The union over the winning koppeling's scopes: each shows only the members it may."""
    keys: set[str] = set()
    for claim in candidates:
        value = claim.form[name]
        if value is not None and (claim.koppeling, claim.gone, claim.ended) == (
            winner.koppeling,
            winner.gone,
            winner.ended,
        ):
            keys.update(value)  # type: ignore[arg-type] # MEMBERS holds a list of keys
    return sorted(keys)


def _keep_issued(folded: Folded, name: str, description: Field, claim: Claim) -> None:
    """Keep what a koppeling says of such a field, unless a claim that is more believed said it."""
    value = claim.form[name]
    if value is None:
        return
    if description.kind is Kind.PSEUDONYM:
        folded.issued.setdefault((name, claim.koppeling_id), value)
    else:
        folded.issued.setdefault((name, claim.issued_by), str(value))


@cache
def _periods(entity: Entity) -> tuple[tuple[str, Kind], ...]:
    return tuple(
        (name, description.kind)
        for name, description in fields_of(entity).items()
        if description.kind in {Kind.PERIOD_START, Kind.PERIOD_END}
    )


def _close(folded: Folded, claims: Sequence[Claim]) -> None:
    """Period of the record: from its own dates, and where all claims are gone from absence."""
    for name, kind in _periods(folded.entity):
        value = folded.values.get(name)
        day = None if value is None else date.fromisoformat(str(value))
        if kind is Kind.PERIOD_START:
            folded.start = day
        else:
            folded.end = day
    _stood(folded, claims)
    _went_on(folded, claims)
    if not folded.closed:
        return
    held = max(claim.held_until or claim.observed_on for claim in _judging(claims))
    inferred = held + timedelta(days=1)
    if folded.end is None or inferred < folded.end:
        folded.end, folded.inferred = inferred, True


def _went_on(folded: Folded, claims: Sequence[Claim]) -> None:
    """What a school goes on with after it changed began when it began."""
    former = [claim for claim in claims if claim.former]
    if len(former) in {0, len(claims)}:
        return
    for name, kind in _periods(folded.entity):
        if kind is Kind.PERIOD_START and folded.start is not None:
            days = [str(claim.form[name]) for claim in former if claim.form.get(name)]
            folded.start = min([folded.start, *map(date.fromisoformat, days)])


def _stood(folded: Folded, claims: Sequence[Claim]) -> None:
    """The period of the row that was adopted, as far as no source says anything of it.

    Its first day stays; its last one holds while it stands alone.
    """
    periods = [c for c in claims if c.adopted and c.form.get(PERIOD) is not None]
    if not periods:
        return
    oldest = min(periods, key=lambda c: (c.koppeling, c.scope, c.source_key))
    start, end, inferred = cast("list[Json]", oldest.form[PERIOD])
    if folded.start is None and start is not None:
        folded.start = date.fromisoformat(str(start))
    if all(claim.adopted for claim in claims):
        folded.end = None if end is None else date.fromisoformat(str(end))
        folded.inferred = bool(inferred)
