"""The settings of a koppeling, as text, read and checked one by one: shared by connectors.

Every error names the setting and the rule, never the value.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import TypeVar

from config.errors import ConfigurationError
from connectors.base import Manifest
from connectors.protocols.rest import check_url

C = TypeVar("C", bound=StrEnum)

MonthDay = tuple[int, int]
"""A month and a day of it."""


def wrong(manifest: Manifest, name: str, rule: str) -> ConfigurationError:
    """An error about one setting of a system."""
    message = f"{manifest.system}: {name} {rule}"
    return ConfigurationError(
        message,
        advice=f"Controleer de instelling `{name}` van deze koppeling met {manifest.title}.",
    )


def is_reached(day: MonthDay, *, today: date) -> bool:
    """Whether this day of the schooljaar, which begins on 1 August, has come."""
    return _in_schooljaar(day) <= _in_schooljaar((today.month, today.day))


def _in_schooljaar(day: MonthDay) -> MonthDay:
    return (day[0] - 8) % 12, day[1]


class Given:
    """What a koppeling is set to, by name; what is left out or empty has its default.

    Args:
        options: as the configuration has them.
        manifest: which settings there are.

    Raises: ConfigurationError if a setting is unknown, or is required and absent.
    """

    def __init__(self, options: Mapping[str, str], *, manifest: Manifest) -> None:
        self._manifest = manifest
        known = {setting.name: setting for setting in manifest.settings}
        for name in options:
            if name not in known:
                raise self.wrong(name, "is not a setting of this system")
        self._values: dict[str, str] = {}
        for name, setting in known.items():
            value = options.get(name) or setting.default or ""
            if setting.required and not value:
                raise self.wrong(name, "is required")
            self._values[name] = value

    def wrong(self, name: str, rule: str) -> ConfigurationError:
        """An error about one of these settings."""
        return wrong(self._manifest, name, rule)

    def text(self, name: str) -> str:
        """As it is written; empty where it is not set."""
        return self._values[name]

    def flag(self, name: str) -> bool:
        """`true` or `false`. Raises: ConfigurationError."""
        text = self._values[name].strip().lower()
        if text not in {"true", "false"}:
            raise self.wrong(name, "must be true or false")
        return text == "true"

    def choice(self, name: str, kind: type[C]) -> C:
        """One of a fixed list. Raises: ConfigurationError."""
        try:
            return kind(self._values[name].strip().lower())
        except ValueError:
            raise self.wrong(name, f"must be one of {', '.join(kind)}") from None

    def number(self, name: str, low: int, high: int) -> int:
        """A whole number within bounds, which count in. Raises: ConfigurationError."""
        text = self._values[name]
        if not (text.isascii() and text.isdigit()) or not low <= int(text[:9]) <= high:
            raise self.wrong(name, f"must be a number from {low} to {high}")
        return int(text)

    def rate(self, name: str = "per_second") -> float:
        """Requests a second; zero is no limit. Raises: ConfigurationError."""
        try:
            rate = float(self._values[name])
        except ValueError:
            rate = -1.0
        if not math.isfinite(rate) or rate < 0:
            raise self.wrong(name, "must be a number of requests a second, or 0")
        return rate

    def month_day(self, name: str) -> MonthDay:
        """A day of the year, written MM-DD. Raises: ConfigurationError."""
        try:
            day = date.fromisoformat(f"2024-{self._values[name]}")  # a leap year: 02-29 is a day
        except ValueError:
            raise self.wrong(name, "must be a day, MM-DD") from None
        return day.month, day.day

    def url(self, name: str, *, plain: bool) -> str:
        """An address, or empty where it is not set. Raises: ConfigurationError as `check_url`."""
        text = self._values[name]
        return check_url(name, text, allow_plain_http=plain) if text else ""

    def tls(self) -> ssl.SSLContext | None:
        """The trust and the client certificate that are named, or None for the machine's own.

        The settings are `ca_file`, `client_certificate`, `client_key` and `client_key_password`.
        Raises: ConfigurationError if a file cannot be read or does not fit the other.
        """
        authority, certificate = self._values["ca_file"], self._values["client_certificate"]
        if not authority and not certificate:
            return None
        context = ssl.create_default_context()
        if authority:
            try:
                context = ssl.create_default_context(cafile=authority)
            except (OSError, ValueError):
                raise self.wrong("ca_file", "is no file with certificates (PEM)") from None
        if certificate:
            password = self._values["client_key_password"]
            try:
                context.load_cert_chain(
                    certificate, self._values["client_key"] or None, password=lambda: password
                )
            except (OSError, ValueError):
                rule = "and client_key are no certificate with its key (PEM), or the password is "
                raise self.wrong("client_certificate", rule + "wrong") from None
        return context
