"""What UWLR's faults mean: fault code → error of connectors/errors.py.

Spec: uwlr.md, section 11 (CONFIRMED but for the meaning of the codes of results, which a reader of
pupils never gets).
"""

from __future__ import annotations

from typing import Final

from connectors.errors import ConnectorError, ProtocolViolationError, RequestRefusedError
from connectors.protocols.soap import Fault, plain_fault

VERSION: Final = "Client.XsdVersieOngeldig"
_MESSAGE: Final = "Client.OngeldigBericht"

NO_ACCESS: Final = frozenset({"Client.OngeldigeKlantIdentificatie", "Client.AutorisatieOngeldig"})
"""One and the same to us: servers answer an unknown school with either."""

_ADVICE: Final = {
    "Client.OngeldigeKlantIdentificatie": "De administratie kent onze klantnaam en klantcode niet, "
    "of niet voor deze school. Laat ops beide nakijken bij de leverancier; kloppen ze, vraag de "
    "school dan of de koppeling voor deze vestiging aan staat.",
    "Client.AutorisatieOngeldig": "De autorisatiesleutel wordt geweigerd, of geldt niet voor deze "
    "vestiging. Vraag de school in haar administratie de UWLR-koppeling na te kijken en zo nodig "
    "een nieuwe sleutel te geven.",
    VERSION: "De administratie spreekt geen van de UWLR-versies die de hub kent. Laat ops de "
    "instelling `xsdversie` nakijken bij de leverancier.",
}


def judge(fault: Fault, *, system: str, operation: str) -> ConnectorError:
    """The error that a fault is."""
    text = f"{operation}: fault {fault.code}"
    if fault.code == _MESSAGE:
        return ProtocolViolationError(
            text,
            where="request",
            system=system,
            operation=operation,
            advice="De administratie begrijpt de vraag van de hub niet. Meld dit bij ops, met het "
            "runnummer.",
        )
    if fault.code in _ADVICE:
        return RequestRefusedError(
            text, code=fault.code, system=system, operation=operation, advice=_ADVICE[fault.code]
        )
    return plain_fault(fault, system=system, operation=operation)
