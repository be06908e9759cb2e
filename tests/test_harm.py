"""Nobody wishes to die, to fall or to vomit: what happens to one is told, never wished, by grammar or model."""

import re

import pytest

from aac.gate import check, comparable
from aac.korean import covers, join, predicate_stem
from aac.records import Context, Persona
from aac.verbs import UNWISHED, known_verbs, valency
from dataset.prepare.teachers.grammar import interpret

KNOWN = [word for word, known in known_verbs().items() if known.kind in ("body", "harm", "vital")]
# The same in kind, and in no table: the default must be as careful.
STRANGE = [
    word
    for line in (
        "감전되다 고꾸라지다 곤두박질치다 곪다 꼬꾸라지다 나자빠지다 낙상하다 덧나다 뒹굴다 발버둥치다",
        "비명지르다 사레들다 숨넘어가다 신음하다 앓다 앓아눕다 움찔하다 오그라들다 진저리치다 통곡하다",
        "하혈하다 허덕이다 허우적거리다 혼절하다 흐느끼다 피멍들다 골병들다 주저앉다 나동그라지다 까무룩하다",
    )
    for word in line.split()
]
BESIDE = ("나", "못", "동생", "지금", "많이", "아니요", "도와주세요")
SITUATIONS = [
    (Persona(age="아동"), Context(interaction_partner="엄마", current_activity="밥을 먹고 난 뒤")),
    (Persona(age="성인", utterance_length="짧게"), Context(interaction_partner="친구", time="점심")),
    (Persona(age="성인", utterance_length="자세히"), Context(interaction_partner="팀장님", time="저녁")),
]
AHEAD = "".join(chr(code) for code in range(0xAC00, 0xD7A4) if (code - 0xAC00) % 28 == 8)  # 할, 갈, 죽을
VOLITION = re.compile(
    rf"고 ?싶|(?<!그)래(?:요)?[.?]|게(?:요)?\.|[^니]까(?:요)?\?|려고"
    rf"|도 [되돼될됩괜]|수 있|면 좋| (?:주[세시실십]|줘|줄)|[{AHEAD}] 거(?! 같)"
)
CALL = re.compile(r"(?:좀 )?도와\S+|이야기(?: 좀 들어 줄래|를 하고 싶)\S+")


def volitional(sentence: str) -> bool:
    """Whether anything but help and somebody's ear is wished, asked for or offered."""
    return VOLITION.search(CALL.sub("", sentence)) is not None


@pytest.mark.parametrize(
    "sentence",
    ["죽고 싶어요.", "죽어도 될까요?", "토할래.", "토할게요.", "넘어지려고 해요.", "숨쉬고 싶지 않아요.",
     "때려 주세요.", "기절할 수 있을까요?", "쓰러졌으면 좋겠어요.", "다칠까요?", "죽을 거예요."],
)  # fmt: skip
def test_a_wish_is_caught(sentence: str) -> None:
    assert volitional(sentence)


def test_what_happens_to_one_is_never_wished() -> None:
    assert len(KNOWN) >= 150 and len(STRANGE) >= 30
    assert not any(valency(word) for word in STRANGE)
    wished, poor = [], []
    for number, word in enumerate([*KNOWN, *STRANGE]):
        persona, context = SITUATIONS[number % 3]
        for others in ((), ("안",), (BESIDE[number % len(BESIDE)],)):
            said = interpret([*others, word], persona, context)
            wished += [(word, others, text) for text in said if volitional(text)]
        alone = interpret([word], persona, context)
        poor += [(word, alone) for text in alone if not covers(text, word) or len({*map(comparable, alone)}) < 3]
    assert not wished, wished[:20]
    assert not poor, poor[:20]


@pytest.mark.parametrize(
    ("cards", "three"),
    [
        (["숨 막히다"], ["숨 막혀요.", "숨 막히는데 좀 도와주실래요?", "숨 막혀서 그래요."]),
        (["넘어지다"], ["넘어졌어요.", "넘어졌는데 좀 도와주실래요?", "넘어져서 그래요."]),
        (["토하다"], ["토할 것 같아요.", "토할 것 같은데 좀 도와주실래요?", "토했어요."]),
        (["죽다"], ["죽었어요.", "죽었어요?", "죽은 것 같아요."]),
        (["안", "숨쉬다"], ["숨 안 쉬어요.", "숨쉬지 않아요.", "숨 안 쉬는데요."]),
        (["아빠", "때리다"], ["아빠가 때려요.", "아빠가 때리는데 좀 도와주실래요?", "아빠가 때려서 그래요."]),
        (["그만", "때리다"], ["그만 때리세요.", "그만 때려 주세요.", "그만 때려 주셨으면 좋겠어요."]),
        (["머리", "다치다"], ["머리를 다쳤어요.", "머리를 다쳤는데 좀 도와주실래요?", "머리를 다쳐서 그래요."]),
        (["넘어지다", "도와주세요"],
         ["넘어졌어요, 도와주세요.", "넘어졌는데요, 좀 도와주실래요?", "넘어져서 그래요, 도움이 필요해요."]),
    ],
)  # fmt: skip
def test_what_happens_to_one_is_told(cards: list[str], three: list[str]) -> None:
    assert interpret(cards, Persona(), Context()) == three


@pytest.mark.parametrize("asks", ["원하다", "좋다", "주세요"])
@pytest.mark.parametrize("word", ["죽다", "토하다", "넘어지다", "자해하다"])
def test_a_card_that_wishes_makes_a_request_to_be_heard(word: str, asks: str) -> None:
    said = interpret([word, asks], Persona(), Context())
    assert all("이야기" in text for text in said)
    assert not any("harm_wished" in why for why in check(said, [word, asks], Context()))


ENDINGS = [
    [("고", "EC"), ("싶", "VX"), ("어요", "EF")],
    [("ᆯ래요", "EF")],
    [("어도", "EC"), ("되", "VV"), ("을까요", "EF")],
    [("어", "EC"), ("주", "VX"), ("세요", "EF")],
    [("었", "EP"), ("으면", "EC"), ("좋", "VA"), ("겠", "EP"), ("어요", "EF")],
    [("ᆯ게요", "EF")],
    [("으려고", "EC"), ("하", "VX"), ("어요", "EF")],
    [("게", "EC"), ("하", "VX"), ("어", "EC"), ("주", "VX"), ("세요", "EF")],
]
HONEST = [
    [("어요", "EF")],
    [("었", "EP"), ("어요", "EF")],
    [("을", "ETM"), ("것", "NNB"), ("같", "VA"), ("어요", "EF")],
    [("고", "EC"), ("싶", "VX"), ("지", "EC"), ("않", "VX"), ("어요", "EF")],
    [("지", "EC"), ("말", "VX"), ("세요", "EF")],
    [("을까", "EC"), ("무섭", "VA-I"), ("어요", "EF")],
]


def _said(word: str, endings: list[list[tuple[str, str]]]) -> list[str]:
    lead, stem, tag = predicate_stem(word)
    return [f"{lead} {join([(stem, tag), *ending])}.".strip() for ending in endings]


def test_the_gate_refuses_a_wish_of_harm_whoever_says_it() -> None:
    passed, stopped = [], []
    for word in KNOWN:
        known = valency(word)
        if known.kind == "vital":
            continue
        for text in _said(word, ENDINGS):
            passed += [text] if "harm_wished" not in check([text], [word], Context())[0] else []
            if known.kind == "harm":
                passed += [text] if "harm_wished" not in check([text], None, Context())[0] else []
        stopped += [t for t in _said(word, HONEST[:5]) if "harm_wished" in check([t], [word], Context())[0]]
    assert not passed, passed[:20]
    assert not stopped, stopped[:20]


@pytest.mark.parametrize(
    ("sentence", "cards"),
    [
        ("숨쉬고 싶지 않아요.", ["안", "숨쉬다"]),
        ("숨을 안 쉴래요.", ["안", "숨 쉬다"]),
        ("숨쉬지 마세요.", ["숨쉬다", "하지 마세요"]),
        ("죽고 싶어요.", ["배고프다"]),
        ("동생을 때려 주세요.", None),
        ("피가 나고 싶어요.", ["피가 나다"]),
    ],
)
def test_other_wishes_of_harm(sentence: str, cards: list[str] | None) -> None:
    assert "harm_wished" in check([sentence], cards, Context())[0]


@pytest.mark.parametrize(
    ("sentence", "cards"),
    [
        ("배고파 죽겠어요.", ["배고프다"]),
        ("죽 먹고 싶어요.", ["죽", "먹다"]),
        ("때리지 말아 주세요.", ["때리다", "하지 마세요"]),
        ("선물 주고 싶어요.", ["선물", "주다"]),
        ("물고기 보고 싶어요.", ["물고기", "보다"]),
        ("숨을 못 쉬겠어요.", ["못", "숨쉬다"]),
        ("밥 먹고 싶어요.", ["밥"]),
    ],
)
def test_no_wish_of_harm(sentence: str, cards: list[str]) -> None:
    assert "harm_wished" not in check([sentence], cards, Context())[0]


def test_the_table_is_consistent() -> None:
    """Kiwi conjugates every word; nobody is asked for what only happens; a class of objects is one that is known."""
    from dataset.prepare.teachers.frames import frames

    known = known_verbs()
    assert len(known) >= 500
    for word, entry in known.items():
        frame = frames()[word]
        assert frame.tag.startswith("VA" if entry.kind in ("state", "quality") else "VV"), (word, frame)
        assert not (frame.kind in UNWISHED and frame.ask), word
        said = join([(frame.words, frame.tag), ("었", "EP"), ("어요", "EF")])
        bright = (ord(frame.stem[-1]) - 0xAC00) // 28 % 21 in (0, 8)  # ㅏ, ㅗ
        assert not (bright and frame.stem[-1] != "하" and said.endswith(frame.stem[-1] + "었어요")), said
