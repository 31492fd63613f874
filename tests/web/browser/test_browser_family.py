"""From a phone's folder to the photos of two people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from driving import Browser, Served, read_question
from selenium.webdriver.common.keys import Keys

if TYPE_CHECKING:
    from conftest import Photos

pytestmark = pytest.mark.slow

_QUESTIONS = 10


@pytest.fixture
def phone(photos: Photos, tmp_path: Path) -> Path:
    """Write a phone's folder: folders of two people, and one of a party with a photo of Larry and a group of six."""
    folder = tmp_path / "phone"
    chosen = {
        "Bill": photos.people["Bill_Gates"],
        "Larry": photos.people["Larry_Page"][:2],
        "Summer party 2019": [photos.people["Larry_Page"][2], photos.group],
    }
    for name, images in chosen.items():
        (folder / name).mkdir(parents=True)
        for number, image in enumerate(images):
            (folder / name / f"IMG_{number:04d}.jpg").write_bytes(image.read_bytes())
    return folder


def person_of(served: Served, file: str) -> list[str | None]:
    """Return the names of the faces on the photo of a file; None for an unassigned face."""
    photo = photo_of(served, file)
    named = (face["person"] for face in photo["faces"])
    return [one["name"] if one and not one["unnamed"] else None for one in named]


def photo_of(served: Served, file: str) -> dict[str, Any]:
    """Return the photo of a file."""
    (found,) = [photo for photo in served.ask("/photos?limit=500")["photos"] if photo["name"] == file]
    return dict(found)


def test_from_a_phone_s_folder_to_photos_of_two_people(browser: Browser, served: Served, phone: Path) -> None:
    """Names are proposed, a suggestion is confirmed, a wrong merge is undone, and photos of both are found."""
    party = "phone/Summer party 2019/"
    # the folder: two names to keep, an event that is not a name
    browser.go("/")
    browser.one("#folder").send_keys(str(phone))
    browser.visible("#name-question")
    assert [field.get_attribute("value") for field in browser.all("#proposals [name=name]")] == ["Bill", "Larry"]
    assert "Summer party 2019" in browser.text("#events")
    browser.click("#save-names")
    browser.follow("#see-people")
    assert browser.driver.current_url.endswith("/people")
    counts = {one["name"]: one["photos"] for one in served.ask("/people?unnamed=none")["people"]}
    assert counts == {"Bill": 3, "Larry": 2}
    assert person_of(served, f"{party}IMG_0000.jpg") == [None]

    # the review: the photo of the party is Larry's
    with browser.new_page():
        browser.press("v")
    assert browser.driver.current_url.endswith("/review")
    for _ in range(_QUESTIONS):
        question = read_question(browser)
        shown = browser.one("[data-side=subject] .behind").get_attribute("alt")
        right = question == "Is this Larry?" and shown == f"{party}IMG_0000.jpg"
        changes = served.ask("/history")["total"]
        browser.press("y" if right else "n")
        browser.wait(lambda known=changes: served.ask("/history")["total"] > known, "the answer")
        if right:
            break
        browser.wait(lambda: browser.one("#undo-answer").is_enabled(), "the next question")
    assert person_of(served, f"{party}IMG_0000.jpg") == ["Larry"]

    # a wrong merge, and its undo
    larry, bill = served.person("Larry"), served.person("Bill")
    assert larry is not None
    assert bill is not None
    browser.go(f"/people/{bill['id']}")
    browser.click("[data-opens=merge]")
    browser.one(f"#merge input[value='{larry['id']}']")
    browser.run(f"document.querySelector('#merge input[value=\"{larry['id']}\"]').click()")
    browser.follow("#merge .primary")
    assert served.person("Bill") is None
    browser.follow("#toast button")
    assert (served.person("Bill"), served.person("Larry")) == (bill, larry)

    # both are on the photo of six, where they are named at their boxes
    group = photo_of(served, f"{party}IMG_0001.jpg")
    assert len(group["faces"]) == 6
    for name, face in zip(("Bill", "Larry"), group["faces"][:2], strict=True):
        browser.go(f"/photos/{group['id']}")
        browser.run(f"document.querySelector('[data-face=\"{face['id']}\"] details').open = true")
        with browser.new_page():
            browser.visible(f"#who-{face['id']}").send_keys(name + Keys.ENTER)
        assert name in person_of(served, f"{party}IMG_0001.jpg")
    browser.go("/people")
    browser.wait(lambda: not browser.all(".pages"), "the list")
    for person in (bill, larry):
        browser.run(f"document.querySelector('.tile-select input[value=\"{person['id']}\"]').click()")
    browser.follow("#photos-selected")
    assert "/photos?" in browser.driver.current_url
    assert browser.text("h1") == "Photos of Bill and Larry"
    assert [tile.text for tile in browser.all("#photos .tile")] == [f"{party}IMG_0001.jpg"]
