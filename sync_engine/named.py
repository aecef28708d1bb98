"""What people call the other records that an explanation names, and the keys to find them by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from mappings.canonical.fields import Entity
from mappings.canonical.schema import fields_of
from sync_engine.context import Context
from sync_engine.explain import Change, Explanation, FieldReason
from sync_engine.find import hub_key
from sync_engine.fold import Json
from sync_engine.names import names_of
from sync_engine.nodes import lookup_links
from sync_engine.plans import labels_of
from sync_engine.reach import ELSEWHERE


def add_names(context: Context, told: Explanation) -> None:
    """Add to every field that refers to other records how those are called, then and now."""
    for reason in told.fields:
        target = fields_of(told.entity)[reason.name].target
        if target is not None:
            reason.labels = _labels(context, reason, target)
    _name_history(context, told)


def _labels(context: Context, reason: FieldReason, target: Entity) -> dict[str, str]:
    """Source key → name and hub key; a record that the core does not have goes by the former."""
    keys = sorted(set(_keys(reason)))
    by_name = {name: number for number, name in context.koppelingen.items()}
    said = {by_name[claim.koppeling] for claim in reason.claims if claim.koppeling in by_name}
    cores: dict[str, int] = {}
    for koppeling_id in sorted(said):
        cores |= lookup_links(context, target, keys, koppeling_id=koppeling_id)
    names = names_of(context.work, target, sorted(set(cores.values())))
    labels = {
        key: " ".join(filter(None, (names.get(number), hub_key(number))))
        for key, number in cores.items()
    }
    if not context.work.is_limited:
        return labels
    return {key: labels.get(key, ELSEWHERE) for key in keys}


def _keys(reason: FieldReason) -> Iterator[str]:
    sides: list[Json] = [reason.value]
    sides += [one.value for one in (*reason.claims, *reason.waiting)]
    if reason.pin is not None:
        sides.append(reason.pin.value)
    for side in sides:
        if isinstance(side, list):
            yield from (one for one in side if isinstance(one, str))
        elif isinstance(side, str):
            yield side


def _name_history(context: Context, told: Explanation) -> None:
    """Whom each change of before is about, in the place of the number that the journal keeps."""
    changed: dict[str, list[Json]] = defaultdict(list)
    for reason in told.fields:
        if fields_of(told.entity)[reason.name].target is not None:
            for change in reason.history:
                changed[change.key] += [change.before, change.after]
    labels = labels_of(context.work, told.entity, dict(changed))
    for reason in told.fields:
        reason.history = [
            _named(change, labels) if change.key in changed else change for change in reason.history
        ]


def _named(change: Change, labels: dict[str, str]) -> Change:
    if change.key.startswith("groepsdeelname/"):
        number = change.key.rpartition("/")[2]
        return replace(change, who=labels.get(number, ""))
    before, after = (
        labels.get(str(side)) if isinstance(side, int) else side
        for side in (change.before, change.after)
    )
    return replace(change, before=before, after=after)
