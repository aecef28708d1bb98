"""Calls to Magister's web service: the login, its renewal, and the one place that knows the query.

The protocol carries the credentials in the query of every call. They go out as a *sealed* query of
`connectors/protocols/rest.py`, which no log, exception or request object shows. A number of a pupil
stands in the query too, so nothing else of it is shown either.
Spec: magister.md, sections 2 and 3 (CONFIRMED where not marked).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from connectors.errors import AuthenticationError, ConnectorError
from connectors.magister.failures import explained, is_login_like, login_refused, refusal
from connectors.magister.options import Format, Options, TokenMode
from connectors.magister.wire import Rows, Text, Verdict, read_text, read_verdict
from connectors.protocols.rest import Answer, Query, RestTransport

LOGIN: Final = "Algemeen.Login"
_EXPIRED: Final = Verdict(ok=False, message="token")
_ACCEPT: Final = {"Accept": "*/*"}


@dataclass(frozen=True, slots=True)
class Call:
    """One call, without the token.

    Attributes:
        subject: the function or list, as errors name it.
        before, after: parameters before and after the token, in the spelling of section 3.
        is_list: it asks a list of Decibel.
    """

    subject: str
    before: tuple[tuple[str, str], ...]
    after: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    is_list: bool = False

    @property
    def operation(self) -> str:
        """What logs and errors call it."""
        return f"GET {self.subject}"


def list_call(layout: str, options: Options, *, parameters: str = "") -> Call:
    """`GetData` of one list. Spec: section 3.3 (CONFIRMED)."""
    encoding = (("Encoding", "ANSI"),) if options.encoding == "ansi" else ()
    return Call(
        layout,
        (("Library", "Data"), ("Function", "GetData")),
        (
            ("Layout", layout),
            ("Parameters", parameters),
            ("Type", options.format.upper()),
            *encoding,
        ),
        is_list=True,
    )


def function_call(name: str, options: Options, *, lesperiode: str = "", stamnr: str = "") -> Call:
    """A fixed function of `ADFuncties`. Spec: section 3.2 (CONFIRMED)."""
    about = (("StamNr", stamnr),) if stamnr else (("LesPeriode", lesperiode),)
    return Call(
        f"ADFuncties.{name}",
        (("library", "ADFuncties"), ("function", name)),
        (*about, ("Type", options.format.upper())),
    )


class MagisterTransport:
    """Asks the web service; keeps one token for as long as it lives.

    A call that fails as if the token were no longer good is repeated once with a new one.
    """

    def __init__(self, rest: RestTransport, options: Options) -> None:
        self._rest = rest
        self._options = options
        self._lock = threading.Lock()
        self._token = ""

    def __repr__(self) -> str:
        return "<MagisterTransport>"

    def close(self) -> None:
        """Release connections."""
        self._rest.close()

    def login(self) -> None:
        """Have a token.

        Raises: AuthenticationError if the account is refused; ConnectorError.
        """
        self._current(refused="")

    def rows(self, call: Call) -> tuple[Rows, Text]:
        """The rows of an answer.

        Raises: AuthenticationError; RequestRefusedError where a right is missing;
            ProtocolViolationError; ConnectorError.
        """
        text = self._ask(call)
        return Rows(text, operation=call.operation), text

    def peek(self, call: Call) -> tuple[Rows, Text]:
        """The beginning of an answer: its columns, and whether a row follows; the rest is not read.

        Raises: as `rows`.
        """
        text = self._ask(call, enough=_begun)
        return Rows(text, operation=call.operation, partial=True), text

    def _ask(self, call: Call, *, enough: Callable[[bytes], bool] | None = None) -> Text:
        token = self._current(refused="")
        text, verdict = self._try(call, token, enough=enough)
        if is_login_like(verdict):
            token = self._current(refused=token)
            text, verdict = self._try(call, token, enough=enough)
            if is_login_like(verdict):
                raise login_refused(call.operation)
        if verdict.failed:
            raise refusal(
                verdict, operation=call.operation, subject=call.subject, is_list=call.is_list
            )
        return text

    def _try(
        self, call: Call, token: str, *, enough: Callable[[bytes], bool] | None
    ) -> tuple[Text, Verdict]:
        query = (*call.before, ("SessionToken", token), *call.after)
        try:
            answer = self._send(query, operation=call.operation, enough=enough)
        except AuthenticationError:  # status 401 or 403
            return Text(b""), _EXPIRED
        text = read_text(
            answer.body,
            operation=call.operation,
            encoding=self._options.encoding,
            partial=enough is not None,
        )
        return text, read_verdict(text, operation=call.operation, partial=enough is not None)

    def _current(self, *, refused: str) -> str:
        """A token other than the one that was refused.

        Raises: AuthenticationError.
        """
        if self._options.token_mode is TokenMode.INLINE:
            if refused:
                raise login_refused(f"GET {LOGIN}")
            return self._options.inline_token
        with self._lock:
            if not self._token or self._token == refused:
                self._token = ""
                self._token = self._log_in()
            return self._token

    def _log_in(self) -> str:
        """Spec: section 3.1 (CONFIRMED; that both outcomes come with status 200 ASSUMED)."""
        operation = f"GET {LOGIN}"
        query = (
            ("Library", "Algemeen"),
            ("Function", "Login"),
            ("UserName", self._options.username),
            ("Password", self._options.password),
            ("Type", Format.XML.upper()),
        )
        answer = self._send(query, operation=operation)
        text = read_text(answer.body, operation=operation)
        verdict = read_verdict(text, operation=operation)
        if verdict.ok is not True or not verdict.token:
            raise login_refused(operation)
        return verdict.token

    def _send(
        self, query: Query, *, operation: str, enough: Callable[[bytes], bool] | None = None
    ) -> Answer:
        """The one place where credentials and address meet; the query is sealed."""
        failed: ConnectorError
        try:
            return self._rest.get(
                self._options.base_url,
                operation=operation,
                sealed=query,
                headers=_ACCEPT,
                enough=enough,
            )
        except ConnectorError as error:
            failed = explained(error)
        raise failed


_ENOUGH: Final = 1 << 16


def _begun(body: bytes) -> bool:
    """Whether the columns and a row have come, or what may hold them."""
    if len(body) >= _ENOUGH:
        return True
    return not body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and body.count(b"\n") >= 2
