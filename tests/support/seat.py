"""The pages without the door: whoever asks is the person that a test seats, as the door would."""

from __future__ import annotations

from dataclasses import dataclass, replace

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from sync_engine.actor import Actor
from sync_engine.hub import Hub
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
    return Seated(Starlette(routes=routes(replace(hub, actor=Actor("niemand", None)))), seat)
