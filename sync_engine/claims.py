"""What may be believed of core records: their claims and pins, read from the store.

A shadow is used in its received form when it is pending and its koppeling is the one that runs;
otherwise in its accepted form. So a plan sees what would be, and explain sees what is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import msgspec

from config.policies import Gone
from mappings.canonical.fields import Entity
from sync_engine import correlate
from sync_engine.context import Context, chunks
from sync_engine.fold import Claim, Json, PinValue
from sync_engine.project import has_parts
from sync_engine.store.work import Row


class Fresh(msgspec.Struct, frozen=True, gc=False):
    """A pending shadow that would be accepted.

    Attributes:
        parted: its accepted form is stored apart from the received one.
        replaces: it has an accepted form.
    """

    number: int
    gone: bool
    parted: bool
    replaces: bool


@dataclass(slots=True)
class Said:
    """What was said of a batch of core records, by core id.

    Attributes:
        accept: the pending shadows that the claims rest on.
        before: of what has members, the accepted form that a pending one would replace.
        pins: field → pin in force.
    """

    claims: dict[int, list[Claim]] = field(default_factory=lambda: defaultdict(list))
    accept: dict[int, list[Fresh]] = field(default_factory=lambda: defaultdict(list))
    pins: dict[int, dict[str, PinValue]] = field(default_factory=lambda: defaultdict(dict))
    before: dict[int, Mapping[str, Json]] = field(default_factory=dict)


def gather(
    context: Context,
    entity: Entity,
    cores: Sequence[int],
    *,
    skip: Collection[str] = (),
    accepted_only: bool = False,
    only: Collection[str] | None = None,
    new: range = range(0),
) -> Said:
    """Every claim and pin on these core records.

    Args:
        context: of the run, or of who reads.
        entity: of all these records.
        cores: their core ids.
        skip: source keys of the running koppeling whose received form is in doubt.
        accepted_only: use no received form at all.
        only: source keys of the running koppeling whose received form may be used; None for all.
        new: core ids that this run gave out: the store knows nothing of them yet.
    """
    known = [core_id for core_id in cores if core_id not in new]
    gatherer = _Gatherer(context, entity, cores, known, skip, accepted_only, only)
    gatherer.claims()
    gatherer.pins()
    return gatherer.said if not context.adding else _told(gatherer.said)


def _told(said: Said) -> Said:
    """A record that silent claims alone are left of is as if nobody said anything of it."""
    for core_id, claims in list(said.claims.items()):
        if all(claim.silent for claim in claims):
            del said.claims[core_id]
            said.accept.pop(core_id, None)
    return said


def accepted(context: Context, entity: Entity, core_id: int) -> Said:
    """What is believed of one core record now."""
    correlate.prepare(context)
    return gather(context, entity, [core_id], accepted_only=True)


class _Place(msgspec.Struct, frozen=True):
    """What all claims of one scope have in common, as a claim has it.

    Attributes:
        over: the day on which whoever was left behind there is gone.
    """

    koppeling: str
    rank: int
    scope: str
    last: tuple[bool, bool, int, bool, bool]  # ended, adopted, issuer, former, silent
    over: date | None


@dataclass(slots=True)
class _Gatherer:
    context: Context
    entity: Entity
    cores: Sequence[int]
    known: Sequence[int]
    skip: Collection[str]
    accepted_only: bool
    only: Collection[str] | None
    said: Said = field(default_factory=Said)
    places: dict[tuple[int, int], _Place] = field(default_factory=dict)

    def claims(self) -> None:
        """Every shadow of these records, as what the core may use of it."""
        work = self.context.work
        nodes: dict[tuple[int, str], int] = {}
        for table, cores in (("link", self.known), ("w_link", self.cores)):
            for part in chunks(cores):
                for koppeling_id, key, core_id in work.execute(
                    f"SELECT koppeling_id, source_key, core_id FROM {table} "
                    f"WHERE entity = ? AND {work.many('core_id')}",
                    (str(self.entity), work.values(part)),
                ):
                    nodes[koppeling_id, key] = core_id
        overridden = self._overridden(nodes) | self._unlinked()
        by_koppeling: dict[int, list[str]] = defaultdict(list)
        for koppeling_id, key in nodes:
            if (koppeling_id, key) not in overridden:
                by_koppeling[koppeling_id].append(key)
        for koppeling_id, keys in sorted(by_koppeling.items()):
            for keys_part in chunks(keys):
                rows = work.execute(
                    f"{_SHADOWS} AND {work.many('source_key')}",
                    (koppeling_id, str(self.entity), work.values(keys_part)),
                )
                restored = self._restored([row[0] for row in rows])
                for row in rows:
                    core_id = nodes[koppeling_id, row[2]]
                    self._claim(core_id, koppeling_id, restored.get(row[0], row))

    def _overridden(self, nodes: Mapping[tuple[int, str], int]) -> set[tuple[int, str]]:
        """Links that this run moves to another core record."""
        if not self.known:
            return set()
        moved = {
            (row[0], row[1]): row[2]
            for row in self.context.work.execute(
                "SELECT koppeling_id, source_key, core_id FROM w_link "
                "WHERE entity = ? AND rule IN ('merged', 'moved')",
                (str(self.entity),),
            )
        }
        return {node for node, core_id in nodes.items() if moved.get(node, core_id) != core_id}

    def _unlinked(self) -> set[tuple[int, str]]:
        """Links that this run takes away."""
        if not self.context.turned:
            return set()
        return set(
            self.context.work.execute(
                "SELECT koppeling_id, source_key FROM w_unlinked WHERE entity = ?",
                (str(self.entity),),
            )
        )

    def _restored(self, numbers: Sequence[int]) -> dict[int, Row]:
        """Shadow → its row with the accepted form that it gets back."""
        work = self.context.work
        found: dict[int, Row] = {}
        if not self.context.turned:
            return found
        for part in chunks(numbers):
            for row in work.execute(
                "SELECT s.id, s.scope_id, s.source_key, false, s.received_gone, "
                "r.former_fp IS NOT NULL, r.gone, s.first_on, s.observed_on, s.held_until, "
                "s.run_id, s.received, r.form, s.salt, r.held "
                "FROM w_restore r CROSS JOIN v_shadow s "
                f"WHERE s.id = r.shadow_id AND {work.many('r.shadow_id')}",
                (work.values(part),),
            ):
                found[row[0]] = row
        return found

    def _claim(self, core_id: int, koppeling_id: int, row: Row) -> None:
        number, scope_id, key, pending, received_gone, is_accepted, accepted_gone = row[:7]
        first_on, observed_on, held_until, run_id, received, accepted, salt, accepted_held = row[7:]
        context = self.context
        fresh = pending and koppeling_id == context.koppeling.id and key not in self.skip
        fresh = fresh and not self.accepted_only and (self.only is None or key in self.only)
        if fresh:
            self.said.accept[core_id].append(
                Fresh(number, bool(received_gone), accepted is not None, bool(is_accepted))
            )
        if not (fresh or is_accepted) or salt is None:
            return
        blob = received if fresh or accepted is None else accepted
        person, where = context.cipher.person(salt), b"shadow|%d" % number
        plain = person.decrypt(blob, where)
        was_there = is_accepted and not accepted_gone and accepted is not None
        if fresh and was_there and has_parts(self.entity)[1]:
            self.said.before[core_id] = msgspec.json.decode(person.decrypt(accepted, where))
        gone = bool(received_gone if fresh else accepted_gone)
        if gone and not fresh and accepted_held is not None:  # what came since moves no last day
            held_until = accepted_held
        place = self.places.get((koppeling_id, scope_id))
        if place is None:
            place = self._place(scope_id, koppeling_id)
            self.places[koppeling_id, scope_id] = place
        if place.over is not None and not gone:
            gone, held_until = True, place.over
        self.said.claims[core_id].append(
            Claim(
                number,
                place.koppeling,
                koppeling_id,
                key,
                place.rank,
                place.scope,
                _decode(plain),
                gone and not self._keeps(),
                _day(first_on),
                _day(observed_on),
                None if held_until is None else _day(held_until),
                run_id,
                *place.last,
            )
        )

    def _place(self, scope_id: int, koppeling_id: int) -> _Place:
        context, scope = self.context, self.context.scopes[scope_id]
        adopted, over = scope_id in context.adopted_scopes, context.finished_scopes.get(scope_id)
        ended = scope_id in context.ended_scopes or scope_id in context.stopped_scopes
        return _Place(
            context.koppelingen[koppeling_id],
            context.rank(scope_id),
            f"{scope.resource}/{scope.key}",
            (
                adopted or (ended and over is None),  # who was left behind there is gone
                adopted,
                context.issuer(scope_id),
                scope_id in context.former_scopes,
                koppeling_id in context.adding,
            ),
            over,
        )

    def _keeps(self) -> bool:
        """Whether policy keeps what disappeared from its source."""
        return self.context.policy.reactions.of(str(self.entity)).gone is Gone.KEEP

    def _aliases(self) -> str:
        """Whoever is parted again is no alias."""
        return "AND core_id NOT IN (SELECT core_id FROM w_unalias)" if self.context.turned else ""

    def pins(self) -> None:
        """Pins in force, those on records that were merged into these included; newest last."""
        context, work = self.context, self.context.work
        owner = {core_id: core_id for core_id in self.known}
        for table in ("w_alias", "alias"):
            for part in chunks(sorted(owner)):
                for core_id, survivor in work.execute(
                    f"SELECT core_id, survivor_id FROM {table} "
                    f"WHERE {work.many('survivor_id')} {self._aliases()}",
                    (work.values(part),),
                ):
                    owner[core_id] = owner[survivor]
        for part in chunks(sorted(owner)):
            for pin_id, core_id, name, value, salt in work.execute(
                "SELECT p.id, p.core_id, p.field, p.value, s.salt FROM pin p "
                "JOIN core_salt s ON s.core_id = p.core_id "
                f"WHERE p.lifted_at IS NULL AND {work.many('p.core_id')} ORDER BY p.id",
                (work.values(part),),
            ):
                if pin_id in context.expired_pins:
                    continue
                pins = self.said.pins[owner[core_id]]
                if name not in pins or pins[name].pin_id < pin_id:
                    plain = context.cipher.person(salt).decrypt(value, b"pin|%d" % core_id)
                    pins[name] = PinValue(pin_id, msgspec.json.decode(plain))


_decode = msgspec.json.Decoder().decode
_SHADOWS = (
    "SELECT id, scope_id, source_key, pending, received_gone, accepted_fp IS NOT NULL, "
    "accepted_gone, first_on, observed_on, held_until, run_id, received, accepted, salt, "
    "accepted_held FROM v_shadow WHERE koppeling_id = ? AND entity = ?"
)


def _day(value: date | str) -> date:
    return value if isinstance(value, date) else date.fromisoformat(value)
