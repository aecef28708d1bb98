"""What the Magister connector declares: resources, fields, settings, rights and assumptions."""

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
from connectors.magister.records import (
    ActiefPersoneelslid,
    ActieveLeerling,
    Gebruiker,
    Groep,
    Leerling,
    Lesgroep,
    Medewerker,
    Studie,
    Vak,
    Verzorger,
    Vestiging,
)
from connectors.magister.wire import SYSTEM
from connectors.protocols.parsing import SourceModel, field_paths

MODELS: Final[Mapping[str, tuple[type[SourceModel], str]]] = {
    "vestiging": (Vestiging, "locatie_id"),
    "vak": (Vak, "vak_code"),
    "medewerker": (Medewerker, "pers_id"),
    "studie": (Studie, "studie_id"),
    "leerling": (Leerling, "leer_id"),
    "verzorger": (Verzorger, "verzorger_id"),
    "groep": (Groep, "groep_id"),
    "actief_personeelslid": (ActiefPersoneelslid, "stamnr_str"),
    "actieve_leerling": (ActieveLeerling, "stamnr_str"),
    "lesgroep": (Lesgroep, "lesgroep"),
    "gebruiker": (Gebruiker, "id"),
}
"""Resource → its record and the column of its key, in the order in which they are read."""

_SPECIAL: Final = frozenset({"bsn", "onderwijsnummer"})
_IDENTIFIERS: Final = frozenset(
    {"leer_id", "stamnr", "stamnr_str", "eckid", "login", "loginaccount.naam", "pers_id"}
    | {"verzorger_id", "code", "id", "userName", "leerlingnummer", "leden", "docenten"}
)
_ORGANISATION: Final = frozenset({"vestiging", "vak", "studie"})
_OF_GROUPS: Final = frozenset({"groep", "lesgroep"})
_PERSONAL: Final = frozenset({"leden", "docenten"})


def _data_class(resource: str, path: str) -> DataClass:
    name = path.rpartition(".")[2] if resource in {"leerling", "verzorger", "groep"} else path
    if name in _SPECIAL:
        return DataClass.SPECIAL
    if name in _IDENTIFIERS or name.startswith("mentor"):
        return DataClass.IDENTIFIER
    if resource in _ORGANISATION:
        return DataClass.ORGANISATION
    if resource in _OF_GROUPS and path.partition(".")[0] not in _PERSONAL:
        return DataClass.ORGANISATION
    return DataClass.PERSON


_CAN: Final = frozenset({Capability.CHECK, Capability.SNAPSHOT})
_BY_KEY: Final = frozenset({"gebruiker"})
"""What can be asked for by key; a list of the web service cannot."""

RESOURCES: Final = tuple(
    Resource(
        name,
        key,
        _CAN | {Capability.LOOKUP} if name in _BY_KEY else _CAN,
        # a location that is listed no more may be out of the list's reach: never a deletion
        DeletionSign.NEVER if name == "vestiging" else DeletionSign.ABSENCE,
        {path: _data_class(name, path) for path in field_paths(model)},
    )
    for name, (model, key) in MODELS.items()
)

_SETTINGS: Final = (
    Setting("mode", "layouts, functions or scim", required=False, default="layouts"),
    Setting("base_url", "Web service, such as https://school.swp.nl:8800/doc", required=False),
    Setting("username", "The account of the web service", required=False),
    Setting("password", "Its password, used exactly as it is", required=False, secret=True),
    Setting(
        "token_mode", "login, or inline (user and password in every call)", False, False, "login"
    ),
    Setting("format", "csv or xml; by default csv, and xml for functions", required=False),
    Setting("encoding", "auto, utf-8 or ansi", required=False, default="auto"),
    Setting("lesperiode", "Code of the current lesperiode; empty is found out", required=False),
    Setting("lesperiode_volgend", "Code of the next one; empty is found out", required=False),
    Setting("volgend", "Whether next schooljaar is read", required=False, default="true"),
    Setting(
        "next_year_from",
        "Day (MM-DD) from which the fixed functions are asked for it",
        required=False,
        default="05-01",
    ),
    Setting(
        "locaties",
        "For functions: name of a location=its key, with semicolons between",
        required=False,
    ),
    *(
        Setting(f"{name}_{way}", f"Regular expression of each {name} that is {what}", False)
        for name in ("locatie", "studie", "klas")
        for way, what in (("wel", "read"), ("niet", "left out"))
    ),
    Setting(
        "numbers_of",
        "Koppeling that issued the leerlingnummers, where that is another one",
        required=False,
    ),
    Setting("ca_bundle", "File of certificates of the hosting's own authority", required=False),
    Setting("per_second", "Requests a second; 0 is no limit", required=False, default="5"),
    Setting("allow_plain_http", "Allow http outside this machine", False, default="false"),
    Setting(
        "scim_url",
        "Base of SCIM",
        required=False,
        default="https://accounts.magister.net/scim",
    ),
    Setting(
        "token_url",
        "Token address of SCIM",
        required=False,
        default="https://accounts.magister.net/connect/token",
    ),
    Setting("client_id", "The client of SCIM", required=False),
    Setting(
        "scim_number",
        "Attribute of a user with the leerlingnummer, with its schema before it where two have one",
        required=False,
        default="stamnummer",
    ),
    Setting(
        "scim_prefix",
        "Part of a user's name with the tussenvoegsel",
        required=False,
        default="middleName",
    ),
    Setting("client_secret", "Its secret, used exactly as it is", required=False, secret=True),
)

_RIGHTS: Final = (
    "Laat het IP-adres van de hub toe op poort 8800 (allow-list bij de hosting van Magister).",
    "Maak een eigen webservicegebruiker met het recht `Algemeen.Login`.",
    "Maak de lijsten van docs/magister-layouts.md in Decibel en wijs ze aan die gebruiker toe; of "
    "geef recht op de functies `ADFuncties.GetActiveStudents`, `GetActiveEmpoyees`, "
    "`GetLeerlingGroepen`, `GetPersoneelGroepVakken` en `GetPersoneelKlasVakken`.",
    "De lijst `presentis-pgn` alleen als de school een doel voor BSN of onderwijsnummer heeft "
    "afgesproken.",
)

_ASSUMPTIONS: Final = (
    Assumption(
        "magister-layouts",
        "The school installs our lists with exactly our columns, dates as ISO text, booleans 0/1; "
        "the tables behind columns that are marked `aanname` are a guess.",
        "magister.md, section 6",
    ),
    Assumption(
        "magister-pgn",
        "BSN and onderwijsnummer come in a list of their own, `presentis-pgn`.",
        "magister.md, section 6; design, personal numbers",
    ),
    Assumption(
        "magister-token",
        "A token lives for a whole run; a call that fails with a text about token, session or "
        "login, or with status 401 or 403, is repeated once with a new one.",
        "magister.md, section 3.1",
    ),
    Assumption(
        "magister-error-code",
        "The numeric code of a refusal stands in an element `Foutcode`, or a name like it; an "
        "answer without a list is an error.",
        "magister.md, section 5",
    ),
    Assumption(
        "magister-last-day",
        "The end dates of a list are the last day, counted in; the earlier of einddatum and "
        "vertrekdatum ends an aanmelding.",
        "magister.md, section 6.1",
    ),
    Assumption(
        "magister-encoding",
        "ANSI is Windows-1252; what is no UTF-8 is read as that.",
        "magister.md, section 5",
    ),
    Assumption(
        "magister-periods",
        "Lists name lesperioden by their four digits; the fixed functions understand those for "
        "next schooljaar, and zero rows mean that it has not been made yet.",
        "magister.md, sections 3.2 and 8",
    ),
    Assumption(
        "magister-group-ids",
        "A group may keep its id over the years, so that a groep is known by id and lesperiode.",
        "magister.md, section 8",
    ),
    Assumption(
        "magister-rate",
        "Serial calls are welcome, five a second; lists have no pages.",
        "magister.md, section 7",
    ),
    Assumption(
        "magister-scim",
        "SCIM logs in by client credentials, which see one school's accounts; pages go by "
        "startIndex and count, and count=0 gives the total alone.",
        "magister.md, section 11; RFC 7644, section 3.4.2.4",
    ),
    Assumption(
        "magister-scim-number",
        "A user has a pupil number, in the attribute that `scim_number` names, if and only if he "
        "is a pupil: staff have none there.",
        "magister.md, section 11",
    ),
    Assumption(
        "magister-scim-name",
        "givenName is the roepnaam; the tussenvoegsel stands in the part of the name that "
        "`scim_prefix` names.",
        "magister.md, section 11",
    ),
)

MANIFEST: Final = Manifest(
    system=SYSTEM,
    title="Magister (Medius-webservice)",
    specification="Koppelhub layouts 1; ADFuncties; SCIM 2.0",
    resources=RESOURCES,
    budget=Budget(per_second=5.0, simultaneous=1, hours=(1, 5)),
    settings=_SETTINGS,
    rights=_RIGHTS,
    assumptions=_ASSUMPTIONS,
)
