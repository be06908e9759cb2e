"""Step 2: the offline encoder, full embeddings, and CLIP on the real classes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from aac.io import read_json
from dataset.prepare import embed
from tests.workshop import WORDS, content, prepare


def test_words_of_one_category_are_closer_than_strangers() -> None:
    rows = embed.offline_words(["사과", "바나나", "버스", "듣도보도못한말"])
    assert rows[0] @ rows[1] > 0.5 > rows[0] @ rows[2]
    assert abs(float(rows[0] @ rows[3])) < 0.5


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
