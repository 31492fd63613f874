"""A real browser on a real server: Chromium, driven by Selenium, and `faceall serve` as a process of its own."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from places import ROOT

pytest.importorskip("flask", reason="the web app needs faceall[web]")
pytest.importorskip("waitress", reason="the web app needs faceall[web]")
pytest.importorskip("selenium", reason="needs Selenium, which drives the browser")

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

PHONE = (390, 844)
DESKTOP = (1280, 900)
PATIENCE = 60.0  # seconds that a page may take on a busy machine
_ADDRESS = re.compile(r"http://\S+:\d+/")


def find_chromium() -> tuple[str, str]:
    """The browser and its driver on this machine, or a skip that says what is missing."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("needs Chromium and its driver (Debian: apt-get install chromium chromium-driver)")
    return browser, driver


class Served:
    """`faceall serve` on a gallery of its own and a free port, until `stop`."""

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
        """What the API answers to a GET."""
        with urllib.request.urlopen(f"{self.address}/api/v1{path}") as answer:
            return json.load(answer)

    def person(self, name: str) -> dict[str, Any] | None:
        """The person of a name, None where there is none."""
        return next((one for one in self.ask("/people?limit=500")["people"] if one["name"] == name), None)

    def stop(self) -> None:
        """End the process as Ctrl-C would."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


_FACEALL = (sys.executable, "-c", "from faceall_cli.main import main; main()")


def environment(folder: Path) -> dict[str, str]:
    """That of a process with settings, models and caches of its own."""
    own = {"FACEALL_DATA": str(folder / "data"), "FACEALL_CACHE": str(folder / "cache")}
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "cli"), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, **own, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def run_faceall(*arguments: str, folder: Path) -> str:
    """What a faceall command writes on stdout."""
    done = subprocess.run(
        [*_FACEALL, *arguments], capture_output=True, text=True, check=True, env=environment(folder), cwd=ROOT
    )
    return done.stdout


class Browser:
    """A Chromium without a window, and the few things that a person does with it."""

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
        self.address = ""

    def go(self, path: str) -> None:
        """Open a page of the server."""
        self.driver.get(self.address + path)
        # now and then the driver returns before the style sheets are there
        self.wait(lambda: self.run("return document.readyState") == "complete", "the whole page")

    def all(self, selector: str) -> list[WebElement]:
        """Every element of a CSS selector."""
        return self.driver.find_elements("css selector", selector)

    def one(self, selector: str) -> WebElement:
        """The first element of a CSS selector, as soon as it is there."""
        return self.wait(lambda: next(iter(self.all(selector)), None), f"{selector} to appear")

    def visible(self, selector: str) -> WebElement:
        """The first element of a CSS selector that can be seen, as soon as it can."""
        return self.wait(
            lambda: next((found for found in self.all(selector) if found.is_displayed()), None), f"{selector} to show"
        )

    def text(self, selector: str) -> str:
        """What an element says."""
        return self.one(selector).text

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait until a condition holds, and give what it gave."""
        from selenium.common.exceptions import StaleElementReferenceException

        waiting = WebDriverWait(self.driver, PATIENCE, 0.1, ignored_exceptions=[StaleElementReferenceException])
        return waiting.until(lambda _: condition(), f"waited for {what}")

    def click(self, selector: str) -> None:
        """Click on an element in the middle of the window, where no bar covers it."""
        self.click_on(self.visible(selector))

    def click_on(self, element: WebElement) -> None:
        """The same for an element that was found."""
        self.run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        element.click()

    def choose(self, selector: str, files: Sequence[Path]) -> None:
        """Give files to an <input type=file>."""
        self.one(selector).send_keys("\n".join(map(str, files)))

    def drop(self, selector: str, files: Sequence[Path]) -> None:
        """Let files fall on an element, as a file manager does."""
        content = [[file.name, base64.b64encode(file.read_bytes()).decode("ascii")] for file in files]
        self.run(_DROP, self.one(selector), content)

    def press(self, *keys: str) -> None:
        """Press keys, one after the other, wherever the focus is."""
        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def run(self, script: str, *values: Any) -> Any:
        """Run a script in the page, from outside of its policy."""
        return self.driver.execute_script(script, *values)

    @property
    def focused(self) -> WebElement:
        """The element that has the focus."""
        return self.driver.switch_to.active_element

    def resize(self, size: tuple[int, int]) -> None:
        """Become a window of another size; a phone's is one of a phone."""
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 700}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def prefer(self, scheme: str) -> None:
        """Have the device prefer light or dark colours."""
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def complaints(self) -> list[str]:
        """What the console has heard since it was last asked: errors, warnings, violations of the policy."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    def screenshot(self) -> bytes:
        """The whole page as a PNG."""
        self.run("scrollTo(0, 0)")
        width, height = self.run("return [innerWidth, document.documentElement.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
        return base64.b64decode(shot["data"])

    def close(self) -> None:
        """End the browser."""
        self.driver.quit()


def results_of(browser: Browser) -> list[dict[str, Any]]:
    """What the cards on the page for registering say, in order."""
    return list(browser.run(_READ_CARDS))


def register(browser: Browser, files: Sequence[Path], *, person: str = "") -> list[dict[str, Any]]:
    """Register files through the page, from its opening to the last answer; keep the names that are proposed."""
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
