"""The oracle: what every core record must hold, as a naive fold of what was heard.

A core record is the set of the source records that are one: no ids, fingerprints, batches or SQL.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, NamedTuple

from mappings.canonical.fields import Entity, Field, Kind
from mappings.canonical.schema import fields_of
from tests.property.heard import RANK, Form, Heard, Node
from tests.property.identity import Core, Identity, Row
from tests.property.members import Members

PARTS = ("straat", "huisnummer", "toevoeging", "postcode", "woonplaats", "land", "regels")


class Claim(NamedTuple):
    """What one scope of one source says of a core record."""

    node: Node
    scope: str
    form: Form
    ended: bool  # the scope is read no longer

    @property
    def standing(self) -> tuple[str, bool, bool]:
        """Members are taken together of those that stand alike."""
        return self.node[0], self.form.gone, self.ended


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
        self.shown: Core = {}  # what the last run left
        self.members = Members()

    def run(self, source: str, *, closes: bool = True) -> None:
        """One source was read: judge and accept what it says, entity by entity.

        Args:
            source: which.
            closes: False where every closing is held: it is received, and not accepted.
        """
        for entity in map(str, Entity):
            before = self.shown.get(entity, {})
            self.who.correlate(source, entity, self.shown)
            own = {n for n in self.who.core if n[:2] == (source, entity)} - self.who.cases.keys()
            for number in {self.who.core[node] for node in own}:
                row, was = self._row(number, own), before.get(self.who.group(number), {})
                held = row and row["tot_afgeleid"] and not was.get("tot_afgeleid", True)
                if row is not None and (closes or not held):
                    for node in own & self.who.group(number):
                        for form in self.heard.forms[node].values():
                            form.accepted = replace(form, accepted=None)
            self.who.judged |= {node: self.who.basis(node) for node in own}
        groups = self._table("groep")
        self.members.follow(
            self.shown.get("groep", {}),
            groups,
            {group: [c.form for c in self._claims(group, set())] for group in groups},
            {self.who.group(number) for number in self.who.core.values()},
        )
        self.shown = {str(entity): self._table(str(entity)) for entity in Entity}

    def _table(self, entity: str) -> dict[frozenset[Node], Row]:
        """Every core record of an entity: who it is → what it holds."""
        numbers = {c for n, c in self.who.core.items() if n[1] == entity}
        return {self.who.group(number): self._row(number, set()) or {} for number in numbers}

    def _row(self, number: int, fresh: set[Node]) -> Row | None:
        """The fold of one core record; None while a required reference is not there."""
        group = self.who.group(number)
        claims = self._claims(group, fresh)
        entity = next(iter(group))[1]
        pins = {name: value for (n, name), value in self.pins.items() if n in group}
        fields = fields_of(Entity(entity))
        won = {name: self._believed(entity, name, claims, pins) for name in fields}
        end, inferred = _end(claims, won.get("geldig_tot", (None, None))[0])
        row: Row = {}
        for name, description in fields.items():
            value, claim = won[name]
            if description.kind is Kind.REFERENCE and claim is not None:
                target = self._target(claim.node, description, value)
                if target is None and description.required:
                    return None
                row[name] = target
            elif description.kind is Kind.MEMBERS:
                for who in self._members(name, description, claim, claims):
                    row[Kind.MEMBERS, description.role, who] = (end, inferred)
            elif description.kind is Kind.IDENTIFIER:
                row |= self._identifiers(name, description, value, entity, claims)
            elif description.kind in {Kind.CONTACT, Kind.ADDRESS}:
                secret = bool(won[description.hidden_by][0]) if description.hidden_by else False
                if value is not None:
                    parts = tuple(map(value.get, PARTS)) if isinstance(value, dict) else value
                    row[description.kind, description.role] = (parts, secret)
            else:
                row[name] = value
        period = {"geldig_van": row.get("geldig_van"), "geldig_tot": end, "tot_afgeleid": inferred}
        return row | period

    def _claims(self, group: frozenset[Node], fresh: set[Node]) -> list[Claim]:
        """What counts: of these records what was received, of the others what was accepted."""
        return [
            Claim(node, scope, used, (node[0], scope) in self.heard.ended)
            for node in group
            for scope, form in self.heard.forms[node].items()
            if (used := form if node in fresh else form.accepted) is not None
        ]

    def _order(self, entity: str, name: str) -> Callable[[Claim], Any]:
        keys = [key for key in (f"{entity}.{name}", entity, "*") if key in self.order]
        listed = self.order[keys[0]] if keys else []

        def key_of(claim: Claim) -> Any:
            (source, _, key), form = claim.node, claim.form
            rank = listed.index(source) if source in listed else len(listed)
            kept = name in form.kept
            return form.gone, claim.ended, kept, rank, source, RANK[claim.scope], key

        return key_of

    def _believed(
        self, entity: str, name: str, claims: list[Claim], pins: Row
    ) -> tuple[Any, Claim | None]:
        told = sorted((c for c in claims if name in c.form.values), key=self._order(entity, name))
        firm = [c for c in told if (c.node[0], entity, name) not in self.weak]
        filled = [c for c in told if c not in firm and c.form.values[name] is not None]
        best = next(iter([*firm, *told]), None)
        if firm and firm[0].form.values[name] is None and filled:
            best = filled[0]
        value = best.form.values[name] if best else None
        strong = best and (best.node[0], entity, name) in self.strong and value
        return (pins[name], None) if name in pins and not strong else (value, best)

    def _target(self, node: Node, description: Field, key: Any) -> frozenset[Node] | None:
        number = self.who.core.get((node[0], str(description.target), key or ""))
        return None if number is None else self.who.group(number)

    def _members(self, name: str, description: Field, best: Any, claims: list[Claim]) -> set[Any]:
        """The union of what the believed source's scopes and records show."""
        told = [c for c in claims if best and c.standing == best.standing]
        keys = {(c.node, key) for c in told for key in c.form.values.get(name) or ()}
        return {self._target(node, description, key) for node, key in keys} - {None}

    def _identifiers(
        self, name: str, description: Field, value: Any, entity: str, claims: list[Claim]
    ) -> Row:
        """One per kind; of numbers that mean something within one source, one per source."""
        if name not in {"leerlingnummer", "personeelsnummer"}:
            return {} if value is None else {(Kind.IDENTIFIER, description.role, ""): value}
        told = [c for c in claims if c.form.values.get(name)]
        told.sort(key=self._order(entity, name), reverse=True)  # the believed one comes last
        return {(Kind.IDENTIFIER, description.role, c.node[0]): c.form.values[name] for c in told}


def _end(claims: list[Claim], own: str | None) -> tuple[str | None, bool]:
    """When it ends, and whether that follows from its absence; its own end may come before."""
    live = [claim.form for claim in claims if not claim.ended]
    if not live or not all(form.gone for form in live):
        return own, False
    last = (max(form.held or form.day for form in live) + timedelta(days=1)).isoformat()
    return (last, True) if own is None or last < own else (own, False)
