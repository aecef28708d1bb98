"""The oracle: what every core record must hold, as a naive fold of what was heard.

A core record is the set of the source records that are one: no ids, fingerprints, batches or SQL.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from mappings.canonical.fields import Entity, Field, Kind
from mappings.canonical.schema import fields_of
from tests.property.heard import RANK, Form, Heard, Node
from tests.property.identity import Core, Identity, Row

Claim = tuple[Node, str, Form]  # record, scope, what it says
COMPARED = ("medewerker", "leerling", "verzorger", "verzorger_relatie")
PARTS = ("straat", "huisnummer", "toevoeging", "postcode", "woonplaats", "land", "regels")


@dataclass
class Oracle:
    """What the core must be."""

    heard: Heard = field(default_factory=Heard)
    weak: frozenset[tuple[str, str, str]] = frozenset()  # source, entity, field: insists less
    strong: frozenset[tuple[str, str, str]] = frozenset()  # insists more than others
    order: dict[str, list[str]] = field(default_factory=dict)  # the authority policy
    pins: dict[tuple[Node, str], Any] = field(default_factory=dict)  # the last is the newest

    def __post_init__(self) -> None:
        self.who = Identity(self.heard)
        self.shown: Core = {}  # who the last run left, of those who may look alike

    def run(self, source: str) -> None:
        """One source was read: judge and accept what it says, entity by entity."""
        for entity in map(str, Entity):
            self.who.correlate(source, entity, self.shown)
            own = {n for n in self.who.core if n[:2] == (source, entity)} - self.who.cases.keys()
            for number in {self.who.core[node] for node in own}:
                if self._row(number, own) is not None:
                    for node in own & self.who.group(number):
                        for form in self.heard.forms[node].values():
                            form.accepted = replace(form, accepted=None)
            self.who.judged |= {node: self.who.basis(node) for node in own}
        self.shown = {entity: self.tables(entity) for entity in COMPARED}

    def tables(self, entity: str) -> dict[frozenset[Node], Row]:
        """Every core record of an entity: who it is → what it holds."""
        numbers = {c for n, c in self.who.core.items() if n[1] == entity}
        return {self.who.group(number): self._row(number, set()) or {} for number in numbers}

    def _row(self, number: int, fresh: set[Node]) -> Row | None:
        """The fold of one core record; None while a required reference is not there."""
        group = self.who.group(number)
        every = [(n, s, f) for n in group for s, f in self.heard.forms[n].items()]
        used = [(n, s, f if n in fresh else f.accepted) for n, s, f in every]
        claims = [(n, s, f) for n, s, f in used if f is not None]
        entity = next(iter(group))[1]
        pins = {name: value for (n, name), value in self.pins.items() if n in group}
        row: Row = {"tot_afgeleid": bool(claims) and all(f.gone for *_, f in claims)}
        fields = fields_of(Entity(entity))
        won = {name: self._believed(entity, name, claims, pins) for name in fields}
        end = won.get("geldig_tot", (None, None))[0]
        row["tot_afgeleid"] &= end is None or end > "2026-10-01"  # its own end came first
        for name, description in fields.items():
            value, claim = won[name]
            if description.kind is Kind.REFERENCE and claim is not None:
                target = self._target(claim[0], description, value)
                if target is None and description.required:
                    return None
                row[name] = target
            elif description.kind is Kind.MEMBERS:
                held = (None if row["tot_afgeleid"] else end, row["tot_afgeleid"])
                for who in self._members(name, description, claim, claims):
                    row[Kind.MEMBERS, description.role, who] = held
            elif description.kind is Kind.IDENTIFIER:
                row |= self._identifiers(name, description, value, entity, claims)
            elif description.kind in {Kind.CONTACT, Kind.ADDRESS}:
                secret = bool(won[description.hidden_by][0]) if description.hidden_by else False
                if value is not None:
                    parts = tuple(map(value.get, PARTS)) if isinstance(value, dict) else value
                    row[description.kind, description.role] = (parts, secret)
            else:
                row[name] = value
        row["geldig_van"] = row.get("geldig_van")
        row["geldig_tot"] = None if row["tot_afgeleid"] else end
        return row

    def _order(self, entity: str, name: str) -> Callable[[Claim], Any]:
        keys = [key for key in (f"{entity}.{name}", entity, "*") if key in self.order]
        listed = self.order[keys[0]] if keys else []

        def key_of(claim: Claim) -> Any:
            (source, _, key), scope, form = claim
            rank = listed.index(source) if source in listed else len(listed)
            return form.gone, name in form.kept, rank, source, RANK[scope], key

        return key_of

    def _believed(
        self, entity: str, name: str, claims: list[Claim], pins: Row
    ) -> tuple[Any, Claim | None]:
        told = sorted((c for c in claims if name in c[2].values), key=self._order(entity, name))
        firm = [c for c in told if (c[0][0], entity, name) not in self.weak]
        filled = [c for c in told if c not in firm and c[2].values[name] is not None]
        best = next(iter([*firm, *told]), None)
        if firm and firm[0][2].values[name] is None and filled:
            best = filled[0]
        strong = best and (best[0][0], entity, name) in self.strong and best[2].values[name]
        if name in pins and not strong:
            return pins[name], None
        return (best[2].values[name] if best else None), best

    def _target(self, node: Node, description: Field, key: Any) -> frozenset[Node] | None:
        number = self.who.core.get((node[0], str(description.target), key or ""))
        return None if number is None else self.who.group(number)

    def _members(self, name: str, description: Field, best: Any, claims: list[Claim]) -> set[Any]:
        """The union of what the believed source's scopes and records show."""
        told = [c for c in claims if best and name in c[2].values]
        told = [c for c in told if best and (c[0][0], c[2].gone) == (best[0][0], best[2].gone)]
        keys = {(c[0], key) for c in told for key in c[2].values[name] or ()}
        return {self._target(node, description, key) for node, key in keys} - {None}

    def _identifiers(
        self, name: str, description: Field, value: Any, entity: str, claims: list[Claim]
    ) -> Row:
        """One per kind; of numbers that mean something within one source, one per source."""
        if name not in {"leerlingnummer", "personeelsnummer"}:
            return {} if value is None else {(Kind.IDENTIFIER, description.role, ""): value}
        told = sorted((c for c in claims if c[2].values.get(name)), key=self._order(entity, name))
        return {
            (Kind.IDENTIFIER, description.role, c[0][0]): c[2].values[name] for c in reversed(told)
        }
