"""Which records of Somtoday go through which tables, and what is known around them.

Every reference is a source key of the same koppeling. A list that is not delivered, or that broke a
rule, makes the record silent about what stands in it: nothing is closed for its absence.
Spec: somtoday.md, sections 6 and 12.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from functools import lru_cache
from typing import Any, Final

from connectors.base import FieldProblem, Scope
from connectors.protocols.parsing import SourceModel
from connectors.somtoday.records import Leerling, OuderVerzorger, Plaatsing
from mappings.canonical.fields import Entity
from mappings.somtoday import organisatie, personen, resultaten
from mappings.somtoday.functions import stamgroep_key
from mappings.table import Around
from mappings.tabular import Item, Part, Sight, TabularMapping, itself
from sector.identifiers import Schooljaar

NUMBER: Final = 1
"""Raise it when a function changes what it makes; a change of a table shows by itself."""

_SCHOOL_WIDE: Final = frozenset({"instelling", "vestiging"})


@lru_cache(maxsize=256)
def around(scope: Scope) -> Around:
    """The vestiging and the schooljaar that a scope is read for.

    Shape of a key: the UUID of the vestiging, then a slash and the peilschooljaar where it has one.
    """
    known: dict[str, object] = {}
    if scope.resource not in _SCHOOL_WIDE:
        known["vestiging"] = scope.key.partition("/")[0]
    if scope.schooljaar is not None:
        known["schooljaar"] = Schooljaar.starting(scope.schooljaar).reveal()
    return known


def _states(record: SourceModel, name: str, sight: Sight, *, entity: Entity, field: str) -> bool:
    """Whether the record states a list completely; where not, it is silent about the entity."""
    if sight.contract.delivers(field) and name not in record.dropped:
        return True
    sight.silent.add(entity)
    return False


def _plaatsing_key(plaatsing: Plaatsing, leerling: str) -> str | None:
    """The UUID; without one, the leerling and the first day (section 12); None: not to be told."""
    if plaatsing.uuid:
        return plaatsing.uuid
    if "uuid" in plaatsing.dropped or plaatsing.startdatum is None:
        return None
    return f"{leerling}/{plaatsing.startdatum.isoformat()}"


def _latest(item: tuple[int, Plaatsing]) -> tuple[date, date, int, str]:
    """Orders placements that claim one key, whatever the source's order; the last one counts."""
    plaatsing = item[1]
    return (
        plaatsing.startdatum or date.min,
        plaatsing.einddatum or date.max,
        plaatsing.leerjaar if plaatsing.leerjaar is not None else -1,
        plaatsing.model_dump_json(),
    )


def _plaatsingen(record: Leerling, sight: Sight) -> Iterator[Item]:
    states = _states(record, "plaatsingen", sight, entity=Entity.INSCHRIJVING, field="plaatsingen")
    if not states or record.plaatsingen is None:
        return
    found: dict[str, tuple[int, Plaatsing]] = {}
    for index, plaatsing in enumerate(record.plaatsingen):
        key, here = _plaatsing_key(plaatsing, record.uuid), (index, plaatsing)
        if key is None:
            sight.silent.add(Entity.INSCHRIJVING)
            rule = "without an identity: a uuid, or else a startdatum, is needed"
            sight.problems.append(FieldProblem(f"plaatsingen[{index}]", rule))
        elif key not in found:
            found[key] = here
        else:
            sight.problems.append(FieldProblem(f"plaatsingen[{index}]", "has a key seen before"))
            found[key] = max(found[key], here, key=_latest)
    known = {**sight.around, "leerling": record.uuid}
    for key, (index, plaatsing) in sorted(found.items()):
        yield Item(plaatsing, key, f"plaatsingen[{index}]", known)


def _verzorgers(record: Leerling, sight: Sight) -> Iterator[Item]:
    states = _states(
        record, "verzorgers", sight, entity=Entity.VERZORGER_RELATIE, field="verzorgers"
    )
    if not states:
        return
    listed = enumerate(record.verzorgers or ())
    seen: set[str] = set()
    for index, verzorger in sorted(listed, key=lambda v: (v[1].uuid, v[1].volgnummer or 0)):
        if verzorger.uuid not in seen:
            seen.add(verzorger.uuid)
            known = {"verzorger": verzorger.uuid, "leerling": record.uuid}
            key = f"{verzorger.uuid}/{record.uuid}"
            yield Item(verzorger, key, f"verzorgers[{index}]", known)


def _advies(record: Leerling, sight: Sight) -> Iterator[Item]:
    name, field = "advies_school_van_herkomst", "adviesSchoolVanHerkomst"
    states = _states(record, name, sight, entity=Entity.ADVIES, field=field)
    if states and (record.advies_school_van_herkomst or "").strip():
        known = {"leerling": record.uuid, "soort": "school van herkomst"}
        yield Item(record, f"{record.uuid}/school_van_herkomst", "", known)


def _relaties(record: OuderVerzorger, sight: Sight) -> Iterator[Item]:
    name = "relatie_tot_leerlingen"
    if not _states(record, name, sight, entity=Entity.VERZORGER_RELATIE, field=name):
        return
    seen: set[str] = set()
    listed = enumerate(record.relatie_tot_leerlingen or ())
    for index, relatie in sorted(listed, key=lambda r: (r[1].uuid, r[1].relatiesoort or "")):
        if relatie.uuid not in seen:
            seen.add(relatie.uuid)
            known = {"verzorger": record.uuid, "leerling": relatie.uuid}
            yield Item(relatie, f"{record.uuid}/{relatie.uuid}", f"{name}[{index}]", known)


def _stamgroep(record: Any, sight: Sight) -> Iterable[Item]:
    year = sight.around.get("schooljaar")
    key = stamgroep_key(record.uuid, year if isinstance(year, str) else None)
    return (Item(record, key, around={**sight.around, "soort": "stamgroep"}),)


def _lesgroep(record: Any, sight: Sight) -> Iterable[Item]:
    return (Item(record, record.uuid, around={**sight.around, "soort": "lesgroep"}),)


MAPPING: Final = TabularMapping(
    "somtoday",
    number=NUMBER,
    around=around,
    resources={
        "instelling": (itself(organisatie.INSTELLING, key="uuid"),),
        "vestiging": (itself(organisatie.VESTIGING, key="uuid"),),
        "opleiding": (itself(organisatie.OPLEIDING, key="uuid"),),
        "vak": (itself(organisatie.VAK, key="uuid"),),
        "medewerker": (itself(personen.MEDEWERKER, key="uuid"),),
        "leerling": (
            itself(personen.LEERLING, key="uuid"),
            Part(personen.INSCHRIJVING, _plaatsingen),
            Part(personen.RELATIE_VAN_LEERLING, _verzorgers),
            Part(personen.ADVIES, _advies),
        ),
        "ouderVerzorger": (
            itself(personen.VERZORGER, key="uuid"),
            Part(personen.RELATIE_VAN_VERZORGER, _relaties),
        ),
        "plaatsing": (itself(personen.LOS_INSCHRIJVING, key="uuid"),),
        "stamgroep": (Part(organisatie.STAMGROEP, _stamgroep),),
        "lesgroep": (Part(organisatie.LESGROEP, _lesgroep),),
        "voortgangsdossier": (
            Part(resultaten.RESULTAAT, resultaten.resultaten),
            Part(resultaten.POGING, resultaten.pogingen),
            Part(resultaten.DEELTOETS, resultaten.deeltoetsen),
            Part(resultaten.DEELPOGING, resultaten.deelpogingen),
            Part(resultaten.GEMIDDELDE, resultaten.gemiddelden),
            Part(resultaten.RAPPORT, resultaten.rapporten),
        ),
        "examendossier": (
            Part(resultaten.EINDCIJFER, resultaten.eindcijfers),
            Part(resultaten.SE_EINDCIJFER, resultaten.se_eindcijfers),
            Part(resultaten.SE_RESULTAAT, resultaten.se_resultaten),
            Part(resultaten.SE_DEELTOETS, resultaten.se_deeltoetsen),
            Part(resultaten.CE_EINDCIJFER, resultaten.ce_eindcijfers),
            Part(resultaten.CE_RESULTAAT, resultaten.ce_resultaten),
        ),
    },
)
