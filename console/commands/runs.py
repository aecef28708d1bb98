"""Commands that run a koppeling, and that list what runs did."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from console.arguments import (
    Allow,
    AnySource,
    Config,
    Debug,
    DryRun,
    Json,
    Limit,
    Number,
    OneSchool,
    PlanOnly,
    Queue,
    Resources,
    School,
    Source,
    TimeLimit,
    Yes,
    must_ask,
    not_both,
    open_hub,
    operator_name,
    queued,
    run_and_show,
    typed_keys,
)
from console.output import Output

if TYPE_CHECKING:
    from sync_engine.hub import Hub

app = typer.Typer()
run_app = typer.Typer(help="Runs: what was done.", no_args_is_help=True)
app.add_typer(run_app, name="run")


@app.command()
def sync(
    source: Source,
    school: School = None,
    entity: Resources = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            help="One pupil: hub key, leerlingnummer or source key; - reads them from stdin.",
        ),
    ] = None,
    groep: Annotated[
        list[str] | None,
        typer.Option(
            "--groep",
            help="A groep and its members: name, hub key or source key; - reads them from stdin.",
        ),
    ] = None,
    delta: Annotated[bool, typer.Option("--delta/--full", help="Only what changed.")] = False,
    dry_run: DryRun = False,
    plan: PlanOnly = False,
    allow: Allow = None,
    time_limit: TimeLimit = None,
    queue: Queue = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Run one koppeling once: read, plan, guard, apply."""
    from datetime import timedelta

    from sync_engine.find import look_up
    from sync_engine.groups import find_groups
    from sync_engine.guard import read_allowance
    from sync_engine.options import Kind, Options

    out = Output(json=json)
    if dry_run and plan:
        raise typer.BadParameter("--dry-run and --plan exclude each other")
    if groep and (only or entity or delta):
        raise typer.BadParameter("--groep goes without --only, --entity and --delta")
    allowed = tuple(read_allowance(text) for text in allow or ())
    with open_hub(config, debug=debug) as hub:
        brins = hub.schools(source, school or [])
        keys: tuple[str, ...] = ()
        resources = tuple(entity or ())
        if only:
            keys, resources = look_up(hub, source, typed_keys(only), resources=resources)
        groups = find_groups(hub, source, typed_keys(groep)) if groep else ()
        kind = Kind.ONLY if keys or groups else Kind.DELTA if delta else Kind.FULL
        options = Options(
            kind=kind,
            resources=resources,
            only=keys,
            groups=groups,
            brins=brins,
            dry=dry_run,
            plan_only=plan,
            time_limit=None if time_limit is None else timedelta(seconds=time_limit),
            operator=operator_name(),
            allowed=allowed,
        )
        if queue and queued(out, hub, [(source, options)], subject=f"koppeling {source}"):
            return
        raise typer.Exit(run_and_show(out, hub, source, options))


@app.command()
def replay(
    source: Source,
    entity: Resources = None,
    since: Annotated[
        datetime | None,
        typer.Option("--since", formats=["%Y-%m-%d"], help="Only what was stored from this day."),
    ] = None,
    dry_run: DryRun = False,
    plan: PlanOnly = False,
    time_limit: TimeLimit = None,
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Map what the archive and the quarantine hold again; the source is not asked."""
    from datetime import timedelta

    from console.acts import preview_and_run
    from sync_engine.options import Kind, Options

    out = Output(json=json)
    if dry_run and plan:
        raise typer.BadParameter("--dry-run and --plan exclude each other")
    applies = not (dry_run or plan)
    if applies:
        must_ask(out, yes=yes)
    with open_hub(config, debug=debug) as hub:
        options = Options(
            kind=Kind.REPLAY,
            resources=tuple(entity or ()),
            since=None if since is None else since.date(),
            dry=dry_run,
            plan_only=plan,
            time_limit=None if time_limit is None else timedelta(seconds=time_limit),
            operator=operator_name(),
        )
        if applies and not yes:
            raise typer.Exit(preview_and_run(out, hub, source, options, question="Toepassen?"))
        raise typer.Exit(run_and_show(out, hub, source, options))


@app.command()
def diff(
    source: Annotated[
        str | None, typer.Option("--source", help="The koppeling that is read.")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", help="Instead: the koppeling that the hub delivers to."),
    ] = None,
    school: School = None,
    entity: Resources = None,
    csv: Annotated[
        str | None,
        typer.Option("--csv", metavar="FILE", help="A line per record and field; - is stdout."),
    ] = None,
    limit: Limit = 50,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Say what differs now between the core and a source or a target; changes nothing."""
    from console.drift import csv_file, show_drift, show_failure
    from sync_engine.drift import drift
    from sync_engine.options import Options

    out = Output(json=json)
    not_both(json=json, csv=csv)
    if target is not None and (source or entity):
        raise typer.BadParameter("--target goes without --source and --entity")
    if target is None and source is None:
        raise typer.BadParameter("diff needs --source or --target")
    with open_hub(config, debug=debug) as hub:
        if source is None:
            raise typer.Exit(_diff_target(out, hub, str(target), school or [], csv, limit))
        options = Options(
            resources=tuple(entity or ()),
            brins=hub.schools(source, school or []),
            dry=True,
            operator=operator_name(),
        )
        with csv_file(csv) as each, out.progress() as progress:
            found = drift(hub, source, options, limit=limit, each=each, progress=progress)
        if csv == "-":
            show_failure(found)
        else:
            show_drift(out, found)
        raise typer.Exit(found.exit_code)


def _diff_target(
    out: Output, hub: Hub, target: str, schools: list[str], csv: str | None, limit: int
) -> int:
    """What a target should have beside what it confirmed, and the exit code."""
    from console.target_drift import csv_file, show_target_drift
    from sync_engine.outbox.comparing import compare

    with csv_file(csv) as each:
        found = compare(
            hub, target, operator=operator_name(), schools=schools, limit=limit, each=each
        )
    if csv != "-":
        show_target_drift(out, found)
    return found.exit_code


@app.command()
def todo(
    source: AnySource = None,
    school: OneSchool = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Say what waits for the helpdesk, and the command that answers each."""
    from console.todo import show_todo
    from sync_engine.selection import select
    from sync_engine.todo import todo as waiting

    with open_hub(config, debug=debug) as hub:
        with hub.store.work() as work:
            chosen = select(hub, work, source=source, school=school)
        show_todo(Output(json=json, zone=hub.settings.timezone), waiting(hub, chosen))


@app.command()
def runs(
    source: Annotated[str | None, typer.Option("--source")] = None,
    limit: Annotated[int, typer.Option("--limit")] = 20,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """List runs, newest first."""
    from console.views import show_runs
    from sync_engine.history import list_runs

    with open_hub(config, debug=debug) as hub:
        show_runs(
            Output(json=json, zone=hub.settings.timezone),
            list_runs(hub, koppeling=source, limit=limit),
        )


@run_app.command("show")
def run_show(
    run_id: Number,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Show one run: what it read per scope, what it changed, what it held back."""
    from console.views import show_run
    from sync_engine.history import look_at_run

    with open_hub(config, debug=debug) as hub:
        seen = look_at_run(hub, run_id, operator=operator_name())
        show_run(Output(json=json, zone=hub.settings.timezone), seen)
