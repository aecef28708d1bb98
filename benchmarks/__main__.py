"""`python -m benchmarks`: measure everything, judge the goals, write the table.

Each measurement is a process of its own. Floors, peers and the hub take turns, round by round, so
that a slow minute of the machine hits all of them; a ratio is one of medians of the same run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median

from benchmarks.hashing import HASHES
from benchmarks.pseudonyms import PUPILS as OBTAINING
from benchmarks.pseudonyms import READERS as OBTAINED
from benchmarks.report import Figures, renew, write
from benchmarks.uwlr import PUPILS as UWLR_PUPILS

QUICK = (
    "parse",
    "same",
    "pupils",
    "parse-lesgroep",
    "same-lesgroep",
    "members",
)
ANSWER = ("bare-uwlr", "bare-uwlr-records", "uwlr")
LISTS = ("bare-xml", "bare-xml-rows", "magister-xml", "bare-csv", "magister-csv")
HASHING = ("scrypt-one", "hash-one", "scrypt-all", "hash-all")
SLOW = ("insert", "insert-sealed", "first", "dlt-first", "dlt-same")
LOOP = ("loop-first", "loop-same")


class Bench:
    """Runs tasks and keeps what they gave.

    Args:
        root: where pages and databases stand; several GB for a million pupils.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.found: dict[tuple[str, int], list[dict[str, float]]] = {}

    def task(self, name: str, pupils: int) -> dict[str, float]:
        """One task in a fresh process."""
        command = [sys.executable, "-m", "benchmarks.task", name, str(pupils), str(self.root)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        self.found.setdefault((name, pupils), []).append(result)
        print(f"{pupils:>9,} {name:16}", _short(result), flush=True)
        return result

    def figures(self) -> Figures:
        """Medians of everything that was measured."""
        middle: Figures = {}
        for (name, pupils), results in self.found.items():
            keys = ("seconds", "peak_mb", "records", "hold")
            held = {k: median(r[k] for r in results) for k in keys if k in results[0]}
            middle[name, pupils] = {**held, "n": len(results)}
        return middle


def _short(result: dict[str, float]) -> str:
    return " ".join(f"{key}={value!s:.8}" for key, value in result.items())


def measure(bench: Bench, arguments: argparse.Namespace) -> None:
    """All scenarios of one size, in turns; the loop on a tenth of the pupils."""
    size, part = arguments.pupils, max(arguments.pupils // 10, 1000)
    for pupils in (size, part):
        bench.task("data", pupils)
    bench.task("lists", size)
    bench.task("answer", UWLR_PUPILS)
    for name in ("first", "first-lesgroep"):  # what the others start from
        bench.task(name, size)
    for turn in range(arguments.rounds):
        for name in (*QUICK, *LISTS):
            bench.task(name, size)
        for name in ANSWER:
            bench.task(name, UWLR_PUPILS)
        if turn < arguments.slow_rounds:
            for name in SLOW:
                bench.task(name, size)
            for name in ("first", "same", "dlt-first", "dlt-same", *LOOP):
                bench.task(name, part)
    measure_hashing(bench, arguments)
    proof = bench.task("proof", part)
    proof.pop("peak_mb")
    wrong = [name for name, tables in proof.items() if tables]
    if wrong:
        raise SystemExit(f"void: a peer made another core: {wrong}")


def measure_lists(bench: Bench, arguments: argparse.Namespace) -> None:
    """Magister's lists and UWLR's answer alone."""
    bench.task("lists", arguments.pupils)
    bench.task("answer", UWLR_PUPILS)
    for _ in range(arguments.rounds):
        for name in LISTS:
            bench.task(name, arguments.pupils)
        for name in ANSWER:
            bench.task(name, UWLR_PUPILS)


def measure_hashing(bench: Bench, arguments: argparse.Namespace) -> None:
    """Hashes for ECK iD beside the bare library, and runs of a school that has its ECK iDs."""
    bench.task("eckid", OBTAINING)
    for _ in range(arguments.slow_rounds):
        for name in HASHING:
            bench.task(name, HASHES)
        for name in OBTAINED:
            bench.task(name, OBTAINING)


def measure_large(bench: Bench, arguments: argparse.Namespace) -> None:
    """Memory and time of a school that is `--large` times as big."""
    size = arguments.pupils * arguments.large
    for name in ("data", "first", "first-lesgroep"):
        bench.task(name, size)
    for _ in range(arguments.slow_rounds):
        for name in QUICK:
            bench.task(name, size)


def main() -> None:
    """Parse the arguments, measure, print; write the page where it was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--pupils", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5, help="of what takes seconds")
    parser.add_argument("--slow-rounds", type=int, default=3, help="of first loads and peers")
    parser.add_argument(
        "--large", type=int, default=0, help="also so many times as many pupils (P6, P7): minutes"
    )
    parser.add_argument(
        "--lists", action="store_true", help="only what P8 reads; the rest of a page stays"
    )
    parser.add_argument("--hashing", action="store_true", help="only P12, as `--lists`")
    parser.add_argument("--root", type=Path, default=Path(".bench"))
    parser.add_argument("--write", type=Path, help="the page to write: docs/performance.md")
    arguments = parser.parse_args()
    arguments.root.mkdir(parents=True, exist_ok=True)
    bench = Bench(arguments.root.resolve())
    page: Path | None = arguments.write
    before = page.read_text() if page is not None and page.is_file() else ""
    if arguments.lists or arguments.hashing:
        measure_part = measure_lists if arguments.lists else measure_hashing
        measure_part(bench, arguments)
        found, size = bench.figures(), arguments.pupils
        again = renew(found, pupils=size, before=before) if before else ""
        text = again or write(found, pupils=size, large=0)
        print(text)
        if page is not None:
            page.write_text(text)
        return
    measure(bench, arguments)
    if arguments.large:
        measure_large(bench, arguments)
    text = write(bench.figures(), pupils=arguments.pupils, large=arguments.large, before=before)
    print(text)
    if page is not None:
        page.write_text(text)


if __name__ == "__main__":
    main()
