SELECT
      pers.idPers AS pers_id
    , pers.stamnr AS stamnr
    , pers.doc_code AS code
    , pers.roepnaam AS roepnaam
    , pers.voorlett AS voorletters
    , pers.tussenvoeg AS tussenvoegsel
    , pers.achternaam AS achternaam
    , pers.E_Mailwerk AS email_werk
    , (SELECT MIN(gebr.login_naam) FROM sis_gebr gebr WHERE gebr.idPers = pers.idPers) AS login /* aanname: login */
    , CONVERT(varchar(10), pers.datum_in, 23) AS datum_in /* aanname: datum_in */
    , CONVERT(varchar(10), pers.dvertrek, 23) AS datum_uit
    , pers.idBlok AS locatie_id /* aanname: locatie_id */
FROM sis_pers pers
WHERE pers.dvertrek IS NULL OR pers.dvertrek >= GETDATE() - 181
ORDER BY pers.idPers
