"""Our own lists, fetched: their columns checked, their values cut to what is read.

Spec: magister.md, section 6 (ASSUMED lists).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from connectors.base import DeliveryContract
from connectors.errors import ProtocolViolationError, RequestRefusedError
from connectors.magister.compose import known, strange
from connectors.magister.failures import missing_in_layout
from connectors.magister.layouts import (
    CONTRACT_VERSIE,
    EXTRA_COLUMNS,
    NEVER,
    PGN,
    VERSIE,
    Layout,
    missing_columns,
)
from connectors.magister.options import Options
from connectors.magister.transport import MagisterTransport, list_call
from connectors.magister.wire import LAYOUT, Row, Rows, violation
from connectors.protocols.parsing import SourceModel, field_paths

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Listed:
    """One list as it comes in.

    Attributes:
        layout: which one.
        count: rows so far.
    """

    layout: Layout
    rows: Rows = field(repr=False)
    count: int = 0

    @property
    def columns(self) -> frozenset[str]:
        """The columns; of XML known once the rows have been read."""
        return frozenset(self.rows.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that are read of it."""
        return (*self.layout.names, *EXTRA_COLUMNS.get(self.layout.name, ()))

    @property
    def strange(self) -> dict[str, None]:
        """Columns that nobody knows, without values; those of NEVER are not even named."""
        return strange(self.columns - NEVER, self.names)

    def __iter__(self) -> Iterator[Row]:
        """Each row once, cut to the columns that are read.

        Raises: ProtocolViolationError if a required column is missing, or the answer breaks off.
        """
        for row in self.rows:
            self.count += 1
            yield known(row, self.names)
        if self.count:
            check_columns(self.layout, self.columns)
        unwanted = self.columns & NEVER if self.layout is not PGN else frozenset()
        if unwanted:
            _log.warning("%s holds columns that must not be there; cut", self.layout.name)


def check_columns(layout: Layout, columns: frozenset[str]) -> None:
    """Raises: ProtocolViolationError (`where` LAYOUT) if a required column is missing."""
    missing = missing_columns(layout, columns)
    if missing:
        raise missing_in_layout(f"GET {layout.name}", layout.name, missing)


class Lists:
    """Fetches lists; each answer is let go of when its rows have been read."""

    def __init__(self, transport: MagisterTransport, options: Options) -> None:
        self._transport = transport
        self._options = options

    def fetch(self, layout: Layout) -> Listed:
        """One list.

        Raises: ConnectorError; ProtocolViolationError (`where` LAYOUT) if a required column is
            missing, before any row is read where the answer has a header.
        """
        rows, text = self._transport.rows(list_call(layout.name, self._options))
        if text.looks_broken:
            _log.warning("%s: text looks as if it was decoded wrongly at the source", layout.name)
        if rows.columns and not text.is_markup:
            check_columns(layout, frozenset(rows.columns))
        return Listed(layout, rows)

    def fetch_if_given(self, layout: Layout, take: Callable[[Listed], T]) -> T | None:
        """What is taken of one list that stands by itself.

        None where the school does not give it, or not rightly; of XML that shows at its end only.

        Raises: ConnectorError for anything but a missing right or layout.
        """
        try:
            return take(self.fetch(layout))
        except RequestRefusedError as error:
            _log.warning("%s is not delivered: %s", layout.name, error)
        except ProtocolViolationError as error:
            if error.where != LAYOUT:
                raise
            _log.warning("%s is not delivered: %s", layout.name, error)
        return None

    def check_version(self) -> None:
        """Whether the lists are those that this connector knows.

        Raises: ProtocolViolationError (`where` LAYOUT) if they are of another version.
        """
        versions = {row.get("contract_versie", "") for row in self.fetch(VERSIE)}
        if versions != {CONTRACT_VERSIE}:
            raise other_version()


def other_version() -> ProtocolViolationError:
    """The lists that the school installed are of another version."""
    return violation(
        f"GET {VERSIE.name}",
        f"is not of contract version {CONTRACT_VERSIE}",
        where=LAYOUT,
        advice=f"De lijsten van de hub in Magister zijn niet van versie {CONTRACT_VERSIE}. Vraag "
        "de applicatiebeheerder om de lijsten van het installatieblad opnieuw over te nemen.",
    )


def contract(
    model: type[SourceModel],
    columns: frozenset[str],
    *,
    nested: Mapping[str, frozenset[str] | None] | None = None,
    drop: frozenset[str] = frozenset(),
    version: str,
) -> DeliveryContract:
    """What a record is delivered under.

    Args:
        model: the record.
        columns: of the list that it comes from.
        nested: list in the record → columns of the list that it comes from; None: not delivered.
        drop: fields that are cut, dotted when nested.
        version: of the lists, with the form in which they came.
    """
    fields: dict[str, bool] = {}
    for path in field_paths(model):
        top, _, below = path.partition(".")
        if nested and top in nested:
            given = nested[top]
            fields[path] = given is not None and (not below or below in given) and top not in drop
        else:
            fields[path] = path in columns
        fields[path] = fields[path] and path not in drop
    return DeliveryContract(fields, version)
