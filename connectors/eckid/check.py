"""`check`: which layer of an ECK iD koppeling fails, and what the school or ops does about it.

Asks for no person: it asks whether the facility is up, and which chains and sectors it knows. Last
of all it computes the published hashes, since no answer would ever tell that hashing is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from config.errors import ConfigurationError
from connectors.base import CheckResult, Layer
from connectors.eckid.facility import Facility, Ping
from connectors.eckid.faults import NotAdmittedError
from connectors.eckid.hashing import Hasher
from connectors.eckid.lists import confirm
from connectors.eckid.names import VERSION
from connectors.eckid.options import Options
from connectors.errors import (
    AuthenticationError,
    ConnectorError,
    ProtocolViolationError,
    RequestRefusedError,
)

_ADVICE: Final = {
    Layer.NETWORK: "De Nummervoorziening is niet bereikbaar. Probeer het later opnieuw; blijft dit "
    "zo, laat ops dan het adres en de firewall nakijken.",
    Layer.TLS: "Er komt geen vertrouwde verbinding tot stand. Laat ops het adres en de vertrouwde "
    "uitgevers (`ca_file`) van deze koppeling nakijken.",
    Layer.SHAPE: "De Nummervoorziening antwoordt anders dan is beschreven. Meld dit bij ops.",
}

_PASSED: Final = {
    Layer.NETWORK: "the number facility is reached",
    Layer.TLS: "the connection is trusted",
    Layer.LOGIN: "our certificate is admitted",
    Layer.RIGHTS: "the school is admitted",
    Layer.SHAPE: "chain and sector are listed, and hashing gives the published values",
}


def run(facility: Facility, hasher: Hasher, options: Options) -> Sequence[CheckResult]:
    """Prove each layer; stops at the first that fails."""
    try:
        ping = facility.ping()
        if not ping.available:
            message = "the number facility says that it is not available"
            return _failed(Layer.NETWORK, message, _ADVICE[Layer.NETWORK])
        confirm(facility, keten=options.keten, sector=options.sector)
        hasher.self_test()
    except ConfigurationError as error:
        return _failed(Layer.SHAPE, str(error), error.advice)
    except ConnectorError as error:
        layer = _layer_of(error)
        advice = error.advice if _says_more(error) else _ADVICE[layer]
        return _failed(layer, str(error), advice)
    shape = CheckResult(Layer.SHAPE, True, *_version(ping))
    return [*(CheckResult(layer, True, _PASSED[layer]) for layer in _before(Layer.SHAPE)), shape]


def _failed(layer: Layer, message: str, advice: str) -> Sequence[CheckResult]:
    passed = [CheckResult(one, True, _PASSED[one]) for one in _before(layer)]
    return [*passed, CheckResult(layer, False, message, advice)]


def _before(layer: Layer) -> Sequence[Layer]:
    order = list(_PASSED)
    return order[: order.index(layer)]


def _version(ping: Ping) -> tuple[str, str]:
    """What is said of the version: another one is worth a look, and no error."""
    if ping.version.startswith(VERSION):
        return _PASSED[Layer.SHAPE], ""
    return (
        f"{_PASSED[Layer.SHAPE]}; its version does not begin with {VERSION}",
        f"De Nummervoorziening heeft een andere versie dan {VERSION}. Laat ops bij Kennisnet "
        "nakijken of de koppeling daarmee werkt.",
    )


def _layer_of(error: ConnectorError) -> Layer:
    match error:
        case NotAdmittedError():
            return Layer.RIGHTS
        case AuthenticationError():
            return Layer.LOGIN
        case ProtocolViolationError(where="tls"):
            return Layer.TLS
        case RequestRefusedError(code="404" | "405"):
            return Layer.NETWORK
        case ProtocolViolationError() | RequestRefusedError():
            return Layer.SHAPE
        case _:
            return Layer.NETWORK


def _says_more(error: ConnectorError) -> bool:
    """Whether its own advice is nearer than that of its layer."""
    return isinstance(error, AuthenticationError | RequestRefusedError)
