"""Commands that bring a school in: added, linked, agreed, checked, live; and how far it is."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.arguments import (
    Config,
    Debug,
    Json,
    OneSchool,
    Why,
    Yes,
    asked,
    must_ask,
    open_hub,
    operator_name,
)
from console.commands.sources import source_app
from console.output import Output

if TYPE_CHECKING:
    from connectors.base import Organisation

school_app = typer.Typer(help="Schools of this installation.", no_args_is_help=True)
app = typer.Typer()
app.add_typer(school_app, name="school")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the koppeling.")]


@app.command()
def onboarding(
    school: OneSchool = None, json: Json = False, config: Config = None, debug: Debug = False
) -> None:
    """How far every school is on its way in, and what to type next; code 1 while one is not."""
    from console.onboarding import show_ways
    from sync_engine.onboarding import ways

    with open_hub(config, debug=debug) as hub:
        raise typer.Exit(show_ways(Output(json=json), ways(hub, school=school)))


@school_app.command("add")
def school_add(
    tenant: Annotated[str, typer.Option("--tenant", help="The bevoegd gezag that it is of.")],
    brin: Annotated[str, typer.Option("--brin")],
    name: Annotated[str, typer.Option("--name", help="Name of the school.")],
    title: Annotated[
        str | None, typer.Option("--title", help="Name of the bevoegd gezag, where it is new.")
    ] = None,
    contact: Annotated[
        str | None, typer.Option("--contact", help="E-mail address for the weekly report.")
    ] = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Write a school into the configuration, as a file of its own beside the main one."""
    from sync_engine.enrolment import add_school

    with open_hub(config, debug=debug) as hub:
        path = add_school(hub, tenant=tenant, brin=brin, name=name, title=title, contact=contact)
    _told(Output(json=json), path, f"koppelhub onboarding --school {brin}")


@school_app.command("leave")
def school_leave(
    tenant: Annotated[str, typer.Option("--tenant", help="The bevoegd gezag that leaves.")],
    school: Annotated[
        str | None,
        typer.Option("--school", help="BRIN of one school of it that leaves, and no other."),
    ] = None,
    why: Why = "",
    yes: Yes = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would go; remove nothing.")
    ] = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Remove a bevoegd gezag, or one school of it, for good with its keys, after showing it."""
    from console.onboarding import show_leaving
    from sync_engine.departure import Departure, leave_school
    from sync_engine.leaving import Leaving, leave

    out = Output(json=json)
    must_ask(out, yes=yes or dry_run)
    with open_hub(config, debug=debug) as hub:

        def act(*, dry: bool) -> Leaving | Departure:
            told = {"operator": operator_name(), "why": why}
            if school is None:
                return leave(hub, tenant, dry=dry, **told)
            return leave_school(hub, tenant, school, dry=dry, **told)

        if dry_run or not yes:
            found = act(dry=True)
            show_leaving(out, found)
            if dry_run or found.is_empty:
                return
            question = "Dit alles voorgoed verwijderen, met de sleutels?"
            if not asked(out, question, refused="Er is niets verwijderd."):
                return
        show_leaving(out, act(dry=False))


@source_app.command("link")
def source_link(
    name: Name,
    system: Annotated[str, typer.Option("--system", help="As `koppelhub connectors` lists it.")],
    school: Annotated[str, typer.Option("--school", help="BRIN of the school.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Repeatable.")
    ] = None,
    secrets: Annotated[
        list[str] | None,
        typer.Option("--secret", metavar="NAME=env:NAME", help="Or file:PATH; repeatable."),
    ] = None,
    vestigingen: Annotated[
        list[str] | None, typer.Option("--vestiging", help="Only this one; repeatable [all].")
    ] = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Find the organisation of a school by its BRIN, ask, and write the koppeling."""
    from sync_engine.enrolment import NewSource, find_organisation, link_source

    out = Output(json=json)
    given = dict(_pair(text, "--set") for text in settings or [])
    hidden = {
        key: _reference(where) for key, where in (_pair(t, "--secret") for t in secrets or [])
    }
    new = NewSource(name, system, school, given, hidden, tuple(vestigingen or ()))
    with open_hub(config, debug=debug) as hub:
        found = find_organisation(hub, new)
        if not asked(out, _question(found, new.school, system)):
            raise typer.Exit(1)
        path = link_source(hub, new, found)
    _told(out, path, f"koppelhub onboarding --school {school}")


@source_app.command("agree")
def source_agree(
    name: Name,
    basis: Annotated[str, typer.Option("--basis", help="The agreement, in words.")],
    purpose: Annotated[str, typer.Option("--purpose", help="What the data may be used for.")],
    on: Annotated[
        datetime, typer.Option("--on", formats=["%Y-%m-%d"], help="Day of the agreement.")
    ],
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Record that the school agreed: in production no key is used before."""
    from sync_engine.enrolment import agree

    with open_hub(config, debug=debug) as hub:
        path = agree(hub, name, on=on.date(), basis=basis, purpose=purpose)
    _told(Output(json=json), path, f"koppelhub connectors check --source {name}")


@source_app.command("live")
def source_live(
    name: Name,
    schedule: Annotated[
        str, typer.Option("--schedule", help='Crontab line, or "every 6h".')
    ] = "15 2 * * *",
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Let a koppeling run by itself, once every step before it is done (else code 4)."""
    from sync_engine.enrolment import go_live

    with open_hub(config, debug=debug) as hub:
        path = go_live(hub, name, schedule=schedule)
    _told(Output(json=json), path, "koppelhub jobs")


def _told(out: Output, path: Path, following: str) -> None:
    if not out.data({"file": path, "next": following}):
        out.line(f"Geschreven: {path}")
        out.line(f"Wat draait neemt dit vanzelf over. Daarna: {following}")


def _question(found: Organisation | None, school: str, system: str) -> str:
    if found is None:
        return (
            f"{system} kent geen lijst van organisaties. Hebt u bij de leverancier nagevraagd dat "
            f"deze gegevens van school {school} zijn?"
        )
    numbers = ", ".join(found.brins)
    return f"{system} noemt bij {school}: {found.name} ({numbers}), {found.key}. Is dat de school?"


def _pair(text: str, option: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise typer.BadParameter(f"{option} wants NAME=VALUE")
    return name.strip(), value


def _reference(text: str) -> dict[str, str]:
    """`env:NAME` or `file:PATH` as the configuration has it."""
    kind, _, where = text.partition(":")
    if kind not in {"env", "file"} or not where:
        raise typer.BadParameter("--secret wants NAME=env:NAME or NAME=file:PATH")
    return {kind: where if kind == "env" else str(Path(where).resolve())}
