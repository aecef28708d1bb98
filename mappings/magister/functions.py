"""Pure functions and conditions that only Magister's rows need."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, Final

from connectors.magister.records import Docent, Lid
from mappings import functions, normalise
from mappings.canonical.fields import NOT_DELIVERED, Adres, Delivered
from sector.identifiers import Schooljaar, Vestigingsnummer

LAST_DAY_COUNTS: Final = True
"""Whether `einddatum` and `vertrekdatum` are the last day, counted in.

Of aanmeldingen a public list compares `dBegin ≤ today < dEinde`, which reads as the day after; the
dates that are met (31 July) read as the last day. Counting it in closes a day too late rather than
too early. Spec: magister.md, section 6.1 (ASSUMED; the assumption `magister-last-day`).
"""

_STAFF_MARKS: Final = "*_"
_MOBILE: Final = "+316"
_IS_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}").fullmatch


def _end(last: date) -> date:
    return normalise.following(last) if LAST_DAY_COUNTS else last


def end_of_stay(einddatum: date | None, vertrekdatum: date | None, begindatum: object) -> object:
    """The day after the earlier of both (half-open); never before the first day: who never came."""
    last = min(day for day in (einddatum, vertrekdatum) if day is not None)
    end = _end(last)
    return max(end, begindatum) if isinstance(begindatum, date) else end


def end_of_period(einddatum: date, begindatum: object) -> object:
    """The day after an inclusive last day (half-open); never before the first day."""
    return end_of_stay(einddatum, None, begindatum)


# -- schooljaar ------------------------------------------------------------------------------------


def _year(around: str, lesperiode: str | None) -> str:
    """The schooljaar of a code such as `2627`; without one that of the scope."""
    if lesperiode and len(lesperiode) == 4 and lesperiode.isascii() and lesperiode.isdigit():
        first = int(lesperiode[:2])
        if int(lesperiode[2:]) == (first + 1) % 100:
            return Schooljaar.starting(2000 + first).reveal()
    return around


def schooljaar(around: str, lesperiode: str | None) -> str | None:
    """The schooljaar of the lesperiode; where its code says none, the one that it is read for."""
    return functions.schooljaar(_year(around, lesperiode))


def schooljaar_start(around: str, lesperiode: str | None) -> object:
    """1 August of the schooljaar of the lesperiode."""
    return functions.schooljaar_start(_year(around, lesperiode))


def schooljaar_end(around: str, lesperiode: str | None) -> object:
    """1 August after the schooljaar of the lesperiode (half-open)."""
    return functions.schooljaar_end(_year(around, lesperiode))


# -- organisation ----------------------------------------------------------------------------------


def vestigingsnummer(brin: str | None, nevenvestiging: str | None) -> str | None:
    """BRIN and the two digits of the nevenvestiging; empty where one of them is."""
    if not brin or not nevenvestiging:
        return None
    return Vestigingsnummer.check(f"{brin.strip().upper()}{nevenvestiging.strip().zfill(2)}")


def vestigingsnummers(brin: str | None, nevenvestiging: str | None) -> tuple[str, ...]:
    """The one vestigingsnummer, as a list."""
    number = vestigingsnummer(brin, nevenvestiging)
    return () if number is None else (number,)


def only_code(codes: Sequence[str]) -> Delivered[str]:
    """The national code, where all aanmeldingen of the studie name the same one."""
    if len(codes) > 1:
        return NOT_DELIVERED
    return functions.text(codes[0]) if codes else None


# -- groups ----------------------------------------------------------------------------------------


def groep_key(groep_id: str, lesperiode: str) -> str:
    """The id of the group, a slash, and the lesperiode.

    Spec: magister.md, section 8 (CONFIRMED that classes are keyed by id and period).
    """
    return f"{groep_id}/{lesperiode}"


def klas_reference(klas_id: str, lesperiode: str | None) -> Delivered[str]:
    """The key of the klas in the lesperiode of the aanmelding."""
    return groep_key(klas_id, lesperiode) if lesperiode else NOT_DELIVERED


def soort(is_stamklas: bool) -> str:
    """`stamgroep` or `lesgroep`."""
    return "stamgroep" if is_stamklas else "lesgroep"


def leden_are_known(record: Any) -> bool:
    """Not where the list does not say who is in the klas."""
    return record.leden is not None


def is_lesgroep(record: Any) -> bool:
    """Only of lesgroepen: a klas has many vakken."""
    return record.is_stamklas is False


def leerlingen(leden: Sequence[Lid]) -> tuple[str, ...]:
    """The keys of the members, each once."""
    return tuple(sorted({lid.leer_id for lid in leden}))


def docenten(listed: Sequence[Docent]) -> tuple[str, ...]:
    """The keys of the teachers, each once."""
    return tuple(sorted({docent.pers_id for docent in listed}))


def only_vak(leden: Sequence[Lid] | None, listed: Sequence[Docent] | None = None) -> str | None:
    """The vak, where all members and teachers name the same one."""
    named: Iterable[Lid | Docent] = (*(leden or ()), *(listed or ()))
    codes = {one.vak_code for one in named if one.vak_code}
    return codes.pop() if len(codes) == 1 else None


def only_of(vakken: Sequence[str]) -> str | None:
    """The vak, where there is one."""
    return vakken[0] if len(vakken) == 1 else None


def mentor(pers_id: str) -> tuple[str, ...]:
    """The key of the mentor, as a list."""
    return (pers_id,)


def mentors(second: str | None, third: str | None) -> tuple[str, ...]:
    """The keys of the second and third mentor."""
    return tuple(sorted({one for one in (second, third) if one}))


# -- persons ---------------------------------------------------------------------------------------


def code(value: str) -> str | None:
    """The code without the marks of who left (`*`) or has a second role (`_`)."""
    return functions.text(value.strip(_STAFF_MARKS))


def pro_indicatie(value: bool) -> tuple[str, ...]:
    """`PRO-indicatie`, where the pupil has one."""
    return ("PRO-indicatie",) if value else ()


def telefoon_is_told(record: Any) -> bool:
    """Not where the number is secret and left out, or the flag is unreadable."""
    return _is_told(record, record.telefoon)


def mobiel_is_told(record: Any) -> bool:
    """Not where the number is secret and left out, or the flag is unreadable."""
    return _is_told(record, record.mobiel)


def adres_is_told(record: Any) -> bool:
    """Not where the address is secret and left out, or the flag is unreadable."""
    return _is_told(record, record.postcode or record.straat)


def _is_told(record: Any, value: object) -> bool:
    if "geheim" in record.dropped:
        return False
    return bool(value) or record.geheim is not True


def locatie_has_a_key(record: Any) -> bool:
    """Not where the setting `locaties` has no key for the name of the location."""
    return record.locatie_id is not None or record.locatie is None


def leerling_telefoon_is_told(record: Any) -> bool:
    """Not where the number is secret and left out, or the flag is unreadable."""
    if "telefoon_geheim" in record.dropped:
        return False
    return record.telefoon is not None or record.telefoon_geheim is not True


def mobile(value: str) -> Delivered[str]:
    """The second number, where it is a mobile one; which it is does not stand in the list."""
    number = functions.telefoon(value)
    return number if number is not None and number.startswith(_MOBILE) else NOT_DELIVERED


def adres(
    straat: str | None,
    nummer: str | None,
    toevoeging: str | None,
    postcode: str | None,
    woonplaats: str | None,
    land: str | None = None,
) -> Delivered[Adres]:
    """The address, with its postcode as `1234AB`."""
    parts = {
        "straat": straat,
        "huisnummer": nummer,
        "toevoeging": toevoeging,
        "postcode": postcode,
        "woonplaats": woonplaats,
        "land": land,
    }
    tidied = {name: normalise.tidy(part) or None for name, part in parts.items() if part}
    written = tidied.get("postcode")
    if written:
        tidied["postcode"] = normalise.postcode(written) or None
    return Adres(**tidied) if any(tidied.values()) else None


# -- the fixed functions know persons by number ----------------------------------------------------


def gebruiker_key(user_id: str) -> str:
    """The user id as it is where it is a UUID, as UWLR has it; else behind `scim:`.

    A UUID can be no number of our lists, so a koppeling that was once read in another mode keeps
    its people apart. Spec: magister.md, section 11 (CONFIRMED that the id is that of UWLR).
    """
    return user_id if _IS_UUID(user_id) else f"scim:{user_id}"


def number_key(stamnr: str) -> str:
    """The number behind `stamnr:`, so that it is never taken for an id of Magister's."""
    return f"stamnr:{stamnr}"


def number_keys(numbers: Sequence[str]) -> tuple[str, ...]:
    """The numbers behind `stamnr:`, sorted."""
    return tuple(sorted({number_key(number) for number in numbers}))
