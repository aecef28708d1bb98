"""Koppelingen that stand still: in maintenance by a person, or switched off.

Maintenance keeps everybody from the source, until a moment or until a person ends it. Switched off
keeps only the clock from it: a person may still try, and where his own failures switched it off a
run that goes well switches it on again. What was due meanwhile is postponed, not lost.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec

from config.operators import SYSTEM
from config.politeness import Politeness
from sync_engine.audit import note_within
from sync_engine.errors import MaintenanceError, SyncError
from sync_engine.hub import Hub
from sync_engine.options import Kind, Options
from sync_engine.outcome import Failure
from sync_engine.rights import check_source
from sync_engine.store.values import instant
from sync_engine.store.work import Work

_log = logging.getLogger(__name__)

ASKING: Final = frozenset({Kind.FULL, Kind.DELTA, Kind.ONLY})
"""Kinds of runs that ask the source."""

OFF_EVENT: Final = "switched off"
ON_EVENT: Final = "switched on"


@dataclass(frozen=True, slots=True)
class Switch:
    """How one koppeling stands.

    Attributes:
        maintenance_at: since when it is in maintenance; None where it is not.
        maintenance_until: until when, where that was said.
        off_at: since when it is switched off; None where it is not.
        off_by: who did; `system` where its own failures did.
        on_at: when it was last switched on.
    """

    koppeling_id: int
    maintenance_at: datetime | None = None
    maintenance_until: datetime | None = None
    maintenance_by: str = ""
    maintenance_why: str = ""
    off_at: datetime | None = None
    off_by: str = ""
    off_why: str = ""
    on_at: datetime | None = None

    def in_maintenance(self, now: datetime) -> bool:
        """Whether nobody may ask its source."""
        if self.maintenance_at is None:
            return False
        return self.maintenance_until is None or now < self.maintenance_until

    @property
    def is_off(self) -> bool:
        """Whether it does not run by itself."""
        return self.off_at is not None


_COLUMNS: Final = (
    "koppeling_id, maintenance_at, maintenance_until, maintenance_by, maintenance_why, "
    "off_at, off_by, off_why, on_at"
)


def read_switches(work: Work, koppelingen: Iterable[int]) -> dict[int, Switch]:
    """How koppelingen stand, by number; one statement. Of whom nothing is known all is well."""
    wanted = list(koppelingen)
    found = {number: Switch(number) for number in wanted}
    for row in work.execute(
        f"SELECT {_COLUMNS} FROM koppeling_state WHERE {work.many('koppeling_id')}",
        (work.values(wanted),),
    ):
        found[row[0]] = _switch(row)
    return found


def read_switch(work: Work, koppeling_id: int) -> Switch:
    """How one koppeling stands."""
    return read_switches(work, [koppeling_id])[koppeling_id]


def _switch(row: Sequence[object]) -> Switch:
    number, began, until, by, why, off_at, off_by, off_why, on_at = row
    return Switch(
        int(str(number)),
        _at(began),
        _at(until),
        str(by),
        str(why),
        _at(off_at),
        str(off_by),
        str(off_why),
        _at(on_at),
    )


def _at(text: object) -> datetime | None:
    return None if text is None else instant(str(text))


def refuse_in_maintenance(switch: Switch, *, koppeling: str, now: datetime) -> None:
    """Do nothing where a source may be asked.

    Raises: MaintenanceError.
    """
    if not switch.in_maintenance(now):
        return
    raise MaintenanceError(
        f"{koppeling} is in maintenance",
        advice=f"Deze koppeling is in onderhoud ({switch.maintenance_why}). Wacht tot dat voorbij "
        f"is, of beëindig het met `koppelhub source maintenance {koppeling} end`.",
    )


# -- what a person does ----------------------------------------------------------------------------


def begin_maintenance(
    hub: Hub, names: Iterable[str], *, operator: str, why: str, until: datetime | None = None
) -> None:
    """Put koppelingen in maintenance: from now on nobody asks their sources.

    A run that is under way ends as it does. Due runs wait, and go on when it is over.
    Raises: ConfigurationError if the actor may not act for one; NoRightError if he may for a part
        of its schools only; SyncError without a reason, or with an end that is past.
    """
    _needs_reason(why)
    now = hub.clock.now()
    if until is not None and until <= now:
        raise SyncError(
            "the end of the maintenance is past",
            advice="Noem bij --until een moment dat nog komt, of laat --until weg.",
        )
    values = {
        "maintenance_at": now,
        "maintenance_until": until,
        "maintenance_by": operator,
        "maintenance_why": why,
    }
    _set(hub, names, values, operator=operator, action="source maintenance", why=why)


def end_maintenance(hub: Hub, names: Iterable[str], *, operator: str) -> None:
    """Let koppelingen go on: what waited is taken up by the clock."""
    values = {
        "maintenance_at": None,
        "maintenance_until": None,
        "maintenance_by": "",
        "maintenance_why": "",
    }
    _set(hub, names, values, operator=operator, action="source maintenance end", why="")


def switch_off(hub: Hub, names: Iterable[str], *, operator: str, why: str) -> None:
    """Switch koppelingen off: the clock does not run them any more, until a person says so.

    Raises: ConfigurationError; SyncError without a reason.
    """
    _needs_reason(why)
    values = {"off_at": hub.clock.now(), "off_by": operator, "off_why": why}
    _set(hub, names, values, operator=operator, action="source off", why=why)


def switch_on(hub: Hub, names: Iterable[str], *, operator: str, why: str) -> None:
    """Switch koppelingen on again; failures of before do not count any more.

    Raises: ConfigurationError.
    """
    values = {"off_at": None, "off_by": "", "off_why": "", "on_at": hub.clock.now()}
    _set(hub, names, values, operator=operator, action="source on", why=why)


def _needs_reason(why: str) -> None:
    if not why.strip():
        raise SyncError("no reason was given", advice="Zeg met --why waarom; dat wordt bewaard.")


def _set(
    hub: Hub,
    names: Iterable[str],
    values: Mapping[str, object],
    *,
    operator: str,
    action: str,
    why: str,
) -> None:
    rows = [hub.koppeling(name) for name in names]
    for row in rows:
        check_source(hub, row.name)
    with hub.store.whole.work() as work, work.transaction():
        for row in rows:
            _put(work, row.id, values)
            note_within(
                hub,
                work,
                operator=operator,
                action=action,
                subject=f"koppeling {row.name}",
                why=why,
            )


def _put(work: Work, koppeling_id: int, values: Mapping[str, object]) -> None:
    columns = ", ".join(values)
    marks = ", ".join("?" * len(values))
    renewed = ", ".join(f"{column} = excluded.{column}" for column in values)
    work.execute(
        f"INSERT INTO koppeling_state (koppeling_id, {columns}) VALUES (?, {marks}) "
        f"ON CONFLICT (koppeling_id) DO UPDATE SET {renewed}",
        (koppeling_id, *values.values()),
    )


# -- what runs do ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Streak:
    """Failed runs in a row by the clock, up to and including the last.

    Attributes:
        count: how many.
        refused: how many of the last ones were refused.
        lasting: how many of all do not pass by themselves, as far as is known.
        began_at: when the first of them began.
    """

    count: int
    refused: int
    lasting: int
    began_at: datetime

    def switches_off(self, policy: Politeness, *, now: datetime) -> bool:
        """Whether it is enough; what may pass by itself is given time, however often tried."""
        if self.refused >= policy.refused_after:
            return True
        if self.lasting >= policy.off_after:
            return True
        return self.count >= policy.off_after and now - self.began_at >= policy.off_over


def is_by_clock(options: Options) -> bool:
    """Whether no person asked for a run."""
    return options.operator == SYSTEM and not options.by_hand and not options.dry


def after_run(
    hub: Hub,
    work: Work,
    *,
    koppeling: tuple[int, str],
    run_id: int,
    options: Options,
    good: bool,
    failed: bool,
) -> None:
    """A run was closed: switch its koppeling off or on, where that is what follows.

    Args:
        hub: of the run.
        work: of the run, outside transactions.
        koppeling: its number and name.
        run_id: the run.
        options: what was run.
        good: a part of the source at least was read to its end.
        failed: it failed.
    """
    number, _ = koppeling
    if options.kind not in ASKING or options.dry:
        return
    if good and not failed:
        switch = read_switch(work, number)
        if switch.is_off and switch.off_by == SYSTEM:
            _turn(hub, work, koppeling, run_id, switch, why="een run met de hand ging goed")
        return
    if not failed or not is_by_clock(options) or options.kind is Kind.ONLY:
        return
    switch = read_switch(work, number)
    streak = None if switch.is_off else _streak(work, number, since=switch.on_at)
    if streak is None or not streak.switches_off(hub.settings.politeness, now=hub.clock.now()):
        return
    why = f"{streak.count} mislukte runs op rij"
    if streak.refused >= hub.settings.politeness.refused_after:
        why = f"{why}: inloggegevens, rechten of instellingen worden geweigerd"
    _turn(hub, work, koppeling, run_id, switch, why=why)


def _turn(
    hub: Hub, work: Work, koppeling: tuple[int, str], run_id: int, known: Switch, *, why: str
) -> None:
    """Switch by the hub itself: the state, an event of the run, a line of the audit.

    Where a person changed what is known meanwhile, it stays as he wants it.
    """
    number, name = koppeling
    now, on = hub.clock.now(), known.is_off
    values: dict[str, object] = {"off_at": now, "off_by": SYSTEM, "off_why": why}
    if on:
        values = {"off_at": None, "off_by": "", "off_why": "", "on_at": now}
    with work.transaction():
        if read_switch(work, number) != known:
            return
        _put(work, number, values)
        work.execute(
            "INSERT INTO event (run_id, koppeling_id, kind, detail, at) VALUES (?, ?, ?, ?, ?)",
            (
                run_id,
                number,
                ON_EVENT if on else OFF_EVENT,
                msgspec.json.encode({"why": why}).decode(),
                now,
            ),
        )
        note_within(
            hub,
            work,
            operator=SYSTEM,
            action="source on" if on else "source off",
            subject=f"koppeling {name} run {run_id}",
            why=why,
        )
    _log.log(logging.INFO if on else logging.ERROR, "switched %s: %s", "on" if on else "off", name)


_BY_CLOCK: Final = (
    "koppeling_id = ? AND operator = ? AND kind IN ('full', 'delta') AND started_at > ? "
    """AND options NOT LIKE '%"by_hand":true%' AND options NOT LIKE '%"dry":true%'"""
)
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LOOKED_AT: Final = 1000


def _streak(work: Work, koppeling_id: int, *, since: datetime | None) -> Streak | None:
    """The failed runs in a row that end with the last one; None where that one says nothing."""
    mine = (koppeling_id, SYSTEM, since or _LONG_AGO)
    ((good,),) = work.execute(
        f"SELECT COALESCE(MAX(id), 0) FROM run WHERE {_BY_CLOCK} "
        "AND state NOT IN ('failed', 'cancelled', 'running')",
        mine,
    )
    rows = work.execute(
        f"SELECT started_at, counts FROM run WHERE {_BY_CLOCK} AND id > ? AND state = 'failed' "
        f"ORDER BY id DESC LIMIT {_LOOKED_AT}",
        (*mine, good),
    )
    kinds = [(instant(str(at)), _failure(str(counts))) for at, counts in rows]
    said = [(at, kind) for at, kind in kinds if kind is not Failure.OWN]
    if not said or kinds[0][1] is Failure.OWN:
        return None
    refused = 0
    for _, kind in said:
        if kind is not Failure.REFUSED:
            break
        refused += 1
    lasting = sum(kind is not Failure.PASSING for _, kind in said)
    return Streak(len(said), refused, lasting, said[-1][0])


def _failure(counts: str) -> Failure:
    """What a closed run said of its failure; one that was killed said nothing, and may pass."""
    told = msgspec.json.decode(counts, type=dict[str, object]).get("failure")
    return Failure(str(told)) if told in set(Failure) else Failure.PASSING
