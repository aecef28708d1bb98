"""Commands on cursors: where the next delta of a koppeling begins."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.arguments import (
    Config,
    Debug,
    Json,
    Resources,
    Source,
    Why,
    Yes,
    asked,
    must_ask,
    open_hub,
    operator_name,
)
from console.output import Output

if TYPE_CHECKING:
    from sync_engine.cursors import Act, Given
    from sync_engine.hub import Hub

cursor_app = typer.Typer(help="Cursors: where deltas begin.", no_args_is_help=True)
app = typer.Typer()
app.add_typer(cursor_app, name="cursor")

Scope = Annotated[str | None, typer.Option("--scope", help="Key of one scope; `cursor show`.")]
File = Annotated[
    Path, typer.Argument(metavar="FILE", help="What `cursor show --json` wrote; - is stdin.")
]
_LARGEST = 16_000_000


@cursor_app.command("show")
def cursor_show(
    source: Source,
    entity: Resources = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Show where the next delta of each part begins."""
    from console.sources import show_cursors
    from sync_engine.cursors import show

    with open_hub(config, debug=debug) as hub:
        show_cursors(Output(json=json), source, show(hub, source, resources=entity or ()))


@cursor_app.command("clear")
def cursor_clear(
    source: Source,
    entity: Resources = None,
    scope: Scope = None,
    why: Why = "",
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Forget cursors: the next delta reads those parts as a whole."""
    from console.sources import show_cursors
    from sync_engine.cursors import clear, show

    out, names = Output(json=json), tuple(entity or ())
    must_ask(out, yes=yes)
    with open_hub(config, debug=debug) as hub:
        if not json:
            show_cursors(out, source, show(hub, source, resources=names))
        if not asked(out, "Deze cursors vergeten?", yes=yes, refused="Er is niets vergeten."):
            return
        who = operator_name()
        gone = clear(hub, source, operator=who, why=why, resources=names, scope=scope)
        if not out.data({"source": source, "cleared": gone}):
            out.line(
                f"{len(gone)} cursors vergeten; de volgende run leest die onderdelen helemaal."
            )


@cursor_app.command("set")
def cursor_set(
    source: Source,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Exactly these cursors; - is stdin."),
    ] = None,
    entity: Annotated[str | None, typer.Option("--entity", help="One resource.")] = None,
    scope: Scope = None,
    value: Annotated[str | None, typer.Option("--value", help="Its cursor.")] = None,
    why: Why = "",
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Set one cursor (`--entity --value`), or all of a koppeling to what a file says."""
    from sync_engine.cursors import Act, Given, only_scope, read_document

    if (file is None) == (entity is None or value is None):
        raise typer.BadParameter("give a file, or --entity and --value")
    out = Output(json=json)
    must_ask(out, yes=yes)
    with open_hub(config, debug=debug) as hub:
        if file is not None:
            given = read_document(_content(file), source=source)
            _put(out, hub, source, given, act=Act.REPLACE, why=why, yes=yes)
            return
        resource = entity or ""
        key = only_scope(hub, source, resource) if scope is None else scope
        one = Given(resource, key, value or "")
        _put(out, hub, source, (one,), act=Act.ONE, why=why, yes=yes)


@cursor_app.command("merge")
def cursor_merge(
    source: Source,
    file: File,
    why: Why = "",
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Lay the cursors of a file over those that stand there; the others stay."""
    from sync_engine.cursors import Act, read_document

    out = Output(json=json)
    must_ask(out, yes=yes)
    with open_hub(config, debug=debug) as hub:
        given = read_document(_content(file), source=source)
        _put(out, hub, source, given, act=Act.MERGE, why=why, yes=yes)


def _put(
    out: Output,
    hub: Hub,
    source: str,
    given: Sequence[Given],
    *,
    act: Act,
    why: str,
    yes: bool,
) -> None:
    """Show what is there, ask, and set."""
    from console.sources import show_cursors
    from sync_engine.cursors import put, show

    hub.koppeling(source)
    if not out.json:
        show_cursors(out, source, show(hub, source))
        for one in given:
            out.line(f"wordt: {one.resource} {one.scope} {one.value}")
    out.line("Wat een cursor overslaat, komt pas met de volgende run die alles leest.")
    if not asked(out, "Deze cursors zetten?", yes=yes):
        return
    show_cursors(out, source, put(hub, source, given, act=act, operator=operator_name(), why=why))


def _content(file: Path) -> bytes:
    """What a file or standard input holds, bounded. Raises: BadParameter."""
    try:
        if str(file) == "-":
            content = sys.stdin.buffer.read(_LARGEST + 1)
        else:
            with file.open("rb") as opened:
                content = opened.read(_LARGEST + 1)
    except OSError as exc:
        message = f"{file} cannot be read: {exc.strerror}"
        raise typer.BadParameter(message, param_hint="FILE") from None
    if len(content) > _LARGEST:
        raise typer.BadParameter("it is too large for cursors", param_hint="FILE")
    return content
