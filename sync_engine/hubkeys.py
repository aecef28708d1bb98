"""The hub's own keys of core records: opaque, short, and with a check symbol."""

from __future__ import annotations

import re
from typing import Final

from sync_engine.errors import SyncError

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ*~$=U"
"""Crockford's base 32, and its check symbols."""
KEY: Final = re.compile(r"K-([0-9A-TV-Z]+)([0-9A-Z*~$=])", re.IGNORECASE)
_READ: Final = str.maketrans("OIL", "011")
"""Letters that the alphabet has not, for they are read as digits."""
MISTYPED: Final = "Neem de sleutel over zoals hij getoond werd."

NEW: Final = "(nieuw)"
"""What stands in the place of the key of a record that a plan would make: no number is kept."""


def hub_key(core_id: int) -> str:
    """The opaque key of a core record, with a check symbol: a typing error finds nobody."""
    digits, rest = "", core_id
    while rest:
        rest, place = divmod(rest, 32)
        digits = ALPHABET[place] + digits
    return f"K-{digits or '0'}{ALPHABET[core_id % 37]}"


def read_hub_key(text: str) -> int | None:
    """The core id of a hub key; None where the text is not shaped as one.

    Raises: SyncError if the check symbol is wrong.
    """
    if KEY.fullmatch(text.strip()) is None:
        return None
    core_id = key_number(text)
    if core_id is None:
        raise SyncError("that key is mistyped", advice=MISTYPED)
    return core_id


def key_number(text: str) -> int | None:
    """The core id of a hub key; None where it is none, or its check symbol is wrong."""
    match = KEY.fullmatch(text.strip())
    if match is None:
        return None
    digits, check = (part.upper().translate(_READ) for part in match.groups())
    core_id = 0
    for character in digits:
        core_id = core_id * 32 + ALPHABET.index(character)
    return core_id if ALPHABET[core_id % 37] == check else None
