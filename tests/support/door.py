"""A hub with operators and accounts, its door on a real socket, and browsers that come to it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from argon2 import Parameters
from argon2.low_level import Type
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from config.clock import FixedClock
from config.operators import Operator, Role
from config.web import Web
from sync_engine import accounts
from sync_engine.hub import Hub
from sync_engine.passwords import Passwords
from sync_engine.store.engine import Store
from tests.support.hubs import Bench, bench
from tests.support.served import served
from web import rendering, texts
from web.door import Door

WORDS = "paard batterij nietje correct"
"""The password of every account here."""
QUICK = Parameters(Type.ID, 19, 16, 32, time_cost=1, memory_cost=8, parallelism=1)
"""Of Argon2: quick, and nothing else."""


def operators(**roles: str) -> tuple[Operator, ...]:
    """Operators by name and role."""
    return tuple(Operator(name=name, role=Role(role)) for name, role in roles.items())


def configured(hub: Hub, **changes: Any) -> Hub:
    """The hub with other operators, or other keys of `[web]`."""
    settings = hub.settings
    named = changes.pop("operator", settings.operator)
    web = Web.model_validate(settings.web.model_dump() | changes)
    return replace(hub, settings=settings.model_copy(update={"operator": named, "web": web}))


@dataclass
class House:
    """An installation that has a door.

    Attributes:
        url: where it is served.
        changed: what reached the page that changes something.
    """

    made: Bench
    passwords: Passwords
    url: str = ""
    changed: list[str] = field(default_factory=list)
    browsers: list[Browser] = field(default_factory=list)
    _told: int = 0

    @property
    def hub(self) -> Hub:
        """The installation."""
        return self.made.hub

    @property
    def clock(self) -> FixedClock:
        """The clock of everything here."""
        return self.made.clock

    def trail(self) -> list[tuple[str, str, str, str]]:
        """The lines of the audit trail but those of accounts: (who, what, of what, from where)."""
        rows = self.made.query(
            "SELECT operator, action, subject, origin FROM audit WHERE id > ? ORDER BY id",
            self._told,
        )
        return [row for row in rows if not row[1].startswith("account ")]

    def begin(self) -> None:
        """As if nobody had been here: for the next test on the same house."""
        for table in ("web_session", "sign_in_attempt"):
            self.made.query(f"DELETE FROM {table}")
        self.made.query("UPDATE account SET disabled_at = NULL")
        ((last,),) = self.made.query("SELECT COALESCE(MAX(id), 0) FROM audit")
        self._told = int(last)
        self.changed.clear()
        for browser in self.browsers:
            browser.close()
        self.browsers.clear()

    def browser(self, *, at: str | None = None, **headers: str) -> Browser:
        """A browser without a cookie; `at` is another address than the one of this house."""
        self.browsers.append(Browser(at or self.url, headers))
        return self.browsers[-1]

    def app(self) -> Starlette:
        """The door, and pages that tell who asks, change something, or fail."""
        door = Door(self.hub, passwords=self.passwords)

        async def who(request: Request) -> Response:
            actor = request.state.actor
            tenants = None if actor.tenants is None else sorted(actor.tenants)
            told = {"name": actor.name, "role": actor.role, "tenants": tenants}
            told |= {"origin": actor.origin, "csrf": request.state.csrf}
            return JSONResponse(told | {"user": request.headers.get("sec-fetch-user", "")})

        async def renews(request: Request) -> Response:
            onward = '<meta http-equiv="refresh" content="0; url=/school/99XX">'
            return HTMLResponse(f'{onward}<a href="/school/99XX">verder</a>')

        async def change(request: Request) -> Response:
            form = await request.form()
            self.changed.append(str(form.get("wat")))
            return JSONResponse({"done": True})

        async def failing(request: Request) -> Response:
            message = f"{request.query_params['wie']} is er niet"
            raise LookupError(message)

        async def called(request: Request) -> Response:
            return Response("open")

        pages = [
            Route("/", who, methods=["GET"]),
            Route("/school/99XX", who, methods=["GET"]),
            Route("/ververs", renews, methods=["GET"]),
            Route("/stuk", failing, methods=["GET"]),
            Route("/wijzig", change, methods=["POST", "PUT", "DELETE"]),
            Route("/healthz", called, methods=["GET"]),
            Route("/v1/inbox/kern", called, methods=["POST"]),
        ]
        routes = [*door.routes(), *texts.routes(), *rendering.routes(), *pages]
        return Starlette(routes=routes, middleware=[door.middleware()])


@contextmanager
def house(store: Store, folder: Path, **web: Any) -> Iterator[House]:
    """Make an installation with `baas` (admin), `desk` (helpdesk, one tenant) and `niemand`.

    All three have an account; the configuration gives the last one no role.

    Args:
        store: a database of the current schema.
        folder: where its files stand.
        web: keys of `[web]`, and `operator`.
    """
    made = bench(store, folder)
    named = Operator(name="desk", role=Role.HELPDESK, tenants=("bestuur",))
    web.setdefault("operator", (*operators(baas="admin"), named))
    made.hub = configured(made.hub, **web)
    found = House(made, Passwords(QUICK))
    for name in ("baas", "desk", "niemand"):
        accounts.add(made.hub, found.passwords, name, WORDS)
    try:
        with served(found.app()) as found.url:
            yield found
    finally:
        found.begin()
        made.close()


class Browser:
    """Keeps cookies, reads forms, follows no redirect by itself.

    Args:
        url: of the house.
        headers: sent with everything.
    """

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self.client = httpx.Client(base_url=url, headers=dict(headers), timeout=20, verify=False)  # noqa: S501 - no TLS here

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Look at a page."""
        return self.client.get(path, **options)

    def post(self, path: str, fields: Mapping[str, str], **options: Any) -> httpx.Response:
        """Send a form."""
        return self.client.post(path, data=dict(fields), **options)

    def token(self, path: str = "/inloggen") -> str:
        """The CSRF token of the form on a page."""
        page = self.get(path)
        if page.headers["content-type"].startswith("application/json"):
            return str(page.json()["csrf"])
        (found,) = re.findall(r'name="_csrf" value="([^"]+)"', page.text)
        return str(found)

    def sign_in(
        self, name: str = "baas", password: str = WORDS, *, after: str = "/", **options: Any
    ) -> httpx.Response:
        """Fill in the form and send it."""
        fields = {"_csrf": self.token(), "naam": name, "wachtwoord": password, "next": after}
        return self.post("/inloggen", fields, **options)

    def change(self, what: str = "iets", **options: Any) -> httpx.Response:
        """Ask for a change as a page does."""
        return self.post("/wijzig", {"_csrf": self.token("/"), "wat": what}, **options)

    def cookies(self) -> dict[str, str]:
        """What it keeps."""
        return {cookie.name: cookie.value or "" for cookie in self.client.cookies.jar}

    def close(self) -> None:
        """Let its connections go."""
        self.client.close()
