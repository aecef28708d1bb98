"""How many hashes may be computed at once: by cores and memory.

Spec: eckid.md, section 17: workers = min(cores, (memory limit - 200 MiB) / 130 MiB), at least 1
(CHECKED).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_MIB: Final = 1024 * 1024
_REST: Final = 200 * _MIB
_EACH: Final = 130 * _MIB
_LIMITS: Final = ("memory.max", "memory.limit_in_bytes")


def workers(*, threads: int | None = None, memory: int | None = None) -> int:
    """How many at once, at least one.

    Args:
        threads: at most so many; without it as many as there are cores for this process.
        memory: bytes that this process may take; without it what its control group allows, or the
            machine has.
    """
    room = memory if memory is not None else memory_limit()
    return max(1, min(threads if threads is not None else cores(), (room - _REST) // _EACH))


def cores() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def memory_limit(system: Path = Path("/")) -> int:
    """The memory that this process may take, in bytes: of its control group, or the machine's."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_of_groups(system)])


def _of_groups(system: Path) -> list[int]:
    """What the control groups of this process allow, both generations of them."""
    try:
        lines = (system / "proc/self/cgroup").read_text("ascii").splitlines()
    except (OSError, UnicodeError):
        return []
    found: list[int] = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if controllers and "memory" not in controllers.split(","):
            continue
        root = system / "sys/fs/cgroup" / ("memory" if controllers else "")
        here = root / group.lstrip("/")
        for folder in (here, *here.parents):
            found.extend(_limit(folder / name) for name in _LIMITS)
            if folder == root:
                break
    return [limit for limit in found if limit > 0]


def _limit(file: Path) -> int:
    """A limit in bytes; zero where there is none."""
    try:
        text = file.read_text("ascii").strip()
    except (OSError, UnicodeError):
        return 0
    return int(text) if text.isdigit() else 0
