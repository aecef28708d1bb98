"""Paths, queries and pages of Somtoday Connect: bytes in, keys and raw bodies out; no sockets.

A page is split without parsing its records: the keys are read by a decoder that looks at nothing
but `uuid`, the bodies stay the bytes that Somtoday sent.
Spec: somtoday.md, sections 4 and 5 (CONFIRMED).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from hashlib import blake2b
from operator import attrgetter
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

_HEX: Final = "[0-9a-fA-F]"
_UUID: Final = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_IS_UUID: Final = re.compile(_UUID).fullmatch
_ARE_UUIDS: Final = re.compile(f"{_UUID}(?:\n{_UUID})*").fullmatch

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
    return _IS_UUID(text) is not None


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


@cache
def _decoders(
    list_key: str, cut: frozenset[str]
) -> tuple[msgspec.json.Decoder[Any], msgspec.json.Decoder[Any]]:
    """Two decoders of one answer: its raw records; their keys, and what may have to be cut."""
    raw = msgspec.defstruct(
        "RawAnswer",
        [("records", list[msgspec.Raw]), ("veldpermissies", msgspec.Raw, _ABSENT)],
        rename={"records": list_key},
    )
    key = msgspec.defstruct(
        "Key",
        [("uuid", str), *((f"cut{n}", msgspec.Raw, _ABSENT) for n, _ in enumerate(cut))],
        rename={f"cut{n}": name for n, name in enumerate(sorted(cut))},
    )
    keys = msgspec.defstruct("KeyAnswer", [("records", list[key])], rename={"records": list_key})  # type: ignore[valid-type]  # made at run time
    return msgspec.json.Decoder(raw), msgspec.json.Decoder(keys)


class _Key(msgspec.Struct, frozen=True):
    uuid: Annotated[str, msgspec.Meta(pattern=rf"^{_UUID}\Z")]


_ONE_KEY: Final = msgspec.json.Decoder(_Key)


def split_page(answer: Answer, list_key: str, *, cut: frozenset[str] = frozenset()) -> RawPage:
    """Split one answer into keys and raw bodies.

    Shape: an object with the list `list_key` (0..n objects) and, where it was asked for,
    `veldpermissies`. Order is as sent. The fields `cut` (dotted when nested) are taken out of the
    bodies that hold them; whether one does is seen while the keys are read, so it costs no pass.
    Raises: ProtocolViolationError if the answer is no JSON of that shape.
    """
    tops = frozenset(name.partition(".")[0] for name in cut)
    raw_decoder, key_decoder = _decoders(list_key, tops)
    page = answer.decode(raw_decoder)
    bodies = [bytes(record) for record in page.records]
    permissions = bytes(page.veldpermissies) or None
    try:
        records = key_decoder.decode(answer.body).records
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _split_slowly(bodies, permissions, cut=cut)
    keys: list[str] = [record.uuid for record in records]
    if not _all_uuids(keys):
        return _split_slowly(bodies, permissions, cut=cut)
    for number in range(len(tops)):
        held = attrgetter(f"cut{number}")
        for position, record in enumerate(records):
            if held(record) is not _ABSENT:
                bodies[position] = without(bodies[position], cut)
    return RawPage(keys, bodies, keys, {}, permissions)


def _all_uuids(keys: Sequence[str]) -> bool:
    """Whether every key is a UUID; one match for all is quicker than one for each."""
    lines = "\n".join(keys)
    return not keys or (len(lines) == 37 * len(keys) - 1 and _ARE_UUIDS(lines) is not None)


def _split_slowly(
    bodies: Sequence[bytes], permissions: bytes | None, *, cut: frozenset[str]
) -> RawPage:
    """Split a page on which at least one record has no usable key."""
    keys: list[str] = []
    good: list[bytes] = []
    marks: list[str] = []
    rejected: dict[int, tuple[ParseError, bytes]] = {}
    for position, raw in enumerate(bodies):
        body = without(raw, cut) if cut else raw
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


def without(body: bytes, names: frozenset[str]) -> bytes:
    """A raw record without some fields; a body that cannot be read is not kept at all.

    Args:
        body: as it was sent.
        names: fields in the source's spelling, dotted when nested; lists are looked into.
    """
    try:
        return _without(body, tuple(tuple(name.split(".")) for name in sorted(names)))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return b"{}"


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
