"""The Somtoday connector: reads one organisation's locations over Somtoday Connect.

What it holds to (somtoday.md, sections 3 to 7): one token per organisation; a call with a refused
token is repeated once with a new one; a location that refuses both is not asked again in this
run, per school year; 404 is *not visible*, never *deleted*; there is no delta, so every reading is
whole.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Final

from config.clock import Clock, SystemClock
from config.errors import ConfigurationError
from connectors.base import (
    Budget,
    CheckResult,
    Cursor,
    Link,
    Manifest,
    Organisation,
    Parsed,
    Reading,
    Resource,
    Scope,
)
from connectors.errors import ParseError, RequestRefusedError
from connectors.protocols.oauth import BearerSession, ClientCredentials, Credentials
from connectors.protocols.parsing import parse_model
from connectors.protocols.rest import Answer, Limits, RestTransport
from connectors.protocols.settings import wrong
from connectors.somtoday import check, discovery
from connectors.somtoday.manifest import MANIFEST, SYSTEM
from connectors.somtoday.options import Options, read_options
from connectors.somtoday.reading import (
    DossierReading,
    ListReading,
    LookupReading,
    OnceReading,
    RefusedReading,
)
from connectors.somtoday.records import Vestiging
from connectors.somtoday.wire import (
    ALWAYS_CUT,
    ENDPOINTS,
    Peil,
    is_uuid,
    list_path,
    single_path,
    split_page,
)
from sector.identifiers import Schooljaar

ORGANISATIE: Final = "organisatie"
"""Key of the scope of what belongs to the organisation as a whole."""

_NO_ACCESS: Final = (
    "Somtoday geeft geen toegang tot deze vestiging, of niet voor dit schooljaar. Vraag de school "
    "om in Somtoday de koppeling voor deze vestiging aan te zetten of te verlengen."
)

_RIGHTS_ASKED: Final = (("veldpermissies", "true"),)


class SomtodayConnector:
    """One koppeling: one organisation, one token, one client."""

    def __init__(
        self, link: Link, options: Options, *, transport: RestTransport, clock: Clock
    ) -> None:
        self._link = link
        self._options = options
        self._transport = transport
        self._tokens = ClientCredentials(
            transport,
            Credentials(
                options.token_url,
                options.client_id,
                options.client_secret,
                (("organisation", options.organisation),),
            ),
            clock=clock,
        )
        self._session = BearerSession(transport, self._tokens)
        self._resources = _chosen(link.resources)
        self._refused: dict[str, RequestRefusedError] = {}

    @property
    def manifest(self) -> Manifest:
        """What Somtoday can be asked."""
        return MANIFEST

    def close(self) -> None:
        """Release connections."""
        self._transport.close()

    def check(self) -> Sequence[CheckResult]:
        """Prove network, TLS, login, rights and shape, in that order; reads no person."""
        return check.run(self._tokens, self._session, self._options)

    def scopes(self, *, today: date) -> Sequence[Scope]:
        """Each chosen resource, in each location that is linked, for each school year that is read.

        Shape: one call, `GET vestiging`. A location that is configured by UUID and is not listed
        still has its scopes: reading them says that it is refused.
        Raises: ConnectorError; ConfigurationError if a configured BRIN6 is not listed.
        """
        vestigingen = self._vestigingen()
        jaar = Schooljaar.of(today).first_year
        everything = tuple(dict.fromkeys(b for v in vestigingen for b in _brins(v)))
        found: list[Scope] = []
        for resource in self._resources:
            if resource.name in {"instelling", "vestiging"}:
                found.append(
                    Scope(resource.name, ORGANISATIE, brins=everything, label="organisatie")
                )
                continue
            for vestiging in vestigingen:
                found.extend(self._scopes_of(resource, vestiging, jaar=jaar, today=today))
        return [replace(scope, numbers_of=self._options.numbers_of) for scope in found]

    def _scopes_of(
        self, resource: Resource, vestiging: Vestiging, *, jaar: int, today: date
    ) -> Sequence[Scope]:
        endpoint = ENDPOINTS[resource.name]
        brins, label = _brins(vestiging), vestiging.naam or vestiging.uuid
        if not endpoint.yearly:
            return [Scope(resource.name, vestiging.uuid, brins=brins, label=label)]
        scopes = [
            Scope(
                resource.name, f"{vestiging.uuid}/{Peil.HUIDIG}", 0, brins, jaar, f"{label}, huidig"
            )
        ]
        if self._options.reads_next_year(today) and not endpoint.per_leerling:
            scopes.append(
                Scope(
                    resource.name,
                    f"{vestiging.uuid}/{Peil.VOLGEND}",
                    1,
                    brins,
                    jaar + 1,
                    f"{label}, volgend schooljaar",
                )
            )
        return scopes

    def _vestigingen(self) -> Sequence[Vestiging]:
        """The locations that are linked, as Somtoday lists them."""
        wanted = self._options.vestigingen
        answer = self._get("vestiging", list_path("vestiging", vestiging=""))
        page = split_page(answer, ENDPOINTS["vestiging"].list_key)
        found: dict[str, Vestiging] = {}
        for body in page.bodies:
            try:
                record = parse_model(Vestiging, body).record
            except ParseError:
                continue  # the reading of `vestiging` hands it to the quarantine
            if isinstance(record, Vestiging) and _is_wanted(record, wanted):
                found[record.uuid] = record
        listed = {v.uuid.lower() for v in found.values()} | {
            b.upper() for v in found.values() for b in v.brins or ()
        }
        for missing in sorted(wanted - listed):
            if not is_uuid(missing):
                raise wrong(MANIFEST, "vestigingen", "holds a BRIN6 that Somtoday does not list")
            found[missing] = Vestiging(uuid=missing)
        return list(found.values())

    def snapshot(self, scope: Scope) -> Reading:
        """Read everything of one scope; nothing is asked before the iteration begins."""
        drop = self._drop(scope.resource)
        path = list_path(scope.resource, vestiging="")
        if scope.resource in {"instelling", "vestiging"}:
            has_permissions = scope.resource == "vestiging"
            query = _RIGHTS_ASKED if has_permissions else ()
            return OnceReading(
                partial(self._get, scope.resource, path, query=query),
                resource=scope.resource,
                wanted=self._wants_vestiging if has_permissions else self._wants_instelling,
                has_permissions=has_permissions,
                drop=drop,
            )
        vestiging, peil = _place(scope)
        refused = self._refused.get(_year_of(vestiging, peil)) or self._refused.get(
            f"{scope.key} {scope.resource}"
        )
        if refused is not None:
            return RefusedReading(refused)
        if not ENDPOINTS[scope.resource].per_leerling:
            return self._list(scope, scope.resource, drop=drop)
        return DossierReading(
            self._list(scope, "leerling", drop=ALWAYS_CUT),
            partial(self._dossier, scope),
            resource=scope.resource,
        )

    def _list(self, scope: Scope, resource: str, *, drop: frozenset[str]) -> ListReading:
        vestiging, peil = _place(scope)
        path = list_path(resource, vestiging=vestiging)

        def fetch(*, offset: int, amount: int) -> Answer:
            query = [("offset", str(offset)), ("amount", str(amount)), *_RIGHTS_ASKED, *_year(peil)]
            return self._scoped(scope, resource, path, query=query, repeat_timeouts=False)

        return ListReading(fetch, resource=resource, amount=self._options.page_size, drop=drop)

    def _dossier(self, scope: Scope, leerling: str) -> Answer:
        path = single_path(scope.resource, vestiging=_place(scope)[0], key=leerling)
        return self._scoped(scope, scope.resource, path, query=_RIGHTS_ASKED)

    def delta(self, scope: Scope, *, cursor: Cursor | None) -> Reading:
        """Somtoday has no delta; it is not declared, so the engine does not ask."""
        raise NotImplementedError

    def lookup(self, scope: Scope, *, keys: Sequence[str]) -> Reading:
        """Read some records by key; what Somtoday does not show is left out, and not gone.

        Asks up to 50 at once by the repeatable `uuid`, which Somtoday prefers to single calls.
        Spec: somtoday.md, section 4 (CONFIRMED).
        """
        wanted = [key for key in keys if is_uuid(key)]
        resource, drop = scope.resource, self._drop(scope.resource)
        if ENDPOINTS[resource].per_leerling:
            return DossierReading(wanted, partial(self._dossier, scope), resource=resource)
        organisational = resource == "vestiging"
        vestiging, peil = ("", None) if organisational else _place(scope)
        path = list_path(resource, vestiging=vestiging)

        def fetch(batch: Sequence[str]) -> Answer:
            query = [*(("uuid", key) for key in batch), *_RIGHTS_ASKED, *_year(peil)]
            if not organisational:
                query.append(("amount", str(len(batch))))
            return self._get(resource, path, query=query)

        return LookupReading(fetch, resource=resource, wanted=wanted, drop=drop)

    def parse(self, resource: str, body: bytes) -> Parsed:
        """Turn one raw body into its record of records.py.

        Raises: ParseError; ConfigurationError if there is no such resource.
        """
        return SOMTODAY.parse(resource, body)

    def _get(
        self,
        resource: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        repeat_timeouts: bool = True,
    ) -> Answer:
        return self._session.get(
            self._options.api_base + path,
            operation=f"GET {resource}",
            query=query,
            repeat_timeouts=repeat_timeouts,
        )

    def _scoped(
        self,
        scope: Scope,
        resource: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]],
        repeat_timeouts: bool = True,
    ) -> Answer:
        """Ask within a scope, and remember a refusal for the rest of the run.

        401 is about the location and year, 403 about the resource; 404 about one record, unless a
        list answers it. Spec: section 4.1 (CONFIRMED).
        """
        try:
            return self._get(resource, path, query=query, repeat_timeouts=repeat_timeouts)
        except RequestRefusedError as error:
            advice = _NO_ACCESS if error.code == "401" else error.advice
            refusal = RequestRefusedError(
                str(error), code=error.code, system=SYSTEM, operation=error.operation, advice=advice
            )
            if error.code == "401":
                self._refused[_year_of(*_place(scope))] = refusal
            elif error.code == "403":
                self._refused[f"{scope.key} {scope.resource}"] = refusal
            raise refusal from error

    def _drop(self, resource: str) -> frozenset[str]:
        """Fields of one resource that are cut at intake."""
        prefix = f"{resource}."
        chosen = {name.removeprefix(prefix) for name in self._link.drop if name.startswith(prefix)}
        return ALWAYS_CUT | chosen

    def _wants_vestiging(self, key: str, body: bytes) -> bool:
        wanted = self._options.vestigingen
        if not wanted or key.lower() in wanted:
            return True
        try:
            record = parse_model(Vestiging, body).record
        except ParseError:
            return True  # the engine quarantines it
        return isinstance(record, Vestiging) and _is_wanted(record, wanted)

    def _wants_instelling(self, key: str, _body: bytes) -> bool:
        """The answer may be the public list of all organisations. Spec: section 3.1."""
        return key.lower() == self._options.organisation


def _chosen(names: Sequence[str]) -> Sequence[Resource]:
    """The resources to read, in the order in which they are read.

    Raises: ConfigurationError if a name is unknown.
    """
    wanted = {MANIFEST.resource(name).name for name in names}
    if not wanted:
        return [resource for resource in MANIFEST.resources if not resource.optional]
    return [resource for resource in MANIFEST.resources if resource.name in wanted]


def _is_wanted(vestiging: Vestiging, wanted: frozenset[str]) -> bool:
    brins = {brin.upper() for brin in vestiging.brins or ()}
    return not wanted or vestiging.uuid.lower() in wanted or bool(brins & wanted)


def _brins(vestiging: Vestiging) -> tuple[str, ...]:
    """The BRIN6 numbers of a location, and the BRINs that they belong to."""
    sixes = tuple(brin.upper() for brin in vestiging.brins or ())
    return tuple(dict.fromkeys((*sixes, *(six[:4] for six in sixes if len(six) == 6))))


def _place(scope: Scope) -> tuple[str, Peil | None]:
    """The location and year of a scope's key.

    Raises: ConfigurationError if it is no key of this connector: it would end up in a path.
    """
    vestiging, _, peil = scope.key.partition("/")
    if not is_uuid(vestiging) or peil not in {"", *Peil}:
        raise ConfigurationError("somtoday: a scope that this connector did not name")
    return vestiging, Peil(peil) if peil else None


def _year_of(vestiging: str, peil: Peil | None) -> str:
    return f"{vestiging}/{peil or Peil.HUIDIG}"


def _year(peil: Peil | None) -> Sequence[tuple[str, str]]:
    return (("peilschooljaar", peil.value),) if peil is not None else ()


@dataclass(frozen=True, slots=True)
class SomtodayFactory:
    """Makes connectors; what the entry point names."""

    @property
    def manifest(self) -> Manifest:
        """What Somtoday can be asked."""
        return MANIFEST

    def connect(
        self,
        link: Link,
        *,
        clock: Clock | None = None,
        limits: Limits | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> SomtodayConnector:
        """A connector for one koppeling; asks nothing yet.

        Raises: ConfigurationError, naming the setting that is wrong.
        """
        options = read_options(link.options, manifest=MANIFEST)
        clock = clock if clock is not None else SystemClock()
        transport = RestTransport(
            SYSTEM,
            clock=clock,
            budget=Budget(options.per_second, MANIFEST.budget.simultaneous),
            manners=link.manners,
            limits=limits if limits is not None else Limits(total=link.timeout),
            tls=tls,
        )
        return SomtodayConnector(link, options, transport=transport, clock=clock)

    @property
    def organisation_setting(self) -> str:
        """The setting that names the organisation."""
        return discovery.SETTING

    def organisations(
        self, options: Mapping[str, str], *, brin: str, clock: Clock
    ) -> Sequence[Organisation]:
        """The organisations that list this BRIN; asks without a token.

        Raises: ConfigurationError; ConnectorError.
        """
        return discovery.organisations(options, brin=brin, clock=clock)

    def parse(self, resource: str, body: bytes) -> Parsed:
        """As `SomtodayConnector.parse`."""
        declared = MANIFEST.resource(resource)
        return parse_model(ENDPOINTS[resource].model, body, key_field=declared.key)


SOMTODAY: Final = SomtodayFactory()
