"""From a command that the engine names to the page that shows or does the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

_PAGES: Final = (
    (re.compile(r"^koppelhub plan (?:show|approve) (\d+)"), "/plannen/{}"),
    (re.compile(r"^koppelhub run show (\d+)"), "/runs/{}"),
    (re.compile(r"^koppelhub case show (\d+)"), "/zaken/{}"),
)
_LISTS: Final = {
    "case list": "/zaken",
    "plan list": "/plannen",
    "quarantine list": "/quarantaine",
    "runs": "/runs",
    "todo": "/wacht",
}
_OPTION: Final = re.compile(r"--(source|kind|school) (\S+)")
_ASKED: Final = {"source": "koppeling", "kind": "soort", "school": "school"}


def page_of(command: str) -> str:
    """The address of the page for a command; empty where there is none."""
    for form, place in _PAGES:
        if found := form.match(command):
            return place.format(found[1])
    words, _, _ = command.removeprefix("koppelhub ").partition(" --")
    path = _LISTS.get(words, "")
    if not path:
        return ""
    return address(path, {_ASKED[name]: value for name, value in _OPTION.findall(command)})


def address(path: str, asked: Mapping[str, str | int]) -> str:
    """A path with what is chosen on it; nothing for what is empty."""
    chosen = {name: value for name, value in asked.items() if value}
    return f"{path}?{urlencode(chosen)}" if chosen else path


def of_koppeling(name: str) -> str:
    """The page of one koppeling."""
    return f"/koppelingen/{quote(name, safe='')}"


def of_school(brin: str) -> str:
    """The page of one school."""
    return f"/scholen/{quote(brin, safe='')}"
