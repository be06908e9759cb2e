"""Fine-tuning a pretrained backbone: what LoRA adapts, what is cached, QLoRA, another backbone."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import WORDS, fresh_model, pictures
from published import tuned_model, tuning, write_published
from test_model import difference, request, rows

from aac.io import UserError
from train.config.backbones import BACKBONES
from train.config.train_config import validate
from train.models import backbones
from train.models.aac_multimodal_model import AACMultimodalModel
from train.models.attention import SHARED_PREFIX
from train.models.batch import collate

FROZEN_PROJECTOR = {"train_projector": False}
EVERYTHING = {"lora_vision": True, "lora_projector": True}


@pytest.fixture(scope="module")
def phi3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_published(tmp_path_factory.mktemp("phi3_vision"))


@pytest.fixture(scope="module", params=["phi3_vision", "qwen3_vl"])
def folder(request: pytest.FixtureRequest, phi3: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of each backbone: what holds for one holds for all."""
    if request.param == "phi3_vision":
        return phi3
    return write_published(tmp_path_factory.mktemp(request.param), model_type=request.param)


DECODER = {
    "phi3_vision": {"qkv_proj", "o_proj", "gate_up_proj", "down_proj"},
    "qwen3_vl": {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"},
}
TOWER = {
    "phi3_vision": {"q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"},
    "qwen3_vl": {"qkv", "proj", "linear_fc1", "linear_fc2"},
}
# Adapted in the decoder's layers, and of the projector; Phi's third tower layer is never run.
ADAPTED = {"phi3_vision": (3 * 4 + 2, {"0", "1"}), "qwen3_vl": (4 * 7 + 2 * 3, {"0", "1", "2"})}


def learn(model: Any, cards: list[torch.Tensor], image_sizes: list[tuple[int, int]]) -> tuple[float, dict[str, Any]]:
    """Loss and gradients of the rows of test_model, from these cards."""
    clusters = torch.arange(6) % 5
    batch = collate(wide_rows(model), model.encoder, clusters)
    sums = model(batch, [cards[i].clone() for i in batch.images], [image_sizes[i] for i in batch.images])
    model.zero_grad()
    sums["loss"].total.backward()
    grads = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return float(sums["loss"].total.detach()), grads


def wide_rows(model: Any) -> list[Any]:
    """The rows of test_model with as many positions a picture as this backbone takes."""
    from dataclasses import replace

    from test_model import CONTEXTS, PERSONAS

    count = model.processor.num_tokens((28, 28))
    made = []
    for n, row in enumerate(rows(model)):
        words = [WORDS[card] for card in row.cards] if n else None
        prompt = model.encoder.prompt([count] * len(row.cards), PERSONAS[n], CONTEXTS[n], words)
        made.append(replace(row, prompt=prompt))
    return made


def lora_names(module: torch.nn.Module) -> set[str]:
    return {name.split(".lora_A")[0] for name, _ in module.named_parameters() if ".lora_A" in name}


# --- what trains ------------------------------------------------------------------------------------------------------


def test_lora_stays_in_the_decoder_unless_asked(folder: Path) -> None:
    plain = tuned_model(folder)
    kind = plain.config["model_type"]
    assert {name.rsplit(".", 1)[-1] for name in lora_names(plain.backbone)} == DECODER[kind]
    assert not lora_names(plain.backbone.model.vision)
    everywhere = tuned_model(folder, **EVERYTHING).backbone
    adapted = lora_names(everywhere.model.vision.tower)
    assert {name.rsplit(".", 1)[-1] for name in adapted} == TOWER[kind]
    others, layers = ADAPTED[kind]
    assert {next(part for part in name.split(".") if part.isdigit()) for name in adapted} == layers
    assert len(lora_names(everywhere)) - len(adapted) == others


@pytest.mark.parametrize("changes", [{}, EVERYTHING, FROZEN_PROJECTOR])
def test_all_that_trains_gets_a_gradient_and_nothing_else(folder: Path, changes: dict[str, bool]) -> None:
    model = tuned_model(folder, **changes)
    _, grads = learn(model, *model.encode_images(pictures()))
    trained = {name for name, p in model.backbone.named_parameters() if p.requires_grad}
    reached = {name.removeprefix("backbone.") for name, grad in grads.items() if grad.abs().sum() > 0}
    assert trained <= reached and all(name in trained for name in reached if name.startswith("model."))
    projector = {id(p) for p in model.backbone.model.vision.projector.parameters()}
    adapted = {
        "lora" in name for name, p in model.backbone.named_parameters() if p.requires_grad and id(p) in projector
    }
    assert adapted == ({True} if changes == EVERYTHING else set() if changes else {False})


def test_gradient_checkpointing_changes_no_number(folder: Path) -> None:
    """Loss and gradients with decoder, tower and projector adapted, through the rows' own attention."""
    model = tuned_model(folder, **EVERYTHING).train()
    cards, image_sizes = model.encode_images(pictures())
    loss, grads = learn(model, cards, image_sizes)
    model.backbone.gradient_checkpointing_enable({"use_reentrant": False})
    checked, checked_grads = learn(model, cards, image_sizes)
    assert checked == pytest.approx(loss, rel=1e-6) and difference(checked_grads, grads) < 1e-5


def test_targets_outside_the_decoder_are_refused(folder: Path) -> None:
    """Those of the vision tower alone too: PEFT would train them without a word."""
    kind = tuning(folder)["model_type"]
    outside = sorted(TOWER[kind] - DECODER[kind])[0]
    for targets in ([outside], [*sorted(DECODER[kind])[:1], outside], ["nothing"]):
        with pytest.raises(UserError, match=", ".join(sorted(DECODER[kind]))):
            tuned_model(folder, lora_target_modules=targets)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"lora_projector": True, "train_projector": True}, "choose one"),
        ({"lora_vision": True, "use_lora": False}, "lora_vision"),
        ({"load_in_4bit": True, "use_lora": False}, "load_in_4bit"),
        ({"load_in_4bit": True, "device": "cpu"}, "CUDA"),
    ],
)
def test_settings_that_contradict_are_refused(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(UserError, match=word):
        validate(changes)


# --- what is cached of a card -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "boundary", "dimensions"),
    [({}, "tower", 3), (EVERYTHING, "views", 4), (FROZEN_PROJECTOR, "projector", 2)],
)
def test_cards_are_cached_at_the_last_frozen_boundary(
    folder: Path, cards: list[Path], tmp_path: Path, changes: dict[str, bool], boundary: str, dimensions: int
) -> None:
    from train.data.features import CardFeatures

    model = tuned_model(folder, **changes)
    cached = CardFeatures(model, cards, tmp_path / "features")
    assert backbones.boundary(model.backbone) == boundary and cached[0].ndim == dimensions
    fresh_cards, image_sizes = model.encode_images(pictures())
    loss, grads = learn(model, [cached[i] for i in range(6)], cached.image_sizes)
    fresh_loss, fresh_grads = learn(model, fresh_cards, image_sizes)
    assert loss == pytest.approx(fresh_loss, rel=1e-5) and difference(grads, fresh_grads) < 1e-5
    assert torch.allclose(cached.pooled, backbones.pool_cards(model.backbone, fresh_cards), atol=1e-5)
    files = set((tmp_path / "features").iterdir())
    CardFeatures(model, cards, tmp_path / "features")
    assert set((tmp_path / "features").iterdir()) == files


def test_the_cache_is_bounded_and_never_half_written(
    phi3: Path, cards: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from train.data.features import CardFeatures

    model, place = tuned_model(phi3), tmp_path / "features"
    first = CardFeatures(model, cards, place)
    size = sum(path.stat().st_size for path in place.iterdir())
    model.config = {**model.config, "feature_cache_gb": 1.5 * size / 1e9}
    CardFeatures(model, cards[:5], place)  # no room for both: the older one goes, its reader goes on reading
    assert len(list(place.glob("*.npz"))) == len(list(place.glob("*.bin"))) == 1
    assert torch.equal(first[2], first[2]) and len(first) == 6
    alone = sum(path.stat().st_size for path in place.glob("*.bin"))  # what is counted while it is written
    model.config = {**model.config, "feature_cache_gb": 0.5 * alone / 1e9}
    with pytest.raises(UserError, match="feature_cache_gb"):
        CardFeatures(model, cards, place)
    model.config = {**model.config, "feature_cache_gb": 1.0}
    with monkeypatch.context() as patch:
        patch.setattr(backbones, "pool_cards", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            CardFeatures(model, cards, place)
    assert not list(place.glob("*.tmp")) and len(list(place.glob("*.npz"))) == 1
    assert torch.equal(CardFeatures(model, cards, place)[2], first[2])


def test_several_processes_share_one_cache(phi3: Path, cards: list[Path], tmp_path: Path) -> None:
    """All want the same cards at once: one encodes them, the others wait and read (threads stand for processes)."""
    from concurrent.futures import ThreadPoolExecutor

    from train.data import features

    model, encoded = tuned_model(phi3), []
    compute = features._compute
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(4) as pool:
        patch.setattr(features, "_compute", lambda *given: (encoded.append(1), compute(*given)))
        made = list(pool.map(lambda _: features.CardFeatures(model, cards, tmp_path / "features"), range(4)))
    assert len(encoded) == 1 and all(torch.equal(one[3], made[0][3]) for one in made)


def test_a_card_keeps_its_cluster_while_the_tower_trains(folder: Path) -> None:
    plain, adapted = tuned_model(folder), tuned_model(folder, **EVERYTHING)
    before = backbones.pool_cards(plain.backbone, plain.encode_images(pictures())[0])
    views, _ = adapted.encode_images(pictures())
    assert torch.allclose(backbones.pool_cards(adapted.backbone, views), before, atol=1e-5)
    vision = adapted.backbone.model.vision
    assert not torch.allclose(
        vision.encode(views[0])[0, :, :16].mean(0), before[0], atol=1e-2
    )  # LoRA does change the tower
    assert all(p.requires_grad for name, p in vision.named_parameters() if "lora_" in name)


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, EVERYTHING])
def test_save_load_generate_gives_the_same_tokens(folder: Path, tmp_path: Path, changes: dict[str, bool]) -> None:
    model = tuned_model(folder, **changes)
    model.save_model(tmp_path / "best_model.pt")
    loaded = AACMultimodalModel.load_model(tmp_path / "best_model.pt", tuning(folder))
    want = model.generate_interpretation(**request(1), return_details=True)
    assert loaded.generate_interpretation(**request(1), return_details=True) == want


def test_a_checkpoint_knows_its_base(folder: Path, tmp_path: Path) -> None:
    """The same weights are known again in any precision; others are refused, a merged model among them."""
    model = tuned_model(folder)
    state = model.state()
    half, _ = backbones.build(tuning(folder), dtype=torch.float16)
    backbones.check_identity(state["base"], half.base, "here")
    from train.models.lora import merge_lora

    merge_lora(model.backbone)
    model.backbone.save_pretrained(tmp_path / "merged")
    other = backbones.fingerprint(tmp_path / "merged") | {"id": "merged"}
    with pytest.raises(UserError, match="other weights"):
        backbones.check_identity(state["base"], other, "here")


def test_a_half_size_base_interprets_with_its_projector_in_full_precision(folder: Path) -> None:
    base, words = backbones.build(tuning(folder), dtype=torch.bfloat16)
    model = AACMultimodalModel(base, words, tuning(folder), torch.randn(5, 16)).eval()
    assert {p.dtype for p in base.model.vision.projector.parameters()} == {torch.float32}
    adapted = [module for name, module in base.named_modules() if name.endswith("o_proj")]
    assert {module.base_layer.weight.dtype for module in adapted} == {torch.bfloat16}
    assert len(set(model.generate_interpretation(**request(1)))) == 3


# --- QLoRA ------------------------------------------------------------------------------------------------------------


def test_four_bits_need_bitsandbytes(phi3: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    config = tuning(phi3, device="cuda", load_in_4bit=True)
    with pytest.raises(UserError, match="pip install bitsandbytes"):
        backbones.build(config)


def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty bitsandbytes, which PEFT does not take for the library: it has looked before, and remembers."""
    from peft.import_utils import is_bnb_4bit_available

    is_bnb_4bit_available()
    monkeypatch.setitem(sys.modules, "bitsandbytes", types.ModuleType("bitsandbytes"))


def test_four_bits_are_asked_for_on_cuda_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of transformers where there is CUDA; on a CPU the base is loaded whole and the log says so."""
    asked: dict[str, Any] = {}
    model_class = backbones.model_class(tuning(folder)["model_type"])
    load = model_class.from_pretrained

    def record(path: Any, **settings: Any) -> Any:
        asked.update(settings)
        return load(path, dtype=settings["dtype"])

    stand_in(monkeypatch)
    monkeypatch.setattr(model_class, "from_pretrained", record)
    backbones.build(tuning(folder, device="cuda", load_in_4bit=True, use_bf16=True))
    settings = asked["quantization_config"]
    assert settings.load_in_4bit and settings.bnb_4bit_quant_type == "nf4" and asked["device_map"] == {"": "cuda"}
    assert settings.bnb_4bit_compute_dtype == torch.bfloat16
    asked.clear()
    backbones.build({**tuning(folder, device="cuda", load_in_4bit=True), "device": "cpu"})
    assert "quantization_config" not in asked


class Linear4bit(torch.nn.Linear):
    """Stands for the class of bitsandbytes, of which only the place counts."""

    def __init__(self, inner: int, outer: int, bias: bool, *_: Any, **__: Any) -> None:
        super().__init__(inner, outer, bias)


@pytest.mark.parametrize("name", [*BACKBONES, "other"])
def test_four_bits_quantise_the_decoder_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the modules that result from transformers' own replacing: tower, projector and head stay as they are."""
    import other_backbone
    from transformers.integrations import bitsandbytes as replacing
    from transformers.quantizers.base import HfQuantizer

    from train.models.lora import four_bits

    monkeypatch.setitem(BACKBONES, "other", other_backbone.ENTRY)
    stand_in(monkeypatch)
    library = types.SimpleNamespace(nn=types.SimpleNamespace(Linear4bit=Linear4bit))
    monkeypatch.setattr(replacing, "bnb", library, raising=False)
    kind = backbones.model_class(name)
    with torch.device("meta"):
        model = kind(kind.config_class())
    linear = [path for path, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    settings = four_bits(torch.float16, kind.full_precision)
    skipped = HfQuantizer.get_modules_to_not_convert(model, settings.llm_int8_skip_modules)
    replacing.replace_with_bnb_linear(model, skipped, settings)
    held = {path for path, module in model.named_modules() if isinstance(module, Linear4bit)}
    assert held == {path for path in linear if re.match(model.lora_parts["decoder"], path)}
    assert len(held) < len(linear)


def test_a_model_in_four_bits_trains_answers_and_is_saved(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With bitsandbytes' own modules, where it is installed: it computes on a CPU, too."""
    bitsandbytes = pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed: pip install bitsandbytes")
    kind = backbones.model_class(tuning(folder)["model_type"])
    load = kind.from_pretrained.__func__
    monkeypatch.setattr(
        kind, "from_pretrained", classmethod(lambda cls, path, **told: load(cls, path, **told | {"device_map": "cpu"}))
    )
    config = tuning(folder, device="cuda", load_in_4bit=True, use_fp16=False)

    def built() -> Any:
        return AACMultimodalModel.build(config, None, torch.randn(5, 16))

    model = built()
    held = [path for path, m in model.backbone.named_modules() if isinstance(m, bitsandbytes.nn.Linear4bit)]
    assert held and all(re.match(model.backbone.lora_parts["decoder"], path) for path in held)
    _, grads = learn(model.train(), *model.encode_images(pictures()))
    assert {name for name, p in model.backbone.named_parameters() if p.requires_grad} <= {
        name.removeprefix("backbone.") for name in grads
    }
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.05)
    want = model.eval().generate_interpretation(**request(1))
    model.save_model(tmp_path / "best_model.pt")
    again = built()
    again.load_state_dict(torch.load(tmp_path / "best_model.pt")["model"], strict=False)
    assert again.eval().generate_interpretation(**request(1)) == want and len(set(want)) == 3


# --- as a whole ------------------------------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("scratch", [False, True])
def test_the_rows_own_attention_gives_the_published_numbers(phi3: Path, scratch: bool) -> None:
    """In the decoder, and in the tower, whose patches see every way: plain SDPA is the reference."""
    backbone = fresh_model().backbone if scratch else backbones.build(tuning(phi3))[0]
    views, _ = backbone.config.image_processor(1).images(pictures())

    def numbers() -> list[torch.Tensor]:
        features = backbones.encode_cards(backbone, views, [(28, 28)] * 6)
        ids = torch.arange(5, 25).view(2, 10)
        return [torch.cat(features), backbone(input_ids=ids).logits]

    ours = numbers()
    assert backbone.config._attn_implementation == SHARED_PREFIX
    backbone.set_attn_implementation("sdpa")
    for got, want in zip(ours, numbers(), strict=True):
        assert (got - want).abs().max() <= 1e-5


@pytest.mark.parametrize("changes", [EVERYTHING, FROZEN_PROJECTOR])
def test_the_command_trains_what_it_is_asked_to(
    folder: Path, workspace: Path, changes: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`train/train.py` over a pretrained base: adapters move, in the tower too, and the checkpoint holds no base."""
    import json

    from train.models import checkpoint
    from train.train import main

    kept = ("model_type", "model_path", "model_size", "device", "lora_r", "persona_tokens", "card_tokens")
    small = {key: tuning(folder)[key] for key in kept}
    small |= {"max_steps": 2, "batch_size": 4, "gradient_accumulation_steps": 1, "num_workers": 0, "use_fp16": False}
    small |= {"context_width": 16, "gradient_checkpointing": True, "learning_rate": 1e-2, **changes}
    (workspace / "tune.json").write_text(json.dumps(small), encoding="utf-8")
    monkeypatch.setattr("signal.signal", lambda *_: None)  # pytest keeps its Ctrl-C
    assert main(["--workspace", str(workspace), "--config", str(workspace / "tune.json")]) == 0
    held = checkpoint.load(workspace / "train/checkpoints/best_model.pt")["model"]
    moved = {name for name, value in held.items() if "lora_B" in name and value.any()}
    assert any("layers." in name and "vision" not in name for name in moved)
    assert any("img_processor" in name or "visual.blocks" in name for name in moved) == ("lora_vision" in changes)
    assert any("img_projection" in name or "merger" in name for name in moved) == ("lora_projector" in changes)
    backbone = {name for name in held if name.startswith("backbone.")}
    assert all("lora_" in name for name in backbone)
