"""XML that is hostile, cut off, too large or in another encoding; and XML that is none of these."""

from __future__ import annotations

import pytest
from lxml import etree

from connectors.protocols.xmldoc import (
    Bounds,
    XmlRefusedError,
    elements,
    encode,
    name_of,
    release,
    text_of,
    whole,
)

BOMB = (
    b'<!DOCTYPE a [<!ENTITY l0 "ha"><!ENTITY l1 "&l0;&l0;&l0;&l0;&l0;&l0;&l0;&l0;">'
    b'<!ENTITY l2 "&l1;&l1;&l1;&l1;&l1;&l1;&l1;&l1;">]><a><b>&l2;</b></a>'
)
FILE = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a><b>&x;</b></a>'


def told(*chunks: bytes, bounds: Bounds | None = None) -> list[tuple[str, str, str | None]]:
    return [
        (event, name_of(element), element.text)
        for event, element in elements(chunks, ends={"b"}, starts={"a"}, bounds=bounds)
    ]


def test_named_elements_come_out_in_order() -> None:
    document = b"<?xml version='1.0'?><a><c>weg</c><b>1</b><d><b>2</b></d></a>"
    assert told(document) == [("start", "a", None), ("end", "b", "1"), ("end", "b", "2")]


@pytest.mark.parametrize("size", [1, 2, 7])
def test_how_a_document_is_cut_into_chunks_does_not_matter(size: int) -> None:
    document = "<?xml version='1.0'?>\n<!-- é --><a><b>één</b><b/></a>\n".encode()
    chunks = [document[i : i + size] for i in range(0, len(document), size)]
    assert told(*chunks) == told(document)


def test_an_element_that_is_done_with_is_thrown_away() -> None:
    chunks = [b"<a>", *([b"<b><c>x</c></b>"] * 500), b"</a>"]
    left = 0
    for event, element in elements(chunks, ends={"b"}, starts={"a"}):
        if event == "end":
            release(element)
            parent = element.getparent()
            assert parent is not None
            left = max(left, len(parent))
    assert left <= 2


@pytest.mark.parametrize(
    ("document", "rule"),
    [
        (BOMB, "DOCTYPE"),
        (FILE, "DOCTYPE"),
        (b"<?xml version='1.0'?>\n<!-- x --><!DOCTYPE a><a/>", "DOCTYPE"),
        (b"\xef\xbb\xbf<!DOCTYPE a><a/>", "DOCTYPE"),
        (b"<a><b>&x;</b></a>", "well-formed"),
        (b"<a><b></a>", "well-formed"),
        (b"<a><b>1</b></a><a/>", "well-formed"),
        (b"geen xml", "well-formed"),
        (b"<b>" * 300 + b"</b>" * 300, "well-formed"),
        ("<a><b/></a>".encode("utf-16"), "encoding"),
        (b"<?xml version='1.0' encoding='UTF-7'?><a/>", "encoding"),
        (b"<!--" + b"x" * 9000, "4096 bytes"),
    ],
)
def test_what_is_not_taken_says_which_rule_it_breaks(document: bytes, rule: str) -> None:
    with pytest.raises(XmlRefusedError, match=rule) as caught:
        told(document)
    assert not caught.value.cut_off
    with pytest.raises(XmlRefusedError, match=rule):
        whole(document)


@pytest.mark.parametrize(
    "document", [b"", b"   ", b"<", b"<!", b"<?xml version='1.0'", b"<a>", b"<a><b>x", b"<a><b at"]
)
def test_what_ends_too_soon_is_cut_off(document: bytes) -> None:
    with pytest.raises(XmlRefusedError) as caught:
        told(document)
    assert caught.value.cut_off


def test_a_document_has_a_largest_size() -> None:
    bounds = Bounds(document_bytes=1000, element_bytes=1000)
    assert told(b"<a>" + b"<b>x</b>" * 100 + b"</a>", bounds=bounds)
    with pytest.raises(XmlRefusedError, match="larger than 1000"):
        told(b"<a>" + b"<b>x</b>" * 200 + b"</a>", bounds=bounds)


def test_one_element_has_a_largest_size() -> None:
    bounds = Bounds(element_bytes=100_000)
    small, large = b"<b>" + b"x" * 50_000 + b"</b>", b"<b>" + b"x" * 200_000 + b"</b>"
    assert len(told(b"<a>" + small * 10 + b"</a>", bounds=bounds)) == 11
    with pytest.raises(XmlRefusedError, match="a part of more than"):
        told(b"<a>" + large + b"</a>", bounds=bounds)


def test_what_is_refused_is_not_shown() -> None:
    with pytest.raises(XmlRefusedError) as caught:
        told(b"<a><b>Geheim</Geheim></a>")
    assert "Geheim" not in f"{caught.value!r}"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_comments_and_instructions_are_no_content() -> None:
    assert told(b"<a><b>een<!-- twee --><?drie?></b></a>")[-1] == ("end", "b", "een")


def test_an_encoding_that_is_taken_is_read() -> None:
    document = "<?xml version='1.0' encoding='windows-1252'?><a><b>één</b></a>".encode("cp1252")
    assert told(document)[-1] == ("end", "b", "één")


def test_small_helpers() -> None:
    element = etree.fromstring("<x:a xmlns:x='urn:x'> een </x:a>")
    assert (name_of(element), text_of(element)) == ("a", "een")
    assert text_of(None) is None
    assert text_of(etree.fromstring("<a>  </a>")) is None
    assert encode(etree.fromstring("<a><b>é</b>staart</a>")[0]) == "<b>é</b>".encode()
