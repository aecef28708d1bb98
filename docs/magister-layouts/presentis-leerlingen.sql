SELECT
      leer.idLeer AS leer_id
    , leer.stamnr AS stamnr
    , leer.roepnaam AS roepnaam
    , leer.voornamen AS voornamen
    , leer.voorlett AS voorletters
    , leer.tussenvoeg AS tussenvoegsel
    , leer.achternaam AS achternaam
    , leer.geslacht AS geslacht
    , CONVERT(varchar(10), leer.geb_datum, 23) AS geboortedatum
    , leer.email AS email
    , leer.gsm AS mobiel
    , (SELECT MIN(gebr.login_naam) FROM sis_gebr gebr WHERE gebr.idLeer = leer.idLeer) AS login
    , aanm.idAanm AS aanmelding_id
    , per.lesperiode AS lesperiode
    , CONVERT(varchar(10), aanm.dBegin, 23) AS begindatum
    , CONVERT(varchar(10), aanm.dEinde, 23) AS einddatum
    , CONVERT(varchar(10), aanm.dVertrek, 23) AS vertrekdatum
    , aanm.idBgrp AS klas_id
    , klas.groep AS klas
    , aanm.idStud AS studie_id
    , stud.studie AS studie
    , fase.leerjaar AS leerjaar /* aanname: leerjaar */
    , COALESCE(klas.idBlok, stud.idBlok) AS locatie_id
    , CASE WHEN aanm.pro_indicatie = 1 THEN 1 ELSE 0 END AS pro_indicatie /* aanname: pro_indicatie */
    , aanm.iltberek AS ilt_code /* aanname: ilt_code */
    , aanm.idPers_mentor1 AS mentor1_pers_id
    , aanm.idPers_mentor2 AS mentor2_pers_id
FROM sis_aanm aanm
    INNER JOIN sis_leer leer ON leer.idLeer = aanm.idleer
    INNER JOIN sis_blpe per ON per.idblpe = aanm.idblpe
    LEFT JOIN sis_bgrp klas ON klas.idBgrp = aanm.idBgrp
    LEFT JOIN sis_stud stud ON stud.idStud = aanm.idStud
    LEFT JOIN sis_blfa fase ON fase.idBlfa = stud.idBlfa /* aanname: leerjaar */
WHERE per.deinde >= GETDATE() - 1
    AND (aanm.dEinde IS NULL OR aanm.dEinde >= GETDATE() - 181)
    AND (aanm.dVertrek IS NULL OR aanm.dVertrek >= GETDATE() - 181)
ORDER BY aanm.idAanm
