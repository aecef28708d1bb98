"""What is in quarantine, and which fields were left out: for the school to mend at the source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from config.errors import ConfigurationError
from config.nearest import choice
from connectors import registry
from sync_engine.hub import Hub
from sync_engine.rules import advice
from sync_engine.selection import Selection
from sync_engine.store.work import Work

ERROR = "fout"
WARNING = "waarschuwing"


@dataclass(frozen=True, slots=True)
class Broken:
    """A record in quarantine, or a field that the last reading left out of some records.

    Attributes:
        source_key: of the record; empty for more than are named, which are counted.
        severity: `fout`: the record is not read at all; `waarschuwing`: a field of it is not.
        since: when the run began that saw it first.
        records: how many it concerns.
        kept: its content is kept, and can be tried again without the source.
        advice: what the school is to do (Dutch).
    """

    koppeling: str
    resource: str
    scope: str
    source_key: str
    field: str
    rule: str
    severity: str
    since: str
    records: int
    kept: bool
    advice: str


def listed(hub: Hub, work: Work, chosen: Selection) -> Iterator[Broken]:
    """Every record in quarantine, then every field that the last reading of its scope left out."""
    titles = _titles(hub)
    condition, params = chosen.of_scope(work, "s.id")
    for row in work.rows(
        "SELECT k.name, k.system, s.resource, s.label, s.key, q.source_key, q.path, q.rule, "
        "r.started_at, q.salt IS NOT NULL FROM quarantine q JOIN scope s ON s.id = q.scope_id "
        "JOIN koppeling k ON k.id = s.koppeling_id LEFT JOIN run r ON r.id = q.first_run "
        f"WHERE {work.many('k.id')} AND {condition} ORDER BY k.name, s.resource, s.key, q.id",
        [work.values(list(chosen.koppelingen)), *params],
    ):
        name, system, resource, label, key, source_key, path, rule, since, kept = row
        told = advice(titles.get(str(system), str(system)), path, rule)
        yield Broken(
            *(name, resource, label or key, source_key, path, rule, ERROR, since or "", 1),
            bool(kept),
            told,
        )
    yield from _dropped(hub, work, chosen)


def _dropped(hub: Hub, work: Work, chosen: Selection) -> Iterator[Broken]:
    titles = _titles(hub)
    condition, params = chosen.of_scope(work, "s.id")
    for name, system, resource, label, key, detail, at in work.execute(
        "SELECT k.name, k.system, s.resource, s.label, s.key, e.detail, e.at FROM event e "
        "JOIN scope s ON s.id = e.scope_id JOIN koppeling k ON k.id = s.koppeling_id "
        "WHERE e.kind = 'dropped field' AND e.run_id = (SELECT MAX(d.run_id) FROM reading d "
        f"WHERE d.scope_id = s.id AND d.state <> 'replayed') AND {work.many('k.id')} "
        f"AND {condition} ORDER BY k.name, s.resource, s.key, e.id",
        [work.values(list(chosen.koppelingen)), *params],
    ):
        told = msgspec.json.decode(detail)
        path, rule = str(told["path"]), str(told["rule"])
        todo = advice(titles.get(str(system), str(system)), path, rule)
        named = [(str(source_key), 1) for source_key in told.get("keys", ())]
        rest = int(told["n"]) - len(named)
        for source_key, count in (*named, *([("", rest)] if rest > 0 else [])):
            where = (name, resource, label or key, source_key, path, rule)
            yield Broken(*where, WARNING, at, count, kept=False, advice=todo)


def _titles(hub: Hub) -> dict[str, str]:
    """System → what people call it."""
    manifests = [factory.manifest for factory in registry.find().installed.values()]
    return {manifest.system: manifest.title.partition(" (")[0] for manifest in manifests}


def counts(work: Work, chosen: Selection) -> dict[str, int]:
    """Koppeling → records in quarantine; only of those that have any."""
    return {name: count for name, (count, _) in since(work, chosen).items()}


def since(work: Work, chosen: Selection) -> dict[str, tuple[int, str]]:
    """Koppeling → records in quarantine and when the first of them came there."""
    condition, params = chosen.of_scope(work, "s.id")
    rows = work.execute(
        "SELECT k.name, COUNT(*), MIN(r.started_at) FROM quarantine q "
        "JOIN scope s ON s.id = q.scope_id JOIN koppeling k ON k.id = s.koppeling_id "
        f"LEFT JOIN run r ON r.id = q.first_run WHERE {work.many('k.id')} "
        f"AND {condition} GROUP BY k.name ORDER BY k.name",
        [work.values(list(chosen.koppelingen)), *params],
    )
    return {name: (count, at or "") for name, count, at in rows}


def checked_keys(work: Work, koppeling_id: int, keys: Sequence[str]) -> tuple[str, ...]:
    """Keys of records that are in quarantine.

    Raises: ConfigurationError if one is not; it names the nearest that are.
    """
    known = [
        row[0]
        for row in work.execute(
            "SELECT DISTINCT q.source_key FROM quarantine q JOIN scope s ON s.id = q.scope_id "
            "WHERE s.koppeling_id = ? ORDER BY q.source_key",
            (koppeling_id,),
        )
    ]
    for key in keys:
        if key not in known:
            raise ConfigurationError(
                "no record with that key is in quarantine", advice=choice(key, known)
            )
    return tuple(dict.fromkeys(keys))
