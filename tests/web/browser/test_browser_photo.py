"""The page of a photo, and keyboard shortcuts."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest
from driving import Browser, Served, register
from large import long_name
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys


@pytest.fixture
def photo(crowded: Browser) -> Browser:
    """Open the second photo of the person with 145 faces from the person's page."""
    crowded.resize((1280, 900))
    crowded.go("/people/1")
    link = crowded.all("#faces a")[1].get_attribute("href")
    crowded.go(link.removeprefix(crowded.address))
    crowded.visible("#frame")
    return crowded


def photo_of(browser: Browser) -> str:
    """Return the id of the photo that is shown."""
    return str(browser.one("[data-photo]").get_attribute("data-photo"))


def test_arrow_keys_go_through_the_photos_of_a_person(photo: Browser) -> None:
    """The keys open the next and the previous photo; a link leads back to the person."""
    first = photo_of(photo)
    photo.press(Keys.ARROW_RIGHT)
    photo.wait(lambda: photo_of(photo) != first, "the next photo")
    assert "person=1" in photo.driver.current_url
    assert photo.text(".photo-nav > a") == f"Photos of {long_name(0)}"
    photo.press(Keys.ARROW_LEFT)
    photo.wait(lambda: photo_of(photo) == first, "the photo before")


def test_names_are_shown_at_the_faces(photo: Browser) -> None:
    """Long names are shortened; a click on one opens its form."""
    assert [label.text for label in photo.all(".labels text")] == [f"{long_name(0)[:29]}…"]
    photo.run("document.querySelector('.labels g').dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    assert photo.focused.get_attribute("name") == "name"


def test_a_photo_is_zoomed(photo: Browser) -> None:
    """The photo is zoomed two and four times and back; the labels keep their size."""
    width = "return document.querySelector('.zoom').getBoundingClientRect().width"
    size = "return document.querySelector('.labels text').getBoundingClientRect().height"
    whole, height = photo.run(width), photo.run(size)
    for factor in (2, 4, 1):
        photo.press("z")
        photo.wait(lambda: abs(photo.run(width) / whole - factor) < 0.1, f"zoom {factor}")  # noqa: B023 - used at once
        photo.wait(lambda: abs(photo.run(size) - height) < 3, "the names to fit again")


def test_shortcuts_are_listed_and_work(photo: Browser) -> None:
    """A question mark lists the shortcuts; a letter opens a page, but not while typing."""
    photo.press("?")
    assert "Keyboard shortcuts" in photo.visible("#shortcuts").text
    photo.press(Keys.ESCAPE)
    photo.wait(lambda: not photo.one("#shortcuts").is_displayed(), "the dialog to close")
    photo.press("p")
    photo.visible("#people")
    photo.press("/")
    assert photo.focused.get_attribute("id") == "q"
    photo.press("s")
    assert photo.one("#q").get_attribute("value") == "s"
    photo.run("document.activeElement.blur()")
    photo.press("s")
    photo.visible("#search")


def test_the_status_begins_with_what_matters(photo: Browser) -> None:
    """The summary comes first, and the details are closed."""
    photo.press("t")
    assert photo.visible("#health-title").text == "Is all well?"
    assert photo.one("details.details").get_attribute("open") is None


def test_a_missed_face_is_drawn(browser: Browser, served: Served, portraits: dict[str, Path]) -> None:
    """A drawn box becomes an unassigned face; "Find faces again" restores a removed one."""
    register(browser, [portraits["photo_3"]])
    (photo,) = [one for one in served.ask("/photos?limit=500")["photos"] if one["name"] == "photo_3.jpg"]
    (face,) = photo["faces"]
    browser.go(f"/photos/{photo['id']}")
    browser.click("#draw")
    image = browser.one("#frame img")
    ActionChains(browser.driver).move_to_element_with_offset(image, 60, 60).click_and_hold().move_by_offset(
        80, 90
    ).release().perform()
    browser.wait(lambda: len(served.ask(f"/photos/{photo['id']}")["faces"]) == 2, "the face")
    browser.wait(lambda: "face=" in browser.driver.current_url, "the photo with the new face")
    browser.wait(lambda: browser.run("return document.readyState") == "complete", "the whole page")
    drawn = next(one for one in served.ask(f"/photos/{photo['id']}")["faces"] if one["id"] != face["id"])
    assert drawn["person"] is None
    request = urllib.request.Request(f"{served.address}/api/v1/faces/{face['id']}", method="DELETE")
    urllib.request.urlopen(request).close()
    browser.go(f"/photos/{photo['id']}")
    browser.click("#find-faces")
    browser.wait(lambda: len(served.ask(f"/photos/{photo['id']}")["faces"]) == 2, "the face that was removed")


def test_a_photo_leads_back_to_where_it_was_opened(browser: Browser, served: Served) -> None:
    """A photo opened from a search by people leads back to it, also after visiting a neighbour."""
    browser.go("/photos?since=2000-01-01")
    browser.click("#photos a")
    browser.wait(lambda: "/photos/" in browser.driver.current_url, "the photo")
    browser.click("#back")
    browser.wait(lambda: browser.driver.current_url.endswith("/photos?since=2000-01-01"), "the search")


def test_the_api_is_tried_out(browser: Browser) -> None:
    """Each operation of the document is listed; a request shows its status and JSON."""
    browser.go("/explorer")
    browser.wait(lambda: len(browser.all(".operation")) > 30, "the operations")
    browser.one("#filter").send_keys("Check that the server is running")
    (shown,) = [one for one in browser.all(".operation") if one.is_displayed()]
    browser.click_on(shown.find_element("css selector", "summary"))
    browser.click_on(shown.find_element("css selector", "button"))
    browser.wait(lambda: '"status": "ok"' in shown.text, "the response")
    assert "200 application/json" in shown.text
