"""The command that tries the rules of correlation on a whole source; it changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from console.arguments import (
    Config,
    Debug,
    Json,
    Limit,
    Source,
    not_both,
    open_hub,
    operator_name,
)
from console.output import Output

correlation_app = typer.Typer(
    help="Correlation: which record of the core a source record is.", no_args_is_help=True
)
app = typer.Typer()
app.add_typer(correlation_app, name="correlation")


@correlation_app.command("try")
def correlation_try(
    source: Source,
    read: Annotated[
        bool, typer.Option("--read", help="Read the source now, in a dry run; else what is known.")
    ] = False,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="RULE", help="A rule that does not count; repeatable."),
    ] = None,
    case_at: Annotated[
        float | None, typer.Option("--case-at", help="Score from which a person is asked.")
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(
            "--policy",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="TOML with [correlation] or [reactions] to try.",
        ),
    ] = None,
    entity: Annotated[
        list[str] | None, typer.Option("--entity", help="List this entity only; repeatable.")
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--change",
            help="List those that differ so (joins, parts, moves, disputed, lost, fresh, same).",
        ),
    ] = None,
    answer: Annotated[
        list[str] | None,
        typer.Option("--answer", help="List these (linked, new, disputed, waiting, left)."),
    ] = None,
    csv: Annotated[
        str | None, typer.Option("--csv", metavar="FILE", help="A line per record; - is stdout.")
    ] = None,
    limit: Limit = 50,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Say what each rule would answer for every record, were there no links; changes nothing."""
    from console.correlation import csv_file, show_failure, show_simulation
    from sync_engine.trial.simulate import Trial, Wanted, simulate

    out = Output(json=json)
    not_both(json=json, csv=csv)
    trial = Trial(frozenset(without or ()), _tables(policy), case_at)
    with open_hub(config, debug=debug) as hub, csv_file(csv) as each:
        wanted = Wanted(tuple(entity or ()), tuple(change or ()), tuple(answer or ()), limit, each)
        with out.progress() as progress:
            found = simulate(
                hub,
                source,
                trial,
                wanted,
                operator=operator_name(),
                read=read,
                progress=progress,
            )
    if csv == "-":
        show_failure(found)
    else:
        show_simulation(out, found)
    raise typer.Exit(found.exit_code)


def _tables(path: Path | None) -> dict[str, Any]:
    """Tables of policy, as in the configuration or as in the packaged defaults.

    Raises: ConfigurationError if it is no TOML.
    """
    from config.toml import read_tables

    tables = {} if path is None else read_tables(path)
    under = tables.get("policy")
    return under if isinstance(under, dict) and len(tables) == 1 else tables
