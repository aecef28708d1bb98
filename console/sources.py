"""How koppelingen are shown: how they stand, what keeps them, and how their systems are spared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from console.moments import moment
from console.output import Output

if TYPE_CHECKING:
    from sync_engine.cursors import CursorView
    from sync_engine.sources import SourceView

_STATES: Final = {"on": "aan", "off": "uit", "maintenance": "onderhoud"}
_CIRCUITS: Final = {
    "closed": "antwoordde niet",
    "open": "wordt niet gevraagd",
    "half_open": "wordt opnieuw geprobeerd",
}
_SHOWN: Final = 60


def show_sources(out: Output, views: Sequence[SourceView], *, zone: str) -> None:
    """A line for each, and below it why it stands still."""
    if out.data(list(views)):
        return
    out.table(
        ("koppeling", "systeem", "stand", "sinds", "tot", "door", "uren", "per s", "tegelijk"),
        [
            (
                view.name,
                view.system,
                _STATES[view.state],
                moment(view.since, zone),
                moment(view.until, zone),
                view.by,
                "altijd" if view.hours is None else f"{view.hours[0]}-{view.hours[1]}",
                f"{view.per_second:g}" if view.per_second else "",
                f"{view.simultaneous} (runs van dit systeem: {view.runs})",
            )
            for view in views
        ],
    )
    for view in views:
        for line in _remarks(view, zone):
            out.line(f"{view.name}: {line}")


def _remarks(view: SourceView, zone: str) -> list[str]:
    lines = [f"{_STATES[view.state]}: {view.why}"] if view.why else []
    if view.state == "off":
        lines.append(
            f"weer aanzetten: `koppelhub source on {view.name}`; met de hand draaien kan wel"
        )
    elif view.state == "maintenance":
        lines.append(f"beëindigen: `koppelhub source maintenance {view.name} end`")
    for circuit in view.circuits:
        text = f"{circuit.host} {_CIRCUITS[circuit.state]} ({circuit.failures} keer geen antwoord)"
        until = moment(circuit.until, zone)
        lines.append(f"{text}, tot {until}" if until and circuit.state == "open" else text)
    if view.patience_until is not None:
        until = moment(view.patience_until, zone)
        lines.append(f"het bronsysteem vroeg om te wachten tot {until}")
    return lines


def show_cursors(out: Output, source: str, views: Sequence[CursorView]) -> None:
    """Where the next delta of each part begins."""
    if out.data({"source": source, "cursors": list(views)}):
        return
    out.table(
        ("onderdeel", "scope", "cursor", "sinds"),
        [(view.resource, view.scope, _short(view.value), _by(view)) for view in views],
    )
    if not views:
        out.line("Er is geen cursor: de volgende run leest alles.")


def _by(view: CursorView) -> str:
    return f"run {view.run_id}" if view.run_id else "met de hand gezet"


def _short(value: str) -> str:
    return value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…"
