"""The application that `koppelhub serve` runs: what other systems call, health, and the pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.applications import Starlette
from starlette.routing import BaseRoute

from connectors.base import Endpoint
from sync_engine.hub import Hub
from web.app import alive_route, inbox_routes
from web.door import Door
from web.pages.routes import routes as pages


def application(
    hub: Hub, endpoints: Mapping[str, Endpoint], *, routes: Sequence[BaseRoute] = ()
) -> Starlette:
    """The ASGI application; the door stands before all but what other systems call.

    Args:
        hub: the installation, of which the door and the pages are.
        endpoints: name of a koppeling → what answers its calls, and judges its callers itself.
        routes: of health; they go before those of here.
    """
    door = Door(hub)
    calls = [*inbox_routes(endpoints), alive_route()]
    return Starlette(
        routes=[*routes, *calls, *door.routes(), *pages(hub)], middleware=[door.middleware()]
    )
