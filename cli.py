"""The command `koppelhub`: arguments, wiring of the rooms, printing, exit codes.

Every command takes `--json`. Exit codes stand in `sync_engine.outcome` and are printed by
`koppelhub exit-codes`. Rooms are imported inside the commands: `--help` must be quick.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache, wraps
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core
import typer.main
from typer.exceptions import TyperException

from console.arguments import COMMAND, Json
from console.commands import (
    accounts,
    acts,
    alerts,
    alike,
    cases,
    clock,
    correlation,
    cursors,
    eckid,
    enrolment,
    health,
    herinrichtingen,
    inbox,
    outbox,
    pins,
    plans,
    quarantine,
    records,
    resync,
    runs,
    sources,
    systems,
    trail,
    upkeep,
)
from console.output import Output

app = typer.Typer(
    name="koppelhub",
    help="Keeps a school's core tracking database in agreement with its systems.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
sandbox_app = typer.Typer(help="Sandbox servers with a synthetic school.", no_args_is_help=True)
app.add_typer(sandbox_app, name="sandbox")
for group in (
    *(runs, resync, plans, cases, acts, alike, quarantine, records, pins),
    *(accounts, herinrichtingen, inbox, systems, trail, upkeep, clock, health, alerts),
    *(sources, cursors, enrolment, eckid, outbox, correlation),
):
    app.add_typer(group.app)


@sandbox_app.command("serve")
def sandbox_serve(
    port: Annotated[int, typer.Option("--port")] = 8765,
    magister_port: Annotated[int, typer.Option("--magister-port")] = 8766,
    uwlr_port: Annotated[int, typer.Option("--uwlr-port")] = 8767,
    issuer_port: Annotated[int, typer.Option("--issuer-port")] = 8768,
    eckid_port: Annotated[int, typer.Option("--eckid-port")] = 8769,
    pupils: Annotated[int, typer.Option("--pupils")] = 200,
    seed: Annotated[int, typer.Option("--seed")] = 1,
) -> None:
    """Serve a synthetic school in every system, an issuer and a number facility, until stopped."""
    from config.clock import SystemClock
    from console.demo import serve_sandbox

    ports = {"magister": magister_port, "uwlr": uwlr_port, "issuer": issuer_port}
    ports["eckid"] = eckid_port
    serve_sandbox(port=port, ports=ports, pupils=pupils, seed=seed, clock=SystemClock())


@app.command()
def demo(
    directory: Annotated[Path, typer.Argument(help="Where to put it.")] = Path("demo"),
    pupils: Annotated[int, typer.Option("--pupils")] = 120,
    with_eckid: Annotated[
        bool, typer.Option("--eckid/--no-eckid", help="With a school that gets its ECK iDs.")
    ] = True,
    json: Json = False,
) -> None:
    """Play five nights of a synthetic school, against a real server on loopback."""
    from config.clock import SystemClock
    from console.demo import play

    out = Output(json=json)
    code = play(out, directory, pupils=pupils, clock=SystemClock(), eckid=with_eckid)
    raise typer.Exit(code)


def main() -> None:
    """Entry point of the console script: no traceback reaches a person unless asked for."""
    from config.logs import install_excepthook

    install_excepthook()
    sys.exit(_main(sys.argv[1:]))


@cache
def _command() -> typer.core.TyperGroup:
    """All commands; each says its name before it is carried out, for the rights that it needs."""
    made = typer.main.get_command(app)
    assert isinstance(made, typer.core.TyperGroup)  # noqa: S101 - it has more than one command
    for name, command in commands_of(made):
        if command.callback is not None:
            command.callback = _named(name, command.callback)
    return made


def commands_of(group: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Every command of a group with its whole name (`plan show`), groups themselves included."""
    for name, command in group.commands.items():
        whole = f"{above} {name}".strip()
        yield whole, command
        if hasattr(command, "commands"):
            yield from commands_of(command, whole)


def _named(name: str, callback: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(callback)
    def told(*arguments: Any, **options: Any) -> Any:
        COMMAND.set(name)
        return callback(*arguments, **options)

    return told


_INTERRUPTED = 130  # what Typer makes of Ctrl-C; the table of exit codes has no such code


def _main(arguments: list[str]) -> int:
    json = "--json" in arguments
    try:
        code = int(_command()(args=arguments, standalone_mode=False) or 0)
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
