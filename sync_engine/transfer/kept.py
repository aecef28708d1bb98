"""Kept: what connectors keep of persons goes where they go; what they asked is asked anew.

A value of the vault goes with its person, and of one who becomes two each has it. A batch that is
not closed is closed as lost: its answer is of people of both tenants, and asking again does no
harm. An exchange stands with its koppeling: where its object is on the other side from now on, it
ends. Messages to targets are made again.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error
from datetime import datetime
from typing import Final

import msgspec

from sync_engine.batches import LOST, close_as
from sync_engine.errors import StalePlanError
from sync_engine.outbox.states import HAS_IT, UNDER_WAY, listed
from sync_engine.rows import identifier_context
from sync_engine.sealed import vault_context
from sync_engine.store.cipher import TenantCipher
from sync_engine.store.work import Work
from sync_engine.transfer.sides import GOING, OWNED, Parting

_MARKED: Final = ("bsn", "onderwijsnummer")
"""Identifiers that a mark may be of."""
_COLUMNS: Final = "core_id, system, kind, tenant_id, value, changed_at"
_MINE: Final = (
    "(v.core_id = f.core_id OR v.core_id IN "
    "(SELECT a.core_id FROM alias a WHERE a.survivor_id = f.core_id))"
)


class Marks:
    """Marks of numbers, as `People.mark` makes them: each tenant has others of the same number.

    Args:
        work: reads identifiers of the old tenant.
        old, new: the tenants' keys.
    """

    def __init__(self, work: Work, old: TenantCipher, new: TenantCipher) -> None:
        self._work, self._old, self._new = work, old, new

    def renew(self, person: int, value: bytes) -> bytes:
        """A value of the vault whose `mark`, where it is that of his number now, is made anew.

        A mark of another number stays: nobody knows that number, so that it is another one for the
        new tenant as well.
        """
        try:
            told = msgspec.json.decode(value)
            mark = b64decode(told["mark"], validate=True)
        except (msgspec.DecodeError, KeyError, TypeError, ValueError, Error):
            return value
        for number in self._numbers(person):
            if self._old.mark(number) == mark:
                told["mark"] = b64encode(self._new.mark(number)).decode()
                return msgspec.json.encode(told)
        return value

    def _numbers(self, person: int) -> list[str]:
        rows = self._work.execute(
            "SELECT i.eigenaar_id, i.soort, i.waarde, x.salt FROM identificatie i "
            "JOIN core_salt x ON x.core_id = i.eigenaar_id WHERE i.eigenaar_id = "
            "COALESCE((SELECT a.survivor_id FROM alias a WHERE a.core_id = ?), ?) "
            f"AND {self._work.many('i.soort')}",
            (person, person, self._work.values(_MARKED)),
        )
        return [
            self._old.person(bytes(salt))
            .decrypt(bytes(blob), identifier_context(owner, role))
            .decode()
            for owner, role, blob, salt in rows
        ]


def prepare_twins(
    work: Work, parting: Parting, *, ciphers: tuple[TenantCipher, TenantCipher], marks: Marks
) -> None:
    """Fill `t_vault`: the values of who becomes two, for the one with the new number.

    `t_salt` has the salts of those numbers already.
    """
    work.temp_table(
        "t_vault",
        "core_id BIGINT, system TEXT, kind TEXT, tenant_id INTEGER, value BLOB, "
        "changed_at TIMESTAMP, PRIMARY KEY (core_id, system, kind)",
    )
    old, new = ciphers
    known: set[tuple[object, ...]] = set()
    rows = []
    for number, leaves, salt, owner, system, kind, blob, own_salt, changed in work.execute(
        "SELECT f.number, t.leaves, n.salt, v.core_id, v.system, v.kind, v.value, x.salt, "
        "v.changed_at FROM t_fresh f JOIN t_core t ON t.core_id = f.core_id "
        f"JOIN t_salt n ON n.core_id = f.number JOIN vault v ON {_MINE} "
        "JOIN core_salt x ON x.core_id = v.core_id WHERE v.tenant_id = ? "
        "ORDER BY CASE WHEN v.core_id = f.core_id THEN 0 ELSE 1 END, v.changed_at DESC, v.core_id",
        (parting.old,),
    ):
        if (number, system, kind) in known:
            continue
        known.add((number, system, kind))
        plain = old.person(bytes(own_salt)).decrypt(bytes(blob), vault_context(owner, system, kind))
        cipher, tenant = (old, parting.old) if leaves else (new, parting.new)
        if not leaves:
            plain = marks.renew(owner, plain)
        sealed = cipher.person(bytes(salt)).encrypt(plain, vault_context(number, system, kind))
        rows.append((number, system, kind, tenant, sealed, changed))
    work.load("t_vault", _COLUMNS.split(", "), rows)


def _messages(work: Work, parting: Parting) -> None:
    """Messages to targets are made again, from what each confirmed.

    Raises: StalePlanError while one is under way: its answer would find nobody.
    """
    gone = f"koppeling_id IN {GOING} OR core_id IN (SELECT core_id FROM t_core) "
    gone += f"OR core_id IN {OWNED}"
    if work.execute(f"SELECT 1 FROM outbox WHERE state IN ({listed(UNDER_WAY)}) AND ({gone})"):
        raise StalePlanError(
            "messages to another system are under way",
            advice="Er zijn berichten onderweg naar een ander systeem. Lever eerst af met "
            "`koppelhub outbox deliver`, en probeer het dan opnieuw.",
        )
    work.execute(f"DELETE FROM outbox WHERE {gone}")
    work.execute(
        f"UPDATE koppeling SET outward = '' WHERE id IN {GOING} OR tenant_id IN (?, ?)",
        (parting.old, parting.new),
    )


def write_kept(work: Work, parting: Parting, *, now: datetime) -> None:
    """All of it but the values that were sealed anew, within the transaction that is open."""
    _messages(work, parting)
    work.execute(f"UPDATE vault SET tenant_id = ? WHERE core_id IN {OWNED}", (parting.new,))
    work.execute(f"INSERT INTO vault ({_COLUMNS}) SELECT {_COLUMNS} FROM t_vault")
    asked = "(SELECT p.batch_id FROM batch_person p WHERE p.core_id IN {})"
    concerned = "(SELECT core_id FROM t_core UNION ALL SELECT core_id FROM t_owned)"
    close_as(
        work,
        f"koppeling_id IN {GOING} OR id IN {asked.format(concerned)}",
        outcome=LOST,
        now=now,
    )
    for side, which, other in (("b", "IN", "NOT IN"), ("a", "NOT IN", "IN")):
        own = f"koppeling_id {which} {GOING} AND koppeling_id IN "
        own += "(SELECT id FROM koppeling WHERE tenant_id = ?)"
        there = f"(SELECT t.{side}_id FROM t_core t WHERE t.core_id = exchange.core_id)"
        both = "(SELECT core_id FROM t_core)"
        # an object that is merged, or no more, stands where it is owned
        ends = f"{own} AND ((core_id IN {both} AND {there} IS NULL) "
        ends += f"OR (core_id NOT IN {both} AND core_id {other} {OWNED}))"
        work.execute(  # whom a target has, and is not on its side any more, it is told to remove
            f"UPDATE exchange SET salt = NULL, body = NULL WHERE {ends} AND {HAS_IT}",
            (parting.old,),
        )
        work.execute(f"DELETE FROM exchange WHERE {ends} AND NOT {HAS_IT}", (parting.old,))
        work.execute(
            f"UPDATE exchange SET core_id = {there} WHERE {own} AND core_id IN {both} "
            f"AND core_id <> {there}",
            (parting.old,),
        )
