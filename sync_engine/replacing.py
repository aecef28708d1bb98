"""Replacing: a leerling whose PGN changed keeps his pseudonyms, by the word of two persons.

    proposed ──approve, by another──► approved ──on its day──► done
       │  └──────── withdraw ─────────┘   │  └─ cannot any more ──► refused
       ▼                                  └─ another pseudonym ──► alarm ──withdraw──► withdrawn
    withdrawn

It cannot be undone where it is carried out, so nobody does it alone; but where the source itself
says that both numbers are of this one leerling, who proposed it may approve it. The former number
is read from the encrypted journal for the one call, and kept nowhere: what is remembered of both
are keyed marks. Each step is a line of the audit trail, the one before the call included.
Spec: eckid.md, section 12 (that it takes two persons ASSUMED).
"""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

import msgspec

from config.operators import SYSTEM
from config.sources import Source
from connectors.errors import ConnectorError, PseudonymDiffersError
from connectors.pseudonyms import Pseudonyms
from connectors.stores import Pupil
from mappings.canonical.fields import Entity
from sync_engine.audit import note, note_within
from sync_engine.context import KoppelingRow
from sync_engine.errors import NoRightError, StalePlanError, StoreError, SyncError
from sync_engine.exchanges import Detail, Exchange, Exchanges
from sync_engine.find import find_leerlingen, hub_key
from sync_engine.former_pgn import Pgn, former_pgns, is_told_together, whose_now
from sync_engine.hub import Hub
from sync_engine.pseudonyms import pseudonyms_of
from sync_engine.store.locks import lease
from sync_engine.store.work import Work
from sync_engine.switches import read_switch, refuse_in_maintenance

_log = logging.getLogger(__name__)

KIND: Final = "pgn"
"""Kind of the exchanges."""


class State(StrEnum):
    """Where a replacement stands."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    DONE = "done"
    WITHDRAWN = "withdrawn"
    REFUSED = "refused"  # the numbers are not there any more, or are others than was approved
    ALARM = "alarm"  # the system named another pseudonym: a person must find out


OPEN: Final = frozenset({State.PROPOSED, State.APPROVED, State.ALARM})
"""What is not over: there is one at a time for each leerling."""

_BY_HAND: Final = (
    "Het vorige PGN staat niet (meer) in het journaal van de hub, dus het kan niet worden "
    "vervangen. Laat de school het oude en het nieuwe nummer zelf aan de Nummervoorziening melden "
    "(docs/eckid-school.md, Vervangen met de hand). Tot die tijd houdt deze leerling zijn ECK iD."
)
_NOT_CHANGED: Final = (
    "Van deze leerling is geen ECK iD met een ander PGN verkregen: er valt niets te vervangen. Zie "
    "`koppelhub eckid status --school BRIN`."
)
_NO_PGN: Final = (
    "De hub heeft geen PGN van deze leerling, of mag het niet gebruiken. Zie `koppelhub eckid "
    "status --school BRIN` voor wat de school moet doen."
)
_TWO: Final = (
    "Vervangen kan niet ongedaan worden gemaakt. Laat een collega het voorstel bekijken en zelf "
    "`koppelhub eckid approve` geven."
)


class Marks(msgspec.Struct, frozen=True):
    """What of both numbers is remembered, so that what is carried out is what was approved."""

    former: str
    now: str

    def __repr__(self) -> str:
        """No value: a mark tells one number from another."""
        return "<Marks>"


@dataclass(frozen=True, slots=True)
class Replacement:
    """One replacement, as people see it; no personal data.

    Attributes:
        key: hub key of the leerling.
        on: the day from which on it is carried out, ISO.
        alone: the source says that both numbers are his: one person is enough.
        error, advice: why it was not carried out, where it was tried.
    """

    koppeling: str
    key: str
    state: State
    on: str
    why: str
    proposed_by: str
    approved_by: str
    alone: bool
    error: str
    advice: str
    changed_at: str

    @property
    def is_open(self) -> bool:
        """Whether anything is still to be done with it."""
        return self.state in OPEN


# -- what persons do -------------------------------------------------------------------------------


def propose(hub: Hub, text: str, *, why: str, on: date | None, operator: str) -> Replacement:
    """Propose that a leerling goes on under his present PGN with the pseudonyms that he has.

    Args:
        hub: the installation.
        text: hub key or leerlingnummer.
        why: the reason, without names or numbers.
        on: not before this day; None is today.
        operator: who proposes it.

    Raises: SyncError if there is no such leerling, his PGN is the one that his pseudonyms were
        obtained with, the former one is not known any more, or one is proposed already.
    """
    _refuse_system(operator)
    core_id, tenant_id = _leerling(hub, text)
    source, pupil, former, alone = _changed(hub, core_id, tenant_id)
    exchanges = hub.exchanges(source.name)
    detail: Detail = {
        "on": (on or date.fromisoformat(hub.today())).isoformat(),
        "why": why,
        "proposed_by": operator,
        "alone": alone,
    }
    before = _of(exchanges, core_id)
    if before is not None and before.state in OPEN:
        raise _standing_already(before)
    body = msgspec.json.encode(_marks(hub, source, pupil, former))
    with hub.store.work() as work, work.transaction():
        if before is None:
            made = exchanges.open(
                Entity.LEERLING,
                core_id,
                KIND,
                state=State.PROPOSED,
                operator=operator,
                detail=detail,
                body=body,
                within=work,
            )
        else:
            made = exchanges.move(
                before, State.PROPOSED, operator=operator, detail=detail, body=body, within=work
            )
        _note(hub, work, operator, "pgn propose", core_id, why)
    return _shown(source.name, made)


def approve(hub: Hub, text: str, *, operator: str) -> Replacement:
    """Approve a replacement, and carry it out where its day has come.

    One that is approved already is carried out; whoever asks for that decides nothing.

    Raises: NoRightError to who proposed it; SyncError if there is none to approve; RunActiveError
        while a run of the koppeling is under way; MaintenanceError, ConnectorError where it could
        not be carried out now: it stays approved.
    """
    _refuse_system(operator)
    source, exchange = _open(hub, text, {State.PROPOSED, State.APPROVED})
    row, exchanges = hub.koppeling(source.name), hub.exchanges(source.name)
    with hub.store.work() as work, lease(hub.store, f"koppeling-{row.id}", on=work):
        if exchange.state == State.PROPOSED:
            exchange = _approved(hub, work, exchanges, exchange, operator)
        if not _has_come(hub, exchange):
            return _shown(source.name, exchange)
        refuse_in_maintenance(read_switch(work, row.id), koppeling=row.name, now=hub.clock.now())
        with pseudonyms_of(hub, source) as (_, asked):
            carried = _Carrier(hub, source, asked, operator=operator)
            return _shown(source.name, carried.carry_out(work, exchange))


def waiting(hub: Hub, text: str) -> Replacement:
    """The replacement of a leerling that is to be approved or carried out.

    Raises: SyncError if there is none.
    """
    source, exchange = _open(hub, text, {State.PROPOSED, State.APPROVED})
    return _shown(source.name, exchange)


def withdraw(hub: Hub, text: str, *, why: str, operator: str) -> Replacement:
    """Take a replacement back that was not carried out; of an alarm it says that it was seen to.

    Raises: SyncError if there is none.
    """
    source, exchange = _open(hub, text, OPEN)
    exchanges = hub.exchanges(source.name)
    with hub.store.work() as work, work.transaction():
        gone = exchanges.move(
            exchange,
            State.WITHDRAWN,
            operator=operator,
            detail={**exchange.detail, "why": why},
            forget=True,
            within=work,
        )
        _note(hub, work, operator, "pgn withdraw", exchange.core_id, why)
    return _shown(source.name, gone)


def replacements(
    hub: Hub, sources: Sequence[Source], *, everything: bool = False
) -> list[Replacement]:
    """The replacements of some koppelingen, oldest first; of what is over only where asked."""
    states = None if everything else OPEN
    return [
        _shown(source.name, exchange)
        for source in sources
        for exchange in hub.exchanges(source.name).of_kind(KIND, states=states)
    ]


def carry_out_due(hub: Hub, row: KoppelingRow, asked: Pseudonyms, work: Work) -> int:
    """Carry out what is approved and whose day has come; how many ended, well or not.

    For a run of the koppeling, which holds its lease. What the system cannot do now stays approved.
    """
    exchanges = hub.exchanges(row.name)
    due = [
        exchange
        for exchange in exchanges.of_kind(KIND, states={State.APPROVED})
        if _has_come(hub, exchange)
    ]
    carrier = _Carrier(hub, hub.settings.find_source(row.name), asked, operator=hub.actor.name)
    ended = 0
    for exchange in due:
        try:
            ended += carrier.carry_out(work, exchange).state != State.APPROVED
        except (ConnectorError, StalePlanError) as error:
            _log.warning("%s: a replacement waits: %s", hub_key(exchange.core_id), error)
    return ended


# -- carrying it out -------------------------------------------------------------------------------


class _Carrier:
    """Carries replacements out, with the connector of their koppeling."""

    def __init__(self, hub: Hub, source: Source, asked: Pseudonyms, *, operator: str) -> None:
        self._hub, self._source, self._asked = hub, source, asked
        self._operator = operator
        self._exchanges = hub.exchanges(source.name)

    def carry_out(self, work: Work, exchange: Exchange) -> Exchange:
        """Do it, and write down what came of it.

        Killed at any moment it stays approved, and the next one ends where this would have: the
        same call gives the same answer.
        Raises: ConnectorError where the system cannot do it now; StalePlanError if it was changed
            meanwhile.
        """
        core_id = _became(work, exchange.core_id)
        marks = msgspec.json.decode(self._exchanges.body(exchange), type=Marks)
        try:
            pupil, former = _present(self._hub, self._source, self._asked, core_id)
        except StoreError:
            raise
        except SyncError as error:
            return self._end(work, exchange, State.REFUSED, error)
        now = _marks(self._hub, self._source, pupil, former)
        if former is None and now.now == marks.now:  # it was done, and nobody could say so
            return self._end(work, exchange, State.DONE)
        if former is None or now != marks:
            changed = SyncError(
                "the numbers are others than those that were approved",
                advice="Het PGN is sinds het voorstel weer veranderd. Bekijk de leerling en doe "
                "zo nodig een nieuw voorstel met `koppelhub eckid replace`.",
            )
            return self._end(work, exchange, State.REFUSED, changed)
        why = "former and new PGN are used for one call"
        _note_alone(self._hub, work, self._operator, "pgn replace", core_id, why)
        try:
            self._asked.renumber(pupil, former=former)
        except PseudonymDiffersError as error:
            _log.error("%s: another pseudonym than the one that is kept", pupil.key)
            return self._end(work, exchange, State.ALARM, error)
        except ConnectorError as error:
            self._end(work, exchange, State.APPROVED, error)
            raise
        return self._end(work, exchange, State.DONE)

    def _end(
        self,
        work: Work,
        exchange: Exchange,
        state: State,
        error: ConnectorError | SyncError | None = None,
    ) -> Exchange:
        told = {"error": "" if error is None else str(error)}
        told["advice"] = "" if error is None else error.advice
        over = state in {State.DONE, State.REFUSED}
        if state in {State.DONE, State.ALARM}:  # so it is, whatever was decided meanwhile
            exchange = self._exchanges.read(exchange.number)
        with work.transaction():
            moved = self._exchanges.move(
                exchange,
                state,
                operator=self._operator,
                detail={**exchange.detail, **told},
                forget=over,
                within=work,
            )
            action = f"pgn {_ACTIONS[state]}"
            _note(self._hub, work, self._operator, action, exchange.core_id, told["error"])
        return moved


_ACTIONS: Final = {
    State.DONE: "replaced",
    State.REFUSED: "not replaced",
    State.ALARM: "alarm",
    State.APPROVED: "not replaced yet",
}


def _approved(
    hub: Hub, work: Work, exchanges: Exchanges, exchange: Exchange, operator: str
) -> Exchange:
    alone = exchange.detail.get("alone") is True
    if operator == exchange.detail.get("proposed_by") and not alone:
        message = f"{operator} proposed this replacement, and may not approve it"
        raise NoRightError(message, advice=_TWO)
    with work.transaction():
        moved = exchanges.move(
            exchange,
            State.APPROVED,
            operator=operator,
            detail={**exchange.detail, "approved_by": operator},
            within=work,
        )
        why = "the source says that both numbers are his" if alone else ""
        _note(hub, work, operator, "pgn approve", exchange.core_id, why)
    return moved


def _has_come(hub: Hub, exchange: Exchange) -> bool:
    return str(exchange.detail.get("on", "")) <= hub.today()


# -- which leerling, which numbers -----------------------------------------------------------------


def _leerling(hub: Hub, text: str) -> tuple[int, int]:
    """Core id and tenant of the one leerling whom a person named."""
    with hub.store.work() as work:
        found = find_leerlingen(hub, work, text)
        if len(found) > 1:
            raise SyncError(
                "more than one leerling has that number",
                advice="Noem de sleutel van de hub: " + ", ".join(map(hub_key, found)) + ".",
            )
        rows = work.execute("SELECT tenant_id FROM leerling WHERE id = ?", (found[0],))
    return found[0], int(rows[0][0])


def _sources(hub: Hub, tenant_id: int) -> list[Source]:
    names = set(hub.koppelingen(tenant_id).values())
    return [s for s in hub.sources() if s.name in names and hub.manifest(s).adds]


def _nearest(hub: Hub, tenant_id: int, core_id: int) -> list[Source]:
    """Those koppelingen, first the ones that serve a vestiging of his: theirs is his OIN."""
    with hub.store.work() as work:
        rows = work.execute(
            "SELECT v.vestigingsnummer FROM inschrijving i JOIN vestiging v "
            "ON v.id = i.vestiging_id WHERE i.leerling_id = ? AND v.vestigingsnummer IS NOT NULL",
            (core_id,),
        )
    numbers = [name for (number,) in rows for name in hub.names_of(number)]
    return sorted(_sources(hub, tenant_id), key=lambda source: not source.includes(numbers))


def _changed(hub: Hub, core_id: int, tenant_id: int) -> tuple[Source, Pupil, Pgn, bool]:
    """The koppeling whose pseudonym was obtained with another PGN, and both numbers.

    The last says whether the source itself tells that both are his.
    Raises: SyncError if there is none, or the former one is not known any more.
    """
    refused: SyncError | None = None
    for source in _nearest(hub, tenant_id, core_id):
        with pseudonyms_of(hub, source) as (_, asked):
            try:
                pupil, former = _present(hub, source, asked, core_id)
            except StoreError:
                raise
            except SyncError as error:
                refused = error
                continue
        if former is not None and pupil.pgn is not None:
            alone = is_told_together(hub, tenant_id, core_id, former=former, now=pupil.pgn)
            return source, pupil, former, alone
    message = "his PGN is the one that his pseudonyms were obtained with"
    raise refused or SyncError(message, advice=_NOT_CHANGED)


def _present(hub: Hub, source: Source, asked: Pseudonyms, core_id: int) -> tuple[Pupil, Pgn | None]:
    """The leerling with the PGN that he has now, and the one that his pseudonym was obtained with.

    None where those are the same.
    Raises: SyncError if he has no pseudonym or no PGN, or the former one is not known any more or
        is that of another leerling now.
    """
    pupil = hub.people(source).find(core_id)
    if pupil is None or pupil.pgn is None:
        raise SyncError("there is no PGN of this leerling", advice=_NO_PGN)
    same = asked.obtained_with(pupil, pupil.pgn)
    if same is None:
        raise SyncError("no pseudonym was obtained for this leerling", advice=_NOT_CHANGED)
    if same:
        return pupil, None
    tenant_id = hub.koppeling(source.name).tenant_id
    for number in former_pgns(hub, tenant_id, core_id):
        if asked.obtained_with(pupil, number):
            _refuse_taken(hub, tenant_id, core_id, number)
            return pupil, number
    raise SyncError("the former PGN is not known any more", advice=_BY_HAND)


def _refuse_taken(hub: Hub, tenant_id: int, core_id: int, former: Pgn) -> None:
    """Who replaces a number blocks it for whom it is of by now. Raises: SyncError."""
    other = whose_now(hub, tenant_id, core_id, former)
    if other is not None:
        raise SyncError(
            "the former PGN is that of another leerling now",
            advice=f"Het vorige PGN van deze leerling is nu van {hub_key(other)}. Wordt het "
            "vervangen, dan kan die er nooit meer een ECK iD mee krijgen. Laat de school nakijken "
            "van wie welk nummer is; zijn twee nummers verwisseld, vraag dan Kennisnet wat te doen "
            "(docs/eckid-school.md, Verwisseld).",
        )


def _marks(hub: Hub, source: Source, pupil: Pupil, former: Pgn | None) -> Marks:
    mark = hub.people(source).mark

    def kept(number: Pgn | None) -> str:
        return "" if number is None else b64encode(mark(number.reveal())).decode()

    return Marks(kept(former), kept(pupil.pgn))


# -- rows ------------------------------------------------------------------------------------------


def _became(work: Work, core_id: int) -> int:
    rows = work.execute("SELECT survivor_id FROM alias WHERE core_id = ?", (core_id,))
    return int(rows[0][0]) if rows else core_id


def _of(exchanges: Exchanges, core_id: int) -> Exchange | None:
    """The last one of a leerling, that of who was merged into him included."""
    found = [e for e in exchanges.of_object(Entity.LEERLING, core_id) if e.kind == KIND]
    found.sort(key=lambda exchange: (exchange.state in OPEN, exchange.changed_at))
    return found[-1] if found else None


def _open(hub: Hub, text: str, states: frozenset[State] | set[State]) -> tuple[Source, Exchange]:
    """The koppeling and the replacement of a leerling that stands in one of these states."""
    core_id, tenant_id = _leerling(hub, text)
    last: Exchange | None = None
    for source in _sources(hub, tenant_id):
        exchange = _of(hub.exchanges(source.name), core_id)
        if exchange is not None and exchange.state in states:
            return source, exchange
        last = exchange or last
    if last is not None and last.state in OPEN:
        raise _standing_already(last)
    raise SyncError(
        "there is no replacement of this leerling to decide on",
        advice="Zie `koppelhub eckid replacements`, of stel er een voor met `koppelhub eckid "
        "replace`.",
    )


def _standing_already(exchange: Exchange) -> SyncError:
    state = State(exchange.state)
    advice = {
        State.ALARM: "De Nummervoorziening noemde een ander pseudoniem: zoek dat eerst met "
        "Kennisnet uit. `koppelhub eckid withdraw` sluit het alarm, met de reden.",
    }.get(
        state,
        "Er staat al een voorstel van deze leerling. Keur dat goed met `koppelhub eckid approve`, "
        "of trek het in met `koppelhub eckid withdraw`.",
    )
    return SyncError(f"a replacement of this leerling is {state}", advice=advice)


def _shown(koppeling: str, exchange: Exchange) -> Replacement:
    def text(name: str) -> str:
        return str(exchange.detail.get(name) or "")

    return Replacement(
        koppeling,
        hub_key(exchange.core_id),
        State(exchange.state),
        text("on"),
        text("why"),
        text("proposed_by"),
        text("approved_by"),
        alone=exchange.detail.get("alone") is True,
        error=text("error"),
        advice=text("advice"),
        changed_at=str(exchange.changed_at),
    )


def _refuse_system(operator: str) -> None:
    if operator == SYSTEM or not operator:
        message = "a replacement is proposed and approved by persons"
        raise NoRightError(message, advice=_TWO)


def _note(hub: Hub, work: Work, operator: str, action: str, core_id: int, why: str) -> None:
    """In the transaction that is open."""
    subject = hub_key(core_id)
    note_within(hub, work, operator=operator, action=action, subject=subject, why=why)


def _note_alone(hub: Hub, work: Work, operator: str, action: str, core_id: int, why: str) -> None:
    note(hub, work, operator=operator, action=action, subject=hub_key(core_id), why=why)
