"""Apply: one transaction from prepared tables; core, shadows, links, journal, cases, refold.

Everything was computed before; here are set statements only, so that the write lock is held as
short as can be. Killed at any instruction, the database is as before or as after.
"""

from __future__ import annotations

from mappings.canonical.fields import Entity
from sync_engine import former_numbers, rows
from sync_engine.asked import keep_cases
from sync_engine.context import Context
from sync_engine.outbox.touching import Touched
from sync_engine.project import head_columns

_SAME = (
    "({0}accepted_fp IS NOT NULL AND {0}accepted_fp = {0}received_fp "
    "AND {0}accepted_gone = {0}received_gone)"
)
"""Of a shadow: what is received is accepted already."""
_CORRELATION_CASES = ("contradiction", "match", "score", "unmatched")


def apply(context: Context, plan_id: int, *, state: str, correlated: bool = True) -> None:
    """Write the plan that stands in the temporary tables; `state` is the plan's new state.

    Where nothing was correlated, no doubt is over: open cases stay.
    """
    work, touched = context.work, Touched(context, plan_id)
    with work.transaction():
        touched.before()
        forget_keys(context)
        links(context)
        rows_of_entities(context)
        parts(context)
        memberships(context)
        touched.after()
        references(context)
        accept(context)
        if correlated:
            cases(context)
        work.execute(
            "DELETE FROM refold WHERE tenant_id = ? AND core_id IN (SELECT core_id FROM w_refold)",
            (context.koppeling.tenant_id,),
        )
        work.execute(  # what is held is folded again until a person has decided
            "INSERT INTO refold (core_id, tenant_id, entity, reason) "
            "SELECT DISTINCT core_id, CAST(? AS INTEGER), entity, 'held' FROM step "
            "WHERE plan_id = ? AND state = 'held' AND op <> 'create' ON CONFLICT DO NOTHING",
            (context.koppeling.tenant_id, plan_id),
        )
        work.execute("UPDATE plan SET state = ?, applied = true WHERE id = ?", (state, plan_id))


def refuse(context: Context, plan_id: int, *, state: str) -> None:
    """Write that the forms behind the refused steps are refused; the core stays as it is.

    Args:
        context: of the run that planned again.
        plan_id: its plan.
        state: what becomes of that.
    """
    work = context.work
    with work.transaction():
        work.execute(
            "UPDATE shadow SET refused_fp = received_fp, refused_run = ?, pending = false "
            "WHERE id IN (SELECT shadow_id FROM p_refuse)",
            (context.run_id,),
        )
        work.execute("UPDATE plan SET state = ? WHERE id = ?", (state, plan_id))


def forget_keys(context: Context) -> None:
    """A record that is accepted has the keys of its new form, and no others.

    Its old keys are found by the core record that it was linked to until now.
    """
    work, own = context.work, context.koppeling.id
    if not any(work.execute(f"SELECT 1 FROM {table} LIMIT 1") for table in ("p_accept", "w_key")):
        return
    linked = (
        "SELECT l.core_id FROM {} r CROSS JOIN link l WHERE l.koppeling_id = ? "
        "AND l.entity = r.entity AND l.source_key = r.source_key"
    )
    accepted = "SELECT s.entity, s.source_key FROM p_accept p CROSS JOIN shadow s"
    accepted = f"{accepted} WHERE s.id = p.shadow_id"
    keyed = f"SELECT entity, source_key FROM w_key WHERE koppeling_id = {own:d}"  # not of others
    had = f"{linked.format(f'({accepted})')} UNION ALL {linked.format(f'({keyed})')}"
    work.execute(  # what a record keeps is told by the index of core records alone, and stays
        "DELETE FROM match_key WHERE (digest, koppeling_id, source_key) IN "
        f"(SELECT m.digest, m.koppeling_id, m.source_key FROM ({had}) c CROSS JOIN match_key m "
        "WHERE m.core_id = c.core_id AND m.koppeling_id = ? "
        "AND (m.digest, m.source_key, m.core_id) NOT IN (SELECT digest, source_key, core_id "
        f"FROM w_key WHERE koppeling_id = {own:d} AND core_id IS NOT NULL)) "
        f"AND (entity, source_key) IN ({accepted} UNION ALL {keyed})",
        (own, own, own),
    )


def links(context: Context) -> None:
    """Links, aliases and exact keys as they are now; what moved is kept as it was."""
    work = context.work
    listed = "koppeling_id, entity, source_key, core_id, rule, run_id"
    work.execute(  # what undo brings back
        "INSERT INTO former_link (run_id, koppeling_id, entity, source_key, core_id, rule, "
        "since_run) SELECT ?, l.koppeling_id, l.entity, l.source_key, l.core_id, l.rule, l.run_id "
        "FROM w_link w CROSS JOIN link l WHERE w.rule IN ('merged', 'moved') "
        "AND l.koppeling_id = w.koppeling_id AND l.entity = w.entity "
        "AND l.source_key = w.source_key AND l.core_id <> w.core_id",
        (context.run_id,),
    )
    work.execute(
        f"INSERT INTO link ({listed}) SELECT {listed} FROM w_link WHERE true "
        "ON CONFLICT (koppeling_id, entity, source_key) DO UPDATE SET "
        "core_id = excluded.core_id, rule = excluded.rule, run_id = excluded.run_id"
    )
    work.execute(
        "INSERT INTO alias (core_id, survivor_id, entity, run_id) "
        "SELECT core_id, survivor_id, entity, ? FROM w_alias WHERE true "
        "ON CONFLICT (core_id) DO UPDATE SET survivor_id = excluded.survivor_id",
        (context.run_id,),
    )
    work.execute(
        "UPDATE alias SET survivor_id = (SELECT w.survivor_id FROM w_alias w "
        "WHERE w.core_id = alias.survivor_id) "
        "WHERE survivor_id IN (SELECT core_id FROM w_alias)"
    )
    work.execute(
        "UPDATE match_key SET core_id = (SELECT w.survivor_id FROM w_alias w "
        "WHERE w.core_id = match_key.core_id) WHERE core_id IN (SELECT core_id FROM w_alias)"
    )
    listed = "digest, koppeling_id, source_key, entity, kind, core_id"
    work.execute(
        f"INSERT INTO match_key ({listed}) SELECT {listed} FROM w_key WHERE true "
        "ORDER BY digest "  # in the order of the key: each page is written once
        "ON CONFLICT (digest, koppeling_id, source_key) DO UPDATE SET core_id = excluded.core_id, "
        "kind = excluded.kind WHERE match_key.core_id <> excluded.core_id "
        "OR match_key.kind <> excluded.kind"
    )
    work.execute("INSERT INTO core_salt (core_id, salt) SELECT core_id, salt FROM p_core_salt")


def rows_of_entities(context: Context) -> None:
    """The core's rows, and those that go because they were merged; most nights write few."""
    merged = {name for (name,) in context.work.execute("SELECT DISTINCT entity FROM w_alias")}
    for entity in Entity:
        if entity in context.written:
            core_rows(context, entity)
        if str(entity) in merged:
            merged_rows(context, entity)


def core_rows(context: Context, entity: Entity) -> None:
    """The rows of one entity that the plan writes; of what is there the columns that change.

    SQLite renews the index entries of a column that is set, whatever its value.
    """
    work, changed = context.work, context.written[entity]
    names = ("id", "tenant_id", "run_id", *head_columns(entity))
    listed = ", ".join(names)
    sets = ", ".join(f"{n} = excluded.{n}" for n in names if n == "run_id" or n in changed)
    work.execute(
        f"INSERT INTO {entity} ({listed}) SELECT {listed} FROM p_{entity} WHERE true "
        f"ON CONFLICT (id) DO UPDATE SET {sets}"
    )


def merged_rows(context: Context, entity: Entity) -> None:
    """Rows of records that were merged into others go."""
    context.work.execute(
        f"DELETE FROM {entity} WHERE id IN (SELECT core_id FROM w_alias WHERE entity = ?)",
        (str(entity),),
    )


def parts(context: Context, *, undone: int | None = None) -> None:
    """Identifiers, contacts and addresses; a number that somebody had is kept by blind index.

    Args:
        context: of the run.
        undone: the run that this one turns round.
    """
    work = context.work
    former_numbers.keep(context, undone=undone)
    for table, names, key in (
        ("identificatie", rows.IDENTIFIER_COLUMNS, "eigenaar_id, soort, uitgever"),
        ("contactgegeven", rows.CONTACT_COLUMNS, "eigenaar_id, soort"),
        ("adres", rows.ADRES_COLUMNS, "eigenaar_id, soort"),
    ):
        listed = ", ".join(names)
        keys = key.split(", ")
        sets = ", ".join(f"{name} = excluded.{name}" for name in names if name not in keys)
        work.execute(
            f"INSERT INTO {table} ({listed}) SELECT {listed} FROM p_{table} WHERE true "
            f"ON CONFLICT ({key}) DO UPDATE SET {sets}"
        )
        issuer = " AND p.uitgever = t.uitgever" if "uitgever" in keys else ""
        work.execute(
            f"DELETE FROM {table} AS t WHERE eigenaar_id IN (SELECT eigenaar_id FROM p_drop) "
            f"AND EXISTS (SELECT 1 FROM p_drop p WHERE p.tabel = ? "
            f"AND p.eigenaar_id = t.eigenaar_id AND p.soort = t.soort{issuer})",
            (table,),
        )
        if table == "identificatie":
            former_numbers.keep_merged(context)
        work.execute(f"DELETE FROM {table} WHERE eigenaar_id IN (SELECT core_id FROM w_alias)")
    if undone is not None:
        former_numbers.take_back(context, undone)


def memberships(context: Context) -> None:
    """Memberships that begin, change or end; rows that change are kept as they were."""
    work = context.work
    listed = ", ".join(rows.MEMBER_COLUMNS)
    _merge_memberships(context)
    keep_members(
        context,
        "p_groepsdeelname p CROSS JOIN groepsdeelname d WHERE d.groep_id = p.groep_id "
        "AND d.rol = p.rol AND d.persoon_id = p.persoon_id AND NOT d.beeindigd",
    )
    work.execute(
        "UPDATE groepsdeelname SET geldig_van = p.geldig_van, geldig_tot = p.geldig_tot, "
        "tot_afgeleid = p.tot_afgeleid, beeindigd = p.beeindigd, run_id = p.run_id "
        "FROM p_groepsdeelname p WHERE groepsdeelname.groep_id = p.groep_id "
        "AND groepsdeelname.rol = p.rol AND groepsdeelname.persoon_id = p.persoon_id "
        "AND NOT groepsdeelname.beeindigd"
    )
    work.execute(f"INSERT INTO groepsdeelname ({listed}) SELECT {listed} FROM p_deelname_nieuw")


def keep_members(context: Context, which: str) -> None:
    """Keep rows of groepsdeelname `d` as they are before this run changes them."""
    context.work.execute(
        "INSERT INTO former_member (run_id, member_id, groep_id, rol, persoon_id, geldig_van, "
        "geldig_tot, tot_afgeleid, beeindigd, since_run) SELECT ?, d.id, d.groep_id, d.rol, "
        f"d.persoon_id, d.geldig_van, d.geldig_tot, d.tot_afgeleid, d.beeindigd, d.run_id "
        f"FROM {which} ON CONFLICT DO NOTHING",
        (context.run_id,),
    )


def _merge_memberships(context: Context) -> None:
    """Memberships go with what was merged; of two that became one the older row stays."""
    work = context.work
    if not work.execute("SELECT 1 FROM w_alias LIMIT 1"):
        return
    for column in ("groep_id", "persoon_id"):
        for name in ("core_id", "survivor_id"):
            keep_members(
                context, f"w_alias w CROSS JOIN groepsdeelname d WHERE d.{column} = w.{name}"
            )
    for column in ("groep_id", "persoon_id"):
        work.execute(
            f"UPDATE groepsdeelname SET {column} = (SELECT w.survivor_id FROM w_alias w "
            f"WHERE w.core_id = groepsdeelname.{column}) "
            f"WHERE {column} IN (SELECT core_id FROM w_alias)"
        )
    survivors = "(SELECT survivor_id FROM w_alias)"
    work.execute(
        "DELETE FROM groepsdeelname WHERE NOT beeindigd "
        f"AND (groep_id IN {survivors} OR persoon_id IN {survivors}) "
        "AND EXISTS (SELECT 1 FROM groepsdeelname d WHERE d.groep_id = groepsdeelname.groep_id "
        "AND d.rol = groepsdeelname.rol AND d.persoon_id = groepsdeelname.persoon_id "
        "AND NOT d.beeindigd AND d.id < groepsdeelname.id)"
    )


def references(context: Context) -> None:
    """Open references of what was folded are replaced by those that are open now."""
    work = context.work
    work.execute(
        "DELETE FROM open_reference WHERE (koppeling_id, entity, source_key) IN "
        "(SELECT koppeling_id, entity, source_key FROM w_answered)"
    )
    listed = "koppeling_id, entity, source_key, target_entity, target_key"
    work.execute(
        f"INSERT INTO open_reference ({listed}) SELECT DISTINCT {listed} FROM w_open WHERE true "
        "ON CONFLICT DO NOTHING"
    )


def accept(context: Context) -> None:
    """What was received is accepted; what it replaces is kept as long as it can be undone."""
    work = context.work
    forget = "UPDATE shadow_form SET accepted = NULL WHERE shadow_id IN"
    work.execute(  # what undo brings back
        "INSERT INTO former_form (shadow_id, run_id, accepted_fp, gone, accepted_run, held, form) "
        "SELECT s.id, ?, s.accepted_fp, s.accepted_gone, s.accepted_run, s.accepted_held, "
        "COALESCE(f.accepted, f.received) FROM p_accept p CROSS JOIN shadow s "
        "CROSS JOIN shadow_form f WHERE p.replaces AND s.id = p.shadow_id "
        f"AND f.shadow_id = s.id AND NOT ({_SAME.format('s.')})",
        (context.run_id,),
    )
    work.execute(f"{forget} (SELECT shadow_id FROM p_accept WHERE parted)")
    work.execute(f"{forget} ({_shadows_of('w_vanished')})", (context.koppeling.id,))
    accepted = (
        "accepted_fp = received_fp, accepted_gone = received_gone, pending = false, "
        "accepted_held = NULL, "
        f"accepted_run = CASE WHEN {_SAME.format('')} THEN accepted_run ELSE {context.run_id} END"
    )
    work.execute(
        f"UPDATE shadow SET {accepted}, situation = p.situation "
        "FROM p_accept p WHERE p.shadow_id = shadow.id"
    )
    work.execute(
        f"UPDATE shadow SET {accepted}, situation = 'gone' "
        f"WHERE id IN ({_shadows_of('w_vanished')})",
        (context.koppeling.id,),
    )
    work.execute(
        "UPDATE shadow SET situation = 'disputed', pending = true "
        f"WHERE id IN ({_shadows_of('w_disputed')})",
        (context.koppeling.id,),
    )
    work.execute(
        "UPDATE shadow SET pending = true WHERE id IN (SELECT s.id FROM w_rekey w "
        "CROSS JOIN shadow s WHERE s.koppeling_id = w.koppeling_id AND w.koppeling_id <> ? "
        "AND s.entity = w.entity AND s.source_key = w.source_key)",
        (context.koppeling.id,),
    )


def _shadows_of(table: str) -> str:
    """Query of the shadows of the records in a temporary table; its parameter is the koppeling.

    CROSS JOIN keeps SQLite from going over all shadows of the koppeling instead of these few.
    """
    return (
        f"SELECT s.id FROM {table} w CROSS JOIN shadow s WHERE s.koppeling_id = ? "
        "AND s.entity = w.entity AND s.source_key = w.source_key"
    )


def cases(context: Context, *, only: str | None = None) -> None:
    """Open what is in doubt now; a doubt that is gone closes its case by itself.

    Args:
        context: of the run.
        only: temporary table of the records (entity, source_key) that were judged; None for all.
    """
    work, own = context.work, context.koppeling.id
    marks = ", ".join("?" for _ in _CORRELATION_CASES)
    judged = "" if only is None else f" AND (entity, source_key) IN (SELECT * FROM {only})"
    params: list[object] = [context.run_id, own, *_CORRELATION_CASES]
    if context.apart:  # what waits there was not looked at
        judged += (
            " AND NOT EXISTS (SELECT 1 FROM shadow s WHERE s.koppeling_id = zaak.koppeling_id "
            "AND s.entity = zaak.entity AND s.source_key = zaak.source_key AND s.pending "
            f"AND {work.many('s.scope_id')})"
        )
        params.append(work.values(context.apart))
    work.execute(
        "UPDATE zaak SET state = 'closed', closed_run = ? WHERE koppeling_id = ? "
        f"AND state = 'open' AND kind IN ({marks}){judged} AND NOT EXISTS "
        "(SELECT 1 FROM w_case w WHERE "
        "w.kind = zaak.kind AND w.entity = zaak.entity AND w.source_key = zaak.source_key)",
        params,
    )
    work.execute(
        "INSERT INTO zaak (tenant_id, koppeling_id, kind, entity, source_key, state, rule, detail, "
        "opened_run) SELECT ?, ?, w.kind, w.entity, w.source_key, 'open', w.rule, w.detail, ? "
        "FROM w_case w WHERE NOT EXISTS (SELECT 1 FROM zaak z WHERE z.koppeling_id = ? "
        "AND z.state = 'open' AND z.kind = w.kind AND z.entity = w.entity "
        "AND z.source_key = w.source_key)",
        (context.koppeling.tenant_id, own, context.run_id, own),
    )
    keep_cases(context)
