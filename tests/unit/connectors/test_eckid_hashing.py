"""Hashes of personal numbers: the published values, in a pool, and nothing of them anywhere."""

from __future__ import annotations

import asyncio
import logging
import pickle
import threading
import traceback
from base64 import b64decode
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest

from config.errors import ConfigurationError
from connectors.eckid import capacity, hashing
from connectors.eckid.hashing import Hasher, Hpgn, Pool, docent
from sector.identifiers import Bsn, InvalidIdentifierError

SALT = b64decode("rktYml0MIp9TC9u6Ny6uqw==")
VECTOR = "9735dfd2235eaeb5f0300886bcc99c82ffc1d6420c4e0bde8de7218def2135fa"
CHEAP = "c4c0f024dc2ee5b7a5a0d51dbcab9e85633ef623badbc6e0d38095fcb121d706"
CHEAP_DOCENT = "cec67685c499ebc17baa5a8215c2441ba9bfbbeeb77227bea1faae238b0b128a"
PUPIL = Bsn("063138219")
CANARY = Bsn("999990019")
_MIB = 1024 * 1024


def cheap(workers: int = 2) -> Hasher:
    return Hasher(SALT, cost=16, workers=workers)


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


def test_the_published_vectors_at_the_real_cost() -> None:
    """The whole way: the self-test at the first use (two hashes), then one more."""
    hasher = Hasher(SALT)
    assert hasher.cost == 131072
    assert hasher.hash_one(PUPIL).reveal() == VECTOR


def test_the_cheap_vectors_of_a_pupil_and_a_teacher() -> None:
    found = dict(cheap().hash_all({7: PUPIL, 3: docent("20DP", "Teacher@School.com")}))
    assert {index: one.reveal() for index, one in found.items()} == {7: CHEAP, 3: CHEAP_DOCENT}
    assert cheap().hash_one(PUPIL).reveal() == CHEAP


def test_another_salt_or_cost_gives_another_hash() -> None:
    assert Hasher(SALT[:-1], cost=16).hash_one(PUPIL).reveal() != CHEAP
    assert Hasher(SALT, cost=32).hash_one(PUPIL).reveal() != CHEAP


@pytest.mark.parametrize("text", ["063138219", "63138219", "20DP a@b.example", "20dp", "", "é"])
def test_a_text_that_is_no_teacher_is_never_hashed(text: str) -> None:
    with pytest.raises(InvalidIdentifierError) as caught:
        cheap().hash_one(text)
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize(
    ("brin", "email"),
    [
        ("20D", "a@b.nl"),
        ("20DP", "a b@c.nl"),
        ("20DP", "a@b.nl "),
        ("20DP", "à@b.nl"),
        ("20DP", "a@@b.nl"),
    ],
)
def test_a_teacher_without_a_plain_address_cannot_be_hashed(brin: str, email: str) -> None:
    with pytest.raises(InvalidIdentifierError):
        docent(brin, email)


def test_a_wrong_outcome_of_the_self_test_hashes_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    def wrong(salt: bytes, cost: int, data: bytes) -> str:
        seen.append(data)
        return "0" * 64

    monkeypatch.setattr(hashing, "_derive", wrong)
    for attempt in (
        cheap().self_test,
        lambda: cheap().hash_one(CANARY),
        lambda: next(cheap().hash_all({1: CANARY})),
    ):
        with pytest.raises(ConfigurationError) as caught:
            attempt()
        assert caught.value.advice
    assert seen
    assert CANARY.reveal().encode() not in seen


def test_real_vectors_are_due_at_first_and_again_after_a_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proof = hashing.Proof()
    costs: list[int] = []

    def derive(salt: bytes, cost: int, data: bytes) -> str:
        costs.append(cost)
        known = {**dict(hashing._CHEAP)} if cost == 16 else {**dict(hashing._REAL)}
        return next((v for k, v in known.items() if k.lower().encode() == data), "ab" * 32)

    monkeypatch.setattr(hashing, "_derive", derive)
    monkeypatch.setattr(hashing, "_proof", lambda: proof)
    hasher = Hasher(SALT, workers=2)
    hasher.hash_one(CANARY)
    assert costs == [16, 16, 131072, 131072, 131072]
    costs.clear()
    assert len(list(hasher.hash_all(dict.fromkeys(range(24), CANARY)))) == 24
    assert costs.count(131072) == 24
    costs.clear()
    hasher.self_test()
    hasher.self_test()
    assert costs == [16, 16, 131072, 16, 16]


def test_nobody_hashes_on_an_event_loop() -> None:
    async def hash_here(attempt: Callable[[], object]) -> None:
        attempt()

    waiting = cheap().hash_all({1: PUPIL})
    for attempt in (
        lambda: cheap().hash_one(PUPIL),
        lambda: cheap().hash_all({1: PUPIL}),
        cheap().self_test,
        lambda: next(waiting),
    ):
        with pytest.raises(RuntimeError, match="event loop"):
            asyncio.run(hash_here(attempt))


def test_a_thread_beside_an_event_loop_may_hash() -> None:
    async def elsewhere() -> Hpgn:
        return await asyncio.to_thread(cheap().hash_one, PUPIL)

    assert asyncio.run(elsewhere()).reveal() == CHEAP


def test_who_waits_for_one_goes_before_who_asked_for_many() -> None:
    pool, order, go, busy = Pool(), [], threading.Event(), threading.Event()

    def block() -> None:
        busy.set()
        assert go.wait(20)

    first = pool.run(block, workers=1)
    assert busy.wait(20)
    many = [pool.run(lambda n=n: order.append(n), workers=1) for n in range(3)]  # type: ignore[misc]  # a lambda with a default
    one = pool.run(lambda: order.append("one"), workers=1, urgent=True)
    go.set()
    for future in (first, one, *many):
        future.result(20)
    assert order == ["one", 0, 1, 2]


def test_a_handful_goes_before_many(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    true = Pool.run

    def run(self: Pool, work: Callable[[], Hpgn], *, workers: int, urgent: bool) -> Future[Hpgn]:
        asked.append(urgent)
        return true(self, work, workers=workers, urgent=urgent)

    monkeypatch.setattr(Pool, "run", run)
    for count, urgent in ((1, True), (24, True), (25, False)):
        asked.clear()
        assert len(list(cheap().hash_all(dict.fromkeys(range(count), PUPIL)))) == count
        assert asked == [urgent] * count


def test_no_more_are_under_way_than_two_for_each_thread() -> None:
    taken: list[int] = []

    class Persons(dict[int, Bsn]):
        def items(self):  # type: ignore[no-untyped-def]  # counts what is taken
            for pair in super().items():
                taken.append(pair[0])
                yield pair

    stream = cheap(workers=2).hash_all(Persons(dict.fromkeys(range(50), PUPIL)))
    assert next(stream)[0] == 0
    assert len(taken) == 4
    assert [index for index, _ in stream] == list(range(1, 50))


def test_never_more_threads_than_workers() -> None:
    pool, lock = Pool(), threading.Lock()
    now, most = [0], [0]
    gate = threading.Barrier(3)

    def work() -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        gate.wait(20)
        with lock:
            now[0] -= 1

    for future in [pool.run(work, workers=3) for _ in range(12)]:
        future.result(20)
    assert most[0] == 3


def test_what_goes_wrong_in_the_pool_is_raised_to_who_asked() -> None:
    def fail() -> None:
        raise MemoryError

    pool = Pool()
    with pytest.raises(MemoryError):
        pool.run(fail, workers=1).result(20)
    assert pool.run(lambda: 1, workers=1).result(20) == 1


def test_nothing_of_a_person_is_logged_shown_or_in_a_traceback(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    hasher = Hasher(SALT, cost=16, workers=1)
    hpgn = hasher.hash_one(CANARY)
    true = hashing._derive

    def fails(salt: bytes, cost: int, data: bytes) -> str:
        if data == CANARY.reveal().encode():
            raise MemoryError
        return true(salt, cost, data)

    monkeypatch.setattr(hashing, "_derive", fails)
    with pytest.raises(MemoryError) as caught:
        list(hasher.hash_all({1: CANARY}))
    shown = "".join((caplog.text, *traceback.format_exception(caught.value), repr(hasher)))
    for secret in (CANARY.reveal(), hpgn.reveal(), SALT.hex(), repr(SALT)):
        assert secret not in shown


@pytest.mark.parametrize(
    ("threads", "mib", "expected"),
    [(4, 200 + 130 * 4, 4), (4, 200 + 130 * 2, 2), (2, 100_000, 2), (8, 512, 2), (8, 64, 1)],
)
def test_as_many_at_once_as_cores_and_memory_allow(threads: int, mib: int, expected: int) -> None:
    """Spec: eckid.md, section 17."""
    assert capacity.workers(threads=threads, memory=mib * _MIB) == expected


def _file(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def test_the_limit_of_a_control_group_counts(tmp_path: Path) -> None:
    machine = capacity.memory_limit(tmp_path)
    assert machine > 0
    _file(tmp_path, "proc/self/cgroup", "0::/koppelhub/worker\n")
    _file(tmp_path, "sys/fs/cgroup/koppelhub/worker/memory.max", "max\n")
    assert capacity.memory_limit(tmp_path) == machine
    _file(tmp_path, "sys/fs/cgroup/koppelhub/memory.max", f"{64 * _MIB}\n")
    assert capacity.memory_limit(tmp_path) == 64 * _MIB


def test_the_first_generation_of_control_groups_counts(tmp_path: Path) -> None:
    _file(tmp_path, "proc/self/cgroup", "9:cpu,cpuacct:/x\n4:memory:/docker/1\n")
    _file(tmp_path, "sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes", f"{32 * _MIB}\n")
    assert capacity.memory_limit(tmp_path) == 32 * _MIB


@pytest.mark.parametrize(
    ("group", "files", "expected"),
    [
        ("0::/a/b", {"a/b/cpu.max": "50000 100000"}, 1),
        ("0::/a/b", {"a/b/cpu.max": "max 100000", "a/cpu.max": "100000 100000"}, 1),
        (
            "3:cpu,cpuacct:/d",
            {"cpu,cpuacct/d/cpu.cfs_quota_us": "1", "cpu,cpuacct/d/cpu.cfs_period_us": "100000"},
            1,
        ),
    ],
)
def test_a_part_of_a_core_is_one_thread(
    tmp_path: Path, group: str, files: dict[str, str], expected: int
) -> None:
    _file(tmp_path, "proc/self/cgroup", f"{group}\n")
    for name, text in files.items():
        _file(tmp_path, f"sys/fs/cgroup/{name}", f"{text}\n")
    assert capacity.cores(tmp_path) == expected


def test_without_a_quota_every_core_of_the_process_counts(tmp_path: Path) -> None:
    everything = capacity.cores(tmp_path)
    assert everything >= 1
    _file(tmp_path, "proc/self/cgroup", "0::/a\n-1:cpu:/x\n")
    _file(tmp_path, "sys/fs/cgroup/a/cpu.max", "max 100000\n")
    _file(tmp_path, "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "-1\n")
    assert capacity.cores(tmp_path) == everything
