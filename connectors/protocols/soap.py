"""SOAP 1.1 over our own transport: an envelope out, the parts that are asked for in.

No SOAP library: requests are built as elements, answers are read as a stream (xmldoc.py) while they
come in. What a fault means is the protocol's own: a client is given a function from fault code to
error. A fault's text is written by people and may name a person: it is not kept, shown or logged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from lxml import etree

from connectors.errors import (
    ConnectorError,
    IncompleteAnswerError,
    ProtocolViolationError,
    RequestRefusedError,
    SourceUnavailableError,
)
from connectors.protocols.rest import Intake, RestTransport
from connectors.protocols.xmldoc import (
    Bounds,
    Element,
    Event,
    XmlRefusedError,
    elements,
    encode,
    name_of,
    text_of,
    whole,
)

T = TypeVar("T")

ENVELOPE: Final = "http://schemas.xmlsoap.org/soap/envelope/"

_ROOT: Final = f"{{{ENVELOPE}}}Envelope"
_BODY: Final = f"{{{ENVELOPE}}}Body"
_FAULT: Final = f"{{{ENVELOPE}}}Fault"
_MEDIA: Final = frozenset({"text/xml", "application/xml", "application/soap+xml"})
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,80}")


def envelope(body: Element, *, head: Sequence[Element] = ()) -> bytes:
    """A whole request: UTF-8, with declaration."""
    root = etree.Element(_ROOT, nsmap={"soap": ENVELOPE})
    if head:
        etree.SubElement(root, f"{{{ENVELOPE}}}Header").extend(head)
    etree.SubElement(root, _BODY).append(body)
    return b"<?xml version='1.0' encoding='utf-8'?>\n" + encode(root)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault, by its code, and by its actor where a protocol tells its errors by that.

    Attributes:
        code: without namespace prefix and without a leading `soap.`: `Client.AutorisatieOngeldig`;
            empty where it has none that can be shown.
        actor: the text of `faultactor`; empty where it has none that can be shown.
    """

    code: str
    actor: str = ""

    @property
    def is_servers(self) -> bool:
        """Whether the server says that it is its own failure."""
        return self.code.partition(".")[0] == "Server"


class FaultJudge(Protocol):
    """What a fault means in one protocol."""

    def __call__(self, fault: Fault, *, system: str, operation: str) -> ConnectorError:
        """The error that it is."""


def plain_fault(fault: Fault, *, system: str, operation: str) -> ConnectorError:
    """What a fault means that no protocol says more of: `Server` may be tried again."""
    names = {"system": system, "operation": operation}
    text = f"{operation}: fault {fault.code or 'without a code'}"
    kind = fault.code.partition(".")[0]
    if kind == "Server":
        return SourceUnavailableError(text, **names)
    if kind == "Client":
        return RequestRefusedError(text, code=fault.code, **names)
    return ProtocolViolationError(text, where="faultcode", **names)


def read_fault(element: Element) -> Fault:
    """The fault's code, whatever prefix it was written with, and its actor as it is.

    Lenient: the code may be qualified with any prefix or none, with `soap.` for `soap:`, and the
    element may stand in a namespace or not.
    Spec: uwlr.md, section 11 (CONFIRMED); eckid.md, section 11 (CONFIRMED).
    """
    parts = {name_of(child): text_of(child) or "" for child in reversed(element)}
    code = parts.get("faultcode", "").rpartition(":")[2].strip()
    if code[:5].lower() == "soap.":
        code = code[5:]
    actor = parts.get("faultactor", "")
    return Fault(code if _CODE.fullmatch(code) else "", actor if _CODE.fullmatch(actor) else "")


def fault_in(document: bytes) -> Fault | None:
    """The fault that a whole answer is; None where no fault can be read in it."""
    if document.lstrip()[:1] != b"<":
        return None
    try:
        root = whole(document)
    except XmlRefusedError:
        return None
    found = root.find(f"{_BODY}/{_FAULT}") if root.tag == _ROOT else None
    return read_fault(found) if found is not None else None


@dataclass(frozen=True, slots=True)
class Asked:
    """What is wanted of an answer: names of elements, as for `xmldoc.elements`."""

    ends: Collection[str]
    starts: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class SoapClient:
    """Calls to one address.

    Attributes:
        headers: HTTP headers that go with every call.
        judge: what this protocol's faults mean.
        repeats: asking twice has no other effect than asking once.
    """

    transport: RestTransport
    system: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    judge: FaultJudge = plain_fault
    bounds: Bounds = field(default_factory=Bounds)
    repeats: bool = True

    def call(
        self,
        body: Element,
        *,
        action: str,
        operation: str,
        asked: Asked,
        take: Callable[[Iterator[Event]], T],
        head: Sequence[Element] = (),
    ) -> T:
        """One call; `take` is given the wanted elements while the answer comes in.

        `take` is begun anew when the call is repeated, so it must make what it returns by itself.
        Raises: ConnectorError; what the answer breaks is a ProtocolViolationError, and an
            IncompleteAnswerError where it is cut off.
        """

        def receive(media_type: str, chunks: Iterable[bytes]) -> T:
            if media_type not in _MEDIA:
                raise self._violation(
                    operation, "is no XML by its Content-Type", where="header Content-Type"
                )
            try:
                return take(self._parts(chunks, operation=operation, asked=asked))
            except XmlRefusedError as error:
                raise self._refused_document(error, operation=operation) from None

        def refused(status: int, media_type: str, begin: bytes) -> ConnectorError | None:
            return self._fault_in(begin, operation=operation)

        return self.transport.post_document(
            self.url,
            operation=operation,
            document=envelope(body, head=head),
            headers={
                "Accept": "text/xml",
                "Content-Type": "text/xml; charset=utf-8",
                "SOAPAction": f'"{action}"',
                **self.headers,
            },
            intake=Intake(receive, refused),
            repeats=self.repeats,
        )

    def _parts(self, chunks: Iterable[bytes], *, operation: str, asked: Asked) -> Iterator[Event]:
        """The wanted elements inside the envelope's body; a fault is raised.

        Raises: ConnectorError; XmlRefusedError.
        """
        enveloped = False
        for event, element in elements(
            chunks,
            starts={_BODY, *asked.starts},
            ends={_FAULT, *asked.ends},
            bounds=self.bounds,
        ):
            if element.tag == _BODY:
                root = element.getparent()
                enveloped = root is not None and root.tag == _ROOT and root.getparent() is None
            elif not enveloped:
                break
            elif element.tag == _FAULT:
                raise self.judge(read_fault(element), system=self.system, operation=operation)
            else:
                yield event, element
        if not enveloped:
            raise self._violation(operation, "is no SOAP 1.1 envelope", where="Envelope")

    def _fault_in(self, document: bytes, *, operation: str) -> ConnectorError | None:
        """The error in an answer of 400 and above; None where no fault can be read in it."""
        fault = fault_in(document)
        if fault is None:
            return None
        return self.judge(fault, system=self.system, operation=operation)

    def _refused_document(self, error: XmlRefusedError, *, operation: str) -> ConnectorError:
        if error.cut_off:
            return IncompleteAnswerError(
                f"{operation}: the answer {error.rule}",
                where="body",
                system=self.system,
                operation=operation,
            )
        return self._violation(operation, error.rule, where="body")

    def _violation(self, operation: str, what: str, *, where: str) -> ProtocolViolationError:
        return ProtocolViolationError(
            f"{operation}: the answer {what}", where=where, system=self.system, operation=operation
        )
