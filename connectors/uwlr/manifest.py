"""What the UWLR connector declares: resources, fields, settings, rights and assumptions."""

from __future__ import annotations

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
from connectors.uwlr.names import CUT, PERSONAL
from connectors.uwlr.records import MODELS

SYSTEM: Final = "uwlr"

_CAN: Final = frozenset({Capability.CHECK, Capability.SNAPSHOT, Capability.DELTA})
_PERSONS: Final = frozenset({"leerling", "leerkracht"})
_IDENTIFIERS: Final = frozenset({"key", "eckid", "gebruikersnaam"})


def _data_class(resource: str, path: str) -> DataClass:
    """How sensitive a field is. What is cut off at intake is declared too, as what it is."""
    if path in PERSONAL or path in CUT.get(resource, ()):
        return DataClass.SPECIAL
    if resource not in _PERSONS:
        is_list = path in {"leerlingen", "leerkrachten"}
        return DataClass.PERSON if is_list else DataClass.ORGANISATION
    return DataClass.IDENTIFIER if path in _IDENTIFIERS else DataClass.PERSON


def _resource(name: str) -> Resource:
    paths = (*field_paths(MODELS[name]), *sorted(CUT.get(name, ())))
    # a school that answers for another vestiging may have lost a right: never a sign of deletion
    deletion = DeletionSign.NEVER if name == "school" else DeletionSign.ABSENCE
    return Resource(name, "key", _CAN, deletion, {p: _data_class(name, p) for p in paths})


_SETTINGS: Final = (
    Setting("endpoint", "Address of the school's or supplier's UWLR service"),
    Setting("staged_endpoint", "Address of the staged calls, where it is another", False),
    Setting("autorisatiesleutel", "Key that the school made in its administration", secret=True),
    Setting("klantcode", "Our code, given by the supplier of the administration", secret=True),
    Setting("klantnaam", "Our name, given by the supplier of the administration"),
    Setting(
        "vestigingen",
        "BRINs (99XX) or vestigingsnummers (99XX00) to read, with commas",
        required=False,
    ),
    Setting("schoolkeys", "Keys of schools that have no BRIN, with commas", required=False),
    Setting("xsdversie", "Version that is asked for: 2.1, 2.2 or 2.3", False, default="2.2"),
    Setting(
        "profiel",
        "Fields that were agreed on: smalle-set, lvs-set or volledig",
        required=False,
        default="smalle-set",
    ),
    Setting("gegevenssetid", "Name of the data set to ask for, where the supplier has one", False),
    Setting("mode", "whole (one call), or staged (group by group)", False, default="whole"),
    Setting("groups_per_call", "Groups in one staged call, 1 to 200", False, default="20"),
    Setting("volgend", "Whether next school year is read: true or false", False, default="false"),
    Setting("next_year_from", "Day (MM-DD) from which it is read", False, default="05-01"),
    Setting(
        "http_headers",
        "HTTP headers that a gateway asks for, `Name: value`, one a line",
        required=False,
        secret=True,
    ),
    Setting(
        "client_certificate",
        "Our certificate (PEM file) for mutual TLS",
        required=False,
        certificate=True,
    ),
    Setting("client_key", "Its key (PEM file), where that is another file", required=False),
    Setting("client_key_password", "Password of the key", required=False, secret=True),
    Setting("ca_file", "Authorities (PEM file) to trust instead of the machine's own", False),
    Setting("proxy", "Proxy that everything goes through", required=False, secret=True),
    Setting("largest_mb", "Largest answer that is taken, in MB, 1 to 512", False, default="64"),
    Setting("per_second", "Requests a second; 0 is no limit", required=False, default="2"),
    Setting("allow_plain_http", "Allow http outside this machine", False, default="false"),
)

_RIGHTS: Final = (
    "Maak in de leerlingadministratie een UWLR-koppeling met ons aan, en geef ons de "
    "autorisatiesleutel.",
    "Laat de sleutel gelden voor elke vestiging (BRIN met vestigingsnummer) die meedoet.",
    "Spreek af welke set wordt geleverd (Smalle set of LVS-set), en of het ECK iD meegaat.",
)

_ASSUMPTIONS: Final = (
    Assumption(
        "uwlr-2.3-optional-key",
        "In 2.3 `key` may be absent from leerling and leerkracht where there is an `eckid`; all "
        "else is as in 2.2.",
        "uwlr.md, section 3",
    ),
    Assumption(
        "uwlr-lower-version",
        "An administration that refuses a version answers a lower one; it is tried by itself.",
        "uwlr.md, sections 3 and 11",
    ),
    Assumption(
        "uwlr-delivered-when-seen",
        "A field of the agreed profile that no record of a whole answer holds is not delivered; "
        "one that some hold is empty where it is absent. Fields that go with others "
        "(voorvoegsel, uitstroomdatum, the groups of a person) are delivered with them.",
        "uwlr.md, section 7.7",
    ),
    Assumption(
        "uwlr-jaargroep",
        "Schools of this hub are secondary: jaargroep 1 to 6 is read as 11 to 16.",
        "uwlr.md, section 7.6",
    ),
    Assumption(
        "uwlr-whole-school",
        "An answer for a BRIN with dependancecode holds that vestiging; one that names another "
        "school or school year is refused.",
        "uwlr.md, sections 6 and 7.1",
    ),
    Assumption(
        "uwlr-aanmaakdatum-as-cursor",
        "The `aanmaakdatum` of an answer may be sent as the next `laatstontvangengegevens`.",
        "uwlr.md, section 7.8",
    ),
    Assumption(
        "uwlr-staged-everybody",
        "Asking all stamgroepen and one element without key gives every person; the same person "
        "in two answers is one.",
        "uwlr.md, sections 6 and 7.8",
    ),
    Assumption(
        "uwlr-toevoegingen",
        "Blocks of `toevoegingen` are skipped, and are not kept.",
        "uwlr.md, section 7.5",
    ),
    Assumption(
        "uwlr-group-per-schooljaar",
        "A group's key may come back in another school year for another class; a groep belongs to "
        "the school year that it is read for.",
        "uwlr.md, section 7.8",
    ),
    Assumption(
        "uwlr-rate",
        "Two requests a second, one at a time, are welcome; Server faults and 5xx may be repeated.",
        "uwlr.md, section 11",
    ),
)

MANIFEST: Final = Manifest(
    system=SYSTEM,
    title="UWLR (leerlinggegevens)",
    specification="UWLR 2.1 to 2.3, leerlinggegevens",
    resources=tuple(_resource(name) for name in MODELS),
    budget=Budget(per_second=2.0, simultaneous=1),
    settings=_SETTINGS,
    rights=_RIGHTS,
    assumptions=_ASSUMPTIONS,
)
