"""Commands on one record of the core: why it is so, what happened to it, what it was."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from console.arguments import Config, Debug, Json, Limit, open_hub, operator_name
from console.choosing import Find, Key, checked, chosen, hints
from console.output import Output

app = typer.Typer()

Of = Annotated[
    str, typer.Argument(metavar="ENTITY", help="leerling, groep, verzorger, inschrijving, ...")
]
Day = Annotated[datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="Held that day.")]


@app.command()
def explain(
    entity: Of,
    key: Key = None,
    find: Find = None,
    field: Annotated[str | None, typer.Option("--field", help="One field.")] = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Why a record is as it is: source, run and rule per field, and what would change it."""
    from console.lives import show_explanation
    from sync_engine.history import explain_record
    from sync_engine.search import entity_of

    checked(key, find)
    kind, who = entity_of(entity), operator_name()
    with open_hub(config, debug=debug) as hub:
        meant = chosen(hub, kind, key, find, operator=who)
        answers = [
            (match.key, explain_record(hub, kind, match.core_id, field=field, operator=who))
            for match in meant
        ]
        show_explanation(Output(json=json, hints=hints(meant), zone=hub.settings.timezone), answers)


@app.command()
def history(
    entity: Of,
    key: Key = None,
    find: Find = None,
    limit: Limit = 50,
    page: Annotated[int, typer.Option("--page", min=1, help="Page of so many, from 1.")] = 1,
    csv: Annotated[
        bool, typer.Option("--csv", help="All of it as CSV on standard output.")
    ] = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Everything that ever happened to one record: runs, people, looks; oldest first."""
    from console.choosing import chosen_one
    from console.lives import show_life, write_life
    from sync_engine.life import life_of
    from sync_engine.search import entity_of

    checked(key, find)
    if json and csv:
        raise typer.BadParameter("--json and --csv both want standard output")
    kind, who = entity_of(entity), operator_name()
    with open_hub(config, debug=debug) as hub:
        match = chosen_one(hub, kind, key, find, operator=who)
        if csv:
            whole = life_of(hub, kind, match.core_id, operator=who, limit=_ALL)
            write_life(whole)
            return
        life = life_of(hub, kind, match.core_id, operator=who, limit=limit, page=page)
        show_life(
            Output(json=json, hints=hints([match]), zone=hub.settings.timezone), life, page=page
        )


@app.command()
def state(
    entity: Of,
    key: Key = None,
    find: Find = None,
    on: Day = None,
    as_known: Annotated[
        datetime | None,
        typer.Option("--as-known", formats=["%Y-%m-%d"], help="Known at the end of that day."),
    ] = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """A record as it was: on a day, as the hub knew it at the end of a day, or both."""
    from console.lives import show_moment
    from sync_engine.past import state_of
    from sync_engine.search import entity_of

    checked(key, find)
    kind, who = entity_of(entity), operator_name()
    with open_hub(config, debug=debug) as hub:
        meant = chosen(hub, kind, key, find, operator=who)
        show_moment(
            Output(json=json, hints=hints(meant), zone=hub.settings.timezone),
            [
                state_of(
                    hub,
                    kind,
                    match.core_id,
                    operator=who,
                    on=None if on is None else on.date(),
                    as_known=None if as_known is None else as_known.date(),
                )
                for match in meant
            ],
        )


_ALL = 1_000_000
"""Happenings in one file: more than any record has."""
