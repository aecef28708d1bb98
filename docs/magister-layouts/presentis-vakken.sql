SELECT
      vak.c_vak AS vak_code
    , vak.omschr AS omschrijving /* aanname, verplicht: omschrijving */
FROM sis_bvak vak
ORDER BY vak.c_vak
