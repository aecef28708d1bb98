"""The pages without the door: whoever asks is the person that a test seats, as the door would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import httpx
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from sync_engine.actor import Actor
from sync_engine.current import Current
from sync_engine.hub import Hub
from tests.support.served import served
from web.pages.desk import House
from web.pages.routes import routes

CSRF = "een-teken-van-de-proef"


@dataclass
class Seat:
    """Who sits there; None for nobody."""

    actor: Actor | None = None


class Seated:
    """Puts who sits there in the state of every request, as the door's middleware does."""

    def __init__(self, app: ASGIApp, seat: Seat) -> None:
        self._app, self._seat = app, seat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope.setdefault("state", {})
            if self._seat.actor is not None:
                scope["state"] |= {"actor": self._seat.actor, "csrf": CSRF}
        await self._app(scope, receive, send)


def application(hub: Hub, seat: Seat) -> ASGIApp:
    """The pages over a hub; no page may depend on who the hub itself is."""
    return _pages(House(Current(replace(hub, actor=Actor("niemand", None)))), seat)


def _pages(house: House, seat: Seat) -> ASGIApp:
    return Seated(Starlette(routes=routes(house)), seat)


@dataclass
class Visitor:
    """A person with a browser that follows nothing by itself."""

    client: httpx.Client
    seat: Seat

    def sees(self, path: str, *, status: int = 200) -> str:
        """A page."""
        answer = self.client.get(path)
        assert answer.status_code == status, answer.text
        return answer.text

    def does(self, path: str, *, status: int = 303, **form: str) -> httpx.Response:
        """Send a form."""
        answer = self.client.post(path, data={"_csrf": CSRF, **form})
        assert answer.status_code == status, answer.text
        return answer


@contextmanager
def visit(hub: Hub, actor: Actor | None) -> Iterator[Visitor]:
    """The pages over a hub on a socket, and who looks at them."""
    seat = Seat(actor)
    with _visiting(application(hub, seat), seat) as visitor:
        yield visitor


@contextmanager
def seated_house(house: House, actor: Actor | None) -> Iterator[Visitor]:
    """The pages of a process that also carries out what they ask for."""
    seat = Seat(actor)
    with _visiting(_pages(house, seat), seat) as visitor:
        yield visitor


@contextmanager
def _visiting(app: ASGIApp, seat: Seat) -> Iterator[Visitor]:
    with (
        served(app) as url,
        httpx.Client(base_url=url, headers={"accept-language": "nl"}, verify=False) as client,  # noqa: S501 - no TLS here
    ):
        yield Visitor(client, seat)
