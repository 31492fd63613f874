"""Registering and retrieving from an empty gallery on, in a real browser, with real photos and the model that ships."""

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
    """What the page said of every photo, after the empty gallery was filled through it."""
    assert served.ask("/status")["faces"] == 0
    return register(window, photos.all)


@pytest.fixture
def at_home(browser: Browser, filled: list[dict[str, Any]]) -> Browser:
    """The browser, with the gallery filled."""
    return browser


def test_an_empty_gallery_says_so(browser: Browser, served: Served) -> None:
    """Before the first photo every page has something kind to say."""
    if served.ask("/status")["faces"]:
        pytest.skip("the gallery of this module is filled already")
    browser.go("/search")
    assert browser.text("h2") == "Your gallery is empty"
    browser.go("/people")
    assert browser.text(".calm h2") == "No people yet"


def test_every_photo_gets_its_answer(filled: list[dict[str, Any]], photos: Photos) -> None:
    """In the order in which they were chosen: registered with their faces, or what is wrong in words."""
    assert [card["name"] for card in filled] == [file.name for file in photos.all]
    *good, broken = filled
    assert {card["status"] for card in good} == {"Registered"}
    assert broken["status"] == "Not a readable image"
    assert broken["message"]
    assert broken["boxes"] == 0


def test_faces_are_framed(filled: list[dict[str, Any]], photos: Photos, served: Served) -> None:
    """There is a box for every face that the gallery holds, with five points in it."""
    stored = {photo["name"]: len(photo["faces"]) for photo in served.ask("/photos?limit=500")["photos"]}
    for card in filled[:-1]:
        assert card["boxes"] == stored[card["name"]] >= 1
        assert card["points"] == [5] * card["boxes"]
    group = next(card for card in filled if card["name"] == photos.group.name)
    assert group["boxes"] == 6


def test_people_are_named_after_their_photos(filled: list[dict[str, Any]], photos: Photos, served: Served) -> None:
    """The names that files suggest were asked for and kept; a name that says nothing names no one."""
    named = {photo["name"]: photo["faces"] for photo in served.ask("/photos?limit=500")["photos"]}
    for name, files in photos.people.items():
        for file in files:
            assert name in {face["person"]["name"] for face in named[file.name] if face["person"]}
    for file in photos.strangers:
        assert all(face["person"] is None or face["person"]["unnamed"] for face in named[file.name])


def test_boxes_are_red_and_landmarks_green_and_lie_on_the_face(at_home: Browser, photos: Photos) -> None:
    """A photo that is there already shows its face again, framed where it is on the image as it is shown."""
    portrait = photos.people["Larry_Page"][0]
    [card] = register(at_home, [portrait])
    assert card["status"] == "Already in the gallery"
    strokes = "return [...document.querySelectorAll('.marks rect, .marks path')].map((x) => getComputedStyle(x).stroke)"
    assert at_home.run(strokes) == [RED, GREEN]
    shown = at_home.run(
        "const [b, p] = ['.marks rect', '.frame'].map((x) => document.querySelector(x).getBoundingClientRect());"
        "return b.left >= p.left - 2 && b.right <= p.right + 2 && b.width > 20 && b.height > b.width * 0.8"
    )
    assert shown


def test_photos_can_be_dropped(at_home: Browser, photos: Photos) -> None:
    """Files that fall on the page are registered like chosen ones; what is no image is told."""
    at_home.go("/")
    note = photos.broken.with_name("note.txt")
    note.write_text("no image at all")
    at_home.drop("#drop", [photos.people["Bill_Gates"][0]])
    finish_registration(at_home)
    assert [card["status"] for card in results_of(at_home)] == ["Already in the gallery"]
    at_home.choose("#files", [photos.people["Bill_Gates"][1], note])
    assert at_home.visible("#problem").text == "1 file is not an image and was skipped."


def test_names_of_folders_are_asked_for_after_the_photos(
    at_home: Browser, photos: Photos, served: Served, tmp_path: Path
) -> None:
    """A person's folder proposes a name, which can be changed; an event's names no one; unchecked ones are dropped."""
    for name, number in (("Ada", 0), ("Eve", 1), ("Summer party 2019", 2)):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        (folder / "1.jpg").write_bytes(photos.strangers[number].read_bytes() + b"another file")
    at_home.go("/")
    at_home.one("#folder").send_keys(str(tmp_path / "photos"))
    at_home.visible("#name-question")
    assert served.person("Ada") is None
    assert "2 folders or file names look like people" in at_home.text("#name-question")
    assert "1 folder looks like an event" in at_home.text("#name-question")
    assert "Summer party 2019" in at_home.text("#events")
    fields = at_home.all("#proposals [name=name]")
    assert [field.get_attribute("value") for field in fields] == ["Ada", "Eve"]
    fields[0].clear()
    fields[0].send_keys("Adele")
    at_home.click_on(at_home.all("#proposals [type=checkbox]")[1])
    at_home.click("#save-names")
    at_home.visible("#see-people")
    assert served.person("Adele")
    assert served.person("Ada") is None
    assert served.person("Eve") is None


def test_registration_is_seen_on_other_pages(at_home: Browser, photos: Photos, tmp_path: Path) -> None:
    """Another page shows how many photos are left; Register asks for their names when it is opened again."""
    folder = tmp_path / "Zoe"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number}.jpg").write_bytes(photos.people["Larry_Page"][0].read_bytes() + bytes([number]))
    at_home.go("/")
    at_home.one("#folder").send_keys(str(folder))
    at_home.wait(lambda: at_home.run(_UPLOADED), "all uploads")
    at_home.go("/people")
    if at_home.all("#working:not([hidden])"):
        assert "being registered" in at_home.text("#working")
    at_home.wait(lambda: not at_home.all("#working:not([hidden])"), "the end")
    at_home.go("/")
    at_home.visible("#name-question")
    assert [field.get_attribute("value") for field in at_home.all("#proposals [name=name]")] == ["Zoe"]
    at_home.click("#no-names")
    at_home.visible("#see-people")
    at_home.go("/")
    assert not at_home.all("#progress:not([hidden])")


def test_only_problems_are_shown(at_home: Browser, photos: Photos) -> None:
    """The filter hides the cards of photos that were registered."""
    at_home.go("/")
    at_home.choose("#files", [photos.people["Bill_Gates"][0], photos.broken])
    finish_registration(at_home, names=False)
    at_home.click("#only-problems")
    shown = [card.text for card in at_home.all(".card") if card.is_displayed()]
    assert len(shown) == 1
    assert photos.broken.name in shown[0]


def test_the_camera_takes_a_photo(at_home: Browser) -> None:
    """The photo is looked at before it is kept, and registered like any; the test image of Chromium has no face."""
    at_home.go("/")
    at_home.click("#shoot")
    at_home.wait(lambda: at_home.run("return document.querySelector('#camera video').videoWidth > 0"), "the camera")
    at_home.click("#camera [data-shoot]")
    at_home.wait(lambda: at_home.visible("#camera .shot").get_property("naturalWidth") > 1, "the photo that was taken")
    at_home.click("#camera [data-again]")
    assert not at_home.one("#camera .shot").is_displayed()
    at_home.click("#camera [data-shoot]")
    at_home.click("#camera [data-keep]")
    at_home.visible("#see-people")
    [card] = results_of(at_home)
    assert card["name"].startswith("camera-")
    assert card["status"] == "No face found"
    assert at_home.run("return document.querySelector('#camera video').srcObject") is None
    assert at_home.focused.get_attribute("id") == "shoot"


def test_addresses_that_are_refused_say_why(at_home: Browser, served: Served) -> None:
    """An address within this machine is not fetched, and the card says so; no address at all is told at once."""
    at_home.go("/")
    at_home.click("#paste")
    at_home.visible("#urls").send_keys("portrait of Ada")
    at_home.click("#add-urls")
    assert "portrait of Ada" in at_home.visible("#problem").text
    at_home.visible("#urls").clear()
    at_home.visible("#urls").send_keys(f"{served.address}/static/icon.svg")
    at_home.click("#add-urls")
    at_home.visible("#see-people")
    [card] = results_of(at_home)
    assert card["status"] == "Failed"
    assert "127.0.0.1" in card["message"]


def search(browser: Browser, image: Path) -> None:
    """Search with an image and wait for the answer."""
    browser.go("/search")
    browser.choose("#file", [image])
    browser.visible("#results[aria-busy=false] h2")


def shown_names(browser: Browser) -> list[str]:
    """The names of the matches of the face that is shown, nearest first."""
    return [name.text for name in browser.all(".answer:not([hidden]) [data-matches] .tile-name")]


def labels(browser: Browser) -> list[str]:
    """The names at the faces on the photo."""
    return [label.text for label in browser.all(".labels text")]


def test_an_image_finds_its_person(at_home: Browser, photos: Photos) -> None:
    """The name stands at the face; the match says how likely it is in words, its details similarity and distance."""
    search(at_home, photos.people["Mark_Zuckerberg"][0])
    assert labels(at_home) == ["Mark_Zuckerberg"]
    assert shown_names(at_home)[0] == "Mark_Zuckerberg"
    assert at_home.visible(".match .chip").text == "Match"
    at_home.click(".match summary")
    details = at_home.visible(".match details").text
    assert "Similarity 100%" in details
    assert "Distance 0.00" in details


def test_every_face_is_named_on_the_photo(at_home: Browser, photos: Photos) -> None:
    """Six faces, six labels; a click on a face or the arrow keys in the list show the evidence of one."""
    search(at_home, photos.group)
    assert at_home.text("#results h2") == "6 faces found"
    assert len(at_home.all(".choice")) == len(labels(at_home)) == 6
    painted = (
        "return [...document.querySelectorAll('.choice canvas')]"
        ".every((canvas) => canvas.getContext('2d').getImageData(80, 80, 1, 1).data[3] === 255)"
    )
    assert at_home.run(painted)
    at_home.run("document.querySelector('.choice input').click(); document.querySelector('.choice input').focus()")
    at_home.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert [answer.get_attribute("data-face") for answer in at_home.all(".answer") if answer.is_displayed()] == ["2"]
    classes = [group.get_attribute("class") for group in at_home.all(".query .marks g")]
    assert classes == ["dim", "dim", "chosen", "dim", "dim", "dim"]
    at_home.run("document.querySelector('.labels g[data-at=\"4\"]').dispatchEvent(new MouseEvent('click'))")
    assert [answer.get_attribute("data-face") for answer in at_home.all(".answer") if answer.is_displayed()] == ["4"]


def test_strictness_is_chosen_in_words(at_home: Browser, photos: Photos) -> None:
    """From strict to lenient there are never fewer people, matches first; labels and headings follow."""
    search(at_home, photos.strangers[2])
    assert at_home.text("#threshold-text").startswith("Balanced")
    at_home.run("document.querySelector('#threshold').focus()")
    at_home.press(Keys.HOME)
    assert at_home.text("#threshold-text").startswith("Strict")
    counts = [len(shown_names(at_home))]
    for _ in range(2):
        at_home.press(Keys.ARROW_RIGHT)
        counts.append(len(shown_names(at_home)))
    assert at_home.text("#threshold-text").startswith("Lenient")
    assert counts == sorted(counts)
    words = [chip.text for chip in at_home.all(".answer:not([hidden]) .match .chip") if chip.is_displayed()]
    assert words == sorted(words, key=["Match", "Possible match", "Unknown"].index)
    assert labels(at_home)[0].rstrip("?") == (shown_names(at_home)[0] if words[0] != "Unknown" else "")


def test_a_photo_that_was_found_shows_the_face_marked(at_home: Browser, photos: Photos) -> None:
    """From a found face to its photo, where that face and no other is marked."""
    at_home.go("/search")
    at_home.click(".more summary")
    at_home.click_on(at_home.one("[name=by][value=face]").find_element("xpath", ".."))
    at_home.choose("#file", [photos.group])
    at_home.click(".answer:not([hidden]) .match > a")
    at_home.visible(".photo")
    marked = at_home.all(".photo-face.marked")
    assert len(marked) == 1
    assert f"face={marked[0].get_attribute('data-face')}" in at_home.driver.current_url
    assert len(at_home.all(".photo .marks g.chosen")) == 1
    assert len(at_home.all(".photo .marks g.dim")) == 5


def test_an_image_without_a_face_is_said_kindly(at_home: Browser, tmp_path: Path) -> None:
    """A plain image gives no error but a hint."""
    from PIL import Image as Pillow

    plain = tmp_path / "plain.png"
    Pillow.new("RGB", (300, 200), "steelblue").save(plain)
    search(at_home, plain)
    assert at_home.text("#results h2") == "No face found"


def test_a_file_that_is_no_image_is_refused_in_words(at_home: Browser, photos: Photos) -> None:
    """What the server says is shown, and only the browser's own line about the status is on the console."""
    at_home.go("/search")
    at_home.choose("#file", [photos.broken])
    assert at_home.visible("#problem").text
    complaints = at_home.complaints()
    assert len(complaints) == 1
    assert "415" in complaints[0]
