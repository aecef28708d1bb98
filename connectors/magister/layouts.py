"""Our own lists (*layouts*), which the school installs in Decibel: their columns, as a contract.

The check and the delivery contracts read it, and a test holds the installation sheet to it:
`docs/magister-layouts.md`, with the text of each list beside it.
Spec: magister.md, section 6 (ASSUMED).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

CONTRACT_VERSIE: Final = "1"


@dataclass(frozen=True, slots=True)
class Layout:
    """One list.

    Attributes:
        key: the columns without which a row says nothing.
        names: all columns, in the order of the sheet.
        required: the columns that must be there.
    """

    name: str
    key: tuple[str, ...]
    names: tuple[str, ...]
    required: tuple[str, ...]


def _layout(name: str, *columns: str, key: tuple[str, ...]) -> Layout:
    """A list; the columns are words, those with an asterisk are required."""
    words = " ".join(columns).split()
    required = tuple(word.rstrip("*") for word in words if word.endswith("*"))
    return Layout(name, key, tuple(word.rstrip("*") for word in words), required)


VERSIE: Final = _layout(
    "presentis-versie", "contract_versie* gegenereerd_op*", key=("contract_versie",)
)

LESPERIODEN: Final = _layout(
    "presentis-lesperioden",
    "lesperiode* omschrijving* begindatum* einddatum*",
    key=("lesperiode",),
)

VESTIGINGEN: Final = _layout(
    "presentis-vestigingen",
    "locatie_id* locatie_code* omschrijving* brin nevenvestiging",
    key=("locatie_id",),
)

LEERLINGEN: Final = _layout(
    "presentis-leerlingen",
    "leer_id* stamnr* roepnaam voornamen voorletters tussenvoegsel achternaam* geslacht",
    "geboortedatum email mobiel login",
    "aanmelding_id* lesperiode* begindatum* einddatum* vertrekdatum klas_id klas studie_id studie",
    "leerjaar locatie_id pro_indicatie ilt_code mentor1_pers_id mentor2_pers_id",
    key=("leer_id", "aanmelding_id", "lesperiode"),
)

EXTRA_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {"presentis-leerlingen": ("eckid",)}
"""Columns that are read where a school can deliver them, and that no sheet asks for.

No table is known to hold an ECK iD (section 10).
"""

VERZORGERS: Final = _layout(
    "presentis-verzorgers",
    "leer_id* verzorger_id* volgnummer relatie voorletters tussenvoegsel achternaam* email",
    "telefoon mobiel geheim gezag",
    key=("verzorger_id", "leer_id"),
)

MEDEWERKERS: Final = _layout(
    "presentis-medewerkers",
    "pers_id* stamnr* code roepnaam voorletters tussenvoegsel achternaam* email_werk login",
    "datum_in datum_uit locatie_id",
    key=("pers_id",),
)

GROEPEN: Final = _layout(
    "presentis-groepen",
    "groep_id* groep* omschrijving is_stamklas* locatie_id lesperiode*",
    "mentor1_pers_id mentor2_pers_id mentor3_pers_id",
    key=("groep_id", "lesperiode"),
)

GROEPSLEDEN: Final = _layout(
    "presentis-groepsleden",
    "groep_id* leer_id* vak_code begindatum einddatum",
    key=("groep_id", "leer_id"),
)

DOCENTGROEPEN: Final = _layout(
    "presentis-docentgroepen",
    "groep_id* pers_id* vak_code lesperiode*",
    key=("groep_id", "pers_id"),
)

VAKKEN: Final = _layout("presentis-vakken", "vak_code* omschrijving*", key=("vak_code",))

PGN: Final = _layout("presentis-pgn", "leer_id* bsn onderwijsnummer", key=("leer_id",))
"""Read only where the configuration of the koppeling names a purpose (ASSUMED list)."""

ALL: Final = (
    VERSIE,
    LESPERIODEN,
    VESTIGINGEN,
    VAKKEN,
    MEDEWERKERS,
    LEERLINGEN,
    VERZORGERS,
    GROEPEN,
    GROEPSLEDEN,
    DOCENTGROEPEN,
    PGN,
)
"""In the order in which they are asked."""

NEVER: Final = frozenset({"bsn", "onderwijsnummer", "sofinummer", "pgn"})
"""Columns whose values are cut from every list but `presentis-pgn`, whoever put them there."""


def missing_columns(layout: Layout, columns: frozenset[str]) -> tuple[str, ...]:
    """The required columns that a list lacks."""
    return tuple(name for name in layout.required if name not in columns)
