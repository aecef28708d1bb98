"""`check`: which layer of a Somtoday koppeling fails, and what the school or ops does about it.

Reads no person: rights on pupils are asked with a UUID that nobody has, which answers with an empty
list and the field permissions (ASSUMED).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from connectors.base import CheckResult, Layer
from connectors.errors import (
    AuthenticationError,
    ConnectorError,
    ParseError,
    ProtocolViolationError,
    RequestRefusedError,
)
from connectors.protocols.oauth import BearerSession, ClientCredentials
from connectors.protocols.parsing import parse_model
from connectors.somtoday.options import Options
from connectors.somtoday.records import Vestiging
from connectors.somtoday.wire import (
    ENDPOINTS,
    list_path,
    read_permissions,
    split_page,
)

_NOBODY: Final = "00000000-0000-0000-0000-000000000000"

_ADVICE: Final = {
    Layer.NETWORK: "Somtoday is niet bereikbaar. Probeer het later opnieuw; blijft dit zo, laat "
    "ops dan het adres en de firewall nakijken.",
    Layer.TLS: "Het certificaat van Somtoday wordt niet vertrouwd. Laat ops het adres nakijken.",
    Layer.LOGIN: "Somtoday weigert de inloggegevens van de koppeling. Laat ops client_id, "
    "client_secret en de organisatie nakijken.",
    Layer.RIGHTS: "Vraag de school om in Somtoday bij Beheer de koppeling aan te zetten voor elke "
    "vestiging die meedoet.",
    Layer.SHAPE: "Somtoday antwoordt anders dan de beschrijving zegt. Meld dit bij ops.",
}


def run(
    tokens: ClientCredentials, session: BearerSession, options: Options
) -> Sequence[CheckResult]:
    """Prove each layer in order; stops at the first that fails."""
    results = _login(tokens)
    if not results[-1].ok:
        return results
    try:
        results.extend(_rights(session, options))
    except ConnectorError as error:
        results.append(_failed(_layer_of(error), str(error)))
    return results


def _passed(layer: Layer, message: str) -> CheckResult:
    return CheckResult(layer, True, message)


def _failed(layer: Layer, message: str, advice: str = "") -> CheckResult:
    return CheckResult(layer, False, message, advice or _ADVICE[layer])


def _layer_of(error: ConnectorError) -> Layer:
    match error:
        case AuthenticationError():
            return Layer.LOGIN
        case RequestRefusedError():
            return Layer.RIGHTS
        case ProtocolViolationError(where="tls"):
            return Layer.TLS
        case ProtocolViolationError():
            return Layer.SHAPE
        case _:
            return Layer.NETWORK


def _login(tokens: ClientCredentials) -> list[CheckResult]:
    """A token proves network, TLS and login at once; a failure says how far it came."""
    order = (Layer.NETWORK, Layer.TLS, Layer.LOGIN)
    texts = ("Somtoday is reached", "the connection is trusted", "a token was given")
    passed = [_passed(layer, text) for layer, text in zip(order, texts, strict=True)]
    try:
        tokens.token()
    except ConnectorError as error:
        layer = _layer_of(error)
        reached = order.index(layer) if layer in order else len(order) - 1
        return [*passed[:reached], _failed(layer, str(error))]
    return passed


def _rights(session: BearerSession, options: Options) -> list[CheckResult]:
    """Which linked locations are listed, which of them answer, and what they share."""
    answer = session.get(
        options.api_base + list_path("vestiging", vestiging=""),
        operation="GET vestiging",
        query=(("veldpermissies", "true"),),
    )
    page = split_page(answer, ENDPOINTS["vestiging"].list_key)
    read_permissions(page.permissions, answer)
    linked, unreadable = _linked(page.bodies, options)
    if unreadable or page.rejected:
        return [_failed(Layer.SHAPE, "a vestiging cannot be read")]
    listed = {v.uuid.lower() for v in linked} | {b.upper() for v in linked for b in v.brins or ()}
    missing = sorted(options.vestigingen - listed)
    if missing or not linked:
        names = ", ".join(missing) or "none is listed"
        return [_failed(Layer.RIGHTS, f"vestigingen that Somtoday does not list: {names}")]
    refused = [v.uuid for v in linked if not _answers(session, options, v.uuid)]
    if refused:
        names = ", ".join(refused)
        return [_failed(Layer.RIGHTS, f"vestigingen that refuse pupils: {names}")]
    return [
        _passed(Layer.RIGHTS, f"{len(linked)} vestigingen answer"),
        _passed(Layer.SHAPE, "the answers are as described"),
    ]


def _linked(bodies: Sequence[bytes], options: Options) -> tuple[list[Vestiging], int]:
    """The listed locations that the koppeling is set to read, and how many cannot be read."""
    linked: list[Vestiging] = []
    unreadable = 0
    for body in bodies:
        try:
            record: Any = parse_model(Vestiging, body).record
        except ParseError:
            unreadable += 1
            continue
        brins = {brin.upper() for brin in record.brins or ()}
        if not options.vestigingen or ({record.uuid.lower()} | brins) & options.vestigingen:
            linked.append(record)
    return linked, unreadable


def _answers(session: BearerSession, options: Options, vestiging: str) -> bool:
    """Whether a location lets pupils be read, asked without reading one.

    Raises: ConnectorError for anything but a refusal.
    """
    try:
        answer = session.get(
            options.api_base + list_path("leerling", vestiging=vestiging),
            operation="GET leerling",
            query=(("uuid", _NOBODY), ("amount", "1"), ("veldpermissies", "true")),
        )
    except RequestRefusedError:
        return False
    page = split_page(answer, ENDPOINTS["leerling"].list_key)
    permissions = read_permissions(page.permissions, answer)
    return permissions.get("uuid") is True
