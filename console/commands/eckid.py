"""Commands on ECK iDs that the hub obtains itself, and on a PGN that changed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from console.arguments import (
    COMMAND,
    AnySource,
    Config,
    Debug,
    Json,
    Why,
    Yes,
    must_ask,
    open_hub,
    operator_name,
    typed_keys,
)
from console.output import Output

eckid_app = typer.Typer(
    help="ECK iDs that the hub obtains itself, and a PGN that changed.", no_args_is_help=True
)
app = typer.Typer()
app.add_typer(eckid_app, name="eckid")

TheSchool = Annotated[str, typer.Option("--school", help="BRIN or vestigingsnummer.")]
Pupils = Annotated[
    list[str] | None,
    typer.Option(
        "--pupil", help="Only this pupil: hub key or leerlingnummer; repeatable; - is stdin."
    ),
]
Pupil = Annotated[str, typer.Argument(metavar="KEY", help="Hub key or leerlingnummer; - is stdin.")]


@eckid_app.command("status")
def eckid_status(
    school: TheSchool,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Say per vestiging who has an ECK iD, who waits, who cannot get one and what to do."""
    from console.eckid import note_school, show_standing
    from sync_engine.pseudonyms import standing

    with open_hub(config, debug=debug) as hub:
        note_school(hub, school, operator=operator_name())
        found = standing(hub, school)
    show_standing(Output(json=json), found)
    raise typer.Exit(0 if found.is_clean else 1)


@eckid_app.command("obtain")
def eckid_obtain(
    school: TheSchool,
    pupil: Pupils = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Obtain what a school lacks now, and take in what was asked before."""
    from console.resyncing import show_asked, show_done
    from sync_engine.obtaining import obtain
    from sync_engine.pseudonyms import pupil_keys
    from sync_engine.resync import resync

    out = Output(json=json)
    with open_hub(config, debug=debug) as hub:
        keys = pupil_keys(hub, typed_keys(pupil)) if pupil else []
        parts = obtain(hub, school, keys=keys)
        show_asked(out, parts)
        with out.progress() as progress:
            found = resync(
                hub,
                parts,
                what=", ".join(keys) or school,
                operator=operator_name(),
                action=COMMAND.get(),
                progress=progress,
            )
    show_done(out, found)
    raise typer.Exit(found.exit_code)


@eckid_app.command("verify")
def eckid_verify(
    school: TheSchool,
    pupil: Pupils = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Ask again for the ECK iDs that are kept, and compare; hashes and changes nothing."""
    from console.eckid import note_school, show_verified
    from sync_engine.pseudonyms import pupil_keys, verify

    out = Output(json=json)
    with open_hub(config, debug=debug) as hub:
        keys = pupil_keys(hub, typed_keys(pupil)) if pupil else None
        note_school(hub, school, operator=operator_name(), keys=keys or ())
        with out.progress() as progress:
            found = verify(
                hub, school, keys=keys, told=lambda place, _: progress("verify", place, 1)
            )
    show_verified(out, found)
    raise typer.Exit(1 if any(one.found.different or one.found.refused for one in found) else 0)


# -- a PGN that changed ----------------------------------------------------------------------------


@eckid_app.command("replace")
def eckid_replace(
    key: Pupil,
    why: Why,
    on: Annotated[
        datetime | None,
        typer.Option("--on", formats=["%Y-%m-%d"], help="Not before this day [today]."),
    ] = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Propose that a pupil whose PGN changed keeps his ECK iD; another person approves it."""
    from console.eckid import show_replacement
    from sync_engine.replacing import propose

    with open_hub(config, debug=debug) as hub:
        day = None if on is None else on.date()
        made = propose(hub, _one(key), why=why, on=day, operator=operator_name())
    show_replacement(Output(json=json), made)


@eckid_app.command("approve")
def eckid_approve(
    key: Pupil,
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Show what a colleague proposed, ask, approve it, and carry it out where its day has come."""
    from console.eckid import ask_approval, code_of, show_replacement
    from sync_engine.replacing import approve, waiting

    out = Output(json=json)
    must_ask(out, yes=yes)
    key = _one(key)
    with open_hub(config, debug=debug) as hub:
        if not ask_approval(out, waiting(hub, key), yes=yes):
            raise typer.Exit(0)
        made = approve(hub, key, operator=operator_name())
    show_replacement(out, made)
    raise typer.Exit(code_of(made))


@eckid_app.command("withdraw")
def eckid_withdraw(
    key: Pupil,
    why: Why,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Take back what was proposed or approved and not carried out, or close an alarm."""
    from console.eckid import show_replacement
    from sync_engine.replacing import withdraw

    with open_hub(config, debug=debug) as hub:
        made = withdraw(hub, _one(key), why=why, operator=operator_name())
    show_replacement(Output(json=json), made)


@eckid_app.command("replacements")
def eckid_replacements(
    school: Annotated[
        str | None, typer.Option("--school", help="BRIN or vestigingsnummer.")
    ] = None,
    source: AnySource = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """List what was proposed, approved or is in alarm."""
    from console.eckid import chosen, show_replacements
    from sync_engine.replacing import State, replacements

    with open_hub(config, debug=debug) as hub:
        found = replacements(hub, chosen(hub, source, school), everything=everything)
    show_replacements(Output(json=json), found)
    raise typer.Exit(1 if any(one.state is State.ALARM for one in found) else 0)


def _one(key: str) -> str:
    """The one pupil who was named. Raises: BadParameter."""
    keys = typed_keys([key])
    if len(keys) != 1:
        raise typer.BadParameter("standard input must hold one key")
    return keys[0]
