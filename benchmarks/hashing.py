"""Hashes for ECK iD, beside the bare library: `cryptography`'s Scrypt in as many threads.

Each hash has the parameters of the facility: about a second of a core and 128 MiB. The published
vectors, which the hub computes before it hashes anybody, are computed before the clock starts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Final

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from connectors.eckid.capacity import cores
from connectors.eckid.hashing import PRODUCTION_COST, PUBLISHED_SALT, Hasher
from fixtures.school.keys import synthetic_bsn
from sector.identifiers import Bsn

HASHES: Final = 24
"""As many as give each thread a dozen on two cores."""


def _numbers() -> list[Bsn]:
    return [Bsn(synthetic_bsn(number)) for number in range(HASHES)]


def _bare(threads: int) -> Callable[[Sequence[Bsn]], int]:
    def derive(number: Bsn) -> str:
        kdf = Scrypt(salt=PUBLISHED_SALT, length=32, n=PRODUCTION_COST, r=8, p=4)
        return kdf.derive(number.reveal().encode()).hex()

    def hashed(numbers: Sequence[Bsn]) -> int:
        with ThreadPoolExecutor(threads) as pool:
            return len(set(pool.map(derive, numbers)))

    return hashed


def _hub(threads: int) -> Callable[[Sequence[Bsn]], int]:
    hasher = Hasher(PUBLISHED_SALT, workers=threads)

    def hashed(numbers: Sequence[Bsn]) -> int:
        return len({hash_ for _, hash_ in hasher.hash_all(dict(enumerate(numbers)))})

    hasher.self_test()
    return hashed


READERS: Final[dict[str, Callable[[], Callable[[Sequence[Bsn]], int]]]] = {
    "scrypt-one": lambda: _bare(1),
    "scrypt-all": lambda: _bare(cores()),
    "hash-one": lambda: _hub(1),
    "hash-all": lambda: _hub(cores()),
}


def read(name: str) -> dict[str, object]:
    """Seconds of one way to hash."""
    numbers, hashed = _numbers(), READERS[name]()
    began = perf_counter()
    count = hashed(numbers)
    seconds = perf_counter() - began
    assert count == len(numbers), (name, count)
    return {"seconds": seconds, "records": count}
