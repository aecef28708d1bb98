"""Paths, queries and pages of Somtoday Connect: bytes in, keys and raw bodies out; no sockets.

A page is split without parsing its records: the keys are read by a decoder that looks at nothing
but `uuid`, the bodies stay the bytes that Somtoday sent.
Spec: somtoday.md, sections 4 and 5 (CONFIRMED).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from hashlib import blake2b
from typing import Annotated, Any, Final

import msgspec

from connectors.errors import ParseError
from connectors.protocols.parsing import SourceModel
from connectors.protocols.rest import Answer
from connectors.somtoday.records import (
    Examendossier,
    Instelling,
    Leerling,
    Lesgroep,
    LosPlaatsing,
    Medewerker,
    Opleiding,
    OuderVerzorger,
    Stamgroep,
    Vak,
    Vestiging,
    Voortgangsdossier,
)

_UUID: Final = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
_UUID_RE: Final = re.compile(_UUID.replace("$", r"\Z"))

ALWAYS_CUT: Final = frozenset({"debiteurGegevens"})
"""Bank data: cut wherever it appears, whatever is configured. Spec: section 6.2, 13."""


class Peil(StrEnum):
    """The `peilschooljaar` parameter."""

    HUIDIG = "HUIDIG"
    VOLGEND = "VOLGEND"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How one resource is asked for.

    Attributes:
        segment: its list path below the vestiging, with the exact spelling and trailing slash:
            anything else is answered with a redirect, which is an error here.
        list_key: the list in the answer.
        model: the record.
        yearly: it takes `peilschooljaar`.
        per_leerling: one call for each pupil; `segment` is then below the pupil.
    """

    segment: str
    list_key: str
    model: type[SourceModel]
    yearly: bool = True
    per_leerling: bool = False


ENDPOINTS: Final[Mapping[str, Endpoint]] = {
    "instelling": Endpoint("", "instellingen", Instelling, yearly=False),
    "vestiging": Endpoint("", "vestigingen", Vestiging, yearly=False),
    "opleiding": Endpoint("opleiding", "opleidingen", Opleiding, yearly=False),
    "vak": Endpoint("vak", "vakken", Vak, yearly=False),
    "medewerker": Endpoint("medewerker", "medewerkers", Medewerker),
    "leerling": Endpoint("leerling", "leerlingen", Leerling),
    "ouderVerzorger": Endpoint("ouderVerzorger/", "ouderVerzorgers", OuderVerzorger),
    "plaatsing": Endpoint("plaatsing", "plaatsingen", LosPlaatsing),
    "stamgroep": Endpoint("stamgroep/", "stamgroepen", Stamgroep),
    "lesgroep": Endpoint("lesgroep/", "lesgroepen", Lesgroep),
    "voortgangsdossier": Endpoint(
        "voortgangsdossier", "voortgangsdossiers", Voortgangsdossier, per_leerling=True
    ),
    "examendossier": Endpoint("examendossier", "examendossiers", Examendossier, per_leerling=True),
}


def is_uuid(text: str) -> bool:
    """Whether a text is a UUID, and so fit for a path."""
    return _UUID_RE.match(text) is not None


def list_path(resource: str, *, vestiging: str) -> str:
    """The path of a resource's list, below the API base."""
    if resource in {"instelling", "vestiging"}:
        return f"/connect/{resource}"
    return f"/connect/vestiging/{vestiging}/{ENDPOINTS[resource].segment}"


def single_path(resource: str, *, vestiging: str, key: str) -> str:
    """The path of one record, below the API base; for a dossier the key is the pupil's."""
    endpoint = ENDPOINTS[resource]
    if endpoint.per_leerling:
        return f"/connect/vestiging/{vestiging}/leerling/{key}/{endpoint.segment}"
    return f"/connect/vestiging/{vestiging}/{endpoint.segment.rstrip('/')}/{key}"


@dataclass(frozen=True, slots=True)
class RawPage:
    """One answer, split.

    Attributes:
        keys, bodies: the records that have a usable key.
        marks: one for each record of the answer, in its order, usable or not: what overlapping
            pages are compared by.
        positions: for each mark the index in `keys`, or -1 for a rejected record.
        rejected: records without a usable key, by position.
        permissions: `veldpermissies` as it was sent, or None.
    """

    keys: Sequence[str]
    bodies: Sequence[bytes]
    marks: Sequence[str]
    rejected: Mapping[int, tuple[ParseError, bytes]]
    permissions: bytes | None


_ABSENT: Final = msgspec.Raw(b"")  # Raw in a union with None takes nothing but null


class _Key(msgspec.Struct, frozen=True):
    uuid: Annotated[str, msgspec.Meta(pattern=_UUID)]


@cache
def _decoders(
    list_key: str,
) -> tuple[msgspec.json.Decoder[Any], msgspec.json.Decoder[Any]]:
    """Two decoders of one answer: its raw records, and their keys alone."""
    raw = msgspec.defstruct(
        "RawAnswer",
        [
            ("records", list[msgspec.Raw]),
            ("veldpermissies", msgspec.Raw, _ABSENT),
        ],
        rename={"records": list_key},
    )
    keys = msgspec.defstruct("KeyAnswer", [("records", list[_Key])], rename={"records": list_key})
    return msgspec.json.Decoder(raw), msgspec.json.Decoder(keys)


_ONE_KEY: Final = msgspec.json.Decoder(_Key)

Cut = Callable[[bytes], bytes]


def split_page(answer: Answer, list_key: str, *, cut: Cut | None = None) -> RawPage:
    """Split one answer into keys and raw bodies.

    Shape: an object with the list `list_key` (0..n objects) and, where it was asked for,
    `veldpermissies`. Order is as sent.
    Raises: ProtocolViolationError if the answer is no JSON of that shape.
    """
    raw_decoder, key_decoder = _decoders(list_key)
    page = answer.decode(raw_decoder)
    bodies = [bytes(record) for record in page.records]
    if cut is not None:
        bodies = [cut(body) for body in bodies]
    permissions = bytes(page.veldpermissies) or None
    try:
        keys = [record.uuid for record in key_decoder.decode(answer.body).records]
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _split_slowly(bodies, permissions)
    return RawPage(keys, bodies, keys, {}, permissions)


def _split_slowly(bodies: Sequence[bytes], permissions: bytes | None) -> RawPage:
    """Split a page on which at least one record has no usable key."""
    keys: list[str] = []
    good: list[bytes] = []
    marks: list[str] = []
    rejected: dict[int, tuple[ParseError, bytes]] = {}
    for position, body in enumerate(bodies):
        try:
            key = _ONE_KEY.decode(body).uuid
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            marks.append(blake2b(body, digest_size=16).hexdigest())
            rejected[position] = (ParseError("uuid", "is required and must be a UUID"), body)
            continue
        keys.append(key)
        good.append(body)
        marks.append(key)
    return RawPage(keys, good, marks, rejected, permissions)


def cutter(names: frozenset[str]) -> Cut | None:
    """A function that cuts fields out of a raw record; None where there is nothing to cut.

    Args:
        names: fields in the source's spelling, dotted when nested; lists are looked into.

    A body in which none of the names occurs is given back as it is.
    """
    if not names:
        return None
    needles = tuple(f'"{name.rpartition(".")[2]}"'.encode() for name in sorted(names))
    paths = tuple(tuple(name.split(".")) for name in sorted(names))

    def cut(body: bytes) -> bytes:
        if not any(needle in body for needle in needles) and b"\\u00" not in body:
            return body
        try:
            return _without(body, paths)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return b"{}"  # what cannot be read cannot be cut: nothing of it is kept

    return cut


def _without(body: bytes, paths: Sequence[tuple[str, ...]]) -> bytes:
    """A raw value without the fields at `paths`; numbers and texts stay as they were sent."""
    if body[:1] == b"[":
        items = msgspec.json.decode(body, type=list[msgspec.Raw])
        return msgspec.json.encode([msgspec.Raw(_without(bytes(item), paths)) for item in items])
    if body[:1] != b"{":
        return body
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    for name in {path[0] for path in paths} & fields.keys():
        below = [path[1:] for path in paths if path[0] == name and len(path) > 1]
        if (name,) in paths:
            del fields[name]
        elif below:
            fields[name] = msgspec.Raw(_without(bytes(fields[name]), below))
    return msgspec.json.encode(fields)


_PERMISSIONS: Final = msgspec.json.Decoder(dict[str, Any])


def read_permissions(raw: bytes | None, answer: Answer) -> Mapping[str, Any]:
    """The answer's `veldpermissies`.

    Raises: ProtocolViolationError if it was asked for and is absent or no object: without it empty
        and not delivered cannot be told apart, so nothing of the answer may be used.
    """
    if raw is None:
        raise answer.violation("holds no field permissions", where="veldpermissies")
    try:
        return _PERMISSIONS.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise answer.violation("holds unreadable field permissions", where="veldpermissies") from (
            None
        )


class _Dossier(msgspec.Struct, frozen=True):
    veldpermissies: msgspec.Raw = _ABSENT
    voortgangsdossiers: msgspec.Raw = _ABSENT
    examendossiers: msgspec.Raw = _ABSENT


_DOSSIER: Final = msgspec.json.Decoder(_Dossier)


def wrap_dossier(answer: Answer, list_key: str, *, leerling: str) -> tuple[bytes, bytes | None]:
    """One pupil's dossier as a record that names its pupil, and the answer's permissions.

    Raises: ProtocolViolationError if the answer holds no list `list_key`.
    """
    parts = answer.decode(_DOSSIER)
    raw: msgspec.Raw = getattr(parts, list_key)
    if not bytes(raw).startswith(b"["):
        message = f"holds no list {list_key}"
        raise answer.violation(message, where=list_key)
    body = msgspec.json.encode({"leerling_uuid": leerling, list_key: raw})
    return body, bytes(parts.veldpermissies) or None
