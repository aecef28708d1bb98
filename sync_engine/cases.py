"""Cases: what no rule can decide, who looks at it, and what was written down with it.

A case follows from the data: it opens when a run finds the doubt and closes when a later one finds
it gone, by itself or because a person decided. Cases of quarantined records are kept so too.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from config.clock import local_minute
from config.nearest import choice
from sync_engine.actor import Actor, named_actor
from sync_engine.asked import DISAGREEMENT
from sync_engine.audit import note, note_within
from sync_engine.context import Context
from sync_engine.errors import SyncError
from sync_engine.hub import Hub
from sync_engine.nearby import near_numbers
from sync_engine.outbox.message_cases import MESSAGE
from sync_engine.pseudonym_cases import PSEUDONYM
from sync_engine.reach import seen_among
from sync_engine.rows import new_salt
from sync_engine.selection import Selection
from sync_engine.store.values import instant
from sync_engine.store.work import Row, Work

QUARANTINE: Final = "quarantine"
KINDS: Final = {
    "contradiction": "sleutels spreken elkaar tegen",
    "match": "een sleutel past; een mens beslist",
    "score": "lijkt op een ander",
    "unmatched": "nieuw; een mens beslist",
    QUARANTINE: "kan niet gelezen worden",
    DISAGREEMENT: "bronnen zijn het oneens",
    PSEUDONYM: "ECK iD geleverd is niet ECK iD verkregen",
    MESSAGE: "een ander systeem weigert een bericht",
}
"""Kind → what it is, for people."""
CORRELATION: Final = ("contradiction", "match", "score", "unmatched")
STATES: Final = ("open", "closed", "all")
_LONGEST_NOTE: Final = 4_000

_CLOSES: Final = {
    **dict.fromkeys(
        CORRELATION,
        "Deze zaak sluit vanzelf bij de run die geen twijfel meer vindt, of door een beslissing: "
        "`koppelhub case show {number}` noemt ze.",
    ),
    QUARANTINE: "Deze zaak sluit vanzelf zodra de bron het record zonder de fout levert; "
    "`koppelhub quarantine retry` probeert het nu opnieuw.",
    DISAGREEMENT: "Deze zaak sluit vanzelf zodra de bronnen hetzelfde zeggen, of door de waarde "
    "vast te zetten: `koppelhub pin set`.",
    PSEUDONYM: "Deze zaak sluit vanzelf zodra de administratie het ECK iD levert dat de hub "
    "verkreeg, of geen meer; of door het geleverde vast te zetten: `koppelhub pin set`.",
    MESSAGE: "Deze zaak sluit vanzelf zodra het bericht is afgeleverd of niet meer nodig is: "
    "verbeter het gegeven in de bron, of stuur het opnieuw of niet met `koppelhub outbox`.",
}
"""Kinds that follow from the data → how such a case closes."""


@dataclass(frozen=True, slots=True)
class CaseNote:
    """What a person wrote down; it may hold personal data."""

    at: str
    operator: str
    text: str


@dataclass(slots=True)
class CaseRow:
    """One case, in a list: no personal data but the source's own key.

    Attributes:
        entity: of the record; of a quarantined one the source's resource.
        since: when the run began that opened it.
        closed_at: when it was closed, by whom; empty where a run did.
    """

    id: int
    kind: str
    koppeling: str
    entity: str
    source_key: str
    state: str
    rule: str
    since: str
    assignee: str | None
    notes: int
    closed_by: str | None
    closed_at: str | None
    tenant_id: int = field(default=0)
    koppeling_id: int = field(default=0)
    detail: str = field(default="[]")


def list_cases(
    hub: Hub,
    work: Work,
    chosen: Selection,
    *,
    kind: str | None = None,
    state: str = "open",
    assignee: str | None = None,
    limit: int = 50,
) -> tuple[list[CaseRow], int]:
    """(cases, oldest first; how many there are besides).

    Args:
        hub: the installation.
        work: of the hub.
        chosen: koppelingen and scopes.
        kind: only of this kind.
        state: open, closed or all.
        assignee: only those that this person looks at.
        limit: at most so many.
    """
    condition, params = _asked(work, chosen, kind=kind, state=state, assignee=assignee)
    source = f"FROM zaak z JOIN koppeling k ON k.id = z.koppeling_id WHERE {condition}"
    total = int(work.execute(f"SELECT COUNT(*) {source}", params)[0][0])
    found = [as_seen(work, case) for case in _rows(work, condition, params, limit=limit)]
    return found, total - len(found)


def each_case(
    work: Work,
    chosen: Selection,
    *,
    kind: str | None = None,
    state: str = "open",
    assignee: str | None = None,
) -> Generator[CaseRow, None, None]:
    """All of them, oldest first, in bounded memory; see `list_cases`."""
    condition, params = _asked(work, chosen, kind=kind, state=state, assignee=assignee)
    for case in _each(work, condition, params):
        yield as_seen(work, case)


def _asked(
    work: Work, chosen: Selection, *, kind: str | None, state: str, assignee: str | None
) -> tuple[str, list[object]]:
    """Condition of the cases that are asked for, with its parameters."""
    in_scope, of_scope = _in_scopes(work, chosen)
    where = [work.many("k.id"), in_scope]
    params: list[object] = [work.values(list(chosen.koppelingen)), *of_scope]
    for column, value in (("z.kind", kind), ("z.assignee", assignee)):
        if value is not None:
            where.append(f"{column} = ?")
            params.append(value)
    if state != "all":
        where.append("z.state = ?")
        params.append(state)
    return " AND ".join(where), params


def _in_scopes(work: Work, chosen: Selection) -> tuple[str, list[object]]:
    """Condition that the record of case `z` stands in a scope that was chosen."""
    if chosen.scopes is None:
        return "true", []
    scopes = work.values(chosen.scopes)
    shadows = (
        "SELECT 1 FROM shadow s WHERE s.koppeling_id = z.koppeling_id AND s.entity = z.entity "
        f"AND s.source_key = z.source_key AND {work.many('s.scope_id')}"
    )
    held = (
        "SELECT 1 FROM scope p JOIN quarantine q ON q.scope_id = p.id "
        "WHERE p.koppeling_id = z.koppeling_id AND p.resource = z.entity "
        f"AND q.source_key = z.source_key AND {work.many('p.id')}"
    )
    condition = f"(EXISTS ({shadows}) OR (z.kind = '{QUARANTINE}' AND EXISTS ({held})))"
    return condition, [scopes, scopes]


def _rows(work: Work, where: str, params: Sequence[object], *, limit: int) -> list[CaseRow]:
    return list(_each(work, where, params, bounds=f"LIMIT {limit:d}"))


def _each(
    work: Work, where: str, params: Sequence[object], *, bounds: str = ""
) -> Iterator[CaseRow]:
    rows = work.rows(
        "SELECT z.id, z.kind, k.name, z.entity, z.source_key, z.state, z.rule, r.started_at, "
        "z.assignee, (SELECT COUNT(*) FROM zaak_notitie n WHERE n.case_id = z.id), z.closed_by, "
        "COALESCE(z.closed_at, c.finished_at), z.tenant_id, z.koppeling_id, z.detail FROM zaak z "
        "JOIN koppeling k ON k.id = z.koppeling_id LEFT JOIN run r ON r.id = z.opened_run "
        f"LEFT JOIN run c ON c.id = z.closed_run WHERE {where} ORDER BY z.id {bounds}",
        params,
    )
    for row in rows:
        yield _row(row)


def _row(row: Row) -> CaseRow:
    case = CaseRow(*row)
    case.since = str(case.since or "")
    return case


def candidates_of(detail: str) -> set[int]:
    """Core ids of the records that a case names."""
    told = msgspec.json.decode(detail)
    listed = told if isinstance(told, list) else []
    return {item["core_id"] for item in listed if isinstance(item, dict) and "core_id" in item}


def as_seen(work: Work, case: CaseRow) -> CaseRow:
    """A case without the candidates that are not seen."""
    if work.is_limited:
        listed = msgspec.json.decode(case.detail)
        seen = seen_among(work, candidates_of(case.detail))
        kept = [one for one in listed if isinstance(one, dict) and one.get("core_id") in seen]
        case.detail = msgspec.json.encode(kept).decode()
    return case


def open_cases(work: Work, koppelingen: Sequence[int]) -> dict[int, tuple[int, str | None]]:
    """Koppeling id → (open cases, since when the oldest is), quarantine aside; only if any."""
    return {
        number: (count, since)
        for number, count, since in work.execute(
            "SELECT z.koppeling_id, COUNT(*), MIN(r.started_at) FROM zaak z "
            "LEFT JOIN run r ON r.id = z.opened_run WHERE z.state = 'open' AND z.kind <> ? "
            f"AND {work.many('z.koppeling_id')} GROUP BY z.koppeling_id",
            (QUARANTINE, work.values(koppelingen)),
        )
    }


def find_case(hub: Hub, work: Work, number: int) -> CaseRow:
    """One case.

    Raises: SyncError if there is none that the actor may see; it names the nearest.
    """
    mine = work.values(list(hub.tenants(work)))
    found = _rows(work, f"z.id = ? AND {work.many('z.tenant_id')}", (number, mine), limit=1)
    if not found:
        near = near_numbers(work, f"zaak WHERE {work.many('tenant_id')}", "id", number, (mine,))
        raise SyncError(f"there is no case {number}", advice=f"{near} Zie `koppelhub case list`.")
    return found[0]


def _open_case(hub: Hub, work: Work, number: int) -> CaseRow:
    case = find_case(hub, work, number)
    if case.state != "open":
        by = f" door {case.closed_by}" if case.closed_by else " door een run"
        at = instant(case.closed_at) if case.closed_at else None
        when = f" op {local_minute(at, hub.settings.timezone)}" if at is not None else ""
        raise SyncError(f"case {number} is closed", advice=f"Deze zaak is al gesloten{by}{when}.")
    return case


def colleagues(hub: Hub, work: Work, case: CaseRow) -> list[str]:
    """The operators of the configuration who may see a case."""
    tenant = hub.tenants(work).get(case.tenant_id)
    found = []
    for operator in hub.settings.operator:
        actor = named_actor(hub.settings, operator.name, origin="")
        if actor.tenants is None or tenant in actor.tenants or _is_seen_by(hub, actor, case):
            found.append(operator.name)
    return found


def _is_seen_by(hub: Hub, actor: Actor, case: CaseRow) -> bool:
    """Whether a case is of a school of somebody who may act for some schools."""
    if not actor.is_limited:
        return False
    with replace(hub, actor=actor).store.work() as own:
        return bool(own.execute("SELECT 1 FROM zaak WHERE id = ?", (case.id,)))


def assign(hub: Hub, number: int, *, to: str | None, operator: str) -> CaseRow:
    """Give a case to a person; None takes it from whoever had it.

    Raises: SyncError if there is no such open case, or no operator of that name who may see it; it
        names the nearest who may.
    """
    with hub.store.work() as work:
        case = _open_case(hub, work, number)
        known = colleagues(hub, work, case)
        if to is not None and hub.settings.operator and to not in known:
            raise SyncError(f"there is no operator {to!r}", advice=choice(to, known))
        with work.transaction():
            work.execute(f"UPDATE {work.real('zaak')} SET assignee = ? WHERE id = ?", (to, number))
            note_within(
                hub,
                work,
                operator=operator,
                action="case assign",
                subject=f"case {number}",
                why="" if to is None else f"to {to}",
            )
    case.assignee = to
    return case


def write_note(hub: Hub, number: int, text: str, *, operator: str) -> None:
    """Write something down with a case, encrypted.

    Raises: SyncError if there is no such case, or the text is empty or too long.
    """
    text = text.strip()
    if not text or len(text) > _LONGEST_NOTE:
        raise SyncError(
            f"a note has 1 to {_LONGEST_NOTE} characters",
            advice="Schrijf een kortere notitie."
            if text
            else "Typ de notitie, of geef haar op standaardinvoer.",
        )
    with hub.store.work() as work:
        case = find_case(hub, work, number)
        salt = new_salt()
        sealed = hub.cipher(case.tenant_id).person(salt).encrypt(text.encode(), _context(number))
        with work.transaction():
            work.execute(
                "INSERT INTO zaak_notitie (case_id, at, operator, salt, body) "
                "VALUES (?, ?, ?, ?, ?)",
                (number, hub.clock.now(), operator, salt, sealed),
            )
            note_within(hub, work, operator=operator, action="case note", subject=f"case {number}")


def notes_of(hub: Hub, work: Work, case: CaseRow) -> list[CaseNote]:
    """What was written down with a case, oldest first; what was erased is left out."""
    cipher = hub.cipher(case.tenant_id)
    return [
        CaseNote(at, operator, cipher.person(salt).decrypt(body, _context(case.id)).decode())
        for at, operator, salt, body in work.execute(
            "SELECT at, operator, salt, body FROM zaak_notitie WHERE case_id = ? ORDER BY id",
            (case.id,),
        )
        if salt is not None
    ]


def _context(number: int) -> bytes:
    return b"notitie|%d" % number


def closable(hub: Hub, number: int) -> CaseRow:
    """An open case that a person may close by hand.

    Raises: SyncError if there is none of that number, or if it follows from the data: it would be
        open again after the next run; the advice says how such a case closes.
    """
    with hub.store.work() as work:
        case = _open_case(hub, work, number)
    if case.kind in _CLOSES:
        raise SyncError(
            f"a case of kind {case.kind} follows from the data and is not closed by hand",
            advice=_CLOSES[case.kind].format(number=number),
        )
    return case


def close(hub: Hub, number: int, *, why: str, operator: str) -> None:
    """Close a case by hand. Raises: as `closable`."""
    closable(hub, number)
    with hub.store.work() as work, work.transaction():
        work.execute(
            f"UPDATE {work.real('zaak')} SET state = 'closed', closed_by = ?, closed_at = ? "
            "WHERE id = ? AND state = 'open'",
            (operator, hub.clock.now(), number),
        )
        note_within(
            hub,
            work,
            operator=operator,
            action="case close",
            subject=f"case {number}",
            why=why,
        )


def note_look(hub: Hub, work: Work, subject: str, *, action: str, operator: str) -> None:
    """Put in the audit trail that a person looks at cases."""
    note(hub, work, operator=operator, action=action, subject=subject)


# -- cases of quarantine ---------------------------------------------------------------------------


def keep_quarantine_cases(context: Context) -> None:
    """One open case for each record of this koppeling in quarantine; it closes when that leaves.

    A record that stands in several scopes is one case.
    """
    work, own = context.work, context.koppeling.id
    held = (
        "FROM quarantine q JOIN scope s ON s.id = q.scope_id WHERE s.koppeling_id = ? "
        "AND s.resource = {0} AND q.source_key = {1}"
    )
    with work.transaction():
        work.execute(
            "UPDATE zaak SET state = 'closed', closed_run = ?, closed_at = ? "
            "WHERE koppeling_id = ? AND state = 'open' AND kind = ? AND NOT EXISTS "
            f"(SELECT 1 {held.format('zaak.entity', 'zaak.source_key')})",
            (context.run_id, context.now, own, QUARANTINE, own),
        )
        work.execute(
            "INSERT INTO zaak (tenant_id, koppeling_id, kind, entity, source_key, state, rule, "
            "detail, opened_run) SELECT ?, ?, ?, s.resource, q.source_key, 'open', "
            "MIN(q.path || ': ' || q.rule), '[]', ? FROM quarantine q "
            "JOIN scope s ON s.id = q.scope_id WHERE s.koppeling_id = ? AND NOT EXISTS "
            "(SELECT 1 FROM zaak z WHERE z.koppeling_id = s.koppeling_id AND z.state = 'open' "
            "AND z.kind = ? AND z.entity = s.resource AND z.source_key = q.source_key) "
            "GROUP BY s.resource, q.source_key ORDER BY s.resource, q.source_key "
            "ON CONFLICT DO NOTHING",
            (context.koppeling.tenant_id, own, QUARANTINE, context.run_id, own, QUARANTINE),
        )
