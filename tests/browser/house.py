"""An installation with its door and its pages on a socket, and people who have accounts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from sync_engine import accounts
from sync_engine.passwords import Passwords
from tests.support.door import QUICK, WORDS
from tests.support.served import served
from tests.support.town import MAIN, Town, town
from web.door import Door
from web.ops import installation

FEW = (MAIN, "de-regenboog")


@dataclass
class House:
    """All of it.

    Attributes:
        url: where it is served.
    """

    town: Town
    url: str
    _cookies: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    def signed_in(self, name: str) -> list[dict[str, str]]:
        """The cookies of a person who has signed in."""
        if name not in self._cookies:
            with httpx.Client(base_url=self.url) as client:
                form = client.get("/inloggen").text
                (token,) = re.findall(r'name="_csrf" value="([^"]+)"', form)
                sent = {"_csrf": token, "naam": name, "wachtwoord": WORDS, "next": "/"}
                assert client.post("/inloggen", data=sent).status_code == 303
                self._cookies[name] = [
                    {"name": cookie.name, "value": cookie.value or "", "url": self.url}
                    for cookie in client.cookies.jar
                ]
        return self._cookies[name]

    def plan(self) -> int:
        """The plan that waits."""
        rows = self.rows("SELECT MAX(id) FROM plan WHERE state = 'held'")
        return int(str(rows[0][0]))

    def rows(self, sql: str, *params: object) -> list[tuple[object, ...]]:
        """Rows of the database."""
        with self.town.hub.store.work() as work:
            return work.execute(sql, params)


@contextmanager
def house(folder: Path, *, only: tuple[str, ...] = FEW) -> Iterator[House]:
    """Play the nights, and serve the pages behind the door.

    Args:
        folder: where the installation comes to stand.
        only: koppelingen; empty for the whole town.
    """
    with town(folder, only=only) as made:
        passwords = Passwords(QUICK)
        for operator in made.hub.settings.operator:
            accounts.add(made.hub, passwords, operator.name, WORDS)
        door = Door(made.hub, passwords=passwords)
        with served(installation(made.hub, {}, door=door)) as url:
            yield House(made, url)
