"""The board of a running server in Chromium: a picture of it, and how long a choice of cards takes to three sentences.

python train/serve.py &
python benchmarks/board.py --picture train/logs/demo/board.png --choices 100

Needs selenium and Debian's chromium and chromium-driver. The picture shows the workspace's cards: it is made, never
committed, since the demo's symbols are OpenMoji's.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[:1] = [str(Path(__file__).resolve().parents[1])]

from benchmarks.common import arguments, report
from tests.browser import Browser, browsing

PRESSED = ("시작하기", "마실 것", "물", "처음 판", "주세요", "문장 만들기")
# From a press on "make sentences" until three stand on the page.
_MAKE = """
const [words, done] = arguments;
const press = (label, where) => [...document.querySelectorAll(`${where} button`)]
  .find((one) => one.textContent === label).click();
press("새로 고르기", "main");
for (const word of words) press(word, ".grids");  // 하지 마세요 stands among the urgent phrases, too
const begun = performance.now();
const look = new MutationObserver(() => {
  if (document.querySelectorAll(".offers button").length < 3) return;
  look.disconnect();
  done(performance.now() - begun);
});
look.observe(document.getElementById("main"), {childList: true});
press("문장 만들기", "main");
"""


def picture(browser: Browser, address: str, path: Path) -> None:
    """Three sentences of the demo's cards."""
    browser.open(address)
    for label in PRESSED:
        browser.tap(label)
    browser.see("어느 말인가요?")
    path.parent.mkdir(parents=True, exist_ok=True)
    browser.driver.save_screenshot(str(path))
    print(f"-> {path}")


def seconds(browser: Browser, address: str, choices: int, seed: int) -> list[float]:
    """Of each choice of one to four core words, drawn anew."""
    browser.open(address)
    browser.tap("시작하기")
    words = browser.run(
        "return [...document.querySelectorAll('.grids .card:not(.opens)')].map((one) => one.textContent)"
    )
    draw = random.Random(seed)
    found = []
    for _ in range(choices):
        browser.tap("아파요")  # a view from which a new choice begins
        browser.until(lambda: browser.find("새로 고르기"))
        chosen = draw.sample(words, draw.randint(1, 4))
        found.append(browser.driver.execute_async_script(_MAKE, chosen) / 1000)
        time.sleep(0.02)
    return found


def main(argv: list[str] | None = None) -> int:
    parser = arguments(__doc__, "board")
    parser.add_argument("--address", default="http://127.0.0.1:8000")
    parser.add_argument("--picture", type=Path, metavar="PNG")
    parser.add_argument("--choices", type=int, default=0, metavar="N")
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder, browsing(Path(folder)) as browser:
        browser.width(args.width, 1100)
        if args.picture:
            picture(browser, args.address, args.picture)
        if args.choices:
            taken = sorted(seconds(browser, args.address, args.choices, args.seed))
            row: dict[str, Any] = {"choices": len(taken)}
            row |= {f"p{share} ms": round(1000 * taken[len(taken) * share // 100]) for share in (50, 95, 99)}
            report([row], args.output, "From a choice of cards to three sentences on the page")
    return 0


if __name__ == "__main__":
    sys.exit(main())
