"""XML from outside: hostile until parsed, and never larger in memory than what is asked of it.

One way to read for all systems. A document is fed chunk by chunk to lxml; only the elements that a
caller names come out, and what it is done with is thrown away. Nothing is fetched, no DTD is
loaded, no entity is resolved, and a document that declares a DOCTYPE is refused before the parser
sees it: no system that we speak to has a use for one.

Bounds: a document and each element that comes out have a largest size; libxml2 itself refuses
more than 256 levels, a text of more than ten million bytes, and names of more than fifty thousand
(`huge_tree` is off). An error says which rule was broken and never shows what stood there.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, cast

from lxml import etree

Element: TypeAlias = etree._Element

Event = tuple[Literal["start", "end"], Element]

_SAFE: Final[dict[str, Any]] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "dtd_validation": False,
    "attribute_defaults": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
    "recover": False,
    "collect_ids": False,
}

_PROLOG_BYTES: Final = 4096
"""How much may stand before the root element: a declaration, a comment, white space."""

_PIECE_BYTES: Final = 64 * 1024

_DECLARED: Final = re.compile(rb"<\?xml[ \t\r\n][^>]*?encoding[ \t\r\n]*=[ \t\r\n]*[\"']([^\"']*)")
_ENCODINGS: Final = frozenset({b"utf-8", b"utf8", b"us-ascii", b"iso-8859-1", b"windows-1252"})
"""Each writes `<` as one byte, so that what stands before the root can be told."""


class XmlRefusedError(ValueError):
    """A document that is not taken; the message is the rule, without anything of its content.

    Attributes:
        cut_off: it ends before its root element does.
    """

    def __init__(self, rule: str, *, cut_off: bool = False) -> None:
        super().__init__(rule)
        self.rule = rule
        self.cut_off = cut_off


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large a document may be, and one element that comes out of it, in bytes as sent."""

    document_bytes: int = 64 * 1024 * 1024
    element_bytes: int = 1024 * 1024


def elements(
    chunks: Iterable[bytes],
    *,
    ends: Collection[str],
    starts: Collection[str] = (),
    bounds: Bounds | None = None,
) -> Iterator[Event]:
    """The named elements of a document, in its order, while it comes in.

    Shape: `("start", element)` where an element of `starts` opens (attributes only), and
    `("end", element)` where one of `ends` is whole. Names are Clark names (`{namespace}name`).
    Memory: call `release` on an element that is done with; what is not named stays until the
    element around it is released.
    Raises: XmlRefusedError for a document that is not well formed, is cut off, breaks a bound,
        declares a DOCTYPE, or is in an encoding other than UTF-8, US-ASCII, ISO-8859-1 or
        Windows-1252.
    """
    bounds = bounds if bounds is not None else Bounds()
    wanted = tuple({*ends, *starts})
    parser = etree.XMLPullParser(("start", "end"), tag=wanted, **_SAFE)
    room, since, begun = bounds.document_bytes, 0, False
    try:
        for chunk in _past_prolog(_small(chunks)):
            room -= len(chunk)
            since += len(chunk)
            if room < 0:
                raise XmlRefusedError(f"is larger than {bounds.document_bytes} bytes")
            if since > bounds.element_bytes:
                raise XmlRefusedError(f"holds a part of more than {bounds.element_bytes} bytes")
            parser.feed(chunk)
            for event, element in _events_of(parser):
                if not begun:
                    _check_doctype(element)
                    begun = True
                since = 0
                if event == "start":
                    if element.tag in starts:
                        yield "start", element
                elif element.tag in ends:
                    yield "end", element
    except etree.XMLSyntaxError:
        raise _malformed() from None
    _check_doctype(_close(parser))
    for event, element in _events_of(parser):  # what the last bytes completed
        if event == "end" and element.tag in ends:
            yield "end", element


def _events_of(parser: etree.XMLPullParser) -> Iterator[Event]:
    """What the parser has by now; with these two kinds of event it is always an element."""
    return cast(Iterator[Event], parser.read_events())


def release(element: Element) -> None:
    """Throw away an element that is done with, and those before it under the same parent."""
    element.clear()
    parent = element.getparent()
    if parent is not None:
        while element.getprevious() is not None:
            del parent[0]


def whole(document: bytes, *, bounds: Bounds | None = None) -> Element:
    """A small document as a tree.

    Raises: XmlRefusedError, as `elements`.
    """
    limit = (bounds if bounds is not None else Bounds()).element_bytes
    if len(document) > limit:
        raise XmlRefusedError(f"is larger than {limit} bytes")
    parser = etree.XMLParser(**_SAFE)
    try:
        for chunk in _past_prolog((document,)):
            parser.feed(chunk)
    except etree.XMLSyntaxError:
        raise _malformed() from None
    root = _close(parser)
    _check_doctype(root)
    return root


def encode(element: Element) -> bytes:
    """An element as UTF-8, without declaration and without what follows it."""
    return etree.tostring(element, encoding="utf-8", with_tail=False)


def name_of(element: Element) -> str:
    """The name without its namespace."""
    return etree.QName(element).localname


def text_of(element: Element | None) -> str | None:
    """The text of an element, trimmed; None where it is absent or holds none."""
    if element is None:
        return None
    return (element.text or "").strip() or None


def _close(parser: etree.XMLParser | etree.XMLPullParser) -> Element:
    """The root of a document that was fed whole.

    What the parser finds wrong only now is that something is missing, but for an entity that
    nobody declared: then it says at the end, without a rule, that there is no document.
    Raises: XmlRefusedError.
    """
    try:
        return parser.close()
    except etree.XMLSyntaxError as exc:
        if getattr(exc, "code", None) == etree.ErrorTypes.ERR_INTERNAL_ERROR:
            raise _malformed() from None
        raise XmlRefusedError("is cut off", cut_off=True) from None


def _malformed() -> XmlRefusedError:
    """The rule that was broken; lxml's own text may quote the document."""
    return XmlRefusedError("is not well-formed XML within its bounds")


def _check_doctype(element: Element) -> None:
    """What the look at the bytes let through is refused here: an encoding may hide it."""
    if element.getroottree().docinfo.internalDTD is not None:
        raise XmlRefusedError("declares a DOCTYPE")


def _small(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces that no bound can hide in."""
    for chunk in chunks:
        for start in range(0, len(chunk), _PIECE_BYTES):
            yield chunk[start : start + _PIECE_BYTES]


def _past_prolog(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks as they are, once what stands before the root element has been judged."""
    head, looking = b"", True
    for chunk in chunks:
        if not looking:
            yield chunk
            continue
        head += chunk
        if _prolog_ends(head):
            looking = False
            yield head
        elif len(head) > _PROLOG_BYTES:
            raise XmlRefusedError(f"has no root element within {_PROLOG_BYTES} bytes")
    if looking:
        raise XmlRefusedError("is cut off" if head.strip() else "is empty", cut_off=True)


def _prolog_ends(head: bytes) -> bool:
    """Whether the root element begins in these bytes; False where more are needed.

    Raises: XmlRefusedError if a DOCTYPE stands there, or the encoding is none that is taken.
    """
    text = head.removeprefix(b"\xef\xbb\xbf")
    if b"\x00" in text[:4] or text[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        raise XmlRefusedError("is in an encoding that is not taken")
    declared = _DECLARED.match(text)
    if declared and declared[1].lower() not in _ENCODINGS:
        raise XmlRefusedError("is in an encoding that is not taken")
    at = 0
    while True:
        while at < len(text) and text[at] in b" \t\r\n":
            at += 1
        rest = text[at : at + 9]
        if rest.startswith(b"<?"):
            end = text.find(b"?>", at)
        elif rest.startswith(b"<!--"):
            end = text.find(b"-->", at + 4)
        elif rest.startswith(b"<!D"):
            raise XmlRefusedError("declares a DOCTYPE")
        else:  # the root element, or what the parser will refuse
            return len(rest) >= 4 or not b"<!--".startswith(rest)
        if end < 0:
            return False
        at = end + (2 if rest.startswith(b"<?") else 3)
