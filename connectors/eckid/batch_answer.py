"""The answer to a batch, read as a stream: row by row, whatever its size.

Not by zeep, which builds the whole answer as a tree and once more as objects: for 5,000 rows the
stream takes 50 ms and 1.4 MB where zeep takes 125 ms and 3.5 MB, and a row that breaks a rule
costs that row, where zeep would make None of it. The answer comes only once, so nothing that is
good in it may be lost by what is not.

Spec: eckid.md, sections 8 and 10.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from connectors.eckid.facility import BatchResult
from connectors.eckid.faults import WrongEnvironmentError, judge
from connectors.eckid.manifest import SYSTEM
from connectors.eckid.names import nv
from connectors.errors import IncompleteAnswerError, ProtocolViolationError
from connectors.protocols.soap import ENVELOPE, read_fault
from connectors.protocols.xmldoc import (
    Bounds,
    Element,
    XmlRefusedError,
    elements,
    release,
    text_of,
)
from sector.identifiers import EckId, InvalidIdentifierError, Stampseudoniem

OPERATION: Final = "retrieveBatch"

_RESPONSE: Final = nv("retrieveBatchResponse")
_SUCCESS: Final = nv("success")
_FAILED: Final = nv("failed")
_INDEX: Final = nv("index")
_FAULT: Final = f"{{{ENVELOPE}}}Fault"
_PATH: Final = (f"{{{ENVELOPE}}}Body", f"{{{ENVELOPE}}}Envelope")
_INT: Final = re.compile(r"[+-]?[0-9]{1,10}").fullmatch
_LARGEST: Final = 2**31


def read_batch(body: bytes, *, is_test: bool) -> BatchResult:
    """What a whole answer says; see `BatchResult`.

    Raises: ProtocolViolationError if it is no such answer, IncompleteAnswerError if it is cut off,
        WrongEnvironmentError if a pseudonym is of the other environment; what a fault means.
    """
    reader = _Reader(is_test=is_test)
    found = False
    try:
        for event, element in elements(
            (body,),
            starts={_RESPONSE},
            ends={_SUCCESS, _FAILED, _FAULT},
            bounds=Bounds(document_bytes=max(len(body), 1)),
        ):
            if event == "start":
                found = found or _stands_in(element, _PATH)
            elif element.tag == _FAULT and _stands_in(element, _PATH):
                raise judge(read_fault(element), status=200, operation=OPERATION)
            elif _stands_in(element, (_RESPONSE, *_PATH)):
                reader.take(element)
                release(element)
    except XmlRefusedError as error:
        raise _violation(error.rule, cut_off=error.cut_off) from None
    if not found:
        raise _violation("holds no retrieveBatchResponse")
    return reader.result()


class _Reader:
    """Rows → what was found, and what was wrong."""

    def __init__(self, *, is_test: bool) -> None:
        self._is_test = is_test
        self._found: dict[int, str] = {}
        self._failed: set[int] = set()
        self._twice: set[int] = set()
        self._problems: Counter[str] = Counter()

    def take(self, row: Element) -> None:
        """One row."""
        index = self._index(row)
        if index is None:
            return
        if index in self._found or index in self._failed:
            self._twice.add(index)
        elif row.tag == _FAILED:
            self._failed.add(index)
        else:
            value = self._value(row)
            if value is None:
                self._failed.add(index)
            else:
                self._found[index] = value

    def result(self) -> BatchResult:
        """All of it. A pseudonym whose index stands twice is believed by nobody."""
        for index in self._twice:
            self._found.pop(index, None)
        if self._twice:
            self._problems["an index stands in it twice"] = len(self._twice)
        return BatchResult(self._found, frozenset(self._failed | self._twice), self._problems)

    def _index(self, row: Element) -> int | None:
        text = text_of(row.find(_INDEX)) or ""
        if _INT(text) and -_LARGEST <= int(text) < _LARGEST:
            return int(text)
        self._problems["a row has no index"] += 1
        return None

    def _value(self, row: Element) -> str | None:
        text = text_of(row.find(nv("value"))) or ""
        pseudonym = _pseudonym(text)
        if pseudonym is None:
            self._problems["a value is no pseudonym"] += 1
            return None
        if pseudonym.is_test is not self._is_test:
            message = f"{OPERATION}: a pseudonym is of the other environment"
            raise WrongEnvironmentError(message, where="value", system=SYSTEM, operation=OPERATION)
        return pseudonym.reveal()


def _pseudonym(text: str) -> Stampseudoniem | EckId | None:
    """Of the one kind or the other: the two forms do not overlap."""
    for kind in (EckId, Stampseudoniem):
        try:
            return kind(text)
        except InvalidIdentifierError:
            continue
    return None


def _stands_in(element: Element, around: tuple[str, ...]) -> bool:
    """Whether the elements around it are these, from the inside out, and no others."""
    parent = element.getparent()
    for tag in around:
        if parent is None or parent.tag != tag:
            return False
        parent = parent.getparent()
    return parent is None


def _violation(what: str, *, cut_off: bool = False) -> ProtocolViolationError:
    kind = IncompleteAnswerError if cut_off else ProtocolViolationError
    message = f"{OPERATION}: the answer {what}"
    return kind(message, where="body", system=SYSTEM, operation=OPERATION)
