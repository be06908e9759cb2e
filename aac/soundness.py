"""Sentences that nobody would say: forms that are no Korean, roles and times turned round, strangers called.

Each rule is one observation about morphemes; where Kiwi leaves a doubt the sentence passes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from aac.forms import CODA_L, coda, misshapen
from aac.korean import Morph, analyse, speech_level
from aac.lexicon import lookup

# Said twice on purpose.
_DOUBLED = frozenset(
    {"빨리", "천천히", "많이", "조금", "더", "아니", "네", "응", "정말", "너무", "그만", "잘", "싫어", "안녕"}
)
_THINGS = frozenset({"food", "fruit", "drink", "vehicle", "clothes", "thing", "media", "study", "toy"})
_HELPED = frozenset({"food", "fruit", "drink", "vehicle", "clothes", "thing", "body", "place", "nature"})
_FELT = frozenset({
    "아프", "배고프", "배부르", "목마르", "졸리", "피곤", "어지럽",
    "덥", "춥", "심심", "외롭", "속상", "신나", "기쁘", "슬프", "놀라",
})  # fmt: skip
_DONE_TO = frozenset({"먹", "마시", "읽", "입", "벗", "켜", "끄", "타", "사", "그리", "찍", "듣", "만들", "씻", "보"})
_SURFACE = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?:을를|를을|은는|는은|에서를|에서을|에서이|에를|이를를|가를|를가)(?:\s|$)",
        r"^(?:은|는|을|를|에서|도|만)\s",
        r"^싶(?:어|지|은|습)",
        r"(?:^|\s)(이게|이거|그게) \1(?:예요|이에요|야|입니다)",
        r"[을를] \S+, 이 말",
        r"서이(?:야|에요|예요)",
        r"(?:^|\s)(어디|누구|언제|왜)(?:\s|에|서|가|를|랑)[^,.?]* \1",  # asked twice in one clause
        r"어디에(?:예요|야)(?:[?.!]|$)",
        r"(\S*[가-힣])(?:를|을) \1(?:하|할|해|했|합)",
    )
)
_FUTURE_WORDS = frozenset({"내일", "나중", "이따가", "이따", "모레", "나중에"})
_STEMS = ("VV", "VA", "XSV", "XSA", "VX")
_PAST_WORDS = frozenset({"어제", "아까", "그저께", "지난주"})
_PAST_CARDS_FORBID = re.compile(r"었/EP (?!었/EP )\S*/E[FC]")
_WISHED = re.compile(r"었/EP (?:으면|면|는지|을)/|었/EP 으면")
_AHEAD = re.compile(r"(?:^| )(?:ᆯ|을)(?:래|게)\S*/EF|(?:^| )(?:ᆯ|을)/ETM (?:거|것)/NNB 이/|려고/EC|겠/EP (?!어요/EF \?)")
_TITLES = r"(?:의사|간호사|선생님|치료사|약사|팀장|부장|과장|사장|원장|교수)"
# Their cards may greet, thank, stop or ask somebody who is no partner.
_SAID_TO = frozenset(
    {"안녕", "고마워요", "미안해요", "축하해요", "잘 자요", "하지 마세요", "도와주세요", "주세요", "네", "아니요"}
)
# Cards that make a sentence of their own though they are no word of feeling.
_TOLD = frozenset({"없다", "있다", "끝", "모르다", "불"})
_QUESTIONS = frozenset({"뭐", "어디", "누구", "왜", "언제"})
_WANTED = re.compile("주세요|주십시오|줘|모르|몰라|궁금|알고 싶")
_REVERSIBLE = {"보다": "보", "사랑하다": "사랑", "때리다": "때리"}


def ungrammatical(sentence: str, keywords: Sequence[str]) -> bool:
    """Whether a form of the sentence is impossible: of any word, or a card's stem or dictionary form that
    stands bare (벗 싫어요; 엄마, 보다, 나)."""
    stems = {word[:-1] for word in keywords if word.endswith("다") and coda(word[:-1]) not in (0, CODA_L)}
    bare = [f" {word}, " for word in keywords if word.endswith("다") and len(word) > 1]
    listed = any(word in f" {sentence}" for word in bare)
    bare_stem = not stems.isdisjoint(re.findall("[가-힣]+", sentence))
    return listed or bare_stem or _broken(sentence.strip()) or any(misshapen(sentence.strip(), keywords))


@lru_cache(maxsize=50_000)
def _broken(sentence: str) -> bool:
    if any(pattern.search(sentence) for pattern in _SURFACE) or _repeats(sentence):
        return True
    morphs = [*analyse(sentence), Morph("", "SF")]
    if any(_bad_pair(*three) for three in zip([Morph("", "SF"), *morphs], morphs, morphs[1:], strict=False)):
        return True
    return _bad_case(morphs) or _bad_help(morphs) or _mixed(sentence, morphs) or _exalts_oneself(morphs)


def _repeats(sentence: str) -> bool:
    """The same word, or the same two words, twice in a row."""
    words = [re.sub(r"[^가-힣]", "", word) for word in re.sub(r"[.!?].*$", "", sentence).split()]
    twice = any(a == b and a and a not in _DOUBLED for a, b in pairwise(words))
    stems = [re.sub(r"[^가-힣]", "", word)[:2] for word in sentence.split()]
    again = any(stems[i : i + 2] == stems[i + 2 : i + 4] and all(stems[i : i + 2]) for i in range(len(stems) - 3))
    return twice or again


def _bad_pair(before: Morph, morph: Morph, after: Morph) -> bool:
    form, tag = morph
    if tag in _STEMS and after.tag in ("VV", "VA", "NNG", "MAG", "IC", "NP", "SP") and form != "서":
        return True  # 벗 싫어요, 피곤하 그래, 싫, (어디서 is read as 어디 서)
    if after.tag == "VA" and after.form in ("싫", "좋") and ((form == "는" and tag == "ETM") or form in ("랑", "이랑")):
        return True  # 만나는 싫은데요, 삼촌이랑 싫은데요
    if tag == "VV" and after == ("다", "EF"):
        return True  # 오다.
    if tag == "JKS" and after == ("부탁", "NNG"):
        return True  # 발이 부탁드립니다
    if form == "수" and tag in ("NNB", "NNG") and after.form in ("있", "없"):
        return before.tag != "ETM" and coda(before.form) != CODA_L
    if form == "생각" and after.tag == "VCP":
        return (before.tag == "MAG" and before.form != "잘") or before.tag.startswith("JK")  # 잘: 자다 as well
    return tag == "JKO" and after.tag == "VCP"  # 뭘이에요


def _category(morph: Morph) -> str:
    card = lookup(morph.form) if morph.tag == "NNG" else None
    return card.category if card and morph.form != "배" else ""  # the ship is a belly, too


def _bad_case(morphs: Sequence[Morph]) -> bool:
    """A thing that feels (약이 아파요) or does what is done to it (영화가 봐도 될까)."""
    for noun, state in pairwise(morphs):
        if state == ("아프", "VA") and _category(noun) in _THINGS | {"place"}:
            return True
    for place in range(len(morphs) - 3):
        noun, josa, verb, ending = morphs[place : place + 4]
        if josa.tag == "JKS" and _category(noun) == "time" and verb.tag == "NNG" and ending.tag == "JKO":
            return True  # 주말이 영화를 봐
        if josa.tag != "JKS" or _category(noun) not in _THINGS | {"place"}:
            continue
        place_felt = _category(noun) == "place" and verb.form in ("덥", "춥", "심심", "외롭")
        hungry = verb.form == "배" and ending.form in ("고프", "부르")
        if hungry or (verb.form in _FELT and not place_felt):
            return True
        after = morphs[place + 3 : place + 6]
        wished = any(m.form in ("싶", "지") or (m.form in ("이", "히") and m.tag != "VCP") for m in after)
        if verb.form in _DONE_TO and verb.tag == "VV" and ending.tag[0] == "E" and not wished:
            return True
    return False


def _bad_help(morphs: Sequence[Morph]) -> bool:
    """Help for a thing (화장실을 도와주세요) or for no deed (화장실 것 좀, 무서운 것 좀, 열 걸 도와주세요)."""
    for place in range(1, len(morphs)):
        if morphs[place].form not in ("도와주", "돕"):
            continue
        before = [m for m in morphs[max(0, place - 4) : place] if m.form != "좀"]
        if before and before[-1].tag == "JKO":
            before.pop()
            if before and _category(before[-1]) in _HELPED:
                return True
        if len(before) < 2 or before[-1].form not in ("것", "거") or before[-1].tag != "NNB":
            continue
        noun = before[-2]
        adjective = noun.tag == "ETM" and len(before) > 2 and before[-3].tag in ("VA", "XSA")
        if noun.tag == "NNG" or noun.form in ("ᆯ", "을") or adjective:
            return True
    return False


def _mixed(sentence: str, morphs: Sequence[Morph]) -> bool:
    """저 with a plain ending: 저는 피곤해서 그래."""
    humble = any(a.form == "저" and a.tag == "NP" and b.tag in ("JKS", "JX", "JKO", "JKB") for a, b in pairwise(morphs))
    return humble and speech_level(sentence) == "반말"


def _exalts_oneself(morphs: Sequence[Morph]) -> bool:
    """A state of one's own with the honorific that is for others: 저는 피곤하셨으면 좋겠습니다."""
    mine = morphs[:1] and morphs[0].tag == "NP" and morphs[0].form in ("저", "나", "내", "제")
    state = any(a.tag in ("VA", "XSA") and b.tag == "EP" and b.form in ("시", "으시") for a, b in pairwise(morphs))
    others = sum(m.tag in ("JKS", "JX") for m in morphs) > 1  # 저는 선생님이 건강하셨으면 좋겠어요
    return bool(mine) and state and not others


def tense_wrong(sentence: str) -> bool:
    """내일, 나중에 with a past; 어제, 아까 with a future."""
    morphs = analyse(sentence)
    words = {m.form for m in morphs}
    said = " ".join(f"{form}/{tag}" for form, tag in morphs)
    if words & _FUTURE_WORDS:
        return bool(_PAST_CARDS_FORBID.search(said)) and not _WISHED.search(said)
    return bool(words & _PAST_WORDS) and bool(_AHEAD.search(said))


def question_lost(sentence: str, keywords: Sequence[str]) -> bool:
    """Whether a question card ends in a statement (누구랑 오는 길이에요): nobody asks, nobody asks to be told.

    누구예요, 엄마랑 갈래요 and 왜 그래요, 더 할래요 ask first; 누구 좀 불러 주세요 asks for somebody.
    """
    if _QUESTIONS.isdisjoint(keywords) or "?" in sentence:
        return False
    morphs = analyse(sentence)
    asks = any(m.form.endswith("지") and m.tag in ("EC", "EF") for m in morphs)
    asks |= any(word.tag in ("NP", "MAG") and after.tag == "VCP" for word, after in pairwise(morphs))
    first = sentence.split(",")[0] if "," in sentence else ""
    asks |= len(first.split()) <= 2 and any(word in first for word in _QUESTIONS)
    return not asks and any(m.form in _QUESTIONS for m in morphs) and not _WANTED.search(sentence)


def order_wrong(sentence: str, keywords: Sequence[str]) -> bool:
    """Whether subject and object of 보다, 사랑하다, 때리다 are turned round against the order of the cards.

    The first person card is the subject; 보고 싶다 is free (나 엄마 보고 싶어).
    """
    people = [word for word in keywords if (card := lookup(word)) and card.pos == "person"]
    if len(people) != 2 or not set(keywords) & set(_REVERSIBLE) or re.search("[보고] 싶|고 싶", sentence):
        return False
    subject, thing = (_case(sentence, person) for person in people)
    return subject == "object" and thing == "subject"


_SAID_AS = {"나": "나|저|내|제", "너": "너|네"}


def _case(sentence: str, person: str) -> str:
    name = f"(?:^|\\s)(?:{_SAID_AS.get(person, re.escape(person))})(?:님| 선생님)?"
    if re.search(rf"{name}(?:를|을|한테|에게|께)(?:\s|$)|(?:^|\s)(?:날|절|널)\s" if person in _SAID_AS else
                 rf"{name}(?:를|을|한테|에게|께)(?:\s|$)", sentence):  # fmt: skip
        return "object"
    return "subject" if re.search(rf"{name}(?:이|가|은|는|께서)(?:\s|$)", sentence) else ""


def title_wrong(sentence: str, keywords: Sequence[str], partner: str, persons: frozenset[str]) -> bool:
    """Whether somebody is called who is not the partner: an absent card (엄마, 어디 있어요?), or a title with 아/야."""
    if re.search(rf"{_TITLES}(?:아|야),", sentence):
        return True
    if not partner or set(keywords) & _SAID_TO:
        return False
    called = re.match(r"(?:(?:네|응|아니요?), )?([가-힣]+?)(?: 선생님|님|아|야)?, (?!\S+, )", sentence)
    if not called or called[1] not in persons or called[1] not in keywords:
        return False
    return called[1] not in partner


def many_sentences(sentence: str, keywords: Sequence[str]) -> bool:
    """More sentences than the cards ask for: one, and one for every card that stands by itself (네, 싫다, 아프다)."""
    said = [part for part in re.split(r"[.!?]+(?:\s|$)", sentence) if part.strip()]
    alone = sum(_alone(word) for word in keywords)
    return len(said) > min(3, 1 + alone)


def _alone(word: str) -> bool:
    card = lookup(word)
    return (
        card is None
        or word in _TOLD
        or card.pos in ("social", "negation", "question", "adjective")
        or card.category == "feeling"
    )
