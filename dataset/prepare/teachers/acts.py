"""What one does, wants to do, did or cannot do, and what another person does."""

from __future__ import annotations

from aac.korean import join
from dataset.prepare.teachers.endings import conjugate, particle, sentence
from dataset.prepare.teachers.frames import frames, link
from dataset.prepare.teachers.questions import say_question
from dataset.prepare.teachers.speaker import HONORED, Said, Speaker, before_predicate, me, spoken, stem_of
from dataset.prepare.teachers.utterance import FUTURE, Reading

_MEDICINE = {"want": "will", "rae": "will", "muse": "plan"}
_STAYS = frozenset({"여기", "침대", "의자"})
# To whom one proposes what to do, instead of asking for leave.
_PEERS = frozenset({"친구", "배우자", "형제", "동생", "자녀·손주"})
_STAYING = frozenset({"가다", "오다", "앉다", "눕다", "일어나다", "만나다"})
_NOT_BACK = frozenset({"기다리다", "가다", "여행가다", "찾다", "사다"})


def say_act(reading: Reading, speaker: Speaker) -> list[str]:
    """One's own deed: a wish or plan before it, its course, its past."""
    if reading.question:
        return say_question(reading, speaker)
    if reading.mood:
        return say_mood(reading, speaker)
    if reading.speaker == "너":
        return _say_you(reading, speaker)
    said = before_predicate(reading, speaker)
    return [
        _called(
            reading,
            [*me(reading, speaker, "이" if style == 1 else "은"), *before_words(reading, style)],
            said,
            _own(reading, speaker, name),
        )
        for style, name in enumerate(_names(reading, speaker))
    ]


def _called(reading: Reading, lead: list[str], said: list[Said], verb: str, fuse: bool = False) -> str:
    """The sentence with a call before everything else: 엄마, 씻고 밥을 먹을래."""
    calls = [part.text for part in said if part.role == "call"]
    return spoken(reading, [*calls, *lead], [part for part in said if part.role != "call"], verb, fuse)


def _own(reading: Reading, speaker: Speaker, name: str) -> str:
    """The predicate under an ending; what is asked of the partner honours them."""
    frame, respect = reading.frame, speaker.respectful and name in ("past?", "want?")
    if respect and frame.honorific:
        # 드시다 holds its -시- already: 드셨어요, 드실래요.
        return conjugate(frame.honorific.removesuffix("시"), frame.tag, name, speaker.level, honorific=True)
    _, stem, tag = stem_of(reading, speaker)
    if name == "want?" and not respect and speaker.level == "해요체":
        return join(((stem, tag), ("을래요", "EF"))) + "?"
    return conjugate(stem, tag, name, speaker.level, respect)


def _names(reading: Reading, speaker: Speaker) -> tuple[str, str, str]:
    """The endings of the three styles, by the phase of the activity."""
    phase, time, adverb = speaker.phase, reading.card("time"), reading.card("adverb")
    began = time == "지금" and phase == "뒤"
    later = bool(time) and time != "지금" and phase == "중"
    if time in FUTURE or adverb in ("더", "빨리") or reading.frame.instant or reading.before or began or later:
        phase = "전"
    names = {"전": _ahead, "중": _now, "뒤": _past}[phase](reading, speaker)
    if reading.predicate == "찾다" and "rae" in names:
        names = tuple(("plan" if "plan" not in names else "will") if name == "rae" else name for name in names)
    if "약" not in reading.cards("object"):
        return names
    first, asks, third = (_MEDICINE.get(name, name) for name in names)
    asks = "plan" if asks == first else asks
    return first, asks, third if third not in (first, asks) else "rae"


def _past(reading: Reading, speaker: Speaker) -> tuple[str, str, str]:
    level, place = speaker.level, reading.card("place")
    asked = not (reading.answers or reading.speaker or reading.card("adverb") or reading.card("time") or place)
    asked = asked and (not reading.card("person") or speaker.addressed(reading.card("person")))
    if reading.frame.stem == "가":
        second = "past?" if asked else "back"
        third = "had" if level != "합쇼체" and not (asked and speaker.age) else "back"
        return "past", second, "had" if third == second else third
    own = bool(reading.answers or reading.speaker)
    named = not reading.frame.needs or bool(reading.cards("object"))
    back = named and reading.predicate not in _NOT_BACK and place not in _STAYS
    second = "past?" if asked or not (back or own) else "came" if back else "was"
    if level == "합쇼체" or second == "was":
        return "past", second, "way" if second == "came" else "came" if back else "since" if own else "was"
    if second == "came" and place:
        return "past", second, "way"
    return "past", second, "since" if second == "came" or not back else ("since", "came")[speaker.age]


def _now(reading: Reading, speaker: Speaker) -> tuple[str, str, str]:
    asks = _asks(reading, speaker)
    if speaker.level == "합쇼체" or speaker.length != 1:
        return "now", asks, "course"
    return "course", asks, "nowyou"


def _ahead(reading: Reading, speaker: Speaker) -> tuple[str, str, str]:
    adverb, asks = reading.card("adverb"), _asks(reading, speaker)
    first = (("rae", "want", "ge"), ("want", "will", "rae"), ("plan", "want", "will"))[speaker.length][speaker.clock]
    third = (("hope", "will"), ("hope", "plan"), ("muse", "hope"))[speaker.length][speaker.age]
    if third == "muse" and (reading.card("time") not in FUTURE or reading.frame.instant):
        third = "hope"
    if third == "hope" and not _shared(reading, speaker):
        third = "will" if first == "want" and asks == "want?" else "rae" if first == "want" else "want"
    if (adverb in ("더", "빨리", "많이", "같이") and first == "ge") or (first == "rae" and asks == "want?"):
        first = "want"
    if adverb == "빨리" and third in ("plan", "will"):
        third = "rae" if asks != "want?" else "want"
    if third == first:
        third = "want" if first != "want" else "plan"
    if asks in (first, third):
        asks = next(name for name in ("plan", "want", "will") if name not in (first, third))
    return first, asks, third


def _shared(reading: Reading, speaker: Speaker) -> bool:
    """Whether one hopes for a deed (-았으면 좋겠다) instead of just doing it: another has a part in it, and not now."""
    person = reading.card("person")
    companion = bool(person) and reading.frame.role == "이랑" and not speaker.addressed(person)
    joined = companion or reading.card("adverb") == "같이" or reading.predicate == "만나다"
    return joined and reading.card("time") != "지금"


def _asks(reading: Reading, speaker: Speaker) -> str:
    """The second style: leave for the deed, the deed as a favour, or an invitation."""
    person, adverb = reading.card("person"), reading.card("adverb")
    if reading.answers:
        return "will"  # 네 answers: no question follows it
    partner = speaker.addressed(person) and reading.frame.role == "이랑"
    if partner or (adverb == "같이" and not person):
        return "shall?" if speaker.clock == 1 and speaker.level != "합쇼체" else "want?"
    waits = reading.predicate == "기다리다" and reading.card("object")  # for the bus: no favour
    alone = person or reading.speaker or adverb == "혼자" or reading.card("time") == "주말" or waits
    if reading.frame.ask and not alone:
        return ("please?", "would?", "please?")[speaker.clock]
    if reading.predicate == "보다" and person:
        return "can"
    if reading.predicate == "찾다":
        return "can" if speaker.level == "합쇼체" else "could"
    if adverb == "빨리":
        return "can"
    invites = speaker.kind in _PEERS and "같이" in reading.frame.adverbs and "약" not in reading.cards("object")
    if invites and not (alone or reading.before or reading.cause):
        return "shall?" if speaker.clock == 1 else "want?"
    allowed = reading.frame.instant or reading.predicate == "청소하다"
    leave = ("may", "might") * 2 if allowed else ("may", "might", "can", "could")
    return leave[(speaker.clock + speaker.age) % 4]


def before_words(reading: Reading, style: int) -> list[str]:
    """The deed or state that leads to this one: 씻고, 배고파서."""
    if not reading.before:
        return []
    frame = frames()[reading.before]
    said = [particle(card, "" if card == "여기" else josa) for role, card, josa in reading.parts if role == "before"]
    own = (
        "어서"
        if reading.before in _STAYING
        else "고"
        if frame.kind in ("act", "other")
        else ("어서", "은데", "으니까")[style]
    )
    connective = link(reading.before, reading.predicate) or own
    return [*said, join(((frame.words, frame.tag), (connective, "EC")))]


def _say_you(reading: Reading, speaker: Speaker) -> list[str]:
    """너 with a deed: with you, would you, if it could be with you."""
    frame, you, level = reading.frame, speaker.you(), speaker.level
    _, stem, tag = stem_of(reading, speaker)
    respect = level != "반말" and you != "너"
    own = frame.honorific.removesuffix("시") if frame.honorific and respect else stem
    said = before_predicate(reading, speaker)
    leads = (
        [particle(you, "이랑"), you + ("" if you == "너" else ","), particle(you, "이랑")] if you else ["저기요,"] * 3
    )
    verbs = [
        conjugate(stem, tag, ("want", "rae", "want")[speaker.clock], level),
        conjugate(own, tag, "want?", level, respect),
        conjugate(stem, tag, "couldhope", level),
    ]
    return [spoken(reading, [lead], said, verb) for lead, verb in zip(leads, verbs, strict=True)]


def _moods(reading: Reading, speaker: Speaker) -> tuple[tuple[str, str], ...]:
    """(negation, ending) of the three styles of a mood."""
    past = speaker.phase == "뒤" and reading.card("time") not in FUTURE | {"지금"} and not reading.frame.instant
    formal, clock = speaker.level == "합쇼체", speaker.clock
    if reading.mood == "안" and past:
        return ("안", "past"), ("", "didnot"), ("", "hardly") if formal else ("안", "since")
    if reading.mood == "못" and past:
        return ("못", "past"), ("", "failed"), ("", "couldnot")
    if reading.mood == "안" and reading.frame.kind == "other" and reading.card("person"):
        return ("안", "plain"), ("", "not"), ("안", "telling")  # nobody knows what another wants
    cannot = "plain" if reading.predicate == "보다" or (clock == 1 and not reading.card("time")) else "fail"
    asks = ("please?", "would?", "please?")[clock]
    return {
        "안": (("안", "fail" if formal else ("rae", "plan", "rae")[clock]), ("", "wantnot"), ("안", "will")),
        "못": (("못", cannot), ("", "cannot"), ("못", "likely")),
        "그만": (("그만", "rae"), ("그만", ("may", "might", "may")[clock]), ("그만", ("want", "will")[speaker.age])),
        "말다": (("", "dont"), ("", "donot"), ("", "hopenot")),
        "싫다": (("", "hate"), ("", "hateit"), ("", "hatebut")),
        "좋다": (("", "like"), ("", "like?"), ("", "liked")),
        "싶다": (("", "want"), ("", "wish?"), ("", "wish")),
        "주다": (("", "please"), ("", asks), ("", "hopeyou")),
        "있다": (("", "able"), ("", "can"), ("", "ablelikely")),
        "없다": (("", "cannot"), ("", "unablebut"), ("", "unablelikely")),
        "게": (("", "let"), ("", "let?"), ("", "lethope")),
    }[reading.mood]


def say_mood(reading: Reading, speaker: Speaker) -> list[str]:
    """A deed under what another card does to it: 안, 못, 그만, 싫다, 싶다 …"""
    said = before_predicate(reading, speaker)
    sentences = []
    for negation, name in _moods(reading, speaker):
        ahead, stem, tag = stem_of(reading, speaker, negation)
        verb = " ".join([*ahead, conjugate(stem, tag, name, speaker.level)])
        lead = [*me(reading, speaker), *before_words(reading, len(sentences))]
        sentences.append(_called(reading, lead, said, verb, fuse=reading.mood in ("좋다", "싫다", "말다", "게")))
    return sentences


def say_other(reading: Reading, speaker: Speaker) -> list[str]:
    """오다, 울다, 웃다: the deed of another person; where nobody is named, asked of the partner or one's own."""
    if reading.question:
        return say_question(reading, speaker)
    if reading.mood:
        return say_mood(reading, speaker)
    person, time, level, stem = reading.card("person"), reading.card("time"), speaker.level, reading.frame.stem
    past = speaker.phase == "뒤" and time not in FUTURE | {"지금"}
    josa = {"place": "로"} if not person and reading.predicate == "오다" else {}
    words = [said.text + ("로" if said.text == "여기" and josa else "") for said in
             before_predicate(reading, speaker, josa)]  # fmt: skip
    names = ("now", "now?", "see")
    if not person and reading.predicate == "오다":
        names = ("please", "please?", "hopeyou")
    elif not person:
        names = ("past", "want", "now" if level == "합쇼체" else "since") if past else ("want", "may", "likely")
    elif time in FUTURE or (time not in ("", "지금") and not past):
        names = ("plain", "plain?", "likely")
    elif past or (time == "오늘" and reading.predicate != "오다"):
        names = ("past", "past?", "ended")
    return [sentence([*words, conjugate(stem, "VV", name, level, person in HONORED)]) for name in names]
