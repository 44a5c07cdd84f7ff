"""A headless Chromium that reaches nothing but this machine, and what it noticed while it looked at a page."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from tests.servers import missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from selenium.webdriver.remote.webelement import WebElement

WAIT_S = 120.0  # only ends a test that hangs
PICTURES = Path(os.environ.get("ENGINEWATCH_PICTURES", "build/pictures"))
DESK = 1280, 900  # pixels
PHONE = 390, 844
PRESSED = {"button", "link", "textbox", "searchbox", "combobox", "checkbox", "radio", "slider", "spinbutton"}


class Page:
    """One tab, and everything that a person would do in it."""

    def __init__(self, driver: webdriver.Chrome, address: str) -> None:
        """`address` is where the daemon serves."""
        self.driver = driver
        self.address = address

    def open(self, where: str = "") -> None:
        """Go to a view, such as `#/fleet`."""
        self.driver.get(f"{self.address}/{where}")

    def until(self, what: Callable[[], Any], why: str = "") -> Any:
        """Wait until something is true, and return it; what the page draws anew meanwhile is looked for again."""

        def look(_: object) -> Any:
            try:
                return what()
            except StaleElementReferenceException:
                return False

        return WebDriverWait(self.driver, WAIT_S, 0.1).until(look, f"{why}\n{self.text()[:2000]}")

    def find(self, selector: str, text: str = "") -> list[WebElement]:
        """What is seen of a selector's elements, of those with this text."""
        found = self.driver.find_elements(By.CSS_SELECTOR, selector)
        return [each for each in found if each.is_displayed() and text.casefold() in each.text.casefold()]

    def see(self, selector: str, text: str = "") -> WebElement:
        """The first of them, as soon as there is one."""
        found: list[WebElement] = self.until(lambda: self.find(selector, text), f"{selector} with {text!r}")
        return found[0]

    def press(self, selector: str, text: str = "") -> None:
        """Click it as a person does: where it is in sight, and not covered."""

        def click() -> bool:
            for each in self.find(selector, text):
                if each.is_enabled():
                    self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", each)
                    each.click()
                    return True
            return False

        self.until(click, f"press {selector} with {text!r}")

    def choose(self, selector: str, text: str) -> None:
        """Choose what reads so among a list's."""

        def select() -> bool:
            among = Select(self.see(selector))
            if all(each.text != text for each in among.options):
                return False
            among.select_by_visible_text(text)
            return True

        self.until(select, f"choose {text!r} in {selector}")

    def write(self, selector: str, text: str) -> None:
        """Write into a field, in place of what is there."""
        field = self.see(selector)
        field.clear()
        field.send_keys(text)

    def text(self) -> str:
        """All that is to be read."""
        return self.driver.find_element(By.TAG_NAME, "body").text

    # -- how it looks ---------------------------------------------------------------------------------------------

    def theme(self, name: str) -> None:
        """What the system says that people like: dark or light."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def size(self, width: int, height: int) -> None:
        """How large the screen is."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < DESK[0]}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def overflows(self) -> int:
        """Pixels by which the page is wider than the screen."""
        script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.driver.execute_script(script))

    def nameless(self) -> list[str]:
        """The roles of what can be pressed or filled in, and has no name that a screen reader could say."""
        tree = self.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        seen = [each for each in tree if not each["ignored"] and each["role"]["value"] in PRESSED]
        return [each["role"]["value"] for each in seen if not each.get("name", {}).get("value")]

    def picture(self, name: str) -> Path:
        """Keep what is seen, as NAME.png."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        file = PICTURES / f"{name}.png"
        self.driver.save_screenshot(str(file))
        return file

    # -- what the browser noticed ---------------------------------------------------------------------------------

    def complaints(self) -> list[str]:
        """Errors and warnings of the console since the last time."""
        return [
            f"{each['level']}: {each['message']}"
            for each in self._log("browser")
            if each["level"] in {"SEVERE", "WARNING"}
        ]

    def _log(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.driver.get_log(name)  # type: ignore[no-untyped-call]
        return found

    def requests(self) -> list[str]:
        """The addresses that were asked for since the last time."""
        found = []
        for each in self._log("performance"):
            message = json.loads(each["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.append(message["params"]["request"]["url"])
        return found


@contextmanager
def chromium(address: str, *, size: tuple[int, int] = DESK) -> Iterator[Page]:
    """A tab of a browser of its own."""
    program, drives = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or drives is None:
        missing("chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for each in (
        "--headless=new",
        "--no-sandbox",  # a sandbox cannot be had by root, as whom containers run
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        # No name is looked up: what a page asked of another host would fail, and be seen.
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    ):
        options.add_argument(each)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(drives))
    try:
        page = Page(driver, address)
        page.size(*size)
        yield page
    finally:
        driver.quit()
