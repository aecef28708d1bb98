"""Linking: what a configured koppeling gives its connector, and what production refuses first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from config.clock import Clock
from config.errors import ConfigurationError
from config.settings import Settings
from config.sources import Source
from connectors import registry as connector_registry
from connectors.base import Connector, DataClass, Inbox, Link, Manifest, Manners
from connectors.stores import Batches, People, Vault


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of the engine that a connector is handed; None where it declares no need."""

    inbox: Inbox | None = None
    vault: Vault | None = None
    batches: Batches | None = None
    people: People | None = None


NO_STORES: Final = Stores()


def connector(
    settings: Settings,
    source: Source,
    clock: Clock,
    *,
    stores: Stores = NO_STORES,
    manners: Manners | None = None,
) -> Connector:
    """The connector of a configured source, its secrets resolved.

    Args:
        settings: of the installation.
        source: the koppeling.
        clock: of the connector.
        stores: those that it needs.
        manners: how its system is spared, with all who ask it.

    Raises: ConfigurationError if the system is unknown, a setting misses, or a secret is not there.
    """
    factory = connector_registry.factory(source.system)
    _refuse_unacknowledged(settings, factory.manifest)
    _refuse_unagreed(settings, source, factory.manifest)
    link = link_of(settings, source, factory.manifest, stores=stores, manners=manners)
    return factory.connect(link, clock=clock)


def link_of(
    settings: Settings,
    source: Source,
    manifest: Manifest,
    *,
    stores: Stores = NO_STORES,
    manners: Manners | None = None,
) -> Link:
    """What the configuration gives a connector. Raises: ConfigurationError."""
    secret = {setting.name for setting in manifest.settings if setting.secret}
    return Link(
        name=source.name,
        options=source.resolve_options(secret=secret),
        resources=source.resources,
        timeout=settings.policy.limits.request_timeout,
        drop=dropped_fields(settings, source, manifest),
        inbox=stores.inbox,
        manners=manners,
        vault=stores.vault,
        batches=stores.batches,
        people=stores.people,
    )


def dropped_fields(settings: Settings, source: Source, manifest: Manifest) -> frozenset[str]:
    """The fields (`leerling.BSN`) that the configuration keeps out of the hub, as it stands now."""
    special = {
        f"{resource.name}.{name}"
        for resource in manifest.resources
        for name, data_class in resource.fields.items()
        if data_class is DataClass.SPECIAL
    }
    return settings.drop_for(source, special=special)


def _refuse_unacknowledged(settings: Settings, manifest: Manifest) -> None:
    """Production rests on no contract that nobody confirmed and nobody accepted."""
    missing = settings.unacknowledged(a.name for a in manifest.assumptions)
    if settings.production and missing:
        names = ", ".join(sorted(missing))
        raise ConfigurationError(
            f"{manifest.system}: these assumed contracts are not acknowledged: {names}",
            advice="Lees ze met `koppelhub assumptions` en neem ze op in `acknowledged`.",
        )


def _refuse_unagreed(settings: Settings, source: Source, manifest: Manifest) -> None:
    """In production no key of a school is used before it agreed."""
    has_key = any(setting.secret for setting in manifest.settings)
    if settings.production and has_key and source.agreement is None:
        raise ConfigurationError(
            f"source[{source.name}].agreement: nobody recorded that the school agreed",
            advice=f'Leg het vast: `koppelhub source agree {source.name} --basis "..." '
            '--purpose "..." --on JJJJ-MM-DD`.',
        )
