"""`check`: which layer of a UWLR koppeling fails, and what the school or ops does about it.

Reads no person: it asks what changed since this very moment, which is nothing; where the
administration sends everything nonetheless, the reading stops at the name of the school, which
stands before its persons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from connectors.base import CheckResult, Layer
from connectors.errors import (
    AuthenticationError,
    ConnectorError,
    ProtocolViolationError,
    RequestRefusedError,
)
from connectors.protocols.soap import Asked, SoapClient
from connectors.protocols.xmldoc import Element, Event
from connectors.uwlr.faults import NO_ACCESS
from connectors.uwlr.names import NOTHING, UNCHANGED, WHOLE, lg
from connectors.uwlr.wire import Question, Said, check_header, read_header, request

_ADVICE: Final = {
    Layer.NETWORK: "De UWLR-dienst van de administratie is niet bereikbaar. Probeer het later "
    "opnieuw; blijft dit zo, laat ops dan het adres, de proxy en de firewall nakijken.",
    Layer.TLS: "Er komt geen vertrouwde verbinding tot stand. Laat ops het adres, ons certificaat "
    "en de vertrouwde uitgevers van deze koppeling nakijken.",
    Layer.LOGIN: "De administratie kent onze klantnaam en klantcode niet. Laat ops beide nakijken "
    "bij de leverancier.",
    Layer.RIGHTS: "Vraag de school in haar administratie de UWLR-koppeling aan te zetten voor elke "
    "vestiging die meedoet, en ons de nieuwe autorisatiesleutel te geven.",
    Layer.SHAPE: "De administratie antwoordt anders dan UWLR voorschrijft. Meld dit bij ops.",
    Layer.DATA: "De administratie heeft voor deze vestiging en dit schooljaar niets te leveren. "
    "Vraag de school of de vestiging en het schooljaar kloppen.",
}

_OF_ANOTHER: Final = frozenset({"schooljaar", "brincode", "dependancecode", "schoolkey"})


def run(
    client: SoapClient,
    head: Element,
    questions: Sequence[Question],
    attempts: Callable[[Callable[[], Said]], Said],
) -> Sequence[CheckResult]:
    """Prove each layer for every place; stops at the first that fails.

    Args:
        client: to ask by.
        head: the authorisation.
        questions: one for each place, since now.
        attempts: tries lower versions.
    """
    order = tuple(_PASSED)
    for question in questions:
        try:
            said = attempts(lambda: _peek(client, head, question))  # noqa: B023 - called at once
        except ConnectorError as error:
            layer = _layer_of(error)
            passed = [CheckResult(one, True, _PASSED[one]) for one in order[: order.index(layer)]]
            advice = error.advice if isinstance(error, RequestRefusedError) else _ADVICE[layer]
            return [*passed, CheckResult(layer, False, str(error), advice)]
        if said is Said.NOTHING:
            passed = [CheckResult(one, True, _PASSED[one]) for one in order[:-1]]
            message = f"no data for {question.place.key} in {question.schooljaar}"
            return [*passed, CheckResult(Layer.DATA, False, message, _ADVICE[Layer.DATA])]
    return [CheckResult(layer, True, _PASSED[layer]) for layer in order]


_PASSED: Final = {
    Layer.NETWORK: "the administration is reached",
    Layer.TLS: "the connection is trusted",
    Layer.LOGIN: "our name and code are known",
    Layer.RIGHTS: "the key is good for every vestiging",
    Layer.SHAPE: "the answers are as described",
    Layer.DATA: "every vestiging has data",
}


def _layer_of(error: ConnectorError) -> Layer:
    match error:
        case AuthenticationError() | RequestRefusedError(code="Client.OngeldigeKlantIdentificatie"):
            return Layer.LOGIN
        case RequestRefusedError(code=code) if code in NO_ACCESS:
            return Layer.RIGHTS
        case RequestRefusedError(code="404" | "405"):
            return Layer.NETWORK
        case ProtocolViolationError(where="tls"):
            return Layer.TLS
        case ProtocolViolationError(where=where) if where in _OF_ANOTHER:
            return Layer.DATA
        case ProtocolViolationError() | RequestRefusedError():
            return Layer.SHAPE
        case _:
            return Layer.NETWORK


def _peek(client: SoapClient, head: Element, question: Question) -> Said:
    """What an administration says to a question, read as far as the name of the school.

    Raises: ConnectorError.
    """

    def take(events: Iterator[Event]) -> Said:
        header = read_header(WHOLE, events)
        if isinstance(header, Said):
            return header
        check_header(header, question, operation=WHOLE.name)
        return Said.DATA

    return client.call(
        request(WHOLE, question),
        action=WHOLE.action,
        operation=WHOLE.name,
        asked=Asked(
            ends={lg("school"), lg(UNCHANGED), lg(NOTHING)},
            starts={lg(WHOLE.answer), lg(WHOLE.data)},
        ),
        take=take,
        head=(head,),
    )
