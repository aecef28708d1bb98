"""Since when somebody is a member of a group, and until when he was: by the days of readings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from mappings.canonical.fields import Kind
from tests.property.heard import Form, Node
from tests.property.identity import Row

Who = frozenset[Node]
Member = tuple[Who, str, Who]  # group, role, person


@dataclass
class Members:
    """Members as they are, and as they were; a group or person that was merged is left out."""

    since: dict[Member, str | None] = field(default_factory=dict)
    left: dict[Member, list[tuple[str | None, str]]] = field(default_factory=dict)

    def follow(
        self,
        before: Iterable[Who],
        groups: dict[Who, Row],
        forms: dict[Who, list[Form]],
        everyone: set[Who],
    ) -> None:
        """One run later.

        Args:
            before: the groups that there were.
            groups: the groups that there are, and what they hold.
            forms: what the core uses of each.
            everyone: the source records of every core record.
        """
        known = {node for group in before for node in group}
        was = {_now(member, everyone): start for member, start in self.since.items()}
        self.left = {_now(member, everyone): told for member, told in self.left.items()}
        self.since = {}
        for group, row in groups.items():
            seen = max(form.day for form in forms[group])
            held = max((form.held for form in forms[group] if form.held), default=seen)
            members = {(group, *key[1:]) for key in row if key[0] is Kind.MEMBERS}
            start = seen.isoformat() if group & known else row["geldig_van"]
            self.since |= {member: was.get(member, start) for member in members}
            for member in [m for m in was if m[0] == group and m not in members]:
                end = (held + timedelta(days=1)).isoformat()
                self.left.setdefault(member, []).append((was[member], end))


def _now(member: Member, everyone: set[Who]) -> Member:
    """The same member, with what was linked to group and person since."""
    group, role, person = member
    return _grown(group, everyone), role, _grown(person, everyone)


def _grown(who: Who, everyone: set[Who]) -> Who:
    return next((now for now in everyone if who <= now), who)
