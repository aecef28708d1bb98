"""The audit trail: who looked at or changed what, from where, why; append-only, hub ids only.

Every line hashes the one before it. The end is anchored under a key (store/anchor.py); a new line
follows the anchor, not what happens to stand last, so that what was done to the end in between is
found for ever after. Lines of before the anchor hash neither their number nor an origin.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from sync_engine.store.anchor import START, Anchor, read_anchor, write_anchor
from sync_engine.store.dialect import Dialect
from sync_engine.store.values import instant, instant_text
from sync_engine.store.work import Work

if TYPE_CHECKING:
    from sync_engine.hub import Hub

_LOST: Final = b"\xff" * 32
"""What a line follows where no anchor holds: no line hashes so, and the break stays visible."""


def note(hub: Hub, work: Work, *, operator: str, action: str, subject: str, why: str = "") -> None:
    """Add one line. Subjects are hub keys and numbers, never names.

    Must not be called inside a transaction.
    """
    with work.transaction():
        note_within(hub, work, operator=operator, action=action, subject=subject, why=why)


def note_within(
    hub: Hub, work: Work, *, operator: str, action: str, subject: str, why: str = ""
) -> None:
    """Add one line in the transaction that is open: with what it tells of, or not at all."""
    at = hub.clock.now()
    if work.dialect is Dialect.POSTGRESQL:  # two at once would both follow the same line
        work.execute("LOCK TABLE audit IN SHARE ROW EXCLUSIVE MODE")
    anchor = read_anchor(work, hub.keyring) or Anchor(digest=_LOST)
    number = _next_number(work, anchor)
    origin = hub.actor.origin
    parts = (str(number), instant_text(at), operator, action, subject, why, origin)
    digest = _digest(anchor.digest, *parts)
    work.execute(
        "INSERT INTO audit (id, at, operator, action, subject, why, origin, previous, digest) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (number, at, operator, action, subject, why, origin, anchor.digest, digest),
    )
    write_anchor(work, hub.keyring, Anchor(anchor.lines + 1, number, digest))


def _next_number(work: Work, anchor: Anchor) -> int:
    """The number of a new line: hashed with it, so that lines cannot change places."""
    if work.dialect is Dialect.POSTGRESQL:
        rows = work.execute("SELECT nextval(pg_get_serial_sequence('audit', 'id'))")
        return int(rows[0][0])
    last = work.execute("SELECT MAX(id) FROM audit")[0][0]
    return max(last or 0, anchor.last_id) + 1


def _digest(previous: bytes, *parts: str) -> bytes:
    hashed = sha256(previous)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        hashed.update(len(encoded).to_bytes(4, "big") + encoded)
    return hashed.digest()


def is_unanchored(work: Work) -> bool:
    """Whether the trail is of a release that anchored nothing, and was not anchored since."""
    return not work.execute("SELECT 1 FROM audit_anchor") and not work.execute(
        "SELECT 1 FROM audit WHERE origin IS NOT NULL LIMIT 1"
    )


def anchor_former(hub: Hub, work: Work) -> int:
    """Anchor the lines that a release before the anchor wrote, as they stand; how many.

    For the upgrade that makes the anchor, and for nothing else: what stands there is believed.
    """
    rows = work.execute("SELECT id, digest FROM audit ORDER BY id DESC LIMIT 1")
    count = int(work.execute("SELECT COUNT(*) FROM audit")[0][0])
    last_id, digest = (rows[0][0], bytes(rows[0][1])) if rows else (0, START)
    with work.transaction():
        write_anchor(work, hub.keyring, Anchor(count, last_id, digest))
    return count


# -- reading it ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the trail; `origin` is None for those of before it was kept."""

    id: int
    at: str
    operator: str
    action: str
    subject: str
    why: str
    origin: str | None


def show(
    work: Work,
    *,
    operator: str | None = None,
    subject: str | None = None,
    since: datetime | None = None,
    limit: int | None = None,
) -> Iterator[Line]:
    """Lines of the trail, newest first, in bounded memory.

    Args:
        work: of the hub.
        operator: only of this person.
        subject: only lines whose subject or reason names this: a hub key, `plan 12`.
        since: only of this instant or later.
        limit: at most so many.
    """
    where: list[str] = []
    params: list[object] = []
    if operator is not None:
        where.append("operator = ?")
        params.append(operator)
    if subject is not None:
        named = f"% {_literal(subject)} %"
        where.append(
            "(' ' || subject || ' ' LIKE ? ESCAPE '!' OR ' ' || why || ' ' LIKE ? ESCAPE '!')"
        )
        params += [named, named]
    if since is not None:
        where.append("at >= ?")
        params.append(since)
    conditions = f"WHERE {' AND '.join(where)} " if where else ""
    bounds = "" if limit is None else f"LIMIT {limit:d}"
    for row in work.rows(
        "SELECT id, at, operator, action, subject, why, origin FROM audit "
        f"{conditions}ORDER BY id DESC {bounds}",
        params,
    ):
        yield Line(*row)


def _literal(text: str) -> str:
    """A text that LIKE takes as it is."""
    for sign in "!%_":
        text = text.replace(sign, f"!{sign}")
    return text


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a walk over the whole trail found.

    Attributes:
        lines: how many were good, from the first on.
        head: the last of those, as a witness to keep elsewhere: `number:digest`.
        broken: number of the first line that is not good; None where all are, and where what is
            wrong is the end.
        what: what is wrong (Dutch); empty where nothing is.
    """

    lines: int
    head: str
    broken: int | None = None
    what: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether nothing was found."""
        return not self.what


def verify(hub: Hub, work: Work, *, witness: str | None = None) -> Verdict:
    """Walk the whole trail, in bounded memory, and say what is wrong first.

    Args:
        hub: whose keys seal the anchor.
        work: of the hub, outside transactions.
        witness: `number:digest` of an earlier walk: that line must stand there unchanged.
    """
    with work.snapshot():
        return _walk(work, read_anchor(work, hub.keyring), witness)


def _walk(work: Work, anchor: Anchor | None, witness: str | None) -> Verdict:
    count, number, digest = 0, 0, START
    seen = witness is None
    for row in work.rows(
        "SELECT id, at, operator, action, subject, why, origin, previous, digest FROM audit "
        "ORDER BY id"
    ):
        what = _wrong(row, digest)
        if what:
            return Verdict(count, _head(number, digest), int(row[0]), what)
        count, number, digest = count + 1, int(row[0]), bytes(row[8])
        seen = seen or _head(number, digest) == witness
    what = _wrong_end(count, number, digest, anchor, seen=seen)
    return Verdict(count, _head(number, digest), None, what)


def _wrong(row: tuple[object, ...], digest: bytes) -> str:
    """What is wrong with a line that follows that digest."""
    number, at, *texts, origin, previous, own = row
    if not isinstance(previous, bytes | memoryview) or bytes(previous) != digest:
        return "hiervóór is een regel verwijderd, toegevoegd, verplaatst of gewijzigd"
    if not all(isinstance(part, str) for part in (at, *texts)) or not isinstance(
        own, bytes | memoryview
    ):
        return "deze regel is gewijzigd"
    plain = [str(part) for part in (at, *texts)]
    if origin is None:
        try:
            parts = [instant(plain[0]).isoformat(), *plain[1:]]
        except ValueError:
            return "deze regel is gewijzigd"
    else:
        parts = [str(number), *plain, str(origin)]
    return "" if _digest(digest, *parts) == bytes(own) else "deze regel is gewijzigd"


def _wrong_end(count: int, number: int, digest: bytes, anchor: Anchor | None, *, seen: bool) -> str:
    if anchor is None:
        return "het anker ontbreekt of is gewijzigd: het einde is niet te controleren"
    if (count, number, digest) != (anchor.lines, anchor.last_id, anchor.digest):
        return (
            f"het einde klopt niet: er staan {count} regels tot en met nummer {number}, "
            f"het anker zegt {anchor.lines} tot en met nummer {anchor.last_id}"
        )
    return "" if seen else "de bewaarde regel (--witness) staat er niet of is gewijzigd"


def _head(number: int, digest: bytes) -> str:
    return f"{number}:{digest.hex()}"
