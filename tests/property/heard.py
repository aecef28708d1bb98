"""What was heard: per source record and scope, what it said last and whether it is gone.

Kept in dictionaries from the readings as the sources themselves remember them; the input of the
oracle. Shares nothing with the hub.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.support.memory import Said

Node = tuple[str, str, str]  # source, entity, key
RANK = {"hoofd": 0, "volgend": 1}
CONFIRMED = timedelta(hours=6)


@dataclass
class Form:
    """What one scope says of one record: as received, and as the core may use it."""

    values: dict[str, Any]
    kept: set[str] = field(default_factory=set)  # delivered once, delivered no longer
    gone: bool = False
    accepted: Form | None = None


@dataclass
class Heard:
    """Everything that sources said so far.

    Attributes:
        known: (source, resource, scope) → key → [missing since, gone].
        forms: record → scope → form.
    """

    known: dict[tuple[str, str, str], dict[str, list[Any]]] = field(default_factory=dict)
    forms: dict[Node, dict[str, Form]] = field(default_factory=dict)

    def hear(self, source: str, now: datetime, said: Said) -> None:
        """Take one reading."""
        known = self.known.setdefault((source, said.resource, said.scope), {})
        told = dict(said.items)
        met = sum(key in known for key in told)
        for key, values in told.items():
            known[key] = [None, False]
            if not values.get("kapot"):
                self._take((source, said.resource, key), values, said)
        missing = [k for k, (_, gone) in known.items() if not gone and k not in told]
        few = len(missing) <= 3 or len(missing) * 2 < len(missing) + met
        ended = [k for k in said.gone if k in known]
        if said.complete and not said.delta and met and few:
            for key in missing:
                since = known[key][0] = known[key][0] or now
                ended += [key] if now - since >= CONFIRMED else []
        for key in ended:
            known[key][1] = True
            form = self.forms.get((source, said.resource, key), {}).get(said.scope)
            if form is not None:
                form.gone = True

    def _take(self, node: Node, values: dict[str, Any], said: Said) -> None:
        forms = self.forms.setdefault(node, {})
        old = forms.get(said.scope) or Form({})
        new = {name: values.get(name) for name in said.fields}
        kept = old.values.keys() - new.keys()
        new |= {name: old.values[name] for name in kept}
        forms[said.scope] = Form(new, kept, accepted=old.accepted)

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
