"""Passwords of local accounts: Argon2id, what is accepted as one, and equal work for nobody."""

from __future__ import annotations

import unicodedata
from secrets import token_urlsafe
from threading import BoundedSemaphore, Lock
from typing import Final

from argon2 import Parameters, PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from sync_engine.errors import AccountError

SHORTEST: Final = 12
"""Characters of the shortest password."""
_LONGEST_BYTES: Final = 1024
_AT_ONCE: Final = 2


class Passwords:
    """Makes and checks hashes; safe to share between threads.

    At most two are computed at once: each takes 64 MiB, and a crowd at the door must not take all.

    Args:
        parameters: of Argon2id, by default the second choice of RFC 9106.
    """

    def __init__(self, parameters: Parameters = RFC_9106_LOW_MEMORY) -> None:
        self._hasher = PasswordHasher.from_parameters(parameters)
        self._room = BoundedSemaphore(_AT_ONCE)
        self._lock = Lock()
        self._nobody: str | None = None

    def hash(self, password: str) -> str:
        """The hash to keep, with its parameters and salt in it."""
        with self._room:
            return self._hasher.hash(_plain(password))

    def verify(self, hashed: str | None, password: str) -> bool:
        """Whether the password is that of the hash; without one equal work, and no.

        Raises nothing: a hash that is damaged is nobody's.
        """
        nobody, typed = self._of_nobody(), _plain(password)
        if len(typed) > _LONGEST_BYTES:  # none was ever accepted, and hashing would take long
            hashed, typed = None, typed[:_LONGEST_BYTES]
        wanted = nobody if hashed is None else hashed
        try:
            with self._room:
                self._hasher.verify(wanted, typed)
        except (VerificationError, InvalidHashError):
            return False
        return hashed is not None

    def is_outdated(self, hashed: str) -> bool:
        """Whether the hash was made with other parameters than are used now."""
        return self._hasher.check_needs_rehash(hashed)

    def _of_nobody(self) -> str:
        with self._lock:
            if self._nobody is None:
                self._nobody = self.hash(token_urlsafe(32))
            return self._nobody


def check_password(name: str, password: str) -> None:
    """Do nothing where this may be the password of that account.

    Raises: AccountError, which says the rule and never the password.
    """
    rule = _broken(name, password)
    if rule:
        raise AccountError(
            f"the password is refused: {rule}",
            advice=f"Kies een wachtwoord van minstens {SHORTEST} tekens, bijvoorbeeld vier "
            "willekeurige woorden, waar de naam van het account niet in staat.",
        )


def _broken(name: str, password: str) -> str:
    if len(password) < SHORTEST:
        return f"it is shorter than {SHORTEST} characters"
    if len(_plain(password)) > _LONGEST_BYTES:
        return f"it is longer than {_LONGEST_BYTES} bytes"
    if name.casefold() in password.casefold() or not password.strip():
        return "it holds the name of the account, or nothing but spaces"
    return ""


def _plain(password: str) -> bytes:
    """One form for what keyboards write in several (NIST SP 800-63B, 5.1.1.2)."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
