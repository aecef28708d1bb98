"""Names of the interface, as it spells them.

Spec: eckid.md, sections 6 and 7 (CONFIRMED).
"""

from __future__ import annotations

from typing import Final

NAMESPACE: Final = "http://ketenid.nl/eck/schemas/v1_0"
ADDRESSING: Final = "http://www.w3.org/2005/08/addressing"
ANONYMOUS: Final = f"{ADDRESSING}/anonymous"
BINDING: Final = f"{{{NAMESPACE}}}EckIDSoapBinding"
VERSION: Final = "2.0"
"""What the application version begins with that this client was written for."""


def nv(name: str) -> str:
    """An element of the interface."""
    return f"{{{NAMESPACE}}}{name}"


def wsa(name: str) -> str:
    """An element of WS-Addressing."""
    return f"{{{ADDRESSING}}}{name}"
