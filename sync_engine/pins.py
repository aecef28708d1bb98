"""Pins: a value that a person fixed by hand, with a reason and an end."""

from __future__ import annotations

import math
import typing
import unicodedata
from datetime import date
from functools import cache
from typing import Any, Final

import msgspec

from config.clock import local_date
from config.errors import ConfigurationError
from mappings.canonical.fields import Entity, Field, Kind
from mappings.canonical.schema import RECORDS, fields_of
from sector.identifiers import (
    Brin,
    Emailadres,
    Identifier,
    InvalidIdentifierError,
    Schooljaar,
    Telefoonnummer,
)
from sync_engine.audit import note_within
from sync_engine.errors import SyncError
from sync_engine.find import hub_key
from sync_engine.fold import Json
from sync_engine.hub import Hub
from sync_engine.rows import new_salt
from sync_engine.store.locks import tenant_lock
from sync_engine.store.work import Work

_PINNABLE: Final = frozenset(Kind) - {
    Kind.MEMBERS,
    Kind.REFERENCE,
    Kind.PERIOD_START,
    Kind.PERIOD_END,
    Kind.PSEUDONYM,  # the number facility gives it out; a person has none to give
}
_LONGEST: Final = 1_000
"""Characters of a text that is typed by hand."""
_MOST: Final = 100
"""Items of a list that is typed by hand."""
_LARGEST: Final = 2**31 - 1
"""Whole numbers are four bytes in the core, on PostgreSQL."""

_TEXTS: Final[dict[str, type[Identifier]]] = {
    "email": Emailadres,
    "telefoon": Telefoonnummer,
    "telefoon_werk": Telefoonnummer,
    "mobiel": Telefoonnummer,
    "mobiel_werk": Telefoonnummer,
}
"""Role of a contact → what its text must be."""
_NAMED: Final[dict[str, type[Identifier]]] = {
    "brin": Brin,
    "herkomst_brin": Brin,
    "schooljaar": Schooljaar,
    "vanaf_schooljaar": Schooljaar,
    "tot_schooljaar": Schooljaar,
}
"""Field that is plain text in the core → what its text must be."""

_EXPECTED: Final[dict[Kind, str]] = {
    Kind.TEXT: f"een tekst van 1 tot {_LONGEST} tekens, zonder stuurtekens",
    Kind.DATE: "een datum die bestaat, als JJJJ-MM-DD",
    Kind.INTEGER: f"een geheel getal van {-_LARGEST} tot {_LARGEST}",
    Kind.NUMBER: "een getal",
    Kind.BOOLEAN: "ja of nee (true of false)",
    Kind.LIST: f"een lijst van ten hoogste {_MOST} waarden",
    Kind.IDENTIFIER: "een nummer dat aan de regels van zijn soort voldoet",
    Kind.CONTACT: "een e-mailadres of telefoonnummer dat bestaan kan",
    Kind.ADDRESS: "een adres met alleen straat, huisnummer, toevoeging, postcode, woonplaats, "
    "land en regels, elk een tekst",
}


def pin(
    hub: Hub,
    core_id: int,
    *,
    entity: Entity,
    field: str,
    value: Json,
    reason: str,
    operator: str,
    until: date | None = None,
) -> int:
    """Fix one field of one core record; the next run (or `refold`) shows it. Returns the pin's id.

    The value is as `explain` shows it: a date is ISO text, None pins the field as empty. The reason
    is kept with the pin, not in the audit trail. `until` is the last day on which it holds.

    Raises: ConfigurationError if the entity has no such field, it cannot be pinned, the value is
        not one of that field, or the last day has gone by; SyncError if there is no such record.
    """
    description = fields_of(entity).get(field)
    if description is None or description.kind not in _PINNABLE:
        raise ConfigurationError(
            f"{entity} has no field {field!r} that can be pinned",
            advice="Kies een veld dat `koppelhub explain` bij dit record laat zien.",
        )
    value = checked(entity, field, value)
    if until is not None and until < local_date(hub.clock.now(), hub.settings.timezone):
        raise ConfigurationError(
            "the last day of a pin has gone by",
            advice="Kies een laatste dag van vandaag of later, of geen.",
        )
    with hub.store.work() as work:
        tenant_id = _tenant_of(work, entity, core_id)
        cipher = hub.cipher(tenant_id)
        with tenant_lock(hub.store, tenant_id, on=work), work.transaction():
            rows = work.execute("SELECT salt FROM core_salt WHERE core_id = ?", (core_id,))
            salt = rows[0][0] if rows else new_salt()
            if not rows:
                work.execute(
                    f"INSERT INTO {work.real('core_salt')} (core_id, salt) VALUES (?, ?)",
                    (core_id, salt),
                )
            sealed = cipher.person(salt).encrypt(msgspec.json.encode(value), b"pin|%d" % core_id)
            work.execute(
                f"UPDATE {work.real('pin')} SET lifted_at = ? "
                "WHERE field = ? AND lifted_at IS NULL AND (core_id = ? OR core_id IN "
                "(SELECT core_id FROM alias WHERE survivor_id = ?))",
                (hub.clock.now(), field, core_id, core_id),
            )
            made = work.execute(
                f"INSERT INTO {work.real('pin')} (tenant_id, core_id, entity, field, value, "
                "reason, operator, until, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
                "RETURNING id",
                (
                    tenant_id,
                    core_id,
                    str(entity),
                    field,
                    sealed,
                    reason,
                    operator,
                    until,
                    hub.clock.now(),
                ),
            )
            _refold(work, tenant_id, entity, core_id)
            number = int(made[0][0])
            note_within(
                hub,
                work,
                operator=operator,
                action="pin",
                subject=hub_key(core_id),
                why=f"pin {number}, {entity}.{field}",
            )
    return number


def lift(hub: Hub, pin_id: int, *, operator: str = "system") -> None:
    """Take a pin away. Raises: SyncError if there is no such pin in force."""
    with hub.store.work() as work:
        rows = work.execute(
            "SELECT p.tenant_id, p.entity, COALESCE(a.survivor_id, p.core_id) FROM pin p "
            "LEFT JOIN alias a ON a.core_id = p.core_id WHERE p.id = ? AND p.lifted_at IS NULL",
            (pin_id,),
        )
        if not rows:
            raise SyncError(
                f"pin {pin_id} is not in force", advice="Dit vastgezette veld is al los."
            )
        tenant_id, entity, core_id = rows[0]
        hub.check_tenant(tenant_id)
        with tenant_lock(hub.store, tenant_id, on=work), work.transaction():
            work.execute(
                f"UPDATE {work.real('pin')} SET lifted_at = ? WHERE id = ?",
                (hub.clock.now(), pin_id),
            )
            _refold(work, tenant_id, Entity(entity), core_id)
            note_within(
                hub,
                work,
                operator=operator,
                action="lift",
                subject=hub_key(core_id),
                why=f"pin {pin_id}",
            )


def checked(entity: Entity, field: str, value: Json) -> Json:
    """The value as the fold uses it, if it is one that this field can have.

    Raises: ConfigurationError, without the value.
    """
    description = fields_of(entity)[field]
    if value is None:
        if description.required:
            raise _refused(entity, field, "may not be empty", "Dit veld mag niet leeg zijn.")
        return None
    expected = f"Geef {_EXPECTED[description.kind]}."
    try:
        typed = msgspec.convert(value, _type_of(entity, field), dec_hook=_identifier)
        typed = _of_its_kind(field, description, typed)
    except InvalidIdentifierError as exc:
        raise _refused(entity, field, exc.rule, expected) from None
    except (msgspec.ValidationError, TypeError, ValueError):
        rule = f"must be a {description.kind}"
        raise _refused(entity, field, rule, expected) from None
    plain: Json = msgspec.json.decode(msgspec.json.encode(typed, enc_hook=_revealed))
    return plain


def _refused(entity: Entity, field: str, rule: str, advice: str) -> ConfigurationError:
    return ConfigurationError(f"{entity}.{field}: {rule}", advice=advice)


@cache
def _type_of(entity: Entity, field: str) -> Any:
    """The Python type of a field's value, as its canonical record says; dates from ISO text."""
    hint = typing.get_type_hints(RECORDS[entity])[field]
    (kind,) = (part for part in typing.get_args(hint) if part not in _NOT_VALUES)
    return kind


_NOT_VALUES: Final = (msgspec.UnsetType, type(None))


def _identifier(kind: type[Any], value: object) -> object:
    """An identifier from its text; msgspec would put the text of another error into its own."""
    if not issubclass(kind, Identifier) or not isinstance(value, str):
        message = "is not text"
        raise TypeError(message)
    return kind(value)


def _revealed(value: object) -> str:
    if not isinstance(value, Identifier):
        message = "not a value of a field"
        raise TypeError(message)
    return value.reveal()


def _of_its_kind(field: str, description: Field, value: object) -> object:
    """What the type does not say. Raises: ValueError."""
    if isinstance(value, bool | date | Identifier):
        return value
    if isinstance(value, int):
        good = abs(value) <= _LARGEST
    elif isinstance(value, float):
        good = math.isfinite(value)
    elif isinstance(value, tuple):
        good = len(value) <= _MOST
        value = tuple(_of_its_kind("", description, item) for item in value)
    elif isinstance(value, msgspec.Struct):
        texts = [text for text in msgspec.structs.asdict(value).values() if text is not None]
        good = bool(texts) and all(map(_is_text, texts))
    else:
        text = str(value).strip()
        kind = _TEXTS.get(description.role) or _NAMED.get(field)
        value = text if kind is None else kind.check(text)
        good = _is_text(text)
    if not good:
        message = "out of range"
        raise ValueError(message)
    return value


def _is_text(text: str) -> bool:
    """Whether both databases can hold it and a person can read it."""
    return 0 < len(text) <= _LONGEST and not any(
        unicodedata.category(character) in {"Cc", "Cs"} for character in text
    )


def _tenant_of(work: Work, entity: Entity, core_id: int) -> int:
    rows = work.execute(f"SELECT tenant_id FROM {entity} WHERE id = ?", (core_id,))
    if not rows:
        raise SyncError(
            f"there is no {entity} with that key",
            advice="Zoek het record eerst op met `koppelhub explain`.",
        )
    return int(rows[0][0])


def _refold(work: Work, tenant_id: int, entity: Entity, core_id: int) -> None:
    work.execute(
        f"INSERT INTO {work.real('refold')} (core_id, tenant_id, entity, reason) "
        "VALUES (?, ?, ?, 'pin') ON CONFLICT (core_id) DO NOTHING",
        (core_id, tenant_id, str(entity)),
    )
