"""That a change was asked from a page of ours: a token in the form, and where the form stood.

The token follows from the session's own, which no other site and no script can read. In each page
it is masked anew, so that compression of a proxy tells nothing of it.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Mapping
from hashlib import sha256
from secrets import token_bytes
from typing import Final

FIELD: Final = "_csrf"
"""Name of the hidden field of every form."""
HEADER: Final = "x-csrf-token"
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""

_SIZE_BYTES: Final = 32


def issue(session: str) -> str:
    """A token for one page of this session."""
    mask = token_bytes(_SIZE_BYTES)
    return urlsafe_b64encode(mask + _masked(_own(session), mask)).decode()


def holds(session: str, token: str) -> bool:
    """Whether the token was issued for this session."""
    try:
        sent = urlsafe_b64decode(token.encode("ascii"))
    except (Error, ValueError):
        return False
    mask, masked = sent[:_SIZE_BYTES], sent[_SIZE_BYTES:]
    if len(masked) != _SIZE_BYTES:
        return False
    return hmac.compare_digest(_masked(masked, mask), _own(session))


def is_from_us(headers: Mapping[str, str], *, origin: str) -> bool:
    """Whether nothing says that another site asked this; browsers say it in these two headers."""
    site, told = headers.get("sec-fetch-site"), headers.get("origin")
    return site in {None, "same-origin"} and told in {None, origin}


def _own(session: str) -> bytes:
    return hmac.digest(session.encode("utf-8", "surrogatepass"), b"csrf", sha256)


def _masked(value: bytes, mask: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(value, mask, strict=True))
