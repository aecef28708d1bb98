SELECT DISTINCT
      pgvk.idBgrp AS groep_id
    , pgvk.idPers AS pers_id
    , pgvk.c_vak AS vak_code
    , per.lesperiode AS lesperiode
FROM sis_pgvk pgvk
    INNER JOIN sis_blpe per ON per.lesperiode = pgvk.lesperiode
WHERE pgvk.idBgrp IS NOT NULL
    AND pgvk.idPers IS NOT NULL
    AND per.deinde >= GETDATE() - 1
ORDER BY groep_id, pers_id, vak_code
