"""Checks that change nothing: of koppelingen, layer by layer, and of a mapping on one sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import msgspec

from config.errors import KoppelhubError, RecordError
from connectors import registry
from connectors.base import CheckResult, DeliveryContract, Layer, Scope
from mappings import registry as mapping_registry
from mappings.canonical.schema import ENTITY_OF, encode
from mappings.mapping import TrialRow
from sector.identifiers import Schooljaar
from sync_engine.audit import note
from sync_engine.fold import Json
from sync_engine.hub import Hub
from sync_engine.onboarding import CHECK_ACTION, PASSED


@dataclass(frozen=True, slots=True)
class SourceCheck:
    """What the check of one koppeling found."""

    koppeling: str
    results: Sequence[CheckResult]


@dataclass(slots=True)
class Trial:
    """A mapping tried on one sample.

    Attributes:
        rows: what every row of the tables made of it, also where the record would be refused.
        records: the canonical records that come out.
    """

    system: str
    resource: str
    rows: list[TrialRow] = field(default_factory=list)
    records: list[dict[str, Json]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    error: str = ""


def check_sources(hub: Hub, name: str | None) -> list[SourceCheck]:
    """Check one koppeling, or all of them; one that cannot be checked fails alone.

    Raises: ConfigurationError if there is no koppeling of that name.
    """
    sources = [hub.source(name)] if name else list(hub.sources())
    checks = []
    for source in sources:
        try:
            connector = hub.connect(source, hub.clock)
        except KoppelhubError as error:
            failed = CheckResult(Layer.LOGIN, ok=False, message=str(error), advice=error.advice)
            checks.append(SourceCheck(source.name, [failed]))
            continue
        try:
            checks.append(SourceCheck(source.name, connector.check()))
        finally:
            connector.close()
    _note(hub, checks)
    return checks


def _note(hub: Hub, checks: Sequence[SourceCheck]) -> None:
    """Who checked what, and what came of it: a koppeling does not go live without."""
    with hub.store.work() as work:
        for one in checks:
            failed = next((result.layer for result in one.results if not result.ok), None)
            note(
                hub,
                work,
                operator=hub.actor.name,
                action=CHECK_ACTION,
                subject=f"koppeling {one.koppeling}",
                why=PASSED if failed is None else f"mislukt: {failed}",
            )


def try_mapping(system: str, resource: str, body: bytes, *, today: date) -> Trial:
    """Map one raw record as if every field were delivered now, and show what comes out.

    Raises: ConfigurationError if the system or the resource is unknown.
    """
    factory = registry.factory(system)
    described = factory.manifest.resource(resource)
    trial = Trial(system, resource)
    mapping = mapping_registry.mapping_of(system)
    contract = DeliveryContract(dict.fromkeys(described.fields, True))
    year = Schooljaar.of(today).first_year
    scope = Scope(resource, "proef/HUIDIG", schooljaar=year)
    try:
        parsed = factory.parse(resource, body)
        trial.rows = list(mapping.trial(resource, parsed.record, contract=contract, scope=scope))
        mapped = mapping.map(resource, parsed.record, contract=contract, scope=scope)
    except RecordError as error:
        trial.error = str(error)
        return trial
    trial.problems = [f"{p.path}: {p.rule}" for p in (*parsed.problems, *mapped.problems)]
    for record in mapped.records:
        fields = msgspec.json.decode(encode(record))
        trial.records.append({"entity": str(ENTITY_OF[type(record)]), "fields": fields})
    return trial
