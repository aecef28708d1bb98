"""SCIM: user accounts, over the interface that the vendor announced as the successor.

As far as it is known: id, user name, name, whether it is active, and a pupil number as an attribute
of the vendor's own. Groups, enrolments and guardians are not in it.
Spec: magister.md, section 11 (CONFIRMED in part; paging, login and the attribute's name ASSUMED);
RFC 7644, section 3.4.2.4.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from connectors.base import Completeness, DeliveryContract, Page
from connectors.errors import ParseError
from connectors.magister.assemble import UNFINISHED
from connectors.magister.records import Gebruiker
from connectors.magister.wire import AGAIN
from connectors.protocols.oauth import BearerSession
from connectors.protocols.parsing import field_paths
from connectors.protocols.rest import Answer

_COUNT: Final = 100
_MOST_PAGES: Final = 2_000
_NUMBER: Final = frozenset(
    {"stamnummer", "stamnr", "leerlingnummer", "studentnumber", "pupilnumber"}
)
"""Names, in lower case, under which the pupil number may stand (ASSUMED)."""

_KNOWN: Final = frozenset({"id", "userName", "name", "active"})
_NAME_PARTS: Final = frozenset({"givenName", "middleName", "familyName"})
_ORDINARY: Final = frozenset({"schemas", "meta", "externalId"})
"""What every resource of SCIM has and nobody reads: no schema drift."""


class _List(msgspec.Struct, frozen=True):
    total: int = msgspec.field(name="totalResults")
    resources: list[dict[str, Any]] = msgspec.field(name="Resources", default_factory=list)


_DECODER: Final = msgspec.json.Decoder(_List)
_encode = msgspec.json.Encoder(order="deterministic").encode


def fetch_users(session: BearerSession, base: str, *, start: int, count: int) -> Answer:
    """One page of `GET /Users`."""
    query = (("startIndex", str(start)), ("count", str(count)))
    return session.get(f"{base}/Users", operation="GET Users", query=query)


class UsersReading:
    """Reads all users, page by page; complete where the total stays and that many users came."""

    def __init__(self, session: BearerSession, base: str, *, drop: frozenset[str]) -> None:
        self._session, self._base = session, base
        self._drop = drop - {"id"}
        self.completeness = UNFINISHED
        delivered = {
            path: path not in self._drop and path.partition(".")[0] not in self._drop
            for path in field_paths(Gebruiker)
        }
        self.contract = DeliveryContract(delivered, "scim 2.0")

    def __iter__(self) -> Iterator[Page]:
        """Each page once.

        Raises: ConnectorError.
        """
        start, totals, seen, whole = 1, set[int](), set[str](), True
        for _ in range(_MOST_PAGES):
            listed = fetch_users(self._session, self._base, start=start, count=_COUNT).decode(
                _DECODER
            )
            totals.add(listed.total)
            page = self._page(listed, seen)
            whole = whole and not page.rejected and len(page.keys) == len(listed.resources)
            yield page
            start += len(listed.resources)
            if not listed.resources or start > listed.total:
                break
        self.completeness = _judge(totals, len(seen), whole=whole)

    def _page(self, listed: _List, seen: set[str]) -> Page:
        bodies: dict[str, bytes] = {}
        rejected: list[tuple[ParseError, bytes]] = []
        for user in listed.resources:
            body, key = self._body(user), user.get("id")
            if not isinstance(key, str) or not 0 < len(key) <= 100:
                rejected.append((ParseError("id", "is required and must be text"), body))
            elif key not in seen:
                seen.add(key)
                bodies[key] = body
        return Page(list(bodies), list(bodies.values()), rejected)

    def _body(self, user: dict[str, Any]) -> bytes:
        """A user with what is read of it; other attributes keep their name only."""
        kept = {name: user[name] for name in _KNOWN & user.keys() - self._drop}
        if isinstance(kept.get("name"), dict):
            kept["name"] = {part: kept["name"][part] for part in _NAME_PARTS & kept["name"].keys()}
        number = _number(user)
        if number is not None and "leerlingnummer" not in self._drop:
            kept["leerlingnummer"] = number
        ignored = _KNOWN | _ORDINARY | {"leerlingnummer"}
        odd = {n: None for n in user if n not in ignored and not n.startswith("urn:")}
        return _encode({**odd, **kept})


def _number(user: dict[str, Any]) -> str | None:
    """The pupil number: an attribute of an extension, or of the user itself (ASSUMED)."""
    places = [value for name, value in sorted(user.items()) if isinstance(value, dict)]
    for place in (*places, user):
        for name, value in place.items():
            if name.lower() in _NUMBER and isinstance(value, str | int) and str(value).strip():
                return str(value).strip()
    return None


def _judge(totals: set[int], count: int, *, whole: bool) -> Completeness:
    if not whole or len(totals) != 1 or totals != {count}:
        return Completeness(False, "the total differs from what was read", AGAIN)
    if not count:
        return Completeness(False, "there is no user", AGAIN)
    return Completeness(True)
