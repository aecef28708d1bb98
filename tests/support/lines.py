"""A whole line, as a school has it: Somtoday's sandbox, an installation, a hub with a set clock.

`Line` is one installation against one sandbox. `copy_of` makes a second one from the files of the
first (keys and database included): what two hubs do from one state on can then be compared.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from config.clock import FixedClock
from config.settings import Settings, example
from console.setup import initialise
from fixtures.sandbox.somtoday import SomtodaySandbox
from fixtures.school.plan import SchoolPlan, plan_school
from fixtures.school.school import School
from sync_engine import runs
from sync_engine.hub import Hub
from sync_engine.outcome import RunReport
from sync_engine.runs import Options
from sync_engine.store.work import Row
from tests.support.template import sqlite_template

START = datetime(2026, 11, 2, 1, 15, tzinfo=UTC)
KOPPELING = "somtoday-demo"
SECRET = "KOPPELHUB_DEMO_CLIENT_SECRET"


class PatientClock(FixedClock):
    """Sleeping moves it at once; what really takes time counts too, so that deadlines hold."""

    def monotonic(self) -> float:
        """Seconds since an unknown moment."""
        return super().monotonic() + time.monotonic()


def configuration(
    sandbox: SomtodaySandbox, *, url: str | None = None, page_size: int = 100, more: str = ""
) -> str:
    """The example configuration, pointed at a sandbox; `more` is TOML to add."""
    lines = example().replace("http://127.0.0.1:8765/rest/v1", sandbox.api_base)
    lines = lines.replace("http://127.0.0.1:8765/oauth2/token", sandbox.token_url)
    lines = lines.replace("cc918e59-d507-4109-8c1a-ff6372a15ccd", sandbox.school.uuid)
    lines = lines.replace(
        'client_id = "koppelhub"', f'client_id = "{sandbox.credentials.client_id}"'
    )
    if url is not None:
        lines = lines.replace('url = "sqlite:///koppelhub.db"', f'url = "{url}"')
    options = f'per_second = "0"\npage_size = "{page_size}"\nclient_secret = '
    return lines.replace("client_secret = ", options) + more


@dataclass
class Line:
    """One installation, its sandbox and its clock.

    Attributes:
        folder: where the installation stands; None while it has none.
        reports: what every run said, oldest first.
    """

    sandbox: SomtodaySandbox
    hub: Hub
    clock: FixedClock
    folder: Path
    reports: list[RunReport] = field(default_factory=list)

    @property
    def school(self) -> School:
        """The school behind the sandbox."""
        return self.sandbox.school

    def sync(self, **options: Any) -> RunReport:
        """Run the koppeling once."""
        report = runs.run(self.hub, KOPPELING, Options(**options))
        self.reports.append(report)
        return report

    def later(self, **duration: float) -> None:
        """Let time go by."""
        self.clock.advance(timedelta(**duration))

    def query(self, sql: str, *params: object) -> list[Row]:
        """Rows of the database."""
        with self.hub.store.work() as work:
            return work.execute(sql, params)

    def close(self) -> None:
        """Stop the hub and its sandbox."""
        self.hub.close()
        self.sandbox.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def new_line(
    folder: Path,
    *,
    pupils: int = 40,
    plan: SchoolPlan | None = None,
    url: str | None = None,
    page_size: int = 100,
    more: str = "",
    clock: FixedClock | None = None,
) -> Line:
    """Start a sandbox and make an installation for it, as `koppelhub init` does."""
    sandbox = SomtodaySandbox(School(plan or plan_school(pupils))).start()
    text = configuration(sandbox, url=url, page_size=page_size, more=more)
    if url is None:
        sqlite_template(folder / "koppelhub.db")
    initialise(folder, configuration=text)
    return open_line(folder, sandbox, clock=clock)


def open_line(folder: Path, sandbox: SomtodaySandbox, *, clock: FixedClock | None = None) -> Line:
    """Open an installation that stands in a folder."""
    used = clock or PatientClock(START)
    sandbox.now = used.now
    return Line(sandbox, Hub.open(Settings.load(folder / "koppelhub.toml"), used), used, folder)


def copy_of(
    loaded: Path,
    folder: Path,
    *,
    pupils: int,
    page_size: int = 100,
    more: str = "",
    prepare: Callable[[School], None] = lambda school: None,
    at: datetime = START,
) -> Line:
    """A line on a copy of a closed SQLite installation, with a school of its own of that size.

    Args:
        prepare: changes the school before the sandbox is asked anything.
    """
    shutil.copytree(loaded, folder)
    school = School(plan_school(pupils))
    prepare(school)
    sandbox = SomtodaySandbox(school).start()
    text = configuration(sandbox, page_size=page_size, more=more)
    (folder / "koppelhub.toml").write_text(text, encoding="utf-8")
    return open_line(folder, sandbox, clock=PatientClock(at))


def environment(sandbox: SomtodaySandbox) -> Mapping[str, str]:
    """The secret, as the example configuration refers to it."""
    return {SECRET: sandbox.credentials.client_secret}
