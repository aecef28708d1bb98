"""Which organisation of Somtoday a school is: found by its BRIN, never typed.

A school that could type the UUID of its organisation could read that of another. The list is asked
without a token, and what it answers is filtered again here.

Spec: somtoday.md, section 3.1 (CONFIRMED: it answers without a token, and the school's own number
is among `brins`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec

from config.clock import Clock
from connectors.base import Budget, Organisation
from connectors.protocols.rest import Limits, RestTransport, check_url
from connectors.protocols.settings import wrong
from connectors.somtoday.manifest import MANIFEST, SYSTEM
from connectors.somtoday.wire import is_uuid, list_path

SETTING: Final = "organisation"
_BRIN: Final = re.compile(r"[0-9]{2}[A-Z]{2}").fullmatch
_OPERATION: Final = "GET instelling"
_LONGEST: Final = 200
_MOST_BYTES: Final = 4 * 1024 * 1024

_Short = Annotated[str, msgspec.Meta(max_length=_LONGEST)]


class _Listed(msgspec.Struct, frozen=True):
    uuid: str
    naam: str = ""
    brins: list[_Short] = []


class _Answer(msgspec.Struct, frozen=True):
    instellingen: list[_Listed]


_DECODER: Final = msgspec.json.Decoder(_Answer)


def organisations(
    options: Mapping[str, str], *, brin: str, clock: Clock, limits: Limits | None = None
) -> Sequence[Organisation]:
    """The organisations that list this BRIN as one of theirs.

    Raises: ConfigurationError if the address is not right; ConnectorError.
    """
    wanted = brin.strip().upper()
    if _BRIN(wanted) is None:
        raise wrong(MANIFEST, "brin", "must be two digits and two letters")
    plain = options.get("allow_plain_http", "").strip().lower() == "true"
    base = check_url("api_base", options.get("api_base", ""), allow_plain_http=plain)
    transport = RestTransport(
        SYSTEM,
        clock=clock,
        budget=Budget(per_second=0, simultaneous=1),
        limits=limits or Limits(body_bytes=_MOST_BYTES),
    )
    try:
        answer = transport.get(
            base + list_path("instelling", vestiging=""),
            operation=_OPERATION,
            query=(("brin", wanted),),
        )
    finally:
        transport.close()
    return [
        Organisation(
            one.uuid.lower(), _plain(one.naam), tuple(number.upper() for number in one.brins)
        )
        for one in answer.decode(_DECODER).instellingen
        if is_uuid(one.uuid) and wanted in {number.upper() for number in one.brins}
    ]


def _plain(text: str) -> str:
    """A name that a terminal may show."""
    return "".join(sign for sign in text if sign.isprintable())[:_LONGEST]
