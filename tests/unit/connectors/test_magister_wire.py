"""Every documented shape of an answer, byte for byte, and what is refused."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from connectors.errors import IncompleteAnswerError, ProtocolViolationError
from connectors.magister.records import read_day, read_flag, read_whole
from connectors.magister.wire import (
    DATA,
    LAYOUT,
    Row,
    Rows,
    Verdict,
    plain_name,
    read_text,
    read_verdict,
)

SPECS = Path(os.environ.get("KOPPELHUB_SPECS", Path(__file__).parents[4] / "shared" / "specs"))
OPERATION = "GET lijst"


def rows(body: bytes, *, encoding: str = "auto", partial: bool = False) -> list[Row]:
    text = read_text(body, operation=OPERATION, encoding=encoding, partial=partial)
    return list(Rows(text, operation=OPERATION, partial=partial))


def verdict(body: bytes) -> Verdict:
    return read_verdict(read_text(body, operation=OPERATION), operation=OPERATION)


def xml(content: str, *, head: str = '<?xml version="1.0" encoding="utf-8"?>\n') -> bytes:
    return f"{head}<Response>{content}</Response>".encode()


GETDATA = xml(
    "<Result>True</Result><Table><Lijst><Rij><leer_id>7</leer_id><achternaam>Øster</achternaam>"
    "<klas/></Rij><Rij><leer_id>8</leer_id><klas>P3A</klas></Rij></Lijst></Table>"
)
FUNCTION = xml(
    "<Data><Leerlingen><Leerling><stamnr_str>00012</stamnr_str><Nr.tv>b</Nr.tv>"
    "<Land___Nationaliteit.Land>Nederland</Land___Nationaliteit.Land></Leerling></Leerlingen></Data>"
)
GOLDEN = {
    "GetData in XML, whatever wrapper and row are called": (
        GETDATA,
        [{"leer_id": "7", "achternaam": "Øster"}, {"leer_id": "8", "klas": "P3A"}],
    ),
    "a fixed function, its columns made from captions": (
        FUNCTION,
        [{"stamnr_str": "00012", "nr.tv": "b", "land___nationaliteit.land": "Nederland"}],
    ),
    "CSV with a byte order mark, CRLF and a last empty value": (
        "\ufeffSTAMNR;Naam;Vertrek\r\n20341;Noor;\r\n".encode(),
        [{"stamnr": "20341", "naam": "Noor"}],
    ),
    "CSV with quotes": (
        b'a;b;c\n"1;2";"zeg ""ja""";"twee\nregels"\n',
        [{"a": "1;2", "b": 'zeg "ja"', "c": "twee\nregels"}],
    ),
    "CSV in Windows-1252": (
        "a;b\n1;Oscar \u2019t Hóóg\n".encode("cp1252"),
        [{"a": "1", "b": "Oscar \u2019t Hóóg"}],
    ),
    "XML in Windows-1252 that says it is UTF-8": (
        xml("<Table><L><R><a>Hóóg</a></R></L></Table>").decode().encode("cp1252"),
        [{"a": "Hóóg"}],
    ),
    "XML that declares Windows-1252": (
        '<?xml version="1.0" encoding="Windows-1252"?><Response><Table><L><R><a>\u2026é</a></R></L>'
        "</Table></Response>".encode("cp1252"),
        [{"a": "\u2026é"}],
    ),
    "UTF-16 with a byte order mark": ("a;b\n1;é\n".encode("utf-16"), [{"a": "1", "b": "é"}]),
    "a header that comes again as a row": (
        b"A;b\n1;2\na;B\n3;4\n",
        [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}],
    ),
    "columns with space, slash and accent": (
        "Officiële code;Plaats/Woonplaats\nx;y\n".encode(),
        [{"officile_code": "x", "plaats_woonplaats": "y"}],
    ),
    "no rows": (b"a;b\n", []),
    "no rows in XML": (xml("<Table><L></L></Table>"), []),
    "only the first list of a table": (
        xml("<Table><L><R><a>1</a></R></L><M><R><a>2</a></R></M></Table>"),
        [{"a": "1"}],
    ),
    "rows of several names, between and behind each other": (
        xml("<Table><L><R><a>1</a></R><S><a>2</a></S><R><a>3</a></R><T><a>4</a></T></L></Table>"),
        [{"a": "1"}, {"a": "2"}, {"a": "3"}, {"a": "4"}],
    ),
    "a column, and an element within one, that are called as rows are": (
        xml("<Table><L><R><R>1</R></R><R><R>2<R>3</R></R></R></L><M><R><R>4</R></R></M></Table>"),
        [{"r": "1"}, {"r": "23"}],
    ),
    "a list in both places": (
        xml("<Data><L><R><a>1</a></R></L></Data><Table><L><S><a>2</a></S></L></Table>"),
        [{"a": "1"}, {"a": "2"}],
    ),
    "white space around values": (b"a;b\n 1 ;\t2\n", [{"a": "1", "b": "2"}]),
    "comments and instructions": (
        xml("<!-- # --><Table><?p?><L><!-- x --><R><a>1<!-- y -->2</a></R></L></Table>"),
        [{"a": "12"}],
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_every_documented_shape_is_read(name: str) -> None:
    body, expected = GOLDEN[name]
    assert rows(body) == expected


def test_a_row_that_does_not_fit_is_counted_and_left_out() -> None:
    text = read_text(b"a;b\n1;2\n3\n4;5;6\n7;8\n", operation=OPERATION)
    listed = Rows(text, operation=OPERATION)
    assert [row["a"] for row in listed] == ["1", "7"]
    assert listed.crooked == 2


def test_a_long_list_is_the_same_in_both_forms() -> None:
    said = [{"nr": str(n), "naam": f"Ñ {n} & 'zo'", "leeg": ""} for n in range(3000)]
    rows_ = "".join(
        f"<R><nr>{row['nr']}</nr><naam>{row['naam'].replace('&', '&amp;')}</naam><leeg/></R>\n"
        for row in said
    )
    lines = "".join(f"{row['nr']};{row['naam']};\r\n" for row in said)
    expected = [{"nr": row["nr"], "naam": row["naam"]} for row in said]
    assert rows(xml(f"<Table><L>{rows_}</L></Table>")) == expected
    assert rows(f"\ufeffnr;naam;leeg\r\n{lines}".encode()) == expected


def test_a_failure_behind_the_rows_makes_them_a_part_only() -> None:
    body = xml("<Table><L><R><a>1</a></R></L></Table><Exception>EMTimeOut</Exception>")
    assert not verdict(body).failed
    found = iter(Rows(read_text(body, operation=OPERATION), operation=OPERATION))
    assert next(found) == {"a": "1"}
    with pytest.raises(IncompleteAnswerError):
        next(found)


VERDICTS = {
    "login": (
        xml("<Result>True</Result><SessionToken>abc</SessionToken>"),
        Verdict(ok=True, token="abc"),
    ),
    "login refused": (
        xml("<Result>False</Result><ResultMessage>nee</ResultMessage>"),
        Verdict(ok=False, message="nee"),
    ),
    "no right": (
        xml(
            "<Result>False</Result><Foutcode>10</Foutcode><Fout_omschrijving>x</Fout_omschrijving>"
        ),
        Verdict(ok=False, code="10", message="x"),
    ),
    "another account's list": (
        xml("<Exception>EMGeneralFailure</Exception><ExceptionMsg>y</ExceptionMsg>"),
        Verdict(exception="EMGeneralFailure", message="y"),
    ),
    "an exception whose name may hold anything": (
        xml("<Exception>Jan de Vries 123456782</Exception>"),
        Verdict(exception="unknown"),
    ),
    "a list": (GETDATA, Verdict(ok=True)),
    "CSV": (b"a;b\n", Verdict()),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_what_an_answer_says_of_itself(name: str) -> None:
    body, expected = VERDICTS[name]
    assert verdict(body) == expected


def test_what_may_hold_a_secret_is_not_shown() -> None:
    shown = repr(verdict(VERDICTS["login"][0])) + repr(verdict(VERDICTS["login refused"][0]))
    assert "abc" not in shown
    assert "nee" not in shown


REFUSED = {
    "HTML": (b"<html><body><p>Fout<br></body></html>", ProtocolViolationError, "body"),
    "HTML with a document type": (b"<!DOCTYPE html><html/>", ProtocolViolationError, "body"),
    "XML of another kind": (b"<soap:Envelope xmlns:soap='x'/>", ProtocolViolationError, "body"),
    "an answer without a list": (xml("<Result>True</Result>"), ProtocolViolationError, "body"),
    "nothing": (b"", ProtocolViolationError, "body"),
    "XML that breaks off": (GETDATA[:-40], IncompleteAnswerError, "body"),
    "CSV that breaks off in quotes": (b'a;b\n1;"2', IncompleteAnswerError, "body"),
    "a lost character": ("a\n\ufffd\n".encode(), ProtocolViolationError, DATA),
    "a NUL": (b"a\nx\x00y\n", ProtocolViolationError, DATA),
    "bytes that no encoding has": (b"a\n\x81\xff\n", ProtocolViolationError, DATA),
    "XML in an encoding that is not known": (
        b'<?xml version="1.0" encoding="ebcdic-cp-us"?><Response/>',
        ProtocolViolationError,
        DATA,
    ),
    "a column that is named twice": (b"a;A\n1;2\n", ProtocolViolationError, LAYOUT),
    "a value without end": (b"a\n" + b"x" * 10_001 + b"\n", ProtocolViolationError, DATA),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_list_is_refused_with_its_place_and_advice(name: str) -> None:
    body, kind, where = REFUSED[name]
    with pytest.raises(ProtocolViolationError) as caught:
        rows(body)
    assert type(caught.value) is kind
    assert caught.value.where == where
    assert caught.value.advice


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE Response [<!ENTITY a "aaaaaaaaaa">'
    b'<!ENTITY b "&a;&a;&a;&a;">]><Response><Table><L><R><a>&b;</a></R></L></Table></Response>'
)
EXTERNAL = (
    b'<!DOCTYPE Response SYSTEM "file:///etc/passwd"><Response><Table><L/></Table></Response>'
)


@pytest.mark.parametrize("body", [BOMB, EXTERNAL, BOMB.decode().encode("utf-16")])
def test_a_document_type_is_refused_in_rows_and_verdict(body: bytes) -> None:
    for read in (rows, verdict):
        with pytest.raises(ProtocolViolationError, match="document type"):
            read(body)


def test_a_tree_that_is_too_deep_is_refused() -> None:
    with pytest.raises(ProtocolViolationError):
        rows(xml("<a>" * 5_000 + "</a>" * 5_000))


@pytest.mark.parametrize("body", [b"a;b\n1;2\n3;\xc3", GETDATA[:-60]])
def test_of_a_part_of_an_answer_the_beginning_is_read(body: bytes) -> None:
    assert rows(body, partial=True)[0]


def test_text_that_was_decoded_wrongly_at_the_source_is_noticed() -> None:
    spoilt = "a\nZoë\n".encode().decode("cp1252").encode()
    assert read_text(spoilt, operation=OPERATION).looks_broken
    assert not read_text("a\nZoë Ãlvarez\n".encode(), operation=OPERATION).looks_broken


def test_an_encoding_that_is_set_is_not_guessed() -> None:
    with pytest.raises(ProtocolViolationError):
        rows("a\né\n".encode("cp1252"), encoding="utf-8")
    assert rows("a\né\n".encode("cp1252"), encoding="ansi") == [{"a": "é"}]


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2010-03-14", date(2010, 3, 14)),
        ("2010-03-14T00:00:00", date(2010, 3, 14)),
        ("2010-03-14 00:00:00.000", date(2010, 3, 14)),
        ("14-03-2010", date(2010, 3, 14)),
        ("1-8-2026 0:00:00", date(2026, 8, 1)),
        ("20100314", date(2010, 3, 14)),
    ],
)
def test_every_shape_of_a_day_is_read(text: str, day: date) -> None:
    assert read_day(text) == day


@pytest.mark.parametrize(
    "text", ["31-02-2010", "2010-13-01", "14/03/10", "morgen", "2010", "١٤-٠٣-٢٠١٠"]
)
def test_what_is_no_day_stays_as_it_is(text: str) -> None:
    assert read_day(text) == text


def test_flags_and_numbers_come_as_text() -> None:
    assert [read_flag(t) for t in ("1", "True", "ja", "-1")] == [True] * 4
    assert [read_flag(t) for t in ("0", "False", "nee")] == [False] * 3
    assert read_flag("misschien") == "misschien"
    assert read_whole("03") == 3
    assert read_whole("3a") == "3a"


def test_a_column_has_one_spelling() -> None:
    assert plain_name(" Loginaccount.Naam ") == "loginaccount.naam"
    assert plain_name("Land / Nationaliteit.Land") == "land___nationaliteit.land"


def example(name: str) -> bytes:
    file = SPECS / "magister" / "examples" / name
    if not file.exists():
        pytest.skip("the official descriptions are not beside this checkout")
    return file.read_bytes()


@pytest.mark.needs_shared_specs
@pytest.mark.parametrize(
    ("name", "count", "column"),
    [
        ("getactivestudents.xml", 1, "stamnr_str"),
        ("getdata_leerlingen_utf8bom.csv", 2, "stamnr"),
        ("getdata_table.xml", 1, "leerlingnummer"),
        ("getleerlinggroepen.xml", 1, "lesgroep"),
        ("getpersoneelgroepvakken.xml", 1, "vak.vakcode"),
    ],
)
def test_the_examples_are_read(name: str, count: int, column: str) -> None:
    found = rows(example(name))
    assert len(found) == count
    assert all(row[column] for row in found)


@pytest.mark.needs_shared_specs
@pytest.mark.parametrize(
    ("name", "failed"),
    [
        ("exception.xml", True),
        ("getdata_denied.xml", True),
        ("login_failed.xml", True),
        ("login_ok.xml", False),
    ],
)
def test_the_examples_of_refusals_are_understood(name: str, failed: bool) -> None:
    found = verdict(example(name))
    assert found.failed is failed
    assert found.token or failed
