"""A case with all that a person needs to decide: the record and its candidates side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from sync_engine import correlate
from sync_engine.asked import DISAGREEMENT
from sync_engine.cases import (
    CORRELATION,
    QUARANTINE,
    CaseNote,
    CaseRow,
    as_seen,
    candidates_of,
    find_case,
    notes_of,
)
from sync_engine.cells import obtained_text
from sync_engine.claims import accepted
from sync_engine.context import Context, KoppelingRow
from sync_engine.decisions import differing
from sync_engine.explain import explain, veiled
from sync_engine.find import hub_key
from sync_engine.fold import Json, Reference, fold
from sync_engine.hub import Hub
from sync_engine.hubkeys import key_number
from sync_engine.matching import EXCHANGED
from sync_engine.names import names_of
from sync_engine.nearby import checked_field
from sync_engine.nodes import load_nodes, lookup_links
from sync_engine.options import Verdict
from sync_engine.outbox.message_cases import MESSAGE, said
from sync_engine.outbox.states import OPEN, State, listed
from sync_engine.pseudonym_cases import PSEUDONYM, pairs
from sync_engine.rules import advice
from sync_engine.store.work import Work
from sync_engine.view import store_context

AGREES: Final = "gelijk"
DIFFERS: Final = "ANDERS"
ABSENT: Final = "ontbreekt"
_ELSEWHERE: Final = (
    "Dit record lijkt ook op een record van een andere school van het bestuur. Vraag het aan een "
    "collega die voor al die scholen mag beslissen."
)
_ROWS: Final = 20
"""So many groepen, inschrijvingen and koppelingen of a candidate are told."""


@dataclass(frozen=True, slots=True)
class FieldPair:
    """One field of the record beside that of a candidate; personal numbers are masked."""

    name: str
    source: Json
    candidate: Json
    verdict: str  # gelijk, ANDERS, ontbreekt (on one of both sides)


@dataclass(slots=True)
class Candidate:
    """A core record that the source record may be.

    Attributes:
        why: the rule or score that led to it.
        fields: those that either of both has.
        known_by: koppeling/source key of every source record that it is already.
        groups: of which it is a member now; enrolments: of now and later.
        is_linked: the source record is linked to it already.
    """

    key: str
    name: str
    why: str
    closed: bool
    is_linked: bool
    fields: list[FieldPair] = field(default_factory=list)
    known_by: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    enrolments: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that a person may do, what it would mean (Dutch), and what to type.

    Attributes:
        verdict: what he decides by it; empty where it is no decision on who a record is.
        keys: hub keys of the records that it names.
    """

    meaning: str
    command: str
    verdict: str = ""
    keys: tuple[str, ...] = ()


@dataclass(slots=True)
class CaseView:
    """One case, whole; it holds personal data.

    Attributes:
        record: field → what the source says, as far as it is known.
        facts: what else there is to know of it (Dutch), one line each.
    """

    case: CaseRow
    record: dict[str, Json] = field(default_factory=dict)
    facts: list[str] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    notes: list[CaseNote] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)


def read_case(hub: Hub, number: int) -> CaseView:
    """A case with its candidates. Raises: as `cases.find_case`."""
    with hub.store.work() as work:
        case = find_case(hub, work, number)
        view = CaseView(case, notes=notes_of(hub, work, case))
    system = _system(hub, case.koppeling)
    own = KoppelingRow(case.koppeling_id, case.koppeling, system, case.tenant_id)
    with store_context(hub, case.tenant_id, koppeling=own) as context:
        if case.kind in CORRELATION:
            _Side(context, case, view).compare()
        elif case.kind == QUARANTINE:
            _quarantined(context, case, view)
        elif case.kind == DISAGREEMENT:
            _disagreeing(context, case, view)
        elif case.kind == PSEUDONYM:
            _differing(context, case, view)
        elif case.kind == MESSAGE:
            _undelivered(context.work, case, view)
        as_seen(context.work, case)
    view.choices += [
        Choice("geef de zaak aan een collega", f"koppelhub case assign {number} --to NAAM"),
        Choice("schrijf op wat u nagevraagd hebt", f"koppelhub case note {number}"),
    ]
    return view


def read_cases(hub: Hub, cases: Sequence[CaseRow]) -> Iterator[CaseView]:
    """Cases of correlation of one koppeling, each with its candidates, one after another."""
    if not cases:
        return
    first = cases[0]
    system = _system(hub, first.koppeling)
    own = KoppelingRow(first.koppeling_id, first.koppeling, system, first.tenant_id)
    with store_context(hub, first.tenant_id, koppeling=own) as context:
        for case in cases:
            view = CaseView(case)
            _Side(context, case, view).compare()
            yield view


def _system(hub: Hub, koppeling: str) -> str:
    return next((s.system for s in hub.settings.source if s.name == koppeling), "")


# -- correlation -----------------------------------------------------------------------------------


class _Side:
    """Lays a disputed record beside its candidates."""

    def __init__(self, context: Context, case: CaseRow, view: CaseView) -> None:
        self._context, self._case, self._view = context, case, view
        self._entity = Entity(case.entity)

    def compare(self) -> None:
        """Fill the view."""
        context, case, view = self._context, self._case, self._view
        correlate.prepare(context)
        found = load_nodes(context, self._entity, [case.source_key])
        if not found:
            view.facts.append("De bron levert dit record niet meer; de volgende run sluit de zaak.")
            return
        node = found[0]
        if node.gone:
            view.facts.append("De bron meldt dat dit record weg is.")
        said = self._said(node.form)
        view.record = {name: veiled(self._entity, name, value) for name, value in said.items()}
        for told in msgspec.json.decode(case.detail, type=list[dict[str, object]]):
            candidate = self._candidate(told, said, node.core_id)
            if candidate is not None:
                view.candidates.append(candidate)
        if self._context.work.is_limited and len(view.candidates) < len(candidates_of(case.detail)):
            view.facts.append(_ELSEWHERE)
            return
        adding = [context.koppelingen[number] for number in sorted(context.adding)]
        view.choices = _choices(
            context.work, case, view.candidates, str(self._entity), adding=adding
        )

    def _said(self, form: Mapping[str, Json]) -> dict[str, Json]:
        """What the source says, references as people call them."""
        known = fields_of(self._entity)
        wanted = {n: v for n, v in form.items() if n in known and v not in (None, [], "")}
        found: dict[str, Json] = {}
        for name, value in wanted.items():
            target, kind = known[name].target, known[name].kind
            if target is None:
                found[name] = value
            elif kind is Kind.MEMBERS:
                found[name] = f"{len(value) if isinstance(value, list) else 0} leden"
            else:
                links = lookup_links(self._context, target, [str(value)])
                found[name] = self._called(target, links.get(str(value)), str(value))
        return found

    def _called(self, target: Entity, core_id: int | None, key: str) -> str:
        if core_id is None:
            return f"{key} (nog niet bekend)"
        return names_of(self._context.work, target, [core_id]).get(core_id) or hub_key(core_id)

    def _candidate(
        self, told: Mapping[str, object], said: Mapping[str, Json], linked: int | None
    ) -> Candidate | None:
        work, entity = self._context.work, self._entity
        core_id = survivor(work, int(str(told["core_id"])))
        claims = accepted(self._context, entity, core_id)
        if not claims.claims.get(core_id):
            return None
        folded = fold(
            entity,
            claims.claims[core_id],
            pins=claims.pins.get(core_id, {}),
            rules=self._context.rules(),
        )
        has = {name: self._held(name, value) for name, value in folded.values.items()}
        pairs = [
            FieldPair(
                name,
                veiled(entity, name, said.get(name)),
                veiled(entity, name, has.get(name)),
                _verdict(said.get(name), has.get(name)),
            )
            for name in fields_of(entity)
            if said.get(name) is not None or has.get(name) is not None
        ]
        return Candidate(
            hub_key(core_id),
            names_of(work, entity, [core_id]).get(core_id, ""),
            _why(told),
            folded.closed,
            core_id == linked,
            pairs,
            _known_by(work, entity, core_id),
            _groups(work, core_id),
            _enrolments(work, core_id),
        )

    def _held(self, name: str, value: object) -> Json:
        """A value of the core, its references as people call them; None for nothing."""
        if isinstance(value, Reference):
            links = lookup_links(
                self._context, value.entity, [value.key], koppeling_id=value.koppeling_id
            )
            return self._called(value.entity, links.get(value.key), value.key)
        if isinstance(value, list) and fields_of(self._entity)[name].kind is Kind.MEMBERS:
            return f"{len(value)} leden" if value else None
        return None if value in (None, [], "") else value  # type: ignore[return-value] # JSON otherwise


def _verdict(source: Json, candidate: Json) -> str:
    if source is None or candidate is None:
        return ABSENT
    return AGREES if source == candidate else DIFFERS


def _why(told: Mapping[str, object]) -> str:
    if "score" in told:
        agrees = told.get("agrees")
        parts = f" ({', '.join(map(str, agrees))})" if isinstance(agrees, list) and agrees else ""
        return f"lijkt voor {round(float(str(told['score'])) * 100)}%{parts}"
    return str(told.get("rule", ""))


def survivor(work: Work, core_id: int) -> int:
    """The record that a core record was merged into; itself where it was not."""
    rows = work.execute("SELECT survivor_id FROM alias WHERE core_id = ?", (core_id,))
    return int(rows[0][0]) if rows else core_id


def _known_by(work: Work, entity: Entity, core_id: int) -> list[str]:
    rows = work.execute(
        "SELECT k.name, l.source_key, l.rule FROM link l JOIN koppeling k "
        "ON k.id = l.koppeling_id WHERE l.core_id = ? AND l.entity = ? "
        f"ORDER BY k.name, l.source_key LIMIT {_ROWS}",
        (core_id, str(entity)),
    )
    return [f"{name}/{key} ({rule})" for name, key, rule in rows]


def _groups(work: Work, core_id: int) -> list[str]:
    rows = work.execute(
        "SELECT g.naam, g.soort, g.schooljaar, d.rol FROM groepsdeelname d "
        "JOIN groep g ON g.id = d.groep_id WHERE d.persoon_id = ? AND NOT d.beeindigd "
        f"ORDER BY g.schooljaar DESC, g.naam LIMIT {_ROWS}",
        (core_id,),
    )
    return [
        " ".join(str(part) for part in (kind, name, year, f"als {role}") if part)
        for name, kind, year, role in rows
    ]


def _enrolments(work: Work, core_id: int) -> list[str]:
    rows = work.execute(
        "SELECT v.naam, i.leerjaar, i.geldig_van, i.geldig_tot FROM inschrijving i "
        "LEFT JOIN vestiging v ON v.id = i.vestiging_id WHERE i.leerling_id = ? "
        f"ORDER BY i.geldig_van DESC LIMIT {_ROWS}",
        (core_id,),
    )
    return [
        f"{name or 'onbekende vestiging'}, leerjaar {year or '-'}, vanaf {start or '?'}"
        + (f" tot {end}" if end else "")
        for name, year, start, end in rows
    ]


def _choices(
    work: Work,
    case: CaseRow,
    candidates: Sequence[Candidate],
    noun: str,
    *,
    adding: Sequence[str],
) -> list[Choice]:
    """What each decision would do; a decision is remembered and can be taken back.

    Whose a record of a koppeling is that only adds (`adding`) is no question: it says so itself.
    """
    linked = next((c for c in candidates if c.is_linked), None)
    says_who = case.koppeling in adding
    number = case.id
    entity = "" if case.entity == Entity.LEERLING else f" --entity {case.entity}"
    exchanged = case.rule.startswith(EXCHANGED)
    made = []
    for c in candidates:
        if c.is_linked or exchanged or says_who:
            continue
        warning, option = _beware(work, *([] if linked is None else [linked.key, c.key]))
        made.append(
            Choice(
                f"dit bronrecord is {c.key} {c.name}: voortaan vult het die {noun} aan; "
                f"het zegt iets anders over {_named(c)}{warning}",
                f"koppelhub case link {number} --to {c.key}{option}",
                Verdict.LINK,
                (c.key,),
            )
        )
    keys = [c.key for c in candidates]
    if linked is not None and exchanged:
        made.append(
            Choice(
                f"de school heeft het zo bedoeld: dit bronrecord blijft {linked.key}, met alles "
                "wat de bron er nu van zegt; de andere zaak sluit dan vanzelf",
                f"koppelhub case link {number} --to {linked.key}",
                Verdict.LINK,
                (linked.key,),
            )
        )
    if len(keys) > 1 and not exchanged:
        warning, option = _beware(work, *keys[:2])
        made.append(
            Choice(
                f"{keys[0]} en {keys[1]} zijn dezelfde {noun}: groepen, inschrijvingen en "
                f"resultaten gaan naar de oudste{warning}",
                f"koppelhub case merge {keys[0]} {keys[1]}{entity}{option}",
                Verdict.MERGE,
                (keys[0], keys[1]),
            )
        )
    if says_who:
        return made
    if linked is None:
        made += [
            Choice(
                f"dit is geen van hen: maak een nieuwe {noun}",
                f"koppelhub case create {number}",
                Verdict.CREATE,
            ),
            Choice(
                "neem dit bronrecord nooit over in de kern",
                f"koppelhub case ignore {number}",
                Verdict.IGNORE,
            ),
        ]
    elif _is_shared(linked, adding):  # alone it is that record, and nothing is left to part
        made.append(
            Choice(
                f"dit bronrecord hoort niet bij {linked.key}: maak het los, het wordt een eigen "
                f"{noun}",
                f"koppelhub case split --source {case.koppeling} --record {case.source_key}"
                f"{entity}",
                Verdict.SPLIT,
            )
        )
    return made


def _beware(work: Work, *keys: str) -> tuple[str, str]:
    """What is to be said of two who are made one, and typed, where their numbers differ."""
    numbers = [number for key in keys if (number := key_number(key)) is not None]
    kinds = differing(work, *numbers) if len(numbers) == len(keys) == 2 else []
    if not kinds:
        return "", ""
    return f". Let op: hun {' en '.join(kinds)} verschilt, dus vast twee personen", _DIFFER


_DIFFER: Final = " --numbers-differ"


def _is_shared(candidate: Candidate, adding: Sequence[str]) -> bool:
    """Whether more than one source record makes it."""
    return sum(known.partition("/")[0] not in adding for known in candidate.known_by) > 1


def _named(candidate: Candidate) -> str:
    return ", ".join(p.name for p in candidate.fields if p.verdict == DIFFERS) or "niets"


# -- other kinds -----------------------------------------------------------------------------------


def _quarantined(context: Context, case: CaseRow, view: CaseView) -> None:
    work = context.work
    for path, rule, label, since, kept in work.execute(
        "SELECT q.path, q.rule, s.label, r.started_at, q.salt IS NOT NULL FROM quarantine q "
        "JOIN scope s ON s.id = q.scope_id LEFT JOIN run r ON r.id = q.first_run "
        "WHERE s.koppeling_id = ? AND s.resource = ? AND q.source_key = ? ORDER BY q.id",
        (case.koppeling_id, case.entity, case.source_key),
    ):
        where = f" in {label}" if label else ""
        view.facts.append(f"Veld {path}{where}: {rule}, sinds {str(since)[:10]}.")
        view.facts.append(advice(context.koppeling.system or "de bron", path, rule))
        if not kept:
            view.facts.append("De inhoud is over zijn bewaartermijn en niet meer te proberen.")
    rows = work.execute(
        "SELECT DISTINCT l.core_id, s.entity FROM scope p JOIN source_record r "
        "ON r.scope_id = p.id JOIN shadow s ON s.record_id = r.id JOIN link l "
        "ON l.koppeling_id = s.koppeling_id AND l.entity = s.entity "
        "AND l.source_key = s.source_key WHERE p.koppeling_id = ? AND p.resource = ? "
        "AND r.source_key = ? ORDER BY s.entity, l.core_id LIMIT 5",
        (case.koppeling_id, case.entity, case.source_key),
    )
    for core_id, entity in rows:
        name = names_of(work, Entity(entity), [core_id]).get(core_id, "")
        view.facts.append(
            f"De kern kent het van vóór de fout, als {entity} {hub_key(core_id)} {name}".rstrip()
            + "; dat blijft zoals het was."
        )
    source, key = case.koppeling, case.source_key
    view.choices.append(
        Choice(
            "probeer het opnieuw, na een nieuwe versie van Koppelhub",
            f"koppelhub quarantine retry --source {source} --only {key}",
        )
    )


def _disagreeing(context: Context, case: CaseRow, view: CaseView) -> None:
    entity = Entity(case.entity)
    links = _core_of(context, entity, case.source_key)
    if links is None:
        view.facts.append("Dit record is er niet meer; de volgende run sluit de zaak.")
        return
    key = hub_key(links)
    told = explain(context, entity, links)
    for reason in told.fields:
        if reason.name not in case.rule.split(", "):
            continue
        view.record[reason.name] = reason.value
        view.facts += [
            f"{reason.name}: {claim.koppeling} zegt {claim.value} (sinds {claim.since})"
            for claim in reason.claims
        ]
    for name in case.rule.split(", "):
        view.choices.append(
            Choice(
                f"leg de juiste waarde van {name} vast",
                f"koppelhub pin set {entity} {key} {checked_field(name, entity)}",
            )
        )
    view.choices.append(
        Choice(
            "laat de school een van beide bronnen verbeteren; de zaak sluit dan vanzelf",
            f"koppelhub explain {entity} {key}",
        )
    )


def _differing(context: Context, case: CaseRow, view: CaseView) -> None:
    """An ECK iD that is delivered beside those that were obtained, each by its end."""
    entity = Entity(case.entity)
    core_id = _core_of(context, entity, case.source_key)
    if core_id is None:
        view.facts.append("Dit record is er niet meer; de volgende run sluit de zaak.")
        return
    key, told = hub_key(core_id), {r.name: r for r in explain(context, entity, core_id).fields}
    for delivered, obtained in pairs(entity):
        if delivered not in case.rule.split(", "):
            continue
        for name, verb in ((delivered, "levert"), (obtained, "verkreeg")):
            if name not in told:
                continue
            view.record[name] = told[name].value
            lines = [
                f"{claim.koppeling} {verb} {_shown(claim.value)} (sinds {claim.since})"
                for claim in told[name].claims
                if claim.value is not None
            ]
            view.facts += dict.fromkeys(lines)  # a source may say it of more schooljaren
        view.choices.append(
            Choice(
                "laat de school het ECK iD in haar administratie opnieuw ophalen of weghalen; de "
                "zaak sluit dan vanzelf. Is hij daar aan een ander kind gegeven, of klopt zijn "
                "BSN niet, dan is dat eerst te verbeteren",
                f"koppelhub explain {entity} {key}",
            )
        )
        view.choices.append(
            Choice(
                "het geleverde ECK iD blijft gelden: leg het vast; het verkregene blijft ernaast "
                "staan",
                f"koppelhub pin set {entity} {key} {checked_field(delivered, entity)}",
            )
        )


def _shown(value: Json) -> str:
    if not isinstance(value, dict):
        return str(value)
    return obtained_text(value) if "keten" in value else str(value.get("waarde"))


def _core_of(context: Context, entity: Entity, key: str) -> int | None:
    """The core id of one record of the koppeling of this context."""
    rows = context.work.execute(
        "SELECT core_id FROM link WHERE koppeling_id = ? AND entity = ? AND source_key = ?",
        (context.koppeling.id, str(entity), key),
    )
    return int(rows[0][0]) if rows else None


# -- a message that a target refused ---------------------------------------------------------------


def _undelivered(work: Work, case: CaseRow, view: CaseView) -> None:
    """What the target said, what goes now, and what a person can do about it."""
    view.facts.append(f"Het andere systeem zei: {case.rule}.")
    core_id = key_number(case.source_key) or 0
    rows = work.execute(
        "SELECT id, state, code, error FROM outbox WHERE koppeling_id = ? AND entity = ? "
        f"AND core_id = ? AND state IN ({listed(OPEN)}) ORDER BY id",
        (case.koppeling_id, case.entity, core_id),
    )
    for number, state, code, rule in rows:
        if state != State.UNDELIVERABLE:
            view.facts.append(f"Bericht {number} is onderweg; komt het aan, dan sluit de zaak.")
            continue
        view.facts.append(f"Bericht {number} is geweigerd ({said(code, rule)}).")
        again = f"koppelhub outbox deliver --again {number}"
        view.choices += [
            Choice("bekijk wat er in het bericht staat", f"koppelhub outbox show {number}"),
            Choice("het andere systeem is verbeterd: stuur het opnieuw", again),
            Choice(
                "stuur het niet, tot er iets verandert",
                f'koppelhub outbox refuse {number} --why "..."',
            ),
        ]
    view.facts.append(
        "Verbeter het gegeven in de bron: de run daarna maakt vanzelf een nieuw bericht."
    )
