"""The inbox, as the command line serves and shows it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from config.errors import ConfigurationError
from config.sources import Source
from connectors import registry
from connectors.base import Keeps
from connectors.called import Endpoint
from console.output import Output
from sync_engine.hub import Hub
from sync_engine.inbox import InboxState, inbox_state, stray_state
from sync_engine.linking import link_of
from web.app import application
from web.server import Address, listen, server


def endpoints(hub: Hub, name: str | None) -> dict[str, Endpoint]:
    """Koppeling → what answers its calls.

    Raises: ConfigurationError if the named one is not called by anybody, or has no token; or if no
        koppeling at all is called.
    """
    sources = [hub.settings.find_source(name)] if name else list(hub.settings.source)
    found: dict[str, Endpoint] = {}
    for source in sources:
        made = endpoint(hub, source, named=name is not None)
        if made is not None:
            found[source.name] = made
    if not found:
        raise ConfigurationError(
            "no koppeling is called over HTTP",
            advice="Geef een koppeling van systeem kern een token (docs/kern.md).",
        )
    return found


def endpoint(hub: Hub, source: Source, *, named: bool = False) -> Endpoint | None:
    """What answers the calls of a koppeling; None where nobody calls it.

    Args:
        hub: of the koppeling.
        source: the koppeling.
        named: a person named it: without a token it is no koppeling to leave out, but a mistake.

    Raises: ConfigurationError if a setting misses or a secret is not there.
    """
    factory = registry.factory(source.system)
    make = getattr(factory, "endpoint", None)
    if make is None:
        return None
    stores = hub.stores(source, factory.manifest.keeps)
    link = link_of(hub.settings, source, factory.manifest, stores=stores)
    if not named and not link.options.get("token"):
        return None  # it is filled through the table view only
    made: Endpoint = make(link)
    return made


def serve(out: Output, hub: Hub, name: str | None, address: Address) -> None:
    """Answer calls until interrupted."""
    answering = endpoints(hub, name)
    running = server(application(answering), address)
    with listen(address) as listening:
        host, port = listening.getsockname()[:2]
        where = f"[{host}]" if ":" in host else host
        for koppeling in sorted(answering):
            out.line(f"{address.scheme}://{where}:{port}/v1/inbox/{koppeling}")
        with suppress(KeyboardInterrupt):  # that is how it ends
            running.run(sockets=[listening])
    out.line("De inbox is gestopt.")


def look(hub: Hub, name: str | None, *, limit: int) -> list[InboxState]:
    """The state of one inbox, or of all and what goes to none. Raises: ConfigurationError."""
    names = [name] if name else [source.name for source in hub.settings.source]
    found = []
    with hub.store.work() as work:
        for one in names:
            system = hub.settings.find_source(one).system
            if Keeps.INBOX in registry.factory(system).manifest.keeps:
                found.append(inbox_state(work, hub.koppeling(one), limit=limit))
        if name is None and not hub.actor.is_limited:  # whose they are nobody knows
            strays = stray_state(work, [state.koppeling for state in found], limit=limit)
            if strays.waiting or strays.refused:
                found.append(strays)
    return found


def show(out: Output, states: Sequence[InboxState]) -> None:
    """Per koppeling what came in and what was refused."""
    if out.data(states):
        return
    if not states:
        out.line("Geen enkele koppeling heeft een inbox.")
    for state in states:
        newest = out.moment(state.newest_at) or "nooit"
        out.title(state.koppeling or "Rijen zonder koppeling die hier een inbox heeft")
        if state.koppeling:
            out.line(f"berichten: {state.messages}, laatste: {newest}")
            out.line(f"records: {state.claims}, verwijderd: {state.gone}")
        out.line(f"wachten in kern_inbox: {state.waiting}, geweigerd: {len(state.refused)}")
        out.table(("rij", "bericht", "resource", "fout"), state.refused)
        if state.refused:
            out.line("Verwijder deze rijen uit kern_inbox en stuur de berichten verbeterd opnieuw.")
