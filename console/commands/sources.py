"""Commands on koppelingen: how they stand, maintenance, off and on."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from console.arguments import (
    Config,
    Debug,
    Json,
    Why,
    Yes,
    asked,
    must_ask,
    open_hub,
    operator_name,
)
from console.output import Output

if TYPE_CHECKING:
    from sync_engine.hub import Hub

source_app = typer.Typer(help="Koppelingen: on, off, in maintenance.", no_args_is_help=True)
app = typer.Typer()
app.add_typer(source_app, name="source")

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Koppelingen.")]
System = Annotated[str | None, typer.Option("--system", help="All koppelingen of this system.")]
_END = "end"
_MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]


@source_app.command("list")
def source_list(json: Json = False, config: Config = None, debug: Debug = False) -> None:
    """List the koppelingen: on, off or in maintenance, since when and why; hosts that are down."""
    from console.sources import show_sources
    from sync_engine.sources import list_sources

    with open_hub(config, debug=debug) as hub:
        show_sources(Output(json=json), list_sources(hub), zone=hub.settings.timezone)


@source_app.command("off")
def source_off(
    names: Names = None,
    why: Why = "",
    system: System = None,
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Switch off: the clock does not run it any more; a person still may."""
    from sync_engine.sources import named
    from sync_engine.switches import switch_off

    must_ask(Output(json=json), yes=yes)
    with open_hub(config, debug=debug) as hub:
        meant = named(hub, names or [], system=system)
        if not _agreed(meant, "uitschakelen: de klok draait ze niet meer", yes=yes):
            return
        switch_off(hub, meant, operator=operator_name(), why=why)
        _shown(hub, meant, json=json)


@source_app.command("on")
def source_on(
    names: Names = None,
    why: Why = "",
    system: System = None,
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Switch on again: the clock runs it at its next due time."""
    from sync_engine.sources import named
    from sync_engine.switches import switch_on

    must_ask(Output(json=json), yes=yes)
    with open_hub(config, debug=debug) as hub:
        meant = named(hub, names or [], system=system)
        if not _agreed(meant, "inschakelen: de klok draait ze weer", yes=yes):
            return
        switch_on(hub, meant, operator=operator_name(), why=why)
        _shown(hub, meant, json=json)


@source_app.command("maintenance")
def source_maintenance(
    names: Names = None,
    why: Why = "",
    until: Annotated[
        datetime | None,
        typer.Option("--until", formats=_MOMENTS, help="Local time at which it is over [none]."),
    ] = None,
    system: System = None,
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Keep everybody from the source for a while; `... maintenance NAME end` ends it."""
    from config.clock import zone
    from sync_engine.sources import named
    from sync_engine.switches import begin_maintenance, end_maintenance

    given = [name for name in names or [] if name != _END]
    ends = len(given) < len(names or [])
    if ends and (why or until):
        raise typer.BadParameter("`end` goes without --why and --until")
    must_ask(Output(json=json), yes=yes)
    with open_hub(config, debug=debug) as hub:
        meant = named(hub, given, system=system)
        what = "uit onderhoud" if ends else "in onderhoud: niemand vraagt de bron iets"
        if not _agreed(meant, what, yes=yes):
            return
        if ends:
            end_maintenance(hub, meant, operator=operator_name())
        else:
            here = zone(hub.settings.timezone)
            moment = None if until is None else until.replace(tzinfo=here)
            begin_maintenance(hub, meant, operator=operator_name(), why=why, until=moment)
        _shown(hub, meant, json=json)


def _agreed(names: tuple[str, ...], what: str, *, yes: bool) -> bool:
    """Whether a person wants this of these koppelingen, having seen which they are."""
    return asked(Output(), f"{', '.join(names)}: {what}. Doen?", yes=yes)


def _shown(hub: Hub, names: tuple[str, ...], *, json: bool) -> None:
    """How they stand now."""
    from console.sources import show_sources
    from sync_engine.sources import list_sources

    views = [view for view in list_sources(hub) if view.name in names]
    show_sources(Output(json=json), views, zone=hub.settings.timezone)
