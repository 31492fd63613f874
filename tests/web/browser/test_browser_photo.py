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
    with photo.new_page():
        photo.press(Keys.ARROW_RIGHT)
    assert photo_of(photo) != first
    assert "person=1" in photo.driver.current_url
    assert photo.text(".photo-nav > a") == f"Photos of {long_name(0)}"
    with photo.new_page():
        photo.press(Keys.ARROW_LEFT)
    assert photo_of(photo) == first


def test_names_are_shown_at_the_faces(photo: Browser) -> None:
    """Long names are shortened; a click on one opens its form."""
    assert [label.text for label in photo.all(".labels text")] == [f"{long_name(0)[:29]}…"]
    photo.run("document.querySelector('.labels g').dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    photo.expect(lambda: photo.focused.get_attribute("name"), "name")


WIDTH = "return document.querySelector('.zoom').getBoundingClientRect().width"
LABEL = "return document.querySelector('.labels text').getBoundingClientRect().height"
PLACE = """
const [x, y] = arguments;
const photo = document.querySelector('.zoom').getBoundingClientRect();
return [(x - photo.left) / photo.width, (y - photo.top) / photo.height];
"""


def waits_for_zoom(browser: Browser, whole: float, factor: float) -> None:
    """Wait until the photo is so many times as wide as the frame."""
    browser.wait(lambda: abs(browser.run(WIDTH) / whole - factor) < 0.05 * factor, f"zoom {factor}")


def test_a_photo_is_zoomed_by_keys_buttons_and_wheel(photo: Browser) -> None:
    """Keys and buttons zoom in steps, Ctrl and the wheel at the pointer; labels keep their size, arrows move."""
    whole, height = photo.run(WIDTH), photo.run(LABEL)
    for key, factor in (("z", 2), ("z", 1), ("+", 1.5), ("+", 2.25), ("-", 1.5), ("0", 1)):
        photo.press(key)
        waits_for_zoom(photo, whole, factor)
        photo.wait(lambda: abs(photo.run(LABEL) - height) < 3, "the names to fit again")
    photo.click("#zoom-in")
    waits_for_zoom(photo, whole, 1.5)
    before, address = photo.run("return document.querySelector('#frame').scrollLeft"), photo.driver.current_url
    photo.press(Keys.ARROW_RIGHT)
    photo.wait(lambda: photo.run("return document.querySelector('#frame').scrollLeft") > before, "the photo to move")
    assert photo.driver.current_url == address
    photo.click("#zoom-out")
    waits_for_zoom(photo, whole, 1)
    frame = photo.run("const { x, y } = document.querySelector('#frame').getBoundingClientRect(); return [x, y]")
    point = [frame[0] + 40, frame[1] + 30]
    place = photo.run(PLACE, *point)
    wheel = {"type": "mouseWheel", "x": point[0], "y": point[1], "deltaX": 0, "deltaY": -200, "modifiers": 2}
    photo.driver.execute_cdp_cmd("Input.dispatchMouseEvent", wheel)
    photo.wait(lambda: photo.run(WIDTH) > 1.5 * whole, "the wheel")
    photo.expect(lambda: photo.run(PLACE, *point), pytest.approx(place, abs=0.02))
    photo.run("document.querySelector('.zoom').dispatchEvent(new MouseEvent('dblclick', { bubbles: true }))")
    waits_for_zoom(photo, whole, 1)


def test_a_photo_is_zoomed_with_two_fingers(photo: Browser) -> None:
    """On a phone the photo, not the page, is zoomed around the place between the fingers, and moved by one finger."""
    photo.resize((390, 844))
    photo.run("document.querySelector('#frame').scrollIntoView({ block: 'center', behavior: 'instant' })")
    box = photo.run(
        "const b = document.querySelector('#frame').getBoundingClientRect(); return [b.x, b.y, b.width, b.height]"
    )
    x, y = box[0] + box[2] * 0.4, box[1] + box[3] * 0.5
    whole, place, height = photo.run(WIDTH), photo.run(PLACE, x, y), box[3]
    photo.touch("touchStart", (x - 20, y), (x + 20, y))
    for spread in range(30, 61, 10):
        photo.touch("touchMove", (x - spread, y), (x + spread, y))
    photo.touch("touchEnd")
    waits_for_zoom(photo, whole, 3)
    photo.expect(lambda: photo.run(PLACE, x, y), pytest.approx(place, abs=0.03))
    assert photo.run("return visualViewport.scale") == 1
    frame_height = "return document.querySelector('#frame').getBoundingClientRect().height"
    photo.expect(lambda: photo.run(frame_height), pytest.approx(height, abs=1))
    assert photo.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    left = photo.run("return document.querySelector('#frame').scrollLeft")
    photo.touch("touchStart", (x, y))
    for moved in range(20, 101, 20):
        photo.touch("touchMove", (x - moved, y))
    photo.touch("touchEnd")
    photo.wait(lambda: photo.run("return document.querySelector('#frame').scrollLeft") > left + 30, "the photo to move")
    photo.touch("touchStart", (x - 60, y), (x + 60, y))
    for spread in (40, 20, 8):
        photo.touch("touchMove", (x - spread, y), (x + spread, y))
    photo.touch("touchEnd")
    waits_for_zoom(photo, whole, 1)
    photo.resize((1280, 900))


def test_shortcuts_are_listed_and_work(photo: Browser) -> None:
    """A question mark lists the shortcuts; a letter opens a page, but not while typing."""
    photo.press("?")
    assert "Keyboard shortcuts" in photo.visible("#shortcuts").text
    photo.press(Keys.ESCAPE)
    photo.wait(lambda: not photo.one("#shortcuts").is_displayed(), "the dialog to close")
    with photo.new_page():
        photo.press("p")
    photo.visible("#people")
    photo.press("/")
    photo.expect(lambda: photo.focused.get_attribute("id"), "q")
    photo.press("s")
    photo.expect(lambda: photo.one("#q").get_attribute("value"), "s")
    photo.run("document.activeElement.blur()")
    with photo.new_page():
        photo.press("s")
    photo.visible("#search")


def test_the_status_begins_with_what_matters(photo: Browser) -> None:
    """The summary comes first, and the details are closed."""
    with photo.new_page():
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
    hand = ActionChains(browser.driver).move_to_element_with_offset(image, 60, 60).click_and_hold()
    with browser.new_page():
        hand.move_by_offset(80, 90).release().perform()
    assert "face=" in browser.driver.current_url
    drawn = next(one for one in served.ask(f"/photos/{photo['id']}")["faces"] if one["id"] != face["id"])
    assert drawn["person"] is None
    request = urllib.request.Request(f"{served.address}/api/v1/faces/{face['id']}", method="DELETE")
    urllib.request.urlopen(request).close()
    browser.go(f"/photos/{photo['id']}")
    browser.follow("#find-faces")
    assert len(served.ask(f"/photos/{photo['id']}")["faces"]) == 2


def test_a_photo_leads_back_to_where_it_was_opened(browser: Browser, served: Served) -> None:
    """A photo opened from a search by people leads back to it, also after visiting a neighbour."""
    browser.go("/photos?since=2000-01-01")
    browser.follow("#photos a")
    assert "/photos/" in browser.driver.current_url
    browser.follow("#back")
    assert browser.driver.current_url.endswith("/photos?since=2000-01-01")


def test_the_api_is_tried_out(browser: Browser) -> None:
    """Each operation of the document is listed; a request shows its status and JSON."""
    browser.go("/explorer")
    browser.wait(lambda: len(browser.all(".operation")) > 30, "the operations")
    browser.one("#filter").send_keys("Check that the server is running")
    browser.expect(lambda: len(browser.shown(".operation")), 1)
    (shown,) = browser.shown(".operation")
    browser.click_on(shown.find_element("css selector", "summary"))
    browser.wait(lambda: shown.find_elements("css selector", "button"), "the form, which opening the operation makes")
    browser.click_on(shown.find_element("css selector", "button"))
    browser.wait(lambda: '"status": "ok"' in shown.text, "the response")
    assert "200 application/json" in shown.text
