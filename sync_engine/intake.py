"""Intake: what of a scope's records is of erased persons, and is written nowhere."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mappings.canonical.fields import Canonical
from mappings.canonical.schema import ENTITY_OF
from sync_engine.context import Context, ScopeRow


class Intake:
    """Asks for the records of one reading whether they may be stored."""

    def __init__(self, context: Context, scope: ScopeRow) -> None:
        self._context, self._scope = context, scope

    def erased(
        self, records: Sequence[Canonical], forms: Sequence[bytes], *, linked: bool
    ) -> set[tuple[str, str]] | None:
        """The canonical records of a source record that are not stored; None: none of it is.

        Args:
            records: of one source record.
            forms: of each, encoded.
            linked: the hub knows the source record, and whose it is.
        """
        context, suppressions = self._context, self._context.erased
        if not suppressions:  # nobody was erased, most of the time
            return set()
        said = [
            (ENTITY_OF[type(record)], record.key, msgspec.json.decode(form))
            for record, form in zip(records, forms, strict=True)
        ]
        issuer = context.issuer(self._scope.id)
        judged = suppressions.judge(said, context.koppeling.id, issuer=issuer, linked=linked)
        if judged.whole and not linked:
            suppressions.count({(entity, key) for entity, key, _ in said})
            return None
        suppressions.count(judged.erased)
        return {(str(entity), key) for entity, key in judged.erased}

    def refuses(self, key: str, body: bytes) -> bool:
        """Whether a record that cannot be read is of an erased person, as far as can be told."""
        context, erased = self._context, self._context.erased
        resource = self._scope.scope.resource
        if not erased:
            return False
        return erased.holds_unread(resource, context.koppeling.id, key, body)

    def forget(self, key: str) -> None:
        """What a program sent of such a record goes."""
        context = self._context
        if key and not context.dry:
            context.work.execute(
                "DELETE FROM inbox WHERE koppeling_id = ? AND resource = ? AND source_key = ?",
                (context.koppeling.id, self._scope.scope.resource, key),
            )

    def remove(self, record_id: int, key: str) -> None:
        """What could not be read until now, and turns out to be of an erased person."""
        work, scope = self._context.work, self._scope.id
        if self._context.dry:
            return
        with work.transaction():
            work.execute("DELETE FROM raw_payload WHERE record_id = ?", (record_id,))
            work.execute(
                "DELETE FROM quarantine WHERE scope_id = ? AND source_key = ?", (scope, key)
            )
            work.execute("DELETE FROM source_record WHERE id = ?", (record_id,))
