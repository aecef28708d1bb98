"""The stores that a connector is handed, of one koppeling of a bench."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from connectors.stores import Batch
from mappings.canonical.fields import Entity
from sync_engine.batches import StoreBatches
from sync_engine.exchanges import Exchange, Exchanges
from sync_engine.store.engine import Store
from sync_engine.vault import StoreVault
from tests.support.hubs import Bench

SYSTEM = "eckid"


@dataclass(frozen=True, slots=True)
class Keeping:
    """What one koppeling keeps and exchanges."""

    vault: StoreVault
    batches: StoreBatches
    exchanges: Exchanges

    def asked(self, *persons: int, kind: str = "soort", body: bytes | None = None) -> Batch:
        """A batch that was sent, and answered where there is a body."""
        batch = self.batches.make(kind, persons)
        batch = self.batches.sent(batch, reference=f"r{batch.number}", next_at=batch.made_at)
        return batch if body is None else self.batches.answered(batch, body)

    def proposed(self, person: int, *, body: bytes | None = None) -> Exchange:
        """An exchange about a leerling that somebody began."""
        return self.exchanges.open(
            Entity.LEERLING, person, "soort", state="gevraagd", operator="jan", body=body
        )

    def fill(self, person: int) -> None:
        """Something encrypted in each of the three."""
        self.vault.write("soort", {person: b"waarde"})
        self.asked(person, body=b"antwoord")
        self.proposed(person, body=b"vorm")


def keeping(made: Bench, name: str = "s0", *, store: Store | None = None) -> Keeping:
    """The stores of a koppeling, with the tenant that it has now."""
    hub, row = made.hub, made.hub.koppeling(name)
    own: Any = {"cipher": partial(hub.cipher, row.tenant_id), "clock": hub.clock}
    place = store or hub.store
    return Keeping(
        StoreVault(place, tenant_id=row.tenant_id, system=SYSTEM, **own),
        StoreBatches(place, row, **own),
        Exchanges(place, row, **own),
    )
