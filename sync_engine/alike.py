"""Cases that a person may answer at once: each record agrees with its one candidate in everything.

Where a school moves to another system every guardian stands in a case, for a name and a telephone
number link nobody by themselves (design.md, Correlation). That they are the same persons a person
says, of all of them together; of whom anything differs he says it one by one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import msgspec

from mappings.normalise import match_form
from sync_engine.case_view import DIFFERS, CaseView, FieldPair, read_cases
from sync_engine.cases import list_cases
from sync_engine.fold import Json
from sync_engine.hub import Hub
from sync_engine.nearby import checked_entity
from sync_engine.selection import select

_SEVERAL = "meer dan een kandidaat"
_TWICE = "dezelfde kandidaat past bij nog een record"
_OTHER = "iets is anders"
_GONE = "de kandidaat of het record is er niet meer"


@dataclass(frozen=True, slots=True)
class Alike:
    """A case whose record agrees with its one candidate in all that both have."""

    case_id: int
    source_key: str
    key: str
    name: str


@dataclass(slots=True)
class AlikeCases:
    """What may be answered at once.

    Attributes:
        left: why (Dutch) → how many cases are not.
    """

    found: list[Alike] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)

    @property
    def cases(self) -> tuple[int, ...]:
        """Their numbers."""
        return tuple(one.case_id for one in self.found)


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
    offered = Counter(
        str(told["core_id"])
        for row in rows
        for told in msgspec.json.decode(row.detail, type=list[dict[str, object]])
    )
    result = AlikeCases()
    for view in read_cases(hub, rows):
        why = _not_alike(view, offered)
        if why:
            result.left[why] += 1
            continue
        [one] = view.candidates
        result.found.append(Alike(view.case.id, view.case.source_key, one.key, one.name))
    return result


def _not_alike(view: CaseView, offered: Counter[str]) -> str:
    """Why a case is for a person to look at, in Dutch; empty where it is not."""
    told = msgspec.json.decode(view.case.detail, type=list[dict[str, object]])
    if len(told) != 1:
        return _SEVERAL
    if offered[str(told[0]["core_id"])] > 1:
        return _TWICE
    if len(view.candidates) != 1 or view.candidates[0].closed or view.candidates[0].is_linked:
        return _GONE
    if any(_differs(pair) for pair in view.candidates[0].fields):
        return _OTHER
    return ""


def _differs(pair: FieldPair) -> bool:
    """Whether both sides have the field and it is another; how it is written does not count.

    Of secrecy and of wishes both sides may say different things and mean one person.
    """
    if isinstance(pair.source, bool):
        return False
    return pair.verdict == DIFFERS and _written(pair.source) != _written(pair.candidate)


def _written(value: Json) -> Json:
    return match_form(value) or value if isinstance(value, str) else value
