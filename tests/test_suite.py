"""The suite of requests: its rules accept the good sentences beside them, and refuse the bad ones for their reason."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from aac.io import UserError
from aac.lexicon import lookup
from train.interpreter.candidates import Candidate, Source
from train.pages.requests_table import lines, requests_table
from train.scoring.suite import SUITE_FILE, TAGS, Asked, read_suite
from train.scoring.suite_judge import faults, judge
from train.scoring.suite_scores import by_kind

SUITE = read_suite()
# What a bad sentence of a request has to show of each of its meanings.
SHOWN = {"want": "reversed", "refuse": "reversed", "cannot": "reversed", "stop": "reversed", "ask": "missing"} | {
    "future": "wrong_tense"
}


def test_many_requests_of_every_kind_and_no_word_beyond_the_lexicon() -> None:
    kinds = Counter(asked.kind for asked in SUITE)
    assert len(SUITE) >= 300 and len(kinds) >= 14 and min(kinds.values()) >= 10, kinds
    assert not [card for asked in SUITE for card in asked.cards if lookup(card) is None]
    assert len({(asked.cards, str(asked.context)) for asked in SUITE}) == len(SUITE)
    assert {asked.level for asked in SUITE} == {"polite", "plain", "easy", "any"}


def test_good_sentences_are_acceptable() -> None:
    refused = [(a.id, text, why) for a in SUITE for text in a.good if (why := faults(a, text))]
    assert not refused, refused[:9]
    threes = [(a, a.good[place : place + 3]) for a in SUITE for place in range(0, len(a.good), 3)]
    assert not [a.id for a, three in threes if not judge(a, three).all_three]


def test_bad_sentences_are_refused_for_their_reason() -> None:
    missed = [(a.id, tag, text) for a in SUITE for tag, text in a.bad if tag not in {f.tag for f in faults(a, text)}]
    assert not missed, missed[:9]
    assert {tag for asked in SUITE for tag, _ in asked.bad} == set(TAGS)


def test_every_rule_of_a_request_refuses_one_of_its_bad_sentences() -> None:
    """A rule that nothing shows may be a slip of the pen."""
    idle = []
    for asked in SUITE:
        shown = {tag for tag, _ in asked.bad}
        idle += [(asked.id, word) for word in asked.means if SHOWN[word.partition(":")[0]] not in shown]
        for tag, pattern in asked.never.items():
            idle += [(asked.id, tag)] * (not any(re.search(pattern, text) for kind, text in asked.bad if kind == tag))
    assert not idle


def test_judges_three_together() -> None:
    asked = next(a for a in SUITE if a.cards == ("주스", "싫다"))
    good = list(asked.good[:3])
    assert judge(asked, good).all_three
    once = judge(asked, [good[0], "주스 주세요.", good[1]])
    assert not once.all_three and once.one_of_three and once.tags == {"reversed", "missing"}
    same = judge(asked, [good[0]] * 3)
    assert same.equal and not same.all_three and not same.tags


@pytest.mark.parametrize(
    ("sentence", "cards", "tag"),
    [
        ("물를 주세요.", ("물", "주세요"), "ungrammatical"),
        ("사과을 주세요.", ("사과", "주세요"), "ungrammatical"),
        ("지하철으로 가요.", ("지하철", "가다"), "ungrammatical"),
        ("컵 것 좀 도와주세요.", ("컵", "도와주세요"), "ungrammatical"),
        ("이불이 추워요.", ("이불", "춥다"), "ungrammatical"),
        ("먹다, 밥, 엄마.", ("먹다", "밥", "엄마"), "ungrammatical"),
        ("밥 먹고 춤춰요.", ("밥", "먹다"), "added"),
        ("밥이랑 국을 먹어요.", ("밥", "먹다"), "added"),
        ("팀장님, 밥 먹어요.", ("밥", "먹다"), "wrong_title"),
        ("문 닫아 주세요.", ("문", "열다"), "reversed"),
        ("일어나서 못 일어나겠어요.", ("일어나다", "못"), "ungrammatical"),
        ("씻는 싫은데요.", ("씻다", "싫다"), "ungrammatical"),
        ("아빠랑 무서워요.", ("아빠", "무섭다"), "ungrammatical"),
        ("손이 반창고 주세요.", ("손", "반창고", "주세요"), "ungrammatical"),
        ("학교에서 가고 싶어요.", ("학교", "가다"), "ungrammatical"),
        ("밤에 무섭어요.", ("밤", "무섭다"), "ungrammatical"),
        ("씻고 있어요.의 도와주세요.", ("씻다", "도와주세요"), "ungrammatical"),
        ("산책으면 좋겠어요.", ("산책",), "ungrammatical"),
    ],
)
def test_common_rules_need_no_rule_of_the_request(sentence: str, cards: tuple[str, ...], tag: str) -> None:
    asked = _asked(cards)
    assert tag in {fault.tag for fault in faults(asked, sentence)}


@pytest.mark.parametrize(
    ("sentence", "cards"),
    [
        ("호랑이 보러 동물원에 가요.", ("호랑이", "동물원")),
        ("지하철로 공항에 가요.", ("지하철", "공항", "가다")),
        ("포도를 먹고 싶어요.", ("포도",)),
        ("눈사람을 만들까요?", ("눈사람",)),
        ("강아지랑 놀고 싶어요.", ("강아지",)),
        ("가방이랑 열쇠를 찾아 주세요.", ("가방", "열쇠", "찾다")),
        ("담요를 주세요.", ("담요", "주세요")),
        ("사랑을 담아서 선물을 줄게요.", ("사랑", "선물")),
        ("냉장고를 열어 주세요.", ("냉장고", "열다")),
        ("유럽은 멀어요.", ("유럽",)),
        ("iPad 주세요.", ("iPad", "주세요")),
        ("불 켜는 거 좀 봐 주세요.", ("불", "켜다")),
        ("그림을 그리려는 거예요.", ("그림", "그리다")),
        ("요리사님이랑 요리하고 싶어요.", ("요리사", "요리하다")),
        ("공원에서 놀고 집에 갈래요.", ("공원", "놀다", "집", "가다")),
        ("가을 바다를 보고 싶어요.", ("바다", "보다")),
        ("문 여는 것 좀 도와주세요.", ("문", "열다", "도와주세요")),
        ("비가 그치면 같이 갈래요?", ("비", "같이", "가다")),
    ],
)
def test_common_rules_leave_natural_sentences(sentence: str, cards: tuple[str, ...]) -> None:
    assert faults(_asked(cards), sentence) == []


def _asked(cards: tuple[str, ...]) -> Asked:
    some = next(asked for asked in SUITE if asked.context.interaction_partner == "활동지원사")
    return Asked("x", "x", cards, some.persona, some.context, (), ())


def test_scores_by_kind_count_requests_and_writers() -> None:
    asked = [next(a for a in SUITE if a.kind == kind) for kind in ("refusal", "thing")]
    good, bad = asked[0].good[:3], ["주스 주세요."] * 3
    threes = [[Candidate(text, "", source=source) for text in three]
              for three, source in ((bad, Source.MODEL), (asked[1].good[:3], Source.GRAMMAR))]  # fmt: skip
    verdicts = [judge(one, [c.text for c in three]) for one, three in zip(asked, threes, strict=True)]
    found = by_kind(asked, verdicts, threes)
    assert (found["rows"], found["all_three"], found["one_of_three"], found["reversed"]) == (2, 0.5, 0.5, 0.5)
    assert (found["from_model"], found["from_grammar"], found["not_from_model"]) == (0.5, 0.5, 0.5)
    assert found["kinds"]["refusal"]["reversed"] == 1 and found["kinds"]["thing"]["all_three"] == 1
    page = requests_table({"pictures": found})
    assert "거절 (1)" in page and "물건 하나 (1)" in page and "반대되는 뜻" in page
    shown = list(lines({"pictures": found}))
    assert shown[-1].strip() == "written by: model 0.500 · grammar 0.500" and len(shown) == 5
    assert judge(asked[0], good).all_three


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"cards": []}, "cards and good"),
        ({"good": ["물 주세요."]}, "three by three"),
        ({"level": "rude"}, "'rude'"),
        ({"means": ["wish"]}, "'wish'"),
        ({"never": {"invented": "x"}}, "'invented'"),
        ({"never": {"added": "("}}, "request 1"),
        ({"colour": "red"}, "colour"),
        ({"persona": {"agee": 3}}, "age"),
    ],
)
def test_a_suite_that_cannot_be_read_is_named(tmp_path: Path, change: dict[str, object], says: str) -> None:
    entry = json.loads(SUITE_FILE.read_text(encoding="utf-8"))[0]
    path = tmp_path / "suite.json"
    path.write_text(json.dumps([{**entry, **change}]), encoding="utf-8")
    with pytest.raises(UserError, match=re.escape(says)):
        read_suite(path)
    path.write_text(json.dumps([entry, entry]), encoding="utf-8")
    with pytest.raises(UserError, match="share an id"):
        read_suite(path)
