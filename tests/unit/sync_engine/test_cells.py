"""One value in one cell."""

from __future__ import annotations

import pytest

from console import views
from sync_engine import cells

CHAIN = "http://purl.example/begrippenkader/e7ec7d3c-c235-4513-bfb6-e54e66854795"
VALUE = {"waarde": "…4e6a", "keten": CHAIN, "sector": "", "geldig_van": "2026-11-28"}


@pytest.mark.parametrize("cell", [cells.cell, views.cell])
def test_a_pseudonym_that_was_obtained_fits_in_a_table(cell: object) -> None:
    assert callable(cell)
    assert cell(VALUE) == "…4e6a (keten …4795, van 2026-11-28)"
    assert cell({**VALUE, "geldig_tot": "2027-08-01"}).endswith("tot 2027-08-01)")
