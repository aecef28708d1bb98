from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import ConfigurationError
from connectors.base import Capability
from mappings.canonical.fields import Entity
from sync_engine.errors import SyncError
from sync_engine.find import find_leerlingen, hub_key, look_up, read_hub_key, source_keys
from tests.unit.sync_engine.conftest import Make


@given(st.integers(0, 2**62))
def test_a_hub_key_is_read_back(core_id: int) -> None:
    assert read_hub_key(hub_key(core_id)) == core_id
    assert read_hub_key(f" {hub_key(core_id).lower()} ") == core_id


@given(st.integers(0, 2**62))
def test_letters_that_look_like_digits_are_those_digits(core_id: int) -> None:
    typed = hub_key(core_id)[2:].replace("0", "O").replace("1", "l")
    assert read_hub_key(f"K-{typed}") == core_id


@given(st.integers(0, 2**40), st.data())
def test_one_mistyped_symbol_finds_nobody(core_id: int, data: st.DataObject) -> None:
    key = hub_key(core_id)
    place = data.draw(st.integers(2, len(key) - 1))
    other = data.draw(
        st.sampled_from(sorted(set("0123456789ABCDEFGHJKMNPQRSTVWXYZ") - {key[place]}))
    )
    with pytest.raises(SyncError):
        read_hub_key(key[:place] + other + key[place + 1 :])


@pytest.mark.parametrize("text", ["", "123", "K-", "K-U0", "leerling"])
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


def _system(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """The system of the koppeling declares these resources, each to be looked up."""
    resources = tuple(
        SimpleNamespace(name=name, capabilities={Capability.LOOKUP}) for name in names
    )
    factory = SimpleNamespace(manifest=SimpleNamespace(system="anders", resources=resources))
    monkeypatch.setattr("sync_engine.find.registry.factory", lambda system: factory)


def test_a_pupil_is_looked_up_under_all_the_keys_of_the_koppeling(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    _system(monkeypatch, "leerling", "groep")
    bench = make(2)
    bench.sources["s0"].put(Entity.LEERLING, "l", achternaam="Jansen")
    bench.sync()
    key = hub_key(bench.core(Entity.LEERLING, "l"))
    found = look_up(bench.hub, "s0", [key, key.lower(), "eigen"], resources=())
    assert found == (("l", "eigen"), ("leerling",))
    with pytest.raises(SyncError) as caught:
        look_up(bench.hub, "s1", [key], resources=())
    assert "koppelhub explain leerling" in caught.value.advice
    assert look_up(bench.hub, "s0", [key], resources=("groep",)) == ((key,), ("groep",))


def test_a_system_that_calls_no_resource_leerling_wants_to_hear_which(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make(1)
    for names, advice in ((("pupils", "staff"), "pupils, staff"), ((), "zonder --only")):
        _system(monkeypatch, *names)
        with pytest.raises(ConfigurationError) as caught:
            look_up(bench.hub, "s0", ["x"], resources=())
        assert advice in caught.value.advice
    assert look_up(bench.hub, "s0", ["x"], resources=("pupils",)) == (("x",), ("pupils",))
