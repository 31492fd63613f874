"""Registering and searching, from an empty gallery on, with real photos and the bundled model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from driving import Browser, Served, finish_registration, register, results_of
from selenium.webdriver.common.keys import Keys

if TYPE_CHECKING:
    from conftest import Photos

pytestmark = pytest.mark.slow

_UPLOADED = (
    "const said = [...document.querySelectorAll('[data-status]')].map((one) => one.textContent);"
    "return said.length === 12 && !said.some((one) => ['Waiting', 'Uploading'].includes(one))"
)

RED, GREEN = "rgb(229, 50, 45)", "rgb(34, 197, 94)"


@pytest.fixture(scope="module")
def filled(window: Browser, served: Served, photos: Photos) -> list[dict[str, Any]]:
    """Fill the empty gallery through the page; return the texts of the photos' cards."""
    assert served.ask("/status")["faces"] == 0
    return register(window, photos.all)


@pytest.fixture
def ready(browser: Browser, filled: list[dict[str, Any]]) -> Browser:
    """Return the browser with the gallery filled."""
    return browser


def test_an_empty_gallery_says_so(browser: Browser, served: Served) -> None:
    """Every page of an empty gallery has a hint."""
    if served.ask("/status")["faces"]:
        pytest.skip("the gallery of this module is filled already")
    browser.go("/search")
    assert browser.text("h2") == "Your gallery is empty"
    browser.go("/people")
    assert browser.text(".calm h2") == "No people yet"


def test_every_photo_has_a_result(filled: list[dict[str, Any]], photos: Photos) -> None:
    """In the order of choice, each photo is registered with its faces or has an error text."""
    assert [card["name"] for card in filled] == [file.name for file in photos.all]
    *good, broken = filled
    assert {card["status"] for card in good} == {"Registered"}
    assert broken["status"] == "Not a readable image"
    assert broken["message"]
    assert broken["boxes"] == 0


def test_faces_are_framed(filled: list[dict[str, Any]], photos: Photos, served: Served) -> None:
    """Every registered face has a box with five landmarks."""
    stored = {photo["name"]: len(photo["faces"]) for photo in served.ask("/photos?limit=500")["photos"]}
    for card in filled[:-1]:
        assert card["boxes"] == stored[card["name"]] >= 1
        assert card["points"] == [5] * card["boxes"]
    group = next(card for card in filled if card["name"] == photos.group.name)
    assert group["boxes"] == 6


def test_people_are_named_after_their_photos(filled: list[dict[str, Any]], photos: Photos, served: Served) -> None:
    """Names from file names were proposed and kept; a neutral name gives none."""
    named = {photo["name"]: photo["faces"] for photo in served.ask("/photos?limit=500")["photos"]}
    for name, files in photos.people.items():
        for file in files:
            assert name in {face["person"]["name"] for face in named[file.name] if face["person"]}
    for file in photos.strangers:
        assert all(face["person"] is None or face["person"]["unnamed"] for face in named[file.name])


def test_boxes_are_red_and_landmarks_green(ready: Browser, photos: Photos) -> None:
    """A known photo shows its face again, framed at the right position."""
    portrait = photos.people["Larry_Page"][0]
    [card] = register(ready, [portrait])
    assert card["status"] == "Already in the gallery"
    strokes = "return [...document.querySelectorAll('.marks rect, .marks path')].map((x) => getComputedStyle(x).stroke)"
    ready.expect(lambda: ready.run(strokes), [RED, GREEN])
    ready.wait(lambda: ready.run("return document.querySelector('.frame img').naturalWidth"), "the image")
    shown = ready.run(
        "const [b, p] = ['.marks rect', '.frame'].map((x) => document.querySelector(x).getBoundingClientRect());"
        "return b.left >= p.left - 2 && b.right <= p.right + 2 && b.width > 20 && b.height > b.width * 0.8"
    )
    assert shown


def test_photos_can_be_dropped(ready: Browser, photos: Photos) -> None:
    """Dropped files are registered like chosen ones; a file that is not an image is reported."""
    ready.go("/")
    note = photos.broken.with_name("note.txt")
    note.write_text("no image at all")
    ready.drop("#drop", [photos.people["Bill_Gates"][0]])
    finish_registration(ready)
    assert [card["status"] for card in results_of(ready)] == ["Already in the gallery"]
    ready.choose("#files", [photos.people["Bill_Gates"][1], note])
    assert ready.visible("#problem").text == "1 file is not an image and was skipped."


def test_names_from_folders_are_confirmed_at_the_end(
    ready: Browser, photos: Photos, served: Served, tmp_path: Path
) -> None:
    """A person's folder proposes an editable name, an event's folder none; unchecked names are dropped."""
    for name, number in (("Ada", 0), ("Eve", 1), ("Summer party 2019", 2)):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        (folder / "1.jpg").write_bytes(photos.strangers[number].read_bytes() + b"another file")
    ready.go("/")
    ready.one("#folder").send_keys(str(tmp_path / "photos"))
    ready.visible("#name-question")
    assert served.person("Ada") is None
    assert "2 folders or file names look like people" in ready.text("#name-question")
    assert "1 folder looks like an event" in ready.text("#name-question")
    assert "Summer party 2019" in ready.text("#events")
    fields = ready.all("#proposals [name=name]")
    assert [field.get_attribute("value") for field in fields] == ["Ada", "Eve"]
    fields[0].clear()
    fields[0].send_keys("Adele")
    ready.click_on(ready.all("#proposals [type=checkbox]")[1])
    ready.click("#save-names")
    ready.visible("#see-people")
    assert served.person("Adele")
    assert served.person("Ada") is None
    assert served.person("Eve") is None


def test_registration_is_seen_on_other_pages(ready: Browser, photos: Photos, tmp_path: Path) -> None:
    """Other pages show the number of remaining photos; Register asks for names when it is opened again."""
    folder = tmp_path / "Zoe"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number}.jpg").write_bytes(photos.people["Larry_Page"][0].read_bytes() + bytes([number]))
    ready.go("/")
    ready.one("#folder").send_keys(str(folder))
    ready.wait(lambda: ready.run(_UPLOADED), "all uploads")
    ready.go("/people")
    chip = ready.run("return document.querySelector('#working:not([hidden])')?.textContent")
    assert chip is None or "being registered" in chip
    ready.wait(lambda: not ready.all("#working:not([hidden])"), "the end")
    ready.go("/")
    ready.visible("#name-question")
    assert [field.get_attribute("value") for field in ready.all("#proposals [name=name]")] == ["Zoe"]
    ready.click("#no-names")
    ready.visible("#see-people")
    ready.go("/")
    assert not ready.all("#progress:not([hidden])")


def test_only_problems_are_shown(ready: Browser, photos: Photos) -> None:
    """The filter hides the cards of photos that were registered."""
    ready.go("/")
    ready.choose("#files", [photos.people["Bill_Gates"][0], photos.broken])
    finish_registration(ready, names=False)
    ready.click("#only-problems")
    ready.expect(lambda: len(ready.shown(".card")), 1)
    assert photos.broken.name in ready.shown(".card")[0].text


def test_the_camera_takes_a_photo(ready: Browser) -> None:
    """A photo is previewed and then registered; Chromium's test image has no face."""
    ready.go("/")
    ready.click("#shoot")
    ready.wait(lambda: ready.run("return document.querySelector('#camera video').videoWidth > 0"), "the camera")
    ready.click("#camera [data-shoot]")
    ready.wait(
        lambda: ready.visible("#camera .shot").get_property("naturalWidth") > 1,
        "the photo that was taken",
    )
    ready.click("#camera [data-again]")
    ready.wait(lambda: not ready.one("#camera .shot").is_displayed(), "the live image")
    ready.click("#camera [data-shoot]")
    ready.click("#camera [data-keep]")
    ready.visible("#see-people")
    [card] = results_of(ready)
    assert card["name"].startswith("camera-")
    assert card["status"] == "No face found"
    assert ready.run("return document.querySelector('#camera video').srcObject") is None
    ready.expect(lambda: ready.focused.get_attribute("id"), "shoot")


def test_addresses_that_are_refused_say_why(ready: Browser, served: Served) -> None:
    """The card of a local address has the reason; an empty field is reported at once."""
    ready.go("/")
    ready.click("#paste")
    ready.visible("#urls").send_keys("portrait of Ada")
    ready.click("#add-urls")
    assert "portrait of Ada" in ready.visible("#problem").text
    ready.visible("#urls").clear()
    ready.visible("#urls").send_keys(f"{served.address}/static/icon.svg")
    ready.click("#add-urls")
    ready.visible("#see-people")
    [card] = results_of(ready)
    assert card["status"] == "Failed"
    assert "127.0.0.1" in card["message"]


def search(browser: Browser, image: Path) -> None:
    """Search with an image and wait for the results."""
    browser.go("/search")
    browser.choose("#file", [image])
    browser.visible("#results[aria-busy=false] h2")


def shown_names(browser: Browser) -> list[str]:
    """Return the names of the matches of the selected face, nearest first."""
    return [name.text for name in browser.all(".answer:not([hidden]) [data-matches] .tile-name")]


def labels(browser: Browser) -> list[str]:
    """Return the names at the faces on the photo."""
    return [label.text for label in browser.all(".labels text")]


def test_an_image_finds_its_person(ready: Browser, photos: Photos) -> None:
    """The name is at the face; the match has a verdict in words, with similarity and distance as details."""
    search(ready, photos.people["Mark_Zuckerberg"][0])
    assert labels(ready) == ["Mark_Zuckerberg"]
    assert shown_names(ready)[0] == "Mark_Zuckerberg"
    assert ready.visible(".match .chip").text == "Match"
    ready.click(".match summary")
    details = ready.visible(".match details").text
    assert "Similarity 100%" in details
    assert "Distance 0.00" in details


def test_every_face_is_named_on_the_photo(ready: Browser, photos: Photos) -> None:
    """Six faces have six labels; a click on a face or the arrow keys select the matches of one."""
    search(ready, photos.group)
    assert ready.text("#results h2") == "6 faces found"
    assert len(ready.all(".choice")) == len(labels(ready)) == 6
    painted = (
        "return [...document.querySelectorAll('.choice canvas')]"
        ".every((canvas) => canvas.getContext('2d').getImageData(80, 80, 1, 1).data[3] === 255)"
    )
    assert ready.run(painted)
    ready.run("document.querySelector('.choice input').click(); document.querySelector('.choice input').focus()")
    ready.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    ready.expect(lambda: [answer.get_attribute("data-face") for answer in ready.shown(".answer")], ["2"])
    classes = [group.get_attribute("class") for group in ready.all(".query .marks g")]
    assert classes == ["dim", "dim", "chosen", "dim", "dim", "dim"]
    ready.run("document.querySelector('.labels g[data-at=\"4\"]').dispatchEvent(new MouseEvent('click'))")
    ready.expect(lambda: [answer.get_attribute("data-face") for answer in ready.shown(".answer")], ["4"])


def test_strictness_is_chosen_in_words(ready: Browser, photos: Photos) -> None:
    """From strict to lenient the number of people never falls; labels and headings change accordingly."""
    search(ready, photos.strangers[2])
    assert ready.text("#threshold-text").startswith("Balanced")
    ready.run("document.querySelector('#threshold').focus()")
    ready.press(Keys.HOME)
    ready.wait(lambda: ready.text("#threshold-text").startswith("Strict"), "strict results")
    counts = [len(shown_names(ready))]
    for level in ("Balanced", "Lenient"):
        ready.press(Keys.ARROW_RIGHT)
        ready.wait(lambda word=level: ready.text("#threshold-text").startswith(word), level)
        counts.append(len(shown_names(ready)))
    assert counts == sorted(counts)
    words = [chip.text for chip in ready.all(".answer:not([hidden]) .match .chip") if chip.is_displayed()]
    assert words == sorted(words, key=["Match", "Possible match", "Unknown"].index)
    assert labels(ready)[0].rstrip("?") == (shown_names(ready)[0] if words[0] != "Unknown" else "")


def test_a_photo_that_was_found_shows_the_face_marked(ready: Browser, photos: Photos) -> None:
    """A match links to its photo, where only that face is marked."""
    ready.go("/search")
    ready.click(".more summary")
    ready.click_on(ready.one("[name=by][value=face]").find_element("xpath", ".."))
    ready.choose("#file", [photos.group])
    ready.visible("#results[aria-busy=false] h2")
    ready.follow(".answer:not([hidden]) .match > a")
    marked = ready.all(".photo-face.marked")
    assert len(marked) == 1
    assert f"face={marked[0].get_attribute('data-face')}" in ready.driver.current_url
    assert len(ready.all(".photo .marks g.chosen")) == 1
    assert len(ready.all(".photo .marks g.dim")) == 5


def test_an_image_without_a_face_gives_a_hint(ready: Browser, tmp_path: Path) -> None:
    """An image without a face gives a hint, not an error."""
    from PIL import Image as Pillow

    plain = tmp_path / "plain.png"
    Pillow.new("RGB", (300, 200), "steelblue").save(plain)
    search(ready, plain)
    assert ready.text("#results h2") == "No face found"


def test_a_file_that_is_not_an_image_shows_the_error(ready: Browser, photos: Photos) -> None:
    """The server's message is shown, and the console has only the line about the status."""
    ready.go("/search")
    ready.choose("#file", [photos.broken])
    assert ready.visible("#problem").text
    errors = ready.wait_for_errors(1)
    assert len(errors) == 1
    assert "415" in errors[0]
