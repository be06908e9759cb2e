"""Debian's Chromium for the board's tests: a headless session that hears what the page says and counts what it asks."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

AXE = Path(__file__).resolve().parents[1] / ".cache/axe-core/axe.min.js"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--lang=ko",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
# Headless Chromium has no voices: this one has what `voices` says, and keeps what it was told in `heard`.
_SPEECH = """
window.heard = [];
window.voices = [
  {lang: "ko-KR", localService: false, name: "online"}, {lang: "ko_KR", localService: true, name: "local"}];
window.SpeechSynthesisUtterance = function (text) { this.text = text; };
Object.defineProperty(window, "speechSynthesis", {configurable: true, value: {
  getVoices: () => window.voices, speak: (one) => window.heard.push(`${one.voice.name}: ${one.text}`),
  cancel: () => window.heard.push("cut"), pause: () => window.heard.push("cut")}});
"""
# One press of a switch each time the mark reaches the row, then the target, that is wanted.
_SWITCH = """
const [wanted, done] = arguments;
const targets = (one) => [...one.querySelectorAll("button:not(:disabled)")];
const exact = targets(document).some((one) => one.textContent === wanted);
const meant = (one) => (exact ? one.textContent === wanted : one.textContent.startsWith(wanted));
const space = {key: " ", bubbles: true, cancelable: true};
const press = () => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", space));
const begun = Date.now();
const look = setInterval(() => {
  const marked = document.querySelector(".marked");
  if (Date.now() - begun > 60000) { clearInterval(look); return done(`never marked: ${wanted}`); }
  if (!marked) return;
  if (marked.matches("button")) {
    if (!meant(marked)) return;
    clearInterval(look); press(); return done("");
  }
  if (!targets(marked).some(meant)) return;
  const alone = targets(marked).length === 1;
  press();
  if (alone) { clearInterval(look); done(""); }
}, 4);
"""
# How many targets the focus is away from one, in the order of the document.
_TABS = """
const all = [...document.querySelectorAll("button:not(:disabled), textarea, summary, a[href]")]
  .filter((one) => one.offsetParent !== null);
const here = document.activeElement, after = Node.DOCUMENT_POSITION_FOLLOWING;
const passed = all.filter((one) => one === here || !(here.compareDocumentPosition(one) & after)).length;
const steps = all.indexOf(arguments[0]) + 1 - passed;
return all.includes(here) || steps > 0 ? steps : steps - 1;
"""
_TARGETS = """
const kinds = "button, a[href], input:not([type=file]), textarea, select, summary, [role=switch]";
return [...document.querySelectorAll(kinds)]
  .filter((one) => one.offsetParent !== null).map((one) => [one.textContent || one.id, one.getBoundingClientRect()])
  .filter(([, box]) => box.width < 48 || box.height < 48).map(([name, box]) => `${name}: ${box.width} x ${box.height}`);
"""


class Browser:
    """A page under test."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, address: str, **settings: Any) -> None:
        """The page with settings of its own, and nothing heard yet."""
        self.driver.get(f"{address}/board/board.css")  # the same place, without the page
        self.driver.execute_script(
            "localStorage.clear(); localStorage.setItem('board', arguments[0])", json.dumps(settings)
        )
        self.driver.get(address)
        self.until(lambda: self.find("시작하기") or self.find("Start"))  # the first board reads a dictionary

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    @property
    def text(self) -> str:
        return self.run("return document.body.innerText")

    @property
    def heard(self) -> list[str]:
        return self.run("return window.heard")

    @property
    def status(self) -> str:
        return self.run("return document.getElementById('status').textContent")

    def until(self, true: Callable[[], Any], seconds: float = 60) -> Any:
        end = time.monotonic() + seconds
        while not (found := true()):
            assert time.monotonic() < end, f"not within {seconds} s; the page says: {self.text[:800]}"
            time.sleep(0.02)
        return found

    def find(self, label: str) -> Any:
        """The visible button with this text, or else the first whose text begins so; None: there is none."""
        return self.run(
            "const shown = [...document.querySelectorAll('button')].filter((one) => one.offsetParent);"
            "const is = (one) => one.textContent === arguments[0];"
            "return shown.find(is) ?? shown.find((one) => one.textContent.startsWith(arguments[0]));",
            label,
        )

    def see(self, text: str) -> None:
        self.until(lambda: text in self.text)

    def keys(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def tab_to(self, label: str) -> None:
        """By the tab key alone, as often as the order of the page asks for."""
        from selenium.webdriver import ActionChains, Keys

        wanted = self.until(lambda: self.find(label))
        steps = self.run(_TABS, wanted)
        chain = ActionChains(self.driver)
        if steps < 0:
            chain.key_down(Keys.SHIFT)
        chain.send_keys(*[Keys.TAB] * abs(steps)).perform()
        if steps < 0:
            ActionChains(self.driver).key_up(Keys.SHIFT).perform()
        assert self.driver.switch_to.active_element == wanted, f"the tab key does not reach {label!r} in {steps} steps"

    def key(self, label: str) -> None:
        from selenium.webdriver import Keys

        self.tab_to(label)
        self.keys(Keys.ENTER)

    def switch(self, label: str) -> None:
        self.until(lambda: self.find(label))
        assert self.driver.execute_async_script(_SWITCH, label) == ""

    def tap(self, label: str) -> None:
        self.until(lambda: self.find(label))
        self.run("arguments[0].click()", self.find(label))

    def small_targets(self) -> list[str]:
        return self.run(_TARGETS)

    def width(self, pixels: int, height: int = 900) -> None:
        metrics = {"width": pixels, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def violations(self, *rules: str) -> list[str]:
        """What axe-core finds, by all of its rules or by some."""
        if not self.run("return window.axe !== undefined"):
            self.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": AXE.read_text(encoding="utf-8")})
        chosen = {"runOnly": rules} if rules else {}
        script = "const done = arguments[1]; axe.run(document, arguments[0]).then((found) => done(found.violations))"
        found = self.driver.execute_async_script(script, chosen)
        return [f"{one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"]]

    def requests(self) -> list[str]:
        """Addresses asked since the last call, pages of the browser's own left out."""
        events = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        asked = (
            event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"
        )
        return [address for address in asked if not address.startswith(("data:", "blob:", "chrome:"))]


@contextmanager
def browsing(folder: Path) -> Iterator[Browser]:
    """A session; skips where there is no browser."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("no Chromium here: apt-get install chromium chromium-driver fonts-noto-cjk")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    session = webdriver.Chrome(options, webdriver.ChromeService(driver))
    try:
        session.set_script_timeout(90)
        session.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _SPEECH})
        yield Browser(session)
    finally:
        session.quit()
