"""A model small enough for tests, of the real architecture, and data to feed it: no network, no weights, no GPU."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "5000")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
if "PYTEST_XDIST_WORKER" in os.environ:  # one core a worker: models this small gain nothing from a second one
    os.environ.setdefault("OMP_NUM_THREADS", "1")

WORDS = ["물", "사과", "학교", "엄마", "공", "밥"]
SENTENCES = ["물을 마시고 싶어요.", "사과 주세요.", "학교에 가요.", "엄마랑 놀래요?", "공 있어요?", "밥 더 주세요."]


TINY: dict[str, dict[str, Any]] = {
    "phi3_vision": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "original_max_position_embeddings": 512,
        "tie_word_embeddings": True,
        "image_layout": "global",
        "pad_token_id": 3,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "vision_config": {
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 28,
            "patch_size": 7,
        },
    },
    "qwen3_vl": {
        "text_config": {
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "max_position_embeddings": 512,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 2, 2]},
        },
        "vision_config": {
            "hidden_size": 16,
            "intermediate_size": 32,
            "depth": 3,
            "num_heads": 2,
            "patch_size": 7,
            "out_hidden_size": 32,
            "num_position_embeddings": 25,
            "deepstack_visual_indexes": [0, 1],
        },
        "tie_word_embeddings": True,
        "image_token_id": 5,
        "video_token_id": 6,
        "vision_start_token_id": 3,
        "vision_end_token_id": 4,
    },
}


def tiny_settings(model_type: str = "phi3_vision", **changes: Any) -> dict[str, Any]:
    """A validated config of a four-layer model whose cards take four positions."""
    from train.config.train_config import validate

    plain = {"model_type": model_type, "model_size": "tiny", "device": "cpu", "gradient_checkpointing": False}
    plain |= {"backbone": TINY.get(model_type, {})} | ({"card_tokens": 4} if model_type == "qwen3_vl" else {})
    plain |= {"persona_tokens": 2, "context_width": 16, "max_new_tokens": 8, "num_workers": 0, "vocab_size": 400}
    return validate({**plain, **changes})


def pictures(count: int = 6) -> list[Any]:
    """Plain drawings that differ in colour and shape."""
    from PIL import Image, ImageDraw

    drawn = []
    for number in range(count):
        image = Image.new("RGB", (40, 40), "white")
        corner = (4 + 3 * number, 6, 20 + 3 * number, 30)
        shape = ImageDraw.Draw(image)
        (shape.ellipse if number % 2 else shape.rectangle)(corner, fill=(40 * number, 200 - 30 * number, 90))
        drawn.append(image)
    return drawn


def fresh_model(
    centroids: Any = None,
    tokenizer: Any = None,
    reading: Any = None,
    model_type: str = "phi3_vision",
    **changes: Any,
) -> Any:
    """A model whose gates, persona, cluster and style weights are all away from zero."""
    import torch

    from train.models.aac_multimodal_model import AACMultimodalModel
    from train.models.backbones import model_class
    from train.models.prompt import train_tokenizer

    words = [*WORDS, *SENTENCES, "사람: 성인, 여성", "상황: 장소 집, 상대 친구"]
    tokenizer = tokenizer or train_tokenizer(words, 400, model_class(model_type).chat.control)
    torch.manual_seed(0)
    centroids = torch.randn(5, 16) if centroids is None else centroids
    model = AACMultimodalModel.build(tiny_settings(model_type, **changes), tokenizer, centroids, reading=reading)
    for block in model.context.blocks.values():
        torch.nn.init.constant_(block.gate, 0.7)
    return model.eval()


@pytest.fixture(scope="session")
def model() -> Any:
    return fresh_model()


@pytest.fixture(scope="session")
def answerer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The server's side of the model, with six known cards."""
    from tests.serving import small_answerer

    return small_answerer(tmp_path_factory.mktemp("cards"))


@pytest.fixture
def cards(tmp_path: Path) -> list[Path]:
    """Six card files with Hangul names, in a folder whose path holds a space and Hangul."""
    folder = tmp_path / "내 카드"
    folder.mkdir()
    paths = []
    for number, (word, image) in enumerate(zip(WORDS, pictures(), strict=True), start=1):
        paths.append(folder / f"{number}_{word}.png")
        image.save(paths[-1])
    return paths


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A folder with cards, clusters and a small finished data set, and `tiny.json` to train on it."""
    return make_workspace(tmp_path)


def make_workspace(folder: Path) -> Path:
    import json
    from itertools import combinations

    from aac.io import write_json
    from aac.records import sample_key, split_of

    root = folder / "작업 공간"
    images = root / "dataset/images"
    images.mkdir(parents=True)
    names = [f"{n}_{word}.png" for n, word in enumerate(WORDS, start=1)]
    for name, image in zip(names, pictures(), strict=True):
        image.save(images / name)
    rows = []
    unknown = dict.fromkeys(("gender", "disability_type", "communication_characteristics", "selection_complexity"), "")
    unknown |= {"interesting_topics": [], "preferred_category_types": []}
    people = [{**unknown, "age": "성인", "gender": "여성"}, {**unknown, "age": 9, "preferred_category_types": [1]}]
    for number, cards in enumerate([c for size in (1, 2, 3) for c in combinations(names, size)], start=1):
        first = cards[0].split("_")[1][:-4]
        output = [f"{first} 주세요.", f"{first} 있어요?", f"{first} 좋아요."]
        context = {"time": "", "place": "집", "interaction_partner": "친구", "current_activity": "쉬는 중"}
        source = {"persona": people[number % 2], "context": context, "AAC_card_combination": list(cards)}
        row = {"id": number, "persona_id": number % 2 + 1, "input": source, "output": output}
        rows.append({**row, "key": sample_key(number % 2 + 1, list(cards), number)})
    combined = [cards for row in rows if len(cards := row["input"]["AAC_card_combination"]) > 1]
    assert {split_of(cards) for cards in combined} == {"train", "val", "test"}
    processed = root / "dataset/processed"
    write_json(processed / "dataset_completed.json", rows)
    clustered = {"0": names[:3], "1": names[3:]}
    write_json(processed / "clustering_results.json", {"n_clusters": 2, "clustered_files": clustered})
    settings = tiny_settings()
    kept = ("backbone", "model_size", "device", "gradient_checkpointing", "persona_tokens", "context_width")
    plain = {key: settings[key] for key in (*kept, "num_workers", "vocab_size", "max_new_tokens")}
    plain |= {"batch_size": 4, "gradient_accumulation_steps": 2, "max_steps": 9, "logging_steps": 1, "eval_steps": 4}
    plain |= {"save_steps": 4, "learning_rate": 1e-3, "vision_pretrain_steps": 2}
    (root / "tiny.json").write_text(json.dumps(plain), encoding="utf-8")
    return root


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A workspace with sixteen cards and two personas, in a folder whose path holds a space and Hangul."""
    import json

    from aac.io import read_json
    from tests.workshop import ROOT, WORDS, draw_card

    root = tmp_path / "내 작업"
    images = root / "dataset/images"
    images.mkdir(parents=True)
    for number, word in enumerate(WORDS, start=1):
        draw_card(images / f"{number}_{word}.png", number)
    people = read_json(ROOT / "dataset/persona.json")[:2]
    (root / "dataset/persona.json").write_text(json.dumps(people, ensure_ascii=False), encoding="utf-8")
    return root
