"""Delivery: what is written goes out, at least once, under one id, and in order where it can.

One process delivers at a time. What a receiver says no to waits by itself; where a channel cannot
be reached all of it waits, so that nobody reads of a recovery before the trouble.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from config.clock import Clock
from config.errors import ConfigurationError, KoppelhubError
from config.settings import Settings
from connectors.errors import ConnectorError, RequestRefusedError
from sync_engine.alerts import notices
from sync_engine.alerts.notices import Notice, NoticeState
from sync_engine.alerts.senders import LEFT, NoChannelError, SomeLaterError
from sync_engine.alerts.senders import deliver as send
from sync_engine.hub import Hub
from sync_engine.store.locks import lease
from sync_engine.store.work import Work

LEASE: Final = "alerts deliver"
_log = logging.getLogger(__name__)

Sender = Callable[[Settings, Clock, Notice], str]


@dataclass(slots=True)
class Delivered:
    """What one round of delivery did.

    Attributes:
        waiting: what is still to be delivered after it.
        advice: Dutch, of the last that went wrong.
    """

    sent: int = 0
    waiting: int = 0
    failed: int = 0
    error: str = ""
    advice: str = ""


def deliver(hub: Hub, *, sender: Sender = send) -> Delivered:
    """Deliver what is due.

    Raises: RunActiveError if another process is delivering; StoreError.
    """
    done = Delivered()
    with hub.store.work() as work, lease(hub.store, LEASE, on=work, clock=hub.clock):
        of_channel: dict[tuple[str, str], list[Notice]] = defaultdict(list)
        for notice in notices.waiting(work):
            of_channel[notice.kind, notice.channel].append(notice)
        for queue in of_channel.values():
            _Round(hub, work, sender, done).through(queue)
        done.waiting = len(notices.waiting(work))
    return done


@dataclass(slots=True)
class _Round:
    """One channel's turn."""

    hub: Hub
    work: Work
    sender: Sender
    done: Delivered

    def through(self, queue: list[Notice]) -> None:
        """The messages of one channel, until it cannot be reached."""
        now = self.hub.clock.now()
        due = [notice for notice in queue if notice.next_at is None or notice.next_at <= now]
        if not due:
            return
        for notice in queue:
            if notice.state is NoticeState.REFUSED and notice not in due:
                continue
            if not self._one(notice):
                return

    def _one(self, notice: Notice) -> bool:
        """One message; false where the channel itself does not work."""
        work, now = self.work, self.hub.clock.now()
        with work.transaction():
            notices.begun(work, notice, now)
        try:
            note = self.sender(self.hub.settings, self.hub.clock, notice)
        except NoChannelError as error:
            self._told(error)
            with work.transaction():
                notices.not_sent(work, notice, NoticeState.DROPPED, error=str(error))
            return True
        except (ConnectorError, ConfigurationError) as error:
            left = error.left if isinstance(error, SomeLaterError) else ()
            self._told(error)
            refused = isinstance(error, RequestRefusedError)
            state = NoticeState.REFUSED if refused else NoticeState.PENDING
            if now - notice.created_at >= self.hub.settings.alerts.give_up:
                state, self.done.failed = NoticeState.FAILED, self.done.failed + 1
            with work.transaction():
                if left:
                    notices.keep(work, notice, notice.document | {LEFT: list(left)})
                notices.not_sent(work, notice, state, error=str(error))
            return refused
        with work.transaction():
            notices.sent(work, notice, self.hub.clock.now(), note=note)
        self.done.sent += 1
        return True

    def _told(self, error: KoppelhubError) -> None:
        self.done.error, self.done.advice = str(error), error.advice
        _log.warning("alerts: a message was not delivered: %s", error)
