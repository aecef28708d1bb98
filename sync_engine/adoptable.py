"""What the rows and the file say of the candidates, batch by batch, and what cannot be said.

References are resolved here as the fold will resolve them: to what is adopted, to what the
application has named already, and to records of other sources, which get a name by it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from config.errors import RecordError
from mappings.canonical.fields import Entity
from mappings.canonical.schema import fields_of
from sync_engine.adoption_file import FileRecord, Lines, form_of
from sync_engine.candidates import batches, targets
from sync_engine.context import Context, chunks
from sync_engine.fold import Json, Reference
from sync_engine.nodes import Node, exact_keys
from sync_engine.project import State
from sync_engine.rows import States
from sync_engine.unproject import Form, lost, unproject

Doubted = Callable[[str, int, str], None]
"""Called with entity, id and reason, in Dutch."""


@dataclass(frozen=True, slots=True)
class Found:
    """One candidate.

    Attributes:
        form: what its rows and the file say.
        is_new: it stands in the file only.
        lost: what of its rows no claim can say; empty where it can be adopted.
        keys: (kind, digest) of its exact keys.
    """

    core_id: int
    form: Form
    is_new: bool
    lost: tuple[str, ...]
    keys: Sequence[tuple[str, bytes]]


class Adoptables:
    """Reads candidates.

    Args:
        context: the run.
        lines: the file.
        issuer: the koppeling that issued the numbers.
        drop: entity → fields that are not read.
        doubted: told what cannot be used.
    """

    def __init__(
        self,
        context: Context,
        lines: Lines,
        *,
        issuer: int,
        drop: Mapping[Entity, frozenset[str]],
        doubted: Doubted,
    ) -> None:
        self.context, self.lines, self.issuer = context, lines, issuer
        self._drop, self._doubted = drop, doubted
        self._states = States(context)

    def of(self, entity: Entity) -> Iterator[list[Found]]:
        """The candidates of one entity, ascending."""
        for ids in batches(self.context, entity):
            states = self._states.read(entity, ids)
            forms = {number: self._form(entity, number, states.get(number)) for number in ids}
            resolved = self._resolve(entity, list(forms.values()))
            found = []
            for number, form in forms.items():
                one = self._judge(entity, number, form, states.get(number), resolved)
                if one is not None:
                    found.append(one)
            yield found

    # -- forms -------------------------------------------------------------------------------------

    def _form(self, entity: Entity, core_id: int, state: State | None) -> Form:
        form: Form = {}
        if state is not None:
            self._reveal(core_id, state)
            form = unproject(entity, state)
        record = self.lines.records.get((entity, core_id))
        if record is not None:
            form = self._with_line(entity, core_id, form, record)
        return form

    def _with_line(self, entity: Entity, core_id: int, form: Form, record: FileRecord) -> Form:
        """What the line adds; where the row says something already, the row stands."""
        drop = self._drop.get(entity, frozenset())
        try:
            told = form_of(self.context, entity, core_id, record, row=form, drop=drop)
        except RecordError as error:
            self._doubted(entity, core_id, f"regel {record.line}: {error.path}: {error.rule}")
            return form
        other = sorted(name for name in told if name in form and form[name] != told[name])
        if other:
            named = ", ".join(other)
            self._doubted(entity, core_id, f"regel {record.line}: anders dan de rij: {named}")
        return {**told, **form}

    def _reveal(self, core_id: int, state: State) -> None:
        for key, row in state.items():
            if key.startswith("identificatie/") and isinstance(row, dict):
                row["waarde"] = self._states.reveal(core_id, key)

    # -- references --------------------------------------------------------------------------------

    def _resolve(self, entity: Entity, forms: Sequence[Form]) -> dict[tuple[Entity, str], int]:
        """(entity, key) → core id, for everything that these forms refer to and that is there."""
        wanted: dict[Entity, set[str]] = defaultdict(set)
        for name, target in targets(entity).items():
            for form in forms:
                value = form.get(name)
                if isinstance(value, list):
                    wanted[target].update(str(key) for key in value)
                elif value is not None:
                    wanted[target].add(str(value))
        found: dict[tuple[Entity, str], int] = {}
        for target, keys in wanted.items():
            for part in chunks(sorted(keys)):
                found.update(self._targets(target, part))
        return found

    def _targets(self, target: Entity, keys: Sequence[str]) -> dict[tuple[Entity, str], int]:
        work, own = self.context.work, self.context.koppeling.id
        found: dict[str, int] = {}
        for table in ("w_adopted", "link"):
            found.update(
                work.execute(
                    f"SELECT source_key, core_id FROM {table} WHERE koppeling_id = ? "
                    f"AND entity = ? AND {work.many('source_key')}",
                    (own, str(target), work.values(keys)),
                )
            )
        ids = [int(key) for key in keys if key not in found and key.isdigit()]
        rows = work.execute(
            f"SELECT id FROM {target} WHERE tenant_id = ? AND {work.many('id')}",
            (self.context.koppeling.tenant_id, work.values(ids)),
        )
        named = [(own, str(target), str(row[0]), row[0], self.context.run_id) for row in rows]
        work.load(  # it is a record of another source: the application's name for it is known now
            "w_adopted", ("koppeling_id", "entity", "source_key", "core_id", "run_id"), named
        )
        found.update((key, core_id) for _, _, key, core_id, _ in named)
        return {(target, key): core_id for key, core_id in found.items()}

    # -- judgement ---------------------------------------------------------------------------------

    def _judge(
        self,
        entity: Entity,
        core_id: int,
        form: Form,
        state: State | None,
        resolved: Mapping[tuple[Entity, str], int],
    ) -> Found | None:
        """What can be done with one candidate; None where there is nothing to do it with."""
        gone: tuple[str, ...] = ()
        if state is None:
            missing = _missing(entity, form, resolved)
            if missing:
                self._doubted(entity, core_id, f"niet gemaakt, want er ontbreekt: {missing}")
                self._leave(entity, core_id)
                return None
        else:
            gone = lost(
                entity,
                form,
                state,
                resolve=lambda r: _core(resolved, r),
                issuer=self.issuer,
                index=self._index,
            )
        keys = self._keys(entity, core_id, form, resolved)
        return Found(core_id, form, state is None, gone, keys)

    def _keys(
        self,
        entity: Entity,
        core_id: int,
        form: Mapping[str, Json],
        resolved: Mapping[tuple[Entity, str], int],
    ) -> Sequence[tuple[str, bytes]]:
        key = str(core_id)
        cores: dict[tuple[str, str], int | None] = {
            (key, name): resolved.get((target, str(form[name])))
            for name, target in targets(entity).items()
            if form.get(name) is not None
        }
        node = Node(key, form, False, core_id, 0, self.issuer)
        index = self.context.cipher.index
        return [
            (kind, index(f"{entity}/{kind}", *parts))
            for kind, parts in exact_keys(entity, node, self.issuer, cores)
        ]

    def _leave(self, entity: Entity, core_id: int) -> None:
        work = self.context.work
        for table in ("w_candidate", "w_adopted"):
            work.execute(
                f"DELETE FROM {table} WHERE entity = ? AND core_id = ?", (str(entity), core_id)
            )

    def _index(self, role: str, value: str, issuer: int) -> str:
        return self.context.cipher.index(f"identificatie/{role}", str(issuer), value).hex()


def _core(resolved: Mapping[tuple[Entity, str], int], reference: Reference) -> int | None:
    return resolved.get((reference.entity, reference.key))


def _missing(
    entity: Entity, form: Mapping[str, Json], resolved: Mapping[tuple[Entity, str], int]
) -> str:
    """The required fields of a record that the file alone brings, where they are not there."""
    names = []
    for name, field in fields_of(entity).items():
        value = form.get(name)
        open_ = field.target is not None and (field.target, str(value)) not in resolved
        if field.required and (value is None or open_):
            names.append(name)
    return ", ".join(names)
