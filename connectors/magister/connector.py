"""The Magister connector: one koppeling of one school, in one of three modes.

`layouts` reads our own lists, `functions` the fixed functions, `scim` user accounts; each mode has
resources of its own, so that a switch of mode closes nobody: its scopes end, and prove nothing.
Every list is fetched once for all scopes that come from it; no more than one is held.
Spec: magister.md, sections 1 to 8 and 11.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from config.clock import Clock, SystemClock, local_date
from config.errors import ConfigurationError
from connectors.base import (
    Budget,
    CheckResult,
    Connector,
    Cursor,
    Link,
    Manifest,
    Parsed,
    Reading,
    Scope,
)
from connectors.errors import RequestRefusedError
from connectors.magister import check
from connectors.magister.assemble import SCHOOL, Assembler, Part, Place
from connectors.magister.functions import PLACES, Functions
from connectors.magister.layouts import LESPERIODEN, VESTIGINGEN
from connectors.magister.lists import Lists
from connectors.magister.manifest import MANIFEST, MODELS
from connectors.magister.options import Mode, Options, read_options
from connectors.magister.periods import HUIDIG, Periods, asked_of_functions, choose
from connectors.magister.reading import ListReading, PersonsReading
from connectors.magister.scim_connector import ScimConnector
from connectors.magister.transport import MagisterTransport
from connectors.magister.wire import SYSTEM
from connectors.protocols.parsing import parse_model
from connectors.protocols.rest import Limits, RestTransport

_OF_MODE: Final = {
    Mode.LAYOUTS: ("vestiging", "vak", "medewerker", "studie", "leerling", "verzorger", "groep"),
    Mode.FUNCTIONS: ("vestiging", "vak", "actief_personeelslid", "actieve_leerling", "lesgroep"),
}
_YEARLY: Final = frozenset({"leerling", "groep", "actieve_leerling"})


class MagisterConnector:
    """One koppeling: one school's Magister, one account."""

    def __init__(self, link: Link, options: Options, *, rest: RestTransport, clock: Clock) -> None:
        self._link, self._options, self._clock, self._rest = link, options, clock, rest
        self._transport = MagisterTransport(rest, options)
        self._lists = Lists(self._transport, options)
        self._assembler: Assembler | None = None
        self._functions: Functions | None = None
        self._held: dict[Place, Part] = {}

    @property
    def manifest(self) -> Manifest:
        """What Magister can be asked."""
        return MANIFEST

    def close(self) -> None:
        """Release connections, and what is held."""
        self._held.clear()
        self._rest.close()

    def check(self) -> Sequence[CheckResult]:
        """Prove network, TLS, login, rights, layout and data, in that order; keeps no record."""
        return check.service(self._transport, self._options, drop=self._link.drop)

    def scopes(self, *, today: date) -> Sequence[Scope]:
        """Each resource of the mode that is chosen, with its lesperioden where it has any.

        Raises: ConnectorError; ProtocolViolationError (`where` LAYOUT) if the lists that the school
            installed are of another version: then nothing is read.
        """
        chosen = {MANIFEST.resource(name).name for name in self._link.resources}
        names = [n for n in _OF_MODE[self._options.mode] if not chosen or n in chosen]
        if self._options.mode is Mode.FUNCTIONS:
            periods = self._start_functions(today).periods
            found: list[Scope] = []
            for name in names:
                if name == "vestiging" and not self._options.locaties:
                    continue
                if name in _YEARLY:
                    found.extend(self._yearly(name, periods))
                else:
                    year = periods.current.schooljaar if name == "lesgroep" else None
                    found.append(self._scope(name, PLACES[name][1], schooljaar=year))
            return found
        self._lists.check_version()
        assembler = self._start_layouts(today)
        brins = self._brins()
        return [
            scope
            for name in names
            for scope in (
                self._yearly(name, assembler.periods, brins=brins)
                if name in _YEARLY
                else [self._scope(name, SCHOOL, brins=brins)]
            )
        ]

    def _scope(
        self,
        resource: str,
        key: str,
        *,
        rank: int = 0,
        brins: tuple[str, ...] = (),
        schooljaar: int | None = None,
        label: str = "",
    ) -> Scope:
        numbers_of = self._options.numbers_of
        return Scope(resource, key, rank, brins, schooljaar, label or resource, numbers_of)

    def _yearly(
        self, resource: str, periods: Periods, *, brins: tuple[str, ...] = ()
    ) -> Iterator[Scope]:
        for key, rank, period in periods.scoped():
            year, label = period.schooljaar, f"{resource} {period.code}"
            yield self._scope(resource, key, rank=rank, brins=brins, schooljaar=year, label=label)

    def _start_layouts(self, today: date) -> Assembler:
        rows = [row for row in self._lists.fetch(LESPERIODEN) if row.get("lesperiode")]
        periods = choose(rows, self._options, today=today)
        self._held.clear()
        self._assembler = Assembler(self._lists, self._options, self._link.drop, periods, today)
        return self._assembler

    def _start_functions(self, today: date) -> Functions:
        periods = asked_of_functions(self._options, today=today)
        self._functions = Functions(self._transport, self._options, self._link.drop, periods)
        return self._functions

    def _brins(self) -> tuple[str, ...]:
        """The BRIN6 numbers of all locations and their BRINs; none where the list is not given."""
        try:
            rows = list(self._lists.fetch(VESTIGINGEN))
        except RequestRefusedError:
            return ()  # the reading of `vestiging` says so
        sixes = [row["brin"] + row["nevenvestiging"] for row in rows if _has_brin6(row)]
        brins = [row["brin"] for row in rows if row.get("brin")]
        return tuple(dict.fromkeys(number.upper() for number in (*sixes, *brins)))

    def snapshot(self, scope: Scope) -> Reading:
        """Read everything of one scope; nothing is asked before the iteration begins."""
        if scope.resource not in _OF_MODE[self._options.mode]:
            message = f"{SYSTEM}: {scope.resource} is not read in mode {self._options.mode}"
            raise ConfigurationError(message)
        if self._options.mode is Mode.LAYOUTS:
            return ListReading(lambda: self._assembled(scope))
        functions = self._functions or self._start_functions(self._today())
        match scope.resource:
            case "vak":
                return PersonsReading(functions.subjects, contract=functions.terms("vak"))
            case "lesgroep":
                return PersonsReading(functions.groups, contract=functions.terms("lesgroep"))
            case "vestiging":
                return ListReading(functions.locations)
            case "actief_personeelslid":
                return ListReading(functions.staff)
            case _:
                return ListReading(lambda: self._students(functions, scope))

    def _students(self, functions: Functions, scope: Scope) -> Part:
        periods = functions.periods
        period = periods.current if scope.key == HUIDIG else periods.following
        return functions.students(scope.key, period or periods.current)

    def _assembled(self, scope: Scope) -> Part:
        """The part of one scope; a second reading of it fetches anew."""
        place = (scope.resource, scope.key)
        part = self._held.pop(place, None)
        if part is None:
            self._held.clear()
            assembler = self._assembler or self._start_layouts(self._today())
            self._held = assembler.assemble(scope.resource)
            part = self._held.pop(place, None)
        if part is None:
            raise ConfigurationError(f"{SYSTEM}: a scope that this connector did not name")
        return part

    def _today(self) -> date:
        return local_date(self._clock.now())

    def delta(self, scope: Scope, *, cursor: Cursor | None) -> Reading:
        """Magister has no delta; it is not declared, so the engine does not ask."""
        raise NotImplementedError

    def lookup(self, scope: Scope, *, keys: Sequence[str]) -> Reading:
        """A list cannot be asked for one record; it is not declared, so the engine does not ask."""
        raise NotImplementedError

    def parse(self, resource: str, body: bytes) -> Parsed:
        """Turn one raw body into its record of records.py.

        Raises: ParseError; ConfigurationError if there is no such resource.
        """
        return MAGISTER.parse(resource, body)


def _has_brin6(row: dict[str, str]) -> bool:
    return len(row.get("brin", "")) == 4 and len(row.get("nevenvestiging", "")) == 2


@dataclass(frozen=True, slots=True)
class MagisterFactory:
    """Makes connectors; what the entry point names."""

    @property
    def manifest(self) -> Manifest:
        """What Magister can be asked."""
        return MANIFEST

    def connect(
        self,
        link: Link,
        *,
        clock: Clock | None = None,
        limits: Limits | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> Connector:
        """A connector for one koppeling; asks nothing yet.

        Raises: ConfigurationError, naming the setting that is wrong.
        """
        options = read_options(link.options, manifest=MANIFEST)
        clock = clock if clock is not None else SystemClock()
        rest = RestTransport(
            SYSTEM,
            clock=clock,
            budget=Budget(options.per_second, MANIFEST.budget.simultaneous),
            manners=link.manners,
            limits=limits if limits is not None else Limits(total=link.timeout),
            tls=tls if tls is not None else options.tls,
        )
        if options.mode is Mode.SCIM:
            return ScimConnector(link, options, rest=rest, clock=clock)
        return MagisterConnector(link, options, rest=rest, clock=clock)

    def parse(self, resource: str, body: bytes) -> Parsed:
        """As `MagisterConnector.parse`."""
        name = MANIFEST.resource(resource).name
        model, key = MODELS[name]
        return parse_model(model, body, key_field=key)


MAGISTER: Final = MagisterFactory()
