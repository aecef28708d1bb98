"""The temporary tables of a turn (turn.py)."""

from __future__ import annotations

from sync_engine.context import Context


def prepare(context: Context, *, acting: bool) -> None:
    """Make (or empty) the temporary tables of a turn; without one nothing is restored.

    Args:
        context: of the run.
        acting: it carries out an act.
    """
    work = context.work
    blob = work.blob_type
    node = "koppeling_id INTEGER, entity TEXT, source_key TEXT"
    work.temp_table(
        "w_restore",
        f"shadow_id BIGINT PRIMARY KEY, {node}, former_fp {blob}, gone BOOLEAN, "
        f"former_run INTEGER, held DATE, form {blob}, along BOOLEAN",
        index=["(koppeling_id, entity, source_key)"],
    )
    if not acting:
        return
    work.temp_table(
        "w_move",
        f"{node}, before_id BIGINT, to_id BIGINT, since_run INTEGER, rule TEXT, "
        "PRIMARY KEY (koppeling_id, entity, source_key)",
        index=["(to_id)", "(before_id)"],
    )
    work.temp_table("w_going", "core_id BIGINT PRIMARY KEY, entity TEXT, survivor_id BIGINT")
    work.temp_table("w_kept", "core_id BIGINT PRIMARY KEY")
    work.temp_table("w_chosen", "entity TEXT, source_key TEXT")
    work.temp_table("w_unlinked", node)
    work.temp_table("w_rule", f"{node}, rule TEXT")
    work.temp_table("w_turned", f"{node}, PRIMARY KEY (entity, koppeling_id, source_key)")
    work.temp_table(
        "w_turned_key",
        f"digest {blob}, {node}, kind TEXT, core_id BIGINT",
        index=["(digest)", "(core_id)"],
    )
    work.temp_table("w_unalias", "core_id BIGINT PRIMARY KEY")
    work.temp_table("w_chain", "core_id BIGINT PRIMARY KEY")
    work.temp_table("w_remove", "core_id BIGINT PRIMARY KEY, entity TEXT")
    work.temp_table(
        "w_back",
        "member_id INTEGER PRIMARY KEY, of_groep BIGINT, groep_id BIGINT, rol TEXT, "
        "persoon_id BIGINT, geldig_van DATE, geldig_tot DATE, tot_afgeleid BOOLEAN, "
        "beeindigd BOOLEAN, since_run INTEGER",
    )
