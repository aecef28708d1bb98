"""Adoption, as the command line does and shows it."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import typer

from console.arguments import asked
from console.output import Output
from console.views import show_report
from mappings.canonical.fields import Entity
from sync_engine.adoption import AdoptionReport, adopt
from sync_engine.adoption_file import Lines
from sync_engine.hub import Hub

_ADVICE = (
    "Verbeter dit in de applicatie of het bestand en draai het nog eens, of ga verder: "
    "wie niet herkend wordt, komt later in een zaak."
)


def read_file(path: Path | None) -> Lines | None:
    """The lines of a file, or of standard input for `-`."""
    if path is None:
        return None
    if str(path) == "-":
        return Lines.read(sys.stdin.buffer)
    try:
        with path.open("rb") as file:
            return Lines.read(file)
    except OSError as exc:
        message = f"{path} cannot be read: {exc.strerror}"
        raise typer.BadParameter(message, param_hint="--file") from None


def run_adoption(
    out: Output,
    hub: Hub,
    source: str,
    schools: tuple[str, ...],
    *,
    numbers_of: str,
    lines: Lines | None,
    operator: str,
    dry: bool,
    ask: bool,
    limit: int,
) -> int:
    """Show what would be adopted, ask, and adopt; the exit code."""

    def act(*, dry: bool) -> AdoptionReport:
        with out.progress() as progress:
            return adopt(
                hub,
                source,
                schools,
                operator=operator,
                numbers_of=numbers_of,
                lines=lines,
                dry=dry,
                progress=progress,
            )

    if dry or ask:
        found = act(dry=True)
        show_adoption(out, found, limit=limit)
        if dry or found.is_empty or found.run is None or found.run.error:
            return 0 if found.run is None else found.run.exit_code
        if not asked(out, "Dit overnemen?", refused="Er is niets overgenomen."):
            return 0
    done = act(dry=False)
    show_adoption(out, done, limit=limit)
    return 0 if done.run is None else done.run.exit_code


def show_adoption(out: Output, report: AdoptionReport, *, limit: int) -> None:
    """Counts per entity, then who is in doubt and why, then what the run did."""
    if out.data(report):
        return
    verb = "Zou worden overgenomen" if report.dry else "Overgenomen"
    out.title(f"{verb} als {report.koppeling}: {', '.join(report.schools)}")
    rows = [
        (name, report.adopted[name], report.made[name], report.linked[name])
        for name in map(str, Entity)
        if report.adopted[name] or report.made[name] or report.linked[name]
    ]
    out.table(("entity", "overgenomen", "nieuw uit bestand", "alleen bekend"), rows)
    if not rows:
        out.line("Er is niets dat nog van geen bron is.")
    if report.placeless:
        out.line(f"Leidt naar geen school, en blijft liggen: {report.placeless}")
    if not report.numbers_of and rows:
        out.line(
            "De leerlingnummers gelden als eigen nummers van de applicatie. Gaf een ander systeem "
            "ze uit, noem die koppeling dan met --numbers-of: dan herkent de eerste sync ermee."
        )
    if report.doubts:
        out.title(f"In twijfel: {len(report.doubts)}")
        kinds = Counter(_kind(doubt.reason) for doubt in report.doubts)
        out.table(("aantal", "wat"), [(n, kind) for kind, n in kinds.most_common()])
        listed = report.doubts[:limit]
        out.table(("entity", "sleutel", "wat"), [(d.entity, d.key, d.reason) for d in listed])
        if len(report.doubts) > limit:
            out.line(f"… en nog {len(report.doubts) - limit}; --limit toont er meer.")
        out.line(_ADVICE)
    if report.run is not None:
        show_report(out, report.run)


def _kind(reason: str) -> str:
    """A reason without the record and the line that it is about."""
    words = [word for word in reason.split() if not word.startswith("K-")]
    if words and words[0] == "regel" and len(words) > 1:
        words = words[2:]
    return " ".join(words).removesuffix(" als")
