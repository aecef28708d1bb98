"""Commands on pins: a value that a person fixes by hand, with a reason and an end."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Annotated

import typer

from console.arguments import Config, Debug, Json, Number, Yes, asked, open_hub, operator_name
from console.choosing import Find, checked, chosen_one, hints
from console.output import Output

pin_app = typer.Typer(help="Pins: values fixed by hand.", no_args_is_help=True)
app = typer.Typer()
app.add_typer(pin_app, name="pin")


@pin_app.command("set")
def pin_set(
    entity: Annotated[str, typer.Argument(metavar="ENTITY", help="leerling, groep, ...")],
    key: Annotated[str, typer.Argument(help="Hub key, leerlingnummer, ...; or FIELD with --find.")],
    field: Annotated[str | None, typer.Argument(help="Which field; `explain` shows them.")] = None,
    why: Annotated[str, typer.Option("--why", help="Why: kept with the pin.")] = "",
    until: Annotated[
        datetime | None,
        typer.Option("--until", formats=["%Y-%m-%d"], help="Last day on which it holds [none]."),
    ] = None,
    find: Find = None,
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Fix one field of one record. The value is asked, or read from standard input."""
    from console.pinning import show_carried_out, show_preview
    from sync_engine.pinned import carry_out, preview, read_value
    from sync_engine.pins import pin
    from sync_engine.search import entity_of

    out, who, kind = Output(json=json), operator_name(), entity_of(entity)
    if find is not None and field is None:
        named, name = None, key
    else:
        named, name = key, field or ""
    checked(named, find)
    if not name:
        raise typer.BadParameter("name the field")
    if not why.strip():
        raise typer.BadParameter("--why says why: it is shown wherever the pin is seen")
    if json and not yes:
        raise typer.BadParameter("--json needs --yes: nobody can be asked")
    with open_hub(config, debug=debug) as hub:
        match = chosen_one(hub, kind, named, find, operator=who)
        out.hints = hints([match])
        value = read_value(kind, name, _asked(f"Nieuwe waarde van {name} (leeg maakt leeg)"))
        seen = preview(hub, kind, match.core_id, field=name, value=value, operator=who)
        show_preview(out, seen, match)
        if not asked(out, "Dit zo vastzetten?", yes=yes, refused="Er is niets vastgezet."):
            return
        pin_id = pin(
            hub,
            match.core_id,
            entity=kind,
            field=name,
            value=value,
            reason=why.strip(),
            operator=who,
            until=None if until is None else until.date(),
        )
        report = carry_out(hub, kind, match.core_id, operator=who)
        raise typer.Exit(show_carried_out(out, pin_id, report))


@pin_app.command("lift")
def pin_lift(
    pin_id: Number,
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Take a pin away: what the sources say counts again, at once."""
    from console.pinning import show_carried_out, show_pins
    from sync_engine.errors import SyncError
    from sync_engine.find import read_hub_key
    from sync_engine.pinned import carry_out, list_pins
    from sync_engine.pins import lift
    from sync_engine.search import entity_of

    out, who = Output(json=json), operator_name()
    if json and not yes:
        raise typer.BadParameter("--json needs --yes: nobody can be asked")
    with open_hub(config, debug=debug) as hub:
        rows = [row for row in list_pins(hub, operator=who) if row.id == pin_id]
        if not rows:
            raise SyncError(
                f"pin {pin_id} is not in force",
                advice="Zie `koppelhub pin list` voor wat er is vastgezet.",
            )
        if not json:
            show_pins(out, rows)
        if not asked(out, "Dit losmaken?", yes=yes, refused="Er is niets losgemaakt."):
            return
        lift(hub, pin_id, operator=who)
        core_id = read_hub_key(rows[0].key) or 0
        report = carry_out(hub, entity_of(rows[0].entity), core_id, operator=who)
        raise typer.Exit(show_carried_out(out, pin_id, report))


@pin_app.command("list")
def pin_list(
    school: Annotated[str, typer.Option("--school", help="BRIN or vestigingsnummer.")] = "",
    expiring: Annotated[
        int | None, typer.Option("--expiring", metavar="DAYS", help="That end within so many days.")
    ] = None,
    idle: Annotated[
        bool, typer.Option("--idle", help="That no longer differ from the source.")
    ] = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """List the pins in force with what the sources say, those that end first in front."""
    from console.pinning import show_pins
    from sync_engine.pinned import list_pins

    with open_hub(config, debug=debug) as hub:
        if school:
            hub.sources_of(school)  # refuses a school that there is not
        rows = list_pins(hub, operator=operator_name(), school=school, expiring=expiring, idle=idle)
        show_pins(Output(json=json), rows)


def _asked(question: str) -> str:
    """A value, which must not stand on the command line: others can read that."""
    if sys.stdin.isatty():
        return str(typer.prompt(question, default="", show_default=False, err=True))
    return sys.stdin.readline().strip()
