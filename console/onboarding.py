"""How onboarding is shown: each koppeling's steps, and the next command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from console.output import Output
from sync_engine.outcome import ExitCode

if TYPE_CHECKING:
    from sync_engine.leaving import Leaving
    from sync_engine.onboarding import Way

_SIGNS: Final = {"done": "klaar", "next": "NU", "later": "later", "optional": "mag"}


def show_ways(out: Output, ways: list[Way]) -> ExitCode:
    """Every step; the code is 1 where one is to be taken."""
    unfinished = [way for way in ways if way.next is not None]
    code = ExitCode.PARTIAL if unfinished else ExitCode.DONE
    if out.data([_as_data(way) for way in ways]):
        return code
    if not ways:
        out.line("Er is nog geen school. Voeg er een toe: koppelhub school add")
    for way in ways:
        out.title(f"{way.name} ({way.school}): {way.source or 'nog geen koppeling'}")
        out.table(
            ("stand", "stap", "opdracht"),
            [
                (_SIGNS[one.standing], one.title, "" if one.standing == "done" else one.command)
                for one in way.steps
            ],
        )
    for way in unfinished:
        if (step := way.next) is not None:
            out.line(f"Volgende stap voor {way.source or way.school}: {step.command}")
    return code


def _as_data(way: Way) -> dict[str, object]:
    step = way.next
    return {
        "school": way.school,
        "name": way.name,
        "source": way.source,
        "steps": way.steps,
        "next": None if step is None else step.command,
    }


def show_leaving(out: Output, found: Leaving) -> None:
    """What goes, or went: the core by entity, the rest in one number."""
    if out.data(found):
        return
    verb = "zou verwijderd worden" if found.dry else "verwijderd"
    out.title(f"{found.tenant}: {verb}")
    out.table(("tabel", "rijen"), list(found.rows.items()))
    if not found.rows:
        out.line("Er is niets van dit bestuur.")
    elif not found.dry:
        out.line(
            "De sleutels zijn vernietigd. In back-ups staat alles nog: verwijder die ook, of laat "
            "ze verlopen."
        )
