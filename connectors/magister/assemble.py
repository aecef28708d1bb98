"""Lists → the records of each scope: what belongs together is put together here.

Where one of several lists cannot be had, what it gives is *not delivered* if the others stand by
themselves (teachers, personal numbers); otherwise nothing is read. No list ever counts as empty.
Spec: magister.md, sections 5, 6 and 8.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from connectors.base import Completeness, DeliveryContract
from connectors.magister.compose import (
    Body,
    Grouped,
    Records,
    count_strays,
    folded,
    grouped,
    is_active,
    known,
    newest,
    without,
)
from connectors.magister.failures import EMPTY_ADVICE
from connectors.magister.layouts import (
    CONTRACT_VERSIE,
    DOCENTGROEPEN,
    GROEPEN,
    GROEPSLEDEN,
    LEERLINGEN,
    MEDEWERKERS,
    PGN,
    VAKKEN,
    VERZORGERS,
    VESTIGINGEN,
    Layout,
)
from connectors.magister.lists import Listed, Lists, contract
from connectors.magister.options import Options
from connectors.magister.periods import HUIDIG, Period, Periods
from connectors.magister.records import (
    Aanmelding,
    Docent,
    Groep,
    Kind,
    Leerling,
    Lid,
    Medewerker,
    Studie,
    Vak,
    Verzorger,
    Vestiging,
    read_flag,
)
from connectors.magister.wire import AGAIN, Row
from connectors.protocols.parsing import SourceModel

SCHOOL: Final = "SCHOOL"
"""Key of the scope of what belongs to the school as a whole."""

SIMPLE: Final[Mapping[str, tuple[Layout, type[SourceModel]]]] = {
    "vestiging": (VESTIGINGEN, Vestiging),
    "vak": (VAKKEN, Vak),
    "medewerker": (MEDEWERKERS, Medewerker),
}
"""Resources whose records are the rows of one list."""

_KEYLESS: Final = (
    "In een lijst van Magister staat een regel zonder bruikbaar kenmerk, of die niet bij de "
    "kolommen past. Vraag de applicatiebeheerder om de lijst te testen; tot dan sluit de hub in "
    "dit onderdeel niets af."
)
_FILTERED: Final = (
    "De filters van deze koppeling laten niemand over. Laat ops de instellingen `locatie_wel`, "
    "`studie_wel` en `klas_wel` nakijken."
)
_NUMBERS: Final = frozenset({"bsn", "onderwijsnummer"})

Place = tuple[str, str]
"""Resource and key of a scope."""


@dataclass(slots=True)
class Part:
    """What one scope gets of an assembly."""

    records: Records
    contract: DeliveryContract
    completeness: Completeness


@dataclass(slots=True)
class Assembler:
    """Makes the parts of a resource's scopes, from one fetch of each list.

    Attributes:
        drop: fields (`leerling.bsn`) that are cut.
        today: on which groups are looked at.
    """

    lists: Lists
    options: Options
    drop: frozenset[str]
    periods: Periods
    today: date
    _admitted: frozenset[str] | None = field(default=None, repr=False)

    def assemble(self, resource: str) -> dict[Place, Part]:
        """The parts of all scopes that come from the same lists.

        Raises: ConnectorError.
        """
        match resource:
            case "studie" | "leerling":
                return self._leerlingen()
            case "verzorger":
                return {(resource, SCHOOL): self._verzorgers()}
            case "groep":
                return self._groepen()
            case _:
                return {(resource, SCHOOL): self._simple(resource)}

    @property
    def _version(self) -> str:
        return f"layouts {CONTRACT_VERSIE}, {self.options.format}"

    def _cut(self, resource: str, nested: str = "") -> frozenset[str]:
        """Names that are cut of a resource, or of a list in its records."""
        prefix = f"{resource}.{nested}." if nested else f"{resource}."
        names = (name.removeprefix(prefix) for name in self.drop if name.startswith(prefix))
        return frozenset(names)

    def _simple(self, resource: str) -> Part:
        layout, model = SIMPLE[resource]
        listed, drop, records = self.lists.fetch(layout), self._cut(resource), Records()
        rows = grouped(listed, layout.key, records, admits=lambda _: True)
        for key, same in rows.items():
            body = known(newest(same), layout.names, drop=drop - set(layout.key))
            records.add(key, {**listed.strange, **body})
        terms = contract(model, listed.columns, drop=drop, version=self._version)
        return Part(records, terms, _whole(listed, records))

    # -- leerlingen with their aanmeldingen ------------------------------------------------------

    def _leerlingen(self) -> dict[Place, Part]:
        rejected = Records()
        listed = self.lists.fetch(LEERLINGEN)
        rows = grouped(listed, LEERLINGEN.key, rejected, admits=self._admits)
        self._admitted = frozenset(rows)
        numbers, given = self._numbers()
        parts: dict[Place, Part] = {}
        for key, _, period in self.periods.scoped():
            records = Records(rejected=list(rejected.rejected))
            for leer_id, same in rows.items():
                mine = [row for row in same if row["lesperiode"] == period.code]
                if mine:
                    body = {**listed.strange, **self._leerling(mine), **numbers.get(leer_id, {})}
                    records.add(leer_id, without(body, self._cut("leerling") - {"leer_id"}))
            terms = contract(
                Leerling,
                listed.columns - _NUMBERS | given,
                nested={"aanmeldingen": listed.columns},
                drop=self._cut("leerling"),
                version=self._version,
            )
            found = _whole(listed, records, may_be_empty=key != HUIDIG)
            parts["leerling", key] = Part(records, terms, found)
        parts["studie", SCHOOL] = self._studies(listed, rows)
        return parts

    def _leerling(self, rows: Sequence[Row]) -> Body:
        """One pupil of one lesperiode."""
        names = [name for name in Leerling.model_fields if name in LEERLINGEN.names]
        names.append("eckid")
        body: Body = dict(known(newest(rows), names, drop=self._cut("leerling") - {"leer_id"}))
        body["aanmeldingen"] = folded(
            rows,
            [name for name in Aanmelding.model_fields if name in LEERLINGEN.names],
            by=("aanmelding_id",),
            drop=self._cut("leerling", "aanmeldingen") - {"aanmelding_id", "lesperiode"},
        )
        return body

    def _numbers(self) -> tuple[dict[str, Row], frozenset[str]]:
        """BSN and onderwijsnummer by pupil, and which of them are delivered.

        The list is not even asked where the koppeling has no purpose for it. Spec: design, PGN.
        """
        wanted = _NUMBERS - self._cut("leerling")

        def take(listed: Listed) -> tuple[dict[str, Row], frozenset[str]]:
            rows = {row["leer_id"]: known(row, wanted) for row in listed if row.get("leer_id")}
            return (rows, listed.columns & wanted) if rows else ({}, frozenset())

        found = self.lists.fetch_if_given(PGN, take) if wanted else None
        return ({}, frozenset()) if found is None else found

    def _studies(self, listed: Listed, rows: Grouped) -> Part:
        """The programmes that aanmeldingen name."""
        named: dict[str, Row] = {}
        codes: dict[str, set[str]] = defaultdict(set)
        for same in rows.values():
            for row in same:
                key = row.get("studie_id")
                if key:
                    own = known(row, ("studie_id", "studie", "begindatum", "einddatum"))
                    named[key] = newest((named.get(key, own), own))
                    codes[key] |= {row["ilt_code"]} if row.get("ilt_code") else set()
        records, drop = Records(), self._cut("studie")
        for key, own in named.items():
            body: Body = dict(known(own, ("studie_id", "studie"), drop=drop - {"studie_id"}))
            body["ilt_codes"] = sorted(codes[key])
            records.add(key, body)
        columns = listed.columns | ({"ilt_codes"} if "ilt_code" in listed.columns else set())
        terms = contract(Studie, columns, drop=drop, version=self._version)
        return Part(records, terms, _whole(listed, records))

    def _admits(self, row: Row) -> bool:
        column = {"locatie": "locatie_id", "studie": "studie", "klas": "klas"}
        return all(one.admits(row.get(column[one.name], "")) for one in self.options.filters)

    def _is_read(self) -> Callable[[str], bool]:
        """Whether a pupil is read at all: who is filtered out is kept from every list."""
        if not self.options.filters:
            return lambda _: True
        if self._admitted is None:
            rows = grouped(
                self.lists.fetch(LEERLINGEN), LEERLINGEN.key, Records(), admits=self._admits
            )
            self._admitted = frozenset(rows)
        return self._admitted.__contains__

    # -- verzorgers with their children ----------------------------------------------------------

    def _verzorgers(self) -> Part:
        is_read = self._is_read()
        listed, records = self.lists.fetch(VERZORGERS), Records()
        rows = grouped(listed, VERZORGERS.key, records, admits=lambda row: is_read(row["leer_id"]))
        names = [name for name in Verzorger.model_fields if name in VERZORGERS.names]
        drop, inner = self._cut("verzorger"), self._cut("verzorger", "kinderen")
        for key, same in rows.items():
            body: Body = dict(known(newest(same), names, drop=drop - {"verzorger_id"}))
            body["kinderen"] = folded(
                same,
                [name for name in Kind.model_fields if name in VERZORGERS.names],
                by=("leer_id",),
                drop=inner - {"leer_id"},
            )
            records.add(key, {**listed.strange, **without(body, drop - {"verzorger_id"})})
        terms = contract(
            Verzorger,
            listed.columns,
            nested={"kinderen": listed.columns},
            drop=drop,
            version=self._version,
        )
        return Part(records, terms, _whole(listed, records))

    # -- groepen with leden and docenten ---------------------------------------------------------

    def _groepen(self) -> dict[Place, Part]:
        is_read, rejected = self._is_read(), Records()
        listed = self.lists.fetch(GROEPEN)
        rows = grouped(listed, GROEPEN.key, rejected, admits=self._admits_groep)
        members = self.lists.fetch(GROEPSLEDEN)
        leden = grouped(
            members, GROEPSLEDEN.key, rejected, admits=lambda row: is_read(row["leer_id"])
        )
        docenten, taught = self._docenten(rejected)
        strays = sum(leden.count(key) for key in leden if key not in rows)
        count_strays(f"GET {GROEPSLEDEN.name}", strays)
        nested = {"leden": members.columns if members.count else None, "docenten": taught}
        terms = contract(
            Groep, listed.columns, nested=nested, drop=self._cut("groep"), version=self._version
        )
        parts: dict[Place, Part] = {}
        for key, _, period in self.periods.scoped():
            records = Records(rejected=list(rejected.rejected))
            for groep_id, body in self._groepen_of(period, rows, leden, docenten).items():
                kept = without(body, self._cut("groep") - set(GROEPEN.key))
                records.add(groep_id, {**listed.strange, **kept})
            found = _whole(listed, records, may_be_empty=key != HUIDIG)
            if found.complete and key == HUIDIG:
                found = _all_of(members)
            parts["groep", key] = Part(records, terms, found)
        return parts

    def _docenten(self, rejected: Records) -> tuple[Grouped, frozenset[str] | None]:
        """Teachers by group, and the columns of their list; none where it is not delivered."""

        def take(listed: Listed) -> tuple[Grouped, Records, frozenset[str] | None]:
            own = Records()
            rows = grouped(listed, DOCENTGROEPEN.key, own, admits=lambda _: True)
            return rows, own, listed.columns if listed.count else None

        found = self.lists.fetch_if_given(DOCENTGROEPEN, take)
        if found is None:
            return Grouped(), None
        rejected.rejected += found[1].rejected
        return found[0], found[2]

    def _groepen_of(
        self,
        period: Period,
        rows: Mapping[str, Sequence[Row]],
        leden: Mapping[str, Sequence[Row]],
        docenten: Mapping[str, Sequence[Row]],
    ) -> dict[str, Body]:
        """The groups of one lesperiode."""
        on, drop = period.day(self.today), self._cut("groep")
        names = [name for name in Groep.model_fields if name in GROEPEN.names]
        found: dict[str, Body] = {}
        for groep_id, same in rows.items():
            mine = [row for row in same if row["lesperiode"] == period.code]
            if mine:
                body: Body = dict(known(newest(mine), names, drop=drop - set(GROEPEN.key)))
                now = [row for row in leden.get(groep_id, ()) if is_active(row, on)]
                body["leden"] = folded(
                    now,
                    list(Lid.model_fields),
                    by=("leer_id", "vak_code"),
                    drop=self._cut("groep", "leden") - {"leer_id"},
                )
                body["docenten"] = folded(
                    [
                        row
                        for row in docenten.get(groep_id, ())
                        if row.get("lesperiode", period.code) == period.code
                    ],
                    list(Docent.model_fields),
                    by=("pers_id", "vak_code"),
                    drop=self._cut("groep", "docenten") - {"pers_id"},
                )
                found[groep_id] = body
        _tell_unlisted(found)
        return found

    def _admits_groep(self, row: Row) -> bool:
        return all(
            one.admits(row.get("locatie_id", ""))
            if one.name == "locatie"
            else one.name != "klas"
            or read_flag(row.get("is_stamklas")) is not True
            or one.admits(row.get("groep", ""))
            for one in self.options.filters
        )


def _tell_unlisted(groepen: Mapping[str, Body]) -> None:
    """Where no home class has any member, the list holds lesgroepen only: then nothing is said.

    A school may build the list on `sis_lvak` alone, where home classes have no rows. Spec: section
    6.1 (`idBgrp` null is taken in the home class: CONFIRMED).
    """
    homes = [body for body in groepen.values() if read_flag(body.get("is_stamklas")) is True]
    if not any(body["leden"] for body in homes):
        for body in homes:
            body["leden"] = None


def _all_of(members: Listed) -> Completeness:
    """Whether a list of members held everything: none at all is never taken for empty groups."""
    if not members.count:
        return Completeness(False, f"{members.layout.name} is empty", EMPTY_ADVICE)
    if members.rows.crooked:
        return Completeness(False, "a row does not fit the columns", _KEYLESS)
    return Completeness(True)


def _whole(listed: Listed, records: Records, *, may_be_empty: bool = False) -> Completeness:
    """Whether a list held everything that it has to say."""
    if not listed.count:
        return Completeness(False, f"{listed.layout.name} is empty", EMPTY_ADVICE)
    if records.rejected or listed.rows.crooked:
        return Completeness(False, "a row has no usable key, or does not fit", _KEYLESS)
    if not records.bodies and not may_be_empty:
        return Completeness(False, f"{listed.layout.name} holds nothing of this part", EMPTY_ADVICE)
    return Completeness(True)


UNFINISHED: Final = Completeness(False, "the reading did not come to its end", AGAIN)
