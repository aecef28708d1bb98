"""Who is who: which source records are one core record, and which are in doubt. Naive throughout.

The correlation table of the design, read literally, over dictionaries; shares nothing with the hub.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from tests.property.heard import Heard, Node

PERSONAL = {"bsn", "onderwijsnummer", "eck_id"}  # two values of one of these are two persons
NUMBERS = {"leerlingnummer", "personeelsnummer"}  # mean something within one source only
OF_ONE_SOURCE = {*PERSONAL, *NUMBERS, "relatie"}  # tell two records of one source to be the same
_VAK = {"code": ("code",), "afkorting": ("vestiging", "afkorting")}
KEYS: dict[str, dict[str, tuple[str, ...]]] = {
    "leerling": {kind: (kind,) for kind in PERSONAL}
    | {"leerlingnummer": ("leerlingnummer", "geboortedatum")},
    "medewerker": {"eck_id": ("eck_id",), "personeelsnummer": ("personeelsnummer",)},
    "vestiging": {"vestigingsnummer": ("vestigingsnummer",)},
    "opleiding": _VAK,
    "vak": _VAK,
    "groep": {"groep": ("vestiging", "schooljaar", "soort", "naam")},
    "inschrijving": {"inschrijving": ("leerling", "vestiging", "opleiding")},
    "verzorger_relatie": {"relatie": ("verzorger", "leerling")},
}
PERSONS = {"medewerker", "leerling", "verzorger"}  # who may look like another
Row = dict[Any, Any]
Core = dict[str, dict[frozenset[Node], Row]]  # entity → who → what the core holds


@dataclass
class Identity:
    heard: Heard = field(default_factory=Heard)
    core: dict[Node, int] = field(default_factory=dict)  # a higher number is a younger record
    judged: dict[Node, str] = field(default_factory=dict)  # on what a record was last judged
    cases: dict[Node, str] = field(default_factory=dict)
    merged: set[Node] = field(default_factory=set)  # of core records that turned out to be one
    maybe: dict[Node, set[Node]] = field(default_factory=dict)  # whom a record in doubt may be

    def correlate(self, source: str, entity: str, before: Core) -> None:
        """Judge what one source says; `before` is the core as it was."""
        self.cases = {n: kind for n, kind in self.cases.items() if n[:2] != (source, entity)}
        fresh: dict[int, Node] = {}
        for node in sorted(n for n in self.heard.forms if n[:2] == (source, entity)):
            known = node in self.core
            if self.judged.get(node) == self.basis(node) if known else self._waits(node):
                continue
            if kind := self._settle(node, self._keys(node, self.heard.said(node)), before):
                self.cases[node] = kind
            elif node not in self.core:
                self.core[node] = max(self.core.values(), default=0) + 1
                fresh[self.core[node]] = node
        persons = before.get(entity, {}) if entity in PERSONS else {}
        others = [g for g in persons if source not in {n[0] for n in g}]
        for number, leader in fresh.items():  # nobody's keys: does it look like another's?
            alike = [group for group in others if self._alike(leader, group, before)]
            if number in self.core.values() and alike:
                self.cases[leader], self.maybe[leader] = "score", set().union(*alike)
                self.core = {n: c for n, c in self.core.items() if c != number}

    def _alike(self, node: Node, group: frozenset[Node], before: Core) -> bool:
        mine, row = self.heard.said(node), before[node[1]][group]
        first = {mine.get("roepnaam"), row["roepnaam"]} - {None}
        named = mine["achternaam"] == row["achternaam"] and len(first) < 2
        if node[1] != "verzorger":
            born = row["geboortedatum"]
            return named and born is not None and mine.get("geboortedatum") == born
        theirs = {row[k][0] for k in row if k[0] is Kind.CONTACT}
        reached = {mine.get(n) for n in ("email", "mobiel", "telefoon", "mobiel_werk")} & theirs
        relations = [r for r in before["verzorger_relatie"].values() if r.get("verzorger") == group]
        children = {self.core[next(iter(r["leerling"]))] for r in relations}
        said = [
            self.heard.said(n)
            for n in self.heard.forms
            if n[:2] == (node[0], "verzorger_relatie") and not self.heard.gone(n)
        ]
        kin = {(node[0], "leerling", s["leerling"]) for s in said if s["verzorger"] == node[2]}
        kin |= {n for k in kin & self.cases.keys() - self.core.keys() for n in self.maybe[k]}
        shared = {self.core.get(n) for n in kin} & children
        return named and bool(reached) and bool(shared)

    def _settle(self, node: Node, keys: Row, before: Core) -> str | None:
        """Link or merge by equal keys; else the kind of case."""
        own, source = self.core.get(node), node[0]
        found = set() if own is None else {own}
        for other, number in self.core.items():
            doubted = other[0] == source and other in self.cases
            if other[1] != node[1] or other == node or doubted:
                continue
            same = keys.items() & self._evidence(other, source).items()
            double = any(n[0] == source and n != node for n in self._live(number))
            across = other[0] != source and not double
            same_time = node[1] != "inschrijving" or self._overlaps(node, number, before)
            if same_time and any(kind in OF_ONE_SOURCE or across for kind, _ in same):
                found.add(number)
        others = [n for n, number in self.core.items() if number in found and n != node]
        self.maybe[node] = set(others)
        said = [keys, *(self._evidence(n, source) for n in others)]
        for kind in {k for some in said for k in some} - NUMBERS:
            differ = len({some[kind] for some in said if kind in some}) > 1
            if differ and (found != {own} or kind in PERSONAL):
                return "contradiction"
        holders = [{n[0] for n in self._live(number)} for number in found]
        loose = keys and not keys.keys() & OF_ONE_SOURCE
        if loose and sum(map(len, holders)) > len(set().union(*holders)):
            return "match"  # two live records of one source would become one
        self.merged |= {node, *others} if len(found) > 1 else set()
        self.core |= dict.fromkeys((node, *others), min(found)) if found else {}
        return None

    def _overlaps(self, node: Node, number: int, before: Core) -> bool:
        """Whether a record, by its own dates, was there at the time of a core record."""
        said, held = self.heard.said(node), before.get(node[1], {}).get(self.group(number))
        if held is None:
            return False
        (start, end), (begin, until) = (
            (r.get("geldig_van"), r.get("geldig_tot")) for r in (said, held)
        )
        return (start or "") < (until or "9") and (begin or "") < (end or "9")

    def basis(self, node: Node) -> str:
        """Everything that judging it depends on."""
        forms = sorted(self.heard.forms[node].items())
        said = [(scope, f.gone, sorted(f.values.items()), f.kept) for scope, f in forms]
        return repr((said, self._keys(node, self.heard.said(node))))

    def _evidence(self, node: Node, source: str) -> Row:
        accepted = node[0] != source or node in self.cases
        return self._keys(node, self.heard.said(node, accepted=accepted))

    def _live(self, number: int) -> list[Node]:
        return [n for n, c in self.core.items() if c == number and not self.heard.gone(n)]

    def _waits(self, node: Node) -> bool:
        said, fields = self.heard.said(node), fields_of(Entity(node[1]))
        needed = [self.to(node, n, said) for n, d in fields.items() if d.required and d.target]
        return self.heard.gone(node) or None in needed

    def to(self, node: Node, name: str, said: Row) -> int | None:
        target = fields_of(Entity(node[1]))[name].target
        return self.core.get((node[0], str(target), said.get(name) or ""))

    def _keys(self, node: Node, said: Row) -> Row:
        """The exact keys of one record: those of which it has all parts."""
        fields, keys = fields_of(Entity(node[1])), {}
        for kind, names in KEYS.get(node[1], {}).items():
            parts = [self.to(node, n, said) if fields[n].target else said.get(n) for n in names]
            if all(parts):
                keys[kind] = (*(node[:1] if kind in NUMBERS else ()), *parts)
        return {
            kind: parts for kind, parts in keys.items() if kind != "afkorting" or "code" not in keys
        }

    def group(self, number: int) -> frozenset[Node]:
        """The source records that are one."""
        return frozenset(n for n, c in self.core.items() if c == number)
