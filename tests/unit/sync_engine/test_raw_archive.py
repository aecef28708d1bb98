"""The raw archive holds what the source sent: a mapping can be tried again without asking it."""

from __future__ import annotations

from pathlib import Path

from mappings.canonical.fields import Entity
from sync_engine.store.engine import Store
from tests.support.hubs import bench


def test_every_version_of_a_record_is_kept_as_it_was_sent(store: Store, tmp_path: Path) -> None:
    made = bench(store, tmp_path)
    source = made.sources["s0"]
    for name in ("Eerst", "Later"):
        source.put(Entity.LEERLING, "l1", achternaam=name, roepnaam="Noor")
        made.sync()
        made.sync()  # an unchanged record is not kept twice
        made.later()
    bodies = []
    with store.work() as work:
        cipher = made.hub.cipher(made.hub.koppeling("s0").tenant_id)
        for record_id, salt, body in work.execute(
            "SELECT p.record_id, r.salt, p.body FROM raw_payload p "
            "JOIN source_record r ON r.id = p.record_id ORDER BY p.id"
        ):
            assert b"Eerst" not in body
            assert b"Later" not in body
            bodies.append(cipher.person(salt).decrypt(body, b"raw|%d" % record_id))
    assert [b"Eerst" in body for body in bodies] == [True, False]
    connector = made.hub.connect(made.hub.settings.find_source("s0"), made.clock)
    parsed = [connector.parse("leerling", body) for body in bodies]
    assert all(result.problems == () for result in parsed)
