"""Raw JSON bodies → typed source records, dropping what breaks a rule and may be dropped.

One rule for all systems: an error in a required field refuses the record, an error in an optional
one drops the smallest optional part that holds it. What was dropped is *not delivered*: the record
says so itself (`SourceModel.dropped`), because a mapping must tell it from absent, which may mean
empty. A list is never shortened: an item that cannot be dropped in part takes its list with it, or
the missing item would look like one that the source took away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Annotated, Any, Final, TypeVar, get_args

import msgspec
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from connectors.base import FieldProblem, Parsed
from connectors.errors import ParseError

_DROPPED: Final = "\x00dropped"
_NUL: Final = b"\\u0000"
_ROUNDS: Final = 8

Uuid = Annotated[
    str,
    StringConstraints(
        pattern=r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
    ),
]
"""A UUID in its usual spelling. It stays text: it is the source's key, kept as it was sent."""

Text = Annotated[str, StringConstraints(max_length=10_000)]
"""Any text; the bound only keeps one field from filling a database."""

Whole = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
"""A whole number that fits a database column."""

Day = Annotated[date, Field(strict=True)]
"""A calendar day, `YYYY-MM-DD`."""


class SourceModel(BaseModel):
    """Root of typed source records: frozen, strict, and blind to fields that it does not know.

    Attributes:
        dropped: names (of attributes) of optional fields that were sent and broke a rule; they are
            *not delivered*, whatever the delivery contract says.
    """

    model_config = ConfigDict(
        frozen=True, extra="ignore", strict=True, hide_input_in_errors=True, validate_by_alias=True
    )

    dropped: frozenset[str] = Field(default=frozenset(), alias=_DROPPED, repr=False)

    def __repr__(self) -> str:
        """The kind of record only: its values are personal data."""
        return f"<{type(self).__name__}>"

    __str__ = __repr__


M = TypeVar("M", bound=SourceModel)

Location = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class _Shape:
    """What one model knows: source names, attribute names, which are required, nested models."""

    attributes: Mapping[str, str]
    required: frozenset[str]
    nested: Mapping[str, tuple[type[SourceModel], bool]]
    names: frozenset[str]


@cache
def _shape(model: type[SourceModel]) -> _Shape:
    attributes: dict[str, str] = {}
    required: set[str] = set()
    nested: dict[str, tuple[type[SourceModel], bool]] = {}
    for name, info in model.model_fields.items():
        if name == "dropped":
            continue
        source = info.alias or name
        attributes[source] = name
        if info.is_required():
            required.add(source)
        found = _nested(info.annotation)
        if found is not None:
            nested[source] = found
    return _Shape(attributes, frozenset(required), nested, frozenset(attributes))


def _nested(annotation: object) -> tuple[type[SourceModel], bool] | None:
    """The source model inside an annotation, and whether it comes as a list."""
    if isinstance(annotation, type) and issubclass(annotation, SourceModel):
        return annotation, False
    arguments = get_args(annotation)
    for argument in arguments:
        found = _nested(argument)
        if found is not None:
            return found[0], found[1] or Ellipsis in arguments
    return None


@cache
def field_paths(model: type[SourceModel]) -> tuple[str, ...]:
    """Every field that a model reads, in the source's spelling, dotted when nested."""
    return tuple(_field_paths(model))


def _field_paths(model: type[SourceModel]) -> Iterator[str]:
    shape = _shape(model)
    for source in shape.attributes:
        yield source
        if source in shape.nested:
            for below in _field_paths(shape.nested[source][0]):
                yield f"{source}.{below}"


def parse_model(model: type[M], body: bytes, *, key_field: str = "uuid") -> Parsed:
    """Parse one raw body.

    Shape: one JSON object; `key_field` is only used to name the record in an error.
    Raises: ParseError if the body is no JSON object, or a required field is missing or breaks its
        rule; it names the field in the source's spelling and the rule, never the value.
    """
    if _NUL not in body and _knows_all(model, body):  # as nearly every record
        try:
            return Parsed(model.model_validate_json(body), (), ())
        except ValidationError:
            pass
    try:
        tree = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise ParseError("$", "is not readable JSON") from None
    if not isinstance(tree, dict):
        raise ParseError("$", "is not a JSON object")
    tree.pop(_DROPPED, None)
    unknown = _unknown(model, tree)
    problems: tuple[FieldProblem, ...] = ()
    record: M | None = None
    if _NUL not in body:
        try:
            record = model.model_validate_json(body)
        except ValidationError:
            record = None
    if record is None:
        record, problems = _mend(model, tree, source_key=_key(tree, key_field))
    return Parsed(record, problems, unknown)


def _key(tree: Mapping[str, Any], key_field: str) -> str | None:
    value = tree.get(key_field)
    return value if isinstance(value, str) and len(value) <= 100 else None


def _mend(
    model: type[M], tree: dict[str, Any], *, source_key: str | None
) -> tuple[M, tuple[FieldProblem, ...]]:
    """Drop optional parts that break a rule until the record stands, or refuse it."""
    problems: list[FieldProblem] = []
    for _ in range(_ROUNDS):
        faults = list(_nul_faults(tree))
        if not faults:
            try:
                record = model.model_validate_json(msgspec.json.encode(tree))
            except ValidationError as exc:
                faults = [(error["loc"], _rule(error)) for error in exc.errors(include_url=False)]
            else:
                return record, tuple(problems)
        for location, rule in faults:
            problems.extend(_drop(model, tree, location, rule=rule, source_key=source_key))
    raise ParseError("$", "breaks more rules than can be dropped", source_key=source_key)


def _rule(error: Any) -> str:  # pydantic's ErrorDetails; its message may hold the value
    """The broken rule in words, made from pydantic's kind of error and never from the value."""
    kind = str(error["type"])
    context = error.get("ctx") or {}
    if kind == "literal_error":
        return f"must be one of {context.get('expected', 'the known values')}"
    return _RULES.get(kind, f"breaks the rule {kind}")


_RULES: Final[Mapping[str, str]] = {
    "missing": "is required and missing",
    "string_type": "must be text",
    "string_pattern_mismatch": "does not have the required form",
    "string_too_long": "is too long",
    "int_type": "must be a whole number",
    "int_parsing_size": "does not fit a whole number",
    "greater_than_equal": "is too small",
    "less_than_equal": "is too large",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "model_type": "must be an object",
    "date_type": "must be a date (YYYY-MM-DD)",
    "date_parsing": "must be a date (YYYY-MM-DD) that exists",
    "date_from_datetime_parsing": "must be a date (YYYY-MM-DD) that exists",
    "date_from_datetime_inexact": "must be a date without a time",
}


def _drop(
    model: type[SourceModel],
    tree: dict[str, Any],
    location: Location,
    *,
    rule: str,
    source_key: str | None,
) -> Iterator[FieldProblem]:
    """Drop the smallest optional part that holds the fault.

    Raises: ParseError if there is none.
    """
    best: tuple[dict[str, Any], str, str] | None = None
    node: Any = tree
    current: type[SourceModel] | None = model
    for step in location:
        if isinstance(step, str) and isinstance(node, dict) and current is not None:
            shape = _shape(current)
            if step not in shape.attributes:
                break
            if step not in shape.required:
                best = (node, step, shape.attributes[step])
            current = shape.nested[step][0] if step in shape.nested else None
            node = node.get(step)
        elif isinstance(step, int) and isinstance(node, list) and step < len(node):
            node = node[step]
        else:
            break
    if best is None:
        raise ParseError(dotted(location), rule, source_key=source_key)
    holder, source, attribute = best
    if source not in holder:
        return  # an earlier fault of this round took it away
    del holder[source]
    holder.setdefault(_DROPPED, []).append(attribute)
    yield FieldProblem(dotted(location), rule)


def dotted(location: Sequence[int | str]) -> str:
    """`("plaatsingen", 0, "startdatum")` → `plaatsingen[0].startdatum`."""
    text = ""
    for step in location:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text or "$"


def _nul_faults(node: Any, location: Location = ()) -> Iterator[tuple[Location, str]]:
    """Texts that hold a NUL character, which no PostgreSQL text column takes."""
    if isinstance(node, str):
        if "\x00" in node:
            yield location, "holds a NUL character"
    elif isinstance(node, dict):
        for key, value in node.items():
            if key != _DROPPED:
                yield from _nul_faults(value, (*location, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _nul_faults(value, (*location, index))


def _knows_all(model: type[SourceModel], body: bytes) -> bool:
    """Whether a body is JSON in which the model knows every field, told in one pass."""
    try:
        _decoder(model).decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False
    return True


@cache
def _decoder(model: type[SourceModel]) -> msgspec.json.Decoder[Any]:
    """Decodes what has the names of a model and no others; it looks at no value."""
    return msgspec.json.Decoder(_names_of(model))


@cache
def _names_of(model: type[SourceModel]) -> type[msgspec.Struct]:
    shape = _shape(model)
    fields: list[tuple[str, Any, Any]] = []
    for source in shape.attributes:
        kind: Any = Any
        if source in shape.nested:
            below, is_list = shape.nested[source]
            kind = list[_names_of(below)] | None if is_list else _names_of(below) | None  # type: ignore[misc] # made here
        fields.append((f"f{len(fields)}", kind, None))
    names = dict(zip((name for name, *_ in fields), shape.attributes, strict=True))
    return msgspec.defstruct(
        f"NamesOf{model.__name__}", fields, rename=names, forbid_unknown_fields=True, gc=False
    )


def _unknown(model: type[SourceModel], tree: Mapping[str, Any]) -> tuple[str, ...]:
    """Fields of the body that the model does not know, dotted, each once."""
    found: dict[str, None] = {}
    _collect(model, (tree,), prefix="", found=found)
    return tuple(found) if found else ()


def _collect(
    model: type[SourceModel],
    trees: Sequence[Mapping[str, Any]],
    *,
    prefix: str,
    found: dict[str, None],
) -> None:
    """Of all objects of one place at once: a groep has hundreds of members, alike to the letter."""
    shape = _shape(model)
    names = set().union(*trees)
    if not shape.names.issuperset(names):
        for name in dict.fromkeys(name for tree in trees for name in tree):
            if name not in shape.names:
                found[prefix + safe_name(name)] = None
    for source in shape.nested if shape.nested.keys() & names else ():
        nested, is_list = shape.nested[source]
        values = [value for tree in trees if (value := tree.get(source))]
        if is_list:
            values = [item for value in values if isinstance(value, list) for item in value]
        items = [item for item in values if isinstance(item, dict)]
        if items:
            _collect(nested, items, prefix=f"{prefix}{source}.", found=found)


def safe_name(name: str) -> str:
    """A field name fit for a report: a hostile source may hide a value in a name."""
    if len(name) <= 60 and name.replace("_", "").replace("-", "").isalpha() and name.isascii():
        return name
    return "(unprintable name)"
