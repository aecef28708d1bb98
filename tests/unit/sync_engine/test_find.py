from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.canonical.fields import Entity
from sync_engine.errors import SyncError
from sync_engine.find import find_leerlingen, hub_key, read_hub_key, source_keys
from tests.unit.sync_engine.conftest import Make


@given(st.integers(0, 2**62))
def test_a_hub_key_is_read_back(core_id: int) -> None:
    assert read_hub_key(hub_key(core_id)) == core_id
    assert read_hub_key(f" {hub_key(core_id).lower()} ") == core_id


@given(st.integers(0, 2**40), st.data())
def test_one_mistyped_symbol_finds_nobody(core_id: int, data: st.DataObject) -> None:
    key = hub_key(core_id)
    place = data.draw(st.integers(2, len(key) - 1))
    other = data.draw(
        st.sampled_from(sorted(set("0123456789ABCDEFGHJKMNPQRSTVWXYZ") - {key[place]}))
    )
    with pytest.raises(SyncError):
        read_hub_key(key[:place] + other + key[place + 1 :])


@pytest.mark.parametrize("text", ["", "123", "K-", "K-I0", "leerling"])
def test_other_text_is_no_hub_key(text: str) -> None:
    assert read_hub_key(text) is None


def test_a_pupil_is_found_by_key_number_and_alias(make: Make) -> None:
    bench = make(2)
    for source in bench.sources.values():
        source.put(Entity.LEERLING, "l1", achternaam="Jansen", leerlingnummer="101")
        source.put(Entity.LEERLING, "l2", achternaam="Bakker", leerlingnummer="102")
        source.put(Entity.LEERLING, "l2", achternaam="Bakker", leerlingnummer="102")
    bench.sync("s0")
    bench.sync("s1")
    first, second = bench.core(Entity.LEERLING, "l1"), bench.core(Entity.LEERLING, "l1", "s1")
    with bench.hub.store.work() as work:
        assert find_leerlingen(bench.hub, work, hub_key(first)) == [first]
        assert find_leerlingen(bench.hub, work, "101") == sorted([first, second])
        assert source_keys(work, second, koppeling_id=2, entity=Entity.LEERLING) == ["l1"]
        for nobody in ("999", hub_key(10**6)):
            with pytest.raises(SyncError) as caught:
                find_leerlingen(bench.hub, work, nobody)
            assert caught.value.advice
