"""A new master key: in the key file, known to the database, and every tenant's key under it.

Killed anywhere, the next call ends it: a key that the file has and the database does not know yet
is recorded, not made again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Final

from config.clock import Clock
from config.keyring import Keyring
from config.settings import Settings
from sync_engine.actor import Actor
from sync_engine.audit import note
from sync_engine.errors import RunActiveError
from sync_engine.hub import Hub
from sync_engine.linking import connector
from sync_engine.schedule.heartbeat import processes
from sync_engine.store.engine import Store
from sync_engine.store.keys import record_keys, rewrap_tenant_keys, verify_keys
from sync_engine.store.locks import lease

_STOP: Final = (
    "Stop `koppelhub serve`, elke worker en elke lopende run, en wacht tot zij een halve minuut "
    "niets meer lieten horen: wie het oude sleutelbestand las, kan na deze opdracht niets meer "
    "openen. Weet u zeker dat er niets draait, geef dan --force."
)


@dataclass(frozen=True, slots=True)
class MasterReport:
    """What `keys master` did.

    Attributes:
        active: id of the master key that tenant keys are wrapped under now.
        made: whether this call made it.
        rewrapped: tenant keys that were wrapped anew.
    """

    active: str
    made: bool
    rewrapped: int


def renew_master(
    settings: Settings, clock: Clock, *, actor: Actor, force: bool = False
) -> MasterReport:
    """Make a new master key and wrap every tenant's key under it, or end what was broken off.

    The older master keys stay in the file: backups of the database need them.

    Args:
        settings: of the installation.
        clock: the time.
        actor: who says so.
        force: he knows that no other process lives, whatever is seen of them.

    Raises: ConfigurationError if the key file cannot be read or written; StoreError if the database
        cannot be reached or belongs to other keys; RunActiveError while another process is seen to
        live: nothing was changed then.
    """
    keyring = Keyring.load(settings.keys.file)
    with closing(Store.open(settings.database.resolve())) as store, ExitStack() as held:
        if not force:
            held.enter_context(_alone(store, settings, clock))
        with store.work() as work:
            known = {row[0] for row in work.execute("SELECT master_id FROM key_check")}
        made = keyring.active_id in known
        if made:
            verify_keys(store, keyring)
            keyring = keyring.rotate()
        record_keys(store, keyring, now=clock.now())
        rewrapped = rewrap_tenant_keys(store, keyring)
        hub = Hub(
            settings,
            store,
            keyring,
            clock,
            lambda source, c: connector(settings, source, c),
            actor=actor,
        )
        with store.work() as work:
            note(
                hub,
                work,
                operator=actor.name,
                action="keys master",
                subject=f"key {keyring.active_id}",
                why=f"{rewrapped} tenant keys{', forced' if force else ''}",
            )
    return MasterReport(keyring.active_id, made, rewrapped)


@contextmanager
def _alone(store: Store, settings: Settings, clock: Clock) -> Iterator[None]:
    """No process is seen that read the key file; on SQLite none can begin to serve meanwhile.

    Raises: RunActiveError, which says what is seen.
    """
    silent = clock.now() - settings.scheduling.stalled_after
    with store.work() as work:
        living = [process.label for process in processes(work) if process.at >= silent]
        running = work.execute(
            "SELECT DISTINCT k.id, k.name FROM run r JOIN koppeling k ON k.id = r.koppeling_id "
            "WHERE r.state = 'running' ORDER BY k.id"
        )
    if living:
        raise RunActiveError(f"processes live: {', '.join(living)}", advice=_STOP)
    for number, name in running:  # a run that was killed holds no lease any more
        try:
            with lease(store, f"koppeling-{number}", clock=clock):
                pass
        except RunActiveError:
            raise RunActiveError(f"a run of {name} is under way", advice=_STOP) from None
    with ExitStack() as held:
        if store.path is not None:
            try:
                held.enter_context(lease(store, "serve", clock=clock))
            except RunActiveError:
                raise RunActiveError("a process serves this database", advice=_STOP) from None
        yield
