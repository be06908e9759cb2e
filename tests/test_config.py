"""Settings: known, typed, possible together; otherwise an error with the remedy."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import tiny_settings

from aac.io import UserError
from train.config import train_config
from train.config.train_config import TRAIN_CONFIG, load_config, validate
from train.loop import estimate, optimization, processes

ROOT = Path(__file__).resolve().parents[1]
GIB = estimate.GIB


def test_the_documented_defaults_stay() -> None:
    documented = {"model_type": "phi3_vision", "model_size": "3.8B", "use_lora": True, "batch_size": 4}
    documented |= {"learning_rate": 2e-5, "num_epochs": 10, "gradient_accumulation_steps": 8}
    documented |= {"device": "cuda", "use_fp16": True, "use_bf16": False, "head_learning_rate": 1e-3}
    documented |= {"checkpoint_dir": "train/checkpoints", "log_dir": "train/logs", "log_samples": False}
    assert {key: TRAIN_CONFIG[key] for key in documented} == documented


def test_every_key_is_documented_by_its_consequence() -> None:
    source = (ROOT / "train/config/train_config.py").read_text(encoding="utf-8")
    block = source[source.index("TRAIN_CONFIG") : source.index("PATH_KEYS")]
    plain = [line.split('"')[1] for line in block.splitlines() if line.startswith('    "') and "  #" not in line]
    assert not plain, f"no comment beside {plain}"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"learning_rat": 1}, "learning_rate"),
        ({"num_epoch": 3}, "num_epochs"),
        ({"zzz": 3}, "train_config.py lists"),
        ({"batch_size": 4.0}, "batch_size must be int"),
        ({"batch_size": True}, "batch_size must be int"),
        ({"use_lora": 1}, "use_lora must be bool"),
        ({"learning_rate": "2e-5"}, "learning_rate must be float"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"lora_target_modules": "qkv_proj"}, "list"),
        ({"lora_target_modules": [1]}, "lora_target_modules"),
        ({"lora_target_modules": []}, "name some"),
        ({"backbone": []}, "backbone must be dict"),
        ({"batch_size": 0}, "above 0"),
        ({"warmup_steps": -1}, "0 or more"),
        ({"keyword_dropout": 1.0}, "below 1"),
        ({"max_steps": 100, "warmup_steps": 100}, "not shorter than the run"),
        ({"use_fp16": True, "use_bf16": True}, "choose one"),
        ({"device": "gpu"}, "'cuda', 'cuda:N' or 'cpu'"),
        ({"device": "cuda:x"}, "cuda:N"),
        ({"vision_pretrain_steps": 5}, "backbone from scratch"),
        ({"backbone": {"hidden_size": 8}, "use_lora": True}, "set use_lora to false"),
        ({"best_metric": "loss"}, "val_loss"),
    ],
)
def test_what_cannot_be_is_refused_with_the_remedy(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match="config") as caught:
        validate(settings)
    assert words in str(caught.value) and next(iter(settings)) in str(caught.value)


def test_a_file_then_overrides(tmp_path: Path) -> None:
    path = tmp_path / "내 설정.json"
    path.write_text(json.dumps({"batch_size": 2, "use_bf16": True}), encoding="utf-8")
    config = load_config(path, ["batch_size=8", "voice=third", "learning_rate=1"])
    assert (config["batch_size"], config["voice"], config["learning_rate"]) == (8, "third", 1.0)
    assert config["use_bf16"] and not config["use_fp16"]  # chosen over the default, and so resolved
    assert set(config) == set(TRAIN_CONFIG)
    for wrong, words in (("batch_size", "key=value"), ("batch_siz=3", "batch_size")):
        with pytest.raises(UserError, match=words):
            load_config(path, [wrong])
    path.write_text("[1]", encoding="utf-8")
    with pytest.raises(UserError, match="JSON object"):
        load_config(path)


def test_the_shipped_preset_is_valid() -> None:
    assert load_config(ROOT / "train/config/tiny.json")["device"] == "cpu"


def test_key_groups_name_real_keys() -> None:
    groups = [value for name, value in vars(train_config).items() if name.endswith("_KEYS") or name == "_SHARES"]
    groups += [train_config._POSITIVE, train_config._NOT_NEGATIVE]
    assert len(groups) == 7 and all(key in TRAIN_CONFIG for group in groups for key in group)
    assert not set(train_config.ARCHITECTURE_KEYS) & set(train_config.RESUMABLE_KEYS)


# ---------------------------------------------------------------------- what the hardware allows


def test_full_tuning_of_4b_on_24_gb_is_refused() -> None:
    full = validate({"use_lora": False})
    with pytest.raises(UserError, match=r"use_lora to true.*FSDP") as caught:
        estimate.check_memory(full, 24 * GIB)
    assert "62 GiB" in str(caught.value) and "24 GiB" in str(caught.value)
    estimate.check_memory(full, 80 * GIB)
    estimate.check_memory(full, 24 * GIB, processes=4)  # sharded
    estimate.check_memory(validate({}), 24 * GIB)  # LoRA fits
    with pytest.raises(UserError, match=r"tiny\.json"):
        estimate.check_memory(validate({}), 6 * GIB)
    estimate.check_memory(validate({"load_in_4bit": True}), 6 * GIB)
    estimate.check_memory(tiny_settings(), 1 * GIB)


def test_precision_is_said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    from train.train import check_hardware

    caplog.set_level(logging.INFO)
    check_hardware(tiny_settings())
    assert "fp32 (use_fp16 needs CUDA" in caplog.text
    for own, half in ((True, "bf16"), (False, "no")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda own=own: {"avx512_bf16": own})
        assert processes.precision(tiny_settings(use_bf16=True)) == half
    check_hardware(tiny_settings(use_bf16=True))
    assert "fp32 (use_bf16: this processor only emulates it)" in caplog.text
    assert processes.precision(validate({})) == "fp16"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    # A card that only emulates it is none.
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    with pytest.raises(UserError, match="use_fp16 to true"):
        check_hardware(validate({"use_bf16": True}))
    # One that has it is told of it; fp16 stays the default.
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
    monkeypatch.setattr(estimate, "available_bytes", lambda _: 24 * GIB)
    check_hardware(validate({}))
    assert "Precision: fp16" in caplog.text and "use_bf16=true" in caplog.text


def test_a_gpu_that_is_not_there_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from conftest import fresh_model

    from train.models.aac_multimodal_model import AACMultimodalModel
    from train.train import check_hardware

    state = fresh_model().state()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UserError, match=r"'cuda:1', but PyTorch sees 1 CUDA GPU here.*--set device=cuda"):
        check_hardware(validate({"device": "cuda:1"}))
    with pytest.raises(UserError, match="asks for cuda:1, but PyTorch sees 1 CUDA GPU here"):
        AACMultimodalModel.from_state(state, {"device": "cuda:1"}, "here")


def test_remedies_are_in_the_users_numbers() -> None:
    told = estimate.out_of_memory(
        validate({"use_lora": False, "gradient_checkpointing": False}), 1, MemoryError(), "here"
    )
    for words in ("'batch_size': 2", "'gradient_accumulation_steps': 16", "'use_lora': true", "gradient_checkpointing"):
        assert words in told
    told = estimate.out_of_memory(validate({"batch_size": 1, "num_crops": 4}), 1, MemoryError(), "here")
    assert "'batch_size'" not in told and "'num_crops': 1" in told


def test_smaller_settings_need_less() -> None:
    from conftest import fresh_model

    model = fresh_model()
    config = {**model.config, "batch_size": 8}
    lines = estimate.smaller_settings(model, config, 500, half=False)
    assert [line.split(":")[0].strip() for line in lines] == [
        f"batch_size {8 >> n}, gradient_accumulation_steps {8 << n}" for n in (1, 2, 3)
    ]
    need = [estimate.run_bytes(model, {**config, "batch_size": size}, 500, False) for size in (8, 4, 2, 1)]
    assert need == sorted(need, reverse=True) and need[-1] > estimate.state_bytes(model)


# ---------------------------------------------------------------------- rates


def test_warm_up_then_cosine() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([{"params": [weight], "lr": 2.0, "base_lr": 2.0}])
    rates = []
    for step in range(100):
        optimization.set_rates(optimizer, step, 10, 100)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert rates[10] == 2.0 and rates[55] == pytest.approx(1.0) and 0 < rates[99] < 0.001
    assert rates[10:] == sorted(rates[10:], reverse=True)
    with pytest.raises(UserError, match="warm-up"):
        optimization.warmup_updates(validate({"warmup_steps": 50}), 50)
    assert optimization.warmup_updates(validate({}), 1) == 1


def test_two_groups_train_in_fp32() -> None:
    from conftest import fresh_model

    model = fresh_model()
    heads, rest = optimization.make_optimizer(model, model.config).param_groups[::-1]
    assert (heads["lr"], rest["lr"]) == (model.config["head_learning_rate"], model.config["learning_rate"])
    assert any(p is model.context.nothing for p in heads["params"])
    every = {id(p) for group in (heads, rest) for p in group["params"]}
    assert every == {id(p) for p in model.parameters() if p.requires_grad}
    assert all(p.dtype == torch.float32 for group in (heads, rest) for p in group["params"])


@pytest.mark.parametrize(("seconds", "words"), [(40, "40 s"), (300, "5 min"), (7500, "2 h 5 min"), (3e5, "3 d 11 h")])
def test_durations_read_well(seconds: float, words: str) -> None:
    assert estimate.duration(seconds) == words
