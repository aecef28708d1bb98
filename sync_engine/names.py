"""Names: what people call a record of the core."""

from __future__ import annotations

from collections.abc import Sequence

from mappings.canonical.fields import Entity
from sync_engine.store.work import Work


def names_of(work: Work, entity: Entity, cores: Sequence[int]) -> dict[int, str]:
    """Core id → what people call that record, where it has a name."""
    parts = _NAMES.get(entity)
    if parts is None or not cores:
        return {}
    return {
        number: " ".join(str(name) for name in names if name)
        for number, *names in work.execute(
            f"SELECT id, {parts} FROM {entity} WHERE {work.many('id')}", (work.values(cores),)
        )
    }


_PERSON = "roepnaam, voorvoegsel, achternaam"
_NAMES: dict[Entity, str] = {
    Entity.LEERLING: _PERSON,
    Entity.MEDEWERKER: _PERSON,
    Entity.VERZORGER: "voorletters, voorvoegsel, achternaam",
    Entity.GROEP: "naam",
    Entity.VAK: "naam",
    Entity.OPLEIDING: "naam",
    Entity.VESTIGING: "naam",
}
