"""Canaries: values of persons that were really processed, in every form in which they may leak.

A canary is looked for as it is, in lower case, percent-encoded, in base64 (at each of the three
alignments), JSON-escaped, as Python shows its bytes, and a date also in other orders. The rule for
short and common ones: a value counts from five characters on, and what is made of letters, digits
or both is found as a whole word only (`Haven` is no leak of somebody called `Have`).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from datetime import date
from functools import cached_property
from urllib.parse import quote, quote_plus

SHORTEST = 5
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_DATES = (
    "%Y-%m-%d",
    "%Y%m%d",
    "%Y/%m/%d",
    "%d-%m-%Y",
    "%d/%m/%Y",
    "%d.%m.%Y",
    "%d%m%Y",
    "%m/%d/%Y",
    "%d %m %Y",
    "%Y, %m, %d",
)


class Canaries:
    """A set of values, and where they are found.

    Args:
        values: of persons; shorter ones than five characters are left out.
        public: texts in which a value may stand, since they name no person (a school's name).
    """

    def __init__(self, values: Iterable[str], public: Iterable[str] = ()) -> None:
        common = " ".join(public).lower()
        self.values = frozenset(
            value
            for value in map(str.strip, values)
            if len(value) >= SHORTEST and not _in_words(value.lower(), common)
        )

    @cached_property
    def _forms(self) -> dict[str, str]:
        """Form in lower case → the canary; base64 apart, since there case counts."""
        return {form.lower(): value for value in self.values for form in forms(value)}

    @cached_property
    def _encoded(self) -> dict[str, str]:
        return {code: value for value in self.values for code in base64_forms(value)}

    def found_in(self, text: str) -> list[str]:
        """The canaries that stand in a text in any form; sorted."""
        low = text.lower()
        found = {value for form, value in self._forms.items() if _in_words(form, low)}
        found |= {value for code, value in self._encoded.items() if code in text}
        return sorted(found)


def _in_words(form: str, text: str) -> bool:
    """Whether a form stands in a text, at the borders of a word; both in lower case."""
    start = text.find(form)
    while start >= 0:
        before, after = text[start - 1 : start], text[start + len(form) : start + len(form) + 1]
        if not (before.isalnum() and form[0].isalnum()) and not (
            after.isalnum() and form[-1].isalnum()
        ):
            return True
        start = text.find(form, start + 1)
    return False


def forms(value: str) -> Iterator[str]:
    """A value as it is, and as programs write it."""
    yield value
    yield quote(value, safe="")
    yield quote(value)
    yield quote_plus(value)
    yield json.dumps(value)[1:-1]
    yield repr(value.encode())[2:-1]
    yield repr(value.encode("latin-1", "replace"))[2:-1]
    if _DATE.fullmatch(value):
        day = date.fromisoformat(value)
        yield from (day.strftime(pattern) for pattern in _DATES)
        yield f"{day.day}-{day.month}-{day.year}"
        yield f"{day.year}, {day.month}, {day.day}"
    digits = re.sub(r"[ ()+-]", "", value)
    if digits.isdigit() and len(digits) >= 2 * SHORTEST - 1:
        yield digits
        yield digits.lstrip("0")


def base64_forms(value: str) -> Iterator[str]:
    """The part of the value's base64 that is the same whatever stands around it."""
    raw = value.encode()
    if len(raw) < 2 * SHORTEST - 2:
        return  # too few characters are left for it to be told from chance
    for shift in range(3):
        code = base64.b64encode(b"\0" * shift + raw).decode().rstrip("=")
        skip, cut = (0, 2, 3)[shift], -1 if (shift + len(raw)) % 3 else None
        yield code[skip:cut]
