"""What the Somtoday connector declares: resources, fields, settings, rights and assumptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from connectors.base import (
    Assumption,
    Budget,
    Capability,
    DataClass,
    DeletionSign,
    Manifest,
    Resource,
    Setting,
)
from connectors.protocols.parsing import field_paths
from connectors.somtoday.wire import ENDPOINTS

SYSTEM: Final = "somtoday"

_PERSONS: Final = frozenset({"leerling", "ouderVerzorger", "medewerker"})

_SPECIAL: Final = frozenset({"BSN", "bsn"})

_IDENTIFIERS: Final = frozenset(
    {
        "eckid",
        "leerlingnummer",
        "gebruikersnaam",
        "eduPersonRealId",
        "parnassysLeerlingNummer",
        "medewerkernummer",
        "externnummer",
        "leerling_uuid",
        "medewerker_uuid",
    }
)

_ORGANISATIONAL: Final = frozenset({"vestiging", "hoofdvestiging", "is_docent", "functie"})

_PERSONAL_LISTS: Final = frozenset({"leerlingen", "docenten", "mentoren"})


def _data_class(resource: str, path: str) -> DataClass:
    """How sensitive a field is: by its own name, then by the person that its record is about."""
    names = path.split(".")
    if names[-1] in _SPECIAL:
        return DataClass.SPECIAL
    if names[-1] in _IDENTIFIERS or (names[-1] == "uuid" and resource in _PERSONS):
        return DataClass.IDENTIFIER
    if resource in _PERSONS or resource in {"voortgangsdossier", "examendossier", "plaatsing"}:
        return DataClass.ORGANISATION if names[0] in _ORGANISATIONAL else DataClass.PERSON
    if _PERSONAL_LISTS & set(names):
        return DataClass.PERSON
    return DataClass.ORGANISATION


_READ: Final = frozenset({Capability.CHECK, Capability.SNAPSHOT})
_READ_ONE: Final = _READ | {Capability.LOOKUP}


def _resource(
    name: str,
    *,
    capabilities: frozenset[Capability] = _READ_ONE,
    deletion: DeletionSign = DeletionSign.ABSENCE,
    optional: bool = False,
) -> Resource:
    endpoint = ENDPOINTS[name]
    fields: Mapping[str, DataClass] = {
        path: _data_class(name, path) for path in field_paths(endpoint.model)
    }
    key = "leerling_uuid" if endpoint.per_leerling else "uuid"
    return Resource(name, key, capabilities, deletion, fields, optional)


RESOURCES: Final = (
    # A location that is listed no more may have lost its permission: never a sign of deletion.
    _resource("instelling", capabilities=_READ, deletion=DeletionSign.NEVER),
    _resource("vestiging", deletion=DeletionSign.NEVER),
    _resource("opleiding"),
    _resource("vak"),
    _resource("medewerker"),
    _resource("leerling"),
    _resource("ouderVerzorger"),
    _resource("plaatsing", optional=True),
    _resource("stamgroep"),
    _resource("lesgroep"),
    _resource("voortgangsdossier", optional=True),
    _resource("examendossier", optional=True),
)

_SETTINGS: Final = (
    Setting("api_base", "Base of the API, such as https://api.somtoday.nl/rest/v1"),
    Setting("token_url", "Token address, such as https://inloggen.somtoday.nl/oauth2/token"),
    Setting(
        "organisation",
        "UUID of the organisation; entered by an operator of the supplier, never by the school",
    ),
    Setting("client_id", "The partner's client id"),
    Setting("client_secret", "The partner's secret, used exactly as it is", secret=True),
    Setting(
        "vestigingen",
        "UUIDs or BRIN6 numbers of the locations to read, with commas; all when empty",
        required=False,
        default="",
    ),
    Setting("page_size", "Records per page, 2 to 200", required=False, default="100"),
    Setting("volgend", "Whether next school year is read: true or false", False, default="true"),
    Setting("next_year_from", "Day (MM-DD) from which it is read", False, default="05-01"),
    Setting(
        "numbers_of",
        "Koppeling that issued these leerlingnummers and staff numbers, where a school moved",
        required=False,
        default="",
    ),
    Setting("per_second", "Requests a second; 0 is no limit", required=False, default="5"),
    Setting("allow_plain_http", "Allow http outside this machine", False, default="false"),
)

_RIGHTS: Final = (
    "Zet in Somtoday de koppeling aan voor elke vestiging die meedoet.",
    "Geef toestemming voor de velden van leerling, plaatsing, ouder/verzorger, medewerker, "
    "stamgroep en lesgroep die de school wil delen.",
    "Voor resultaten: geef apart toestemming voor het voortgangsdossier.",
)

_ASSUMPTIONS: Final = (
    Assumption(
        "somtoday-token-expiry",
        "The token answer holds token_type and expires_in; without expires_in a token lives ten "
        "minutes.",
        "somtoday.md, section 3",
    ),
    Assumption(
        "somtoday-missing-permission",
        "A field that is missing from the field permissions is not delivered.",
        "somtoday.md, section 3.2",
    ),
    Assumption(
        "somtoday-permissions-on-every-page",
        "The field permissions may be asked with every page, and are the same object each time "
        "unless the school has changed them.",
        "somtoday.md, section 3.2",
    ),
    Assumption(
        "somtoday-field-without-key",
        "A field without a permission key of its own (a secret flag, an alternative mark) is "
        "delivered when the field that it belongs to is.",
        "somtoday.md, section 6",
    ),
    Assumption(
        "somtoday-stable-order",
        "Records keep their order within one reading, and offset counts the records that are "
        "delivered. Where this does not hold a reading is never complete, and nothing is closed.",
        "somtoday.md, section 4",
    ),
    Assumption(
        "somtoday-rate",
        "Two requests at once and five a second are welcome; 408, 429, 5xx and network errors may "
        "be repeated.",
        "somtoday.md, section 4",
    ),
    Assumption(
        "somtoday-references-in-between",
        "Pupils are read before guardians and groups; a reference to one that came in between is "
        "repaired by the next run.",
        "somtoday.md, section 7",
    ),
    Assumption(
        "somtoday-grades",
        "Marks are texts: with a comma, with a point, or letters.",
        "somtoday.md, section 6.11",
    ),
    Assumption(
        "somtoday-dossier-per-pupil",
        "Progress files may be read pupil by pupil at the ordinary rate.",
        "somtoday.md, section 6.11",
    ),
    Assumption(
        "somtoday-uuid-filter",
        "A list asked with a UUID that nobody has is answered with an empty list and the field "
        "permissions; the check rests on this, so that it reads no pupil.",
        "somtoday.md, section 5",
    ),
)

MANIFEST: Final = Manifest(
    system=SYSTEM,
    title="Somtoday (Somtoday Connect)",
    specification="Somtoday Connect, Generiek Koppelvlak 14.10.0",
    resources=RESOURCES,
    budget=Budget(per_second=5.0, simultaneous=2),
    settings=_SETTINGS,
    rights=_RIGHTS,
    assumptions=_ASSUMPTIONS,
)
