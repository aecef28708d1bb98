"""The cookies of the door: which there are, and how a browser must keep them.

Over TLS their names begin with `__Host-`: a browser then takes them from this host alone, for all
of it, and sends them over TLS only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import Response

_HOST: Final = "__Host-"


@dataclass(frozen=True, slots=True)
class Cookie:
    """One cookie; no script can read it, and it is for the whole host.

    Attributes:
        same_site: `Lax` goes along when a link elsewhere leads here, `Strict` does not.
        lasts: None for as long as the browser is open.
    """

    name: str
    same_site: str
    lasts: timedelta | None = None

    def read(self, request: HTTPConnection, *, secure: bool) -> str | None:
        """What the browser sent; None where it sent nothing."""
        return request.cookies.get(self._name(secure)) or None

    def put(self, response: Response, value: str, *, secure: bool) -> None:
        """Have the browser keep a value."""
        response.headers.append("set-cookie", self.line(value, secure=secure))

    def drop(self, response: Response, *, secure: bool) -> None:
        """Have the browser forget it."""
        line = f"{self.line('', secure=secure).partition('; Max-Age')[0]}; Max-Age=0"
        response.headers.append("set-cookie", line)

    def line(self, value: str, *, secure: bool) -> str:
        """The header that has the browser keep a value."""
        parts = [f"{self._name(secure)}={value}", "Path=/", "HttpOnly"]
        parts += [f"SameSite={self.same_site}", *(["Secure"] if secure else [])]
        if self.lasts is not None:
            parts.append(f"Max-Age={int(self.lasts.total_seconds())}")
        return "; ".join(parts)

    def _name(self, secure: bool) -> str:
        return f"{_HOST}{self.name}" if secure else self.name


SESSION: Final = Cookie("koppelhub", "Lax")
"""Who is signed in. Lax: a link in an alert's mail leads to a page and not to a second sign-in."""
BEFORE: Final = Cookie("koppelhub-voor", "Strict", timedelta(hours=2))
"""Whose sign-in form it is, before anybody is signed in."""
FLOW: Final = Cookie("koppelhub-heen", "Lax", timedelta(minutes=10))
"""What must come back from the issuer. Lax: the issuer's redirect must bring it."""
