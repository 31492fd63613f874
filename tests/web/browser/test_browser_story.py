"""Correcting a gallery in a browser: undo of a merge, questions, photos of two people."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from driving import Browser, Served, read_question, register

if TYPE_CHECKING:
    from conftest import Photos

pytestmark = pytest.mark.slow


def assign(served: Served, face: int, name: str) -> None:
    """Assign a face through the API."""
    request = urllib.request.Request(
        f"{served.address}/api/v1/faces/{face}",
        json.dumps({"person": name}).encode(),
        {"Content-Type": "application/json"},
        method="PATCH",
    )
    urllib.request.urlopen(request).close()


@pytest.fixture
def family(browser: Browser, served: Served, photos: Photos, tmp_path: Path) -> dict[str, int]:
    """Register two people with two photos each, and a photo of both; return ids by name."""
    people = {}
    for name, key in (("Bill", "Bill_Gates"), ("Larry", "Larry_Page")):
        copies = []
        for number, image in enumerate(photos.people[key][:2]):
            copies.append(tmp_path / f"photo_{name}_{number}.jpg")
            copies[-1].write_bytes(image.read_bytes() + str(tmp_path).encode())
        register(browser, copies, person=name)
        person = served.person(name)
        assert person is not None
        people[name] = int(person["id"])
    return people


def test_a_wrong_merge_is_undone_by_the_toast(browser: Browser, served: Served, family: dict[str, int]) -> None:
    """After a merge a toast reports it; its button restores both people with their ids."""
    before = {one["name"]: (one["id"], one["faces"]) for one in served.ask("/people")["people"]}
    browser.go(f"/people/{family['Bill']}")
    browser.click("[data-opens=merge]")
    browser.one(f"#merge input[value='{family['Larry']}']")
    browser.run(f"document.querySelector('#merge input[value=\"{family['Larry']}\"]').click()")
    browser.follow("#merge .primary")
    assert served.person("Bill") is None
    assert "Merged 'Bill' into 'Larry'" in browser.visible("#toast [data-text]").text
    browser.follow("#toast button")
    assert {one["name"]: (one["id"], one["faces"]) for one in served.ask("/people")["people"]} == before
    browser.go("/history")
    assert "Undid change" in browser.text("main") or "undid change" in browser.text("main")


def test_questions_are_answered_by_keys(
    browser: Browser, served: Served, family: dict[str, int], photos: Photos, tmp_path: Path
) -> None:
    """The page asks whether an unnamed photo shows Bill; y assigns it, u undoes that."""
    third = tmp_path / "photo_77.jpg"
    third.write_bytes(photos.people["Bill_Gates"][2].read_bytes() + str(tmp_path).encode())
    register(browser, [third])
    unnamed = served.ask("/faces?unassigned=true")["total"]
    assert unnamed >= 1
    found = served.ask("/suggestions?limit=100")["suggestions"]
    assert any(one["target"]["name"] == "Bill" for one in found)
    browser.go("/review")
    assert read_question(browser)
    changes = served.ask("/history")["total"]
    browser.one("body").send_keys("y")
    browser.expect(lambda: served.ask("/history")["total"], changes + 1)
    browser.wait(lambda: browser.one("#undo-answer").is_enabled(), "the next question")
    browser.wait(lambda: browser.one("[data-say=yes]").is_enabled(), "the next question")
    browser.one("body").send_keys("u")
    browser.expect(lambda: served.ask("/history")["total"], changes + 2)
    assert served.ask("/faces?unassigned=true")["total"] == unnamed


def test_photos_of_two_people(browser: Browser, served: Served, family: dict[str, int], photos: Photos) -> None:
    """Two people are selected on the page People; the bar links to the photos that show both."""
    register(browser, [photos.group])
    photo = next(one for one in served.ask("/photos?limit=500")["photos"] if len(one["faces"]) == 6)
    for name, face in zip(("Bill", "Larry"), photo["faces"][:2], strict=True):
        assign(served, face["id"], name)
    browser.go("/people")
    for person in family.values():
        browser.run(f"document.querySelector('.tile-select input[value=\"{person}\"]').click()")
    browser.follow("#photos-selected")
    assert "/photos?" in browser.driver.current_url
    assert "Photos of" in browser.text("h1")
    assert len(browser.all("#photos .tile")) == 1


def test_deleting_goes_to_the_bin_and_back(browser: Browser, served: Served, family: dict[str, int]) -> None:
    """Delete moves a person to the bin at once; the page History restores them."""
    browser.go(f"/people/{family['Larry']}")
    browser.follow("#discard")
    assert served.person("Larry") is None
    assert browser.driver.current_url.endswith("/people")
    browser.go("/history")
    browser.follow("[data-restore=Larry]")
    assert served.person("Larry") is not None
