"""`docs/magister-layouts.md`: the installation sheet for a school's application manager, in Dutch.

Pure: it gives the page; a test says when the file in `docs/` is not it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from connectors.magister.layouts import ALL, CONTRACT_VERSIE, EXTRA_COLUMNS, PGN, Layout

_HEAD: Final = f"""# Installatieblad: Koppelhub en Magister

Voor de applicatiebeheerder van Magister. Gemaakt van `connectors/magister/layouts.py` door
`connectors.magister.sheet.page`; niet met de hand wijzigen. Versie van deze lijsten:
**{CONTRACT_VERSIE}**.

## 1. Netwerk

Laat de hosting van Magister het IP-adres van de hub toe op **poort 8800** (allow-list). Verhuist
de hub naar een ander adres, dan is een nieuwe aanvraag nodig. De server spreekt TLS 1.2 of
nieuwer; heeft hij een certificaat van een eigen uitgever (CA), geef dat certificaat dan aan de
beheerder van de hub.

## 2. Gebruiker

Maak een eigen webservicegebruiker, alleen voor de hub, met het recht `Algemeen.Login`. Zet het
wachtwoord nooit in een e-mail: de beheerder van de hub heeft er een veilige plaats voor. Rechten
gelden per functie **en per lijst**: een lijst die aan een ander account is toegewezen geeft een
fout.

## 3. Lijsten

Maak in Decibel elke lijst hieronder met **precies deze naam en deze kolomkoppen**, wijs haar toe
aan die gebruiker (bibliotheek `Data`, functie `GetData`) en test haar in Decibel (F9).

- Datums zijn tekst (`2026-08-01`), ja/nee is `1` of `0`, een leeg veld is leeg.
- Nergens in de tekst mag een hekje staan, **ook niet in commentaar**: Decibel ziet het als een
  parameter en de lijst breekt met een melding als "is not a valid integer value".
- Lijsten met een lesperiode geven alle perioden die nog niet voorbij zijn. Staat het volgende
  schooljaar nog niet in Magister, dan is er niets aan de hand.
- *aanname*: van deze kolom kennen wij de tabel of het veld niet zeker. Kijk die in uw eigen
  Magister na en pas de tekst aan; de kop blijft zoals hij is. Een kolom die niet verplicht is
  mag weg: de hub wist dan niets.
- Extra kolommen leest de hub niet. Zet er geen bij: wat hier niet staat, heeft geen doel.

De hub controleert dit alles met `koppelhub connectors check` en zegt welke lijst of kolom
ontbreekt.
"""

_TAIL: Final = """
## Zonder lijsten

Wil de school (nog) geen lijsten maken, dan leest de hub met `mode = "functions"` de vaste
functies. Geef de webservicegebruiker dan recht op `ADFuncties.GetActiveStudents`,
`GetActiveEmpoyees` (zo heet die functie echt), `GetLeerlingGroepen`, `GetPersoneelGroepVakken`
en `GetPersoneelKlasVakken`. Niet geleverd worden dan: verzorgers, begin- en einddatum van
aanmeldingen, ECK iD, e-mailadres van medewerkers.

## Wat Magister hier niet levert

Verzuim en cijfers: daarvoor is geen lijst of functie bekend. Een ECK iD levert Magister via deze
weg niet; heeft de school er zelf een kolom voor, neem die dan als `eckid` op in
`presentis-leerlingen`.
"""


def page() -> str:
    """The whole sheet."""
    return "\n".join([_HEAD, *(line for layout in ALL for line in _lines(layout))]) + _TAIL


def _lines(layout: Layout) -> Iterator[str]:
    yield f"### `{layout.name}`"
    yield ""
    yield f"Eén regel per {layout.per}. Doel: {layout.purpose}."
    if layout is PGN:
        yield "**Maak deze lijst alleen als die afspraak er is.**"
    if layout.note:
        yield layout.note
    yield ""
    yield "| kolom | verplicht | |"
    yield "|---|---|---|"
    for column in layout.columns:
        required = "ja" if column.required else "nee"
        yield f"| `{column.name}` | {required} | {'aanname' if column.guessed else ''} |"
    for name in EXTRA_COLUMNS.get(layout.name, ()):
        yield f"| `{name}` | nee | alleen als de school hem kan leveren |"
    yield ""
    yield "```sql"
    yield layout.sql.rstrip()
    yield "```"
    yield ""
