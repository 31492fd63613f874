"""The page of a photo, and keyboard shortcuts."""

from __future__ import annotations

import pytest
from driving import Browser
from large import long_name
from selenium.webdriver.common.keys import Keys


@pytest.fixture
def photo(crowded: Browser) -> Browser:
    """The second photo of the person with 145 faces, reached from the person's page."""
    crowded.resize((1280, 900))
    crowded.go("/people/1")
    link = crowded.all("#faces a")[1].get_attribute("href")
    crowded.go(link.removeprefix(crowded.address))
    crowded.visible("#frame")
    return crowded


def photo_of(browser: Browser) -> str:
    """The id of the photo that is shown."""
    return str(browser.one("[data-photo]").get_attribute("data-photo"))


def test_arrow_keys_go_through_the_photos_of_a_person(photo: Browser) -> None:
    """To the next one and back; a link leads back to the person."""
    first = photo_of(photo)
    photo.press(Keys.ARROW_RIGHT)
    photo.wait(lambda: photo_of(photo) != first, "the next photo")
    assert "person=1" in photo.driver.current_url
    assert photo.text(".photo-nav > a") == f"Photos of {long_name(0)}"
    photo.press(Keys.ARROW_LEFT)
    photo.wait(lambda: photo_of(photo) == first, "the photo before")


def test_names_stand_at_the_faces(photo: Browser) -> None:
    """A click on one opens its form."""
    assert [label.text for label in photo.all(".labels text")] == [long_name(0)]
    photo.run("document.querySelector('.labels g').dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    assert photo.focused.get_attribute("name") == "name"


def test_a_photo_is_zoomed(photo: Browser) -> None:
    """Two times, four times, and back; the names stay as large as they were."""
    width = "return document.querySelector('.zoom').getBoundingClientRect().width"
    size = "return document.querySelector('.labels text').getBoundingClientRect().height"
    whole, height = photo.run(width), photo.run(size)
    for factor in (2, 4, 1):
        photo.press("z")
        photo.wait(lambda: abs(photo.run(width) / whole - factor) < 0.1, f"zoom {factor}")  # noqa: B023 - used at once
        photo.wait(lambda: abs(photo.run(size) - height) < 3, "the names to fit again")


def test_shortcuts_are_listed_and_work(photo: Browser) -> None:
    """A question mark shows them; a letter leads to a page, but not while one types."""
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
    """Whether all is well comes first, the details are closed."""
    photo.press("t")
    assert photo.visible("#health-title").text == "Is all well?"
    assert photo.one("details.details").get_attribute("open") is None
