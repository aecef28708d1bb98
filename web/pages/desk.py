"""Between a request and a page: who asks, whether he may, and what he is told where it goes wrong.

A page is a function of a `Desk`; it runs in a thread, since it waits for the database. Every page
names the command of the console that does the same: its right and its line in the audit trail are
those of that command.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from config.errors import KoppelhubError
from config.operators import Role
from sync_engine.actor import Actor, named_actor
from sync_engine.audit import note
from sync_engine.current import Current
from sync_engine.errors import NoRightError, RunActiveError
from sync_engine.hub import Hub
from sync_engine.rights import acting, reminder
from sync_engine.schedule.planner import Dispatcher
from web.pages.checks import Checks
from web.rendering import shown
from web.texts import Texts, marked, texts_of

BODY_BYTES: Final = 64_000
BODY_SECONDS: Final = 30.0
_FIELDS: Final = 50
_LARGEST_NUMBER: Final = 2**31 - 1

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class House:
    """What the pages of one process stand on.

    Attributes:
        current: the installation as its configuration says now.
        checks: of koppelingen, that people asked for.
        dispatcher: takes runs that people ask for; None where this process has none.
    """

    current: Current
    checks: Checks = field(default_factory=Checks)
    dispatcher: Dispatcher | None = None


@dataclass(frozen=True, slots=True)
class Desk:
    """One request of one person.

    Attributes:
        house: what all pages stand on.
        hub: as he may see it.
        form: what he sent; empty for a page that is only looked at.
        now: one instant for the whole page.
    """

    house: House
    hub: Hub
    request: Request
    form: Mapping[str, str]
    texts: Texts
    now: datetime

    @property
    def operator(self) -> str:
        """Who asks."""
        return self.hub.actor.name

    def may(self, least: Role) -> bool:
        """Whether he may do what needs that role."""
        return self.hub.actor.may(least)

    @property
    def is_of_all(self) -> bool:
        """Whether he acts for the installation as a whole, and not for some tenants only."""
        return self.hub.actor.tenants is None

    def asked(self, name: str) -> str:
        """What he chose on a page, in its address; empty for nothing."""
        return self.request.query_params.get(name, "").strip()[:200]

    def number(self, name: str) -> int:
        """A number in the address of the page; one that no database can have is none's."""
        return min(int(self.request.path_params[name]), _LARGEST_NUMBER)

    def name(self, name: str) -> str:
        """A name in the address of the page."""
        return str(self.request.path_params[name])

    def show(self, template: str, *, status: int = 200, **values: object) -> Response:
        """A template as the answer."""
        zone = self.hub.settings.timezone
        told = {"now": self.now, "may": self.may, "refresh": 0} | values
        return shown(self.request, template, told, status=status, zone=zone)

    def go(self, path: str) -> Response:
        """To another page, after something was done."""
        return RedirectResponse(path, status_code=303)

    def note(self, action: str, subject: str, *, why: str = "") -> None:
        """Put in the audit trail what he looks at or does."""
        with self.hub.store.work() as work:
            note(self.hub, work, operator=self.operator, action=action, subject=subject, why=why)


@dataclass(frozen=True, slots=True)
class Page:
    """One page, or one thing that is done on a page.

    Attributes:
        command: of the console, that shows or does the same.
        least: the role that it needs; that of the command.
        of_all: it is about the installation as a whole, as the command is.
    """

    path: str
    answer: Callable[[Desk], Response]
    command: str
    least: Role = Role.READ
    method: str = "GET"
    of_all: bool = False


def act(
    path: str,
    answer: Callable[[Desk], Response],
    command: str,
    *,
    least: Role = Role.HELPDESK,
    of_all: bool = False,
) -> Page:
    """Something that a person does on a page."""
    return Page(path, answer, command, least, "POST", of_all)


def route(house: House, made: Page) -> Route:
    """A page as the server calls it."""

    async def called(request: Request) -> Response:
        form: Mapping[str, str] = {}
        if made.method == "POST":
            try:
                form = await asyncio.wait_for(_form(request), BODY_SECONDS)
            except (ValueError, TimeoutError, ClientDisconnect):
                return _UNREADABLE.show(request)
        return await run_in_threadpool(_answer, house, made, request, form)

    return Route(made.path, called, methods=[made.method])


async def _form(request: Request) -> dict[str, str]:
    """What was sent. Raises: ValueError if it is too much, or no form."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        message = "not a form"
        raise ValueError(message)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES:
            message = "the form is too large"
            raise ValueError(message)
    sent = parse_qsl(
        body.decode("utf-8"),
        keep_blank_values=True,
        strict_parsing=bool(body),
        max_num_fields=_FIELDS,
    )
    if any("\0" in value for _, value in sent):
        message = "a sign that no text has"
        raise ValueError(message)
    return {name: value.strip() for name, value in sent}


def _answer(house: House, made: Page, request: Request, form: Mapping[str, str]) -> Response:
    actor = getattr(request.state, "actor", None)
    if not isinstance(actor, Actor):  # nobody came in by the door: nothing is told
        return _REFUSED.show(request)
    hub = house.current.hub()
    if actor.grants:  # he came in by the configuration of then: what he may do is as it says now
        actor = named_actor(hub.settings, actor.name, origin=actor.origin)
    mine = replace(hub, actor=actor)
    texts = texts_of(request, zone=hub.settings.timezone)
    desk = Desk(house, mine, request, form, texts, hub.clock.now())
    try:
        return made.answer(_allowed(desk, made))
    except KoppelhubError as error:
        return _problem(desk, error, made)
    except Exception as error:  # noqa: BLE001 - the outermost edge of a page
        _log.error("a page failed: %s at %s", type(error).__name__, _where(error))
        return _FAILED.show(request)


def _where(error: BaseException) -> str:
    """File and line where it was raised: a message could hold what somebody typed."""
    *_, last = traceback.extract_tb(error.__traceback__)
    return f"{Path(last.filename).name}:{last.lineno}"


def _allowed(desk: Desk, made: Page) -> Desk:
    """His desk for this page: only for the tenants and schools for which he has the role.

    Raises: NoRightError where his role is less than this needs; the audit trail has it.
    """
    actor = desk.hub.actor
    try:
        if not actor.may(made.least):
            has = actor.role or "geen rol"
            error = NoRightError(
                f"{actor.name} ({has}) may not do what {made.command!r} does: it needs {made.least}"
            )
        else:
            own = replace(
                desk, hub=replace(desk.hub, actor=acting(actor, made.command, made.least))
            )
            if own.is_of_all or not made.of_all:
                return own
            error = NoRightError(
                f"{actor.name} may act for some tenants only; {made.command!r} is about all of "
                "them",
                advice="Vraag het aan een beheerder die voor alle besturen mag werken.",
            )
    except NoRightError as for_schools_alone:
        error = for_schools_alone
    desk.note("refused", f"command {made.command}", why=str(error))
    raise error


def _problem(desk: Desk, error: KoppelhubError, made: Page) -> Response:
    """Why a page cannot be shown or a thing not be done, with what to do next."""
    again = getattr(error, "retryable", False) is True
    if isinstance(error, NoRightError):
        status, title = 403, marked("Dit mag u niet")
    elif isinstance(error, RunActiveError):
        status, title = 409, marked("Er loopt al iets voor deze koppeling")
    elif again:
        status, title = 503, marked("Het lukt nu even niet")
    elif desk.request.method == "GET":
        status, title = 404, marked("Dit is er niet")
    else:
        status, title = 409, marked("Dit kan niet zo")
    says = f"{error.advice} {_reminder(desk, made)}".strip()
    told = {"title": title, "says": says, "error": str(error), "again": again}
    return desk.show("problem.html", status=status, **told)


def _reminder(desk: Desk, made: Page) -> str:
    """For whom he has which role, where that is less for this than for what he may see."""
    actor = desk.hub.actor
    return reminder(actor.acting(made.least), actor)


@dataclass(frozen=True, slots=True)
class _Plain:
    """A page that says what is wrong, before anybody has a desk."""

    status: int
    title: str
    advice: str
    again: bool = False

    def show(self, request: Request) -> Response:
        told = {"title": self.title, "advice": self.advice, "again": self.again}
        return shown(request, "problem.html", told, status=self.status)


_UNREADABLE: Final = _Plain(
    400,
    marked("Dit formulier is niet te lezen"),
    marked("Ga terug, ververs de bladzijde en probeer het opnieuw."),
)
_REFUSED: Final = _Plain(
    403, marked("U bent niet aangemeld"), marked("Meld u aan en probeer het opnieuw.")
)
_FAILED: Final = _Plain(
    500,
    marked("Er ging iets mis in Koppelhub"),
    marked(
        "Er is niets half gedaan. Probeer het opnieuw; blijft het zo, geef dan het tijdstip door "
        "aan de beheerder."
    ),
    again=True,
)
