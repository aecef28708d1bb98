"""The UWLR connector: reads pupils, groups and staff of any administration (LAS) that serves it.

What it holds to (uwlr.md): an answer is all or nothing, and is about the school and school year
that were asked; one question serves every resource of a place; a refusal or failure is not asked
again for the next resource; a lower version is tried where this one is not spoken.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from config.clock import Clock, SystemClock
from config.errors import ConfigurationError
from connectors.base import (
    Budget,
    CheckResult,
    Cursor,
    Link,
    Manifest,
    Parsed,
    Reading,
    Scope,
)
from connectors.errors import (
    AuthenticationError,
    ConnectorError,
    CursorExpiredError,
    ProtocolViolationError,
    RequestRefusedError,
)
from connectors.protocols.rest import Limits, RestTransport
from connectors.protocols.soap import SoapClient
from connectors.protocols.xmldoc import Bounds
from connectors.uwlr import check, records
from connectors.uwlr.delivery import Delivery
from connectors.uwlr.faults import VERSION, judge
from connectors.uwlr.manifest import MANIFEST, SYSTEM
from connectors.uwlr.names import (
    LEERKRACHTEN,
    LEERLINGEN,
    SECTIONS,
    STRUCTUUR,
    VERSIONS,
    WHOLE,
    Call,
    Profiel,
    allowed,
)
from connectors.uwlr.options import Mode, Options, Place, read_options
from connectors.uwlr.reading import Answered, ChangesReading, WholeReading
from connectors.uwlr.wire import Group, Question, Said, ask, authorisation, is_moment, request
from sector.identifiers import Schooljaar

HUIDIG: Final = "huidig"
VOLGEND: Final = "volgend"

_AHEAD: Final = timedelta(minutes=15)
_AMSTERDAM: Final = ZoneInfo("Europe/Amsterdam")
_REFUSED: Final = frozenset({"401", "403"})
_NOWHERE: Final = frozenset({"404", "405"})

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

Outcome = Answered | ConnectorError


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked at once: a place in a school year, since a moment or from the start."""

    place: Place
    schooljaar: str
    since: str = ""


@dataclass(slots=True)
class _Held:
    """What came of one question, and the resources that have not read it yet.

    Attributes:
        changed: it is everything because something changed.
    """

    outcome: Outcome
    unread: set[str]
    changed: bool = False


@dataclass(frozen=True, slots=True)
class _Asking:
    """A group to ask the persons of; without key: the persons of no such group."""

    kind: str = "groep"
    key: str = ""


class UwlrConnector:
    """One koppeling: one key, one client, one or more places."""

    def __init__(
        self, link: Link, options: Options, *, transport: RestTransport, clock: Clock
    ) -> None:
        self._link, self._options = link, options
        self._transport, self._clock = transport, clock
        self._resources = _chosen(link.resources, options.profiel)
        self._head = partial(authorisation, options.authorisation)
        self._version = options.version
        self._held: dict[_Asked, _Held] = {}
        bounds = Bounds(options.largest_bytes, min(options.largest_bytes, _LARGEST_PART))
        self._client, self._staged = (
            SoapClient(transport, SYSTEM, url, options.headers, judge, bounds)
            for url in (options.endpoint, options.staged_endpoint)
        )

    @property
    def manifest(self) -> Manifest:
        """What UWLR can be asked."""
        return MANIFEST

    def close(self) -> None:
        """Release connections, and what was held."""
        self._held.clear()
        self._transport.close()

    def check(self) -> Sequence[CheckResult]:
        """Prove network, TLS, login, rights, shape and data, in that order; reads no person."""
        year = Schooljaar.of(self._clock.now().astimezone(_AMSTERDAM).date())
        moment = self._clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        questions = [
            self._question(_Asked(place, _dashed(year), moment)) for place in self._options.places
        ]
        return check.run(self._client, self._head(), questions, self._with_versions)

    def scopes(self, *, today: date) -> Sequence[Scope]:
        """Each resource, in each place that is configured, for each school year that is read."""
        year = Schooljaar.of(today).first_year
        found: list[Scope] = []
        for resource in self._resources:
            for place in self._options.places:
                label = place.vestigingsnummer or place.key
                if resource == "school":
                    found.append(Scope(resource, place.key, brins=place.brins, label=label))
                    continue
                key = f"{place.key}/{HUIDIG}"
                found.append(Scope(resource, key, 0, place.brins, year, f"{label}, huidig"))
                if self._options.reads_next_year(today):
                    key, name = f"{place.key}/{VOLGEND}", f"{label}, volgend schooljaar"
                    found.append(Scope(resource, key, 1, place.brins, year + 1, name))
        return found

    def snapshot(self, scope: Scope) -> Reading:
        """Read everything of one scope; nothing is asked before the iteration begins."""
        return WholeReading(partial(self._answer, scope, self._asked(scope)), scope.resource)

    def delta(self, scope: Scope, *, cursor: Cursor | None) -> Reading:
        """Ask whether anything changed since the cursor; see reading.py."""
        if cursor is None:
            return self.snapshot(scope)
        return ChangesReading(partial(self._changes, scope, cursor), scope.resource)

    def lookup(self, scope: Scope, *, keys: Sequence[str]) -> Reading:
        """UWLR has no look-up; it is not declared, so the engine does not ask."""
        raise NotImplementedError

    def parse(self, resource: str, body: bytes) -> Parsed:
        """Turn one raw body into its record of records.py. Raises: ParseError."""
        return UWLR.parse(resource, body)

    # -- one question for all resources ------------------------------------------------------------

    def _answer(self, scope: Scope, asked: _Asked) -> Answered:
        """What came of a question that every resource of a place has in common.

        The first resource asks; each other resource is given the same once. Who comes again asks
        anew. Raises: ConnectorError, the same for each of them.
        """
        held = self._held.get(asked)
        if held is None or scope.resource not in held.unread:
            held = _Held(self._outcome(asked), set(self._resources))
            self._held[asked] = held
        held.unread.discard(scope.resource)
        if not held.unread:
            del self._held[asked]
        if isinstance(held.outcome, ConnectorError):
            raise held.outcome
        return held.outcome

    def _outcome(self, asked: _Asked) -> Outcome:
        try:
            return self._with_versions(partial(self._ask, asked))
        except ConnectorError as error:
            return error

    def _changes(self, scope: Scope, cursor: Cursor) -> Answered:
        """What came of asking for changes; where it is data, the whole reading is given that."""
        asked = self._asked(scope)
        known = self._held.get(asked)
        heard = known is not None and known.changed and scope.resource in known.unread
        if known is not None and heard and isinstance(known.outcome, Answered):
            return known.outcome  # another resource of this place heard that something changed
        if self._options.mode is Mode.STAGED or not is_moment(cursor):
            raise CursorExpiredError(
                "there is nothing to ask changes by", system=SYSTEM, operation=WHOLE.name
            )
        answered = self._answer(scope, _Asked(asked.place, asked.schooljaar, cursor))
        if answered.delivery is not None:
            self._held.pop(_Asked(asked.place, asked.schooljaar, cursor), None)
            self._held[asked] = _Held(answered, set(self._resources), changed=True)
        return answered

    def _with_versions(self, attempt: Callable[[], _T]) -> _T:
        """Try a lower version where the administration refuses this one; it is kept for the run.

        Spec: uwlr.md, section 11 (CONFIRMED).
        """
        while True:
            try:
                return attempt()
            except RequestRefusedError as error:
                lower = [version for version in VERSIONS if version < self._version]
                if error.code in _REFUSED | _NOWHERE:
                    raise _told_well(error) from error
                if error.code != VERSION or not lower:
                    raise
                self._version = lower[-1]
                _log.info("the administration does not speak this version; trying %s", lower[-1])

    def _question(self, asked: _Asked) -> Question:
        return Question(
            asked.place,
            asked.schooljaar,
            self._version,
            self._options.gegevenssetid,
            asked.since,
        )

    def _ask(self, asked: _Asked) -> Answered:
        """Ask for everything of a place in a school year."""
        question = self._question(asked)
        version = f"UWLR {question.version}"
        if self._options.mode is Mode.STAGED:
            return Answered(self._ask_staged(question), version)
        said, delivery = self._call(WHOLE, question)
        if said is Said.DATA:
            return Answered(delivery, version, self._cursor(delivery))
        if said is Said.UNCHANGED and not question.since:
            raise ProtocolViolationError(
                f"{WHOLE.name}: the answer is `no changes`, which was not asked",
                where=Said.UNCHANGED,
                system=SYSTEM,
                operation=WHOLE.name,
            )
        return Answered(None, version, unchanged=said is Said.UNCHANGED)

    def _ask_staged(self, question: Question) -> Delivery | None:
        """Groups first, then the persons of some groups at once, then the groups once more.

        Asking for the persons of every stamgroep and of none gives everybody.
        Spec: uwlr.md, sections 6 and 7.8 (order CONFIRMED, merging ASSUMED).
        """
        said, delivery = self._call(STRUCTUUR, question)
        if said is not Said.DATA:
            return None
        for resource, call in (("leerling", LEERLINGEN), ("leerkracht", LEERKRACHTEN)):
            if resource not in self._resources:
                continue
            for groups in self._batches(delivery):
                said, part = self._call(call, question, groups)
                if said is Said.DATA:
                    delivery.merge(part)
                elif said is Said.UNCHANGED:
                    message = f"{call.name}: the answer is `no changes`, which was not asked"
                    raise ProtocolViolationError(
                        message, where=Said.UNCHANGED, system=SYSTEM, operation=call.name
                    )
        said, again = self._call(STRUCTUUR, question)
        delivery.shaken = said is not Said.DATA or not delivery.same_groups(again)
        return delivery

    def _batches(self, delivery: Delivery) -> Iterator[Sequence[Group]]:
        """The stamgroepen, some at a time, and last of all *none*."""
        stamgroepen = [
            _Asking("groep", key) for key, kind in delivery.groups.items() if kind == "groep"
        ]
        size = self._options.groups_per_call
        for start in range(0, len(stamgroepen), size):
            yield stamgroepen[start : start + size]
        yield (_Asking(),)

    def _call(
        self, call: Call, question: Question, groups: Sequence[Group] = ()
    ) -> tuple[Said, Delivery]:
        return ask(
            self._client if call is WHOLE else self._staged,
            call,
            request(call, question, groups),
            head=self._head(),
            make=lambda: Delivery(
                question, operation=call.name, allowed=self._allowed(question.version)
            ),
        )

    def _allowed(self, version: str) -> Mapping[str, frozenset[str]]:
        """Elements of each resource that is read: agreed on, and not dropped by configuration."""
        found: dict[str, frozenset[str]] = {}
        for resource in SECTIONS:
            if resource in self._resources:
                names = allowed(self._options.profiel, version, resource) | {"eckid"}
                found[resource] = names - _dropped(self._link.drop, resource)
        return found

    def _cursor(self, delivery: Delivery) -> Cursor:
        """From where a delta may ask: when the answer was made, unless that is yet to come.

        A clock that runs ahead would hide what changes until then.
        """
        text = delivery.header.aanmaakdatum if delivery.header is not None else ""
        if not is_moment(text):
            return ""
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return ""
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=_AMSTERDAM)
        return text if moment <= self._clock.now() + _AHEAD else ""

    def _asked(self, scope: Scope) -> _Asked:
        """The place and school year of a scope.

        Raises: ConfigurationError if it is no scope of this connector.
        """
        key, _, part = scope.key.partition("/")
        place = next((p for p in self._options.places if p.key == key), None)
        if place is None or part not in {"", HUIDIG, VOLGEND}:
            raise ConfigurationError("uwlr: a scope that this connector did not name")
        year = scope.schooljaar
        if year is None:
            year = Schooljaar.of(self._clock.now().astimezone(_AMSTERDAM).date()).first_year
        return _Asked(place, _dashed(Schooljaar.starting(year)))


_LARGEST_PART: Final = 8 * 1024 * 1024
"""Of an answer, between two records: the groups come as one part."""


def _dashed(year: Schooljaar) -> str:
    """As UWLR writes it: `2026-2027`."""
    return year.reveal().replace("/", "-")


def _dropped(drop: frozenset[str], resource: str) -> frozenset[str]:
    prefix = f"{resource}."
    return frozenset(name.removeprefix(prefix) for name in drop if name.startswith(prefix))


def _told_well(error: RequestRefusedError) -> ConnectorError:
    """A refusal by HTTP alone, in the words of this protocol."""
    names = {"system": SYSTEM, "operation": error.operation}
    if error.code in _REFUSED:
        return AuthenticationError(
            str(error),
            advice="De server van de administratie laat de hub niet binnen. Laat ops het "
            "certificaat en de HTTP-headers van deze koppeling nakijken.",
            **names,
        )
    return RequestRefusedError(
        str(error),
        code=error.code,
        advice="Op dit adres antwoordt geen UWLR-dienst. Laat ops de instelling `endpoint` "
        "nakijken bij de leverancier van de administratie.",
        **names,
    )


def _chosen(names: Sequence[str], profiel: Profiel) -> Sequence[str]:
    """The resources to read, in the order in which they are read.

    Only the full profile has vestigingen.
    Raises: ConfigurationError if a name is unknown.
    """
    wanted = {MANIFEST.resource(name).name for name in names}
    every = [resource.name for resource in MANIFEST.resources]
    if wanted:
        return [name for name in every if name in wanted]
    return [name for name in every if name != "vestiging" or profiel is Profiel.VOLLEDIG]


@dataclass(frozen=True, slots=True)
class UwlrFactory:
    """Makes connectors; what the entry point names."""

    @property
    def manifest(self) -> Manifest:
        """What UWLR can be asked."""
        return MANIFEST

    def connect(
        self,
        link: Link,
        *,
        clock: Clock | None = None,
        limits: Limits | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> UwlrConnector:
        """A connector for one koppeling; asks nothing yet.

        Raises: ConfigurationError, naming the setting that is wrong.
        """
        options = read_options(link.options, manifest=MANIFEST, tls=tls)
        clock = clock if clock is not None else SystemClock()
        if limits is None:
            limits = Limits(total=link.timeout, body_bytes=options.largest_bytes)
        transport = RestTransport(
            SYSTEM,
            clock=clock,
            budget=Budget(options.per_second, MANIFEST.budget.simultaneous),
            manners=link.manners,
            limits=limits,
            tls=options.tls,
            proxy=options.proxy,
        )
        return UwlrConnector(link, options, transport=transport, clock=clock)

    def parse(self, resource: str, body: bytes) -> Parsed:
        """As `UwlrConnector.parse`."""
        return records.parse(MANIFEST.resource(resource).name, body)


UWLR: Final = UwlrFactory()
