"""Early keys: the exact keys of what a run is the first to receive, made while it is mapped.

Correlation asks who a record is by its keys alone. Of a record that this run read for the first
time they are known before its form is encrypted, so that it need not be opened for them again; in a
first load that is every record. They are the same blind indexes that correlation would make of
the form, and stand in a temporary table of the run: what another run left is opened as ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from mappings.canonical.fields import Entity
from sync_engine.context import Context
from sync_engine.nodes import KEYED, WITH_KEYS, Node, digests_of, load_nodes, lookup_links

COLUMNS: Final = ("shadow_id", "keys")
"""Of the table `w_early`."""

EARLY: Final = frozenset(
    {Entity.LEERLING, Entity.MEDEWERKER, *(e for e in Entity if e not in WITH_KEYS)}
)
"""Entities whose keys depend on no other record, or that have none."""


class _Keys(msgspec.Struct, array_like=True):
    """What stands there of one record: its exact keys, and the references that rules look at."""

    digests: list[tuple[bytes, str]]
    references: dict[str, str | None]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Keys).decode
_decode_form = msgspec.json.Decoder().decode


def prepare(context: Context) -> None:
    """Make the temporary table, empty."""
    context.work.temp_table("w_early", "shadow_id BIGINT PRIMARY KEY, keys BLOB")


def keys_of_form(
    context: Context, entity: Entity, source_key: str, form: bytes, *, issuer: int
) -> bytes:
    """What is kept of one record.

    Args:
        context: of the run.
        entity: one of EARLY.
        source_key: the source's.
        form: as it is received.
        issuer: the koppeling that issued its numbers.
    """
    node = Node(source_key, _decode_form(form), False, None, 0, issuer)
    references = {name: node.form[name] for name in KEYED.get(entity, ()) if name in node.form}
    return _encode((digests_of(context, entity, node, {}), references))


def pending_nodes(context: Context, entity: Entity, places: Mapping[str, int]) -> list[Node]:
    """The pending records of these keys, as correlation sees them.

    Of one that no other scope has, and that this run received once, the keys that are known stand
    for its form.

    Args:
        context: of the run.
        entity: of them all.
        places: source key → where it stands among what is pending: the number of a shadow of it.
    """
    work, keys = context.work, list(places)
    known: dict[int, bytes] = {}
    if entity in EARLY:
        known = dict(
            work.execute(
                f"SELECT shadow_id, keys FROM w_early WHERE {work.many('shadow_id')}",
                (work.values(list(places.values())),),
            )
        )
    if not known:
        return load_nodes(context, entity, keys, places)
    rows = work.execute(
        "SELECT source_key, id, scope_id, received_gone OR refused_run IS NOT NULL FROM v_shadow "
        f"WHERE koppeling_id = ? AND entity = ? AND {work.many('source_key')}",
        (context.koppeling.id, str(entity), work.values(keys)),
    )
    alone: dict[str, tuple[bytes, int]] = {}
    opened: set[str] = set()
    for key, number, scope_id, apart in rows:
        if apart or number not in known or key in alone:
            opened.add(key)
        else:
            alone[key] = (known[number], scope_id)
    core = lookup_links(context, entity, keys)
    found = load_nodes(context, entity, sorted(opened), places) if opened else []
    for key, (blob, scope_id) in alone.items():
        if key not in opened:
            early, issuer = _decode(blob), context.issuer(scope_id)
            form, digests = early.references, tuple(early.digests)
            found.append(Node(key, form, False, core.get(key), places[key], issuer, digests))
    return found
