"""Commands that read again, by hand, what a school calls about: from all koppelingen at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from console.arguments import (
    Config,
    Debug,
    DryRun,
    Json,
    Queue,
    School,
    open_hub,
    operator_name,
    queued,
)
from console.choosing import Find, Key, checked, chosen, chosen_one, hints
from console.output import Output

if TYPE_CHECKING:
    from sync_engine.hub import Hub
    from sync_engine.options import Options
    from sync_engine.resync import Part

resync_app = typer.Typer(
    help="Read again by hand: a leerling, groep, entity or school.", no_args_is_help=True
)
app = typer.Typer()
app.add_typer(resync_app, name="resync")


@resync_app.command("leerling")
def resync_leerling(
    key: Key = None,
    find: Find = None,
    dry_run: DryRun = False,
    queue: Queue = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """One pupil with his verzorgers, from every koppeling that knows him or serves his school."""
    from mappings.canonical.fields import Entity
    from sync_engine.resync import of_leerling

    checked(key, find)
    with open_hub(config, debug=debug) as hub:
        match = chosen_one(hub, Entity.LEERLING, key, find, operator=operator_name())
        parts = of_leerling(hub, match.core_id)
        out = Output(json=json, hints=hints([match]), zone=hub.settings.timezone)
        _run(out, hub, parts, what=match.key, dry=dry_run, queue=queue)


@resync_app.command("groep")
def resync_groep(
    key: Key = None,
    find: Find = None,
    dry_run: DryRun = False,
    queue: Queue = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """One groep with its members; a name that more groepen have means them all."""
    from mappings.canonical.fields import Entity
    from sync_engine.resync import of_groep

    checked(key, find)
    with open_hub(config, debug=debug) as hub:
        meant = chosen(hub, Entity.GROEP, key, find, operator=operator_name())
        parts = [part for match in meant for part in of_groep(hub, match.core_id)]
        what = ", ".join(match.key for match in meant)
        _run(Output(json=json), hub, parts, what=what, dry=dry_run, queue=queue)


@resync_app.command("entity")
def resync_entity(
    entity: Annotated[str, typer.Argument(metavar="ENTITY", help="leerling, medewerker, ...")],
    school: School = None,
    dry_run: DryRun = False,
    queue: Queue = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """One entity, from every koppeling that brings it."""
    from sync_engine.resync import of_entity
    from sync_engine.search import entity_of

    kind = entity_of(entity)
    with open_hub(config, debug=debug) as hub:
        parts = of_entity(hub, kind, school or [])
        _run(Output(json=json), hub, parts, what=str(kind), dry=dry_run, queue=queue)


@resync_app.command("school")
def resync_school(
    school: Annotated[list[str], typer.Argument(help="BRIN or vestigingsnummer.")],
    dry_run: DryRun = False,
    queue: Queue = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """One school or vestiging whole, from every koppeling that serves it."""
    from sync_engine.resync import of_school

    with open_hub(config, debug=debug) as hub:
        parts = of_school(hub, school)
        _run(Output(json=json), hub, parts, what=", ".join(school), dry=dry_run, queue=queue)


def _run(
    out: Output, hub: Hub, parts: Sequence[Part], *, what: str, dry: bool, queue: bool
) -> None:
    from console.resyncing import show_asked, show_done
    from sync_engine.resync import resync

    show_asked(out, parts)
    if queue and queued(out, hub, _wanted(parts, dry=dry), subject=what):
        return
    with out.progress() as progress:
        found = resync(hub, parts, what=what, operator=operator_name(), dry=dry, progress=progress)
    show_done(out, found)
    raise typer.Exit(found.exit_code)


def _wanted(parts: Sequence[Part], *, dry: bool) -> list[tuple[str, Options]]:
    operator = operator_name()
    return [(p.koppeling, replace(p.options, operator=operator, dry=dry)) for p in parts]
