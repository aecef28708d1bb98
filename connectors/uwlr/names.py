"""Names on UWLR's wire: namespaces, calls, elements, and which fields a profile has.

Spec: uwlr.md, sections 3, 4 and 7 (CONFIRMED).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

LG: Final = "http://www.edustandaard.nl/leerresultaten/2/leerlinggegevens"
AUT: Final = "http://www.edustandaard.nl/leerresultaten/2/autorisatie"


def lg(name: str) -> str:
    """A name in the namespace of leerlinggegevens, which serves 2.0 to 2.3."""
    return f"{{{LG}}}{name}"


@dataclass(frozen=True, slots=True)
class Call:
    """One operation.

    Attributes:
        name: as the WSDL names it; errors and logs do too.
        action: its SOAPAction.
        stem: of the elements of its request and answer.
        data: the element that holds what is asked.
    """

    name: str
    action: str
    stem: str
    data: str

    @property
    def request(self) -> str:
        """The element of the request."""
        return f"{self.stem}_verzoek"

    @property
    def answer(self) -> str:
        """The element of the answer."""
        return f"{self.stem}_antwoord"


WHOLE: Final = Call(
    "HaalLeerlinggegevens", "HaalLeerlinggegevens", "leerlinggegevens", "leerlinggegevens"
)
STRUCTUUR: Final = Call(
    "HaalStructuur", f"{LG}/structuur_verzoek", "structuur", "leerlinggegevens-structuur"
)
LEERLINGEN: Final = Call(
    "HaalLeerlingen", f"{LG}/leerlingen_verzoek", "leerlingen", "leerlinggegevens-leerlingen"
)
LEERKRACHTEN: Final = Call(
    "HaalLeerkrachten",
    f"{LG}/leerkrachten_verzoek",
    "leerkrachten",
    "leerlinggegevens-leerkrachten",
)

UNCHANGED: Final = "geenwijzigingen"
NOTHING: Final = "geengegevens"

VERSIONS: Final = ("2.1", "2.2", "2.3")

SECTIONS: Final = {
    "vestiging": "vestigingen",
    "groep": "groepen",
    "samengestelde_groep": "groepen",
    "leerling": "leerlingen",
    "leerkracht": "leerkrachten",
}
"""Resource → the element that its records stand in."""


class Profiel(StrEnum):
    """A data set that two parties agreed on: which fields travel."""

    SMAL = "smalle-set"
    LVS = "lvs-set"
    VOLLEDIG = "volledig"


_GROUP: Final = frozenset({"naam"})
_GROUP_FULL: Final = _GROUP | {"omschrijving", "mutatiedatum"}
_PUPIL: Final = frozenset(
    {"achternaam", "voorvoegsel", "roepnaam", "jaargroep", "groep", "samengestelde_groepen"}
)
_PUPIL_FULL: Final = _PUPIL | {
    "voornamen",
    "voorletters-1",
    "geboortedatum",
    "geslacht",
    "vestiging",
    "gebruikersnaam",
    "emailadres",
    "instroomdatum",
    "uitstroomdatum",
    "mutatiedatum",
    "sofinummer",
    "bsn",
    "onderwijsnummer",
}
_NAME: Final = frozenset({"achternaam", "voorvoegsel", "roepnaam"})
_STAFF_FULL: Final = _NAME | {
    "voornamen",
    "voorletters-1",
    "gebruikersnaam",
    "emailadres",
    "groepen",
    "rol",
    "rolomschrijving",
    "mutatiedatum",
}

KNOWN: Final = {
    "vestiging": _GROUP_FULL,
    "groep": _GROUP_FULL | {"jaargroep"},
    "samengestelde_groep": _GROUP_FULL,
    "leerling": _PUPIL_FULL,
    "leerkracht": _STAFF_FULL,
}
"""Resource → the elements that the hub reads of it under the full profile."""

CUT: Final = {
    "leerling": frozenset(
        {
            "start_ondw_jgr3",
            "fotourl",
            "etniciteit",
            "land",
            "land_vader",
            "land_moeder",
            "bsn_ondwnr-4",
            "rijksregisternummer",
            "gewicht_nieuw",
            "gewicht",
            "postcodenl",
            "postnummerbe",
            "postcodeoverig",
            "toevoegingen",
        }
    ),
    "leerkracht": frozenset({"toevoegingen"}),
    "groep": frozenset({"toevoegingen"}),
    "samengestelde_groep": frozenset({"toevoegingen"}),
    "vestiging": frozenset(),
}
"""Resource → elements that are cut off at intake, whatever profile is agreed: no purpose of the hub
needs them, and the blocks of a toevoeging mean nothing without a schema that two parties share."""

PERSONAL: Final = frozenset({"sofinummer", "bsn", "onderwijsnummer"})
"""Persoonsgebonden nummers: read only where the configuration names a purpose."""

_SMALL: Final = {
    "vestiging": frozenset[str](),
    "groep": _GROUP | {"jaargroep"},
    "samengestelde_groep": _GROUP,
    "leerling": _PUPIL | {"geboortedatum"},
    "leerkracht": _NAME | {"emailadres", "groepen"},
}
_LVS: Final = {
    **_SMALL,
    "leerling": _PUPIL | {"voorletters-1", "geboortedatum", "geslacht"},
    "leerkracht": _NAME | {"groepen"},
}
_NOT_IN_2_3: Final = {
    Profiel.SMAL: frozenset({"geboortedatum"}),
    Profiel.LVS: frozenset({"voorletters-1"}),
    Profiel.VOLLEDIG: frozenset[str](),
}


def allowed(profiel: Profiel, version: str, resource: str) -> frozenset[str]:
    """The elements of a record that a profile lets travel.

    Spec: section 7.7 (CONFIRMED for 2.2 and 2.3; for 2.1 as 2.2).
    """
    match profiel:
        case Profiel.SMAL:
            names = _SMALL[resource]
        case Profiel.LVS:
            names = _LVS[resource]
        case Profiel.VOLLEDIG:
            names = KNOWN[resource]
    if version == "2.3" and resource == "leerling":
        names -= _NOT_IN_2_3[profiel]
    return names
