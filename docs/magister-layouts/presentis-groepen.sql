SELECT
      grp.idBgrp AS groep_id
    , grp.groep AS groep
    , grp.omschr AS omschrijving
    , CASE WHEN grp.bklas = 1 THEN 1 ELSE 0 END AS is_stamklas
    , grp.idBlok AS locatie_id
    , geb.lesperiode AS lesperiode
    , grp.idPers_mentor1 AS mentor1_pers_id
    , grp.idPers_mentor2 AS mentor2_pers_id
    , grp.idPers_mentor3 AS mentor3_pers_id
FROM sis_bgrp grp
    INNER JOIN (
        SELECT aanm.idBgrp, per.lesperiode
        FROM sis_aanm aanm
            INNER JOIN sis_blpe per ON per.idblpe = aanm.idblpe
        WHERE per.deinde >= GETDATE() - 1
        UNION
        SELECT lvak.idBgrp, per.lesperiode
        FROM sis_lvak lvak
            INNER JOIN sis_blpe per
                ON COALESCE(lvak.dbegin, CAST(GETDATE() AS date)) >= per.dbegin
                AND COALESCE(lvak.dbegin, CAST(GETDATE() AS date)) <= per.deinde
        WHERE per.deinde >= GETDATE() - 1
        UNION
        SELECT pgvk.idBgrp, per.lesperiode
        FROM sis_pgvk pgvk
            INNER JOIN sis_blpe per ON per.lesperiode = pgvk.lesperiode
        WHERE per.deinde >= GETDATE() - 1
    ) geb ON geb.idBgrp = grp.idBgrp
ORDER BY grp.idBgrp, geb.lesperiode
