"""How onboarding is shown: each koppeling's steps, and the next command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from console.output import Output
from sync_engine.departure import Departure
from sync_engine.leaving import Leaving
from sync_engine.outcome import ExitCode

if TYPE_CHECKING:
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


def show_leaving(out: Output, found: Leaving | Departure) -> None:
    """What goes, or went: the core by entity, the rest in one number."""
    if out.data(found):
        return
    verb = "zou verwijderd worden" if found.dry else "verwijderd"
    if isinstance(found, Leaving):
        out.title(f"{found.tenant}: {verb}")
    else:
        out.title(f"{found.school} van {found.tenant}: {verb}")
        _show_departure(out, found)
    if found.rows:
        out.table(("tabel", "rijen"), list(found.rows.items()))
    if found.is_empty:
        whose = "dit bestuur" if isinstance(found, Leaving) else "deze school"
        out.line(f"Er is niets van {whose}.")
    elif not found.dry:
        out.line(
            "De sleutels zijn vernietigd. In back-ups staat alles nog: verwijder die ook, of laat "
            "ze verlopen."
        )


def _show_departure(out: Output, found: Departure) -> None:
    for names, says in (
        (found.koppelingen, "eindigt, want zij leest alleen deze school"),
        (found.parts, "blijft, zonder wat van deze school is"),
        (found.together, "leest deze school samen met andere: dat blijft tot de bron het weglaat"),
    ):
        for name in names:
            out.line(f"{name}: {says}")
    entities = sorted({*found.goes, *found.stays})
    if entities:
        out.table(
            ("entity", "gaat", "blijft bij een andere school"),
            [(name, found.goes.get(name, 0), found.stays.get(name, 0)) for name in entities],
        )
