"""Rules that records break, in Dutch: what the school must mend, for who cannot read the source."""

from __future__ import annotations

import re
from typing import Final

_DUTCH: Final = {
    "is required and missing": "is verplicht en ontbreekt",
    "is required and empty": "is verplicht en is leeg",
    "is required and must be a UUID": "is verplicht en moet een UUID zijn",
    "without an identity: a uuid, or else a startdatum, is needed": "mist een uuid of startdatum",
    "must be text": "moet tekst zijn",
    "must be a number": "moet een getal zijn",
    "must be a whole number": "moet een geheel getal zijn",
    "must fit a whole number of four bytes": "is een te groot getal",
    "does not fit a whole number": "is een te groot getal",
    "does not have the required form": "heeft niet de vereiste vorm",
    "is too long": "is te lang",
    "is too small": "is te klein",
    "is too large": "is te groot",
    "must be true or false": "moet ja of nee zijn",
    "must be a list": "moet een lijst zijn",
    "must be a list of keys": "moet een lijst van sleutels zijn",
    "must be an object": "heeft niet de vorm van een onderdeel",
    "must be an address": "moet een adres zijn",
    "must be a date (YYYY-MM-DD)": "moet een datum zijn (JJJJ-MM-DD)",
    "must be a date (YYYY-MM-DD) that exists": "moet een datum zijn die bestaat",
    "must be a date that exists": "moet een datum zijn die bestaat",
    "must be a date without a time": "moet een datum zonder tijd zijn",
    "must not be before the first day": "mag niet vóór de eerste dag liggen",
    "holds control characters": "bevat stuurtekens",
    "holds a NUL character": "bevat een NUL-teken",
    "is not readable JSON": "is onleesbaar",
    "is not a JSON object": "is onleesbaar",
    "breaks more rules than can be dropped": "bevat te veel fouten",
    "has a key seen before": "heeft een sleutel die al voorkwam",
    "must be nine digits": "moet negen cijfers zijn",
    "must start with a 1": "moet met een 1 beginnen",
    "must be two digits and two letters": "moet twee cijfers en twee letters zijn",
    "must be a BRIN (two digits, two letters) and two digits": "moet een BRIN en twee cijfers zijn",
    "must be four digits and two letters": "moet vier cijfers en twee letters zijn",
    "must be a name, an @ and a domain": "moet een e-mailadres zijn",
    "must be a Dutch number of ten digits, or an international one": "moet een telefoonnummer zijn",
    "must be two years with a slash between them": "moet twee jaren met een schuine streep zijn",
    "must be two years that follow each other": "moet twee opeenvolgende jaren zijn",
    "is another one than the pseudonym was obtained with": "is een ander dan waarmee het ECK iD "
    "is verkregen",
    "was refused by the number facility, time and again": "is telkens geweigerd door de "
    "Nummervoorziening",
    "onbekend veld; dit beleid weigert de rij": "is nieuw en door het beleid geweigerd",
}
_NEXT: Final = {
    "is another one than the pseudonym was obtained with": "Kijk of dit nog dezelfde leerling is. "
    "Zo ja: `koppelhub eckid replace SLEUTEL --why REDEN`; een collega keurt het goed. Zo nee: de "
    "school verbetert het PGN in haar administratie.",
    "was refused by the number facility, time and again": "Laat de school het PGN van deze "
    "leerling nakijken. Klopt het, meld het dan bij ops.",
}
"""Rules that a record of ours breaks, and no source can mend → what to do (Dutch)."""

_ONE_OF: Final = re.compile(r"must be one of (.+)")
_WHOLE: Final = "$"
"""Path of a record as a whole."""


def in_dutch(rule: str) -> str:
    """The rule as people say it; a rule that another package made stays as it is."""
    one_of = _ONE_OF.fullmatch(rule)
    if one_of:
        return f"moet een van deze zijn: {one_of[1]}"
    return _DUTCH.get(rule, f"voldoet niet aan de regel: {rule}")


def advice(system: str, path: str, rule: str) -> str:
    """What the school is to do (Dutch): where, which field, and what is wrong with it."""
    if rule in _NEXT:
        return f"{path}: {in_dutch(rule)}. {_NEXT[rule]}"
    what = "dit record" if path == _WHOLE else f"het veld {path}"
    return (
        f"Verbeter in {system} {what}: {in_dutch(rule)}. "
        "Daarna leest de eerstvolgende run het record opnieuw."
    )
