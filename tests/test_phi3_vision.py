"""The native backbone against the reference outputs in tests/parity, and what a batch, a file and a cache must keep."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from aac.io import UserError
from tests.parity import rule
from train.models import published_call
from train.models.image_processing import Phi3VisionProcessor
from train.models.phi3_vision import Phi3VisionConfig, Phi3VisionForCausalLM, RotaryEmbedding
from train.models.published_call import choose_attention, image_features, images_per_row

TOLERANCE = 2e-5
SLOW = {
    "img1_tall_nc16",
    "img1_wide_nc16",
    "img3_mixed_nc4",
    "synthpix_batch_left_padded",
    "synthpix_batch_right_padded",
}
FORWARD = [
    pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in rule.CASES if "greedy" not in name
]


# --- the fixture ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reference() -> Phi3VisionForCausalLM:
    with torch.device("meta"):
        model = Phi3VisionForCausalLM(Phi3VisionConfig(**rule.config_dict()))
    model.load_state_dict(rule.weights(), assign=True)
    tower = model.model.vision_embed_tokens.img_processor["vision_model"].embeddings
    tower.position_ids = torch.arange(tower.num_positions)[None]
    return model.eval()


def case_inputs(name: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What the model is called with, and what it must give."""
    row, stored = rule.CASES[name], rule.case(name)
    inputs = {key: stored[key] for key in ("input_ids", "attention_mask", "position_ids") if key in stored}
    if "images" in row:
        processor = Phi3VisionProcessor(None, num_crops=row["num_crops"], white_background=False)
        inputs["pixel_values"], inputs["image_sizes"] = processor.images([rule.picture(n) for n in row["images"]])
        assert torch.equal(inputs["image_sizes"], stored["image_sizes"])
    elif pixels := row.get("pixel_values_rule"):
        inputs |= {"pixel_values": rule.tensor(pixels["name"], pixels["shape"]), "image_sizes": stored["image_sizes"]}
    return inputs, stored


@torch.no_grad()
def difference(model: Phi3VisionForCausalLM, inputs: dict[str, Tensor], stored: dict[str, Tensor]) -> float:
    """Largest absolute difference of the stored logits; the argmax must agree wherever it is clear."""
    logits = model(use_cache=False, **inputs).logits
    probes = logits[stored["probe_row"], stored["probe_pos"]][:, stored["probe_vocab"]] - stored["probe_logits"]
    last = logits[torch.arange(len(logits)), stored["last_pos"]] - stored["last_logits"]
    worst = max(probes.abs().max().item(), last.abs().max().item())
    clear = (stored["top_gap"] > 1e-3) & inputs.get("attention_mask", torch.ones_like(stored["argmax"])).bool()
    if worst <= TOLERANCE:
        assert torch.equal(logits.argmax(-1)[clear], stored["argmax"][clear])
    return worst


@pytest.mark.parametrize("name", FORWARD)
def test_logits_equal_the_published_ones(reference: Phi3VisionForCausalLM, name: str) -> None:
    worst = difference(reference, *case_inputs(name))
    print(f"{name}: {worst:.2e}")
    assert worst <= TOLERANCE


@pytest.mark.parametrize("name", ["text_short", "text_left_padded", "img2_nc1"])
def test_eager_attention_gives_them_too(reference: Phi3VisionForCausalLM, name: str) -> None:
    reference.set_attn_implementation("eager")
    try:
        assert difference(reference, *case_inputs(name)) <= TOLERANCE
    finally:
        reference.set_attn_implementation("sdpa")


def test_mistakes_are_seen(reference: Phi3VisionForCausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: a wrong feature layer, a missing attention factor, the wrong factors."""
    vision = reference.model.vision_embed_tokens
    clip = vision.img_processor["vision_model"]
    with monkeypatch.context() as patch:
        patch.setattr(vision, "encode", lambda pixels: clip(pixels).last_hidden_state[:, 1:])
        assert difference(reference, *case_inputs("img2_nc1")) > 0.1
    with monkeypatch.context() as patch:
        patch.setattr(reference.model.rotary_emb, "attention_factor", 1.0)
        assert difference(reference, *case_inputs("text_short")) > 0.1
    with monkeypatch.context() as patch:
        patch.setattr(reference.model.rotary_emb, "original", 1)
        assert difference(reference, *case_inputs("text_1023")) > 0.1


@pytest.mark.parametrize("name", ["greedy_text_switch", "greedy_image_switch"])
def test_greedy_decoding_across_the_switch(reference: Phi3VisionForCausalLM, name: str) -> None:
    inputs, stored = case_inputs(name)
    output = reference.generate(
        **inputs,
        attention_mask=torch.ones_like(inputs["input_ids"]),
        max_new_tokens=rule.CASES[name]["new_tokens"],
        do_sample=False,
        eos_token_id=None,
        output_logits=True,
        return_dict_in_generate=True,
    )
    assert torch.equal(output.sequences[0, inputs["input_ids"].shape[1] :], stored["new_ids"])
    steps = torch.cat(output.logits)[:, stored["probe_vocab"]]
    assert (steps - stored["step_probe_logits"]).abs().max() <= TOLERANCE


def test_loss_and_gradients_equal_the_published_ones(reference: Phi3VisionForCausalLM) -> None:
    row = json.loads((rule.FOLDER / "cases/loss_grad.json").read_text(encoding="utf-8"))
    pixels, sizes = Phi3VisionProcessor(None, row["num_crops"], white_background=False).images(
        [rule.picture(row["image"])]
    )
    ids, labels = (torch.tensor(row[key]).reshape(1, -1) for key in ("input_ids", "labels"))
    loss = reference(input_ids=ids, labels=labels, pixel_values=pixels, image_sizes=sizes).loss
    assert abs(loss.item() - row["loss"]) <= 1e-5
    try:
        loss.backward()
        for name, parameter in reference.named_parameters():
            norm = row["grad_l2"][name]
            if norm is None:
                assert parameter.grad is None or not parameter.grad.any(), name
            elif norm > 1e-6:
                assert parameter.grad.norm().item() == pytest.approx(norm, rel=1e-3), name
    finally:
        reference.zero_grad(set_to_none=True)


@pytest.mark.parametrize("kind", ["published", "fixture"])
def test_rotary_tables_equal_the_published_ones(kind: str) -> None:
    import numpy as np

    config = published_config() if kind == "published" else Phi3VisionConfig(**rule.config_dict())
    rotary = RotaryEmbedding(config)
    with np.load(rule.FOLDER / "rope.npz") as stored:
        assert rotary.attention_factor == pytest.approx(float(stored[f"{kind}_attention_factor"]), abs=1e-12)
        positions = torch.from_numpy(stored[f"{kind}_positions"])[None].long()
        for index, name in enumerate(("short", "long")):
            inv_freq = torch.from_numpy(stored[f"{kind}_{name}_inv_freq"])
            torch.testing.assert_close(rotary.inv_freq()[index], inv_freq, rtol=1e-6, atol=0)
            rotary.original = (10**9, 0)[index]
            for table, got in zip(("cos", "sin"), rotary(torch.zeros(1), positions), strict=True):
                torch.testing.assert_close(
                    got[0], torch.from_numpy(stored[f"{kind}_{name}_{table}"]), rtol=0, atol=2e-5
                )


# --- names, shapes, files ---------------------------------------------------------------------------------------------


def published_config() -> Phi3VisionConfig:
    """The published config.json: the fixture's without its five smaller numbers and without a tower."""
    config = rule.config_dict()
    del config["vision_config"]
    config |= {"hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 32, "num_attention_heads": 32}
    config |= {"num_key_value_heads": 32, "max_position_embeddings": 131072, "original_max_position_embeddings": 4096}
    return Phi3VisionConfig(**config | {"_attn_implementation": "flash_attention_2"})


def published_shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (32064, 3072),
        "lm_head.weight": (32064, 3072),
        "model.norm.weight": (3072,),
    }
    for i in range(32):
        layer = f"model.layers.{i}"
        shapes[f"{layer}.self_attn.qkv_proj.weight"] = (9216, 3072)
        shapes[f"{layer}.self_attn.o_proj.weight"] = (3072, 3072)
        shapes[f"{layer}.mlp.gate_up_proj.weight"] = (16384, 3072)
        shapes[f"{layer}.mlp.down_proj.weight"] = (3072, 8192)
        shapes[f"{layer}.input_layernorm.weight"] = (3072,)
        shapes[f"{layer}.post_attention_layernorm.weight"] = (3072,)
    vision = "model.vision_embed_tokens"
    shapes |= {f"{vision}.glb_GN": (1, 1, 4096), f"{vision}.sub_GN": (1, 1, 1, 4096)}
    for index, width in ((0, 4096), (2, 3072)):
        shapes[f"{vision}.img_projection.{index}.weight"] = (3072, width)
        shapes[f"{vision}.img_projection.{index}.bias"] = (3072,)
    clip = f"{vision}.img_processor.vision_model"
    shapes[f"{clip}.embeddings.class_embedding"] = (1024,)
    shapes[f"{clip}.embeddings.patch_embedding.weight"] = (1024, 3, 14, 14)
    shapes[f"{clip}.embeddings.position_embedding.weight"] = (577, 1024)
    norms = [f"{clip}.pre_layrnorm", f"{clip}.post_layernorm"]
    for j in range(24):
        layer = f"{clip}.encoder.layers.{j}"
        norms += [f"{layer}.layer_norm1", f"{layer}.layer_norm2"]
        linears = {f"self_attn.{part}_proj": (1024, 1024) for part in ("q", "k", "v", "out")}
        for name, shape in (linears | {"mlp.fc1": (4096, 1024), "mlp.fc2": (1024, 4096)}).items():
            shapes |= {f"{layer}.{name}.weight": shape, f"{layer}.{name}.bias": shape[:1]}
    return shapes | {f"{norm}.{part}": (1024,) for norm in norms for part in ("weight", "bias")}


def test_published_config_gives_the_published_names_shapes_and_total() -> None:
    config = published_config()
    assert config.sliding_window is None and config._attn_implementation != "flash_attention_2"
    with torch.device("meta"):
        model = Phi3VisionForCausalLM(config)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert shapes == published_shapes()
    assert len(shapes) == 592
    assert sum(parameter.numel() for parameter in model.parameters()) == 4_146_621_440


def tiny_config(**changes: Any) -> Phi3VisionConfig:
    """Heads of 8 wide, long factors beyond 64 positions, a tower of 84 px: 25 tokens a picture."""
    settings = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "vocab_size": 120,
        "pad_token_id": 0,
        "eos_token_id": 2,
        "max_position_embeddings": 512,
        "original_max_position_embeddings": 64,
        "rope_theta": 10000.0,
        "rope_scaling": {"type": "su", "short_factor": [1.0, 1.05, 1.1, 1.2], "long_factor": [1.1, 2.0, 5.0, 9.0]},
        "initializer_range": 0.2,
        "vision_config": {
            "hidden_size": 24,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "image_size": 84,
            "patch_size": 14,
        },
    }
    return Phi3VisionConfig(**settings | changes)


@pytest.fixture
def tiny() -> Phi3VisionForCausalLM:
    return make_tiny()


def make_tiny(**changes: Any) -> Phi3VisionForCausalLM:
    torch.manual_seed(1)
    model = Phi3VisionForCausalLM(tiny_config(**changes)).eval()
    for name, parameter in model.named_parameters():  # separators and biases away from zero
        if name.endswith(("GN", "bias", "embedding")):
            torch.nn.init.normal_(parameter, std=0.5)
    return model


PROCESSOR = Phi3VisionProcessor(None, num_crops=2, image_size=84)


def row(length: int, frames: tuple[tuple[int, int], ...] = (), seed: int = 0) -> dict[str, Tensor]:
    """A sample of `length` text ids with pictures of these (height, width) frames after the first id."""
    generator = torch.Generator().manual_seed(seed)
    text = torch.randint(3, 120, (length,), generator=generator).tolist()
    ids = [1]
    for tag, frame in enumerate(frames, start=1):
        ids += [-tag] * PROCESSOR.num_tokens(frame) + [1]
    sample = {"input_ids": torch.tensor([ids + text])}
    if frames:
        sample["pixel_values"] = torch.randn(len(frames), 3, 3, 84, 84, generator=generator)
        sample["image_sizes"] = torch.tensor(frames)
    return sample


def batch(rows: list[dict[str, Tensor]], left: bool) -> dict[str, Tensor]:
    length = max(sample["input_ids"].shape[1] for sample in rows)
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for index, sample in enumerate(rows):
        own = sample["input_ids"].shape[1]
        place = slice(length - own, None) if left else slice(0, own)
        ids[index, place] = sample["input_ids"][0]
        mask[index, place] = 1
    pictures = {
        key: torch.cat([sample[key] for sample in rows if key in sample])
        for key in ("pixel_values", "image_sizes")
        if any(key in sample for sample in rows)
    }
    return {"input_ids": ids, "attention_mask": mask, **pictures}


MIXED = [row(9, seed=1), row(7, ((84, 84),), seed=2), row(4, ((84, 168), (84, 84)), seed=3), row(40, seed=4)]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("left", [True, False])
@torch.no_grad()
def test_samples_do_not_see_neighbours_or_padding(tiny: Phi3VisionForCausalLM, left: bool, attention: str) -> None:
    tiny.set_attn_implementation(attention)
    inputs = batch(MIXED, left)
    together = tiny(**inputs).logits
    for index, sample in enumerate(MIXED):
        alone = tiny(**sample).logits[0]
        got = together[index][inputs["attention_mask"][index].bool()]
        assert (got - alone).abs().max() <= 1e-5, index
    changed = batch([MIXED[0], row(7, ((84, 84),), seed=9), *MIXED[2:]], left)
    after = tiny(**changed).logits
    keep = [0, 2, 3]
    seen = inputs["attention_mask"][keep].bool()
    assert torch.equal(after[keep][seen], together[keep][seen])
    assert not torch.allclose(after[1], together[1])


@pytest.mark.parametrize("left", [True, False])
@torch.no_grad()
def test_a_short_row_keeps_its_factors_beside_a_long_one(tiny: Phi3VisionForCausalLM, left: bool) -> None:
    short, long = row(20, seed=1), row(150, seed=2)
    inputs = batch([short, long], left)
    logits = tiny(**inputs).logits
    for index, sample in enumerate((short, long)):
        got = logits[index][inputs["attention_mask"][index].bool()]
        assert (got - tiny(**sample).logits[0]).abs().max() <= 1e-5
    tiny.model.rotary_emb.original = 1  # control: long factors for all are another answer
    assert (tiny(**short).logits - logits[0][inputs["attention_mask"][0].bool()]).abs().max() > 1e-2


@pytest.mark.slow
@torch.no_grad()
def test_300_tokens_beside_6000() -> None:
    """The same at the published switch, 4,096."""
    model = make_tiny(max_position_embeddings=131072, original_max_position_embeddings=4096)
    short, long = row(300, ((84, 84),), seed=1), row(6000, seed=2)
    inputs = batch([short, long], left=False)
    logits = model(**inputs).logits
    for index, sample in enumerate((short, long)):
        got = logits[index][inputs["attention_mask"][index].bool()]
        assert (got - model(**sample).logits[0]).abs().max() <= 1e-5


@pytest.mark.parametrize("beams", [1, 2])
def test_rows_decoded_together_equal_solo_runs_across_the_switch(tiny: Phi3VisionForCausalLM, beams: int) -> None:
    """One of three left-padded rows crosses from 64 to 65 positions, with pictures to be read again."""
    rows = [row(5, ((84, 84),), seed=1), row(7, ((84, 84), (84, 84)), seed=2), row(4, seed=3)]
    assert rows[1]["input_ids"].shape[1] < 64 < rows[1]["input_ids"].shape[1] + 10
    settings = {"max_new_tokens": 10, "do_sample": False, "eos_token_id": None, "pad_token_id": 0, "num_beams": beams}
    inputs = batch(rows, left=True)
    together = tiny.generate(**inputs, **settings)[:, inputs["input_ids"].shape[1] :]
    for index, sample in enumerate(rows):
        solo = {**sample, "attention_mask": torch.ones_like(sample["input_ids"])}
        assert torch.equal(tiny.generate(**solo, **settings)[0, sample["input_ids"].shape[1] :], together[index])
    uncached = tiny.generate(**inputs, **settings, use_cache=False)[:, inputs["input_ids"].shape[1] :]
    assert torch.equal(uncached, together)


def test_save_load_generate_gives_the_same_tokens_under_published_names(
    tiny: Phi3VisionForCausalLM, tmp_path: Path
) -> None:
    sample = MIXED[2] | {"attention_mask": torch.ones_like(MIXED[2]["input_ids"])}
    settings = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 0}
    tokens = tiny.generate(**sample, **settings)
    tiny.save_pretrained(tmp_path, max_shard_size="50KB")
    names = json.loads((tmp_path / "model.safetensors.index.json").read_text())["weight_map"]
    assert set(names) == set(tiny.state_dict()) and len(set(names.values())) > 1
    assert any(".img_processor.vision_model.encoder.layers.0." in name for name in names)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["rope_scaling"]["type"] == "su" and saved["model_type"] == "phi3_v" and "rope_parameters" not in saved
    again = Phi3VisionForCausalLM.from_pretrained(tmp_path)
    for name, value in tiny.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    assert torch.equal(again.eval().generate(**sample, **settings), tokens)
    again.save_pretrained(tmp_path / "second")  # loading must not change the names either
    assert set(load_file(tmp_path / "second/model.safetensors")) == set(names)
    half = Phi3VisionForCausalLM.from_pretrained(tmp_path, dtype=torch.float16)
    assert {parameter.dtype for parameter in half.parameters()} == {torch.float16}
    assert half.model.rotary_emb.inv_freq().dtype == torch.float32


def test_published_aliases_are_dropped_and_wrong_tensors_are_named(tiny: Phi3VisionForCausalLM, tmp_path: Path) -> None:
    tiny.save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    good = load_file(file)
    clip = "model.vision_embed_tokens.img_processor.vision_model.embeddings.position_ids"
    alias = {"model.vision_embed_tokens.wte.weight": good["model.embed_tokens.weight"].clone(), clip: torch.arange(37)}
    save_file(good | alias, file, metadata={"format": "pt"})
    assert set(Phi3VisionForCausalLM.from_pretrained(tmp_path).state_dict()) == set(good)
    missing = {name: value for name, value in good.items() if name != "model.norm.weight"}
    wrong = good | {"lm_head.weight": torch.zeros(7, 32)}
    for tensors, message in (
        (missing, "missing: model.norm.weight"),
        (good | {"model.extra": torch.zeros(2)}, "not of this model: model.extra"),
        (wrong, r"another shape: lm_head.weight \[7, 32\]"),
    ):
        save_file(tensors, file, metadata={"format": "pt"})
        with pytest.raises(UserError, match=message):
            Phi3VisionForCausalLM.from_pretrained(tmp_path)


# --- pictures, masks, training ----------------------------------------------------------------------------------------


def test_an_only_tile_equal_to_its_global_view_is_encoded_once(
    tiny: Phi3VisionForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    vision = tiny.model.vision_embed_tokens
    pixels = torch.randn(2, 3, 3, 84, 84)
    pixels[0, 1] = pixels[0, 0]
    sizes = torch.tensor([[84, 84], [84, 84]])
    encode, seen = vision.encode, []
    monkeypatch.setattr(vision, "encode", lambda views: (seen.append(len(views)), encode(views))[1])
    features = image_features(vision, pixels, sizes)
    assert seen == [3] and [len(feature) for feature in features] == [25, 25]
    (twice,) = vision.project([encode(pixels[0, :2])], [(84, 84)])
    torch.testing.assert_close(features[0], twice, rtol=0, atol=1e-6)


@torch.no_grad()
def test_global_layout_has_one_view_and_no_separators() -> None:
    model = make_tiny(image_layout="global")
    sample = {
        "input_ids": torch.tensor([[1] + [-1] * 9 + [1, 5, 6]]),
        "pixel_values": torch.randn(1, 1, 3, 84, 84),
        "image_sizes": torch.tensor([[84, 84]]),
    }
    logits = model(**sample).logits
    model.model.vision_embed_tokens.sub_GN.data.fill_(9.0)
    model.model.vision_embed_tokens.glb_GN.data.fill_(9.0)
    assert torch.equal(model(**sample).logits, logits)
    assert not torch.allclose(model(**sample | {"pixel_values": torch.randn(1, 1, 3, 84, 84)}).logits, logits)


@pytest.mark.parametrize(("budget", "side"), [(36, 6), (35, 3), (9, 3), (8, 2), (3, 1)])
@torch.no_grad()
def test_a_budget_pools_the_whole_view(budget: int, side: int) -> None:
    """Means of equal squares of what the projector reads, and as many positions as the processor counts."""
    model = make_tiny(card_tokens=budget, vision_config={**tiny_config().vision_config, "image_size": 168})
    processor = model.config.image_processor(4)
    pixels, sizes = processor.images([Image.new("RGB", (200, 90), "red")])
    vision = model.model.vision
    features = vision.encode(pixels[0])
    (shown,) = vision.project([features], [tuple(sizes[0].tolist())])
    assert len(shown) == processor.num_tokens(tuple(sizes[0].tolist())) == side**2 <= budget
    squares = features[0].view(6, 2, 6, 2, -1).transpose(1, 2).reshape(6, 6, -1)
    share = 6 // side
    first = vision.img_projection(squares[:share, :share].flatten(0, 1).mean(0))
    assert (shown[0] - first).abs().max() <= 1e-5


@pytest.mark.parametrize("ids", [[1, -2, 1, -1], [1, -1, 1, -1], [1, -2], [-1, -1, -3]])
def test_tags_out_of_order_or_repeated_are_refused(ids: list[int]) -> None:
    with pytest.raises(UserError, match="in order"):
        images_per_row(torch.tensor([ids]))
    assert images_per_row(torch.tensor([[1, -1, -1, -2], [1, 5, 6, 7]])) == [2, 0]


def test_pictures_that_do_not_match_their_places_are_refused(tiny: Phi3VisionForCausalLM) -> None:
    sample = MIXED[1]
    with pytest.raises(UserError, match="name 1 pictures"):
        tiny(input_ids=sample["input_ids"])
    with pytest.raises(UserError, match="26 positions, but 25 tokens"):
        tiny(**sample | {"input_ids": torch.cat([torch.tensor([[1, -1]]), sample["input_ids"][:, 1:]], dim=1)})
    with pytest.raises(UserError, match="either"):
        tiny()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@torch.no_grad()
def test_ready_masks_are_used_as_they_are(tiny: Phi3VisionForCausalLM, attention: str) -> None:
    """A row [prompt | answer | answer], positions restarting after the prompt, equals its two separate rows."""
    tiny.set_attn_implementation(attention)
    prompt, first, second = (torch.tensor([ids]) for ids in ([1, 7, 8, 9], [20, 21], [30, 31, 32]))
    ids = torch.cat([prompt, first, second], dim=1)
    positions = torch.tensor([[0, 1, 2, 3, 4, 5, 4, 5, 6]])
    mask = torch.ones(9, 9).tril().bool()
    mask[6:, 4:6] = False
    added = torch.zeros(9, 9).masked_fill(~mask, torch.finfo(torch.float32).min)
    separate = [tiny(input_ids=torch.cat([prompt, answer], dim=1)).logits[0, 4:] for answer in (first, second)]
    for ready in (mask, added):
        logits = tiny(input_ids=ids, position_ids=positions, attention_mask=ready[None, None]).logits[0, 4:]
        assert (logits - torch.cat(separate)).abs().max() <= 1e-5


def gradients(model: Phi3VisionForCausalLM, after: Any) -> Iterator[tuple[str, Tensor]]:
    model.zero_grad()
    inputs = batch(MIXED, left=False)
    labels = inputs["input_ids"].masked_fill((inputs["input_ids"] < 0) | (inputs["attention_mask"] == 0), -100)
    model(**inputs, labels=labels, after_layer=after).loss.backward()
    return ((name, value.grad.clone()) for name, value in model.named_parameters() if value.grad is not None)


@pytest.mark.parametrize("reentrant", [True, False])
def test_gradient_checkpointing_keeps_gradients_with_a_change_after_a_layer(
    tiny: Phi3VisionForCausalLM, reentrant: bool
) -> None:
    gate = torch.nn.Linear(32, 32)
    calls: list[int] = []

    def after(index: int, hidden: Tensor) -> Tensor:
        calls.append(index)
        return hidden + gate(hidden) if index == 1 else hidden

    tiny.train()
    plain = dict(gradients(tiny, after))
    expected = gate.weight.grad.clone()
    assert calls == [0, 1, 2] and expected.any()
    gate.zero_grad()
    tiny.gradient_checkpointing_enable({"use_reentrant": reentrant})
    tiny.enable_input_require_grads()
    checked = dict(gradients(tiny, after))
    torch.testing.assert_close(gate.weight.grad, expected, rtol=0, atol=1e-6)
    assert checked.keys() == plain.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(checked[name], gradient, rtol=0, atol=1e-5, msg=name)


@torch.no_grad()
def test_adapter_equals_merged() -> None:
    from peft import LoraConfig, get_peft_model

    model = make_tiny()
    plain = model(**batch(MIXED, left=True)).logits
    targets = ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]
    adapted = get_peft_model(model, LoraConfig(r=4, target_modules=targets, task_type="CAUSAL_LM")).eval()
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.03)
    inputs = batch(MIXED, left=True)
    logits = adapted(**inputs).logits
    seen = inputs["attention_mask"].bool()
    assert (logits - plain)[seen].abs().max() > 1e-2
    assert sum("lora_A" in name for name, _ in adapted.named_parameters()) == 4 * 3
    merged = adapted.merge_and_unload()
    assert (merged(**inputs).logits - logits)[seen].abs().max() <= 1e-5


@torch.no_grad()
def test_cached_steps_equal_one_pass_and_logits_to_keep_cuts(tiny: Phi3VisionForCausalLM) -> None:
    inputs = batch(MIXED[:2], left=True)
    whole = tiny(**inputs).logits
    length = whole.shape[1]
    prefix = {key: value[:, : length - 3] if value.ndim == 2 and value.shape[1] == length else value
              for key, value in inputs.items()}  # fmt: skip
    cache = tiny(**prefix, use_cache=True).past_key_values
    for end in range(length - 2, length + 1):
        step = tiny(
            input_ids=inputs["input_ids"][:, end - 1 : end],
            attention_mask=inputs["attention_mask"][:, :end],
            past_key_values=cache,
            use_cache=True,
        ).logits
        assert (step[:, 0] - whole[:, end - 1]).abs().max() <= 1e-5
    torch.testing.assert_close(tiny(**inputs, logits_to_keep=2).logits, whole[:, -2:], rtol=0, atol=1e-6)
    states = tiny(**inputs, output_hidden_states=True).hidden_states
    assert len(states) == 4


@pytest.mark.slow
def test_compiled_equals_eager(tiny: Phi3VisionForCausalLM) -> None:
    """Logits and gradients of the graphs that `torch.compile` captures (its C++ back end takes a minute more)."""
    inputs = batch(MIXED, left=True)
    labels = inputs["input_ids"].masked_fill((inputs["input_ids"] < 0) | (inputs["attention_mask"] == 0), -100)

    def run(model: Any) -> tuple[Tensor, list[Tensor]]:
        tiny.zero_grad()
        output = model(**inputs, labels=labels)
        output.loss.backward()
        return output.logits.detach(), [p.grad.clone() for p in tiny.parameters() if p.grad is not None]

    logits, grads = run(tiny)
    compiled_logits, compiled_grads = run(torch.compile(tiny, backend="aot_eager"))
    torch.testing.assert_close(compiled_logits, logits, rtol=0, atol=1e-5)
    for got, want in zip(compiled_grads, grads, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def test_attention_is_flash_only_where_it_can_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(published_call, "is_flash_attn_2_available", lambda: False)
    assert choose_attention(torch.float16) == "sdpa"
    with pytest.raises(UserError, match="flash-attn"):
        choose_attention(torch.float16, "flash_attention_2")
    monkeypatch.setattr(published_call, "is_flash_attn_2_available", lambda: True)
    assert choose_attention(torch.float16) == choose_attention("bfloat16") == "flash_attention_2"
    assert choose_attention(torch.float32) == choose_attention(None) == "sdpa"
    assert choose_attention(torch.bfloat16, "eager") == "eager"
    make_tiny().save_pretrained(tmp_path)
    assert Phi3VisionForCausalLM.from_pretrained(tmp_path).config._attn_implementation == "sdpa"
