"""What every answer tells the browser: run nothing, load nothing from elsewhere, keep nothing."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import MutableHeaders

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""There is no script and no inline style on any page."""

_ALWAYS: Final = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # not `no-referrer`: browsers would then hide in `Origin` that a form of ours was sent
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_STRICT_TRANSPORT: Final = "max-age=31536000"


def secured(headers: MutableHeaders, *, strict_transport: bool) -> None:
    """Add them to an answer; only how long it may be kept is left to who made it, if he said so."""
    for name, value in _ALWAYS.items():
        headers[name] = value
    if strict_transport:
        headers["strict-transport-security"] = _STRICT_TRANSPORT
    if "cache-control" not in headers:
        headers["cache-control"] = "no-store"
