"""The official schemas, and a client that shares no code, as judges of both sides of UWLR.

The schemas stand beside the checkout and are never copied into the project; where they are not,
nothing is judged. The list of school years in the public copies ends at 2024-2025, so they are read
from a copy at run time in which it is a pattern (uwlr.md, section 12).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from config.clock import FixedClock
from connectors.base import Scope
from connectors.errors import CursorExpiredError
from connectors.protocols.xmldoc import elements
from connectors.uwlr.connector import UwlrConnector
from connectors.uwlr.names import WHOLE, Call
from connectors.uwlr.options import Place
from connectors.uwlr.records import parse
from connectors.uwlr.wire import Header, Question, read_answer, request, wanted
from fixtures.sandbox.uwlr import LG, SOAP, UwlrSandbox
from fixtures.school.edexml import FULL, LVS, PROFILES, SMALL, Telling
from fixtures.school.plan import plan_school
from fixtures.school.school import School
from tests.contract.suite import read
from tests.support.uwlr import body_of, connect, scope, tell

ROOT = Path(__file__).parents[2]
SPECS = Path(os.environ.get("KOPPELHUB_SPECS", ROOT.parent / "shared/specs")) / "uwlr"
NOW = datetime(2026, 11, 2, 3, tzinfo=UTC)

pytestmark = pytest.mark.needs_shared_specs


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The official schemas, any school year allowed."""
    if not SPECS.exists():
        pytest.skip("the official schemas are not beside this checkout")
    folder = tmp_path_factory.mktemp("uwlr") / "v2.2"
    shutil.copytree(SPECS / "v2.2", folder)
    years = folder / "Schemas/EDEXML.types.variabel.xsd"
    listed = re.compile(r'(\s*<xs:enumeration value="[0-9]{4}-[0-9]{4}"/>)+')
    pattern = '<xs:pattern value="[12][0-9]{3}-[12][0-9]{3}"/>'
    text, count = listed.subn(pattern, years.read_text(encoding="utf-8"))
    assert count == 1
    years.write_text(text, encoding="utf-8")
    return folder


def schema(folder: Path, name: str) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(str(folder / "Schemas" / name)))


@pytest.fixture(scope="module")
def whole(schemas: Path) -> etree.XMLSchema:
    return schema(schemas, "UWLR_Leerlinggegevens_v2p2.xsd")


@pytest.fixture(scope="module")
def profiles(schemas: Path, whole: etree.XMLSchema) -> dict[str, etree.XMLSchema]:
    """The schema of each profile's answers."""
    small, lvs = (
        f"Profiel {of} set/Profiel_{name}_set_UWLR_Leerlinggegevens_v2p2.xsd"
        for of, name in (("smalle", "Smalle"), ("LVS", "LVS"))
    )
    return {SMALL: schema(schemas, small), LVS: schema(schemas, lvs), FULL: whole}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[UwlrSandbox]:
    with UwlrSandbox(School(plan_school(40)), now=lambda: NOW) as running:
        yield running


class Ears:
    """Hears every request, and every answer."""

    def __init__(self, sandbox: UwlrSandbox) -> None:
        self.requests: list[bytes] = []
        self.answers: list[bytes] = []
        sandbox.uwlr.heard = self.requests.append
        sandbox.observer = lambda exchange: self.answers.append(exchange.body)


@pytest.fixture
def ears(sandbox: UwlrSandbox) -> Iterator[Ears]:
    sandbox.uwlr.telling = Telling()
    yield Ears(sandbox)
    sandbox.uwlr.heard = sandbox.observer = None


@pytest.fixture
def reader(sandbox: UwlrSandbox) -> Iterator[Any]:
    made: list[UwlrConnector] = []

    def make(**options: str) -> UwlrConnector:
        made.append(connect(sandbox, FixedClock(NOW), options=options))
        return made[-1]

    yield make
    for connector in made:
        connector.close()


def _body(document: bytes) -> etree._Element:
    (body,) = etree.fromstring(document).iterfind(f"{{{SOAP}}}Body")
    return body[0]


def _problems(judge: etree.XMLSchema, element: etree._Element) -> list[str]:
    judge.validate(etree.fromstring(etree.tostring(element)))
    return [f"{error.path}: {error.message}" for error in judge.error_log]  # type: ignore[attr-defined] # the stubs know no log


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("version", ["2.1", "2.2"])
@pytest.mark.parametrize("mode", ["whole", "staged"])
def test_every_answer_of_the_sandbox_is_valid(
    sandbox: UwlrSandbox,
    ears: Ears,
    reader: Any,
    profiles: dict[str, etree.XMLSchema],
    profile: str,
    version: str,
    mode: str,
) -> None:
    tell(sandbox, profile=profile)
    connector = reader(mode=mode, xsdversie=version)
    assert read(connector.snapshot(scope()))
    if mode == "whole":
        connector.check()
        assert len(ears.answers) == 2
    # the schemas of profiles spell the staged elements otherwise, and cannot judge them (7.7)
    judge = profiles[profile if mode == "whole" else FULL]
    for answer in ears.answers:
        assert _problems(judge, _body(answer)) == []


def test_no_data_and_no_changes_are_valid_answers(
    ears: Ears, reader: Any, whole: etree.XMLSchema
) -> None:
    connector = reader()
    read(connector.delta(scope(), cursor="2026-11-02T05:00:00Z"))
    read(connector.snapshot(scope()))
    assert read(connector.snapshot(Scope("leerling", "99XX01/huidig", schooljaar=2010))) == []
    names = [etree.QName(_body(answer)[0]).localname for answer in ears.answers]
    assert names == ["geenwijzigingen", "leerlinggegevens", "geengegevens"]
    for answer in ears.answers:
        assert _problems(whole, _body(answer)) == []


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"vestigingen": "99XX"},
        {"vestigingen": "", "schoolkeys": "SCHOOL-99XX"},
        {"gegevenssetid": "Smalle-set-VO"},
        {"mode": "staged", "groups_per_call": "1"},
    ],
)
def test_every_request_of_the_connector_is_valid(
    ears: Ears, reader: Any, whole: etree.XMLSchema, schemas: Path, options: dict[str, str]
) -> None:
    place = options.get("schoolkeys") or options.get("vestigingen", "99XX01")
    connector = reader(**options)
    assert read(connector.snapshot(scope(place=place)))
    if "mode" not in options:
        with pytest.raises(CursorExpiredError):
            read(connector.delta(scope(place=place), cursor="2020-01-01T00:00:00Z"))
    connector.check()
    header = schema(schemas, "UWLR_Autorisatie_v2p2.xsd")
    assert ears.requests
    for heard in ears.requests:
        assert _problems(whole, _body(heard)) == []
        (granted,) = etree.fromstring(heard).iterfind(f"{{{SOAP}}}Header/*")
        assert _problems(header, granted) == []


def test_a_client_of_the_wsdl_reads_every_operation(
    sandbox: UwlrSandbox, schemas: Path, whole: etree.XMLSchema
) -> None:
    zeep = pytest.importorskip("zeep")
    sandbox.uwlr.telling = Telling()
    client = zeep.Client(
        str(schemas / "wsdl/UWLR_Leerlinggegevens_v2p2.wsdl"),
        settings=zeep.Settings(raw_response=True),
        transport=zeep.Transport(operation_timeout=10),
    )
    grant = sandbox.grant
    header = client.get_element(
        "{http://www.edustandaard.nl/leerresultaten/2/autorisatie}autorisatie"
    )(
        autorisatiesleutel=grant.sleutel,
        klantcode=grant.klantcode,
        klantnaam=grant.klantnaam,
    )
    asked = {
        "schooljaar": "2026-2027",
        "brincode": "99XX",
        "dependancecode": "01",
        "xsdversie": "2.2",
    }
    groups: dict[str, Any] = {"groepen": {"_value_1": [{"groep": {}}]}}
    called: list[str] = []
    for binding in client.wsdl.bindings.values():
        service = client.create_service(binding.name, sandbox.endpoint)
        for name in binding._operations:
            more = groups if name in {"HaalLeerlingen", "HaalLeerkrachten"} else {}
            answer = service[name](**asked, **more, _soapheaders=[header])
            assert answer.status_code == 200, answer.text
            assert _problems(whole, _body(answer.content)) == []
            called.append(name)
    client.transport.session.close()
    assert sorted(called) == [
        "HaalLeerkrachten",
        "HaalLeerlingen",
        "HaalLeerlinggegevens",
        "HaalStructuur",
    ]


# -- documented shapes -----------------------------------------------------------------------------


class Kept:
    """A harvest that keeps what it is given."""

    def __init__(self) -> None:
        self.header: Header | None = None
        self.sections: list[str] = []
        self.records: list[tuple[str, bytes]] = []

    def school(self, header: Header) -> None:
        self.header = header

    def section(self, name: str) -> None:
        self.sections.append(name)

    def record(self, kind: str, element: etree._Element) -> None:
        xml = etree.tostring(element, with_tail=False, encoding="unicode")
        self.records.append((kind, body_of(kind, xml)))


def _answer(name: str, call: Call) -> Kept:
    if not SPECS.exists():
        pytest.skip("the official examples are not beside this checkout")
    asked = wanted(call)
    document = (SPECS / "examples" / name).read_bytes()
    kept = Kept()
    read_answer(call, elements([document], ends=asked.ends, starts=asked.starts), harvest=kept)
    return kept


def test_the_example_answer_is_read_as_it_is_written() -> None:
    kept = _answer("leerlinggegevens_antwoord.xml", WHOLE)
    assert kept.header == Header("2024-2025", "99ZZ", "01", "", "2024-09-02T06:00:00Z", "2.2")
    assert kept.sections == ["groepen", "leerlingen", "leerkrachten"]
    read_as = [(kind, parse(kind, body)) for kind, body in kept.records]
    assert all((one.problems, one.unknown) == ((), ()) for _, one in read_as)
    told = [(kind, one.record.key) for kind, one in read_as]  # type: ignore[attr-defined] # all have one
    assert told == [
        ("groep", "G-1HV-A"),
        ("groep", "G-2H-B"),
        ("samengestelde_groep", "SG-1HV-A-NE"),
        ("samengestelde_groep", "SG-2H-WI"),
        ("leerling", "LL-100001"),
        ("leerling", "LL-100002"),
        ("leerkracht", "LK-0007"),
    ]


def test_no_changes_is_an_answer() -> None:
    kept = _answer("leerlinggegevens_antwoord_geenwijzigingen.xml", WHOLE)
    assert (kept.header, kept.records) == (None, [])


def test_the_example_request_is_what_we_send() -> None:
    if not SPECS.exists():
        pytest.skip("the official examples are not beside this checkout")
    example = _body((SPECS / "examples/leerlinggegevens_verzoek_soap.xml").read_bytes())
    question = Question(Place("99ZZ", "01"), "2024-2025", "2.2", since="2024-09-01T06:00:00Z")
    ours = request(WHOLE, question)
    strip = [(child.tag, child.text) for child in example]
    assert [(child.tag, child.text) for child in ours] == strip
    assert ours.tag == example.tag == f"{{{LG}}}leerlinggegevens_verzoek"
