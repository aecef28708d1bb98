"""Who acts through an opened hub: a person with a role, or the system itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from config.operators import SYSTEM, Grant, Role
from config.settings import Settings


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and from where.

    Attributes:
        name: operating-system user or login; `system` where no person acts.
        role: the highest that he has; None for somebody whom the configuration does not know.
        tenants: names of the tenants that he may act for whole; None for all.
        origin: machine, terminal and network address; never anything of a pupil.
        schools: BRINs and vestigingsnummers that he may act for besides, of other tenants.
        grants: each of his roles with whom it is for; empty where he has one, for `tenants`.
    """

    name: str = SYSTEM
    role: Role | None = Role.ADMIN
    tenants: frozenset[str] | None = None
    origin: str = ""
    schools: frozenset[str] = frozenset()
    grants: tuple[Grant, ...] = ()

    @property
    def is_limited(self) -> bool:
        """Whether he may act for a part of some tenant only."""
        return self.tenants is not None and bool(self.schools)

    def may(self, least: Role | None) -> bool:
        """Whether he may do what needs at least that role somewhere; None is for everybody."""
        return least is None or (self.role is not None and self.role.includes(least))

    def acting(self, least: Role | None, *, whole: bool = False) -> Actor:
        """Himself as he does what needs at least that role: only for whom he has it.

        Args:
            least: the role; None is for everybody.
            whole: what he does concerns tenants whole, and no school alone.
        """
        if not self.grants:
            return replace(self, schools=frozenset()) if whole and self.schools else self
        enough = [g for g in self.grants if least is None or g.role.includes(least)]
        if whole:
            enough = [grant for grant in enough if grant.schools is None]
        role, tenants, schools = _reach(enough)
        return replace(self, role=role, tenants=tenants, schools=schools)

    def unlimited(self) -> Actor:
        """The system in his name: what carries out what he was allowed to ask."""
        return Actor(self.name, Role.ADMIN, None, self.origin)


def _reach(
    grants: Sequence[Grant],
) -> tuple[Role | None, frozenset[str] | None, frozenset[str]]:
    """Role, tenants and schools of some grants together; nobody and nothing where there is none."""
    role = max((grant.role for grant in grants), key=list(Role).index, default=None)
    if any(grant.tenants is None and grant.schools is None for grant in grants):
        return role, None, frozenset()
    tenants = {name for grant in grants for name in grant.tenants or ()}
    schools = {number for grant in grants for number in grant.schools or ()}
    return role, frozenset(tenants), frozenset(schools)


def actor_of(settings: Settings, name: str, *, origin: str) -> Actor:
    """A person at the keyboard, with the roles that the configuration gives him."""
    if not settings.operator and not settings.production:
        return Actor(name, Role.ADMIN, None, origin)
    return named_actor(settings, name, origin=origin)


def named_actor(settings: Settings, name: str, *, origin: str) -> Actor:
    """A person who comes in from elsewhere: who is not named may nothing, and for nobody."""
    for operator in settings.operator:
        if operator.name == name:
            nothing = Actor(name, None, frozenset(), origin, grants=operator.grants)
            return nothing.acting(None)
    return Actor(name, None, frozenset(), origin)
