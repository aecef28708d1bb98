"""The fixed functions of `ADFuncties`: for a school that has not installed our lists.

They give less: no guardians, no dates of enrolment, no ids of pupils and staff, no ECK iD, no
e-mail address of staff. Pupils and staff are known by their number; groups by Magister's. A name
joins two answers of one reading where nothing else does, and is never kept as a key.
Group calls are one for each person: they are asked at the pace of the koppeling.
Spec: magister.md, sections 3.2, 4, 5 and 8 (CONFIRMED where not marked).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from connectors.base import Completeness, DeliveryContract
from connectors.errors import ProtocolViolationError, RequestRefusedError
from connectors.magister.assemble import SCHOOL, Part, Place
from connectors.magister.compose import Body, Records, canonical, grouped, known, strange
from connectors.magister.failures import EMPTY_ADVICE, GENERAL, NO_RIGHT, missing_in_layout
from connectors.magister.options import Options
from connectors.magister.periods import HUIDIG, Period, Periods
from connectors.magister.records import (
    ActiefPersoneelslid,
    ActieveLeerling,
    Lesgroep,
    Vak,
    Vestiging,
)
from connectors.magister.transport import MagisterTransport, function_call
from connectors.magister.wire import AGAIN, Row, Rows
from connectors.protocols.parsing import SourceModel, field_paths

STUDENTS: Final = "GetActiveStudents"
STAFF: Final = ("GetActiveEmpoyees", "GetActiveEmployees")
"""The misspelling is the real name; the vendor's newer article spells it right."""

PUPIL_GROUPS: Final = "GetLeerlingGroepen"
STAFF_GROUPS: Final = "GetPersoneelGroepVakken"
STAFF_CLASSES: Final = "GetPersoneelKlasVakken"

KEY: Final = "stamnr_str"
_PUT_IN: Final = frozenset({"lesperiode", "locatie_id"})
_PERSONS_A_STEP: Final = 50
_BRIN6: Final = re.compile(r"[0-9]{2}[A-Z]{2}[0-9]{2}")
_LEFT: Final = "*_"
"""Signs at a code of staff who left, and of second roles. Spec: section 5 (CONFIRMED)."""

_NOTHING_TAUGHT: Final = (
    "De vaste functies van Magister geven geen groepen: in de zomer zijn de lesperioden niet "
    "actief. Er wordt niets afgesloten; buiten de vakantie is een lege lijst een vraag voor de "
    "applicatiebeheerder van Magister."
)

Lesson = tuple[str, str, str, str]
"""Staff number, name of the group, code and name of the subject."""


@dataclass(slots=True)
class Functions:
    """Reads the fixed functions; remembers numbers and names of classes for one run.

    Attributes:
        drop: fields (`actieve_leerling.adres`) that are cut.
    """

    transport: MagisterTransport
    options: Options
    drop: frozenset[str]
    periods: Periods
    _classes: dict[str, str] | None = field(default=None, repr=False)
    _numbers: tuple[str, ...] | None = field(default=None, repr=False)
    _lessons: tuple[Lesson, ...] | None = field(default=None, repr=False)

    def terms(self, resource: str) -> DeliveryContract:
        """What groups and subjects are delivered under: their columns are fixed."""
        return self._contract(resource, Vak if resource == "vak" else Lesgroep, None)

    def locations(self) -> Part:
        """The locations that the setting `locaties` names: the functions know them by name only.

        A key of six signs is taken for a BRIN6.
        """
        records = Records()
        for name, key in sorted(self.options.locaties.items()):
            body: Body = {"locatie_id": key, "omschrijving": name}
            if _BRIN6.fullmatch(key):
                body |= {"brin": key[:4], "nevenvestiging": key[4:]}
            records.add(key, body)
        given = {"locatie_id", "omschrijving"}
        if all(_BRIN6.fullmatch(key) for key in self.options.locaties.values()):
            given |= {"brin", "nevenvestiging"}
        fields = {path: path in given for path in field_paths(Vestiging)}
        return Part(records, DeliveryContract(fields, "instelling locaties"), Completeness(True))

    # -- pupils and staff ------------------------------------------------------------------------

    def students(self, key: str, period: Period) -> Part:
        """The pupils of one lesperiode.

        Raises: ConnectorError.
        """
        # the current period is asked without a code: that is what every integration does
        asked = "" if key == HUIDIG and not self.options.lesperiode else period.code
        rows = self._rows(STUDENTS, asked)
        records = Records()
        admitted = grouped(rows, (KEY,), records, admits=self._admits)
        if key == HUIDIG:
            self._classes = {n: newest_of(same).get("klas", "") for n, same in admitted.items()}
        put_in = {"lesperiode": period.code}
        for number, same in admitted.items():
            body = self._body("actieve_leerling", ActieveLeerling, newest_of(same), rows)
            records.add(number, {**body, **put_in})
        return Part(
            records,
            self._contract("actieve_leerling", ActieveLeerling, rows),
            _whole(rows, records, may_be_empty=key != HUIDIG),
        )

    def staff(self) -> Part:
        """Members of staff, each once with the functions of all rows.

        Raises: ConnectorError.
        """
        rows, records = self._staff_rows(), Records()
        found = grouped(rows, (KEY,), records, admits=lambda _: True)
        self._numbers = tuple(sorted(found))
        for number, same in found.items():
            main = _main_row(same)
            body = self._body("actief_personeelslid", ActiefPersoneelslid, main, rows)
            roles = sorted({row["functie.omschr"] for row in same if row.get("functie.omschr")})
            if roles and "functie.omschr" in body:
                body["functie.omschr"] = ", ".join(roles)
            records.add(number, body)
        terms = self._contract("actief_personeelslid", ActiefPersoneelslid, rows)
        return Part(records, terms, _whole(rows, records))

    def _rows(self, name: str, lesperiode: str = "") -> Rows:
        call = function_call(name, self.options, lesperiode=lesperiode)
        rows, _ = self.transport.rows(call)
        if rows.columns and KEY not in rows.columns:
            raise missing_in_layout(call.operation, call.subject, (KEY,))
        return rows

    def _staff_rows(self) -> Rows:
        """By the real name first, then by the right spelling. Spec: section 3.2 (CONFIRMED)."""
        try:
            return self._rows(STAFF[0])
        except RequestRefusedError as error:
            if error.code in {NO_RIGHT, GENERAL}:
                raise
            first = error
        try:
            return self._rows(STAFF[1])
        except (RequestRefusedError, ProtocolViolationError):
            raise first from None

    def _admits(self, row: Row) -> bool:
        columns = {"locatie": "administratieve_eenheid.omschrijving"}
        return all(
            one.admits(row.get(columns.get(one.name, one.name), "")) for one in self.options.filters
        )

    def _body(self, resource: str, model: type[SourceModel], row: Row, rows: Rows) -> Body:
        names = set(field_paths(model)) - _PUT_IN
        drop = self._cut(resource) - {KEY}
        body: Body = dict(strange(rows.columns, names))
        body |= known(row, names, drop=drop)
        locatie = row.get("administratieve_eenheid.omschrijving", "")
        if locatie in self.options.locaties:
            body["locatie_id"] = self.options.locaties[locatie]
        return body

    def _cut(self, resource: str) -> frozenset[str]:
        prefix = f"{resource}."
        return frozenset(n.removeprefix(prefix) for n in self.drop if n.startswith(prefix))

    def _contract(
        self, resource: str, model: type[SourceModel], rows: Rows | None
    ) -> DeliveryContract:
        columns = set(field_paths(model)) if rows is None else set(rows.columns) | {"lesperiode"}
        if rows is not None and self.options.locaties:
            columns.add("locatie_id")
        given = columns - self._cut(resource)
        version = f"functies, {self.options.format}"
        return DeliveryContract({path: path in given for path in field_paths(model)}, version)

    # -- groups: one call for each person ----------------------------------------------------------

    def groups(self) -> Iterator[Part | None]:
        """The groups of the current lesperiode; None now and then while persons are asked.

        Raises: ConnectorError.
        """
        members: dict[str, set[str]] = defaultdict(set)
        names: dict[str, str] = {}
        for place, number in enumerate(self._pupils()):
            for row in self._of_person(PUPIL_GROUPS, number, ("lesgroep", "groep")):
                members[row["lesgroep"]].add(number)
                names[row["lesgroep"]] = row["groep"]
            if place % _PERSONS_A_STEP == _PERSONS_A_STEP - 1:
                yield None
        yield None
        classes = self._class_ids(names)
        yield None
        teachers, subjects = self._taught(names)
        records = Records()
        for lesgroep, name in names.items():
            body: Body = {
                "lesgroep": lesgroep,
                "lesperiode": self.periods.current.code,
                "groep": name,
                "is_stamklas": "1" if lesgroep in classes else "0",
                "leden": sorted(members[lesgroep] | classes.get(lesgroep, set())),
                "docenten": sorted(teachers.get(lesgroep, ())),
                "vakken": sorted(subjects.get(lesgroep, ())),
            }
            records.add(lesgroep, body)
        whole = Completeness(True)
        if not records.bodies:
            whole = Completeness(False, "no group is named", _NOTHING_TAUGHT)
        yield Part(records, self.terms("lesgroep"), whole)

    def subjects(self) -> Iterator[Part | None]:
        """The subjects that are taught; None now and then while persons are asked.

        Raises: ConnectorError.
        """
        yield from self._ask_lessons()
        records = Records()
        named = {code: name for _, _, code, name in sorted(self._lessons or ()) if code}
        for code, name in named.items():
            records.add(code, {"vak_code": code, "omschrijving": name or code})
        whole = Completeness(True)
        if not records.bodies:
            whole = Completeness(False, "no subject is taught", _NOTHING_TAUGHT)
        yield Part(records, self.terms("vak"), whole)

    def _ask_lessons(self) -> Iterator[None]:
        if self._lessons is not None:
            return
        found: set[Lesson] = set()
        for place, number in enumerate(self._staff()):
            for row in self._of_person(STAFF_GROUPS, number, ("klas",)):
                code, name = row.get("vak.vakcode", ""), row.get("vak.omschrijving", "")
                found.add((number, row["klas"], code, name))
            if place % _PERSONS_A_STEP == _PERSONS_A_STEP - 1:
                yield None
        self._lessons = tuple(sorted(found))

    def _class_ids(self, names: dict[str, str]) -> dict[str, set[str]]:
        """Number of each home class that has one → its pupils; the names are added.

        Only a lesson tells the number of a home class; the name on a pupil's row joins the two.
        """
        pupils: dict[str, set[str]] = defaultdict(set)
        for number, klas in (self._classes or {}).items():
            if klas:
                pupils[klas].add(number)
        found: dict[str, set[str]] = {}
        for number in self._staff():
            for row in self._of_person(STAFF_CLASSES, number, ("klas_lesgroep", "klas")):
                if row["klas"] in pupils:
                    names[row["klas_lesgroep"]] = row["klas"]
                    found[row["klas_lesgroep"]] = pupils[row["klas"]]
        return found

    def _taught(self, names: Mapping[str, str]) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
        """Teachers and subjects by group; a name that two groups have joins nothing."""
        by_name: dict[str, list[str]] = defaultdict(list)
        for lesgroep, name in names.items():
            by_name[name].append(lesgroep)
        for _ in self._ask_lessons():
            pass
        teachers: dict[str, set[str]] = defaultdict(set)
        subjects: dict[str, set[str]] = defaultdict(set)
        for number, klas, code, _ in self._lessons or ():
            if len(by_name.get(klas, ())) == 1:
                teachers[by_name[klas][0]].add(number)
                if code:
                    subjects[by_name[klas][0]].add(code)
        return teachers, subjects

    def _pupils(self) -> Sequence[str]:
        if self._classes is None:
            self.students(HUIDIG, self.periods.current)
        return sorted(self._classes or {})

    def _staff(self) -> Sequence[str]:
        if self._numbers is None:
            self.staff()
        return self._numbers or ()

    def _of_person(self, name: str, number: str, needed: Sequence[str]) -> Iterator[Row]:
        rows, _ = self.transport.rows(function_call(name, self.options, stamnr=number))
        for row in rows:
            if all(row.get(column) for column in needed):
                yield row
            else:
                raise missing_in_layout(f"GET ADFuncties.{name}", name, tuple(needed))


PLACES: Final[Mapping[str, Place]] = {
    "vestiging": ("vestiging", "FUNCTIES"),
    "actief_personeelslid": ("actief_personeelslid", SCHOOL),
    "vak": ("vak", "FUNCTIES"),
    "lesgroep": ("lesgroep", HUIDIG),
}


def newest_of(rows: Sequence[Row]) -> Row:
    """One row of a person who comes twice; the functions give no date to go by."""
    return max(rows, key=canonical)


def _main_row(rows: Sequence[Row]) -> Row:
    """The row of the first role: code and login the same, then without a mark, then by its bytes.

    Spec: section 5 (CONFIRMED that one person comes twice; the rule of other products).
    """

    def rank(row: Row) -> tuple[bool, bool, bytes]:
        code, login = row.get("code", ""), row.get("loginaccount.naam", "")
        return code.lower() != login.lower(), code != code.strip(_LEFT), canonical(row)

    return min(rows, key=rank)


def _whole(rows: Rows, records: Records, *, may_be_empty: bool = False) -> Completeness:
    """Zero rows are never "all left". Spec: section 3.2 (CONFIRMED)."""
    if records.rejected or rows.crooked:
        return Completeness(False, "a row has no usable key, or does not fit", AGAIN)
    if not records.bodies and not may_be_empty:
        return Completeness(False, "the list is empty", EMPTY_ADVICE)
    return Completeness(True)
