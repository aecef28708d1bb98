SELECT
      aanm.idBgrp AS groep_id
    , aanm.idleer AS leer_id
    , CAST(NULL AS varchar(20)) AS vak_code
    , CONVERT(varchar(10), aanm.dBegin, 23) AS begindatum
    , CONVERT(varchar(10), COALESCE(aanm.dVertrek, aanm.dEinde), 23) AS einddatum
FROM sis_aanm aanm
    INNER JOIN sis_blpe per ON per.idblpe = aanm.idblpe
WHERE aanm.idBgrp IS NOT NULL
    AND per.deinde >= GETDATE() - 1
    AND (aanm.dEinde IS NULL OR aanm.dEinde >= GETDATE() - 181)
    AND (aanm.dVertrek IS NULL OR aanm.dVertrek >= GETDATE() - 181)
UNION
SELECT
      lvak.idBgrp AS groep_id
    , lvak.idleer AS leer_id
    , lvak.c_vak AS vak_code
    , CONVERT(varchar(10), lvak.dbegin, 23) AS begindatum
    , CONVERT(varchar(10), lvak.deinde, 23) AS einddatum
FROM sis_lvak lvak
    INNER JOIN sis_blpe per
        ON COALESCE(lvak.dbegin, CAST(GETDATE() AS date)) >= per.dbegin
        AND COALESCE(lvak.dbegin, CAST(GETDATE() AS date)) <= per.deinde
WHERE lvak.idBgrp IS NOT NULL
    AND per.deinde >= GETDATE() - 1
    AND (lvak.deinde IS NULL OR lvak.deinde >= GETDATE() - 181)
ORDER BY groep_id, leer_id, vak_code, begindatum
