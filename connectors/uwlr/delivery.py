"""What an administration answered for one school and school year, held until it is read.

UWLR gives all resources in one answer, and the engine reads them one by one. So an answer is taken
whole: only when it came to its end is any of it handed over, all of it is of one moment, and what
the schema does not check is checked here (section 12): keys and ECK iDs that come twice, references
to groups that are not there. Records wait as they were sent, in memory alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from connectors.base import Completeness, DeliveryContract, Page
from connectors.errors import ParseError
from connectors.protocols.xmldoc import Element
from connectors.uwlr.names import CUT, KNOWN, SECTIONS, lg
from connectors.uwlr.options import Place
from connectors.uwlr.records import DOUBTFUL, Fields, groups_of, source_key, transcribe
from connectors.uwlr.wire import Header, Question, check_header

PAGE_RECORDS: Final = 500
LARGEST_RECORD: Final = 1024 * 1024

_AGAIN: Final = "De hub leest dit onderdeel vanzelf opnieuw; er wordt niets afgesloten."
_MEND: Final = (
    "De administratie levert gegevens die elkaar tegenspreken. Meld dit aan haar leverancier; tot "
    "dan sluit de hub in dit onderdeel niets af."
)
_SELDOM: Final = {
    "leerling": frozenset({"groep", "samengestelde_groepen", "uitstroomdatum"}),
    "leerkracht": frozenset({"groepen"}),
}
"""Fields that a record rightly lacks, so that nobody having one says nothing of its delivery."""

_WITH: Final = {"voorvoegsel": "achternaam"}
"""Fields that are delivered where another is."""

_MEMBERS: Final = ("groep", "samengestelde_groep")
_PERSONS: Final = ("leerling", "leerkracht")
_ALONE: Final = "2.3"
"""From here on a person may be known by ECK iD alone."""
_LOCAL: Final = {resource: {lg(name): name for name in names} for resource, names in KNOWN.items()}
_CUT: Final = {resource: frozenset(map(lg, names)) for resource, names in CUT.items()}


class Spool:
    """Keys and bodies of one resource, in the order in which they came."""

    __slots__ = ("bodies", "keys")

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.bodies: list[bytes] = []

    def pages(self) -> Iterator[tuple[list[str], list[bytes]]]:
        """Some at a time."""
        for start in range(0, len(self.keys), PAGE_RECORDS):
            place = slice(start, start + PAGE_RECORDS)
            yield self.keys[place], self.bodies[place]


class Delivery:
    """Takes the records of one answer (wire.Harvest), or of several that are merged.

    Args:
        question: what was asked, by the call of that name (`operation`).
        allowed: resource → elements that the agreed profile lets travel and nothing forbids, for
            the resources that are read; `eckid` among them. What else is known is cut off, and
            never kept.

    Attributes:
        header: whose answer it is.
        sections: the parts that it has.
        shaken: the groups changed while they were read, which only staged calls can tell.
    """

    def __init__(
        self, question: Question, *, operation: str, allowed: Mapping[str, frozenset[str]]
    ) -> None:
        self.place = question.place
        self.header: Header | None = None
        self.sections: set[str] = set()
        self.shaken = False
        self.rejected: dict[str, list[tuple[ParseError, bytes]]] = defaultdict(list)
        self._question, self._operation = question, operation
        self._eckid_alone = question.version == _ALONE
        self._allowed = allowed
        self._taken = {
            resource: {
                tag: name for tag, name in names.items() if name in allowed.get(resource, ())
            }
            for resource, names in _LOCAL.items()
        }
        self._cut = {r: _CUT[r] | (_LOCAL[r].keys() - self._taken[r].keys()) for r in _LOCAL}
        self._nameless = {r for r in _PERSONS if "eckid" not in allowed.get(r, ())}
        self._spools: dict[str, Spool] = defaultdict(Spool)
        self._digests: dict[str, dict[str, int]] = defaultdict(dict)
        self._doubled: set[str] = set()
        self._seen: dict[str, set[str]] = defaultdict(set)
        self._eckids: set[str] = set()
        self._holder: dict[str, str] = {}
        self._doubtful: set[str] = set()
        self._in: dict[str, dict[str, list[str]]] = {kind: defaultdict(list) for kind in _PERSONS}
        self._groups: dict[str, str] = {}

    # -- taking ------------------------------------------------------------------------------------

    def school(self, header: Header) -> None:
        """Whose answer it is. Raises: ProtocolViolationError if it is none to the question."""
        check_header(header, self._question, operation=self._operation)
        self.header = header
        self._eckid_alone = self._eckid_alone or header.version == _ALONE

    def section(self, name: str) -> None:
        """A part that the answer has."""
        self.sections.add(name)

    def record(self, kind: str, element: Element) -> None:
        """One record: what was not agreed on is left out, and it waits as it was sent."""
        fields = transcribe(element, names=self._taken[kind], cut=self._cut[kind])
        if kind in self._nameless:
            fields.pop("eckid", None)
        self._seen[kind].update(fields)
        key = fields.get("key") or None
        if key is None and kind in self._in and self._eckid_alone:
            key = source_key(None, fields.get("eckid"))
        body = _encode(fields)
        if key is None:
            rule = "is required and missing" if self._eckid_alone else _KEYLESS
            self.rejected[kind].append((ParseError("key", rule), body))
        elif len(body) > LARGEST_RECORD:
            error = ParseError("$", f"is larger than {LARGEST_RECORD} bytes")
            self.rejected[kind].append((error, body[:LARGEST_RECORD]))
        else:
            self._keep(kind, key, body, fields)

    def _keep(
        self, kind: str, key: str, body: bytes, fields: Fields, *, merging: bool = False
    ) -> None:
        digest, digests = hash(body), self._digests[kind]
        if key in digests:
            if digests[key] != digest or not merging:
                self._doubled.add(kind)
            return
        digests[key] = digest
        if kind in _MEMBERS and self._groups.setdefault(key, kind) != kind:
            self._doubled.add(kind)
            return
        if kind in self._in:
            if eckid := fields.get("eckid"):
                self._eckids.add(kind)
                if self._holder.setdefault(eckid, key) != key:
                    self._doubtful.add(eckid)
            members = self._in[kind]
            for group in groups_of(fields):
                members[group].append(key)
        spool = self._spools[kind]
        spool.keys.append(key)
        spool.bodies.append(body)

    def merge(self, other: Delivery) -> None:
        """Take over what another call brought; the same person in two answers is one."""
        if self.header is None:
            self.header = other.header
        self.sections |= other.sections
        for kind, spool in other._spools.items():
            self._seen[kind] |= other._seen[kind]
            self.rejected[kind] += other.rejected[kind]
            for keys, bodies in spool.pages():
                for key, body in zip(keys, bodies, strict=True):
                    self._keep(kind, key, body, _decode(body), merging=True)
        self._doubled |= other._doubled

    @property
    def groups(self) -> Mapping[str, str]:
        """Key → kind of every group, in the order in which they came."""
        return self._groups

    def same_groups(self, other: Delivery) -> bool:
        """Whether another answer tells of the same groups in the same way."""
        return all(self._digests[kind] == other._digests[kind] for kind in _MEMBERS)

    # -- handing over ------------------------------------------------------------------------------

    def contract(self, resource: str, version: str) -> DeliveryContract:
        """What this answer delivers of a resource: agreed on, and seen in any of its records."""
        if resource == "school":
            return DeliveryContract(
                dict.fromkeys(("key", "brincode", "dependancecode", "schoolkey"), True), version
            )
        names, seen = _LOCAL[resource], self._seen[resource]
        fields = {}
        for name in names.values():
            allowed = name in self._allowed[resource]
            told = name in seen or name in _SELDOM.get(resource, ()) or _WITH.get(name) in seen
            fields[name] = allowed and told
        if resource in self._in:
            fields["eckid"] = resource in self._eckids
        if resource in _MEMBERS:
            fields["leerlingen"] = self._is_whole("leerling")
            fields["leerkrachten"] = self._is_whole("leerkracht")
        return DeliveryContract({"key": True, **fields}, version)

    def pages(self, resource: str, *, cursor: str) -> Iterator[Page]:
        """The records of a resource; the cursor goes with the last page."""
        rejected = self.rejected.get(resource, ())
        last = Page((), (), rejected, cursor=cursor or None)
        if resource == "school":
            yield Page([self.place.key], [_school(self.place)], cursor=cursor or None)
            return
        for keys, bodies in self._spools[resource].pages():
            if self._doubtful or resource in _MEMBERS:
                bodies = [self._body(resource, k, b) for k, b in zip(keys, bodies, strict=True)]
            yield Page(keys, bodies)
        if rejected or cursor:
            yield last

    def _body(self, resource: str, key: str, body: bytes) -> bytes:
        if resource in _MEMBERS:
            members = {
                "leerlingen": sorted(set(self._in["leerling"].get(key, ()))),
                "leerkrachten": sorted(set(self._in["leerkracht"].get(key, ()))),
            }
            return _encode({**_decode(body), **members})
        if not self._doubtful or resource not in self._in:
            return body
        fields = _decode(body)
        if fields.get("eckid") not in self._doubtful:
            return body
        del fields["eckid"]
        return _encode({**fields, DOUBTFUL: True})

    def completeness(self, resource: str) -> Completeness:
        """Whether this answer held everything of a resource."""
        if resource == "school":
            return Completeness(True)
        section = SECTIONS[resource]
        if section not in self.sections:
            return Completeness(
                False,
                f"the answer has no part {section}",
                f"De administratie levert geen {section}. Noem in de configuratie bij `resources` "
                "alleen wat zij levert, of vraag de school om een ruimere set.",
            )
        if self.rejected.get(resource):
            return Completeness(False, "a record has no usable key", _MEND)
        if resource in self._doubled:
            return Completeness(False, "a record came twice", _MEND)
        if self.shaken:
            return Completeness(False, "the groups changed while they were read", _AGAIN)
        if resource in _MEMBERS and (lost := self._dangling()):
            reason = f"{lost} groups that persons refer to are not in the answer"
            return Completeness(False, reason, _MEND)
        return Completeness(True)

    def _is_whole(self, kind: str) -> bool:
        """Whether it is known of every person of a kind in which groups he is."""
        there = SECTIONS[kind] in self.sections
        known = kind in self._allowed and kind not in self._doubled
        return there and known and not self.rejected.get(kind)

    def _dangling(self) -> int:
        """How many groups persons refer to that are not there; of which kind nobody knows."""
        referred = {group for groups in self._in.values() for group in groups}
        return len(referred - self._groups.keys())


_KEYLESS: Final = "is required before 2.3, and missing"
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Fields).decode


def _school(place: Place) -> bytes:
    """The school as it was asked for: an answer's own times would make it differ each night."""
    found = {
        "brincode": place.brincode,
        "dependancecode": place.dependancecode,
        "schoolkey": place.schoolkey,
    }
    return _encode({"key": place.key, **{name: value for name, value in found.items() if value}})
