"""Qwen3-VL beside transformers' own: the same pixels, the same logits, row by row; and what it asks of a config."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import SENTENCES, TINY, WORDS, fresh_model, pictures
from published import louder, tuned_model, write_published
from test_model import CONTEXTS, PERSONAS, apart

from aac.io import UserError
from train.config.backbones import BACKBONES
from train.config.train_config import TRAIN_CONFIG, runtime, validate
from train.models import backbones, parts
from train.models.batch import IGNORE, Batch, Row, collate
from train.models.qwen3_vl import Qwen3VLBackbone
from train.models.qwen3_vl_images import Qwen3VLProcessor, grid_of

BUDGET, CELL = 6, 14
SIZES = [(28, 28), (42, 28), (28, 42), (14, 84), (28, 28), (84, 14)]  # width, height: as the budget lays them out


def cards() -> list[Any]:
    return [image.resize(size) for image, size in zip(pictures(), SIZES, strict=True)]


@pytest.fixture(scope="module")
def ours() -> Any:
    shape = louder(TINY["qwen3_vl"])
    model = fresh_model(model_type="qwen3_vl", backbone=shape, card_tokens=BUDGET)
    with torch.no_grad():
        model.backbone.lm_head.weight.mul_(3)  # tied: logits of some size
    return model


@pytest.fixture(scope="module")
def theirs(ours: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """transformers' class over the file that ours writes."""
    from transformers import Qwen3VLForConditionalGeneration

    folder = tmp_path_factory.mktemp("qwen3_vl")
    ours.backbone.save_pretrained(folder)
    return Qwen3VLForConditionalGeneration.from_pretrained(folder).eval()


def published_processor(**settings: Any) -> Any:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    return Qwen2VLImageProcessorPil(image_mean=[0.5] * 3, image_std=[0.5] * 3, **settings)


def rows(model: Any) -> list[Row]:
    """One, two and three cards of different shapes, three answers each."""
    made = []
    for n in range(3):
        shown = list(range(n, 2 * n + 1))
        prompt = model.encoder.prompt([BUDGET if SIZES[c] != (28, 28) else 4 for c in shown], PERSONAS[n], CONTEXTS[n])
        answers = [model.encoder.answer(text) for text in SENTENCES[n : n + 3]]
        made.append(Row(prompt, answers, [0, 1, 2], shown, PERSONAS[n], CONTEXTS[n], record=n))
    return made


def batch_of(model: Any, some: list[Row]) -> tuple[Batch, list[torch.Tensor], list[tuple[int, int]]]:
    features, sizes = model.encode_images(cards())
    batch = collate(some, model.encoder, model.image_clusters(features))
    return batch, [features[i].clone() for i in batch.images], [sizes[i] for i in batch.images]


@torch.no_grad()
def answered(model: Any, some: list[Row]) -> list[torch.Tensor]:
    """Logits of each answer's tokens, in order, from rows that share their prompts."""
    batch, features, sizes = batch_of(model, some)
    hidden = model.hidden_states(batch, model.embed(batch, features, sizes)).last_hidden_state
    logits, answers = model.backbone.lm_head(hidden), batch.segments.masked_fill(batch.targets == IGNORE, 0)
    return [logits[b, answers[b] == k] for b, row in enumerate(some) for k in range(1, len(row.answers) + 1)]


@torch.no_grad()
def reference(model: Any, theirs: Any, row: Row) -> torch.Tensor:
    """The same of one row with one answer, by transformers on ids and pixels; soft tokens are put in by a hook."""
    batch, features, sizes = batch_of(model, [row])
    soft = model.embed(batch, features, sizes).embeds
    ids = batch.input_ids.clone()
    pictures_here = ids < 0
    ids[pictures_here] = theirs.config.image_token_id
    start = len(model.encoder.opening)
    places = [*range(start, start + model.encoder.slots), len(row.prompt)]  # persona, style

    def put_in(_: Any, __: Any, embeds: torch.Tensor) -> torch.Tensor:
        return embeds.index_copy(1, torch.tensor(places), soft[:, places])

    hook = theirs.model.language_model.embed_tokens.register_forward_hook(put_in)
    pixels = published_processor(patch_size=7)([cards()[card] for card in row.cards], do_resize=False)
    try:
        logits = theirs(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            mm_token_type_ids=pictures_here.int(),
            pixel_values=torch.as_tensor(pixels["pixel_values"]),
            image_grid_thw=torch.as_tensor(pixels["image_grid_thw"]),
        ).logits
    finally:
        hook.remove()
    return logits[0, len(row.prompt) :]


def distance(model: Any, theirs: Any, some: list[Row] | None = None) -> float:
    """The worst difference of shared rows from transformers' rows, the context attention shut."""
    some = some or rows(model)
    with parts.without(model, ["context_attention"]):
        found = answered(model, some)
    wanted = [reference(model, theirs, part) for row in some for part in apart(row)]
    assert max(float(logits.abs().max()) for logits in wanted) > 1
    return max(float((one - other).abs().max()) for one, other in zip(found, wanted, strict=True))


# --- its numbers ------------------------------------------------------------------------------------------------------


def test_the_whole_model_equals_transformers_on_ids_and_pixels(ours: Any, theirs: Any) -> None:
    """Three answers in one row against a row each, pictures of five shapes in it, two sizes of square among them."""
    assert distance(ours, theirs) <= 1e-4
    first = [replace(row, answers=row.answers[:1], styles=row.styles[:1]) for row in rows(ours)]
    assert distance(ours, theirs, first) <= 1e-5


def test_without_deepstack_it_would_differ(ours: Any, theirs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = type(ours.backbone.model.vision)
    project = kind.project
    monkeypatch.setattr(kind, "project", lambda *given: [tokens[:, :32] for tokens in project(*given)])
    assert distance(ours, theirs) > 0.1


def test_with_positions_on_one_axis_it_would_differ(ours: Any, theirs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Qwen3VLBackbone, "positions", lambda _, counted, *__: (counted, 0 * counted[:, 0]))
    assert distance(ours, theirs) > 0.1


@torch.no_grad()
def test_the_tower_and_its_taps_equal_transformers(ours: Any, theirs: Any) -> None:
    features, sizes = ours.encode_images(cards())
    joined = torch.cat(backbones.embed_cards(ours.backbone, features, sizes))
    pixels = published_processor(patch_size=7)(cards(), do_resize=False, return_tensors="pt")
    wanted = theirs.model.get_image_features(pixels["pixel_values"], pixels["image_grid_thw"])
    for got, want in zip(joined.split(32, -1), (wanted.pooler_output, *wanted.deepstack_features), strict=True):
        assert (got - torch.cat(want)).abs().max() <= 1e-5


def test_a_card_of_64_positions_moves_what_follows_by_8() -> None:
    backbone = fresh_model(model_type="qwen3_vl", card_tokens=64).backbone
    ids = torch.tensor([[9, *[-1] * 64, 9, 9]])
    placed, shift = backbone.positions(torch.arange(67)[None], ids, [[(8 * CELL, 8 * CELL)]])
    assert placed[:, 0, 0].tolist() == [0, 0, 0] and placed[:, 0, 1].tolist() == [1, 1, 1]
    assert placed[:, 0, 64].tolist() == [1, 8, 8] and placed[:, 0, 65].tolist() == [9, 9, 9]
    assert shift.tolist() == [8 - 64]


def test_what_stands_before_a_card_does_not_know_of_it(ours: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what was read need not be read again when another card is tapped: hidden states stay as they are."""
    row = replace(rows(ours)[1], answers=[], styles=[])
    encoder = ours.encoder
    one, two = replace(row, prompt=encoder.prompt([BUDGET], row.persona, row.context), cards=row.cards[:1]), row
    common = len(one.prompt) - len(encoder.closing)
    assert one.prompt[:common] == two.prompt[:common] and common > 12

    @torch.no_grad()
    def read(request: Row) -> torch.Tensor:
        batch, features, sizes = batch_of(ours, [request])
        batch = replace(batch, prefix=0)
        return ours.hidden_states(batch, ours.embed(batch, features, sizes)).last_hidden_state[0, :common]

    assert (read(one) - read(two)).abs().max() < 1e-5
    monkeypatch.setattr(Batch, "card_starts", None)  # every cluster known from the start
    assert (read(one) - read(two)).abs().max() > 1e-3


# --- its pictures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(40, 40), (200, 200), (256, 256), (150, 150)])
def test_a_small_card_is_read_as_published(size: tuple[int, int]) -> None:
    """64 positions: what the published settings make of any square card up to 256 pixels."""
    image = pictures()[3].resize(size)
    views, sizes = Qwen3VLProcessor(64).images([image])
    settings = {"patch_size": 16, "size": {"shortest_edge": 65536, "longest_edge": 16777216}}
    published = published_processor(**settings)(image, return_tensors="pt")
    assert sizes.tolist() == [[256, 256]] and published["image_grid_thw"].tolist() == [[1, 16, 16]]
    patches = published["pixel_values"].view(8, 8, 2, 2, 3, 2, 16, 16)[:, :, :, :, :, 0]
    assert torch.allclose(patches.permute(4, 0, 2, 5, 1, 3, 6).reshape(1, 3, 256, 256), views[0], atol=1e-6)


def test_no_shape_takes_more_than_its_budget() -> None:
    for budget in (1, 4, 16, 36, 64):
        for width, height in ((1, 1), (3, 2), (2, 3), (1, 9), (30, 1), (1, 300), (257, 256), (640, 481)):
            rows, columns = grid_of(width, height, budget)
            assert 1 <= rows * columns <= budget, (width, height, budget)
    assert grid_of(300, 300, 64) == (8, 8) and grid_of(200, 100, 64) == (6, 10)
    with pytest.raises(UserError, match="card_tokens"):
        Qwen3VLProcessor(0)


# --- its files ---


def test_transformers_own_class_reads_what_is_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """LoRA in decoder, tower and mergers, merged; the base alone says something else."""
    from transformers import AutoConfig, Qwen3VLForConditionalGeneration

    from train.export import main

    base = write_published(tmp_path / "base", model_type="qwen3_vl")
    tuned = tuned_model(base, card_tokens=BUDGET, lora_vision=True, lora_projector=True)
    tuned.save_model(tmp_path / "best_model.pt")
    line = ["--checkpoint", str(tmp_path / "best_model.pt"), "--output", str(tmp_path / "merged"), "--dtype"]
    assert main([*line, "fp16"]) == 2 and "use_bf16" in capsys.readouterr().err
    assert main([*line, "fp32"]) == 0
    assert AutoConfig.from_pretrained(tmp_path / "merged").architectures == ["Qwen3VLForConditionalGeneration"]
    read = Qwen3VLForConditionalGeneration.from_pretrained
    assert distance(tuned, read(tmp_path / "merged").eval()) <= 1e-4
    assert distance(tuned, read(base).eval()) > 1e-2


# --- its settings -----------------------------------------------------------------------------------------------------


def test_it_needs_no_other_key_and_refuses_what_it_cannot() -> None:
    chosen = validate({"model_type": "qwen3_vl"})
    assert chosen["use_bf16"] and not chosen["use_fp16"] and chosen["card_tokens"] == 64
    for wrong, remedy in (({"use_fp16": True}, "use_bf16 instead"), ({"num_crops": 4}, "card_tokens")):
        with pytest.raises(UserError, match=remedy):
            validate({"model_type": "qwen3_vl", **wrong})
    assert not validate({"model_type": "qwen3_vl", "use_bf16": False})["use_fp16"]


def test_the_seeds_default_config_loads_it_in_its_own_precision() -> None:
    """`load_model(path, TRAIN_CONFIG)`: fp16 stands there because it is the other backbone's."""
    settings = runtime(validate(TRAIN_CONFIG | {"max_new_tokens": 9}), "qwen3_vl")
    assert settings["use_bf16"] and not settings["use_fp16"] and settings["max_new_tokens"] == 9
    assert runtime(validate(TRAIN_CONFIG), "phi3_vision")["use_fp16"]
    assert not runtime(validate({"model_type": "qwen3_vl", "use_bf16": False}), "qwen3_vl")["use_bf16"]


def test_the_published_shape_has_the_published_size() -> None:
    from benchmarks.common import PUBLISHED_QWEN3_VL

    with torch.device("meta"):
        backbone = Qwen3VLBackbone(Qwen3VLBackbone.config_class(**PUBLISHED_QWEN3_VL))
    assert backbone.num_parameters() == BACKBONES["qwen3_vl"].parameters["2B"]
    assert {name.split(".")[0] for name, _ in backbone.model.named_children()} >= {"visual"}
    processor = backbone.config.image_processor(1)
    assert [processor.num_tokens(size) for size in ((256, 256), (448, 448))] == [64, 196]


def test_weights_that_do_not_fit_are_named(ours: Any, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    ours.backbone.save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    del tensors["model.language_model.norm.weight"]
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"missing: model\.language_model\.norm\.weight"):
        Qwen3VLBackbone.from_pretrained(tmp_path)


def test_the_words_of_a_request_are_chatml(ours: Any) -> None:
    encoder = ours.encoder
    names = {number: name for name, number in encoder.control.items()} | {0: "~", -1: "1"}
    ids = encoder.prompt([2], PERSONAS[2], CONTEXTS[1], WORDS[:1])
    shown = "".join(names.get(i, "") for i in ids)
    assert shown == "<|im_start|>~~<|vision_start|>11<|vision_end|><|im_end|><|im_start|>"
    assert "<|image_pad|>" not in encoder.control  # a published tokenizer may lack what only other programs need
