"""Commands on local accounts: who may sign in to the pages with a password of the hub itself."""

from __future__ import annotations

from typing import Annotated

import typer

from console.arguments import Config, Debug, Json, open_hub
from console.output import Output

account_app = typer.Typer(help="Local accounts for the pages.", no_args_is_help=True)
app = typer.Typer()
app.add_typer(account_app, name="account")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of an [[operator]].")]


@account_app.command("add")
def account_add(
    name: Name, json: Json = False, config: Config = None, debug: Debug = False
) -> None:
    """Make an account, or give a disabled one back; the password is asked, or read from stdin."""
    from console.accounts import new_password, show_added
    from sync_engine.accounts import add
    from sync_engine.passwords import Passwords

    with open_hub(config, debug=debug) as hub:
        known = add(hub, Passwords(), name, new_password(name))
    raise typer.Exit(show_added(Output(json=json), name, known=known))


@account_app.command("list")
def account_list(json: Json = False, config: Config = None, debug: Debug = False) -> None:
    """List the accounts: role, in use or not, age of the password, sessions."""
    from console.accounts import show_accounts
    from sync_engine.accounts import list_accounts

    with open_hub(config, debug=debug) as hub:
        show_accounts(Output(json=json, zone=hub.settings.timezone), list_accounts(hub))


@account_app.command("disable")
def account_disable(
    name: Name, json: Json = False, config: Config = None, debug: Debug = False
) -> None:
    """Let nobody in with an account any more, and sign him out everywhere."""
    from console.accounts import show_ended
    from sync_engine.accounts import disable

    with open_hub(config, debug=debug) as hub:
        ended = disable(hub, name)
    show_ended(Output(json=json), f"Account {name} is uitgezet.", sessions=ended)


@account_app.command("password")
def account_password(
    name: Name, json: Json = False, config: Config = None, debug: Debug = False
) -> None:
    """Give an account another password (asked, or read from stdin), and sign him out everywhere."""
    from console.accounts import new_password, show_ended
    from sync_engine.accounts import set_password
    from sync_engine.passwords import Passwords

    with open_hub(config, debug=debug) as hub:
        ended = set_password(hub, Passwords(), name, new_password(name))
    show_ended(Output(json=json), f"Account {name} heeft een ander wachtwoord.", sessions=ended)


@account_app.command("end-sessions")
def account_end_sessions(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The name of an [[operator]].")
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Of everybody.")] = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Sign somebody out of the pages everywhere, however he came in; or everybody."""
    from console.accounts import show_ended
    from sync_engine.accounts import end_sessions

    if (name is None) == (not everybody):
        raise typer.BadParameter("give a name, or --all")
    with open_hub(config, debug=debug) as hub:
        ended = end_sessions(hub, name)
    show_ended(Output(json=json), "Uitgelogd.", sessions=ended)
