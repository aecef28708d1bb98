"""Pure functions and conditions that only Somtoday's rows need."""

from __future__ import annotations

from typing import Any

from connectors.somtoday.records import ExternalIdentifier, Mentor
from mappings import functions
from mappings.canonical.fields import NOT_DELIVERED, Delivered
from sector.identifiers import InvalidIdentifierError, Schooljaar

_WORD = "medewerker "


def medewerkernummer(value: str) -> str | None:
    """The number without the word "Medewerker" before it."""
    number = functions.text(value)
    if number is None or number.lower() == _WORD.strip():
        return None
    return number[len(_WORD) :].strip() if number.lower().startswith(_WORD) else number


def digideliveryid(value: tuple[ExternalIdentifier, ...]) -> Delivered[str]:
    """The first delivery address among the external identifiers."""
    if any(item.dropped for item in value):
        return NOT_DELIVERED
    return next((item.digideliveryid for item in value if item.digideliveryid), None)


def stamgroep_key(uuid: str, schooljaar: str | None) -> str:
    """The stamgroep's UUID, a slash, and the first calendar year of the schooljaar.

    Whether a stamgroep keeps its UUID over the years is not documented; a Groep belongs to one
    schooljaar, so that next year's members never land in this year's group.
    Spec: somtoday.md, sections 8 and 12 (ASSUMED).
    """
    return f"{uuid}/{schooljaar[:4]}" if schooljaar else uuid


def stamgroep_reference(uuid: str, around: str | None, own: str | None) -> str:
    """The key of the stamgroep in the schooljaar of the placement."""
    return stamgroep_key(uuid, _or_none(own) or around)


def _or_none(schooljaar: str | None) -> str | None:
    """A schooljaar that can be read; one that cannot has its own problem in its own row."""
    try:
        return None if schooljaar is None else Schooljaar.check(schooljaar)
    except InvalidIdentifierError:
        return None


def own_or_scope_schooljaar(around: str, own: str | None) -> str | None:
    """The schooljaar of the record; where it has none, the one that it is read for."""
    return functions.schooljaar(own or around)


def own_or_scope_start(around: str, own: str | None) -> object:
    """1 August of the schooljaar of the record; where it has none, of the one it is read for."""
    return functions.schooljaar_start(own or around)


def own_or_scope_end(around: str, own: str | None) -> object:
    """1 August after the schooljaar of the record, or after the one it is read for (half-open)."""
    return functions.schooljaar_end(own or around)


def own_or_scope_vestiging(around: str, own: str | None) -> str:
    """The vestiging of the record; where it names none, the one that it is read from."""
    return own or around


def loose_schooljaar(value: str) -> str | None:
    """The schooljaar as `2026/2027`; as written where it cannot be read: no form is documented."""
    return _or_none(value) or functions.text(value)


def _mentors(value: tuple[Mentor, ...], toewijzing: str) -> Delivered[tuple[str, ...]]:
    """Keys of the mentors of one kind; not delivered where the kind of one of them was dropped."""
    if any(mentor.dropped for mentor in value):
        return NOT_DELIVERED
    return tuple(sorted({m.medewerker_uuid for m in value if m.toewijzing == toewijzing}))


def eerste_mentoren(value: tuple[Mentor, ...]) -> Delivered[tuple[str, ...]]:
    """The first mentors of the stamgroep."""
    return _mentors(value, "EersteMentorStamgroep")


def tweede_mentoren(value: tuple[Mentor, ...]) -> Delivered[tuple[str, ...]]:
    """The second mentors of the stamgroep."""
    return _mentors(value, "TweedeMentorStamgroep")


def plaatsing_mentor(value: tuple[Mentor, ...]) -> Delivered[str]:
    """The mentor of the placement itself; those of the stamgroep stand at the groep."""
    found = _mentors(value, "Plaatsing")
    if isinstance(found, tuple):
        return found[0] if found else None
    return found


# -- conditions: secret addresses and numbers (section 6.9) --------------------------------------
#
# Somtoday leaves a secret address out. Then an absent address is not an empty one: taking it for
# empty would erase what the school may need, so it is not delivered. The flag itself is STRONG, and
# what is stored stays hidden by it. Where the flag was unreadable nobody knows, and the address is
# not taken. For telephone numbers the same is ASSUMED.


def adres_is_told(record: Any) -> bool:
    """Not where the address is secret and left out, or the flag is unreadable."""
    return _is_told(record, "adres_geheim", record.adres)


def mobielnummer_is_told(record: Any) -> bool:
    """Not where the number is secret and left out, or the flag is unreadable."""
    return _is_told(record, "telefoonnummer_geheim", record.mobielnummer)


def telefoonnummer_is_told(record: Any) -> bool:
    """Not where the number is secret and left out, or the flag is unreadable."""
    return _is_told(record, "telefoonnummer_geheim", record.telefoonnummer)


def thuisnummer_is_told(record: Any) -> bool:
    """Not where the number is secret and left out, or the flag is unreadable."""
    return _is_told(record, "telefoonnummer_geheim", record.uitgebreid_telefoonnummer)


def verzorger_mobiel_is_told(record: Any) -> bool:
    """Not where the number is secret and left out, or the flag is unreadable."""
    return _is_told(record, "telefoonnummer_geheim", record.uitgebreid_mobiel_nummer)


def werknummer_is_told(record: Any) -> bool:
    """Not where the number is secret and left out, or the flag is unreadable."""
    return _is_told(record, "mobielwerknummer_geheim", record.uitgebreid_mobiel_werk_nummer)


def prive_nummer_is_told(record: Any) -> bool:
    """Not where the number is secret and left out, or the flag is unreadable."""
    return _is_told(record, "privetelefoonnummer_geheim", record.prive_telefoonnummer)


def first_known_is_told(record: Any) -> bool:
    """Not where it is secret and left out, a flag is unreadable, or a work number is secret.

    `telefoonnummer` is the first known of home, mobile and work, so it may be the secret one.
    """
    if record.mobielwerknummer_geheim or "mobielwerknummer_geheim" in record.dropped:
        return False
    return _is_told(record, "telefoonnummer_geheim", record.telefoonnummer)


def _is_told(record: Any, secret: str, value: object) -> bool:
    if secret in record.dropped:
        return False
    return value is not None or getattr(record, secret) is not True
