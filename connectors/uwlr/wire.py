"""Requests out, answers in: one call of UWLR, without knowing what becomes of it.

An answer is read while it comes in; every record is handed to a `Harvest` at once and thrown away.
Spec: uwlr.md, sections 4 to 7 (CONFIRMED).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol, TypeVar

from lxml import etree

from connectors.errors import ProtocolViolationError
from connectors.protocols.soap import Asked, SoapClient
from connectors.protocols.xmldoc import Element, Event, name_of, release, text_of
from connectors.uwlr.manifest import SYSTEM
from connectors.uwlr.names import AUT, LG, NOTHING, UNCHANGED, Call, lg
from connectors.uwlr.options import Authorisation, Place

_MOMENT: Final = re.compile(
    r"-?[0-9]{4,9}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,12})?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})?"
)
_SCHOOLJAAR: Final = re.compile(r"[12][0-9]{3}-[12][0-9]{3}")


class Said(StrEnum):
    """What an answer is: data, or one of the two that are no error and no data."""

    DATA = "data"
    UNCHANGED = "geenwijzigingen"
    NOTHING = "geengegevens"


@dataclass(frozen=True, slots=True)
class Question:
    """What every call asks.

    Attributes:
        schooljaar: `2026-2027`.
        since: `aanmaakdatum` of an earlier answer; empty asks for the data whatever came before.
    """

    place: Place
    schooljaar: str
    version: str
    gegevenssetid: str = ""
    since: str = ""


class Group(Protocol):
    """A group to ask the persons of; an empty key is *no group of this kind*."""

    @property
    def kind(self) -> str:
        """`groep` or `samengestelde_groep`."""

    @property
    def key(self) -> str:
        """Its key."""


@dataclass(frozen=True, slots=True)
class Header:
    """Whose answer it is, as its `school` says."""

    schooljaar: str
    brincode: str
    dependancecode: str
    schoolkey: str
    aanmaakdatum: str
    version: str


class Harvest(Protocol):
    """Takes the records of an answer, one by one; an element is gone when its method returns."""

    def school(self, header: Header) -> None:
        """First of all: whose answer it is. Raises: ConnectorError to take nothing of it."""

    def section(self, name: str) -> None:
        """The answer has this part (`groepen`), be it empty."""

    def record(self, kind: str, element: Element) -> None:
        """One record of that part: `vestiging`, `groep`, `leerling`..."""


H = TypeVar("H", bound=Harvest)


def authorisation(granted: Authorisation) -> Element:
    """The header of every request. Spec: section 5 (CONFIRMED)."""
    root = etree.Element(f"{{{AUT}}}autorisatie", nsmap={"aut": AUT})
    for name, value in (
        ("autorisatiesleutel", granted.sleutel),
        ("klantcode", granted.klantcode),
        ("klantnaam", granted.klantnaam),
    ):
        etree.SubElement(root, f"{{{AUT}}}{name}").text = value
    return root


def request(call: Call, question: Question, groups: Sequence[Group] = ()) -> Element:
    """The body of a request, its children in the order of the schema. Spec: section 6."""
    root = etree.Element(lg(call.request), nsmap={"lg": LG})
    place = question.place
    for name, value in (
        ("schooljaar", question.schooljaar),
        ("brincode", place.brincode),
        ("dependancecode", place.dependancecode),
        ("schoolkey", place.schoolkey),
        ("xsdversie", question.version),
        ("gegevenssetid", question.gegevenssetid),
        ("laatstontvangengegevens", question.since),
    ):
        if value:
            etree.SubElement(root, lg(name)).text = value
    if groups:
        listed = etree.SubElement(root, lg("groepen"))
        for group in groups:
            asked = etree.SubElement(listed, lg(group.kind))
            if group.key:
                asked.set("key", group.key)
    return root


def is_moment(text: str) -> bool:
    """Whether a text is a date and time as the schema has it."""
    return bool(_MOMENT.fullmatch(text))


_WATCHED: Final = ("vestigingen", "groepen", "leerlingen", "leerkrachten")
_ENDS: Final = frozenset(
    map(lg, ("school", "vestigingen", "groepen", "leerling", "leerkracht", UNCHANGED, NOTHING))
)
_PERSONS: Final = {"leerlingen": "leerling", "leerkrachten": "leerkracht"}
_SMALL: Final = {
    "vestigingen": frozenset({lg("vestiging")}),
    "groepen": frozenset({lg("groep"), lg("samengestelde_groep")}),
}


def wanted(call: Call) -> Asked:
    """The elements of an answer that `read_answer` looks at."""
    return Asked(ends=_ENDS, starts={lg(call.answer), lg(call.data), *map(lg, _WATCHED)})


def ask(
    client: SoapClient, call: Call, body: Element, *, head: Element, make: Callable[[], H]
) -> tuple[Said, H]:
    """Make one call and hand its records over; what was said, and the harvest.

    A harvest is made for each attempt: what came of an answer that broke off is thrown away.
    Raises: ConnectorError.
    """

    def take(events: Iterator[Event]) -> tuple[Said, H]:
        harvest = make()
        return read_answer(call, events, harvest=harvest), harvest

    return client.call(
        body, action=call.action, operation=call.name, asked=wanted(call), take=take, head=(head,)
    )


def read_answer(call: Call, events: Iterator[Event], *, harvest: Harvest) -> Said:
    """The parts of an answer, in its order.

    Raises: ProtocolViolationError if it is no answer to this call, holds parts twice or elsewhere,
        or does not say whose it is before its records.
    """
    answer = _Answer(call, harvest)
    opened, closed = answer.opened, answer.closed
    for event, element in events:
        if event == "start":
            opened(element)
        elif element.tag == answer.person and element.getparent() is answer.section:
            harvest.record(answer.kind, element)
            release(element)
        else:
            closed(element)
    return answer.outcome()


class _Answer:
    """How far the reading of one answer is.

    Attributes:
        section: the part that is open last; while it is held, the parent of what stands in it is
            this very object.
        person, kind: tag and name of the persons that stand in it, where it holds persons.
    """

    def __init__(self, call: Call, harvest: Harvest) -> None:
        self.section: Element | None = None
        self.person, self.kind = "", ""
        self._call, self._harvest = call, harvest
        self._answer, self._data = lg(call.answer), lg(call.data)
        self._inside = False
        self._said: Said | None = None
        self._seen: set[str] = set()

    def opened(self, element: Element) -> None:
        """The answer itself, its data, or a part of them begins."""
        name = name_of(element)
        if element.tag == self._answer:
            if self._inside:
                raise _violation(self._call, "holds an answer twice", name)
            self._inside = True
        elif not self._inside:
            return
        elif element.tag == self._data:
            self._says(Said.DATA, name)
        elif _parent(element) == self._data:
            if _HEAD not in self._seen:
                raise _violation(self._call, "does not say first whose it is", _HEAD)
            self._once(name)
            self.section, self.kind = element, _PERSONS.get(name, "")
            self.person = lg(self.kind) if self.kind else ""
            self._harvest.section(name)

    def closed(self, element: Element) -> None:
        """What is no person is whole: a small part, the school, or an answer without data."""
        name, parent = name_of(element), _parent(element)
        if not self._inside:
            return
        if parent == self._answer and name in {UNCHANGED, NOTHING}:
            self._says(Said(name), name)
        elif parent != self._data:
            return
        elif name == _HEAD:
            self._once(name)
            self._harvest.school(_header(element))
            release(element)
        elif name in _SMALL:
            for child in element:
                if child.tag in _SMALL[name]:
                    self._harvest.record(name_of(child), child)
            release(element)

    def outcome(self) -> Said:
        """What the answer says, once it has ended."""
        if not self._inside:
            what = "is none to this question, or in another namespace"
            raise _violation(self._call, what, self._call.answer)
        if self._said is None:
            raise _violation(self._call, "is empty", self._call.answer)
        if self._said is Said.DATA and _HEAD not in self._seen:
            raise _violation(self._call, "does not say whose it is", _HEAD)
        return self._said

    def _says(self, said: Said, name: str) -> None:
        if self._said is not None:
            what = "holds more than one of data, none and no changes"
            raise _violation(self._call, what, name)
        self._said = said

    def _once(self, name: str) -> None:
        if name in self._seen:
            raise _violation(self._call, "holds a part twice", name)
        self._seen.add(name)


_HEAD: Final = "school"
_SCHOOL: Final = lg("school")


def _parent(element: Element) -> str:
    parent = element.getparent()
    return "" if parent is None else str(parent.tag)


def _header(element: Element) -> Header:
    found = {name_of(child): text_of(child) or "" for child in element if not len(child)}
    moment = found.get("aanmaakdatum", "")
    return Header(
        schooljaar=found.get("schooljaar", ""),
        brincode=found.get("brincode", "").upper(),
        dependancecode=found.get("dependancecode", ""),
        schoolkey=found.get("schoolkey", ""),
        aanmaakdatum=moment if is_moment(moment) else "",
        version=found.get("xsdversie", ""),
    )


def read_header(call: Call, events: Iterator[Event]) -> Header | Said:
    """What an answer begins with: whose it is, or that there is nothing; the rest is not read.

    Raises: ProtocolViolationError if it is no answer to this call.
    """
    answered = False
    for event, element in events:
        if event == "start":
            answered = answered or element.tag == lg(call.answer)
        elif not answered:
            break
        elif element.tag == _SCHOOL and _parent(element) == lg(call.data):
            return _header(element)
        elif element.tag != _SCHOOL and _parent(element) == lg(call.answer):
            return Said(name_of(element))
    raise _violation(call, "is none to this question, or in another namespace", call.answer)


def check_header(header: Header, question: Question, *, operation: str) -> None:
    """Refuse an answer about another school or school year than was asked.

    Lenient: `00` and no dependancecode are the same, and an answer may leave it out.
    Raises: ProtocolViolationError.
    """
    place = question.place
    if not _SCHOOLJAAR.fullmatch(header.schooljaar) or header.schooljaar != question.schooljaar:
        raise _wrong(operation, "is of another school year than was asked", "schooljaar")
    if place.brincode and header.brincode != place.brincode:
        raise _wrong(operation, "is of another school than was asked", "brincode")
    if place.schoolkey and header.schoolkey not in {"", place.schoolkey}:
        raise _wrong(operation, "is of another school than was asked", "schoolkey")
    asked, told = place.dependancecode or "00", header.dependancecode or "00"
    if place.brincode and header.dependancecode and told != asked:
        raise _wrong(operation, "is of another vestiging than was asked", "dependancecode")


def _violation(call: Call, what: str, where: str) -> ProtocolViolationError:
    return _wrong(call.name, what, where)


def _wrong(operation: str, what: str, where: str) -> ProtocolViolationError:
    message = f"{operation}: the answer {what}"
    return ProtocolViolationError(message, where=where, system=SYSTEM, operation=operation)
