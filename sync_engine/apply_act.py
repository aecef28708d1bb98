"""Apply what a person did: forms, links, memberships and decisions, with the core, in one go.

What a run does alone stands in apply.py; its statements are used where they are the same.
"""

from __future__ import annotations

from mappings.canonical.fields import Entity
from sync_engine import apply, herinrichtingen
from sync_engine.acts import Act
from sync_engine.context import Context
from sync_engine.doubles import close_merged, open_again
from sync_engine.errors import StalePlanError
from sync_engine.nodes import KEYED
from sync_engine.options import Verdict
from sync_engine.outbox.touching import Touched
from sync_engine.retention import referrers
from sync_engine.vault import hold

_MOVED = "(koppeling_id, entity, source_key) IN (SELECT koppeling_id, entity, source_key FROM {})"


def apply_act(context: Context, plan_id: int, act: Act, *, operator: str, why: str) -> None:
    """Write the plan of an act, all of it.

    Raises: StalePlanError if something came to lean on a record that would go.
    """
    work, touched = context.work, Touched(context, plan_id)
    with work.transaction():
        touched.before()
        _unlink(context)
        apply.forget_keys(context)
        apply.links(context)
        work.execute(
            "UPDATE link SET rule = w.rule FROM w_rule w WHERE w.koppeling_id = link.koppeling_id "
            "AND w.entity = link.entity AND w.source_key = link.source_key"
        )
        _chains(context)
        apply.rows_of_entities(context)
        apply.parts(context, undone=act.turn.undone)
        _members(context)
        apply.memberships(context)
        _remove(context)
        touched.after(undone=act.turn.undone)
        apply.references(context)
        _restore(context, refuse=act.lifted is None)
        apply.accept(context)
        _decisions(context, act, operator=operator, why=why)
        if act.herinrichting is not None:
            herinrichtingen.write(context, act.herinrichting, operator=operator, why=why)
        if act.finished:
            herinrichtingen.finish(context, act.finished)
        if act.unfinished:
            herinrichtingen.unfinish(context, act.unfinished)
        if act.withdrawn:
            herinrichtingen.lift(context, act.withdrawn, operator=operator, at=context.now)
        apply.cases(context, only="w_chosen")
        if act.merged is not None:
            close_merged(context, act.merged, operator=operator)
        if act.lifted is not None:
            open_again(context, act.lifted)
        work.execute("UPDATE plan SET state = 'applied', applied = true WHERE id = ?", (plan_id,))


def _unlink(context: Context) -> None:
    work = context.work
    work.execute(
        "INSERT INTO former_link (run_id, koppeling_id, entity, source_key, core_id, rule, "
        "since_run) SELECT ?, l.koppeling_id, l.entity, l.source_key, l.core_id, l.rule, l.run_id "
        "FROM w_unlinked w CROSS JOIN link l WHERE l.koppeling_id = w.koppeling_id "
        "AND l.entity = w.entity AND l.source_key = w.source_key",
        (context.run_id,),
    )
    work.execute(f"DELETE FROM link WHERE {_MOVED.format('w_unlinked')}")
    work.execute(f"DELETE FROM open_reference WHERE {_MOVED.format('w_unlinked')}")
    work.execute(f"DELETE FROM match_key WHERE {_MOVED.format('w_turned')}")
    work.execute(
        "INSERT INTO w_chain SELECT a.core_id FROM alias a WHERE a.survivor_id IN (SELECT "
        "b.survivor_id FROM alias b JOIN w_unalias u ON u.core_id = b.core_id) "
        "AND a.core_id NOT IN (SELECT core_id FROM w_unalias)"
    )
    work.execute("DELETE FROM alias WHERE core_id IN (SELECT core_id FROM w_unalias)")


def _chains(context: Context) -> None:
    """What became a record that is parted again is an alias of that, and not of what it became."""
    was = (
        "SELECT MIN(l.core_id) FROM former_link f JOIN link l ON l.koppeling_id = f.koppeling_id "
        "AND l.entity = f.entity AND l.source_key = f.source_key "
        "WHERE f.core_id = alias.core_id AND f.run_id = alias.run_id"
    )
    context.work.execute(
        f"UPDATE alias SET survivor_id = ({was}) "
        f"WHERE core_id IN (SELECT core_id FROM w_chain) AND ({was}) IS NOT NULL"
    )


def _members(context: Context) -> None:
    """Rows of memberships become what they were before the undone run."""
    work = context.work
    chosen = "SELECT w.member_id FROM w_back w CROSS JOIN p_back p WHERE w.member_id = p.member_id"
    apply.keep_members(context, f"groepsdeelname d WHERE d.id IN ({chosen})")
    work.execute(f"DELETE FROM groepsdeelname WHERE id IN ({chosen})")
    columns = "groep_id, rol, persoon_id, geldig_van, geldig_tot, tot_afgeleid, beeindigd"
    work.execute(
        f"INSERT INTO groepsdeelname (id, {columns}, run_id) SELECT w.member_id, {columns}, "
        f"w.since_run FROM w_back w WHERE w.groep_id IS NOT NULL AND w.member_id IN ({chosen})"
    )


def _remove(context: Context) -> None:
    """Core records that nothing says any more, with all that belongs to them but their journal."""
    work = context.work
    gone = "(SELECT core_id FROM w_remove)"
    if not work.execute("SELECT 1 FROM w_remove LIMIT 1"):
        return
    hold(work, context.koppeling.tenant_id)
    for column in ("groep_id", "persoon_id"):
        apply.keep_members(context, f"groepsdeelname d WHERE d.{column} IN {gone}")
        work.execute(f"DELETE FROM groepsdeelname WHERE {column} IN {gone}")
    for table, column in (
        ("identificatie", "eigenaar_id"),
        ("contactgegeven", "eigenaar_id"),
        ("adres", "eigenaar_id"),
        ("match_key", "core_id"),
        ("former_number", "core_id"),
        ("refold", "core_id"),
        ("vault", "core_id"),
        ("batch_person", "core_id"),
    ):
        work.execute(f"DELETE FROM {table} WHERE {column} IN {gone}")
    for entity in Entity:
        work.execute(f"DELETE FROM {entity} WHERE id IN {gone}")
    for entity in Entity:
        for table, column in referrers(entity):
            if work.execute(
                f"SELECT 1 FROM {table} WHERE {column} IN "
                "(SELECT core_id FROM w_remove WHERE entity = ?) LIMIT 1",
                (str(entity),),
            ):
                raise StalePlanError(
                    f"{table} still refers to a {entity} that would go",
                    advice="Een andere run leunt op wat zou verdwijnen; maak die eerst ongedaan.",
                )


def _restore(context: Context, *, refuse: bool) -> None:
    """Shadows get the accepted form back that they had, or none."""
    work, run = context.work, context.run_id
    work.execute(
        "INSERT INTO former_form (shadow_id, run_id, accepted_fp, gone, accepted_run, held, form) "
        "SELECT s.id, ?, s.accepted_fp, s.accepted_gone, s.accepted_run, "
        "CASE WHEN s.accepted_gone THEN COALESCE(s.accepted_held, s.held_until) END, "
        "COALESCE(f.accepted, f.received) FROM w_restore r CROSS JOIN shadow s "
        "CROSS JOIN shadow_form f WHERE s.id = r.shadow_id AND f.shadow_id = s.id "
        "AND s.accepted_fp IS NOT NULL",
        (run,),
    )
    work.execute(
        "UPDATE shadow_form SET accepted = CASE WHEN r.former_fp = s.received_fp THEN NULL "
        "ELSE r.form END FROM w_restore r, shadow s "
        "WHERE r.shadow_id = shadow_form.shadow_id AND s.id = r.shadow_id"
    )
    same = (
        "(r.former_fp IS NOT NULL AND r.former_fp = shadow.received_fp "
        "AND r.gone = shadow.received_gone)"
    )
    along = "COALESCE(r.along, false)"  # that was not undone: it waits for whom it is of
    refused = f"CASE WHEN {same} OR {along} THEN NULL ELSE {{}} END" if refuse else "NULL"
    work.execute(
        "UPDATE shadow SET accepted_fp = r.former_fp, accepted_gone = r.gone, "
        "accepted_run = r.former_run, accepted_held = r.held, "
        f"refused_fp = {refused.format('received_fp')}, "
        f"refused_run = {refused.format(run)}, "
        f"pending = {along if refuse else f'NOT {same}'}, "
        "situation = CASE WHEN r.former_fp IS NULL THEN 'unmatched' WHEN r.gone THEN 'gone' "
        "ELSE 'linked' END FROM w_restore r WHERE r.shadow_id = shadow.id"
    )


def _decisions(context: Context, act: Act, *, operator: str, why: str) -> None:
    """Remember what was decided, and forget what was taken back."""
    work = context.work
    if act.lifted is not None:
        work.execute(
            "UPDATE decision SET lifted_at = ?, lifted_by = ? WHERE act = ? AND lifted_at IS NULL",
            (context.now, operator, act.lifted),
        )
        work.execute(  # what was decided before that, and gave way to it, holds again
            "UPDATE decision SET lifted_at = NULL, lifted_by = NULL WHERE COALESCE(act, 0) <> ? "
            "AND EXISTS (SELECT 1 FROM decision n WHERE n.act = ? "
            "AND n.koppeling_id = decision.koppeling_id AND n.entity = decision.entity "
            "AND n.source_key = decision.source_key AND n.created_at = decision.lifted_at)",
            (act.lifted, act.lifted),
        )
        work.execute(  # judged again by the next run
            "UPDATE shadow SET pending = true WHERE refused_run IS NULL AND koppeling_id = ? "
            "AND (entity, source_key) IN (SELECT entity, source_key FROM w_chosen)",
            (context.koppeling.id,),
        )
    if act.remembered or act.lifted is not None:
        _judge_holders(context)
    first: int | None = None
    own = context.koppeling.id  # only its records are judged with the act
    for (koppeling_id, entity, key), verdict, core_id in act.remembered:
        work.execute(  # the newest counts
            "UPDATE decision SET lifted_at = ?, lifted_by = ? WHERE koppeling_id = ? "
            "AND entity = ? AND source_key = ? AND lifted_at IS NULL",
            (context.now, operator, koppeling_id, entity, key),
        )
        made = core_id
        if verdict in {Verdict.CREATE, Verdict.SPLIT}:
            rows = work.execute(
                "SELECT core_id FROM link WHERE koppeling_id = ? AND entity = ? AND source_key = ?",
                (koppeling_id, entity, key),
            )
            made = rows[0][0] if rows else None
        rows = work.execute(
            "INSERT INTO decision (kind, koppeling_id, entity, source_key, core_id, operator, why, "
            "created_at, act, case_id, run_id, evidence) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
            "?) RETURNING id",
            (
                str(verdict),
                koppeling_id,
                entity,
                key,
                made,
                operator,
                why,
                context.now,
                first,
                act.answered.get((koppeling_id, entity, key)),
                context.run_id,
                context.evidence.get((entity, key)) if koppeling_id == own else None,
            ),
        )
        if first is None:
            first = rows[0][0]
            work.execute("UPDATE decision SET act = ? WHERE id = ?", (first, first))


def _judge_holders(context: Context) -> None:
    """What is known by whom a decision moves, and was not judged with it, is in the next run."""
    holders = ", ".join(f"'{entity}'" for entity in KEYED)
    context.work.execute(
        "UPDATE shadow SET pending = true WHERE refused_run IS NULL AND id IN (SELECT s.id "
        "FROM w_turned w CROSS JOIN shadow s WHERE s.koppeling_id = w.koppeling_id "
        f"AND s.entity = w.entity AND s.source_key = w.source_key AND w.entity IN ({holders}) "
        "AND NOT EXISTS (SELECT 1 FROM w_rekey r WHERE r.koppeling_id = w.koppeling_id "
        "AND r.entity = w.entity AND r.source_key = w.source_key))"
    )
