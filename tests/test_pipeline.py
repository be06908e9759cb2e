"""The eight steps on a few plain cards: skipping, rerunning, killing, hand edits, bad input. No network."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

import data_prepare
from dataset.prepare import cards, embed, sampling
from dataset.prepare.pipeline import STEPS
from dataset.prepare.records import load_samples, nfc, read_json, split_of

ROOT = Path(__file__).resolve().parents[1]
WORDS = [
    "물",
    "사과",
    "주세요",
    "더",
    "학교",
    "가다",
    "엄마",
    "아빠",
    "밥",
    "먹다",
    "싫다",
    "공",
    "놀다",
    "아프다",
    "머리",
    "자다",
]
ALL = [str(number) for number in range(1, 9)]


def draw_card(path: Path, number: int, size: int = 48) -> None:
    image = Image.new("RGB", (size, size), "white")
    pen = ImageDraw.Draw(image)
    colour = (number * 53 % 200, number * 97 % 200, number * 31 % 200)
    left = 4 + number % 5 * 5
    (pen.ellipse if number % 2 else pen.rectangle)((left, 6, left + 12 + number % 7, 40), fill=colour)
    pen.line((0, number * 3 % 48, 47, number * 7 % 48), fill="black")
    image.save(path)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A workspace with sixteen cards and two personas, in a folder whose path holds a space and Hangul."""
    root = tmp_path / "내 작업"
    images = root / "dataset/images"
    images.mkdir(parents=True)
    for number, word in enumerate(WORDS, start=1):
        draw_card(images / f"{number}_{word}.png", number)
    people = read_json(ROOT / "dataset/persona.json")[:2]
    (root / "dataset/persona.json").write_text(json.dumps(people, ensure_ascii=False), encoding="utf-8")
    return root


def prepare(home: Path, *arguments: str, steps: list[str] = ALL) -> int:
    line = ["--workspace", str(home), "--samples-per-persona", "12", "--steps", *steps, *arguments]
    return data_prepare.main(line)


def content(home: Path) -> dict[str, bytes]:
    folder = home / "dataset/processed"
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_all_steps_make_a_data_set_that_training_reads(home: Path) -> None:
    assert prepare(home) == 0
    folder = home / "dataset/processed"
    samples, skipped = load_samples(folder / "dataset_completed.json")
    assert len(samples) == 24 and not skipped
    assert Counter(sample.persona_id for sample in samples) == {1: 12, 2: 12}
    for sample in samples:
        assert len(set(sample.output)) == 3 and len(set(sample.cards)) == len(sample.cards) == len(sample.keywords)
    # The public format's fields, as they are.
    row = read_json(folder / "dataset_completed.json")[0]
    assert {"id", "input", "output"} <= set(row)
    assert set(row["input"]) == {"persona", "context", "past_interpretation", "AAC_card_combination"}
    assert set(row["input"]["context"]) == {"time", "place", "interaction_partner", "current_activity"}
    results = read_json(folder / "clustering_results.json")
    assert sorted(name for names in results["clustered_files"].values() for name in names) == results["filenames"]
    assert set(read_json(folder / "cluster_tags.json")) == set(results["clustered_files"])
    assert all(isinstance(n, int) for p in read_json(folder / "enhanced_persona.json")
               for n in p["persona"]["preferred_category_types"])  # fmt: skip
    for name in ("image_embeddings.npy", "text_embeddings.npy"):
        rows = np.load(folder / name)
        assert rows.shape == (16, embed.WIDTH)
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_again_nothing_runs_and_a_change_runs_only_what_depends_on_it(
    home: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert prepare(home) == 0
    before = content(home)
    caplog.clear()
    assert prepare(home) == 0
    assert content(home) == before
    assert sum("unchanged, skipped" in line for line in caplog.messages) == len(STEPS)
    caplog.clear()
    people = read_json(home / "dataset/persona.json")
    people[0]["persona"]["interesting_topics"] = ["학교"]
    (home / "dataset/persona.json").write_text(json.dumps(people, ensure_ascii=False), encoding="utf-8")
    assert prepare(home, "--dry-run") == 0
    shown = capsys.readouterr().out
    assert shown.count("nothing to do") == 4 and shown.count("would run") == 4
    assert prepare(home) == 0
    skipped = [line[1] for line in caplog.messages if "unchanged, skipped" in line]
    assert skipped == ["1", "2", "3", "5"]
    caplog.clear()
    draw_card(home / "dataset/images/1_물.png", 40)
    assert prepare(home) == 0
    assert "[4/8] rows: unchanged, skipped" in caplog.messages


def test_one_seed_one_result_another_seed_another(home: Path, tmp_path: Path) -> None:
    assert prepare(home) == 0
    other = tmp_path / "twin"
    shutil.copytree(home / "dataset/images", other / "dataset/images")
    shutil.copy(home / "dataset/persona.json", other / "dataset/persona.json")
    assert prepare(other) == 0
    name = "dataset_completed.json"
    assert content(home)[name] == content(other)[name]
    assert prepare(other, "--seed", "7") == 0
    assert content(home)[name] != content(other)[name]


def test_overwriting_the_last_step_touches_no_other_file(home: Path) -> None:
    assert prepare(home) == 0
    before = content(home)
    assert prepare(home, "--overwrite", steps=["8"]) == 0
    assert content(home) == before
    changed = {**before, ".state.json": b""}
    (home / "dataset/processed/dataset_completed.json").unlink()
    assert prepare(home, steps=["8"]) == 0
    assert {**content(home), ".state.json": b""} == changed


def test_a_hand_edit_is_never_lost(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare(home) == 0
    path = home / "dataset/processed/dataset_completed.json"
    edited = path.read_text(encoding="utf-8") + " "
    path.write_text(edited, encoding="utf-8")
    assert prepare(home, "--seed", "3") == 2
    assert "--overwrite" in capsys.readouterr().err and path.read_text(encoding="utf-8") == edited
    assert prepare(home, "--seed", "3", "--overwrite", steps=["8"]) == 0
    assert path.with_name("dataset_completed.edited.json").read_text(encoding="utf-8") == edited
    assert path.read_text(encoding="utf-8") != edited


@pytest.mark.slow
def test_killed_at_any_moment_and_rerun_it_gives_the_same_bytes(home: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin"
    shutil.copytree(home, twin)
    assert prepare(twin) == 0
    line = [sys.executable, str(ROOT / "data_prepare.py"), "--workspace", str(home), "--samples-per-persona", "12"]
    killed = 0
    for wait in (0.6, 1.2, 1.8, 2.6, 3.4):
        process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        time.sleep(wait)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
    assert killed and prepare(home) == 0
    left, right = content(home), content(twin)
    assert set(left) - set(right) == {name for name in left if name.endswith(".tmp")}
    assert [name for name in right if left[name] != right[name]] == []


def test_limit_leaves_the_other_rows_unprocessed(home: Path) -> None:
    assert prepare(home, "--start", "4", "--limit", "5") == 0
    samples, skipped = load_samples(home / "dataset/processed/dataset_completed.json")
    assert [sample.id for sample in samples] == [5, 6, 7, 8, 9] and skipped == {"incomplete": 19}


def test_missing_input_names_the_step_that_makes_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare(home, steps=["7"]) == 2
    assert "--steps 4" in capsys.readouterr().err
    assert prepare(home, "--personas", "없다.json", steps=["4"]) == 2
    assert "없다.json" in capsys.readouterr().err


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


def test_every_number_of_the_embeddings_in_the_public_shape(home: Path) -> None:
    assert prepare(home, steps=["1", "2", "3"]) == 0
    before = content(home)
    assert prepare(home, "--full-embeddings", steps=["1", "2", "3"]) == 0
    full = read_json(home / "dataset/processed/embeddings.json")
    for kind in ("image_embeddings", "text_embeddings"):
        rows = np.load(home / f"dataset/processed/{kind}.npy")
        assert np.array_equal(np.array(full[kind], np.float32), rows) and len(full["filenames"]) == len(rows) == 16
    changed = {name for name, data in content(home).items() if data != before[name]}
    assert changed == {"embeddings.json", ".state.json"}


@pytest.fixture(scope="module")
def towers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A CLIP and a multilingual text tower of the real classes, with small random weights, saved as their makers do."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Pooling, Transformer
    from transformers import (
        BertTokenizer,
        CLIPConfig,
        CLIPModel,
        CLIPProcessor,
        CLIPTokenizer,
        DistilBertConfig,
        DistilBertModel,
    )
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    torch.manual_seed(0)
    home = tmp_path_factory.mktemp("towers")
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    clip = CLIPConfig(
        text_config={**small, "vocab_size": 60, "max_position_embeddings": 77, "bos_token_id": 0, "eos_token_id": 1},
        vision_config={**small, "image_size": 32, "patch_size": 8},
        projection_dim=24,
    )
    CLIPModel(clip).save_pretrained(home / "clip")
    letters = [chr(code) for code in range(97, 123)]
    pieces = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    (home / "vocab.json").write_text(json.dumps({piece: place for place, piece in enumerate(pieces)}))
    (home / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(home / "vocab.json"), str(home / "merges.txt"))
    size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    CLIPProcessor(CLIPImageProcessorPil(**size), tokenizer).save_pretrained(home / "clip")
    SentenceTransformer(modules=[Transformer(str(home / "clip"))]).save(str(home / "image"))
    syllables = sorted({sign for word in WORDS for sign in word})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *syllables, *(f"##{sign}" for sign in syllables)]
    bert = DistilBertConfig(vocab_size=len(vocabulary), dim=16, hidden_dim=32, n_layers=1, n_heads=2)
    DistilBertModel(bert).save_pretrained(home / "bert")
    for name, width, known in (("text", 24, None), ("narrow", 20, None), ("english", 24, 5)):
        # `english` has no Hangul in its vocabulary: every Korean word is [UNK].
        entries = {piece: place for place, piece in enumerate(vocabulary[:known])}
        BertTokenizer(vocab=entries, do_lower_case=False, strip_accents=False).save_pretrained(home / "bert")
        modules = [Transformer(str(home / "bert")), Pooling(16), Dense(16, width)]
        SentenceTransformer(modules=modules).save(str(home / name))
    return {name: home / name for name in ("image", "text", "narrow", "english")}


@pytest.mark.slow
def test_clip_runs_on_the_real_classes(home: Path, towers: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    line = ["--encoder", "clip", "--clip-image", str(towers["image"])]
    assert prepare(home, *line, "--clip-text", str(towers["text"])) == 0
    about = read_json(home / "dataset/processed/embeddings.json")
    assert about["dimensions"] == 24 and str(towers["text"]) in about["encoder"]
    for kind in ("image_embeddings", "text_embeddings"):
        rows = np.load(home / f"dataset/processed/{kind}.npy")
        assert rows.shape == (16, 24) and len(np.unique(rows.round(5), axis=0)) == 16
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert prepare(home, *line, "--clip-text", str(towers["narrow"])) == 2
    assert "one space" in capsys.readouterr().err
    assert prepare(home, *line, "--clip-text", str(towers["english"])) == 2
    assert "cannot tell Korean words apart" in capsys.readouterr().err
    assert prepare(home, *line, "--clip-text", str(home / "nowhere")) == 2
    assert "--encoder offline" in capsys.readouterr().err


def _png(image: Image.Image) -> bytes:
    import io

    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def deck(count: int = 30, fits: Any = lambda words, word: True) -> sampling.Deck:
    names = [f"{n}_단어{n}.png" for n in range(count)]
    clusters = {0: names[:10], 1: names[10:20], 2: names[20:]}
    return sampling.Deck({name: name for name in names}, clusters, np.eye(3, dtype=np.float32), fits)


def test_cards_are_dealt_evenly_and_what_is_liked_comes_first() -> None:
    import random

    dealt = deck()
    liked = 0
    for n in range(300):  # three persons in turn, each with a cluster of their own
        hand = dealt.deal(2, [n % 3], random.Random(n))
        liked += sum(card in dealt.clusters[n % 3] for card in hand)
    assert liked / 600 > 0.45  # a third by chance
    uses = dealt.uses.tolist()
    assert min(uses) > 0.8 * sum(uses) / len(uses)


def test_cards_that_do_not_go_together_are_never_dealt_together() -> None:
    import random

    def even(words: list[str], word: str) -> bool:
        return all((int(w.split("_")[0]) + int(word.split("_")[0])) % 2 == 0 for w in words)

    picky, free = deck(fits=even), deck()

    def mixed(source: sampling.Deck) -> int:
        hands = (source.deal(3, [], random.Random(n)) for n in range(50))
        return sum(len({int(card.split("_")[0]) % 2 for card in hand}) > 1 for hand in hands)

    assert mixed(picky) == 0 < mixed(free)


def test_words_of_one_category_are_closer_than_strangers() -> None:
    rows = embed.offline_words(["사과", "바나나", "버스", "듣도보도못한말"])
    assert rows[0] @ rows[1] > 0.5 > rows[0] @ rows[2]
    assert abs(float(rows[0] @ rows[3])) < 0.5


def test_split_is_by_combination(home: Path) -> None:
    assert prepare(home) == 0
    samples, _ = load_samples(home / "dataset/processed/dataset_completed.json")
    seen: dict[frozenset[str], set[str]] = {}
    for sample in samples:
        seen.setdefault(frozenset(sample.cards), set()).add(sample.split)
        assert sample.split == split_of(list(reversed(sample.cards)))
    assert all(len(splits) == 1 for splits in seen.values())


def test_help_answers_at_once_and_bad_arguments_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    line = [sys.executable, "-X", "importtime", str(ROOT / "data_prepare.py"), "--help"]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert "--samples-per-persona" in done.stdout
    assert not any(f" {heavy}\n" in done.stderr for heavy in ("numpy", "sklearn", "kiwipiepy", "torch", "PIL"))
    for wrong in (["--steps", "9"], ["--samples-per-persona", "0"], ["--nonsense"]):
        with pytest.raises(SystemExit) as stopped:
            data_prepare.main(wrong)
        assert stopped.value.code == 2
