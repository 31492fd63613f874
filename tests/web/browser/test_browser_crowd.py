"""The page People with 971 people: search, order, letters, scrolling, selecting, naming and merging."""

from __future__ import annotations

from typing import Any

import pytest
from driving import Browser
from large import FACES_OF_ONE, LOOSE, PEOPLE, long_name
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

_READY = "return performance.getEntriesByName('people-ready')[0]?.startTime"
_COUNT = """
window.requests = { begun: 0, ended: 0 };
const real = window.fetch;
window.fetch = async (address, options) => {
  const ours = String(address).includes("/api/v1/people");
  requests.begun += ours;
  try { return await real(address, options); } finally { requests.ended += ours; }
};
"""
_IDLE = """
const [done] = arguments;
requestAnimationFrame(() => requestAnimationFrame(() => done(requests.begun === requests.ended)));
"""
_NAMES = "return [...document.querySelectorAll('#people > li')].map((tile) => tile.dataset.name)"


@pytest.fixture
def people(crowded: Browser) -> Browser:
    """Open the page anew, not at the place where another test left it, and wait until its list is loaded."""
    crowded.resize((1280, 900))
    crowded.driver.get("about:blank")
    crowded.go("/people")
    crowded.visible("#letters, #people")
    crowded.wait(lambda: not crowded.all(".pages"), "the list")
    return crowded


def boxes(browser: Browser) -> list[Any]:
    """Return the labels of the boxes that select a person."""
    return browser.all("#people .tile-select")


def test_tiles_are_created_while_scrolling(people: Browser) -> None:
    """Few tiles exist at first; scrolling adds more, in order and without gaps."""
    at_first = len(people.run(_NAMES))
    assert 60 <= at_first < 300
    scroll_until(people, at_first + 150)
    shown = people.run(_NAMES)
    assert shown == [long_name(number) for number in range(PEOPLE)][: len(shown)]


def test_tiles_are_created_without_reports_of_the_observer(people: Browser) -> None:
    """Scrolling is enough: an IntersectionObserver misses an edge that leaves and returns between two frames."""
    with people.at_the_begin_of_pages("window.IntersectionObserver = class { observe() {} }"):
        people.go("/people")
        people.wait(lambda: people.run(_READY), "the list")
        scroll_until(people, len(people.run(_NAMES)) + 150)


@pytest.mark.parametrize("observer", ["window.IntersectionObserver", "class { observe() {} }"], ids=["real", "silent"])
def test_faces_without_a_person_are_added_while_scrolling(loose: Browser, observer: str) -> None:
    """Page after page, also in a window that is higher than a page of faces."""
    loose.resize((1280, 3000))
    with loose.at_the_begin_of_pages(f"window.IntersectionObserver = {observer}"):
        loose.go("/people?unnamed=only")
        scroll_until(loose, LOOSE, "#unassigned-faces > li")
    assert len(loose.all("#unassigned-faces > li")) == LOOSE
    loose.wait(lambda: not loose.one("#more-faces").is_displayed(), "the link to more faces to hide")


def scroll_until(browser: Browser, number: int, tiles: str = "#people > li") -> None:
    """Scroll to the end again and again until so many tiles exist."""

    def scrolled() -> bool:
        browser.run("scrollBy(0, -1)")
        browser.run("scrollTo(0, document.documentElement.scrollHeight)")
        return len(browser.all(tiles)) >= number

    browser.wait(scrolled, f"{number} tiles")


def test_letters_lead_to_the_names(people: Browser) -> None:
    """A letter shows the names that begin with it at once; scrolling back shows those before, without a jump."""
    assert [link.text for link in people.all("#letters a")] == [chr(ord("A") + number) for number in range(26)]
    people.click_on(people.all("#letters a")[19])
    first = next(number for number in range(PEOPLE) if long_name(number)[0] == "T")
    people.wait(lambda: long_name(first) in people.run(_NAMES), "the names with T")
    people.wait(lambda: people.focused.text.startswith("Tolfe"), "the first name to have the focus")
    people.run("scrollTo(0, 0)")
    people.wait(lambda: long_name(first - 60) in people.run(_NAMES), "the names before")
    shown = people.run(_NAMES)
    begin = int(shown[0][-9:])
    assert shown == [long_name(number) for number in range(begin, begin + len(shown))]


def test_only_what_is_seen_is_loaded(people: Browser) -> None:
    """The page needs no request for people beyond the first tiles and those that are near the window."""
    with people.at_the_begin_of_pages(_COUNT):
        people.go("/people")
        people.wait(lambda: people.run(_READY), "the time at which the list was ready")
        people.wait(lambda: people.driver.execute_async_script(_IDLE), "no request after two frames")
        assert people.run("return requests.begun") <= 2
    assert len(people.run(_NAMES)) <= 180


def test_back_leads_to_the_same_place(people: Browser) -> None:
    """After a look at a person the list begins where it was left."""
    people.click_on(people.all("#letters a")[13])
    people.wait(lambda: any(name.startswith("Nolfe") for name in people.run(_NAMES)), "the names with N")
    people.run("scrollBy(0, 400)")
    people.run(
        "[...document.querySelectorAll('#people > li > a')].find((a) => a.getBoundingClientRect().top > 100).click()"
    )
    people.visible("#person")
    people.complete()
    people.driver.back()
    people.wait(lambda: any(name.startswith("Nolfe") for name in people.run(_NAMES)), "the names with N again")


def test_search_filters_while_typing(people: Browser) -> None:
    """Case and accents are ignored, and the number of people is shown."""
    people.one("#q").send_keys("nR00000097")
    people.expect(lambda: people.run(_NAMES), [long_name(970)])
    people.expect(lambda: people.text("#count"), "1 person")
    people.one("#q").send_keys(Keys.BACKSPACE)
    people.expect(lambda: people.text("#count"), "71 people")


def test_people_are_sorted(people: Browser) -> None:
    """People are sorted by date added and by number of photos."""
    people.run("const s = document.querySelector('#sort'); s.value = 'newest'; s.dispatchEvent(new Event('change'))")
    people.expect(lambda: people.run(_NAMES)[0], long_name(970))
    people.run("const s = document.querySelector('#sort'); s.value = 'photos'; s.dispatchEvent(new Event('change'))")
    people.expect(lambda: people.run(_NAMES)[0], long_name(0))
    assert f"{FACES_OF_ONE} photos" in people.one("#people > li").text


def test_tiles_are_selected_by_range_all_and_none(people: Browser) -> None:
    """Shift selects a range, the button all people, Escape none; the bar shows the count."""
    assert not people.one("#selected").is_displayed()
    people.click_on(boxes(people)[1])
    ActionChains(people.driver).key_down(Keys.SHIFT).click(boxes(people)[5]).key_up(Keys.SHIFT).perform()
    people.expect(lambda: people.text("#selected-text"), "5 selected")
    people.click("#select-all")
    people.expect(lambda: people.text("#selected-text"), f"{PEOPLE} selected")
    people.press(Keys.ESCAPE)
    people.wait(lambda: not people.one("#selected").is_displayed(), "the bar to hide")
    assert people.all("#people input:checked") == []


def test_the_page_is_usable_soon(people: Browser) -> None:
    """The server's tiles are shown at once and stay: nothing is moved while the page loads."""
    people.go("/people")
    people.wait(lambda: people.run(_READY), "the time at which the list was ready")
    begins = (
        "return performance.getEntriesByType('resource').filter((one) => one.name.includes('/api/v1/people'))"
        ".map((one) => one.startTime)"
    )
    assert all(begin >= people.run(_READY) for begin in people.run(begins))  # the list needs none of them
    shift = people.run(
        "return new Promise((done) => new PerformanceObserver((list, observer) => { observer.disconnect();"
        " done(list.getEntries().filter((one) => !one.hadRecentInput).reduce((sum, one) => sum + one.value, 0)); })"
        ".observe({ type: 'layout-shift', buffered: true }) || setTimeout(() => done(0), 2000))"
    )
    assert shift == 0


def test_many_people_become_one_with_a_name(people: Browser) -> None:
    """Three people are selected, merged and named in one action."""
    names = people.run(_NAMES)[10:13]
    for box in boxes(people)[10:13]:
        people.click_on(box)
    people.click("#name-selected")
    people.visible("#new-name").send_keys("Three in one")
    people.follow("#name-dialog .primary")
    assert people.text("h1") == "Three in one"
    assert "3 faces" in people.text(".person-head")
    people.go("/people")
    people.wait(lambda: not people.all(".pages"), "the list")
    people.one("#q").send_keys(names[1][-9:])
    people.expect(lambda: people.text("#count"), "0 people")


def test_names_are_removed_from_many(people: Browser) -> None:
    """The faces of the selected people have no name afterwards."""
    names = people.run(_NAMES)[20:22]
    for box in boxes(people)[20:22]:
        people.click_on(box)
    people.follow("#unname-selected")
    people.wait(lambda: not people.all(".pages"), "the list")
    assert not set(names) & set(people.run(_NAMES))
    assert "2 faces have no name yet" in people.text("main")
