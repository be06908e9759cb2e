"""A session says what one request says, having read ahead all that no later card changes."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import WORDS, fresh_model, pictures

from aac.io import UserError
from train.models.network import Network

ABOUT = {"persona_info": {"age": 25, "gender": "female"}, "context_info": "집에서"}


@pytest.fixture(scope="module", params=["phi3_vision", "qwen3_vl"])
def model(request: pytest.FixtureRequest) -> Any:
    return fresh_model(model_type=request.param)


def same(said: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> bool:
    """But for the last digit of a confidence: what was read in pieces is added up in another order."""
    pairs = [
        (one.pop("style_confidence"), other.pop("style_confidence")) for one, other in zip(said, wanted, strict=True)
    ]
    return said == wanted and max(abs(one - other) for one, other in pairs) < 1e-3


@pytest.mark.parametrize("told", [False, True])
def test_it_says_what_one_request_says(model: Any, told: bool) -> None:
    """After every card, and after cards were taken back and others tapped."""
    session, cards = model.session(**ABOUT), list(range(4))

    def agrees(shown: list[int]) -> bool:
        words = [WORDS[n] for n in shown] if told else None
        request = {"images": [pictures()[n] for n in shown], "keywords": words, **ABOUT}
        return same(
            session.candidates(return_details=True), model.generate_interpretation(**request, return_details=True)
        )

    def tap(n: int) -> None:
        session.add_card(pictures()[n], WORDS[n] if told else None)

    for n in cards:
        tap(n)
        assert agrees(cards[: n + 1]), n
    session.remove_card()
    session.remove_card()
    tap(5)
    assert agrees([0, 1, 5])
    assert session.candidates(temperature=1.0, seed=3) == model.generate_interpretation(
        [pictures()[n] for n in (0, 1, 5)], **ABOUT, keywords=[WORDS[n] for n in (0, 1, 5)] if told else None,
        temperature=1.0, seed=3,
    )  # fmt: skip


def test_after_the_last_card_little_is_left_to_read(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where cards stand last; elsewhere the whole prompt is, but no picture passes the tower again."""
    read: list[int] = []
    hidden_states = Network.hidden_states

    def counted(self: Any, batch: Any, inputs: Any, done: int = 0, **kwargs: Any) -> Any:
        read.append(batch.input_ids.shape[1] - done)
        return hidden_states(self, batch, inputs, done, **kwargs)

    monkeypatch.setattr(Network, "hidden_states", counted)
    session = model.session(**ABOUT)
    for n in range(3):
        session.add_card(pictures()[n])
    monkeypatch.setattr(model, "encode_images", None)
    ahead = len(read)
    session.candidates()
    if model.encoder.chat.cards_last:
        assert ahead == 4 and read[ahead:] == [len(model.encoder.closing)] and max(read[1:ahead]) < 9
    else:
        assert ahead == 0 and len(read) == 1 and read[0] > 40


def test_mistakes_are_named(model: Any) -> None:
    session = model.session()
    for act, word in ((session.remove_card, "no card"), (session.candidates, "add_card")):
        with pytest.raises(UserError, match=word):
            act()
    session.add_card(pictures()[0], "물")
    with pytest.raises(UserError, match="every card"):
        session.add_card(pictures()[1])
    for n in range(1, 4):
        session.add_card(pictures()[n], WORDS[n])
    with pytest.raises(UserError, match="4 cards at most"):
        session.add_card(pictures()[4], WORDS[4])
    assert len(set(session.candidates())) == 3
