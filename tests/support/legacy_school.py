"""The pupils of a synthetic school as its tracking application had them: with ordinary errors.

Rows for the core, and a file with the leerlingnummers. Who has which error follows from the seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from fixtures.school.population import Leerling
from fixtures.school.records import Records
from fixtures.school.school import School
from sync_engine.store.work import Work

FIRST_ID = 5_001
"""The application numbered its pupils by itself."""

ERRORS = (
    "typing error in the name",
    "tussenvoegsel in the surname",
    "no birth date",
    "no number",
    "no number and a typing error",
    "no number and no birth date",
    "old e-mail address",
    "old postcode",
    "zeros before the number",
)
"""Each of them happened to one pupil in twenty."""


@dataclass
class Pupil:
    """One pupil, in truth and as the application had him.

    Attributes:
        uuid: Somtoday's key.
        row: columns of `leerling`.
        number: as it stands in the file; None where the application has none.
    """

    core_id: int
    uuid: str
    row: dict[str, Any]
    number: str | None
    email: str | None
    postcode: str | None
    errors: list[str] = field(default_factory=list)


@dataclass
class LegacySchool:
    """Every row that stood there; `twice` are second rows of a child that has one."""

    pupils: list[Pupil]
    twice: list[Pupil]
    swapped: list[tuple[Pupil, Pupil]]

    @property
    def rows(self) -> list[Pupil]:
        """All rows of `leerling`."""
        return [*self.pupils, *self.twice]

    def stand(self, work: Work, tenant_id: int) -> None:
        """Write them, as the application did before there was a hub."""
        names = ("achternaam", "voorvoegsel", "roepnaam", "geboortedatum")
        with work.transaction():
            work.load(
                "leerling",
                ("id", "tenant_id", "tot_afgeleid", "run_id", *names),
                [(p.core_id, tenant_id, False, 0, *map(p.row.get, names)) for p in self.rows],
            )
            work.load(
                "contactgegeven",
                ("eigenaar_id", "soort", "waarde", "geheim", "run_id"),
                [(p.core_id, "email", p.email, False, 0) for p in self.rows if p.email],
            )
            work.load(
                "adres",
                ("eigenaar_id", "soort", "postcode", "geheim", "run_id"),
                [(p.core_id, "woonadres", p.postcode, False, 0) for p in self.rows if p.postcode],
            )

    def write_file(self, path: Path) -> None:
        """The leerlingnummers, as JSON lines for `--file`."""
        lines = [
            msgspec.json.encode({"entity": "leerling", "id": p.core_id, "leerlingnummer": p.number})
            for p in self.rows
            if p.number is not None
        ]
        path.write_bytes(b"\n".join(lines))


def legacy_school(school: School, *, rows: int, seed: int = 1) -> LegacySchool:
    """So many rows of `leerling`, of the pupils that the school has now.

    Args:
        school: what Somtoday shows.
        rows: of which two in a hundred are of a child that has a row already; the pupils of the
            school for whom no row is left are new.
        seed: of the errors.
    """
    draw = random.Random(seed)  # noqa: S311 - errors of a test
    twice = rows // 50
    everyone = list(_pupils(school))
    draw.shuffle(everyone)
    pupils = [Pupil(FIRST_ID + place, *told) for place, told in enumerate(everyone[: rows - twice])]
    share = len(pupils) // 20
    for place, error in enumerate(ERRORS):
        for pupil in pupils[place * share : (place + 1) * share]:
            _spoil(pupil, error, draw)
    clean = pupils[len(ERRORS) * share :]
    swapped = []
    for one, other in list(zip(clean[::2], clean[1::2], strict=False))[:share]:
        born = one.row["geboortedatum"], other.row["geboortedatum"]
        other.row["geboortedatum"], one.row["geboortedatum"] = born
        if born[0] != born[1]:
            one.errors.append("birth date of another")
            other.errors.append("birth date of another")
            swapped.append((one, other))
    doubled = [
        Pupil(FIRST_ID + len(pupils) + place, p.uuid, dict(p.row), p.number, p.email, p.postcode)
        for place, p in enumerate(clean[2 * share : 2 * share + twice])
    ]
    for place, pupil in enumerate(doubled):
        pupil.errors.append("second row")
        if place % 2:
            pupil.number = None
    return LegacySchool(pupils, doubled, swapped)


def _pupils(school: School) -> Iterator[tuple[str, dict[str, Any], str, str | None, str | None]]:
    records, peil, seen = Records(school), school.peil(), set()
    for vestiging in range(len(school.plan.vestigingen)):
        for key in school.keys("leerling", vestiging, peil=peil, offset=0, amount=100_000):
            assert isinstance(key, Leerling)
            record: Any = records.of("leerling", key, vestiging=vestiging, peil=peil)
            if record["uuid"] in seen:
                continue
            seen.add(record["uuid"])
            names = ("achternaam", "voorvoegsel", "roepnaam", "geboortedatum")
            row = {name: record.get(name) for name in names}
            postcode = (record.get("adres") or {}).get("postcode")
            number = str(record["leerlingnummer"])
            yield record["uuid"], row, number, record.get("emailadres"), postcode


def _spoil(pupil: Pupil, error: str, draw: random.Random) -> None:
    pupil.errors.append(error)
    row = pupil.row
    if "typing error" in error:
        name = str(row["achternaam"])
        place = draw.randrange(1, len(name) - 1)
        row["achternaam"] = name[:place] + name[place] * 2 + name[place + 1 :]
    if error.startswith("tussenvoegsel") and row["voorvoegsel"]:
        row["achternaam"] = f"{row['voorvoegsel']} {row['achternaam']}"
        row["voorvoegsel"] = None
    if "no birth date" in error:
        row["geboortedatum"] = None
    if "no number" in error:
        pupil.number = None
    if error == "old e-mail address":
        pupil.email = f"oud{pupil.core_id}@voorbeeld.example"
    if error == "old postcode":
        pupil.postcode = "9999ZZ"
    if error.startswith("zeros"):
        pupil.number = f"000{pupil.number}"
