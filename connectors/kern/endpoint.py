"""The inbox over HTTP: request bytes → answer bytes. Opens no socket; `web` mounts it.

    POST {"messages": [{"id": "m1", "resource": "leerling", "key": "l1", "action": "put",
                        "record": {"achternaam": "…"}}]}

Each message is taken or refused by itself, and the answer says which, in the same order:
`accepted`, `known` (it came before: nothing was done), `conflict` (its id came before with other
content) or `invalid`, with field and rule and never a value. 200 says that all are in; 422 that at
least one is not. Sending everything once more is always safe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hmac import compare_digest
from typing import Any, Final

import msgspec

from connectors.base import Action, FieldProblem, Inbox, Message, Receipt
from connectors.called import Answer, Request
from connectors.kern.records import check, with_key
from connectors.protocols.parsing import safe_name

LARGEST_BYTES: Final = 5_000_000
MOST_MESSAGES: Final = 1_000

_FIELDS: Final = frozenset({"id", "resource", "key", "action", "record"})
_DECODER: Final = msgspec.json.Decoder(dict[str, Any])


class InboxEndpoint:
    """Answers the application of one koppeling.

    Args:
        inbox: where messages go.
        token: what the application must show.
        drop: resource → fields that are cut off before anything is kept.
    """

    def __init__(self, inbox: Inbox, token: str, *, drop: Mapping[str, frozenset[str]]) -> None:
        self._inbox = inbox
        self._expected = f"Bearer {token}".encode()
        self._drop = drop

    @property
    def largest_bytes(self) -> int:
        """The largest body that it reads."""
        return LARGEST_BYTES

    def admit(self, request: Request) -> Answer | None:
        """Who calls, and how: judged before anything of the body is read."""
        given = request.headers.get("authorization", "").encode()
        if not compare_digest(given, self._expected):
            return _problem(
                401, "the token is missing or wrong", headers={"www-authenticate": "Bearer"}
            )
        if request.method != "POST":
            return _problem(405, "only POST is answered here", headers={"allow": "POST"})
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            return _problem(415, "the body must be application/json")
        return None

    def answer(self, request: Request) -> Answer:
        """Take the messages of one call."""
        refused = self.admit(request)
        if refused is not None:
            return refused
        if len(request.body) > LARGEST_BYTES:
            return _problem(413, f"the body is larger than {LARGEST_BYTES} bytes")
        try:
            tree = _DECODER.decode(request.body)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return _problem(400, "the body is no JSON object")
        items = tree.get("messages")
        if not isinstance(items, list) or set(tree) != {"messages"}:
            return _problem(400, "the body must hold `messages`, a list, and nothing else")
        if not 1 <= len(items) <= MOST_MESSAGES:
            return _problem(400, f"a call holds 1 to {MOST_MESSAGES} messages")
        return _told(self._take(items))

    def _take(self, items: Sequence[object]) -> list[dict[str, Any]]:
        """One result for each message, in their order."""
        results: list[dict[str, Any]] = []
        good: list[tuple[int, Message]] = []
        for place, item in enumerate(items):
            message, problems = self._read(item)
            if message is None or problems:
                told = [{"field": problem.path, "rule": problem.rule} for problem in problems]
                results.append({"state": "invalid", "problems": told})
            else:
                results.append({"id": message.message_id})
                good.append((place, message))
        receipts = self._inbox.put([message for _, message in good])
        for (place, _), receipt in zip(good, receipts, strict=True):
            results[place]["state"] = str(receipt)
            if receipt is Receipt.CONFLICT:
                rule = "came before with other content; a new message needs a new id"
                results[place]["problems"] = [{"field": "id", "rule": rule}]
        return results

    def _read(self, item: object) -> tuple[Message | None, Sequence[FieldProblem]]:
        """The message, and what is wrong with it."""
        if not isinstance(item, dict):
            return None, (FieldProblem("$", "must be an object"),)
        unknown = [safe_name(name) for name in item if name not in _FIELDS]
        if unknown:
            return None, (FieldProblem(unknown[0], "is not a field of a message"),)
        texts = {name: item.get(name) for name in ("id", "resource", "key", "action")}
        for name, value in texts.items():
            if not isinstance(value, str):
                return None, (FieldProblem(name, "is required, and must be text"),)
        named = {name: str(value) for name, value in texts.items()}
        if named["action"] not in set(Action):
            return None, (FieldProblem("action", f"must be one of {', '.join(Action)}"),)
        action = Action(named["action"])
        record = item.get("record")
        if action is Action.PUT and not isinstance(record, dict):
            return None, (FieldProblem("record", "is required, and must be an object"),)
        if action is Action.DELETE and record is not None:
            return None, (FieldProblem("record", "goes not with a deletion"),)
        body = b""
        if isinstance(record, dict):
            drop = self._drop.get(named["resource"], frozenset())
            body = with_key(record, named["key"], drop=drop)
        message = Message(named["id"], named["resource"], named["key"], action, body)
        return message, check(message)


def _told(results: Sequence[Mapping[str, Any]]) -> Answer:
    good = {str(Receipt.ACCEPTED), str(Receipt.KNOWN)}
    status = 200 if all(result["state"] in good for result in results) else 422
    return _json(status, {"results": results})


def _problem(status: int, title: str, *, headers: Mapping[str, str] | None = None) -> Answer:
    """A refusal of the whole call (RFC 9457)."""
    body = {"type": "about:blank", "status": status, "title": title}
    return _json(status, body, kind="application/problem+json", headers=headers)


def _json(
    status: int,
    value: object,
    *,
    kind: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    told = {"content-type": kind, "cache-control": "no-store", **(headers or {})}
    return Answer(status, msgspec.json.encode(value), told)
