"""An answer of UWLR: how quickly its bytes become records that are handed over, and the floors.

The answer is that of the synthetic school under the LVS-set, as its sandbox sends it, in pieces as
a network gives them. The floors read the same bytes and give nothing to anybody: lxml's `iterparse`
over every element, clearing each person who has gone by; and the same where lxml itself is told to
hand over these alone. The connector checks all that hostile bytes call for, keeps every record
until the answer is whole, checks keys, ECK iDs and references, gathers who is in which group, and
hands everything over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from time import perf_counter
from typing import Final

from lxml import etree

from connectors.protocols.xmldoc import Bounds, elements
from connectors.uwlr.delivery import Delivery
from connectors.uwlr.names import SECTIONS, WHOLE, Profiel, allowed, lg
from connectors.uwlr.options import Place
from connectors.uwlr.wire import Question, Said, read_answer, wanted
from fixtures.sandbox.messages import Request
from fixtures.sandbox.uwlr import LG, SOAP, XML, Grant, UwlrApplication
from fixtures.school.edexml import LVS, Telling
from fixtures.school.plan import Shape, plan_school
from fixtures.school.school import School

PUPILS: Final = 16_000
"""Of the largest school that anybody has; with its staff 17,333 persons."""

_PIECE: Final = 16 * 1024
_QUESTION: Final = Question(Place("99XX", "01"), "2026-2027", "2.2")
_RECORDS: Final = tuple(lg(name) for name in ("leerling", "leerkracht"))


def prepare(root: Path, pupils: int) -> Path:
    """The answer of a school with so many pupils; written once."""
    path = root / f"uwlr-{pupils}.xml"
    if not path.is_file():
        grant = Grant()
        school = School(plan_school(pupils, shapes=(Shape.VO,)))
        application = UwlrApplication(school, grant, telling=Telling(profile=LVS))
        asked = (
            f'<s:Envelope xmlns:s="{SOAP}"><s:Header>'
            '<autorisatie xmlns="http://www.edustandaard.nl/leerresultaten/2/autorisatie">'
            f"<autorisatiesleutel>{grant.sleutel}</autorisatiesleutel>"
            f"<klantcode>{grant.klantcode}</klantcode><klantnaam>{grant.klantnaam}</klantnaam>"
            f'</autorisatie></s:Header><s:Body><leerlinggegevens_verzoek xmlns="{LG}">'
            "<schooljaar>2026-2027</schooljaar><brincode>99XX</brincode>"
            "<dependancecode>01</dependancecode><xsdversie>2.2</xsdversie>"
            "</leerlinggegevens_verzoek></s:Body></s:Envelope>"
        )
        headers = {"content-type": XML}
        request = Request("POST", "/uwlr/leerlinggegevens.svc", "", headers, asked.encode())
        answer = application.answer(request)
        assert answer.status == 200
        path.write_bytes(answer.body)
    return path


def bare(body: bytes) -> int:
    """Every element of the document, each record cleared."""
    count = 0
    for _, element in etree.iterparse(BytesIO(body)):
        if element.tag in _RECORDS:
            count += 1
            _clear(element)
    return count


def bare_records(body: bytes) -> int:
    """The records alone, nothing of them looked at."""
    count = 0
    for _, element in etree.iterparse(BytesIO(body), tag=_RECORDS):
        count += 1
        _clear(element)
    return count


def _clear(element: etree._Element) -> None:
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _pieces(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), _PIECE):
        yield body[start : start + _PIECE]


def connector(body: bytes) -> int:
    """Every record of every resource, as the connector hands it over; persons are counted."""
    agreed = {name: allowed(Profiel.LVS, "2.2", name) | {"eckid"} for name in SECTIONS}
    delivery = Delivery(_QUESTION, operation=WHOLE.name, allowed=agreed)
    asked, bounds = wanted(WHOLE), Bounds(256 * 1024 * 1024, 8 * 1024 * 1024)
    events = elements(_pieces(body), ends=asked.ends, starts=asked.starts, bounds=bounds)
    assert read_answer(WHOLE, events, harvest=delivery) is Said.DATA
    count = 0
    for resource in SECTIONS:
        if resource == "vestiging":
            continue
        held = sum(len(page.keys) for page in delivery.pages(resource, cursor=""))
        assert delivery.completeness(resource).complete, delivery.completeness(resource).reason
        count += held if resource in {"leerling", "leerkracht"} else 0
    return count


READERS: Final[dict[str, Callable[[bytes], int]]] = {
    "uwlr": connector,
    "bare-uwlr": bare,
    "bare-uwlr-records": bare_records,
}


def read(root: Path, pupils: int, name: str) -> dict[str, object]:
    """Seconds of one reader over the answer, which stands in memory before."""
    body = prepare(root, pupils).read_bytes()
    began = perf_counter()
    count = READERS[name](body)
    seconds = perf_counter() - began
    assert count > pupils, (name, count)
    return {"seconds": seconds, "records": count}
