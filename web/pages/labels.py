"""Words for what the engine names, in Dutch as ids of the catalogue."""

from __future__ import annotations

from typing import Final

from web.texts import marked

ROLES: Final = {
    "read": marked("lezen"),
    "helpdesk": marked("helpdesk"),
    "admin": marked("beheer"),
}

OUTCOMES: Final = {
    "done": marked("klaar"),
    "partial": marked("gedeeltelijk"),
    "held": marked("vastgehouden"),
    "failed": marked("mislukt"),
    "cancelled": marked("afgebroken"),
    "running": marked("bezig"),
}
OUTCOME_STATE: Final = {
    "done": "good",
    "partial": "warning",
    "held": "warning",
    "failed": "critical",
    "cancelled": "critical",
    "running": "busy",
}
"""Outcome of a run → its shape and colour."""

RUN_KINDS: Final = {
    "full": marked("alles gelezen"),
    "delta": marked("wijzigingen gelezen"),
    "only": marked("enkele records gelezen"),
    "apply": marked("plan goedgekeurd"),
    "replay": marked("opnieuw vertaald"),
    "adopt": marked("overgenomen"),
    "refold": marked("opnieuw samengevoegd"),
    "refuse": marked("plan geweigerd"),
    "undo": marked("teruggedraaid"),
    "decide": marked("beslissing"),
}

READINGS: Final = {
    "complete": marked("volledig"),
    "incomplete": marked("onvolledig"),
    "refused": marked("geweigerd"),
    "failed": marked("mislukt"),
    "delta": marked("wijzigingen"),
    "replayed": marked("opnieuw vertaald"),
    "adopted": marked("overgenomen"),
}
READING_STATE: Final = {
    "complete": "good",
    "delta": "good",
    "replayed": "good",
    "adopted": "good",
    "incomplete": "warning",
    "refused": "critical",
    "failed": "critical",
}

PLAN_STATES: Final = {
    "open": marked("wacht op bevestiging"),
    "held": marked("vastgehouden"),
    "applied": marked("uitgevoerd"),
    "approved": marked("goedgekeurd"),
    "refused": marked("afgewezen"),
    "expired": marked("verlopen"),
    "undone": marked("teruggedraaid"),
    "dry": marked("proef"),
    "planning": marked("afgebroken"),
}
PLAN_STATE: Final = {
    "open": "warning",
    "held": "warning",
    "applied": "good",
    "approved": "good",
    "refused": "none",
    "expired": "none",
    "undone": "none",
    "dry": "none",
    "planning": "none",
}

OPS: Final = {
    "create": marked("nieuw"),
    "change": marked("wijzigt"),
    "close": marked("sluit"),
    "reopen": marked("heropent"),
    "remove": marked("verdwijnt"),
}

CASE_KINDS: Final = {
    "contradiction": marked("sleutels spreken elkaar tegen"),
    "match": marked("een sleutel past; een mens beslist"),
    "score": marked("lijkt op een ander"),
    "unmatched": marked("nieuw; een mens beslist"),
    "quarantine": marked("kan niet gelezen worden"),
    "disagreement": marked("bronnen zijn het oneens"),
    "pseudonym": marked("ECK iD geleverd is niet ECK iD verkregen"),
    "message": marked("een ander systeem weigert een bericht"),
}

STATES: Final = {
    "critical": marked("kritiek"),
    "warning": marked("let op"),
    "good": marked("goed"),
}

ENDS: Final = {
    "certificate": marked("certificaat"),
    "credential": marked("toegangsgegeven"),
    "mandate": marked("toestemming"),
}

TROUBLES: Final = {
    "late": marked("te laat"),
    "never": marked("nooit gelezen"),
    "failed": marked("mislukt"),
    "partial": marked("gedeeltelijk"),
    "empty": marked("leeg"),
    "shrunk": marked("veel minder"),
    "held": marked("vastgehouden"),
    "cases": marked("zaken"),
    "quarantine": marked("quarantaine"),
    "switched_off": marked("uitgezet"),
    "maintenance": marked("onderhoud"),
    "circuit": marked("onbereikbaar"),
    "expiring": marked("verloopt"),
    "outbox": marked("uitgaand wacht"),
    "workers": marked("werkers"),
    "database": marked("database"),
    "assumption": marked("aanname"),
    "inbox": marked("inbox"),
    "alarm": marked("alarm"),
}
"""What is wrong → a word for it in the matrix."""

TODO_KINDS: Final = {
    "plan": marked("Plannen die wachten"),
    "run": marked("Runs die mislukten"),
    "replacement": marked("Vervangingen van een PGN"),
    "case": marked("Open zaken"),
    "quarantine": marked("Records in quarantaine"),
    "refused": marked("Afgewezen of teruggedraaide records"),
    "event": marked("Meldingen van de laatste run"),
    "pin": marked("Vastgezette velden om na te kijken"),
    "message": marked("Correcties aan andere systemen"),
}

VERDICTS: Final = {
    "gelijk": marked("gelijk"),
    "ANDERS": marked("anders"),
    "ontbreekt": marked("aan één kant"),
}

EVENTS: Final = {
    "shrunk": marked("een onderdeel levert veel minder dan eerst"),
    "empty": marked("de bron leverde niets"),
    "schema drift": marked("de bron levert velden die wij niet kennen"),
    "contract changed": marked("de rechten of de levering zijn veranderd"),
    "dropped field": marked("velden zijn weggelaten omdat zij een regel breken"),
}

DECISIONS: Final = {
    "link": marked("Dit is dezelfde"),
    "create": marked("Een nieuw record"),
    "ignore": marked("Niet overnemen"),
    "split": marked("Losmaken"),
    "merge": marked("Samenvoegen"),
}
