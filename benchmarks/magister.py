"""Magister's largest list as XML and as CSV: how quickly its bytes become rows, and the floors.

The list is `presentis-leerlingen` of the synthetic school, 27 columns, as its sandbox sends it. The
floors read the same bytes and make nothing of them: lxml's `iterparse` over every element, clearing
each row that has gone by; the same where lxml itself is told to hand over the rows alone; and
`csv.reader`. None of the floors gives a row to anybody; the connector's rows are dicts of columns,
with every check that hostile bytes call for.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import BytesIO, TextIOWrapper
from pathlib import Path
from time import perf_counter
from typing import Final

from lxml import etree

from connectors.magister.wire import Rows, read_text, read_verdict
from fixtures.sandbox.rows import Table, separated, xml
from fixtures.school.magister import Administration, Layouts, Row
from fixtures.school.plan import Shape, plan_school
from fixtures.school.school import School

LAYOUT: Final = "presentis-leerlingen"
FORMS: Final = ("xml", "csv")
_ROW: Final = "Row"


def prepare(root: Path, rows: int) -> dict[str, Path]:
    """The list of a school with so many enrolments, in both forms; written once."""
    folder = root / f"magister-{rows}"
    paths = {form: folder / f"lijst.{form}" for form in FORMS}
    if (folder / "complete").is_file():
        return paths
    folder.mkdir(parents=True, exist_ok=True)
    school = School(plan_school(rows, shapes=(Shape.VO,)))
    layouts = Layouts(school, Administration(next_year=False))
    columns = layouts.columns(LAYOUT)
    with ExitStack() as ends:
        files = {f: ends.enter_context(path.open("wb")) for f, path in paths.items()}
        files["csv"].write(b"\xef\xbb\xbf")
        for place, part in enumerate(_parts(layouts.rows(LAYOUT))):
            table = Table(("Table", "Rows"), _ROW, columns, part)
            lines = list(separated(table, ";"))
            files["csv"].write("".join(lines[min(place, 1) :]).encode())
            head, *body, tail = xml(table)
            if place == 0:
                files["xml"].write((head + body.pop(0) + body.pop(0)).encode())
            else:
                del body[:2]
            files["xml"].write("".join(body).encode())
            last = tail
        files["xml"].write(last.encode())
    (folder / "complete").touch()
    return paths


def _parts(rows: Iterator[Row], size: int = 1000) -> Iterator[list[Row]]:
    part: list[Row] = []
    for row in rows:
        part.append(row)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


def bare_xml(body: bytes) -> int:
    """Every element of the document, each row cleared."""
    count = 0
    for _, element in etree.iterparse(BytesIO(body)):
        if element.tag == _ROW:
            count += 1
            _clear(element)
    return count


def bare_xml_rows(body: bytes) -> int:
    """The rows alone, nothing of them looked at."""
    count = 0
    for _, element in etree.iterparse(BytesIO(body), tag=_ROW):
        count += 1
        _clear(element)
    return count


def _clear(element: etree._Element) -> None:
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def bare_csv(body: bytes) -> int:
    """Every line, split."""
    lines = TextIOWrapper(BytesIO(body), encoding="utf-8-sig", newline="")
    return sum(1 for _ in csv.reader(lines, delimiter=";")) - 1


def connector(body: bytes) -> int:
    """Every row as the connector reads it."""
    text = read_text(body, operation="GET lijst")
    assert not read_verdict(text, operation="GET lijst").failed
    return sum(1 for _ in Rows(text, operation="GET lijst"))


READERS: Final[dict[str, tuple[str, Callable[[bytes], int]]]] = {
    "magister-xml": ("xml", connector),
    "magister-csv": ("csv", connector),
    "bare-xml": ("xml", bare_xml),
    "bare-xml-rows": ("xml", bare_xml_rows),
    "bare-csv": ("csv", bare_csv),
}
"""Scenario → form of its bytes, and who reads them."""


def read(root: Path, rows: int, name: str) -> dict[str, object]:
    """Seconds of one reader over the list, which stands in memory before."""
    form, reader = READERS[name]
    body = prepare(root, rows)[form].read_bytes()
    began = perf_counter()
    count = reader(body)
    seconds = perf_counter() - began
    assert count == rows, (name, count)
    return {"seconds": seconds, "records": count}
