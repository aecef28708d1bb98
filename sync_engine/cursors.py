"""Cursors of deltas, shown and changed by a person: only whole, for nobody here can look into one.

A cursor belongs to one scope of one koppeling. Merging lays the cursors that a document names over
those that stand there, and leaves the others; two cursors of one scope are never made into one. All
is written in one transaction with its line in the audit trail, while no run of the koppeling can be
under way. What a cursor that was set by hand passes over comes with the next reading of everything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from config.errors import ConfigurationError
from config.nearest import choice
from connectors.base import Capability
from sync_engine.audit import note_within
from sync_engine.context import KoppelingRow
from sync_engine.errors import OperationNotDeclaredError, SyncError
from sync_engine.hub import Hub
from sync_engine.store.locks import lease
from sync_engine.store.work import Work

LARGEST: Final = 4096
"""Characters of one cursor: more than any source needs."""
BY_HAND: Final = 0
"""The run of a cursor that a person set."""


class Act(StrEnum):
    """How cursors are set."""

    ONE = "one"  # this one; the others stay
    MERGE = "merge"  # those that a document names; the others stay
    REPLACE = "replace"  # those that a document names; the others are forgotten


@dataclass(frozen=True, slots=True)
class CursorView:
    """Where the next delta of one scope begins.

    Attributes:
        scope: the scope's key.
        label: what to show to people.
        value: opaque.
        run_id: the run that left it; 0 where a person set it.
    """

    resource: str
    scope: str
    label: str
    value: str
    run_id: int


class Given(msgspec.Struct, frozen=True):
    """One cursor of a document, as `cursor show --json` prints it; the rest is not read."""

    resource: str
    scope: str
    value: str


class Document(msgspec.Struct, frozen=True):
    """What `cursor show --json` prints."""

    source: str
    cursors: tuple[Given, ...]


def read_document(text: bytes, *, source: str) -> tuple[Given, ...]:
    """The cursors that a document holds.

    Raises: SyncError if it is none, or of another koppeling.
    """
    advice = "Geef wat `koppelhub cursor show --source KOPPELING --json` schrijft."
    try:
        document = msgspec.json.decode(text, type=Document)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise SyncError("this is not a document of cursors", advice=advice) from None
    if document.source != source:
        message = f"these are the cursors of {document.source[:63]!r}, not of {source!r}"
        raise SyncError(message, advice="Noem de koppeling waar het document van is.")
    if len({(one.resource, one.scope) for one in document.cursors}) != len(document.cursors):
        raise SyncError("the document names a scope twice", advice=advice)
    return document.cursors


def show(hub: Hub, source: str, *, resources: Collection[str] = ()) -> list[CursorView]:
    """The cursors of a koppeling, by resource and scope.

    Raises: ConfigurationError if there is no such koppeling or resource.
    """
    row = hub.koppeling(source)
    _declared(hub, source, resources, delta=False)
    with hub.store.work() as work:
        return _read(work, row, resources)


def clear(
    hub: Hub,
    source: str,
    *,
    operator: str,
    why: str,
    resources: Collection[str] = (),
    scope: str | None = None,
) -> list[CursorView]:
    """Forget cursors: the next delta reads those scopes as a whole; what was forgotten.

    Raises: ConfigurationError; RunActiveError if a run is under way.
    """
    _declared(hub, source, resources, delta=False)
    with _changing(hub, source, action="cursor clear", operator=operator, why=why) as (work, row):
        gone = [
            view for view in _read(work, row, resources) if scope is None or view.scope == scope
        ]
        if scope is not None and not gone:
            raise _no_scope(scope, [view.scope for view in _read(work, row, resources)])
        for view in gone:
            work.execute(
                f"DELETE FROM {work.real('source_cursor')} WHERE scope_id IN (SELECT id FROM scope "
                "WHERE koppeling_id = ? AND resource = ? AND key = ?)",
                (row.id, view.resource, view.scope),
            )
    return gone


def put(
    hub: Hub,
    source: str,
    given: Sequence[Given],
    *,
    act: Act,
    operator: str,
    why: str,
) -> list[CursorView]:
    """Set cursors; how all stand now.

    Args:
        hub: of the koppeling.
        source: its name.
        given: what is set, each in the place of what stands there.
        act: what becomes of the others.
        operator: who does it.
        why: in his words.

    Raises: ConfigurationError if a resource or scope is not known; OperationNotDeclaredError if a
        resource has no deltas; SyncError if a cursor is empty or too large; RunActiveError.
    """
    for one in given:
        if not 0 < len(one.value) <= LARGEST:
            raise SyncError(
                f"the cursor of {one.resource} is empty or larger than {LARGEST} characters",
                advice="Vergeet een cursor met `koppelhub cursor clear`.",
            )
    _declared(hub, source, {one.resource for one in given}, delta=True)
    action = "cursor merge" if act is Act.MERGE else "cursor set"
    with _changing(hub, source, action=action, operator=operator, why=why) as (work, row):
        scopes = _scopes(work, row)
        if act is Act.REPLACE:
            work.execute(
                "DELETE FROM source_cursor WHERE scope_id IN "
                "(SELECT id FROM scope WHERE koppeling_id = ?)",
                (row.id,),
            )
        for one in given:
            number = scopes.get((one.resource, one.scope))
            if number is None:
                raise _no_scope(one.scope, [k for r, k in scopes if r == one.resource])
            work.execute(
                "INSERT INTO source_cursor (scope_id, value, run_id) VALUES (?, ?, ?) "
                "ON CONFLICT (scope_id) DO UPDATE SET value = excluded.value, "
                "run_id = excluded.run_id",
                (number, one.value, BY_HAND),
            )
        return _read(work, row, ())


def only_scope(hub: Hub, source: str, resource: str) -> str:
    """The key of the one scope of a resource, for a person who names none.

    Raises: SyncError if it has none yet, or more than one.
    """
    row = hub.koppeling(source)
    with hub.store.work() as work:
        keys = [key for name, key in _scopes(work, row) if name == resource]
    if len(keys) == 1:
        return keys[0]
    many = f"has {len(keys)} scopes" if keys else "was never read"
    listed = f": {', '.join(keys)}" if keys else ""
    raise SyncError(
        f"{resource} of {source} {many}",
        advice=f"Noem er een met --scope{listed}." if keys else "Lees deze koppeling eerst.",
    )


def _scopes(work: Work, row: KoppelingRow) -> dict[tuple[str, str], int]:
    """(resource, key) → number of the scopes that are read."""
    return {
        (resource, key): number
        for number, resource, key in work.execute(
            "SELECT id, resource, key FROM scope WHERE koppeling_id = ? AND ended_run IS NULL "
            "AND NOT adopted ORDER BY resource, key",
            (row.id,),
        )
    }


def _read(work: Work, row: KoppelingRow, resources: Collection[str]) -> list[CursorView]:
    return [
        CursorView(resource, key, label, value, run_id)
        for resource, key, label, value, run_id in work.execute(
            "SELECT s.resource, s.key, s.label, c.value, c.run_id FROM source_cursor c "
            "JOIN scope s ON s.id = c.scope_id WHERE s.koppeling_id = ? "
            "ORDER BY s.resource, s.rank, s.key",
            (row.id,),
        )
        if not resources or resource in resources
    ]


@contextmanager
def _changing(
    hub: Hub, source: str, *, action: str, operator: str, why: str
) -> Iterator[tuple[Work, KoppelingRow]]:
    """One transaction, with its line in the trail, while no run of this koppeling is under way."""
    row = hub.koppeling(source)
    with (
        hub.store.work() as work,
        lease(hub.store, f"koppeling-{row.id}", on=work),
        work.transaction(),
    ):
        yield work, row
        note_within(
            hub, work, operator=operator, action=action, subject=f"koppeling {source}", why=why
        )


def _declared(hub: Hub, source: str, resources: Collection[str], *, delta: bool) -> None:
    """Raises: ConfigurationError; OperationNotDeclaredError."""
    manifest = hub.manifest(hub.source(source))
    for name in sorted(resources):
        resource = manifest.resource(name)
        if delta and Capability.DELTA not in resource.capabilities:
            raise OperationNotDeclaredError(f"{manifest.system} declares no delta for {name}")


def _no_scope(scope: str, known: Sequence[str]) -> ConfigurationError:
    message = f"there is no scope {scope[:100]!r} here"
    return ConfigurationError(message, advice=choice(scope, known))
