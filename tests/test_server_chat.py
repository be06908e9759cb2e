"""The routes answer as `generate_interpretation` does, and as the real `openai` client and an app of the field read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import WORDS, pictures

from benchmarks.app_calls import analyse_call, as_the_app_reads, data_url, interpret_call, png, summarise_call
from tests.serving import CONTEXT, PERSONA, client_of, listening

SCHEMA = {
    "type": "object",
    "properties": {"sentences": {"type": "array", "items": {"type": "string"}}},
    "required": ["sentences"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def client(answerer: Any) -> Iterator[Any]:
    with client_of(answerer) as client:
        yield client


@pytest.fixture(scope="module")
def openai(answerer: Any) -> Iterator[Any]:
    """The real client, as an app has it: only `base_url` is another."""
    from openai import OpenAI

    with listening(answerer) as address, OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
        yield client


def messages(count: int = 2) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [{"type": "text", "text": "사람:\n상황:\n- 장소: 집\n- 상대: 엄마"}]
    parts += [{"type": "image_url", "image_url": {"url": data_url(png(image))}} for image in pictures(count)]
    return [{"role": "user", "content": parts}]


@pytest.fixture(scope="module")
def three(answerer: Any) -> list[str]:
    """What the model itself says to `messages()`."""
    cards = [png(image) for image in pictures(2)]
    return answerer.model.generate_interpretation(cards, None, CONTEXT)


# ---------------------------------------------------------------------- the openai client


def test_text_is_a_choice_a_sentence(openai: Any, three: list[str]) -> None:
    told = openai.chat.completions.create(model="gpt-4o", messages=messages(), n=3, temperature=0.8, seed=4)
    assert [choice.message.content for choice in told.choices] == three and len(set(three)) == 3
    assert [choice.index for choice in told.choices] == [0, 1, 2]
    assert {choice.finish_reason for choice in told.choices} == {"stop"}
    assert told.usage.prompt_tokens > 10 and told.usage.total_tokens > told.usage.prompt_tokens
    assert told.aac["temperature"] == 0  # what was used, whatever was asked
    one = openai.chat.completions.create(model="gpt-4o", messages=messages())
    assert [choice.message.content for choice in one.choices] == three[:1]
    assert one.usage.completion_tokens < told.usage.completion_tokens


def test_a_stream_holds_whole_sentences_in_their_places(openai: Any, three: list[str]) -> None:
    options = {"include_usage": True}
    stream = openai.chat.completions.create(model="x", messages=messages(), n=3, stream=True, stream_options=options)
    chunks = list(stream)
    assert {choice.delta.role for choice in chunks[0].choices} == {"assistant"}
    said = [(c.index, c.delta.content) for chunk in chunks[1:] for c in chunk.choices if c.delta.content]
    assert said == list(enumerate(three))
    ended = [c.index for chunk in chunks for c in chunk.choices if c.finish_reason == "stop"]
    assert sorted(ended) == [0, 1, 2] and len({chunk.id for chunk in chunks}) == 1
    assert chunks[-1].usage.total_tokens > 0 and not chunks[-1].choices
    bare = openai.chat.completions.create(model="x", messages=messages(), stream=True)
    assert not any(chunk.usage for chunk in bare)


def test_a_stream_ends_as_the_protocol_says(client: Any) -> None:
    text = client.post("/v1/chat/completions", json={"messages": messages(), "stream": True}).text
    events = text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""] and all(event.startswith("data: ") for event in events[:-1])


def test_json_holds_all_three(openai: Any, three: list[str]) -> None:
    for form, name in (
        ({"type": "json_object"}, "interpretations"),
        ({"type": "json_schema", "json_schema": {"name": "three", "strict": True, "schema": SCHEMA}}, "sentences"),
    ):
        told = openai.chat.completions.create(model="x", messages=messages(), response_format=form)
        (choice,) = told.choices
        said = json.loads(choice.message.content)[name]
        long = [len(text) >= 5 for text in three]
        assert [text for text, kept in zip(said, long, strict=True) if kept] == [t for t in three if len(t) >= 5]
        stream = openai.chat.completions.create(model="x", messages=messages(), response_format=form, stream=True)
        assert "".join(c.choices[0].delta.content or "" for c in stream if c.choices) == choice.message.content


def test_the_client_parses_into_a_class_of_ones_own(openai: Any) -> None:
    from pydantic import BaseModel

    class Three(BaseModel):
        sentences: list[str]

    told = openai.chat.completions.parse(model="x", messages=messages(), response_format=Three)
    assert len(told.choices[0].message.parsed.sentences) == 3


def test_the_client_raises_its_own_errors(openai: Any) -> None:
    import openai as package

    for more, kind in (
        ({"n": 4}, package.BadRequestError),
        ({"n": 2, "response_format": {"type": "json_object"}}, package.BadRequestError),
        ({"temperature": 3}, package.BadRequestError),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, package.BadRequestError),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}},
         package.BadRequestError),
        ({"messages": [{"role": "system", "content": "카드 1: 물"}]}, package.BadRequestError),
    ):  # fmt: skip
        with pytest.raises(kind) as caught:
            openai.chat.completions.create(**{"model": "x", "messages": messages(), **more})
        assert caught.value.body["type"] == "invalid_request_error"
    with pytest.raises(package.NotFoundError):
        openai.embeddings.create(model="x", input="y")
    assert [model.id for model in openai.models.list()] == ["aac-interpreter"]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, Any]]]:
    """What reaches the interpreter, request by request."""
    from train.server import answers

    inner, seen = answers.interpret_parsed, []

    def noted(model: Any, parsed: Any, **more: Any) -> Any:
        seen.extend((request, more) for request in parsed)
        return inner(model, parsed, **more)

    monkeypatch.setattr(answers, "interpret_parsed", noted)
    return seen


def test_a_temperature_is_as_high_as_the_server_lets_it(answerer: Any, asked: Any) -> None:
    body = {"messages": messages(), "seed": 5}
    with client_of(answerer, highest=0.7) as client:
        for temperature, used in ((1.5, 0.7), (0.3, 0.3), (0, 0), (None, 0)):
            told = client.post("/v1/chat/completions", json={**body, "temperature": temperature}).json()
            assert told["aac"]["temperature"] == used
    draws = [(more["temperature"], more["seed"]) for _, more in asked]
    assert draws[-4:] == [(0.7, 5), (0.3, 5), (0, 0), (0, 0)]


def test_the_model_is_asked_what_python_would_ask(client: Any, answerer: Any, asked: Any) -> None:
    """Stand-ins do not look at pictures; the model does."""
    import torch

    from train.interpreter.requests import parse_request

    cards = [png(image) for image in pictures(3)]
    wanted = parse_request(answerer.model, {"images": cards, "persona_info": PERSONA, "context_info": CONTEXT})
    told = [{"image": data_url(card)} for card in cards]
    client.post("/v1/aac/interpretations", json={"cards": told, "persona": PERSONA, "context": CONTEXT})
    client.post("/v1/aac/interpretations", json={"cards": [{"id": n} for n in (1, 2, 3)], "context": CONTEXT})
    client.post("/v1/chat/completions", json=interpret_call(cards))
    (own, _), (by_id, _), (chat, _) = asked[-3:]
    for request in (own, by_id, chat):
        assert request.image_sizes == wanted.image_sizes and request.readings == wanted.readings
        for feature, other in zip(request.features, wanted.features, strict=True):
            torch.testing.assert_close(feature, other)
    assert (own.persona, own.context, own.keywords) == (wanted.persona, wanted.context, None)
    assert (by_id.persona.age, by_id.keywords) == ("", WORDS[:3])
    assert chat.persona.age == "아동" and chat.context.interaction_partner == "엄마" and chat.keywords is None


# ---------------------------------------------------------------------- an app's three calls


def test_an_apps_three_calls_are_answered(openai: Any) -> None:
    cards = [png(image) for image in pictures(3)]
    told = openai.chat.completions.create(**interpret_call(cards))
    three = as_the_app_reads(told.choices[0].message.content)
    assert set(told.aac["unread"]) == {"max_tokens"}
    for call in (analyse_call(cards, three[0]), summarise_call()):
        told = openai.chat.completions.create(**call)
        assert len(told.choices[0].message.content) > 20 and told.aac["sources"] == ["template"]


def test_the_blocks_of_an_apps_message_are_read() -> None:
    from train.server.message import read_message

    message = read_message(interpret_call([png(pictures(1)[0]), None], ["", "사과"])["messages"])
    assert [(bool(card.picture), card.word) for card in message.cards] == [(True, ""), (False, "사과")]
    who, where = message.who(), message.situation()
    assert (who.age, who.gender, who.disability_type) == ("아동", "여성", "")  # `None` is unknown
    assert who.interesting_topics == ["공룡", "물놀이"]
    assert (where.time, where.place, where.interaction_partner) == ("", "집", "엄마")
    assert where.current_activity == "쉬는 중" and not message.unread
    odd = "페르소나:\n- 나이: 아주 많음\n- 별자리: 게\n상황: 집에서 엄마한테\n"
    odd += "카드를 봐 주세요.\n카드 1: 물\n카드 2. 7 큰 공"
    message = read_message([{"role": "user", "content": odd}])
    assert message.situation().place == "집" and message.situation().interaction_partner == "엄마"
    assert [card.word for card in message.cards] == ["물", "큰 공"]
    assert message.unread == {"persona.age", "persona", "text"}


def test_the_apps_rules_refuse_what_they_should() -> None:
    """Negative control of what reads the answers in these tests."""
    for content in ("네.", '```json\n{"interpretations": []}\n```', '{"interpretations": ["물을 주세요.", "물 줘."]}'):
        with pytest.raises(ValueError):
            as_the_app_reads(content)
    with pytest.raises(ValueError):
        as_the_app_reads(json.dumps({"interpretations": ["물을 주세요.", "몰라.", "물 좀 주세요."]}))


@pytest.mark.parametrize("word", ["네", "모르다", "싫다", "아니요", "물", "가다", "주세요"])
@pytest.mark.parametrize("partner", ["엄마", "친구", "", "의사 선생님"])
def test_short_sentences_are_said_longer_for_an_app(answerer: Any, word: str, partner: str) -> None:
    from aac.gate import polarity_kept
    from aac.persona import Context, Persona
    from train.server.question import Card, Question

    question = Question((Card(word=word),), Persona(age="아동"), Context(interaction_partner=partner), least=5)
    (answer,) = answerer([question])
    texts = [candidate.text for candidate in answer.candidates]
    assert all(len(text) >= 5 for text in texts) and len(set(texts)) == 3
    assert all(polarity_kept(text, [word]) for text in texts)


# ---------------------------------------------------------------------- our own route


def test_our_own_route_tells_all_that_is_known(client: Any, answerer: Any) -> None:
    images = pictures(2)
    body = {"cards": [{"image": data_url(png(image))} for image in images], "persona": PERSONA, "context": CONTEXT}
    told = client.post("/v1/aac/interpretations", json=body).json()
    wanted = answerer.model.generate_interpretation([png(i) for i in images], PERSONA, CONTEXT, return_details=True)
    for candidate, detail in zip(told["candidates"], wanted, strict=True):
        assert set(candidate) == {"text", "style", "style_confidence", "source", "reasons"}
        assert candidate["text"] == detail["text"] and candidate["source"] == detail["source"]
    assert [(card["word"], card["known"]) for card in told["cards"]] == [(word, True) for word in WORDS[:2]]
    assert told["unread"] == [] and told["temperature"] == 0 and told["id"].startswith("aac-")


def test_cards_by_id_word_and_picture_mix(client: Any, answerer: Any) -> None:
    def said(*cards: Any, **more: Any) -> tuple[list[str], list[str]]:
        told = client.post("/v1/aac/interpretations", json={"cards": list(cards), **more}).json()
        return [c["text"] for c in told["candidates"]], [c["word"] for c in told["cards"]]

    def model(words: list[str] | None) -> list[str]:
        return answerer.model.generate_interpretation(pictures(2), keywords=words)

    first, second = ({"image": data_url(png(image))} for image in pictures(2))
    told = (model(WORDS[:2]), WORDS[:2])
    assert said({"id": 1}, {"id": "2"}) == told
    assert said({**first, "word": "물"}, {**second, "word": "사과"}) == told
    assert said(first, second)[0] == model(None)
    assert said({"id": 1, "word": "우유"}, {"id": 2})[1] == ["우유", "사과"]
    # A word without a picture: the other cards' words are told with it, from their pictures where nobody says them.
    assert said(first, {"word": "연필"})[1] == ["물", "연필"]
    from PIL import Image

    strange = Image.effect_noise((40, 40), 90).convert("RGB")
    texts, words = said({"image": data_url(png(strange))}, {"word": "연필"})
    assert words == ["", ""] and texts[0] == "모르는 카드예요."  # of what is on it nothing is guessed


def test_a_seed_draws_another_three(client: Any, asked: Any) -> None:
    for more in ({}, {"seed": 0}, {"seed": 3}):
        client.post("/v1/aac/interpretations", json={"cards": [{"id": 1}, {"id": 2}], **more})
    assert [(more["temperature"], more["seed"]) for _, more in asked[-3:]] == [(0, 0), (0, 0), (0.8, 3)]


def test_what_was_said_before_is_said_to_be_unread(client: Any) -> None:
    told = client.post("/v1/aac/interpretations", json={"cards": [{"id": 1}], "past": "뭐 마실래?"}).json()
    assert told["unread"] == ["past"]


def test_batched_answers_equal_lone_ones(answerer: Any) -> None:
    from aac.persona import Context, Persona
    from train.server.question import Card, Question

    questions = [
        Question(tuple(Card(id=str(1 + (n + k) % 6)) for k in range(1 + n % 4)), Persona(age=age), Context(place=place))
        for n, (age, place) in enumerate([("아동", "집"), ("성인", "학교"), ("", ""), ("노인", "병원")] * 2)
    ]
    together = [answer.candidates for answer in answerer(questions)]
    alone = [answerer([question])[0].candidates for question in questions]
    assert [[c.text for c in three] for three in together] == [[c.text for c in three] for three in alone]
    assert len({three[0].text for three in alone}) > 2


def test_one_fault_in_a_batch_is_one_requests(answerer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from aac.persona import Context, Persona
    from train.server import answers
    from train.server.question import Card, Question

    inner = answers.interpret_parsed

    def sometimes(model: Any, parsed: Any, **more: Any) -> Any:
        if any(request.context.place == "함정" for request in parsed):
            raise RuntimeError("a fault in the middle")
        return inner(model, parsed, **more)

    monkeypatch.setattr(answers, "interpret_parsed", sometimes)
    questions = [Question((Card(id="1"),), Persona(), Context(place=place)) for place in ("집", "함정", "학교")]
    good, fault, other = answerer(questions)
    assert fault.status == 500 and len(good.candidates) == len(other.candidates) == 3


# ---------------------------------------------------------------------- around them


def test_health_readiness_models_and_metrics(client: Any) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json()["seconds_per_answer"] > 0
    client.post("/v1/aac/interpretations", json={"cards": [{"id": 1}]})
    text = client.get("/metrics").text
    assert 'aac_requests_total{route="/v1/aac/interpretations",status="200"}' in text
    assert "aac_batch_size_count" in text and 'aac_sentences_total{source="' in text
    assert client.post("/healthz", json={}).status_code == 405
