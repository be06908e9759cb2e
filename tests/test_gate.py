"""The gate: good sentences pass, planted bad ones are stopped for the reason planted."""

import json
import random
import re
from pathlib import Path

import pytest

from aac.gate import check, comparable, mended, polarity_kept
from aac.korean import analyse, join
from aac.lexicon import load_lexicon
from aac.records import Context, Persona
from dataset.prepare.teachers.grammar import interpret, sample_context
from dataset.prepare.teachers.reviewed import reviewed
from tests.workshop import next_cards

NEGATIVE = {"안", "못", "싫다", "없다", "모르다", "아니요", "하지 마세요", "그게 아니에요", "그만", "끝"}
PERSONAS = Path(__file__).parent.parent / "dataset/persona.json"


@pytest.fixture(scope="module")
def rows():
    """300 draws of the teacher: (keywords, context, three sentences)."""
    rng = random.Random(11)
    pool = [card.keyword for card in load_lexicon()]
    personas = [Persona.parse(one) for one in json.loads(PERSONAS.read_text(encoding="utf-8"))]
    drawn = []
    for _ in range(300):
        persona, cards = rng.choice(personas), []
        for _ in range(rng.randint(1, 4)):
            if following := [card for card in next_cards(cards, pool) if card not in cards]:
                cards.append(rng.choice(following))
        context = sample_context(persona, cards, rng)
        drawn.append((cards, context, interpret(cards, persona, context)))
    return drawn


def test_good_sentences_pass(rows):
    verdicts = [why for cards, context, three in rows for why in check(three, cards, context)]
    stopped = sum(map(bool, verdicts))
    assert len(verdicts) == 900
    assert stopped <= 9, [why for why in verdicts if why]


def _negated(sentence: str) -> str | None:
    """The sentence denied: its last ending becomes 지 않아요."""
    morphs = [m for m in analyse(sentence) if not m.tag.startswith("S")]
    if morphs[-1].tag != "EF" or not any(m.tag in ("VV", "VA", "VX") for m in morphs[-3:]):
        return None
    while morphs[-1].tag in ("EF", "EP"):
        morphs.pop()
    return join([*morphs, ("지", "EC"), ("않", "VX"), ("어요", "EF")]) + "." if morphs[-1].tag[0] == "V" else None


def _planted(rows):
    """(reason, place, three, keywords, context) with one bad candidate at `place`."""
    rng = random.Random(3)
    for number, (cards, context, good) in enumerate(rows):
        if any(check(good, cards, context)):
            continue
        place = number % 3
        others, _, strange = rng.choice(rows)
        sentence = good[place]
        bad = {
            "empty": rng.choice(["", "  ", "...", "?"]),
            "control_text": rng.choice(
                [f"{sentence}<|end|>", f"<s>{sentence}", f"{sentence}\n- 둘", f"**{sentence}**"]
            ),
            "not_hangul": rng.choice(["I want some water.", "ㅁㅜㄹ 주세요.", "水をください。", f"please {sentence}"]),
            "person_added": rng.choice(["민수랑 ", "경호원 아저씨랑 ", "판사님, ", "그녀랑 "]) + sentence,
            "number_added": rng.choice(["일곱 개 ", "17번 ", "열 명이 ", "9시에 "]) + sentence,
        }
        if not set(others) & set(cards):
            bad["card_missing"] = strange[0]
        if not NEGATIVE & set(cards) and (flipped := _negated(sentence)):
            bad["polarity_flipped"] = flipped
        if "안" in cards and "안 " in sentence:
            bad["polarity_flipped"] = sentence.replace("안 ", "", 1)
        if place:
            bad["duplicate"] = good[0].rstrip(".") + "!" if good[0].endswith(".") else good[0]
        for reason, text in bad.items():
            yield reason, place, [*good[:place], text, *good[place + 1 :]], cards, context


def test_planted_candidates_are_stopped_by_their_reason(rows):
    total, missed = {}, []
    for reason, place, three, cards, context in _planted(rows):
        verdict = check(three, cards, context)
        total[reason] = total.get(reason, 0) + 1
        later_twin = reason == "duplicate"
        if reason not in verdict[place] or (not later_twin and any(verdict[i] for i in range(3) if i != place)):
            missed.append((reason, cards, three, verdict))
    assert sum(total.values()) >= 200
    assert min(total.values()) >= 20, total
    for reason in ("empty", "control_text", "not_hangul", "duplicate", "person_added", "number_added"):
        assert not [case for case in missed if case[0] == reason]
    assert len(missed) <= 0.01 * sum(total.values()), missed


def test_without_keywords_only_the_form_is_judged():
    three = ["할머니가 물을 안 마셔요.", "세 개 주세요.", "세 개 주세요!"]
    assert check(three, None, Context()) == [[], [], ["duplicate"]]


@pytest.mark.parametrize(
    ("sentence", "keywords", "kept"),
    [
        ("물을 마시고 싶어요.", ["물", "마시다"], True),
        ("물을 마시고 싶지 않아요.", ["물", "마시다"], False),
        ("물을 안 마실래요.", ["물", "마시다", "안"], True),
        ("물을 마실래요.", ["물", "마시다", "안"], False),
        ("우유가 싫어요.", ["우유", "싫다"], True),
        ("우유가 싫지 않아요.", ["우유", "싫다"], False),
        ("우유 괜찮아요.", ["우유", "싫다"], False),
        ("아니요, 그거 아니에요.", ["아니요"], True),
        ("아니요, 안 먹어요.", ["아니요", "안", "먹다"], True),
        ("아니요, 먹어요.", ["아니요", "안", "먹다"], False),
        ("목도리랑 치마 주세요.", ["목도리", "치마", "주세요"], True),
        ("여기서 뛰지 마세요.", ["뛰다"], False),
        ("이제 그만할래요.", ["그만"], True),
    ],
)
def test_polarity(sentence, keywords, kept):
    assert polarity_kept(sentence, keywords) is kept


def test_persons_and_numbers_of_the_input_are_not_additions():
    context = Context.parse({"time": "오후 3시", "interaction_partner": "담임 선생님"})
    assert check(["선생님, 엄마가 세 시에 와요."], ["엄마", "오다"], context) == [[]]
    assert check(["선생님, 아빠가 세 시에 와요."], ["엄마", "오다"], context) == [["card_missing", "person_added"]]
    assert check(["의사 선생님, 엄마가 와요."], ["엄마", "오다"], context) == [["person_added"]]
    assert check(["엄마가 네 시에 와요."], ["엄마", "오다"], context) == [["number_added"]]
    # 형 stands inside 인형, and is nobody there.
    assert check(["형이 인형을 줘요."], ["인형", "주세요"], Context()) == [["person_added"]]
    assert check(["TV 보고 싶어요."], ["보다"], Context()) == [[]]
    assert check(["game 하고 싶어요."], ["하다"], Context()) == [["not_hangul"]]


def test_an_ending_that_does_not_fit_the_syllable_before_it():
    wrong = [
        "그게 아니야, 이어폰야.",
        "이게 풍선야?",
        "책를 읽어요.",
        "저분이 선생님예요.",
        "학교으로 가요.",
        "길으로 가요.",
    ]
    right = [
        "그게 아니야, 이어폰이야.",
        "이게 풍선이야?",
        "책을 읽어요.",
        "저분이 선생님이에요.",
        "학교로 가요.",
        "길로 가요.",
    ]
    assert check(wrong, None, Context()) == [["particle_wrong"]] * len(wrong)
    assert [mended(sentence) for sentence in wrong] == right
    right += ["엄마야, 먹어야 해.", "사과를 봐요.", "저예요.", "집으로 가요.", "신랑은 가을에 먹는 중이에요."]
    assert all(not why for why in check(right, None, Context()))
    assert [mended(sentence) for sentence in right] == right


def test_comparable_keeps_questions_apart():
    assert comparable("물 줘요.") == comparable(" 물  줘요!")
    assert comparable("물 줘요.") != comparable("물 줘요?")


def test_numbers_are_compared_by_value_and_kind():
    at_ten = Context(time="22:00")
    assert check(["열 시에 이를 닦아요.", "열 명이 이를 닦아요."], ["이를 닦다"], at_ten) == [[], ["number_added"]]
    twelve = Context(current_activity="컵 12개를 고르는 중")
    assert check(["컵 열두 개 주세요.", "컵 이십 개 주세요."], ["컵", "주세요"], twelve) == [[], ["number_added"]]
    assert check(["이 컵 한번 주세요."], ["컵", "주세요"], Context()) == [[]]


class _Planted:
    """Stands where the model's prefilled session stands, and decodes what it is told: first this, then that."""

    def __init__(self, model, first: list[str], again: list[str]) -> None:
        self.model, self.texts = model, [first, again]

    def decode(self, prefixes, temperature=0.0, seed=0):
        from train.interpreter.decoding import Decoded

        texts = self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]
        ids = [self.model.encoder.answer(text) for text in texts]
        return {n: Decoded(ids[n], [1.0] * len(ids[n]), ids[n], finished=True) for n in prefixes}

    def style_confidence(self, texts):
        import torch

        return torch.full((len(texts), 3), 1 / 3)


def test_planted_candidates_are_replaced_and_the_result_says_by_what(rows, model, monkeypatch):
    """240 bad candidates come out of the decoder: none is shown. Half of the time a second try would be good."""
    from train.interpreter import answering
    from train.interpreter.requests import Request

    wanted = ("polarity_flipped", "person_added", "number_added", "card_missing", "not_hangul", "duplicate")
    by_reason = {reason: [] for reason in wanted}
    for case in _planted(rows):
        if reviewed(case[3], Persona(age="성인"), case[4]):  # answered without asking the model
            continue
        if case[0] in by_reason and len(by_reason[case[0]]) < 40:
            by_reason[case[0]].append(case)
    cases = [case for found in by_reason.values() for case in found]
    assert len(cases) == 240
    sources = {"model, decoded again": 0, "grammar": 0}
    for number, (reason, place, three, keywords, context) in enumerate(cases):
        good = interpret(keywords, Persona(age="성인"), context)
        again = [*three[:place], good[place] if number % 2 else three[place], *three[place + 1 :]]
        planted = _Planted(model, three, again)
        monkeypatch.setattr(answering, "Prefilled", lambda *args, planted=planted: planted)
        request = Request([], [], Persona(age="성인"), context, list(keywords))
        monkeypatch.setattr(answering, "prompt_batch", lambda *args: (None, [], []))
        shown = answering.interpret_parsed(model, [request])[0]
        texts = [candidate.text for candidate in shown]
        bad = shown[place]
        assert bad.text != three[place] and reason in bad.reasons, (reason, keywords, three, texts)
        assert bad.source in sources, bad
        assert bad.passed == (bad.source == "model, decoded again")
        assert check(texts, keywords, context)[place] == [], (reason, keywords, three, texts)
        assert all(c.source == "model" and c.passed for i, c in enumerate(shown) if i != place)
        assert texts[:place] + texts[place + 1 :] == [*three[:place], *three[place + 1 :]]
        sources[bad.source] += 1
        planted.texts = [three]
        bare = answering.interpret_parsed(model, [request], gated=False)[0]
        assert bare[place].text == model.encoder.decode(model.encoder.answer(three[place]))  # the gate did it
    assert sum(sources.values()) == 240
    assert min(sources.values()) >= 100, sources


def test_a_second_try_that_repeats_a_sibling_is_not_taken(model, monkeypatch):
    """Of two equal candidates the gate blames the later one: here the later one stands already."""
    from train.interpreter import answering
    from train.interpreter.requests import Request

    planted = _Planted(model, ["", "물 주세요.", "물이 없어요."], ["물 주세요!", "물 주세요.", "물이 없어요."])
    monkeypatch.setattr(answering, "Prefilled", lambda *args: planted)
    monkeypatch.setattr(answering, "prompt_batch", lambda *args: (None, [], []))
    for keywords in (None, ["물"]):
        planted.texts = [["", "물 주세요.", "물이 없어요."], ["물 주세요!", "물 주세요.", "물이 없어요."]]
        request = Request([], [], Persona(), Context(), keywords)
        shown = answering.interpret_parsed(model, [request])[0]
        assert len({comparable(candidate.text) for candidate in shown}) == 3
        assert shown[0].source in ("fixed", "grammar", "keywords") and not shown[0].passed


def test_an_ending_is_mended_before_anything_is_decoded_again(model, monkeypatch):
    from train.interpreter import answering
    from train.interpreter.requests import Request

    planted = _Planted(model, ["물야.", "물 주세요.", "물이 없어요."], ["never"] * 3)
    monkeypatch.setattr(answering, "Prefilled", lambda *args: planted)
    monkeypatch.setattr(answering, "prompt_batch", lambda *args: (None, [], []))
    shown = answering.interpret_parsed(model, [Request([], [], Persona(), Context(), None)])[0]
    assert [c.text for c in shown] == ["물이야.", "물 주세요.", "물이 없어요."]
    assert shown[0].source == "model, ending mended" and shown[0].reasons == ["particle_wrong"]
    assert all(candidate.passed for candidate in shown)


def test_every_source_has_a_korean_name_and_says_whether_the_model_speaks(model):
    """As every page shows it, and as `return_details` and older files spell it."""
    from conftest import pictures

    from train.interpreter.candidates import Candidate, Source
    from train.pages.page import told_sources

    speaks = {"model", "model, ending mended", "model, decoded again"}
    others = {"reviewed", "grammar", "keywords", "fixed", "unknown card", "own", "like own"}
    assert {str(source) for source in Source} == speaks | others
    names = told_sources(str(source) for source in Source)
    assert len(set(names)) == len(Source) and not any(re.search("[A-Za-z]", name) for name in names)
    for source in Source:
        shown = json.loads(json.dumps(Candidate("물.", "기본", 0.5, source).public()))
        assert shown == {
            "text": "물.",
            "style": "기본",
            "style_confidence": 0.5,
            "source": str(source),
            "reasons": [],
            "passed": str(source) in speaks | {"reviewed"},
            "cards": [],
            "checked": False,
        }
    keys = list(model.generate_interpretation(pictures(1), return_details=True)[0])
    assert keys == [
        "text",
        "style",
        "style_confidence",
        "passed",
        "source",
        "reasons",
        "cards",
        "checked",
    ]


def test_a_loop_is_no_emphasis():
    loops = ["물을 더 물을 더 물을 더 물을 더 주세요.", "가고, 가고, 가고, 가고 싶어요.", "아아아아아아아아."]
    assert check(loops, None, Context()) == [["repeats"]] * 3
    said = ["빨리빨리 와 주세요.", "네, 네, 네!", "싫어요, 싫어요, 싫어요.", "하하하하 웃겨요.", "더 더 더 더 주세요."]
    assert check(said, None, Context()) == [[]] * 5


def test_an_answer_that_was_cut_off_is_not_shown(model, monkeypatch):
    """First both tries of one candidate run into the longest length; then its second try ends in time."""
    from train.interpreter import answering
    from train.interpreter.decoding import Decoded
    from train.interpreter.requests import Request

    class Cut(_Planted):
        ends = (False,)

        def decode(self, prefixes, temperature=0.0, seed=0):
            found = super().decode(prefixes)
            ended, self.ends = self.ends[0], self.ends[1:] or self.ends
            return {n: Decoded(d.tokens, d.leads, d.seconds, finished=n != 1 or ended) for n, d in found.items()}

    three = ["물 주세요.", "물이 있어요?", "물을 마시고 싶어요."]
    for ends, source in (((False,), "grammar"), ((False, True), "model, decoded again")):
        planted = Cut(model, three, three)
        planted.ends = ends
        monkeypatch.setattr(answering, "Prefilled", lambda *args, planted=planted: planted)
        monkeypatch.setattr(answering, "prompt_batch", lambda *args: (None, [], []))
        shown = answering.interpret_parsed(model, [Request([], [], Persona(), Context(), ["물"])])[0]
        assert shown[1].reasons == ["unfinished"] and shown[1].source == source
        assert all(not shown[k].reasons and shown[k].text == three[k] for k in (0, 2))


def test_a_decoder_knows_what_it_finished(model):
    import torch
    from conftest import pictures

    from train.interpreter.decoding import Prefilled
    from train.interpreter.requests import parse_request, prompt_batch

    with torch.inference_mode():
        session = Prefilled(model, *prompt_batch(model, [parse_request(model, {"images": pictures(1)})]))
        words = [100] * model.config["max_new_tokens"]
        decoded = session.decode({0: [100, model.encoder.end], 1: words, 2: [*words[:-1], model.encoder.end]})
    assert [d.finished for d in decoded.values()] == [True, False, True]


def test_a_stand_in_passes_the_gate_itself(model):
    """The grammar's own sentence is not shown where the gate stops it, as long as another one passes."""
    from train.interpreter import candidates
    from train.interpreter.requests import Request

    request = Request([], [], Persona(), Context(), ["물"])
    three = [candidates.Candidate("", "기본", reasons=["empty"]) for _ in range(3)]
    written = ["할머니, 물이야.", "물야.", "물 좀 주세요."]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dataset.prepare.teachers.grammar.interpret", lambda *args: written)
        candidates.stand_in(request, three, 0)
        candidates.stand_in(request, three, 1)
    assert (three[0].text, three[0].source) == ("물 좀 주세요.", "grammar")
    assert (three[1].text, three[1].source) == ("물..", "keywords")


def test_a_number_of_any_length_is_a_number() -> None:
    long = "9" * 5000
    assert "number_added" in check([f"물 {long}개 주세요."], ["물", "주세요"], Context())[0]
    assert "number_added" not in check([f"물 {long}개 주세요."], ["물", "주세요", f"{long}개"], Context())[0]
