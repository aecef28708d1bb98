"""Finding a record by what a person has in hand: the hub's own key, or a leerlingnummer."""

from __future__ import annotations

import re

from mappings.canonical.fields import Entity
from sync_engine.errors import SyncError
from sync_engine.hub import Hub
from sync_engine.store.work import Work

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ*~$=U"  # Crockford's base 32, and its check symbols
_KEY = re.compile(r"K-([0-9A-HJKMNP-TV-Z]+)([0-9A-HJKMNP-TV-Z*~$=U])", re.IGNORECASE)


def hub_key(core_id: int) -> str:
    """The opaque key of a core record, with a check symbol: a typing error finds nobody."""
    digits, rest = "", core_id
    while rest:
        rest, place = divmod(rest, 32)
        digits = _ALPHABET[place] + digits
    return f"K-{digits or '0'}{_ALPHABET[core_id % 37]}"


def read_hub_key(text: str) -> int | None:
    """The core id of a hub key; None where the text is not shaped as one.

    Raises: SyncError if the check symbol is wrong.
    """
    match = _KEY.fullmatch(text.strip())
    if match is None:
        return None
    core_id = 0
    for character in match[1].upper():
        core_id = core_id * 32 + _ALPHABET.index(character)
    if _ALPHABET[core_id % 37] != match[2].upper():
        raise SyncError(
            "that key is mistyped", advice="Neem de sleutel over zoals hij getoond werd."
        )
    return core_id


def find_leerlingen(hub: Hub, work: Work, text: str) -> list[int]:
    """Core ids of the pupils with this hub key or leerlingnummer, over all koppelingen.

    Raises: SyncError if there is none.
    """
    core_id = read_hub_key(text)
    if core_id is not None:
        alias = work.execute("SELECT survivor_id FROM alias WHERE core_id = ?", (core_id,))
        found = [alias[0][0] if alias else core_id]
        found = [c for c in found if work.execute("SELECT 1 FROM leerling WHERE id = ?", (c,))]
    else:
        found = _by_number(hub, work, text.strip())
    if not found:
        raise SyncError(
            "there is no leerling with that key or leerlingnummer",
            advice="Gebruik de sleutel van de hub (K-...) of het leerlingnummer van de school.",
        )
    return found


def _by_number(hub: Hub, work: Work, number: str) -> list[int]:
    found: set[int] = set()
    for koppeling_id, tenant_id in work.execute("SELECT id, tenant_id FROM koppeling"):
        index = hub.cipher(tenant_id).index(
            "identificatie/leerlingnummer", str(koppeling_id), number
        )
        found.update(
            row[0]
            for row in work.execute(
                "SELECT eigenaar_id FROM identificatie WHERE blindindex = ?", (index,)
            )
        )
    return sorted(found)


def source_keys(work: Work, core_id: int, *, koppeling_id: int, entity: Entity) -> list[str]:
    """The keys under which one koppeling knows a core record."""
    rows = work.execute(
        "SELECT source_key FROM link WHERE core_id = ? AND koppeling_id = ? AND entity = ? "
        "ORDER BY source_key",
        (core_id, koppeling_id, str(entity)),
    )
    return [row[0] for row in rows]
