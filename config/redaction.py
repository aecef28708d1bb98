"""The last line of defence of the logs: what may be shown of a text, a value or an exception.

Nobody logs personal data on purpose; this catches what slips through. It knows shapes, not names: a
name in a message of our own is a bug that no filter finds. Therefore values that are not plain are
shown by type only, and exceptions of others without their text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from enum import Enum
from pathlib import PurePath
from traceback import walk_tb
from types import TracebackType
from typing import Final
from uuid import UUID

from config.errors import KoppelhubError
from sector.identifiers import MASK, Identifier, InvalidIdentifierError

_UUID: Final = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_URI: Final = r"(?:https?(?::|%3A)(?://|%2F%2F))?"
_WORD: Final = r"[^\s\"'<>()\[\]{},;:=/@]"
_RULES: Final = (
    # pseudonyms, whole or percent-encoded, and hashes as long as theirs
    (rf"{_URI}(?:ketenid(?:\.|%2E)nl|id\.school)(?:/|%2F)[^\s\"'<>]*", MASK),
    (r"(?<![0-9a-fA-F])[0-9a-fA-F]{64,}(?![0-9a-fA-F])", MASK),
    # what follows a secret's name (`POST token` is the call that asks for one, and is shown), and
    # the user part and query of an address
    (r"\b(Bearer|Basic)\s+[^\s\"',]+", rf"\1 {MASK}"),
    (
        r"\b((?:access_|refresh_|id_)?(?<!POST )token|client_secret|password|passwd|wachtwoord"
        r"|authorization)"
        r"\b([\"']?\s*[:=]\s*[\"']?)(?!Bearer|Basic)[^\s\"'&,;}]+",
        rf"\1\2{MASK}",
    ),
    (r"([a-zA-Z][a-zA-Z0-9+.-]{0,30}://)[^/\s@\"']{1,500}@", rf"\1{MASK}@"),
    (r"\?[^\s\"'<>?]*=[^\s\"'<>]*", f"?{MASK}"),
    # e-mail addresses, telephone numbers
    (rf"{_WORD}{{1,64}}(?:@|%40){_WORD}{{1,200}}", MASK),
    (r"(?<![0-9])(?:\+31|0031|0)[ -]?[1-9](?:[ -]?[0-9]){8}(?![0-9])", MASK),
)
# nine digits may be a BSN, but not inside a UUID
_NINE_DIGITS: Final = (
    r"(?<![0-9])[0-9]{9}(?![0-9])"
    r"|(?<![0-9.])[0-9]{3}[ .-][0-9]{3}[ .-][0-9]{3}(?![0-9.])"
    r"|(?<![0-9.])[0-9]{4}\.[0-9]{2}\.[0-9]{3}(?![0-9.])"
)
_COMPILED: Final = tuple((re.compile(pattern, re.IGNORECASE), new) for pattern, new in _RULES)
_KEEP_OR_MASK: Final = re.compile(f"({_UUID})|(?:{_NINE_DIGITS})")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029]")

Plain = str | int | float | bool | None
_DEPTH: Final = 20
_LONGEST: Final = 20_000


def redact(text: str) -> str:
    """The text without what looks like a number, address, pseudonym or secret; at most 20,000."""
    text = text[:_LONGEST]
    for pattern, new in _COMPILED:
        text = pattern.sub(new, text)
    text = _KEEP_OR_MASK.sub(lambda match: match[1] or MASK, text)
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def shown(value: object) -> Plain:
    """What a log line may show of a value; a value that is not plain by its type only."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return MASK if len(str(abs(value))) == 9 else int(value)
    if isinstance(value, BaseException):
        return _headline(value)
    if isinstance(value, Enum):
        return redact(str(value.value))
    if isinstance(value, Identifier):
        return str(value)
    if isinstance(value, str | UUID | PurePath | datetime | date | time | timedelta):
        return redact(str(value))
    if isinstance(value, tuple | list | frozenset | set):
        return "[" + ", ".join(str(shown(item)) for item in list(value)[:_DEPTH]) + "]"
    return f"<{type(value).__name__}>"


def describe(error: BaseException) -> list[dict[str, Plain | list[str]]]:
    """The chain of an exception, the last one first, for a log line.

    Each has `class` and `at` (code locations); those of our own also `message` and `advice`.
    An exception of another library shows no text: that may hold a value.
    """
    described: list[dict[str, Plain | list[str]]] = []
    for link in _chain(error):
        entry: dict[str, Plain | list[str]] = {"class": _class_name(link)}
        if isinstance(link, KoppelhubError | InvalidIdentifierError):
            entry["message"] = redact(str(link))
            entry["advice"] = redact(link.advice)
        entry["at"] = list(_locations(link.__traceback__))
        described.append(entry)
    return described


def describe_text(error: BaseException) -> str:
    """The same as text, for people: what `--debug` shows instead of a traceback."""
    lines: list[str] = []
    for link in _chain(error):
        lines.append(("caused by " if lines else "") + _headline(link))
        lines.extend(f"  at {location}" for location in _locations(link.__traceback__))
    return "\n".join(lines)


def _headline(error: BaseException) -> str:
    if isinstance(error, KoppelhubError | InvalidIdentifierError):
        return f"{_class_name(error)}: {redact(str(error))}"
    return _class_name(error)


def _class_name(error: BaseException) -> str:
    kind = type(error)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception, what it came from, and the members of groups, each once."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting and len(seen) < _DEPTH:
        link = waiting.pop(0)
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        if isinstance(link, BaseExceptionGroup):
            waiting.extend(link.exceptions)
        hidden = link.__suppress_context__
        waiting.append(link.__cause__ or (None if hidden else link.__context__))


def _locations(traceback: TracebackType | None) -> Iterator[str]:
    """`connectors/rest.py:41 in fetch`, the innermost last: no source lines, no locals."""
    frames = [(frame.f_code, line) for frame, line in walk_tb(traceback)]
    for code, line in frames[-_DEPTH:]:
        yield f"{'/'.join(PurePath(code.co_filename).parts[-3:])}:{line} in {code.co_name}"
