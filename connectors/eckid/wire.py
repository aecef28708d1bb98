"""Envelopes of the number facility through zeep: a call out, its answer in; no sockets.

zeep makes requests and reads answers by our own description of the interface (contract/), and never
reaches a network: it loads nothing but that file, and posts through a function that it is handed.
Loading it takes a fifth of a second, so this module is imported by whoever makes a call.

The answer to a batch is not read by zeep but as a stream (batch_answer.py).

Spec: eckid.md, sections 5 to 8 and 17.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Any, NoReturn

from lxml import etree
from zeep import Client, Settings
from zeep.exceptions import Error as ZeepError
from zeep.transports import Transport
from zeep.wsa import WsAddressingPlugin
from zeep.wsdl import Document

from connectors.eckid.answers import violation
from connectors.eckid.names import ADDRESSING, ANONYMOUS, BINDING, wsa
from connectors.protocols.xmldoc import XmlRefusedError, text_of, whole

_log = logging.getLogger(__name__)

Post = Callable[[bytes, Mapping[str, str], str], bytes]
"""Sends an envelope with its HTTP headers, and returns the whole body of the answer; the third is
the MessageID, for logs."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer as zeep wants one; whatever was not 200 has become an error before it."""

    content: bytes = field(repr=False)
    status_code: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "text/xml"})
    encoding: str = "utf-8"


class _Carrier(Transport):
    """What zeep posts by: never its own network."""

    def __init__(self, post: Post | None = None) -> None:
        # not zeep's own: it opens a session of `requests`
        self._post = post
        self._close_session = False

    def load(self, url: object) -> NoReturn:
        """Nothing is loaded: the description refers to nothing outside itself."""
        message = "nothing is loaded from outside"
        raise ValueError(message)

    def get(self, address: object, params: object, headers: object) -> NoReturn:
        """Nothing is got."""
        message = "nothing is asked but by post"
        raise ValueError(message)

    post = get

    def post_xml(
        self, address: str, envelope: etree._Element, headers: Mapping[str, str]
    ) -> _Answer:
        """Hand an envelope over."""
        if self._post is None:
            message = "nothing is posted while the description is loaded"
            raise ValueError(message)
        message_id = envelope.findtext(f".//{wsa('MessageID')}") or ""
        document = etree.tostring(envelope, xml_declaration=True, encoding="utf-8")
        return _Answer(self._post(document, headers, message_id))


@cache
def _description() -> Document:
    """The interface, loaded once in this process, from the package."""
    source = files("connectors.eckid").joinpath("contract", "nummervoorziening.wsdl")
    carrier: Any = _Carrier()  # zeep declares its class there, and wants an instance
    return Document(BytesIO(source.read_bytes()), carrier, settings=_settings())


def _settings(*, raw: bool = False) -> Settings:
    return Settings(
        strict=True,
        raw_response=raw,
        forbid_dtd=True,
        forbid_entities=True,
        forbid_external=True,
        xml_huge_tree=False,
    )


def _from(oin: str) -> etree._Element:
    """The header that says for which school is asked. Spec: section 6 (CONFIRMED)."""
    sender = etree.Element(wsa("From"), nsmap={"wsa": ADDRESSING})
    etree.SubElement(sender, wsa("Address")).text = f"{ANONYMOUS}?oin={oin}"
    return sender


@dataclass(frozen=True, slots=True)
class Call:
    """One operation, asked once.

    Attributes:
        url: of the facility; the description's own is never used.
        oin: of the school.
    """

    url: str
    oin: str
    operation: str
    arguments: Mapping[str, object] = field(default_factory=dict, repr=False)

    def ask(self, post: Post) -> object:
        """The answer, as zeep reads it: a text, a list or an object, after the operation.

        Raises: what `post` raises; ProtocolViolationError for an answer that is not as described.
        """

        def bounded(document: bytes, headers: Mapping[str, str], message_id: str) -> bytes:
            body = post(document, headers, message_id)
            self._look_at(body, message_id)
            return body

        failed = False
        answer: object = None
        try:
            answer = self._send(_Carrier(bounded))
        except (ZeepError, etree.LxmlError, ValueError, TypeError, LookupError, AttributeError):
            failed = True  # raised below, without a context: what zeep says may quote the answer
        if failed:
            raise violation(self.operation, "is not as the interface describes it")
        return answer

    def ask_raw(self, post: Post) -> bytes:
        """The body of the answer, which nobody has looked into."""
        answer = self._send(_Carrier(post), raw=True)
        if not isinstance(answer, _Answer):
            raise TypeError("a raw answer is what post_xml gave")
        return answer.content

    def _send(self, carrier: _Carrier, *, raw: bool = False) -> object:
        client = Client(
            _description(),
            transport=carrier,
            plugins=[WsAddressingPlugin()],
            settings=_settings(raw=raw),
        )
        service = client.create_service(BINDING, self.url)
        return service[self.operation](**self.arguments, _soapheaders=[_from(self.oin)])

    def _look_at(self, body: bytes, message_id: str) -> None:
        """Refuse what is hostile or too large before zeep reads it; compare whom it answers.

        Raises: ProtocolViolationError.
        """
        try:
            root = whole(body)
        except XmlRefusedError as error:
            raise violation(self.operation, error.rule) from None
        told = text_of(root.find(f".//{wsa('RelatesTo')}"))
        if told is not None and told != message_id:
            _log.warning("%s: the answer relates to another message", self.operation)
