"""What the engine and connectors say in English, in the words of who reads a page.

Rules of cases, findings of checks and short errors are few sentences with a name in them. Each
has a Dutch one here, which the catalogue has in English. What is not among them stays as it is,
marked as English. Errors stand in Dutch sentences of the engine by their technical name; `plainly`
says those.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from re import Pattern
from typing import Final

from markupsafe import Markup, escape

from sync_engine.rules import in_dutch
from web.texts import marked

_SENTENCES: Final[tuple[tuple[str, str], ...]] = (
    # rules of cases
    (r"exact: (?P<kind>\w+)", marked("dezelfde %(kind)s")),
    (r"two values of (?P<kind>\w+)", marked("twee verschillende waarden van %(kind)s")),
    (
        r"exchanged with another record: (?P<kind>\w+)",
        marked("ruilde met een ander record van %(kind)s"),
    ),
    (r"link", marked("eerder gekoppeld")),
    (r"looks like", marked("lijkt erop")),
    (r"policy asks a person", marked("het beleid vraagt een mens")),
    # findings of checks
    (r"(?P<name>\S+) is reached", marked("%(name)s is bereikbaar")),
    (r"the administration is reached", marked("de administratie is bereikbaar")),
    (r"the number facility is reached", marked("de Nummervoorziening is bereikbaar")),
    (r"the connection is trusted", marked("de verbinding is vertrouwd")),
    (r"a token was given", marked("inloggen lukt")),
    (r"the account is let in", marked("het account mag naar binnen")),
    (r"our name and code are known", marked("onze naam en code zijn bekend")),
    (r"our certificate is admitted", marked("ons certificaat is toegelaten")),
    (r"the school is admitted", marked("de school is toegelaten")),
    (r"the key is good for every vestiging", marked("de sleutel geldt voor elke vestiging")),
    (r"every list is allowed", marked("elke lijst mag gelezen worden")),
    (r"the accounts may be read", marked("de accounts mogen gelezen worden")),
    (r"lists and columns are as agreed", marked("lijsten en kolommen zijn zoals afgesproken")),
    (r"the answers are as described", marked("de antwoorden zijn zoals beschreven")),
    (r"the lists hold readable rows", marked("de lijsten bevatten leesbare regels")),
    (r"every vestiging has data", marked("elke vestiging heeft gegevens")),
    (r"(?P<n>\d+) vestigingen answer", marked("%(n)s vestigingen antwoorden")),
    (r"(?P<n>\d+) users", marked("%(n)s gebruikers")),
    (r"no user is shown", marked("er is geen gebruiker te zien")),
    (r"the inbox can be read", marked("de inbox is te lezen")),
    (
        r"chain and sector are listed, and hashing gives the published values",
        marked("keten en sector staan in de lijst, en het hashen klopt"),
    ),
    (
        r"the number facility says that it is not available",
        marked("de Nummervoorziening zegt dat zij niet beschikbaar is"),
    ),
    (r"a vestiging cannot be read", marked("een vestiging is niet te lezen")),
    (
        r"vestigingen that Somtoday does not list: none is listed",
        marked("Somtoday noemt geen enkele vestiging"),
    ),
    (
        r"vestigingen that Somtoday does not list: (?P<names>.+)",
        marked("vestigingen die Somtoday niet noemt: %(names)s"),
    ),
    (
        r"vestigingen that refuse pupils: (?P<names>.+)",
        marked("vestigingen die geen leerlingen tonen: %(names)s"),
    ),
    (
        r"no data for (?P<place>\S+) in (?P<year>\S+)",
        marked("geen gegevens van %(place)s in %(year)s"),
    ),
    # why a run, or a part of it, ended as it did
    (r"stopped from outside", marked("van buiten gestopt")),
    (r"its process was asked to stop", marked("het proces moest stoppen")),
    (r"the time of this run was up", marked("de tijd van deze run was om")),
    (r"(?P<what>[^:]+): ConnectError", marked("%(what)s: er is geen verbinding")),
    (r"(?P<what>[^:]+): ConnectTimeout", marked("%(what)s: er kwam op tijd geen verbinding")),
    (r"(?P<what>[^:]+): ReadTimeout", marked("%(what)s: er kwam op tijd geen antwoord")),
    (r"(?P<what>[^:]+): ReadError", marked("%(what)s: de verbinding brak af")),
    (
        r"(?P<what>[^:]+): RemoteProtocolError",
        marked("%(what)s: het antwoord was niet te lezen"),
    ),
)
_TABLE: Final[tuple[tuple[Pattern[str], str], ...]] = tuple(
    (re.compile(form), dutch) for form, dutch in _SENTENCES
)
_NAMES: Final = {
    "ConnectError": "er is geen verbinding",
    "ConnectTimeout": "er kwam op tijd geen verbinding",
    "ReadTimeout": "er kwam op tijd geen antwoord",
    "ReadError": "de verbinding brak af",
    "RemoteProtocolError": "het antwoord was niet te lezen",
    "the time of this run was up": "de tijd van deze run was om",
    "stopped from outside": "van buiten gestopt",
    "its process was asked to stop": "het proces moest stoppen",
}
"""Technical name → Dutch, where one stands in a Dutch sentence."""
_NAMED: Final = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in _NAMES))


def spoken(gettext: Callable[[str], str], text: object) -> Markup:
    """What was said in English, in the language of the page; else as it is, marked as English."""
    said = str(text)
    for form, dutch in _TABLE:
        if found := form.fullmatch(said):
            return escape(gettext(dutch) % found.groupdict())
    return Markup('<span lang="en">{}</span>').format(said)


def broken(text: object) -> str:
    """The field and the rule that it breaks, of a record in quarantine (Dutch)."""
    path, colon, rule = str(text).partition(": ")
    return f"{path} {in_dutch(rule)}" if colon else str(text)


def plainly(text: object) -> str:
    """A Dutch sentence of the engine, without the technical names that it may hold."""
    return _NAMED.sub(lambda found: _NAMES[found[0]], str(text))
