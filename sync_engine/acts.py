"""Acts of a person: undo a run, decide who a record is, take a decision back.

Each becomes a `Turn` (what moves) and the decisions that are remembered with it. Nothing is read
from a source; a plan shows what it comes to, and it is applied whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from mappings.canonical.fields import Entity
from sync_engine.context import Context, chunks
from sync_engine.errors import SyncError
from sync_engine.herinrichtingen import load, of_run
from sync_engine.matching import EXCHANGED
from sync_engine.nodes import accepted_forms
from sync_engine.options import Decision, Kind, Options, Verdict
from sync_engine.project import required_references
from sync_engine.renumbering import Herinrichting, at_odds
from sync_engine.retention import referrers
from sync_engine.store.values import instant
from sync_engine.turn import Move, Node, Turn


@dataclass(slots=True)
class Act:
    """What a person does in one run.

    Attributes:
        turn: what moves.
        chosen: records of the running koppeling that are judged in this run.
        remembered: (record, verdict, core id) of every decision that is kept.
        lifted: the act that is taken back.
        decision: what was asked.
        herinrichting: what is put in force.
        finished: the herinrichting that is finished; `unfinished` that of which it is taken back.
        withdrawn: the herinrichting that is taken back.
        accepts: whether what is received of the records that are matched again may be used.
        answered: record → the case that its decision answers.
        merged: the entity of two records that become one.
    """

    context: Context
    turn: Turn
    chosen: set[tuple[str, str]] = field(default_factory=set)
    remembered: list[tuple[Node, Verdict, int | None]] = field(default_factory=list)
    lifted: int | None = None
    decision: Decision | None = None
    herinrichting: Herinrichting | None = None
    finished: int = 0
    unfinished: int = 0
    withdrawn: int = 0
    accepts: bool = True
    answered: dict[Node, int] = field(default_factory=dict)
    merged: Entity | None = None

    def begin(self) -> None:
        """Lay it over the store, for this plan alone."""
        context, own = self.context, self.context.koppeling.id
        context.work.load("w_chosen", ("entity", "source_key"), sorted(self.chosen))
        context.turned = True
        context.deciding = {
            (entity, key): (str(verdict), core_id)
            for (koppeling_id, entity, key), verdict, core_id in self.remembered
            if koppeling_id == own
        }
        self.turn.begin()


def act_of(context: Context, options: Options) -> Act | None:
    """What a person asks for in these options; None where nobody acts.

    Raises: SyncError if it cannot be done as the data stands.
    """
    if options.undone is not None:
        return _undo(context, options.undone)
    if options.lifted is not None:
        return _lift(context, options.lifted)
    if options.decision is not None:
        return _decide(context, options.decision)
    if options.herinrichting is not None:
        return _reorganise(context, options.herinrichting)
    if options.finished is not None:
        return _finish(context, options.finished)
    if options.alike:
        return _link_alike(context, options.alike)
    return None


# -- undo ------------------------------------------------------------------------------------------


def _undo(context: Context, run_id: int) -> Act:
    work = context.work
    rows = work.execute(
        "SELECT r.koppeling_id, r.started_at, EXISTS (SELECT 1 FROM plan p WHERE p.run_id = r.id "
        "AND p.applied), r.kind FROM run r WHERE r.id = ?",
        (run_id,),
    )
    if not rows or rows[0][0] != context.koppeling.id:
        raise SyncError(
            f"{context.koppeling.name} has no run {run_id}", advice="Zie `koppelhub runs`."
        )
    _, started, applied, kind = rows[0]
    if not applied:
        hint = " Hef een weigering op met `koppelhub refused lift`." if kind == "refuse" else ""
        raise SyncError(
            f"run {run_id} changed nothing that can be undone",
            advice=f"Er is niets om ongedaan te maken.{hint}",
        )
    if kind == Kind.ADOPT:  # what nothing says any more would go, and it was there before the hub
        raise SyncError(
            f"run {run_id} is an adoption: what it took over stood in the core before it",
            advice="Adopteren verandert de kern niet en wordt niet ongedaan gemaakt. Twee records "
            "voor één persoon: `koppelhub case merge`. Een verkeerde herkenning door een latere "
            "run: maak die run ongedaan, of neem het besluit terug met `koppelhub case lift`.",
        )
    if instant(started) < context.now - context.policy.retention.undo:
        raise SyncError(
            f"run {run_id} is too old: what it replaced is not kept any more",
            advice="Herstel de waarden in de bron, of zet ze vast met `koppelhub pin set`.",
        )
    act = Act(context, Turn(context, undone=run_id), withdrawn=of_run(context, run_id))
    act.unfinished = of_run(context, run_id, column="finished_run")
    if act.withdrawn or act.unfinished:
        context.withdrawn, context.unfinishing = act.withdrawn, act.unfinished
        _count_anew(context)
        act.accepts = False
    return act


# -- herinrichtingen -------------------------------------------------------------------------------


def _reorganise(context: Context, made: Herinrichting) -> Act:
    """The numbers count from now on; what is one school by them is matched and folded again."""
    if problem := at_odds(context.renumbering.every, made):
        raise SyncError(problem, advice="Zie `koppelhub herinrichting list`.")
    context.proposed = made
    _count_anew(context)
    return Act(context, Turn(context), herinrichting=made, accepts=False)


def _finish(context: Context, number: int) -> Act:
    """Who stands in former scopes alone is gone; that is closed as any absence."""
    known = {each.id: each for each in context.renumbering.every}
    if number not in known or known[number].finished or known[number].on > context.today:
        raise SyncError(
            "it is not in force yet, or finished already",
            advice="Zie `koppelhub herinrichting list`.",
        )
    context.finishing = number
    _count_anew(context)
    return Act(context, Turn(context), finished=number, accepts=False)


def _count_anew(context: Context) -> None:
    context.changed_scopes = set(context.former_scopes)
    load(context)
    context.rekeying = True


# -- decide ----------------------------------------------------------------------------------------


def _decide(context: Context, decision: Decision) -> Act:
    act = Act(context, Turn(context))
    if decision.verdict is Verdict.MERGE:
        _merge(act, decision)
        return act
    node = (context.koppeling.id, str(decision.entity), decision.source_key)
    core_id = _core_of(context, node)
    if not context.work.execute(
        "SELECT 1 FROM shadow WHERE koppeling_id = ? AND entity = ? AND source_key = ? LIMIT 1",
        node,
    ):
        raise SyncError(
            f"{context.koppeling.name} has no such {decision.entity}",
            advice="Neem de sleutel over uit `koppelhub case show`.",
        )
    target: int | None = None
    if context.adds and decision.verdict is not Verdict.IGNORE:
        raise SyncError(
            "its keys are those of the hub: who a record is of is no question",
            advice="Zijn het twee records van één persoon, voeg die dan samen: "
            "`koppelhub case merge`.",
        )
    match decision.verdict:
        case Verdict.LINK:
            target = _target(context, decision)
            if core_id == target and not _is_exchanged(context, decision):
                raise SyncError("it is linked to that record already", advice=_NOTHING)
            if core_id not in {None, target}:
                act.turn.moves.append(_move(node, core_id, target))
        case Verdict.SPLIT:
            _refuse_if(core_id is None, "it is not linked to any record", "Gebruik `create`.")
            links = _links_of(context, core_id or 0)
            alone = sum(each not in context.adding for each, _ in links) < 2
            _refuse_if(alone, "nothing else is linked to that record", _NOTHING)
            act.turn.moves.append(_move(node, core_id, 0))
        case Verdict.CREATE:
            _refuse_if(core_id is not None, "it is linked to a record", "Gebruik `split`.")
        case Verdict.IGNORE:
            _refuse_if(core_id is not None, "it is linked to a record", "Gebruik eerst `split`.")
    act.chosen.add((node[1], node[2]))
    act.remembered.append((node, decision.verdict, target))
    if decision.case_id is not None:
        act.answered[node] = decision.case_id
    return act


def _link_alike(context: Context, cases: Sequence[int]) -> Act:
    """Each record of these cases is its one candidate. What was settled meanwhile is left out."""
    act = Act(context, Turn(context))
    own, work = context.koppeling.id, context.work
    rows = []
    for part in chunks(sorted(set(cases))):
        rows += work.execute(
            "SELECT id, entity, source_key, detail FROM zaak WHERE koppeling_id = ? "
            f"AND state = 'open' AND kind = 'score' AND {work.many('id')} ORDER BY id",
            (own, work.values(part)),
        )
    for number, entity, key, detail in rows:
        told = msgspec.json.decode(detail, type=list[_Candidate])
        node = (own, str(entity), str(key))
        if len(told) != 1 or _core_of(context, node) is not None:
            continue
        act.chosen.add((node[1], node[2]))
        act.remembered.append((node, Verdict.LINK, _survivor(context, told[0].core_id)))
        act.answered[node] = number
    _refuse_if(not act.remembered, "none of these cases is open any more", _NOTHING)
    return act


class _Candidate(msgspec.Struct):
    """What a case keeps of whom a record may be, as far as it is needed here."""

    core_id: int


_NOTHING = "Er is niets te doen."


def _refuse_if(condition: bool, what: str, advice: str) -> None:
    if condition:
        raise SyncError(what, advice=advice)


def _is_exchanged(context: Context, decision: Decision) -> bool:
    """Whether the case is about two records that each took the other's number: it may stay so."""
    rows = context.work.execute("SELECT rule FROM zaak WHERE id = ?", (decision.case_id,))
    return bool(rows) and str(rows[0][0]).startswith(EXCHANGED)


def _merge(act: Act, decision: Decision) -> None:
    """All that is linked to the younger record goes to the older one; both are held together."""
    context = act.context
    one, other = _target(context, decision), _survivor(context, decision.other or 0)
    _refuse_if(one == other, "they are one record already", _NOTHING)
    for core_id in (one, other):
        known = context.work.execute(f"SELECT 1 FROM {decision.entity} WHERE id = ?", (core_id,))
        _refuse_if(not known, f"there is no such {decision.entity}", "Controleer de sleutel.")
    act.merged = decision.entity
    older, younger = sorted((one, other))
    for core_id in (older, younger):
        for koppeling_id, key in _links_of(context, core_id):
            node = (koppeling_id, str(decision.entity), key)
            if core_id == younger:
                act.turn.moves.append(_move(node, younger, older))
            if koppeling_id == context.koppeling.id:
                act.chosen.add((node[1], key))
            act.remembered.append((node, Verdict.LINK, older))


def _target(context: Context, decision: Decision) -> int:
    core_id = _survivor(context, decision.core_id or 0)
    rows = context.work.execute(f"SELECT tenant_id FROM {decision.entity} WHERE id = ?", (core_id,))
    if not rows or rows[0][0] != context.koppeling.tenant_id:
        raise SyncError(
            f"there is no such {decision.entity}", advice="Neem een kandidaat uit `case show`."
        )
    return core_id


def _survivor(context: Context, core_id: int) -> int:
    rows = context.work.execute("SELECT survivor_id FROM alias WHERE core_id = ?", (core_id,))
    return int(rows[0][0]) if rows else core_id


def _move(node: Node, before: int | None, to: int | None) -> Move:
    return Move(*node, before, to)


def _core_of(context: Context, node: Node) -> int | None:
    rows = context.work.execute(
        "SELECT core_id FROM link WHERE koppeling_id = ? AND entity = ? AND source_key = ?", node
    )
    return int(rows[0][0]) if rows else None


def _links_of(context: Context, core_id: int) -> list[tuple[int, str]]:
    return [
        (row[0], row[1])
        for row in context.work.execute(
            "SELECT koppeling_id, source_key FROM link WHERE core_id = ? ORDER BY 1, 2", (core_id,)
        )
    ]


# -- take back -------------------------------------------------------------------------------------


def _lift(context: Context, act_id: int) -> Act:
    rows = context.work.execute(
        "SELECT id, kind, koppeling_id, entity, source_key, run_id FROM decision "
        "WHERE act = ? AND lifted_at IS NULL ORDER BY id",
        (act_id,),
    )
    if not rows:
        raise SyncError(
            f"decision {act_id} is not in force",
            advice="Zie `koppelhub case decisions` voor wat er besloten is.",
        )
    context.lifting = frozenset(row[0] for row in rows)
    nodes = {(row[2], row[3], row[4]) for row in rows}
    run_id = rows[0][5]
    turn = Turn(context, undone=run_id, forms=False)
    act = Act(context, turn, lifted=act_id)
    act.chosen = {(e, key) for k, e, key in nodes if k == context.koppeling.id}
    turn.only = nodes
    turn.cascade = lambda move: _dependents(context, move)
    return act


def _dependents(context: Context, move: Move) -> Iterator[Move]:
    """Records that cannot be without the one that loses its link, by the word of their source."""
    if move.before is None:
        return
    for table, column in referrers(Entity(move.entity)):
        name = column.removesuffix("_id")
        if table == "groepsdeelname" or name not in required_references(Entity(table)):
            continue
        rows = context.work.execute(
            f"SELECT l.source_key, l.core_id FROM {table} h JOIN link l ON l.core_id = h.id "
            f"WHERE h.{column} = ? AND l.koppeling_id = ? AND l.entity = ?",
            (move.before, move.koppeling_id, table),
        )
        cores: dict[str, int] = dict(rows)
        forms = accepted_forms(context, Entity(table), sorted(cores), move.koppeling_id)
        for key, form in forms.items():
            if form.get(name) == move.source_key:
                yield Move(move.koppeling_id, table, key, cores[key], None)
