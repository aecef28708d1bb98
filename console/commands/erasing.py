"""Commands that erase one person for good, and what can be taken back of it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from console.arguments import (
    Config,
    Debug,
    Json,
    Number,
    Why,
    Yes,
    asked,
    must_ask,
    open_hub,
    operator_name,
)
from console.choosing import Find, Key, checked, chosen_one, described, hints
from console.output import Output

if TYPE_CHECKING:
    from pathlib import Path

    from mappings.canonical.fields import Entity
    from sync_engine.hub import Hub
    from sync_engine.search import Match

erase_app = typer.Typer(help="Erase one person for good.", no_args_is_help=True)
app = typer.Typer()
app.add_typer(erase_app, name="erase")

Despite = Annotated[
    bool,
    typer.Option(
        "--despite-retention", help="The school decided so, although it may have to keep this one."
    ),
]
Dry = Annotated[bool, typer.Option("--dry-run", help="Show what would go; remove nothing.")]


@erase_app.command("leerling")
def erase_leerling(
    key: Key = None,
    find: Find = None,
    why: Why = "",
    despite_retention: Despite = False,
    dry_run: Dry = False,
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Erase a leerling, all that is his, and guardians whom nobody else has."""
    from mappings.canonical.fields import Entity

    wanted = _Wanted(
        entity=Entity.LEERLING,
        key=key,
        find=find,
        why=why,
        despite_retention=despite_retention,
        dry_run=dry_run,
        yes=yes,
    )
    _erase(wanted, json=json, config=config, debug=debug)


@erase_app.command("verzorger")
def erase_verzorger(
    key: Key = None,
    find: Find = None,
    why: Why = "",
    despite_retention: Despite = False,
    dry_run: Dry = False,
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Erase a verzorger and his relations; the children stay."""
    from mappings.canonical.fields import Entity

    wanted = _Wanted(
        entity=Entity.VERZORGER,
        key=key,
        find=find,
        why=why,
        despite_retention=despite_retention,
        dry_run=dry_run,
        yes=yes,
    )
    _erase(wanted, json=json, config=config, debug=debug)


@erase_app.command("medewerker")
def erase_medewerker(
    key: Key = None,
    find: Find = None,
    why: Why = "",
    despite_retention: Despite = False,
    dry_run: Dry = False,
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Erase a medewerker; groepen and inschrijvingen stay, without him."""
    from mappings.canonical.fields import Entity

    wanted = _Wanted(
        entity=Entity.MEDEWERKER,
        key=key,
        find=find,
        why=why,
        despite_retention=despite_retention,
        dry_run=dry_run,
        yes=yes,
    )
    _erase(wanted, json=json, config=config, debug=debug)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What was typed."""

    entity: Entity
    key: str | None
    find: str | None
    why: str
    despite_retention: bool
    dry_run: bool
    yes: bool

    def __post_init__(self) -> None:
        checked(self.key, self.find)
        if not (self.why.strip() or self.dry_run):
            message = "--why says why: it is kept with the erasure, without names or numbers"
            raise typer.BadParameter(message)


def _erase(wanted: _Wanted, *, json: bool, config: Path | None, debug: bool) -> None:
    """Show what goes, ask, and erase."""
    from console.erasing import show_erasure
    from sync_engine.erasure.acts import erase

    out, who = Output(json=json), operator_name()
    if not wanted.dry_run:
        must_ask(out, yes=wanted.yes)
    with open_hub(config, debug=debug) as hub:
        match = chosen_one(hub, wanted.entity, wanted.key, wanted.find, operator=who)
        out.hints = hints([match])
        if not (json or (wanted.yes and not wanted.dry_run)):
            _name(hub, match, operator=who)
        why = wanted.why.strip()
        seen = erase(hub, wanted.entity, match.core_id, operator=who, why=why, dry=True)
        if wanted.dry_run or not json:
            show_erasure(out, seen)
        if wanted.dry_run:
            return
        if not seen.duty or wanted.despite_retention:
            question = "Deze persoon voorgoed wissen?"
            if not asked(out, question, yes=wanted.yes, refused="Er is niets gewist."):
                return
        done = erase(
            hub,
            wanted.entity,
            match.core_id,
            operator=who,
            why=why,
            despite_retention=wanted.despite_retention,
        )
        show_erasure(out, done)


def _name(hub: Hub, match: Match, *, operator: str) -> None:
    """Say on standard error who it is: a number that is one digit off is another child."""
    from sync_engine.audit import note

    with hub.store.work() as work:
        note(hub, work, operator=operator, action="erase preview", subject=match.key)
    sys.stderr.write(f"{described(match)}\n")


@erase_app.command("list")
def erase_list(
    everything: Annotated[bool, typer.Option("--all", help="Also those that were lifted.")] = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """List who was erased, by hub key: nothing else is known of them."""
    from console.erasing import show_erasures
    from sync_engine.erasure.acts import list_erasures

    with open_hub(config, debug=debug) as hub:
        out = Output(json=json, zone=hub.settings.timezone)
        show_erasures(out, list_erasures(hub, lifted=everything))


@erase_app.command("lift")
def erase_lift(
    number: Number,
    why: Why = "",
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Let a source bring an erased person again: as a new record, with the next full reading."""
    from console.erasing import show_erasures
    from sync_engine.erasure.acts import lift, list_erasures

    out = Output(json=json)
    if not why.strip():
        raise typer.BadParameter("--why says why: it is kept with the erasure")
    must_ask(out, yes=yes)
    with open_hub(config, debug=debug) as hub:
        out.zone = hub.settings.timezone
        if not json:
            show_erasures(out, [one for one in list_erasures(hub) if one.number == number])
        question = "Deze persoon mag weer binnenkomen?"
        if not asked(out, question, yes=yes):
            return
        done = lift(hub, number, operator=operator_name(), why=why.strip())
        if not out.data(done):
            out.line(
                "Opgeheven. Levert een bron hem nog, dan komt hij bij de volgende volledige "
                "lezing (`koppelhub sync`) terug, als nieuw record met een nieuwe sleutel."
            )
