SELECT
      1 AS contract_versie
    , CONVERT(varchar(19), GETDATE(), 126) AS gegenereerd_op
ORDER BY contract_versie
