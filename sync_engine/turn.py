"""Turn: what a person has put right by hand, laid out for a plan: forms, links, memberships.

An undone run, a link that is moved and a decision that is taken back are one thing: some shadows
get the accepted form back that they had, some source records another core record or none, some
memberships the row that they had. Here that stands in temporary tables; the planner folds what is
concerned with it, and `apply.turn` writes it with the difference, all or nothing.

What another run changed since is in doubt: it is listed, and left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from mappings.canonical.fields import Entity
from sync_engine.context import Context, chunks
from sync_engine.correlate import KEY_COLUMNS, LINK_COLUMNS, WITH_KEYS, keys_of
from sync_engine.fold import Json
from sync_engine.project import State
from sync_engine.retention import referrers


@dataclass(frozen=True, slots=True)
class Doubt:
    """A record that stays as it is, for a later run changed it or leans on it."""

    entity: str
    core_id: int | None
    source: str
    run_id: int | None


@dataclass(slots=True)
class Move:
    """A source record that becomes another core record, or none.

    Attributes:
        to: None for none, 0 for a new one.
        since_run, rule: of the link that it gets back.
    """

    koppeling_id: int
    entity: Entity
    source_key: str
    before: int | None
    to: int | None
    since_run: int | None = None
    rule: str | None = None

    @property
    def node(self) -> tuple[int, str, str]:
        """(koppeling id, entity, source key) of the record."""
        return self.koppeling_id, str(self.entity), self.source_key


@dataclass(frozen=True, slots=True)
class Touched:
    """One row of groepsdeelname that the undone run wrote.

    Attributes:
        now, former: (groep, key of the flat state) as an open membership, now and before it.
        period: [geldig_van, geldig_tot, tot_afgeleid] before it.
    """

    member_id: int
    now: tuple[int, str] | None
    former: tuple[int, str] | None
    period: list[Json]


def put_back(
    group: int, rows: Sequence[Touched], actual: State | None, target: State
) -> tuple[set[str], list[int]]:
    """Make the state of a groep that of the rows that come back, where the fold agrees.

    A membership that ends is not history when the undone run began it: its row goes. One that
    begins is the row that the undone run ended.

    Returns: the keys that the rows answer for, and the rows that come back.
    """
    handled: set[str] = set()
    chosen: list[int] = []
    for row in rows:
        if row.now is not None and row.now[0] == group and row.now != row.former:
            after = target.get(row.now[1])
            if isinstance(after, list) and len(after) > _OPEN:
                del target[row.now[1]]
                handled.add(row.now[1])
                chosen.append(row.member_id)
        if row.former is not None and row.former[0] == group:
            key = row.former[1]
            after = target.get(key)
            if isinstance(after, list) and len(after) == _OPEN and key not in (actual or {}):
                target[key] = row.period
                handled.add(key)
                chosen.append(row.member_id)
    return handled, chosen


_OPEN = 3
"""Parts of an open membership in the flat state; one that ended has a fourth."""


@dataclass(slots=True)
class Turn:
    """What is turned in one plan.

    Attributes:
        context: of the run.
        moves: links that move.
        undone: the run whose forms and memberships go back; None where only links move.
        forms: whether its forms go back too; they are refused then.
        only: of the undone run, the records (koppeling id, entity, source key) whose links go back.
        cascade: who cannot be without a record that loses its link, and loses its own.
        doubts: what stays as it is.
    """

    context: Context
    moves: list[Move] = field(default_factory=list)
    undone: int | None = None
    forms: bool = True
    only: Collection[tuple[int, str, str]] | None = None
    cascade: Callable[[Move], Iterable[Move]] = lambda _: ()
    doubts: list[Doubt] = field(default_factory=list)

    def begin(self) -> None:
        """Fill the temporary tables; after `prepare`, under the lock of the tenant."""
        if self.undone is not None:
            if self.forms:
                self._forms(self.undone)
            self._links(self.undone)
            if self.only is not None:
                self._narrow(self.only)
            self._members(self.undone)
            self._settle()
        self._concern()

    # -- what the run did --------------------------------------------------------------------------

    def _forms(self, run: int) -> None:
        """Every shadow that the run accepted or gave back, with what it had before."""
        work = self.context.work
        columns = "shadow_id, koppeling_id, entity, source_key, former_fp, gone, former_run, form"
        shadow = "s.id, s.koppeling_id, s.entity, s.source_key"
        former = "f.accepted_fp, COALESCE(f.gone, false), f.accepted_run, f.form"
        work.execute(  # it accepted the form that counts now
            f"INSERT INTO w_restore ({columns}) SELECT {shadow}, {former} FROM shadow s "
            "LEFT JOIN former_form f ON f.shadow_id = s.id AND f.run_id = ? "
            "WHERE s.accepted_run = ?",
            (run, run),
        )
        work.execute(  # it gave back an older form, or took it away, and nobody came after it
            f"INSERT INTO w_restore ({columns}) SELECT {shadow}, {former} FROM former_form f "
            "CROSS JOIN shadow s WHERE f.run_id = ? AND s.id = f.shadow_id "
            "AND COALESCE(s.accepted_run, 0) < ? AND NOT EXISTS (SELECT 1 FROM former_form n "
            "WHERE n.shadow_id = f.shadow_id AND n.run_id > ?)",
            (run, run, run),
        )
        rows = work.execute(
            "SELECT s.entity, l.core_id, k.name, s.source_key, MIN(n.run_id) FROM former_form n "
            "CROSS JOIN shadow s JOIN koppeling k ON k.id = s.koppeling_id LEFT JOIN link l "
            "ON l.koppeling_id = s.koppeling_id AND l.entity = s.entity "
            "AND l.source_key = s.source_key WHERE s.id = n.shadow_id AND n.run_id > ? "
            "AND (n.accepted_run = ? OR EXISTS (SELECT 1 FROM former_form f "
            "WHERE f.shadow_id = n.shadow_id AND f.run_id = ?)) "
            "AND s.id NOT IN (SELECT shadow_id FROM w_restore) "
            "GROUP BY s.entity, l.core_id, k.name, s.source_key ORDER BY 1, 3, 4",
            (run, run, run),
        )
        self.doubts += [Doubt(e, core, f"{name}/{key}", r) for e, core, name, key, r in rows]

    def _links(self, run: int) -> None:
        """Every link that the run made, moved or took away, and that no later run touched."""
        work = self.context.work
        later = (
            "NOT EXISTS (SELECT 1 FROM former_link n WHERE n.koppeling_id = {0}.koppeling_id "
            "AND n.entity = {0}.entity AND n.source_key = {0}.source_key AND n.run_id > {1:d})"
        )
        for koppeling, entity, key, now, before, since, rule in work.execute(
            "SELECT l.koppeling_id, l.entity, l.source_key, l.core_id, f.core_id, f.since_run, "
            "f.rule "
            "FROM link l LEFT JOIN former_link f ON f.run_id = l.run_id "
            "AND f.koppeling_id = l.koppeling_id AND f.entity = l.entity "
            f"AND f.source_key = l.source_key WHERE l.run_id = ? AND {later.format('l', run)}",
            (run,),
        ):
            self.moves.append(Move(koppeling, Entity(entity), key, now, before, since, rule))
        for koppeling, entity, key, now, before, since, rule in work.execute(
            "SELECT f.koppeling_id, f.entity, f.source_key, l.core_id, f.core_id, f.since_run, "
            "f.rule "
            "FROM former_link f LEFT JOIN link l ON l.koppeling_id = f.koppeling_id "
            "AND l.entity = f.entity AND l.source_key = f.source_key "
            f"WHERE f.run_id = ? AND COALESCE(l.run_id, 0) < ? AND {later.format('f', run)}",
            (run, run),
        ):
            self.moves.append(Move(koppeling, Entity(entity), key, now, before, since, rule))
        work.execute(
            "INSERT INTO w_unalias (core_id) SELECT core_id FROM alias WHERE run_id = ?", (run,)
        )

    def _members(self, run: int) -> None:
        """Every row of groepsdeelname that the run wrote, with what stood there before."""
        former = (
            "f.groep_id, f.rol, f.persoon_id, f.geldig_van, f.geldig_tot, f.tot_afgeleid, "
            "f.beeindigd, f.since_run"
        )
        self.context.work.execute(
            f"INSERT INTO w_back SELECT d.id, d.groep_id, {former} FROM groepsdeelname d "
            "LEFT JOIN former_member f ON f.member_id = d.id AND f.run_id = ? WHERE d.run_id = ?",
            (run, run),
        )
        self.context.work.execute(
            f"INSERT INTO w_back SELECT f.member_id, f.groep_id, {former} FROM former_member f "
            "LEFT JOIN groepsdeelname d ON d.id = f.member_id WHERE f.run_id = ? "
            "AND COALESCE(d.run_id, 0) < ? AND NOT EXISTS (SELECT 1 FROM former_member n "
            "WHERE n.member_id = f.member_id AND n.run_id > ?)",
            (run, run, run),
        )
        self.context.work.execute(  # what had ended goes back with whom it was of
            "INSERT INTO p_back SELECT member_id FROM w_back WHERE beeindigd AND "
            "(persoon_id IN (SELECT core_id FROM w_unalias) "
            "OR groep_id IN (SELECT core_id FROM w_unalias))"
        )

    def _narrow(self, only: Collection[tuple[int, str, str]]) -> None:
        """Some links go back, and of who loses his own nothing is accepted any more."""
        self.moves = [move for move in self.moves if move.node in only]
        waiting = [move for move in self.moves if move.to is None]
        while waiting:
            found = [m for move in waiting for m in self.cascade(move) if m not in self.moves]
            self.moves += found
            waiting = found
        for move in self.moves:
            if move.to is None:
                self.context.work.execute(
                    "INSERT INTO w_restore (shadow_id, koppeling_id, entity, source_key, gone) "
                    "SELECT id, koppeling_id, entity, source_key, false FROM shadow "
                    "WHERE koppeling_id = ? AND entity = ? AND source_key = ? "
                    "AND accepted_fp IS NOT NULL",
                    move.node,
                )

    # -- what must stay ----------------------------------------------------------------------------

    def _settle(self) -> None:
        """A core record that would go stays where something that stays leans on it.

        Its link and its forms stay with it, and what it leans on itself.
        """
        if self.forms:
            self._keep_changed()
        while True:
            going = self._orphans()
            kept = {core for core in going if self._is_needed(core, going[core], going)}
            if not kept:
                return
            self._keep(kept)

    def _keep_changed(self) -> None:
        """A record that is known by a form that stays keeps its link."""
        work = self.context.work
        self.moves = [
            move
            for move in self.moves
            if move.to is not None
            or not work.execute(
                "SELECT 1 FROM shadow s WHERE s.koppeling_id = ? AND s.entity = ? "
                "AND s.source_key = ? AND s.accepted_fp IS NOT NULL AND NOT EXISTS "
                "(SELECT 1 FROM w_restore r WHERE r.shadow_id = s.id AND r.former_fp IS NULL) "
                "LIMIT 1",
                move.node,
            )
        ]

    def _orphans(self) -> dict[int, Entity]:
        """Core records that would have no source left, and become no other."""
        left: dict[int, set[tuple[int, str]]] = {}
        entity_of: dict[int, Entity] = {}
        became: dict[int, set[int | None]] = {}
        for move in self.moves:
            if move.before is not None:
                left.setdefault(move.before, set()).add((move.koppeling_id, move.source_key))
                entity_of[move.before] = move.entity
                became.setdefault(move.before, set()).add(move.to)
        arrived = {move.to for move in self.moves}
        going: dict[int, Entity] = {}
        for core_id, keys in left.items():
            rows = self.context.work.execute(
                "SELECT koppeling_id, source_key FROM link WHERE core_id = ? AND entity = ?",
                (core_id, str(entity_of[core_id])),
            )
            if core_id not in arrived and {(k, key) for k, key in rows} <= keys:
                going[core_id] = entity_of[core_id]
        return going

    def merged(self) -> dict[int, int]:
        """Core record without a source left → the one that all its sources became."""
        found: dict[int, int] = {}
        for core_id in self._orphans():
            to = {move.to for move in self.moves if move.before == core_id}
            if len(to) == 1 and None not in to:
                found[core_id] = next(t for t in to if t is not None)
        return found

    def removed(self) -> dict[int, Entity]:
        """Core records that nothing says any more."""
        merged = self.merged()
        return {core: entity for core, entity in self._orphans().items() if core not in merged}

    def _is_needed(self, core_id: int, entity: Entity, going: Mapping[int, Entity]) -> bool:
        work = self.context.work
        if core_id in self.merged():
            return False
        if work.execute("SELECT 1 FROM pin WHERE core_id = ? AND lifted_at IS NULL", (core_id,)):
            return True
        for table, column in referrers(entity):
            if table == "groepsdeelname":
                rows = work.execute(
                    "SELECT d.groep_id FROM groepsdeelname d WHERE d.persoon_id = ? "
                    "AND d.id NOT IN (SELECT member_id FROM w_back)",
                    (core_id,),
                )
            else:
                rows = work.execute(
                    f"SELECT h.id FROM {table} h WHERE h.{column} = ? AND h.id NOT IN "
                    "(SELECT l.core_id FROM link l CROSS JOIN w_restore r "
                    "WHERE l.core_id = h.id AND r.koppeling_id = l.koppeling_id "
                    "AND r.entity = l.entity AND r.source_key = l.source_key)",
                    (core_id,),
                )
            if any(row[0] not in going for row in rows):
                return True
        return False

    def _keep(self, cores: set[int]) -> None:
        work = self.context.work
        for move in [move for move in self.moves if move.before in cores]:
            self.moves.remove(move)
            work.execute(
                "DELETE FROM w_restore WHERE koppeling_id = ? AND entity = ? AND source_key = ?",
                move.node,
            )
            name = self.context.koppelingen[move.koppeling_id]
            self.doubts.append(
                Doubt(str(move.entity), move.before, f"{name}/{move.source_key}", None)
            )

    # -- what is folded again ----------------------------------------------------------------------

    def _concern(self) -> None:
        """The core records whose fold has another input, and whoever refers to what moves."""
        work = self.context.work
        work.execute(
            "INSERT INTO w_refold SELECT l.core_id, l.entity FROM w_restore r CROSS JOIN link l "
            "WHERE l.koppeling_id = r.koppeling_id AND l.entity = r.entity "
            "AND l.source_key = r.source_key"
        )
        work.execute("INSERT INTO w_refold SELECT DISTINCT groep_id, 'groep' FROM w_back")
        for move in self.moves:
            for core_id in filter(None, (move.before, move.to)):
                work.execute(
                    "INSERT INTO w_refold (core_id, entity) VALUES (?, ?)",
                    (core_id, str(move.entity)),
                )
            if move.before is not None:
                self._referrers(move.entity, move.before)
            self._waiting(move)

    def _referrers(self, entity: Entity, core_id: int) -> None:
        for table, column in referrers(entity):
            wanted = (
                "SELECT groep_id, 'groep' FROM groepsdeelname WHERE persoon_id = ? "
                "AND NOT beeindigd"
                if table == "groepsdeelname"
                else f"SELECT id, '{table}' FROM {table} WHERE {column} = ?"
            )
            self.context.work.execute(f"INSERT INTO w_refold {wanted}", (core_id,))

    def _waiting(self, move: Move) -> None:
        """Whoever waits for this record hears of it."""
        self.context.work.execute(
            "INSERT INTO w_refold SELECT l.core_id, o.entity FROM open_reference o JOIN link l "
            "ON l.koppeling_id = o.koppeling_id AND l.entity = o.entity "
            "AND l.source_key = o.source_key WHERE o.koppeling_id = ? AND o.target_entity = ? "
            "AND o.target_key = ?",
            move.node,
        )

    # -- one entity of the plan --------------------------------------------------------------------

    def entity(self, entity: Entity) -> None:
        """Lay the moves of one entity over the links, before its records are folded."""
        work, run = self.context.work, self.context.run_id
        moves = [move for move in self.moves if move.entity is entity]
        for move in moves:  # a record of its own
            if move.to == 0:
                move.to = self.context.ids.take("core", 1)[0]
                work.execute(
                    "INSERT INTO w_refold (core_id, entity) VALUES (?, ?)", (move.to, str(entity))
                )
        work.load(
            "w_link",
            LINK_COLUMNS,
            [
                (m.koppeling_id, str(entity), m.source_key, m.to, "moved", m.since_run or run)
                for m in moves
                if m.to is not None
            ],
        )
        work.load(
            "w_rule",
            ("koppeling_id", "entity", "source_key", "rule"),
            [(*m.node, m.rule) for m in moves if m.to is not None and m.rule is not None],
        )
        work.load(
            "w_unlinked",
            ("koppeling_id", "entity", "source_key"),
            [(m.koppeling_id, str(entity), m.source_key) for m in moves if m.to is None],
        )
        work.load(
            "w_alias",
            ("core_id", "survivor_id", "entity"),
            [
                (younger, survivor, str(entity))
                for younger, survivor in sorted(self.merged().items())
                if any(move.before == younger for move in moves)
            ],
        )
        self._keys(entity, moves)

    def _keys(self, entity: Entity, moves: Sequence[Move]) -> None:
        """The exact keys of what moves or gets another form, as it is accepted then."""
        work = self.context.work
        nodes = {(m.koppeling_id, m.source_key) for m in moves}
        nodes |= set(
            work.execute(
                "SELECT DISTINCT koppeling_id, source_key FROM w_restore WHERE entity = ?",
                (str(entity),),
            )
        )
        own = self.context.koppeling.id
        judged = {  # correlation brings the keys of their new form
            (own, key)
            for (key,) in work.execute(
                "SELECT c.source_key FROM w_chosen c JOIN v_shadow s ON s.entity = c.entity "
                "AND s.source_key = c.source_key WHERE c.entity = ? AND s.koppeling_id = ? "
                "AND s.pending",
                (str(entity), own),
            )
        }
        by_koppeling: dict[int, list[str]] = {}
        for koppeling_id, key in sorted(nodes - judged):
            by_koppeling.setdefault(koppeling_id, []).append(key)
        work.load(
            "w_turned",
            ("koppeling_id", "entity", "source_key"),
            [(koppeling_id, str(entity), key) for koppeling_id, key in sorted(nodes)],
        )
        if entity not in WITH_KEYS:
            return
        for koppeling_id, keys in by_koppeling.items():
            for part in chunks(keys):
                work.load("w_key", KEY_COLUMNS, keys_of(self.context, entity, part, koppeling_id))

    # -- memberships -------------------------------------------------------------------------------

    def touched(self, groups: Sequence[int]) -> dict[int, list[Touched]]:
        """Groep → rows of memberships that the undone run wrote there, or took from there."""
        found: dict[int, list[Touched]] = {}
        if self.undone is None:
            return found
        work = self.context.work
        for part in chunks(groups):
            ids = work.values(part)
            rows = work.execute(
                "SELECT w.member_id, d.groep_id, d.rol, d.persoon_id, d.beeindigd, w.groep_id, "
                "w.rol, w.persoon_id, w.beeindigd, w.geldig_van, w.geldig_tot, w.tot_afgeleid "
                "FROM w_back w LEFT JOIN groepsdeelname d ON d.id = w.member_id "
                f"WHERE {work.many('w.of_groep')} OR {work.many('w.groep_id')} ORDER BY 1",
                (ids, ids),
            )
            for number, now, role, person, ended, was, former_role, former, closed, *period in rows:
                row = Touched(
                    number,
                    None if ended or now is None else (now, f"groepsdeelname/{role}/{person}"),
                    None
                    if closed or was is None
                    else (was, f"groepsdeelname/{former_role}/{former}"),
                    [period[0], period[1], bool(period[2])],
                )
                for group in {now, was} - {None}:
                    found.setdefault(group, []).append(row)
        return found

    def removals(self) -> Iterator[tuple[Entity, Sequence[int]]]:
        """Core records that go, by entity, what refers to others first."""
        removed = self.removed()
        for entity in reversed(Entity):
            cores = sorted(core for core, kind in removed.items() if kind is entity)
            if cores:
                yield entity, cores


def prepare(context: Context) -> None:
    """Make (or empty) the temporary tables of a turn."""
    work = context.work
    blob = work.blob_type
    node = "koppeling_id INTEGER, entity TEXT, source_key TEXT"
    work.temp_table(
        "w_restore",
        f"shadow_id BIGINT PRIMARY KEY, {node}, former_fp {blob}, gone BOOLEAN, "
        f"former_run INTEGER, form {blob}",
    )
    work.temp_table("w_unlinked", node)
    work.temp_table("w_rule", f"{node}, rule TEXT")
    work.temp_table("w_turned", node)
    work.temp_table("w_unalias", "core_id BIGINT PRIMARY KEY")
    work.temp_table("w_remove", "core_id BIGINT PRIMARY KEY, entity TEXT")
    work.temp_table(
        "w_back",
        "member_id INTEGER PRIMARY KEY, of_groep BIGINT, groep_id BIGINT, rol TEXT, "
        "persoon_id BIGINT, geldig_van DATE, geldig_tot DATE, tot_afgeleid BOOLEAN, "
        "beeindigd BOOLEAN, since_run INTEGER",
    )


def told(doubts: Sequence[Doubt]) -> str:
    """Doubts as they are kept with a plan."""
    return msgspec.json.encode(doubts).decode()
