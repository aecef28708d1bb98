"""The oracle's third part: what the acts of a person come to. It knows nothing of the hub.

What was refused or undone counts as never said, until its source says something else. What was
decided of a record goes before what its keys tell, as long as these are what they were then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from types import MappingProxyType
from typing import Any

from tests.property.history import At, Claim, History, Node, Reading
from tests.property.identity import Claims
from tests.property.oracle import Oracle


class Acts(Oracle):
    def __init__(self, history: History) -> None:
        super().__init__(history)
        self.heard: Claims = self.received  # also what was refused
        self.refused: dict[At, Claim] = {}
        self.decided: dict[Node, tuple[str, Any]] = {}  # what, and on which keys; None for any
        self.last: set[Node] = set()  # of whom the last decision was

    def copy(self) -> Acts:
        """As it stands now; what the world remembers is one."""
        return deepcopy(self, {id(self.history): self.history})

    def hear(self, r: Reading) -> None:
        super().hear(r)
        told = {(n, scope): c for n, claims in self.received.items() for scope, c in claims.items()}
        self.refused = {at: c for at, c in self.refused.items() if told[at] == c}

    def run(self, source: str, *, closes: bool = True) -> None:
        with self._proposed():
            super().run(source, closes=closes)

    # -- acts ------------------------------------------------------------------------------------

    def refuse(self, source: str) -> int:
        """What would change the core of all that a source said is refused. Returns: how much."""
        passed, count = self.copy(), len(self.refused)
        passed.run(source)
        for node in passed.core:
            one = passed.core[node]
            if node[0] == source and passed.shown[one] != self.shown.get(one):
                self._refuse(node, passed.accepted)
        return len(self.refused) - count

    def lift(self, source: str) -> None:
        """What was refused of a source counts again."""
        self.refused = {at: c for at, c in self.refused.items() if at[0][0] != source}

    def undo(self, past: Acts) -> None:
        """What the last run accepted goes back to what it was before it, and is refused."""
        for node in self.accepted:
            self._refuse(node, self.accepted, past.accepted)
        self._restore(past)
        self.accepted = past.accepted

    def decide(self, verdict: str, node: Node, target: Node) -> None:
        """A record is that of another, one of its own, or none; what it says is accepted."""
        told = {n for n in self.received if self._names(n, node)} - self.core.keys()
        waiting = told if node not in self.core else set()
        before = dict(self.core)
        if verdict in {"create", "split"}:
            self.core.pop(node, None)
            self.core[node] = node
        elif verdict == "link":
            self.core[node] = self.core[target]
        if before.get(node) not in (None, self.core.get(node)):
            self._part(node, before)
        parted = {node: before[node]} if verdict == "split" else {}
        self._settle(verdict, {node}, node[0], *waiting, parted=parted)

    def merge(self, source: str, one: Node, other: Node) -> None:
        """Two core records are one, by an act at a source: the younger becomes the older."""
        older, younger = sorted((one, other), key=list(self.core).index)
        both = self._group(older) | self._group(younger)
        self.core |= dict.fromkeys(self._group(younger), older)
        self.merged |= both
        self._settle("link", both, source)

    def take_back(self, past: Acts, source: str) -> None:
        """The last decision is no more: who became what by it is who he was, and judged anew."""
        none = self.last - self.core.keys()
        self._restore(past)
        self.accepted = {n: claims for n, claims in self.accepted.items() if n in self.core}
        self.decided, self.apart, self.parted = past.decided, past.apart, past.parted
        self.refers |= {n: {"anew": True} for n in self.last if n[0] == source}
        self._act(source, none)

    def _settle(
        self,
        verdict: str,
        nodes: set[Node],
        source: str,
        *waiting: Node,
        parted: Mapping[Node, Node] = MappingProxyType({}),
    ) -> None:
        """Remember it. Of what had not been accepted it answers for the keys of now alone."""
        self.apart -= nodes
        self.parted = {n: one for n, one in self.parted.items() if n not in nodes} | {**parted}
        self.apart |= nodes if verdict in {"create", "split"} else set()
        self.decided, self.last = self.decided | dict.fromkeys(nodes, (verdict, None)), nodes
        with self._proposed():
            new = {n for n in nodes if self.received.get(n) != self.accepted.get(n)}
        self._act(source, nodes | {*waiting})
        with self._proposed():
            for node in {n for n in new if n[0] == source}:
                self.decided[node] = verdict, self._keys(node, source)

    def _part(self, moved: Node, before: dict[Node, Node]) -> None:
        """What was one with what is of others, for whom it is of was one with them, is no more."""
        said = {n: self._said(n, self.accepted) for n in self.core}
        hangs = [n for n in sorted(self.core) if moved in said[n].values()]
        now = {n: self._keys(n, "") for n in hangs}
        after, self.core = self.core, before
        hangs = [n for n in hangs if not now[n] & self._keys(n, "")]
        self.core = after
        for one in {self.core[n] for n in hangs}:
            leave = [n for n in self.core if self.core[n] == one and n in hangs]
            stay = [n for n in self.core if self.core[n] == one and n not in hangs]
            if stay:
                self.core = {n: was for n, was in self.core.items() if n not in leave}
                self.core |= dict.fromkeys(stay, stay[0]) | dict.fromkeys(leave, leave[0])
                self.shown[stay[0]] = self.shown.pop(one)

    def _act(self, source: str, nodes: set[Node]) -> None:
        self.only = nodes | {("", "", "")}
        self.run(source)
        self.only = None

    def _names(self, node: Node, other: Node) -> bool:
        """Whether a record of the same source refers to another."""
        values = [v for c in self.received[node].values() for v in c.values.values()]
        return any(v == other or (isinstance(v, tuple) and other in v) for v in values)

    def _restore(self, past: Acts) -> None:
        self.core, self.shown, self.members = past.core, past.shown, past.members
        self.refers, self.merged = past.refers, self.merged & past.core.keys()

    def _refuse(self, node: Node, claims: Claims, before: Claims | None = None) -> None:
        known = (self.accepted if before is None else before).get(node, {})
        for scope, claim in claims.get(node, {}).items():
            if claim != known.get(scope):
                self.refused[node, scope] = claim

    # -- what they change in what is judged ------------------------------------------------------

    @contextmanager
    def _proposed(self) -> Iterator[None]:
        """What counts as said: of what was refused that which is accepted, if anything is."""
        self.heard, proposed = self.received, {}
        for node, claims in self.heard.items():
            known = self.accepted.get(node, {})
            kept = {s for s, c in claims.items() if c.gone and c == known.get(s)}  # gone once more
            kept |= {scope for at, scope in self.refused if at == node}
            said = {s: known.get(s) if s in kept else c for s, c in claims.items()}
            proposed[node] = {scope: claim for scope, claim in said.items() if claim}
        self.received = {node: claims for node, claims in proposed.items() if claims}
        yield
        self.received = self.heard

    def _join(self, node: Node) -> None:
        verdict, keys = self.decided.get(node, ("", None))
        if verdict == "ignore" and node not in self.core:
            return
        if not verdict or keys not in (None, self._keys(node, node[0])):
            super()._join(node)

    def _alive(self, node: Node) -> bool:
        return any(not c.gone for c in self.heard.get(node, {}).values())
