"""The application that `koppelhub serve` runs: what other systems call, health, and the pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from connectors.base import Endpoint
from sync_engine.current import Current
from sync_engine.hub import Hub
from web.app import alive_route, inbox_routes
from web.door import Door
from web.health import configured as health
from web.pages.desk import House
from web.pages.routes import routes as pages


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
    return Starlette(routes=[*routes, *own], middleware=list(middleware))


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
