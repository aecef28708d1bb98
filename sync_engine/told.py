"""What a step of a plan changes, field by field, as people read it; what is secret is not told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mappings.canonical.fields import Entity
from sync_engine.flat import discreet, field_of
from sync_engine.fold import Json
from sync_engine.plans import StepView

_EMPTY: Final[tuple[Json, ...]] = (None, False, [], "[]")
_ASIDE: Final = frozenset({"geheim", "index"})


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of a record: what it was and what it becomes; None for nothing."""

    name: str
    before: Json
    after: Json


def changes_of(step: StepView) -> list[FieldChange]:
    """Everything that a step changes; what stays empty in a new record is left out."""
    entity, found = Entity(step.entity), []
    for key, pair in step.changes.items():
        if step.op == "create" and pair[1] in _EMPTY:
            continue
        before, after = (_side(step, key, side) for side in discreet(key, pair))
        found.append(FieldChange(field_of(entity, key) or key, before, after))
    return found


def _side(step: StepView, key: str, side: Json) -> Json:
    if key.startswith("groepsdeelname/"):
        number = key.rpartition("/")[2]
        name = step.labels.get(number, number)
        if not isinstance(side, list):
            return None if side is None else name
        return f"{name} ({' - '.join(str(part) for part in side[:2] if part)})"
    if key.endswith("_id"):
        return step.labels.get(str(side), side)
    if isinstance(side, dict) and "waarde" in side:
        return side["waarde"]
    if isinstance(side, dict):
        return {name: part for name, part in side.items() if name not in _ASIDE}
    return side


def plain(value: object) -> str:
    """One value on one line; what is secret is marked as such, and nothing is a dash."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "ja" if value else "nee"
    if isinstance(value, dict):
        shown = [str(part) for name, part in value.items() if part and name not in _ASIDE]
        return " ".join(shown) + (" (geheim)" if value.get("geheim") else "")
    if isinstance(value, list):
        return ", ".join(str(item) for item in value if item is not None)
    return str(value)
