"""Doubles among what is adopted: records that an exact key or their looks say to be one.

They are adopted as two, because nothing that stands in the core goes without a person: each gets a
case, and a decision that keeps the two apart until somebody merges them. A source that delivers
either of them by a key that both have is then a case too, and never a third record.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from mappings.canonical.fields import Entity
from mappings.normalise import match_form
from sync_engine.context import Context
from sync_engine.find import hub_key
from sync_engine.fold import Json
from sync_engine.matching import WITHIN
from sync_engine.score import score_person

CASE: Final = "double"
"""The kind of these cases."""

_LABELS: Final = {
    "bsn": "hetzelfde BSN",
    "onderwijsnummer": "hetzelfde onderwijsnummer",
    "eck_id": "hetzelfde ECK iD",
    "leerlingnummer": "hetzelfde leerlingnummer en dezelfde geboortedatum",
    "personeelsnummer": "hetzelfde personeelsnummer",
    "relatie": "dezelfde verzorger en leerling",
}


@dataclass(frozen=True, slots=True)
class Double:
    """Two records that may be one.

    Attributes:
        core_id: the younger one.
        kind: of the key that both have; empty where they only look alike.
    """

    entity: str
    core_id: int
    other: int
    kind: str

    @property
    def told(self) -> str:
        """Why, for people."""
        if not self.kind:
            return f"lijkt op {hub_key(self.other)}"
        return f"{_LABELS.get(self.kind, 'dezelfde gegevens')} als {hub_key(self.other)}"


class Doubles:
    """Collects the keys and looks of what is adopted, and finds who may be one."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._born: dict[str, list[tuple[int, Mapping[str, Json]]]] = defaultdict(list)
        self._undated: list[tuple[int, Mapping[str, Json]]] = []
        work = context.work
        work.temp_table(
            "w_akey",
            f"digest {work.blob_type}, entity TEXT, kind TEXT, core_id BIGINT",
            index=["(digest)"],
        )

    def add(
        self,
        entity: Entity,
        core_id: int,
        form: Mapping[str, Json],
        keys: Sequence[tuple[str, bytes]],
    ) -> Iterator[tuple[object, ...]]:
        """One record with its exact keys; the rows to load into `w_akey`."""
        if entity is Entity.LEERLING:
            born = form.get("geboortedatum")
            if born is None:
                self._undated.append((core_id, form))
            else:
                self._born[str(born)].append((core_id, form))
        for kind, digest in keys:
            yield digest, str(entity), kind, core_id

    def load(self, rows: Iterable[tuple[object, ...]]) -> None:
        """Keep the keys of a batch."""
        self.context.work.load("w_akey", ("digest", "entity", "kind", "core_id"), rows)

    def find(self) -> list[Double]:
        """Every pair, once; those of an exact key first."""
        found: dict[tuple[int, int], Double] = {}
        for double in (*self._exact(), *self._alike()):
            pair = (min(double.core_id, double.other), max(double.core_id, double.other))
            found.setdefault(pair, double)
        return list(found.values())

    def _exact(self) -> Iterator[Double]:
        work, own = self.context.work, self.context.koppeling.id
        within = ", ".join(f"'{kind}'" for kind in sorted(WITHIN))
        pairs = (
            "SELECT a.entity, a.core_id, b.core_id, a.kind FROM w_akey a JOIN w_akey b "
            "ON b.digest = a.digest AND b.entity = a.entity AND b.core_id < a.core_id "
            f"WHERE a.kind IN ({within}) UNION "
            "SELECT a.entity, a.core_id, m.core_id, a.kind FROM w_akey a JOIN match_key m "
            "ON m.digest = a.digest AND m.entity = a.entity AND m.core_id <> a.core_id "
            f"WHERE m.koppeling_id <> {own} OR a.kind IN ({within}) ORDER BY 1, 2, 3, 4"
        )
        for entity, core_id, other, kind in work.execute(pairs):
            yield Double(entity, core_id, other, kind)

    def _alike(self) -> Iterator[Double]:
        """Leerlingen of one birth date, or of one surname where a birth date is missing."""
        for people in self._born.values():
            yield from self._pairs(people, dated=True)
        if not self._undated:
            return
        named: dict[str, list[tuple[int, Mapping[str, Json]]]] = defaultdict(list)
        for one in self._undated:
            named[_surname(one[1])].append(one)
        for people in self._born.values():
            for one in people:
                if _surname(one[1]) in named:
                    named[_surname(one[1])].append(one)
        for people in named.values():
            yield from self._pairs(people, dated=False)

    def _pairs(
        self, people: Sequence[tuple[int, Mapping[str, Json]]], *, dated: bool
    ) -> Iterator[Double]:
        own = self.context.koppeling.name
        scale = self.context.policy.correlation.of(str(Entity.LEERLING), own)
        for place, (core_id, form) in enumerate(people):
            for other, told in people[:place]:
                if not dated and form.get("geboortedatum") and told.get("geboortedatum"):
                    continue
                if score_person(form, _person(other, told), scale, dated=dated) is not None:
                    older, younger = sorted((core_id, other))
                    yield Double(str(Entity.LEERLING), younger, older, "")

    def keep(self, doubles: Sequence[Double], *, operator: str) -> None:
        """A case for each, and of those with an exact key the decision that they are two."""
        context, work = self.context, self.context.work
        grouped: dict[tuple[str, int], list[Double]] = defaultdict(list)
        for double in doubles:
            grouped[double.entity, double.core_id].append(double)
        apart = {(d.entity, d.core_id) for d in doubles if d.kind}
        adopted = set(work.execute("SELECT entity, core_id FROM w_adopted"))
        apart |= {(d.entity, d.other) for d in doubles if d.kind} & adopted
        with work.transaction():
            for entity, core_id in sorted(apart):
                work.execute(
                    "INSERT INTO decision (kind, koppeling_id, entity, source_key, core_id, "
                    "operator, why, created_at) VALUES ('create', ?, ?, ?, ?, ?, ?, ?)",
                    (
                        context.koppeling.id,
                        entity,
                        str(core_id),
                        core_id,
                        operator,
                        "adoptie: twee bestaande records met dezelfde sleutel",
                        context.now,
                    ),
                )
            for (entity, core_id), pairs in sorted(grouped.items()):
                self._case(entity, core_id, pairs)

    def _case(self, entity: str, core_id: int, pairs: Sequence[Double]) -> None:
        context = self.context
        detail: list[dict[str, Json]] = [
            {"core_id": pair.other, "rule": f"exact: {pair.kind}" if pair.kind else "looks like"}
            for pair in pairs
        ]
        detail.append({"core_id": core_id, "rule": "link"})
        context.work.execute(
            "INSERT INTO zaak (tenant_id, koppeling_id, kind, entity, source_key, state, rule, "
            "detail, opened_run) VALUES (?, ?, ?, ?, ?, 'open', ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                context.koppeling.tenant_id,
                context.koppeling.id,
                CASE,
                entity,
                str(core_id),
                str(detail[0]["rule"]),
                msgspec.json.encode(detail).decode(),
                context.run_id,
            ),
        )


def close_merged(context: Context, entity: Entity, *, operator: str) -> None:
    """Close the cases of doubles that a merge made one record."""
    work = context.work
    for number, detail in work.execute(
        "SELECT id, detail FROM zaak WHERE tenant_id = ? AND kind = ? AND state = 'open' "
        "AND entity = ?",
        (context.koppeling.tenant_id, CASE, str(entity)),
    ):
        told = msgspec.json.decode(detail) if isinstance(detail, str | bytes) else detail
        cores = [int(candidate["core_id"]) for candidate in told]
        rows = work.execute(
            f"SELECT core_id, survivor_id FROM alias WHERE {work.many('core_id')}",
            (work.values(cores),),
        )
        survivors: dict[int, int] = dict(rows)
        if len({survivors.get(core_id, core_id) for core_id in cores}) == 1:
            work.execute(
                "UPDATE zaak SET state = 'closed', closed_run = ?, closed_by = ?, closed_at = ? "
                "WHERE id = ?",
                (context.run_id, operator, context.now, number),
            )


def open_again(context: Context, act: int) -> None:
    """The doubles that a decision made one, and that are two again, are a case again."""
    context.work.execute(
        "UPDATE zaak SET state = 'open', closed_run = NULL, closed_by = NULL, closed_at = NULL "
        "WHERE kind = ? AND state = 'closed' AND closed_run IN "
        "(SELECT run_id FROM decision WHERE act = ?)",
        (CASE, act),
    )


def _surname(form: Mapping[str, Json]) -> str:
    return match_form(f"{form.get('voorvoegsel') or ''} {form.get('achternaam') or ''}")


def _person(core_id: int, form: Mapping[str, Json]) -> tuple[object, ...]:
    """A form as the columns that are weighed."""
    adres = form.get("adres")
    postcode = adres.get("postcode") if isinstance(adres, dict) else None
    names = (form.get("achternaam"), form.get("roepnaam"), form.get("voornamen"))
    return (core_id, *names, postcode, form.get("voorvoegsel"))
