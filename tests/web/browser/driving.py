"""Chromium, driven by Selenium, and `faceall serve` as a subprocess.

Chromium and the server run beside the test, so an action has its effect later: every lookup and assertion after one
waits for a condition (`one`, `visible`, `wait`, `expect`, `new_page`). To find those that do not, run the tests slowed
down: FACEALL_BROWSER_LATENCY=300 delays every response by as many milliseconds, FACEALL_BROWSER_SLOWDOWN=6 divides the
speed of the page's scripts, and `taskset -c 0` leaves one core to all.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from places import ROOT

pytest.importorskip("flask", reason="the web app needs faceall[web]")
pytest.importorskip("waitress", reason="the web app needs faceall[web]")
pytest.importorskip("selenium", reason="needs Selenium, which drives the browser")

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.remote.webelement import WebElement

PHONE = (390, 844)
DESKTOP = (1280, 900)
PATIENCE = 120.0  # seconds that a page may take on a busy machine
LATENCY = int(os.environ.get("FACEALL_BROWSER_LATENCY", "0"))  # milliseconds
SLOWDOWN = float(os.environ.get("FACEALL_BROWSER_SLOWDOWN", "1"))
_ADDRESS = re.compile(r"http://\S+:\d+/")


def find_chromium() -> tuple[str, str]:
    """Return the paths of browser and driver, or skip with a message about what is missing."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("needs Chromium and its driver (Debian: apt-get install chromium chromium-driver)")
    return browser, driver


class Served:
    """`faceall serve` with its own gallery on a free port, until `stop`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = folder.parent / f"{folder.name}.log"
        folder.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*_FACEALL, "serve", "--port", "0", "--gallery", str(folder)],
                stdout=log,
                stderr=log,
                env=environment(folder.parent),
                cwd=ROOT,
            )
        self.address = self._wait_for_address()

    def _wait_for_address(self) -> str:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self._process.poll() is None:
            found = _ADDRESS.search(self._log.read_text())
            if found:
                return found[0].rstrip("/")
            time.sleep(0.1)
        pytest.fail(f"faceall serve did not begin: {self._log.read_text()[-2000:]}")

    def ask(self, path: str) -> Any:
        """Return the API's response to a GET."""
        with urllib.request.urlopen(f"{self.address}/api/v1{path}") as answer:
            return json.load(answer)

    def person(self, name: str) -> dict[str, Any] | None:
        """Return the person with a name, or None."""
        return next((one for one in self.ask("/people?limit=500")["people"] if one["name"] == name), None)

    def stop(self) -> None:
        """Stop the process with SIGINT."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


_FACEALL = (sys.executable, "-c", "from faceall_cli.main import main; main()")


def environment(folder: Path) -> dict[str, str]:
    """Return an environment with its own settings, models and caches."""
    own = {"FACEALL_DATA": str(folder / "data"), "FACEALL_CACHE": str(folder / "cache")}
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "cli"), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, **own, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def run_faceall(*arguments: str, folder: Path) -> str:
    """Return the stdout of a faceall command."""
    done = subprocess.run(
        [*_FACEALL, *arguments], capture_output=True, text=True, check=True, env=environment(folder), cwd=ROOT
    )
    return done.stdout


class Browser:
    """Headless Chromium with the actions of a user."""

    def __init__(self, *, language: str = "en", scripts: bool = True) -> None:
        binary, driver = find_chromium()
        options = webdriver.ChromeOptions()
        options.binary_location = binary
        for argument in (
            "--headless=new",
            "--no-sandbox",  # the tests may run as root, in a container
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--hide-scrollbars",
            "--force-prefers-reduced-motion",
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
            f"--accept-lang={language}",
            f"--window-size={DESKTOP[0]},{DESKTOP[1]}",
        ):
            options.add_argument(argument)
        if not scripts:
            options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(driver))
        self.driver.set_script_timeout(PATIENCE)
        self.address = ""
        self._numbers = itertools.count()
        self._errors: list[str] = []
        if SLOWDOWN > 1:
            self.driver.execute_cdp_cmd("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
        if LATENCY:
            self.slow_uploads(-1)

    def go(self, path: str) -> None:
        """Open a page of the server."""
        with self.new_page():  # the driver may return while the page before is still shown
            self.driver.get(self.address + path)

    def complete(self) -> None:
        """Wait until the page, its style sheets and its scripts are loaded; the driver may return earlier."""
        self.wait(lambda: self.run("return document.readyState") == "complete", "the whole page")

    @contextmanager
    def new_page(self) -> Iterator[None]:
        """After the actions of a block, wait until another page, or the same one again, is loaded."""
        number = next(self._numbers)
        self.run("window.visit = arguments[0]", number)
        yield
        left = "return window.visit !== arguments[0] && document.readyState === 'complete'"
        self.wait(lambda: self.run(left, number), "the next page")

    @contextmanager
    def at_the_begin_of_pages(self, script: str) -> Iterator[None]:
        """Run a script in every page that is opened in a block, before the scripts of the page."""
        added = self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
        try:
            yield
        finally:
            self.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)

    def follow(self, selector: str) -> None:
        """Click on an element that leads to another page, or to the same one again, and wait until it is loaded."""
        with self.new_page():
            self.click(selector)

    def all(self, selector: str) -> list[WebElement]:
        """Return every element of a CSS selector."""
        return self.driver.find_elements("css selector", selector)

    def one(self, selector: str) -> WebElement:
        """Return the first element of a CSS selector, as soon as it exists."""
        return self.wait(lambda: next(iter(self.all(selector)), None), f"{selector} to appear")

    def visible(self, selector: str) -> WebElement:
        """Return the first element of a CSS selector, as soon as it is visible."""
        return self.wait(lambda: next(iter(self.shown(selector)), None), f"{selector} to show")

    def shown(self, selector: str) -> list[WebElement]:
        """Return every visible element of a CSS selector."""
        return [found for found in self.all(selector) if found.is_displayed()]

    def text(self, selector: str) -> str:
        """Return the text of an element."""
        return self.one(selector).text

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait until a condition holds; return its value. The page may change while the condition looks at it."""
        until, problem = time.monotonic() + PATIENCE, None
        while True:
            try:
                if value := condition():
                    return value
            except WebDriverException as error:
                problem = error
            if time.monotonic() > until:
                said = f"; {problem.msg}" if problem else ""
                pytest.fail(f"waited for {what} on {self.driver.current_url}; console: {self.console_errors()}{said}")
            time.sleep(0.05)

    def expect(self, read: Callable[[], Any], expected: Any) -> None:
        """Wait until a function returns the expected value."""
        last: list[Any] = []

        def fits() -> bool:
            last[:] = [read()]
            return bool(last[0] == expected)

        try:
            self.wait(fits, f"{expected!r}")
        except pytest.fail.Exception as failure:
            pytest.fail(f"{failure}; got {last[0] if last else None!r}")

    def click(self, selector: str) -> None:
        """Click on an element after scrolling it to the middle, where no bar covers it, as soon as it is enabled."""

        def clicked() -> bool:
            found = self.shown(selector)
            if not found or not found[0].is_enabled():
                return False
            self.click_on(found[0])
            return True

        self.wait(clicked, f"{selector} to show and to be enabled")

    def click_on(self, element: WebElement) -> None:
        """Click on a given element in the same way."""
        self.run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        element.click()

    def choose(self, selector: str, files: Sequence[Path]) -> None:
        """Choose files in an <input type=file>."""
        self.one(selector).send_keys("\n".join(map(str, files)))

    def drop(self, selector: str, files: Sequence[Path]) -> None:
        """Drop files on an element."""
        content = [[file.name, base64.b64encode(file.read_bytes()).decode("ascii")] for file in files]
        self.run(_DROP, self.one(selector), content)

    def press(self, *keys: str) -> None:
        """Press keys in turn in the focused element."""
        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def run(self, script: str, *values: Any) -> Any:
        """Run a script in the page; the content security policy does not apply to it."""
        return self.driver.execute_script(script, *values)

    @property
    def focused(self) -> WebElement:
        """Return the focused element."""
        return self.driver.switch_to.active_element

    def resize(self, size: tuple[int, int]) -> None:
        """Set the window size; a narrow window emulates a phone."""
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 700}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": size[0] < 700})
        if self.driver.current_url.startswith("http"):
            self.expect(lambda: self.run("return document.documentElement.clientWidth"), size[0])

    def prefer(self, scheme: str) -> None:
        """Set the preferred colour scheme, light or dark."""
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def touch(self, kind: str, *points: tuple[float, float]) -> None:
        """Touch the screen with fingers at some points of the window; "touchStart", "touchMove" or "touchEnd"."""
        touched = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        self.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touched})

    def slow_uploads(self, bytes_per_second: int) -> None:
        """Limit the speed of uploads; -1 removes the limit."""
        self.driver.execute_cdp_cmd("Network.enable", {})
        limits = {"offline": False, "latency": LATENCY, "downloadThroughput": -1, "uploadThroughput": bytes_per_second}
        self.driver.execute_cdp_cmd("Network.emulateNetworkConditions", limits)

    def console_errors(self) -> list[str]:
        """Return new errors, warnings and policy violations of the console."""
        log = self.driver.get_log("browser")
        found = [entry["message"] for entry in log if entry["level"] in ("SEVERE", "WARNING")]
        found, self._errors = [*self._errors, *found], []
        return found

    def wait_for_errors(self, number: int) -> list[str]:
        """Wait until the console has so many new errors, and return them."""

        def logged() -> bool:
            self._errors = self.console_errors()
            return len(self._errors) >= number

        self.wait(logged, f"{number} errors in the console")
        return self.console_errors()

    def screenshot(self) -> bytes:
        """Return the whole page as a PNG."""
        self.run("scrollTo(0, 0)")
        width, height = self.run("return [innerWidth, document.documentElement.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
        return base64.b64decode(shot["data"])

    def close(self) -> None:
        """Close the browser."""
        self.driver.quit()


def results_of(browser: Browser) -> list[dict[str, Any]]:
    """Return the texts of the cards on the page Register, in order."""
    return list(browser.run(_READ_CARDS))


def register(browser: Browser, files: Sequence[Path], *, person: str = "") -> list[dict[str, Any]]:
    """Register files through the page, wait for all results and accept the proposed names."""
    browser.go("/")
    if person:
        browser.one("#person").send_keys(person)
    browser.choose("#files", files)
    finish_registration(browser)
    return results_of(browser)


def finish_registration(browser: Browser, *, names: bool = True) -> list[str]:
    """Wait for the end of a registration and answer the question for names; return the proposed ones."""
    browser.visible("#see-people, #name-question")
    proposed = browser.run("return [...document.querySelectorAll('#proposals [name=name]')].map((one) => one.value)")
    if browser.all("#name-question:not([hidden])"):
        browser.click("#save-names" if names else "#no-names")
    browser.visible("#see-people")
    return list(proposed)


def read_question(browser: Browser) -> str:
    """Return the question of the page Review, as soon as it can be answered."""
    browser.visible("#question")
    browser.wait(lambda: browser.one("[data-say=yes]").is_enabled(), "the buttons")
    return browser.text("#question")


_READ_CARDS = """
return [...document.querySelectorAll("[data-card]")].map((card) => ({
  name: card.querySelector("[data-name]").textContent,
  status: card.querySelector("[data-status]").textContent,
  people: [...card.querySelectorAll("[data-people] a")].map((link) => link.textContent),
  message: card.querySelector("[data-message]").textContent,
  boxes: card.querySelectorAll(".marks rect").length,
  points: [...card.querySelectorAll(".marks path")].map((path) => path.getAttribute("d").split("M").length - 1),
}));
"""

_DROP = """
const [target, content] = arguments;
const transfer = new DataTransfer();
for (const [name, base64] of content) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  transfer.items.add(new File([bytes], name, { type: "image/jpeg" }));
}
for (const type of ["dragenter", "dragover", "drop"]) {
  target.dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
}
"""
