SELECT
      blok.idBlok AS locatie_id
    , blok.c_lokatie AS locatie_code
    , blok.omschr AS omschrijving
    , blok.brin AS brin /* aanname: brin */
    , blok.nevenvestiging AS nevenvestiging /* aanname: nevenvestiging */
FROM sis_blok blok
ORDER BY blok.idBlok
