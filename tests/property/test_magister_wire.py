"""Whatever bytes come instead of an answer of Magister's: rows, or an error of our own.

No other exception leaves the wire, no value of an answer stands in any error, and memory is bounded
by the answer's size. Sizes are bounded before this (rest.py), so here only what grows from within.
Spec: magister.md, section 5.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

from hypothesis import example, given
from hypothesis import strategies as st

from connectors.errors import ConnectorError
from connectors.magister.wire import Rows, read_text, read_verdict

ROOT = Path(__file__).parents[2]
CANARIES = ("Zandkanarie", "999990019", "noor.kanarie@example.nl", "2010-03-14")

_CELLS = "".join(f"<K{n}>{value}</K{n}>" for n, value in enumerate(CANARIES))
XML = (
    '<?xml version="1.0" encoding="utf-8"?>\n<Response><Result>True</Result><Table><Rows>'
    + f"<Row>{_CELLS}<Geen_ë/></Row>" * 3
    + "</Rows></Table></Response>"
)
FAILED = f"<Response><Result>False</Result><Fout_omschrijving>{CANARIES[0]}</Fout_omschrijving>"
CSV = "\ufeffstamnr;achternaam;e/mail;Geboorte datum\r\n" + ";".join(CANARIES) + "\r\n"
SEEDS = (XML, FAILED + "</Response>", CSV, CSV * 3, CSV + '"Zandkanarie;;\r\n')

SCRAPS = (
    b"<",
    b">",
    b"&",
    b";",
    b'"',
    b'";"',
    b"\r",
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xef\xbf\xbd",
    b"\xc3",
    b"<!--",
    b"-->",
    b"<![CDATA[",
    b"]]>",
    b"<?x ?>",
    b"<Table>",
    b"</Table>",
    b"<Row>",
    b"</Response>",
    b"&#0;",
    b"&lol;",
    b'<!DOCTYPE Response [<!ENTITY lol "lol">]>',
    b'<!DOCTYPE Response SYSTEM "file:///etc/hostname">',
    b'<?xml version="1.0" encoding="utf-7"?>',
    b'<?xml version="1.0" encoding="utf-16"?>',
    b' xmlns:x="urn:x" x:a="1"',
)


@st.composite
def spoiled_answers(draw: st.DrawFn) -> bytes:
    """An answer after something has been at it: cut, mixed, scraps put in, another encoding."""
    codec = draw(st.sampled_from(["utf-8", "cp1252", "utf-16", "utf-8-sig"]))
    body = draw(st.sampled_from(SEEDS)).encode(codec, "replace")
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(body)))
        until = draw(st.sampled_from([at, at + 1, at + 20, len(body)]))
        scrap = draw(st.sampled_from(SCRAPS) | st.binary(max_size=6))
        body = body[:at] + scrap + body[until:]
    return body


def attempt(step: Callable[[], object]) -> ConnectorError | None:
    """The error that a step ends with, if it does; any other exception is a failure."""
    try:
        step()
    except ConnectorError as error:
        return error
    return None


def outcome(body: bytes, *, encoding: str, partial: bool) -> Iterator[str]:
    """All that is shown where a body cannot be read; nothing where it can."""

    def rows() -> None:
        text = read_text(body, operation="GET lijst", encoding=encoding, partial=partial)
        for row in Rows(text, operation="GET lijst", partial=partial):
            assert all(row.values()), "an empty value is in no row"

    def verdict() -> None:
        text = read_text(body, operation="GET lijst", encoding=encoding, partial=partial)
        found = read_verdict(text, operation="GET lijst", partial=partial)
        shown = f"{text!r} {found!r} {found.exception} {found.code}"
        assert [canary for canary in CANARIES if canary in shown] == []

    for error in filter(None, map(attempt, (rows, verdict))):
        assert error.system == "magister"
        assert error.advice
        chain: BaseException | None = error
        while chain is not None:
            yield f"{chain!r} {chain} {getattr(chain, 'advice', '')}"
            chain = chain.__cause__ if chain.__suppress_context__ else chain.__context__


def hold_nothing(body: bytes, *, encoding: str = "auto", partial: bool = False) -> None:
    shown = " ".join(outcome(body, encoding=encoding, partial=partial))
    assert [canary for canary in CANARIES if canary in shown] == []


ENCODINGS = st.sampled_from(["auto", "utf-8", "ansi"])


@given(st.binary(max_size=300), ENCODINGS, st.booleans())
@example(b"", "auto", False)
@example(b"\xff\xfe<", "auto", True)
def test_any_bytes_are_rows_or_an_error_of_our_own(
    body: bytes, encoding: str, partial: bool
) -> None:
    hold_nothing(body, encoding=encoding, partial=partial)


@given(spoiled_answers(), ENCODINGS, st.booleans())
def test_an_answer_that_was_spoiled_shows_no_value(
    body: bytes, encoding: str, partial: bool
) -> None:
    hold_nothing(body, encoding=encoding, partial=partial)


SIZE = 500_000


def large(kind: str) -> bytes:
    """About half a megabyte that a careless reader would multiply."""
    laughs = "".join(
        f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "Zandkanarie"}">' for n in range(12)
    )
    start = "<Response><Table><Rows>"
    made = {
        "deep": start + "<a>" * (SIZE // 3),
        "wide": start + "<Row>" + "<b/>" * (SIZE // 4),
        "columns": start + "<Row>" + "".join(f"<k{n}/>" for n in range(SIZE // 9)),
        "attributes": start + "<Row " + "".join(f'a{n}="x" ' for n in range(SIZE // 11)),
        "text": start + "<Row><a>" + "Zandkanarie " * (SIZE // 12),
        "laughs": f"<!DOCTYPE Response [{laughs}]><Response>&l11;</Response>",
        "rows": start + "<Row><a>x</a></Row>" * (SIZE // 19) + "</Rows></Table></Response>",
        "beside": "<Response>" + "<x>Zandkanarie</x>" * (SIZE // 18) + "</Response>",
        "tail": start + ("<Row/>" + "Zandkanarie " * 10) * (SIZE // 126),
        "csv rows": "a;b\n" + "x;y\n" * (SIZE // 4),
        "csv line": "a;b\n" + "x;" * (SIZE // 2),
        "csv head": ";".join(f"k{n}" for n in range(SIZE // 8)),
        "csv quote": 'a;b\n"' + "Zandkanarie;\n" * (SIZE // 13),
        "blanks": "\n" * SIZE,
    }
    return made[kind].encode()


KINDS = (
    *("deep", "wide", "columns", "attributes", "text", "laughs", "rows", "beside", "tail"),
    *("csv rows", "csv line", "csv head", "csv quote", "blanks"),
)


def grown(kind: str) -> int:
    """By how many bytes this process grows over one answer; the parser's own memory counts too."""
    body = large(kind)
    before = getrusage(RUSAGE_SELF).ru_maxrss
    hold_nothing(body)
    return (getrusage(RUSAGE_SELF).ru_maxrss - before) * 1024


def test_memory_is_bounded_by_the_size_of_the_answer() -> None:
    """Measured in a process of its own: this one's peak may be another test's."""
    command = [sys.executable, "-m", "tests.property.test_magister_wire"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    figures = dict(line.rsplit(" ", 1) for line in said.stdout.splitlines())
    assert figures.keys() == set(KINDS)
    assert {kind: int(size) for kind, size in figures.items() if int(size) > 20 * SIZE} == {}


if __name__ == "__main__":
    for name in KINDS:
        sys.stdout.write(f"{name} {grown(name)}\n")
