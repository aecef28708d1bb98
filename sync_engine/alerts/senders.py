"""From a channel of the configuration to the wire: secrets resolved, the message in its form."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec

from config.alerts import Channel, ChannelKind, check_hook
from config.clock import Clock
from config.errors import ConfigurationError
from config.secret import Secret
from config.settings import Settings
from connectors.errors import RequestRefusedError
from connectors.protocols.mail import Letter, MailServer, Security, send
from connectors.protocols.tls import trusting
from connectors.protocols.webhook import Hook, post
from sync_engine.alerts.notices import REPORT, Notice

LEFT: Final = "left"
"""Key of a document: the addresses that are still to get it, where others have it."""
_HOOK_TIMEOUT: Final = timedelta(seconds=20)


class NoChannelError(ConfigurationError):
    """The configuration has no such channel, or no contact, any more."""


class SomeLaterError(RequestRefusedError):
    """A mail server took a letter for some of its addresses, and may take it for others later.

    Attributes:
        left: those others; in no text.
    """

    def __init__(self, message: str, *, left: tuple[str, ...]) -> None:
        advice = (
            "De mailserver nam dit bericht voor een deel aan; de rest wordt opnieuw geprobeerd."
        )
        super().__init__(message, code="4yz", system="mail", operation="send", advice=advice)
        self.left = left


def deliver(settings: Settings, clock: Clock, notice: Notice) -> str:
    """Deliver one message, once; what is worth noting (Dutch), or nothing.

    Raises: NoChannelError; ConfigurationError where a secret or file is not there; ConnectorError.
    """
    if notice.kind == REPORT:
        board = str(notice.document.get("tenant", ""))
        return _mail(settings, notice, (_contact(settings, board, notice.channel),))
    channel = settings.alerts.find(notice.channel)
    if channel is None:
        raise NoChannelError(f"alerts: there is no channel {notice.channel!r} any more")
    if channel.kind is ChannelKind.MAIL:
        return _mail(settings, notice, channel.to)
    _hook(settings, clock, channel, notice)
    return ""


def _contact(settings: Settings, board: str, brin: str) -> str:
    for tenant in settings.tenant:
        for school in tenant.school if tenant.name == board else ():
            if school.brin.reveal() == brin and school.contact is not None:
                return school.contact
    raise NoChannelError(
        f"tenant.school[{brin}].contact: is not there any more",
        advice='Zet contact = "naam@school.nl" bij deze school in koppelhub.toml.',
    )


def _mail(settings: Settings, notice: Notice, to: tuple[str, ...]) -> str:
    left = notice.document.get(LEFT)
    if isinstance(left, list):  # the others have it; who is no address any more gets nothing
        to = tuple(one for one in to if one in left)
        if not to:
            return ""
    letter = Letter(
        id=f"{notice.id}.koppelhub",
        at=notice.created_at,
        to=to,
        subject=f"[Koppelhub] {notice.title}",
        text=str(notice.document["text"]),
    )
    handed = send(mail_server(settings), letter)
    if handed.later:
        count = len(handed.later)
        raise SomeLaterError(
            f"mail: {count} of {len(to)} addresses are to be tried again", left=handed.later
        )
    if not handed.refused:
        return ""
    return f"{handed.refused} van {len(to)} adressen geweigerd door de mailserver"


def mail_server(settings: Settings) -> MailServer:
    """The mail server of the configuration. Raises: ConfigurationError if none is, or a secret."""
    mail = settings.alerts.mail
    if mail.host is None or mail.sender is None:
        raise ConfigurationError(
            "alerts.mail.host: is required to send mail",
            advice="Zet host en sender onder [alerts.mail] in koppelhub.toml.",
        )
    return MailServer(
        host=mail.host,
        port=mail.port,
        security=Security(mail.security),
        sender=mail.sender,
        user=mail.user,
        password=None if mail.password is None else mail.password.resolve(),
        tls=None if mail.authority is None else trusting(_file(settings, mail.authority)),
        timeout=mail.timeout,
    )


def check_channel(settings: Settings, channel: Channel) -> None:
    """Do nothing where all that the channel needs is there; asks nobody.

    Raises: ConfigurationError if a secret or file is not there.
    """
    if channel.kind is ChannelKind.MAIL:
        mail_server(settings)
    else:
        _hook_of(settings, channel)


def _hook_of(settings: Settings, channel: Channel) -> Hook:
    if channel.secret is None:
        raise ConfigurationError(f"alerts.channel[{channel.name}].secret: is required")
    own = channel.authority
    return Hook(
        url=_url(channel),
        secret=channel.secret.resolve(),
        tls=None if own is None else trusting(_file(settings, own)),
    )


def _hook(settings: Settings, clock: Clock, channel: Channel, notice: Notice) -> None:
    hook = _hook_of(settings, channel)
    document = {"id": notice.id} | notice.document
    body = msgspec.json.encode(document)
    post(hook, notice.id, body, clock=clock, timeout=_HOOK_TIMEOUT)


def _url(channel: Channel) -> str:
    if not isinstance(channel.url, Secret):
        return channel.url
    try:
        return check_hook(channel.url.resolve())
    except ValueError as exc:
        message = f"alerts.channel[{channel.name}].url: {exc}"
        raise ConfigurationError(message) from None


def _file(settings: Settings, path: Path) -> Path:
    """A path of the configuration, from the folder of its file."""
    return path if settings.origin is None else settings.origin.resolve().parent / path
