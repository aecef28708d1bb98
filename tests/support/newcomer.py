"""An installation in which no school is yet, a school's administration on loopback, and its pages.

What a page asks to be run is run by the threads of `koppelhub serve`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from config.clock import SystemClock
from config.settings import Settings
from connectors.somtoday.manifest import MANIFEST
from console.setup import initialise
from fixtures.sandbox.somtoday import SomtodaySandbox
from fixtures.school.plan import plan_school
from fixtures.school.school import School
from sync_engine.current import Current
from sync_engine.hub import Hub
from sync_engine.schedule.embedded import Threads
from sync_engine.store.work import Row
from tests.support.template import sqlite_template
from web.pages.desk import House

BRIN: Final = "99XX"
NAME: Final = "Praktijkschool Het Voorbeeld"
_HEAD: Final = f"""
production = true
acknowledged = {[one.name for one in MANIFEST.assumptions]}
[database]
url = "sqlite:///koppelhub.db"
[keys]
file = "koppelhub.keys"
[[operator]]
name = "baas"
role = "admin"
[[operator]]
name = "jan"
role = "read"
"""


@dataclass
class Newcomer:
    """All of it.

    Attributes:
        hub: as it was opened: of no school.
        house: what its pages stand on.
    """

    hub: Hub
    house: House
    sandbox: SomtodaySandbox
    folder: Path

    @property
    def settings(self) -> dict[str, Any]:
        """What a person fills in to link the school."""
        return {
            "set.api_base": self.sandbox.api_base,
            "set.token_url": self.sandbox.token_url,
            "set.client_id": self.sandbox.credentials.client_id,
            "set.per_second": "0",
        }

    def put_secret(self, name: str = "som", text: str | None = None) -> None:
        """The machine's administrator puts the secret where the page says."""
        place = self.folder / "secrets" / f"{name}.client_secret"
        place.parent.mkdir(exist_ok=True)
        place.write_text(text or self.sandbox.credentials.client_secret, encoding="utf-8")

    def rows(self, sql: str, *params: object) -> list[Row]:
        """Rows of the database."""
        with self.hub.store.work() as work:
            return work.execute(sql, params)


@contextmanager
def newcomer(folder: Path, *, pupils: int = 8) -> Iterator[Newcomer]:
    """Start it.

    Args:
        folder: where the installation comes to stand.
        pupils: of the school.
    """
    with ExitStack() as ends:
        sandbox = SomtodaySandbox(School(plan_school(pupils, brin=BRIN)))
        ends.enter_context(sandbox)
        folder.mkdir(exist_ok=True)
        sqlite_template(folder / "koppelhub.db")
        initialise(folder, configuration=_HEAD)
        hub = Hub.open(Settings.load(folder / "koppelhub.toml", env={}), SystemClock())
        ends.callback(hub.close)
        current = Current(hub)
        threads = Threads(current, workers=1)
        threads.start()
        ends.callback(threads.stop, within=timedelta(seconds=20))
        yield Newcomer(hub, House(current, dispatcher=threads), sandbox, folder)
