"""Which known names are nearest to one that was mistyped, as advice for the person who typed it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Final

_NEAR: Final = 3
_LISTED: Final = 60
"""So many names are listed whole; of more only the nearest are named, else the first."""
_FEW: Final = 12


def nearest(text: str, known: Iterable[str], *, limit: int = _NEAR) -> list[str]:
    """The known names nearest to a text, nearest first; none where nothing is like it."""
    plain = {name.casefold(): name for name in sorted(known, reverse=True)}
    return [plain[near] for near in get_close_matches(text.casefold(), plain, n=limit, cutoff=0.5)]


def choice(text: str, known: Iterable[str]) -> str:
    """Advice (Dutch) for an unknown name: what was probably meant, then what there is."""
    names = list(dict.fromkeys(known))
    if not names:
        return "Er is er geen."
    near = nearest(text, names)
    meant = f"Bedoelt u {_or(near)}? " if near else ""
    if len(names) <= _LISTED:
        return f"{meant}Kies een van: {', '.join(names)}."
    if near:
        return meant.strip()
    return f"Kies een van: {', '.join(names[:_FEW])} en {len(names) - _FEW} andere."


def _or(names: Sequence[str]) -> str:
    head, last = names[:-1], names[-1]
    return f"{', '.join(head)} of {last}" if head else last


def school_advice(text: str) -> str:
    """Advice (Dutch): how to name a school, with an example that is not what was typed."""
    brin = "98ZZ" if text.strip().upper() in {"99XX", "99XX00"} else "99XX"
    return (
        f"Noem een BRIN ({brin}) of vestigingsnummer ({brin}00) uit de configuratie, geheel "
        "uitgeschreven."
    )
