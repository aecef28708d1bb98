"""What commands share: options under one name, the opened hub, who is at the keyboard.

Rooms are imported inside the functions: `--help` must be quick.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from config.settings import Settings
    from console.output import Output
    from sync_engine.actor import Actor
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
Csv = Annotated[
    str | None, typer.Option("--csv", metavar="FILE", help="Write all of it there; - is stdout.")
]
Why = Annotated[str, typer.Option("--why", help="The reason, without names or numbers of persons.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
AnySource = Annotated[str | None, typer.Option("--source", help="One koppeling [all].")]
OneSchool = Annotated[
    str | None, typer.Option("--school", help="Only this BRIN or vestigingsnummer.")
]
Number = Annotated[int, typer.Argument(metavar="ID")]


Queue = Annotated[
    bool,
    typer.Option("--queue", help="Let a worker do it, before its planned work; else it runs here."),
]


COMMAND: ContextVar[str] = ContextVar("command", default="")
"""The command that is being carried out, without `koppelhub`: `plan show`."""


@contextmanager
def open_hub(config: Path | None, *, debug: bool) -> Iterator[Hub]:
    """Settings, logs and hub, as every command that touches the database needs them.

    Raises: NoRightError if the person at the keyboard may not give this command; the audit trail
        then says that he tried.
    """
    from dataclasses import replace

    from config.clock import SystemClock
    from config.errors import KoppelhubError
    from config.logs import setup
    from config.settings import LogFormat, Settings
    from sync_engine.hub import Hub
    from sync_engine.rights import reminder

    settings = Settings.load(config)
    level = "DEBUG" if debug else str(settings.logging.level)
    setup(json=settings.logging.format is LogFormat.JSON, level=level, stream=sys.stderr)
    with closing(Hub.open(settings, SystemClock())) as hub:
        person = this_actor(settings)
        hub = _as_allowed(replace(hub, actor=person))
        try:
            yield hub
        except KoppelhubError as error:
            if said := reminder(hub.actor, person):
                error.advice = f"{error.advice} {said}".strip()
            raise


def this_actor(settings: Settings) -> Actor:
    """The person at the keyboard, with his role, and from where he works."""
    from console.origin import where
    from sync_engine.actor import actor_of

    return actor_of(settings, operator_name(), origin=where())


def allowed_actor(settings: Settings) -> Actor:
    """The person at the keyboard, for a command that opens no hub.

    Raises: NoRightError if he may not give it.
    """
    from console.roles import check

    return check(this_actor(settings), COMMAND.get())


def _as_allowed(hub: Hub) -> Hub:
    """The hub as this person may use it for his command. Raises: NoRightError."""
    from dataclasses import replace

    from console.roles import check
    from sync_engine.audit import note
    from sync_engine.errors import NoRightError

    command = COMMAND.get()
    try:
        return replace(hub, actor=check(hub.actor, command))
    except NoRightError as error:
        with hub.store.work() as work:
            note(
                hub,
                work,
                operator=hub.actor.name,
                action="refused",
                subject=f"command {command}",
                why=str(error),
            )
        raise


def operator_name() -> str:
    """The operating-system user at the keyboard, by his number: $USER says what anyone likes."""
    import os
    import pwd

    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid-{number}"


def run_and_show(out: Output, hub: Hub, source: str, options: Options) -> int:
    """Run one koppeling, show what came of it, and say the exit code."""
    from console.views import show_report
    from sync_engine.admission import at_the_keyboard
    from sync_engine.audit import note
    from sync_engine.runs import run

    hub.koppeling(source)  # a name that is not there is no attempt on anything
    acts = options.undone is not None or options.is_decision
    if (acts or options.approved is None) and not options.dry:  # others are noted with their plan
        with hub.store.work() as work:
            note(
                hub,
                work,
                operator=options.operator,
                action=COMMAND.get() or str(options.kind),
                subject=_subject(options) or f"koppeling {source}",
            )
    with at_the_keyboard(hub, hub.source(source), options.kind) as remarks:
        for remark in remarks:
            out.line(f"Let op: {remark}.")
        with out.progress() as progress:
            report = run(hub, source, options, progress=progress)
    show_report(out, report)
    return report.exit_code


def queued(out: Output, hub: Hub, wanted: Sequence[tuple[str, Options]], *, subject: str) -> bool:
    """Whether workers were asked for it; where none lives it is told, and it must run here.

    Raises: ConfigurationError if it may not be queued.
    """
    from console.clock import show_asked
    from sync_engine.schedule.asking import ask, workers

    with workers(hub) as queue:
        if queue is None:
            out.line("Er is geen worker: deze run draait nu hier.")
            return False
        show_asked(out, ask(hub, queue, wanted, action=COMMAND.get(), subject=subject))
    return True


def _subject(options: Options) -> str:
    """What an act is about, by its number; empty for a run of a koppeling."""
    for what, number in (
        ("run", options.undone),
        ("plan", options.refused),
        ("decision", options.lifted),
        ("herinrichting", options.finished),
        ("case", options.decision.case_id if options.decision else None),
    ):
        if number is not None:
            return f"{what} {number}"
    return f"herinrichting {options.herinrichting.name}" if options.herinrichting else ""


def must_ask(out: Output, *, yes: bool) -> None:
    """Refuse to ask a script: with `--json` a change needs `--yes`.

    Raises: BadParameter.
    """
    if out.json and not yes:
        raise typer.BadParameter("--json needs --yes: nobody can be asked")


def asked(
    out: Output, question: str, *, yes: bool = False, refused: str = "Er is niets gewijzigd."
) -> bool:
    """Whether the person says yes to what he was shown; nothing else changes anything.

    Args:
        out: where it is told that nothing happens.
        question: in Dutch.
        yes: he said so on the command line.
        refused: what is told when he says no.

    Raises: Exit with the code of a wrong command line where there is nobody who could answer.
    """
    if yes or _says_yes(question):
        return True
    out.line(refused)
    return False


_ANSWERS = {"j": True, "ja": True, "y": True, "yes": True, "n": False, "nee": False, "no": False}


def _says_yes(question: str) -> bool:
    """Ask until the answer is one; an empty line is no.

    Raises: Exit where standard input ends, or a person breaks off: nothing was begun.
    """
    while True:
        try:
            told = typer.prompt(f"{question} [j/N]", default="n", show_default=False, err=True)
        except typer.Abort:
            from sync_engine.outcome import ExitCode

            typer.echo("\nGeen antwoord: er is niets gewijzigd. Zonder vraag: --yes.", err=True)
            raise typer.Exit(ExitCode.USAGE) from None
        answer = _ANSWERS.get(str(told).strip().lower())
        if answer is not None:
            return answer
        typer.echo("Antwoord met j of n.", err=True)


def not_both(*, json: bool, csv: str | None) -> None:
    """Raises: BadParameter where both want standard output."""
    if json and csv == "-":
        raise typer.BadParameter("--json and --csv - both want standard output")


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
