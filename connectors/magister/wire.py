"""Answers of Magister's web service: bytes → rows, or what the answer says is wrong. No sockets.

Both shapes give the same rows: column → text, the column in its *plain* spelling (lower case, space
and slash as `_`, accents dropped), since Magister makes XML names of captions so, and integrations
read them in capitals and not. Absent and empty are the same, so an empty value is not in a row.
Spec: magister.md, sections 3 to 5 (CONFIRMED where not marked).
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from lxml import etree

from connectors.errors import IncompleteAnswerError, ProtocolViolationError

Row = dict[str, str]

SYSTEM: Final = "magister"
DATA: Final = "data"
"""`where` of what is wrong with the content of an answer: no rows, unreadable text."""

LAYOUT: Final = "layout"
"""`where` of what is wrong with a list that the school installed."""

_LONGEST_VALUE: Final = 10_000
_MOST_COLUMNS: Final = 500
_REPLACEMENT: Final = "\ufffd"
_DECLARATION: Final = re.compile(r"\s*<\?xml[^>]{0,200}\?>")
_DECLARED: Final = re.compile(rb"""^\s*<\?xml[^>]{0,150}encoding=["']([A-Za-z0-9._-]{1,40})["']""")
_MOJIBAKE: Final = re.compile("\u00c3[\u00a0-\u00bf\u0192\u20ac\u2018-\u201e\u2020-\u2026\u2030]")
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,60}")
_CODECS: Final = {
    "utf-8": "utf-8",
    "ansi": "cp1252",
    "windows-1252": "cp1252",
    "iso-8859-1": "cp1252",
    "utf-16": "utf-16",
}

AGAIN: Final = "De hub leest dit onderdeel vanzelf opnieuw; er wordt niets afgesloten."
_INVALID: Final = (
    "Magister antwoordt met iets anders dan een lijst, meestal een foutpagina. Laat de "
    "applicatiebeheerder van Magister het adres van de webservice nakijken."
)
_ENCODING: Final = (
    "De tekst uit Magister is beschadigd of in een andere codering dan de koppeling verwacht. Laat "
    "ops de instelling `encoding` van deze koppeling nakijken."
)


def plain_name(caption: str) -> str:
    """A column in one spelling: `Nr.tv` → `nr.tv`, `Plaats/Woonplaats` → `plaats_woonplaats`."""
    name = caption.strip().lower().replace(" ", "_").replace("/", "_")
    return name.encode("ascii", "ignore").decode()


def violation(
    operation: str, what: str, *, where: str = "body", advice: str | None = None
) -> ProtocolViolationError:
    """An error about an answer."""
    return ProtocolViolationError(
        f"{operation}: the answer {what}",
        where=where,
        system=SYSTEM,
        operation=operation,
        advice=advice,
    )


def _incomplete(operation: str, what: str) -> IncompleteAnswerError:
    return IncompleteAnswerError(
        f"{operation}: the answer {what}", where="body", system=SYSTEM, operation=operation
    )


# -- text ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Text:
    """An answer as text.

    Attributes:
        looks_broken: it holds what UTF-8 looks like when it is read as Windows-1252.
    """

    text: str = field(repr=False)
    looks_broken: bool = False

    @property
    def is_markup(self) -> bool:
        """XML or HTML: what an error is told in, also where CSV was asked."""
        return self.text.lstrip()[:1] == "<"


def read_text(
    body: bytes, *, operation: str, encoding: str = "auto", partial: bool = False
) -> Text:
    """Decode an answer: by its byte order mark, else its XML declaration, the setting, or a guess.

    Args:
        body: as it came.
        operation: for errors.
        encoding: `auto` (strict UTF-8, else Windows-1252), `utf-8` or `ansi`.
        partial: it may end in the middle of a character.

    Raises: ProtocolViolationError (`where` DATA) if no encoding fits, or a character was lost
        before it came (U+FFFD).
    Spec: section 5 (UTF-8 with byte order mark CONFIRMED; ANSI as Windows-1252 ASSUMED).
    """
    text = _decode(body, operation, encoding=encoding, partial=partial)
    if _REPLACEMENT in text or "\x00" in text:
        raise violation(operation, "holds damaged text", where=DATA, advice=_ENCODING)
    return Text(text, _MOJIBAKE.search(text) is not None)


def _decode(body: bytes, operation: str, *, encoding: str, partial: bool) -> str:
    for codec in _candidates(body, encoding):
        try:
            return codecs.getincrementaldecoder(codec)("strict").decode(body, final=not partial)
        except UnicodeError:
            continue
    raise violation(operation, "is in no known encoding", where=DATA, advice=_ENCODING)


def _candidates(body: bytes, encoding: str) -> Sequence[str]:
    if body.startswith(codecs.BOM_UTF8):
        return ("utf-8-sig",)
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ("utf-16",)
    declared = _DECLARED.match(body)
    if declared is not None:
        codec = _CODECS.get(declared[1].decode("ascii").lower())
        if codec is None:
            return ()
        return (codec, "cp1252") if encoding == "auto" else (codec,)
    return ("utf-8", "cp1252") if encoding == "auto" else (_CODECS[encoding],)


# -- rows ----------------------------------------------------------------------------------------


class Rows:
    """The rows of one answer, read as they are asked for.

    Attributes:
        columns: in their plain spelling; of XML those that have been seen so far.
        crooked: rows with more or fewer values than there are columns; they are left out, so that
            the answer is not whole.
        operation: what was asked.
    """

    def __init__(self, text: Text, *, operation: str, partial: bool = False) -> None:
        self.columns: list[str] = []
        self.crooked = 0
        self.operation = operation
        self._text = text
        self._partial = partial
        self._rows = self._xml() if text.is_markup else self._csv()
        self._first = next(self._rows, None)

    def __iter__(self) -> Iterator[Row]:
        """Each row once.

        Raises: ProtocolViolationError if the answer breaks off, or is not of its shape.
        """
        if self._first is not None:
            yield self._first
        yield from self._rows

    def has_row(self) -> bool:
        """Whether there is a row at all."""
        return self._first is not None

    # A header that is repeated as a row is left out: one connector met it. Spec: section 5.

    def _csv(self) -> Iterator[Row]:
        lines = csv.reader(io.StringIO(self._text.text, newline=""), delimiter=";", strict=True)
        try:
            for values in lines:
                if not any(values):
                    continue
                if not self.columns:
                    self._head(values)
                elif len(values) != len(self.columns):
                    self.crooked += 1
                elif [plain_name(value) for value in values] != self.columns:
                    yield self._row(zip(self.columns, values, strict=True))
        except csv.Error:
            if self._partial:
                return
            raise _incomplete(self.operation, "breaks off, or its quotes do not match") from None
        if not self.columns:
            raise violation(self.operation, "is empty", advice=_INVALID)

    def _head(self, captions: Sequence[str]) -> None:
        columns = [plain_name(caption) for caption in captions[: _MOST_COLUMNS + 1]]
        if len(columns) > _MOST_COLUMNS or len(set(columns)) != len(columns):
            raise violation(self.operation, "names a column twice, or too many", where=LAYOUT)
        self.columns = columns

    def _row(self, pairs: Iterator[tuple[str, str]]) -> Row:
        row: Row = {}
        for column, value in pairs:
            value = value.strip()
            if len(value) > _LONGEST_VALUE:
                raise violation(self.operation, "holds a value that is too long", where=DATA)
            if value:
                row[column] = value
        return row

    def _xml(self) -> Iterator[Row]:
        """Rows below the first child of `Response/Table` or `Response/Data`, whatever it is called.

        Spec: sections 3.2 and 5 (CONFIRMED); its absence is an error, not an empty list (ASSUMED).
        """
        held = within = False
        lists = 0
        for event, depth, element in _elements(self._text, self.operation, partial=self._partial):
            if event == "start":
                if depth == 1:
                    within, lists = _local(element) in _CONTAINERS, 0
                    held = held or within
                lists += depth == 2
            elif depth == 3 and within and lists == 1:
                yield self._xml_row(element)
        if not held and not self._partial:
            raise violation(self.operation, "holds no list", advice=_INVALID)

    def _xml_row(self, element: etree._Element) -> Row:
        pairs: list[tuple[str, str]] = []
        for child in element:
            column = plain_name(_local(child))
            if column not in self.columns:
                if len(self.columns) >= _MOST_COLUMNS:
                    raise violation(self.operation, "holds too many columns", where=LAYOUT)
                self.columns.append(column)
            pairs.append((column, _content(child)))
        return self._row(iter(pairs))


_CONTAINERS: Final = frozenset({"table", "data"})
_ROW: Final = 3  # the depth at which rows stand
_CHUNK: Final = 1 << 16
_MOST_HELD: Final = 4 * _MOST_COLUMNS  # events between two rows: each element has two


def _local(element: etree._Element) -> str:
    return etree.QName(element).localname.lower()


def _elements(
    text: Text, operation: str, *, partial: bool
) -> Iterator[tuple[str, int, etree._Element]]:
    """The start and end of each element with its depth (the root is 0); rows are freed behind us.

    What the parser holds at once is bounded: a row has so many elements, and a tag or value ends.
    Raises: ProtocolViolationError if it is no XML with the root `Response`, has a document type,
        breaks off (unless it is partial), or holds more at once.
    """
    body = _DECLARATION.sub("", text.text, count=1).lstrip().encode()
    parser = _parser()
    depth = -1
    held = 0
    try:
        for start in range(0, len(body), _CHUNK):
            chunk = body[start : start + _CHUNK]
            if len(chunk) == _CHUNK and b"<" not in chunk:
                raise violation(operation, "holds a value that is too long", where=DATA)
            parser.feed(chunk)
            for event, element in parser.read_events():
                if not isinstance(element, etree._Element):
                    continue  # of events that were not asked for
                depth += event == "start"
                if depth == 0 and event == "start":
                    _check_root(element, operation)
                held += 1
                if held > _MOST_HELD:
                    raise violation(operation, "holds a row of too many values", where=LAYOUT)
                yield event, depth, element
                if event == "end":
                    if depth == _ROW:
                        _free(element)
                        held = 0
                    depth -= 1
        if not partial:
            parser.close()
    except etree.XMLSyntaxError:
        if partial and depth >= 0:
            return
        if depth < 0:
            raise violation(operation, "is not XML", advice=_INVALID) from None
        raise _incomplete(operation, "breaks off, or is no readable XML") from None


def _parser() -> etree.XMLPullParser:
    """A parser that resolves no entity, loads nothing, and refuses what is too deep."""
    return etree.XMLPullParser(
        events=("start", "end"),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_pis=True,
        remove_comments=True,
    )


def _content(element: etree._Element) -> str:
    return "".join(str(piece) for piece in element.itertext())


def _free(element: etree._Element) -> None:
    """Let go of a row that was read, and of those before it."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _check_root(root: etree._Element, operation: str) -> None:
    document: Any = root.getroottree().docinfo  # its stubs know no doctype
    if document.doctype or document.internalDTD is not None:
        raise violation(operation, "has a document type, which is refused", advice=_INVALID)
    if _local(root) != "response":
        raise violation(operation, "is not of this web service", advice=_INVALID)


# -- what an answer says of itself -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verdict:
    """What stands in an answer beside its rows.

    Attributes:
        ok: False where it says so; None where it says nothing.
        exception: name of the exception (`EMGeneralFailure`), or empty.
        code: numeric code, or empty; its element's name is ASSUMED.
        message: the text of Magister; only ever compared, never shown or logged.
        token: of a login.
    """

    ok: bool | None = None
    exception: str = ""
    code: str = ""
    message: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    @property
    def failed(self) -> bool:
        """Whether the answer is a refusal or a failure."""
        return self.ok is False or bool(self.exception)


_CODES: Final = frozenset(
    {"foutcode", "fout_code", "errorcode", "error_code", "resultcode", "code"}
)
"""Elements that may hold the numeric code. Spec: section 5 (ASSUMED)."""

_MESSAGES: Final = frozenset({"exceptionmsg", "fout_omschrijving", "resultmessage"})


def read_verdict(text: Text, *, operation: str, partial: bool = False) -> Verdict:
    """What an answer in XML says of itself; of CSV: nothing.

    Raises: ProtocolViolationError if it is HTML or another document.
    """
    if not text.is_markup:
        return Verdict()
    found: dict[str, str] = {}
    for event, depth, element in _elements(text, operation, partial=partial):
        if event == "end" and depth == 1 and _local(element) not in _CONTAINERS:
            told = _content(element).strip()
            found.setdefault(_local(element), told[:_LONGEST_VALUE])
    result = found.get("result", "").lower()
    exception = found.get("exception", "")
    return Verdict(
        ok=None if not result else result in {"true", "1"},
        exception=_safe(exception) if exception else "",
        code=next((_safe(found[name]) for name in sorted(_CODES) if found.get(name)), ""),
        message=next((found[name] for name in sorted(_MESSAGES) if found.get(name)), ""),
        token=found.get("sessiontoken", ""),
    )


def _safe(code: str) -> str:
    """A code or name that may be shown; anything else may hold a value."""
    return code if _CODE.fullmatch(code) else "unknown"
