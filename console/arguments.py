"""What commands share: options under one name, the opened hub, who is at the keyboard.

Rooms are imported inside the functions: `--help` must be quick.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from console.output import Output
    from sync_engine.hub import Hub
    from sync_engine.options import Options

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
Allow = Annotated[
    list[str] | None,
    typer.Option(
        "--allow",
        metavar="KIND=ENTITY:NUMBER",
        help="Let so many pass the guards, in this run only (close=leerling:200); repeatable.",
    ),
]
Tenant = Annotated[str | None, typer.Option("--tenant", help="One tenant [all].")]
Limit = Annotated[int, typer.Option("--limit", help="Records to show.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Number = Annotated[int, typer.Argument(metavar="ID")]


@contextmanager
def open_hub(config: Path | None, *, debug: bool) -> Iterator[Hub]:
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


def operator_name() -> str:
    """The operating-system user at the keyboard."""
    import getpass

    return getpass.getuser()


def run_and_show(out: Output, hub: Hub, source: str, options: Options) -> int:
    """Run one koppeling, show what came of it, and say the exit code."""
    from console.views import show_report
    from sync_engine.runs import run

    with out.progress() as progress:
        report = run(hub, source, options, progress=progress)
    show_report(out, report)
    return report.exit_code


def typed_keys(texts: list[str]) -> list[str]:
    """The keys that a person gave; `-` stands for lines of standard input.

    Arguments stand in the list of processes, where others of the machine can read them.
    """
    if "-" not in texts:
        return texts
    given = [line.strip() for line in sys.stdin if line.strip()]
    if not given:
        raise typer.BadParameter("standard input holds no key")
    return [text for text in texts if text != "-"] + given
