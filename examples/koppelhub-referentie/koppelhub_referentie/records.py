"""What the Referentiebron sends: typed records with its own field names.

Everything but the key is optional here: what a *canonical* record cannot do without, the mapping
knows. A value that breaks its rule is dropped by `parse_model`, or refuses the record if it is the
key. Fields that stand here are what the manifest declares; any other is reported as schema drift.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import StringConstraints

from connectors.base import Parsed
from connectors.protocols.parsing import Day, SourceModel, Text, Whole, parse_model

Key = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Keys = tuple[Key, ...]


class Record(SourceModel):
    """Root: every record has a key of the source's own."""

    key: Key


class Adres(SourceModel):
    """An address; not a record of its own."""

    straat: Text | None = None
    huisnummer: Text | None = None
    toevoeging: Text | None = None
    postcode: Text | None = None
    woonplaats: Text | None = None
    land: Text | None = None


class Persoon(Record):
    """What pupils, guardians and staff have in common."""

    achternaam: Text | None = None
    voorvoegsel: Text | None = None
    voorletters: Text | None = None
    roepnaam: Text | None = None
    geslacht: Text | None = None
    email: Text | None = None
    telefoon: Text | None = None
    telefoon_geheim: bool | None = None
    adres: Adres | None = None
    adres_geheim: bool | None = None


class Leerling(Persoon):
    """A pupil. The ECK iD is what other sources know the same pupil by."""

    voornamen: Text | None = None
    geboortedatum: Day | None = None
    geboorteplaats: Text | None = None
    leerlingnummer: Text | None = None
    eck_id: Text | None = None
    bsn: Text | None = None  # special: cut off before it gets here, unless a purpose is configured
    onderwijsnummer: Text | None = None  # likewise
    mobiel: Text | None = None


class Verzorger(Persoon):
    """A guardian."""

    mobiel: Text | None = None


class VerzorgerRelatie(Record):
    """What a guardian is to a pupil."""

    verzorger: Key | None = None
    leerling: Key | None = None
    relatiesoort: Text | None = None
    volgnummer: Whole | None = None
    ouderlijk_gezag: bool | None = None


class Medewerker(Persoon):
    """A member of staff."""

    geboortedatum: Day | None = None
    eck_id: Text | None = None
    personeelsnummer: Text | None = None
    afkorting: Text | None = None
    functie: Text | None = None
    geldig_van: Day | None = None
    geldig_tot: Day | None = None


class Vestiging(Record):
    """A location."""

    naam: Text | None = None
    afkorting: Text | None = None
    vestigingsnummer: Text | None = None


class Vak(Record):
    """A subject."""

    naam: Text | None = None
    afkorting: Text | None = None
    code: Text | None = None
    vestiging: Key | None = None


class Opleiding(Vak):
    """A programme; it has the fields of a vak."""


class Groep(Record):
    """A group of one schooljaar, with its members as keys."""

    naam: Text | None = None
    soort: Text | None = None
    schooljaar: Text | None = None
    leerjaar: Whole | None = None
    vestiging: Key | None = None
    vak: Key | None = None
    leerlingen: Keys | None = None
    docenten: Keys | None = None
    eerste_mentoren: Keys | None = None
    tweede_mentoren: Keys | None = None
    geldig_van: Day | None = None
    geldig_tot: Day | None = None


class Inschrijving(Record):
    """An enrolment; its period is half-open, as the canonical one."""

    leerling: Key | None = None
    vestiging: Key | None = None
    opleiding: Key | None = None
    stamgroep: Key | None = None
    schooljaar: Text | None = None
    leerjaar: Whole | None = None
    geldig_van: Day | None = None
    geldig_tot: Day | None = None


MODELS: Final[dict[str, type[Record]]] = {
    "vestiging": Vestiging,
    "opleiding": Opleiding,
    "vak": Vak,
    "medewerker": Medewerker,
    "leerling": Leerling,
    "verzorger": Verzorger,
    "groep": Groep,
    "inschrijving": Inschrijving,
    "verzorger_relatie": VerzorgerRelatie,
}
"""Entity → model, in the order in which they are read: what is referred to comes first."""


def parse(entity: str, body: bytes) -> Parsed:
    """One raw body → its typed record.

    A field that the source left out is *not delivered*: it is added to `dropped`, which a mapping
    table reads as such. A `null` stays None: *delivered as empty*. (Where a source says in a
    separate list what it delivers, put that in the delivery contract instead.)
    Raises: ParseError if it has no key or is no JSON object.
    """
    parsed = parse_model(MODELS[entity], body, key_field="key")
    record = parsed.record
    if isinstance(record, Record):
        left_out = type(record).model_fields.keys() - record.model_fields_set
        record = record.model_copy(update={"dropped": record.dropped | left_out})
    return Parsed(record, parsed.problems, parsed.unknown)
