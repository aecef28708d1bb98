"""A mapping as a table of rows, compiled once into closures: the machine under every mapping.

One rule for every row (design.md, idea 3): a field that the delivery contract does not name, or
that was dropped, is NOT_DELIVERED; one that is delivered and absent or null is None; a value goes
through the row's function. A value that breaks a rule drops its field with a FieldProblem, or, in a
required field, refuses the record with a MappingError.

A row's source is a path of attributes of the typed record (`adres`, `vestiging.uuid`); the table
finds the source's own spelling, which the contract and errors use, in the record's model. A path
that begins with `@` reads the surroundings that the mapping hands in (`@vestiging`), which need no
permission. Where two rows have one target, the first that is delivered wins.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast, get_args

from pydantic import BaseModel

from connectors.base import DeliveryContract, FieldProblem
from mappings.canonical.fields import NOT_DELIVERED, Canonical, Entity, Kind
from mappings.canonical.schema import RECORDS, fields_of
from mappings.errors import MappingError, RuleBrokenError
from mappings.functions import BY_KIND, BY_ROLE, telefoon
from mappings.mapping import DescribedRow, State, Strength, TrialRow
from sector.identifiers import InvalidIdentifierError

Around = Mapping[str, object]
"""What the mapping knows around a record: name (without `@`) → value, None or NOT_DELIVERED."""

Function = Callable[..., object]
Condition = Callable[[Any], bool]
_Step = Callable[[Any, Callable[[str], bool], Around], object]

_CONTEXT: Final = "@"
_EMPTY: Final[Around] = {}


@dataclass(frozen=True, slots=True)
class Row:
    """One row: a canonical field, where it comes from, and by which named pure function.

    Attributes:
        target: the canonical field.
        source: paths; the function gets one value for each. All must be delivered; where all are
            empty the field is empty and the function is not called.
        function: a named pure function; None of the values that it gets is None but where another
            one is not, or for `beside`.
        beside: further paths, handed in as value or None without being demanded.
        condition: a named pure function of the record; false: the row is not delivered.
        strength: how hard the value insists (mapping.py).
        permission: name in the delivery contract for a part of what the path holds; the path's
            own name serves too, since who gets all gets the part.
        insists: a value that is there counts as delivered, whatever the contract says; for flags
            that hide something.
    """

    target: str
    source: tuple[str, ...]
    function: Function
    beside: tuple[str, ...] = ()
    condition: Condition | None = None
    strength: Strength = Strength.NORMAL
    permission: str = ""
    insists: bool = False


@dataclass(frozen=True, slots=True)
class _Plain:
    """A row that reads one attribute under its own name in the contract: nearly every row does."""

    name: str
    permission: str


@dataclass(frozen=True, slots=True)
class _Compiled:
    row: Row
    step: _Step
    plain: _Plain | None
    spelled: tuple[str, ...]
    path: str  # for errors, in the source's spelling
    required: bool
    shared: bool  # another row has the same target


class Table:
    """The rows of one canonical entity from one kind of source record.

    Args:
        entity: what the rows make.
        rows: the rows; each target a field of the entity.
        model: the pydantic model of the source record, for the source's spelling; without one,
            paths are spelled as they are.
        prefix: the list that holds the records (`plaatsingen`), as the contract spells it.
        waived: required fields that another resource of the same koppeling states instead.

    Raises: ValueError if a row names a field or path that does not exist, or a nameless function;
        that is a mistake in the table, found when it is declared.
    """

    def __init__(
        self,
        entity: Entity,
        rows: Sequence[Row],
        *,
        model: type[BaseModel] | None = None,
        prefix: str = "",
        waived: frozenset[str] = frozenset(),
    ) -> None:
        self.entity = entity
        self.rows = tuple(rows)
        self.prefix = prefix
        self._make = cast(Callable[..., Canonical], RECORDS[entity])
        self._waived = waived
        self._model = model
        fields = fields_of(entity)
        targets = [row.target for row in rows]
        required = {name for name, field in fields.items() if field.required} - waived
        for problem in _mistakes(rows, set(fields), required):
            raise ValueError(f"{entity}: {problem}")
        self._compiled = tuple(
            _compile(row, model, prefix, row.target in required, targets.count(row.target) > 1)
            for row in rows
        )
        self._required = tuple((c.row.target, c.path) for c in self._compiled if c.required)
        self._bound: tuple[DeliveryContract, Sequence[_Bound]] | None = None

    def __repr__(self) -> str:
        return f"<Table {self.entity} of {len(self.rows)} rows>"

    def apply(
        self,
        record: object,
        key: str,
        *,
        contract: DeliveryContract,
        around: Around = _EMPTY,
        where: str = "",
        problems: list[FieldProblem],
    ) -> Canonical:
        """Map one record.

        Args:
            record: the typed source record.
            key: its canonical key.
            contract: what is delivered.
            around: what the mapping knows around it.
            where: the item of a list that it is (`plaatsingen[0]`), for errors.
            problems: dropped fields are added to it.

        Raises: MappingError if a required field is not delivered, empty, or breaks its rule.
        """
        values: dict[str, object] = dict.fromkeys(self._waived, NOT_DELIVERED)
        delivers = contract.delivers
        held = self._held(record)
        dropped = getattr(record, "dropped", ())
        for target, name, function, condition, shared, compiled in self._under(contract):
            if shared and target in values:
                continue
            try:
                if name is None:
                    value = compiled.step(record, delivers, around)
                elif condition is not None and not condition(record):
                    continue
                else:  # what `compiled.step` does, in place
                    value = held(name, NOT_DELIVERED)
                    if value is None:
                        if name not in dropped:
                            values[target] = None
                        continue
                    if value is not NOT_DELIVERED:
                        value = function(value)
            except (ValueError, MappingError) as exc:
                problem = FieldProblem(_at(where, compiled.path), _rule_of(exc, compiled))
                if compiled.required:
                    raise MappingError(problem.path, problem.rule, source_key=key) from None
                problems.append(problem)
                continue
            if value is not NOT_DELIVERED:
                values[target] = value
        for target, path in self._required:
            if values.get(target) is None:
                rule = "is required and empty" if target in values else _MISSING
                raise MappingError(_at(where, path), rule, source_key=key)
        return self._make(key=key, **values)

    def _held(self, record: object) -> Callable[[str, object], object]:
        """Reads what a record holds; of a model, whose fields the rows name, without asking it."""
        if self._model is not None and isinstance(record, self._model):
            return vars(record).get
        return partial(getattr, record)

    def _under(self, contract: DeliveryContract) -> Sequence[_Bound]:
        """The rows that can say anything under a contract; one contract serves a whole reading."""
        bound = self._bound
        if bound is not None and bound[0] is contract:
            return bound[1]
        rows = [
            (
                c.row.target,
                c.plain.name if c.plain else None,
                c.row.function,
                c.row.condition,
                c.shared,
                c,
            )
            for c in self._compiled
            if c.plain is None or contract.delivers(c.plain.permission)
        ]
        self._bound = (contract, rows)  # one assignment: another thread sees it whole
        return rows

    def trial(
        self, record: object, *, contract: DeliveryContract, around: Around, where: str
    ) -> Iterator[TrialRow]:
        """What each row makes of one record, by the same closures as `apply`."""
        taken: set[str] = set()
        for compiled in self._compiled:
            row, rule, output = compiled.row, "", None
            try:
                value = compiled.step(record, contract.delivers, around)
            except (ValueError, MappingError) as exc:
                state, rule = State.DROPPED, _rule_of(exc, compiled)
            else:
                if value is NOT_DELIVERED or row.target in taken:
                    state = State.NOT_DELIVERED
                else:
                    state = State.EMPTY if value is None else State.VALUE
                    output = value
                    taken.add(row.target)
            if compiled.required and state is not State.VALUE and row.target not in taken:
                state, rule = State.REFUSED, rule or _MISSING
            elif compiled.required and state is State.EMPTY:
                state, rule = State.REFUSED, "is required and empty"
            yield TrialRow(
                self.entity,
                row.target,
                where,
                compiled.spelled,
                row.function.__name__,
                row.strength,
                state,
                output,
                rule,
            )

    def describe(self, resource: str) -> Iterator[DescribedRow]:
        """The rows, for the documentation."""
        for compiled in self._compiled:
            row = compiled.row
            yield DescribedRow(
                resource,
                self.entity,
                row.target,
                compiled.spelled,
                row.function.__name__,
                first_line(row.function),
                first_line(row.condition) if row.condition is not None else "",
                row.strength,
                compiled.required,
                self.prefix,
            )


_Bound = tuple[str, str | None, Function, Condition | None, bool, _Compiled]
_MISSING: Final = "is required and not delivered"


def _mistakes(rows: Sequence[Row], fields: set[str], required: set[str]) -> Iterator[str]:
    for row in rows:
        if row.target not in fields:
            yield f"has no field {row.target}"
        if not row.source:
            yield f"{row.target} has no source"
        for function in (row.function, row.condition):
            if function is not None and (
                getattr(function, "__name__", "<lambda>") == "<lambda>" or not function.__doc__
            ):
                yield f"{row.target}: a row names its function, which says what it does"
    for missing in sorted(required - {row.target for row in rows}):
        yield f"{missing} is required and has no row"


def first_line(function: Callable[..., object]) -> str:
    """The first line of a function's docstring: what it does, in the documentation."""
    return (function.__doc__ or "").strip().splitlines()[0]


def _at(where: str, path: str) -> str:
    return f"{where}.{path}" if where else path


def _rule_of(exc: Exception, compiled: _Compiled) -> str:
    """The rule in words. A foreign error's own text may hold the value, and is not used."""
    if isinstance(exc, RuleBrokenError | InvalidIdentifierError | MappingError):
        return exc.rule
    return f"breaks a rule of {compiled.row.function.__name__}"


# -- compiling -----------------------------------------------------------------------------------


def _compile(
    row: Row, model: type[BaseModel] | None, prefix: str, required: bool, shared: bool
) -> _Compiled:
    spelled = tuple(_spell(path, model) for path in (*row.source, *row.beside))
    paths = [s for s in spelled if not s.startswith(_CONTEXT)] or [row.target]
    prefixed = tuple(
        s if s.startswith(_CONTEXT) or not prefix else f"{prefix}.{s}" for s in spelled
    )
    readers = [
        _reader(path, permissions=_permissions(row, spelling, prefix), insists=row.insists)
        for path, spelling in zip(row.source, spelled[: len(row.source)], strict=True)
    ]
    name = row.source[0]
    plain: _Plain | None = None
    if len(row.source) == 1 and not (row.beside or row.permission or row.insists or "." in name):
        if name.startswith(_CONTEXT):
            step = _known(name.removeprefix(_CONTEXT), row.function)
        else:
            plain = _Plain(name, _permissions(row, spelled[0], prefix)[0])
            step = _reading(plain, row.function)
    elif len(readers) == 1 and not row.beside:
        step = _one(readers[0], row.function)
    else:
        step = _many(readers, [_beside(path) for path in row.beside], row.function)
    if row.condition is not None:
        step = _conditional(step, row.condition)
    return _Compiled(row, step, plain, prefixed, paths[0], required, shared)


def _spell(path: str, model: type[BaseModel] | None) -> str:
    """The path in the source's own spelling.

    Raises: ValueError if the model has no such attribute.
    """
    if path.startswith(_CONTEXT) or model is None:
        return path
    names: list[str] = []
    current: type[BaseModel] | None = model
    for attribute in path.split("."):
        info = None if current is None else current.model_fields.get(attribute)
        if info is None:
            raise ValueError(f"{model.__name__} has no attribute {path}")
        names.append(info.alias or attribute)
        current = _model_in(info.annotation)
    return ".".join(names)


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for a in get_args(annotation) if (found := _model_in(a))), None)


def _permissions(row: Row, spelling: str, prefix: str) -> tuple[str, ...]:
    """Names in the contract, any of which delivers the path."""
    names = (spelling, row.permission) if row.permission else (spelling,)
    return tuple(f"{prefix}.{name}" if prefix else name for name in names)


def _reader(path: str, *, permissions: tuple[str, ...], insists: bool) -> _Step:
    """A closure that reads one path in three values."""
    if path.startswith(_CONTEXT):
        name = path.removeprefix(_CONTEXT)

        def read_around(record: Any, delivers: Callable[[str], bool], around: Around) -> object:
            return around.get(name, NOT_DELIVERED)

        return read_around
    if "." in path:
        get: Callable[[Any], object] = _nested(path)
    else:
        get = _attribute(path)
    if insists:

        def read_insisting(record: Any, delivers: Callable[[str], bool], around: Around) -> object:
            value = get(record)
            return value if value is not None or any(map(delivers, permissions)) else NOT_DELIVERED

        return read_insisting
    if len(permissions) > 1:

        def read_part(record: Any, delivers: Callable[[str], bool], around: Around) -> object:
            return get(record) if any(map(delivers, permissions)) else NOT_DELIVERED

        return read_part
    permission = permissions[0]

    def read(record: Any, delivers: Callable[[str], bool], around: Around) -> object:
        return get(record) if delivers(permission) else NOT_DELIVERED

    return read


def _attribute(name: str) -> Callable[[Any], object]:
    def read(record: Any) -> object:
        # a record may leave out what its source left out, or say which fields broke a rule
        value = getattr(record, name, NOT_DELIVERED)
        if value is None and name in getattr(record, "dropped", ()):
            return NOT_DELIVERED
        return value

    return read


def _nested(path: str) -> Callable[[Any], object]:
    parts = [_attribute(name) for name in path.split(".")]

    def read(record: Any) -> object:
        value = record
        for part in parts:
            value = part(value)
            if value is None or value is NOT_DELIVERED:
                return value
        return value

    return read


def _beside(path: str) -> _Step:
    """A closure that reads a path, None where it is not there."""
    read = _reader(path, permissions=(), insists=True)

    def read_or_none(record: Any, delivers: Callable[[str], bool], around: Around) -> object:
        value = read(record, delivers, around)
        return None if value is NOT_DELIVERED else value

    return read_or_none


def _reading(plain: _Plain, function: Function) -> _Step:
    """What `_one` does, in one call."""
    name, permission = plain.name, plain.permission

    def step(record: Any, delivers: Callable[[str], bool], around: Around) -> object:
        if not delivers(permission):
            return NOT_DELIVERED
        value = getattr(record, name, NOT_DELIVERED)
        if value is None:
            return NOT_DELIVERED if name in getattr(record, "dropped", ()) else None
        return value if value is NOT_DELIVERED else function(value)

    return step


def _known(name: str, function: Function) -> _Step:
    """A step that reads the surroundings alone."""

    def step(record: Any, delivers: Callable[[str], bool], around: Around) -> object:
        value = around.get(name, NOT_DELIVERED)
        return value if value is None or value is NOT_DELIVERED else function(value)

    return step


def _one(read: _Step, function: Function) -> _Step:
    def step(record: Any, delivers: Callable[[str], bool], around: Around) -> object:
        value = read(record, delivers, around)
        if value is None or value is NOT_DELIVERED:
            return value
        return function(value)

    return step


def _many(readers: Sequence[_Step], beside: Sequence[_Step], function: Function) -> _Step:
    def step(record: Any, delivers: Callable[[str], bool], around: Around) -> object:
        values = [read(record, delivers, around) for read in readers]
        if any(value is NOT_DELIVERED for value in values):
            return NOT_DELIVERED
        if all(value is None for value in values):
            return None
        return function(*values, *(read(record, delivers, around) for read in beside))

    return step


def _conditional(step: _Step, condition: Condition) -> _Step:
    def guarded(record: Any, delivers: Callable[[str], bool], around: Around) -> object:
        return step(record, delivers, around) if condition(record) else NOT_DELIVERED

    return guarded


# -- for systems whose records have the canonical names ------------------------------------------


def same_names(entity: Entity, *, leave_out: frozenset[str] = frozenset()) -> Table:
    """A table for records whose fields are named, and mean, as the canonical ones.

    A field that a record does not have, or holds as NOT_DELIVERED, is not delivered. What the hub
    obtains itself is not theirs to tell.
    """
    rows = []
    for name, field in fields_of(entity).items():
        if name in leave_out or field.kind is Kind.PSEUDONYM:
            continue
        function: Function | None = BY_ROLE.get(field.role) or BY_KIND.get(field.kind)
        rows.append(Row(name, (name,), function or telefoon))
    return Table(entity, rows)


def digest(rows: Sequence[DescribedRow]) -> str:
    """Eight hex digits that change whenever a row does."""
    text = "\n".join(
        repr((r.resource, str(r.entity), r.target, r.source, r.function, r.condition, r.list))
        + f" {r.strength} {r.required}"
        for r in rows
    )
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
