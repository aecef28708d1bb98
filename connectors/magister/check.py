"""`check`: which layer of a Magister koppeling fails, and the sentence for the school.

Of every list the columns are read, and whether a row follows; then the connection is closed and
nothing is kept. All lists are asked before a layer is judged, so that the school hears of all that
is missing at once.
Spec: magister.md, sections 5 (the classes) and 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from connectors.base import CheckResult, Layer
from connectors.errors import (
    AuthenticationError,
    ConnectorError,
    ProtocolViolationError,
    RequestRefusedError,
)
from connectors.magister.failures import EMPTY_ADVICE, missing_in_layout
from connectors.magister.functions import (
    KEY,
    PUPIL_GROUPS,
    STAFF,
    STAFF_CLASSES,
    STAFF_GROUPS,
    STUDENTS,
)
from connectors.magister.layouts import (
    ALL,
    CONTRACT_VERSIE,
    PGN,
    VERSIE,
    Layout,
)
from connectors.magister.lists import other_version
from connectors.magister.options import Mode, Options
from connectors.magister.transport import Call, MagisterTransport, function_call, list_call
from connectors.magister.wire import DATA, LAYOUT

_ORDER: Final = (
    Layer.NETWORK,
    Layer.TLS,
    Layer.LOGIN,
    Layer.RIGHTS,
    Layer.LAYOUT,
    Layer.SHAPE,
    Layer.DATA,
)
_PASSED: Final = {
    Layer.NETWORK: "Magister is reached",
    Layer.TLS: "the connection is trusted",
    Layer.LOGIN: "the account is let in",
    Layer.RIGHTS: "every list is allowed",
    Layer.LAYOUT: "lists and columns are as agreed",
    Layer.SHAPE: "the answers are as described",
    Layer.DATA: "the lists hold readable rows",
}
_LOOKS_BROKEN: Final = (
    "De letters met accenten komen beschadigd uit Magister (zoals `Ã«` voor `ë`). Vraag de "
    "applicatiebeheerder om de tekst van de lijst na te kijken, en laat ops de instelling "
    "`encoding` controleren."
)


@dataclass(slots=True)
class _Findings:
    """What is wrong, by layer."""

    wrong: dict[Layer, list[tuple[str, str]]] = field(default_factory=dict)

    def add(self, layer: Layer, message: str, advice: str) -> None:
        self.wrong.setdefault(layer, []).append((message, advice))

    def add_error(self, error: ConnectorError) -> None:
        self.add(layer_of(error), str(error), error.advice)

    def results(self, passed: Sequence[Layer] = _ORDER) -> list[CheckResult]:
        """Each layer in order, up to the first that fails; that one with all that fails in it."""
        found: list[CheckResult] = []
        for layer in passed:
            problems = self.wrong.get(layer)
            if problems:
                messages = "; ".join(message for message, _ in problems)
                advices = "\n".join(dict.fromkeys(advice for _, advice in problems))
                found.append(CheckResult(layer, False, messages, advices))
                break
            found.append(CheckResult(layer, True, _PASSED[layer]))
        return found


def layer_of(error: ConnectorError) -> Layer:
    """The layer that an error is about."""
    match error:
        case AuthenticationError():
            return Layer.LOGIN
        case RequestRefusedError(code="404"):
            return Layer.NETWORK  # there is no web service at that address
        case RequestRefusedError():
            return Layer.RIGHTS
        case ProtocolViolationError(where="tls"):
            return Layer.TLS
        case ProtocolViolationError() if error.where == LAYOUT:
            return Layer.LAYOUT
        case ProtocolViolationError() if error.where == DATA:
            return Layer.DATA
        case ProtocolViolationError():
            return Layer.SHAPE
        case _:
            return Layer.NETWORK


def service(
    transport: MagisterTransport, options: Options, *, drop: frozenset[str]
) -> Sequence[CheckResult]:
    """Check the web service in the mode of the koppeling."""
    findings = _Findings()
    try:
        transport.login()
        if options.mode is Mode.LAYOUTS:
            _layouts(transport, options, findings, pgn=_wants_numbers(drop))
        else:
            _functions(transport, options, findings)
    except ConnectorError as error:
        return _Findings({layer_of(error): [(str(error), error.advice)]}).results()
    return findings.results()


def _wants_numbers(drop: frozenset[str]) -> bool:
    return not {"leerling.bsn", "leerling.onderwijsnummer"} <= drop


def _layouts(
    transport: MagisterTransport, options: Options, findings: _Findings, *, pgn: bool
) -> None:
    for layout in ALL:
        if layout is not PGN or pgn:
            call = list_call(layout.name, options)
            _look(transport, call, findings, layout=layout)


def _functions(transport: MagisterTransport, options: Options, findings: _Findings) -> None:
    """A person of number 0 is asked for where a function wants one: there is none."""
    _look(transport, function_call(STUDENTS, options), findings, key=KEY)
    _either(transport, [function_call(name, options) for name in STAFF], findings)
    for name in (PUPIL_GROUPS, STAFF_GROUPS, STAFF_CLASSES):
        _look(transport, function_call(name, options, stamnr="0"), findings)


def _either(transport: MagisterTransport, calls: Sequence[Call], findings: _Findings) -> None:
    """One of two names of a function has to answer; the first one's refusal is told."""
    tried = [_Findings() for _ in calls]
    for call, own in zip(calls, tried, strict=True):
        _look(transport, call, own, key=KEY)
        if not own.wrong:
            return
    for layer, problems in tried[0].wrong.items():
        findings.wrong.setdefault(layer, []).extend(problems)


def _look(
    transport: MagisterTransport,
    call: Call,
    findings: _Findings,
    *,
    layout: Layout | None = None,
    key: str = "",
) -> None:
    """Look at the beginning of one list.

    Raises: ConnectorError where no call can succeed (network, TLS, login).
    """
    try:
        rows, text = transport.peek(call)
        first = next(iter(rows), None)
    except ConnectorError as error:
        if layer_of(error) in {Layer.NETWORK, Layer.TLS, Layer.LOGIN}:
            raise
        findings.add_error(error)
        return
    columns = frozenset(rows.columns)
    needed = layout.required if layout is not None else (key,) if key else ()
    # XML names its columns in its rows only, so that without a row nothing is known of them
    missing = tuple(name for name in needed if name not in columns) if columns else ()
    if missing:
        findings.add_error(missing_in_layout(call.operation, call.subject, missing))
    elif layout is VERSIE and first is not None and first.get("contract_versie") != CONTRACT_VERSIE:
        findings.add_error(other_version())
    if first is None and needed:
        findings.add(Layer.DATA, f"{call.operation}: no row", EMPTY_ADVICE)
    if text.looks_broken:
        findings.add(Layer.DATA, f"{call.operation}: damaged text", _LOOKS_BROKEN)
