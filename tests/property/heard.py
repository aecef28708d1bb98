"""What was heard: per source record and scope, what it said last, and since when it is gone.

Kept in dictionaries from the readings as the sources themselves remember them; the input of the
oracle. Shares nothing with the hub.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from config.clock import local_date
from tests.support.memory import Said

Node = tuple[str, str, str]  # source, entity, key
RANK = {"hoofd": 0, "volgend": 1}
CONFIRMED = timedelta(hours=6)


@dataclass
class Form:
    """What one scope says of one record: as received, and as the core may use it."""

    values: dict[str, Any]
    kept: set[str]  # delivered once, delivered no longer
    day: date  # on which it came
    held: date | None  # last day on which a whole reading held what came before it
    gone: bool = False
    accepted: Form | None = None


@dataclass
class Heard:
    """Everything that sources said so far.

    Attributes:
        forms: record → scope → form.
        known: place → key of everything that ever was there → whether it still is.
        missed: place → key → since when whole readings miss it, and until when one held it.
        whole: place → day of the last whole reading; a place is (source, resource, scope).
        ended: (source, scope) that is read no longer.
    """

    forms: dict[Node, dict[str, Form]] = field(default_factory=dict)
    known: dict[tuple[str, str, str], dict[str, bool]] = field(default_factory=dict)
    missed: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    whole: dict[tuple[str, str, str], date] = field(default_factory=dict)
    ended: set[tuple[str, str]] = field(default_factory=set)

    def hear(self, source: str, now: datetime, said: Said) -> None:
        """Take one reading."""
        place, today, told = (source, said.resource, said.scope), local_date(now), dict(said.items)
        known, missed = self.known.setdefault(place, {}), self.missed.setdefault(place, {})
        last, met = self.whole.get(place), len(known.keys() & told)
        missing = [key for key, here in known.items() if here and key not in told]
        for key, values in told.items():
            known[key] = True
            missed.pop(key, None)
            if not values.get("kapot"):
                self._take((source, said.resource, key), values, said, (today, last))
        if said.complete and not said.delta:
            if missing and (not met or 3 < len(missing) >= met):
                return  # half of it, or all of it, is missing at once: that proves nothing
            for key in missing:
                since, _ = missed.setdefault(key, (now, last))
                if now - since >= CONFIRMED and not "07-25" <= today.isoformat()[5:] <= "08-20":
                    self._end(place, key, last)
        for key in [key for key in said.gone if known.get(key)]:
            self._end(place, key, last)
        if said.complete:
            self.whole[place] = today

    def _take(
        self, node: Node, values: dict[str, Any], said: Said, days: tuple[date, date | None]
    ) -> None:
        forms = self.forms.setdefault(node, {})
        old = forms.get(said.scope)
        new = {name: values.get(name) for name in said.fields}
        kept = old.values.keys() - new.keys() if old else set()
        new |= {name: old.values[name] for name in kept} if old else {}
        if not old or old.gone or (old.values, old.kept) != (new, kept):
            forms[said.scope] = Form(new, set(kept), *days, accepted=old and old.accepted)

    def _end(self, place: tuple[str, str, str], key: str, last: date | None) -> None:
        """It ends on the last day on which a whole reading held it, or on which it came."""
        source, resource, scope = place
        self.known[place][key] = False
        _, held = self.missed[place].pop(key, (None, last))
        form = self.forms.get((source, resource, key), {}).get(scope)
        if form is not None and not form.gone:
            form.gone, form.held = True, max(held or form.day, form.day)

    def gone(self, node: Node) -> bool:
        """No scope has it any more."""
        return all(form.gone for form in self.forms[node].values())

    def said(self, node: Node, *, accepted: bool = False) -> dict[str, Any]:
        """All scopes laid together: live and current ones are believed, a value over none."""
        said: dict[str, Any] = {}
        forms = sorted(self.forms[node].items(), key=lambda f: (f[1].gone, RANK[f[0]]))
        for form in [form.accepted if accepted else form for _, form in forms]:
            for name, value in (form.values if form else {}).items():
                said[name] = value if said.get(name) is None else said[name]
        return said
