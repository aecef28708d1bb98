"""The command `koppelhub`: arguments, wiring of the rooms, printing, exit codes.

Every command takes `--json`. Exit codes stand in `sync_engine.outcome` and are printed by
`koppelhub exit-codes`. Rooms are imported inside the commands: `--help` must be quick.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.exceptions import TyperException

if TYPE_CHECKING:
    from console.output import Output
    from sync_engine.hub import Hub
    from sync_engine.options import Options

app = typer.Typer(
    name="koppelhub",
    help="Keeps a school's core tracking database in agreement with its systems.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
plan_app = typer.Typer(help="Plans: what a run would do.", no_args_is_help=True)
run_app = typer.Typer(help="Runs: what was done.", no_args_is_help=True)
explain_app = typer.Typer(help="Why a record is as it is.", no_args_is_help=True)
connectors_app = typer.Typer(help="Connectors: what systems can be spoken to.")
sandbox_app = typer.Typer(help="Sandbox servers with a synthetic school.", no_args_is_help=True)
db_app = typer.Typer(help="The database.", no_args_is_help=True)
mapping_app = typer.Typer(help="Mappings: from source to canonical.", no_args_is_help=True)
keys_app = typer.Typer(help="Keys: what encrypts the data.")
for name, sub in (
    ("plan", plan_app),
    ("run", run_app),
    ("explain", explain_app),
    ("connectors", connectors_app),
    ("sandbox", sandbox_app),
    ("db", db_app),
    ("mapping", mapping_app),
    ("keys", keys_app),
):
    app.add_typer(sub, name=name)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Config = Annotated[
    Path | None, typer.Option("--config", help="Configuration file [./koppelhub.toml].")
]
Debug = Annotated[bool, typer.Option("--debug", help="Log at debug level, with tracebacks.")]
Source = Annotated[str, typer.Option("--source", help="Name of the koppeling.")]
School = Annotated[
    list[str] | None, typer.Option("--school", help="BRIN or vestigingsnummer; repeatable.")
]
Resources = Annotated[
    list[str] | None,
    typer.Option("--entity", help="Resource, as the source names it; repeatable."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change; write nothing.")]
PlanOnly = Annotated[bool, typer.Option("--plan", help="Stop before applying.")]
TimeLimit = Annotated[
    float | None, typer.Option("--time-limit", help="Seconds after which the run ends.")
]


def _output(*, json: bool) -> Output:
    from console.output import Output

    return Output(json=json)


@contextmanager
def _open(config: Path | None, *, debug: bool) -> Iterator[Hub]:
    """Settings, logs and hub, as every command that touches the database needs them."""
    from config.clock import SystemClock
    from config.logs import setup
    from config.settings import LogFormat, Settings
    from sync_engine.hub import Hub

    settings = Settings.load(config)
    level = "DEBUG" if debug else str(settings.logging.level)
    setup(json=settings.logging.format is LogFormat.JSON, level=level, stream=sys.stderr)
    with closing(Hub.open(settings, SystemClock())) as hub:
        yield hub


def _operator() -> str:
    import getpass

    return getpass.getuser()


def _run(out: Output, hub: Hub, source: str, options: Options) -> int:
    """Run one koppeling, show what came of it, and say the exit code."""
    from console.views import show_report
    from sync_engine.runs import run

    with out.progress() as progress:
        report = run(hub, source, options, progress=progress)
    show_report(out, report)
    return report.exit_code


def _typed(texts: list[str]) -> list[str]:
    """The keys that a person gave; `-` stands for lines of standard input.

    Arguments stand in the list of processes, where others of the machine can read them.
    """
    if "-" not in texts:
        return texts
    given = [line.strip() for line in sys.stdin if line.strip()]
    if not given:
        raise typer.BadParameter("standard input holds no key")
    return [text for text in texts if text != "-"] + given


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
    time_limit: TimeLimit = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Run one koppeling once: read, plan, guard, apply."""
    from datetime import timedelta

    from sync_engine.find import look_up
    from sync_engine.groups import find_groups
    from sync_engine.options import Kind, Options

    out = _output(json=json)
    if dry_run and plan:
        raise typer.BadParameter("--dry-run and --plan exclude each other")
    if groep and (only or entity or delta):
        raise typer.BadParameter("--groep goes without --only, --entity and --delta")
    with _open(config, debug=debug) as hub:
        brins = hub.schools(source, school or [])
        keys: tuple[str, ...] = ()
        resources = tuple(entity or ())
        if only:
            keys, resources = look_up(hub, source, _typed(only), resources=resources)
        groups = find_groups(hub, source, _typed(groep)) if groep else ()
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
            operator=_operator(),
        )
        raise typer.Exit(_run(out, hub, source, options))


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
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Map what the archive and the quarantine hold again; the source is not asked."""
    from datetime import timedelta

    from sync_engine.options import Kind, Options

    out = _output(json=json)
    if dry_run and plan:
        raise typer.BadParameter("--dry-run and --plan exclude each other")
    with _open(config, debug=debug) as hub:
        options = Options(
            kind=Kind.REPLAY,
            resources=tuple(entity or ()),
            since=None if since is None else since.date(),
            dry=dry_run,
            plan_only=plan,
            time_limit=None if time_limit is None else timedelta(seconds=time_limit),
            operator=_operator(),
        )
        raise typer.Exit(_run(out, hub, source, options))


@app.command()
def diff(
    source: Source,
    school: School = None,
    entity: Resources = None,
    csv: Annotated[
        str | None,
        typer.Option("--csv", metavar="FILE", help="A line per record and field; - is stdout."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", help="Records to show.")] = 50,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Say what differs now between the core and the source, field by field; changes nothing."""
    from console.drift import csv_file, show_drift, show_failure
    from sync_engine.drift import drift
    from sync_engine.options import Options

    out = _output(json=json)
    if json and csv == "-":
        raise typer.BadParameter("--json and --csv - both want standard output")
    with _open(config, debug=debug) as hub:
        options = Options(
            resources=tuple(entity or ()),
            brins=hub.schools(source, school or []),
            dry=True,
            operator=_operator(),
        )
        with csv_file(csv) as each, out.progress() as progress:
            found = drift(hub, source, options, limit=limit, each=each, progress=progress)
        if csv == "-":
            show_failure(found)
        else:
            show_drift(out, found)
        raise typer.Exit(found.exit_code)


@plan_app.command("apply")
def plan_apply(
    plan_id: Annotated[int, typer.Argument(metavar="ID")],
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Apply exactly the steps of a plan that still hold as shown; hold the rest."""
    from sync_engine.history import koppeling_of_plan, note_approval
    from sync_engine.runs import Kind, Options

    out = _output(json=json)
    with _open(config, debug=debug) as hub:
        note_approval(hub, plan_id, operator=_operator())
        options = Options(kind=Kind.APPLY, approved=plan_id, operator=_operator())
        raise typer.Exit(_run(out, hub, koppeling_of_plan(hub, plan_id), options))


@plan_app.command("show")
def plan_show(
    plan_id: Annotated[int, typer.Argument(metavar="ID")],
    entity: Annotated[str | None, typer.Option("--entity")] = None,
    limit: Annotated[int, typer.Option("--limit", help="Records to show.")] = 50,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Show a plan: counts, then record by record, field by field, before and after."""
    from console.views import show_plan
    from sync_engine.history import read_plan

    with _open(config, debug=debug) as hub:
        plan = read_plan(hub, plan_id, entity=entity, limit=limit, operator=_operator())
        show_plan(_output(json=json), plan)


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

    with _open(config, debug=debug) as hub:
        show_runs(_output(json=json), list_runs(hub, koppeling=source, limit=limit))


@run_app.command("show")
def run_show(
    run_id: Annotated[int, typer.Argument(metavar="ID")],
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Show one run: what it read per scope, what it changed, what it held back."""
    from console.views import show_run
    from sync_engine.history import read_run

    with _open(config, debug=debug) as hub:
        show_run(_output(json=json), read_run(hub, run_id))


@explain_app.command("leerling")
def explain_leerling(
    key: Annotated[
        str, typer.Argument(help="Hub key (K-...) or leerlingnummer; - reads it from stdin.")
    ],
    field: Annotated[str | None, typer.Option("--field", help="One field.")] = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Why a pupil is as he is: source, run and rule per field, and what others say."""
    from console.views import show_explanation
    from sync_engine.history import explain_leerling as explain_it

    key, *more = _typed([key])
    if more:
        raise typer.BadParameter("standard input holds more than one key")
    with _open(config, debug=debug) as hub:
        show_explanation(
            _output(json=json), explain_it(hub, key, field=field, operator=_operator())
        )


@connectors_app.callback(invoke_without_command=True)
def connectors(context: typer.Context, json: Json = False) -> None:
    """List the installed connectors and what each declares."""
    if context.invoked_subcommand is not None:
        return
    from connectors.registry import find
    from console.views import show_connectors

    show_connectors(_output(json=json), find())


@connectors_app.command("check")
def connectors_check(
    source: Annotated[str | None, typer.Option("--source", help="One koppeling [all].")] = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Prove reachability, login and rights, layer by layer; reads no records."""
    from console.views import show_checks
    from sync_engine.checks import check_sources

    with _open(config, debug=debug) as hub:
        raise typer.Exit(show_checks(_output(json=json), check_sources(hub, source)))


@app.command()
def assumptions(json: Json = False) -> None:
    """Print the contracts that no public source confirms, of every installed system."""
    from connectors.registry import find

    out = _output(json=json)
    found = [
        (m.system, a)
        for m in (f.manifest for f in find().installed.values())
        for a in m.assumptions
    ]
    if not out.data([{"system": system, "assumption": a} for system, a in found]):
        out.table(("naam", "aanname", "bron"), [(a.name, a.text, a.spec) for _, a in found])


@mapping_app.command("try")
def mapping_try(
    system: str,
    resource: str,
    file: Annotated[
        Path, typer.Argument(help="One raw record, as the source sends it; - is stdin.")
    ],
    json: Json = False,
) -> None:
    """Map one sample record and show each output value."""
    from config.clock import SystemClock, local_date
    from console.views import show_trial
    from sync_engine.checks import try_mapping

    try:
        body = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as exc:
        message = f"{file} cannot be read: {exc.strerror}"
        raise typer.BadParameter(message, param_hint="FILE") from None
    today = local_date(SystemClock().now())
    trial = try_mapping(system, resource, body, today=today)
    raise typer.Exit(show_trial(_output(json=json), trial))


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(help="Where to install.")] = Path(),
    database: Annotated[
        str | None,
        typer.Option(
            "--database",
            help="A URL without a password, env:NAME or file:PATH [SQLite in DIRECTORY].",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Make a configuration file, keys (mode 0600) and an empty database."""
    from console.setup import initialise

    out = _output(json=json)
    made = initialise(directory, database=database)
    if not out.data(made):
        for what, path in made.items():
            out.line(f"{what}: {path}")
        out.line("Vul koppelhub.toml aan en draai `koppelhub doctor`.")


@db_app.command("upgrade")
def db_upgrade(json: Json = False, config: Config = None) -> None:
    """Bring the database to the schema of this release; give an empty one its keys."""
    from config.clock import SystemClock
    from config.settings import Settings
    from console.setup import upgrade_database

    out = _output(json=json)
    done = upgrade_database(Settings.load(config), SystemClock())
    if out.data(done):
        return
    before = done.before.current or "leeg"
    out.line(f"schema: {done.after.current} (was {before})")
    if done.keys:
        out.line(f"Deze lege database hoort nu bij sleutel {', '.join(done.keys)}.")


@app.command()
def doctor(json: Json = False, config: Config = None) -> None:
    """Say what is wrong with this installation and how to mend it."""
    from console.views import show_findings
    from sync_engine.doctor import examine

    raise typer.Exit(show_findings(_output(json=json), examine(config)))


@app.command()
def purge(
    tenant: Annotated[str | None, typer.Option("--tenant", help="One tenant [all].")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would go; remove nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Remove for good what has been kept for its whole period, after showing what it is."""
    from console.upkeep import show_purge
    from sync_engine.purge import purge as remove

    out = _output(json=json)
    if json and not (yes or dry_run):
        raise typer.BadParameter("--json needs --yes or --dry-run: nobody can be asked")
    with _open(config, debug=debug) as hub:
        if dry_run or not yes:
            found = remove(hub, operator=_operator(), tenant=tenant, dry=True)
            show_purge(out, found)
            if dry_run or all(report.is_empty for report in found):
                return
            if not typer.confirm("Dit voorgoed verwijderen?", err=True):
                out.line("Er is niets verwijderd.")
                return
        show_purge(out, remove(hub, operator=_operator(), tenant=tenant))


@keys_app.callback(invoke_without_command=True)
def keys(
    context: typer.Context, json: Json = False, config: Config = None, debug: Debug = False
) -> None:
    """List the versions of every tenant's key, and how many values each encrypts."""
    if context.invoked_subcommand is not None:
        return
    from console.upkeep import show_keys
    from sync_engine.rotation import list_keys

    with _open(config, debug=debug) as hub:
        show_keys(_output(json=json), list_keys(hub))


@keys_app.command("rotate")
def keys_rotate(
    tenant: Annotated[str | None, typer.Option("--tenant", help="One tenant [all].")] = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Give a tenant a new key and encrypt everything anew, or go on with what was broken off."""
    from console.upkeep import show_rotation
    from sync_engine.rotation import rotate

    out = _output(json=json)
    with _open(config, debug=debug) as hub:
        with out.progress() as progress:
            reports = rotate(hub, operator=_operator(), tenant=tenant, progress=progress)
        raise typer.Exit(show_rotation(out, reports))


@keys_app.command("master")
def keys_master(json: Json = False, config: Config = None) -> None:
    """Make a new master key in the key file, and wrap every tenant's key under it."""
    from config.clock import SystemClock
    from config.settings import Settings
    from console.upkeep import show_master
    from sync_engine.masters import renew_master

    settings = Settings.load(config)
    done = renew_master(settings, SystemClock(), operator=_operator())
    show_master(_output(json=json), done, settings.keys.file)


@sandbox_app.command("serve")
def sandbox_serve(
    port: Annotated[int, typer.Option("--port")] = 8765,
    pupils: Annotated[int, typer.Option("--pupils")] = 200,
    seed: Annotated[int, typer.Option("--seed")] = 1,
) -> None:
    """Serve a synthetic school as Somtoday Connect on loopback, until interrupted."""
    from console.demo import serve_sandbox

    serve_sandbox(port=port, pupils=pupils, seed=seed)


@app.command()
def demo(
    directory: Annotated[Path, typer.Argument(help="Where to put it.")] = Path("demo"),
    pupils: Annotated[int, typer.Option("--pupils")] = 120,
    json: Json = False,
) -> None:
    """Play five nights of a synthetic school, against a real server on loopback."""
    from console.demo import play

    raise typer.Exit(play(_output(json=json), directory, pupils=pupils))


@app.command("exit-codes")
def exit_codes(json: Json = False) -> None:
    """Print what the exit codes mean."""
    from sync_engine.outcome import EXIT_MEANING

    out = _output(json=json)
    if not out.data({str(int(code)): meaning for code, meaning in EXIT_MEANING.items()}):
        out.table(("code", "meaning"), [(int(c), m) for c, m in EXIT_MEANING.items()])


def main() -> None:
    """Entry point of the console script: no traceback reaches a person unless asked for."""
    from config.logs import install_excepthook

    install_excepthook()
    sys.exit(_main(sys.argv[1:]))


_INTERRUPTED = 130  # what Typer makes of Ctrl-C; the table of exit codes has no such code


def _main(arguments: list[str]) -> int:
    json = "--json" in arguments
    try:
        code = int(app(args=arguments, standalone_mode=False) or 0)
    except typer.Exit as leave:
        code = leave.exit_code
    except TyperException as error:
        from console.failures import explain_usage

        return explain_usage(error, json=json)
    except (typer.Abort, KeyboardInterrupt):
        code = _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the outermost edge: shown as one paragraph
        from console.failures import explain_failure

        return explain_failure(error, debug="--debug" in arguments, json=json)
    if code == _INTERRUPTED:
        from console.failures import tell

        return tell("Afgebroken.", "De volgende run maakt het werk af.", code=2, json=json)
    return code


if __name__ == "__main__":
    main()
