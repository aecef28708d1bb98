"""What can be measured of a page as it is drawn: width, contrast, and where the focus is."""

from __future__ import annotations

from typing import Final

from playwright.sync_api import Page

_FAINT: Final = """
() => {
  const parse = (text) => {
    const found = text.match(/[\\d.]+/g).map(Number);
    return found.length < 4 ? [...found, 1] : found;
  };
  const light = ([r, g, b]) => {
    const part = (v) => v <= 10.3 ? v / 3294.6 : ((v / 255 + 0.055) / 1.055) ** 2.4;
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const paper = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour[3] > 0.99) return colour;
    }
    return [255, 255, 255, 1];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    const element = walker.currentNode.parentElement;
    if (!text || !element.getClientRects().length || element.closest('.unseen, .skip')) continue;
    const style = getComputedStyle(element);
    const inSvg = element.namespaceURI.endsWith('svg');
    if (inSvg && element.tagName !== 'text') continue;
    const one = light(parse(inSvg ? style.fill : style.color)), other = light(paper(element));
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    const size = parseFloat(style.fontSize), bold = parseInt(style.fontWeight) >= 700;
    const least = size >= 24 || (bold && size >= 18.66) ? 3 : 4.5;
    if (ratio < least) found.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return found;
}
"""
_SMALL: Final = """
() => [...document.querySelectorAll('button, input:not([type=hidden]), select, textarea, .button')]
  .filter((one) => one.getClientRects().length)
  .map((one) => [one, one.getBoundingClientRect()])
  .filter(([one, box]) => (box.width < 24 || box.height < 24)
    && !['radio', 'checkbox'].includes(one.type))
  .map(([one, box]) => `${one.tagName} ${one.textContent.trim()}: ${box.width} x ${box.height}`)
"""
_UNNAMED: Final = """
() => [...document.querySelectorAll(
    'input:not([type=hidden]), select, textarea, button, a, svg[role=img]')]
  .filter((one) => !(one.labels && one.labels.length) && !one.textContent.trim()
    && !one.getAttribute('aria-label'))
  .map((one) => one.outerHTML.slice(0, 120))
"""
_SEEN: Final = """
() => {
  const at = document.activeElement, box = at.getBoundingClientRect();
  const style = getComputedStyle(at);
  const drawn = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  const inside = box.bottom > 0 && box.top < innerHeight && box.width > 0;
  return drawn && inside;
}
"""


def overflow(page: Page) -> int:
    """Pixels that the page is wider than its window."""
    return int(
        page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    )


def faint(page: Page) -> list[str]:
    """Texts whose contrast is less than WCAG 2.2 AA asks."""
    return list(page.evaluate(_FAINT))


def small(page: Page) -> list[str]:
    """What is to be pressed and is smaller than 24 by 24."""
    return list(page.evaluate(_SMALL))


def unnamed(page: Page) -> list[str]:
    """What is to be used and has no name for who cannot see it."""
    return list(page.evaluate(_UNNAMED))


def tab_to(page: Page, name: str, *, most: int = 120) -> None:
    """Press Tab until something of that name has the focus, and see each time where it is.

    Raises: AssertionError if it cannot be reached, or the focus cannot be seen on the way.
    """
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            continue
        assert page.evaluate(_SEEN), page.evaluate("document.activeElement.outerHTML")
        told = page.evaluate(
            "(() => { const at = document.activeElement; const label = at.labels && at.labels[0];"
            " return (label ? label.textContent : at.textContent).trim(); })()"
        )
        if str(told).startswith(name):
            return
    message = f"{name!r} cannot be reached by Tab"
    raise AssertionError(message)
