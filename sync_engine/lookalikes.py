"""Look-alikes: who in the core looks like a record that no exact key knows. Never links by itself.

Leerling and Medewerker are weighed beside everybody who was born on that day (score.py), and beside
adopted records of equal surname where one of both has no birth date. A Leerling also looks like
whoever has his leerlingnummer of the same koppeling: where the birth dates agree that is an exact
key, where they do not one of them is wrong, or the number is. A Verzorger looks like another when
the name is equal, an e-mail address or telephone number is too, and they share a child, or may
share one: a child who is in doubt is whoever he may be. An address says nothing. Nobody is compared
with a core record that the same koppeling has a record of. Set-based, a batch at a time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from mappings.normalise import match_form
from sync_engine.context import BATCH, Context
from sync_engine.fold import Json
from sync_engine.herinrichtingen import is_former
from sync_engine.score import Candidate, score_person

SCORED: Final = frozenset({Entity.LEERLING, Entity.MEDEWERKER, Entity.VERZORGER})
"""The entities that are compared by looks."""

_PEOPLE: Final = {
    Entity.LEERLING: "c.geboortedatum, c.id, c.achternaam, c.roepnaam, c.voornamen, a.postcode, "
    "c.voorvoegsel FROM leerling c LEFT JOIN adres a ON a.eigenaar_id = c.id",
    Entity.MEDEWERKER: "c.geboortedatum, c.id, c.achternaam, c.roepnaam, NULL, NULL, "
    "c.voorvoegsel FROM medewerker c",
}
"""Columns and tables of those who are weighed; `c` is the core record."""
_STRANGER: Final = (
    "NOT EXISTS (SELECT 1 FROM link l WHERE l.core_id = c.id AND l.koppeling_id = ? AND NOT {})"
)
_ADOPTED: Final = "EXISTS (SELECT 1 FROM link d WHERE d.core_id = c.id AND d.rule = 'adopted')"
_GUARDIAN: Final = 1.0
"""Score of a verzorger: everything that is asked of him agrees."""
_NUMBER: Final = 1.0
"""Score of a leerlingnummer: it names one pupil, or it is wrong."""


class Seen(Protocol):
    """One source record as it is received."""

    @property
    def source_key(self) -> str:
        """The source's own key."""

    @property
    def form(self) -> Mapping[str, Json]:
        """What it says."""

    @property
    def gone(self) -> bool:
        """Whether it is gone from its source."""

    @property
    def issuer(self) -> int:
        """The koppeling that issued its numbers."""


class Lookalikes:
    """Finds who looks like the new records of one run.

    Args:
        context: the run.
        nodes: reads the records of an entity with these source keys.
        links: source key → core id of those that are linked, by this run too.
    """

    def __init__(
        self,
        context: Context,
        *,
        nodes: Callable[[Entity, Sequence[str]], Sequence[Seen]],
        links: Callable[[Entity, Sequence[str]], Mapping[str, int]],
    ) -> None:
        self.context, self._nodes, self._links = context, nodes, links
        self._children_known = False
        self._own: Mapping[str, int] = {}
        # whom the koppeling knows by former scopes alone may be met again in the others
        self._stranger = _STRANGER.format(is_former(context, "l"))

    def of(
        self, entity: Entity, keys: Sequence[str], *, own: Mapping[str, int] | None = None
    ) -> dict[str, list[Candidate]]:
        """Source key → who looks like it, best first; only those that somebody looks like.

        Args:
            entity: one of SCORED.
            keys: of at most one batch of records that no exact key, decision or link knows.
            own: of those that have a core record all the same, that record.
        """
        self._own = own or {}
        nodes = self._nodes(entity, keys)
        if entity is Entity.VERZORGER:
            found = dict(self._guardians(nodes))
        else:
            found = _joined(
                self._born(entity, nodes), self._undated(entity, nodes), self._numbered(nodes)
            )
        return {k: sorted(near, key=lambda c: (-c.score, c.core_id)) for k, near in found.items()}

    # -- born on one day -------------------------------------------------------------------------

    def _born(self, entity: Entity, nodes: Sequence[Seen]) -> Iterator[tuple[str, list[Candidate]]]:
        context, work = self.context, self.context.work
        days = sorted({str(n.form["geboortedatum"]) for n in nodes if n.form.get("geboortedatum")})
        people: dict[str, list[Sequence[object]]] = defaultdict(list)
        for row in work.execute(  # their order does not matter: candidates are sorted
            f"SELECT {_PEOPLE[entity]} WHERE c.tenant_id = ? "
            f"AND {work.many('c.geboortedatum')} AND {self._stranger}",
            (context.koppeling.tenant_id, work.values(days), context.koppeling.id),
        ):
            people[str(row[0])].append(row[1:])
        scale = context.policy.correlation.of(entity, context.koppeling.name)
        for node in nodes:
            near = [
                candidate
                for person in people.get(str(node.form.get("geboortedatum")), ())
                if (candidate := score_person(node.form, person, scale)) is not None
            ]
            if near:
                yield node.source_key, near

    # -- without a birth date ----------------------------------------------------------------------

    def _undated(
        self, entity: Entity, nodes: Sequence[Seen]
    ) -> Iterator[tuple[str, list[Candidate]]]:
        """Adopted records of equal surname, where one of both has no birth date."""
        context, work = self.context, self.context.work
        if not context.adopted_scopes:
            return
        people: dict[str, list[Sequence[object]]] = defaultdict(list)
        lacking = [node for node in nodes if not node.form.get("geboortedatum")]
        where = "c.geboortedatum IS NULL" if len(lacking) < len(nodes) else "false"
        params: tuple[object, ...] = ()
        if lacking:
            where = f"({where} OR {work.many('c.achternaam')})"
            params = (work.values(sorted({str(n.form.get("achternaam")) for n in lacking})),)
        for row in work.execute(
            f"SELECT {_PEOPLE[entity]} WHERE c.tenant_id = ? AND {where} "
            f"AND {_ADOPTED} AND {self._stranger}",
            (context.koppeling.tenant_id, *params, context.koppeling.id),
        ):
            for name in _surnames(row[2], row[6]):
                people[name].append(row)
        scale = context.policy.correlation.of(entity, context.koppeling.name)
        for node in nodes:
            dated = bool(node.form.get("geboortedatum"))
            alike = {
                row[1]: row[1:]
                for name in _surnames(node.form.get("achternaam"), node.form.get("voorvoegsel"))
                for row in people.get(name, ())
                if not (dated and row[0])
            }
            scored = (score_person(node.form, p, scale, dated=False) for p in alike.values())
            near = [candidate for candidate in scored if candidate is not None]
            if near:
                yield node.source_key, near

    # -- numbers -----------------------------------------------------------------------------------

    def _numbered(self, nodes: Sequence[Seen]) -> Iterator[tuple[str, list[Candidate]]]:
        """Those who have this leerlingnummer of this koppeling, and another birth date or none."""
        context, work = self.context, self.context.work
        numbers = [
            (node.issuer, context.cipher.index(_INDEX, str(node.issuer), str(number)), key)
            for node in nodes
            if (number := node.form.get("leerlingnummer")) is not None
            for key in (node.source_key,)
        ]
        if not numbers:
            return
        work.temp_table("w_number", f"issuer INTEGER, digest {work.blob_type}, source_key TEXT")
        work.load("w_number", ("issuer", "digest", "source_key"), numbers)
        found: dict[str, list[Candidate]] = defaultdict(list)
        for key, core_id in work.execute(
            "SELECT w.source_key, c.id FROM w_number w CROSS JOIN identificatie i "
            "CROSS JOIN leerling c WHERE i.blindindex = w.digest AND i.soort = 'leerlingnummer' "
            f"AND i.uitgever = w.issuer AND c.id = i.eigenaar_id AND c.tenant_id = ? "
            f"AND {self._stranger}",
            (context.koppeling.tenant_id, context.koppeling.id),
        ):
            found[key].append(Candidate(core_id, _NUMBER, ("leerlingnummer",)))
        yield from found.items()

    # -- guardians ---------------------------------------------------------------------------------

    def _guardians(self, nodes: Sequence[Seen]) -> Iterator[tuple[str, list[Candidate]]]:
        near = self._reached_alike(nodes)
        if not near:
            return
        mine = self._children(sorted(near))
        known = {self._own[key]: key for key in near if key in self._own}
        for core_id, children in self._children_in_core(sorted(known)).items():
            mine[known[core_id]] = mine.get(known[core_id], set()) | children
        theirs = self._children_in_core(sorted({c for found in near.values() for c in found}))
        for key, found in near.items():
            candidates = [
                Candidate(core_id, _GUARDIAN, ("achternaam", *sorted(kinds), "leerling"))
                for core_id, kinds in found.items()
                if mine.get(key, set()) & theirs.get(core_id, set())
            ]
            if candidates:
                yield key, candidates

    def _reached_alike(self, nodes: Sequence[Seen]) -> dict[str, dict[int, set[str]]]:
        """Source key → core id of who has that name and that e-mail address or number → which."""
        context, work = self.context, self.context.work
        holders: dict[str, list[Seen]] = defaultdict(list)
        for node in nodes:
            for value in {str(node.form[n]) for n in _CONTACTS if node.form.get(n) is not None}:
                holders[value].append(node)
        found: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        if not holders:
            return found
        rows = work.rows(
            "SELECT k.waarde, k.soort, c.id, c.achternaam, c.roepnaam, c.voorletters "
            "FROM contactgegeven k CROSS JOIN verzorger c WHERE c.id = k.eigenaar_id "
            f"AND c.tenant_id = ? AND {work.many('k.waarde')} AND {self._stranger}",
            (context.koppeling.tenant_id, work.values(sorted(holders)), context.koppeling.id),
        )
        for value, kind, core_id, *names in rows:
            for node in holders[value]:
                if _same_name(node.form, names):
                    found[node.source_key][core_id].add(str(kind))
        return found

    def _children(self, keys: Sequence[str]) -> dict[str, set[int]]:
        """Source key of a verzorger → the core ids of his children."""
        work = self.context.work
        self._note_children()
        rows = work.execute(
            f"SELECT verzorger, leerling FROM w_child WHERE {work.many('verzorger')}",
            (work.values(keys),),
        )
        named = {child for _, child in rows}
        links = self._links(Entity.LEERLING, sorted(named))
        doubted = self._doubted(sorted(named - links.keys()))
        children: dict[str, set[int]] = defaultdict(set)
        for key, child in rows:
            children[key] |= {links[child]} if child in links else doubted.get(child, set())
        return children

    def _doubted(self, keys: Sequence[str]) -> dict[str, set[int]]:
        """Source key of a leerling in doubt → whom it may be, after this run's merges."""
        work = self.context.work
        rows = work.execute(
            f"SELECT source_key, detail FROM w_case WHERE entity = ? AND {work.many('source_key')}",
            (str(Entity.LEERLING), work.values(keys)),
        )
        found = {key: {c["core_id"] for c in msgspec.json.decode(told)} for key, told in rows}
        every = sorted(set().union(*found.values()))
        merged: dict[int, int] = dict(
            work.execute(
                f"SELECT core_id, survivor_id FROM w_alias WHERE {work.many('core_id')}",
                (work.values(every),),
            )
        )
        return {key: {merged.get(c, c) for c in cores} for key, cores in found.items()}

    def _note_children(self) -> None:
        """Who is whose guardian, from the relations that wait: once for all batches.

        A verzorger who is new has no other relations: what refers to him waits until he is linked.
        """
        if self._children_known:
            return
        self._children_known = True
        context, work = self.context, self.context.work
        relation = Entity.VERZORGER_RELATIE
        work.temp_table("w_relation", "source_key TEXT PRIMARY KEY")
        work.temp_table("w_child", "verzorger TEXT, leerling TEXT", index=["(verzorger)"])
        work.execute(
            "INSERT INTO w_relation SELECT source_key FROM v_shadow WHERE koppeling_id = ? "
            "AND entity = ? AND pending ON CONFLICT (source_key) DO NOTHING",
            (context.koppeling.id, str(relation)),
        )
        last = ""
        while True:
            rows = work.execute(
                "SELECT source_key FROM w_relation WHERE source_key > ? "
                "ORDER BY source_key LIMIT ?",
                (last, BATCH),
            )
            if not rows:
                return
            keys = [row[0] for row in rows]
            last = keys[-1]
            work.load(
                "w_child",
                ("verzorger", "leerling"),
                [
                    (node.form["verzorger"], node.form["leerling"])
                    for node in self._nodes(relation, keys)
                    if not node.gone
                ],
            )

    def _children_in_core(self, cores: Sequence[int]) -> dict[int, set[int]]:
        """Core id of a verzorger → his children, each as who he is after this run's merges."""
        work = self.context.work
        children: dict[int, set[int]] = defaultdict(set)
        for core_id, child in work.execute(
            "SELECT r.verzorger_id, COALESCE(a.survivor_id, r.leerling_id) "
            "FROM verzorger_relatie r LEFT JOIN w_alias a ON a.core_id = r.leerling_id "
            f"WHERE {work.many('r.verzorger_id')}",
            (work.values(cores),),
        ):
            children[core_id].add(child)
        return children


_CONTACTS: Final = tuple(
    name for name, field in fields_of(Entity.VERZORGER).items() if field.kind is Kind.CONTACT
)
"""The e-mail address and the telephone numbers of a verzorger."""


_INDEX: Final = "identificatie/leerlingnummer"


def _joined(
    *found: Iterator[tuple[str, list[Candidate]]],
) -> dict[str, list[Candidate]]:
    """All that was found, each core record once: with its best score, and all that agrees."""
    joined: dict[str, dict[int, Candidate]] = defaultdict(dict)
    for key, candidate in ((k, c) for some in found for k, near in some for c in near):
        before = joined[key].get(candidate.core_id)
        if before is not None:
            agrees = tuple(dict.fromkeys((*before.agrees, *candidate.agrees)))
            score = max(before.score, candidate.score)
            candidate = Candidate(candidate.core_id, score, agrees)
        joined[key][candidate.core_id] = candidate
    return {key: list(near.values()) for key, near in joined.items()}


def _surnames(achternaam: object, voorvoegsel: object) -> set[str]:
    """A surname in match form, without and with its tussenvoegsel."""
    plain = str(achternaam or "")
    names = {match_form(plain), match_form(f"{voorvoegsel or ''} {plain}")}
    return names - {""}


def _same_name(form: Mapping[str, Json], names: Sequence[object]) -> bool:
    """Equal surnames; what both sides have of first name and initials does not differ.

    Of initials one side may have fewer: `J.` and `J.M.`.
    """
    pairs = zip(("achternaam", "roepnaam", "voorletters"), names, strict=True)
    surname, first, initials = (
        (match_form(str(form.get(name) or "")), match_form(str(other or "")))
        for name, other in pairs
    )
    if surname[0] != surname[1] or ("" not in first and first[0] != first[1]):
        return False
    return initials[0].startswith(initials[1]) or initials[1].startswith(initials[0])
