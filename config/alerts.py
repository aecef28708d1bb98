"""Alerts: who is told of which trouble, through which channel, when, and when not.

What troubles there are says the engine; a test holds `TROUBLES` to its list. A secret stands here
by reference only.
"""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Discriminator, Field, Tag, field_validator, model_validator

from config.clock import zone
from config.duration import Duration
from config.frozen import Frozen
from config.secret import Secret
from config.sources import REFERENCE, TEXT, Address, Name, shape
from config.web import is_loopback

TROUBLES: Final = frozenset(
    {
        *("late", "never", "failed", "partial", "empty", "shrunk", "held", "cases", "quarantine"),
        *("switched_off", "maintenance", "circuit", "expiring", "outbox", "workers", "database"),
        *("assumption", "inbox", "alarm"),
    }
)
"""What a rule may name: the troubles of the health model."""

_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)").fullmatch
_WEEKEND: Final = 5
_HOST: Final = re.compile(r"[A-Za-z0-9.:_-]{1,253}").fullmatch


def _clock(text: str) -> str:
    if _CLOCK(text) is None:
        message = "must be a time of day, such as 07:00"
        raise ValueError(message)
    return text


TimeOfDay = Annotated[str, AfterValidator(_clock)]


def check_hook(url: str) -> str:
    """The address of a webhook.

    Private addresses are allowed: the administrator writes them, and a chat server often is one.
    Raises: ValueError if it is no https address (http on this machine only), or holds a user.
    """
    try:
        parts = urlsplit(url)
        port_is_well = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_is_well = urlsplit(""), False
    safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    if not port_is_well or not parts.hostname or not safe:
        message = "must begin with https:// (http:// on this machine only)"
        raise ValueError(message)
    if parts.username is not None or parts.fragment or not url.isascii() or not url.isprintable():
        message = "must hold no user, no fragment and no strange signs"
        raise ValueError(message)
    return url


class Level(StrEnum):
    """From which state of health on somebody is told."""

    WARNING = "warning"
    CRITICAL = "critical"


class AtNight(StrEnum):
    """What happens in quiet hours to what is critical."""

    PASS = "pass"  # noqa: S105 - not a password
    WAIT = "wait"


class ChannelKind(StrEnum):
    """How a channel tells."""

    MAIL = "mail"
    WEBHOOK = "webhook"


class Channel(Frozen):
    """One way to tell somebody.

    Attributes:
        to: addresses, of a mail.
        url: of a webhook; a reference where the address itself is a secret.
        secret: what signs the messages of a webhook.
        authority: file of the authority that a webhook's certificate is of, where the machine
            does not know it.
    """

    name: Name
    kind: ChannelKind
    to: Annotated[tuple[Address, ...], Field(max_length=50)] = ()
    url: Annotated[
        Annotated[Secret, Tag(REFERENCE)] | Annotated[str, AfterValidator(check_hook), Tag(TEXT)],
        Discriminator(shape),
    ] = ""
    secret: Secret | None = None
    authority: Path | None = None

    @model_validator(mode="after")
    def _is_of_its_kind(self) -> Self:
        mail = self.kind is ChannelKind.MAIL
        wrong = {
            "to": bool(self.to) != mail,
            "url": bool(self.url) == mail,
            "secret": (self.secret is not None) == mail,
            "authority": mail and self.authority is not None,
        }
        for key, is_wrong in wrong.items():
            if is_wrong:
                verb = "is for a webhook" if mail else "is required of a webhook"
                if key == "to":
                    verb = "is required of mail" if mail else "is for mail"
                message = f"{key}: {verb}"
                raise ValueError(message)
        return self


class Remind(Frozen):
    """How long after it was last told, what is still so is told again; zero is never."""

    warning: Duration
    critical: Duration


class RemindOverride(Frozen):
    """What one rule does otherwise; None is as all do."""

    warning: Duration | None = None
    critical: Duration | None = None


def _some(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if names is not None and not names:
        message = "names none; leave the key out for all"
        raise ValueError(message)
    return names


def _known(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if names is not None and not TROUBLES.issuperset(names):
        message = f"may name only: {', '.join(sorted(TROUBLES))}"
        raise ValueError(message)
    return names


class Rule(Frozen):
    """Which trouble is told to whom.

    Attributes:
        troubles: kinds of trouble; None is all of them.
        least: the state from which it is told.
        tenants: of which tenants; None is of all, and of the installation itself.
        channels: names; None is all of them.
        critical: what happens in quiet hours to what is critical; None as `[alerts.quiet]` says.
    """

    name: Name
    troubles: Annotated[tuple[str, ...] | None, AfterValidator(_some), AfterValidator(_known)] = (
        None
    )
    least: Level = Field(default=Level.WARNING, alias="from")
    tenants: Annotated[tuple[Name, ...] | None, AfterValidator(_some)] = None
    channels: Annotated[tuple[Name, ...] | None, AfterValidator(_some)] = None
    remind: RemindOverride = RemindOverride()
    critical: AtNight | None = None


class Quiet(Frozen):
    """Hours in which nobody is told of what can wait until they are over.

    Attributes:
        first: time of day at which they begin, in the time zone of the settings.
        last: and end; equal to `first`: there are none.
        weekend: whether Saturday and Sunday are quiet as a whole.
        critical: what happens to what is critical.
    """

    first: TimeOfDay = Field(alias="from")
    last: TimeOfDay = Field(alias="to")
    weekend: bool
    critical: AtNight

    def at(self, now: datetime, zone_name: str) -> bool:
        """Whether it is quiet at that instant."""
        local = now.astimezone(zone(zone_name))
        if self.weekend and local.weekday() >= _WEEKEND:
            return True
        first, last = time.fromisoformat(self.first), time.fromisoformat(self.last)
        clock = local.time()
        if first <= last:
            return first <= clock < last
        return clock >= first or clock < last


class MailSecurity(StrEnum):
    """How the connection with the mail server is kept private."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class Mail(Frozen):
    """The mail server.

    Attributes:
        host: without one no mail is sent.
        sender: the address that mail comes from.
        user, password: of the mail server, where it asks for them; both or none.
        authority: file of the authority that its certificate is of, where the machine does not
            know it.
        timeout: bound on the connection, and on each answer.
    """

    host: str | None = None
    port: Annotated[int, Field(ge=1, le=65_535)]
    security: MailSecurity
    sender: Address | None = None
    user: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    password: Secret | None = None
    authority: Path | None = None
    timeout: Duration

    @field_validator("host")
    @classmethod
    def _is_a_host(cls, host: str | None) -> str | None:
        if host is not None and _HOST(host) is None:
            message = "must be the name or address of a server"
            raise ValueError(message)
        return host

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.host is not None and self.sender is None:
            message = "sender: is required where there is a host"
            raise ValueError(message)
        if (self.user is None) != (self.password is None):
            message = "user and password go together"
            raise ValueError(message)
        open_line = self.security is MailSecurity.NONE
        if self.host is not None and open_line and not is_loopback(self.host):
            message = "security: none is for a server on this machine only"
            raise ValueError(message)
        if open_line and self.user is not None:
            message = "security: a password is not sent without TLS"
            raise ValueError(message)
        return self


class Weekday(StrEnum):
    """Days of the week, Monday first."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class WeeklyReport(Frozen):
    """When each school's contact gets the weekly report."""

    send: bool
    day: Weekday
    at: TimeOfDay


class Alerts(Frozen):
    """All about alerts.

    Attributes:
        settle: how long a trouble lasts before it is told, and is gone before it is over: what
            comes and goes sooner is not told.
        group_from: so many koppelingen of one system in the same trouble are one incident.
        give_up: after this a message that cannot be delivered is tried no more; it stays listed.
    """

    settle: Duration
    group_from: Annotated[int, Field(ge=2, le=1_000)]
    give_up: Duration
    quiet: Quiet
    remind: Remind
    mail: Mail
    report: WeeklyReport
    channel: tuple[Channel, ...] = ()
    rule: tuple[Rule, ...] = ()

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        names = [channel.name for channel in self.channel]
        if len(set(names)) != len(names):
            message = "channel: two have the same name"
            raise ValueError(message)
        if len({rule.name for rule in self.rule}) != len(self.rule):
            message = "rule: two have the same name"
            raise ValueError(message)
        for rule in self.rule:
            if not set(names).issuperset(rule.channels or ()):
                message = f"rule[{rule.name}].channels: there is no channel of that name"
                raise ValueError(message)
        if self.mail.host is None and any(c.kind is ChannelKind.MAIL for c in self.channel):
            message = "mail.host: is required where a channel is of kind mail"
            raise ValueError(message)
        return self

    def rules(self) -> tuple[Rule, ...]:
        """The rules; where none is configured one that tells all to every channel."""
        return self.rule or (Rule(name="alles"),)

    def channels_of(self, rule: Rule) -> tuple[str, ...]:
        """Names of the channels of a rule."""
        return rule.channels or tuple(channel.name for channel in self.channel)

    def find(self, name: str) -> Channel | None:
        """The channel of that name; None where there is none any more."""
        return next((channel for channel in self.channel if channel.name == name), None)

    def remind_after(self, rule: Rule, level: Level) -> timedelta:
        """After how long a rule tells what is still so; zero is never."""
        match level:
            case Level.WARNING:
                own, usual = rule.remind.warning, self.remind.warning
            case Level.CRITICAL:
                own, usual = rule.remind.critical, self.remind.critical
        return usual if own is None else own
