"""The oracle's other half: who is who, judged from what was said. It knows nothing of the hub.

A node is a record of a source; `core` names for each node the oldest node that is the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mappings.canonical.fields import Entity
from tests.property.history import Claim, Node, Row

Claims = dict[Node, dict[str, Claim]]  # by scope
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


class Identity:
    """Of every node, with which others it is one."""

    def __init__(self) -> None:
        self.received: Claims = {}
        self.accepted: Claims = {}  # what the core may use
        self.shown: dict[Node, Row] = {}  # the core after the last run
        self.core: dict[Node, Node] = {}
        self.refers: dict[Node, Row] = {}  # to whom, when it was judged last
        self.cases: dict[Node, tuple[str, set[Node]]] = {}  # the kind, and who it may be
        self.merged: set[Node] = set()  # of core records that turned out to be one
        self.only: set[Node] | None = None  # that is judged; all of a source, unless somebody acts
        self.apart: set[Node] = set()  # of which a person made a record of its own
        self.parted: dict[Node, Node] = {}  # from whom, of those that were one with others

    def _correlate(self, source: str, entity: str, whole: set[Node]) -> None:
        """Judge what is new, or not accepted yet: equal keys join, a likeness is a case.

        Args:
            whole: new nodes of which nothing that is required is missing.
        """
        known, judged = set(self.core), self._judged(source, entity, {*self.received, *self.cases})
        self.cases = {n: case for n, case in self.cases.items() if n not in judged}
        persons = {one: self._group(one) for one, row in self.shown.items() if "achternaam" in row}
        for node in sorted(judged & self.received.keys()):
            refers = self._refers(node)
            pending = self.received[node] != self.accepted.get(node) or self.refers[node] != refers
            ready = node in known or (self._alive(node) and node in whole)
            if pending and ready:
                self._join(node)
                self.refers |= {} if node in self.cases else {node: refers}
        for node in [n for n, one in self.core.items() if n == one and n not in known]:
            others = {one: g for one, g in persons.items() if source not in {n[0] for n in g}}
            if likes := [one for one in others if one[1] == entity and self._alike(node, one)]:
                self.cases[node] = "score", {n for one in likes for n in others[one]}
                self.core = {n: one for n, one in self.core.items() if one != node}

    def _judged(self, source: str, entity: str, nodes: Iterable[Node]) -> set[Node]:
        return {n for n in nodes if n[:2] == (source, entity) and n in (self.only or {n})}

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
            if one != own and self._is_parted(node, one, keys):
                continue
            if equal - LOOSE or (equal and other not in mine and one not in twins):
                found.add(one)
        group = {n for n, one in self.core.items() if one in found} - {node}
        said = keys.union(*(self._keys(n, source) for n in group))
        if found != {own}:  # a number that became another's tells nobody to be that other
            said |= {(kind, v) for kind, v in self._keys(node, "") if kind in PERSONAL}
        clash = {kind for kind, _ in said if len({v for k, v in said if k == kind}) > 1}
        live = {(one, n[0]) for n, one in self.core.items() if one in found and self._alive(n)}
        others = {n for n in mine if self.core[n] != own and self._takes(node, n)}
        swap = any(self._takes(n, node) for n in others)  # each describes whom the other described
        if swap or clash & PERSONAL or (clash - NUMBERS and found != {own}):
            self.cases[node] = "contradiction", group
        elif len(found) > 1 and self.apart & found:
            self.cases[node] = "match", group
        elif keys and {k for k, _ in keys} <= LOOSE and len({s for _, s in live}) < len(live):
            self.cases[node] = "match", group  # two live records of one source would become one
        else:
            oldest = next((n for n in self.core if n in found), node)
            self.core |= dict.fromkeys([node, *group], oldest)
            self.merged |= {node, *group} if len(found) > 1 else set()

    def _is_parted(self, node: Node, one: Node, keys: set[tuple[str, Any]]) -> bool:
        """Whether a person parted a node from others, and none of its new keys is theirs."""
        own = self.core.get(node)
        pairs = [
            {self.core.get(n), self.core.get(other, other)} for n, other in self.parted.items()
        ]
        theirs: set[tuple[str, Any]] = set()
        theirs = theirs.union(*(self._keys(n, node[0]) for n in self._group(one)))
        return {own, one} in pairs and not (keys - self._keys(node, "")) & theirs

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

    def _refers(self, node: Node) -> Row:
        """Who its keys are about, when it was judged last."""
        said = self._said(node, self.received)
        return {name: self._resolve(v) for name, v in said.items() if name in PARTS}

    def _takes(self, node: Node, other: Node) -> bool:
        """Whether a node has a personal number that was another's."""
        now, was = self._said(node, self.received), self._said(other, self.accepted)
        return any(kind in now and now[kind] == was.get(kind) for kind in PERSONAL)

    def _resolve(self, value: Any) -> Any:
        """A value; of a reference, which core record it is to."""
        return self.core.get(value) if isinstance(value, tuple) else value

    def _alive(self, node: Node) -> bool:
        return any(not c.gone for c in self.received[node].values())

    def _group(self, one: Node) -> set[Node]:
        return {node for node, other in self.core.items() if other == one}
