"""Pictures of the pages for the documentation: `python -m tests.browser.screenshots`.

The town of tests/support/town.py on its Friday morning, each picture at a fixed size: a window of a
desk in the light, a phone in the dark. Nothing in them is of a real person.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, sync_playwright

from tests.browser.house import House, house

FOLDER: Final = Path(__file__).parents[2] / "docs" / "screenshots"
DESK: Final = {"width": 1200, "height": 800}
PHONE: Final = {"width": 360, "height": 780}
LARGEST_BYTES: Final = 150_000


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        path: of the page; `{plan}`, `{case}`, `{run}` and `{failed}` are numbers of what there is.
    """

    name: str
    path: str
    phone: bool = False
    dark: bool = False
    language: str = "nl-NL"
    who: str = "petra"


PICTURES: Final = (
    Picture("overzicht", "/"),
    Picture("overzicht-telefoon", "/", phone=True, dark=True),
    Picture("overzicht-engels-donker", "/", dark=True, language="en-GB"),
    Picture("school", "/scholen/98XX"),
    Picture("school-telefoon", "/scholen/98XX", phone=True, dark=True),
    Picture("koppeling-telefoon", "/koppelingen/de-linde", phone=True),
    Picture("wacht", "/wacht"),
    Picture("plannen", "/plannen"),
    Picture("plan", "/plannen/{plan}"),
    Picture("plan-telefoon", "/plannen/{plan}", phone=True, dark=True),
    Picture("zaken", "/zaken"),
    Picture("zaak", "/zaken/{case}"),
    Picture("zaak-telefoon", "/zaken/{case}", phone=True, dark=True),
    Picture("runs", "/runs?koppeling=de-regenboog"),
    Picture("runs-telefoon", "/runs?koppeling=de-regenboog", phone=True, dark=True),
    Picture("run", "/runs/{run}"),
    Picture("run-mislukt-telefoon", "/runs/{failed}", phone=True, dark=True),
    Picture("trends", "/trends"),
    Picture("quarantaine", "/quarantaine"),
    Picture("aansluiten", "/aansluiten?alle=1", who="baas"),
    Picture("aansluiten-school", "/aansluiten/scholen/97XX?systeem=somtoday", who="baas"),
    Picture("aansluiten-koppeling", "/aansluiten/koppelingen/het-kompas", who="baas"),
    Picture(
        "aansluiten-telefoon",
        "/aansluiten/koppelingen/vakschool-oost",
        phone=True,
        dark=True,
        who="baas",
    ),
    Picture("zoek", "/zoek"),
    Picture("inloggen", "/inloggen", who=""),
)


def take(browser: Browser, home: House, picture: Picture) -> Path:
    """One picture; its file."""
    context = browser.new_context(
        base_url=home.url,
        viewport={"width": PHONE["width"], "height": PHONE["height"]}
        if picture.phone
        else {"width": DESK["width"], "height": DESK["height"]},
        color_scheme="dark" if picture.dark else "light",
        locale=picture.language,
        timezone_id="Europe/Amsterdam",
        is_mobile=picture.phone,
        has_touch=picture.phone,
    )
    if picture.who:
        context.add_cookies(home.signed_in(picture.who))  # type: ignore[arg-type] # a TypedDict of it
    page = context.new_page()
    page.goto(picture.path.format(**_numbers(home)))
    target = FOLDER / f"{picture.name}.png"
    page.screenshot(path=target)
    context.close()
    return target


def _numbers(home: House) -> dict[str, int]:
    def one(sql: str) -> int:
        return int(str(home.rows(sql)[0][0]))

    return {
        "plan": home.plan(),
        "case": one("SELECT MIN(id) FROM zaak WHERE state = 'open' AND kind = 'contradiction'"),
        "run": one("SELECT MAX(r.id) FROM run r JOIN event e ON e.run_id = r.id"),
        "failed": one("SELECT MAX(id) FROM run WHERE state = 'failed'"),
    }


def main() -> int:
    """Take them all; 1 where one is too large."""
    found = shutil.which("chromium")
    if found is None:
        sys.stderr.write("there is no chromium here: `apt-get install chromium`\n")
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        house(Path(folder) / "installatie", only=()) as home,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        taken = [take(browser, home, picture) for picture in PICTURES]
        browser.close()
    large = [path.name for path in taken if path.stat().st_size > LARGEST_BYTES]
    for name in large:
        sys.stderr.write(f"{name} is larger than {LARGEST_BYTES} bytes\n")
    return 1 if large else 0


if __name__ == "__main__":
    sys.exit(main())
