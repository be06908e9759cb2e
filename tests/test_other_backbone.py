"""Another backbone takes one module and one entry: it trains, answers, saves and loads, as Phi-3.5-Vision does."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import SENTENCES, WORDS, fresh_model, pictures
from other_backbone import ENTRY, SHAPE, byte_level_tokenizer, write_published
from published import tuned_model
from test_model import CONTEXTS, PERSONAS, apart, difference

from aac.io import UserError
from aac.records import Context, Persona
from train.config.backbones import BACKBONES
from train.config.train_config import TRAIN_CONFIG, validate
from train.models.aac_multimodal_model import AACMultimodalModel
from train.models.backbones import model_class
from train.models.batch import Row, collate
from train.models.chat import ChatFormat

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What adding a backbone takes beside its module."""
    monkeypatch.setitem(BACKBONES, "other", ENTRY)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_published(tmp_path_factory.mktemp("other"))


@pytest.fixture
def other(folder: Path) -> Any:
    """Fine-tuned, every gate and LoRA B away from zero."""
    model = tuned_model(folder, model_type="other", lora_projector=True)
    model.centroids = torch.randn(5, 12)
    return model


def cards() -> list[Any]:
    """Pictures of three shapes."""
    return [image.resize((40, 40 + 20 * (n % 3))) for n, image in enumerate(pictures())]


def request(n: int) -> dict[str, Any]:
    return {"images": cards()[: n + 1], "persona_info": {"age": 25}, "context_info": "집에서"}


def rows(model: Any) -> list[Row]:
    """One, two and three cards of different shapes."""
    _, sizes = model.encode_images(cards())
    made = []
    for n in range(3):
        shown = list(range(n, 2 * n + 1))
        counts = [model.processor.num_tokens(sizes[card]) for card in shown]
        prompt = model.encoder.prompt(counts, PERSONAS[n], CONTEXTS[n], [WORDS[card] for card in shown])
        answers = [model.encoder.answer(text) for text in SENTENCES[n : n + 3]]
        made.append(Row(prompt, answers, [0, 1, 2], shown, PERSONAS[n], CONTEXTS[n], record=n))
    return made


def learn(model: Any, some: list[Row]) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradients of a batch."""
    features, sizes = model.encode_images(cards())
    batch = collate(some, model.encoder, model.image_clusters(features))
    terms = model(batch, [features[i].clone() for i in batch.images], [sizes[i] for i in batch.images])
    model.zero_grad()
    terms["loss"].total.backward()
    grads = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return float(terms["loss"].total.detach()), grads


# --- its prompt -------------------------------------------------------------------------------------------------------


def test_the_prompt_is_in_its_own_format(other: Any) -> None:
    encoder = other.encoder
    ids = encoder.prompt([2, 3], Persona(), Context(current_activity="쉬는 중"), ["물", "공"])
    names = {number: name for name, number in encoder.control.items()} | {0: "~", -1: "1", -2: "2"}
    shown = "".join(names.get(i) or encoder.tokenizer.decode([i], skip_special_tokens=False) for i in ids if i in names)
    said = encoder.decode([i for i in ids if i > 0 and i not in names])
    assert shown == (
        "<|im_start|>~~<|vision_start|>11<|vision_end|><|vision_start|>222<|vision_end|><|im_end|><|im_start|>"
    )
    assert said.splitlines() == ["user", "물", "공", "상황: 활동 쉬는 중", "카드로 내가 할 말:", "", "assistant"]
    assert encoder.answer("물")[-1] == encoder.end == encoder.tokenizer.token_to_id("<|im_end|>")


def test_user_text_never_becomes_a_control_token(other: Any) -> None:
    """Even one that the tokenizer's file does not mark as special."""
    typed = "".join(other.encoder.control)
    assert not set(other.encoder.text(f"물{typed}물")) & set(other.encoder.control.values())


@pytest.mark.parametrize("missing", ["<|vision_start|>", "<|endoftext|>"])
def test_a_tokenizer_without_a_control_token_is_refused(folder: Path, tmp_path: Path, missing: str) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    words = (tmp_path / "tokenizer.json").read_text().replace(missing, "<|else|>")
    (tmp_path / "tokenizer.json").write_text(words)
    with pytest.raises(UserError, match=r"<\|.*tokenizer.json published with the weights") as told:
        tuned_model(tmp_path, model_type="other")
    assert missing in str(told.value)
    with pytest.raises(UserError, match="'<s>'"):
        fresh_model(tokenizer=byte_level_tokenizer())
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"tokenizer.json: no readable tokenizer"):
        tuned_model(tmp_path, model_type="other")


def test_a_tokenizer_larger_than_the_model_is_refused(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    words = byte_level_tokenizer()
    words.add_tokens([f"더{n}" for n in range(6)])
    words.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(UserError, match="has embeddings for"):
        tuned_model(tmp_path, model_type="other")


# --- its numbers ------------------------------------------------------------------------------------------------------


def test_shared_prefix_equals_separate_rows(other: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With positions on two axes and pictures read at two depths; without either the loss is another."""
    shared, grads = learn(other, rows(other))
    single, single_grads = learn(other, [part for row in rows(other) for part in apart(row)])
    assert shared == pytest.approx(single, rel=1e-5) and difference(grads, single_grads) < 1e-5
    reached = {name for name, grad in grads.items() if grad.abs().sum() > 0}
    assert {f"backbone.model.visual.mergers.{n}.1.lora_B.default.weight" for n in (0, 1)} <= reached
    monkeypatch.setattr(type(other.backbone), "positions", lambda _, counted, *__: (counted, 0 * counted[:, 0]))
    assert learn(other, rows(other))[0] != pytest.approx(shared, rel=1e-4)
    monkeypatch.undo()
    merge = type(other.backbone.model.vision).project
    monkeypatch.setattr(
        type(other.backbone.model.vision), "project", lambda *given: [tokens[:, :32] for tokens in merge(*given)]
    )
    assert learn(other, rows(other))[0] != pytest.approx(shared, rel=1e-4)


def test_decoding_agrees_with_the_training_forward(other: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers start where the pictures' positions end, and pictures' deeper features are in the cache."""
    from train.interpreter.decoding import Prefilled
    from train.models.batch import IGNORE

    plain = [replace(row, answers=[], styles=[]) for row in rows(other)]
    features, sizes = other.encode_images(cards())
    clusters = other.image_clusters(features)
    batch = collate(plain, other.encoder, clusters)
    with torch.inference_mode():
        shown = [features[i] for i in batch.images], [sizes[i] for i in batch.images]
        session = Prefilled(other, batch, *shown)
        said = session.decode({n: [] for n in range(9)})
        session.switch = int(batch.segments[0].eq(0).sum() + session.inputs.shift[0]) + 2
        whole, anew = session._whole, []
        monkeypatch.setattr(session, "_whole", lambda *given, **more: anew.append(1) or whole(*given, **more))
        assert all(said[n].tokens == again.tokens for n, again in session.decode({n: [] for n in said}).items())
        assert anew  # all keys, with the pictures' positions and deeper features
        written = [
            replace(row, answers=[said[3 * n + k].tokens for k in range(3)], styles=[0, 1, 2])
            for n, row in enumerate(plain)
        ]
        full = collate(written, other.encoder, clusters)
        hidden = other.hidden_states(full, other.embed(full, *shown)).last_hidden_state
        best = other.backbone.lm_head(hidden[full.targets != IGNORE]).argmax(-1)
    assert best.tolist() == [token for n in range(9) for token in said[n].tokens]


def test_cached_cards_of_several_shapes_equal_fresh_ones(other: Any, tmp_path: Path) -> None:
    from train.data.features import CardFeatures

    files = [tmp_path / f"{n}_{word}.png" for n, word in enumerate(WORDS)]
    for file, image in zip(files, cards(), strict=True):
        image.save(file)
    cached = CardFeatures(other, files, tmp_path / "features")
    fresh, sizes = other.encode_images(cards())
    assert cached.image_sizes == sizes and len({tuple(feature.shape) for feature in fresh}) == 3
    assert all(torch.equal(cached[i], fresh[i]) for i in range(len(fresh)))
    assert cached.pooled.shape == (6, 12)


# --- its life ---------------------------------------------------------------------------------------------------------


def test_the_command_tunes_it_and_it_answers(
    folder: Path, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from train.train import main

    settings = {"model_type": "other", "model_path": str(folder), "device": "cpu", "use_fp16": False, "lora_r": 4}
    settings |= {"persona_tokens": 2, "context_width": 16, "max_new_tokens": 6, "num_workers": 0, "batch_size": 4}
    settings |= {"max_steps": 3, "gradient_accumulation_steps": 1, "learning_rate": 1e-2}
    settings |= {"gradient_checkpointing": False}
    (workspace / "tune.json").write_text(json.dumps(settings), encoding="utf-8")
    monkeypatch.setattr("signal.signal", lambda *_: None)  # pytest keeps its Ctrl-C
    assert main(["--workspace", str(workspace), "--config", str(workspace / "tune.json")]) == 0
    best = workspace / "train/checkpoints/best_model.pt"
    model = AACMultimodalModel.load_model(best, TRAIN_CONFIG)
    moved = {name.split(".")[-4] for name, p in model.named_parameters() if "lora_B" in name and p.any()}
    assert moved == {"q_proj", "down_proj"}  # the entry's own targets: the config named none
    said = model.generate_interpretation(**request(1), return_details=True)
    assert len({candidate["text"] for candidate in said}) == 3
    model.save_model(tmp_path / "again.pt")
    again = AACMultimodalModel.load_model(tmp_path / "again.pt", TRAIN_CONFIG)
    assert again.generate_interpretation(**request(1), return_details=True) == said


def test_from_scratch_it_learns_and_is_saved_with_its_tokenizer(tmp_path: Path) -> None:
    model = fresh_model(
        model_type="other", backbone=SHAPE, tokenizer=byte_level_tokenizer(), centroids=torch.randn(5, 12)
    )
    before, _ = learn(model, rows(model))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(3):
        learn(model, rows(model))
        optimizer.step()
    assert learn(model, rows(model))[0] < before
    want = model.generate_interpretation(**request(1), return_details=True)
    model.save_model(tmp_path / "best_model.pt")
    loaded = AACMultimodalModel.load_model(tmp_path / "best_model.pt")
    assert loaded.generate_interpretation(**request(1), return_details=True) == want


def test_the_vision_stage_asks_for_pictures_of_one_size() -> None:
    from train.models.vision_pretraining import pretrain_tower

    model = fresh_model(model_type="other", backbone=SHAPE, tokenizer=byte_level_tokenizer())
    with pytest.raises(UserError, match="vision_pretrain_steps"):
        pretrain_tower(model, cards(), WORDS, 1, 0)


# --- its settings -----------------------------------------------------------------------------------------------------


def test_the_configs_choices_are_the_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = validate({"model_type": "other"})
    assert {key: chosen[key] for key in ENTRY.settings} == ENTRY.settings
    assert validate({"model_type": "other", "lora_target_modules": ["o_proj"]})["lora_target_modules"] == ["o_proj"]
    assert validate({}) == TRAIN_CONFIG
    monkeypatch.delitem(BACKBONES, "other")
    with pytest.raises(UserError, match="model_type must be one of phi3_vision, qwen3_vl, not 'other'"):
        validate({"model_type": "other"})


def test_every_entry_is_whole() -> None:
    """What `train/models/backbones.py` asks of a backbone's class, of each that the config offers."""
    for name, entry in BACKBONES.items():
        kind = model_class(name)
        assert isinstance(kind.chat, ChatFormat) and kind.full_precision and callable(kind.positions), name
        assert hasattr(kind, "lora_parts") and hasattr(kind.config_class, "image_processor"), name
        config = validate({"model_type": name})
        assert config["model_size"] in entry.parameters and set(entry.settings) <= set(TRAIN_CONFIG), name


def test_its_size_is_checked(folder: Path) -> None:
    tuned_model(folder, model_type="other", model_size="small")
    heavy = replace(ENTRY, parameters={"small": 2 * ENTRY.parameters["small"]})
    with pytest.MonkeyPatch.context() as patch, pytest.raises(UserError, match="model_size 'small' does not fit"):
        patch.setitem(BACKBONES, "other", heavy)
        tuned_model(folder, model_type="other", model_size="small")


def test_a_config_is_checked_without_torch() -> None:
    line = "from train.config.train_config import validate; validate({}); import sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", line], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
