"""Commands on the installation: its files, database, keys and retention."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.arguments import (
    Config,
    Debug,
    Json,
    Tenant,
    allowed_actor,
    asked,
    open_hub,
    operator_name,
)
from console.output import Output

db_app = typer.Typer(help="The database.", no_args_is_help=True)
keys_app = typer.Typer(help="Keys: what encrypts the data.")
app = typer.Typer()
app.add_typer(db_app, name="db")
app.add_typer(keys_app, name="keys")


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

    out = Output(json=json)
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

    out = Output(json=json)
    settings = Settings.load(config)
    done = upgrade_database(settings, SystemClock(), actor=allowed_actor(settings))
    if out.data(done):
        return
    before = done.before.current or "leeg"
    out.line(f"schema: {done.after.current} (was {before})")
    if done.keys:
        out.line(f"Deze lege database hoort nu bij sleutel {', '.join(done.keys)}.")


@db_app.command("backup")
def db_backup(
    file: Annotated[Path, typer.Argument(help="A file that is not there yet.")],
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Copy the whole database to one file, beside whoever works; never the keys."""
    from console.upkeep import show_backup
    from sync_engine.audit import note
    from sync_engine.store.backup import back_up

    with open_hub(config, debug=debug) as hub:
        with hub.store.work() as work:
            operator = hub.actor.name
            note(hub, work, operator=operator, action="db backup", subject=str(file.name))
        size = back_up(hub.store, file)
        show_backup(Output(json=json), file, size, hub.settings.keys.file)


@db_app.command("restore")
def db_restore(
    file: Annotated[Path, typer.Argument(help="What `db backup` made.")],
    without_erasures: Annotated[
        bool,
        typer.Option(
            "--without-erasures", help="Also where the list of erasures does not belong to it."
        ),
    ] = False,
    json: Json = False,
    config: Config = None,
) -> None:
    """Put a backup where there is no database yet, and check its keys and schema."""
    from config.clock import SystemClock
    from config.settings import Settings
    from console.setup import restore_database

    out = Output(json=json)
    settings = Settings.load(config)
    done = restore_database(
        settings,
        file,
        SystemClock(),
        actor=allowed_actor(settings),
        without_erasures=without_erasures,
    )
    if out.data(done):
        return
    out.line(f"Teruggezet: {settings.database.shown()}, schema {done.after.current}.")
    if done.erased:
        out.line(f"Opnieuw gewist: {done.erased} die na deze back-up gewist waren.")
    if not done.listed:
        out.line(
            f"Let op: er is geen lijst van wissingen ({done.list_file}). Is er na deze back-up "
            "iemand gewist, dan staat hij er weer: zet de lijst daar terug en draai `koppelhub "
            "purge`, of wis hem opnieuw."
        )
    out.line("De volgende runs halen in wat sindsdien veranderde: `koppelhub doctor`, daarna sync.")


@app.command()
def doctor(json: Json = False, config: Config = None) -> None:
    """Say what is wrong with this installation and how to mend it."""
    from console.views import show_findings
    from sync_engine.doctor import examine

    raise typer.Exit(show_findings(Output(json=json), examine(config)))


@app.command()
def purge(
    tenant: Tenant = None,
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

    out = Output(json=json)
    if json and not (yes or dry_run):
        raise typer.BadParameter("--json needs --yes or --dry-run: nobody can be asked")
    with open_hub(config, debug=debug) as hub:
        if dry_run or not yes:
            found = remove(hub, operator=operator_name(), tenant=tenant, dry=True)
            show_purge(out, found)
            if dry_run or all(report.is_empty for report in found):
                return
            if not asked(out, "Dit voorgoed verwijderen?", refused="Er is niets verwijderd."):
                return
        show_purge(out, remove(hub, operator=operator_name(), tenant=tenant))


@keys_app.callback(invoke_without_command=True)
def keys(
    context: typer.Context, json: Json = False, config: Config = None, debug: Debug = False
) -> None:
    """List the versions of every tenant's key, and how many values each encrypts."""
    if context.invoked_subcommand is not None:
        return
    from console.upkeep import show_keys
    from sync_engine.rotation import list_keys

    with open_hub(config, debug=debug) as hub:
        show_keys(Output(json=json, zone=hub.settings.timezone), list_keys(hub))


@keys_app.command("rotate")
def keys_rotate(
    tenant: Tenant = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Give a tenant a new key and encrypt everything anew, or go on with what was broken off."""
    from console.upkeep import show_rotation
    from sync_engine.rotation import rotate

    out = Output(json=json)
    with open_hub(config, debug=debug) as hub:
        with out.progress() as progress:
            reports = rotate(hub, operator=operator_name(), tenant=tenant, progress=progress)
        raise typer.Exit(show_rotation(out, reports))


@keys_app.command("master")
def keys_master(
    force: Annotated[
        bool, typer.Option("--force", help="Also where another process seems to live.")
    ] = False,
    json: Json = False,
    config: Config = None,
) -> None:
    """Make a new master key in the key file, and wrap every tenant's key under it."""
    from config.clock import SystemClock
    from config.settings import Settings
    from console.upkeep import show_master
    from sync_engine.masters import renew_master

    settings = Settings.load(config)
    done = renew_master(settings, SystemClock(), actor=allowed_actor(settings), force=force)
    show_master(Output(json=json), done, settings.keys.file)


@app.command("exit-codes")
def exit_codes(json: Json = False) -> None:
    """Print what the exit codes mean."""
    from sync_engine.outcome import EXIT_MEANING

    out = Output(json=json)
    if not out.data({str(int(code)): meaning for code, meaning in EXIT_MEANING.items()}):
        out.table(("code", "meaning"), [(int(c), m) for c, m in EXIT_MEANING.items()])
