"""Commands on quarantine: what could not be read, and trying it again."""

from __future__ import annotations

from typing import Annotated

import typer

from console.arguments import (
    AnySource,
    Config,
    Csv,
    Debug,
    DryRun,
    Json,
    Limit,
    OneSchool,
    Source,
    Yes,
    asked,
    must_ask,
    not_both,
    open_hub,
    operator_name,
    run_and_show,
    typed_keys,
)
from console.output import Output

quarantine_app = typer.Typer(help="Records that break a rule.", no_args_is_help=True)
app = typer.Typer()
app.add_typer(quarantine_app, name="quarantine")


@quarantine_app.command("list")
def quarantine_list(
    source: AnySource = None,
    school: OneSchool = None,
    limit: Limit = 200,
    csv: Csv = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """List what could not be read: record, field, rule, since when, and what the school must do."""
    from console.quarantine import show_quarantine
    from sync_engine.audit import note
    from sync_engine.quarantine import listed
    from sync_engine.selection import select

    not_both(json=json, csv=csv)
    with open_hub(config, debug=debug) as hub, hub.store.work() as work:
        chosen = select(hub, work, source=source, school=school)
        for name in chosen.names:
            subject = f"koppeling {name}"
            operator = operator_name()
            note(hub, work, operator=operator, action="quarantine list", subject=subject)
        found = listed(hub, work, chosen)
        show_quarantine(Output(json=json), found, csv=csv, limit=limit)


@quarantine_app.command("retry")
def quarantine_retry(
    source: Source,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Only the record with this source key; - is stdin."),
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Map again what quarantine keeps, then plan and apply; the source is not asked."""
    from sync_engine.options import Kind, Options
    from sync_engine.quarantine import checked_keys, counts
    from sync_engine.selection import select

    out = Output(json=json)
    must_ask(out, yes=yes or dry_run)
    with open_hub(config, debug=debug) as hub:
        row = hub.koppeling(source)
        with hub.store.work() as work:
            keys = checked_keys(work, row.id, typed_keys(only) if only else ())
            held = counts(work, select(hub, work, source=source, school=None)).get(source, 0)
        number = len(keys) or held
        if not number:
            if not out.data({"quarantine": 0}):
                out.line("Er staat niets in quarantaine.")
            return
        if not asked(out, f"{number} records opnieuw proberen?", yes=yes or dry_run):
            return
        options = Options(
            kind=Kind.REPLAY, quarantine=True, only=keys, dry=dry_run, operator=operator_name()
        )
        raise typer.Exit(run_and_show(out, hub, source, options))
