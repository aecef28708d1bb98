"""Which part of an installation a person asks about: koppelingen, and the scopes of one school."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from config.errors import ConfigurationError
from config.nearest import choice
from sync_engine.hub import Hub
from sync_engine.store.work import Work


@dataclass(frozen=True, slots=True)
class Selection:
    """What was chosen.

    Attributes:
        koppelingen: id → name.
        scopes: of those koppelingen; None for all of them.
    """

    koppelingen: dict[int, str]
    scopes: list[int] | None = None

    @property
    def names(self) -> list[str]:
        """Names of the koppelingen."""
        return list(self.koppelingen.values())

    def of_scope(self, work: Work, column: str) -> tuple[str, list[object]]:
        """Condition that a scope is one of those chosen, with its parameters."""
        if self.scopes is None:
            return "true", []
        return work.many(column), [work.values(self.scopes)]


def select(hub: Hub, work: Work, *, source: str | None, school: str | None) -> Selection:
    """What a person chose, of what the actor may see.

    Args:
        hub: the installation.
        work: of the hub.
        source: name of a koppeling, now or in the past; None for all.
        school: BRIN or vestigingsnummer; None for all. A scope that says of no school that it is
            of it is of all.

    Raises: ConfigurationError for a name or number that is not known; it names the nearest.
    """
    chosen = koppelingen_of(hub, work, only=source)
    if school is None:
        return Selection(chosen)
    serving = {found.name for found in hub.sources_of(school)}
    chosen = {number: name for number, name in chosen.items() if name in serving}
    wanted = school.strip().upper()
    names = hub.names_of(wanted)
    numbers = {
        scope_id: msgspec.json.decode(listed, type=list[str])
        for scope_id, listed in work.execute(
            # those too that he shares with other schools: of what stands there he sees his own
            f"SELECT id, brins FROM {work.real('scope')} WHERE {work.many('koppeling_id')}",
            (work.values(list(chosen)),),
        )
    }
    known = list(dict.fromkeys(brin for brins in numbers.values() for brin in brins))
    if known and not any(brin.startswith(names) for brin in known):
        message = f"nothing was ever read of school {wanted}"
        raise ConfigurationError(message, advice=choice(wanted, _told(work, chosen)))
    mine = (
        scope_id
        for scope_id, brins in numbers.items()
        if not brins or any(brin.startswith(names) for brin in brins)
    )
    return Selection(chosen, list(mine))


def _told(work: Work, chosen: dict[int, str]) -> list[str]:
    """The schools of the scopes that the actor sees."""
    rows = work.execute(
        f"SELECT brins FROM scope WHERE {work.many('koppeling_id')}",
        (work.values(list(chosen)),),
    )
    told = [brin for (listed,) in rows for brin in msgspec.json.decode(listed, type=list[str])]
    return list(dict.fromkeys(told))


def koppelingen_of(hub: Hub, work: Work, *, only: str | None = None) -> dict[int, str]:
    """Id → name of the koppelingen that the actor may see, those of the past included.

    Raises: ConfigurationError if `only` names none of them; it names the nearest.
    """
    mine: dict[int, str] = dict(
        work.execute(
            f"SELECT id, name FROM koppeling WHERE {work.many('tenant_id')} ORDER BY name",
            (work.values(list(hub.tenants(work))),),
        )
    )
    if only is None:
        return mine
    chosen = {number: name for number, name in mine.items() if name == only}
    if not chosen:
        message = f"there is no source {only!r}"
        raise ConfigurationError(message, advice=choice(only, mine.values()))
    return chosen
