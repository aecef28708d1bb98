"""The texts of the pages: what templates and code say, and what the English catalogue has.

`python -m tests.support.catalogue` brings the catalogue up to date: new texts come in empty, and a
test fails until somebody has translated them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po, write_po

WEB: Final = Path(__file__).parents[2] / "web"
ENGLISH: Final = WEB / "locale/en/LC_MESSAGES/koppelhub.po"

_METHODS: Final = [("**.py", "python"), ("templates/**.html", "jinja2.ext:babel_extract")]
_OPTIONS: Final = {"templates/**.html": {"silent": "false", "extensions": "jinja2.ext.i18n"}}
_KEYWORDS: Final = {**DEFAULT_KEYWORDS, "marked": None}


def said() -> Catalog:
    """Every text that templates and code say; those in Dutch are the ids."""
    found = Catalog(project="Koppelhub", charset="utf-8")
    for file, _, text, _, context in extract_from_dir(
        str(WEB), _METHODS, _OPTIONS, keywords=_KEYWORDS
    ):
        found.add(text, locations=[(file, 0)], context=context)
    return found


def english() -> Catalog:
    """The English catalogue as it stands."""
    with ENGLISH.open("rb") as source:
        return read_po(source, locale="en")


def texts(catalogue: Catalog) -> dict[str, Message]:
    """Message id → message, without the head; of a plural the first of both."""
    return {
        message.id if isinstance(message.id, str) else message.id[0]: message
        for message in catalogue
        if message.id
    }


def renew() -> list[str]:
    """Write the catalogue anew with what is said now; the texts that wait for a translation."""
    known = texts(english())
    made = Catalog(locale="en", charset="utf-8")
    for name, message in sorted(texts(said()).items()):
        old = known.get(name)
        same = old is not None and old.id == message.id
        made.add(message.id, string=old.string if old is not None and same else None)
    with ENGLISH.open("wb") as target:
        target.write(
            b'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n'
            b'"Content-Transfer-Encoding: 8bit\\n"\n"Language: en\\n"\n'
            b'"Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n\n'
        )
        write_po(target, made, omit_header=True, width=100)
    return [name for name, message in texts(made).items() if not _is_told(message)]


def _is_told(message: Message) -> bool:
    strings = message.string if isinstance(message.string, list | tuple) else [message.string]
    return bool(strings) and all(strings)


if __name__ == "__main__":
    for _text in renew():
        print(_text)  # noqa: T201 - a tool for who translates
