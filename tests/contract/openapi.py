"""The published description of Somtoday Connect as a judge of what went over the wire.

Answers of the sandbox must fit the schema of their operation, with every field that the description
does not know forbidden; requests must name only paths and parameters that it has. An exchange that
met a fault is judged by its request alone. Without the description nothing is judged.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from fixtures.sandbox.messages import Exchange

ROOT = Path(__file__).resolve().parents[2]
BASE = "/rest/v1"
TOKEN_PATH = "/oauth2/token"
FILE = "somtoday/openapi-connect-14.10.0.json"


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


class Description:
    """The description, ready to judge."""

    def __init__(self, path: Path) -> None:
        content = json.loads(path.read_text(encoding="utf-8"))
        self._schemas = {
            name: strict(schema) for name, schema in content["components"]["schemas"].items()
        }
        self._validators: dict[str, Draft202012Validator] = {}
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
        return Operation(method, template, re.compile(pattern), query, answer.get("schema"))

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

    def answer_problems(self, operation: Operation, body: bytes) -> list[str]:
        """What is wrong with a 200 answer: place and rule, no values."""
        if operation.schema is None:
            return []
        try:
            content = json.loads(body)
        except ValueError:
            return ["body: not JSON"]
        return [
            f"{'.'.join(map(str, error.absolute_path))}: {error.validator}"
            for error in self._validator(operation.schema).iter_errors(content)
        ]

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


class Judge:
    """Collects exchanges (give `observe` to a sandbox) and judges them together.

    Args:
        description: None judges nothing.
    """

    def __init__(self, description: Description | None) -> None:
        self._description = description
        self._lock = Lock()
        self._seen: dict[tuple[object, ...], Exchange] = {}

    @property
    def judges(self) -> bool:
        """Whether there is a description."""
        return self._description is not None

    @property
    def exchanges(self) -> int:
        """Number of different exchanges so far."""
        return len(self._seen)

    def observe(self, exchange: Exchange) -> None:
        """Keep one exchange; equal ones are judged once."""
        body = b"" if exchange.faults else exchange.body
        key = (exchange.method, exchange.path, exchange.parameters, exchange.status)
        if self._description is not None:
            with self._lock:
                self._seen.setdefault((*key, sha256(body).digest()), exchange)

    def problems(self) -> list[str]:
        """Everything that breaks the description, one line each."""
        if self._description is None:
            return []
        found = []
        for exchange in self._seen.values():
            wrong = self._description.request_problems(exchange)
            operation = self._description.operation(
                exchange.method, exchange.path.removeprefix(BASE)
            )
            if operation is not None and exchange.status == 200 and not exchange.faults:
                wrong += self._description.answer_problems(operation, exchange.body)
            found += [f"{exchange.method} {exchange.path}: {text}" for text in wrong]
        return found


_loaded: dict[Path, Description] = {}


def judge() -> Judge:
    """A judge by the description, where there is one."""
    path = description_path()
    if path is None:
        return Judge(None)
    if path not in _loaded:
        _loaded[path] = Description(path)
    return Judge(_loaded[path])
