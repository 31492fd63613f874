"""Editing people in a browser: rename, merge, split, group, delete with a receipt, and single faces."""

from __future__ import annotations

import itertools
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from driving import Browser, Served, register
from selenium.webdriver.common.keys import Keys

if TYPE_CHECKING:
    from conftest import Photos

pytestmark = pytest.mark.slow

Make = Callable[..., int]


@pytest.fixture
def make(browser: Browser, served: Served, photos: Photos, tmp_path: Path) -> Make:
    """Registers people through the page: `make("Ada", photo, photo)` gives her id. Each photo is a new content."""
    numbers = itertools.count()

    def made(name: str, *images: Path) -> int:
        copies = []
        for image in images:
            copies.append(tmp_path / f"photo_{next(numbers)}.jpg")
            copies[-1].write_bytes(image.read_bytes() + name.encode())
        register(browser, copies, person=name)
        person = served.person(name)
        assert person is not None
        return int(person["id"])

    return made


def write(browser: Browser, selector: str, text: str) -> None:
    """Replace the text of a field."""
    field = browser.visible(selector)
    field.clear()
    field.send_keys(text)


def test_a_person_is_renamed(browser: Browser, served: Served, make: Make, photos: Photos) -> None:
    """Escape closes the dialog and restores the focus; submitting changes the name on page and gallery."""
    person = make("Lary", *photos.people["Larry_Page"][:1])
    browser.go(f"/people/{person}")
    browser.click("[data-opens=rename]")
    browser.visible("#new-name")
    browser.press(Keys.ESCAPE)
    browser.expect(lambda: browser.focused.get_attribute("data-opens"), "rename")
    browser.click("[data-opens=rename]")
    write(browser, "#new-name", "Larry & <b>Page</b>")
    browser.follow("#rename .primary")
    assert browser.text("h1") == "Larry & <b>Page</b>"
    assert served.ask(f"/people/{person}")["name"] == "Larry & <b>Page</b>"


def test_a_name_that_is_taken_may_mean_the_same_person(
    browser: Browser, served: Served, make: Make, photos: Photos
) -> None:
    """The page asks whether both are one person: no keeps both, yes merges them."""
    first = make("Twin", photos.people["Bill_Gates"][0])
    second = make("Other twin", photos.people["Bill_Gates"][1])
    browser.go(f"/people/{second}")
    browser.click("[data-opens=rename]")
    write(browser, "#new-name", "Twin")
    browser.click("#rename .primary")
    assert "Twin" in browser.visible("#taken [data-text]").text
    browser.click("#taken [value=no]")
    assert served.person("Other twin") is not None
    browser.click("#rename .primary")
    browser.follow("#taken [value=yes]")
    assert browser.driver.current_url.endswith(f"/people/{first}")
    assert served.person("Other twin") is None
    assert served.ask(f"/people/{first}")["faces"] == 2
    assert all("409" in line for line in browser.console_errors())  # the browser's own line about the status


def test_two_people_are_merged(browser: Browser, served: Served, make: Make, photos: Photos) -> None:
    """One person remains, with the faces of both."""
    first = make("Mark Z.", photos.people["Mark_Zuckerberg"][0])
    second = make("M. Zuckerberg", photos.people["Mark_Zuckerberg"][1])
    browser.go(f"/people/{second}")
    browser.click("[data-opens=merge]")
    browser.one(f"#merge input[value='{first}']")
    assert browser.all("#merge input:checked") == []
    browser.run(f"document.querySelector('#merge input[value=\"{first}\"]').click()")
    browser.follow("#merge .primary")
    assert browser.text("h1") == "Mark Z."
    assert len(browser.all("#faces > li")) == 2
    assert served.person("M. Zuckerberg") is None


def test_people_are_merged_in_the_grid(browser: Browser, served: Served, make: Make, photos: Photos) -> None:
    """Two tiles are selected, a bar appears, and one of the names is chosen."""
    first = make("Grid one", photos.people["Larry_Page"][1])
    second = make("Grid two", photos.people["Larry_Page"][2])
    browser.go("/people?q=Grid")
    assert not browser.one("#selected").is_displayed()
    for person in (first, second):
        browser.click_on(browser.one(f"[data-person='{person}'] .tile-select"))
    browser.expect(lambda: browser.text("#selected-text"), "2 selected")
    browser.click("#merge-selected")
    browser.visible("#merge-names label")
    assert not browser.all("#merge-names input:checked")
    browser.click_on(browser.one(f"#merge-names input[value='{second}']").find_element("xpath", ".."))
    browser.follow("#merge .primary")
    assert browser.text("h1") == "Grid two"
    assert served.ask(f"/people/{second}")["faces"] == 2
    assert served.person("Grid one") is None


def test_faces_are_moved_to_another_person(browser: Browser, served: Served, make: Make, photos: Photos) -> None:
    """A selected face moves to a new named person; another one to a new cluster."""
    bill, larry = photos.people["Bill_Gates"], photos.people["Larry_Page"]
    person = make("Mixed", bill[0], bill[2], larry[0])
    browser.go(f"/people/{person}")
    browser.click_on(browser.all("#faces .tile-select")[2])
    browser.click("#selected [data-opens=split]")
    write(browser, "#split-to", "Split off")
    browser.follow("#split .primary")
    other = served.person("Split off")
    assert other is not None
    assert other["faces"] == 1
    assert len(browser.all("#faces > li")) == 2
    browser.click_on(browser.all("#faces .tile-select")[0])
    browser.click("#selected [data-opens=split]")
    browser.follow("#split .primary")
    assert len(browser.all("#faces > li")) == 1
    unnamed = served.ask("/people?unnamed=only")["people"]
    assert any(one["faces"] == 1 for one in unnamed)


def test_a_person_is_deleted_with_a_receipt(browser: Browser, served: Served, make: Make, photos: Photos) -> None:
    """The dialog focuses Cancel; the receipt has the counts, and the person is no longer found."""
    person = make("Goner", *photos.people["Mark_Zuckerberg"][:2])
    faces = [face["id"] for face in served.ask(f"/faces?person={person}")["faces"]]
    photo = served.ask(f"/faces/{faces[0]}")["photo"]["id"]
    browser.go(f"/people/{person}")
    browser.click("[data-opens=delete]")
    assert browser.visible("#delete-title").text == "Delete Goner?"
    browser.expect(lambda: browser.focused.text, "Cancel")
    browser.click("#delete .primary")
    browser.visible("#person dl")
    assert browser.text("#person h1") == "Deleted"
    browser.expect(lambda: browser.focused.text, "Deleted")
    said = {key: browser.text(f"#person dd[data-{key}]") for key in ("name", "faces", "photos", "uploads")}
    assert said == {"name": "Goner", "faces": "2", "photos": "2", "uploads": "2"}
    assert browser.visible("[data-gone]").text == "Nothing of this person is left in the gallery."
    assert browser.one("[data-save]").get_attribute("download").startswith("receipt-")
    for path in (f"/people/{person}", f"/faces/{faces[0]}/thumbnail", f"/photos/{photo}"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            served.ask(path)
    browser.follow("#person a.primary")
    assert "Goner" not in browser.text("main")


def test_unknown_faces_are_grouped_and_named(browser: Browser, served: Served, photos: Photos, tmp_path: Path) -> None:
    """After a registration unassigned faces are clustered; a cluster is named in its tile."""
    copies = []
    for number, name in enumerate(("Bill_Gates", "Mark_Zuckerberg")):
        for place, image in enumerate(photos.people[name]):
            copies.append(tmp_path / f"img_{number}{place}.jpg")
            copies[-1].write_bytes(image.read_bytes() + b"unknown")
    register(browser, copies)
    assert "form" in browser.text("#group-text")
    browser.go("/people?unnamed=only")
    tiles = browser.all("#people > li")
    assert len(tiles) >= 2
    before = len(tiles)
    field = tiles[0].find_element("css selector", "[data-who] input")
    with browser.new_page():
        field.send_keys("Somebody new", Keys.ENTER)
    assert len(browser.all("#people > li")) == before - 1
    assert served.person("Somebody new") is not None


def test_an_unassigned_face_is_named_among_the_unnamed(
    browser: Browser, served: Served, photos: Photos, tmp_path: Path
) -> None:
    """Its tile has a field for the name; once named it is no longer listed."""
    copy = tmp_path / "img_7.jpg"
    copy.write_bytes(photos.people["Larry_Page"][0].read_bytes() + b"unmatched")
    register(browser, [copy])
    browser.go("/people?unnamed=only")
    tile = next(tile for tile in browser.all("li[data-face]") if copy.name in tile.text)
    face = tile.get_attribute("data-face")
    with browser.new_page():
        write(browser, f"li[data-face='{face}'] input", "Known now" + Keys.ENTER)
    assert not browser.all(f"li[data-face='{face}']")
    assert served.ask(f"/faces/{face}")["person"]["name"] == "Known now"


def test_a_face_is_named_on_its_photo(browser: Browser, served: Served, make: Make, photos: Photos) -> None:
    """On a photo of six, a face is named and unnamed, then deleted, then the photo."""
    person = make("Group", photos.group)
    photo = served.ask(f"/faces?person={person}")["faces"][0]["photo"]["id"]
    browser.go(f"/photos/{photo}")
    nobody = next(item for item in browser.all(".photo-face") if "No name yet" in item.text)
    face = nobody.get_attribute("data-face")
    item = f".photo-face[data-face='{face}']"
    browser.click(f"{item} summary")
    write(browser, f"{item} [name=name]", "Chandler")
    browser.follow(f"{item} [data-who] button")
    assert served.ask(f"/faces/{face}")["person"]["name"] == "Chandler"
    browser.click(f"{item} summary")
    browser.follow(f"{item} [data-unassign]")
    assert served.ask(f"/faces/{face}")["person"] is None
    browser.click(f"{item} summary")
    browser.click(f"{item} [data-delete]")
    browser.follow("#delete-face .danger")
    assert len(browser.all(".photo-face")) == 5
    browser.click("[data-opens=delete]")
    browser.follow("#delete .danger")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        served.ask(f"/photos/{photo}")


def test_an_unknown_address_is_a_page(browser: Browser) -> None:
    """A removed person and any other unknown address give a page with a link back."""
    for path in ("/people/999999", "/photos/999999", "/no/such/page"):
        browser.go(path)
        assert browser.text("h1") == "Not found"
        assert browser.one("main a.primary").get_attribute("href") == f"{browser.address}/"
    assert len(browser.wait_for_errors(3)) == 3  # the browser's own lines about the status 404
