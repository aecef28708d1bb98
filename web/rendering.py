"""Pages from templates: one environment a language, everything escaped, and the files beside them.

A template extends `base.html` and gets, besides its own values: `_`, `ngettext`, `texts` (numbers
and times), `actor` and `csrf` of who asks, `path` and `asset`. There is no script, and no style but
that of `static/`: the Content-Security-Policy allows nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cache, partial
from hashlib import sha256
from importlib.resources import files
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from config.clock import AMSTERDAM
from web.texts import Language, catalogue, texts_of
from web.words import broken, plainly, spoken

_TYPES: Final = {"koppelhub.css": "text/css; charset=utf-8", "koppelhub.svg": "image/svg+xml"}
"""The files that are served, and what they are."""
_KEPT: Final = "public, max-age=31536000, immutable"


@cache
def environment(language: Language) -> Environment:
    """The templates in one language; what is not there is an error, not an empty place."""
    made = Environment(
        loader=PackageLoader("web"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    texts = catalogue(language)
    made.install_gettext_callables(  # type: ignore[attr-defined] # of the extension
        texts.gettext, texts.ngettext, newstyle=True
    )
    made.globals["asset"] = asset
    made.filters["ticked"] = ticked
    made.filters["broken"] = broken
    made.filters["plainly"] = plainly
    made.filters["spoken"] = partial(spoken, texts.gettext)
    return made


def ticked(text: object) -> Markup:
    """What the engine says, with what it puts between backticks as code; everything escaped."""
    parts = str(text).split("`")
    if len(parts) % 2 == 0:  # a tick without its other
        return escape(text)
    told = (
        Markup("<code>{}</code>").format(part) if n % 2 else escape(part)
        for n, part in enumerate(parts)
    )
    return Markup("").join(told)


def page(request: Request, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
    """A template as the answer to a request, in the time zone of schools; see `shown`."""
    return shown(request, template, values, status=status)


def shown(
    request: Request,
    template: str,
    values: Mapping[str, object],
    *,
    status: int = 200,
    zone: str = AMSTERDAM,
) -> HTMLResponse:
    """A template as the answer to a request.

    Args:
        request: that is answered; the door's middleware put who asks in its state.
        template: its path below `templates`.
        values: what the template shows.
        status: of the answer.
        zone: name of the time zone in which instants are told.
    """
    texts = texts_of(request, zone=zone)
    told: dict[str, object] = {
        "texts": texts,
        "language": str(texts.language),
        "actor": getattr(request.state, "actor", None),
        "csrf": getattr(request.state, "csrf", ""),
        "path": _path(request),
    }
    body = environment(texts.language).get_template(template).render({**told, **values})
    return HTMLResponse(body, status_code=status, headers={"cache-control": "no-store"})


def _path(request: Request) -> str:
    """The page that is asked, with what is chosen on it: to come back to. Of a form it is none."""
    if request.method != "GET":
        return "/"
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path


# -- files beside the pages ------------------------------------------------------------------------


@cache
def _file(name: str) -> bytes:
    return files("web").joinpath("static", name).read_bytes()


def asset(name: str) -> str:
    """The address of a file, which changes when the file does."""
    return f"/static/{name}?v={sha256(_file(name)).hexdigest()[:12]}"


def _serving(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        kept = {"cache-control": _KEPT, "x-content-type-options": "nosniff"}
        return Response(_file(name), media_type=_TYPES[name], headers=kept)

    return serve


def routes() -> list[Route]:
    """Where the files are; they tell nothing of a school, and need no sign-in."""
    return [Route(f"/static/{name}", _serving(name), methods=["GET"]) for name in _TYPES]
