"""What a run noticed, in a sentence; `--json` has it as it was written down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

Detail = Mapping[str, Any]


def event_text(event: str) -> str:
    """Of an event as a report has it: `kind: {detail as JSON}`."""
    kind, _, detail = event.partition(": ")
    return text_of(kind, detail)


def text_of(kind: str, detail: str) -> str:
    """The sentence (Dutch); what is not known here stands as it was written down."""
    told = _SENTENCES.get(kind)
    try:
        if told is not None:
            return told(msgspec.json.decode(detail, type=dict[str, Any]))
    except (msgspec.MsgspecError, KeyError, TypeError):
        pass  # of another release
    return f"{kind} {detail}".strip()


def _changed(detail: Detail) -> str:
    before, now = detail["version"]
    said = [
        f"{what}: {', '.join(detail[name])}"
        for name, what in (("no longer", "niet meer"), ("now also", "nu ook"))
        if detail[name]
    ]
    if before != now:
        said.append(f"versie {before or '(geen)'} werd {now or '(geen)'}")
    return f"{_part(detail)}: de bron levert anders dan eerst; " + "; ".join(said)


def _shrunk(detail: Detail) -> str:
    told = f"{_part(detail)}: {detail['missing']} records ontbreken ineens"
    return f"{told}; er is niets afgesloten" if detail["blocked"] else told


def _part(detail: Detail) -> str:
    return f"{detail['resource']} van {detail['scope']}"


_SENTENCES: Final[dict[str, Callable[[Detail], str]]] = {
    "contract changed": _changed,
    "shrunk": _shrunk,
    "schema drift": lambda of: (
        f"{of['resource']}: de bron levert velden die wij niet kennen: {', '.join(of['fields'])}"
    ),
    "dropped field": lambda of: f"{of['path']}: {of['n']} keer weggelaten: {of['rule']}",
    "koppeling ended": lambda of: (
        f"koppeling {of['koppeling']} staat niet meer in de configuratie; zij wordt niet gelezen"
    ),
    "quarantine retried": lambda of: (
        f"uit de quarantaine opnieuw geprobeerd: {of['records']} records"
    ),
    "unknown persons": lambda of: f"van {of['records']} records kent de kern de persoon niet",
    "empty": lambda of: f"de bron van {of['koppeling']} leverde niets",
}
"""Kind of an event → what it says of its detail."""
