"""Schools of two boards in memory, of which one goes to the other board."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlmodel import SQLModel

from config.herinrichting import AnnouncedHerinrichting
from config.settings import Settings
from mappings.canonical.fields import Entity
from sync_engine.outcome import RunReport
from sync_engine.project import references
from sync_engine.sealed import sealed_columns
from sync_engine.store.engine import Store
from sync_engine.transfer import move
from sync_engine.transfer.move import TransferReport
from tests.support.adding import AddingMapping
from tests.support.hubs import Bench, bench
from tests.support.memory import MemorySource
from tests.support.reorganised import WHOLE, YEAR

OLD, NEW = "oud", "nieuw"
_CONFIGURATION = """
[database]
url = "sqlite:///unused.db"
[keys]
file = "keys.json"
[[tenant]]
name = "oud"
title = "Oud bestuur"
[[tenant.school]]
brin = "99XX"
name = "School"
[[tenant]]
name = "nieuw"
title = "Nieuw bestuur"
[[tenant.school]]
brin = "99YY"
name = "Andere school"
[[tenant.school]]
brin = "99XX"
name = "School"
"""


def configuration(
    tenants: Mapping[str, str],
    *moves: str,
    vestigingen: Mapping[str, str] | None = None,
    sources: Mapping[str, MemorySource] | None = None,
) -> str:
    """Koppeling → its tenant; `moves` are what is announced."""
    only, systems = vestigingen or {}, {n: s.system for n, s in (sources or {}).items()}
    listed = "".join(
        f'[[source]]\nname = "{name}"\nsystem = "{systems.get(name, "memory")}"\n'
        f'tenant = "{tenant}"\n' + (f'vestigingen = ["{only[name]}"]\n' if name in only else "")
        for name, tenant in tenants.items()
    )
    return _CONFIGURATION + listed + "".join(moves)


def announced(
    *koppelingen: str,
    old: str = OLD,
    new: str = NEW,
    name: str = "overgang",
    on: str = "2026-10-01",
) -> str:
    """The configuration of one transfer."""
    listed = ", ".join(f'"{koppeling}"' for koppeling in koppelingen)
    return (
        f'[[herinrichting]]\nname = "{name}"\ntenant = "{old}"\nnaar = "{new}"\non = {on}\n'
        f"koppelingen = [{listed}]\n"
    )


class Boards:
    """Two boards over one database.

    Args:
        made: the bench.
        tenants: koppeling → the tenant that it is of.
    """

    def __init__(self, made: Bench, folder: Path, tenants: Mapping[str, str]) -> None:
        self.made, self.folder, self.tenants = made, folder, dict(tenants)
        self.vestigingen: dict[str, str] = {}

    def configure(self, *moves: str) -> None:
        """What ops writes into the configuration file; the hub is opened anew."""
        path = self.folder / "koppelhub.toml"
        told = configuration(
            self.tenants, *moves, vestigingen=self.vestigingen, sources=self.made.sources
        )
        path.write_text(told, encoding="utf-8")
        policy = self.made.hub.settings.policy
        settings = Settings.load(path, env={}).model_copy(update={"policy": policy})
        self.made.hub = replace(self.made.hub, settings=settings)
        self.made.hub.mirror()

    def announce(self, *koppelingen: str, **options: str) -> AnnouncedHerinrichting:
        """Announce a transfer; what it is."""
        self.configure(announced(*koppelingen, **options))
        return self.made.hub.settings.herinrichting[0]

    def move(self, *koppelingen: str, old: str = OLD, new: str = NEW) -> TransferReport:
        """Announce, apply, and change the configuration."""
        told = self.announce(*koppelingen, old=old, new=new)
        report = move.transfer(self.made.hub, told, operator="jan", why="per augustus")
        self.tenants |= dict.fromkeys(koppelingen, new)
        self.configure()
        return report

    def nights(self, *names: str, rounds: int = 2) -> list[RunReport]:
        """Run every koppeling that is named, or all, every night; what each run said."""
        found = []
        for _ in range(rounds):
            self.made.later(24)
            for name in names or tuple(self.tenants):
                report = self.made.sync(name)
                assert report.error == "", report.error
                found.append(report)
        return found

    def tenant(self, name: str) -> int:
        """Its number."""
        return int(self.made.query("SELECT id FROM tenant WHERE name = ?", name)[0][0])


@contextmanager
def boards(
    store: Store, folder: Path, tenants: Mapping[str, str], sources: Mapping[str, MemorySource]
) -> Iterator[Boards]:
    """Both boards, with nothing read yet."""
    told = configuration(tenants, sources=sources)
    made = bench(store, folder, sources=sources, configuration=told, mappings=[AddingMapping()])
    made.policy(guards=WHOLE)
    try:
        yield Boards(made, folder, tenants)
    finally:
        made.close()


def eck(number: int) -> str:
    """An ECK iD."""
    return f"https://ketenid.nl/201703/{number:0128x}"


def fill(
    source: MemorySource,
    name: str,
    *,
    vestiging: str,
    pupils: Mapping[str, int | None],
    staff: Mapping[str, int | None],
    scope: str = "hoofd",
    code: str = "0211",
    above: str = "",
) -> None:
    """One vestiging with a klas, its pupils and their parents, and who teaches them.

    Args:
        source: gets it.
        name: what keys begin with.
        vestiging: its number.
        above: the scope that tells of instelling and vestiging; the same without.
        pupils: key → number of the ECK iD, where he has one.
        staff: the same.
        scope: of the source.
        code: of the opleiding.
    """
    put = source.put
    above = above or scope
    numbers = (*source.brins.get(above, ()), vestiging, vestiging[:4])
    source.brins[scope] = (vestiging, vestiging[:4])
    source.brins[above] = tuple(dict.fromkeys(numbers))
    put(Entity.INSTELLING, "school", above, naam="School", brin=vestiging[:4])
    put(
        Entity.VESTIGING,
        f"{name} v",
        above,
        naam=name,
        vestigingsnummer=vestiging,
        instelling="school",
    )
    put(Entity.OPLEIDING, f"{name} o", scope, naam="vmbo", code=code, vestiging=f"{name} v")
    put(Entity.VAK, f"{name} w", scope, naam="Wis", afkorting="wi", vestiging=f"{name} v")
    for place, (key, known) in enumerate(staff.items()):
        given: dict[str, Any] = {} if known is None else {"eck_id": eck(900 + known)}
        put(
            Entity.MEDEWERKER,
            key,
            scope,
            achternaam=f"Smit {key}",
            personeelsnummer=f"{name}{place}",
            hoofdvestiging=f"{name} v",
            **given,
        )
    for place, (key, known) in enumerate(pupils.items()):
        given = {} if known is None else {"eck_id": eck(known)}
        put(
            Entity.LEERLING,
            key,
            scope,
            achternaam=f"Jansen {key}",
            roepnaam=f"Kind {key}",
            geboortedatum=f"2013-01-{place + 1:02d}",
            leerlingnummer=f"{vestiging[-2:]}{place:02d}",
            adres={"postcode": f"12{place:02d}AB", "huisnummer": "1"},
            email=f"{key.replace(' ', '')}@leerling.example",
            **given,
        )
        parent = f"ouder {key}"
        put(
            Entity.VERZORGER,
            parent,
            scope,
            achternaam=f"Jansen {key}",
            email=f"{key.replace(' ', '')}@ouder.example",
        )
        put(Entity.VERZORGER_RELATIE, f"r {key}", scope, verzorger=parent, leerling=key)
        put(
            Entity.INSCHRIJVING,
            f"{name} i {key}",
            scope,
            leerling=key,
            vestiging=f"{name} v",
            opleiding=f"{name} o",
            stamgroep=f"{name} g",
            schooljaar=YEAR,
            geldig_van="2026-08-01",
            geldig_tot="2027-08-01",
            mentor=next(iter(staff), None),
        )
    put(
        Entity.GROEP,
        f"{name} g",
        scope,
        naam="1A",
        soort="stamgroep",
        schooljaar=YEAR,
        vestiging=f"{name} v",
        leerlingen=list(pupils),
        docenten=list(staff),
    )


# -- what must hold --------------------------------------------------------------------------------


def core(made: Bench, tenant: int) -> dict[str, list[Any]]:
    """The core of one tenant, by the hub's numbers, without who wrote it last."""
    found: dict[str, list[Any]] = {}
    for entity in Entity:
        names = [
            c.name
            for c in SQLModel.metadata.tables[str(entity)].columns
            if c.name not in {"tenant_id", "run_id"}
        ]
        found[str(entity)] = made.query(
            f"SELECT {', '.join(names)} FROM {entity} WHERE tenant_id = ? ORDER BY id", tenant
        )
    found["groepsdeelname"] = made.query(
        "SELECT d.groep_id, d.rol, d.persoon_id, d.geldig_van, d.geldig_tot, d.beeindigd "
        "FROM groepsdeelname d JOIN groep g ON g.id = d.groep_id WHERE g.tenant_id = ? "
        "ORDER BY 1, 2, 3, 4",
        tenant,
    )
    mine = " UNION ALL ".join(f"SELECT id FROM {e} WHERE tenant_id = {tenant:d}" for e in Entity)
    for table in ("contactgegeven", "adres"):
        found[table] = [
            row[:-1]
            for row in made.query(
                f"SELECT * FROM {table} WHERE eigenaar_id IN ({mine}) ORDER BY eigenaar_id, soort"
            )
        ]
    cipher = made.hub.cipher(tenant)
    found["identificatie"] = [
        (
            owner,
            kind,
            issuer,
            cipher.person(salt).decrypt(blob, b"identificatie|%d|%s" % (owner, kind.encode())),
            bytes(index)
            == cipher.index(
                f"identificatie/{kind}",
                str(issuer),
                cipher.person(salt)
                .decrypt(blob, b"identificatie|%d|%s" % (owner, kind.encode()))
                .decode(),
            ),
        )
        for owner, kind, issuer, blob, index, salt in made.query(
            "SELECT i.eigenaar_id, i.soort, i.uitgever, i.waarde, i.blindindex, s.salt "
            "FROM identificatie i JOIN core_salt s ON s.core_id = i.eigenaar_id "
            f"WHERE i.eigenaar_id IN ({mine}) ORDER BY 1, 2, 3"
        )
    ]
    return found


OWNERS = {
    "tenant_id": "t.tenant_id",
    "koppeling_id": "(SELECT k.tenant_id FROM koppeling k WHERE k.id = t.koppeling_id)",
    "scope_id": "(SELECT k.tenant_id FROM scope p JOIN koppeling k ON k.id = p.koppeling_id "
    "WHERE p.id = t.scope_id)",
    "plan_id": "(SELECT p.tenant_id FROM plan p WHERE p.id = t.plan_id)",
    "from_tenant": "t.to_tenant",
}
"""Column → the tenant of a row that has it."""
OF_NO_TENANT = frozenset(
    {
        # parts of what has one, held to it by `sound`
        *("adres", "alias", "contactgegeven", "core_salt", "counterpart", "former_form"),
        *("former_member", "groepsdeelname", "identificatie", "raw_payload", "reading"),
        *("shadow_form", "zaak_notitie", "source_cursor", "batch_person"),
        # of the installation
        *("audit", "audit_anchor", "id_block", "incident", "kern_inbox", "key_check"),
        *("known_expiry", "notification", "process_heartbeat", "shared_state", "tenant"),
    }
)


def held_by(made: Bench, tenant: int) -> set[tuple[str, int]]:
    """(table, core id) of everything that rows of a tenant or of its koppelingen name.

    A table of which nobody said whose its rows are fails here.
    """
    found: set[tuple[str, int]] = set()
    for name, table in SQLModel.metadata.tables.items():
        columns = [column.name for column in table.columns]
        owner = next((OWNERS[c] for c in OWNERS if c in columns), None)
        if owner is None:
            accounts = name.startswith(("account", "session", "sign", "token", "login", "web_"))
            assert name in OF_NO_TENANT or accounts, name
            continue
        named = [c for c in columns if c == "core_id" or (name in set(Entity) and c == "id")]
        named += [f"{n}_id" for n in references(Entity(name))] if name in set(Entity) else []
        for column in named:
            if column in columns:
                found |= {
                    (name, row[0])
                    for row in made.query(
                        f"SELECT t.{column} FROM {name} t WHERE {owner} = ? "
                        f"AND t.{column} IS NOT NULL",
                        tenant,
                    )
                }
    return found


def sound(made: Bench) -> None:
    """Every value opens with the keys of its tenant and no other; no row crosses the border."""
    tenants = [row[0] for row in made.query("SELECT id FROM tenant ORDER BY id")]
    ciphers = {number: made.hub.cipher(number) for number in tenants}
    for sealed in sealed_columns():
        parts = ", ".join(f"t.{part}" for part in sealed.parts)
        for number in tenants:
            query = sealed.rows(f"t.{sealed.column}, {{salt}}, {parts}", "")
            for blob, salt, *rest in made.query(query, number):
                context = sealed.context(*rest)
                for other, cipher in ciphers.items():
                    opens = True
                    try:
                        cipher.person(bytes(salt)).decrypt(bytes(blob), context)
                    except Exception:  # noqa: BLE001 - whatever it is, it does not open
                        opens = False
                    assert opens == (other == number), (sealed.name, number, other)
    tenant_of = {
        row[0]: row[1]
        for entity in Entity
        for row in made.query(f"SELECT id, tenant_id FROM {entity}")
    }
    for entity in Entity:
        for name in references(entity):
            if name in {"leerlingen", "docenten", "eerste_mentoren", "tweede_mentoren"}:
                continue
            for core_id, target in made.query(
                f"SELECT id, {name}_id FROM {entity} WHERE {name}_id IS NOT NULL"
            ):
                assert tenant_of[core_id] == tenant_of.get(target), (entity, name)
    for group, person in made.query("SELECT groep_id, persoon_id FROM groepsdeelname"):
        assert tenant_of[group] == tenant_of.get(person)
    for tenant, number, received_fp, accepted_fp, received, accepted, salt in made.query(
        "SELECT k.tenant_id, s.id, s.received_fp, s.accepted_fp, f.received, f.accepted, r.salt "
        "FROM shadow s JOIN koppeling k ON k.id = s.koppeling_id "
        "JOIN shadow_form f ON f.shadow_id = s.id JOIN source_record r ON r.id = s.record_id"
    ):
        fingerprint, person = ciphers[tenant].fingerprint(b"form"), ciphers[tenant].person(salt)
        plain = person.decrypt(received, b"shadow|%d" % number)
        assert bytes(received_fp) == fingerprint(plain)
        if accepted is not None:
            plain = person.decrypt(accepted, b"shadow|%d" % number)
        assert accepted_fp is None or bytes(accepted_fp) == fingerprint(plain)
    koppeling: dict[int, int] = dict(made.query("SELECT id, tenant_id FROM koppeling"))
    for table in ("link", "match_key"):
        for number, core_id in made.query(f"SELECT koppeling_id, core_id FROM {table}"):
            assert koppeling[number] == tenant_of.get(core_id), table
    for tenant, number in made.query("SELECT tenant_id, koppeling_id FROM zaak"):
        assert tenant == koppeling[number]
    for table in ("pin", "refold", "former_number", "vault"):
        aliases: dict[int, int] = dict(made.query("SELECT core_id, survivor_id FROM alias"))
        for tenant, core_id in made.query(f"SELECT tenant_id, core_id FROM {table}"):
            where = tenant_of.get(aliases.get(core_id, core_id))
            assert where in {tenant, None}, table
    for tenant, core_id in made.query(
        "SELECT p.tenant_id, s.core_id FROM step s JOIN plan p ON p.id = s.plan_id"
    ):
        assert tenant_of.get(core_id) in {tenant, None}, "step"
