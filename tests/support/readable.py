"""Everything encrypted of a tenant that can be opened still: an auditor who has the keys."""

from __future__ import annotations

from collections.abc import Iterator

from sync_engine.sealed import sealed_columns
from tests.support.hubs import Bench


def readable(made: Bench, *texts: str) -> list[str]:
    """The encrypted columns in which any of these texts can be read, with the keys in hand."""
    wanted = [text.encode() for text in texts]
    return sorted({name for name, plain in _opened(made) if any(text in plain for text in wanted)})


def _opened(made: Bench) -> Iterator[tuple[str, bytes]]:
    for (tenant_id,) in made.query("SELECT id FROM tenant ORDER BY id"):
        cipher = made.hub.cipher(tenant_id)
        for sealed in sealed_columns():
            parts = ", ".join(f"t.{part}" for part in sealed.parts)
            sql = sealed.rows(f"{{salt}}, t.{sealed.column}, {parts}", "")
            for salt, body, *values in made.query(sql, tenant_id):
                context = sealed.context(*values)
                yield sealed.name, cipher.person(bytes(salt)).decrypt(bytes(body), context)
