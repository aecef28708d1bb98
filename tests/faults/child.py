"""A server of processes that run one sync each: imports are paid once, what is killed is real.

Reads jobs from standard input, one JSON object a line. For each it forks a child into a session and
process group of its own, which opens the database itself, runs, and writes what came of it to a
file. Answers with the child's number, and later with how it ended.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
from sqlalchemy.engine import make_url

from config.clock import Clock
from config.errors import KoppelhubError
from config.sources import Source
from connectors.base import Connector, Page, Parsed, Reading, Scope
from sync_engine import runs, stage
from sync_engine.errors import RunActiveError
from sync_engine.outcome import ExitCode
from sync_engine.runs import Kind, Options
from sync_engine.store.engine import Store
from tests.faults.boundaries import Boundaries
from tests.faults.school import SOURCES, School, init, open_hub
from tests.support.memory import MemoryConnector, MemoryReading, MemorySource


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one process.

    Attributes:
        folder: where settings and keys are.
        report: file that the result is written to; absent as long as the run is not over.
        kill: boundary to die at, and its occurrence.
        trace: count all boundaries.
        batch: records that are written at once; 0 is as always. Small schools have checkpoints too.
        stops: phases (`read`, `plan`, `apply`) at whose first moment it waits at its gate.
        gate: the path of the gate's two named pipes, without their suffix.
    """

    folder: str
    url: str
    koppeling: str
    pupils: int
    day: int
    report: str
    kind: str = "full"
    kill: tuple[str, int] | None = None
    trace: bool = False
    batch: int = 0
    stops: tuple[str, ...] = ()
    gate: str = ""


class Result(msgspec.Struct, kw_only=True):
    """What came of it.

    Attributes:
        boundaries: how often each was reached.
        order: every boundary in the order in which it was reached; of a traced run.
    """

    exit_code: int
    outcome: str = ""
    error: str = ""
    steps: dict[str, int] = {}
    read: int = 0
    parsed: int = 0
    boundaries: dict[str, int] = {}
    order: list[str] = []


class SteppedDelta(MemoryReading):
    """A delta of one change a page, each with the cursor behind it: a kill may fall between two."""

    delta = True

    def __init__(self, source: MemorySource, scope: Scope, cursor: int) -> None:
        super().__init__(source, scope, [])
        self._from = cursor

    def __iter__(self) -> Iterator[Page]:
        scope = (self.scope.resource, self.scope.key)
        here = self.source.records.get(scope, {})
        journal = self.source.journal
        last = {
            journal[place][2]: place
            for place in range(self._from, len(journal))
            if journal[place][:2] == scope
        }
        for key, place in sorted(last.items(), key=lambda item: item[1]):
            cursor = str(place + 1)
            if key in here:
                body = msgspec.json.encode({"key": key, **here[key]})
                yield Page([key], [body], cursor=cursor)
            else:
                yield Page([], [], gone=[key], cursor=cursor)
        yield Page([], [], cursor=str(len(journal)))


class CountingConnector(MemoryConnector):
    """Counts what is parsed, so what is mapped again after a kill; its deltas come in steps."""

    parsed = 0

    def delta(self, scope: Scope, *, cursor: str | None) -> Reading:
        """What changed since the cursor."""
        return SteppedDelta(self.source, scope, int(cursor or 0))

    def parse(self, resource: str, body: bytes) -> Parsed:
        """Parse one record."""
        type(self).parsed += 1
        return super().parse(resource, body)


def perform(job: Job, school: School) -> Result:
    """Run the job in this process."""
    boundaries = Boundaries(job.kill)
    if job.trace or job.kill:
        boundaries.install()
    if job.batch:
        vars(stage)["BATCH"] = job.batch
        vars(stage)["WRITTEN_AT"] = 0

    def connect(source: Source, clock: Clock) -> Connector:
        return CountingConnector(school.source(source.name))

    hub = open_hub(Path(job.folder), job.url, day=job.day, connect=connect)
    options = Options(kind=Kind(job.kind), time_limit=timedelta(hours=1))
    try:
        report = runs.run(hub, job.koppeling, options, progress=_waiting(job))
    except KoppelhubError as error:
        later = isinstance(error, RunActiveError)
        code = ExitCode.LATER if later else ExitCode.FAILED
        return Result(exit_code=code, error=str(error))
    finally:
        hub.close()
    return Result(
        exit_code=int(report.exit_code),
        outcome=str(report.outcome),
        error=report.error,
        steps=report.steps,
        read=sum(reading.read for reading in report.readings),
        parsed=CountingConnector.parsed,
        boundaries=dict(boundaries.counts),
        order=boundaries.order if job.trace else [],
    )


def _waiting(job: Job) -> runs.Progress | None:
    """Says at its gate where the run is, and waits to be let through."""
    if not job.stops:
        return None
    left = set(job.stops)

    def progress(phase: str, what: str, count: int) -> None:
        if phase in left:
            left.discard(phase)
            Path(f"{job.gate}.said").write_text(f"{phase}\n")
            with Path(f"{job.gate}.through").open("rb", buffering=0) as through:
                through.read(1)

    return progress


def _child(job: Job, school: School, ready: int) -> None:
    os.setsid()
    os.close(ready)
    code = 70
    try:
        result = perform(job, school)
        draft = Path(job.report + ".draft")
        draft.write_bytes(msgspec.json.encode(result))
        draft.rename(job.report)
        code = result.exit_code
    except BaseException:  # noqa: BLE001 -- the outermost edge of the process
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _warm_up() -> None:
    """One whole run on a database that is thrown away: what is imported or cached late is there."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/hub.db"
        init(Path(folder), url)
        for koppeling in SOURCES:
            perform(
                Job(folder=folder, url=url, koppeling=koppeling, pupils=20, day=0, report=""),
                School(20, 0),
            )
    CountingConnector.parsed = 0
    Store(make_url("postgresql+psycopg://localhost/nowhere")).close()  # loads, connects to nothing


def serve() -> None:
    """Fork a child for every job, one at a time."""
    _warm_up()
    gc.collect()
    gc.freeze()  # or every child would touch, and so copy, all of the heap
    schools: dict[tuple[int, int], School] = {}
    for line in sys.stdin:
        job = msgspec.json.decode(line, type=Job)
        school = schools.setdefault((job.pupils, job.day), School(job.pupils, job.day))
        hears, ready = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(hears)
            _child(job, school, ready)
        os.close(ready)
        os.read(hears, 1)  # the end of the file: it has a process group of its own
        os.close(hears)
        _say({"pid": pid})
        _, status = os.waitpid(pid, 0)
        _say({"status": os.waitstatus_to_exitcode(status)})


def _say(what: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
