"""Rows of results, and how a dossier falls apart into them.

Keys begin with the leerling: whether a result's UUID is unique over pupils is not documented, and
two pupils may never share a result.

    <leerling>/<uuid>                            a result, with its mark that counts
    <leerling>/<uuid>/<poging>                   one attempt at it
    <leerling>/<vak>/<schooljaar>/<periode>      average of a period; `/rapport`: on the report
    <leerling>/examen/<vak>/…                    the same of an exam file

No Toets is made: nothing says which results are of one and the same test.
Spec: somtoday.md, section 6.11 (fields CONFIRMED, marks ASSUMED).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from connectors.protocols.parsing import SourceModel
from connectors.somtoday.records import (
    CeDeel,
    CeResultaat,
    Deeltoets,
    DossierResultaat,
    Examendossier,
    Examenvakdossier,
    Poging,
    SeDeel,
    Vakdossier,
    Voortgangsdossier,
    VoortgangsdossierPeriode,
)
from mappings import functions as f
from mappings.canonical.fields import NOT_DELIVERED, Entity
from mappings.table import Around, Row, Table
from mappings.tabular import Item, Sight

_RESULTATEN: Final = "voortgangsdossiers.periodes.resultaten"
_SE: Final = "examendossiers.se_resultaten"
_CE: Final = "examendossiers.ce_resultaten"

_AROUND: Final = (
    Row("leerling", ("@leerling",), f.reference),
    Row("vak", ("@vak",), f.reference),
    Row("schooljaar", ("@schooljaar",), f.schooljaar),
    Row("periode", ("@periode",), f.whole),
    Row("leerjaar", ("@leerjaar",), f.whole),
    Row("niveau", ("@niveau",), f.text),
    Row("soort", ("@soort",), f.text),
    Row("geldend", ("@geldend",), f.flag),
    Row("bovenliggend", ("@bovenliggend",), f.reference),
)


def _table(
    model: type[SourceModel], prefix: str, *, cijfer: str, rows: Sequence[Row] = ()
) -> Table:
    """Rows of one kind of result; `cijfer` is the attribute that holds the mark."""
    marks = (Row("resultaat", (cijfer,), f.mark), Row("getal", (cijfer,), f.mark_number))
    return Table(Entity.TOETSRESULTAAT, (*_AROUND, *marks, *rows), model=model, prefix=prefix)


_NAMED: Final = (
    Row("omschrijving", ("omschrijving",), f.text),
    Row("weging", ("weging",), f.whole),
)
_ATTEMPT: Final = (Row("poging", ("@poging",), f.whole),)

GEMIDDELDE: Final = _table(
    VoortgangsdossierPeriode, "voortgangsdossiers.periodes", cijfer="periodegemiddelde"
)
RAPPORT: Final = _table(
    VoortgangsdossierPeriode, "voortgangsdossiers.periodes", cijfer="rapportgemiddelde"
)
RESULTAAT: Final = _table(DossierResultaat, _RESULTATEN, cijfer="geldend_resultaat", rows=_NAMED)
POGING: Final = _table(Poging, f"{_RESULTATEN}.pogingen", cijfer="resultaat", rows=_ATTEMPT)
DEELTOETS: Final = _table(
    Deeltoets, f"{_RESULTATEN}.deeltoetsen", cijfer="geldend_resultaat", rows=_NAMED
)
DEELPOGING: Final = _table(
    Poging, f"{_RESULTATEN}.deeltoetsen.pogingen", cijfer="resultaat", rows=_ATTEMPT
)
EINDCIJFER: Final = _table(Examenvakdossier, "examendossiers", cijfer="eindcijfer")
SE_EINDCIJFER: Final = _table(SeDeel, _SE, cijfer="se_eindcijfer")
SE_RESULTAAT: Final = _table(
    DossierResultaat, f"{_SE}.se_resultaten", cijfer="geldend_resultaat", rows=_NAMED
)
SE_DEELTOETS: Final = _table(
    Deeltoets, f"{_SE}.se_resultaten.deeltoetsen", cijfer="geldend_resultaat", rows=_NAMED
)
CE_EINDCIJFER: Final = _table(CeDeel, _CE, cijfer="ce_eindcijfer")
CE_RESULTAAT: Final = _table(CeResultaat, f"{_CE}.ce_resultaten", cijfer="geldend_resultaat")

_SOORT: Final = {"TOETS": "toets", "SAMENGESTELDETOETS": "samengestelde_toets"}


@dataclass(frozen=True, slots=True)
class _Spot:
    """One place in a dossier: the record there, its key, its path and its surroundings."""

    record: SourceModel
    key: str
    where: str
    around: Around

    def item(self) -> Item:
        return Item(self.record, self.key, self.where, self.around)


def _value(record: SourceModel, name: str, sight: Sight, *, permission: str) -> object:
    """A value for the surroundings, in three states."""
    if not sight.contract.delivers(permission) or name in record.dropped:
        return NOT_DELIVERED
    return getattr(record, name)


def _listed(record: SourceModel, name: str, sight: Sight, *, permission: str) -> tuple[object, ...]:
    """A list of results; one that is not delivered makes the dossier silent about results."""
    value = _value(record, name, sight, permission=permission)
    if value is NOT_DELIVERED:
        sight.silent.add(Entity.TOETSRESULTAAT)
        return ()
    return value if isinstance(value, tuple) else ()


# -- progress files ------------------------------------------------------------------------------


def _periods(
    record: Voortgangsdossier, sight: Sight
) -> Iterator[tuple[Vakdossier, VoortgangsdossierPeriode, str, Around]]:
    """Every period of every subject, with its path and its surroundings."""
    top = "voortgangsdossiers"
    for i, vak in enumerate(record.voortgangsdossiers):
        around = {
            **sight.around,
            "leerling": record.leerling_uuid,
            "geldend": True,
            "vak": _value(vak, "vakuuid", sight, permission=f"{top}.vakuuid"),
            "niveau": _value(vak, "niveau", sight, permission=f"{top}.niveau"),
            "leerjaar": _value(vak, "leerjaar", sight, permission=f"{top}.leerjaar"),
        }
        periods = _listed(vak, "periodes", sight, permission=f"{top}.periodes")
        for j, periode in enumerate(periods):
            if isinstance(periode, VoortgangsdossierPeriode):
                number = _value(periode, "periode", sight, permission=f"{top}.periodes.periode")
                where = f"{top}[{i}].periodes[{j}]"
                yield vak, periode, where, {**around, "periode": number}


def _averages(record: Voortgangsdossier, sight: Sight, *, name: str, suffix: str) -> Iterator[Item]:
    """The averages of one kind; where they are not delivered nothing is said of each."""
    for vak, periode, where, around in _periods(record, sight):
        if not vak.vakuuid or periode.periode is None:
            continue
        year = around.get("schooljaar")
        parts = [record.leerling_uuid, vak.vakuuid, year, str(periode.periode)]
        key = "/".join(part for part in parts if isinstance(part, str)) + suffix
        permission = f"voortgangsdossiers.periodes.{name}"
        value = _value(periode, name, sight, permission=permission)
        if value is NOT_DELIVERED:
            sight.silent_keys.add((Entity.TOETSRESULTAAT, key))
        elif value is not None:
            yield Item(periode, key, where, {**around, "soort": name})


def gemiddelden(record: Voortgangsdossier, sight: Sight) -> Iterator[Item]:
    """The averages of the periods."""
    return _averages(record, sight, name="periodegemiddelde", suffix="")


def rapporten(record: Voortgangsdossier, sight: Sight) -> Iterator[Item]:
    """The averages on the reports."""
    return _averages(record, sight, name="rapportgemiddelde", suffix="/rapport")


def _resultaten(record: Voortgangsdossier, sight: Sight) -> Iterator[_Spot]:
    found: dict[str, _Spot] = {}
    for _, periode, where, around in _periods(record, sight):
        results = _listed(periode, "resultaten", sight, permission=_RESULTATEN)
        for k, result in enumerate(results):
            if isinstance(result, DossierResultaat):
                key = f"{record.leerling_uuid}/{result.uuid}"
                soort = _SOORT.get(result.toets_type or "", NOT_DELIVERED)
                place = f"{where}.resultaten[{k}]"
                found.setdefault(key, _Spot(result, key, place, {**around, "soort": soort}))
    return iter(found.values())


def _parts_of(spots: Iterator[_Spot], sight: Sight, *, permission: str) -> Iterator[_Spot]:
    """The deeltoetsen of results."""
    for spot in spots:
        parts = _listed(spot.record, "deeltoetsen", sight, permission=permission)
        for i, part in enumerate(parts):
            if isinstance(part, Deeltoets):
                key = f"{spot.key.rpartition('/')[0]}/{part.uuid}"
                around = {**spot.around, "soort": "deeltoets", "bovenliggend": spot.key}
                yield _Spot(part, key, f"{spot.where}.deeltoetsen[{i}]", around)


def _attempts_of(spots: Iterator[_Spot], sight: Sight, *, permission: str) -> Iterator[Item]:
    """The attempts at results; one without a number is known by its place in the list."""
    for spot in spots:
        attempts = _listed(spot.record, "pogingen", sight, permission=permission)
        seen: set[int] = set()
        for i, attempt in enumerate(attempts):
            if not isinstance(attempt, Poging):
                continue
            number = attempt.poging if attempt.poging is not None else i + 1
            if number in seen:
                continue
            seen.add(number)
            around = {
                **spot.around,
                "soort": "poging",
                "geldend": False,
                "poging": number,
                "bovenliggend": spot.key,
            }
            yield Item(attempt, f"{spot.key}/{number}", f"{spot.where}.pogingen[{i}]", around)


def resultaten(record: Voortgangsdossier, sight: Sight) -> Iterator[Item]:
    """The results themselves."""
    return (spot.item() for spot in _resultaten(record, sight))


def pogingen(record: Voortgangsdossier, sight: Sight) -> Iterator[Item]:
    """The attempts at them."""
    permission = f"{_RESULTATEN}.pogingen"
    return _attempts_of(_resultaten(record, sight), sight, permission=permission)


def deeltoetsen(record: Voortgangsdossier, sight: Sight) -> Iterator[Item]:
    """Their parts."""
    permission = f"{_RESULTATEN}.deeltoetsen"
    spots = _parts_of(_resultaten(record, sight), sight, permission=permission)
    return (spot.item() for spot in spots)


def deelpogingen(record: Voortgangsdossier, sight: Sight) -> Iterator[Item]:
    """The attempts at their parts."""
    permission = f"{_RESULTATEN}.deeltoetsen"
    spots = _parts_of(_resultaten(record, sight), sight, permission=permission)
    return _attempts_of(spots, sight, permission=f"{permission}.pogingen")


# -- exam files ----------------------------------------------------------------------------------


def _subjects(record: Examendossier, sight: Sight) -> Iterator[tuple[Examenvakdossier, _Spot]]:
    """Every subject that says which it is."""
    for i, vak in enumerate(record.examendossiers):
        if not vak.vak_uuid:
            continue
        around = {
            **{name: value for name, value in sight.around.items() if name != "schooljaar"},
            "leerling": record.leerling_uuid,
            "vak": vak.vak_uuid,
            "geldend": True,
            "niveau": _value(vak, "niveau", sight, permission="examendossiers.niveau"),
        }
        key = f"{record.leerling_uuid}/examen/{vak.vak_uuid}"
        yield vak, _Spot(vak, key, f"examendossiers[{i}]", around)


def _single(spot: _Spot, sight: Sight, *, name: str, permission: str, at: str) -> Iterator[Item]:
    """One mark of a subject, where there is one."""
    key = f"{spot.key}/{name}"
    value = _value(spot.record, name, sight, permission=permission)
    if value is NOT_DELIVERED:
        sight.silent_keys.add((Entity.TOETSRESULTAAT, key))
    elif value is not None:
        yield Item(spot.record, key, at, {**spot.around, "soort": name})


def eindcijfers(record: Examendossier, sight: Sight) -> Iterator[Item]:
    """The final marks."""
    for _, spot in _subjects(record, sight):
        yield from _single(
            spot,
            sight,
            name="eindcijfer",
            permission="examendossiers.eindcijfer",
            at=spot.where,
        )


def _half(record: Examendossier, sight: Sight, *, name: str) -> Iterator[tuple[SourceModel, _Spot]]:
    """The school exam or central exam of every subject."""
    for vak, spot in _subjects(record, sight):
        part = _value(vak, name, sight, permission=f"examendossiers.{name}")
        if part is NOT_DELIVERED:
            sight.silent.add(Entity.TOETSRESULTAAT)
        elif isinstance(part, SeDeel | CeDeel):
            yield part, _Spot(part, spot.key, f"{spot.where}.{name}", spot.around)


def se_eindcijfers(record: Examendossier, sight: Sight) -> Iterator[Item]:
    """The final marks of the school exams."""
    for _, spot in _half(record, sight, name="se_resultaten"):
        permission = f"{_SE}.se_eindcijfer"
        yield from _single(spot, sight, name="se_eindcijfer", permission=permission, at=spot.where)


def ce_eindcijfers(record: Examendossier, sight: Sight) -> Iterator[Item]:
    """The final marks of the central exams."""
    for _, spot in _half(record, sight, name="ce_resultaten"):
        permission = f"{_CE}.ce_eindcijfer"
        yield from _single(spot, sight, name="ce_eindcijfer", permission=permission, at=spot.where)


def _se_resultaten(record: Examendossier, sight: Sight) -> Iterator[_Spot]:
    for part, spot in _half(record, sight, name="se_resultaten"):
        results = _listed(part, "se_resultaten", sight, permission=f"{_SE}.se_resultaten")
        for i, result in enumerate(results):
            if isinstance(result, DossierResultaat):
                key = f"{record.leerling_uuid}/examen/{result.uuid}"
                around = {**spot.around, "soort": "schoolexamen"}
                yield _Spot(result, key, f"{spot.where}.se_resultaten[{i}]", around)


def se_resultaten(record: Examendossier, sight: Sight) -> Iterator[Item]:
    """The results of the school exams."""
    return (spot.item() for spot in _se_resultaten(record, sight))


def se_deeltoetsen(record: Examendossier, sight: Sight) -> Iterator[Item]:
    """The parts of the results of the school exams."""
    permission = f"{_SE}.se_resultaten.deeltoetsen"
    spots = _parts_of(_se_resultaten(record, sight), sight, permission=permission)
    return (spot.item() for spot in spots)


def ce_resultaten(record: Examendossier, sight: Sight) -> Iterator[Item]:
    """The results of the central exams, one for each tijdvak."""
    for part, spot in _half(record, sight, name="ce_resultaten"):
        results = _listed(part, "ce_resultaten", sight, permission=f"{_CE}.ce_resultaten")
        for i, result in enumerate(results):
            if isinstance(result, CeResultaat):
                key = f"{spot.key}/ce/{result.tijdvak or i + 1}"
                around = {**spot.around, "soort": "centraal_examen"}
                yield Item(result, key, f"{spot.where}.ce_resultaten[{i}]", around)
