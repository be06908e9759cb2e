"""Pictures and prompts against the reference outputs in tests/parity."""

from __future__ import annotations

import hashlib
import json
import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from aac.io import UserError
from tests.parity import rule
from train.models.image_processing import Phi3VisionProcessor, hd_size

STORED = json.loads((rule.FOLDER / "processor/index.json").read_text())


def words(text: str) -> SimpleNamespace:
    """A tokenizer of one BOS and one id a word."""
    return SimpleNamespace(input_ids=[1] + [100 + len(word) for word in text.split()])


@pytest.mark.parametrize("name", STORED)
def test_pixels_equal_the_published_ones(name: str) -> None:
    row = STORED[name]
    processor = Phi3VisionProcessor(None, num_crops=row["num_crops"], white_background=False)
    image = rule.picture(row["image"])
    frame = processor.hd_image(image)
    assert hashlib.sha256(np.asarray(frame).tobytes()).hexdigest() == row["hd_uint8_sha256"]
    pixels, sizes = processor.images([image])
    assert sizes.tolist() == [row["image_size"]]
    assert processor.num_tokens(row["image_size"]) == row["num_img_tokens"]
    assert list(pixels.shape) == row["pixel_values_shape"]
    used = row["views_used"]
    assert not pixels[0, used:].any()
    with np.load(rule.FOLDER / f"processor/{name}.npz") as stored:
        difference = (pixels[0, 0, :, 4::16, 4::16] - torch.from_numpy(stored["global_view_4_16"])).abs().max()
        tiles = (pixels[0, 1:used, :, 8::42, 8::42] - torch.from_numpy(stored["crops_8_42"])).abs().max()
    assert max(difference, tiles) <= 1e-5


def test_sizes_and_token_counts_of_all_stored_pictures() -> None:
    rows = json.loads((rule.FOLDER / "processor/hd_sizes.json").read_text())["rows"]
    assert len(rows) == 864
    for width, height, crops, hd_height, hd_width, tokens in rows:
        size = (hd_height, hd_width) if width >= height else (hd_width, hd_height)
        new_width, _, padded = hd_size(max(width, height), min(width, height), crops, 336)
        assert (padded, new_width) == size, (width, height, crops)
        assert Phi3VisionProcessor(None, num_crops=crops).num_tokens((hd_height, hd_width)) == tokens


def test_square_picture_has_equal_global_view_and_tile() -> None:
    pixels, _ = Phi3VisionProcessor(None).images([rule.picture("img_d_336x336.png")])
    assert torch.equal(pixels[0, 0], pixels[0, 1])


def test_transparency_is_laid_on_white_and_the_published_way_is_not() -> None:
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    white, black = (
        Phi3VisionProcessor(None, image_size=28, white_background=switch).hd_image(clear).getpixel((5, 5))
        for switch in (True, False)
    )
    assert white == (255, 255, 255) and black == (0, 0, 0)
    palette = Image.new("P", (20, 20), 0)
    palette.info["transparency"] = 0
    assert Phi3VisionProcessor(None, image_size=28).hd_image(palette).getpixel((5, 5)) == (255, 255, 255)


def test_global_layout_is_one_view_padded_to_a_square() -> None:
    processor = Phi3VisionProcessor(None, image_size=84, image_layout="global")
    pixels, sizes = processor.images([Image.new("RGB", (40, 20)), Image.new("RGB", (20, 40))])
    assert pixels.shape == (2, 1, 3, 84, 84) and sizes.tolist() == [[84, 84]] * 2
    assert processor.num_tokens((84, 84)) == 9
    white, black = pixels[0, 0, :, 2, 42], pixels[0, 0, :, 42, 42]
    assert (white > 1.5).all() and (black < -1).all()
    assert torch.equal(pixels[0, 0], pixels[1, 0].transpose(1, 2))


def test_prompt_keeps_a_bos_after_every_picture() -> None:
    processor = Phi3VisionProcessor(words, image_size=84)
    cards = [Image.new("RGB", (9, 9))] * 2
    inputs = processor("<|image_1|>a<|image_2|>", cards, return_tensors="pt")
    assert inputs["input_ids"].tolist() == [[1] + [-1] * 25 + [1, 101] + [-2] * 25 + [1]]
    assert inputs["attention_mask"].all() and inputs["pixel_values"].shape == (2, 2, 3, 84, 84)
    assert set(processor("no card")) == {"input_ids", "attention_mask"}


def test_it_is_called_as_every_processor_of_the_library() -> None:
    """`processor(text=, images=, return_tensors="pt").to(device)`, and its result goes into the model as it is."""
    processor = Phi3VisionProcessor(words, image_size=84)
    card = Image.new("RGB", (9, 9))
    inputs = processor(text="<|image_1|>a", images=[card], return_tensors="pt").to("cpu", torch.bfloat16)
    assert inputs["pixel_values"].dtype == torch.bfloat16 and inputs["input_ids"].dtype == torch.long
    assert set({**inputs}) == {"input_ids", "attention_mask", "pixel_values", "image_sizes"}
    assert torch.equal(inputs["input_ids"], processor("<|image_1|>a", [card])["input_ids"])
    with pytest.raises(UserError, match="return_tensors='np'"):
        processor("a", return_tensors="np")


@pytest.mark.parametrize("prompt", ["<|image_2|><|image_1|>", "<|image_1|><|image_1|>", "<|image_1|>", "<|image_3|>"])
def test_tags_out_of_order_repeated_or_missing_are_refused(prompt: str) -> None:
    with pytest.raises(UserError, match="once each and in order"):
        Phi3VisionProcessor(words, image_size=84)(prompt, [Image.new("RGB", (9, 9))] * 2)


def test_settings_and_pictures_that_cannot_work_are_refused() -> None:
    for settings in ({"num_crops": 0}, {"image_layout": "tiles"}, {"image_size": 90}):
        with pytest.raises(UserError):
            Phi3VisionProcessor(None, **settings)
    with pytest.raises(UserError, match="too flat"):
        Phi3VisionProcessor(None, num_crops=4).images([Image.new("RGB", (5000, 3))])
    with pytest.raises(UserError, match="no tokenizer"):
        Phi3VisionProcessor(None).prompt_ids("a", [])


@pytest.mark.skipif("PHI3_TOKENIZER" not in os.environ, reason="PHI3_TOKENIZER: folder of the published tokenizer")
def test_ids_equal_the_published_ones() -> None:
    tokenizer = Phi3VisionProcessor.from_pretrained(os.environ["PHI3_TOKENIZER"]).tokenizer
    checked = 0
    for name, row in rule.CASES.items():
        if "prompt" not in row:
            continue
        processor = Phi3VisionProcessor(tokenizer, num_crops=row.get("num_crops", 1), white_background=False)
        inputs = processor(row["prompt"], [rule.picture(image) for image in row.get("images", ())])
        assert torch.equal(inputs["input_ids"], rule.case(name)["input_ids"]), name
        checked += 1
    assert checked == 8
