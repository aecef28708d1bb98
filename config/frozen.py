"""The root of settings and policies, and the kinds of values that several of them share."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Frozen(BaseModel):
    """Root of settings and policies: frozen, no unknown keys, no values in errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, populate_by_name=True
    )


Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
AnyShare = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _month_day(text: str) -> str:
    try:
        date.fromisoformat(f"2024-{text}")  # a leap year: 29 February is a day
    except ValueError:
        message = "must be a month and a day, such as 07-25"
        raise ValueError(message) from None
    if len(text) != len("07-25"):
        message = "must be a month and a day, such as 07-25"
        raise ValueError(message)
    return text


MonthDay = Annotated[str, AfterValidator(_month_day)]


def falls_within(on: date, *, first: str, last: str) -> bool:
    """Whether a day lies from one month-day through another, which may be after New Year."""
    day = f"{on.month:02d}-{on.day:02d}"
    if first <= last:
        return first <= day <= last
    return day >= first or day <= last
