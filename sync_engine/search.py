"""Finding a record by what a school says on the phone: a key, a number, an address, or a name.

Personal numbers are found through the blind index; names by their match form, whatever the accents
and capitals. Every search is in the audit trail by its kind and what came of it, never by its text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from difflib import SequenceMatcher, get_close_matches
from typing import Final

from config.clock import local_date
from mappings.canonical.fields import Entity
from mappings.normalise import match_form
from sector.identifiers import (
    Bsn,
    EckId,
    Emailadres,
    Identifier,
    InvalidIdentifierError,
    Onderwijsnummer,
    Schooljaar,
    Telefoonnummer,
)
from sync_engine.audit import note
from sync_engine.errors import SyncError
from sync_engine.find import hub_key, read_hub_key
from sync_engine.former_numbers import former_holders, had, hint
from sync_engine.hub import Hub
from sync_engine.hubkeys import KEY, MISTYPED, key_number
from sync_engine.mistyped import meant
from sync_engine.store.work import Row, Work

MOST: Final = 20
"""Records that one search shows: with more, a person says more."""

_DAY: Final = re.compile(
    r"\b(?:(\d{4})-(\d{1,2})-(\d{1,2})|(\d{1,2})[-/. ](\d{1,2})[-/. ](\d{4}))\b"
)
_DIGITS: Final = re.compile(r"[\d .-]{1,20}")
_SIMILAR: Final = 0.75

_PERSONS: Final = {
    Entity.LEERLING: "achternaam, voorvoegsel, roepnaam, voornamen, geboortedatum",
    Entity.MEDEWERKER: "achternaam, voorvoegsel, roepnaam, voorletters, geboortedatum",
    Entity.VERZORGER: "achternaam, voorvoegsel, roepnaam, voorletters, NULL",
}
_NUMBERS: Final = {Entity.LEERLING: "leerlingnummer", Entity.MEDEWERKER: "personeelsnummer"}
_CALLED: Final = {
    Entity.BEVOEGD_GEZAG: ("naam", "nummer"),
    Entity.INSTELLING: ("naam", "afkorting", "brin"),
    Entity.VESTIGING: ("naam", "afkorting", "vestigingsnummer"),
    Entity.SCHOOLJAAR: ("naam",),
    Entity.OPLEIDING: ("naam", "afkorting", "code"),
    Entity.VAK: ("naam", "afkorting", "code"),
    Entity.GROEP: ("naam",),
    Entity.TOETS: ("naam", "code"),
}
"""Columns by which people call what is no person."""


@dataclass(frozen=True, slots=True)
class Match:
    """One record that was found; enough to tell it from another, for the person who asked.

    Attributes:
        name: what people call it.
        born: ISO date, of a person.
        klas: stamgroep of now, of a leerling.
        place: name of the vestiging.
        hint: Dutch, where the number that was typed is an old one of his, or of another.
    """

    core_id: int
    tenant_id: int
    entity: Entity
    key: str
    name: str = ""
    born: str = ""
    klas: str = ""
    place: str = ""
    closed: bool = False
    hint: str = ""


def entity_of(text: str) -> Entity:
    """The entity that a person names. Raises: SyncError, which names the nearest."""
    name = text.strip().lower().replace("-", "_")
    if name in set(Entity):
        return Entity(name)
    near = get_close_matches(name, list(Entity), n=3, cutoff=0.5) or list(Entity)
    raise SyncError(f"there is no entity {text!r}", advice=f"Kies een van: {', '.join(near)}.")


def by_key(hub: Hub, work: Work, entity: Entity, text: str) -> list[int]:
    """Core ids of the records with this key, most of the time one.

    Args:
        hub: whose keys open the blind indexes.
        work: reads.
        entity: which kind of record.
        text: hub key (`K-...`), `koppeling:key` as the source has it, leerlingnummer or
            personeelsnummer, or the name of what is no person; a groep of this schooljaar first.
            A number that nobody has now is that of the one who had it before.

    Raises: SyncError if there is none, or more had that number before; its advice says what comes
        nearest.
    """
    text = text.strip()
    if KEY.fullmatch(text) is not None:
        core_id = key_number(text)
        if core_id is None:
            advice = f"{MISTYPED}{meant(hub, work, text, entity)}"
            raise SyncError("that key is mistyped", advice=advice)
        return [_checked(hub, work, entity, core_id)]
    found = _by_source(hub, work, entity, text)
    if not found and entity in _NUMBERS:
        found = by_number(hub, work, _NUMBERS[entity], text)
    if not found and entity in _CALLED:
        found = _called(hub, work, entity, text)
    if not found:
        found = _formerly(hub, work, entity, text)
    if not found:
        raise _nothing(hub, work, entity, text)
    return found


def _formerly(hub: Hub, work: Work, entity: Entity, text: str) -> list[int]:
    """Who had this number before. Raises: SyncError if that are more than one; it names them."""
    former = _former(hub, work, entity, text)
    if len(former) > 1:
        raise SyncError(
            f"nobody has that {_NUMBERS[entity]} now, and more had it before",
            advice=f"Bedoelt u {had(former)}? Geef de sleutel, of zoek met --find -.",
        )
    return list(former)


def _former(hub: Hub, work: Work, entity: Entity, text: str) -> dict[int, date]:
    """Core id → until when he had the number that was typed, if it is one."""
    if entity not in _NUMBERS or not text:
        return {}
    return former_holders(hub, work, entity, _NUMBERS[entity], _written(text))


def _written(text: str) -> set[str]:
    """What was typed, and where that is a number also its digits alone."""
    digits = _DIGITS.fullmatch(text) and not _DAY.fullmatch(text)
    return {text, "".join(filter(str.isdigit, text))} if digits else {text}


def hinted(
    hub: Hub, work: Work, entity: Entity, text: str, matches: Sequence[Match]
) -> list[Match]:
    """These matches, each with what must be said where a number that was typed is an old one."""
    former = _former(hub, work, entity, text.strip())
    if not former:
        return list(matches)
    role = _NUMBERS[entity]
    now = {core for number in _written(text.strip()) for core in by_number(hub, work, role, number)}
    return [replace(match, hint=hint(role, match.core_id, former, now)) for match in matches]


def _mine(hub: Hub, work: Work) -> object:
    """The tenants that the actor may act for, as the parameter of `many`."""
    return work.values(list(hub.tenants(work)))


def _checked(hub: Hub, work: Work, entity: Entity, core_id: int) -> int:
    alias = work.execute("SELECT survivor_id FROM alias WHERE core_id = ?", (core_id,))
    core_id = int(alias[0][0]) if alias else core_id
    mine = f"id = ? AND {work.many('tenant_id')}"
    if work.execute(f"SELECT 1 FROM {entity} WHERE {mine}", (core_id, _mine(hub, work))):
        return core_id
    for other in Entity:
        if work.execute(f"SELECT 1 FROM {other} WHERE {mine}", (core_id, _mine(hub, work))):
            raise SyncError(
                f"that is the key of a {other}, not of a {entity}",
                advice=f"Vraag het met {other} in plaats van {entity}.",
            )
    raise SyncError(
        f"there is no {entity} with that key",
        advice="De sleutel is goed geschreven, maar dit record is er niet (meer).",
    )


def _by_source(hub: Hub, work: Work, entity: Entity, text: str) -> list[int]:
    name, colon, key = text.partition(":")
    if not colon or not work.execute(
        f"SELECT 1 FROM koppeling WHERE name = ? AND {work.many('tenant_id')}",
        (name, _mine(hub, work)),
    ):
        return []
    rows = work.execute(
        "SELECT l.core_id FROM koppeling k JOIN link l ON l.koppeling_id = k.id "
        "WHERE k.name = ? AND l.entity = ? AND l.source_key = ? "
        "UNION SELECT l.core_id FROM koppeling k JOIN scope p ON p.koppeling_id = k.id "
        "JOIN source_record r ON r.scope_id = p.id JOIN shadow s ON s.record_id = r.id "
        "JOIN link l ON l.koppeling_id = s.koppeling_id AND l.entity = s.entity "
        "AND l.source_key = s.source_key "
        "WHERE k.name = ? AND r.source_key = ? AND s.entity = ?",
        (name, str(entity), key, name, key, str(entity)),
    )
    return sorted(row[0] for row in rows)


def by_number(hub: Hub, work: Work, role: str, number: str) -> list[int]:
    """Core ids of those with this identifier, whichever koppeling issued it, by blind index."""
    found: set[int] = set()
    issuers: dict[int, list[int]] = {}
    for koppeling_id, tenant_id in work.execute(
        f"SELECT id, tenant_id FROM koppeling WHERE {work.many('tenant_id')}", (_mine(hub, work),)
    ):
        issuers.setdefault(tenant_id, [0]).append(koppeling_id)
    for tenant_id, each in issuers.items():
        cipher = hub.cipher(tenant_id)
        for issuer in each:
            index = cipher.index(f"identificatie/{role}", str(issuer), number)
            rows = work.execute(
                "SELECT eigenaar_id FROM identificatie WHERE blindindex = ?", (index,)
            )
            found.update(row[0] for row in rows)
    return sorted(found)


def _called(hub: Hub, work: Work, entity: Entity, text: str) -> list[int]:
    columns = _CALLED[entity]
    year = ", schooljaar" if entity is Entity.GROEP else ", NULL"
    form, now = match_form(text), _schooljaar(hub)
    current: list[int] = []
    others: list[int] = []
    for core_id, schooljaar, *names in work.rows(
        f"SELECT id{year}, {', '.join(columns)} FROM {entity} WHERE {work.many('tenant_id')} "
        "ORDER BY id",
        (_mine(hub, work),),
    ):
        if form and any(name and match_form(name) == form for name in names):
            (current if schooljaar in {None, now} else others).append(core_id)
    return (current or others)[:MOST]


def _nothing(hub: Hub, work: Work, entity: Entity, text: str) -> SyncError:
    koppelingen = [source.name for source in hub.sources()]
    ways = [f"de sleutel van de hub (K-...) of koppeling:sleutel ({', '.join(koppelingen)})"]
    if entity in _NUMBERS:
        ways.append(f"het {_NUMBERS[entity]}")
    near: list[str] = []
    if entity in _CALLED:
        params = (_mine(hub, work), *((_schooljaar(hub),) if entity is Entity.GROEP else ()))
        where = f"WHERE {work.many('tenant_id')}"
        where += " AND schooljaar = ?" if entity is Entity.GROEP else ""
        names = {
            match_form(row[0]): row[0]
            for row in work.rows(f"SELECT DISTINCT naam FROM {entity} {where}", params)
            if row[0]
        }
        near = [names[f] for f in get_close_matches(match_form(text), names, n=5, cutoff=0.5)]
        ways.append("de naam")
    advice = f"Bedoelt u: {', '.join(sorted(near))}? " if near else ""
    advice += f"Gebruik {', of '.join(ways)}"
    advice += "; of zoek met --find -." if entity in _PERSONS else "."
    advice += meant(hub, work, text, entity)
    return SyncError(f"there is no {entity} with that key", advice=advice)


def _schooljaar(hub: Hub) -> str:
    return Schooljaar.of(local_date(hub.clock.now(), hub.settings.timezone)).reveal()


# -- anything that can be said ---------------------------------------------------------------------


def search(hub: Hub, entity: Entity, text: str, *, operator: str) -> list[Match]:
    """The records that what was said may mean, at most MOST, best first; the look is audited.

    Args:
        hub: to search in.
        entity: which kind of record.
        text: a key, BSN, onderwijsnummer, ECK iD, leerlingnummer, e-mail address, telephone number,
            or a name with or without a birth date (2012-03-04 or 4-3-2012).
        operator: who searches.

    Raises: SyncError if there is none, or more than are shown.
    """
    with hub.store.work() as work:
        kind, found = _search(hub, work, entity, text.strip())
        many = len(found) > MOST
        matches = [] if many else matches_of(hub, work, entity, found)
        matches = hinted(hub, work, entity, text, matches)
        what = "more than are shown" if many else f"{len(found)} found"
        note(
            hub,
            work,
            operator=operator,
            action="search",
            subject=f"{entity} by {kind}",
            why=what if len(found) != 1 else hub_key(found[0]),
        )
    if many:
        raise SyncError(
            f"more than {MOST} records of {entity} fit", advice="Noem ook de geboortedatum."
        )
    if not matches:
        raise SyncError(
            f"no {entity} was found by {kind}",
            advice="Controleer wat de school zegt: BSN, ECK iD, leerlingnummer, e-mailadres, of "
            "naam met geboortedatum (4-3-2012).",
        )
    return matches


def _search(hub: Hub, work: Work, entity: Entity, text: str) -> tuple[str, list[int]]:
    """(kind of key, core ids)."""
    if not text:
        raise SyncError("nothing was said to search by", advice="Typ waarop u zoekt.")
    if (
        entity not in _PERSONS
        or read_hub_key(text) is not None
        or _by_source(hub, work, entity, text)
    ):
        return "key", by_key(hub, work, entity, text)
    if "ketenid" in text.lower():
        return "eck_id", _identified(hub, work, entity, ("eck_id", EckId, text))
    if "@" in text:
        return "email", _reached(hub, work, entity, _plain(Emailadres, text) or text)
    if _DIGITS.fullmatch(text) and not _DAY.fullmatch(text):
        return "number", _numbered(hub, work, entity, text)
    if text.startswith("+"):
        return "telephone", _reached(hub, work, entity, _plain(Telefoonnummer, text) or text)
    born, words = _said(text)
    if not words:
        return "birth date", [] if born is None else _born(hub, work, entity, born)
    return ("name and birth date" if born else "name"), _named(hub, work, entity, words, born)


def _plain(kind: type[Identifier], text: str) -> str | None:
    try:
        return kind(text).reveal()
    except InvalidIdentifierError:
        return None


def _identified(
    hub: Hub, work: Work, entity: Entity, *numbers: tuple[str, type[Identifier], str]
) -> list[int]:
    found: set[int] = set()
    for role, kind, text in numbers:
        plain = _plain(kind, text)
        if plain is not None:
            found.update(by_number(hub, work, role, plain))
    return _of(hub, work, entity, found)


def _numbered(hub: Hub, work: Work, entity: Entity, text: str) -> list[int]:
    """Whatever number it is: of the school, of the government, a telephone's; or an old one."""
    digits = "".join(filter(str.isdigit, text))
    found = set(by_number(hub, work, _NUMBERS.get(entity, "leerlingnummer"), text))
    found.update(by_number(hub, work, _NUMBERS.get(entity, "leerlingnummer"), digits))
    found.update(
        _identified(
            hub,
            work,
            entity,
            ("bsn", Bsn, digits),
            ("onderwijsnummer", Onderwijsnummer, digits),
        )
    )
    phone = _plain(Telefoonnummer, digits) if len(digits) >= _PHONE else None
    if phone is not None:
        found.update(_reached(hub, work, entity, phone))
    return _of(hub, work, entity, found) or list(_former(hub, work, entity, text))


_PHONE: Final = 9
"""Digits from which a number may be a telephone's."""


def _reached(hub: Hub, work: Work, entity: Entity, value: str) -> list[int]:
    rows = work.execute(
        "SELECT eigenaar_id FROM contactgegeven WHERE waarde = ? OR waarde = ? LIMIT ?",
        (value, value.lower(), 10 * MOST),
    )
    return _of(hub, work, entity, {row[0] for row in rows})


def _of(hub: Hub, work: Work, entity: Entity, cores: Iterable[int]) -> list[int]:
    rows = work.execute(
        f"SELECT id FROM {entity} WHERE {work.many('id')} AND {work.many('tenant_id')} ORDER BY id",
        (work.values(sorted(cores)), _mine(hub, work)),
    )
    return [row[0] for row in rows]


def _said(text: str) -> tuple[date | None, list[str]]:
    """A birth date and the match forms of the other words."""
    match, born = _DAY.search(text), None
    if match is not None:
        year, month, day = match.group(1, 2, 3) if match[1] else match.group(6, 5, 4)
        try:
            born = date(int(year), int(month), int(day))
        except ValueError:
            raise SyncError(
                "that birth date does not exist", advice="Schrijf de datum als 4-3-2012."
            ) from None
        text = f"{text[: match.start()]} {text[match.end() :]}"
    words = re.split(r"[\s,]+", text)
    return born, [form for word in words if (form := match_form(word))]


def _born(hub: Hub, work: Work, entity: Entity, born: date) -> list[int]:
    if entity is Entity.VERZORGER:
        return []
    rows = work.execute(
        f"SELECT id FROM {entity} WHERE {work.many('tenant_id')} AND geboortedatum = ? "
        "ORDER BY id LIMIT ?",
        (_mine(hub, work), born, MOST + 1),
    )
    return [row[0] for row in rows]


def _named(
    hub: Hub, work: Work, entity: Entity, words: Sequence[str], born: date | None
) -> list[int]:
    """Who has all these words in his name; with a birth date also who is spelled much like it."""
    exact: list[int] = []
    near: list[int] = []
    for row in _people(hub, work, entity, born):
        own = _forms(row)
        if all(any(form.startswith(word) for form in own) for word in words):
            exact.append(row[0])
            if len(exact) > MOST:
                return exact
        elif born is not None and _is_like(words, own):
            near.append(row[0])
    return exact or near[: MOST + 1]


def _people(hub: Hub, work: Work, entity: Entity, born: date | None) -> Iterator[Row]:
    where, params = work.many("tenant_id"), [_mine(hub, work)]
    if born is not None and entity is not Entity.VERZORGER:
        where, params = f"{where} AND geboortedatum = ?", [*params, born]
    return work.rows(
        f"SELECT id, {_PERSONS[entity]} FROM {entity} WHERE {where} ORDER BY id", params
    )


def _forms(row: Row) -> set[str]:
    words = [word for name in row[1:5] if name for word in str(name).split()]
    parts = [part for word in words for part in word.split("-")]
    return {form for word in (*words, *parts) if (form := match_form(word))}


def _is_like(words: Sequence[str], own: Iterable[str]) -> bool:
    own = list(own)
    best = [
        max((SequenceMatcher(None, word, form).ratio() for form in own), default=0.0)
        for word in words
    ]
    return min(best) >= _SIMILAR


# -- what is shown of it ---------------------------------------------------------------------------


def matches_of(hub: Hub, work: Work, entity: Entity, cores: Sequence[int]) -> list[Match]:
    """What tells these records apart, in the order that they are given in."""
    ids = work.values(list(cores))
    names = _PERSONS.get(entity)
    columns = names or f"{_CALLED.get(entity, ('NULL',))[0]}, NULL, NULL, NULL, NULL"
    rows = work.execute(
        f"SELECT id, {columns}, tenant_id, geldig_tot FROM {entity} WHERE {work.many('id')}", (ids,)
    )
    klassen = _klassen(hub, work, cores) if entity is Entity.LEERLING else {}
    today = local_date(hub.clock.now(), hub.settings.timezone).isoformat()
    found: dict[int, Match] = {}
    for core_id, last, infix, first, more, born, tenant_id, until in rows:
        called = (first or more, infix, last) if names else (last,)
        klas, place = klassen.get(core_id, ("", ""))
        found[core_id] = Match(
            core_id,
            tenant_id,
            entity,
            hub_key(core_id),
            " ".join(str(part) for part in called if part),
            "" if born is None else str(born),
            klas,
            place,
            until is not None and str(until) <= today,
        )
    return [found[core_id] for core_id in cores if core_id in found]


def _klassen(hub: Hub, work: Work, cores: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Leerling → (stamgroep, vestiging) of this schooljaar."""
    rows = work.execute(
        "SELECT d.persoon_id, g.naam, v.naam FROM groepsdeelname d "
        "JOIN groep g ON g.id = d.groep_id LEFT JOIN vestiging v ON v.id = g.vestiging_id "
        "WHERE d.rol = 'leerling' AND NOT d.beeindigd AND g.soort = 'stamgroep' "
        f"AND (g.schooljaar = ? OR g.schooljaar IS NULL) AND {work.many('d.persoon_id')} "
        "ORDER BY g.id",
        (_schooljaar(hub), work.values(list(cores))),
    )
    return {person: (str(name or ""), str(place or "")) for person, name, place in rows}
