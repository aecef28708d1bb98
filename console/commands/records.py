"""Commands on one record of the core."""

from __future__ import annotations

from typing import Annotated

import typer

from console.arguments import Config, Debug, Json, open_hub, operator_name, typed_keys
from console.output import Output

explain_app = typer.Typer(help="Why a record is as it is.", no_args_is_help=True)
app = typer.Typer()
app.add_typer(explain_app, name="explain")


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

    key, *more = typed_keys([key])
    if more:
        raise typer.BadParameter("standard input holds more than one key")
    with open_hub(config, debug=debug) as hub:
        show_explanation(
            Output(json=json), explain_it(hub, key, field=field, operator=operator_name())
        )
