"""The oracle: what the core must be, as a naive fold of what was said. It knows nothing of the hub.

A node is a record of a source; `core` names for each node the oldest node that is the same.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from tests.property.history import At, Claim, History, Member, Node, Place, Reading, Row

Claims = dict[Node, dict[str, Claim]]  # by scope
DAY, CONFIRMED = timedelta(days=1), timedelta(hours=6)
PERSONAL = {"bsn", "onderwijsnummer", "eck_id"}  # two values of one of these are two persons
NUMBERS = {"leerlingnummer", "personeelsnummer"}  # mean something within one source only
LOOSE = {"vestigingsnummer", "code", "afkorting", "groep", "inschrijving"}  # join two sources only
KEYS = {kind: (kind,) for kind in (*PERSONAL, "vestigingsnummer", "code")} | {
    "leerlingnummer": ("source", "leerlingnummer", "geboortedatum"),
    "personeelsnummer": ("source", "personeelsnummer"),
    "afkorting": ("vestiging", "afkorting"),  # of what has no code
    "groep": ("vestiging", "schooljaar", "soort", "naam"),
    "inschrijving": ("leerling", "vestiging", "opleiding"),
    "relatie": ("verzorger", "leerling"),
}
PARTS = {name for names in KEYS.values() for name in names}
CONTACTS = ("email", "mobiel", "telefoon", "mobiel_werk")  # of a guardian


class Oracle:
    def __init__(self, history: History) -> None:
        self.history = history
        self.received: Claims = {}
        self.accepted: Claims = {}  # what the core may use
        self.away: set[At] = set()
        self.missed: dict[At, Any] = {}  # since when whole readings miss it, and when one held it
        self.whole: dict[Place, date] = {}  # the last whole reading
        self.core: dict[Node, Node] = {}
        self.refers: dict[Node, Row] = {}  # to whom, when it was judged last
        self.cases: dict[Node, tuple[str, set[Node]]] = {}  # the kind, and who it may be
        self.merged: set[Node] = set()  # of core records that turned out to be one
        self.shown: dict[Node, Row] = {}  # the core after the last run
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
            self._correlate(source, entity)
            own = {n for n in self.core if n[:2] == (source, entity)} - self.cases.keys()
            for one in {self.core[n] for n in own}:
                new = self.accepted | {n: {**self.received[n]} for n in own & self._group(one)}
                row, old = self._row(self._group(one), new), self.shown.get(one, {})
                ends = row and row["tot_afgeleid"] and not old.get("tot_afgeleid", True)
                self.accepted = new if row and (closes or not ends) else self.accepted
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

    def _correlate(self, source: str, entity: str) -> None:
        """Judge what is new, or not accepted yet: equal keys join, a likeness is a case."""
        self.cases = {n: case for n, case in self.cases.items() if n[:2] != (source, entity)}
        known = set(self.core)
        persons = {one: self._group(one) for one, row in self.shown.items() if "achternaam" in row}
        for node in sorted(n for n in self.received if n[:2] == (source, entity)):
            said = self._said(node, self.received)
            who = {name: self._resolve(value) for name, value in said.items()}
            refers = {name: who[name] if name in PARTS else who[name] is None for name in who}
            pending = self.received[node] != self.accepted.get(node) or self.refers[node] != refers
            ready = node in known or (self._alive(node) and self._row({node}, self.received))
            if pending and ready:
                self._join(node)
                self.refers |= {} if node in self.cases else {node: refers}
        for node in [n for n, one in self.core.items() if n == one and n not in known]:
            others = {one: g for one, g in persons.items() if source not in {n[0] for n in g}}
            if likes := [one for one in others if one[1] == entity and self._alike(node, one)]:
                self.cases[node] = "score", {n for one in likes for n in others[one]}
                self.core = {n: one for n, one in self.core.items() if one != node}

    def _join(self, node: Node) -> None:
        """Make a node one with all that have an equal exact key, or open a case."""
        source, own, keys = node[0], self.core.get(node), self._keys(node, node[0])
        mine = {n for n in self.core if n[:2] == node[:2] and n != node}
        twins = {self.core[n] for n in mine if self._alive(n)}
        found = {own} - {None}
        for other in {n for n in self.core if n[1] == node[1]} - (mine & self.cases.keys()):
            one, equal = self.core[other], {k for k, _ in keys & self._keys(other, source)}
            spans = [self._said(node, self.received), self.shown.get(one, {"geldig_van": "9"})]
            start = max(span.get("geldig_van") or "" for span in spans)
            if start >= min(span.get("geldig_tot") or "9" for span in spans):
                equal.discard("inschrijving")  # not at one time
            if equal - LOOSE or (equal and other not in mine and one not in twins):
                found.add(one)
        group = {n for n, one in self.core.items() if one in found} - {node}
        said = keys.union(*(self._keys(n, source) for n in group))
        if found != {own}:  # a number that became another's tells nobody to be that other
            said |= {(kind, v) for kind, v in self._keys(node, "") if kind in PERSONAL}
        clash = {kind for kind, _ in said if len({v for k, v in said if k == kind}) > 1}
        live = {(one, n[0]) for n, one in self.core.items() if one in found and self._alive(n)}
        if clash & PERSONAL or (clash - NUMBERS and found != {own}):
            self.cases[node] = "contradiction", group
        elif keys and {k for k, _ in keys} <= LOOSE and len({s for _, s in live}) < len(live):
            self.cases[node] = "match", group  # two live records of one source would become one
        else:
            oldest = next((n for n in self.core if n in found), node)
            self.core |= dict.fromkeys([node, *group], oldest)
            self.merged |= {node, *group} if len(found) > 1 else set()

    def _alike(self, node: Node, one: Node) -> bool:
        """Whether a person has the name and birth date of one; a guardian a contact and a child."""
        mine, row = self._said(node, self.received), self.shown[one]
        names = {mine.get("roepnaam"), row["roepnaam"]} - {None}
        if mine["achternaam"] != row["achternaam"] or len(names) > 1:
            return False
        if node[1] != Entity.VERZORGER:
            return row["geboortedatum"] in {mine.get("geboortedatum")} - {None}
        reached = {mine.get(name) for name in CONTACTS} & {row[name] for name in CONTACTS} - {None}
        held = [r for r in self.shown.values() if self._resolve(r.get("verzorger")) == one]
        told = [self._said(n, self.received) for n in self.received if self._alive(n)]
        kin = {said["leerling"] for said in told if said.get("verzorger") == node}
        kin |= {n for k in kin & self.cases.keys() - self.core.keys() for n in self.cases[k][1]}
        shared = {self.core.get(n) for n in kin} & {self.core[r["leerling"]] for r in held}
        return bool(reached and shared)

    def _said(self, node: Node, claims: Claims) -> Row:
        """What its scopes say, laid together: a value over none, and live over gone."""
        ours = sorted(claims.get(node, {}).values(), key=lambda c: (c.gone, c.scope), reverse=True)
        return {name: v for c in ours for name, v in c.values.items() if v is not None}

    def _keys(self, node: Node, source: str) -> set[tuple[str, Any]]:
        """The exact keys of a node; by what was accepted, but for a source's own without doubt."""
        mine = node[0] == source and node not in self.cases
        said = self._said(node, self.received if mine else self.accepted) | {"source": node[0]}
        is_ = {name: self._resolve(said.get(name)) for name in PARTS}
        keys = {kind: [is_[name] for name in names] for kind, names in KEYS.items()}
        none = {"afkorting"} if "code" in said else set()
        return {(kind, (node[1], *v)) for kind, v in keys.items() if all(v) and kind not in none}

    def _resolve(self, value: Any) -> Any:
        """A value; of a reference, which core record it is to."""
        return self.core.get(value) if isinstance(value, tuple) else value

    def _alive(self, node: Node) -> bool:
        return any(not c.gone for c in self.received[node].values())

    def _group(self, one: Node) -> set[Node]:
        return {node for node, other in self.core.items() if other == one}
