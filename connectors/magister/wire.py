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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from lxml import etree

from connectors.errors import IncompleteAnswerError, ProtocolViolationError

Row = dict[str, str]

SYSTEM: Final = "magister"
DATA: Final = "data"
"""`where` of what is wrong with the content of an answer: no rows, unreadable text."""

LAYOUT: Final = "layout"
"""`where` of what is wrong with a list that the school installed."""

_SLICE: Final = 1 << 20
_LONGEST_VALUE: Final = 10_000
_MOST_COLUMNS: Final = 500
_REPLACEMENT: Final = "\ufffd".encode()
_DECLARATION: Final = re.compile(rb"\s*(?:<\?xml[^>]{0,200}\?>\s*)?")
_MARKUP: Final = re.compile(rb"\s*<")
_DECLARED: Final = re.compile(rb"""^\s*<\?xml[^>]{0,150}encoding=["']([A-Za-z0-9._-]{1,40})["']""")
_MOJIBAKE: Final = re.compile(  # of what UTF-8 becomes when it is read as Windows-1252
    rb"\xc3\x83(?:\xc2[\xa0-\xbf]|\xc6\x92|\xe2(?:\x82\xac|\x80[\x98-\x9e\xa0-\xa6\xb0]))"
)
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
    """An answer as text: in UTF-8, for what reads it reads bytes, and a str may be four times that.

    Attributes:
        start: where it begins, behind a byte order mark.
        looks_broken: it holds what UTF-8 looks like when it is read as Windows-1252.
    """

    body: bytes = field(repr=False)
    start: int = 0
    looks_broken: bool = False

    @property
    def is_markup(self) -> bool:
        """XML or HTML: what an error is told in, also where CSV was asked."""
        return _MARKUP.match(self.body, self.start) is not None


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
    start, body = _in_utf8(body, operation, encoding=encoding, partial=partial)
    if _REPLACEMENT in body or b"\x00" in body:
        raise violation(operation, "holds damaged text", where=DATA, advice=_ENCODING)
    return Text(body, start, _MOJIBAKE.search(body) is not None)


def _in_utf8(body: bytes, operation: str, *, encoding: str, partial: bool) -> tuple[int, bytes]:
    """Where the text begins, and the same text in UTF-8; what is in it already is not copied."""
    for codec in _candidates(body, encoding):
        decoder = codecs.getincrementaldecoder(codec)("strict")
        try:
            if not codec.startswith("utf-8"):
                return 0, decoder.decode(body, final=not partial).encode()
            for at in range(0, len(body), _SLICE):
                decoder.decode(body[at : at + _SLICE])
            unread = len(decoder.getstate()[0])  # of a character that breaks off
            decoder.decode(b"", final=not partial)
        except UnicodeError:
            continue
        mark = len(codecs.BOM_UTF8) if body.startswith(codecs.BOM_UTF8) else 0
        return mark, body[: len(body) - unread]
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
        self._names: dict[str, str] = {}  # tag → column
        if not text.is_markup:
            self._rows = self._csv()
        else:
            self._rows = self._beginning() if partial else self._xml()
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
        raw = io.BytesIO(self._text.body)
        raw.seek(self._text.start)
        text = io.TextIOWrapper(raw, encoding="utf-8", newline="")
        try:
            for values in csv.reader(text, delimiter=";", strict=True):
                columns = self.columns
                if not any(values):
                    continue
                if not columns:
                    self._head(values)
                elif len(values) != len(columns):
                    self.crooked += 1
                elif values[0][:1].isdigit() or [plain_name(one) for one in values] != columns:
                    if len("".join(values)) > _LONGEST_VALUE:  # hardly ever, and quicker to ask
                        self._check_lengths(values)
                    pairs = zip(columns, map(str.strip, values), strict=True)
                    yield {column: value for column, value in pairs if value}
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
        self._check_lengths(captions)
        self.columns = columns

    def _check_lengths(self, values: Sequence[str]) -> None:
        if max(map(len, values)) > _LONGEST_VALUE:
            raise self._too_long()

    def _too_long(self) -> ProtocolViolationError:
        return violation(self.operation, "holds a value that is too long", where=DATA)

    def _beginning(self) -> Iterator[Row]:
        """Rows of an answer that may break off, as `_xml` gives them."""
        for element in _rows_of(self._text, self.operation, event="end", partial=True):
            yield self._row(element)

    def _xml(self) -> Iterator[Row]:
        """Rows below the first child of `Response/Table` or `Response/Data`, whatever it is called.

        What rows are called is found out first: then the parser hands over rows alone, not every
        element of theirs, which is several times quicker.

        Raises: ProtocolViolationError also where the answer tells of a failure behind its rows.
        Spec: sections 3.2 and 5 (CONFIRMED); its absence is an error, not an empty list (ASSUMED).
        """
        first = next(_rows_of(self._text, self.operation, event="start", partial=False), None)
        if first is None:
            return
        lists = _Lists()
        for element in _whole_rows(self._text, self.operation, tag=first.tag):
            for row in lists.due(element):
                yield self._row(row)
        for row in lists.rest():
            yield self._row(row)
        if _verdict_of(lists.told()).failed:
            raise _incomplete(self.operation, "tells of a failure behind its rows")

    def _row(self, element: etree._Element) -> Row:
        row: Row = {}
        names = self._names
        for child in element:
            value = child.text if not len(child) else _content(child)
            column = names.get(child.tag) or self._column(child)
            if value and (value := value.strip()):
                if len(value) > _LONGEST_VALUE:
                    raise self._too_long()
                row[column] = value
        return row

    def _column(self, cell: etree._Element) -> str:
        """The column of a tag that was not met before."""
        column = self._names[cell.tag] = plain_name(_local(cell))
        if column not in self.columns:
            if len(self.columns) >= _MOST_COLUMNS:
                raise violation(self.operation, "holds too many columns", where=LAYOUT)
            self.columns.append(column)
        return column


# -- XML -----------------------------------------------------------------------------------------

_CONTAINERS: Final = frozenset({"table", "data"})
_LIST: Final = 2  # the depth at which lists stand
_ROW: Final = 3  # and their rows
_CHUNK: Final = 1 << 15
_MOST_QUIET: Final = 3  # chunks in which no row ends
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
    parser = _parser("start", "end")
    depth = -1
    held = 0
    try:
        for chunk in _chunks(text, operation):
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


def _parser(*events: Literal["start", "end"], tag: str | None = None) -> etree.XMLPullParser:
    """A parser that resolves no entity, loads nothing, and refuses what is too deep."""
    return etree.XMLPullParser(
        events=events,
        tag=tag,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_pis=True,
        remove_comments=True,
    )


def _chunks(text: Text, operation: str) -> Iterator[bytes]:
    """The document without its declaration, which may name another encoding than it is in by now.

    Raises: ProtocolViolationError if a tag or a value does not end.
    """
    declared = _DECLARATION.match(text.body, text.start)
    for start in range(declared.end() if declared else text.start, len(text.body), _CHUNK):
        chunk = text.body[start : start + _CHUNK]
        if len(chunk) == _CHUNK and b"<" not in chunk:
            raise violation(operation, "holds a value that is too long", where=DATA)
        yield chunk


def _rows_of(text: Text, operation: str, *, event: str, partial: bool) -> Iterator[etree._Element]:
    """Every row, at its start or end, by the depth at which it stands.

    Raises: as `_elements`; ProtocolViolationError where there is no list.
    """
    held = within = False
    lists = 0
    for met, depth, element in _elements(text, operation, partial=partial):
        if met == "start" and depth < _ROW:
            if depth == 1:
                within, lists = _local(element) in _CONTAINERS, 0
                held = held or within
            lists += depth == _LIST
        elif met == event and depth == _ROW and within and lists == 1:
            yield element
    if not held and not partial:
        raise violation(operation, "holds no list", advice=_INVALID)


def _whole_rows(text: Text, operation: str, *, tag: str) -> Iterator[etree._Element]:
    """Every element of that tag, at its end; the document type was refused before.

    Raises: ProtocolViolationError if the document breaks off, or if no row ends for long.
    """
    parser = _parser("end", tag=tag)
    quiet = 0
    try:
        for chunk in _chunks(text, operation):
            parser.feed(chunk)
            quiet += 1
            for _, element in parser.read_events():
                quiet = 0
                if isinstance(element, etree._Element):
                    yield element
            if quiet > _MOST_QUIET:
                raise violation(operation, "holds a row of too many values", where=LAYOUT)
        parser.close()
    except etree.XMLSyntaxError:
        raise _incomplete(operation, "breaks off, or is no readable XML") from None


class _Lists:
    """The lists whose rows go by; each row is let go of when the next one has come."""

    def __init__(self) -> None:
        self._list: etree._Element | None = None  # the one that rows come of
        self._read: list[etree._Element] = []  # the row of each list that was handed over last

    def due(self, row: etree._Element) -> Iterator[etree._Element]:
        """The rows that are due when one of them ends: it, and those before it of another name."""
        listed = row.getparent()
        if listed is not self._list or listed is None:
            if listed is None or not _is_first_list(listed):
                return  # of another list, or within a row
            self._list = listed
            self._read.append(row)
        while (first := listed[0]) is not row:
            if first is not self._read[-1]:
                yield first
            del listed[0]
        yield row
        row.clear()
        self._read[-1] = row

    def rest(self) -> Iterator[etree._Element]:
        """Rows of another name that stood behind the last one."""
        for container in self._containers():
            for row in container[0] if len(container) else ():
                if row not in self._read:
                    yield row

    def told(self) -> dict[str, str]:
        """What stands beside the lists."""
        return _told(child for child in self._root() if _local(child) not in _CONTAINERS)

    def _containers(self) -> Iterator[etree._Element]:
        return (child for child in self._root() if _local(child) in _CONTAINERS)

    def _root(self) -> Iterator[etree._Element]:
        return iter(()) if self._list is None else iter(self._list.getroottree().getroot())


def _is_first_list(element: etree._Element) -> bool:
    """Whether an element is the first child of `Table` or `Data` below the root."""
    container = element.getparent()
    root = None if container is None else container.getparent()
    if container is None or root is None or root.getparent() is not None:
        return False
    return _local(container) in _CONTAINERS and container[0] is element


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
    beside = []
    for event, depth, element in _elements(text, operation, partial=partial):
        if depth == 1 and _local(element) in _CONTAINERS:
            break  # what stands behind a list is read with its rows
        if depth == 1 and event == "end":
            beside.append(element)
    return _verdict_of(_told(beside))


def _told(elements: Iterable[etree._Element]) -> dict[str, str]:
    """Name → text, of each name the first."""
    found: dict[str, str] = {}
    for element in elements:
        found.setdefault(_local(element), _content(element).strip()[:_LONGEST_VALUE])
    return found


def _verdict_of(found: Mapping[str, str]) -> Verdict:
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
