SELECT
      leer.idLeer AS leer_id
    , oudr.idoudr AS verzorger_id
    , CASE WHEN oudr.idoudr = leer.idoudr1 THEN 1 ELSE 2 END AS volgnummer
    , oudr.relatie AS relatie /* aanname: relatie */
    , oudr.voorlett AS voorletters /* aanname: voorletters */
    , oudr.tussenvoeg AS tussenvoegsel /* aanname: tussenvoegsel */
    , oudr.achternaam AS achternaam /* aanname, verplicht: achternaam */
    , oudr.email AS email
    , oudr.telefoon AS telefoon /* aanname: telefoon */
    , oudr.gsm AS mobiel /* aanname: mobiel */
    , CASE WHEN oudr.geheim = 1 THEN 1 ELSE 0 END AS geheim /* aanname: geheim */
    , CASE WHEN oudr.gezag = 1 THEN 1 ELSE 0 END AS gezag /* aanname: gezag */
FROM sis_leer leer
    INNER JOIN sis_oudr oudr ON (oudr.idoudr = leer.idoudr1
        OR oudr.idoudr = leer.idoudr2 /* aanname: tweede verzorger */
    )
WHERE EXISTS (
    SELECT aanm.idAanm
    FROM sis_aanm aanm
        INNER JOIN sis_blpe per ON per.idblpe = aanm.idblpe
    WHERE aanm.idleer = leer.idLeer
        AND per.deinde >= GETDATE() - 1
        AND (aanm.dEinde IS NULL OR aanm.dEinde >= GETDATE() - 181)
        AND (aanm.dVertrek IS NULL OR aanm.dVertrek >= GETDATE() - 181)
)
ORDER BY leer.idLeer, oudr.idoudr
