"""Accessibility: keyboard, phone, dark colours, Chinese, no scripts, and pages behind a key."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from driving import DESKTOP, PHONE, Browser, Served, register, run_faceall
from selenium.webdriver.common.keys import Keys

from faceall.web.pages.texts import load_texts

pytestmark = pytest.mark.slow

SERIOUS = ("serious", "critical")
NARROWEST = (320, 640)


@pytest.fixture(scope="module")
def pages(window: Browser, served: Served, portraits: dict[str, Path]) -> list[str]:
    """Return the path of every page of a gallery with a person, an unnamed cluster and an unassigned face."""
    assert served.ask("/status")["faces"] == 0
    cards = register(window, [portraits[name] for name in ("Eileen_1", "Eileen_2", "photo_3", "photo_4", "photo_5")])
    assert [card["boxes"] for card in cards] == [1, 1, 1, 2, 0]
    person = served.person("Eileen")
    assert person is not None
    face = served.ask(f"/faces?person={person['id']}")["faces"][0]
    photo = face["photo"]["id"]
    return ["/", "/search", "/people", f"/people/{person['id']}", f"/photos/{photo}?face={face['id']}", "/status"]


def search(browser: Browser, image: Path) -> None:
    """Search with an image and wait for the results."""
    browser.go("/search")
    browser.choose("#file", [image])
    browser.visible("#results[aria-busy=false] h2")


@pytest.fixture(scope="session")
def axe() -> str:
    """Return the source of axe, an accessibility checker, or skip with a message about where to get it."""
    found = importlib.util.find_spec("axe_playwright_python")  # only its copy of axe is used
    if found is None or found.origin is None:
        pytest.skip("needs axe (pip install --no-deps axe-playwright-python)")
    return (Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8")


def violations(browser: Browser, axe: str) -> list[str]:
    """Return axe's serious and critical findings on the page, a line per element."""
    browser.run(axe)
    found = browser.driver.execute_async_script("const [done] = arguments; axe.run(document).then(done)")
    assert found["passes"], "axe looked at nothing"
    return [
        f"{rule['impact']}: {rule['id']}: {node['html'][:120]}"
        for rule in found["violations"]
        if rule["impact"] in SERIOUS
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(
    browser: Browser, pages: list[str], portraits: dict[str, Path], axe: str, scheme: str
) -> None:
    """No page has serious findings, with results, cards and open dialogs, in light and dark."""
    browser.prefer(scheme)
    found = {}
    others = ["/review", "/history", "/photos", "/explorer", "/people?unnamed=only", "/people?unnamed=hidden"]
    for path in [*pages, *others, f"{pages[3]}?show=fit", "/no/such/page"]:
        browser.go(path)
        found[path] = violations(browser, axe)
        for dialog in browser.all("dialog"):
            browser.run("arguments[0].showModal()", dialog)
            name = dialog.get_attribute("id")
            found[f"{path} #{name}"] = violations(browser, axe)
            browser.run("arguments[0].close()", dialog)
    search(browser, portraits["photo_4"])
    found["results"] = violations(browser, axe)
    register(browser, [portraits["Eileen_1"]])
    found["cards"] = violations(browser, axe)
    assert {place: lines for place, lines in found.items() if lines} == {}
    assert len(found) >= 14
    assert all("404" in line for line in browser.console_errors())


def test_everything_can_be_done_by_keyboard(browser: Browser, pages: list[str], served: Served) -> None:
    """Skip link, navigation, a person and renaming work without a mouse, with visible focus."""
    browser.go("/people")
    browser.press(Keys.TAB)
    browser.wait(lambda: browser.focused.text == "Skip to the content", "the skip link to have the focus and show")
    top = "return document.activeElement.getBoundingClientRect().top"
    browser.wait(lambda: browser.run(top) >= 0, "the skip link to be in the window")
    browser.press(Keys.ENTER)
    browser.wait(lambda: browser.focused.get_attribute("id") == "content", "the content to have the focus")
    tab_to(browser, "#people a")
    outline = "const style = getComputedStyle(document.activeElement); return [style.outlineStyle, style.outlineWidth]"
    browser.expect(lambda: browser.run(outline), ["solid", "3px"])
    with browser.new_page():
        browser.press(Keys.ENTER)
    browser.visible("#person")
    tab_to(browser, "[data-opens=rename]")
    browser.press(Keys.SPACE)
    browser.expect(lambda: browser.focused.get_attribute("id"), "new-name")
    with browser.new_page():
        browser.press("Eileen Collins", Keys.ENTER)
    assert browser.text("h1") == "Eileen Collins"
    assert served.person("Eileen Collins") is not None


def tab_to(browser: Browser, selector: str) -> None:
    """Press Tab until an element that matches a selector has the focus."""
    for _ in range(60):
        browser.press(Keys.TAB)
        if browser.run("return document.activeElement.matches(arguments[0])", selector):
            return
    pytest.fail(f"60 tabs did not reach {selector}")


def test_ways_to_add_photos_are_reached_by_keyboard(browser: Browser, pages: list[str]) -> None:
    """Tab reaches the two file fields, the camera and the addresses in order; Space opens the addresses."""
    browser.go("/")
    for selector in ("#files", "#folder", "#shoot", "#paste"):
        tab_to(browser, selector)
    browser.press(Keys.SPACE)
    browser.expect(lambda: browser.focused.get_attribute("id"), "urls")
    assert browser.one("#paste").get_attribute("aria-expanded") == "true"


@pytest.mark.parametrize("size", [PHONE, NARROWEST], ids=["phone", "narrowest"])
def test_nothing_is_wider_than_a_phone(
    browser: Browser, pages: list[str], portraits: dict[str, Path], size: tuple[int, int]
) -> None:
    """On a phone no page scrolls sideways, with results and cards, in both languages."""
    browser.resize(size)
    wide = {}
    for language in ("en", "zh"):
        browser.driver.add_cookie({"name": "faceall-language", "value": language})
        for path in pages:
            browser.go(path)
            wide[path, language] = width_of(browser)
        search(browser, portraits["photo_4"])
        wide["results", language] = width_of(browser)
        register(browser, [portraits["Eileen_1"]])
        wide["cards", language] = width_of(browser)
    assert {place: width for place, width in wide.items() if width > size[0]} == {}


def width_of(browser: Browser) -> int:
    """Return the width of the content in pixels."""
    return int(browser.run("return document.documentElement.scrollWidth"))


def brightness(browser: Browser) -> int:
    """Return the sum of red, green and blue of the page's background."""
    colour = browser.run("return getComputedStyle(document.body).backgroundColor")
    return sum(map(int, re.findall(r"\d+", colour)[:3]))


def test_colours_follow_the_device_until_switched(browser: Browser, pages: list[str]) -> None:
    """The page is dark if the device is; the button switches, and the choice is kept."""
    browser.prefer("dark")
    browser.go("/people")
    browser.wait(lambda: brightness(browser) < 150, "dark colours")
    assert browser.one("#theme").get_attribute("aria-label") == "Switch to light theme"
    browser.follow("#theme")
    browser.wait(lambda: brightness(browser) > 600, "light colours")
    browser.go("/status")
    browser.wait(lambda: brightness(browser) > 600, "light colours")
    assert browser.one("#theme").get_attribute("aria-label") == "Switch to dark theme"


def test_the_language_can_be_switched(browser: Browser, pages: list[str]) -> None:
    """The button shows the same page in the other language, also texts of scripts, and the choice is kept."""
    chinese = load_texts("zh")
    browser.go("/people?unnamed=none")
    browser.follow("button[value=zh]")
    assert browser.text("h1") == chinese("people.title")
    assert browser.driver.current_url.endswith("/people?unnamed=none")
    assert browser.one("html").get_attribute("lang") == "zh-Hans"
    browser.click_on(browser.all("#people .tile-select")[0])
    browser.go("/status")
    assert browser.text("h1") == chinese("status.title")


def test_the_browser_chooses_the_language(served: Served, pages: list[str], portraits: dict[str, Path]) -> None:
    """A browser that prefers Chinese gets Chinese, also in texts of scripts."""
    chinese = load_texts("zh")
    browser = Browser(language="zh-CN")
    browser.address = served.address
    try:
        [card] = register(browser, [portraits["Eileen_1"]])
        assert card["status"] == chinese("outcome.unchanged")
        assert browser.text("#progress-text") == chinese.count("script.finished", 1)
        search(browser, portraits["photo_4"])
        assert browser.text("#results h2") == chinese.count("search.choose", 2)
        assert browser.console_errors() == []
    finally:
        browser.close()


def test_it_works_without_scripts(served: Served, pages: list[str], portraits: dict[str, Path]) -> None:
    """Registering and searching are forms; the responses are pages with faces drawn by the server."""
    browser = Browser(scripts=False)
    browser.address = served.address
    try:
        browser.go("/")
        browser.choose("#files", [portraits["Eileen_1"], portraits["photo_5"]])
        browser.follow("#register .primary[class='button primary']")
        said = [card.find_element("css selector", "[data-status]").text for card in browser.all("[data-card]")]
        assert said == ["Already in the gallery", "No face found"]
        browser.go("/search")
        browser.choose("#file", [portraits["photo_4"]])
        browser.follow("#search .without-script button")
        assert len(browser.all(".answer")) == 2
        assert len(browser.all(".query .marks rect")) == 2
        assert len(browser.all(".answer .match")) >= 2
        assert not browser.all("#threshold")[0].is_displayed()
    finally:
        browser.close()


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[tuple[Served, str]]:
    """Start a server whose gallery has a key; return it and the key."""
    made = run_faceall("serve", "--create-key", "--gallery", str(tmp_path / "locked"), folder=tmp_path)
    key = re.search(r"faceall_\S+", made)
    assert key, made
    server = Served(tmp_path / "locked")
    yield server, key[0]
    server.stop()


def test_a_key_opens_the_pages(locked: tuple[Served, str], portraits: dict[str, Path], axe: str) -> None:
    """A wrong key is refused; the right one leads to the requested page; signing out asks again."""
    server, key = locked
    browser = Browser()
    browser.address = server.address
    try:
        browser.go("/people?unnamed=only")
        assert browser.text("h1") == "Sign in"
        assert violations(browser, axe) == []
        with browser.new_page():
            browser.one("#key").send_keys("faceall_wrong", Keys.ENTER)
        assert "Wrong key" in browser.visible("#problem").text
        with browser.new_page():
            browser.one("#key").send_keys(key, Keys.ENTER)
        browser.visible("#group")
        assert browser.driver.current_url.endswith("/people?unnamed=only")
        assert [card["boxes"] for card in register(browser, [portraits["Eileen_1"]])] == [1]
        browser.follow("[name=sign_out]")
        browser.visible("#key")
        assert all("401" in line for line in browser.console_errors())
    finally:
        browser.close()


def test_the_window_is_large_again(browser: Browser, pages: list[str]) -> None:
    """On a desktop the navigation is at the top, with all four pages."""
    browser.go("/status")
    links = browser.all(".navigation a")
    assert [link.text for link in links] == ["Register", "Search", "People", "Review", "Status"]
    assert all(link.location["y"] < 100 for link in links)
    assert browser.run("return innerWidth") == DESKTOP[0]
