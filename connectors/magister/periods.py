"""Which lesperiode is current and which is next.

A code has four digits, two for each year (`2627`); Magister changes over on 1 August at once.
Spec: magister.md, sections 3.2, 6 and 8 (the code CONFIRMED, that lists use it ASSUMED).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from connectors.magister.compose import day_of
from connectors.magister.options import Options
from connectors.magister.wire import DATA, Row, violation
from sector.identifiers import Schooljaar

HUIDIG: Final = "HUIDIG"
VOLGEND: Final = "VOLGEND"

_NONE: Final = (
    "De lijst `presentis-lesperioden` noemt het huidige schooljaar niet. Vraag de "
    "applicatiebeheerder van Magister of de lesperiode actief is, of laat ops de instelling "
    "`lesperiode` invullen."
)


@dataclass(frozen=True, slots=True)
class Period:
    """One lesperiode.

    Attributes:
        schooljaar: its first calendar year.
        begin, end: first and last day, where Magister tells them.
    """

    code: str
    schooljaar: int
    begin: date = date.min
    end: date = date.max

    def day(self, today: date) -> date:
        """The day on which it is looked at: today, or the nearest of its own days."""
        return min(max(today, self.begin), self.end)


@dataclass(frozen=True, slots=True)
class Periods:
    """The periods that are read, by the key of their scopes."""

    current: Period
    following: Period | None = None

    def scoped(self) -> Sequence[tuple[str, int, Period]]:
        """Key and rank of the scopes, with their period."""
        found = [(HUIDIG, 0, self.current)]
        if self.following is not None:
            found.append((VOLGEND, 1, self.following))
        return found


def code_of(schooljaar: int) -> str:
    """`2026` → `2627`."""
    return f"{schooljaar % 100:02}{(schooljaar + 1) % 100:02}"


def schooljaar_of(code: str) -> int | None:
    """`2627` → `2026`; None where it is no such code."""
    if len(code) != 4 or not (code.isascii() and code.isdigit()):
        return None
    first, second = int(code[:2]), int(code[2:])
    return 2000 + first if second == (first + 1) % 100 else None


def choose(rows: Sequence[Row], options: Options, *, today: date) -> Periods:
    """The current period and the next of a list of periods.

    Raises: ProtocolViolationError (`where` DATA) if the current one is not listed, nor set.
    """
    year = Schooljaar.of(today).first_year
    listed = [_period(row) for row in rows]
    current = _named(options.lesperiode, listed, year) or _of_year(listed, year, today=today)
    if current is None:
        raise violation("GET presentis-lesperioden", "lacks this year", where=DATA, advice=_NONE)
    if not options.volgend:
        return Periods(current)
    later = _named(options.lesperiode_volgend, listed, year + 1)
    return Periods(current, later or _of_year(listed, current.schooljaar + 1, today=today))


def _period(row: Row) -> Period:
    code = row["lesperiode"]
    begin, end = day_of(row, "begindatum"), day_of(row, "einddatum")
    year = schooljaar_of(code)
    if year is None:
        year = 0 if begin == date.min else Schooljaar.of(begin).first_year
    return Period(code, year, begin, date.max if end == date.min else end)


def _named(code: str, listed: Sequence[Period], year: int) -> Period | None:
    if not code:
        return None
    found = next((period for period in listed if period.code == code), None)
    return found or Period(code, schooljaar_of(code) or year)


def _of_year(listed: Sequence[Period], year: int, *, today: date) -> Period | None:
    """The period of a schooljaar; of several the one that holds today, else the first."""
    found = sorted((p for p in listed if p.schooljaar == year), key=lambda p: (p.begin, p.code))
    holding = [period for period in found if period.begin <= today <= period.end]
    return next(iter([*holding, *found]), None)


def asked_of_functions(options: Options, *, today: date) -> Periods:
    """The periods that the fixed functions are asked for; they list none.

    Spec: section 3.2 (that `2627` is understood: ASSUMED).
    """
    year = Schooljaar.of(today).first_year
    current = Period(options.lesperiode or code_of(year), year)
    if not options.asks_next_year(today):
        return Periods(current)
    return Periods(current, Period(options.lesperiode_volgend or code_of(year + 1), year + 1))
