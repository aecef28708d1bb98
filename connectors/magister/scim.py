"""Magister's user accounts over SCIM 2.0: bytes → users; no sockets.

What a user is made of is discovered, not presumed: `/Schemas` says which attributes there are, and
an attribute that it does not list, or that the server returns on request only, is *not delivered*.
A user leaves this module as a body of our own (`records.Gebruiker`), with what is read under fixed
names; of anything else the name is kept and no value, so that drift is seen and no data is.
Spec: magister.md, section 11 (CONFIRMED: base, `/Schemas`, id, userName, name; the rest ASSUMED);
RFC 7643 (attributes), RFC 7644 sections 3.4.2 (lists) and 4 (discovery).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

import msgspec

from connectors.base import DeliveryContract
from connectors.errors import ParseError
from connectors.magister.wire import LAYOUT
from connectors.protocols.rest import Answer

ACCEPT: Final = "application/scim+json, application/json"
MOST_USERS: Final = 200_000
"""More than any board has: a larger total is a mistake, and would cost memory."""

_LARGEST_KEY: Final = 100  # that of records.py
_CORE: Final = "urn:ietf:params:scim:schemas:core:2.0:user"
_VERSION: Final = "RFC 7643"
_STANDARD: Final = frozenset({"schemas", "meta", "externalid"})
_STANDARD_NAME: Final = frozenset({"formatted"})
_NOT_SENT: Final = frozenset({"request", "never"})
_ABSENT: Final = frozenset({b"", b"null", b'""'})

_NO_NUMBER: Final = (
    "Het leerlingnummer moet in Magister in precies één attribuut staan, en het ingestelde is er "
    "niet, of twee keer; zo is niet te zien wie een leerling is. Laat ops de instelling "
    "`scim_number` van deze koppeling nakijken."
)


# -- discovery -----------------------------------------------------------------------------------


class _Attribute(msgspec.Struct, frozen=True):
    name: str
    returned: str | None = None
    subAttributes: list[_Attribute] = []  # noqa: N815 - SCIM's own spelling


class _Schema(msgspec.Struct, frozen=True):
    id: str
    attributes: list[_Attribute] = []


class _SchemaList(msgspec.Struct, frozen=True):
    schemas: list[_Schema] = msgspec.field(default_factory=list, name="Resources")


_SCHEMAS: Final = msgspec.json.Decoder(_SchemaList)


@dataclass(frozen=True, slots=True)
class Schema:
    """What the server says that a user is made of.

    Attributes:
        number: where the pupil number stands: names in lower case, from the outside in.
        prefix: the part of `name` that holds the prefix, in lower case.
        contract: which of our fields it delivers.
        drop: fields that are cut at intake.
    """

    number: tuple[str, ...]
    prefix: str
    contract: DeliveryContract
    drop: frozenset[str] = frozenset()


def read_schemas(
    answer: Answer, *, number: str, prefix: str, drop: frozenset[str] = frozenset()
) -> Schema:
    """What `/Schemas` says of a user.

    Args:
        answer: a list of schemas.
        number: the attribute with the pupil number: its name, or with its schema before it
            (`urn:…:User:stamnummer`).
        prefix: the part of `name` with the prefix.
        drop: our fields (`name.givenName`) that are cut at intake: not delivered.

    Attribute names are compared without regard to case (RFC 7643, section 2.1).
    Raises: ProtocolViolationError if the answer is no such list; with `where` LAYOUT if no schema,
        or more than one, has the pupil number: nobody could be told to be a pupil.
    """
    found = answer.decode(_SCHEMAS).schemas
    sent: dict[str, frozenset[str]] = {}
    parts: frozenset[str] = frozenset()
    for schema in found:
        sent[schema.id.lower()] = _sent(schema.attributes)
        for attribute in schema.attributes if schema.id.lower() == _CORE else ():
            if attribute.name.lower() == "name":
                parts = _sent(attribute.subAttributes)
    urn, _, name = number.lower().rpartition(":")
    places = [held for held, names in sent.items() if name in names and urn in {"", held}]
    if len(places) != 1:
        what = "has no attribute for the pupil number" if not places else "has two pupil numbers"
        raise answer.violation(what, where=LAYOUT, advice=_NO_NUMBER)
    place = (name,) if places == [_CORE] else (places[0], name)
    fields = _delivered(sent.get(_CORE, frozenset()), parts, prefix=prefix.lower())
    shut = {f: f in drop or f.partition(".")[0] in drop for f in fields if f != "id"}
    contract = DeliveryContract({f: d and not shut.get(f) for f, d in fields.items()}, _VERSION)
    return Schema(place, prefix.lower(), contract, drop)


def _delivered(core: frozenset[str], parts: frozenset[str], *, prefix: str) -> Mapping[str, bool]:
    """Our fields, and whether the server sends them."""
    fields = {"id": True, "leerlingnummer": True}
    fields |= {ours: ours.lower() in core for ours in ("userName", "name", "active")}
    named = {"givenName": "givenname", "middleName": prefix, "familyName": "familyname"}
    fields |= {f"name.{ours}": fields["name"] and their in parts for ours, their in named.items()}
    return fields


def _sent(attributes: Sequence[_Attribute]) -> frozenset[str]:
    """The names of attributes that come without being asked for."""
    return frozenset(
        a.name.lower() for a in attributes if (a.returned or "").lower() not in _NOT_SENT
    )


# -- lists ---------------------------------------------------------------------------------------


class _ListAnswer(msgspec.Struct, frozen=True):
    total: int = msgspec.field(name="totalResults")
    users: list[msgspec.Raw] = msgspec.field(default_factory=list, name="Resources")
    start: int | None = msgspec.field(default=None, name="startIndex")
    amount: int | None = msgspec.field(default=None, name="itemsPerPage")


_LIST: Final = msgspec.json.Decoder(_ListAnswer)
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT: Final = msgspec.json.Decoder(str)


@dataclass(frozen=True, slots=True)
class User:
    """One user of an answer.

    Attributes:
        mark: what stands for it where two pages are compared: its id, or a digest without one.
        body: what is read of it, under our own names.
        has_number: it is a pupil's.
        has_key: its id can be used as a key.
    """

    mark: str = field(repr=False)
    body: bytes = field(repr=False)
    has_number: bool
    has_key: bool


@dataclass(frozen=True, slots=True)
class UserPage:
    """One answer of `/Users`; `start` and `amount` are what it says of itself, where it does."""

    total: int
    users: Sequence[User]
    start: int | None
    amount: int | None


UNKEYED: Final = ParseError("id", f"is required and must be text of 1 to {_LARGEST_KEY} signs")


def read_page(answer: Answer, schema: Schema) -> UserPage:
    """One page of `/Users`.

    Shape: `totalResults`, and `Resources` where there are any (RFC 7644, section 3.4.2).
    Raises: ProtocolViolationError if it is not of that shape, or its total is beyond belief.
    """
    page = answer.decode(_LIST)
    if not 0 <= page.total <= MOST_USERS:
        raise answer.violation(f"has a total that is not 0 to {MOST_USERS}", where="totalResults")
    users = [_user(bytes(raw), schema, answer) for raw in page.users]
    return UserPage(page.total, users, page.start, page.amount)


def read_user(answer: Answer, schema: Schema) -> User:
    """The one user of `/Users/{id}`.

    Raises: ProtocolViolationError if it is no JSON object.
    """
    return _user(answer.body, schema, answer)


def read_total(answer: Answer) -> int:
    """How many users there are, of an answer that was asked to hold none.

    Raises: ProtocolViolationError if it does not say so.
    """
    return answer.decode(_LIST).total


def _user(raw: bytes, schema: Schema, answer: Answer) -> User:
    given = _members(raw)
    if given is None:
        raise answer.violation("holds a user that is no object", where="Resources")
    name = _members(given.get("name", b""))
    number = _at(given, schema.number)
    told = {"id": given.get("id"), "userName": given.get("username"), "active": given.get("active")}
    told["leerlingnummer"] = number
    told["name"] = _name(name, schema) if name is not None else given.get("name")
    for unknown in _unknown(given, schema):
        told.setdefault(unknown, b"null")
    cut = schema.drop - {"id"}
    kept = {f: msgspec.Raw(v) for f, v in told.items() if v is not None and f not in cut}
    key = _key(given.get("id"))
    body = msgspec.json.encode(dict(sorted(kept.items())))
    mark = key or blake2b(raw, digest_size=16).hexdigest()
    return User(mark, body, number not in {None, *_ABSENT}, bool(key))


def _name(parts: Mapping[str, bytes], schema: Schema) -> bytes:
    """The parts of a name that are read, under our names."""
    spelled = {"givenname": "givenName", "familyname": "familyName", schema.prefix: "middleName"}
    named = {spelled[part]: value for part, value in parts.items() if part in spelled}
    kept = {f: msgspec.Raw(v) for f, v in named.items() if f"name.{f}" not in schema.drop}
    for part in parts.keys() - spelled.keys() - _STANDARD_NAME:
        kept.setdefault(part, msgspec.Raw(b"null"))
    return msgspec.json.encode(dict(sorted(kept.items())))


def _unknown(given: Mapping[str, bytes], schema: Schema) -> Iterator[str]:
    """Names of what a user holds and we do not read."""
    known = {"id", "username", "name", "active", schema.number[0]} | _STANDARD
    yield from given.keys() - known
    if len(schema.number) > 1:
        beside = _members(given.get(schema.number[0], b"")) or {}
        yield from beside.keys() - set(schema.number[1:])


def _at(given: Mapping[str, bytes], place: Sequence[str]) -> bytes | None:
    """The raw value at a place, from the outside in."""
    value = given.get(place[0])
    for step in place[1:]:
        value = (_members(value or b"") or {}).get(step)
    return value


def _members(raw: bytes) -> dict[str, bytes] | None:
    """The members of a raw object by name in lower case; None where it is no object."""
    try:
        return {name.lower(): bytes(value) for name, value in _OBJECT.decode(raw).items()}
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _key(raw: bytes | None) -> str:
    """The id, or empty where it cannot be a key."""
    try:
        key = _TEXT.decode(raw or b"")
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return ""
    return key if 0 < len(key) <= _LARGEST_KEY and key.isprintable() else ""
