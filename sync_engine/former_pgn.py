"""Former PGNs: the numbers that a leerling had by the journal, and what a source says of them.

They are read where one is needed for one call, and kept nowhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import msgspec

from connectors import registry
from connectors.base import Keeps
from mappings.canonical.fields import Entity
from sector.identifiers import Bsn, InvalidIdentifierError, Onderwijsnummer
from sync_engine.hub import Hub
from sync_engine.people import KINDS
from sync_engine.rows import identifier_context
from sync_engine.store.cipher import TenantCipher
from sync_engine.store.work import Work

Pgn: TypeAlias = Bsn | Onderwijsnummer

CORRECTED: Final = "pgn_gecorrigeerd"
"""A field of a message in an inbox: the number in it is that of the same leerling as before."""

_LEERLING: Final = str(Entity.LEERLING)


def former_pgns(hub: Hub, tenant_id: int, core_id: int) -> list[Pgn]:
    """Every number that a leerling has or had, newest first; who was merged into him included."""
    cipher = hub.cipher(tenant_id)
    with hub.store.work() as work:
        told = [*_present(work, cipher, core_id), *_journal(work, cipher, core_id)]
    return list({number.reveal(): number for number in told}.values())


def _present(work: Work, cipher: TenantCipher, core_id: int) -> Iterator[Pgn]:
    rows = work.execute(
        "SELECT e.soort, e.waarde, s.salt FROM identificatie e "
        "JOIN core_salt s ON s.core_id = e.eigenaar_id WHERE e.eigenaar_id = ? "
        f"AND {work.many('e.soort')} ORDER BY e.soort",
        (core_id, work.values(list(KINDS))),
    )
    for kind, sealed, salt in rows:
        context = identifier_context(core_id, kind)
        text = cipher.person(bytes(salt)).decrypt(bytes(sealed), context).decode()
        yield from _number(kind, text)


def _journal(work: Work, cipher: TenantCipher, core_id: int) -> Iterator[Pgn]:
    """Of every applied step that named one, newest first; what was erased is not there."""
    for digest, salt, change in work.execute(
        "SELECT s.digest, s.salt, s.change FROM step s JOIN plan p ON p.id = s.plan_id "
        "WHERE s.entity = ? AND s.state = 'planned' AND p.applied AND s.salt IS NOT NULL "
        "AND (s.core_id = ? OR s.core_id IN (SELECT core_id FROM alias WHERE survivor_id = ?)) "
        "ORDER BY s.id DESC",
        (_LEERLING, core_id, core_id),
    ):
        plain = cipher.person(bytes(salt)).decrypt(bytes(change), b"step|%s" % bytes(digest))
        changed: dict[str, list[Any]] = msgspec.json.decode(plain, type=dict[str, list[Any]])
        for kind in KINDS:
            for side in reversed(changed.get(f"identificatie/{kind}/0", [])):
                if isinstance(side, dict) and side.get("waarde"):
                    yield from _number(kind, str(side["waarde"]))


def _number(kind: str, text: str) -> Iterator[Pgn]:
    try:
        yield KINDS[kind](text)
    except InvalidIdentifierError:
        return  # of a release that checked otherwise: it is nobody's number


def whose_now(hub: Hub, tenant_id: int, core_id: int, number: Pgn) -> int | None:
    """Another leerling of the tenant whom a source gives this number now."""
    digest = hub.cipher(tenant_id).index(f"{_LEERLING}/{_kind(number)}", number.reveal())
    with hub.store.work() as work:
        rows = work.execute(
            "SELECT MIN(COALESCE(a.survivor_id, m.core_id)) FROM match_key m "
            "JOIN koppeling k ON k.id = m.koppeling_id AND k.tenant_id = ? "
            "LEFT JOIN alias a ON a.core_id = m.core_id WHERE m.digest = ? AND m.entity = ? "
            "AND COALESCE(a.survivor_id, m.core_id) <> ?",
            (tenant_id, digest, _LEERLING, core_id),
        )
    return None if rows[0][0] is None else int(rows[0][0])


# -- what a source says of them --------------------------------------------------------------------


def is_told_together(hub: Hub, tenant_id: int, core_id: int, *, former: Pgn, now: Pgn) -> bool:
    """Whether a source itself says that two numbers are of this one leerling.

    One record of it holds both (an onderwijsnummer and, later, the BSN beside it), or its message
    says that the number was corrected.
    """
    cipher = hub.cipher(tenant_id)
    wanted = {
        cipher.index(f"{_LEERLING}/{_kind(number)}", number.reveal()) for number in (former, now)
    }
    told: dict[tuple[int, str], set[bytes]] = defaultdict(set)
    with hub.store.work() as work:
        for koppeling_id, key, digest in work.execute(
            "SELECT koppeling_id, source_key, digest FROM match_key WHERE core_id = ? "
            "AND entity = ?",
            (core_id, _LEERLING),
        ):
            told[koppeling_id, key].add(bytes(digest))
    if any(wanted <= digests for digests in told.values()):
        return True
    names = hub.koppelingen(tenant_id)
    return any(_says_corrected(hub, names[koppeling_id], key, now) for koppeling_id, key in told)


def _kind(number: Pgn) -> str:
    return next(kind for kind, shape in KINDS.items() if isinstance(number, shape))


def _says_corrected(hub: Hub, koppeling: str, key: str, now: Pgn) -> bool:
    """Whether the newest message on a record says so, of the number that counts now."""
    source = next((s for s in hub.settings.source if s.name == koppeling), None)
    factory = None if source is None else registry.find().installed.get(source.system)
    if factory is None or Keeps.INBOX not in factory.manifest.keeps:
        return False
    for claim in hub.inbox(koppeling).find(_LEERLING, [key]):
        told = {} if claim.body is None else msgspec.json.decode(claim.body)
        if told.get(CORRECTED) is True and told.get(_kind(now)) == now.reveal():
            return True
    return False
