"""Who acts through an opened hub: a person with a role, or the system itself."""

from __future__ import annotations

from dataclasses import dataclass

from config.operators import SYSTEM, Role
from config.settings import Settings


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and from where.

    Attributes:
        name: operating-system user or login; `system` where no person acts.
        role: None for somebody whom the configuration does not know.
        tenants: names of the tenants that he may act for; None for all.
        origin: machine, terminal and network address; never anything of a pupil.
    """

    name: str = SYSTEM
    role: Role | None = Role.ADMIN
    tenants: frozenset[str] | None = None
    origin: str = ""

    def may(self, least: Role | None) -> bool:
        """Whether he may do what needs at least that role; None is for everybody."""
        return least is None or (self.role is not None and self.role.includes(least))


def actor_of(settings: Settings, name: str, *, origin: str) -> Actor:
    """A person at the keyboard, with the role that the configuration gives him."""
    if not settings.operator and not settings.production:
        return Actor(name, Role.ADMIN, None, origin)
    return named_actor(settings, name, origin=origin)


def named_actor(settings: Settings, name: str, *, origin: str) -> Actor:
    """A person who comes in from elsewhere: who is not named may nothing, and for nobody."""
    for operator in settings.operator:
        if operator.name == name:
            tenants = None if operator.tenants is None else frozenset(operator.tenants)
            return Actor(name, operator.role, tenants, origin)
    return Actor(name, None, frozenset(), origin)
