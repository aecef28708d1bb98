"""Health in the words of Prometheus: base units, `_total` for counters, few labels, nobody's data.

Labels are names from the configuration (source, school), entities and words of our own: there are
as many series as the configuration has koppelingen, times a fixed number. System and tenant stand
in `koppelhub_source_info` alone, to be joined on source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from sync_engine import totals
from sync_engine.condition import Expiry, Health, KoppelingHealth
from sync_engine.troubles import Facts

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

_LABELS: Final = ("source", "school")

Row = tuple[Sequence[str], float | None]


def exposition(facts: Facts, health: Health, *, seconds: float) -> bytes:
    """All metrics as text; `seconds` is how long it took to learn them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(facts, health, seconds))
    return generate_latest(registry)


class _Collected:
    """The families of one moment."""

    def __init__(self, facts: Facts, health: Health, seconds: float) -> None:
        self._facts, self._health, self._seconds = facts, health, seconds
        self._labels = {one.name: _labels(one) for one in health.koppelingen}

    def collect(self) -> Iterable[Metric]:
        """Every family; one without a sample is left out."""
        for family in (*self._installation(), *self._state(), *self._work(), *self._counters()):
            if family.samples:
                yield family

    # -- the installation --------------------------------------------------------------------------

    def _installation(self) -> Iterator[Metric]:
        facts, health = self._facts, self._health
        yield _gauge(
            "koppelhub_build_info", "Release.", [((version("koppelhub"),), 1)], ["version"]
        )
        yield _gauge(
            "koppelhub_health_state",
            "0 good, 1 warning, 2 critical: the worst of everything.",
            [((), health.state.rank)],
        )
        yield _gauge(
            "koppelhub_health_collect_seconds",
            "How long it took to learn all this.",
            [((), self._seconds)],
        )
        yield _gauge(
            "koppelhub_installation_problem",
            "1 warning, 2 critical: what is wrong with the installation itself.",
            [((str(p.kind),), p.state.rank) for p in health.problems],
            ["kind"],
        )
        heard: dict[str, datetime] = {}
        for process in facts.processes:
            heard[process.kind] = max(process.at, heard.get(process.kind, process.at))
        yield _gauge(
            "koppelhub_process_heartbeat_timestamp_seconds",
            "When a process of this kind was last heard of.",
            [((kind,), _seconds(at)) for kind, at in sorted(heard.items())],
            ["kind"],
        )
        yield _gauge(
            "koppelhub_database_free_bytes",
            "Free space on the disk of the database, where that is on this machine.",
            [((), facts.free_bytes)],
        )
        yield _gauge(
            "koppelhub_database_size_bytes",
            "Size of the database, where it is a file on this machine.",
            [((), facts.size_bytes or None)],
        )
        yield _gauge(
            "koppelhub_expiry_timestamp_seconds",
            "When a certificate, credential or mandate ends.",
            [
                ((expiry.source, expiry.what, expiry.label), _seconds(expiry.at))
                for expiry in _soonest(facts)
            ],
            ["source", "what", "label"],
        )

    # -- how koppelingen are -----------------------------------------------------------------------

    def _state(self) -> Iterator[Metric]:
        yield _gauge(
            "koppelhub_source_info",
            "What a koppeling is.",
            [
                ((*self._labels[one.name], one.system, one.tenant), 1)
                for one in self._health.koppelingen
            ],
            [*_LABELS, "system", "tenant"],
        )
        yield self._of(
            "koppelhub_source_state",
            "0 good, 1 warning, 2 critical.",
            lambda one: one.state.rank,
        )
        yield _gauge(
            "koppelhub_source_problem",
            "1 warning, 2 critical: what is wrong; absent where it is not.",
            [
                ((*self._labels[one.name], str(kind)), rank)
                for one in self._health.koppelingen
                for kind, rank in _worst_of_kind(one).items()
            ],
            [*_LABELS, "kind"],
        )
        yield self._of(
            "koppelhub_last_success_timestamp_seconds",
            "When the last run began that ended without any remark.",
            lambda one: _seconds(one.done_at),
        )
        yield self._of(
            "koppelhub_last_good_run_timestamp_seconds",
            "When the last run began that read everything: what the core holds is of then.",
            lambda one: _seconds(one.good_at),
        )
        yield self._of(
            "koppelhub_freshness_promised_seconds",
            "How old the last good run may be.",
            lambda one: one.promised.total_seconds(),
        )
        yield self._of(
            "koppelhub_freshness_critical_seconds",
            "How old it is when that is critical.",
            lambda one: one.critical.total_seconds(),
        )
        yield self._of(
            "koppelhub_late_seconds",
            "How much older the last good run is than was promised; 0 where it is not.",
            lambda one: 0 if one.late_by is None else one.late_by.total_seconds(),
        )
        yield self._of(
            "koppelhub_next_due_timestamp_seconds",
            "When the clock starts it next; absent without a schedule.",
            lambda one: _seconds(one.next_due),
        )
        yield self._of(
            "koppelhub_run_active",
            "1 while a run is under way.",
            lambda one: int(one.running_since is not None),
        )

    # -- what runs did and what waits --------------------------------------------------------------

    def _work(self) -> Iterator[Metric]:
        yield self._of(
            "koppelhub_last_run_timestamp_seconds",
            "When the last whole run that is over began.",
            lambda one: None if one.last is None else _seconds(one.last.started_at),
        )
        yield self._of("koppelhub_last_run_duration_seconds", "How long it took.", _duration)
        yield _gauge(
            "koppelhub_last_run_outcome",
            "1 with the outcome that it had; `running` is one that broke off.",
            [
                ((*self._labels[one.name], one.last.outcome), 1)
                for one in self._health.koppelingen
                if one.last is not None
            ],
            [*_LABELS, "outcome"],
        )
        yield _gauge(
            "koppelhub_last_run_records",
            "Records that it read, and what it did to the core.",
            [
                ((*self._labels[one.name], result), count)
                for one in self._health.koppelingen
                for result, count in _results(one).items()
            ],
            [*_LABELS, "result"],
        )
        yield _gauge(
            "koppelhub_records",
            "Records by situation after the last whole run: linked and disputed in all; unlinked "
            "(found by a key), unmatched (new) and suppressed (of erased persons) in that run.",
            [
                ((*self._labels[one.name], *name.rsplit(".", 1)), count)
                for one in self._health.koppelingen
                for name, count in one.situations.items()
            ],
            [*_LABELS, "entity", "situation"],
        )
        for name, text, asked in _WAITING:
            yield self._of(name, text, asked)

    def _counters(self) -> Iterator[Metric]:
        """What only grows, over all processes; see sync_engine/totals.py."""
        for name, text, counted, label in _COUNTERS:
            family = CounterMetricFamily(name, text, labels=[*_LABELS, *label])
            for known in self._facts.koppelingen:
                for counter, value in sorted(known.totals.items()):
                    group, *rest = counter.split(".", 1)
                    if group == counted:
                        family.add_metric([*self._labels[known.name], *rest], value)
            yield family

    def _of(self, name: str, text: str, asked: _Asked) -> Metric:
        """One number of each koppeling that has it."""
        rows = [(self._labels[one.name], asked(one)) for one in self._health.koppelingen]
        return _gauge(name, text, rows, _LABELS)


_Asked = Callable[[KoppelingHealth], float | None]

_WAITING: Final[tuple[tuple[str, str, _Asked], ...]] = (
    ("koppelhub_held_plans", "Plans that wait for a person.", lambda one: one.held_plans),
    ("koppelhub_open_cases", "Cases that wait for a person.", lambda one: one.open_cases),
    ("koppelhub_quarantine_records", "Records that cannot be read.", lambda one: one.quarantine),
    ("koppelhub_outbox_messages", "Messages that are not confirmed.", lambda one: one.outbox),
    (
        "koppelhub_outbox_oldest_timestamp_seconds",
        "When the oldest of them was made.",
        lambda one: _seconds(one.outbox_oldest),
    ),
)

_COUNTERS: Final[tuple[tuple[str, str, str, Sequence[str]], ...]] = (
    ("koppelhub_runs", "Runs that ended, by how.", totals.RUNS, ["outcome"]),
    ("koppelhub_run_seconds", "How long runs took.", totals.RUN_SECONDS, []),
    ("koppelhub_read_records", "Records that the source delivered.", totals.READ, []),
    ("koppelhub_core_records", "What runs did to the core.", totals.CORE, ["operation"]),
    ("koppelhub_requests", "Requests that were sent, by what came.", totals.REQUESTS, ["result"]),
    ("koppelhub_request_retries", "Requests that were sent once more.", totals.RETRIES, []),
    (
        "koppelhub_request_seconds",
        "How long requests took: to be sent (rate budget, places) and to be answered.",
        totals.REQUEST_SECONDS,
        ["phase"],
    ),
)


def _gauge(name: str, text: str, rows: Iterable[Row], labels: Sequence[str] = ()) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, number in rows:
        if number is not None:
            family.add_metric(list(values), number)
    return family


def _labels(one: KoppelingHealth) -> tuple[str, ...]:
    """One koppeling of several schools has one series: its schools stand in one label."""
    return (one.name, ",".join(one.schools))


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


def _duration(one: KoppelingHealth) -> float | None:
    last = one.last
    if last is None or last.finished_at is None:
        return None
    return (last.finished_at - last.started_at).total_seconds()


def _results(one: KoppelingHealth) -> dict[str, int]:
    last = one.last
    if last is None:
        return {}
    return {
        "read": last.read,
        "created": last.created,
        "changed": last.changed,
        "closed": last.closed,
        "held": last.held,
        "quarantined": last.quarantined,
    }


def _worst_of_kind(one: KoppelingHealth) -> Mapping[str, int]:
    """Kind of problem → its rank, the worst of those of one kind."""
    found: dict[str, int] = {}
    for problem in one.problems:
        found[problem.kind] = max(problem.state.rank, found.get(problem.kind, 0))
    return found


def _soonest(facts: Facts) -> list[Expiry]:
    """Of what has one name the first that ends: labels must be unique."""
    every = [*facts.expiries, *(e for one in facts.koppelingen for e in one.expiries)]
    every.sort(key=lambda expiry: expiry.at, reverse=True)
    return list({(e.source, e.what, e.label): e for e in every}.values())
