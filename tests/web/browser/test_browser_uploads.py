"""Uploads: they go on while other pages are visited, and large files and photos of phones are registered."""

from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from driving import Browser, Served, finish_registration, results_of
from PIL import Image as Pillow

from faceall.types import Image

PHOTOS = 24
KILOBYTES = 60
SLOW = 30_000  # bytes per second: all photos need 50 seconds
NAME = "Wolfeschlegelsteinhausenbergerdorffvoralternwarengewissenhaft"[:60]


def write_heavy_photos(folder: Path) -> list[Path]:
    """Write photos of a face that are as large as is needed for a slow upload."""
    from large import one_face, write_photo

    paths = []
    for number in range(PHOTOS):
        path = write_photo(folder / f"IMG_{number:04d}.png", one_face(number))
        with path.open("ab") as file:  # decoders ignore what follows the image
            file.write(os.urandom(KILOBYTES * 1000))
        paths.append(path)
    return paths


def ask(browser: Browser, path: str) -> Any:
    """Return the API's response to a GET."""
    with urllib.request.urlopen(f"{browser.address}/api/v1{path}") as answer:
        return json.load(answer)


def test_an_upload_goes_on_on_other_pages(fresh: Browser, tmp_path: Path) -> None:
    """After leaving the page, without a warning, all photos are registered, and the first page shows them again."""
    fresh.go("/")
    fresh.slow_uploads(SLOW)
    fresh.choose("#files", write_heavy_photos(tmp_path))
    fresh.wait(lambda: len(fresh.all("[data-card]")) == PHOTOS, "the cards")
    fresh.wait(lambda: fresh.run(_KEPT) >= fresh.run(_UNSENT), "the browser to keep the photos")
    fresh.go("/people")
    fresh.wait(lambda: "Uploading" in fresh.text("#working"), "the number of photos that are uploaded")
    assert ask(fresh, "/photos?limit=500")["total"] < PHOTOS
    fresh.go("/status")
    fresh.slow_uploads(-1)
    fresh.wait(lambda: ask(fresh, "/photos?limit=500")["total"] == PHOTOS, "all photos")
    fresh.wait(lambda: not fresh.one("#working").is_displayed(), "the end of the upload")
    fresh.expect(lambda: fresh.run(_KEPT), 0)
    fresh.go("/")
    finish_registration(fresh)
    assert {one["status"] for one in results_of(fresh)} <= {"Registered", "Already there", "Already in the gallery"}
    assert len({one["name"] for one in results_of(fresh)}) == PHOTOS


_UNSENT = """
return [...document.querySelectorAll("[data-status]")]
  .filter((one) => ["Waiting", "Uploading"].includes(one.textContent)).length;
"""
_KEPT = """
return new Promise((done) => {
  const request = indexedDB.open("faceall-uploads", 1);
  request.onupgradeneeded = () => request.result.createObjectStore("photos", { autoIncrement: true });
  request.onsuccess = () => {
    const count = request.result.transaction("photos").objectStore("photos").count();
    count.onsuccess = () => { request.result.close(); done(count.result); };
  };
});
"""


def test_stopped_photos_are_not_uploaded_later(fresh: Browser, tmp_path: Path) -> None:
    """What was stopped is forgotten by the browser."""
    fresh.go("/")
    fresh.slow_uploads(SLOW)
    fresh.choose("#files", write_heavy_photos(tmp_path))
    fresh.wait(lambda: len(fresh.all("[data-card]")) == PHOTOS, "the cards")
    fresh.wait(lambda: fresh.run(_KEPT) >= fresh.run(_UNSENT), "the browser to keep the photos")
    fresh.click("#stop")
    fresh.slow_uploads(-1)
    fresh.visible("#see-people, #name-question")
    fresh.expect(lambda: fresh.run(_KEPT), 0)
    fresh.go("/people")
    fresh.wait(lambda: not fresh.shown("#working"), "the end of what was sent before")
    fresh.wait(lambda: not ask(fresh, "/jobs")["waiting"], "the end of what was sent before")
    assert ask(fresh, "/photos?limit=500")["total"] < PHOTOS


@pytest.mark.parametrize("width", [1280, 768, 390])
def test_the_question_for_names_holds_long_names(fresh: Browser, tmp_path: Path, width: int) -> None:
    """Names of 60 letters without a break neither overlap nor make the page scroll sideways."""
    from large import one_face, write_photo
    from test_browser_layout import OVERLAPS, SIDEWAYS, SPILLS

    for person, colour in ((NAME, 3), (NAME[::-1].capitalize(), 9)):
        for number in range(3):
            write_photo(tmp_path / "phone" / person / f"IMG_{number:04d}.png", one_face(colour))
    fresh.resize((width, 900))
    fresh.go("/")
    fresh.one("#folder").send_keys(str(tmp_path / "phone"))
    fresh.visible("#name-question")
    fields = fresh.all("#proposals [name=name]")
    assert sorted(field.get_attribute("value") for field in fields) == sorted([NAME, NAME[::-1].capitalize()])
    assert fresh.run(OVERLAPS, "#proposals > li") == []
    assert fresh.run(OVERLAPS, "#proposals > li:first-child > *") == []
    assert fresh.run(SPILLS, "#name-question") == []
    assert fresh.run(SIDEWAYS) == 0


def test_a_photo_of_200_megapixels_is_registered(
    browser: Browser, served: Served, astronaut: Image, tmp_path: Path
) -> None:
    """Return the face on a JPEG of 20,000 x 10,000 pixels is found, named and shown."""
    wide = np.full((1000, 2000, 3), 120, np.uint8)
    wide[200:712, 600:1112] = astronaut
    path = tmp_path / "Huge 1.jpg"
    Pillow.fromarray(wide).resize((20_000, 10_000)).save(path, quality=70)
    browser.go("/")
    browser.choose("#files", [path])
    finish_registration(browser, names=False)
    (result,) = results_of(browser)
    assert result["status"] == "Registered"
    (photo,) = [one for one in served.ask("/photos?limit=500")["photos"] if one["name"] == path.name]
    assert (photo["width"], photo["height"]) == (20_000, 10_000)
    x0, y0, x1, y1 = max((face["box"] for face in photo["faces"]), key=lambda box: box[2] - box[0])
    assert x0 < 8_200 < x1  # the face of the portrait, ten times as large and moved by (6,000, 2,000)
    assert y0 < 3_100 < y1
    browser.go(f"/photos/{photo['id']}")
    browser.wait(lambda: browser.run("return document.querySelector('#frame img').naturalWidth") == 1600, "the image")


def test_a_photo_of_an_iphone_is_registered(browser: Browser, served: Served, astronaut: Image, tmp_path: Path) -> None:
    """Return a HEIC file, stored turned with its orientation noted twice, is shown upright by the server's JPEG."""
    heif = pytest.importorskip("pillow_heif", reason="needs pillow-heif, which writes and reads HEIC")
    path = tmp_path / "IMG_4711.HEIC"
    exif = Pillow.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "Apple", "iPhone 15 Pro", 6  # maker, model, turned right
    exif.get_ifd(0x8769)[0x9003] = "2024:05:01 12:34:56"
    image = heif.from_pillow(Pillow.fromarray(np.ascontiguousarray(np.rot90(astronaut))))
    image.save(path, quality=80, exif=exif.tobytes())
    browser.go("/")
    browser.choose("#files", [path])
    finish_registration(browser, names=False)
    (result,) = results_of(browser)
    assert (result["status"], result["boxes"]) == ("Registered", 1)
    (photo,) = [one for one in served.ask("/photos?limit=500")["photos"] if one["name"] == path.name]
    assert (photo["taken"], photo["camera"]) == ("2024-05-01T12:34:56", "Apple iPhone 15 Pro")
    browser.go(f"/photos/{photo['id']}")
    browser.wait(lambda: browser.run("return document.querySelector('#frame img').naturalWidth") == 512, "the image")
    (face,) = photo["faces"]
    eyes, mouth = face["landmarks"][0][1], face["landmarks"][3][1]
    assert eyes < mouth
