"""Read-only views over the core and the hub's tables, for other programs and for people."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

KLASSENLIJST = """
CREATE VIEW klassenlijst AS
SELECT g.id AS groep_id, g.naam AS groep, g.soort AS soort, g.schooljaar AS schooljaar,
       l.id AS leerling_id, l.roepnaam AS roepnaam, l.voorvoegsel AS voorvoegsel,
       l.achternaam AS achternaam, d.geldig_van AS geldig_van, d.geldig_tot AS geldig_tot
FROM groepsdeelname d
JOIN groep g ON g.id = d.groep_id
JOIN leerling l ON l.id = d.persoon_id
WHERE d.rol = 'leerling' AND NOT d.beeindigd AND NOT g.tot_afgeleid
"""

JOURNAL = """
CREATE VIEW journal AS
SELECT s.id AS id, s.run_id AS run_id, s.entity AS entity, s.core_id AS core_id, s.op AS op,
       r.started_at AS at, r.operator AS operator
FROM step s
JOIN run r ON r.id = s.run_id
WHERE s.state = 'applied'
"""

SITUATIE = """
CREATE VIEW situatie AS
SELECT k.name AS koppeling, s.scope_id AS scope_id, s.entity AS entity,
       s.source_key AS source_key,
       CASE WHEN q.id IS NULL THEN s.situation ELSE 'quarantined' END AS situation,
       l.core_id AS core_id
FROM shadow s
JOIN source_record r ON r.id = s.record_id
JOIN koppeling k ON k.id = s.koppeling_id
LEFT JOIN quarantine q ON q.scope_id = r.scope_id AND q.source_key = r.source_key
LEFT JOIN link l ON l.koppeling_id = s.koppeling_id AND l.entity = s.entity
     AND l.source_key = s.source_key
UNION ALL
SELECT k.name, q.scope_id, c.resource, q.source_key, 'quarantined', NULL
FROM quarantine q
JOIN scope c ON c.id = q.scope_id
JOIN koppeling k ON k.id = c.koppeling_id
WHERE NOT EXISTS (SELECT 1 FROM source_record r JOIN shadow s ON s.record_id = r.id
                  WHERE r.scope_id = q.scope_id AND r.source_key = q.source_key)
"""


def upgrade() -> None:
    """Make the views."""
    for view in (KLASSENLIJST, JOURNAL, SITUATIE):
        op.execute(view)
