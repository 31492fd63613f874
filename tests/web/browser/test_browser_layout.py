"""Layout with many people and long names: no overlap and no sideways scrolling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from driving import Browser

WIDTHS = (1280, 768, 390)
OVERLAPS = """
const boxes = [...document.querySelectorAll(arguments[0])].map((element) => [element, element.getBoundingClientRect()])
  .filter(([, box]) => box.width && box.height);
const found = [];
for (let i = 0; i < boxes.length; i++) {
  for (let j = i + 1; j < Math.min(boxes.length, i + 40); j++) {
    const [a, b] = [boxes[i][1], boxes[j][1]];
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > 1 && high > 1) found.push([boxes[i][0].textContent.trim(), boxes[j][0].textContent.trim()]);
  }
}
return found;
"""
SPILLS = """
return [...document.querySelectorAll(arguments[0])].flatMap((tile) => {
  const outer = tile.getBoundingClientRect();
  return [...tile.querySelectorAll("*")].filter((inner) => {
    if (inner.closest(".unseen, option, datalist")) return false;
    const box = inner.getBoundingClientRect();
    return box.width && (box.right > outer.right + 1.5 || box.left < outer.left - 1.5);
  }).map((inner) => `${inner.tagName}.${inner.className.baseVal ?? inner.className}`);
});
"""
SIDEWAYS = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
_LOADED = {"/review": "#review, #nothing", "/explorer": ".operation"}  # what scripts show on these pages


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    ("path", "tiles"),
    [
        ("/people", "#people > .tile"),
        ("/people/1", "#faces > .tile"),
        ("/people?unnamed=only", "#people > .tile"),
        ("/people/1?show=photos", ".grid > .tile"),
        ("/people/1?show=fit", "#faces > .tile"),
        ("/photos?with=1", "#photos > .tile"),
        ("/review", ".side"),
        ("/history", ".lines > li"),
        ("/explorer", ".operation"),
        ("/photos/1?face=1", ".photo-face"),
        ("/status", ".panel"),
        ("/search", ".panel"),
        ("/", ".field"),
    ],
)
def test_tiles_do_not_overlap(crowded: Browser, path: str, tiles: str, width: int) -> None:
    """Tiles do not overlap on any page at desktop, tablet and phone widths."""
    crowded.resize((width, 900))
    crowded.go(path)
    crowded.one("main h1")
    if path in _LOADED:
        crowded.visible(_LOADED[path])
    assert crowded.run(OVERLAPS, tiles) == []
    assert crowded.run(SPILLS, tiles) == []
    assert crowded.run(SIDEWAYS) == 0


def overflowing_dialogs(browser: Browser) -> list[Any]:
    """Return the dialogs of a page whose content is wider than they are."""
    script = """
    return [...document.querySelectorAll("dialog")].filter((dialog) => {
      dialog.showModal();
      const wide = dialog.scrollWidth > dialog.clientWidth + 1;
      dialog.close();
      return wide;
    }).map((dialog) => dialog.id);
    """
    return list(browser.run(script))


@pytest.mark.parametrize("path", ["/people", "/people/1", "/photos/1"])
def test_dialogs_hold_long_names(crowded: Browser, path: str) -> None:
    """On a phone no dialog scrolls sideways."""
    crowded.resize((390, 844))
    crowded.go(path)
    assert overflowing_dialogs(crowded) == []
