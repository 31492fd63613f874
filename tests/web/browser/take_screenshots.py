"""Write an image of every page, on a desktop in light and dark, on a phone, and in Chinese.

Usage: python tests/web/browser/take_screenshots.py [FOLDER]; else the images go to docs/screenshots.

The gallery holds nothing but the public-domain portrait of scikit-image and images made of it.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

sys.path.insert(0, str(Path(__file__).parents[2]))

from driving import DESKTOP, PHONE, Browser, Served, register

from places import ROOT

VIEWS = (
    ("light", "light", DESKTOP, "en"),
    ("dark", "dark", DESKTOP, "en"),
    ("phone", "light", PHONE, "en"),
    ("chinese", "dark", PHONE, "zh-CN"),
)
DECODED = "return [...document.querySelectorAll('.card:not(.blank) img')].every((image) => image.complete)"
TALLEST = 1800  # pixels


def write_portraits(folder: Path) -> list[Path]:
    """Write the portrait under several names: unchanged, mirrored, gray, darker, and twice in one image."""
    from skimage import data

    portrait = np.asarray(data.astronaut())
    mirrored = portrait[:, ::-1]
    gray = np.repeat(portrait.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    images = {
        "Eileen Collins 1": portrait,
        "Eileen Collins 2": mirrored,
        "Eileen Collins 3": gray,
        "Somebody mirrored 1": (mirrored * 0.7).astype(np.uint8),
        "photo 4": np.concatenate([portrait, mirrored], axis=1),
        "photo 5": np.ascontiguousarray(gray[:, ::-1]),
        "rocket": portrait[320:, :],
    }
    paths = [folder / f"{name}.jpg" for name in images]
    for path, image in zip(paths, images.values(), strict=True):
        Pillow.fromarray(image).save(path, quality=92)
    return paths


def keep(browser: Browser, path: Path) -> None:
    """Save the page as a small WebP; the window is as high as the page."""
    width, height = browser.run("return [innerWidth, document.documentElement.scrollHeight]")
    viewport = browser.run("return innerHeight")
    browser.resize((width, min(height, TALLEST)))
    page = Pillow.open(io.BytesIO(browser.screenshot())).convert("RGB")
    page.crop((0, 0, page.width, min(page.height, TALLEST))).save(path, quality=80, method=6)
    browser.resize((width, viewport))
    print(f"{path.name}: {path.stat().st_size // 1024} kB")


def take(browser: Browser, photos: list[Path], folder: Path, view: str) -> None:
    """Save every page in one view while the gallery is filled."""
    register(browser, photos)
    browser.run("sessionStorage.clear(); document.querySelector('#toast').hidden = true")
    browser.run("for (const card of document.querySelectorAll('.card')) card.style.contentVisibility = 'visible'")
    browser.wait(lambda: browser.run(DECODED), "the images")
    keep(browser, folder / f"register-{view}.webp")
    for name, address in addresses(browser).items():
        browser.go(address)
        if name == "review":
            browser.visible("#review, #nothing")
        keep(browser, folder / f"{name}-{view}.webp")
    browser.go("/search")
    browser.choose("#file", [photos[4]])
    browser.visible("#results[aria-busy=false] h2")
    keep(browser, folder / f"search-{view}.webp")


def addresses(browser: Browser) -> dict[str, str]:
    """Return the paths of all pages, with the first person and their best photo."""
    browser.go("/people")
    person = browser.one("#people a").get_attribute("href").removeprefix(browser.address)
    browser.go(person)
    photo = browser.one("#faces a").get_attribute("href").removeprefix(browser.address)
    return {"people": "/people", "person": person, "photo": photo, "review": "/review", "status": "/status"}


def main() -> None:
    """Fill a gallery through the pages and save every view."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        photos = write_portraits(Path(made))
        for view, scheme, size, language in VIEWS:
            server, browser = Served(Path(made) / view), Browser(language=language)
            browser.address = server.address
            browser.resize(size)
            browser.prefer(scheme)
            try:
                take(browser, photos, folder, view)
            finally:
                browser.close()
                server.stop()


if __name__ == "__main__":
    main()
