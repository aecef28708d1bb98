"""One reading of one scope. A list comes whole or not at all: there are no pages to lose.

What proves that it held everything: the answer came to its end, every row has its key and as many
values as there are columns, and there is at least one row. Less rows than before is for the engine
to judge.
Spec: magister.md, section 7 (CONFIRMED: no paging, no delta, no total).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from connectors.base import DeliveryContract, Page
from connectors.magister.assemble import UNFINISHED, Part


class ListReading:
    """Reads what was put together of one or more lists.

    Args:
        make: fetches and puts together; asked once, when the iteration begins.
    """

    def __init__(self, make: Callable[[], Part]) -> None:
        self._make = make
        self.contract = DeliveryContract()
        self.completeness = UNFINISHED

    def __iter__(self) -> Iterator[Page]:
        """Each page once.

        Raises: ConnectorError.
        """
        part = self._make()
        self.contract = part.contract
        yield from part.records.pages()
        self.completeness = part.completeness


class PersonsReading:
    """Reads what one call for each person gives; empty pages in between let a run end in time.

    Args:
        ask: gives None now and then, and at last what was put together.
        contract: the functions' columns are fixed, so it is known beforehand.
    """

    def __init__(
        self, ask: Callable[[], Iterator[Part | None]], *, contract: DeliveryContract
    ) -> None:
        self._ask = ask
        self.contract = contract
        self.completeness = UNFINISHED

    def __iter__(self) -> Iterator[Page]:
        """Each page once.

        Raises: ConnectorError.
        """
        for part in self._ask():
            if part is None:
                yield Page((), ())
                continue
            yield from part.records.pages()
            self.completeness = part.completeness
