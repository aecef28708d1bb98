"""A connector in memory that obtains pseudonyms, and the system that gives them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

import msgspec

from connectors.base import (
    Budget,
    Capability,
    CheckResult,
    Completeness,
    Connector,
    DataClass,
    DeletionSign,
    DeliveryContract,
    Keeps,
    Manifest,
    Page,
    Parsed,
    Reading,
    Resource,
    Scope,
    SourceRecord,
)
from connectors.errors import ConnectorError, ParseError, PseudonymDiffersError
from connectors.pseudonyms import Standing, Verification
from connectors.stores import People, Pupil, Vault
from fixtures.school.keys import synthetic_eckid
from mappings.mapping import Mapped
from sector.identifiers import Bsn, Onderwijsnummer
from sync_engine.store.engine import Store
from tests.support.hubs import Bench
from tests.support.memory import MemoryMapping, Raw
from tests.support.people import PURPOSE, people_bench

KIND: Final = "stam"
MANIFEST: Final = Manifest(
    "pseudo",
    "Pseudoniemen in het geheugen",
    "1",
    (
        Resource(
            "leerling",
            "key",
            frozenset({Capability.CHECK, Capability.SNAPSHOT, Capability.LOOKUP}),
            DeletionSign.ABSENCE,
            {"key": DataClass.PERSON, "eck_id": DataClass.IDENTIFIER},
        ),
    ),
    Budget(1000, 1),
    (),
    (),
    keeps=frozenset({Keeps.PEOPLE, Keeps.VAULT}),
    adds=True,
)


class KilledError(BaseException):
    """The process is gone."""


@dataclass
class Facility:
    """What a number leads to.

    Attributes:
        leads: PGN → PGN whose pseudonym it has since it was replaced.
        asked: PGNs that were asked for, and replaced, oldest first.
        slow: PGNs whose answer is not there yet.
        differs: what a replacement answers is somebody else's.
        fault: is raised by the next replacement, before or after it was done.
        fault_after: the replacement is done before the fault.
    """

    leads: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    replaced: list[tuple[str, str]] = field(default_factory=list)
    slow: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    differs: bool = False
    fault: BaseException | None = None
    fault_after: bool = False

    def pseudonym(self, number: str) -> str:
        """What a number has."""
        self.asked.append(number)
        return self._of(self.leads.get(number, number))

    @staticmethod
    def _of(number: str) -> str:
        return synthetic_eckid(3, int(number))

    def replace(self, former: str, now: str) -> str:
        """From now on the one has what the other had."""
        fault, self.fault = self.fault, None
        if fault is not None and not self.fault_after:
            raise fault
        self.replaced.append((former, now))
        if not self.differs:
            self.leads[now] = self.leads.get(former, former)
        if fault is not None:
            raise fault
        return self._of(self.leads.get(now, now))


class PseudoReading:
    """Everybody of one vestiging who has a pseudonym; who has none is asked for on the way."""

    contract = DeliveryContract({"key": True, "eck_id": True})

    def __init__(
        self, connector: MemoryPseudonyms, scope: Scope, keys: Sequence[str] | None
    ) -> None:
        self.connector, self.scope, self.keys = connector, scope, keys
        self.completeness = Completeness(complete=True)

    def __iter__(self) -> Iterator[Page]:
        made = self.connector
        keys, bodies, waiting = [], [], 0
        for pupil in made.people.pupils(self.scope.key, keys=self.keys):
            kept = made.kept(pupil.number)
            record: dict[str, Any] = {"key": pupil.key}
            if kept is None and pupil.pgn is not None:
                number = pupil.pgn.reveal()
                if number in made.facility.slow:
                    waiting += 1
                    continue
                kept = made.keep(pupil.number, made.facility.pseudonym(number), pupil.pgn)
            if kept is None:
                continue
            if pupil.pgn is not None and kept["mark"] != made.mark(pupil.pgn):
                record["vraag"] = "pgn"
            keys.append(pupil.key)
            bodies.append(msgspec.json.encode(record | {"eck_id": kept["v"]}))
        yield Page(keys, bodies)
        if waiting:
            self.completeness = Completeness(
                complete=False,
                reason=f"{waiting} persons wait for an answer",
                advice="De volgende run haalt het antwoord op.",
                waits=True,
            )


class MemoryPseudonyms:
    """One koppeling that obtains pseudonyms."""

    manifest = MANIFEST

    def __init__(self, people: People, vault: Vault, facility: Facility) -> None:
        self.people, self.vault, self.facility = people, vault, facility

    def mark(self, number: Bsn | Onderwijsnummer) -> str:
        """As it is kept."""
        return b64encode(self.people.mark(number.reveal())).decode()

    def kept(self, person: int) -> dict[str, str] | None:
        """What is kept of somebody."""
        body = self.vault.read(KIND, [person]).get(person)
        return None if body is None else msgspec.json.decode(body, type=dict[str, str])

    def keep(self, person: int, value: str, number: Bsn | Onderwijsnummer) -> dict[str, str]:
        """Keep it."""
        made = {"v": value, "mark": self.mark(number)}
        self.vault.write(KIND, {person: msgspec.json.encode(made)})
        return made

    # -- as a connector ----------------------------------------------------------------------------

    def check(self) -> Sequence[CheckResult]:
        return []

    def scopes(self, *, today: date) -> Sequence[Scope]:
        return [
            Scope("leerling", p.vestiging, brins=(p.vestiging, p.brin), label=p.name)
            for p in self.people.places()
        ]

    def snapshot(self, scope: Scope) -> Reading:
        return PseudoReading(self, scope, None)

    def delta(self, scope: Scope, *, cursor: str | None) -> Reading:
        raise NotImplementedError

    def lookup(self, scope: Scope, *, keys: Sequence[str]) -> Reading:
        return PseudoReading(self, scope, keys)

    def parse(self, resource: str, body: bytes) -> Parsed:
        values = msgspec.json.decode(body)
        if values.get("vraag"):
            raise ParseError("pgn", "is een ander dan eerst", source_key=values["key"])
        return Parsed(Raw(values))

    def close(self) -> None:
        pass

    # -- as one that obtains pseudonyms ------------------------------------------------------------

    def standing(self, scope: Scope) -> Standing:
        obtained = waiting = lacking = without = changed = 0
        for pupil in self.people.pupils(scope.key):
            kept = self.kept(pupil.number)
            if kept is None and pupil.until is None:
                without += pupil.pgn is None
                slow = pupil.pgn is not None and pupil.pgn.reveal() in self.facility.slow
                waiting += slow
                lacking += pupil.pgn is not None and not slow
            elif kept is not None and pupil.pgn is not None:
                same = kept["mark"] == self.mark(pupil.pgn)
                obtained += same
                changed += not same
            else:
                obtained += kept is not None
        persons = obtained + waiting + lacking + without + changed
        return Standing(persons, obtained, waiting, lacking, without, changed)

    def verify(
        self,
        scope: Scope,
        *,
        keys: Collection[str] | None = None,
        told: Callable[[int], None] | None = None,
    ) -> Verification:
        asked, different = 0, []
        for pupil in self.people.pupils(scope.key, keys=keys):
            kept = self.kept(pupil.number)
            if kept is None or pupil.pgn is None:
                continue
            asked += 1
            if self.facility.pseudonym(pupil.pgn.reveal()) != kept["v"]:
                different.append(pupil.key)
            if told is not None:
                told(asked)
        return Verification(asked, asked - len(different), tuple(different))

    def obtained_with(self, pupil: Pupil, number: Bsn | Onderwijsnummer) -> bool | None:
        kept = self.kept(pupil.number)
        return None if kept is None else kept["mark"] == self.mark(number)

    def renumber(self, pupil: Pupil, *, former: Bsn | Onderwijsnummer) -> None:
        kept = self.kept(pupil.number)
        if kept is None or pupil.pgn is None or kept["mark"] != self.mark(former):
            raise ConnectorError("not to be renumbered", system="pseudo", operation="replace")
        answer = self.facility.replace(former.reveal(), pupil.pgn.reveal())
        if answer != kept["v"]:
            raise PseudonymDiffersError("another", system="pseudo", operation="replace")
        self.keep(pupil.number, kept["v"], pupil.pgn)


class Nothing(MemoryMapping):
    """Makes nothing of a pseudonym: these tests are about obtaining it."""

    def map(
        self, resource: str, record: SourceRecord, *, contract: DeliveryContract, scope: Scope
    ) -> Mapped:
        return Mapped(())


def pseudo_bench(
    store: Store, folder: Path, facility: Facility, *, purpose: str = PURPOSE
) -> Bench:
    """A bench whose koppeling `eck` obtains pseudonyms of that facility."""
    made = people_bench(store, folder, purpose=purpose, mapping=Nothing("pseudo"))
    others = made.hub.connect

    def connect(source: Any, clock: Any) -> Connector:
        if source.system != "pseudo":
            return others(source, clock)
        hub = made.hub
        return MemoryPseudonyms(hub.people(source), hub.vault(source.name), facility)

    made.hub = replace(made.hub, connect=connect)
    return made
