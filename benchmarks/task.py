"""One measurement in a fresh process: `python -m benchmarks.task NAME PUPILS ROOT`; prints JSON.

What is timed is the work itself: imports, opening and checking are outside. Peak memory is the
high-water mark of this process, which has no children.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from benchmarks.data import Dataset, dataset

Result = dict[str, object]


def _run(folder: Path, data: Dataset, resource: str, *, variant: str = "same") -> Result:
    from benchmarks.installation import SOURCE, open_hub
    from sync_engine.runs import Options, run

    hub = open_hub(folder, data, variant)
    began = perf_counter()
    report = run(hub, SOURCE, Options(resources=tuple(resource.split(","))))
    seconds = perf_counter() - began
    hub.close()
    assert str(report.outcome) == "done", (report.outcome, report.error, report.holds)
    read = sum(reading.read for reading in report.readings)
    changed = sum(report.steps.values())
    return {
        "seconds": seconds,
        "records": read,
        "steps": changed,
        "hold": report.longest_hold_seconds,
    }


def _fresh(root: Path, template: str) -> Path:
    """A copy of an installation; its settings name their own folder."""
    folder = root / "work"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(root / template, folder)
    settings = folder / "koppelhub.toml"
    settings.write_text(settings.read_text().replace(str(root / template), str(folder)))
    return folder


def _first(root: Path, data: Dataset) -> Result:
    from benchmarks.installation import install

    folder = root / "loaded"
    shutil.rmtree(folder, ignore_errors=True)
    install(folder)
    _run(folder, data, "vestiging,vak")
    return _run(folder, data, "leerling")


def _first_lesgroep(root: Path, data: Dataset) -> Result:
    shutil.rmtree(root / "grouped", ignore_errors=True)
    result = _run(_fresh(root, "loaded"), data, "lesgroep")
    shutil.copytree(root / "work", root / "grouped")
    settings = root / "grouped" / "koppelhub.toml"
    settings.write_text(settings.read_text().replace(str(root / "work"), str(root / "grouped")))
    return result


def _proof(root: Path, data: Dataset) -> Result:
    from benchmarks import dlt_merge, orm_loop, same_core

    wanted = same_core.expected(data)
    found = {
        "hub": same_core.of_hub(root / "loaded", data),
        "loop": orm_loop.core(root / "loop.db"),
        "dlt": dlt_merge.core(root / "dlt"),
    }
    return {name: [t for t in wanted if core[t] != wanted[t]] for name, core in found.items()}


def _loop(root: Path, data: Dataset, *, fresh: bool) -> Result:
    from benchmarks import orm_loop

    if fresh:
        (root / "loop.db").unlink(missing_ok=True)
    return {"seconds": orm_loop.merge(root / "loop.db", data)}


def _dlt(root: Path, data: Dataset, *, fresh: bool) -> Result:
    from benchmarks import dlt_merge

    if fresh:
        shutil.rmtree(root / "dlt", ignore_errors=True)
    (root / "dlt").mkdir(exist_ok=True)
    return {"seconds": dlt_merge.merge(root / "dlt", data)}


def _insert(root: Path, *, sealed: bool) -> Result:
    from benchmarks import floors

    shutil.rmtree(root / "raw", ignore_errors=True)
    return {"seconds": floors.insert(root / "raw", root / "loaded", sealed=sealed)}


def _parse(data: Dataset, resource: str) -> Result:
    from benchmarks import floors

    return {"seconds": floors.parse(data, resource)}


TASKS: dict[str, Callable[[Path, Dataset], Result]] = {
    "first": _first,
    "same": lambda root, data: _run(_fresh(root, "loaded"), data, "leerling"),
    "pupils": lambda root, data: _run(_fresh(root, "loaded"), data, "leerling", variant="pupils"),
    "first-lesgroep": _first_lesgroep,
    "same-lesgroep": lambda root, data: _run(_fresh(root, "grouped"), data, "lesgroep"),
    "members": lambda root, data: _run(
        _fresh(root, "grouped"), data, "lesgroep", variant="members"
    ),
    "parse": lambda _, data: _parse(data, "leerling"),
    "parse-lesgroep": lambda _, data: _parse(data, "lesgroep"),
    "insert": lambda root, _: _insert(root, sealed=False),
    "insert-sealed": lambda root, _: _insert(root, sealed=True),
    "loop-first": lambda root, data: _loop(root, data, fresh=True),
    "loop-same": lambda root, data: _loop(root, data, fresh=False),
    "dlt-first": lambda root, data: _dlt(root, data, fresh=True),
    "dlt-same": lambda root, data: _dlt(root, data, fresh=False),
    "proof": _proof,
    "data": lambda _, data: {"files": len(data.pages("leerling"))},
}


def _of_lists(root: Path, rows: int, name: str) -> Result | None:
    """A task on Magister's lists, on an answer of UWLR or on hashes; None where it is another."""
    from benchmarks import hashing, magister, pseudonyms, uwlr

    if name in hashing.READERS:
        return hashing.read(name)
    if name == "eckid":
        return {"files": len([pseudonyms.prepare(root)])}
    if name in pseudonyms.READERS:
        return pseudonyms.read(root, name)
    if name == "answer":
        return {"files": len([uwlr.prepare(root, rows)])}
    if name in uwlr.READERS:
        return uwlr.read(root, rows, name)
    if name == "lists":
        return {"files": len(magister.prepare(root, rows))}
    return magister.read(root, rows, name) if name in magister.READERS else None


def peak_mb() -> float:
    """High-water mark of this process, in MB (not that of its parent, as getrusage would say)."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1000


def main(name: str, pupils: int, root: Path) -> None:
    """Run one task."""
    if (result := _of_lists(root, pupils, name)) is not None:
        print(json.dumps({**result, "peak_mb": peak_mb()}))
        return
    data = dataset(root, pupils)
    place = root / f"state-{pupils}"
    place.mkdir(exist_ok=True)
    result = TASKS[name](place, data)
    print(json.dumps({**result, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]).resolve())
