"""A peer: dlt, merging into DuckDB through parquet: the quickest of its combinations here.

One resource per table, arrow tables of one page each, primary keys, `merge`. Plain identifiers, no
history, no correlation, no check of absence: less than the hub does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import orjson
import pyarrow as pa

from benchmarks.data import Dataset
from benchmarks.flat import COLUMNS, KEYS, rows
from benchmarks.same_core import of_tables

_BOOLEANS = {"telefoon_geheim", "adres_geheim", "contact_via_email", "geheim"}


def merge(folder: Path, data: Dataset, variant: str = "same") -> float:
    """Seconds that one pipeline run needs for all pupils."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    import dlt

    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=str(folder / "pipelines"),
        destination=dlt.destinations.duckdb(str(folder / "peer.duckdb")),
        dataset_name="core",
    )
    began = perf_counter()
    pipeline.run(_source(dlt, data, variant), loader_file_format="parquet")
    return perf_counter() - began


def _source(dlt: Any, data: Dataset, variant: str) -> list[Any]:
    def pages() -> Iterator[Any]:
        for body in data.bodies("leerling", variant):
            found: dict[str, list[tuple[Any, ...]]] = {table: [] for table in COLUMNS}
            for record in orjson.loads(body)["leerlingen"]:
                for table, row in rows(record):
                    found[table].append(row)
            for table, held in found.items():
                if held:
                    yield dlt.mark.with_hints(
                        _arrow(table, held),
                        dlt.mark.make_hints(
                            table_name=table,
                            primary_key=COLUMNS[table][: KEYS[table]],
                            write_disposition="merge",
                        ),
                        create_table_variant=True,
                    )

    return [dlt.resource(pages, name="pages")]


def _arrow(table: str, held: list[tuple[Any, ...]]) -> pa.Table:
    names = COLUMNS[table]
    columns = list(zip(*held, strict=True))
    fields = [pa.field(n, pa.bool_() if n in _BOOLEANS else pa.string()) for n in names]
    return pa.table(
        [pa.array(c, f.type) for c, f in zip(columns, fields, strict=True)], pa.schema(fields)
    )


def core(folder: Path) -> dict[str, str]:
    """Table → digest, for the proof."""
    import duckdb

    with duckdb.connect(str(folder / "peer.duckdb")) as database:
        return of_tables(
            lambda sql: database.execute(sql.replace(" FROM ", " FROM core.")).fetchall()
        )
