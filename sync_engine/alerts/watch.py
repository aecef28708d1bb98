"""The watch: looks at the health, judges by every rule, and writes what is to be told.

Judging and writing are one transaction under one lease: killed anywhere, an incident and the
message that tells of it are both there or neither is, and two processes never tell one thing twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sync_engine.alerts import ledger, notices
from sync_engine.alerts.delivery import Delivered, Sender, deliver
from sync_engine.alerts.incidents import Event, Watch, judge
from sync_engine.alerts.messages import Surroundings, compose
from sync_engine.alerts.senders import deliver as send
from sync_engine.condition import Health
from sync_engine.health import health
from sync_engine.hub import Hub
from sync_engine.store.locks import lease
from sync_engine.store.work import Work

LEASE: Final = "alerts watch"
Finder = Callable[[Hub], Health]


@dataclass(slots=True)
class Watched:
    """What one look did.

    Attributes:
        events: kind → how many incidents were told so, over all rules.
        going_on: incidents that are not over.
    """

    events: dict[str, int] = field(default_factory=dict)
    going_on: int = 0
    delivered: Delivered = field(default_factory=Delivered)


def watch(hub: Hub, *, find: Finder = health) -> Watched:
    """Look once, and write what is to be told; nothing is sent.

    Args:
        hub: with an actor who may see everything.
        find: computes the health.

    Raises: RunActiveError if another process is looking; StoreError.
    """
    alerts, done = hub.settings.alerts, Watched()
    with hub.store.work() as work, lease(hub.store, LEASE, on=work, clock=hub.clock):
        found, now = find(hub), hub.clock.now()
        with work.transaction():
            for rule in alerts.rules():
                seen = Watch.of(alerts, rule, hub.settings.timezone)
                before = ledger.going_on(work, rule=rule.name)
                events = ledger.write(work, judge(before, found, seen, now), before)
                if events:
                    _tell(hub, work, events, alerts.channels_of(rule), now)
                for event in events:
                    done.events[event.kind] = done.events.get(event.kind, 0) + 1
            ledger.drop(work, {rule.name for rule in alerts.rules()}, now)
            _forget(hub, work, now)
            done.going_on = len(ledger.going_on(work))
    return done


def watch_and_tell(hub: Hub, *, find: Finder = health, sender: Sender = send) -> Watched:
    """Look once, then deliver what is due: the duty that runs every few minutes."""
    done = watch(hub, find=find)
    done.delivered = deliver(hub, sender=sender)
    return done


def surroundings(hub: Hub) -> Surroundings:
    """What messages say of this installation."""
    settings = hub.settings
    schools = {s.brin.reveal(): s.name for tenant in settings.tenant for s in tenant.school}
    return Surroundings(schools, settings.web.public_url or "", settings.timezone)


def _tell(
    hub: Hub, work: Work, events: tuple[Event, ...], channels: tuple[str, ...], now: datetime
) -> None:
    rule = events[0].incident.rule
    message = compose(events, rule, surroundings(hub), now)
    told = sorted(event.id for event in events)
    for channel in channels:
        number = notices.notice_id(hub.keyring.active_id, channel, *told)
        notices.post(
            work,
            number,
            kind=notices.ALERT,
            channel=channel,
            title=message.title,
            document=message.document,
            at=now,
        )


def _forget(hub: Hub, work: Work, now: datetime) -> None:
    """What was over, or delivered, long ago goes: as long as runs are kept."""
    before = now - hub.settings.policy.retention.run
    ledger.forget(work, before)
    notices.forget(work, before)
