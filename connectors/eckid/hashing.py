"""From personal number to HPGN: the only place where one is hashed.

Spec: eckid.md, sections 2 and 3.
"""

from __future__ import annotations

import re
from typing import NoReturn, final

from sector.identifiers import Identifier

_HEX = re.compile(r"[0-9a-f]{64}").fullmatch


@final
class Hpgn(Identifier):
    """First-level hash of a PGN: as sensitive as the PGN itself, and in memory only.

    It cannot be pickled, so that no queue, cache or process takes it along.
    Spec: eckid.md, sections 4 and 14 (form CONFIRMED).
    """

    __slots__ = ()
    name = "HPGN"

    @classmethod
    def check(cls, text: str) -> str:
        """64 lower-case hex digits. Raises: InvalidIdentifierError."""
        if not isinstance(text, str):
            cls.refuse("must be text")
        if not _HEX(text):
            cls.refuse("must be 64 lower-case hex digits")
        return text

    def __reduce__(self) -> NoReturn:
        message = "an HPGN is kept nowhere"
        raise TypeError(message)
