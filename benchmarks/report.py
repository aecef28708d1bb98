"""The page of figures: every goal with its ratio, reached or not, and every measurement."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from os import cpu_count
from sqlite3 import sqlite_version

from benchmarks.hashing import HASHES
from benchmarks.uwlr import PUPILS as UWLR_PUPILS

Figures = dict[tuple[str, int], dict[str, float]]

_HEAD = """# Performance

Measured {date} at commit {commit}: {cpus} cores (shared with other work), Python {python}, SQLite
{sqlite} (WAL, synchronous=NORMAL). Command: `{command}`.
Only ratios within one run mean anything.
Pages are those of the synthetic school (`fixtures/school/files.py`): pupils of about 560 bytes in
pages of 1,000, lesgroepen of 25 pupils in pages of 200; split, parsed and mapped by the real
Somtoday code. Each measurement is a fresh process; figures are medians of *n*.

The peers (`benchmarks/orm_loop.py`, `benchmarks/dlt_merge.py`) read the same pages and make the
same core, which the run proves by digest before it reports. They do less: no encryption, no raw
archive, no correlation, no absence; dlt no history. The ORM loop runs on a tenth of the pupils, and
is compared with the hub on that tenth. "Encryption and journal" in P4 encrypts each identifier and
one journal entry per record. P8 reads Magister's list of pupils (`benchmarks/magister.py`): the
connector gives checked rows as dicts of 27 columns, the floors give nothing to anybody; and an
answer of UWLR of 16,000 pupils (`benchmarks/uwlr.py`), which the connector checks as a whole. P12
hashes 24 pupils for ECK iD (`benchmarks/hashing.py`) with one thread and with one for each core. Of
2,500 pupils who have theirs (`benchmarks/pseudonyms.py`), `eckid-same` is a run without news, and
`eckid-new` one with 25 more, who alone are hashed, which the run proves.

## Goals

| goal | what | ratio | must be | |
|---|---|---|---|---|
"""


class Judge:
    """Makes the rows of the goals."""

    def __init__(self, figures: Figures, pupils: int, large: int) -> None:
        self.figures = figures
        self.size = pupils
        self.part = max(pupils // 10, 1000)
        self.big = pupils * large
        self.rows: list[str] = []

    def most(
        self,
        goal: str,
        what: str,
        over: tuple[str, int],
        *,
        under: tuple[str, int],
        bound: float,
        of: str = "seconds",
    ) -> None:
        """The first divided by the second is at most `bound`."""
        self._row(goal, what, over, under, bound=bound, of=of, sign="≤")

    def least(
        self, goal: str, what: str, over: tuple[str, int], *, under: tuple[str, int], bound: float
    ) -> None:
        """The first divided by the second is at least `bound`."""
        self._row(goal, what, over, under, bound=bound, of="seconds", sign="≥")

    def _row(
        self,
        goal: str,
        what: str,
        over: tuple[str, int],
        under: tuple[str, int],
        *,
        bound: float,
        of: str,
        sign: str,
    ) -> None:
        if over not in self.figures or under not in self.figures:
            return
        ratio = self.figures[over][of] / self.figures[under][of]
        reached = ratio <= bound if sign == "≤" else ratio >= bound
        verdict = "reached" if reached else "**not reached**"
        self.rows.append(f"| {goal} | {what} | {ratio:.2f} | {sign} {bound:g} | {verdict} |")

    def all(self) -> list[str]:
        """Every goal that was measured."""
        n, part = self.size, self.part
        self.most("P1", "no change, pupils ÷ orjson", ("same", n), under=("parse", n), bound=3)
        groups = ("same-lesgroep", n)
        self.most(
            "P1", "no change, lesgroepen ÷ orjson", groups, under=("parse-lesgroep", n), bound=4
        )
        self.most("P3", "1% of pupils ÷ no change", ("pupils", n), under=("same", n), bound=1.25)
        self.most("P3", "1% of memberships ÷ no change", ("members", n), under=groups, bound=2)
        self.most("P4", "first load ÷ raw insert", ("first", n), under=("insert", n), bound=6)
        self.most(
            "P4",
            "first load ÷ raw insert with encryption and journal",
            ("first", n),
            under=("insert-sealed", n),
            bound=9,
        )
        self.most(
            "P4",
            "first load, which always encrypts and journals, ÷ raw insert",
            ("first", n),
            under=("insert", n),
            bound=9,
        )
        loop = "ORM loop ÷ hub"
        self.least(
            "P4", f"first load, {loop}", ("loop-first", part), under=("first", part), bound=10
        )
        self.least("P4", "first load, dlt ÷ hub", ("dlt-first", n), under=("first", n), bound=2.5)
        self.least("P5", f"no change, {loop}", ("loop-same", part), under=("same", part), bound=20)
        self.least("P5", "no change, dlt ÷ hub", ("dlt-same", n), under=("same", n), bound=12)
        self._lists()
        self._hashing()
        self._large()
        return self.rows

    def _lists(self) -> None:
        n = self.size
        for floor, what in (
            ("bare-xml", "lxml iterparse over every element"),
            ("bare-xml-rows", "lxml iterparse that skips what is in a row"),
        ):
            ours, under = ("magister-xml", n), (floor, n)
            self.most("P8", f"Magister XML ÷ {what}", ours, under=under, bound=1.5)
            self.most(
                "P8", f"memory of Magister XML ÷ {what}", ours, under=under, bound=2, of="peak_mb"
            )
        ours, what = ("magister-csv", n), "Magister CSV ÷ lxml iterparse over the same list as XML"
        self.most("P8", what, ours, under=("bare-xml", n), bound=1.5)
        what = "memory of Magister CSV ÷ csv.reader"
        self.most("P8", what, ours, under=("bare-csv", n), bound=2, of="peak_mb")
        ours = ("uwlr", UWLR_PUPILS)
        for floor, what in (
            ("bare-uwlr", "lxml iterparse over every element"),
            ("bare-uwlr-records", "lxml iterparse that skips what is in a person"),
        ):
            under = (floor, UWLR_PUPILS)
            self.most("P8", f"UWLR ÷ {what}", ours, under=under, bound=1.5)
            self.most("P8", f"memory of UWLR ÷ {what}", ours, under=under, bound=2, of="peak_mb")

    def _hashing(self) -> None:
        for threads in ("one", "all"):
            bare, ours = (f"scrypt-{threads}", HASHES), (f"hash-{threads}", HASHES)
            what = f"hashes per second on {threads} of the cores ÷ the bare library"
            self.least("P12", what, bare, under=ours, bound=0.95)
            what = f"memory of hashing on {threads} of the cores ÷ the bare library"
            self.most("P12", what, ours, under=bare, bound=1.1, of="peak_mb")

    def _large(self) -> None:
        for name in ("same", "same-lesgroep"):
            big, small = (name, self.big), (name, self.size)
            what = f"memory of {name} at {self.big:,} ÷ {self.size:,}"
            self.most("P6", what, big, under=small, bound=1.1, of="peak_mb")
            if big in self.figures:
                peak = self.figures[big]["peak_mb"]
                verdict = "reached" if peak < 150 else "**not reached**"
                self.rows.append(f"| P6 | peak of {name}, MB | {peak:.0f} | < 150 | {verdict} |")
        factor = self.big / self.size
        for name in ("first", "same", "pupils", "first-lesgroep", "same-lesgroep", "members"):
            big, small = (name, self.big), (name, self.size)
            what = f"time of {name} at {self.big:,} ÷ {self.size:,}"
            self.most("P7", what, big, under=small, bound=round(1.2 * factor, 1))


def write(figures: Figures, *, pupils: int, large: int, before: str = "") -> str:
    """The page; what a person wrote of the causes in the page `before` stays."""
    causes = re.search(
        r"^## What limits\n.*?(?=^## Measurements)", before, re.DOTALL | re.MULTILINE
    )
    lines = [_head(), *Judge(figures, pupils, large).all(), ""]
    lines += [causes[0].rstrip("\n"), ""] if causes else []
    lines += ["## Measurements", ""]
    lines.append("| scenario | pupils | n | seconds | records/s | peak MB | longest hold, s |")
    lines.append("|---|---:|---:|---:|---:|---:|---:|")
    return "\n".join([*lines, *_measured(figures)]) + "\n"


def renew(figures: Figures, *, pupils: int, before: str) -> str:
    """The page `before` with some scenarios measured again: their goals and measurements alone."""
    judge = Judge(figures, pupils, 0)
    goals = judge.all()
    names = {name for name, _ in figures}
    kept = [
        line
        for line in before.splitlines()
        if not (line.startswith("| ") and line.split(" | ")[0][2:] in names)
        and not any(line.startswith(row.rsplit(" | ", 3)[0]) for row in goals)
    ]
    last = max(n for n, line in enumerate(kept) if re.match(r"\| P\d+ \|", line))
    kept[last + 1 : last + 1] = goals
    rows = [line for line in kept if _MEASURED.match(line)] + _measured(figures)
    rows.sort(key=lambda line: (int(_MEASURED.match(line)[2].replace(",", "")), line))  # type: ignore[index] # each matches
    first = next(n for n, line in enumerate(kept) if _MEASURED.match(line))
    return "\n".join([*kept[:first], *rows]) + "\n"


_MEASURED = re.compile(r"\| ([a-z-]+) \| ([0-9,]+) \|")


def _measured(figures: Figures) -> list[str]:
    lines = []
    for (name, size), found in sorted(figures.items(), key=lambda item: (item[0][1], item[0][0])):
        if "seconds" not in found:
            continue
        rate = f"{found['records'] / found['seconds']:,.0f}" if "records" in found else ""
        hold = f"{found['hold']:.2f}" if "hold" in found else ""
        lines.append(
            f"| {name} | {size:,} | {found['n']:.0f} | {found['seconds']:.3f} | {rate} | "
            f"{found['peak_mb']:.0f} | {hold} |"
        )
    return lines


def _command(arguments: list[str]) -> str:
    """What was run, without places on this machine."""
    shown = ["python", "-m", "benchmarks"]
    for before, argument in zip(["", *arguments], arguments, strict=False):
        if "--root" not in {before, argument} and "--write" not in {before, argument}:
            shown.append(argument)
    return " ".join(shown)


def _head() -> str:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return _HEAD.format(
        date=datetime.now(UTC).date().isoformat(),
        commit=commit or "unknown",
        cpus=cpu_count(),
        python=sys.version.split()[0],
        sqlite=sqlite_version,
        command=_command(sys.argv[1:]),
    ).rstrip("\n")
