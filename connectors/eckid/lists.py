"""Whether the chain and the sector that are configured are ones that the facility knows.

Spec: eckid.md, section 9: chosen by id, never by position; an id that is not in the list is an
error (ASSUMED).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from config.errors import ConfigurationError
from config.nearest import nearest
from connectors.eckid.facility import Facility, Listed
from connectors.eckid.manifest import SYSTEM

_SHOWN: Final = 12
_LONGEST_NAME: Final = 60
_LONGEST_ID: Final = 120


def confirm(facility: Facility, *, keten: str, sector: str) -> None:
    """See that both are listed.

    Raises: ConfigurationError that names the setting, what was probably meant, and what there is;
        ConnectorError.
    """
    for setting, wanted, listed in (
        ("keten", keten, facility.chains()),
        ("sector", sector, facility.sectors()),
    ):
        if all(wanted != one.id for one in listed):
            raise ConfigurationError(
                f"{SYSTEM}: {setting} is not in the list of the number facility",
                advice=f"Pas de instelling `{setting}` van deze koppeling aan. "
                f"{_choice(wanted, listed)}",
            )


def _choice(wanted: str, listed: Sequence[Listed]) -> str:
    by_id = {one.id: one for one in listed}
    near = nearest(wanted, by_id, limit=1)
    meant = f"Bedoelt u {_shown(by_id[near[0]])}? " if near else ""
    more = len(listed) - _SHOWN
    rest = f" en {more} andere" if more > 0 else ""
    shown = ", ".join(_shown(one) for one in listed[:_SHOWN])
    return f"{meant}De Nummervoorziening kent: {shown}{rest}."


def _shown(one: Listed) -> str:
    """As text: what the facility lists is as hostile as anything that comes in."""
    return f"{_text(one.id, _LONGEST_ID)} ({_text(one.name, _LONGEST_NAME)})"


def _text(told: str, longest: int) -> str:
    return "".join(sign for sign in told[:longest] if sign.isprintable())
