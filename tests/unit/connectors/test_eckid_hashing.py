"""Hashes of personal numbers: what they are, and that they go nowhere."""

from __future__ import annotations

import pickle

import pytest

from connectors.eckid.hashing import Hpgn
from sector.identifiers import InvalidIdentifierError

VECTOR = "9735dfd2235eaeb5f0300886bcc99c82ffc1d6420c4e0bde8de7218def2135fa"


def test_an_hpgn_never_shows_itself_and_is_kept_nowhere() -> None:
    hpgn = Hpgn(VECTOR)
    for shown in (repr(hpgn), str(hpgn), f"{hpgn}", f"{hpgn!r:>90}"):
        assert VECTOR[:8] not in shown
    with pytest.raises(TypeError):
        pickle.dumps(hpgn)


@pytest.mark.parametrize("text", [VECTOR.upper(), VECTOR[:-1], VECTOR + "0", VECTOR + "\n", ""])
def test_what_is_no_hash_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(InvalidIdentifierError) as caught:
        Hpgn(text)
    assert not text or text not in str(caught.value)
