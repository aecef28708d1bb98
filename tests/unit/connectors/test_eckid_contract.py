"""Our own description of the number facility says what the official one says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from lxml import etree

from connectors.eckid.names import BINDING, NAMESPACE

ROOT = Path(__file__).parents[3]
OFFICIAL = Path(os.environ.get("KOPPELHUB_SPECS", ROOT.parent / "shared/specs")) / "eckid"
XSD = "{http://www.w3.org/2001/XMLSchema}"
WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
SOAP = "{http://schemas.xmlsoap.org/wsdl/soap/}"
USING = "{http://www.w3.org/2006/05/addressing/wsdl}UsingAddressing"

OPERATIONS = {
    "ping",
    "retrieveChains",
    "retrieveSectors",
    "retrieveStampseudonym",
    "retrieveEckId",
    "submitStampseudonymBatch",
    "submitEckIdBatch",
    "retrieveBatch",
    "replaceStampseudonym",
}

Shape = str | list[tuple[str, object, str, str]]


def ours() -> etree._Element:
    source = files("connectors.eckid") / "contract" / "nummervoorziening.wsdl"
    return etree.fromstring(source.read_bytes())


def qname(element: etree._Element, attribute: str) -> str:
    """A qualified name in an attribute, with its namespace written out."""
    prefix, _, name = element.get(attribute, "").rpartition(":")
    return f"{{{element.nsmap[prefix or None]}}}{name}"


class Schema:
    """What the elements of a description hold, whatever its types are called."""

    def __init__(self, root: etree._Element) -> None:
        schema = root.find(f".//{XSD}schema")
        assert schema is not None
        assert schema.get("elementFormDefault") == "qualified"
        assert schema.get("targetNamespace") == NAMESPACE
        self._types = {
            f"{{{NAMESPACE}}}{one.get('name')}": one for one in schema.findall(f"{XSD}complexType")
        }
        self.elements = {one.get("name"): self._of(one) for one in schema.findall(f"{XSD}element")}

    def _of(self, element: etree._Element) -> Shape:
        inline = element.find(f"{XSD}complexType")
        if inline is not None:
            return self._inside(inline)
        return self._named(qname(element, "type"))

    def _named(self, name: str) -> Shape:
        """A simple type by its name; a type with a text alone is the type of that text."""
        if name not in self._types:
            return name
        return self._inside(self._types[name])

    def _inside(self, kind: etree._Element) -> Shape:
        text = kind.find(f"{XSD}simpleContent/{XSD}extension")
        if text is not None:
            assert not len(text)
            return self._named(qname(text, "base"))
        (sequence,) = [child for child in kind if child.tag != f"{XSD}annotation"]
        assert sequence.tag == f"{XSD}sequence"
        return [
            (
                str(child.get("name")),
                self._of(child),
                child.get("minOccurs", "1"),
                child.get("maxOccurs", "1"),
            )
            for child in sequence
        ]


def messages(root: etree._Element) -> dict[str, str]:
    """Message → the element that it is."""
    found: dict[str, str] = {}
    for message in root.findall(f"{WSDL}message"):
        (part,) = message.findall(f"{WSDL}part")
        found[f"{{{NAMESPACE}}}{message.get('name')}"] = qname(part, "element")
    return found


def operations(root: etree._Element) -> Iterator[tuple[str, str, str]]:
    """Operation, and the elements of its request and answer."""
    known = messages(root)
    (port,) = root.findall(f"{WSDL}portType")
    assert port.get("name") == "EckIDPort"
    for operation in port.findall(f"{WSDL}operation"):
        (asked,) = operation.findall(f"{WSDL}input")
        (answered,) = operation.findall(f"{WSDL}output")
        assert not operation.findall(f"{WSDL}fault")
        yield (
            str(operation.get("name")),
            known[qname(asked, "message")],
            known[qname(answered, "message")],
        )


def binding(root: etree._Element) -> dict[str, object]:
    """How it is spoken."""
    (found,) = root.findall(f"{WSDL}binding")
    (soap,) = found.findall(f"{SOAP}binding")
    (service,) = root.findall(f"{WSDL}service")
    (port,) = service.findall(f"{WSDL}port")
    (using,) = found.findall(USING)
    return {
        "name": f"{{{root.get('targetNamespace')}}}{found.get('name')}",
        "type": qname(found, "type"),
        "service": service.get("name"),
        "port": (port.get("name"), qname(port, "binding")),
        "how": (soap.get("style"), soap.get("transport")),
        "addressing": using.get(f"{WSDL}required"),
        "operations": {
            one.get("name"): (
                [body.get("soapAction") for body in one.findall(f"{SOAP}operation")],
                [body.get("use") for body in one.iterfind(f"{WSDL}input/{SOAP}body")],
                [body.get("use") for body in one.iterfind(f"{WSDL}output/{SOAP}body")],
            )
            for one in found.findall(f"{WSDL}operation")
        },
    }


@pytest.mark.needs_shared_specs
@pytest.mark.parametrize("name", ["eckid-java.wsdl", "eckid-dotnet.wsdl"])
def test_our_description_is_the_official_one_in_all_that_goes_over_the_wire(name: str) -> None:
    if not OFFICIAL.exists():
        pytest.skip("the official descriptions are not beside this checkout")
    official, own = etree.parse(OFFICIAL / name).getroot(), ours()
    assert own.get("targetNamespace") == official.get("targetNamespace") == NAMESPACE
    assert Schema(own).elements == Schema(official).elements
    assert sorted(operations(own)) == sorted(operations(official))
    assert binding(own) == binding(official)


def test_all_nine_operations_are_described_with_their_actions() -> None:
    found = binding(ours())
    assert found["name"] == BINDING
    expected = {name: ([f"{NAMESPACE}/{name}"], ["literal"], ["literal"]) for name in OPERATIONS}
    assert found["operations"] == expected
    assert {name for name, _, _ in operations(ours())} == OPERATIONS


def test_a_batch_of_hashes_has_the_capital_that_a_single_one_has_not() -> None:
    elements = Schema(ours()).elements
    text = f"{XSD}string"
    assert elements["retrieveStampseudonymRequest"] == [("hpgn", text, "1", "1")]
    rows = [("index", f"{XSD}int", "1", "1"), ("hPgn", text, "1", "1")]
    assert elements["submitStampseudonymBatchRequest"] == [("hpgnList", rows, "1", "unbounded")]


def test_zeep_is_loaded_by_nobody_who_makes_no_call() -> None:
    """`koppelhub --help` and every other koppeling stay quick."""
    code = (
        "import sys, connectors.eckid.client, connectors.eckid.check, connectors.eckid.options\n"
        "slow = {'zeep', 'requests', 'cryptography.hazmat.primitives.kdf.scrypt'}\n"
        "sys.exit(', '.join(sorted(slow & set(sys.modules))) or 0)"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
