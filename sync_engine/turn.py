"""Turn: what a person has put right by hand, laid out for a plan: forms, links, memberships.

An undone run, a link that is moved and a decision that is taken back are one thing: some shadows
get the accepted form back that they had, some source records another core record or none, some
memberships the row that they had. Here that stands in temporary tables; the planner folds what is
concerned with it, and `apply.turn` writes it with the difference, all or nothing.

What another run changed since is in doubt: it is listed, and left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

from mappings.canonical.fields import Entity
from mappings.canonical.schema import fields_of
from sync_engine.context import BATCH, Context, chunks
from sync_engine.memberships import Touched
from sync_engine.nodes import KEY_COLUMNS, KEYED, WITH_KEYS, keys_of
from sync_engine.parting import part_holders
from sync_engine.retention import ADDING, referrers


@dataclass(frozen=True, slots=True)
class Doubt:
    """A record that stays as it is.

    Attributes:
        run_id: the later run that changed it, where that is why.
        why: in Dutch.
    """

    entity: str
    core_id: int | None
    source: str
    run_id: int | None
    why: str


Node = tuple[int, str, str]
"""Koppeling id, entity, source key."""


@dataclass(slots=True)
class Move:
    """A source record that becomes another core record, or none.

    Attributes:
        to: None for none, 0 for a new one.
        since_run, rule: of the link that it gets back.
    """

    koppeling_id: int
    entity: str
    source_key: str
    before: int | None
    to: int | None
    since_run: int | None = None
    rule: str | None = None

    @property
    def node(self) -> Node:
        """The record."""
        return self.koppeling_id, self.entity, self.source_key


@dataclass(slots=True)
class Turn:
    """What is turned in one plan.

    Attributes:
        context: of the run.
        moves: links that move, besides those of the undone run.
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
    only: Collection[Node] | None = None
    cascade: Callable[[Move], Iterable[Move]] = lambda _: ()
    doubts: list[Doubt] = field(default_factory=list)
    _cannot_without: dict[int, int] = field(default_factory=dict)  # core id → of whom it is

    def begin(self) -> None:
        """Fill the temporary tables; after `prepare`, under the lock of the tenant."""
        if self.undone is not None:
            if self.forms:
                self._forms(self.undone)
            self._links(self.undone)
            if self.only is not None:
                self._narrow(self.only)
            self._members(self.undone)
        self.context.work.load("w_move", _MOVE, map(_row, self.moves))
        if self.undone is not None and self.forms:
            self._keep_changed()
        self._settle()
        part_holders(self.context)
        self._concern()
        if self.undone is not None and self.forms:
            self._tell_rest(self.undone)

    # -- what the run did --------------------------------------------------------------------------

    def _forms(self, run: int) -> None:
        """Every shadow that the run accepted or gave back, with what it had before."""
        work = self.context.work
        columns = (
            "shadow_id, koppeling_id, entity, source_key, former_fp, gone, former_run, held, form"
        )
        shadow = "s.id, s.koppeling_id, s.entity, s.source_key"
        former = "f.accepted_fp, COALESCE(f.gone, false), f.accepted_run, f.held, f.form"
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
        self.doubts += [
            Doubt(e, core, f"{name}/{key}", later, f"run {later} heeft het sindsdien gewijzigd")
            for e, core, name, key, later in rows
        ]

    def _links(self, run: int) -> None:
        """Every link that the run made, moved or took away, and that no later run touched."""
        work = self.context.work
        later = (
            "NOT EXISTS (SELECT 1 FROM former_link n WHERE n.koppeling_id = {0}.koppeling_id "
            "AND n.entity = {0}.entity AND n.source_key = {0}.source_key AND n.run_id > {1:d})"
        )
        listed = ", ".join(_MOVE)
        work.execute(
            f"INSERT INTO w_move ({listed}) SELECT l.koppeling_id, l.entity, l.source_key, "
            "l.core_id, f.core_id, f.since_run, f.rule FROM link l LEFT JOIN former_link f "
            "ON f.run_id = l.run_id AND f.koppeling_id = l.koppeling_id AND f.entity = l.entity "
            f"AND f.source_key = l.source_key WHERE l.run_id = ? AND {later.format('l', run)}",
            (run,),
        )
        work.execute(
            f"INSERT INTO w_move ({listed}) SELECT f.koppeling_id, f.entity, f.source_key, "
            "l.core_id, f.core_id, f.since_run, f.rule FROM former_link f LEFT JOIN link l "
            "ON l.koppeling_id = f.koppeling_id AND l.entity = f.entity "
            "AND l.source_key = f.source_key WHERE f.run_id = ? "
            f"AND COALESCE(l.run_id, 0) < ? AND {later.format('f', run)}",
            (run, run),
        )
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

    def _narrow(self, only: Collection[Node]) -> None:
        """Some links go back, and of who loses his own nothing is accepted any more."""
        work = self.context.work
        found = [Move(*row) for row in work.execute(f"SELECT {', '.join(_MOVE)} FROM w_move")]
        work.execute("DELETE FROM w_move")
        self.moves += [
            move
            for move in found
            if move.node in only or (move.entity in KEYED and None not in (move.before, move.to))
        ]  # and what went along with these
        waiting = [move for move in self.moves if move.to is None]
        while waiting:
            more = []
            for above in waiting:
                for move in self.cascade(above):
                    if move not in self.moves and move.before is not None:
                        self.moves.append(move)
                        more.append(move)
                        self._cannot_without[move.before] = above.before or 0
            waiting = more
        for move in self.moves:
            if move.to is None:
                work.execute(
                    "INSERT INTO w_restore (shadow_id, koppeling_id, entity, source_key, gone) "
                    "SELECT id, koppeling_id, entity, source_key, false FROM shadow "
                    "WHERE koppeling_id = ? AND entity = ? AND source_key = ? "
                    "AND accepted_fp IS NOT NULL",
                    move.node,
                )

    def _keep_changed(self) -> None:
        """A record that is known by a form that stays keeps its link."""
        self.context.work.execute(
            "DELETE FROM w_move WHERE to_id IS NULL AND EXISTS (SELECT 1 FROM shadow s "
            "WHERE s.koppeling_id = w_move.koppeling_id AND s.entity = w_move.entity "
            "AND s.source_key = w_move.source_key AND s.accepted_fp IS NOT NULL AND NOT EXISTS "
            "(SELECT 1 FROM w_restore r WHERE r.shadow_id = s.id AND r.former_fp IS NULL))"
        )

    def _settle(self) -> None:
        """A core record that would go stays where something that stays leans on it.

        Its link and its forms stay with it, and what it leans on itself.
        """
        work = self.context.work
        while True:
            self._find_going()
            work.execute("DELETE FROM w_kept")
            pinned = "EXISTS (SELECT 1 FROM pin WHERE core_id = g.core_id AND lifted_at IS NULL)"
            work.execute(
                "INSERT INTO w_kept SELECT g.core_id FROM w_going g WHERE g.survivor_id IS NULL "
                f"AND {pinned}"
            )
            for (entity,) in work.execute(
                "SELECT DISTINCT entity FROM w_going WHERE survivor_id IS NULL"
            ):
                for table, column in referrers(Entity(entity)):
                    work.execute(
                        "INSERT INTO w_kept SELECT g.core_id FROM w_going g "
                        "WHERE g.entity = ? AND g.survivor_id IS NULL AND EXISTS "
                        f"({_leaning(table, column)}) ON CONFLICT DO NOTHING",
                        (entity,),
                    )
            if not work.execute("SELECT 1 FROM w_kept LIMIT 1"):
                break
            self._keep()
        if self.context.adding:
            self._take_along()

    def _take_along(self) -> None:
        """What only adds to a record that goes, goes with it: to what it becomes, or to nobody."""
        work = self.context.work
        adding = f"l.koppeling_id IN {ADDING}"
        known = (
            "EXISTS (SELECT 1 FROM w_move m WHERE m.koppeling_id = l.koppeling_id "
            "AND m.entity = l.entity AND m.source_key = l.source_key)"
        )
        work.execute(
            f"INSERT INTO w_move ({', '.join(_MOVE)}) SELECT l.koppeling_id, l.entity, "
            "l.source_key, l.core_id, g.survivor_id, NULL, NULL FROM w_going g CROSS JOIN link l "
            f"WHERE l.core_id = g.core_id AND l.entity = g.entity AND {adding} AND NOT {known}"
        )
        work.execute(  # nothing of it is accepted any more; it waits for a record of its key
            "INSERT INTO w_restore (shadow_id, koppeling_id, entity, source_key, gone, along) "
            "SELECT s.id, s.koppeling_id, s.entity, s.source_key, false, true FROM w_going g "
            "CROSS JOIN link l CROSS JOIN shadow s WHERE g.survivor_id IS NULL "
            f"AND l.core_id = g.core_id AND l.entity = g.entity AND {adding} "
            "AND s.koppeling_id = l.koppeling_id AND s.entity = l.entity "
            "AND s.source_key = l.source_key AND s.accepted_fp IS NOT NULL "
            "ON CONFLICT (shadow_id) DO NOTHING"
        )

    def _find_going(self) -> None:
        """Core records that would have no source left; `survivor_id` is the one they all become."""
        work = self.context.work
        work.execute("DELETE FROM w_going")
        stays = (  # who only adds keeps nobody
            "EXISTS (SELECT 1 FROM link l WHERE l.core_id = m.before_id AND l.entity = m.entity "
            f"AND l.koppeling_id NOT IN {ADDING} AND NOT EXISTS "
            "(SELECT 1 FROM w_move n WHERE n.koppeling_id = l.koppeling_id "
            "AND n.entity = l.entity AND n.source_key = l.source_key))"
        )
        work.execute(
            "INSERT INTO w_going SELECT m.before_id, m.entity, CASE WHEN COUNT(DISTINCT "
            "COALESCE(m.to_id, -1)) = 1 THEN MAX(m.to_id) END FROM w_move m "
            f"WHERE m.before_id IS NOT NULL AND m.koppeling_id NOT IN {ADDING} "
            f"AND NOT {stays} AND NOT EXISTS "
            "(SELECT 1 FROM w_move t WHERE t.to_id = m.before_id) GROUP BY m.before_id, m.entity"
        )

    def _keep(self) -> None:
        """What must stay keeps its links, its forms and what is its own, and is told."""
        work, names = self.context.work, self.context.koppelingen
        stays = {row[0] for row in work.execute("SELECT core_id FROM w_kept")}
        for core_id, above in self._cannot_without.items():  # who is above comes first
            if above in stays and core_id not in stays:
                stays.add(core_id)
                work.execute("INSERT INTO w_kept (core_id) VALUES (?)", (core_id,))
        kept = "SELECT * FROM w_move WHERE before_id IN (SELECT core_id FROM w_kept)"
        self.doubts += [
            Doubt(row[1], row[3], f"{names[row[0]]}/{row[2]}", None, "iets van later leunt erop")
            for row in work.execute(f"{kept} ORDER BY entity, koppeling_id, source_key")
        ]
        work.execute(
            "DELETE FROM w_restore WHERE (koppeling_id, entity, source_key) IN "
            f"(SELECT koppeling_id, entity, source_key FROM ({kept}) k)"
        )
        work.execute("DELETE FROM w_move WHERE before_id IN (SELECT core_id FROM w_kept)")

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
        for column in ("before_id", "to_id"):
            work.execute(
                f"INSERT INTO w_refold SELECT DISTINCT {column}, entity FROM w_move "
                f"WHERE {column} > 0"
            )
        for (entity,) in work.execute("SELECT DISTINCT entity FROM w_move"):
            for table, column in referrers(Entity(entity)):
                holder, name, where = ("id", table, "")
                if table == "groepsdeelname":
                    holder, name, where = ("groep_id", "groep", " AND NOT h.beeindigd")
                work.execute(
                    f"INSERT INTO w_refold SELECT DISTINCT h.{holder}, '{name}' FROM w_move m "
                    f"CROSS JOIN {table} h WHERE m.entity = ? AND h.{column} = m.before_id{where}",
                    (entity,),
                )
        work.execute(  # who waits for a record hears of it
            "INSERT INTO w_refold SELECT l.core_id, o.entity FROM w_move m JOIN open_reference o "
            "ON o.koppeling_id = m.koppeling_id AND o.target_entity = m.entity "
            "AND o.target_key = m.source_key JOIN link l ON l.koppeling_id = o.koppeling_id "
            "AND l.entity = o.entity AND l.source_key = o.source_key"
        )

    def _tell_rest(self, run: int) -> None:
        """What the run changed for another reason than what it read: that reason is still there."""
        rows = self.context.work.execute(
            "SELECT DISTINCT s.entity, s.core_id, s.source FROM step s JOIN plan p "
            "ON p.id = s.plan_id WHERE p.run_id = ? AND p.tenant_id = ? AND p.applied "
            "AND s.state = 'planned' "
            "AND s.core_id NOT IN (SELECT core_id FROM w_refold WHERE core_id IS NOT NULL) "
            "AND s.core_id NOT IN (SELECT core_id FROM w_kept) ORDER BY 1, 2",
            (run, self.context.koppeling.tenant_id),
        )
        known = {doubt.core_id for doubt in self.doubts}
        why = "dat volgt uit beleid, een vastgezette waarde of een ander record"
        self.doubts += [
            Doubt(entity, core_id, source, None, why)
            for entity, core_id, source in rows
            if core_id not in known
        ]

    # -- one entity of the plan --------------------------------------------------------------------

    def entity(self, entity: Entity) -> None:
        """Lay the moves of one entity over the links, before its records are folded."""
        work, of_entity = self.context.work, (str(entity),)
        if not work.execute("SELECT 1 FROM w_move LIMIT 1"):
            self._keys(entity)
            return
        for koppeling_id, key in work.execute(
            "SELECT koppeling_id, source_key FROM w_move WHERE entity = ? AND to_id = 0 "
            "ORDER BY 1, 2",
            of_entity,
        ):
            number = self.context.ids.take("core", 1)[0]  # a record of its own
            work.execute(
                "UPDATE w_move SET to_id = ? WHERE entity = ? AND koppeling_id = ? "
                "AND source_key = ?",
                (number, str(entity), koppeling_id, key),
            )
            work.execute(
                "INSERT INTO w_refold (core_id, entity) VALUES (?, ?)", (number, *of_entity)
            )
        node = "koppeling_id, entity, source_key"
        moved = "FROM w_move WHERE entity = ? AND to_id IS"
        work.execute(
            f"INSERT INTO w_link ({node}, core_id, rule, run_id) SELECT {node}, to_id, 'moved', "
            f"COALESCE(since_run, {self.context.run_id:d}) {moved} NOT NULL",
            of_entity,
        )
        work.execute(
            f"INSERT INTO w_rule ({node}, rule) SELECT {node}, rule {moved} NOT NULL "
            "AND rule IS NOT NULL",
            of_entity,
        )
        work.execute(f"INSERT INTO w_unlinked ({node}) SELECT {node} {moved} NULL", of_entity)
        work.execute(
            "INSERT INTO w_alias (core_id, survivor_id, entity) SELECT core_id, survivor_id, "
            "entity FROM w_going WHERE entity = ? AND survivor_id IS NOT NULL",
            of_entity,
        )
        self._keys(entity)

    def _keys(self, entity: Entity) -> None:
        """The exact keys of what moves or gets another form, or is known by what moves.

        They are those of its accepted form. Whom matching knows, it knows by these.
        """
        work = self.context.work
        nodes = "SELECT koppeling_id, entity, source_key FROM {} WHERE entity = ?"
        listed = "INSERT INTO w_turned (koppeling_id, entity, source_key)"
        for table in ("w_move", "w_restore"):
            work.execute(f"{listed} {nodes.format(table)} ON CONFLICT DO NOTHING", (str(entity),))
        for name in KEYED.get(entity, ()):
            target = fields_of(entity)[name].target
            work.execute(
                f"{listed} SELECT l.koppeling_id, l.entity, l.source_key FROM w_move m "
                f"CROSS JOIN {entity} h CROSS JOIN link l WHERE m.entity = ? "
                f"AND h.{name}_id = m.before_id AND l.core_id = h.id AND l.entity = ? "
                "ON CONFLICT DO NOTHING",
                (str(target), str(entity)),
            )
        if self.undone is None:
            self._judge_holders(entity)
        if entity not in WITH_KEYS:
            return
        last: tuple[int, str] = (0, "")
        while True:
            found = work.execute(
                "SELECT koppeling_id, source_key FROM w_turned WHERE entity = ? "
                "AND (koppeling_id > ? OR (koppeling_id = ? AND source_key > ?)) "
                f"ORDER BY 1, 2 LIMIT {BATCH}",
                (str(entity), last[0], *last),
            )
            if not found:
                return
            last = found[-1]
            for koppeling_id, rows in groupby(found, key=itemgetter(0)):
                keys = [row[1] for row in rows]
                known = keys_of(self.context, entity, keys, koppeling_id)
                work.load("w_turned_key", KEY_COLUMNS, known)

    def _judge_holders(self, entity: Entity) -> None:
        """What is known by whom a decision moves is matched with it, where nothing of it waits.

        Of other koppelingen, and where something waits, the next run of its own does that.
        """
        self.context.work.execute(
            "INSERT INTO w_rekey (koppeling_id, entity, source_key) "
            "SELECT t.koppeling_id, t.entity, t.source_key FROM w_turned t "
            "WHERE t.entity = ? AND t.koppeling_id = ? AND NOT EXISTS (SELECT 1 FROM w_move m "
            "WHERE m.koppeling_id = t.koppeling_id AND m.entity = t.entity "
            "AND m.source_key = t.source_key) AND NOT EXISTS (SELECT 1 FROM v_shadow s "
            "WHERE s.koppeling_id = t.koppeling_id AND s.entity = t.entity "
            "AND s.source_key = t.source_key AND (s.pending OR s.refused_run IS NOT NULL))",
            (str(entity), self.context.koppeling.id),
        )

    def keep_keys(self, entity: Entity) -> None:
        """After correlation: what was not judged, or is in doubt, has the keys that are accepted.

        Of what was judged correlation brings the keys of its new form.
        """
        own = self.context.koppeling.id
        listed = ", ".join(name for name in KEY_COLUMNS if name != "core_id")
        self.context.work.execute(
            f"INSERT INTO w_key ({listed}, core_id) SELECT {listed}, COALESCE((SELECT "
            "a.survivor_id FROM w_alias a WHERE a.core_id = t.core_id), t.core_id) "
            "FROM w_turned_key t WHERE t.entity = ? AND NOT (t.koppeling_id = ? "
            "AND t.source_key IN (SELECT source_key FROM w_pending) AND t.source_key NOT IN "
            "(SELECT source_key FROM w_disputed WHERE entity = ?))",
            (str(entity), own, str(entity)),
        )

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
                "SELECT w.member_id, COALESCE(g.survivor_id, d.groep_id), d.rol, "
                "COALESCE(p.survivor_id, d.persoon_id), d.beeindigd, w.groep_id, "
                "w.rol, w.persoon_id, w.beeindigd, w.geldig_van, w.geldig_tot, w.tot_afgeleid "
                "FROM w_back w LEFT JOIN groepsdeelname d ON d.id = w.member_id "
                "LEFT JOIN w_alias g ON g.core_id = d.groep_id "
                "LEFT JOIN w_alias p ON p.core_id = d.persoon_id "
                f"WHERE {work.many('w.of_groep')} OR {work.many('w.groep_id')} "
                f"OR {work.many('g.survivor_id')} ORDER BY 1",
                (ids, ids, ids),
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
        """Core records that nothing says any more, by entity, what refers to others first."""
        for entity in reversed(Entity):
            last = 0
            while True:
                rows = self.context.work.execute(
                    "SELECT core_id FROM w_going WHERE entity = ? AND survivor_id IS NULL "
                    f"AND core_id > ? ORDER BY core_id LIMIT {BATCH}",
                    (str(entity), last),
                )
                if not rows:
                    break
                last = rows[-1][0]
                yield entity, [row[0] for row in rows]


def _leaning(table: str, column: str) -> str:
    """Query of what refers to core record `g` and stays as it is."""
    if table == "groepsdeelname":
        return (
            "SELECT 1 FROM groepsdeelname d WHERE d.persoon_id = g.core_id "
            "AND d.id NOT IN (SELECT member_id FROM w_back) "
            "AND d.groep_id NOT IN (SELECT core_id FROM w_going)"
        )
    return (
        f"SELECT 1 FROM {table} h WHERE h.{column} = g.core_id "
        "AND h.id NOT IN (SELECT core_id FROM w_going) AND NOT EXISTS (SELECT 1 FROM link l "
        "CROSS JOIN w_restore r WHERE l.core_id = h.id AND r.koppeling_id = l.koppeling_id "
        "AND r.entity = l.entity AND r.source_key = l.source_key)"
    )


_MOVE = ("koppeling_id", "entity", "source_key", "before_id", "to_id", "since_run", "rule")


def _row(move: Move) -> tuple[object, ...]:
    return (*move.node, move.before, move.to, move.since_run, move.rule)
