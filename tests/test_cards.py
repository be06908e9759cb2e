"""Step 1: pictures of every kind, their names and labels."""

from __future__ import annotations

import base64
import json
import os
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

import data_prepare
from aac.io import read_json
from aac.records import load_samples, nfc
from aac.rules import card_keyword
from dataset.prepare import cards, embed
from tests.workshop import WORDS, draw_card, prepare


def test_unusable_pictures_are_listed_with_their_reason(home: Path) -> None:
    images = home / "dataset/images"
    (images / "90_빈.png").write_bytes(b"")
    (images / "91_절반.png").write_bytes((images / "1_물.png").read_bytes()[:90])
    (images / "92_글.png").write_bytes(b"not a picture")
    (images / "93_작다.png").write_bytes(_png(Image.new("RGB", (8, 8))))
    (images / "94_하양.png").write_bytes(_png(Image.new("RGB", (48, 48), "white")))
    (images / "noname.png").write_bytes((images / "2_사과.png").read_bytes() + b"\0")
    shutil.copy(images / "3_주세요.png", images / "95_주세요.png")
    assert prepare(home, steps=["1"]) == 0
    found = read_json(home / "dataset/processed/cards.json")
    reasons = {entry["file"]: entry["reason"] for entry in found["rejected"]}
    assert len(found["cards"]) == 16
    expected = {"90": "empty", "91": "damaged", "92": "not a picture", "93": "too small", "94": "blank"}
    for number, part in {**expected, "95": "the same picture", "n": "no keyword"}.items():
        name = next(name for name in reasons if name.startswith(number))
        assert part in reasons[name]
    assert (images / "90_빈.png").exists()


@pytest.mark.parametrize("mode", ["RGBA", "P", "L", "LA", "CMYK", "1", "I;16"])
def test_every_picture_mode_is_read(tmp_path: Path, mode: str) -> None:
    base = Image.new("L", (32, 32), 255)
    ImageDraw.Draw(base).rectangle((8, 8, 20, 20), fill=0)
    image = base if mode == "L" else Image.new("I;16", (32, 32)) if mode == "I;16" else base.convert(mode)
    if mode == "I;16":
        image.putpixel((3, 3), 60000)
    path = tmp_path / ("1_가.tif" if mode == "I;16" else "1_가.jpg" if mode == "CMYK" else "1_가.png")
    image.save(path)
    reason = cards.examine(path).reason
    assert reason in ("", "blank: one colour") if mode == "I;16" else reason == ""


def test_decomposed_hangul_names_are_cards_too(home: Path) -> None:
    draw_card(home / "dataset/images" / unicodedata.normalize("NFD", "50_우유.png"), 50)
    assert prepare(home, steps=["1", "2"]) == 0
    names = read_json(home / "dataset/processed/embeddings.json")["filenames"]
    assert "50_우유.png" in names and all(name == nfc(name) for name in names)


def test_labels_bring_in_cards_without_a_keyword(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images, table = home / "dataset/images", home / "labels.csv"
    draw_card(images / "2462.png", 60)
    table.write_text("file,id,keyword,licence\n2462.png,2462,우유,CC BY 4.0\n", encoding="utf-8")
    assert prepare(home, "--labels", str(table), steps=["1", "2", "3", "4", "5", "6", "7", "8"]) == 0
    card = next(c for c in read_json(home / "dataset/processed/cards.json")["cards"] if c["file"] == "2462.png")
    assert (card["id"], card["keyword"], card["licence"]) == ("2462", "우유", "CC BY 4.0")
    samples, _ = load_samples(home / "dataset/processed/dataset_completed.json")
    assert any("우유" in sample.keywords for sample in samples if "2462.png" in sample.cards)
    table.write_text("name,word\n", encoding="utf-8")
    assert prepare(home, "--labels", str(table), steps=["1"]) == 2
    assert "file and keyword" in capsys.readouterr().err


def looks(images: Path) -> dict[str, str]:
    """What step 1 says about each file of a folder, by the number it begins with; cards are empty."""
    return {path.name.split("_")[0]: cards.examine(path).reason for path in cards.pictures_in(images)}


def shape(mode: str = "RGB", size: tuple[int, int] = (48, 32)) -> Image.Image:
    """Black in the upper left corner of white."""
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).rectangle((0, 0, 20, 12), fill="black")
    return image.convert(mode)


def test_a_card_looks_the_same_however_it_is_stored(tmp_path: Path) -> None:
    """Alpha, palette, CMYK, the first frame of an animation and a turned photograph give the plain picture's row."""
    plain = shape()
    plain.save(tmp_path / "0_plain.png")
    clear = plain.convert("RGBA")
    clear.putdata([(0, 0, 0, 255) if pixel == (0, 0, 0) else (0, 0, 0, 0) for pixel in plain.getdata()])
    clear.save(tmp_path / "1_alpha.png")
    palette = plain.convert("P")
    palette.save(tmp_path / "2_palette.png", transparency=palette.getpixel((40, 30)))
    plain.convert("CMYK").save(tmp_path / "3_cmyk.jpg", quality=100, subsampling=0)
    later = plain.transpose(Image.Transpose.ROTATE_180)
    for name in ("4_gif.gif", "5_apng.png", "6_webp.webp"):
        plain.save(tmp_path / name, save_all=True, append_images=[later], duration=100, **(
            {"lossless": True} if name.endswith("webp") else {}))  # fmt: skip
        assert cards.examine(tmp_path / name).animated
    turned = plain.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # hold it a quarter turn clockwise
    turned.save(tmp_path / "7_turned.png", exif=exif)
    shape("LA").save(tmp_path / "8_la.png")
    rows = embed.offline_images(sorted(tmp_path.iterdir()))
    np.testing.assert_allclose(rows @ rows[0], 1, atol=2e-3)
    assert not any(looks(tmp_path).values())
    # Negative control: the turn and the later frame do matter.
    turned.save(tmp_path / "7_turned.png")
    later.save(tmp_path / "4_gif.gif")
    assert (embed.offline_images([tmp_path / "7_turned.png", tmp_path / "4_gif.gif"]) @ rows[0] < 0.9).all()


def test_bombs_folders_and_unreadable_names_are_rejected_by_name(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    images = home / "dataset/images"
    for number, side in (("80", 6000), ("81", 12_000), ("82", 60_000)):
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
        (images / f"{number}_폭탄.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    (images / "83_폴더.png").mkdir()
    draw_card(images / "84_두\n줄.png", 84)
    draw_card(images / os.fsdecode(b"85_\xff\xfe.png"), 85)
    draw_card(images / "2462_500.png", 86)
    draw_card(images / "2463_500x500px.png", 87)
    draw_card(images / "2464_.png", 88)
    draw_card(images / "89_5살.png", 89)
    assert prepare(home) == 0
    found = read_json(home / "dataset/processed/cards.json")
    reasons = {entry["file"].split("_")[0]: entry["reason"] for entry in found["rejected"]}
    assert all("too many pixels" in reasons[number] for number in ("80", "81", "82"))
    assert "control characters" in reasons["84"] and "wrong encoding" in reasons["85"]
    assert "only a number ('500')" in reasons["2462"] and "--labels" in reasons["2462"]
    assert "('500x500px')" in reasons["2463"] and "no keyword: name it" in reasons["2464"]
    assert set(reasons) == {"80", "81", "82", "84", "85", "2462", "2463", "2464", "83"}
    assert "5살" in {card["keyword"] for card in found["cards"]}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("file,keyword\n2462.png,\n", "line 2: file and keyword must both be filled"),
        ("file,keyword\n2462.png,사과\n2462.png,배\n", "line 3: 2462.png is listed twice"),
        ("file,keyword\n2462.png,사과,배\n", "line 2: more fields than columns"),
        ("", "the first line must name"),
        ("2462.png,사과\n", "the first line must name"),
        ("file,keyword,keyword\n2462.png,사과,배\n", "the column keyword stands twice"),
        ("file,keyword\n2462.png," + "가" * 140_000, "line 2: not CSV"),
    ],
)
def test_a_defective_labels_file_is_refused(
    home: Path, capsys: pytest.CaptureFixture[str], text: str, word: str
) -> None:
    table = home / "labels.csv"
    table.write_text(text, encoding="utf-8")
    assert prepare(home, "--labels", str(table), steps=["1"]) == 2 and word in capsys.readouterr().err
    table.write_bytes("file,keyword\n2462.png,사과\n".encode("cp949"))
    assert prepare(home, "--labels", str(table), steps=["1"]) == 2 and "UTF-8" in capsys.readouterr().err


def test_licences_come_from_the_labels_into_the_reports(
    home: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    table = home / "labels.csv"
    lines = [f'"{n}_{word}.png","{word}","","CC BY-NC-SA 4.0, ARASAAC",x' for n, word in enumerate(WORDS[:3], start=1)]
    text = "\r\n".join(["\ufefffile,keyword,synonyms,license,color", *lines, '99_없다.png,없다,"아무도,",MIT,'])
    table.write_text(text, encoding="utf-8")
    assert prepare(home, "--labels", str(table)) == 0
    assert "columns that are not used: color" in caplog.text and "1 files are not in" in caplog.text
    counted = {"not stated": 13, "CC BY-NC-SA 4.0, ARASAAC": 3}
    assert read_json(home / "dataset/processed/coverage.json")["cards_by_licence"] == counted
    capsys.readouterr()
    data_prepare.main(["--workspace", str(home), "--check"])
    assert "CC BY-NC-SA 4.0, ARASAAC: 3 cards" in capsys.readouterr().out


def _png(image: Image.Image) -> bytes:
    import io

    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_nothing_is_drawn_into_a_folder_that_holds_something(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A folder of drawings, of folders, of links that lead nowhere: each entry is named with what is wrong with it."""
    monkeypatch.setattr("dataset.prepare.symbols.fetch", lambda _: pytest.fail("fetches cards nobody asked for"))
    caplog.set_level("INFO")
    kept = home / "kept"
    (home / "dataset/images").rename(kept)
    shutil.copy(kept / "1_물.png", home / "elsewhere.png")

    def only(name: str, make: Any) -> None:
        shutil.rmtree(home / "dataset/images", ignore_errors=True)
        (home / "dataset/images").mkdir()
        make(home / "dataset/images" / name)
        caplog.clear()
        assert prepare(home, steps=["1"]) == 2
        assert [path.name for path in (home / "dataset/images").iterdir()] == [name]
        assert f"{name}: " in capsys.readouterr().err and f"rejected {name}: " in caplog.text

    def folder(path: Path) -> None:
        path.mkdir()
        shutil.copy(kept / "1_물.png", path)

    only("1_물.svg", lambda path: path.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>'))
    only("음식", folder)
    only("2_밥.png", folder)
    only("1_물.png", lambda path: path.symlink_to(home / "nowhere.png"))
    only("1_물.tiff", lambda path: shutil.copy(kept / "1_물.png", path))
    only(".1_물.png", lambda path: shutil.copy(kept / "1_물.png", path))
    only("1_물.png", os.mkfifo)
    # Negative control: a link to a picture is a card, and what a system leaves behind is nothing.
    (home / "dataset/images/1_물.png").unlink()
    (home / "dataset/images/1_물.png").symlink_to(home / "elsewhere.png")
    assert prepare(home, steps=["1"]) == 0
    (home / "dataset/images/1_물.png").unlink()
    for name in (".DS_Store", "Thumbs.db", "._1_물.png", "ATTRIBUTION.txt"):
        (home / "dataset/images" / name).write_bytes(b"?")
    with pytest.raises(BaseException, match="nobody asked for"):
        prepare(home, steps=["1"])


def test_what_lies_beside_the_cards_is_listed(home: Path) -> None:
    images = home / "dataset/images"
    (images / "더").mkdir()
    (images / "20_컵.svgz").write_text("<svg/>")
    (images / "21_컵.png").symlink_to("nowhere.png")
    (images / ".DS_Store").write_bytes(b"?")
    (images / "ATTRIBUTION.txt").write_bytes(b"?")
    (images / "labels.csv").write_text("file,keyword\n1_물.png,물\n", encoding="utf-8")
    assert prepare(home, "--labels", str(images / "labels.csv"), steps=["1"]) == 0
    found = read_json(home / "dataset/processed/cards.json")
    reasons = {entry["file"]: entry["reason"] for entry in found["rejected"]}
    assert set(reasons) == {"더", "20_컵.svgz", "21_컵.png"} and len(found["cards"]) == 16
    assert "folder" in reasons["더"] and "not a picture" in reasons["20_컵.svgz"] and "nowhere" in reasons["21_컵.png"]
    # The list follows the folder.
    (images / "20_컵.svgz").unlink()
    assert prepare(home, "--labels", str(images / "labels.csv"), steps=["1"]) == 0
    assert len(read_json(home / "dataset/processed/cards.json")["rejected"]) == 2


@pytest.mark.parametrize("kind", ["link", "file"])
def test_an_images_folder_that_is_none(home: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    path = home / "cards"
    path.symlink_to("nowhere") if kind == "link" else path.write_text("1_물.png")
    assert prepare(home, "--images", str(path), steps=["1"]) == 2
    assert f"{path}: " in capsys.readouterr().err


HIDDEN = "\u200b\u200d\u2060\ufeff\u00ad\u200e\u200f\u202a\u202e\u2066\u2069\u061c"  # zero width, direction
CLEANED = {**dict.fromkeys(HIDDEN, ""), **dict.fromkeys("_\u2028\u0085\u00a0", " ")}
REFUSED = ("#", "<", ">", "{", "}", "|", "`", "*", "~", "[", "]", "\ue000", "\U000e0fff")


def test_a_label_that_no_sentence_may_hold_is_cleaned_or_refused(home: Path, tmp_path: Path) -> None:
    """From file names and from labels: what the gate would refuse in every sentence never comes into one."""
    from aac.gate import check
    from aac.records import Context

    images, table = home / "dataset/images", home / "labels.csv"
    lines = ["file,keyword"]
    for number, sign in enumerate([*CLEANED, *REFUSED], start=100):
        draw_card(images / f"{number}_손{sign}씻기.png", number)
        draw_card(images / f"{number + 100}.png", number + 100)
        lines.append(f'{number + 100}.png,"손{sign}씻기"')
    for number, word in enumerate(("system", "&amp;", "https://물"), start=300):
        draw_card(images / f"{number}.png", number)
        lines.append(f"{number}.png,{word}")
    draw_card(images / "400_\u200b.png", 400)
    table.write_text("\n".join(lines), encoding="utf-8")
    assert prepare(home, "--labels", str(table)) == 0
    found = read_json(home / "dataset/processed/cards.json")
    words = {c["file"].split(".")[0].split("_")[0]: c.get("label", c["keyword"]) for c in found["cards"]}
    for number, (sign, left) in enumerate(CLEANED.items(), start=100):
        assert words[str(number)] == words[str(number + 100)] == f"손{left}씻기", repr(sign)
    reasons = {entry["file"].split(".")[0].split("_")[0]: entry["reason"] for entry in found["rejected"]}
    refused = [str(100 + len(CLEANED) + place + more) for place in range(len(REFUSED)) for more in (0, 100)]
    assert reasons.keys() == {*refused, "300", "301", "302", "400"}
    assert "'#'" in reasons[refused[0]] and "'#'" in reasons[refused[1]] and "'system'" in reasons["300"]
    assert "no keyword" in reasons["400"]
    for row in read_json(home / "dataset/processed/dataset_completed.json"):
        for why in check(row["output"], row["keywords"], Context.parse(row["input"]["context"])):
            assert "control_text" not in why, row


def test_words_in_names_alone_are_cleaned_too() -> None:
    """Rows of other people's files name cards only."""
    assert card_keyword("12_손_씻기.png") == "손 씻기" and card_keyword("12_물\u200b.png") == "물"
    assert card_keyword("12_500_500.png") == "" and card_keyword("12_물.png") == "물"


def test_words_in_names_without_a_number_and_with_a_size() -> None:
    sized = ("2462_사과_500.png", "2462_사과_500x500.png", "2462_사과-300px.jpg", "2462_사과@2x.png", "2462_사과.svg")
    assert {card_keyword(name) for name in sized} == {"사과"}
    decomposed = unicodedata.normalize("NFD", "빨간 사과.png")
    assert card_keyword("사과.png") == "사과" and card_keyword("사과_500.png") == "사과"
    assert card_keyword("손_씻기.png") == "손 씻기" and card_keyword(decomposed) == "빨간 사과"
    assert card_keyword("숫자_3.png") == "숫자 3"  # no size
    assert card_keyword("img-017.png") == "" and card_keyword("2462_500.png") == ""


def label_table(home: Path, text: str, name: str = "labels.csv") -> dict[str, dict[str, Any]]:
    """The cards of step 1 with a table of labels, by file."""
    (home / name).write_text(text, encoding="utf-8")
    assert prepare(home, "--labels", str(home / name), steps=["1"]) == 0
    return {card["file"]: card for card in read_json(home / "dataset/processed/cards.json")["cards"]}


def test_step_1_says_what_it_understood_of_each_label(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    images = home / "dataset/images"
    for number, word in enumerate(("아파요", "배(과일)", "나는 말할 수 없다", "뿌뿌", "…에서"), start=50):
        draw_card(images / f"{number}_{word}.png", number)
    cards = label_table(home, "file,keyword,category\n1_물.png,물,\n")
    read = {name.split("_")[0]: card for name, card in cards.items()}
    assert read["1"] | {"sha256": ""} == {
        **{"file": "1_물.png", "id": "1", "keyword": "물", "sha256": "", "lemma": "물"},
        **{"part_of_speech": "noun", "class": "drink", "sure": 1.0},
    }
    assert (read["50"]["keyword"], read["50"]["label"]) == ("아프다", "아파요")
    assert (read["51"]["lemma"], read["51"]["class"], read["51"]["sense"]) == ("배", "fruit", "과일")
    assert read["52"]["sentence"] == "나는 말할 수 없다"
    assert "아파요 -> 아프다 (adjective, core)" in caplog.text and "물 -> 물" not in caplog.text
    assert "1 of 20 labels are read with doubt" in caplog.text  # 뿌뿌
    assert "rejected 54_…에서.png: only a particle" in caplog.text


def test_a_correction_in_the_table_decides(home: Path) -> None:
    for number, word in enumerate(("배", "뿌뿌"), start=50):
        draw_card(home / f"dataset/images/{number}_{word}.png", number)
    plain = label_table(home, "file,keyword\n50_배.png,배\n")
    assert (plain["50_배.png"]["class"], plain["51_뿌뿌.png"].get("class")) == ("vehicle", None)
    told = label_table(home, "file,keyword,sense,category\n50_배.png,배,stomach,\n51_뿌뿌.png,뿌뿌,,음식\n")
    assert (told["50_배.png"]["keyword"], told["50_배.png"]["class"]) == ("배(신체)", "body")
    assert (told["51_뿌뿌.png"]["keyword"], told["51_뿌뿌.png"]["sure"]) == ("뿌뿌(음식)", 1.0)


ARASAAC = [
    {"_id": 2462, "keywords": [{"keyword": "사과", "type": 2, "hasLocution": True}], "categories": ["fruit"]},
    {"_id": 7, "keywords": [{"keyword": "배", "type": 2}, {"keyword": "서양배", "type": 2}], "categories": ["fruit"]},
    {"_id": 8, "keywords": [], "categories": []},
]


def test_arasaacs_own_list_brings_the_words(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("2462_500.png", "7.png", "8.png"):
        draw_card(home / "dataset/images" / name, 60 + len(name))
    cards = label_table(home, json.dumps(ARASAAC, ensure_ascii=False), "arasaac.json")
    apple, pear = cards["2462_500.png"], cards["7.png"]
    assert (apple["keyword"], apple["id"], apple["licence"]) == ("사과", "2462", "CC BY-NC-SA 4.0, ARASAAC")
    assert (pear["keyword"], pear["class"], pear["synonyms"]) == ("배(과일)", "fruit", "서양배")
    assert "8.png" not in cards and cards["1_물.png"]["keyword"] == "물"
    by_number = label_table(home, "_id;keywords;categories\n2462;사과;fruit\n7;배,서양배;fruit\n")
    assert {name: by_number[name]["keyword"] for name in ("2462_500.png", "7.png")} == {
        "2462_500.png": "사과",
        "7.png": "배(과일)",
    }
    for text, word in (("{", "not JSON"), ('[{"id": 3}]', "entry 1: expected a pictogram of ARASAAC")):
        (home / "broken.json").write_text(text, encoding="utf-8")
        assert prepare(home, "--labels", str(home / "broken.json"), steps=["1"]) == 2
        assert word in capsys.readouterr().err


def test_one_picture_with_two_words_is_two_cards(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    images = home / "dataset/images"
    shutil.copy(images / "7_엄마.png", images / "70_어머니.png")
    assert prepare(home, steps=["1"]) == 0
    words = [card["keyword"] for card in read_json(home / "dataset/processed/cards.json")["cards"]]
    assert {"엄마", "어머니"} <= set(words) and "one picture with two words (어머니, 엄마)" in caplog.text


DRAWING = """<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY ns "http://www.w3.org/2000/svg">]>
<svg xmlns="&ns;" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 10 20">
<defs><rect id="r" width="4" height="4"/></defs><use xlink:href="#r" x="1" y="2" fill="red"/>%s</svg>"""


def test_a_drawing_is_a_card_and_reads_no_other_file(home: Path) -> None:
    from aac.pictures import open_picture

    Image.new("RGB", (50, 50), "blue").save(home / "secret.png")
    path = home / "dataset/images/50_컵.svg"
    path.write_text(DRAWING % "", encoding="utf-8")
    alone = open_picture(path)
    assert alone.size == (256, 512) and (255, 0, 0) in {colour for _, colour in alone.getcolors(9)}
    name = (home / "secret.png").as_posix()
    for href in (f'href="{name}"', f"xlink:href='{name}'", f'href="file://{name}"', 'href="http://127.0.0.1/a.png"'):
        path.write_text(DRAWING % f'<image width="10" height="20" {href}/>', encoding="utf-8")
        assert open_picture(path).tobytes() == alone.tobytes(), href
    assert prepare(home, steps=["1", "2"]) == 0
    assert "50_컵.svg" in read_json(home / "dataset/processed/embeddings.json")["filenames"]


def test_a_filter_cannot_keep_the_machine_busy(tmp_path: Path) -> None:
    """Each of these would take minutes; what they would have been laid over is drawn."""
    from aac.drawings import rasterised

    heavy = '<filter id="f"><feTurbulence baseFrequency="0.5" numOctaves="100000000"/></filter>'
    ways = (
        '<g filter="url(#f)">%s</g>',
        '<g style="filter:url(#f)">%s</g>',
        "<style>g{filter:url(#f)}</style><g>%s</g>",
    )
    shape = '<rect width="9" height="9" fill="red"/>'
    plain = rasterised(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">{shape}</svg>'.encode())
    nested = base64.b64encode(
        f'<svg xmlns="http://www.w3.org/2000/svg">{heavy}{ways[0] % shape}</svg>'.encode()
    ).decode()
    for way in (*ways, f'%s<image width="9" height="9" href="data:image/svg+xml;base64,{nested}"/>'):
        text = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">{heavy}{way % shape}</svg>'
        assert rasterised(text.encode()) == plain, way


def test_a_drawing_that_is_none_or_a_bomb_is_refused(home: Path) -> None:
    images = home / "dataset/images"
    nested = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "aaaaaaaaaa"}">' for n in range(10))
    copies = "".join(
        f'<g id="g{n}">{f"<use href=&quot;#g{n - 1}&quot;/>".replace("&quot;", chr(34)) * 10}</g>' for n in range(1, 10)
    )
    bombs = {
        "50": '<svg xmlns="http://www.w3.org/2000/svg"><rect',
        "51": f'<!DOCTYPE svg [{nested}]><svg xmlns="http://www.w3.org/2000/svg"><text>&e9;</text></svg>',
        "52": f'<svg xmlns="http://www.w3.org/2000/svg"><g id="g0"><path d="M0 0h9"/></g>{copies}</svg>',
        "53": '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9000"><rect width="9" height="9000"/></svg>',
    }
    for number, text in bombs.items():
        (images / f"{number}_컵.svg").write_text(text, encoding="utf-8")
    assert prepare(home, steps=["1"]) == 0
    found = read_json(home / "dataset/processed/cards.json")
    assert {entry["file"][:2] for entry in found["rejected"]} == set(bombs) and len(found["cards"]) == 16


def test_a_card_set_is_a_folder_and_a_table(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As CONTRIBUTING.md says: pictures under any names, and a line a picture. What is forgotten is named."""
    own = home / "우리 카드"
    (home / "dataset/images").rename(own)
    for number, word in enumerate(WORDS, start=1):
        (own / f"{number}_{word}.png").rename(own / f"img-{number:03}.png")
    draw_card(own / "img-017.png", 17)  # has no line
    lines = [f"img-{number:03}.png,{word},{'' if number == 1 else 'CC BY 4.0'}" for number, word in enumerate(WORDS, 1)]
    table = own / "cards.csv"
    table.write_text("\n".join(["file,keyword,licence", *lines, ""]), encoding="utf-8")
    assert prepare(home, "--images", str(own), "--labels", str(table), "--samples-per-persona", "40") == 0
    found = read_json(home / "dataset/processed/cards.json")
    assert [card["keyword"] for card in found["cards"]] == WORDS
    assert [entry["file"] for entry in found["rejected"]] == ["img-017.png"]
    counted = read_json(home / "dataset/processed/coverage.json")["cards_by_licence"]
    assert counted == {"CC BY 4.0": 15, "not stated": 1}
    capsys.readouterr()
    assert data_prepare.main(["--workspace", str(home), "--images", str(own), "--check"]) == 0
    assert "fit to train on" in capsys.readouterr().out
