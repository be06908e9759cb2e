"""The offline teacher: a Korean grammar on Kiwi that writes three interpretations of a card combination.

Style 1 completes the cards minimally, style 2 takes another function (a request, a question) or another role of a
person card, style 3 another form. Which endings are drawn follows from what stands in the input: the partner and the
age set the speech level, the phase of the activity the tense, the utterance length and the time of day the form.
Disability and gender are never read. `next_cards`, `sample_context` and `interpret` read the same table (`frames.py`).
"""

from __future__ import annotations

import json
import random
import re
from functools import lru_cache
from pathlib import Path

from dataset.prepare.korean import join, polish
from dataset.prepare.lexicon import lookup
from dataset.prepare.records import Context, Persona
from dataset.prepare.register import levels, partner_class
from dataset.prepare.teachers.contexts import HELD_OUT_PARTNERS, PARTNERS, phase_of, sample_context
from dataset.prepare.teachers.frames import FUTURE, HONORED, LINKS, TITLES, Frame, frames
from dataset.prepare.teachers.reading import Reading, next_cards, read

__all__ = ["HELD_OUT_PARTNERS", "PARTNERS", "interpret", "next_cards", "sample_context"]

PHRASES_FILE = Path(__file__).with_name("phrases.json")
_LEVELS = ("반말", "해요체", "합쇼체")
_PARTNERS_DEED = frozenset({"plain?", "past?", "doing?", "done?", "going?"})
_CALLED = frozenset({"act", "give", "help", "greeting"})
_INTIMATE = frozenset({"친구", "동생", "형제", "배우자", "자녀·손주", "엄마·아빠"})

ENDINGS_FILE = Path(__file__).with_name("endings.json")
_FINAL = ("어/EF", "어요/EF", "습니다/EF")


@lru_cache(maxsize=1)
def _endings() -> dict[str, str | list[str]]:
    """{name: one text a level, in Kiwi's morphemes (form/TAG), the punctuation last}.

    Where all three end alike there is one text, with {} for 어 / 어요 / 습니다.
    """
    return json.loads(ENDINGS_FILE.read_text(encoding="utf-8"))


@lru_cache(maxsize=512)
def _ending(name: str, level: str) -> tuple[tuple[tuple[str, str], ...], str]:
    entry, index = _endings()[name], _LEVELS.index(level)
    text = entry.replace("{}", _FINAL[index]) if isinstance(entry, str) else entry[index]
    *morphs, mark = text.split()
    return tuple((m.split("/")[0], m.split("/")[1]) for m in morphs), mark


@lru_cache(maxsize=200_000)
def _conjugate(stem: str, tag: str, name: str, level: str, honorific: bool = False) -> str:
    morphs, mark = _ending(name, level)
    respect = (("으시", "EP"),) if honorific and morphs[0][0] not in ("으시", "시") else ()
    return join(((stem, tag), *respect, *morphs)) + mark


@lru_cache(maxsize=50_000)
def particle(word: str, josa: str) -> str:
    """A word with its josa in the form that its last sound asks for: 물로, 책으로, 누나랑."""
    if not josa:
        return word
    head, *rest = josa.split()
    last = word[-1]
    closed = "가" <= last <= "힣" and (ord(last) - 0xAC00) % 28
    rieul = closed == 8
    forms = {
        "을": "을" if closed else "를",
        "이": "이" if closed else "가",
        "은": "은" if closed else "는",
        "이랑": "이랑" if closed else "랑",
    }
    forms["로"] = "로" if not closed or rieul else "으로"
    word = {"나이": "내가", "저이": "제가", "너이": "네가"}.get(word + head) or word + forms.get(head, head)
    return " ".join([word, *rest])


class _Speaker:
    """Who speaks to whom, and what the context asks of the form."""

    def __init__(self, persona: Persona, context: Context, keywords: tuple[str, ...]) -> None:
        partner = context.interaction_partner
        self.level = levels(partner, persona.age, persona.speech_level)[0]
        self.partner = partner
        self.kind = partner_class(partner)
        self.phase = phase_of(context.current_activity)
        self.length = (
            ("짧게", "보통", "자세히").index(persona.utterance_length)
            if persona.utterance_length in ("짧게", "보통", "자세히")
            else 1
        )
        self.age = 0 if persona.age in ("아동", "노인") else 1
        self.clock = _clock(context.time)
        self.cards = keywords

    @property
    def respectful(self) -> bool:
        """Whether the partner's own deeds take -시-."""
        return self.level == "합쇼체" or (self.level == "해요체" and self.kind not in _INTIMATE)

    def you(self) -> str:
        """The partner as one addresses them: never 당신."""
        if self.level == "반말" and self.kind != "엄마·아빠":
            return "너"
        last = self.partner.split()[-1] if self.partner else ""
        known = self.kind in ("엄마·아빠", "부모님", "조부모", "상사", "형제") or last in (
            "간호사님",
            "약사님",
            "코치님",
        )
        return last if known and last not in ("부모님", "상사", "부모", "조부모", "조부모님") else "선생님"

    def addressed(self, person: str) -> bool:
        """Whether a person card names the partner who listens."""
        if not self.partner or person in ("가족", "친구", "동생", "아기"):
            return False
        return self.partner.split()[-1].startswith(TITLES.get(person, person)) or (
            person in ("선생님", "의사")
            and self.partner.endswith("선생님")
            and (person == "선생님") != ("의사" in self.partner)
        )


def _clock(time: str) -> int:
    return (
        0
        if re.search("아침|오전|새벽", time)
        else 1
        if re.search("점심|낮|오후", time)
        else 2
        if re.search("저녁|밤", time)
        else 0
    )


def _word(card: str, level: str = "") -> str:
    if card == "다른 것":
        return "다른 것" if level == "합쇼체" else "다른 거"
    return {"이거": "이것"}.get(card, card) if level == "합쇼체" else TITLES.get(card, card)


def _name(card: str) -> str:
    return TITLES.get(card, card)


def _drops(role: str, josa: str, speaker: _Speaker, card: str) -> bool:
    """Short speech leaves 을 and the 에 of a goal out, formal speech nothing."""
    if speaker.length or speaker.level == "합쇼체":
        return False
    return (role == "object" and josa == "을") or (
        role == "place" and josa == "에" and card not in ("침대", "의자", "집")
    )


def _phrase(reading: Reading, speaker: _Speaker, josa_of: dict[str, str] | None = None) -> list[str]:
    """The words before the predicate; a person who is the partner is called instead of told about."""
    said: list[str] = []
    calls: list[str] = []
    objects = [card for role, card, _ in reading.parts if role == "object"]
    for role, card, own in reading.parts:
        josa = (josa_of or {}).get(role, own)
        if role == "before":
            continue
        if role == "person" and reading.kind in _CALLED and josa in ("이랑", "한테", "") and speaker.addressed(card):
            calls.append(f"{_name(card)},")
            continue
        word = _word(card, speaker.level) if role == "object" else _name(card)
        if role == "object" and len(objects) == 2 and card == objects[0]:
            said.append(particle(word, "이랑"))
        elif card == "여기":
            said.append({"에서": "여기서", "이": "여기가" if speaker.length else "여기"}.get(josa, "여기"))
        else:
            said.append(word if _drops(role, josa, speaker, card) else _with(word, josa))
    return [*calls, *said]


def _with(word: str, josa: str) -> str:
    """A spoken word with its josa: 다른 걸, 이게, and 이거 without 을."""
    spoken = {"다른 거을": "다른 걸", "다른 거이": "다른 게", "이거을": "이거", "이거이": "이게"}
    return spoken.get(word + josa) or particle(word, josa)


def _stem(frame: Frame, speaker: _Speaker, negation: str = "") -> tuple[list[str], str, str]:
    """Words that stand right before the stem, the stem, its tag. 청소하다 under 안: 청소를 안 하다."""
    if frame.noun and negation:
        return [frame.noun if speaker.length == 0 else particle(frame.noun, "을"), negation], "하", "VV"
    if frame.noun:
        return [], frame.noun + "하", "VV"
    return ([negation] if negation else []), frame.stem, frame.tag


def _sentence(words: list[str]) -> str:
    return polish(" ".join(word for word in words if word))


def _fused_deed(phrase: list[str], reading: Reading, speaker: _Speaker) -> bool:
    """숙제 + 하다 without josa is one word: 숙제할래요."""
    noun = reading.card("object")
    return (
        reading.predicate == "하다"
        and not speaker.length
        and bool(phrase)
        and phrase[-1] == noun
        and noun not in ("이거", "퍼즐", "컴퓨터")
    )


def _act_names(reading: Reading, speaker: _Speaker) -> tuple[str, str, str]:
    """The endings of the three styles for one's own deed."""
    frame, length, level = reading.frame, speaker.length, speaker.level
    time, person, adverb = reading.card("time"), reading.card("person"), reading.card("adverb")
    phase = speaker.phase
    if (
        time in FUTURE
        or adverb in ("더", "빨리")
        or frame.instant
        or reading.before
        or (time == "지금" and phase == "뒤")
        or (time and time != "지금" and phase == "중")
    ):
        phase = "전"
    companion = bool(person) and not (speaker.addressed(person) and frame.role == "이랑")
    if phase == "뒤":
        s2 = (
            "past?"
            if not (companion or reading.speaker or adverb or time or reading.card("place"))
            else ("came" if frame.stem != "가" else "back")
        )
        if frame.stem == "가":
            s3 = "since" if level != "합쇼체" and not (s2 == "past?" and speaker.age) else "back"
            s3 = "gone" if s2 == s3 else s3
        elif level == "합쇼체":
            s3 = "tried" if s2 == "came" else "came"
        else:
            s3 = "since" if s2 == "came" else ("since", "came")[speaker.age]
        return "past", s2, s3
    asks = ("may", "might", "can", "could")[(speaker.clock + speaker.age) % 4 if adverb != "같이" else 0]
    if frame.ask and not (companion or reading.speaker or adverb in ("혼자", "같이") or time == "주말"):
        asks = ("please?", "would?", "please?")[speaker.clock]
    elif adverb == "같이" or (person and not companion):
        asks = ("want?", "shall?", "want?")[speaker.clock] if level != "합쇼체" else "want?"
    if phase == "중":
        return (
            (("now", asks, "course"), ("course", asks, "nowyou"), ("now", asks, "course"))[length]
            if level != "합쇼체"
            else ("now", asks, "course")
        )
    first = (("rae", "want", "ge"), ("want", "will", "rae"), ("plan", "want", "will"))[length][speaker.clock]
    third = (("hope", "will"), ("hope", "plan"), ("muse", "hope"))[length][speaker.age]
    if adverb in ("더", "빨리", "많이") and first == "ge":
        first = "want"
    if first == "rae" and asks == "want?":
        first = "want"
    if adverb == "빨리" and third in ("muse", "plan", "will"):
        third = "hope"
    return first, asks, third if third != first else "hope"


def _subject(reading: Reading, style: int, speaker: _Speaker) -> list[str]:
    if reading.speaker != "나":
        return []
    me = "나" if speaker.level == "반말" else "저"
    return [particle(me, "이" if style == 1 and reading.kind == "act" else "은")]


def _say_act(reading: Reading, speaker: _Speaker) -> list[str]:
    frame = reading.frame
    if reading.mood:
        return _say_mood(reading, speaker)
    if reading.question:
        return _say_question(reading, speaker)
    if reading.speaker == "너":
        return _say_you(reading, speaker)
    names = _act_names(reading, speaker)
    ahead, stem, tag = _stem(frame, speaker)
    said = []
    for style, name in enumerate(names):
        partner_deed = name in ("past?", "want?")
        respect = speaker.respectful and name == "past?"
        own = frame.honorific if frame.honorific and (respect or (name == "want?" and speaker.respectful)) else ""
        phrase = _phrase(reading, speaker)
        before = _before(reading, style)
        if own:
            verb = _conjugate(own[:-1] if own.endswith("시") else own, tag, name, speaker.level, respect)
        elif partner_deed and not speaker.respectful and name == "want?" and speaker.level == "해요체":
            verb = join(((stem, tag), ("을래요", "EF"))) + "?"
        else:
            verb = _conjugate(stem, tag, name, speaker.level, respect)
        if not ahead and _fused_deed(phrase, reading, speaker):
            phrase, verb = phrase[:-1], phrase[-1] + verb
        said.append(_sentence([*_subject(reading, style, speaker), *before, *phrase, *ahead, verb]))
    return said


def _before(reading: Reading, style: int) -> list[str]:
    if not reading.before:
        return []
    frame = frames()[reading.before]
    josa = [
        particle(word if word != "여기" else "여기", "" if word == "여기" else j)
        for role, word, j in reading.parts
        if role == "before"
    ]
    link = LINKS.get((reading.before, reading.predicate))
    if link is None:
        link = ("어서", "은데", "으니까")[style]
    stem = frame.noun + frame.stem if frame.noun else frame.stem
    return [*josa, join(((stem, frame.tag), (link, "EC")))]


def _say_you(reading: Reading, speaker: _Speaker) -> list[str]:
    """너 with a deed: with you, would you, if you did."""
    frame, you, level = reading.frame, speaker.you(), speaker.level
    _, stem, tag = _stem(frame, speaker)
    own = frame.honorific[:-1] if frame.honorific and you != "너" and level != "반말" else stem
    rest = _phrase(reading, speaker)
    verbs = [
        _conjugate(stem, tag, ("want", "rae", "want")[speaker.clock], level),
        _conjugate(own, tag, "want?", level),
        _conjugate(own, tag, "hope", level, honorific=level != "반말"),
    ]
    if _fused_deed(rest, reading, speaker):
        rest, verbs = rest[:-1], [rest[-1] + verb for verb in verbs]
    leads = [particle(you, "이랑"), you + ("" if you == "너" else ","), particle(you, "이")]
    return [_sentence([lead, *rest, verb]) for lead, verb in zip(leads, verbs, strict=True)]


def _say_mood(reading: Reading, speaker: _Speaker) -> list[str]:
    frame, mood, level = reading.frame, reading.mood, speaker.level
    past = speaker.phase == "뒤" and reading.card("time") not in FUTURE | {"지금"} and not frame.instant
    phrase = _phrase(reading, speaker)
    table: dict[str, tuple[tuple[str, str], ...]] = {
        "안": (("안", "past"), ("", "didnot"), ("안", "since") if level != "합쇼체" else ("", "hardly"))
        if past
        else (
            ("안", ("rae", "plan", "rae")[speaker.clock] if level != "합쇼체" else "fail"),
            ("", "wantnot"),
            ("안", "will"),
        ),
        "못": (("못", "past"), ("", "failed"), ("", "couldnot"))
        if past
        else (("못", "fail"), ("", "cannot"), ("못", "likely")),
        "그만": (
            ("그만", "rae"),
            ("그만", ("may", "might", "may")[speaker.clock]),
            ("그만", ("want", "hope")[speaker.age]),
        ),
        "말다": (("", "dont"), ("", "donot"), ("", "hopenot")),
        "싫다": (("", "hate"), ("", "hateit"), ("", "hatebut")),
        "좋다": (("", "like"), ("", "like?"), ("", "liked")),
        "싶다": (("", "want"), ("", ("may", "might", "may")[speaker.clock]), ("", "wish")),
        "주다": (("", "please"), ("", ("please?", "would?", "please?")[speaker.clock]), ("", "hopeyou")),
    }
    if mood == "싶다":
        return _say_wish(reading, speaker, phrase)
    said = []
    for negation, name in table[mood]:
        ahead, stem, tag = _stem(frame, speaker, negation)
        if negation == "그만" and frame.noun:
            ahead, stem = ["그만"], frame.noun + "하"
        verb = _conjugate(stem, tag, name, level)
        fused = not ahead and _fused_deed(phrase, reading, speaker)
        said.append(_sentence([*phrase[:-1], phrase[-1] + verb] if fused else [*phrase, *ahead, verb]))
    return said


def _say_wish(reading: Reading, speaker: _Speaker, phrase: list[str]) -> list[str]:
    """원하다 over a deed is 싶다, which Korean speech prefers; the question asks leave for the wish."""
    ahead, stem, tag = _stem(reading.frame, speaker)
    asks = {"반말": "고 싶은데 괜찮아?", "해요체": "고 싶은데 괜찮을까요?", "합쇼체": "고 싶은데 괜찮겠습니까?"}[
        speaker.level
    ]
    bare = join(((stem, tag), ("고", "EC")))[:-1]
    said = [_conjugate(stem, tag, "want", speaker.level), bare + asks, _conjugate(stem, tag, "wish", speaker.level)]
    return [_sentence([*phrase, *ahead, verb]) for verb in said]


def _say_question(reading: Reading, speaker: _Speaker) -> list[str]:
    frame, question, level = reading.frame, reading.question, speaker.level
    josa = {"뭐": "", "왜": "", "언제": "", "누구": "이랑", "어디": "에서"}[question]
    if question == "누구":
        josa = {"이": "이", "을": "", "한테": "한테"}.get(frame.role, "이랑")
    if question == "어디" and frame.stem in ("가", "앉", "눕"):
        josa = "" if frame.stem == "가" else "에"
    word = {
        "누구이": "누가",
        "누구": "누구",
        "어디에서": "어디서",
        "뭐": "뭘" if speaker.length == 2 else "뭐",
    }.get(question + josa) or particle(question, josa)
    if question == "뭐" and (frame.noun or level == "합쇼체") and reading.predicate != "놀다":
        word = "뭘" if level != "합쇼체" else "무엇을"
    if reading.predicate == "놀다" and question == "뭐":
        word = "뭐 하면서" if speaker.length else "뭐 하고"
    _, stem, tag = _stem(frame, speaker)
    phrase = _phrase(reading, speaker)
    elder = bool(phrase) and phrase[0].endswith(",") and reading.card("person") in HONORED
    state = frame.kind in ("state", "quality")
    past = (
        speaker.phase == "뒤"
        and question != "언제"
        and not reading.card("time")
        and frame.kind == "act"
        and not frame.instant
    )
    if state and frame.instant:
        names = ("past?", "done?", "told")
    elif state:
        names = ("plain?", "really?" if level != "합쇼체" else "itis?", "seemwhy")
    elif past:
        names = ("past?", "done?", "told")
    elif frame.kind == "other":
        names = ("plain?", "doing?" if question != "언제" else "going?", "tell")
    elif question == "왜":
        names = ("plain?", "doing?", "tell")
    else:
        ask = ("going?", "want?", "going?")[speaker.clock] if level != "합쇼체" else "should?"
        names = (
            "plain?",
            "shall?" if level != "합쇼체" and speaker.age else ask,
            "tell" if speaker.length == 1 or ask == "should?" else "should?",
        )
    third = {"반말": "은지 말해 줘.", "해요체": "은지 말해 주세요.", "합쇼체": "은지 말씀해 주시겠습니까?"}
    said = []
    for name in names:
        if name == "seemwhy":
            said.append(_sentence([*phrase, word, join(((stem, tag), ("은지", "EC"))) + third[level][2:]]))
            continue
        leads = ("time", "person") if question in ("뭐", "어디", "누구") else ("person",)
        if question == "누구" and josa in ("", "한테"):
            leads = ("time", "person", "place")
        spoken = [word_ for role, word_, _ in reading.parts if role != "before"]
        first = [p for p, card in zip(phrase, spoken, strict=True) if reading.role(card) in leads]
        order = [*first, word, *[p for p in phrase if p not in first]]
        if question == "왜" and state:
            order = [*phrase, word] if phrase else [word]
        if name == "want?" and not speaker.respectful and level == "해요체":
            said.append(_sentence([*order, join(((stem, tag), ("을래요", "EF"))) + "?"]))
        elif name == "want?" and frame.honorific and level != "반말":
            said.append(_sentence([*order, _conjugate(frame.honorific[:-1], tag, name, level)]))
        else:
            said.append(_sentence([*order, _conjugate(stem, tag, name, level, elder and name in _PARTNERS_DEED)]))
    return said


def _say_other(reading: Reading, speaker: _Speaker) -> list[str]:
    """오다, 울다, 웃다: the deed of another person, or asked of the partner where nobody is named."""
    if reading.mood:
        return _say_mood(reading, speaker)
    if reading.question:
        return _say_question(reading, speaker)
    person = reading.card("person")
    frame, level = reading.frame, speaker.level
    if not person:
        if reading.predicate == "오다":
            words = _phrase(reading, speaker, josa_of={"place": "로"})
            words = ["여기로" if word == "여기" else word for word in words]
            return [_sentence([*words, _conjugate("오", "VV", n, level)]) for n in ("please", "please?", "hopeyou")]
        names = ("want", "may", "likely")
        if speaker.phase == "뒤" and reading.card("time") not in FUTURE | {"지금"}:
            names = ("past", "want", "since" if level != "합쇼체" else "now")
        return [_sentence([*_phrase(reading, speaker), _conjugate(frame.stem, "VV", n, level)]) for n in names]
    respect = person in HONORED
    time = reading.card("time")
    phrase = _phrase(reading, speaker)
    if time in FUTURE or (time == "오늘" and speaker.phase != "뒤"):
        names = ("plain", "plain?", "likely")
    elif speaker.phase == "뒤" and time != "지금":
        names = ("past", "past?", "since" if level != "합쇼체" else "seem")
    else:
        names = ("now", "now?", "see3")
    verbs = [(_now if name in ("now", "now?") else _told)(frame.stem, name, level, respect) for name in names]
    return [_sentence([*phrase, verb]) for verb in verbs]


def _told(stem: str, name: str, level: str, respect: bool) -> str:
    return _conjugate(stem, "VV", name, level, respect)


def _now(stem: str, name: str, level: str, respect: bool) -> str:
    morphs, mark = _ending(name, level)
    if not respect:
        return join(((stem, "VV"), *morphs)) + mark
    return join(((stem, "VV"), ("고", "EC"), ("계시", "VX"), *morphs[2:])) + mark


def _say_state(reading: Reading, speaker: _Speaker) -> list[str]:
    frame, level, mood = reading.frame, speaker.level, reading.mood
    if reading.question:
        return _say_question(reading, speaker)
    phrase = _phrase(reading, speaker)
    person = reading.card("person")
    if mood == "안":
        but = (
            _quality(frame.stem, frame.tag, "but", level)
            if level != "합쇼체"
            else _conjugate(frame.stem, frame.tag, "notbut", level)
        )
        third = ["안", but] if level != "합쇼체" else [but]
        return [
            _sentence([*phrase, *w])
            for w in (
                ["안", _conjugate(frame.stem, frame.tag, "plain", level)],
                [_conjugate(frame.stem, frame.tag, "not", level)],
                third,
            )
        ]
    if person or reading.speaker == "너":
        you = speaker.you()
        respect = person in HONORED or (reading.speaker == "너" and you != "너" and level != "반말")
        subject = [particle(you, "이")] if reading.speaker == "너" else []
        names = (
            "guessed" if frame.instant else "guess",
            "really?" if not (frame.instant and level == "합쇼체") else "past?",
            "seem",
        )
        stem, tag = frame.stem, frame.tag
        said = [_conjugate(stem, tag, name, level, respect) for name in names]
        return [_sentence([*subject, *phrase, verb]) for verb in said]
    me = _subject(reading, 0, speaker)
    if frame.instant:
        names = ("past", "since0", "why")
    else:
        names = (("plain", "but", "why"), ("plain", "but", "oh"), ("plain", "because", "why"))[speaker.clock]
        if level == "합쇼체":
            names = ("plain", "but", "why")
        elif speaker.age and names[2] == "why" and names[1] != "because":
            names = ("oh", "but", "why")
    return [_sentence([*me, *phrase, _conjugate(frame.stem, frame.tag, name, level)]) for name in names]


def _say_quality(reading: Reading, speaker: _Speaker) -> list[str]:
    frame, level, name = reading.frame, speaker.level, reading.predicate
    if reading.question:
        return _say_question(reading, speaker)
    if reading.mood == "안":
        return _say_state(reading, speaker)
    phrase = _phrase(reading, speaker)
    if speaker.length == 0 and level != "합쇼체":
        phrase = [
            word[:-1] if word[-1] in "이가" and role == "object" and card + word[-1] == word else word
            for word, (role, card, _) in zip(phrase, reading.parts, strict=False)
        ]
    me = _subject(reading, 0, speaker)
    topic = [
        particle(_word(card, level), "은") if role in ("object", "place", "person") else card
        for role, card, _ in reading.parts
    ]
    topic = [
        {"이거는": "이건", "다른 거는": "다른 건", "여기는": "여기는", "이것은": "이것은"}.get(w, w) for w in topic
    ]
    if name in ("좋다", "싫다"):
        stem = "좋아하" if name == "좋다" else "싫어하"
        fond = [particle(_name(_word(card, level)), "을") for role, card, _ in reading.parts if role != "time"]
        fond = [{"이거를": "이걸", "다른 거를": "다른 걸"}.get(w, w) for w in fond]
        plain = _sentence([*me, *phrase, _conjugate(frame.stem, "VA", "plain", level)])
        third = _sentence([*me, *fond, _conjugate(stem, "VV", "plain", level)])
        if name == "싫다" or reading.speaker or reading.prefix or reading.card("person"):
            but = _conjugate(frame.stem, "VA", "but" if level != "합쇼체" else "plain", level)
            return [
                plain,
                _sentence(
                    [
                        *me,
                        *(topic if not me else phrase),
                        but if not (me and level == "합쇼체") else _conjugate(frame.stem, "VA", "seem", level),
                    ]
                ),
                third,
            ]
        return [plain, _sentence([*fond, _conjugate(stem, "VV", "plain?", level, speaker.respectful)]), third]
    if name in ("있다", "없다"):
        return _say_having(reading, speaker, phrase, topic)
    if name == "끝":
        return [_sentence([*phrase, _conjugate("끝나", "VV", n, level)]) for n in ("past", "past?", "seem")]
    if speaker.phase == "뒤" and name in ("맛있다", "재미있다", "시끄럽다"):
        names = ("past", "past?", "seemed")
    else:
        names = ("plain", "plain?", "oh")
    if "조금" in phrase or "많이" in phrase or reading.prefix:
        names = (
            names[0],
            "but" if names[0] == "plain" else "seemed",
            "oh" if level != "합쇼체" and names[0] == "plain" else "because",
        )
        if name in ("예쁘다", "맛있다", "재미있다") and names[2] == "because":
            names = (*names[:2], "surely")
    tag = frame.tag
    return [_sentence([*phrase, _quality(frame.stem, tag, n, level)]) for n in names]


def _quality(stem: str, tag: str, name: str, level: str) -> str:
    if stem.endswith("있") and name in ("but", "oh") and (name == "but" or level == "합쇼체"):
        tail = {"반말": "는데.", "해요체": "는데요.", "합쇼체": "는 것 같습니다."}[level]
        return stem + tail
    return _conjugate(stem, tag, name, level)


def _say_having(reading: Reading, speaker: _Speaker, phrase: list[str], topic: list[str]) -> list[str]:
    level, stem = speaker.level, reading.frame.stem
    person = reading.card("person")
    if person in HONORED:
        tails = {
            ("있", "반말"): ("계셔.", "계셔?", "계시네."),
            ("있", "해요체"): ("계세요.", "계세요?", "계시네요."),
            ("있", "합쇼체"): ("계십니다.", "계십니까?", "계신 것 같습니다."),
            ("없", "반말"): ("안 계셔.", "안 계시네.", "안 계신 것 같아."),
            ("없", "해요체"): ("안 계세요.", "안 계시네요.", "안 계신 것 같아요."),
            ("없", "합쇼체"): ("안 계십니다.", "안 계신 것 같습니다.", "안 계시는군요."),
        }
        return [_sentence([*phrase, tail]) for tail in tails[stem, level]]
    oh = {"반말": "네.", "해요체": "네요.", "합쇼체": "는 것 같습니다."}[level]
    if stem == "있" and reading.prefix:
        return [_sentence([*phrase, _quality(stem, "VA", name, level)]) for name in ("plain", "but", "surely")]
    if stem == "있":
        return [
            _sentence([*phrase, _conjugate("있", "VA", "plain", level)]),
            _sentence([*phrase, _conjugate("있", "VA", "plain?", level)]),
            _sentence([*phrase, "있" + oh]),
        ]
    but = {"반말": "없는데.", "해요체": "없는데요.", "합쇼체": "없습니다."}[level]
    return [
        _sentence([*phrase, _conjugate("없", "VA", "plain", level)]),
        _sentence([*topic, but]),
        _sentence([*phrase, "없" + oh]),
    ]


def _say_verbal(reading: Reading, speaker: _Speaker) -> list[str]:
    """사랑하다, 모르다, 원하다."""
    level, frame = speaker.level, reading.frame
    phrase = _phrase(reading, speaker)
    if reading.kind == "love":
        person = reading.card("person")
        if person and speaker.addressed(person):
            return [
                _sentence(
                    [f"{_name(person)},", *[w for w in phrase if w == "많이"], _conjugate("사랑하", "VV", n, level)]
                )
                for n in ("plain", "want", "because")
            ]
        return [_sentence([*phrase, _conjugate("사랑하", "VV", n, level)]) for n in ("plain", "oh0", "because")]
    if reading.kind == "unknown":
        tail = {
            "반말": ("모르겠어.", "몰라.", "모르겠는데."),
            "해요체": ("모르겠어요.", "몰라요.", "모르겠는데요."),
            "합쇼체": ("모르겠습니다.", "모릅니다.", "모를 것 같습니다."),
        }[level]
        return [_sentence([*phrase, t]) for t in tail]
    ask = {"반말": "원하는데 줄래?", "해요체": "원하는데 주실래요?", "합쇼체": "원하는데 주시겠습니까?"}[level]
    but = {"반말": "원하거든.", "해요체": "원하거든요.", "합쇼체": "원하고 있습니다."}[level]
    return [_sentence([*phrase, t]) for t in (_conjugate(frame.stem, "VV", "plain", level), ask, but)]


def _say_give(reading: Reading, speaker: _Speaker) -> list[str]:
    level, length = speaker.level, speaker.length
    short = [w for w in _phrase(reading, speaker, josa_of={"object": ""})]
    full = _phrase(reading, speaker)
    if reading.card("object") and reading.card("object") not in ("이거", "다른 것"):
        want = full if length else short
    else:
        want = short
    please = {
        "반말": ("줘.", "줄래?", "주면 좋겠어."),
        "해요체": ("주세요.", "주실래요?", "주시면 좋겠어요."),
        "합쇼체": ("주세요.", "주시겠습니까?", "주시면 좋겠습니다."),
    }[level]
    if reading.mood == "주다" or reading.card("adverb") or reading.card("time"):
        if reading.mood != "주다" and level == "합쇼체":
            please = ("부탁드립니다.", *please[1:])
        if (
            reading.card("person")
            and not speaker.addressed(reading.card("person"))
            and reading.card("person") in HONORED
        ):
            please = {
                "반말": ("드려.", "드릴래?", "드리면 좋겠어."),
                "해요체": ("드리세요.", "드리실래요?", "드리면 좋겠어요."),
                "합쇼체": ("드리세요.", "드리시겠습니까?", "드리시면 좋겠습니다."),
            }[level]
        return [_sentence([*short, please[0]]), _sentence([*want, please[1]]), _sentence([*want, please[2]])]
    need = particle(_joined(reading, level), "이")
    need = {"이거가": "이게", "다른 거가": "다른 게"}.get(need, need)
    have = {"반말": "있어?", "해요체": "있어요?", "합쇼체": "있습니까?"}[level]
    needs = {"반말": "필요해.", "해요체": "필요해요.", "합쇼체": "필요합니다."}[level]
    first = "부탁드립니다." if level == "합쇼체" else please[0]
    second = (have, please[1], please[1])[speaker.clock]
    return [_sentence([*short, first]), _sentence([*short, second]), _sentence([need, needs])]


def _joined(reading: Reading, level: str) -> str:
    words = [_word(card, level) for role, card, _ in reading.parts if role == "object"]
    return words[0] if len(words) == 1 else f"{particle(words[0], '이랑')} {words[1]}"


def copula(noun: str, level: str, ending: str = ".") -> str:
    """The noun with the copula: 사과예요, 물이야, 집입니다."""
    closed = (ord(noun[-1]) - 0xAC00) % 28
    if level == "합쇼체":
        return noun + ("입니까?" if ending == "?" else "입니다.")
    return noun + ({"반말": "이야", "해요체": "이에요"} if closed else {"반말": "야", "해요체": "예요"})[level] + ending


def _say_named(reading: Reading, speaker: _Speaker) -> list[str]:
    level = speaker.level
    noun = reading.parts[0][1]
    if reading.kind == "name":
        here = reading.predicate
        if here == "여기":
            return [
                _sentence([w, copula(noun, level, m)]) for w, m in (("여기", "."), ("여기가", "?"), ("여기는", "."))
            ]
        plain = "이것은" if level == "합쇼체" else "이거"
        return [
            _sentence([w, copula(noun, level, m)])
            for w, m in ((plain, "."), ("이게" if level != "합쇼체" else "이것이", "?"), ("이건", "."))
        ]
    lead = {"반말": "그게 아니야,", "해요체": "그게 아니에요,", "합쇼체": "그게 아닙니다,"}[level]
    return [
        _sentence([lead, copula(noun, level)]),
        _sentence(["그게 아니라", copula(noun, level)]),
        _sentence(["그게 아니고", copula(noun, level)]),
    ]


def _say_where(reading: Reading, speaker: _Speaker) -> list[str]:
    level, card = speaker.level, reading.predicate
    word = _name(card)
    if card == "여기":
        return {
            "반말": ["여기 어디야?", "여기가 어디야?", "여기가 어딘지 알려 줘."],
            "해요체": ["여기 어디예요?", "여기가 어디예요?", "여기가 어딘지 알려 주세요."],
            "합쇼체": ["여기가 어디입니까?", "여기는 어디입니까?", "여기가 어딘지 알려 주시겠습니까?"],
        }[level]
    respect = card in HONORED
    be = {
        "반말": ("있어", "있는지 알아"),
        "해요체": ("있어요", "있는지 알아요"),
        "합쇼체": ("있습니까", "있는지 아십니까"),
    }[level]
    if respect:
        be = {
            "반말": ("계셔", "계신지 알아"),
            "해요체": ("계세요", "계신지 알아요"),
            "합쇼체": ("계십니까", "계신지 아십니까"),
        }[level]
    if level == "해요체" and speaker.respectful:
        be = (be[0], be[1].replace("알아요", "아세요"))
    ask = {"반말": "알려 줘.", "해요체": "알려 주세요.", "합쇼체": "알려 주시겠습니까?"}[level]
    third = f"{be[1]}?" if speaker.clock == 1 else f"{be[1].split()[0]} {ask}"
    first = (
        copula("어디", level, "?")
        if lookup(card) and lookup(card).pos == "place" and speaker.clock != 2
        else f"어디 {be[0]}?"
    )
    return [
        _sentence([particle(word, "이") if level == "합쇼체" else word, first]),
        _sentence([particle(word, "이"), "어디에", f"{be[0]}?"]),
        _sentence([particle(word, "이"), "어디", third]),
    ]


@lru_cache(maxsize=1)
def phrases() -> dict[str, dict[str, list[str]]]:
    """Reviewed triples: {card: {level: three sentences}}; a person is written {p}."""
    return json.loads(PHRASES_FILE.read_text(encoding="utf-8"))


def _say_greeting(reading: Reading, speaker: _Speaker) -> list[str]:
    person = _name(reading.card("person"))
    # A formula to an elder or a professional stays polite even where one speaks 반말 to the listener.
    elder = reading.card("person") in ("선생님", "의사", "간호사") or reading.predicate == "안녕"
    level = "해요체" if person and elder and speaker.level == "반말" else speaker.level
    formula = phrases()[reading.predicate][level]
    if reading.card("object"):
        formula = {
            "반말": ["생일 축하해.", "생일 정말 축하해.", "생일을 축하해."],
            "해요체": ["생일 축하해요.", "생일 정말 축하해요.", "생일을 축하해요."],
            "합쇼체": ["생일 축하합니다.", "생일을 축하드립니다.", "생일 진심으로 축하드립니다."],
        }[level]
    if not person:
        return list(formula)
    first = formula[0].rstrip(".!?")
    return [f"{person}, {formula[0]}", f"{first}, {person}.", f"{person}, {formula[1]}"]


def _say_help(reading: Reading, speaker: _Speaker) -> list[str]:
    level = speaker.level
    person = _name(reading.card("person"))
    call = [f"{person},"] if person else []
    if not reading.predicate:
        noun = reading.card("object")
        tail = {
            "반말": ("도와줘.", "좀 도와줄래?", "도와주면 좋겠어."),
            "해요체": ("도와주세요.", "좀 도와주실래요?", "도와주시면 좋겠어요."),
            "합쇼체": ("도와주세요.", "좀 도와주시겠습니까?", "도와주시면 좋겠습니다."),
        }[level]
        return [
            _sentence([*call, noun, tail[0]]),
            _sentence([*call, noun, tail[1]]),
            _sentence([*call, particle(noun, "을"), tail[2]]),
        ]
    _, stem, tag = _stem(reading.frame, speaker)
    words = [
        particle(_word(card, level), "" if speaker.length == 0 and josa == "을" else josa)
        for role, card, josa in reading.parts
        if role != "person"
    ]
    words = [{"이거를": "이거", "여기에": "여기"}.get(w, w) for w in words]
    return [_sentence([*call, *words, _conjugate(stem, tag, name, level)]) for name in ("help", "help?", "helphope")]


def _say_small(reading: Reading, speaker: _Speaker) -> list[str]:
    """Weather, birthdays and the questions that name a thing."""
    level = speaker.level
    if reading.kind == "weather":
        noun, verb = {"비": ("비", "오"), "바람": ("바람", "불")}[reading.predicate]
        time = reading.card("time")
        lead, after = ([time], []) if time in ("오늘", "지금", "여기") else ([], [time])
        return [
            _sentence([*lead, particle(noun, "이"), *after, _conjugate(verb, "VV", n, level)])
            for n in ("plain", "plain?", "see3")
        ]
    if reading.kind == "birthday":
        time, person = reading.card("time"), reading.card("person")
        lead = [time] if time else []
        topic = [particle(time, "은")] if time else []
        who = [person] if person else []
        return [
            _sentence([*lead, *who, copula("생일", level)]),
            _sentence([*lead, *who, copula("생일", level, "?")]),
            _sentence([*topic, *who, copula("생일", level)])
            if time
            else _sentence([person + "의", copula("생일", level)]),
        ]
    return list(phrases()[f"{reading.predicate} {reading.question}"][level])


def _say_single(keyword: str, speaker: _Speaker) -> list[str]:
    """A card alone that no predicate completes: the reviewed triple, or its name."""
    level = speaker.level
    if triple := phrases().get(keyword):
        return list(triple[level])
    entry = lookup(keyword)
    if entry and entry.category == "person":
        word, respect = _name(keyword), keyword in HONORED
        where = {
            "반말": "어디 계셔?" if respect else "어디 있어?",
            "해요체": "어디 계세요?" if respect else "어디 있어요?",
            "합쇼체": "어디 계십니까?" if respect else "어디 있습니까?",
        }[level]
        return [
            f"{word}!" if speaker.addressed(keyword) else copula(word, level),
            _sentence([word, where]),
            _sentence([particle(word, "을"), _conjugate("보", "VV", "want", level)]),
        ]
    if keyword.endswith("다") and entry:
        return _bare_predicate(keyword, speaker)
    look = {"반말": "좀 봐 줘.", "해요체": "좀 봐 주세요.", "합쇼체": "좀 봐 주시겠습니까?"}[level]
    mean = copula("말", level)
    return [copula(keyword, level), _sentence([keyword, look]), _sentence([keyword, mean])]


def _bare_predicate(keyword: str, speaker: _Speaker) -> list[str]:
    frame = frames()[keyword]
    if frame.kind == "act":
        return _say_act(Reading("act", keyword), speaker)
    if frame.kind == "quality":
        names = ("plain", "plain?", "oh")
        return [_sentence([_quality(frame.stem, frame.tag, n, speaker.level)]) for n in names]
    return _fallback((keyword,), speaker)


_SAY = {
    "act": _say_act,
    "other": _say_other,
    "state": _say_state,
    "quality": _say_quality,
    "love": _say_verbal,
    "unknown": _say_verbal,
    "wish": _say_verbal,
    "give": _say_give,
    "name": _say_named,
    "correct": _say_named,
    "where": _say_where,
    "greeting": _say_greeting,
    "help": _say_help,
    "weather": _say_small,
    "birthday": _say_small,
    "which": _say_small,
}


def interpret(keywords: list[str], persona: Persona, context: Context, rng: random.Random | None = None) -> list[str]:
    """Three distinct sentences for any cards, in the order of the styles.

    The same arguments give the same sentences. Cards that the table does not join, or does not know, are named one
    by one in a form that is grammatical for any word. `rng` is accepted for teachers that draw; this one does not.
    """
    del rng
    cards = tuple(dict.fromkeys(keywords))
    speaker = _Speaker(persona, context, cards)
    reading = read(frozenset(cards))
    if reading is None:
        said = _fallback(cards, speaker)
    elif reading.kind == "single":
        said = _say_single(cards[0], speaker)
    else:
        said = _SAY[reading.kind](reading, speaker)
    if reading is not None and reading.prefix:
        yes, no = ("응", "아니") if speaker.level == "반말" else ("네", "아니요")
        said = [f"{yes if reading.prefix == '네' else no}, {sentence}" for sentence in said]
    return said if len(set(said)) == len(said) else _distinct(said, cards, speaker)


def _distinct(said: list[str], cards: tuple[str, ...], speaker: _Speaker) -> list[str]:
    spare = _fallback(cards, speaker)
    result: list[str] = []
    for sentence, other in zip(said, spare, strict=True):
        result.append(other if sentence in result else sentence)
    return result


def _fallback(cards: tuple[str, ...], speaker: _Speaker) -> list[str]:
    """Any cards at all: each is named as it stands."""
    listed = ", ".join(cards)
    ends = {
        "반말": ("이 말이야.", "이거 말하고 싶어.", "이 말 알겠어?"),
        "해요체": ("이 말이에요.", "이걸 말하고 싶어요.", "이 말 아시겠어요?"),
        "합쇼체": ("이 말입니다.", "이것을 말하고 싶습니다.", "이 말 아시겠습니까?"),
    }[speaker.level]
    first, third = (ends[0], ends[1])
    return [f"{listed}, {first}", f"{listed}, {ends[2]}", f"{listed}, {third}"]
