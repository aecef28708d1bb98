SELECT
      leer.idLeer AS leer_id
    , leer.bsn AS bsn /* aanname: bsn */
    , leer.onderwijsnummer AS onderwijsnummer /* aanname: onderwijsnummer */
FROM sis_leer leer
WHERE EXISTS (
    SELECT aanm.idAanm
    FROM sis_aanm aanm
        INNER JOIN sis_blpe per ON per.idblpe = aanm.idblpe
    WHERE aanm.idleer = leer.idLeer
        AND per.deinde >= GETDATE() - 1
        AND (aanm.dEinde IS NULL OR aanm.dEinde >= GETDATE() - 181)
        AND (aanm.dVertrek IS NULL OR aanm.dVertrek >= GETDATE() - 181)
)
ORDER BY leer.idLeer
