"""The application that `koppelhub serve` runs: what other systems call, health, and the pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from connectors.called import Endpoint
from sync_engine.current import Current
from sync_engine.hub import Hub
from web.app import alive_route, inbox_routes
from web.door import Door
from web.health import configured as health
from web.pages.desk import House
from web.pages.routes import routes as pages
from web.rendering import shown
from web.texts import marked


def application(
    endpoints: Mapping[str, Endpoint],
    *,
    routes: Sequence[BaseRoute] = (),
    middleware: Sequence[Middleware] = (),
) -> Starlette:
    """The ASGI application.

    Args:
        endpoints: name of a koppeling → what answers its calls.
        routes: of health, sign-in and pages; they go before those of here.
        middleware: of sign-in; the endpoints judge their callers themselves.
    """
    own = [*inbox_routes(endpoints), alive_route()]
    return Starlette(
        routes=[*routes, *own],
        middleware=list(middleware),
        exception_handlers={404: _elsewhere, 405: _elsewhere},
    )


async def _elsewhere(request: Request, error: Exception) -> Response:
    """Nothing is at that address, or it is asked in another way."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    if request.url.path.startswith("/v1/"):
        told = {"type": "about:blank", "status": status, "title": "there is nothing here"}
        return JSONResponse(told, status, media_type="application/problem+json")
    values = {"title": _NOT_HERE, "advice": _LOOK, "again": False}
    return shown(request, "problem.html", values, status=status)


_NOT_HERE: Final = marked("Deze bladzijde is er niet")
_LOOK: Final = marked(
    "Klopt het adres? Misschien is het een oude bladwijzer. Alles is te vinden vanaf het overzicht."
)


def installation(
    hub: Hub,
    endpoints: Mapping[str, Endpoint],
    *,
    door: Door | None = None,
    routes: Sequence[BaseRoute] = (),
    house: House | None = None,
) -> Starlette:
    """All of it: the door before the pages, and beside it what other systems call.

    Args:
        hub: the installation.
        endpoints: name of a koppeling → what answers its calls.
        door: of this installation; by default as the configuration says.
        routes: further ones.
        house: what the pages stand on; by default the hub alone.

    Raises: ConfigurationError if a secret of the pages or of health cannot be used.
    """
    door = door or Door(hub)
    every = [*routes, *health(hub), *door.routes(), *pages(house or House(Current(hub)))]
    return application(endpoints, routes=every, middleware=[door.middleware()])
