"""The server under the application: uvicorn, with its bounds; on loopback, or with TLS."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from config.errors import ConfigurationError
from config.web import is_loopback

_CONCURRENT: Final = 64
_KEEP_ALIVE_SECONDS: Final = 10
_LARGEST_HEAD_BYTES: Final = 16_384
_LAST_SECONDS: Final = 35


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen.

    Attributes:
        port: 0 lets the system choose.
        certificate, key: files for TLS, both or none.
    """

    host: str = "127.0.0.1"
    port: int = 8770
    certificate: Path | None = None
    key: Path | None = None

    @property
    def scheme(self) -> str:
        """How it is called."""
        return "http" if self.certificate is None else "https"


def server(app: ASGIApp, address: Address) -> uvicorn.Server:
    """A server that is ready to run.

    Raises: ConfigurationError if a token would go over a network without TLS.
    """
    if (address.certificate is None) != (address.key is None):
        raise ConfigurationError(
            "a certificate and its key go together",
            advice="Geef zowel --certificate als --key, of geen van beide.",
        )
    if address.certificate is None and not is_loopback(address.host):
        raise ConfigurationError(
            "without TLS only a loopback address is served",
            advice="Geef --certificate en --key, of luister op 127.0.0.1 achter een proxy met TLS.",
        )
    for file in (address.certificate, address.key):
        if file is not None and not file.is_file():
            raise ConfigurationError(
                f"{file} is not there", advice="Controleer het pad van certificaat en sleutel."
            )
    if address.certificate is not None:
        _check_certificate(address.certificate, address.key)
    config = uvicorn.Config(
        app,
        host=address.host,
        port=address.port,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_CONCURRENT,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_LAST_SECONDS,
        h11_max_incomplete_event_size=_LARGEST_HEAD_BYTES,
        ssl_certfile=None if address.certificate is None else str(address.certificate),
        ssl_keyfile=None if address.key is None else str(address.key),
    )
    return uvicorn.Server(config)


def _check_certificate(certificate: Path, key: Path | None) -> None:
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError):
        raise ConfigurationError(
            "the certificate and its key cannot be used",
            advice="Controleer of beide PEM-bestanden zijn en bij elkaar horen, zonder wachtwoord.",
        ) from None


def listen(address: Address) -> socket.socket:
    """A socket on that address; close it when the server is done.

    Raises: ConfigurationError if it cannot be had.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=128)
    except OSError as exc:
        raise ConfigurationError(
            f"port {address.port} cannot be used ({exc.strerror})",
            advice="Kies met --port een andere poort; misschien draait de inbox al.",
        ) from None
