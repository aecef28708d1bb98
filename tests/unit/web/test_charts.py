"""Charts: every value has its bar, as high as it is, and stays inside."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from web.pages.charts import HEIGHT, WIDTH, bars

VALUES = st.lists(st.floats(0, 1e9), min_size=1, max_size=60)


@given(values=VALUES, slots=st.integers(0, 60))
def test_every_bar_stays_inside_and_the_highest_value_is_the_highest_bar(
    values: list[float], slots: int
) -> None:
    drawn = bars(values, [str(v) for v in values], [False] * len(values), slots=slots)
    assert len(drawn) == len(values)
    for value, bar in zip(values, drawn, strict=True):
        assert 0 <= bar.x <= bar.x + bar.width <= WIDTH + 0.01
        assert 0 <= bar.y <= bar.y + bar.height <= HEIGHT
        assert (bar.height > 0) == (value > 0)
    highest = max(bar.height for bar in drawn)
    assert drawn[values.index(max(values))].height == highest


def test_the_last_value_stands_at_the_right() -> None:
    one, other = bars([1, 2], ["een", "twee"], [False, True], slots=30)
    assert one.x < other.x
    assert other.x > WIDTH * 0.9
    assert other.odd
