"""The pages that every benchmark reads: a synthetic school, and the same school with 1% changed.

A pupil is what `fixtures/school` sends with 26 leaf fields of about 560 bytes: names, birth,
contact, address, origin; its lists (plaatsingen, verzorgers) are not granted here. A lesgroep has
25 pupils. Pages of 1,000 pupils and of 200 lesgroepen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

import msgspec

from fixtures.school.files import PageFiles
from fixtures.school.pages import COLLECTIONS
from fixtures.school.plan import WIDE, Shape, plan_school
from fixtures.school.school import School, Selection

AMOUNTS: Final = {"leerling": 1000, "lesgroep": 200, "vak": 200}
HUIDIG: Final = Selection.HUIDIG.value

_LISTS: Final = frozenset({"verzorgers", "plaatsingen", "lesgroepen", "vestiging", "eckid"})
_RIGHTS: Final = WIDE.without("leerlingen", _LISTS).without("lesgroepen", frozenset({"docenten"}))

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dataset:
    """One directory of pages.

    Attributes:
        root: holds `same`, `pupils` (1% of the pupils changed) and `members` (1% of the
            memberships changed), each with the whole school.
    """

    root: Path

    @property
    def vestiging(self) -> str:
        """UUID of the only vestiging."""
        return (self.root / "vestiging").read_text()

    def pages(self, resource: str, variant: str = "same") -> list[Path]:
        """The files of one list in reading order, the last one empty."""
        root = self.root / variant
        if not (root / self.vestiging / resource).is_dir():
            root = self.root / "same"
        return list(PageFiles(root).pages(self.vestiging, resource, peil=HUIDIG))

    def bodies(self, resource: str, variant: str = "same") -> Iterator[bytes]:
        """The pages themselves, one at a time."""
        for path in self.pages(resource, variant):
            yield path.read_bytes()

    def records(self, resource: str, variant: str = "same") -> Iterator[Record]:
        """Every record of one list, decoded."""
        for body in self.bodies(resource, variant):
            yield from msgspec.json.decode(body)[COLLECTIONS[resource]]


def dataset(root: Path, pupils: int) -> Dataset:
    """The pages of a school of that many pupils; written once, kept for the next time."""
    found = Dataset(root / f"school-{pupils}")
    if (found.root / "complete").is_file():
        return found
    school = School(plan_school(pupils, shapes=(Shape.VO,), rights=(_RIGHTS,)))
    found.root.mkdir(parents=True, exist_ok=True)
    (found.root / "vestiging").write_text(school.vestiging_uuid(0))
    for resource, amount in AMOUNTS.items():
        PageFiles(found.root / "same").write(school, (resource,), amount=amount)
    _vary(found, "pupils", "leerling", _other_name)
    keys = [record["uuid"] for record in found.records("leerling")]
    places = {key: place for place, key in enumerate(keys)}
    _vary(found, "members", "lesgroep", lambda page: _other_member(page, keys, places))
    (found.root / "complete").touch()
    return found


def _vary(
    data: Dataset, variant: str, resource: str, change: Callable[[Sequence[Record]], None]
) -> None:
    """Write the pages of one list again, changed."""
    for path in data.pages(resource):
        answer = msgspec.json.decode(path.read_bytes())
        change(answer[COLLECTIONS[resource]])
        target = data.root / variant / path.relative_to(data.root / "same")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(msgspec.json.encode(answer))


def _other_name(page: Sequence[Record]) -> None:
    """One pupil of a hundred has another roepnaam."""
    for record in page[::100]:
        record["roepnaam"] = f"{record['roepnaam']}-Anna"


def _other_member(page: Sequence[Record], keys: Sequence[str], places: Mapping[str, int]) -> None:
    """Of every fourth lesgroep one member of 25 is replaced: 1% of all memberships."""
    for record in page[::4]:
        present = {member["uuid"] for member in record["leerlingen"]}
        number = places[record["leerlingen"][-1]["uuid"]]
        record["leerlingen"][0]["uuid"] = next(
            key for key in chain(islice(keys, number, None), keys) if key not in present
        )
