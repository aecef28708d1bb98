"""The record of one person whose ECK iD was obtained: made here, not by another system.

A record with a question (`vraag`) cannot be used before a person has answered it: it is set apart,
and its last accepted form stays. It comes right by itself once the question is gone.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from pydantic import StringConstraints

from connectors.base import Parsed
from connectors.eckid.persons import LEERLING, MEDEWERKER
from connectors.errors import ParseError
from connectors.protocols.parsing import Day, SourceModel, Text, parse_model

Key = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Vraag(StrEnum):
    """Why a person must look."""

    PGN = "pgn"
    EMAIL = "email"
    GEWEIGERD = "geweigerd"


RULES: Final = {
    Vraag.PGN: (
        "pgn",
        "is another one than the pseudonym was obtained with",
        "Het PGN van deze leerling is veranderd. Klopt het nieuwe nummer, stel dan voor het bij de "
        "Nummervoorziening te vervangen (docs/eckid.md); anders verbetert de school het nummer.",
    ),
    Vraag.EMAIL: (
        "email",
        "is another one than the pseudonym was obtained with",
        "Het e-mailadres van deze docent is veranderd. Zijn ECK iD blijft zoals het is; de hub "
        "vraagt er geen ander aan. Meld dit bij ops als het adres zo blijft.",
    ),
    Vraag.GEWEIGERD: (
        "eck_id",
        "was refused by the number facility, time and again",
        "De Nummervoorziening gaf deze persoon drie keer geen ECK iD. Laat de school het nummer "
        "nakijken; klopt het, meld dit dan bij ops. Lag het aan de Nummervoorziening, vraag dan "
        "opnieuw: `koppelhub eckid obtain --school BRIN --pupil SLEUTEL`.",
    ),
}
"""Question → the field that it is about, the rule that is broken, and what to do."""


class Verkregen(SourceModel):
    """An ECK iD that the hub obtained.

    Attributes:
        key: hub key of the person.
        eck_id: None where the one that was obtained turned out to be of somebody else.
        van: the day on which it was obtained.
        tot: the last day on which the person is there, once that is over.
    """

    key: Key
    eck_id: Text | None
    keten: Text
    sector: Text
    van: Day | None = None
    tot: Day | None = None


class Leerling(Verkregen):
    """Of a pupil."""


class Medewerker(Verkregen):
    """Of a teacher."""


MODELS: Final[dict[str, type[Verkregen]]] = {LEERLING: Leerling, MEDEWERKER: Medewerker}

FIELDS: Final = ("key", "eck_id", "keten", "sector", "van", "tot")
"""What a delivery contract delivers."""


class Body(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record as it is handed to the engine."""

    key: str
    eck_id: str | None
    keten: str
    sector: str
    van: date | None
    tot: date | None
    vraag: Vraag | None = None

    def __repr__(self) -> str:
        """No value: it names one person."""
        return "<Body>"

    def encode(self) -> bytes:
        """In one spelling, so that what is unchanged is seen to be."""
        return msgspec.json.encode(self)


class _Asked(msgspec.Struct):
    """What is looked at first."""

    key: str | None = None
    vraag: Vraag | None = None


def parse(resource: str, body: bytes) -> Parsed:
    """One raw body → its record.

    Raises: ParseError if it holds a question, or a required field misses or breaks its rule.
    """
    try:
        asked = msgspec.json.decode(body, type=_Asked)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise ParseError("$", "is not readable") from None
    if asked.vraag is not None:
        path, rule, advice = RULES[asked.vraag]
        raise ParseError(path, rule, source_key=asked.key, advice=advice)
    return parse_model(MODELS[resource], body, key_field="key")
