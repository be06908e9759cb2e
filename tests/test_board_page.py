"""The board in a real browser: by keyboard alone, by one switch alone, without a server, without a voice."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.board_site import Site, serving, workspace
from tests.boards import archive, board
from tests.browser import AXE, Browser, browsing

WIDTHS = (360, 768, 1280)
FAST = {"scan": "one", "pace": 0.04}
FIRST = ["숨을 못 쉬겠어요", "아파요", "하지 마세요", "도와주세요"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("chromium")) as one:
        one.width(768)
        yield one


@pytest.fixture(scope="module")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(workspace(tmp_path_factory.mktemp("site"))) as one:
        yield one


def of(site: Site) -> Any:
    return site.app.state.service


def open_with_consent(browser: Browser, site: Site, press: Callable[[str], None], **settings: Any) -> int:
    """Somebody new allows all; their number."""
    browser.open(site.address, **settings)
    for label in ("19~64살", "고른 문장을", "적어 둔 말을", "시작하기"):
        press(label)
    browser.see("고른 카드")
    return max(site.app.state.feedback.people())


@pytest.mark.parametrize("way", ["key", "switch"])
def test_a_sentence_is_made_heard_edited_refused_and_taken_back(browser: Browser, site: Site, way: str) -> None:
    press = getattr(browser, way)
    person = open_with_consent(browser, site, press, **(FAST if way == "switch" else {}))
    press("음식")
    press("밥")
    press("처음 판")
    for word in ("주세요", "더"):
        press(word)
    press("하나 지우기")
    assert browser.heard == []
    press("문장 만들기")
    browser.see("어느 말인가요?")
    offered = browser.run("return [...document.querySelectorAll('.offers button')].map((one) => one.textContent)")
    assert len(set(offered)) == 3 and browser.heard == []
    press(offered[1])
    browser.see("다시 말하기")
    assert browser.heard == [f"local: {offered[1]}"]
    press("잘못 골랐어요")
    press("이 중에 없어요")
    browser.see("알겠어요")
    press("다른 문장 보기")
    browser.until(lambda: "응?" in browser.text)
    press("고치기")
    press("지우기")
    press("ㅋ")
    press("말하기")
    browser.until(lambda: len(browser.heard) == 2)
    edited = browser.heard[1].removeprefix("local: ")
    assert edited == f"{offered[0][:-1]}, 응ㅋ"
    press("말한 문장")
    press(edited)
    assert browser.heard[2] == browser.heard[1] and "cut" not in browser.heard
    events = browser.until(lambda: len(found := site.app.state.feedback.events(person)) > 6 and found)
    kinds = [event["event"] for event in events]
    assert kinds == ["consent", "shown", "chosen", "undone", "none", "shown", "edited"]
    assert events[-1]["text"] == edited and events[2]["text"] == offered[1]
    press("새로 고르기")
    press("음식")
    press("밥")
    press("처음 판")
    press("주세요")
    press("문장 만들기")
    browser.see("전에 쓴 말")
    press(f"전에 쓴 말{edited}")
    assert browser.heard[-1] == f"local: {edited}"
    site.app.state.feedback.delete(person)


def test_the_record_is_read_and_deleted_on_the_page(browser: Browser, site: Site) -> None:
    person = open_with_consent(browser, site, browser.tap)
    for label in ("주세요", "문장 만들기", "주세요.", "말한 문장", "적어 둔 것"):
        browser.tap(label)
    browser.see("골랐어요: 주세요.")
    browser.tap("모두 지우기 (기록)")
    assert person in site.app.state.feedback.people()  # asked once more
    browser.tap("정말 지울까요")
    browser.see("기록을 모두 지웠어요")
    assert person not in site.app.state.feedback.people()


def test_consent_of_a_child_needs_a_guardian_and_nothing_is_kept_without(browser: Browser, site: Site) -> None:
    feedback = site.app.state.feedback
    before = feedback.people()
    browser.open(site.address)
    browser.tap("고른 문장을")
    browser.tap("시작하기")
    browser.see("나이를 골라")
    browser.tap("13살까지")
    browser.tap("시작하기")
    browser.see("보호자가 동의해야")
    assert feedback.people() == before
    browser.tap("고른 문장을")
    browser.tap("시작하기")
    for label in ("아프다", "문장 만들기", "아파"):
        browser.tap(label)
    browser.until(lambda: browser.heard)
    assert feedback.people() == before
    assert of(site).asked[-1].persona.age == "아동"


def test_waiting_can_be_ended_or_spoken_over(browser: Browser, site: Site) -> None:
    browser.open(site.address)
    browser.tap("시작하기")
    browser.tap("더")
    of(site).held.clear()
    try:
        browser.tap("문장 만들기")
        browser.see("문장을 만들고 있어요")
        browser.tap("그대로 말하기")
        browser.see("다시 말하기")
        assert browser.heard == ["local: 더"]
        browser.tap("말판")
        browser.tap("문장 만들기")
        browser.tap("그만두기")
        browser.see("하나 지우기")
    finally:
        of(site).held.set()


def test_urgent_phrases_need_no_server_and_the_words_neither(browser: Browser, site: Site) -> None:
    browser.open(site.address)
    browser.tap("시작하기")
    browser.tap("더")
    asked = len(of(site).asked)
    site.stop()
    try:
        browser.tap("문장 만들기")
        browser.see("지금은 문장을 만들 수 없어요")
        browser.tap("그대로 말하기")
        browser.tap(FIRST[0])
        browser.until(lambda: browser.heard == ["local: 더", f"local: {FIRST[0]}"])
        browser.tap("말판")
        browser.tap("주세요")  # the board is still there
        browser.tap("문장 만들기")
        browser.see("지금은 문장을 만들 수 없어요")
    finally:
        site.start()
    browser.see("다시 문장을 만들 수 있어요")
    browser.tap("다시 해 보기")
    browser.see("어느 말인가요?")
    assert len(of(site).asked) == asked + 1
    urgent = browser.run("return [...document.querySelectorAll('.first button')].map((b) => b.textContent)")
    assert urgent == FIRST


def test_without_a_voice_of_its_own_the_device_shows_the_sentence_large(browser: Browser, site: Site) -> None:
    browser.open(site.address)
    browser.run("window.voices = window.voices.filter((voice) => !voice.localService)")
    browser.tap("아파요")
    browser.see("한국어 목소리가 없어서")
    assert (
        browser.heard == []
        and browser.run("return parseFloat(getComputedStyle(document.querySelector('.large')).fontSize)") >= 40
    )


def test_an_imported_board_shows_its_places_and_runs_nothing(browser: Browser, site: Site, tmp_path: Path) -> None:
    evil = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>"
    mine = board("판", ["물", evil, "고래"])
    mine["images"][1] = {"id": 1, "url": "http://example.invalid/x.png"}
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>parent.hacked=1</script><image href='http://example.invalid/'/></svg>"
    mine["images"][2]["data"] = f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"
    path = tmp_path / "board.obz"
    path.write_bytes(archive({"a.obf": mine}))
    browser.open(site.address)
    browser.tap("설정")
    browser.until(lambda: browser.find("말판 가져오기"))
    browser.driver.find_element("id", "file").send_keys(str(path))
    browser.see("말판을 가져왔어요")
    assert evil in browser.text and browser.run("return window.hacked") is None
    assert "인터넷 주소로만 있어요" in browser.run("return document.querySelector('details').textContent")
    browser.tap("설정")
    browser.tap("처음 말판으로")
    browser.see("음식")


def states(browser: Browser, site: Site) -> Iterator[str]:
    """Every state of the page, one after the other."""
    browser.open(site.address, language="ko")
    yield "person"
    browser.tap("13살까지")
    browser.tap("고른 문장을")
    yield "consent of a child"
    browser.tap("고른 문장을")
    browser.tap("시작하기")
    yield "no cards"
    browser.tap("더")
    yield "a card"
    browser.tap("음식")
    yield "a folder"
    of(site).held.clear()
    browser.tap("문장 만들기")
    yield "waiting"
    of(site).held.set()
    browser.see("어느 말인가요?")
    yield "three sentences"
    browser.tap("고치기")
    yield "editing"
    browser.tap("말하기")
    browser.see("다시 말하기")
    yield "said"
    browser.tap("말한 문장")
    yield "history"
    browser.tap("누구에게")
    yield "partner"
    browser.tap("설정")
    yield "settings"
    browser.run("window.voices = []")
    browser.tap("아파요")
    yield "shown large"
    browser.tap("English")
    browser.see("Shown large")
    yield "English"
    browser.tap("한국어")


def test_every_target_is_large_enough_and_nothing_is_wider_than_the_screen(browser: Browser, site: Site) -> None:
    for width in (320, *WIDTHS):  # 320: 1280 pixels at 400 %
        browser.width(width)
        for state in states(browser, site):
            assert browser.small_targets() == [], (width, state)
            wide = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, (width, state, wide)
    browser.run(
        "document.querySelector('button').style.cssText = 'min-width:0;min-height:0;width:10px;height:10px;padding:0'"
    )
    assert browser.small_targets()  # the control
    browser.width(768)


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not here: .ci/run fetches it")
def test_axe_finds_nothing_in_any_state_and_what_is_planted(browser: Browser, site: Site) -> None:
    for state in states(browser, site):
        assert browser.violations() == [], state
        for theme in ("dark", "contrast"):
            browser.run("document.documentElement.dataset.theme = arguments[0]", theme)
            assert browser.violations("color-contrast") == [], (theme, state)
    planted = {
        "image-alt": "<img src='data:,'>",
        "button-name": "<button></button>",
        "color-contrast": "<p id='faint'>흐린 글</p>",
        "label": "<input type='text'>",
        "aria-valid-attr-value": "<p aria-hidden='perhaps'>글</p>",
    }
    insert = "document.getElementById('main').insertAdjacentHTML('afterbegin', arguments[0])"
    browser.run(insert, "".join(planted.values()))
    faint = "color: #999; background: #aaa; position: relative; z-index: 9; padding: 1rem"
    browser.run("document.getElementById('faint').style.cssText = arguments[0]", faint)
    found = {line.partition(":")[0] for line in browser.violations()}
    assert set(planted) <= found


def test_no_request_leaves_this_host(browser: Browser, site: Site) -> None:
    browser.requests()
    for _ in states(browser, site):
        pass
    asked = browser.requests()
    assert len(asked) > 10 and all(address.startswith(site.address) for address in asked)
    script = "fetch('http://127.0.0.2:9/').then(arguments[0], (error) => arguments[0](String(error)))"
    assert "Failed to fetch" in browser.driver.execute_async_script(script)  # the page's own rules forbid it
    browser.run("location.assign('http://127.0.0.2:9/')")
    browser.until(lambda: any("127.0.0.2" in address for address in browser.requests()))  # the control


def test_arrow_keys_two_switches_and_settings(browser: Browser, site: Site) -> None:
    from selenium.webdriver import Keys

    browser.open(site.address, scan="two")
    browser.keys(Keys.SPACE)  # from the urgent row to the next
    browser.keys(Keys.ENTER)
    browser.see("고른 카드")
    for _ in range(3):
        browser.keys(Keys.SPACE)
    marked = browser.run("return document.querySelector('.marked').textContent")
    browser.keys(Keys.ENTER)
    browser.keys(Keys.SPACE)
    assert browser.run("return document.querySelector('button.marked') !== null"), marked
    browser.width(768, 660)
    browser.open(site.address)
    browser.tap("시작하기")
    browser.tab_to("놀이")  # the last folder, below the edge of the screen
    under = "const box = document.activeElement.getBoundingClientRect(), bar = document.getElementById('bar');"
    assert browser.run(f"{under} return bar.getBoundingClientRect().top - box.bottom") >= 0
    browser.width(768)
    browser.open(site.address, theme="contrast", borders=False)
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(0, 0, 0)"
    browser.tap("시작하기")
    border = "return getComputedStyle(document.querySelector('[data-kind=verb]')).boxShadow"
    assert browser.run(border) == "none"
    browser.tap("설정")
    browser.tap("낱말 갈래")
    browser.tap("말판")
    assert browser.run(border) != "none"
    browser.run("document.querySelector('[data-key=\"boards/home.obf 0 1\"]').focus()")
    browser.keys(Keys.ARROW_RIGHT)
    assert browser.run("return document.activeElement.textContent") == "가다"
    browser.keys(Keys.ARROW_LEFT, Keys.ARROW_DOWN, Keys.ARROW_UP)  # down to the one place of the next row
    assert browser.run("return document.activeElement.textContent") == "주세요"
