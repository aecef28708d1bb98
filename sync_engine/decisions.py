"""Decisions for people: what a case is about, what was decided, and a preview that is put away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Final

import msgspec

from mappings.canonical.fields import Entity
from sync_engine.audit import note_within
from sync_engine.errors import ContradictedError, SyncError
from sync_engine.hub import Hub
from sync_engine.hubkeys import hub_key, read_hub_key
from sync_engine.matching import EXCLUSIVE
from sync_engine.nearby import near_numbers
from sync_engine.options import Decision, Verdict
from sync_engine.plans import approvable
from sync_engine.rights import check_plan
from sync_engine.store.locks import lease
from sync_engine.store.work import Work


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """The record that a case is about.

    Attributes:
        candidates: core ids of the records that it may be.
    """

    id: int
    koppeling: str
    entity: Entity
    source_key: str
    kind: str
    state: str
    candidates: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DecisionView:
    """One act of a person.

    Attributes:
        act: its number, by which it is taken back.
        records: `koppeling/source key` of the records that it is about.
        key: of the record that they became, where there is one.
        lifted_at: since when it no longer counts.
    """

    act: int
    kind: str
    koppeling: str
    entity: str
    records: list[str]
    key: str
    case_id: int | None
    operator: str
    why: str
    at: str
    run_id: int | None
    lifted_at: str | None
    lifted_by: str | None


def record_of_case(hub: Hub, case_id: int) -> CaseRecord:
    """The record of a case that is open.

    Raises: SyncError if there is none that the actor may see, or it is closed.
    """
    with hub.store.work() as work:
        tenants = work.values(list(hub.tenants(work)))
        mine = work.many("z.tenant_id")
        rows = work.execute(
            "SELECT z.id, k.name, z.entity, z.source_key, z.kind, z.state, z.detail FROM zaak z "
            f"JOIN koppeling k ON k.id = z.koppeling_id WHERE {mine} AND z.id = ?",
            (tenants, case_id),
        )
        if not rows:
            near = near_numbers(work, f"zaak z WHERE {mine}", "z.id", case_id, (tenants,))
            raise SyncError(
                f"there is no case {case_id}", advice=f"{near} Zie `koppelhub case list`."
            )
    number, koppeling, entity, key, kind, state, detail = rows[0]
    if state != "open":
        raise SyncError(
            f"case {case_id} is {state}",
            advice="Er is al over beslist, of de twijfel is weg. Zie `koppelhub case decisions`.",
        )
    told = msgspec.json.decode(detail)
    listed = told if isinstance(told, list) else []
    found = [item["core_id"] for item in listed if isinstance(item, dict) and "core_id" in item]
    return CaseRecord(number, koppeling, Entity(entity), key, kind, state, tuple(found))


def core_of_key(text: str) -> int:
    """The core id of a hub key. Raises: SyncError if it is none."""
    core_id = read_hub_key(text)
    if core_id is None:
        raise SyncError(
            "that is no key of the hub",
            advice="Een sleutel van de hub begint met K-; zie `koppelhub case show`.",
        )
    return core_id


def check_numbers(hub: Hub, entity: Entity, one: int, other: int) -> None:
    """Two records of the core have no number that says that they are two persons.

    Args:
        hub: whose core.
        entity: of both.
        one: core id.
        other: core id.

    Raises: ContradictedError if both have a BSN, an onderwijsnummer or an ECK iD of one issuer, and
        those differ; it names the kinds.
    """
    with hub.store.work() as work:
        kinds = differing(work, one, other)
    if kinds:
        raise ContradictedError(
            f"{hub_key(one)} and {hub_key(other)} differ in {', '.join(kinds)}",
            advice="Zulke nummers heeft een mens maar één keer: dit zijn vast twee personen. "
            f"Controleer beide sleutels met `koppelhub explain {entity}`. Is het echt één persoon, "
            "doe het dan met --numbers-differ.",
        )


def differing(work: Work, one: int, other: int) -> list[str]:
    """The kinds of number that name one person for good, and that two core records have two of."""
    rows = work.execute(
        "SELECT DISTINCT i.soort FROM identificatie i JOIN identificatie j "
        "ON j.soort = i.soort AND j.uitgever = i.uitgever AND j.geldig_tot IS NULL "
        f"WHERE i.eigenaar_id = {_SURVIVOR} AND j.eigenaar_id = {_SURVIVOR} "
        "AND i.geldig_tot IS NULL AND i.blindindex <> j.blindindex "
        f"AND {work.many('i.soort')} ORDER BY i.soort",
        (one, one, other, other, work.values(sorted(EXCLUSIVE))),
    )
    return [row[0] for row in rows]


_SURVIVOR: Final = "COALESCE((SELECT survivor_id FROM alias WHERE core_id = ?), ?)"


def core_of_record(hub: Hub, record: CaseRecord) -> int | None:
    """The core id that the record of a case is linked to; None where it is to none."""
    with hub.store.work() as work:
        rows = work.execute(
            "SELECT l.core_id FROM link l JOIN koppeling k ON k.id = l.koppeling_id "
            "WHERE k.name = ? AND l.entity = ? AND l.source_key = ?",
            (record.koppeling, str(record.entity), record.source_key),
        )
    return int(rows[0][0]) if rows else None


def check_decision(hub: Hub, koppeling: str, decision: Decision) -> None:
    """A decision on one record can be carried out as the data stands; judged before a run begins.

    Args:
        hub: of the koppeling.
        koppeling: that the record is of.
        decision: to link, create, ignore or split it.

    Raises: ContradictedError; it says what to type instead. ConfigurationError if there is no such
        koppeling that the actor may act for.
    """
    own, entity, key = hub.koppeling(koppeling).id, str(decision.entity), decision.source_key
    with hub.store.work() as work:
        rows = work.execute(
            "SELECT DISTINCT entity FROM shadow WHERE koppeling_id = ? "
            f"AND {work.many('entity')} AND source_key = ?",
            (own, work.values([str(each) for each in Entity]), key),
        )
        known = sorted(row[0] for row in rows)
        if entity not in known:
            other = f" Het is een {known[0]}: geef --entity {known[0]}." if known else ""
            raise ContradictedError(
                f"{koppeling} has no {entity} with that source key",
                advice=f"De koppeling {koppeling} kent geen {entity} met deze bronsleutel.{other} "
                "Neem de sleutel over uit `koppelhub case show` of `koppelhub explain`.",
            )
        links = work.execute(
            "SELECT core_id FROM link WHERE koppeling_id = ? AND entity = ? AND source_key = ?",
            (own, entity, key),
        )
        core_id = int(links[0][0]) if links else None
        ((others,),) = work.execute(
            f"SELECT COUNT(*) FROM {work.real('link')} l JOIN {work.real('koppeling')} k "
            "ON k.id = l.koppeling_id WHERE l.core_id = ? AND NOT k.adds",
            (core_id or 0,),
        )
    if decision.verdict is Verdict.SPLIT:
        _check_split(koppeling, decision, core_id, shared=others > 1)
    elif decision.verdict in {Verdict.CREATE, Verdict.IGNORE} and core_id is not None:
        raise _is_linked(koppeling, decision, core_id, shared=others > 1)


def _check_split(koppeling: str, decision: Decision, core_id: int | None, *, shared: bool) -> None:
    if core_id is None:
        raise ContradictedError(
            "it is not linked to any record",
            advice="Er valt niets los te maken: de kern heeft dit record nog niet. Zoek zijn zaak "
            f"met `koppelhub case list --source {quote(koppeling)}`.",
        )
    if not shared:
        raise ContradictedError(
            f"nothing else is linked to {hub_key(core_id)}",
            advice=f"Er is niets te doen: {hub_key(core_id)} is al van dit record alleen.",
        )


def _is_linked(
    koppeling: str, decision: Decision, core_id: int, *, shared: bool
) -> ContradictedError:
    entity = "" if decision.entity is Entity.LEERLING else f" --entity {decision.entity}"
    record = f"--source {quote(koppeling)} --record {quote(decision.source_key)}{entity}"
    split = f" Hoort het daar niet bij, maak het dan los: `koppelhub case split {record}`."
    choices = f" Wat er te kiezen is: `koppelhub case show {decision.case_id}`."
    return ContradictedError(
        f"its record is linked to {hub_key(core_id)} already",
        advice=f"Het record van deze zaak hoort al bij {hub_key(core_id)}.{split if shared else ''}"
        f"{choices if decision.case_id is not None else ''}",
    )


def list_decisions(
    hub: Hub, *, koppelingen: Sequence[str] | None = None, everything: bool = False, limit: int = 50
) -> list[DecisionView]:
    """What persons decided, newest first; with `everything` also what was taken back."""
    with hub.store.work() as work:
        where, params = "", [work.values(list(hub.tenants(work)))]
        if koppelingen is not None:
            where, params = f"AND {work.many('k.name')}", [*params, work.values(list(koppelingen))]
        if not everything:
            where = f"{where} AND d.lifted_at IS NULL"
        acts = work.execute(
            "SELECT DISTINCT d.act FROM decision d JOIN koppeling k ON k.id = d.koppeling_id "
            f"WHERE {work.many('k.tenant_id')} AND d.act IS NOT NULL {where} "
            f"ORDER BY d.act DESC LIMIT {limit:d}",
            params,
        )
        rows = work.execute(
            "SELECT d.act, d.kind, k.name, d.entity, d.source_key, COALESCE(a.survivor_id, "
            "d.core_id), d.case_id, d.operator, d.why, d.created_at, d.run_id, d.lifted_at, "
            "d.lifted_by FROM decision d JOIN koppeling k ON k.id = d.koppeling_id "
            f"LEFT JOIN alias a ON a.core_id = d.core_id WHERE {work.many('d.act')} "
            "ORDER BY d.act DESC, d.id",
            (work.values([row[0] for row in acts]),),
        )
    found: dict[int, DecisionView] = {}
    for act, kind, name, entity, key, core, case_id, operator, why, at, run, lifted, by in rows:
        if act not in found:
            found[act] = DecisionView(
                act=act,
                kind=kind,
                koppeling=name,
                entity=entity,
                records=[],
                key="" if core is None else hub_key(core),
                case_id=case_id,
                operator=operator,
                why=why,
                at=str(at),
                run_id=run,
                lifted_at=None if lifted is None else str(lifted),
                lifted_by=by,
            )
        found[act].records.append(f"{name}/{key}")
    return list(found.values())


def koppeling_of_act(hub: Hub, act: int) -> str:
    """The koppeling whose run carried a decision out.

    Raises: SyncError if there is none that the actor may see.
    """
    with hub.store.work() as work:
        tenants = work.values(list(hub.tenants(work)))
        mine = f"{work.many('k.tenant_id')}"
        joined = "decision d JOIN koppeling k ON k.id = d.koppeling_id"
        rows = work.execute(
            f"SELECT q.name FROM {joined} JOIN run r ON r.id = d.run_id JOIN koppeling q "
            f"ON q.id = r.koppeling_id WHERE {mine} AND d.act = ? LIMIT 1",
            (tenants, act),
        )
        if rows:
            return str(rows[0][0])
        near = near_numbers(work, f"{joined} WHERE {mine}", "d.act", act, (tenants,))
    raise SyncError(f"there is no decision {act}", advice=f"{near} Zie `koppelhub case decisions`.")


def koppeling_of_core(hub: Hub, entity: Entity, core_id: int) -> str:
    """A koppeling that knows a core record, the first one; one that is configured, if any is.

    Raises: SyncError if there is no such record that the actor may see.
    """
    with hub.store.work() as work:
        rows = work.execute(
            "SELECT k.name FROM link l JOIN koppeling k ON k.id = l.koppeling_id LEFT JOIN alias a "
            "ON a.core_id = ? WHERE l.core_id = COALESCE(a.survivor_id, ?) AND l.entity = ? "
            f"AND {work.many('k.tenant_id')} ORDER BY k.id",
            (core_id, core_id, str(entity), work.values(list(hub.tenants(work)))),
        )
    configured = {source.name for source in hub.sources()}
    rows.sort(key=lambda row: row[0] not in configured)
    if not rows:
        raise SyncError(
            f"there is no {entity} with that key",
            advice="Neem de sleutel over zoals `koppelhub explain` of `case show` hem toont.",
        )
    return str(rows[0][0])


def koppeling_of_run(hub: Hub, run_id: int) -> str:
    """The koppeling of a run. Raises: SyncError if there is none that the actor may see."""
    with hub.store.work() as work:
        tenants = work.values(list(hub.tenants(work)))
        joined = f"run r JOIN koppeling k ON k.id = r.koppeling_id WHERE {work.many('k.tenant_id')}"
        rows = work.execute(f"SELECT k.name FROM {joined} AND r.id = ?", (tenants, run_id))
        if rows:
            return str(rows[0][0])
        near = near_numbers(work, joined, "r.id", run_id, (tenants,))
    raise SyncError(f"there is no run {run_id}", advice=f"{near} Zie `koppelhub runs`.")


def put_away(hub: Hub, plan_id: int, *, operator: str) -> None:
    """A plan that a person was shown and did not want waits for nobody any more.

    Raises: StalePlanError if somebody decided on it meanwhile; RunActiveError while a run of its
        koppeling is under way, for that may be carrying it out.
    """
    head = approvable(hub, plan_id)
    check_plan(hub, head.koppeling, plan_id)
    with hub.store.work() as work:
        ((koppeling_id,),) = work.execute(
            "SELECT r.koppeling_id FROM plan p JOIN run r ON r.id = p.run_id WHERE p.id = ?",
            (plan_id,),
        )
        with lease(hub.store, f"koppeling-{koppeling_id}", on=work), work.transaction():
            work.execute(
                f"UPDATE {work.real('plan')} SET state = 'refused', decided_by = ?, "
                "decided_at = ?, decided_why = 'niet bevestigd' WHERE id = ? AND state = 'open'",
                (operator, hub.clock.now(), plan_id),
            )
            if work.changes:
                subject = f"plan {plan_id}"
                note_within(hub, work, operator=operator, action="not confirmed", subject=subject)
                return
    approvable(hub, plan_id)
