"""How messages to targets are shown: where each stands, what it says, what is to be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from console.output import Output
from sync_engine.outbox.message_cases import said
from sync_engine.outbox.states import MEANS, State
from sync_engine.outcome import ExitCode

if TYPE_CHECKING:
    from sync_engine.outbox.delivering import Delivery
    from sync_engine.outbox.messages import MessageRow, MessageView

_ACTIONS: Final = {"put": "bijwerken", "delete": "verwijderen", "": ""}
_HIDDEN: Final = ("tenant_id", "koppeling_id", "salt")
NEXT: Final[Mapping[State, str]] = {
    State.ASKS: "Beslis met `koppelhub outbox approve {id}` of `koppelhub outbox refuse {id} "
    '--why "..."`.',
    State.UNDELIVERABLE: "Verbeter het gegeven in de bron: dan gaat er vanzelf een nieuw bericht. "
    "Lag het aan het andere systeem: `koppelhub outbox deliver --again {id}`.",
    State.DECLINED: "Toch versturen: `koppelhub outbox deliver --again {id}`.",
}
"""State → what a person does next."""


def code_of(messages: Sequence[MessageRow]) -> int:
    """Held where one waits for a person, a warning where one was refused."""
    states = {message.state for message in messages}
    if State.ASKS in states:
        return ExitCode.HELD
    return ExitCode.PARTIAL if State.UNDELIVERABLE in states else ExitCode.DONE


def show_messages(out: Output, messages: Sequence[MessageRow], *, more: int = 0) -> None:
    """Messages, oldest first, without what they say."""
    if out.data({"messages": [_told(message) for message in messages], "more": more}):
        return
    out.table(
        ("bericht", "koppeling", "hubsleutel", "wat", "staat", "sinds", "pogingen", "reden"),
        [
            (
                *(m.id, m.koppeling, m.key, _ACTIONS[m.action], MEANS[m.state]),
                *(out.moment(m.since), m.attempts or "", _why(m)),
            )
            for m in messages
        ],
    )
    if not messages:
        out.line("Er wacht geen bericht.")
    if more:
        out.line(f"... en nog {more}; zie --limit")
    for state in dict.fromkeys(m.state for m in messages if m.state in NEXT):
        first = next(m.id for m in messages if m.state is state)
        out.line(NEXT[state].format(id=first))


def show_message(out: Output, found: MessageView) -> None:
    """One message, field by field."""
    told = {
        "message": _told(found.message),
        "before": found.before,
        "after": found.after,
        "changes": changes(found),
    }
    if out.data(told):
        return
    message = found.message
    out.title(f"Bericht {message.id} aan {message.koppeling} over {message.key}")
    out.line(f"{_ACTIONS[message.action]}: {MEANS[message.state]}")
    if _why(message):
        out.line(_why(message))
    if message.undone is not None:
        out.line(f"Hiermee hoort het andere systeem dat run {message.undone} is teruggedraaid.")
    if found.after is None and message.action == "delete":
        out.line("Het andere systeem heeft dit object daarna niet meer.")
    out.table(
        ("veld", "heeft nu", "krijgt"),
        [(name, before or "", after or "") for name, before, after in changes(found)],
    )
    if message.state in NEXT:
        out.line(NEXT[message.state].format(id=message.id))


def changes(found: MessageView) -> list[tuple[str, str | None, str | None]]:
    """(field, as the target has it, as it is to have it) of what differs."""
    before, after = found.before or {}, found.after or {}
    return [
        (name, before.get(name), after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def show_deliveries(out: Output, found: Sequence[Delivery]) -> None:
    """What each delivery came to."""
    if out.data({"deliveries": [asdict(one) for one in found]}):
        return
    if not found:
        out.line("Er is geen koppeling waaraan de hub iets levert.")
    out.table(
        ("koppeling", "bevestigd", "aangenomen", "geweigerd", "wacht op besluit", "nog open"),
        [
            (one.koppeling, one.confirmed, one.taken, one.refused, one.asks, one.left)
            for one in found
        ],
    )
    for one in found:
        if one.error:
            out.line(f"{one.koppeling}: {one.error}. {one.advice}")
        if one.undeliverable:
            out.line(
                f"{one.koppeling}: {one.undeliverable} berichten zijn geweigerd; zie "
                f"`koppelhub outbox list --source {one.koppeling}`."
            )


def code_of_deliveries(found: Sequence[Delivery]) -> int:
    """The worst of them: failed, later, held for a person, something refused, or done."""
    if any(one.error and not one.later for one in found):
        return ExitCode.FAILED
    if any(one.error for one in found):
        return ExitCode.LATER
    if any(one.asks for one in found):
        return ExitCode.HELD
    return ExitCode.PARTIAL if any(one.undeliverable for one in found) else ExitCode.DONE


def _told(message: MessageRow) -> dict[str, object]:
    """A message as a script reads it."""
    return {name: value for name, value in asdict(message).items() if name not in _HIDDEN}


def _why(message: MessageRow) -> str:
    if message.code:
        return said(message.code, message.rule)
    if message.state is State.DECLINED:
        return f"{message.decided_by}: {message.why}"
    return "" if message.undone is None else f"correctie na terugdraaien van run {message.undone}"
