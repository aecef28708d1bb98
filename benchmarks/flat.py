"""The same core as the hub makes of a pupil, as a person would write it by hand: plain rows.

Peers load these rows; `same_core.py` proves that they are what the hub has in its core, so that a
ratio compares equal work. Identifiers are plain here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

Row = tuple[Any, ...]

COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "leerling": (
        "uuid",
        "achternaam",
        "voorvoegsel",
        "roepnaam",
        "voornamen",
        "voorletters",
        "geslacht",
        "geboortedatum",
        "geboorteplaats",
        "geboorteland",
        "telefoon_geheim",
        "adres_geheim",
        "gebruikersnaam",
        "contact_via_email",
        "herkomst_brin",
        "herkomst_naam",
        "onderwijs_sinds",
    ),
    "advies": ("uuid", "soort", "advies"),
    "identificatie": ("uuid", "soort", "waarde"),
    "contactgegeven": ("uuid", "soort", "waarde", "geheim"),
    "adres": (
        "uuid",
        "soort",
        "straat",
        "huisnummer",
        "toevoeging",
        "postcode",
        "woonplaats",
        "land",
        "geheim",
    ),
}
"""Table → its columns; the first (and `soort`) is the key."""

KEYS: Final = {table: 1 if table == "leerling" else 2 for table in COLUMNS}
"""Table → how many of its columns are the key."""

_GESLACHT: Final = {"MAN": "M", "VROUW": "V", "ONBEKEND": "O"}


def rows(record: dict[str, Any]) -> Iterator[tuple[str, Row]]:
    """(table, row) of one pupil."""
    uuid, get = record["uuid"], record.get
    hidden = bool(get("telefoonnummer_geheim"))
    yield (
        "leerling",
        (
            uuid,
            get("achternaam"),
            get("voorvoegsel"),
            get("roepnaam"),
            get("voornamen"),
            get("voorletters"),
            _GESLACHT.get(get("geslacht", "")),
            get("geboortedatum"),
            get("geboorteplaats"),
            get("geboorteland"),
            get("telefoonnummer_geheim"),
            get("adres_geheim"),
            get("gebruikersnaam"),
            get("wenstContactViaEMail"),
            get("schoolVanHerkomstBrin"),
            get("schoolVanHerkomstNaam"),
            get("onderwijsSinds"),
        ),
    )
    if get("adviesSchoolVanHerkomst"):
        yield "advies", (uuid, "school van herkomst", record["adviesSchoolVanHerkomst"])
    yield "identificatie", (uuid, "leerlingnummer", str(record["leerlingnummer"]))
    if get("emailadres"):
        yield "contactgegeven", (uuid, "email", record["emailadres"], False)
    if get("mobielnummer"):
        yield "contactgegeven", (uuid, "mobiel", _phone(record["mobielnummer"]), hidden)
    if get("telefoonnummer"):
        yield "contactgegeven", (uuid, "telefoon", _phone(record["telefoonnummer"]), hidden)
    if get("adres"):
        yield "adres", (uuid, "woonadres", *_address(record["adres"]), bool(get("adres_geheim")))


def _phone(written: str) -> str:
    return f"+31{written[1:]}" if written.startswith("0") else written


def _address(adres: dict[str, Any]) -> Row:
    return (
        adres.get("straat"),
        adres.get("huisnummer_zonder_toevoeging"),
        adres.get("huisnummer_toevoeging"),
        adres.get("postcode"),
        adres.get("woonplaats"),
        adres.get("land"),
    )
