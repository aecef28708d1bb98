"""The oracle: what the core must be, as a naive fold of what was said; it knows nothing of the hub.

Who is who is judged in identity.py.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from tests.property.history import At, Claim, History, Member, Node, Place, Reading, Row
from tests.property.identity import NUMBERS, Claims, Identity

DAY, CONFIRMED = timedelta(days=1), timedelta(hours=6)


class Oracle(Identity):
    def __init__(self, history: History) -> None:
        super().__init__()
        self.history = history
        self.away: set[At] = set()
        self.missed: dict[At, Any] = {}  # since when whole readings miss it, and when one held it
        self.whole: dict[Place, date] = {}  # the last whole reading
        self.members: dict[Member, list[Any]] = {}  # from when until when, if it is over

    def hear(self, r: Reading) -> None:
        """Take what a reading says, and what is gone by it: by its word, or missed long enough."""
        last, missing = self.whole.get(r.place), r.known - r.seen - self.away
        gone = r.gone & r.known - self.away
        self.away -= r.seen
        self.missed = {at: days for at, days in self.missed.items() if at not in r.seen}
        for (node, scope), claim in r.told.items():
            if claim != self.received.setdefault(node, {}).get(scope):
                self.received[node][scope] = replace(claim, held=last)
        if r.whole:
            met = len(r.known & r.seen)
            if missing and (not met or 3 < len(missing) >= met):
                return  # half of it, or all of it, is missing at once: that proves nothing
            self.missed = dict.fromkeys(missing, (r.now, last)) | self.missed
            if not "07-25" <= f"{r.day:%m-%d}" <= "08-20":
                gone |= {at for at in missing if r.now - self.missed[at][0] >= CONFIRMED}
        for node, scope in gone:
            old = self.received.get(node, {}).get(scope)
            if old and not old.gone:
                held = self.missed.get((node, scope), (r.now, last))[1] or old.day
                self.received[node][scope] = replace(old, gone=True, held=max(held, old.day))
        self.away |= gone
        self.whole |= {r.place: r.day} if r.complete else {}

    def run(self, source: str, *, closes: bool = True) -> None:
        """A source was read: judge and accept what it says, but no closing where they are held."""
        for entity in map(str, Entity):
            new = self._judged(source, entity, self.received) - self.core.keys()
            self._correlate(source, entity, {n for n in new if self._row({n}, self.received)})
            sure = self._judged(source, entity, self.core) - self.cases.keys()
            for one in {self.core[n] for n in sure}:
                said = self.accepted | {n: {**self.received[n]} for n in sure & self._group(one)}
                row, old = self._row(self._group(one), said), self.shown.get(one, {})
                ends = row and row["tot_afgeleid"] and not old.get("tot_afgeleid", True)
                self.accepted = said if row and (closes or not ends) else self.accepted
        self._fold()

    def _fold(self) -> None:
        """Every core record, of what is accepted; and who is a member since when."""
        rows = {one: self._row(self._group(one), self.accepted) or {} for one in self.core.values()}
        for one, row in [(one, row) for one, row in rows.items() if one[1] == Entity.GROEP]:
            claims = [c for n in self._group(one) for c in self.accepted.get(n, {}).values()]
            seen = max(c.day for c in claims)
            until = max((c.held for c in claims if c.held), default=seen) + DAY
            start = str(seen) if one in self.shown else row["geldig_van"]
            for name in [name for name, value in row.items() if isinstance(value, set)]:
                was = self.shown.get(one, {}).get(name, set())
                for who in row[name] - was:
                    self.members.setdefault((one, name, who), []).append((start, None))
                for told in [self.members[one, name, who] for who in was - row[name]]:
                    told[-1] = (told[-1][0], str(until))
        self.shown = rows

    def _row(self, group: set[Node], claims: Claims) -> Row | None:
        """The fold of a core record; None while a required reference is not there."""
        pins = {name: value for (node, name), value in self.history.pins.items() if node in group}
        ours = [c for node in group for c in claims.get(node, {}).values()]
        ours = [replace(c, ended=(c.node[0], c.scope) in self.history.ended) for c in ours]
        row: Row = {"geldig_van": None, "geldig_tot": None, "tot_afgeleid": False}
        for name, description in fields_of(Entity(min(group)[1])).items():
            told = self._told(name, ours)
            best = next(iter(told), None)
            if name in NUMBERS:  # one of each source, the believed one last
                row[name] = {c.node[0]: v for c in reversed(told) if (v := c.values[name])}
            elif description.kind is Kind.MEMBERS:  # of all that stand as the believed one does
                alike = [c for c in told if c.standing == told[0].standing]
                who = {self.core.get(n) for c in alike for n in c.values[name] or ()}
                row[name] = who - {None}
            else:
                row[name] = best and self._resolve(best.values[name])
                if description.required and row[name] is None:
                    return None
            strong = best and (*best.node[:2], name) in self.history.strong and row[name]
            row[name] = row[name] if strong else pins.get(name, row[name])
        live = [c for c in ours if not c.ended] or ours
        if live and all(c.gone for c in live):
            end, own = str(max(c.held or c.day for c in live) + DAY), row["geldig_tot"] or "9"
            row |= {"geldig_tot": min(own, end), "tot_afgeleid": end < own}
        return row

    def _told(self, name: str, claims: list[Claim]) -> list[Claim]:
        """Who counts for a field, the most believed first."""

        def order(c: Claim) -> Any:
            (source, entity, key), policy = c.node, self.history.order
            listed = [policy[path] for path in (f"{entity}.{name}", entity, "*") if path in policy]
            rank = [*(listed[0] if listed else []), source].index(source)
            return c.gone, c.ended, name in c.kept, rank, source, c.scope, key

        told = sorted((c for c in claims if name in c.values), key=order)
        firm = [c for c in told if (*c.node[:2], name) not in self.history.weak] or told
        filled = [c for c in told if c not in firm and c.values[name] is not None]
        return filled if filled and firm[0].values[name] is None else firm
