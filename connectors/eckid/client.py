"""The number facility itself: its nine operations for one school, over mutual TLS.

What only reads is repeated by the one retry policy; a submission, the one answer to a batch and a
replacement are asked once. No message, log or error holds a hash or a pseudonym.

Spec: eckid.md, sections 5 to 12.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from config.clock import Clock
from config.errors import ConfigurationError
from connectors.eckid.answers import intake, is_refused_certificate, not_let_in, violation
from connectors.eckid.batch_answer import read_batch
from connectors.eckid.facility import BatchResult, Listed, Ping
from connectors.eckid.faults import (
    INVALID_CHAIN,
    INVALID_SECTOR,
    OutOfOrderError,
    WrongEnvironmentError,
)
from connectors.eckid.hashing import Hpgn
from connectors.eckid.lists import confirm
from connectors.eckid.manifest import SYSTEM
from connectors.eckid.names import VERSION
from connectors.eckid.options import LARGEST_BATCH, Options
from connectors.errors import (
    OutcomeUnknownError,
    ProtocolViolationError,
    RequestRefusedError,
    SourceUnavailableError,
)
from connectors.protocols.rest import RestTransport
from sector.identifiers import EckId, InvalidIdentifierError, Stampseudoniem

if TYPE_CHECKING:
    from connectors.eckid.wire import Call, Post

P = TypeVar("P", EckId, Stampseudoniem)
T = TypeVar("T")

FETCH_PATIENCE: Final = timedelta(minutes=5)
_LISTS_FOR: Final = timedelta(days=1)
_LONGEST_REFERENCE: Final = 256
_NOT_SENT: Final = frozenset({"tls", "request"})
_log = logging.getLogger(__name__)


class Nummervoorziening:
    """The facility, for the school, chain and sector of one koppeling. See `Facility`."""

    def __init__(self, options: Options, *, transport: RestTransport, clock: Clock) -> None:
        self._options, self._transport, self._clock = options, transport, clock
        self._lists: dict[str, tuple[datetime, Sequence[Listed]]] = {}

    # -- what it is --------------------------------------------------------------------------------

    def ping(self) -> Ping:
        """Whether it is up; another version than the one that we know is told, and no more."""
        answer = self._ask("ping")
        available = getattr(answer, "available", None)
        version = getattr(answer, "applicationVersion", None)
        moment = getattr(answer, "systemTime", None)
        if not (
            isinstance(available, bool)
            and isinstance(version, str)
            and isinstance(moment, datetime)
        ):
            raise violation("ping", "misses a part", where="pingResponse")
        if not version.startswith(VERSION):
            _log.warning("the number facility has another version than %s", VERSION)
        return Ping(available, version, moment)

    def chains(self) -> Sequence[Listed]:
        """The chains that it knows; asked once a day."""
        return self._listed("retrieveChains")

    def sectors(self) -> Sequence[Listed]:
        """The sectors that it knows; asked once a day."""
        return self._listed("retrieveSectors")

    def _listed(self, operation: str) -> Sequence[Listed]:
        known = self._lists.get(operation)
        if known is not None and self._clock.now() - known[0] < _LISTS_FOR:
            return known[1]
        answer = self._ask(operation)
        rows = answer if isinstance(answer, list) else []
        found = [
            Listed(row.id, row.name)
            for row in rows
            if isinstance(getattr(row, "id", None), str)
            and isinstance(getattr(row, "name", None), str)
        ]
        if not found or len(found) != len(rows):
            raise violation(operation, "lists nothing, or something without id or name")
        self._lists[operation] = (self._clock.now(), found)
        return found

    # -- one person --------------------------------------------------------------------------------

    def stampseudoniem(self, hpgn: Hpgn) -> Stampseudoniem:
        """The root pseudonym of one person."""
        answer = self._ask("retrieveStampseudonym", {"hpgn": hpgn.reveal()})
        return self._pseudonym(Stampseudoniem, answer, "retrieveStampseudonym")

    def eck_id(self, stampseudoniem: Stampseudoniem) -> EckId:
        """The pseudonym of one person in the chain and sector of this koppeling."""
        answer = self._in_sector(
            lambda: self._ask(
                "retrieveEckId", {"stampseudonym": stampseudoniem.reveal(), **self._sector()}
            )
        )
        return self._pseudonym(EckId, answer, "retrieveEckId")

    def replace(self, former: Hpgn, now: Hpgn) -> Stampseudoniem:
        """From now on the new hash leads to the pseudonym of the former one.

        Never with a date: a replacement that waits cannot be seen or undone.
        """
        operation = "replaceStampseudonym"
        arguments = {"hpgnOld": former.reveal(), "hpgnNew": now.reveal()}
        try:
            answer = self._ask(operation, arguments, repeats=False)
            return self._pseudonym(Stampseudoniem, answer, operation)
        except (OutOfOrderError, WrongEnvironmentError):
            raise
        except (SourceUnavailableError, ProtocolViolationError) as error:
            if isinstance(error, ProtocolViolationError) and error.where in _NOT_SENT:
                raise
            raise OutcomeUnknownError(
                f"{operation}: sent, and not answered in a way that can be read",
                system=SYSTEM,
                operation=operation,
                advice="Het is niet bekend of de vervanging is doorgevoerd. Stuur haar niet nog "
                "eens: vraag met het nieuwe nummer het stampseudoniem op en vergelijk het.",
            ) from error

    # -- many --------------------------------------------------------------------------------------

    def submit_hashes(self, hashes: Mapping[int, Hpgn]) -> str:
        """Ask for the stampseudoniemen of many; the name of the batch."""
        rows = [{"index": index, "hPgn": one.reveal()} for index, one in hashes.items()]
        return self._submit("submitStampseudonymBatch", {"hpgnList": rows}, count=len(rows))

    def submit_stampseudoniemen(self, values: Mapping[int, Stampseudoniem]) -> str:
        """Ask for the ECK iDs of many; the name of the batch."""
        rows = [{"index": index, "stampseudonym": one.reveal()} for index, one in values.items()]
        arguments = {"stampseudonymList": rows, **self._sector()}
        return self._in_sector(lambda: self._submit("submitEckIdBatch", arguments, count=len(rows)))

    def fetch(self, reference: str) -> bytes:
        """The one answer to a batch, raw.

        What is no XML at all is refused, for the real answer may still come. Nothing else is
        looked at, but whether it is a fault, which no answer is.
        """
        return self._call("retrieveBatch", {"batchIdentifier": reference}).ask_raw(
            self._post("retrieveBatch", repeats=False, once=True)
        )

    def read(self, body: bytes) -> BatchResult:
        """What a fetched answer says."""
        return read_batch(body, is_test=self._options.omgeving.is_test)

    def _submit(self, operation: str, arguments: Mapping[str, object], *, count: int) -> str:
        if not 0 < count <= LARGEST_BATCH:
            message = f"a batch holds 1 to {LARGEST_BATCH} persons"
            raise ValueError(message)
        answer = self._ask(operation, arguments, repeats=False)
        reference = answer.strip() if isinstance(answer, str) else ""
        if not 0 < len(reference) <= _LONGEST_REFERENCE or not reference.isprintable():
            raise violation(operation, "names no batch", where="batchIdentifier")
        _log.info("%s: %d persons, for school %s", operation, count, self._options.oin)
        return reference

    # -- chain and sector --------------------------------------------------------------------------

    def _sector(self) -> Mapping[str, str]:
        return {"chainId": self._options.keten, "sectorId": self._options.sector}

    def _in_sector(self, ask: Callable[[], T]) -> T:
        """Ask something of our chain and sector, once both are known to be listed.

        Raises: ConfigurationError if one is not, or is refused nonetheless; ConnectorError.
        """
        self._confirm()
        try:
            return ask()
        except RequestRefusedError as error:
            if error.code not in {INVALID_CHAIN, INVALID_SECTOR}:
                raise
            self._lists.clear()
            self._confirm()
            raise ConfigurationError(str(error), advice=error.advice) from error

    def _confirm(self) -> None:
        """See that both are listed; a list that was kept is asked for once more before it is no."""
        kept = bool(self._lists)
        try:
            confirm(self, keten=self._options.keten, sector=self._options.sector)
        except ConfigurationError:
            if not kept:
                raise
            self._lists.clear()
            confirm(self, keten=self._options.keten, sector=self._options.sector)

    # -- one call ----------------------------------------------------------------------------------

    def _ask(
        self,
        operation: str,
        arguments: Mapping[str, object] | None = None,
        *,
        repeats: bool = True,
    ) -> object:
        post = self._post(operation, repeats=repeats)
        return self._call(operation, arguments or {}).ask(post)

    def _call(self, operation: str, arguments: Mapping[str, object]) -> Call:
        from connectors.eckid.wire import Call  # here: zeep is loaded by whoever makes a call

        return Call(self._options.endpoint, self._options.oin, operation, arguments)

    def _post(self, operation: str, *, repeats: bool, once: bool = False) -> Post:
        """How an envelope of one operation is sent, and what its answer is judged by.

        `once` says that the answer never comes again.
        """

        def post(document: bytes, headers: Mapping[str, str], message_id: str) -> bytes:
            _log.info("%s: %s for school %s", operation, message_id, self._options.oin)
            try:
                return self._transport.post_document(
                    self._options.endpoint,
                    operation=operation,
                    document=document,
                    headers={"Accept": "text/xml", **headers},
                    intake=intake(operation, once=once),
                    repeats=repeats,
                    total=FETCH_PATIENCE if once else None,
                )
            except ProtocolViolationError as error:
                if error.where == "tls" and is_refused_certificate(error):
                    raise not_let_in(f"{operation}: our certificate", operation) from error
                raise

        return post

    def _pseudonym(self, kind: type[P], answer: object, operation: str) -> P:
        """The pseudonym in an answer. Raises: ProtocolViolationError; WrongEnvironmentError."""
        try:
            found = kind(answer)  # type: ignore[arg-type]  # it refuses what is no text
        except InvalidIdentifierError as error:
            raise violation(operation, f"holds no {kind.name}: it {error.rule}") from None
        if found.is_test is not self._options.omgeving.is_test:
            raise WrongEnvironmentError(
                f"{operation}: the {kind.name} is of the other environment",
                where=kind.name,
                system=SYSTEM,
                operation=operation,
            )
        return found
