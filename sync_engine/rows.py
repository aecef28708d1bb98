"""Rows of the core: read as flat states, prepared as set statements.

`States` reads the present state of a batch of core records; `Prepared` collects the rows that a
plan would write, in temporary tables that `apply` turns into the core with one statement each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from secrets import token_bytes
from typing import Final

from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from sync_engine.claims import Fresh
from sync_engine.context import Context, chunks
from sync_engine.fold import Json
from sync_engine.matching import NUMBERS
from sync_engine.project import (
    ADDRESS_COLUMNS,
    ORIGIN_COLUMNS,
    State,
    has_parts,
    head_columns,
    is_obtained,
)
from sync_engine.steps import Step
from sync_engine.store.cipher import PersonCipher

IDENTIFIER_COLUMNS = (
    "eigenaar_id",
    "soort",
    "uitgever",
    "waarde",
    "blindindex",
    "herkomst",
    *ORIGIN_COLUMNS,
    "run_id",
)
DELIVERED: Final = "geleverd"
"""Origin of an identifier: an administration delivers it."""
OBTAINED: Final = "verkregen"
"""The hub obtained it itself."""
CONTACT_COLUMNS = ("eigenaar_id", "soort", "waarde", "geheim", "run_id")
ADRES_COLUMNS = ("eigenaar_id", "soort", *ADDRESS_COLUMNS, "geheim", "run_id")
MEMBER_COLUMNS = (
    "groep_id",
    "rol",
    "persoon_id",
    "geldig_van",
    "geldig_tot",
    "tot_afgeleid",
    "beeindigd",
    "run_id",
)
DROP_COLUMNS = ("tabel", "eigenaar_id", "soort", "uitgever")
FORMER_COLUMNS = ("eigenaar_id", "soort", "uitgever")


def prepare(context: Context) -> None:
    """Make the temporary tables of what a plan would write; those of entities come when needed."""
    work = context.work
    context.written.clear()
    work.temp_like("p_identificatie", "identificatie", IDENTIFIER_COLUMNS)
    work.temp_like("p_contactgegeven", "contactgegeven", CONTACT_COLUMNS)
    work.temp_like("p_adres", "adres", ADRES_COLUMNS)
    work.temp_like("p_groepsdeelname", "groepsdeelname", MEMBER_COLUMNS)
    work.temp_like("p_deelname_nieuw", "groepsdeelname", MEMBER_COLUMNS)
    work.temp_table(
        "p_drop",
        "tabel TEXT, eigenaar_id BIGINT, soort TEXT, uitgever BIGINT",
        index=["(eigenaar_id)"],
    )
    work.temp_table("p_former", "eigenaar_id BIGINT, soort TEXT, uitgever BIGINT")
    work.temp_table("p_core_salt", f"core_id BIGINT, salt {work.blob_type}")
    work.temp_table("p_refuse", "shadow_id BIGINT")
    work.temp_table("p_back", "member_id INTEGER")
    work.temp_table(
        "p_accept", "shadow_id BIGINT, situation TEXT, parted BOOLEAN, replaces BOOLEAN"
    )


class States:
    """Reads the present state of core records; identifiers stay encrypted until they are needed."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def read(
        self, entity: Entity, cores: Sequence[int], *, members: bool = True
    ) -> dict[int, State]:
        """Core id → state, for those that exist; without `members` those of a groep are left."""
        work = self.context.work
        names = head_columns(entity)
        found: dict[int, State] = {}
        for part in chunks(cores):
            ids = work.values(part)
            rows = work.execute(
                f"SELECT id, {', '.join(names)} FROM {entity} WHERE {work.many('id')}", (ids,)
            )
            for row in rows:
                found[row[0]] = _bools(entity, dict(zip(names, row[1:], strict=True)))
            if has_parts(entity)[0]:
                self._parts(found, ids)
        if members and has_parts(entity)[1]:
            self.read_members(found, cores)
        return found

    def read_members(self, found: dict[int, State], groups: Sequence[int]) -> None:
        """Add the open memberships of these groepen to their states."""
        for part in chunks(groups):
            self._members(found, part)

    def _parts(self, found: dict[int, State], ids: object) -> None:
        work = self.context.work
        rows = work.execute(
            "SELECT eigenaar_id, soort, uitgever, blindindex, herkomst, "
            f"{', '.join(ORIGIN_COLUMNS)} FROM identificatie WHERE {work.many('eigenaar_id')}",
            (ids,),
        )
        for owner, role, issuer, index, origin, *where in rows:
            if owner in found:
                row: dict[str, Json] = {"index": bytes(index).hex()}
                if origin == OBTAINED:
                    row.update(zip(ORIGIN_COLUMNS, where, strict=True))
                found[owner][f"identificatie/{role}/{issuer}"] = row
        rows = work.execute(
            "SELECT eigenaar_id, soort, waarde, geheim FROM contactgegeven "
            f"WHERE {work.many('eigenaar_id')}",
            (ids,),
        )
        for owner, role, value, hidden in rows:
            if owner in found:
                found[owner][f"contactgegeven/{role}"] = {"waarde": value, "geheim": bool(hidden)}
        rows = work.execute(
            f"SELECT eigenaar_id, soort, geheim, {', '.join(ADDRESS_COLUMNS)} FROM adres "
            f"WHERE {work.many('eigenaar_id')}",
            (ids,),
        )
        for owner, role, hidden, *parts in rows:
            if owner in found:
                found[owner][f"adres/{role}"] = {
                    **dict(zip(ADDRESS_COLUMNS, parts, strict=True)),
                    "geheim": bool(hidden),
                }

    def _members(self, found: dict[int, State], groups: Sequence[int]) -> None:
        """Open memberships; what was merged in this run is read as what it became."""
        work = self.context.work
        became: dict[int, int] = dict(
            work.execute(
                f"SELECT core_id, survivor_id FROM w_alias WHERE {work.many('survivor_id')}",
                (work.values(groups),),
            )
        )
        rows = work.execute(
            "SELECT d.groep_id, d.rol, COALESCE(a.survivor_id, d.persoon_id), d.geldig_van, "
            "d.geldig_tot, d.tot_afgeleid FROM groepsdeelname d "
            "LEFT JOIN w_alias a ON a.core_id = d.persoon_id "
            f"WHERE NOT d.beeindigd AND {work.many('d.groep_id')} ORDER BY d.id DESC",
            (work.values([*groups, *became]),),
        )
        for group, role, person, start, end, inferred in rows:
            state = found.get(became.get(int(group), int(group)))
            if state is not None:  # of two that became one the older row stays
                state[f"groepsdeelname/{role}/{person}"] = [start, end, bool(inferred)]

    def reveal(self, core_id: int, key: str) -> str | None:
        """The plain value of one identifier of the core, for the journal and for people."""
        _, role, issuer = key.split("/")
        rows = self.context.work.execute(
            "SELECT i.waarde, s.salt FROM identificatie i JOIN core_salt s "
            "ON s.core_id = i.eigenaar_id WHERE i.eigenaar_id = ? AND i.soort = ? "
            "AND i.uitgever = ?",
            (core_id, role, int(issuer)),
        )
        if not rows or rows[0][1] is None:
            return None
        person = self.context.cipher.person(rows[0][1])
        return person.decrypt(rows[0][0], identifier_context(core_id, role)).decode()


def identifier_context(core_id: int, role: str) -> bytes:
    """What an encrypted identifier is bound to, so that it cannot be moved to another person."""
    return b"identificatie|%d|%s" % (core_id, role.encode())


_COLUMNS = {
    "p_accept": ("shadow_id", "situation", "parted", "replaces"),
    "p_core_salt": ("core_id", "salt"),
    "p_refuse": ("shadow_id",),
    "p_back": ("member_id",),
    "p_drop": DROP_COLUMNS,
    "p_former": FORMER_COLUMNS,
    "p_contactgegeven": CONTACT_COLUMNS,
    "p_adres": ADRES_COLUMNS,
    "p_identificatie": IDENTIFIER_COLUMNS,
    "p_groepsdeelname": MEMBER_COLUMNS,
    "p_deelname_nieuw": MEMBER_COLUMNS,
} | {f"p_{entity}": ("id", "tenant_id", "run_id", *head_columns(entity)) for entity in Entity}
"""Temporary table → the columns that are loaded."""
_ENTITIES = {f"p_{entity}": entity for entity in Entity}


class Prepared:
    """Collects rows of one batch and loads them into the temporary tables."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._rows: dict[str, list[tuple[object, ...]]] = defaultdict(list)
        self._changed: dict[Entity, set[str]] = defaultdict(set)

    def accept(self, shadow: Fresh, situation: str) -> None:
        """This shadow's received form becomes the accepted one."""
        row = (shadow.number, situation, shadow.parted, shadow.replaces)
        self._rows["p_accept"].append(row)

    def refuse(self, shadow: Fresh) -> None:
        """This shadow's received form is not proposed again until it is another."""
        self._rows["p_refuse"].append((shadow.number,))

    def put_back(self, member_id: int) -> None:
        """This row of groepsdeelname is again what it was."""
        self._rows["p_back"].append((member_id,))

    def salt(self, core_id: int, salt: bytes) -> None:
        """A new person has this salt."""
        self._rows["p_core_salt"].append((core_id, salt))

    def write(self, step: Step, person: PersonCipher, *, handled: Collection[str] = ()) -> None:
        """The rows that turn a record's present state into that of the step.

        Args:
            step: what changes.
            person: encrypts what belongs to the record.
            handled: keys of the flat state whose rows come back as they were.
        """
        core_id, changed = step.core_id, step.changed
        parts = [key for key in changed if "/" in key]
        if step.is_new or len(parts) < len(changed):
            if not step.is_new:
                self._changed[step.entity].update(changed)
            tenant, run = self.context.koppeling.tenant_id, self.context.run_id
            columns = map(step.state.get, head_columns(step.entity))
            self._rows[f"p_{step.entity}"].append((core_id, tenant, run, *columns))
        for key in parts:
            if key not in handled:
                table, _, rest = key.partition("/")
                self._part(table, rest, core_id, changed[key], person)

    def _part(
        self, table: str, rest: str, core_id: int, pair: list[Json], person: PersonCipher
    ) -> None:
        run, after = self.context.run_id, pair[1]
        role, _, last = rest.partition("/")
        row: tuple[object, ...]
        if role in NUMBERS and table == "identificatie":
            self._former(core_id, role, int(last), pair)
        if table == "groepsdeelname":
            self._member(core_id, role, int(last), pair)
            return
        if not isinstance(after, dict):
            self._rows["p_drop"].append((table, core_id, role, int(last or 0)))
            return
        if table == "contactgegeven":
            row = (core_id, role, after["waarde"], after["geheim"], run)
        elif table == "adres":
            row = (core_id, role, *map(after.get, ADDRESS_COLUMNS), after["geheim"], run)
        else:
            text, index = str(after["waarde"]), bytes.fromhex(str(after["index"]))
            sealed = person.encrypt(text.encode(), identifier_context(core_id, role))
            origin = OBTAINED if is_obtained(after) else DELIVERED
            where = map(after.get, ORIGIN_COLUMNS)
            row = (core_id, role, int(last), sealed, index, origin, *where, run)
        self._rows[f"p_{table}"].append(row)

    def _former(self, core_id: int, role: str, issuer: int, changed: list[Json]) -> None:
        """This number stops being his."""
        before, after = (side.get("index") if isinstance(side, dict) else None for side in changed)
        if before is not None and before != after:
            self._rows["p_former"].append((core_id, role, issuer))

    def _member(self, core_id: int, role: str, person: int, changed: list[Json]) -> None:
        before, after = changed
        if not isinstance(after, list):
            return
        ended = len(after) > 3  # the fourth part says that the membership ended
        row = (core_id, role, person, *after[:3], ended, self.context.run_id)
        self._rows["p_deelname_nieuw" if before is None else "p_groepsdeelname"].append(row)

    def flush(self) -> None:
        """Load what was collected."""
        work, written = self.context.work, self.context.written
        for table, rows in self._rows.items():
            entity = _ENTITIES.get(table)
            if entity is not None and entity not in written:
                work.temp_like(table, str(entity), _COLUMNS[table])
                written[entity] = set()
            if entity is not None:
                written[entity] |= self._changed.pop(entity, set())
            work.load(table, _COLUMNS[table], rows)
        self._rows.clear()


def new_salt() -> bytes:
    """A person's salt in the core."""
    return token_bytes(16)


def _bools(entity: Entity, row: State) -> State:
    for name in _boolean_columns(entity):
        if row[name] is not None:
            row[name] = bool(row[name])
    return row


def _boolean_columns(entity: Entity) -> tuple[str, ...]:
    names = [n for n, d in fields_of(entity).items() if d.kind is Kind.BOOLEAN]
    return ("tot_afgeleid", *names)
