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
SELECT k.name AS koppeling, s.entity AS entity, s.source_key AS source_key,
       s.situation AS situation, l.core_id AS core_id
FROM shadow s
JOIN koppeling k ON k.id = s.koppeling_id
LEFT JOIN link l ON l.koppeling_id = s.koppeling_id AND l.entity = s.entity
     AND l.source_key = s.source_key
"""


def upgrade() -> None:
    """Make the views."""
    for view in (KLASSENLIJST, JOURNAL, SITUATIE):
        op.execute(view)
