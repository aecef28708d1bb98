"""The published description of Somtoday Connect: what it says against one request or answer.

Answers must fit the schema of their operation, with every field that the description does not know
forbidden; requests must name only paths and parameters that it has.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

from jsonschema import Draft202012Validator, FormatChecker, ValidationError

from fixtures.sandbox.messages import Exchange

ROOT = Path(__file__).resolve().parents[2]
BASE = "/rest/v1"
TOKEN_PATH = "/oauth2/token"
FILE = "somtoday/openapi-connect-14.10.0.json"

Place: TypeAlias = tuple[str | int, ...]
Problem: TypeAlias = tuple[Place, str, str]  # where, rule, the unknown field


def description_path() -> Path | None:
    """Where the description is, or None: `KOPPELHUB_SPECS`, else beside the checkout."""
    specs = Path(os.environ.get("KOPPELHUB_SPECS", ROOT.parent / "shared" / "specs"))
    path = specs / FILE
    return path if path.is_file() else None


def strict(schema: Any) -> Any:
    """An OpenAPI 3.0 schema as JSON Schema: nullable understood, unknown properties forbidden."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}
    found = {
        name: {field: strict(part) for field, part in value.items()}
        if name == "properties"
        else strict(value)
        for name, value in schema.items()
        if name not in {"nullable", "example", "description", "xml"}
    }
    if "properties" in found and "additionalProperties" not in found:
        found["additionalProperties"] = False
    if schema.get("nullable") and "type" in found:
        found["type"] = [found["type"], "null"]
    return found


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    pattern: re.Pattern[str]
    query: Mapping[str, Any]
    schema: Any | None
    statuses: frozenset[int]


class Description:
    """The description, ready to judge."""

    def __init__(self, path: Path) -> None:
        content = json.loads(path.read_text(encoding="utf-8"))
        self._schemas = {
            name: strict(schema) for name, schema in content["components"]["schemas"].items()
        }
        self._validators: dict[str, Draft202012Validator] = {}
        self._judged: dict[bytes, tuple[Problem, ...]] = {}
        self.operations = tuple(
            self._operation(method.upper(), template, body, shared=item.get("parameters", []))
            for template, item in content["paths"].items()
            for method, body in item.items()
            if method in {"get", "put", "post", "delete"}
        )

    def _operation(self, method: str, template: str, body: Any, *, shared: list[Any]) -> Operation:
        parameters = [*shared, *body.get("parameters", [])]
        answer = body["responses"].get("200", {}).get("content", {}).get("application/json", {})
        pattern = re.sub(r"\\\{[^/]+?\\\}", "[^/]+", re.escape(template))
        query = {p["name"]: strict(p["schema"]) for p in parameters if p["in"] == "query"}
        statuses = frozenset(map(int, body["responses"]))
        schema = answer.get("schema")
        return Operation(method, template, re.compile(pattern), query, schema, statuses)

    def operation(self, method: str, path: str) -> Operation | None:
        """The operation that a request means; a path without braces goes before one with."""
        found = [
            operation
            for operation in self.operations
            if operation.method == method and operation.pattern.fullmatch(path)
        ]
        return min(found, key=lambda operation: operation.path.count("{"), default=None)

    def _validator(self, schema: Any) -> Draft202012Validator:
        name = json.dumps(schema, sort_keys=True)
        if name not in self._validators:
            whole = {**strict(schema), "components": {"schemas": self._schemas}}
            self._validators[name] = Draft202012Validator(whole, format_checker=FormatChecker())
        return self._validators[name]

    def answer_problems(self, operation: Operation, content: object) -> list[Problem]:
        """What is wrong with the content of a 200 answer: places, rules and names, no values.

        Records of a list are judged one by one, and equal ones once: the same school answers in
        most tests.
        """
        if operation.schema is None:
            return []
        schema = self._resolved(operation.schema)
        if not isinstance(content, dict):
            return [*self._problems(operation.schema, content)]
        lists = {
            name: part["items"]
            for name, part in schema.get("properties", {}).items()
            if part.get("type") == "array" and isinstance(content.get(name), list)
        }
        rest = content | {name: [] for name in lists}
        found = [*self._problems(operation.schema, rest)]
        for name, items in lists.items():
            for at, record in enumerate(content[name]):
                told = self._problems(items, record)
                found += [((name, at, *place), rule, field) for place, rule, field in told]
        return found

    def _resolved(self, schema: Any) -> Any:
        while "$ref" in schema:
            schema = self._schemas[schema["$ref"].rpartition("/")[2]]
        return schema

    def _problems(self, schema: Any, content: object) -> tuple[Problem, ...]:
        text = json.dumps([schema, content], sort_keys=True)
        key = sha256(text.encode()).digest()
        if key not in self._judged:
            errors = self._validator(schema).iter_errors(content)
            self._judged[key] = tuple(told for error in errors for told in _told(error))
        return self._judged[key]

    def request_problems(self, exchange: Exchange) -> list[str]:
        """What a request names that the description does not have."""
        names = {name for name, _ in exchange.parameters}
        if exchange.path == TOKEN_PATH:
            known, method_ok = {"organisation"}, exchange.method == "POST"
            return [] if method_ok and names == known else ["token request"]
        path = exchange.path.removeprefix(BASE)
        operation = self.operation(exchange.method, path) if path != exchange.path else None
        if operation is None:
            return ["unknown path"]
        found = [f"unknown parameter {name}" for name in sorted(names - set(operation.query))]
        for name, value in exchange.parameters:
            schema = operation.query.get(name)
            if schema is not None and not _fits(schema, value):
                found.append(f"parameter {name} does not fit its schema")
        return found


def _told(error: ValidationError) -> Iterator[Problem]:
    """Place and rule; of unknown fields, each by name."""
    place, rule = tuple(error.absolute_path), str(error.validator)
    if rule == "additionalProperties" and isinstance(error.schema, dict):
        assert isinstance(error.instance, dict)
        for name in sorted(error.instance.keys() - error.schema.get("properties", {}).keys()):
            yield place, rule, name
    else:
        yield place, rule, ""


def _fits(schema: Any, value: str) -> bool:
    if schema.get("type") == "array":
        return _fits(schema["items"], value)
    typed: object = value
    if schema.get("type") == "integer":
        if not re.fullmatch(r"-?[0-9]+", value):
            return False
        typed = int(value)
    elif schema.get("type") == "boolean":
        if value not in {"true", "false"}:
            return False
        typed = value == "true"
    return Draft202012Validator(schema, format_checker=FormatChecker()).is_valid(typed)
