"""A webhook: one signed JSON document, posted to an address of the configuration.

No redirect is followed, nothing is repeated here (the caller keeps a message until it is taken),
and of the answer only the status counts. The address may be a secret: it is in no error or log.

Spec: Standard Webhooks 1.0, "Signature scheme" (DERIVED): headers `webhook-id`,
`webhook-timestamp` (seconds), and `webhook-signature`: `v1,` and the base64 of HMAC-SHA256 over
`id.timestamp.body`.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import ssl
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from config.clock import Clock
from config.errors import ConfigurationError
from connectors.base import Budget
from connectors.errors import ConnectorError
from connectors.protocols.rest import Intake, Limits, RestTransport

_SYSTEM: Final = "webhook"
_ENCODED: Final = "whsec_"
_OPERATION: Final = "POST alert"
_ANSWER_BYTES: Final = 64 * 1024
_ADVICE: Final = (
    "De ontvanger van deze webhook neemt het bericht niet aan. Kijk url, secret en authority van "
    "dit kanaal na. De hub probeert het vanzelf opnieuw."
)


@dataclass(frozen=True, slots=True)
class Hook:
    """Where messages are posted to, and what they are signed with; neither is ever shown.

    Attributes:
        tls: whom to trust; None is whom the machine trusts.
    """

    url: str = field(repr=False)
    secret: str = field(repr=False)
    tls: ssl.SSLContext | None = None


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`."""
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    digest = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    return f"v1,{b64encode(digest).decode()}"


def _key(secret: str) -> bytes:
    """The key itself: a secret of the form `whsec_…` holds it in base64."""
    if not secret.startswith(_ENCODED):
        return secret.encode()
    try:
        return b64decode(secret.removeprefix(_ENCODED), validate=True)
    except binascii.Error:
        raise ConfigurationError(
            "webhook: the secret begins with whsec_, and what follows is not base64",
            advice="Kopieer het geheim van dit kanaal opnieuw uit het ontvangende systeem.",
        ) from None


def post(hook: Hook, message_id: str, body: bytes, *, clock: Clock, timeout: timedelta) -> None:
    """Post one document, once.

    Args:
        hook: where to.
        message_id: the same for every attempt: by it the receiver knows a double.
        body: JSON.
        clock: dates the signature.
        timeout: bound on the whole.

    Raises: ConnectorError whatever the receiver answers but a status of 200 to 299.
    """
    at = int(clock.now().timestamp())
    limits = Limits(
        connect=min(timeout, timedelta(seconds=10)), total=timeout, body_bytes=_ANSWER_BYTES
    )
    transport = RestTransport(
        _SYSTEM,
        clock=clock,
        budget=Budget(per_second=0, simultaneous=1),
        limits=limits,
        tls=hook.tls,
    )
    try:
        transport.post_document(
            hook.url,
            operation=_OPERATION,
            document=body,
            headers={
                "Content-Type": "application/json; charset=utf-8",
                "webhook-id": message_id,
                "webhook-timestamp": str(at),
                "webhook-signature": signature(hook.secret, message_id, at, body),
            },
            intake=Intake(receive=_taken, refused=lambda *_: None),
            repeats=False,
        )
    except ConnectorError as error:
        error.advice = _ADVICE
        raise
    finally:
        transport.close()


def _taken(_: str, __: Iterable[bytes]) -> None:
    """The status says it all: the body is not read."""
