"""Whom to trust at the other end, where that is not whom the machine trusts."""

from __future__ import annotations

import ssl
from pathlib import Path

from config.errors import ConfigurationError


def trusting(authority: Path) -> ssl.SSLContext:
    """Trust in one authority, by its file in PEM, and in no other.

    Raises: ConfigurationError if it cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=str(authority))
    except (OSError, ssl.SSLError):
        raise ConfigurationError(
            f"authority: {authority} cannot be used",
            advice="Noem een PEM-bestand met het certificaat van de uitgever.",
        ) from None
