"""Fields of which policy asks a person where sources disagree (`[policy.authority] ask`).

While the sources of one record say different values of such a field, the core keeps the value that
it has; where it has none it takes that of the most believed source. A case is open meanwhile, one
for each record, and closes by itself when they agree, when the value is pinned, or when policy asks
no more. Such a field depends on what came first: it is the one thing of the core that is no pure
fold of what was accepted. The cases of ECK iDs that differ (pseudonym_cases.py) are kept here too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from config.errors import ConfigurationError
from config.policies import Policy
from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from sync_engine.context import Context
from sync_engine.fold import RETAINED, Claim, Json
from sync_engine.project import State
from sync_engine.pseudonym_cases import PSEUDONYM, differing, pairs

DISAGREEMENT: Final = "disagreement"
"""Kind of these cases."""

PLAIN: Final = frozenset({Kind.TEXT, Kind.DATE, Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN})
"""Kinds of fields that are one column, and can be asked for."""
COLUMNS: Final = ("core_id", "kind", "entity", "koppeling_id", "source_key", "fields")
KINDS: Final = (DISAGREEMENT, PSEUDONYM)
"""Kinds of cases that are kept by what a plan folds."""


def asked_fields(policy: Policy) -> dict[Entity, tuple[str, ...]]:
    """Entity → fields of which a person is asked.

    Raises: ConfigurationError if one is not a field that can be asked for.
    """
    found: dict[Entity, tuple[str, ...]] = {}
    for name in policy.authority.ask:
        kind, _, field = name.partition(".")
        entity = Entity(kind)  # check_names saw that it is one
        if fields_of(entity)[field].kind not in PLAIN:
            raise ConfigurationError(
                f"policy.authority.ask: {name}: only a field with one plain value can be asked for",
                advice="Kies een veld als een naam, datum of getal; geen verwijzing, lijst, adres, "
                "contactgegeven of nummer van een persoon.",
            )
        found[entity] = (*found.get(entity, ()), field)
    return found


def disagreeing(
    claims: Sequence[Claim], fields: Collection[str], *, pinned: Collection[str]
) -> list[str]:
    """Those of these fields of which live claims of different koppelingen say different values.

    A source that delivers nothing, or no longer, or says empty, disagrees with nobody.
    """
    return [name for name in fields if name not in pinned and len(_values(claims, name)) > 1]


def _values(claims: Sequence[Claim], name: str) -> set[str]:
    """What each koppeling says of a field, by its best claim."""
    best: dict[str, Claim] = {}
    for claim in claims:
        if claim.gone or claim.ended or claim.form.get(name) is None:
            continue
        if name in (claim.form.get(RETAINED) or ()):  # type: ignore[operator] # a list of names
            continue
        known = best.get(claim.koppeling)
        if known is None or _place(claim) < _place(known):
            best[claim.koppeling] = claim
    return {repr(claim.form[name]) for claim in best.values()}


def _place(claim: Claim) -> tuple[int, str, str]:
    return claim.rank, claim.scope, claim.source_key


class Asked:
    """What a plan finds of fields on which sources disagree.

    Args:
        context: of the run.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._fields = asked_fields(context.policy)
        context.work.temp_table(
            "w_asked",
            "core_id BIGINT, kind TEXT, entity TEXT, koppeling_id INTEGER, source_key TEXT, "
            "fields TEXT, PRIMARY KEY (core_id, kind)",
        )
        held = context.work.execute(
            "SELECT DISTINCT kind, entity FROM zaak WHERE tenant_id = ? AND state = 'open'",
            (context.koppeling.tenant_id,),
        )
        open_ = {kind: {Entity(e) for k, e in held if k == kind} for kind in KINDS}
        self._watched = {*self._fields, *open_[DISAGREEMENT]}
        obtained = {entity for entity in Entity if pairs(entity)} if context.adding else set()
        self._closing = open_[PSEUDONYM]
        self._compared = obtained | self._closing
        self._schools = {
            (context.scope_koppeling[number], f"{scope.resource}/{scope.key}"): scope.brins
            for number, scope in (context.scopes.items() if self._compared else ())
        }
        self._rows: list[tuple[int, str, str, int, str, str]] = []

    def keep(
        self,
        entity: Entity,
        core_id: int,
        claims: Sequence[Claim],
        *,
        pinned: Collection[str],
        current: State | None,
        state: dict[str, Json],
    ) -> None:
        """Put the value that the core has in the place of one that is disputed, in `state`."""
        if entity in self._compared:
            self._compare(entity, core_id, claims, pinned=pinned)
        if entity not in self._watched:
            return
        fields = disagreeing(claims, self._fields.get(entity, ()), pinned=pinned)
        koppeling_id, key = min((claim.koppeling_id, claim.source_key) for claim in claims)
        self._rows.append(
            (core_id, DISAGREEMENT, str(entity), koppeling_id, key, ", ".join(fields))
        )
        for name in fields:
            if current is not None and current.get(name) is not None:
                state[name] = current[name]

    def _compare(
        self, entity: Entity, core_id: int, claims: Sequence[Claim], *, pinned: Collection[str]
    ) -> None:
        """Note where what is delivered is not what was obtained."""
        found = differing(entity, claims, schools=self._schools_of, today=self._context.today)
        found = {name: others for name, others in found.items() if name not in pinned}
        if not found and entity not in self._closing:
            return
        holders = [claim for others in found.values() for claim in others] or claims
        koppeling_id, key = min((claim.koppeling_id, claim.source_key) for claim in holders)
        self._rows.append((core_id, PSEUDONYM, str(entity), koppeling_id, key, ", ".join(found)))

    def _schools_of(self, claim: Claim) -> Sequence[str]:
        brins = self._schools.get((claim.koppeling_id, claim.scope), ())
        return self._context.renumbering.schools(brins)

    def flush(self) -> None:
        """Write down what was found."""
        rows, self._rows = self._rows, []
        if not rows:
            return
        work, last = self._context.work, {row[:2]: row for row in rows}
        work.execute(  # a record that waits is folded twice
            f"DELETE FROM w_asked WHERE {work.many('core_id')}",
            (work.values(sorted({row[0] for row in rows})),),
        )
        work.load("w_asked", COLUMNS, last.values())


def keep_cases(context: Context) -> None:
    """Open, renew and close the cases of the records that this plan folded; in its transaction."""
    for kind in KINDS:
        _keep_kind(context, kind)


def _keep_kind(context: Context, kind: str) -> None:
    work, tenant = context.work, context.koppeling.tenant_id
    same = (
        f"w.kind = '{kind}' AND w.koppeling_id = zaak.koppeling_id AND w.entity = zaak.entity "
        "AND w.source_key = zaak.source_key AND w.fields <> ''"
    )
    linked = (
        "l.koppeling_id = zaak.koppeling_id AND l.entity = zaak.entity "
        "AND l.source_key = zaak.source_key"
    )
    mine = "state = 'open' AND kind = ? AND tenant_id = ?"
    work.execute(  # agreed; or its record is another by now, or none
        f"UPDATE zaak SET state = 'closed', closed_run = ?, closed_at = ? WHERE {mine} "
        f"AND NOT EXISTS (SELECT 1 FROM w_asked w WHERE {same}) AND (NOT EXISTS "
        f"(SELECT 1 FROM link l WHERE {linked}) OR EXISTS (SELECT 1 FROM link l "
        f"JOIN w_asked w ON w.core_id = l.core_id AND w.kind = '{kind}' WHERE {linked}))",
        (context.run_id, context.now, kind, tenant),
    )
    work.execute(
        f"UPDATE zaak SET rule = (SELECT w.fields FROM w_asked w WHERE {same}) WHERE {mine} "
        f"AND EXISTS (SELECT 1 FROM w_asked w WHERE {same})",
        (kind, tenant),
    )
    work.execute(
        "INSERT INTO zaak (tenant_id, koppeling_id, kind, entity, source_key, state, rule, detail, "
        "opened_run) SELECT ?, w.koppeling_id, ?, w.entity, w.source_key, 'open', w.fields, '[]', "
        f"? FROM w_asked w WHERE w.kind = '{kind}' AND w.fields <> '' AND NOT EXISTS "
        f"(SELECT 1 FROM zaak WHERE zaak.kind = ? AND zaak.state = 'open' AND {same})",
        (tenant, kind, context.run_id, kind),
    )


def core_values(
    context: Context, entity: Entity, core_id: int, names: Sequence[str]
) -> Mapping[str, Json]:
    """What the core has in these columns of one record."""
    if not names:
        return {}
    rows = context.work.execute(f"SELECT {', '.join(names)} FROM {entity} WHERE id = ?", (core_id,))
    return dict(zip(names, rows[0], strict=True)) if rows else {}
