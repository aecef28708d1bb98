"""UWLR's own records, typed: fields as UWLR names them, in snake_case.

A record is one element of an answer, transcribed: names and texts as they were sent, in JSON. What
has no name here is told by its name alone, so that drift is seen and nothing of it is kept. A groep
does not say who is in it: the connector gathers that from the persons of the same answer.
Lenient where the specification says so: an empty element is absent, `jaargroep` 1 to 6 is year 1 to
6 of secondary education, an unknown block of `toevoegingen` is skipped. What is read otherwise than
it was written is told as a problem.
Spec: uwlr.md, sections 7, 10 and 12 (CONFIRMED; leniency ASSUMED).
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic import Field, StringConstraints

from connectors.base import FieldProblem, Parsed
from connectors.errors import ParseError
from connectors.protocols.parsing import Day, SourceModel, Text, parse_model, safe_name
from connectors.protocols.xmldoc import Element, name_of

Key = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Jaargroep = Literal[
    "B", "D", "0", "1", "2", "3", "4", "5", "6", "7", "8",
    "11", "12", "13", "14", "15", "16", "S", "V", "C", "N", "H",
]  # fmt: skip

DOUBTFUL: Final = "?eckid"
"""In a body, in the place of an ECK iD that two persons were given; no name of XML begins so."""

_UNKNOWN: Final = "?onbekend"
_TWICE: Final = "?dubbel"

_SECONDARY: Final = frozenset("123456")


def source_key(key: str | None, eckid: str | None) -> str | None:
    """What a person is known by: the LAS key, else a digest of the ECK iD, which is no plain text.

    Spec: uwlr.md, section 10 (CONFIRMED: under 2.3 the ECK iD may stand alone).
    """
    if key:
        return key
    return f"sha256:{hashlib.sha256(eckid.encode()).hexdigest()}" if eckid else None


class Person(SourceModel):
    """Root of leerling and leerkracht."""

    key: Key | None = None
    eckid: Key | None = None
    achternaam: Text | None = None
    voorvoegsel: Text | None = None
    voornamen: Text | None = None
    voorletters_1: Text | None = Field(default=None, alias="voorletters-1")
    roepnaam: Text | None = None
    gebruikersnaam: Text | None = None
    emailadres: Text | None = None
    mutatiedatum: Text | None = None

    @property
    def source_key(self) -> str | None:
        """What it is known by."""
        return source_key(self.key, self.eckid)


class Leerling(Person):
    """A pupil; `groep` and `samengestelde_groepen` are keys. Section 7.3."""

    geboortedatum: Day | None = None
    geslacht: Literal["0", "1", "2", "9"] | None = None
    jaargroep: Jaargroep | None = None
    groep: Key | None = None
    samengestelde_groepen: tuple[Key, ...] | None = None
    vestiging: Key | None = None
    instroomdatum: Day | None = None
    uitstroomdatum: Day | None = None
    sofinummer: Text | None = None
    bsn: Text | None = None
    onderwijsnummer: Text | None = None


class Leerkracht(Person):
    """A member of staff; `groepen` are keys of both kinds of group. Section 7.4."""

    rol: tuple[Text, ...] | None = None
    rolomschrijving: tuple[Text, ...] | None = None
    groepen: tuple[Key, ...] | None = None


class SamengesteldeGroep(SourceModel):
    """Any group that is no stamgroep; in secondary education a lesgroep. Section 7.2.

    `leerlingen` and `leerkrachten` are the source keys of who says to be in it.
    """

    key: Key
    naam: Text | None = None
    omschrijving: Text | None = None
    mutatiedatum: Text | None = None
    leerlingen: tuple[Key, ...] | None = None
    leerkrachten: tuple[Key, ...] | None = None


class Groep(SamengesteldeGroep):
    """A stamgroep."""

    jaargroep: Jaargroep | None = None


class Vestiging(SourceModel):
    """A location, as the administration knows it; it has no BRIN. Section 7.2."""

    key: Key
    naam: Text | None = None
    omschrijving: Text | None = None
    mutatiedatum: Text | None = None


class School(SourceModel):
    """Whose answer it is; `key` is what was asked for. Section 7.1."""

    key: Key
    brincode: Text | None = None
    dependancecode: Text | None = None
    schoolkey: Text | None = None


MODELS: Final[Mapping[str, type[SourceModel]]] = {
    "school": School,
    "vestiging": Vestiging,
    "leerkracht": Leerkracht,
    "leerling": Leerling,
    "groep": Groep,
    "samengestelde_groep": SamengesteldeGroep,
}
"""Resource → model, in the order in which they are read: what is referred to comes first."""

_REPEATED: Final = frozenset({"rol", "rolomschrijving"})
_KEYED: Final = frozenset({"groep", "vestiging"})
_LISTS: Final = frozenset({"samengestelde_groepen", "groepen"})
_SHAPED: Final = _REPEATED | _KEYED | _LISTS

Fields = dict[str, Any]


def transcribe(element: Element, *, names: Mapping[str, str], cut: Container[str]) -> Fields:
    """A record as names and texts, each as it was sent; an empty element is absent.

    Args:
        element: one `leerling`, `groep`...
        names: tag → name of what is taken.
        cut: tags that are left out, and not told; of any other the name alone is told.
    """
    fields: Fields = dict(element.attrib)  # type: ignore[arg-type] # attributes are texts
    for child in element:
        name = names.get(child.tag)
        if name is None:
            if child.tag not in cut:
                fields.setdefault(_UNKNOWN, []).append(safe_name(name_of(child)))
        elif name in _SHAPED:
            _shape(fields, name, child)
        elif name in fields:
            fields.setdefault(_TWICE, []).append(name)
        else:
            text = child.text
            if text is not None and (text := text.strip()):
                fields[name] = text
            elif len(child):
                fields.setdefault(_UNKNOWN, []).append(name)
    return fields


def _shape(fields: Fields, name: str, child: Element) -> None:
    """What is no plain text: references by key, and elements that may stand more than once."""
    if name in _REPEATED:
        if text := (child.text or "").strip():
            fields.setdefault(name, []).append(text)
    elif name in fields:
        fields.setdefault(_TWICE, []).append(name)
    elif name in _KEYED:
        fields[name] = child.get("key", "")
    else:
        fields[name] = [item.get("key", "") for item in child]


def groups_of(fields: Mapping[str, Any]) -> list[str]:
    """Keys of the groups that a person says to be in."""
    found: list[str] = fields.get("samengestelde_groepen") or fields.get("groepen") or []
    groep = fields.get("groep")
    return [key for key in (groep, *found) if key]


def parse(resource: str, body: bytes) -> Parsed:
    """One transcribed record → its model.

    Raises: ParseError if it cannot be read, has no key, or a required field breaks its rule; it
        names field and rule, never the value.
    """
    try:
        fields = msgspec.json.decode(body, type=Fields)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise ParseError("$", "is not readable") from None
    unknown = [str(name) for name in fields.pop(_UNKNOWN, ())]
    problems = [
        FieldProblem(str(name), "stands there more than once; the first is read")
        for name in fields.pop(_TWICE, ())
    ]
    dropped = _lenient(fields, problems)
    parsed = parse_model(MODELS[resource], msgspec.json.encode(fields), key_field="key")
    record = parsed.record
    if isinstance(record, Person) and record.source_key is None:
        raise ParseError("key", "is required where there is no eckid")
    if dropped and isinstance(record, SourceModel):
        record = record.model_copy(update={"dropped": record.dropped | dropped})
    names = (*parsed.unknown, *unknown)
    return Parsed(record, (*parsed.problems, *problems), tuple(dict.fromkeys(names)))


def _lenient(fields: Fields, problems: list[FieldProblem]) -> frozenset[str]:
    """Mend what may be written otherwise; the names of fields that are then not delivered."""
    if fields.get("jaargroep") in _SECONDARY:
        fields["jaargroep"] = f"1{fields['jaargroep']}"
        problems.append(FieldProblem("jaargroep", "is 1 to 6; read as 11 to 16"))
    if fields.get("eckid") == "":
        del fields["eckid"]
    if fields.pop(DOUBTFUL, None) is not None:
        problems.append(FieldProblem("eckid", "is that of another person in this answer too"))
        return frozenset({"eckid"})
    return frozenset()
