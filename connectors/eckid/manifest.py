"""What the ECK iD connector declares: resources, fields, settings, rights and assumptions."""

from __future__ import annotations

from typing import Final

from connectors.base import (
    Assumption,
    Budget,
    Capability,
    DataClass,
    DeletionSign,
    Keeps,
    Manifest,
    Resource,
    Setting,
)

SYSTEM: Final = "eckid"

_CAN: Final = frozenset({Capability.CHECK, Capability.SNAPSHOT, Capability.LOOKUP})

_FIELDS: Final = {
    "key": DataClass.IDENTIFIER,
    "eck_id": DataClass.IDENTIFIER,
    "keten": DataClass.ORGANISATION,
    "sector": DataClass.ORGANISATION,
    "van": DataClass.PERSON,
    "tot": DataClass.PERSON,
    "vraag": DataClass.PERSON,
}

_RESOURCES: Final = (
    Resource("leerling", "key", _CAN, DeletionSign.NEVER, _FIELDS),
    Resource("medewerker", "key", _CAN, DeletionSign.NEVER, _FIELDS, optional=True),
)

_SETTINGS: Final = (
    Setting("endpoint", "Address of the number facility, of the environment in `omgeving`"),
    Setting("omgeving", "test or productie: what the address, the salt and the answers are of"),
    Setting(
        "salt",
        "Salt of the environment, as Kennisnet gave it: test:<base64> or productie:<base64>",
        secret=True,
    ),
    Setting("oin", "OIN of the school or board on whose behalf is asked"),
    Setting("keten", "Id of the chain, as `koppelhub connectors check` lists them"),
    Setting("sector", "Id of the sector that the vestigingen of this koppeling belong to"),
    Setting(
        "client_certificate",
        "Our PKIoverheid certificate (PEM file), which the facility knows us by",
        required=False,
        certificate=True,
    ),
    Setting("client_key", "Its key (PEM file), where that is another file", required=False),
    Setting("client_key_password", "Password of the key", required=False, secret=True),
    Setting("ca_file", "Authorities (PEM file) to trust instead of the machine's own", False),
    Setting(
        "allow_plain_http",
        "Allow http on this machine, for a sandbox without certificates",
        required=False,
        default="false",
    ),
    Setting(
        "hash_threads",
        "Hashes at once at most; 0 is as many as there are cores",
        False,
        default="0",
    ),
    Setting(
        "memory_mb",
        "Memory for this process in MiB; 0 is what its control group or the machine has",
        required=False,
        default="0",
    ),
    Setting("batch_from", "From how many persons a batch is made", False, default="25"),
    Setting("batch_size", "Persons in one batch at most, up to 5000", False, default="500"),
    Setting(
        "poll_seconds", "Time between two questions for an answer", required=False, default="30"
    ),
    Setting("docenten", "Whether teachers get one too: true or false", False, default="false"),
    Setting("per_second", "Requests a second; 0 is no limit", required=False, default="2"),
)

_RIGHTS: Final = (
    "Teken als schoolbestuur de overeenkomst voor Nummervoorziening bij Kennisnet, en geef daarin "
    "onze organisatie op als aanroepende partij.",
    "Geef ons het OIN waaronder de school (of het bestuur) bij Nummervoorziening bekend is.",
    "Leg vast dat het persoonsgebonden nummer wordt gebruikt om een ECK iD te maken, met de "
    "grondslag en de datum van de afspraak.",
)

_ASSUMPTIONS: Final = (
    Assumption(
        "eckid-endpoint",
        "The facility answers at the address that is configured; which of the two families of host "
        "names is current was not found.",
        "eckid.md, section 5",
    ),
    Assumption(
        "eckid-salt",
        "Kennisnet hands out one salt for each environment, as base64 text; it does not change "
        "while pseudonyms made with it are in use.",
        "eckid.md, sections 2 and 18",
    ),
    Assumption(
        "eckid-pgn",
        "Of a pupil the BSN is hashed, or the onderwijsnummer where he has no BSN: nine digits.",
        "eckid.md, sections 1 and 2",
    ),
    Assumption(
        "eckid-oin",
        "The OIN of a school or board is given to us and sent as it is; it is not computed from "
        "its BRIN, and only its form is checked.",
        "eckid.md, section 6",
    ),
    Assumption(
        "eckid-addressing",
        "Action, MessageID, To and From are enough; ReplyTo and mustUnderstand are left out. A "
        "RelatesTo that is not our MessageID is logged, and not refused.",
        "eckid.md, section 6",
    ),
    Assumption(
        "eckid-production-form",
        "A stampseudoniem of production is https://ketenid.nl/sp, six digits, and 128 hex digits; "
        "a pseudonym with `pilot` is of a test environment, and one with digits of production.",
        "eckid.md, section 4",
    ),
    Assumption(
        "eckid-repeat",
        "Whatever only reads may be asked again; a submission whose answer did not come may be "
        "made once more, and gives the same pseudonyms.",
        "eckid.md, sections 5 and 10",
    ),
    Assumption(
        "eckid-batch",
        "A batch holds at most 5000 persons, with indexes that are unique in it and come back.",
        "eckid.md, section 10",
    ),
    Assumption(
        "eckid-polling",
        "The answer to a batch may be asked for every 30 seconds, ten times, and then every five "
        "minutes for a day.",
        "eckid.md, section 10",
    ),
    Assumption(
        "eckid-daily-limit",
        "The limit of submissions counts for one school and ends at midnight in Amsterdam.",
        "eckid.md, section 10",
    ),
    Assumption(
        "eckid-faults",
        "A fault whose faultactor is not known is final, but with status 502, 503 or 504.",
        "eckid.md, section 11",
    ),
    Assumption(
        "eckid-replace",
        "A replacement works at once where no date is given, and the former hash is refused from "
        "then on (BlockedHPgnException).",
        "eckid.md, section 12",
    ),
    Assumption(
        "eckid-docent",
        "A teacher is hashed by the BRIN, one space and the e-mail address, in lower case.",
        "eckid.md, section 13",
    ),
    Assumption(
        "eckid-caller",
        "A hub that is not the administration itself may be admitted as the calling system.",
        "eckid.md, section 18",
    ),
)

MANIFEST: Final = Manifest(
    system=SYSTEM,
    title="ECK iD (Nummervoorziening)",
    specification="Nummervoorziening, interface 201703 (WSDL 0.7-20171229)",
    resources=_RESOURCES,
    budget=Budget(per_second=2.0, simultaneous=1),
    settings=_SETTINGS,
    rights=_RIGHTS,
    assumptions=_ASSUMPTIONS,
    keeps=frozenset({Keeps.VAULT, Keeps.BATCHES, Keeps.PEOPLE}),
    adds=True,
)
