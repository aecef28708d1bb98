"""One process of the hub on a clock that runs many times as fast as that on the wall.

`python -m tests.faults.quick_clock EPOCH FILE FACTOR COMMAND…`: the command as a person types it.
The clock stands at EPOCH until FILE is there, which holds the seconds since 1970 at which it began
to run; so all processes of one night agree on the time.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path


class QuickClock:
    """Stands at `epoch` until a file says since when it runs, `factor` times as fast."""

    def __init__(self, epoch: datetime, file: Path, factor: float) -> None:
        self.epoch, self.file, self.factor = epoch, file, factor
        self._began: float | None = None

    def start(self) -> None:
        """Let it run, in every process."""
        written = self.file.with_suffix(".partial")
        written.write_text(repr(time.time()))
        written.rename(self.file)

    def now(self) -> datetime:
        """This instant, aware, in UTC."""
        if self._began is None and self.file.exists():
            self._began = float(self.file.read_text())
        if self._began is None:
            return self.epoch
        return self.epoch + timedelta(seconds=(time.time() - self._began) * self.factor)

    def monotonic(self) -> float:
        """Seconds since an unknown moment."""
        return time.monotonic() * self.factor

    def sleep(self, duration: timedelta) -> None:
        """Wait, as much shorter as the clock is faster."""
        if duration > timedelta():
            time.sleep(duration.total_seconds() / self.factor)


def main(epoch: str, file: str, factor: str, command: list[str]) -> None:
    """Carry out the command on that clock."""
    from procrastinate.retry import RetryDecision

    import cli
    import config.clock
    from sync_engine.schedule import workers

    clock = QuickClock(datetime.fromisoformat(epoch), Path(file), float(factor))
    vars(config.clock)["SystemClock"] = lambda: clock  # of this process alone
    decide = workers._Again.get_retry_decision

    def sooner(self: workers._Again, **given: object) -> RetryDecision | None:
        """The queue goes by the clock of its database, which runs as clocks do."""
        found = decide(self, **given)  # type: ignore[arg-type] # handed on as it came
        if found is None or found.retry_at is None:
            return found
        real = datetime.now(UTC)
        return RetryDecision(retry_at=real + (found.retry_at - real) / float(factor))

    setattr(workers._Again, decide.__name__, sooner)
    sys.argv = ["koppelhub", *command]
    cli.main()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
