"""Judges every exchange of every Somtoday sandbox, in this process or another, by the description.

The sandboxes record into a folder (`fixtures.sandbox.recorder`); what is new there is judged when a
test ends. A misbehaviour that was asked for excuses exactly what it does to an answer: everything
else of that answer, and its request, is judged. Where the description is not, nothing is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from fixtures.sandbox import faults
from fixtures.sandbox.faults import AnyFault
from fixtures.sandbox.messages import JSON, Exchange
from fixtures.sandbox.recorder import Recording
from tests.support.openapi import (
    BASE,
    Description,
    Operation,
    Place,
    Problem,
    description_path,
)


class Judge:
    """Judges exchanges; equal ones once.

    Args:
        description: what the sandbox must keep to.
    """

    def __init__(self, description: Description) -> None:
        self._description = description

    def request_problems(self, exchange: Exchange) -> list[str]:
        """What is wrong with what was asked, and with the status that it got."""
        wrong = self._description.request_problems(exchange)
        operation = self._operation(exchange)
        if operation is not None and not _status_fits(operation, exchange):
            wrong.append(f"status {exchange.status}")
        return _of(exchange, wrong)

    def answer_problems(self, exchange: Exchange) -> list[str]:
        """What is wrong with a 200 answer, and no fault of it excuses."""
        operation = self._operation(exchange)
        if operation is None or exchange.status != 200:
            return []
        return _of(exchange, self._body_problems(operation, exchange))

    def _operation(self, exchange: Exchange) -> Operation | None:
        return self._description.operation(exchange.method, exchange.path.removeprefix(BASE))

    def _body_problems(self, operation: Operation, exchange: Exchange) -> list[str]:
        excused = {
            f.content_type for f in exchange.faults if isinstance(f, faults.WrongContentType)
        }
        if exchange.content_type not in {JSON} | excused:
            return ["content type"]
        try:
            content = json.loads(exchange.body)
        except ValueError:
            broken = faults.NotJson | faults.TruncatedJson
            return [] if any(isinstance(f, broken) for f in exchange.faults) else ["not JSON"]
        found = self._description.answer_problems(operation, content)
        parts = content if isinstance(content, dict) else {}
        collection = next((name for name, part in parts.items() if isinstance(part, list)), "")
        return [
            f"{'.'.join(map(str, place))}: {rule} {name}".rstrip()
            for place, rule, name in found
            if not any(_excuses(f, collection, (place, rule, name)) for f in exchange.faults)
        ]


def _of(exchange: Exchange, problems: Iterable[str]) -> list[str]:
    return [f"{exchange.method} {exchange.path}: {text}" for text in problems]


def _status_fits(operation: Operation, exchange: Exchange) -> bool:
    given = exchange.status
    return given in operation.statuses or given in map(_status, exchange.faults)


def _status(fault: AnyFault) -> int | None:
    """The status that a fault answers with."""
    match fault:
        case faults.RateLimited():
            return 429
        case faults.ServerError(status=status):
            return status
        case faults.Unauthorized():
            return 401
        case faults.Forbidden():
            return 403
        case faults.NotFound():
            return 404
        case faults.Redirect():
            return 302
        case faults.Hang() | faults.Reset():
            return 0
        case _:
            return None


def _excuses(fault: AnyFault, collection: str, problem: Problem) -> bool:
    """Whether a fault explains this very problem of a record.

    No answer is required to have a field, so a field that is missed on command needs no excuse.
    """
    place, rule, name = problem
    match fault:
        case faults.UnknownField(field=field):
            return place[:1] == (collection,) and (rule, name) == ("additionalProperties", field)
        case (
            faults.WrongValue(field=path, at=at)
            | faults.ImpossibleDate(field=path, at=at)
            | faults.MixedDatetime(field=path, at=at)
        ):
            wrong: Place = (collection, at, *_steps(path))
            return place[: len(wrong)] == wrong
        case _:
            return False


def _steps(path: str) -> list[str | int]:
    return [int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", path)]


class Court:
    """Judges what sandboxes record in one folder, as far as it was not judged yet.

    Args:
        folder: where they record.
        judge: by what.
    """

    def __init__(self, folder: Path, judge: Judge) -> None:
        self._recording = Recording(folder, "somtoday")
        self._judge = judge
        self._verdicts: dict[str, tuple[list[str], list[str]]] = {}

    def problems(self, *, requests: bool = True) -> list[str]:
        """What is wrong with the exchanges since the last time; without requests, answers only."""
        found: list[str] = []
        for digest in self._recording.new():
            if digest not in self._verdicts:
                exchange = self._recording.exchange(digest)
                self._verdicts[digest] = (
                    self._judge.request_problems(exchange),
                    self._judge.answer_problems(exchange),
                )
            asked, answered = self._verdicts[digest]
            found += (asked if requests else []) + answered
        return found


def published() -> Judge | None:
    """A judge by the published description, where there is one."""
    path = description_path()
    return None if path is None else Judge(Description(path))
