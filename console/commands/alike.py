"""The command that answers many cases at once: where a school moved to another system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.arguments import (
    Config,
    Csv,
    Debug,
    Json,
    OneSchool,
    Source,
    Yes,
    must_ask,
    not_both,
    open_hub,
    operator_name,
)
from console.commands.cases import case_app
from console.output import Output

if TYPE_CHECKING:
    from sync_engine.alike import AlikeCases

app = typer.Typer()

Entity = Annotated[str, typer.Option("--entity", help="Entity of the records.")]
Why = Annotated[str, typer.Option("--why", help="The reason, without names or numbers of persons.")]


@case_app.command("link-all")
def case_link_all(
    source: Source,
    entity: Entity = "verzorger",
    school: OneSchool = None,
    why: Why = "",
    csv: Csv = None,
    yes: Yes = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Decide that records are their one candidate: all that agree, or look sure by policy."""
    from console.acts import act
    from sync_engine.alike import alike_cases
    from sync_engine.audit import note
    from sync_engine.options import Kind, Options

    out = Output(json=json)
    not_both(json=json, csv=csv)
    must_ask(out, yes=yes or bool(csv))
    operator = operator_name()
    with open_hub(config, debug=debug) as hub:
        found = alike_cases(hub, source, entity, school=school)
        with hub.store.work() as work:
            note(hub, work, operator=operator, action="case link-all", subject=f"source {source}")
        if csv is not None:
            _write(found, csv)
            return
        if not found.cases:
            _tell(out, found)
            if json:
                out.data({"cases": 0, "left": dict(found.left), "sure_at": found.sure_at})
            return
        if not json:
            _tell(out, found)
        options = Options(kind=Kind.DECIDE, alike=found.cases, why=why, operator=operator)
        question = f"Deze {len(found.cases)} zaken zo beslissen?"
        raise typer.Exit(act(out, hub, source, options, yes=yes, question=question))


def _tell(out: Output, found: AlikeCases) -> None:
    out.line(
        f"{len(found.cases) - found.differing} records zeggen hetzelfde als hun enige kandidaat."
    )
    if found.sure_at is not None:
        out.line(
            f"{found.differing} records verschillen in iets, en scoren {found.sure_at} of meer "
            "(sure_at): met --csv ziet u waarin."
        )
    for why, count in sorted(found.left.items()):
        out.line(f"  {count} andere zaken blijven voor u: {why}.")


def _write(found: AlikeCases, place: str) -> None:
    from console.sheet import sheet

    columns = ("zaak", "bronsleutel", "hubsleutel", "naam", "score", "verschilt in")
    with sheet(place, columns) as row:
        for one in found.found:
            assert row is not None  # noqa: S101 - a file is asked
            row((*(one.case_id, one.source_key, one.key, one.name), one.score, list(one.differs)))
