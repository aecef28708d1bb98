"""Notes to ourselves that a browser keeps: sealed under a key of the hub, for a short time."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from datetime import timedelta
from secrets import token_bytes
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from config.clock import Clock
from config.keyring import Keyring

_NONCE_BYTES: Final = 12
_TIME_BYTES: Final = 8
_LONGEST: Final = 4_000  # characters of a cookie


class Seal:
    """Makes and opens notes of one purpose; one of another purpose, or too old, does not open.

    Args:
        keyring: whose key is derived.
        purpose: of the notes; hashed into the key.
        clock: says when one is too old.
    """

    def __init__(self, keyring: Keyring, purpose: str, clock: Clock) -> None:
        self._key = AESGCM(keyring.derive(f"web-{purpose}"))
        self._clock = clock

    def close(self, note: bytes, *, lasts: timedelta) -> str:
        """The note as text for a cookie."""
        until = int((self._clock.now() + lasts).timestamp()).to_bytes(_TIME_BYTES, "big")
        nonce = token_bytes(_NONCE_BYTES)
        return urlsafe_b64encode(nonce + self._key.encrypt(nonce, until + note, None)).decode()

    def open(self, text: str) -> bytes | None:
        """The note; None where it is not ours, was changed, or is too old."""
        if len(text) > _LONGEST:
            return None
        try:
            sealed = urlsafe_b64decode(text.encode("ascii"))
            plain = self._key.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
        except (InvalidTag, Error, ValueError):
            return None
        until, note = int.from_bytes(plain[:_TIME_BYTES], "big"), plain[_TIME_BYTES:]
        return note if self._clock.now().timestamp() < until else None
