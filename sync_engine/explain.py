"""Explain: for every field of a core record, what gives its value, and what else is claimed.

Uses the very fold that the run uses: what is explained is what happens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from config.nearest import choice
from mappings.canonical.fields import Entity
from mappings.canonical.schema import fields_of
from sync_engine.asked import asked_fields, core_values, disagreeing
from sync_engine.claims import Said, accepted
from sync_engine.context import Context
from sync_engine.errors import SyncError
from sync_engine.fold import RETAINED, Claim, Json, fold
from sync_engine.matching import EXCLUSIVE
from sync_engine.project import ORIGIN_COLUMNS, identifier_field


@dataclass(frozen=True, slots=True)
class SourceClaim:
    """What one source says of one field."""

    koppeling: str
    scope: str
    state: str  # value, empty, retained (no longer delivered), gone
    value: Json
    since: str
    run_id: int


@dataclass(frozen=True, slots=True)
class Change:
    """One earlier change of a field, from the journal.

    Attributes:
        key: what changed, as the journal calls it.
        who: of a groep: the member whose [first day, day after the last] changed.
    """

    run_id: int
    op: str
    before: Json
    after: Json
    at: str
    key: str = ""
    who: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a source says of a field that the core may not use yet.

    Attributes:
        state: held, refused, disputed, quarantined, or pending: for the next run.
        number: of the plan that holds it, the run that refused it or set it apart, or the case.
        why: in Dutch.
    """

    koppeling: str
    scope: str
    state: str
    value: Json
    number: int | None
    why: str


@dataclass(frozen=True, slots=True)
class PinReason:
    """The pin on a field: `until` is its last day, '' where it has none."""

    id: int
    value: Json
    reason: str
    operator: str
    since: str
    until: str


@dataclass(slots=True)
class FieldReason:
    """Why a field has its value.

    Attributes:
        value: as the core has it; personal numbers are masked.
        rule: which rule chose it (`only source`, `authority`, `pin`, ...).
        koppeling: whose claim it is, where it is one.
        run_id: the run that gave the core this value; `at` is when.
        waiting: what sources say that is not in the core.
        pin: the value that a person fixed, whether it counts or not.
        changes_when: what would change the value, in Dutch.
        labels: source key of another record that is named here → what people call it.
    """

    name: str
    value: Json
    rule: str
    koppeling: str
    run_id: int | None
    pin_id: int | None
    at: str = ""
    claims: list[SourceClaim] = field(default_factory=list)
    history: list[Change] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    pin: PinReason | None = None
    changes_when: str = ""
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Explanation:
    """One core record, explained; only the fields that somebody claims or pinned."""

    entity: Entity
    core_id: int
    situation: dict[str, str]  # koppeling/source key → situation
    fields: list[FieldReason]
    closed: bool
    waiting: list[Waiting] = field(
        default_factory=list
    )  # what is not in the core of the whole record


def explain(
    context: Context, entity: Entity, core_id: int, *, only: str | None = None
) -> Explanation:
    """Explain one core record from its accepted claims.

    Raises: SyncError if there is no such record, or no such field.
    """
    check_field(entity, only)
    said = accepted(context, entity, core_id)
    claims = said.claims.get(core_id, [])
    if not claims:
        raise SyncError(
            f"no source has said anything of this {entity}",
            advice="Controleer de sleutel; zoek op leerlingnummer of op de sleutel van de hub.",
        )
    folded = fold(entity, claims, pins=said.pins.get(core_id, {}), rules=context.rules())
    asked = _asked(context, entity, core_id, said)
    history = _history(context, entity, core_id)
    everything = [change for changes in history.values() for change in changes]
    first = min(everything, key=lambda change: change.run_id, default=None)
    reasons = []
    for name, winner in folded.winners.items():
        if only is not None and name != only:
            continue
        claim = winner.claim
        value = asked.get(name, folded.values.get(name))
        changes = history.get(name, [])
        given = changes[-1] if changes else first  # a field that was always empty
        reasons.append(
            FieldReason(
                name,
                veiled(entity, name, shown(value)),
                "asks a person" if name in asked else winner.rule,
                "" if claim is None or name in asked else claim.koppeling,
                given.run_id if given else None if claim is None else claim.run_id,
                winner.pin_id,
                given.at if given else "",
                [_said(entity, name, other) for other in claims if name in other.form],
                changes,
            )
        )
    return Explanation(
        entity, core_id, _situations(context, entity, core_id), reasons, folded.closed
    )


def _asked(context: Context, entity: Entity, core_id: int, said: Said) -> Mapping[str, Json]:
    """Fields of which a person is asked → what the core keeps until he answers."""
    fields = asked_fields(context.policy).get(entity, ())
    pinned = said.pins.get(core_id, ())
    names = disagreeing(said.claims[core_id], fields, pinned=pinned)
    return core_values(context, entity, core_id, names)


def check_field(entity: Entity, name: str | None) -> None:
    """Raises: SyncError, which names the nearest, if the entity has no such field."""
    if name is not None and name not in fields_of(entity):
        raise SyncError(f"{entity} has no field {name!r}", advice=choice(name, fields_of(entity)))


def veiled(entity: Entity, name: str, value: Json) -> Json:
    """Personal numbers are told apart by their end; they are not shown whole."""
    if fields_of(entity)[name].role not in EXCLUSIVE or value is None:
        return value
    return _shortened(value) if isinstance(value, dict) else f"…{str(value)[-4:]}"


def _shortened(row: Mapping[str, Json]) -> dict[str, Json]:
    """A number with what is kept beside it, the number by its end."""
    kept: dict[str, Json] = {name: row[name] for name in ORIGIN_COLUMNS if row.get(name)}
    return {"waarde": f"…{str(row.get('waarde'))[-4:]}", **kept}


def _said(entity: Entity, name: str, claim: Claim) -> SourceClaim:
    value = claim.form[name]
    retained = name in (claim.form.get(RETAINED) or ())  # type: ignore[operator] # list of names
    state = (
        "gone" if claim.gone else "retained" if retained else "empty" if value is None else "value"
    )
    return SourceClaim(
        claim.koppeling,
        claim.scope,
        state,
        veiled(entity, name, value),
        claim.observed_on.isoformat(),
        claim.run_id,
    )


def shown(value: object) -> Json:
    """A value as people see it: references by the source's key."""
    if isinstance(value, list):
        return [getattr(item, "key", item) for item in value]
    key = getattr(value, "key", None)
    return key if key is not None else value  # type: ignore[return-value] # JSON otherwise


def _situations(context: Context, entity: Entity, core_id: int) -> dict[str, str]:
    """Situation per source record, as of now.

    One that was new in an earlier run is linked by now, and so is one about which a person decided
    since.
    """
    work = context.work
    rows = work.execute(
        "SELECT k.name, s.source_key, CASE WHEN s.situation = 'disputed' "
        "AND s.entity IN ('leerling', 'medewerker') AND NOT EXISTS "
        "(SELECT 1 FROM zaak z WHERE z.koppeling_id = s.koppeling_id AND z.entity = s.entity "
        "AND z.source_key = s.source_key AND z.state = 'open') THEN 'linked' ELSE s.situation END, "
        "l.run_id, (SELECT MAX(r.id) FROM run r "
        "WHERE r.koppeling_id = k.id AND r.state IN ('done', 'partial', 'held') AND NOT EXISTS "
        "(SELECT 1 FROM plan p WHERE p.run_id = r.id AND p.state = 'dry')) "
        "FROM link l JOIN shadow s "
        "ON s.koppeling_id = l.koppeling_id AND s.entity = l.entity "
        "AND s.source_key = l.source_key JOIN koppeling k ON k.id = l.koppeling_id "
        "WHERE l.core_id = ? AND l.entity = ? ORDER BY k.name, s.source_key, s.id",
        (core_id, str(entity)),
    )
    return {
        f"{name}/{key}": "linked"
        if situation in _FOUND and last is not None and since < last
        else situation
        for name, key, situation, since, last in rows
    }


_FOUND = frozenset({"unmatched", "unlinked"})  # new, or recognised, in the run that linked it


def _history(context: Context, entity: Entity, core_id: int) -> dict[str, list[Change]]:
    """Field → its applied changes, oldest first."""
    rows = context.work.execute(
        "SELECT s.run_id, s.op, s.digest, s.salt, s.change, r.started_at FROM step s "
        "JOIN plan p ON p.id = s.plan_id JOIN run r ON r.id = s.run_id "
        "WHERE s.core_id = ? AND s.state = 'planned' AND p.applied ORDER BY s.id",
        (core_id,),
    )
    found: dict[str, list[Change]] = {}
    for run_id, op, digest, salt, change, at in rows:
        if salt is None:
            continue
        plain = context.cipher.person(salt).decrypt(change, b"step|%s" % digest)
        for key, (before, after) in msgspec.json.decode(plain).items():
            was, now = masked(key, [before, after])
            name = _field_of(entity, key)
            found.setdefault(name, []).append(Change(run_id, op, was, now, str(at), key))
    return found


def _field_of(entity: Entity, key: str) -> str:
    """The canonical field that a key of the flat state belongs to."""
    parts: Sequence[str] = key.split("/")
    if parts[0] == "identificatie":
        return identifier_field(entity, key) or parts[1]
    if parts[0] == "contactgegeven":
        return parts[1]
    if parts[0] == "adres":
        return "adres"
    if parts[0] == "groepsdeelname":
        return {"leerling": "leerlingen", "docent": "docenten"}.get(parts[1], f"{parts[1]}en")
    return parts[0].removesuffix("_id")


def masked(name: str, pair: list[Json]) -> list[Json]:
    """Personal numbers are told apart by their end; they are not shown whole."""
    if not name.startswith(("identificatie/bsn", "identificatie/onder", "identificatie/eck")):
        return pair
    return [_shortened(side) if isinstance(side, dict) else side for side in pair]
