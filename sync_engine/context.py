"""What every step of one run is handed: one connection, one tenant, one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, TypeVar

from config.policies import Policy
from connectors.base import Connector, Scope
from mappings.canonical.fields import Entity
from mappings.mapping import Mapping, Strength
from mappings.outward import Outward
from sync_engine.fold import FoldRules
from sync_engine.renumbering import Herinrichting, Renumbering
from sync_engine.store.cipher import TenantCipher
from sync_engine.store.work import Work

if TYPE_CHECKING:  # it looks at contexts itself
    from sync_engine.suppression import Suppressions

T = TypeVar("T")

SCHEMA_VERSION = "1"
"""Part of every raw fingerprint: a new canonical schema makes every record be mapped again."""

BATCH = 1000
"""Records that are handled at once: bounds memory, and the parameters of one statement."""

_BLOCK = 1000
_FORMER = 1000
"""Is added to the rank of a former scope: no connector has so many."""


@dataclass(frozen=True, slots=True)
class KoppelingRow:
    """The koppeling of this run."""

    id: int
    name: str
    system: str
    tenant_id: int


@dataclass(frozen=True, slots=True)
class Target:
    """A koppeling to which objects of the core are delivered.

    Attributes:
        outward: says what it should have.
        confirms: it can be asked what became of a message.
    """

    koppeling: KoppelingRow
    outward: Outward
    confirms: bool = False

    @property
    def resource(self) -> str:
        """What is delivered, as its manifest calls it."""
        return self.outward.resource

    @property
    def kind(self) -> str:
        """Of the exchanges that say what it confirmed last."""
        return f"outward {self.resource}"


@dataclass(slots=True)
class ScopeRow:
    """A scope with its number in the store and what is known of its last complete reading."""

    id: int
    scope: Scope
    contract_fp: bytes | None = None
    complete_at: datetime | None = None


class Ids:
    """Hands out numbers, in blocks; a number is never used twice. A dry run uses negative ones."""

    def __init__(self, work: Work, *, dry: bool) -> None:
        self._work = work
        self._dry = dry
        self._free: dict[str, tuple[int, int]] = {}

    def take(self, name: str, count: int) -> range:
        """`count` new numbers. Must not be called inside a transaction."""
        first, end = self._free.get(name, (0, 0))
        if end - first < count:
            size = max(count, _BLOCK)
            first, end = self._reserve(name, size)
        self._free[name] = (first + count, end)
        return range(first, first + count)

    def _reserve(self, name: str, size: int) -> tuple[int, int]:
        if self._dry:
            lowest = self._free.get(f"dry {name}", (-1, 0))[0] - size
            self._free[f"dry {name}"] = (lowest, 0)
            return lowest, lowest + size
        rows = self._work.execute(
            "INSERT INTO id_block (name, next) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET next = id_block.next + ? RETURNING next",
            (name, 1 + size, size),
        )
        end = int(rows[0][0])
        highest = self._highest() if name == "core" else 0
        if end - size > highest:
            return end - size, end
        rows = self._work.execute(  # other numbers stand there: no record is made over them
            "UPDATE id_block SET next = CASE WHEN next > ? THEN next ELSE ? END + ? "
            "WHERE name = ? RETURNING next",
            (highest, highest + 1, size, name),
        )
        end = int(rows[0][0])
        return end - size, end

    def _highest(self) -> int:
        """The highest number in the core: a program may have filled it before the hub came."""
        highest = (f"SELECT MAX(id) AS id FROM {entity}" for entity in Entity)
        query = f"SELECT MAX(id) FROM ({' UNION ALL '.join(highest)}) e"
        return int(self._work.execute(query)[0][0] or 0)


@dataclass(slots=True)
class Context:
    """One run."""

    work: Work
    cipher: TenantCipher
    koppeling: KoppelingRow
    koppelingen: dict[int, str]  # of the tenant: id → name
    run_id: int
    now: datetime
    today: date
    reader: Connector | None
    mapping: Mapping
    mappings: dict[str, Mapping]  # koppeling name → mapping
    policy: Policy
    dry: bool
    ids: Ids
    step_ids: Ids  # a dry run writes its plan for real
    adding: frozenset[int] = frozenset()  # of the tenant, those that only add (Manifest.adds)
    scopes: dict[int, Scope] = field(default_factory=dict)  # every scope of the tenant
    scope_koppeling: dict[int, int] = field(default_factory=dict)
    ended_scopes: set[int] = field(default_factory=set)
    adopted_scopes: set[int] = field(default_factory=set)  # what stood in the core before
    renumbering: Renumbering = field(default_factory=Renumbering)  # of the tenant, today
    proposed: Herinrichting | None = None  # counts in this run, and is not in force yet
    finishing: int = 0  # the herinrichting that this run finishes
    unfinishing: int = 0  # the one of which it takes that back
    finished_scopes: dict[int, date] = field(default_factory=dict)  # former, → last day of them
    withdrawn: int = 0  # the herinrichting that this run takes back
    former_scopes: set[int] = field(default_factory=set)  # of schools before they changed
    stopped_scopes: set[int] = field(default_factory=set)  # of them, those that another brings now
    changed_scopes: set[int] = field(default_factory=set)  # were former, until this run
    rekeying: bool = False  # numbers are others than in the last run: match schools again
    adopting: bool = False  # this run adopts what stands in `w_adopted`
    written: dict[Entity, set[str]] = field(default_factory=dict)  # what `p_<entity>` has rows of,
    # → the columns that differ in what is there
    expired_pins: set[int] = field(default_factory=set)  # a dry run lifts none for real
    turned: bool = False  # forms and links are laid over those of the store (turn.py)
    deciding: dict[tuple[str, str], tuple[str, int | None]] = field(default_factory=dict)
    lifting: frozenset[int] = frozenset()  # decisions that this run takes back
    evidence: dict[tuple[str, str], bytes] = field(default_factory=dict)  # of what it decides
    events: list[tuple[int | None, str, dict[str, object]]] = field(default_factory=list)
    apart: tuple[int, ...] = ()  # scopes of which nothing that waits is used in this run
    without: frozenset[str] = frozenset()  # rules that do not count: somebody tries how that is
    same_keys: frozenset[str] = frozenset()  # koppelingen whose persons have our keys
    targets: tuple[Target, ...] = ()  # of the tenant, to which what changes is delivered
    erased: Suppressions | None = None  # of the tenant; None or empty: nobody was

    @property
    def connector(self) -> Connector:
        """The source; only a run has one."""
        if self.reader is None:
            message = "this context reads the store only"
            raise RuntimeError(message)
        return self.reader

    @property
    def adds(self) -> bool:
        """Whether the koppeling of this run only adds to records that others make."""
        return self.koppeling.id in self.adding

    def issuer(self, scope_id: int) -> int:
        """The koppeling that issued the numbers in a scope: its own, or one that it names."""
        named = self.scopes[scope_id].numbers_of
        for number, name in self.koppelingen.items() if named else ():
            if name == named:
                return number
        return self.scope_koppeling[scope_id]

    def rank(self, scope_id: int) -> int:
        """How far from the front a scope stands; former ones stand behind all others."""
        return self.scopes[scope_id].rank + (_FORMER if scope_id in self.former_scopes else 0)

    @property
    def marks(self) -> str:
        """The table that takes what must be folded again; that of a dry run ends with it."""
        return "w_mark" if self.dry else "refold"

    def rules(self) -> FoldRules:
        """Authority from the policy, strengths from each koppeling's mapping."""

        def strength(entity: str, name: str, koppeling: str) -> Strength:
            mapping = self.mappings.get(koppeling)
            if mapping is None:
                return Strength.NORMAL
            fields = mapping.strengths.get(entity)  # type: ignore[call-overload] # a StrEnum is its text
            return Strength.NORMAL if fields is None else fields.get(name, Strength.NORMAL)

        return FoldRules(
            authority=self.policy.authority.rank,
            strength=strength,
            number=self.renumbering.number if self.renumbering else None,
        )


def chunks(items: Sequence[T], size: int = BATCH) -> list[Sequence[T]]:
    """The items in slices of at most `size`."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def salts_of(context: Context, records: Sequence[int]) -> dict[int, bytes]:
    """Raw record → salt of its person; an erased one has none and cannot be read."""
    work = context.work
    found: dict[int, bytes] = {}
    for part in chunks(sorted(set(records))):
        rows = work.execute(
            f"SELECT id, salt FROM v_record WHERE {work.many('id')}", (work.values(part),)
        )
        found.update((row[0], row[1]) for row in rows if row[1] is not None)
    return found
