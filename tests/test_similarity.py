"""Semantic similarity on real sentence-transformers classes with small random weights, and the lexical fallback."""

import logging
import math

import numpy as np
import pytest

from aac.io import UserError
from aac.records import Context, Persona, Sample
from tests.test_metrics import score
from train.scoring import similarity
from train.scoring.similarity import LEXICAL, LemmaTfidf, SentenceModel, choose
from train.utils.metrics import Prediction

REFERENCES = [["물을 마시고 싶어요.", "물 주세요.", "물 있어요?"], ["밥을 먹을래요.", "밥 주세요.", "밥 있어요?"]]


def saved_model(folder, alphabet: str) -> str:
    """A one-layer BERT with mean pooling over single letters of `alphabet`, as sentence-transformers saves it."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizer

    letters = sorted(set(alphabet))
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{sign}" for sign in letters)]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(pieces), encoding="utf-8")
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    plain = folder / "bert"
    BertModel(config).save_pretrained(plain)
    tokenizer = BertTokenizer(
        vocab={p: i for i, p in enumerate(pieces)},
        do_lower_case=False,
        strip_accents=False,
        tokenize_chinese_chars=False,
    )
    tokenizer.save_pretrained(plain)
    encoder = Transformer(str(plain))
    target = folder / "작은 모델"
    SentenceTransformer(modules=[encoder, Pooling(32)], device="cpu").save(str(target))
    return str(target)


@pytest.fixture(scope="module")
def korean_model(tmp_path_factory) -> str:
    letters = "".join(text for several in REFERENCES for text in several).replace(" ", "") + "안거"
    return saved_model(tmp_path_factory.mktemp("models") / "hangul", letters)


@pytest.fixture(scope="module")
def latin_model(tmp_path_factory) -> str:
    return saved_model(tmp_path_factory.mktemp("models") / "latin", "abcdefghijklmnopqrstuvwxyz.?")


def test_sentence_model_scores_by_cosine_with_the_nearest_reference(korean_model) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceModel(korean_model)
    assert model.name == "작은 모델" and "작은 모델@local" in model.signature
    said = ["물 주세요.", "안 먹을 거예요."]
    got = model.scores(said, REFERENCES)
    vectors = SentenceTransformer(korean_model, device="cpu").encode([said[1], *REFERENCES[1]])
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert got == pytest.approx([1.0, float((unit[1:] @ unit[0]).max())], abs=1e-5)
    assert got[1] < 0.9999
    assert model.scores(["", "밥 주세요."], REFERENCES)[0] == 0


def test_score_names_the_backend(korean_model) -> None:
    rows = [
        Sample(id=n, persona=Persona(), persona_id=n, context=Context(), cards=[f"1_{word}.png"], output=REFERENCES[n])
        for n, word in enumerate(["물", "밥"])
    ]
    predictions = [Prediction(row, row.output) for row in rows]
    result = score(predictions, bootstrap=20, similarity=SentenceModel(korean_model))
    key = "semantic_similarity[작은 모델]"
    assert result[key] == pytest.approx(1, abs=1e-5) and key in result["intervals"] and key in result["signatures"]
    lexical = score(predictions, similarity=LemmaTfidf([]))
    assert lexical[f"semantic_similarity[{LEXICAL}]"] == pytest.approx(1)
    assert "lexical" in lexical["signatures"][f"semantic_similarity[{LEXICAL}]"]
    assert not any(name.startswith("semantic_similarity") for name in score(predictions))


def test_a_model_that_cannot_read_hangul_is_refused(latin_model) -> None:
    model = SentenceModel(latin_model)
    with pytest.raises(UserError, match=r"cannot read Hangul: .* 9 of the references' 9 words"):
        model.scores(["물 주세요.", "밥 주세요."], REFERENCES)
    assert model.scores(["give water."], [["give water.", "water?"]])[0] == pytest.approx(1, abs=1e-5)


def test_one_unknown_word_in_many_is_no_refusal(korean_model) -> None:
    many = [["물 주세요.", *(f"물 마시고 {a}{b}" for a in "물밥주먹" for b in "을고싶어요"), "뷁 주세요."]]
    assert SentenceModel(korean_model).scores(["물 주세요."], many)[0] == pytest.approx(1, abs=1e-5)


def test_without_weights_the_fallback_says_what_it_is(caplog, monkeypatch) -> None:
    monkeypatch.setattr(similarity, "_cached", lambda model: False)
    with caplog.at_level(logging.WARNING, "aac"):
        backend = choose("some/korean-model", explicit=False, texts=["물 주세요."])
    assert backend.name == LEXICAL
    assert "lexical" in caplog.text and "--similarity-model some/korean-model" in caplog.text
    assert choose(LEXICAL, explicit=True, texts=[]).name == LEXICAL


def test_an_explicit_model_that_is_absent_is_an_error(tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="could not be loaded"):
        choose(str(tmp_path / "empty"), explicit=True, texts=[])


def test_a_local_folder_is_taken_without_a_network(korean_model) -> None:
    assert choose(korean_model, explicit=False, texts=[]).name == "작은 모델"


def test_lexical_by_hand() -> None:
    backend = LemmaTfidf(["물 마셔요.", "물 주세요.", "밥 먹어요."])
    water, eat, rice = math.log(4 / 3) + 1, math.log(4 / 2) + 1, math.log(4 / 2) + 1
    # 물 먹어요. shares 물 with 물 주세요. (주다 is light), and 먹다 with 밥 먹어요.
    got = backend.scores(["물 먹어요."] * 2, [["물 주세요."], ["물 주세요.", "밥 먹어요."]])
    length = math.hypot(water, eat)
    assert got == pytest.approx([water / length, max(water / length, eat**2 / length / math.hypot(eat, rice))])
    assert list(backend.scores(["", "네.", "코끼리."], [["네."], ["네."], ["물 주세요."]])) == [0, pytest.approx(1), 0]
