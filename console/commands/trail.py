"""Commands on the audit trail: who looked at or changed what."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from console.arguments import Config, Csv, Debug, Json, Limit, not_both, open_hub, operator_name
from console.output import Output

audit_app = typer.Typer(help="The audit trail: who did what, when, why.", no_args_is_help=True)
app = typer.Typer()
app.add_typer(audit_app, name="audit")


@audit_app.command("show")
def audit_show(
    operator: Annotated[str | None, typer.Option("--operator", help="Only this person.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option("--since", formats=["%Y-%m-%d"], help="Only from this day on."),
    ] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", help="Only what names this: K-..., plan 12.")
    ] = None,
    limit: Limit = 50,
    csv: Csv = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Show who looked at or changed what, newest first."""
    from config.clock import zone
    from console.trail import show_trail
    from sync_engine.audit import note, show

    not_both(json=json, csv=csv)
    with open_hub(config, debug=debug) as hub, hub.store.work() as work:
        local = None if since is None else since.replace(tzinfo=zone(hub.settings.timezone))
        asked = " ".join(filter(None, (operator, subject)))
        note(
            hub,
            work,
            operator=operator_name(),
            action="audit show",
            subject="audit",
            why=asked,
        )
        lines = show(
            work,
            operator=operator,
            subject=subject,
            since=local,
            limit=None if csv else limit,
        )
        show_trail(Output(json=json), lines, csv=csv)


@audit_app.command("verify")
def audit_verify(
    witness: Annotated[
        str | None,
        typer.Option("--witness", help="Line that an earlier verify printed; it must be there."),
    ] = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Walk the whole trail and say where it was tampered with; code 2 when it was."""
    from console.trail import show_verdict
    from sync_engine.audit import verify

    with open_hub(config, debug=debug) as hub, hub.store.work() as work:
        verdict = verify(hub, work, witness=witness)
        raise typer.Exit(show_verdict(Output(json=json), verdict))
