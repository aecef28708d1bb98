"""Magister in mode `scim`: one school's user accounts, over the vendor's announced successor.

Of what the hub keeps it gives pupils with their names, user name and number; everything else that
the other modes deliver is *not delivered* here. Pages of users come with a token of OAuth2 client
credentials (ASSUMED).
Spec: magister.md, section 11.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final
from urllib.parse import quote

from config.clock import Clock
from connectors.base import CheckResult, Cursor, Layer, Link, Manifest, Parsed, Reading, Scope
from connectors.errors import ConnectorError, RequestRefusedError
from connectors.magister.assemble import SCHOOL
from connectors.magister.check import layer_of
from connectors.magister.manifest import MANIFEST
from connectors.magister.options import Options
from connectors.magister.records import Gebruiker
from connectors.magister.scim import ACCEPT, Schema, read_schemas, read_total
from connectors.magister.users import UserLookup, UserReading
from connectors.protocols.oauth import BearerSession, ClientCredentials, Credentials
from connectors.protocols.parsing import parse_model
from connectors.protocols.rest import Answer, RestTransport
from connectors.protocols.settings import wrong

RESOURCE: Final = "gebruiker"
PAGE: Final = 100

_ADVICE: Final = {
    Layer.NETWORK: "accounts.magister.net is niet bereikbaar. Probeer het later opnieuw; blijft "
    "dit zo, laat ops dan het adres (`scim_url`, `token_url`) en de firewall nakijken.",
    Layer.TLS: "Het certificaat van accounts.magister.net wordt niet vertrouwd. Laat ops de "
    "instellingen `scim_url` en `token_url` nakijken.",
    Layer.LOGIN: "Magister weigert de inloggegevens van de koppeling. Laat ops `client_id` en "
    "`client_secret` nakijken.",
    Layer.RIGHTS: "Vraag de applicatiebeheerder om in Magister de koppeling (SCIM) toegang te "
    "geven tot de accounts van de school.",
    Layer.SHAPE: "Magister antwoordt anders dan de beschrijving zegt. Meld dit bij ops.",
    Layer.DATA: "Magister toont geen enkel account. Vraag de applicatiebeheerder of de koppeling "
    "(SCIM) rechten heeft op de accounts van de school.",
}


class ScimConnector:
    """One koppeling in mode `scim`: one token, one client.

    Raises: ConfigurationError if a filter is set: an account has no locatie, studie or klas.
    """

    def __init__(self, link: Link, options: Options, *, rest: RestTransport, clock: Clock) -> None:
        if options.filters:
            name = f"{options.filters[0].name}_wel"
            raise wrong(MANIFEST, name, "says nothing of accounts (mode scim)")
        self._options = options
        prefix = f"{RESOURCE}."
        self._drop = frozenset(n.removeprefix(prefix) for n in link.drop if n.startswith(prefix))
        self._rest = rest
        self._chosen = not link.resources or RESOURCE in link.resources
        self._tokens = ClientCredentials(
            rest,
            Credentials(options.token_url, options.client_id, options.client_secret),
            clock=clock,
        )
        self._session = BearerSession(rest, self._tokens, accept=ACCEPT)
        self._schema: Schema | None = None

    @property
    def manifest(self) -> Manifest:
        """What Magister can be asked."""
        return MANIFEST

    def close(self) -> None:
        """Release connections."""
        self._rest.close()

    def scopes(self, *, today: date) -> Sequence[Scope]:
        """All accounts that the client sees are one scope (ASSUMED: one school); asks nothing."""
        if not self._chosen:
            return []
        numbers_of = self._options.numbers_of
        return [Scope(RESOURCE, SCHOOL, label="accounts", numbers_of=numbers_of)]

    def snapshot(self, scope: Scope) -> Reading:
        """Read every account; nothing is asked before the iteration begins."""

        def ask(start: int, amount: int) -> Answer:
            query = (("startIndex", str(start)), ("count", str(amount)))
            return self._get("/Users", "GET Users", query=query)

        return UserReading(self._discover, ask, amount=PAGE)

    def delta(self, scope: Scope, *, cursor: Cursor | None) -> Reading:
        """There is no delta; it is not declared, so the engine does not ask."""
        raise NotImplementedError

    def lookup(self, scope: Scope, *, keys: Sequence[str]) -> Reading:
        """Read some accounts by id; what Magister does not show is left out, and not gone."""

        def ask(key: str) -> Answer:
            return self._get(f"/Users/{quote(key, safe='')}", "GET User")

        # a segment of dots would be another path
        return UserLookup(self._discover, ask, wanted=[key for key in keys if key.strip(".")])

    def parse(self, resource: str, body: bytes) -> Parsed:
        """Turn one body into a `Gebruiker`.

        Raises: ParseError.
        """
        return parse_model(Gebruiker, body, key_field="id")

    def _discover(self) -> Schema:
        """What a user is made of; asked once."""
        if self._schema is None:
            options = self._options
            self._schema = read_schemas(
                self._get("/Schemas", "GET Schemas"),
                number=options.scim_number,
                prefix=options.scim_prefix,
                drop=self._drop,
            )
        return self._schema

    def _get(self, path: str, operation: str, *, query: Sequence[tuple[str, str]] = ()) -> Answer:
        try:
            return self._session.get(
                self._options.scim_url + path, operation=operation, query=query
            )
        except RequestRefusedError as error:
            if error.code in {"401", "403"}:
                error.advice = _ADVICE[Layer.RIGHTS]
            raise

    # -- check -----------------------------------------------------------------------------------

    def check(self) -> Sequence[CheckResult]:
        """Prove network, TLS, login, rights, layout, shape and data; reads no person.

        How many users there are is asked with `count=0`, which answers with the total alone.
        Spec: RFC 7644, section 3.4.2.4.
        """
        results = self._check_login()
        if not results[-1].ok:
            return results
        try:
            schema = self._discover()
            query = (("startIndex", "1"), ("count", "0"))
            total = read_total(self._get("/Users", "GET Users", query=query))
        except ConnectorError as error:
            layer = layer_of(error)
            advice = error.advice if layer is Layer.LAYOUT else _ADVICE[layer]
            return [*results, CheckResult(layer, False, str(error), advice)]
        missing = [name for name, sent in schema.contract.fields.items() if not sent]
        told = f"not delivered: {', '.join(missing)}" if missing else "every attribute is delivered"
        results += [
            CheckResult(Layer.RIGHTS, True, "the accounts may be read"),
            CheckResult(Layer.LAYOUT, True, f"the pupil number is there; {told}"),
            CheckResult(Layer.SHAPE, True, "the answers are as described"),
        ]
        if not total:
            return [
                *results,
                CheckResult(Layer.DATA, False, "no user is shown", _ADVICE[Layer.DATA]),
            ]
        return [*results, CheckResult(Layer.DATA, True, f"{total} users")]

    def _check_login(self) -> list[CheckResult]:
        """A token proves network, TLS and login at once; a failure says how far it came."""
        passed = [
            CheckResult(Layer.NETWORK, True, "accounts.magister.net is reached"),
            CheckResult(Layer.TLS, True, "the connection is trusted"),
            CheckResult(Layer.LOGIN, True, "a token was given"),
        ]
        try:
            self._tokens.token()
        except ConnectorError as error:
            layer = layer_of(error)
            layers = [result.layer for result in passed]
            reached = layers.index(layer) if layer in layers else len(layers) - 1
            return [*passed[:reached], CheckResult(layer, False, str(error), _ADVICE[layer])]
        return passed
