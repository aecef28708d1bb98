"""How the clock is shown: what comes when, what runs, what waits, which processes live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from console.output import Output
from sync_engine.admission import SAYS
from sync_engine.schedule.view import Stand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sync_engine.schedule.jobs import Job
    from sync_engine.schedule.view import Clock, JobView

STANDS: Final = {
    Stand.PLANNED: "gepland",
    Stand.WAITS: "wacht",
    Stand.QUEUED: "aan de beurt",
    Stand.RUNNING: "loopt",
    Stand.FAILED: "mislukt",
}
_KINDS: Final = {"full": "alles", "delta": "wijzigingen", "only": "deel"}
_WAITS: Final = SAYS | {
    "busy": "er loopt een andere run van deze koppeling",
    "stopped": "afgebroken omdat de dienst stopte; een ander gaat verder",
}


def show_clock(out: Output, found: Clock) -> None:
    """A line for each kind of run of each koppeling, then what persons asked, then processes."""
    if out.data(found):
        return
    out.table(
        ("koppeling", "wat", "schema", "volgende", "stand", "laatste"),
        [
            (
                job.koppeling or "hub",
                _KINDS.get(job.kind, job.kind),
                job.schedule,
                job.local,
                _stand(out, job),
                job.outcome,
            )
            for job in found.jobs
        ],
    )
    if not any(job.koppeling for job in found.jobs):
        out.line("Geen koppeling heeft een schema: zet `schedule` bij een koppeling.")
    if found.asked:
        out.title("Gevraagd")
        out.table(
            ("koppeling", "wat", "door", "stand"),
            [
                (a.koppeling, _KINDS.get(a.kind, a.kind), a.operator, STANDS[a.stand])
                for a in found.asked
            ],
        )
    out.title("Processen")
    out.table(
        ("wat", "sinds", "laatste teken", "versie"),
        [
            (
                *(p.label, out.moment(p.started_at)),
                *(out.moment(p.at) + ("" if p.alive else " (zwijgt)"), p.version),
            )
            for p in found.processes
        ],
    )
    if not any(p.alive for p in found.processes):
        out.line("Er draait geen `koppelhub serve`: niets begint vanzelf.")


def _stand(out: Output, job: JobView) -> str:
    told = STANDS[job.stand]
    if job.waits_for:
        told += f": {_WAITS.get(job.waits_for, job.waits_for)}"
    elif job.stand is Stand.WAITS and job.tries:
        told += f": poging {job.tries} mislukte"
    if job.stand is Stand.WAITS and job.until is not None:
        told += f"; opnieuw op {out.moment(job.until)}"
    if job.stand is Stand.FAILED and job.advice:
        told += f": {job.advice}"
    return told


def show_asked(out: Output, jobs: Sequence[Job]) -> None:
    """What was put in the queue."""
    if out.data({"queued": [{"koppeling": job.koppeling, "kind": job.kind} for job in jobs]}):
        return
    for job in jobs:
        out.line(f"{job.koppeling}: in de wachtrij, voor het geplande werk; zie `koppelhub jobs`.")
