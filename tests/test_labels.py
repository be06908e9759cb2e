"""Labels as people write them: what a card's word is, of which kind, and how sure that is."""

from __future__ import annotations

import pytest

from aac.gate import check
from aac.labels import read_label
from aac.lexicon import load_lexicon
from aac.records import Context
from aac.rules import spoken
from aac.verbatim import said_at

# label -> (the card's word, part of speech, class)
WORDS = {
    "아파요": ("아프다", "adjective", "core"),
    "배고파": ("배고프다", "adjective", "state"),
    "싫어요": ("싫다", "adjective", "core"),
    "나는 싫어한다.": ("싫다", "adjective", "core"),
    "나는 사랑한다": ("사랑하다", "verb", "feeling"),
    "내가 원하는": ("원하다", "verb", "core"),
    "뜨거운": ("뜨겁다", "adjective", "state"),
    "젖은": ("젖다", "verb", "action"),
    "수영하기": ("수영하다", "verb", "action"),
    "일어나기 위해": ("일어나다", "verb", "action"),
    "문을 나가려면": ("문을 나가다", "verb", "action"),
    "에 도달하기 위해": ("도달하다", "verb", "action"),
    "쉬는 것": ("쉬다", "verb", "action"),
    "농구를하기 위해": ("농구를 하다", "verb", "action"),
    "보고있다": ("보다", "verb", "core"),
    "넘어지다": ("넘어지다", "verb", "action"),
    "큰 공": ("큰 공", "noun", "toy"),
    "허리 통증": ("허리 통증", "noun", "symptom"),
    "사과 주스": ("사과 주스", "noun", "drink"),
    "딸기우유": ("딸기우유", "noun", "drink"),
    "사과 두 개": ("사과 두 개", "noun", "fruit"),
    "언어 치료사": ("언어 치료사", "person", "person"),
    "위에": ("위", "noun", "position"),
    "교회에": ("교회", "place", "place"),
    "나는": ("나", "person", "core"),
    "감사합니다": ("고마워요", "social", "core"),
    "어떻게": ("어떻게", "question", "question"),
    "…에서": ("에서", "function", "particle"),
    "배": ("배", "noun", "vehicle"),
    "배(과일)": ("배(과일)", "noun", "fruit"),
    "배 (stomach)": ("배(신체)", "noun", "body"),
    "밤(먹는 것)": ("밤(음식)", "noun", "food"),
    "사과(과일)": ("사과", "noun", "fruit"),
}
SENTENCES = {
    "나는 말할 수 없다.": ("나는 말할 수 없어.", "저는 말할 수 없어요.", "저는 말할 수 없습니다."),
    "어디 있어요?": ("어디 있어?", "어디 있어요?", "어디 있습니까?"),
    "배가 아파요": ("배가 아파.", "배가 아파요.", "배가 아픕니다."),
    "이거 뭐예요?": ("이거 뭐야?", "이거 뭐예요?", "이거 뭡니까?"),
    "못 가요": ("못 가.", "못 가요.", "못 갑니다."),
    "먹고 싶다": ("먹고 싶어.", "먹고 싶어요.", "먹고 싶습니다."),
    # A deed or a state that is denied or wished is no card to combine: what stands beside it might turn it round.
    "안 먹기": ("안 먹어.", "안 먹어요.", "안 먹습니다."),
    "먹지 않는 것": ("먹지 않아.", "먹지 않아요.", "먹지 않습니다."),
    "가기 싫은": ("가기 싫어.", "가기 싫어요.", "가기 싫습니다."),
    "먹고 싶은": ("먹고 싶어.", "먹고 싶어요.", "먹고 싶습니다."),
    "못 가기": ("못 가.", "못 가요.", "못 갑니다."),
    "필요 없다": ("필요 없어.", "필요 없어요.", "필요 없습니다."),
    "잘했어요": ("잘했어.", "잘했어요.", "잘했습니다."),
    # What asks something of another stays as the team wrote it.
    "물 주세요": ("물 주세요.",) * 3,
    "가자.": ("가자.",) * 3,
    "이리 와요": ("이리 와.", "이리 와요.", "이리 와요."),
    "안녕히 계세요": ("안녕히 계세요.",) * 3,
    "뭐라고요": ("뭐라고요.",) * 3,
}
CORRECTED = [
    ("배", {"category": "과일"}, ("배(과일)", "noun", "fruit")),
    ("눈", {"sense": "snow"}, ("눈(자연)", "noun", "nature")),
    ("뽀로로", {"category": "인물"}, ("뽀로로(사람)", "person", "person")),
    ("댕댕이", {"synonyms": "강아지, 개"}, ("댕댕이(동물)", "noun", "animal")),
    ("먹어요", {"part_of_speech": "문장"}, ("먹다(문장)", "sentence", "core")),
    ("코딩", {"part_of_speech": "동사"}, ("코딩하다", "verb", "action")),
    ("크랙", {"folder": "간식"}, ("크랙(음식)", "noun", "food")),
    ("배", {"folder": "과일"}, ("배(과일)", "noun", "fruit")),
    ("빨대", {"folder": "음료수"}, ("빨대", "noun", "thing")),  # a folder tells nothing of what a table knows
    ("점프", {"folder": "행위"}, ("점프하다", "verb", "action")),
    ("방망이", {"folder": "행위"}, ("방망이", "noun", "toy")),
    ("아파요", {"category": "신체"}, ("아프다", "adjective", "core")),
]


@pytest.mark.parametrize(("label", "expected"), WORDS.items())
def test_a_label_is_read_as_its_word(label, expected):
    reading = read_label(label)
    assert (reading.keyword, reading.part_of_speech, reading.word_class) == expected
    assert not reading.sentence


@pytest.mark.parametrize(("label", "said"), SENTENCES.items())
def test_a_sentence_is_said_as_it_stands_at_each_level(label, said):
    reading = read_label(label)
    assert reading.part_of_speech == "sentence"
    assert tuple(said_at(reading.sentence, level) for level in ("반말", "해요체", "합쇼체")) == said


@pytest.mark.parametrize(("label", "told", "expected"), CORRECTED)
def test_a_correction_decides(label, told, expected):
    reading = read_label(label, told)
    assert (reading.keyword, reading.part_of_speech, reading.word_class) == expected


def test_a_keyword_is_read_as_the_label_was():
    readings = [*map(read_label, [*WORDS, *SENTENCES]), *(read_label(label, told) for label, told, _ in CORRECTED)]
    for reading in readings:
        again = read_label(reading.keyword)
        told = (again.keyword, again.lemma, again.part_of_speech, again.word_class)
        assert told == (reading.keyword, reading.lemma, reading.part_of_speech, reading.word_class)


def test_the_words_of_the_lexicon_are_read_as_they_stand():
    for card in load_lexicon():
        reading = read_label(card.keyword)
        assert (reading.keyword, reading.word_class, reading.sure) == (card.keyword, card.category, 1.0)


def test_how_sure_a_reading_is():
    sure = {label: read_label(label).sure for label in ("사과", "망고", "크랙", "...에")}
    assert sure["사과"] == 1.0 > sure["망고"] >= 0.9 > sure["크랙"] > sure["...에"]
    assert read_label("크랙", {"category": "간식"}).sure == 1.0


def test_both_words_of_a_label_are_kept():
    reading = read_label("엄마/어머니")
    assert (reading.keyword, reading.synonyms) == ("엄마", ("어머니",))


def test_what_is_heard_of_a_keyword():
    assert spoken("배(과일)") == "배"
    assert spoken("아프다") == "아프다"
    assert check(["배를 먹고 싶어요."], ["배(과일)", "먹다"], Context()) == [[]]
    assert "card_missing" in check(["감을 먹고 싶어요."], ["배(과일)", "먹다"], Context())[0]
