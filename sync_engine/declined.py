"""What a person refused or undid, told field by field: what the core has, and what a source says.

Where sources differ no run changes it until the source says something else, or it is lifted
(refusals.py); until then core and source are not the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import msgspec

from mappings.canonical.fields import Entity, Field, Kind
from mappings.canonical.schema import fields_of
from sync_engine import correlate
from sync_engine.asked import PLAIN
from sync_engine.audit import note
from sync_engine.context import Context
from sync_engine.explain import veiled
from sync_engine.find import hub_key
from sync_engine.flat import SECRET
from sync_engine.fold import Json
from sync_engine.hub import Hub
from sync_engine.nodes import lookup_links
from sync_engine.reach import ELSEWHERE
from sync_engine.rows import States
from sync_engine.store.work import Row
from sync_engine.view import store_context

_SLICE: Final = 500


@dataclass(frozen=True, slots=True)
class Word:
    """A person's word by which a form does not count.

    Attributes:
        run_id: the run that refused or undid it, `kind` which of the two, by `operator`, `at` then.
    """

    run_id: int
    kind: str
    operator: str
    at: str


@dataclass(frozen=True, slots=True)
class Declined:
    """One record of which the core does not use what a source says. Its values are personal data.

    Attributes:
        op: what would become of it: create, change, close or reopen.
        key: the hub's own, empty for what the core does not have.
        scope, resource, raw_key: where it stands in the source; `scope` as a report calls it.
        fields: field → [core, source], personal numbers masked, what is secret left out; references
            and members by the source's own keys. Empty where the record is on one side only, or
            where the core says the same by now.
    """

    entity: str
    op: str
    key: str
    source_key: str
    scope: str
    resource: str
    raw_key: str
    fields: dict[str, list[Json]]
    word: Word

    @property
    def differs(self) -> bool:
        """Whether core and source are not the same."""
        return self.op != "change" or bool(self.fields)


def declined(hub: Hub, koppeling: str, *, run_id: int | None = None) -> Iterator[Declined]:
    """All that is refused of a koppeling and that the actor may see, in the order of the runs.

    Args:
        hub: of the koppeling.
        koppeling: its name.
        run_id: of the refusal or undo; None for every one.
    """
    row = hub.koppeling(koppeling)
    with store_context(hub, row.tenant_id, koppeling=row) as context:
        correlate.prepare(context)
        where, params = ("", []) if run_id is None else ("AND s.refused_run = ?", [run_id])
        numbers = [
            number
            for (number,) in context.work.execute(
                "SELECT s.id FROM shadow s WHERE s.koppeling_id = ? AND s.refused_run IS NOT NULL "
                f"{where} ORDER BY s.refused_run, s.entity, s.source_key, s.id",
                (row.id, *params),
            )
        ]
        for start in range(0, len(numbers), _SLICE):
            rows = _rows(context, numbers[start : start + _SLICE])
            for name, some in groupby(rows, key=lambda told: told[1]):
                yield from _told(context, Entity(name), list(some))


def look(
    hub: Hub,
    koppeling: str,
    *,
    run_id: int,
    keys: Sequence[tuple[str, str]] = (),
    operator: str,
) -> list[Declined]:
    """What lifting a refusal comes to; who looks is put in the audit trail.

    Args:
        hub: of the koppeling.
        koppeling: its name.
        run_id: of the refusal or undo.
        keys: (entity, source key) of some records; empty for all of the run.
        operator: who looks.
    """
    with hub.store.work() as work:
        note(hub, work, operator=operator, action="refused show", subject=f"run {run_id}")
    return [
        one
        for one in declined(hub, koppeling, run_id=run_id)
        if not keys or (one.entity, one.source_key) in keys
    ]


def _rows(context: Context, numbers: Sequence[int]) -> list[Row]:
    work = context.work
    return work.execute(
        "SELECT s.id, s.entity, s.source_key, s.scope_id, p.source_key, s.received, s.accepted, "
        "s.salt, s.accepted_fp, s.received_gone, s.accepted_gone, r.id, r.kind, r.operator, "
        "r.started_at FROM v_shadow s JOIN run r ON r.id = s.refused_run "
        f"LEFT JOIN v_record p ON p.id = s.record_id WHERE {work.many('s.id')} "
        "ORDER BY s.refused_run, s.entity, s.source_key, s.id",
        (work.values(numbers),),
    )


def _told(context: Context, entity: Entity, rows: Sequence[Row]) -> Iterator[Declined]:
    linked = lookup_links(context, entity, [row[2] for row in rows])
    core = States(context).read(entity, sorted(set(linked.values())), members=False)
    seen = _Seen(context)
    for number, _, key, scope_id, raw_key, *forms, run_id, kind, operator, at in rows:
        received, accepted, salt, accepted_fp, gone, was_gone = forms
        scope, core_id = context.scopes[scope_id], linked.get(key)
        op = "create" if accepted_fp is None else "change"
        if op == "change" and bool(gone) != bool(was_gone):
            op = "close" if gone else "reopen"
        fields: dict[str, list[Json]] = {}
        if op in {"change", "reopen"} and salt is not None:
            person, where = context.cipher.person(salt), b"shadow|%d" % number
            sides = [
                msgspec.json.decode(person.decrypt(blob, where), type=dict[str, Any])
                for blob in (accepted or received, received)
            ]
            fields = _fields(entity, sides[0], sides[1], core.get(core_id or 0, {}), seen)
        yield Declined(
            str(entity),
            op,
            "" if core_id is None else hub_key(core_id),
            key,
            scope.label or scope.key,
            scope.resource,
            raw_key or "",
            fields,
            Word(run_id, kind, operator, str(at)),
        )


class _Seen:
    """The source's keys of other records, as far as the actor may see those."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[Entity, dict[str, bool]] = defaultdict(dict)

    def keys(self, target: Entity, keys: Sequence[str]) -> list[Json]:
        """Each of these, or that it is of another school."""
        if not self._context.work.is_limited:
            return [*keys]
        known = self._known[target]
        asked = [key for key in keys if key not in known]
        mine = lookup_links(self._context, target, asked) if asked else {}
        known.update({key: key in mine for key in asked})
        return [key if known[key] else ELSEWHERE for key in keys]


def _fields(
    entity: Entity,
    accepted: Mapping[str, Json],
    received: Mapping[str, Json],
    core: Mapping[str, Json],
    seen: _Seen,
) -> dict[str, list[Json]]:
    """Field → [core, source] of what was refused; not where the core says it by another source."""
    found: dict[str, list[Json]] = {}
    for name, description in fields_of(entity).items():
        if name not in received or received[name] == accepted.get(name):
            continue
        plain = description.kind in PLAIN
        before = core.get(name) if plain and name in core else accepted.get(name)
        after = received[name]
        if before == after:
            continue
        flag = description.hidden_by
        if flag and (accepted.get(flag) or received.get(flag)):
            found[name] = [None if side is None else SECRET for side in (before, after)]
        else:
            found[name] = _sides(entity, name, description, [before, after], seen)
    return found


def _sides(
    entity: Entity, name: str, description: Field, pair: list[Json], seen: _Seen
) -> list[Json]:
    target = description.target
    if target is None:
        return [veiled(entity, name, side) for side in pair]
    if description.kind is not Kind.MEMBERS:
        return [seen.keys(target, [str(side)])[0] if side is not None else None for side in pair]
    before, after = ([str(one) for one in side] if isinstance(side, list) else [] for side in pair)
    return [
        seen.keys(target, [one for one in before if one not in after]),
        seen.keys(target, [one for one in after if one not in before]),
    ]
