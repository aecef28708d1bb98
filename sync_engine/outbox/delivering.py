"""Deliver: messages go to their target, at least once and in order per object.

    make what is due  →  ask what became of what is under way  →  send what is ready

A message is written down as sent before it is sent. Killed anywhere, the next delivery sends it
again under the same id, or asks for it; a target does once what it is given twice. One process
delivers to a koppeling at once (a lease), with the manners of a run: a slot of its system, its
hours, its rate, its circuit.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from config.errors import ConfigurationError, KoppelhubError
from config.logs import bound
from connectors.base import Action
from connectors.errors import ConnectorError, OutcomeUnknownError, RateLimitedError
from connectors.protocols.watching import watched_by
from connectors.targets import Answered, Outgoing
from connectors.targets import Target as Delivers
from sync_engine import totals
from sync_engine.admission import SAYS, Postponed, admitted
from sync_engine.context import Target
from sync_engine.deadline import Stop, never
from sync_engine.errors import RunActiveError
from sync_engine.exchanges import decode_detail
from sync_engine.hub import Hub
from sync_engine.hubkeys import hub_key
from sync_engine.lookout import Lookout
from sync_engine.outbox.forms import REFERENCE, opened
from sync_engine.outbox.making import make_due
from sync_engine.outbox.message_cases import keep_message_cases
from sync_engine.outbox.settling import Settler
from sync_engine.outbox.states import OPEN, State, listed
from sync_engine.outbox.targets import every_target
from sync_engine.store.locks import lease, tenant_lock
from sync_engine.store.work import Row, Work

_log = logging.getLogger(__name__)

CHUNK: Final = 25
"""Messages that are written down as sent at once: so many are sent again after a kill, at most."""
ASKED: Final = 100
"""Messages that a target is asked about at once."""
LONGEST: Final = timedelta(minutes=10)
"""How long one delivery may take; the next one goes on."""
DELAYS: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 30, 60))
"""After each failure that may pass by itself."""


@dataclass(slots=True)
class Delivery:
    """What one delivery to one koppeling came to.

    Attributes:
        looked: objects that changed, and were looked at.
        refused: messages that the target refused in this delivery.
        asks: corrections that wait for a person.
        left: messages that are not confirmed yet, of all kinds.
        error, advice: why it broke off; empty where it did not.
        later: it may go by itself.
    """

    koppeling: str
    looked: int = 0
    confirmed: int = 0
    taken: int = 0
    refused: int = 0
    asks: int = 0
    undeliverable: int = 0
    left: int = 0
    error: str = ""
    advice: str = ""
    later: bool = False


def deliver(hub: Hub, target: Target, *, by_hand: bool = False, stop: Stop = never) -> Delivery:
    """Deliver to one koppeling what waits for it.

    Args:
        hub: the installation.
        target: to whom.
        by_hand: a person asks: exempt from permitted hours, and from what waits for its time.
        stop: asked between chunks.

    Raises: RunActiveError if another process delivers to it; StoreError.
    """
    report = Delivery(target.koppeling.name)
    source = hub.source(target.koppeling.name)
    with (
        bound(koppeling=target.koppeling.name),
        hub.store.work() as work,
        lease(hub.store, f"outbox-{target.koppeling.id}", on=work),
    ):
        one = _Delivery(hub, work, target, report, by_hand=by_hand, stop=stop)
        one.make()
        if one.has_work():
            with admitted(hub, source, by_hand=by_hand) as postponed:
                if postponed is None:
                    one.deliver()
                else:
                    _postponed(report, postponed)
        one.close()
    return report


def _postponed(report: Delivery, postponed: Postponed) -> None:
    report.error = f"not now: {postponed.reason}"
    report.advice = f"Er wordt nu niets verstuurd: {SAYS[postponed.reason]}."
    report.later = True


def deliver_all(
    hub: Hub,
    *,
    targets: Sequence[Target] | None = None,
    by_hand: bool = False,
    stop: Stop = never,
) -> list[Delivery]:
    """Deliver to every target, one after another; what goes wrong with one hinders no other."""
    found = []
    for target in every_target(hub) if targets is None else targets:
        name = target.koppeling.name
        try:
            found.append(deliver(hub, target, by_hand=by_hand, stop=stop))
        except RunActiveError as error:
            found.append(Delivery(name, error=str(error), advice=error.advice, later=True))
        except ConfigurationError as error:
            _log.error("%s: nothing is delivered: %s", name, error)
            found.append(Delivery(name, error=str(error), advice=error.advice))
        except Exception as error:  # noqa: BLE001 - the outermost edge of one delivery
            _log.exception("%s: its delivery broke down", name)
            advice = KoppelhubError.default_advice
            found.append(Delivery(name, error=type(error).__name__, advice=advice))
    return found


class _Delivery:
    def __init__(
        self,
        hub: Hub,
        work: Work,
        target: Target,
        report: Delivery,
        *,
        by_hand: bool,
        stop: Stop,
    ) -> None:
        self._hub, self._work, self._target, self._report = hub, work, target, report
        self._by_hand, self._stop = by_hand, stop
        self._cipher = hub.cipher(target.koppeling.tenant_id)
        self._settler = Settler(work, self._cipher, target)
        self._until = hub.clock.now() + LONGEST

    @property
    def _now(self) -> datetime:
        return self._hub.clock.now()

    def make(self) -> None:
        """Make what is due."""
        tenant_id = self._target.koppeling.tenant_id
        with tenant_lock(self._hub.store, tenant_id, on=self._work):
            self._report.looked += make_due(self._hub, self._work, self._target)

    def has_work(self) -> bool:
        """Whether there is anything to ask or to send now."""
        return bool(self._rows(_SENDABLE, 1) or self._rows(_ASKABLE, 1))

    def deliver(self) -> None:
        """Ask and send, until nothing is left or it cannot go on."""
        hub, lookout = self._hub, Lookout(self._hub.clock, self._hub.tracing)
        connector = hub.connect(hub.source(self._target.koppeling.name), hub.clock)
        with closing(connector), watched_by(lookout):
            try:
                if not isinstance(connector, Delivers):
                    message = f"{self._target.koppeling.name}: its connector does not deliver"
                    raise ConfigurationError(
                        message, advice="De koppeling kan niet versturen. Meld dit bij ops."
                    )
                self._ask(connector)
                self._send(connector)
                self._ask(connector)  # of what broke off just now
            except KoppelhubError as error:
                self._tell(error)
            finally:
                with self._work.transaction():
                    totals.add(self._work, self._target.koppeling.id, lookout.counts)

    def close(self) -> None:
        """Open and close cases, and count what is left."""
        report = self._report
        with self._work.transaction():
            keep_message_cases(self._work, self._target, now=self._now)
        for state, count in self._work.execute(
            "SELECT state, COUNT(*) FROM outbox WHERE koppeling_id = ? "
            f"AND state IN ({listed(OPEN)}) GROUP BY state",
            (self._target.koppeling.id,),
        ):
            report.left += count
            if state == State.ASKS:
                report.asks = count
            elif state == State.UNDELIVERABLE:
                report.undeliverable = count

    def _tell(self, error: KoppelhubError) -> None:
        report = self._report
        report.error, report.advice = str(error), error.advice
        report.later = getattr(error, "retryable", False) is True
        _log.warning("delivery broke off: %s", error)

    # -- asking ------------------------------------------------------------------------------------

    def _ask(self, connector: Delivers) -> None:
        """Ask what became of what the target took, or did not answer."""
        if not self._target.confirms:
            return
        last = 0
        while rows := self._rows(_ASKABLE, ASKED, after=last):
            last, named, answered = rows[-1][5], [str(row[0]) for row in rows], set()
            for said in connector.confirm(named):
                answered.add(said.message_id)
                self._settle(said)
            for message_id in named:
                if message_id not in answered:  # it says nothing of it: ask again later
                    at = self._now + DELAYS[1]
                    self._settler.ask_about(message_id, state=State.UNKNOWN, at=at)

    # -- sending -----------------------------------------------------------------------------------

    def _send(self, connector: Delivers) -> None:
        last = 0
        while not self._stop() and self._now < self._until:
            rows = self._rows(_SENDABLE, CHUNK, after=last)
            if not rows:
                return
            last = rows[-1][5]
            if written := self._written(rows):
                self._deliver(connector, written)

    def _written(self, rows: Sequence[Row]) -> list[Outgoing]:
        """Write down that these are sent, before they are.

        A run may have made one anew or taken it back since it was read: what goes is what is
        written down here.
        """
        work = self._work
        with work.transaction():
            rows = work.execute(
                "UPDATE outbox SET state = 'sent', attempts = attempts + 1, next_at = NULL "
                f"WHERE {work.many('id')} AND (state = 'sent' OR (state = 'ready' AND NOT stale)) "
                "RETURNING message_id, action, run_id, salt, body, id, core_id",
                (work.values([row[5] for row in rows]),),
            )
        rows = sorted(rows, key=lambda row: row[5])
        references = self._references([row[6] for row in rows])
        return [
            Outgoing(
                row[0],
                self._target.resource,
                hub_key(row[6]),
                Action(row[1]),
                opened(self._cipher, row[:5]) or b"",
                references.get(row[6], ""),
            )
            for row in rows
        ]

    def _references(self, cores: Sequence[int]) -> dict[int, str]:
        work = self._work
        rows = work.execute(
            "SELECT core_id, detail FROM exchange WHERE koppeling_id = ? AND kind = ? "
            f"AND {work.many('core_id')}",
            (self._target.koppeling.id, self._target.kind, work.values(cores)),
        )
        return {
            core_id: str(decode_detail(detail).get(REFERENCE) or "") for core_id, detail in rows
        }

    def _deliver(self, connector: Delivers, messages: Sequence[Outgoing]) -> None:
        """Send some; what came of each is kept as soon as it is known."""
        open_: dict[str, Outgoing] = {message.message_id: message for message in messages}
        try:
            for said in connector.deliver(messages):
                if open_.pop(said.message_id, None) is not None:
                    self._settle(said)
        except OutcomeUnknownError as error:
            self._unknown(error, list(open_))
        except ConnectorError as error:
            self._broken(error, list(open_))
            raise
        else:
            for message_id in open_:  # it said nothing of it: under the same id again
                self._settler.ask_about(message_id, state=self._silent, at=self._now + DELAYS[0])

    @property
    def _silent(self) -> State:
        """What a message is that was sent and not answered."""
        return State.UNKNOWN if self._target.confirms else State.SENT

    def _unknown(self, error: OutcomeUnknownError, left: Sequence[str]) -> None:
        """The first is asked for; the others were not sent, and go again."""
        _log.info("the outcome of a message is not known: %s", error)
        for place, message_id in enumerate(left):
            state = self._silent if place == 0 else State.SENT
            wait = place == 0 and state is State.SENT
            self._settler.ask_about(
                message_id, state=state, at=self._now + DELAYS[0] if wait else None
            )

    def _broken(self, error: ConnectorError, left: Sequence[str]) -> None:
        """Nobody can deliver now: what is left goes again, under its id, after a while."""
        for message_id in left:
            tries = self._work.execute(
                "SELECT attempts FROM outbox WHERE message_id = ?", (message_id,)
            )
            wait = DELAYS[min(int(tries[0][0] if tries else 1), len(DELAYS)) - 1]
            if isinstance(error, RateLimitedError) and error.retry_after is not None:
                wait = max(wait, error.retry_after)
            self._settler.ask_about(message_id, state=State.SENT, at=self._now + wait)

    def _settle(self, said: Answered) -> None:
        state, report = self._settler.settle(said, now=self._now), self._report
        report.confirmed += state is State.CONFIRMED
        report.taken += state is State.TAKEN
        report.refused += state in {State.UNDELIVERABLE, State.WITHDRAWN}

    def _rows(self, which: str, limit: int, *, after: int = 0) -> list[Row]:
        """Messages that may go now, in the order in which they were made."""
        target, when = self._target, ""
        params: list[object] = [target.koppeling.id, target.resource, after]
        if not self._by_hand:
            when = " AND (m.next_at IS NULL OR m.next_at <= ?)"
            params.append(self._now)
        return self._work.execute(f"{_MESSAGE}{which}{when} ORDER BY m.id LIMIT {limit}", params)


_MESSAGE: Final = (
    "SELECT m.message_id, m.action, m.run_id, m.salt, m.body, m.id, m.core_id FROM outbox m "
    "WHERE m.koppeling_id = ? AND m.resource = ? AND m.id > ? AND "
)
_ASKABLE: Final = "m.state IN ('taken', 'unknown')"
_SENDABLE: Final = (
    "((m.state = 'ready' AND NOT m.stale AND NOT EXISTS (SELECT 1 FROM outbox o "
    "WHERE o.koppeling_id = m.koppeling_id AND o.resource = m.resource "
    "AND o.core_id = m.core_id AND o.state IN ('sent', 'taken', 'unknown'))) "
    "OR m.state = 'sent')"
)
"""Where nothing is under way on the same object: one after another."""
