"""Seeded faults of the engine, each of which the quick tests that it names must catch.

Every patch says in its first line what it breaks, and in `Tests:` who must notice. Each is applied
to a copy of the tree; the copy without a fault must pass. `--only NAME` runs some of them.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATCHES = Path(__file__).parent
_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "*cache*", "__pycache__", "docs", "build", "dist", "demo", ".hypothesis"
)


@dataclass(frozen=True)
class Mutant:
    """One seeded fault.

    Attributes:
        meaning: what it breaks.
        tests: what must fail.
    """

    path: Path
    meaning: str
    tests: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> Mutant:
        """A patch and its two lines of header."""
        meaning, tests, *_ = path.read_text(encoding="utf-8").splitlines()
        return cls(path, meaning, tuple(tests.removeprefix("Tests: ").split()))


def _passes(tree: Path, tests: tuple[str, ...]) -> bool:
    """Whether the tests pass there. Raises: SystemExit if they cannot be run."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(  # noqa: S603 - our own command
        command, cwd=tree, capture_output=True, text=True, check=False
    )
    if done.returncode not in {0, 1}:
        raise SystemExit(f"pytest ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.returncode == 0


def _apply(tree: Path, patch: Path, *, back: bool = False) -> None:
    command = ["git", "apply", "-C1", *(["--reverse"] if back else []), str(patch)]
    done = subprocess.run(  # noqa: S603 - our own command
        command, cwd=tree, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{patch.name} does not apply any more: make it again\n{done.stderr}")


def main(arguments: list[str] | None = None) -> int:
    """Run the mutants; 0 where all are caught."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME")
    chosen = parser.parse_args(arguments).only
    mutants = [Mutant.read(path) for path in sorted(PATCHES.glob("*.patch"))]
    mutants = [m for m in mutants if not chosen or m.path.stem in chosen]
    survived = []
    with tempfile.TemporaryDirectory(prefix="koppelhub-mutants-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=_LEFT_OUT)
        every = tuple(sorted({test for mutant in mutants for test in mutant.tests}))
        if not _passes(tree, every):
            raise SystemExit("the tests fail without any fault: mend that first")
        for mutant in mutants:
            started = time.monotonic()
            _apply(tree, mutant.path)
            caught = not _passes(tree, mutant.tests)
            _apply(tree, mutant.path, back=True)
            word, seconds = "caught" if caught else "SURVIVED", time.monotonic() - started
            sys.stdout.write(f"{word:8} {seconds:5.1f} s  {mutant.path.stem}: {mutant.meaning}\n")
            sys.stdout.flush()
            survived += [] if caught else [mutant.path.stem]
    sys.stdout.write(f"{len(mutants) - len(survived)} of {len(mutants)} caught\n")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
