SELECT
      per.lesperiode AS lesperiode
    , per.omschr_k AS omschrijving
    , CONVERT(varchar(10), per.dbegin, 23) AS begindatum
    , CONVERT(varchar(10), per.deinde, 23) AS einddatum
FROM sis_blpe per
WHERE per.deinde >= GETDATE() - 1
ORDER BY per.lesperiode
