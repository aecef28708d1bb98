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


def workers(*, threads: int | None = None, memory: int | None = None) -> int:
    """How many at once, at least one.

    Args:
        threads: at most so many; without it as many as there are cores for this process.
        memory: bytes that this process may take; without it what its control group allows, or the
            machine has.
    """
    room = memory if memory is not None else memory_limit()
    return max(1, min(threads if threads is not None else cores(), (room - _REST) // _EACH))


def cores(system: Path = Path("/")) -> int:
    """How many cores this process may use: a part of one counts as one."""
    try:
        found = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        found = os.cpu_count() or 1
    return min([found, *_quotas(system)])


def _quotas(system: Path) -> list[int]:
    """The cores that the control groups of this process allow."""
    found: list[int] = []
    for folder in _groups(system, "cpu"):
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        if not quota:
            quota = _read(folder / "cpu.cfs_quota_us")
            period = _read(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period):
            found.append(max(1, -(-int(quota) // int(period))))
    return found


def memory_limit(system: Path = Path("/")) -> int:
    """The memory that this process may take, in bytes: of its control group, or the machine's."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = (
        _read(folder / name)
        for folder in _groups(system, "memory")
        for name in ("memory.max", "memory.limit_in_bytes")
    )
    return min([machine, *(int(limit) for limit in limits if limit.isdigit() and int(limit))])


def _groups(system: Path, controller: str) -> list[Path]:
    """The control groups of this process and those around them, of both generations."""
    found: list[Path] = []
    for line in _read(system / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        root = system / "sys/fs/cgroup" / controllers
        here = root / group.lstrip("/")
        for folder in (here, *here.parents):
            found.append(folder)
            if folder == root:
                break
    return found


def _read(file: Path) -> str:
    """What stands in a file; empty where it cannot be read."""
    try:
        return file.read_text("ascii").strip()
    except (OSError, UnicodeError):
        return ""
