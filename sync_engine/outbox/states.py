"""How far a message is, and which states are alike. One table, for SQL and for people.

    object changed           body made            sent, under its id
──► due ────────────┬──────► ready ──────────────► sent ──► confirmed
                    │          ▲                  ▲ │ ├───► taken    answers later: asked
         it is a    ▼  approve │         never    │ │ └───► unknown  no answer came: asked
         correction asks ──────┘         seen     └─┼────────┘
                    │ refuse                        ▼ refused
                    ▼                               undeliverable ── again ──► ready
                    declined
What is not needed any more, or is replaced before it was sent, is withdrawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """How far a message is."""

    DUE = "due"  # its object changed; what is to be sent, if anything, is still to be made
    READY = "ready"
    ASKS = "asks"  # a person decides whether it is sent
    SENT = "sent"  # it was sent once at least, and no answer was kept: it goes again, as it is
    TAKEN = "taken"  # the target has it, and answers later
    UNKNOWN = "unknown"  # no answer came: the target is asked
    UNDELIVERABLE = "undeliverable"  # the target refused it
    DECLINED = "declined"  # a person refused it
    CONFIRMED = "confirmed"
    WITHDRAWN = "withdrawn"


WAITING: Final = (State.DUE, State.READY, State.ASKS)
UNDER_WAY: Final = (State.SENT, State.TAKEN, State.UNKNOWN)
OPEN: Final = (*WAITING, *UNDER_WAY, State.UNDELIVERABLE)
OVER: Final = (State.CONFIRMED, State.WITHDRAWN)

HAS_IT: Final = "(kind LIKE 'outward %' AND state = 'present')"
"""Of an exchange: a target confirmed that it has the object. Whatever becomes of the object here,
this stays until the target was told; without its body, where that may not be kept."""

MEANS: Final[Mapping[State, str]] = {
    State.DUE: "wordt gemaakt",
    State.READY: "klaar om te versturen",
    State.ASKS: "wacht op een besluit",
    State.SENT: "verstuurd; wordt herhaald tot er antwoord is",
    State.TAKEN: "aangenomen; het andere systeem bevestigt later",
    State.UNKNOWN: "geen antwoord; er wordt nagevraagd wat ervan kwam",
    State.UNDELIVERABLE: "geweigerd door het andere systeem",
    State.DECLINED: "door een mens niet verstuurd",
    State.CONFIRMED: "bevestigd",
    State.WITHDRAWN: "niet meer nodig",
}
"""State → what it is (Dutch)."""


def listed(states: tuple[State, ...]) -> str:
    """States as SQL has them between brackets."""
    return ", ".join(f"'{state}'" for state in states)
