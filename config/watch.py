"""How the hub watches itself: what it tells of, and how long before."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from config.duration import Duration
from config.frozen import Frozen


def _ordered(days: tuple[int, ...]) -> tuple[int, ...]:
    if not days or list(days) != sorted(set(days), reverse=True):
        message = "must be numbers of days, each once, the largest first"
        raise ValueError(message)
    return days


class Watch(Frozen):
    """The rules of health; see the packaged defaults for what each is.

    Attributes:
        warn_days: so many days before its end a certificate, credential or mandate is told of; from
            the last of them on it is critical.
        cases_wait: a case that is open for longer is told of.
    """

    warn_days: Annotated[tuple[Annotated[int, Field(ge=1, le=730)], ...], AfterValidator(_ordered)]
    cases_wait: Duration
