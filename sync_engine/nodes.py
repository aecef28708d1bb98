"""Nodes: source records as correlation sees them, their links and their exact keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from mappings.canonical.fields import Entity
from mappings.canonical.schema import fields_of
from mappings.normalise import match_form
from sync_engine.context import Context, chunks
from sync_engine.fold import Json
from sync_engine.renumbering import HERINRICHTING, NUMBERED

OBTAINED = "eck_verkregen"
"""Kind of the key of an ECK iD that the hub obtained: it is that of one that is delivered."""
_SAME_INDEX = {OBTAINED: "eck_id"}

KEY_COLUMNS = ("digest", "koppeling_id", "source_key", "entity", "kind", "core_id")


class Node(msgspec.Struct, frozen=True):
    """One pending source record: its received form, its link, its place in `w_pending`.

    `issuer` is the koppeling that issued its numbers.
    """

    source_key: str
    form: Mapping[str, Json]
    gone: bool
    core_id: int | None
    place: int
    issuer: int


# Reference fields that exact keys and required references look at.
KEYED: dict[Entity, tuple[str, ...]] = {
    Entity.GROEP: ("vestiging",),
    Entity.VAK: ("vestiging",),
    Entity.OPLEIDING: ("vestiging",),
    Entity.INSCHRIJVING: ("leerling", "vestiging", "opleiding"),
    Entity.VERZORGER_RELATIE: ("verzorger", "leerling"),
    Entity.ADVIES: ("leerling",),
    Entity.UITSTROOM: ("leerling",),
    Entity.TOETSRESULTAAT: ("leerling",),
}


WITH_KEYS = frozenset(
    {
        *(Entity.LEERLING, Entity.MEDEWERKER, Entity.INSTELLING, Entity.VESTIGING, Entity.VAK),
        *(Entity.OPLEIDING, Entity.GROEP, Entity.INSCHRIJVING, Entity.VERZORGER_RELATIE),
    }
)
"""Entities whose records have exact keys."""


def exact_keys(
    entity: Entity,
    node: Node,
    issuer: int,
    resolved: Mapping[tuple[str, str], int | None],
) -> list[tuple[str, tuple[str, ...]]]:
    """(kind, parts) of every exact key that a record has; design.md, Correlation."""

    def text(name: str) -> str | None:
        value = node.form.get(name)
        return None if value is None else str(value)

    def obtained() -> str | None:
        value = node.form.get(OBTAINED)
        found = str(value["waarde"]) if isinstance(value, dict) else None
        return None if found == text("eck_id") else found

    def core(name: str) -> str | None:
        found = resolved.get((node.source_key, name))
        return None if found is None else str(found)

    wanted = _wanted_keys(entity, text, core, own=str(issuer))
    if OBTAINED in node.form:
        wanted = [*wanted, (OBTAINED, (obtained(),))]
    return [(kind, tuple(part for part in parts if part)) for kind, parts in wanted if all(parts)]


def _wanted_keys(
    entity: Entity,
    text: Callable[[str], str | None],
    core: Callable[[str], str | None],
    *,
    own: str,
) -> Sequence[tuple[str, tuple[str | None, ...]]]:
    """(kind, parts) of the keys that records of an entity may have; a key needs all its parts."""
    match entity:
        case Entity.LEERLING:
            number = (own, text("leerlingnummer"), text("geboortedatum"))
            people = [(kind, (text(kind),)) for kind in ("bsn", "onderwijsnummer", "eck_id")]
            return [*people, ("leerlingnummer", number)]
        case Entity.MEDEWERKER:
            return [
                ("eck_id", (text("eck_id"),)),
                ("personeelsnummer", (own, text("personeelsnummer"))),
            ]
        case Entity.INSTELLING:
            return [("brin", (text("brin"),))]
        case Entity.VESTIGING:
            return [("vestigingsnummer", (text("vestigingsnummer"),))]
        case Entity.VAK | Entity.OPLEIDING:
            code = text("code")
            if code:
                return [("code", (code,))]
            return [("afkorting", (core("vestiging"), text("afkorting")))]
        case Entity.GROEP:
            name = text("naam")
            parts = (
                core("vestiging"),
                text("schooljaar"),
                text("soort"),
                name and match_form(name),
            )
            return [("groep", parts)]
        case Entity.INSCHRIJVING:
            place = (core("leerling"), core("vestiging"))
            return [
                ("inschrijving", (*place, core("opleiding"))),
                # two systems hardly ever name one opleiding alike
                ("plaatsing", (*place, text("schooljaar"))),
            ]
        case Entity.VERZORGER_RELATIE:
            return [("relatie", (core("verzorger"), core("leerling")))]
        case _:
            return []


def digests_of(
    context: Context,
    entity: Entity,
    node: Node,
    resolved: Mapping[tuple[str, str], int | None],
) -> list[tuple[bytes, str]]:
    """(digest, kind) of every exact key that a record has."""
    index = context.cipher.index
    return [
        (index(name, *parts), kind)
        for name, parts, kind in named_keys(context, entity, node, resolved)
    ]


def named_keys(
    context: Context,
    entity: Entity,
    node: Node,
    resolved: Mapping[tuple[str, str], int | None],
) -> list[tuple[str, tuple[str, ...], str]]:
    """(name of its index, parts, kind) of every exact key that a record has.

    The number of a school that changes is a key under each of its names.
    """
    renumbering = context.renumbering
    found: list[tuple[str, tuple[str, ...], str]] = []
    for kind, parts in exact_keys(entity, node, node.issuer, resolved):
        if kind == NUMBERED.get(entity) and renumbering.knows(parts[0]):
            others = [name for name in renumbering.names(parts[0]) if name != parts[0]]
            found += [(f"{entity}/{kind}", (name,), HERINRICHTING) for name in others]
        found.append((f"{entity}/{_SAME_INDEX.get(kind, kind)}", parts, kind))
    return found


def lookup_links(
    context: Context, target: Entity, keys: Sequence[str], *, koppeling_id: int | None = None
) -> dict[str, int]:
    """Source key → core id for those that are linked, those of this run included."""
    work = context.work
    found: dict[str, int] = {}
    for part in chunks(keys):
        for table in ("link", "w_link"):
            rows = work.execute(
                f"SELECT source_key, core_id FROM {table} WHERE koppeling_id = ? AND entity = ? "
                f"AND {work.many('source_key')}",
                (koppeling_id or context.koppeling.id, str(target), work.values(part)),
            )
            found.update((row[0], row[1]) for row in rows)
    if context.turned:
        for (key,) in work.execute(
            "SELECT source_key FROM w_unlinked WHERE koppeling_id = ? AND entity = ?",
            (koppeling_id or context.koppeling.id, str(target)),
        ):
            found.pop(key, None)
    return found


def load_nodes(
    context: Context, entity: Entity, keys: Sequence[str], places: Mapping[str, int] | None = None
) -> list[Node]:
    """The records of these keys: one node each, its received forms of all scopes laid together.

    Args:
        context: of the run.
        entity: of them all.
        keys: the source's.
        places: source key → where it stands among what is pending; not known without.
    """
    places = places or {}
    work = context.work
    rows = work.execute(
        "SELECT source_key, id, received, received_gone, salt, scope_id, CASE WHEN refused_run "
        "IS NULL THEN 0 WHEN accepted_fp IS NULL THEN 1 ELSE 2 END, accepted, accepted_gone "
        "FROM v_shadow "
        f"WHERE koppeling_id = ? AND entity = ? AND {work.many('source_key')}",
        (context.koppeling.id, str(entity), work.values(keys)),
    )
    core = lookup_links(context, entity, keys)
    rank = _ranks(context)
    # the live and current form comes last, and is believed
    rows.sort(key=lambda row: (row[0], bool(row[3]), rank.get(row[5], (True, 9, ""))), reverse=True)
    forms: dict[str, dict[str, Json]] = {}
    gone: dict[str, bool] = {}
    issuer: dict[str, int] = {}
    for key, number, received, is_gone, salt, scope_id, refused, accepted, was_gone in rows:
        blob = received
        if refused:  # what was refused tells nobody apart; what was accepted does
            if refused == 1:
                continue
            blob, is_gone = accepted or received, was_gone
        person = context.cipher.person(salt)
        form = _decode(person.decrypt(blob, b"shadow|%d" % number))
        _lay(forms, key, form)
        gone[key] = gone.get(key, True) and bool(is_gone)
        issuer[key] = context.issuer(scope_id)
    return [
        Node(key, form, gone[key], core.get(key), places.get(key, 0), issuer[key])
        for key, form in forms.items()
    ]


_decode = msgspec.json.Decoder().decode


def _lay(forms: dict[str, dict[str, Json]], key: str, form: dict[str, Json]) -> None:
    """Lay a form over those of the same record that are believed less."""
    known = forms.setdefault(key, form)
    if known is not form:
        known.update({n: v for n, v in form.items() if v is not None or n not in known})


def keys_of(
    context: Context, entity: Entity, keys: Sequence[str], koppeling_id: int
) -> list[tuple[object, ...]]:
    """Rows of `w_key` for linked records of any koppeling, by their accepted forms.

    What a turn lays over forms and links counts (turn.py).
    """
    core = lookup_links(context, entity, keys, koppeling_id=koppeling_id)
    issuers: dict[str, int] = {}
    forms = accepted_forms(context, entity, keys, koppeling_id, issuers=issuers)
    nodes = [Node(key, form, False, core.get(key), 0, issuers[key]) for key, form in forms.items()]
    resolved = resolved_references(context, entity, nodes, koppeling_id)
    return [
        (digest, koppeling_id, node.source_key, str(entity), kind, node.core_id)
        for node in nodes
        if node.core_id is not None
        for digest, kind in digests_of(context, entity, node, resolved)
    ]


def accepted_forms(
    context: Context,
    entity: Entity,
    keys: Sequence[str],
    koppeling_id: int,
    *,
    issuers: dict[str, int] | None = None,
) -> dict[str, dict[str, Json]]:
    """Source key → what the core may use of it, the scopes laid together.

    What a turn lays over forms counts (turn.py). `issuers` takes who issued the numbers of each.
    """
    work = context.work
    issuers = {} if issuers is None else issuers
    rows = work.execute(
        "SELECT s.source_key, s.id, s.scope_id, s.salt, CASE WHEN r.shadow_id IS NULL "
        "THEN s.accepted_gone ELSE r.gone END, CASE WHEN r.shadow_id IS NULL "
        "THEN COALESCE(s.accepted, s.received) ELSE r.form END "
        "FROM v_shadow s LEFT JOIN w_restore r ON r.shadow_id = s.id "
        f"WHERE s.koppeling_id = ? AND s.entity = ? AND {work.many('s.source_key')} "
        "AND (r.former_fp IS NOT NULL OR (r.shadow_id IS NULL AND s.accepted_fp IS NOT NULL))",
        (koppeling_id, str(entity), work.values(keys)),
    )
    rank = _ranks(context)
    rows.sort(key=lambda row: (row[0], bool(row[4]), rank.get(row[2], (True, 9, ""))), reverse=True)
    forms: dict[str, dict[str, Json]] = {}
    for key, number, scope_id, salt, _, blob in rows:
        if salt is not None:
            plain = context.cipher.person(salt).decrypt(blob, b"shadow|%d" % number)
            _lay(forms, key, _decode(plain))
            issuers[key] = context.issuer(scope_id)
    return forms


def _ranks(context: Context) -> dict[int, tuple[bool, int, str]]:
    """Scope → how far from the front it stands; what was adopted is believed least."""
    return {
        scope_id: (scope_id in context.adopted_scopes, context.rank(scope_id), scope.key)
        for scope_id, scope in context.scopes.items()
    }


def resolved_references(
    context: Context, entity: Entity, nodes: Sequence[Node], koppeling_id: int
) -> dict[tuple[str, str], int | None]:
    """(source key, field) → core id of every reference that a key or a rule needs."""
    found: dict[tuple[str, str], int | None] = {}
    for name, description in fields_of(entity).items():
        if description.target is None or name not in KEYED.get(entity, ()):
            continue
        wanted = {str(node.form[name]): None for node in nodes if node.form.get(name) is not None}
        links = lookup_links(context, description.target, list(wanted), koppeling_id=koppeling_id)
        for node in nodes:
            value = node.form.get(name)
            found[node.source_key, name] = None if value is None else links.get(str(value))
    return found
