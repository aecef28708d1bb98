"""A message that says it is a test: whether a channel works, before it is needed."""

from __future__ import annotations

from typing import Final

from config.errors import ConfigurationError
from config.nearest import choice
from sync_engine.alerts.messages import SCHEMA
from sync_engine.alerts.notices import ALERT, Notice, NoticeState, notice_id
from sync_engine.alerts.senders import deliver
from sync_engine.audit import note
from sync_engine.hub import Hub

_TEXT: Final = "Dit is een proefbericht van Koppelhub. Er is niets aan de hand.\n"


def send_trial(hub: Hub, channel: str) -> str:
    """Send it; what is worth noting (Dutch), or nothing.

    Raises: ConfigurationError if there is no such channel (it names the nearest), or a secret is
        not there; ConnectorError.
    """
    if hub.settings.alerts.find(channel) is None:
        names = [one.name for one in hub.settings.alerts.channel]
        message = f"alerts: there is no channel {channel!r}"
        raise ConfigurationError(message, advice=choice(channel, names))
    now = hub.clock.now()
    document = {
        "schema": SCHEMA,
        "at": now.isoformat(timespec="seconds"),
        "rule": "",
        "title": "Proefbericht",
        "text": _TEXT,
        "page": "",
        "events": [],
    }
    number = notice_id(hub.keyring.active_id, "trial", channel, now.isoformat())
    told = Notice(
        *(number, ALERT, channel, "Proefbericht", document, NoticeState.PENDING, now),
        next_at=None,
        sent_at=None,
        attempts=0,
        error="",
    )
    said = deliver(hub.settings, hub.clock, told)
    with hub.store.work() as work:
        subject = f"channel {channel}"
        note(hub, work, operator=hub.actor.name, action="alerts test", subject=subject)
    return said
