"""Simulation of correlation: what the rules would answer today, beside the links that stand.

Of all that the store has of a koppeling, or of what its source says now; with the rules as they are
configured, or with others that somebody tries. Nothing is done: of a simulation the audit trail has
a line, and where the source is read its dry run has a plan, as every one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec
from pydantic import ValidationError

from config.correlation import WEIGHED, Correlation
from config.errors import ConfigurationError
from config.nearest import choice
from config.policies import Policy, Reactions
from config.toml import laid_over
from mappings.canonical.fields import Entity
from sync_engine.audit import note
from sync_engine.context import Context
from sync_engine.correlate import DECISION, SCORE
from sync_engine.hub import Hub
from sync_engine.hubkeys import hub_key
from sync_engine.options import Options, Progress
from sync_engine.outcome import ExitCode, Outcome, RunReport
from sync_engine.rights import check_tenant_of
from sync_engine.runs import run
from sync_engine.scopes import load_scopes
from sync_engine.store.locks import tenant_lock
from sync_engine.trial.answers import Answer, Change, find_answers
from sync_engine.view import reading_context

RULES: Final = (
    *("afkorting", "bsn", "code", "eck_id", "groep", "inschrijving", "leerlingnummer"),
    *("onderwijsnummer", "personeelsnummer", "plaatsing", "relatie"),
    *(DECISION, SCORE),
)
"""What a trial may leave out: kinds of exact keys, what persons decided, and looks."""
TABLES: Final = frozenset({"correlation", "reactions"})
"""The tables of policy that a trial may have otherwise."""


@dataclass(frozen=True, slots=True)
class Trial:
    """The rules that are tried; as they are configured where it says nothing.

    Attributes:
        without: rules that do not count; of RULES.
        policy: tables of policy that are laid over those that are configured; of TABLES.
        case_at: goes before every other.
    """

    without: frozenset[str] = frozenset()
    policy: Mapping[str, Any] = field(default_factory=dict)
    case_at: float | None = None


@dataclass(frozen=True, slots=True)
class RuleCount:
    """How often a rule answers for one entity, and how often otherwise than the link that stands.

    Attributes:
        rule: `exact: eck_id`, `decision: link`, `score`, `new`, ...
    """

    entity: str
    answer: Answer
    rule: str
    records: int
    differs: int


@dataclass(frozen=True, slots=True)
class Answered:
    """What the rules answer for one record; keys, and no other personal data.

    Attributes:
        key: hub key of whom it would be; empty where that is nobody yet.
        candidates: hub keys of whom it may be, of a case; `score` the best of them.
        stands: hub key of whom it is linked to, empty where no link stands; `by` the rule of that.
    """

    entity: str
    source_key: str
    answer: Answer
    rule: str
    key: str
    score: float | None
    candidates: tuple[str, ...]
    stands: str
    by: str
    change: Change


@dataclass(slots=True)
class Simulation:
    """What a simulation came to.

    Attributes:
        report: of the dry run, where the source was read.
        merges: pairs of records of others that would become one.
        changes: how answers differ from the links that stand → records.
        records: the first that were asked for; `more` is how many there are besides.
    """

    koppeling: str
    without: tuple[str, ...]
    report: RunReport | None = None
    merges: int = 0
    rules: list[RuleCount] = field(default_factory=list)
    changes: Counter[Change] = field(default_factory=Counter)
    records: list[Answered] = field(default_factory=list)
    more: int = 0

    @property
    def exit_code(self) -> ExitCode:
        """0 where the rules answer as it stands, or nothing stands yet; 1 where they do not.

        Also 1 where not all of the source was read.
        """
        outcome = Outcome.DONE if self.report is None else self.report.outcome
        if self.report is not None and outcome is Outcome.FAILED:
            return self.report.exit_code
        other = outcome is Outcome.PARTIAL or any(
            self.changes[c] for c in Change if c not in {Change.SAME, Change.FRESH}
        )
        return ExitCode.PARTIAL if other else ExitCode.DONE


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records are listed; all are counted.

    Attributes:
        entities: canonical; empty for all.
        changes: empty for all that do not answer as it stands.
        answers: empty for all.
        limit: how many to keep.
        each: is handed every one, under the lock of the tenant: it must be quick.
    """

    entities: Collection[str] = ()
    changes: Collection[str] = ()
    answers: Collection[str] = ()
    limit: int = 50
    each: Callable[[Answered], None] | None = None


def simulate(
    hub: Hub,
    koppeling: str,
    trial: Trial,
    wanted: Wanted,
    *,
    operator: str,
    read: bool = False,
    progress: Progress | None = None,
) -> Simulation:
    """Say what correlation would answer for the records of a koppeling; and note who looked.

    Args:
        hub: of the koppeling.
        koppeling: its name.
        trial: the rules.
        wanted: which records to list.
        operator: who asks.
        read: ask the source what it says now, in a dry run; else what the store has of it.
        progress: told what goes on.

    Raises: NoRightError for who may act for a part of its tenant; ConfigurationError for rules that
        there are not; RunActiveError. What goes wrong while the source is read is in the report.
    """
    check_tenant_of(hub, koppeling)
    hub = hub.whole
    _check(trial, wanted)
    policy = tried(hub.settings.policy_of(hub.source(koppeling)), trial, koppeling)
    found = Simulation(koppeling, tuple(sorted(trial.without)))
    with hub.store.work() as work:
        subject = f"koppeling {koppeling}"
        note(hub, work, operator=operator, action="correlation try", subject=subject)

    def inspect(context: Context, _: int = 0) -> None:
        context.policy, context.without = policy, trial.without
        found.merges = find_answers(context)
        _tell(context, found, wanted)

    if read:
        options = Options(dry=True, operator=operator)
        found.report = run(hub, koppeling, options, progress=progress, inspect=inspect)
    else:
        _look(hub, koppeling, inspect)
    return found


def _look(hub: Hub, koppeling: str, inspect: Callable[[Context], None]) -> None:
    """Look at what the store has of a koppeling, as a dry run that reads nothing would."""
    row = hub.koppeling(koppeling)
    with (
        hub.store.work() as work,
        tenant_lock(hub.store, row.tenant_id, on=work),
    ):
        context = replace(
            reading_context(hub, work, row.tenant_id, koppeling=row),
            dry=True,
            same_keys=hub.settings.same_keys(hub.source(koppeling)),
        )
        load_scopes(context)
        inspect(context)


def tried(policy: Policy, trial: Trial, koppeling: str) -> Policy:
    """The policy with what is tried laid over it.

    Raises: ConfigurationError.
    """
    made: dict[str, object] = {}
    try:
        if "reactions" in trial.policy:
            known = policy.reactions.model_dump()
            made["reactions"] = Reactions.model_validate(
                laid_over(known, trial.policy["reactions"])
            )
        if "correlation" in trial.policy or trial.case_at is not None:
            made["correlation"] = _scales(policy.correlation, trial, koppeling)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "correlation"
        raise ConfigurationError(
            f"{where}: {first['msg']}", advice="Zie config/defaults/policies.toml."
        ) from None
    return policy.model_copy(update=made)


def _scales(known: Correlation, trial: Trial, koppeling: str) -> Correlation:
    tables = trial.policy.get("correlation", {})
    found = Correlation.model_validate(laid_over(known.model_dump(), tables))
    if trial.case_at is None:
        return found
    scales = {entity: found.of(entity, koppeling) for entity in sorted(WEIGHED)}
    return Correlation.model_validate(
        {
            "weights": found.weights,
            "case_at": trial.case_at,
            "entities": {entity: {"weights": scale.weights} for entity, scale in scales.items()},
        }
    )


def _check(trial: Trial, wanted: Wanted) -> None:
    """Raises: ConfigurationError for a name that there is not."""
    for kind, names, known in (
        ("rule", trial.without, RULES),
        ("table", trial.policy, sorted(TABLES)),
        ("entity", wanted.entities, [str(entity) for entity in Entity]),
        ("change", wanted.changes, [str(change) for change in Change]),
        ("answer", wanted.answers, [str(answer) for answer in Answer]),
    ):
        for name in sorted(set(names) - set(known)):
            raise ConfigurationError(
                f"there is no {kind} {name!r} to try", advice=choice(name, known)
            )


# -- telling ---------------------------------------------------------------------------------------

_CHANGE: Final = f"""CASE
 WHEN l.core_id IS NULL AND a.answer IN ('{Answer.WAITING}', '{Answer.LEFT}') THEN '{Change.SAME}'
 WHEN l.core_id IS NULL AND a.answer = '{Answer.DISPUTED}' AND EXISTS (SELECT 1 FROM zaak z
  WHERE z.koppeling_id = ? AND z.entity = a.entity AND z.source_key = a.source_key
  AND z.state = 'open') THEN '{Change.SAME}'
 WHEN l.core_id IS NULL THEN '{Change.FRESH}'
 WHEN a.answer = '{Answer.DISPUTED}' THEN '{Change.DISPUTED}'
 WHEN a.answer IN ('{Answer.WAITING}', '{Answer.LEFT}') THEN '{Change.LOST}'
 WHEN a.core_id = l.core_id THEN '{Change.SAME}'
 WHEN a.answer = '{Answer.LINKED}' AND o.core_id IS NOT NULL THEN '{Change.JOINS}'
 WHEN a.answer = '{Answer.LINKED}' THEN '{Change.MOVES}'
 WHEN o.core_id IS NULL THEN '{Change.PARTS}'
 WHEN EXISTS (SELECT 1 FROM t_mixed m WHERE m.core_id = a.core_id) THEN '{Change.JOINS}'
 WHEN EXISTS (SELECT 1 FROM t_torn n WHERE n.core_id = l.core_id) THEN '{Change.PARTS}'
 ELSE '{Change.SAME}' END"""
_JOINED: Final = (
    "FROM t_answer a LEFT JOIN link l ON l.koppeling_id = ? AND l.entity = a.entity "
    "AND l.source_key = a.source_key LEFT JOIN t_own o ON o.core_id = l.core_id"
)


def _tell(context: Context, found: Simulation, wanted: Wanted) -> None:
    """Count the answers, and list those that are wanted."""
    work, own = context.work, context.koppeling.id
    order = {str(entity): place for place, entity in enumerate(Entity)}
    counted: dict[tuple[str, str, str], Counter[Change]] = {}
    for entity, answer, rule, change, count in work.execute(
        f"SELECT a.entity, a.answer, a.rule, {_CHANGE} AS verschil, COUNT(*) {_JOINED} "
        "GROUP BY 1, 2, 3, 4",
        (own, own),
    ):
        found.changes[Change(change)] += count
        counted.setdefault((entity, answer, rule), Counter())[Change(change)] += count
    found.rules = [
        RuleCount(
            entity,
            Answer(answer),
            rule,
            changes.total(),
            changes.total() - changes[Change.SAME] - changes[Change.FRESH],
        )
        for (entity, answer, rule), changes in sorted(
            counted.items(), key=lambda one: (order[one[0][0]], *one[0])
        )
    ]
    listed = 0
    for record in _records(context, wanted):
        listed += 1
        if len(found.records) < wanted.limit:
            found.records.append(record)
        if wanted.each is not None:
            wanted.each(record)
    found.more = listed - len(found.records)


def _records(context: Context, wanted: Wanted) -> Iterator[Answered]:
    work, own = context.work, context.koppeling.id
    changes = wanted.changes or [change for change in Change if change is not Change.SAME]
    answers = wanted.answers or list(Answer)
    for entity in Entity:
        if wanted.entities and str(entity) not in wanted.entities:
            continue
        for row in work.rows(
            "SELECT * FROM (SELECT a.source_key, a.answer, a.rule, a.core_id AS would, a.score, "
            f"a.candidates, l.core_id AS stands, l.rule AS by_rule, {_CHANGE} AS verschil "
            f"{_JOINED} WHERE a.entity = ?) t WHERE {work.many('t.verschil')} "
            f"AND {work.many('t.answer')} ORDER BY t.source_key",
            (
                own,
                own,
                str(entity),
                work.values(list(map(str, changes))),
                work.values(list(map(str, answers))),
            ),
        ):
            yield _answered(str(entity), row)


def _answered(entity: str, row: Sequence[Any]) -> Answered:
    key, answer, rule, core_id, score, candidates, stands, by, change = row
    cores = msgspec.json.decode(candidates, type=list[int]) if candidates else []
    return Answered(
        entity,
        key,
        Answer(answer),
        rule,
        hub_key(core_id) if core_id is not None and core_id > 0 else "",
        score,
        tuple(hub_key(one) for one in cores if one > 0),
        "" if stands is None else hub_key(stands),
        by or "",
        Change(change),
    )
