"""The page stands alone and tells what it was given; the picture never shows empty boxes for Hangul."""

import base64
import io
import re
from html.parser import HTMLParser

import pytest
from PIL import Image, ImageChops, ImageDraw

from aac import fonts
from aac.io import UserError
from aac.records import Context, Persona, Sample
from train.pages import demo_page, demo_picture
from train.pages import page as page_module
from train.pages.score_table import ROW_NAMES, score_table
from train.scoring import ablations
from train.scoring.row import Prediction

RED, BLUE = (200, 30, 30), (30, 30, 200)


@pytest.fixture
def items(tmp_path):
    folder = tmp_path / "그림 카드"
    folder.mkdir()
    for name, colour in (("1_물", RED), ("2_컵", BLUE)):
        Image.new("RGB", (224, 112), colour).save(folder / f"{name}.png")
    (folder / page_module.ATTRIBUTION).write_text("그림: 아무개 <CC BY-SA 4.0>", encoding="utf-8")
    person, context = Persona(age="성인"), Context(time="저녁", place="집", interaction_partner="친구")
    common = {"id": 1, "persona": person, "persona_id": 7, "context": context, "output": ["물 줘.", "물 있어?", "물!"]}
    both, alone = (Sample(cards=cards, **common) for cards in (["1_물.png", "2_컵.png"], ["1_물.png"]))
    return [
        Prediction(both, ["컵에 물 줘.", "컵에 물 있어?", "컵에 <b>물</b>도 줘."], ["grammar"]),
        Prediction(alone, ["물 줘.", "물 있어?", "물 좀 줘."]),
    ]


@pytest.fixture
def images(tmp_path):
    return tmp_path / "그림 카드"


SCORES = {
    "rows": 600,
    "bleu4": 71.25,
    "register_accuracy": 0.9625,
    "intervals": {"bleu4": [69.0, 73.5]},
    "multi": {"bleu4": 70.0},
    "ablations": {"no_persona": {"bleu4": 40.0, "register_accuracy": 0.5}},
    "signatures": {"bleu4": "BLEU4|…"},
}


class _Page(HTMLParser):
    """Tags in order, and the text that a reader sees."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.open, self.text = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)


@pytest.fixture
def page(items, images, tmp_path):
    path = tmp_path / "page.html"
    demo_page.write_page(path, items, images, "AAC <카드> 해석", SCORES)
    return path.read_text(encoding="utf-8")


def test_page_is_whole_and_stands_alone(page):
    parsed = _Page(page)
    assert parsed.open == []
    assert not {"script", "link", "iframe", "img"} & {tag for tag, _ in parsed.tags}
    assert not any(name in ("src", "href") or name.startswith("on") for _, attrs in parsed.tags for name in attrs)
    assert all(target.startswith("data:image/png;base64,") for target in re.findall(r"url\((.*?)\)", page))


def test_page_embeds_each_card_once(page):
    uris = re.findall(r"url\(data:image/png;base64,(.*?)\)", page)
    assert len(uris) == 2
    colours = []
    for uri in uris:
        picture = Image.open(io.BytesIO(base64.b64decode(uri))).convert("RGB")
        assert picture.size == (page_module.CARD_PIXELS, page_module.CARD_PIXELS)
        colours.append(picture.getpixel((80, 80)))
        assert picture.getpixel((80, 5)) == (255, 255, 255)  # a wide picture keeps its shape
    assert colours == [RED, BLUE]
    labels = [attrs["aria-label"] for tag, attrs in _Page(page).tags if tag == "i"]
    assert labels == ["물", "컵", "물"]


def test_page_tells_everything_and_escapes_it(page):
    text = "\n".join(_Page(page).text)
    for expected in (
        "AAC <카드> 해석",
        "컵에 <b>물</b>도 줘.",
        "사용자 7 · 성인 · 저녁, 집, 친구",
        "물 있어?",
        "문법 규칙으로 만든 문장",
        "그림: 아무개 <CC BY-SA 4.0>",
    ):
        assert expected in text


def test_table_of_scores(page):
    cells = [part for part in _Page(page).text if part.strip()]
    first = cells.index("모두")
    assert cells[first - 2 : first + 4] == ["BLEU-4", "말투 일치", "모두", "71.2", "69.0–73.5", "0.963"]
    assert cells[cells.index("카드 2–4장") + 1 :][:2] == ["70.0", "–"]
    assert cells[cells.index("사람 정보 없음") + 1 :][:2] == ["40.0", "0.500"]


def test_who_wrote_the_references_stands_in_the_table():
    lines = {"references": {"bleu4": 50.4}, "candidates": {"bleu4": 48.6}}
    found = {"written_by": {"grammar": 588, "person": 12}, **lines, "person": lines}
    rows = re.findall(r"<tr><th>(.*?)</th><td>(.*?)</td>", score_table({**SCORES, "leave_one_out": found}))
    assert ("참고 문장끼리 (오프라인 교사 588건, 사람 12건)", "50.4") in rows
    assert ("사람이 고친 참고 문장끼리", "50.4") in rows
    assert ("그 자리에 넣은 후보 문장 (사람이 고친 행)", "48.6") in rows


def test_every_row_of_the_table_has_a_korean_name():
    told = {"keywords", "grammar_cards_only", "nearest_neighbour", "teacher", "model_without_persona_and_context"}
    assert {*ablations.NAMES, *ablations.INPUTS, "pictures_only", *told} == set(ROW_NAMES)


def test_page_without_scores_or_pictures(items, images, tmp_path):
    (images / "2_컵.png").unlink()
    (images / "1_물.png").write_bytes(b"not a picture")
    demo_page.write_page(tmp_path / "page.html", items, images, "카드", {})
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<table" not in page
    assert "url(" not in page
    assert page.count("컵</figcaption>") == 1


def test_png_draws_hangul_and_cards(items, images, tmp_path):
    path = tmp_path / "demo.png"
    demo_picture.draw_png(path, items, images)
    first = Image.open(path).convert("RGB")
    colours = {colour for _, colour in first.getcolors(1 << 24)}
    assert {RED, BLUE} <= colours
    items[1].candidates[2] = "물 많이 줘."
    demo_picture.draw_png(path, items, images)
    changed = ImageChops.difference(first, Image.open(path).convert("RGB")).getbbox()
    assert changed is not None
    assert changed[0] > first.width / 2
    assert changed[1] > first.height / 2


def test_font_draws_different_signs_differently():
    from PIL import ImageFont

    font = ImageFont.truetype(str(fonts.korean_font()), 40)
    shapes = set()
    for sign in "물컵줘뷁힣":
        sheet = Image.new("L", (60, 60))
        ImageDraw.Draw(sheet).text((5, 0), sign, 255, font)
        shapes.add(sheet.tobytes())
    assert len(shapes) == 5


def test_without_a_korean_font_nothing_is_drawn(items, images, tmp_path, monkeypatch):
    from importlib.resources import files

    latin = files("matplotlib") / "mpl-data/fonts/ttf/DejaVuSans.ttf"
    monkeypatch.setattr(fonts, "_fonts", lambda: iter([latin, "no such font.ttf"]))
    with pytest.raises(UserError, match="no Korean font"):
        demo_picture.draw_png(tmp_path / "demo.png", items, images)
    assert not (tmp_path / "demo.png").exists()


def test_long_lines_are_broken():
    from PIL import ImageFont

    font = ImageFont.truetype(str(fonts.korean_font()), 20)
    text = "저녁에 물을 마시고 싶어요 " + "가" * 60
    lines = fonts.wrapped(text, font, 200)
    assert all(font.getlength(line) <= 200 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
