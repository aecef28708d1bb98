"""Cases that a person may answer at once: each record agrees with its one candidate in everything.

Where a school moves to another system every guardian stands in a case, for a name and a telephone
number link nobody by themselves (design.md, Correlation). That they are the same persons a person
says, of all of them together; of whom anything differs he says it one by one.

Where policy says from which score on somebody is sure (`correlation.sure_at`), a leerling or
medewerker who scores that much may be answered with the rest though something else differs: his
birth date and surname agree, and no personal number says another. It is a person who answers all
the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from config.correlation import WEIGHED, Scale
from mappings.normalise import match_form
from sync_engine.case_view import DIFFERS, CaseView, FieldPair, read_cases
from sync_engine.cases import list_cases
from sync_engine.fold import Json
from sync_engine.hub import Hub
from sync_engine.matching import EXCLUSIVE
from sync_engine.nearby import checked_entity
from sync_engine.selection import select

_SEVERAL = "meer dan een kandidaat"
_TWICE = "dezelfde kandidaat past bij nog een record"
_OTHER = "iets is anders"
_GONE = "de kandidaat of het record is er niet meer"


_BORN: Final = "geboortedatum"
_AGREE: Final = frozenset({_BORN, "achternaam"})
"""What must agree of whom policy is sure."""
_NEVER: Final = frozenset({_BORN, *EXCLUSIVE})
"""What may not differ of him."""


class _Told(msgspec.Struct):
    """A candidate as the run that opened the case, or saw it last, weighed it."""

    core_id: int
    score: float = 0.0
    agrees: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Alike:
    """A case whose record agrees with its one candidate in all that both have, or looks sure.

    Attributes:
        score: to three decimals.
        differs: the fields in which it does not; only of who scores what policy is sure at.
    """

    case_id: int
    source_key: str
    key: str
    name: str
    score: float = 0.0
    differs: tuple[str, ...] = ()


@dataclass(slots=True)
class AlikeCases:
    """What may be answered at once.

    Attributes:
        sure_at: score from which something may differ; None where it may not.
        left: why (Dutch) → how many cases are not.
    """

    sure_at: float | None = None
    found: list[Alike] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)

    @property
    def cases(self) -> tuple[int, ...]:
        """Their numbers."""
        return tuple(one.case_id for one in self.found)

    @property
    def differing(self) -> int:
        """How many of them differ in something."""
        return sum(1 for one in self.found if one.differs)


def alike_cases(hub: Hub, koppeling: str, entity: str, *, school: str | None = None) -> AlikeCases:
    """The open cases of one entity of a koppeling whose record looks like somebody, judged.

    Args:
        hub: the installation.
        koppeling: its name.
        entity: of the records.
        school: only of this BRIN or vestigingsnummer.

    Raises: ConfigurationError or SyncError for a name that there is not.
    """
    hub.source(koppeling)
    kind = checked_entity(entity)
    with hub.store.work() as work:
        chosen = select(hub, work, source=koppeling, school=school)
        rows, _ = list_cases(hub, work, chosen, kind="score", limit=1_000_000)
    rows = [row for row in rows if row.entity == kind]
    told = {row.id: msgspec.json.decode(row.detail, type=list[_Told]) for row in rows}
    offered = Counter(one.core_id for some in told.values() for one in some)
    scale = hub.settings.policy.correlation.of(kind, koppeling)
    result = AlikeCases(scale.sure_at if kind in WEIGHED else None)
    for view in read_cases(hub, rows):
        why = _not_alike(view, told[view.case.id], offered)
        if why:
            result.left[why] += 1
            continue
        found = _alike(view, told[view.case.id][0], scale)
        if found is None:
            result.left[_OTHER] += 1
        else:
            result.found.append(found)
    return result


def _alike(view: CaseView, weighed: _Told, scale: Scale) -> Alike | None:
    """A case about two records, as it may be answered with others; None where it may not."""
    [one], case = view.candidates, view.case
    differs = tuple(pair.name for pair in one.fields if _differs(pair))
    sure = case.entity in WEIGHED and _is_sure(scale, weighed, one.fields)
    if differs and not sure:
        return None
    return Alike(case.id, case.source_key, one.key, one.name, weighed.score, differs=differs)


def _not_alike(view: CaseView, told: Sequence[_Told], offered: Counter[int]) -> str:
    """Why a case is for a person to look at, in Dutch; empty where it is about two records."""
    if len(told) != 1:
        return _SEVERAL
    if offered[told[0].core_id] > 1:
        return _TWICE
    if len(view.candidates) != 1 or view.candidates[0].closed or view.candidates[0].is_linked:
        return _GONE
    return ""


def _is_sure(scale: Scale, weighed: _Told, fields: Sequence[FieldPair]) -> bool:
    """Whether who differs in something may be answered with the rest."""
    differs = {pair.name for pair in fields if pair.verdict == DIFFERS}  # numbers are masked
    return (
        scale.is_sure(weighed.score)
        and _AGREE.issubset(weighed.agrees)
        and not _NEVER.intersection(differs)
    )


def _differs(pair: FieldPair) -> bool:
    """Whether both sides have the field and it is another; how it is written does not count.

    Of secrecy and of wishes both sides may say different things and mean one person.
    """
    if isinstance(pair.source, bool):
        return False
    if pair.name in EXCLUSIVE:  # masked: two numbers may look the same
        return pair.verdict == DIFFERS
    return pair.verdict == DIFFERS and _written(pair.source) != _written(pair.candidate)


def _written(value: Json) -> Json:
    return match_form(value) or value if isinstance(value, str) else value
