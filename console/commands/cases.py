"""Commands on cases: what no rule can decide, and who looks at it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from console.arguments import (
    AnySource,
    Config,
    Csv,
    Debug,
    Json,
    Limit,
    Number,
    OneSchool,
    Yes,
    asked,
    must_ask,
    not_both,
    open_hub,
    operator_name,
)
from console.output import Output

case_app = typer.Typer(help="Cases: what a person must decide.", no_args_is_help=True)
app = typer.Typer()
app.add_typer(case_app, name="case")


@case_app.command("list")
def case_list(
    source: AnySource = None,
    school: OneSchool = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind",
            help="contradiction, match, score, unmatched, quarantine, disagreement, pseudonym.",
        ),
    ] = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only those assigned to you.")] = False,
    state: Annotated[str, typer.Option("--state", help="open, closed or all.")] = "open",
    limit: Limit = 50,
    csv: Csv = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """List cases, oldest first."""
    from console.cases import show_cases, write_cases
    from sync_engine.cases import KINDS, STATES, each_case, list_cases, note_look
    from sync_engine.nearby import checked_word
    from sync_engine.selection import select

    not_both(json=json, csv=csv)
    operator = operator_name()
    with open_hub(config, debug=debug) as hub, hub.store.work() as work:
        chosen = select(hub, work, source=source, school=school)
        kind = None if kind is None else checked_word(kind, list(KINDS), what="kind of case")
        state, who = checked_word(state, STATES, what="state"), operator if mine else None
        note_look(hub, work, "cases", action="case list", operator=operator)
        out = Output(json=json)
        if csv is not None:
            every = each_case(work, chosen, kind=kind, state=state, assignee=who)
            write_cases(out, every, csv=csv)
            return
        show_cases(
            out,
            *list_cases(hub, work, chosen, kind=kind, state=state, assignee=who, limit=limit),
        )


@case_app.command("show")
def case_show(
    case_id: Number,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Show a case: the record and its candidates side by side, and what each decision would do."""
    from console.cases import show_case
    from sync_engine.case_view import read_case
    from sync_engine.cases import find_case, note_look

    with open_hub(config, debug=debug) as hub:
        with hub.store.work() as work:
            find_case(hub, work, case_id)
            subject = f"case {case_id}"
            note_look(hub, work, subject, action="case show", operator=operator_name())
        show_case(Output(json=json, zone=hub.settings.timezone), read_case(hub, case_id))


@case_app.command("assign")
def case_assign(
    case_id: Number,
    to: Annotated[str | None, typer.Option("--to", help="Who looks at it [you].")] = None,
    nobody: Annotated[bool, typer.Option("--nobody", help="Take it from who had it.")] = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Give a case to a colleague, or take it yourself."""
    from sync_engine.cases import assign

    if to is not None and nobody:
        raise typer.BadParameter("--to and --nobody exclude each other")
    out = Output(json=json)
    with open_hub(config, debug=debug) as hub:
        me = operator_name()
        case = assign(hub, case_id, to=None if nobody else to or me, operator=me)
        if not out.data(case):
            out.line(f"Zaak {case_id} is nu van {case.assignee or 'niemand'}.")


@case_app.command("note")
def case_note(
    case_id: Number,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Write something down with a case, from standard input or a prompt; it is kept encrypted."""
    from sync_engine.cases import write_note

    out = Output(json=json)
    with open_hub(config, debug=debug) as hub:
        if sys.stdin.isatty() and not json:
            out.line("Typ de notitie en sluit af met Ctrl-D op een lege regel.")
        write_note(hub, case_id, sys.stdin.read(), operator=operator_name())
        if not out.data({"case": case_id, "noted": True}):
            out.line(f"Genoteerd bij zaak {case_id}.")


@case_app.command("close")
def case_close(
    case_id: Number,
    why: Annotated[str, typer.Option("--why", help="Why; no names of pupils.")],
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Close a case by hand, where it does not follow from the data; else say how it closes."""
    from sync_engine.cases import closable, close

    out = Output(json=json)
    must_ask(out, yes=yes)
    with open_hub(config, debug=debug) as hub:
        case = closable(hub, case_id)
        if not asked(out, f"Zaak {case_id} ({case.kind}, {case.rule}) sluiten?", yes=yes):
            return
        close(hub, case_id, why=why, operator=operator_name())
        if not out.data({"case": case_id, "state": "closed"}):
            out.line(f"Zaak {case_id} is gesloten.")
