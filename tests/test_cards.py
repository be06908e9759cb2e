"""Step 1: pictures of every kind, their names and labels."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import data_prepare
from aac.io import read_json
from aac.records import load_samples, nfc
from dataset.prepare import cards, embed
from tests.workshop import WORDS, draw_card, prepare


def test_unusable_pictures_are_listed_with_their_reason(home: Path) -> None:
    images = home / "dataset/images"
    (images / "90_빈.png").write_bytes(b"")
    (images / "91_절반.png").write_bytes((images / "1_물.png").read_bytes()[:90])
    (images / "92_글.png").write_bytes(b"not a picture")
    (images / "93_작다.png").write_bytes(_png(Image.new("RGB", (8, 8))))
    (images / "94_하양.png").write_bytes(_png(Image.new("RGB", (48, 48), "white")))
    (images / "이름없음.png").write_bytes((images / "2_사과.png").read_bytes() + b"\0")
    shutil.copy(images / "3_주세요.png", images / "95_같은.png")
    assert prepare(home, steps=["1"]) == 0
    found = read_json(home / "dataset/processed/cards.json")
    reasons = {entry["file"]: entry["reason"] for entry in found["rejected"]}
    assert len(found["cards"]) == 16
    expected = {"90": "empty", "91": "damaged", "92": "not a picture", "93": "too small", "94": "blank"}
    for number, part in {**expected, "95": "the same picture", "이": "no keyword"}.items():
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
    import unicodedata

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
    assert set(reasons) == {"80", "81", "82", "84", "85", "2462", "2463", "2464"}
    assert "5살" in {card["keyword"] for card in found["cards"]}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("file,keyword\n2462.png,\n", "line 2: file and keyword must both be filled"),
        ("file,keyword\n2462.png,사과\n2462.png,배\n", "line 3: 2462.png is listed twice"),
        ("file,keyword\n2462.png,사과,배\n", "line 2: more fields than columns"),
        ("", "the first line must name"),
        ("2462.png,사과\n", "the first line must name"),
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
