"""What the tracking application says: records with the canonical names, and a key of its own.

A field that is left out is *not delivered*, `null` is *empty*. What stands here is what the
manifest declares; a test holds it to the canonical schema. A value that breaks its rule is refused
at the door (`check`), so that the application hears of it while somebody looks; `parse` reads what
came in through an older door.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from pydantic import StringConstraints

from connectors.base import Action, FieldProblem, Message, Parsed
from connectors.errors import ParseError
from connectors.protocols.parsing import Day, SourceModel, Text, Whole, parse_model

LARGEST_KEY: Final = 200

Key = Annotated[str, StringConstraints(min_length=1, max_length=LARGEST_KEY)]
Keys = tuple[Key, ...]
Texts = tuple[Text, ...]
Wholes = tuple[Whole, ...]


class Record(SourceModel):
    """Root: every record has a key of the application's own."""

    key: Key


class Adres(SourceModel):
    """An address; not a record of its own."""

    straat: Text | None = None
    huisnummer: Text | None = None
    toevoeging: Text | None = None
    postcode: Text | None = None
    woonplaats: Text | None = None
    land: Text | None = None
    regels: Text | None = None


class BevoegdGezag(Record):
    """The legal body that runs instellingen."""

    naam: Text
    nummer: Text | None = None


class Instelling(Record):
    """A school organisation."""

    naam: Text
    afkorting: Text | None = None
    brin: Text | None = None
    brins: Texts | None = None


class Vestiging(Record):
    """A location of an instelling."""

    naam: Text
    afkorting: Text | None = None
    vestigingsnummer: Text | None = None
    brins: Texts | None = None
    instelling: Key | None = None
    digideliveryid: Text | None = None


class Schooljaar(Record):
    """1 August to 31 July."""

    naam: Text
    geldig_van: Day | None = None
    geldig_tot: Day | None = None


class Opleiding(Record):
    """A programme."""

    naam: Text
    afkorting: Text | None = None
    code: Text | None = None
    landelijke_naam: Text | None = None
    profiel: Text | None = None
    profielnaam: Text | None = None
    leerjaren: Wholes | None = None
    vanaf_schooljaar: Text | None = None
    tot_schooljaar: Text | None = None
    vestiging: Key | None = None


class Vak(Record):
    """A subject."""

    naam: Text
    afkorting: Text | None = None
    code: Text | None = None
    vestiging: Key | None = None


class Medewerker(Record):
    """A member of staff."""

    achternaam: Text
    voorvoegsel: Text | None = None
    roepnaam: Text | None = None
    voorletters: Text | None = None
    geslacht: Text | None = None
    geboortedatum: Day | None = None
    eck_id: Text | None = None
    personeelsnummer: Text | None = None
    afkorting: Text | None = None
    functie: Text | None = None
    is_docent: bool | None = None
    gebruikersnaam: Text | None = None
    email: Text | None = None
    telefoon_werk: Text | None = None
    telefoon: Text | None = None
    telefoon_geheim: bool | None = None
    adres: Adres | None = None
    adres_geheim: bool | None = None
    hoofdvestiging: Key | None = None
    geldig_van: Day | None = None
    geldig_tot: Day | None = None
    reden_uit_dienst: Text | None = None


class Leerling(Record):
    """A pupil. The numbers are cut off before they get here, unless a purpose is configured.

    `pgn_gecorrigeerd` is no field of the core: it says that another bsn or onderwijsnummer than
    before is still of this one pupil, whose pseudonyms may then go on under it.
    """

    achternaam: Text
    voorvoegsel: Text | None = None
    roepnaam: Text | None = None
    voornamen: Text | None = None
    voorletters: Text | None = None
    geslacht: Text | None = None
    geboortedatum: Day | None = None
    geboorteplaats: Text | None = None
    geboorteland: Text | None = None
    leerlingnummer: Text | None = None
    eck_id: Text | None = None
    bsn: Text | None = None
    onderwijsnummer: Text | None = None
    pgn_gecorrigeerd: bool | None = None
    email: Text | None = None
    mobiel: Text | None = None
    telefoon: Text | None = None
    telefoon_geheim: bool | None = None
    adres: Adres | None = None
    adres_geheim: bool | None = None
    gebruikersnaam: Text | None = None
    contact_via_email: bool | None = None
    herkomst_brin: Text | None = None
    herkomst_naam: Text | None = None
    onderwijs_sinds: Day | None = None


class Verzorger(Record):
    """A parent or guardian."""

    achternaam: Text
    voorvoegsel: Text | None = None
    voorletters: Text | None = None
    roepnaam: Text | None = None
    geslacht: Text | None = None
    gebruikersnaam: Text | None = None
    email: Text | None = None
    telefoon: Text | None = None
    mobiel: Text | None = None
    mobiel_werk: Text | None = None
    telefoon_geheim: bool | None = None
    mobiel_werk_geheim: bool | None = None
    adres: Adres | None = None
    adres_geheim: bool | None = None
    contact_via_email: bool | None = None


class Groep(Record):
    """A stamgroep or lesgroep of one schooljaar, with its members as keys."""

    naam: Text
    soort: Text
    omschrijving: Text | None = None
    schooljaar: Text | None = None
    leerjaar: Whole | None = None
    onderwijssoort: Text | None = None
    vestiging: Key | None = None
    vak: Key | None = None
    leerlingen: Keys | None = None
    docenten: Keys | None = None
    eerste_mentoren: Keys | None = None
    tweede_mentoren: Keys | None = None
    geldig_van: Day | None = None
    geldig_tot: Day | None = None


class Inschrijving(Record):
    """A placement of a leerling; its period is half-open."""

    leerling: Key
    vestiging: Key | None = None
    opleiding: Key | None = None
    stamgroep: Key | None = None
    mentor: Key | None = None
    schooljaar: Text | None = None
    leerjaar: Whole | None = None
    kenmerken: Texts | None = None
    geldig_van: Day | None = None
    geldig_tot: Day | None = None


class VerzorgerRelatie(Record):
    """What a verzorger is to a leerling."""

    verzorger: Key
    leerling: Key
    relatiesoort: Text | None = None
    volgnummer: Whole | None = None
    ouderlijk_gezag: bool | None = None
    ontvangt_post: bool | None = None


class Advies(Record):
    """A schooladvies."""

    leerling: Key
    soort: Text | None = None
    advies: Text | None = None
    datum: Day | None = None


class Uitstroom(Record):
    """Where a leerling went."""

    leerling: Key
    bestemming: Text | None = None
    reden: Text | None = None
    datum: Day | None = None


class Toets(Record):
    """A test."""

    naam: Text | None = None
    code: Text | None = None
    soort: Text | None = None
    vak: Key | None = None
    weging: Whole | None = None
    bovenliggend: Key | None = None


class Toetsresultaat(Record):
    """What a leerling got for a test."""

    leerling: Key
    toets: Key | None = None
    vak: Key | None = None
    omschrijving: Text | None = None
    schooljaar: Text | None = None
    periode: Whole | None = None
    leerjaar: Whole | None = None
    soort: Text | None = None
    poging: Whole | None = None
    resultaat: Text | None = None
    getal: float | None = None
    weging: Whole | None = None
    referentiekader: Text | None = None
    niveau: Text | None = None
    geldend: bool | None = None
    datum: Day | None = None
    bovenliggend: Key | None = None


MODELS: Final[dict[str, type[Record]]] = {
    "bevoegd_gezag": BevoegdGezag,
    "instelling": Instelling,
    "vestiging": Vestiging,
    "schooljaar": Schooljaar,
    "opleiding": Opleiding,
    "vak": Vak,
    "medewerker": Medewerker,
    "leerling": Leerling,
    "verzorger": Verzorger,
    "groep": Groep,
    "inschrijving": Inschrijving,
    "verzorger_relatie": VerzorgerRelatie,
    "advies": Advies,
    "uitstroom": Uitstroom,
    "toets": Toets,
    "toetsresultaat": Toetsresultaat,
}
"""Resource → model, in the order in which they are read: what is referred to comes first."""

SPECIAL: Final = frozenset({"bsn", "onderwijsnummer"})
"""Fields that are never read unless the configuration names a purpose."""

ASIDE: Final = frozenset({"pgn_gecorrigeerd"})
"""Fields that say something of a message, and are none of the core."""

PERSONAL: Final = SPECIAL | {"eck_id"}
"""Numbers that name one person everywhere: they never stand in the table view."""


def parse(resource: str, body: bytes) -> Parsed:
    """One raw body → its typed record; a field that was left out is not delivered.

    Raises: ParseError if it is no JSON object, or a required field misses or breaks its rule.
    """
    parsed = parse_model(MODELS[resource], body, key_field="key")
    record = parsed.record
    if isinstance(record, Record):
        left_out = type(record).model_fields.keys() - record.model_fields_set
        record = record.model_copy(update={"dropped": record.dropped | left_out})
    return Parsed(record, parsed.problems, parsed.unknown)


def check(message: Message) -> Sequence[FieldProblem]:
    """What is wrong with a message; its body holds a key, as `with_key` puts it there."""
    for name, value in (("id", message.message_id), ("key", message.key)):
        if not 0 < len(value) <= LARGEST_KEY or not value.isprintable() or value != value.strip():
            rule = f"must be 1 to {LARGEST_KEY} printable signs, with no space around them"
            return (FieldProblem(name, rule),)
    if message.resource not in MODELS:
        return (FieldProblem("resource", f"must be one of {', '.join(MODELS)}"),)
    if message.action is Action.DELETE:
        return (FieldProblem("record", "goes not with a deletion"),) if message.body else ()
    try:
        parsed = parse(message.resource, message.body)
    except ParseError as error:
        return (FieldProblem(error.path, error.rule),)
    unknown = (FieldProblem(name, "is not a field of this resource") for name in parsed.unknown)
    return (*parsed.problems, *unknown)


def with_key(record: dict[str, Any], key: str, *, drop: frozenset[str]) -> bytes:
    """The body of a record, in one spelling: its key, and no field that must not be read."""
    kept = {name: value for name, value in record.items() if name not in drop}
    return msgspec.json.encode({**kept, "key": key}, order="sorted")
