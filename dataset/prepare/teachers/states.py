"""How one is (아프다, 슬프다), how a thing is (맛있다, 좋다, 있다), and 사랑하다, 모르다, 원하다."""

from __future__ import annotations

from aac.korean import join
from dataset.prepare.teachers.endings import conjugate, copula, particle, sentence
from dataset.prepare.teachers.questions import say_question
from dataset.prepare.teachers.speaker import ELDERS, HONORED, Speaker, before_predicate, me, title, word
from dataset.prepare.teachers.utterance import FEELINGS, Reading, category

_AFTER = frozenset({"맛있다", "재미있다", "시끄럽다"})
_WISH_VERBS = {"food": "먹", "fruit": "먹", "drink": "마시"}


def say_state(reading: Reading, speaker: Speaker) -> list[str]:
    """A state of body or mind: one's own is told, another's is guessed."""
    if reading.question:
        return say_question(reading, speaker)
    if reading.mood:
        return _say_not(reading, speaker)
    frame, level = reading.frame, speaker.level
    said = before_predicate(reading, speaker)
    words, person = [part.text for part in said], reading.card("person")
    if reading.speaker == "너":
        return _say_yours(reading, speaker)
    if person and not speaker.addressed(person):
        names = ("guessed", "past?", "seem") if frame.instant else ("guess", "plain?", "seem")
        respect = person in HONORED or (person in ELDERS and level != "반말")
        guess, doubt, seem = (_state(reading, name, level, respect) for name in names)
        if reading.predicate in FEELINGS and level == "합쇼체" and not respect:  # 동생이 슬퍼합니까?
            doubt = conjugate(join(((frame.stem, frame.tag), ("어", "EC"))) + "하", "VV", "plain?", level)
        return [sentence([*words, verb]) for verb in (guess, doubt, seem)]
    own = [part.text for part in said if part.role != "call"]
    calls = [part.text for part in said if part.role == "call"]
    names = _own_names(reading, speaker)
    return [sentence([*calls, *me(reading, speaker), *own, _state(reading, name, level)]) for name in names]


def _state(reading: Reading, name: str, level: str, honorific: bool = False) -> str:
    return conjugate(reading.frame.stem, reading.frame.tag, name, level, honorific)


def _own_names(reading: Reading, speaker: Speaker) -> tuple[str, str, str]:
    reasoned = any(josa.endswith(("어서", "때문에")) for _, _, josa in reading.parts)
    if reasoned or (reading.cause and reading.cause.clause):  # the reason is told already
        return ("past", "ended", "pastreason") if reading.frame.instant else ("plain", "oh", "trail")
    if reading.frame.instant:
        return "past", "pastreason", "why"
    # Feelings are told as they are; 은데요 would make an excuse of them.
    second = "heart" if reading.predicate in FEELINGS and not reading.speaker else "reason"
    if reading.predicate == "걱정되다":
        second = "trail"
    if speaker.level == "합쇼체" or reading.speaker:
        return "plain", second, "why"
    if speaker.clock == 2 or reading.predicate in FEELINGS:
        return "plain", *(("oh", "why"), ("why", "oh"))[speaker.clock % 2]
    return "plain", second, "oh" if speaker.clock == 1 else "why"


def _say_yours(reading: Reading, speaker: Speaker) -> list[str]:
    """너 with a state: seen, asked, supposed."""
    level, you = speaker.level, speaker.you()
    respect = level != "반말" and you != "너"
    instant = reading.frame.instant
    names = ("guessed" if instant else "guess", "past?" if instant else "plain?", "seem")
    leads = (you, you if you == "너" else f"{you},", particle(you, "이")) if you else ("저기요,",) * 3
    return [sentence([lead, _state(reading, name, level, respect)]) for lead, name in zip(leads, names, strict=True)]


def _say_not(reading: Reading, speaker: Speaker) -> list[str]:
    """안 over a state or a quality; 안 맛있다 is said as 맛있지 않다."""
    level, stem = speaker.level, reading.frame.stem
    words = [*me(reading, speaker), *(said.text for said in before_predicate(reading, speaker))]
    if stem.endswith("있"):
        return [sentence([*words, _state(reading, name, level)]) for name in ("not", "notbut", "notat")]
    third = [_state(reading, "notbut", level)] if level == "합쇼체" else ["안", _state(reading, "trail", level)]
    return [
        sentence([*words, "안", _state(reading, "plain", level)]),
        sentence([*words, _state(reading, "not", level)]),
        sentence([*words, *third]),
    ]


def say_quality(reading: Reading, speaker: Speaker) -> list[str]:
    """How a thing, a place or a person is."""
    if reading.question:
        return say_question(reading, speaker)
    if reading.mood:
        return _say_not(reading, speaker)
    if reading.predicate in ("좋다", "싫다"):
        return _say_liking(reading, speaker)
    if reading.predicate in ("있다", "없다"):
        return _say_having(reading, speaker)
    words = [[*me(reading, speaker), *_words(reading, speaker)]] * 3
    if reading.answers:  # 네, 치즈가 맛있어요 / 네, 치즈는 맛있어요.
        words[2] = [part.text for part in before_predicate(reading, speaker, {"object": "은", "person": "은"})]
    names = _quality_names(reading, speaker)
    return [sentence([*said, _state(reading, name, speaker.level)]) for said, name in zip(words, names, strict=True)]


def _quality_names(reading: Reading, speaker: Speaker) -> tuple[str, str, str]:
    if reading.predicate == "끝" and (reading.answers or reading.speaker):
        return "past", "seem", "finished"
    if reading.predicate == "끝":
        return "past", "past?", "ended"
    if speaker.phase == "뒤" and reading.predicate in _AFTER:
        return ("past", "seemed", "past") if reading.answers else ("past", "past?", "seemed")
    if reading.answers:
        return "plain", "oh", "plain" if reading.parts else "trail"
    if reading.lead or reading.speaker:
        return "plain", "oh", "trail"
    if reading.card("adverb"):
        return "plain", "oh", "think"
    return "plain", "plain?", "oh"


def _words(reading: Reading, speaker: Speaker) -> list[str]:
    """The words before the predicate; short speech leaves the josa of a thing out: 물 뜨거워."""
    said = before_predicate(reading, speaker)
    if speaker.length or speaker.level == "합쇼체":
        return [part.text for part in said]
    return [word(part.card, speaker.level) if part.role == "object" else part.text for part in said]


def _say_liking(reading: Reading, speaker: Speaker) -> list[str]:
    """좋다, 싫다: the thing pleases, one likes it, what one likes is the thing."""
    level, frame = speaker.level, reading.frame
    subject = me(reading, speaker)
    verb = "좋아하" if reading.predicate == "좋다" else "싫어하"
    cards = [card for _, card, _ in reading.parts]
    thing = speaker.word(cards[0]) if cards else ""
    fond = [*subject, *([_as_object(thing, level)] if thing else [])]
    plain = sentence([*subject, *_words(reading, speaker), _state(reading, "plain", level)])
    third = sentence([*fond, conjugate(verb, "VV", "plain", level)])
    if cards == ["여기"] or not cards:
        second = sentence([*subject, particle(thing, "은") if thing else "", _state(reading, "trail", level)])
    elif frame.stem == "좋" and not (subject or reading.answers):
        second = sentence([*fond, conjugate(verb, "VV", "see?" if speaker.respectful else "plain?", level)])
    elif cards[0] in HONORED or category(cards[0]) == "person":
        second = sentence([*subject, particle(thing, "이"), _state(reading, "trail", level)])
    elif not subject:  # 사과는 좋아요; 바람은 싫은데요
        second = sentence([particle(thing, "은"), _state(reading, "plain" if verb == "좋아하" else "trail", level)])
    else:
        what = verb + "는 건"
        second = sentence([*me(reading, speaker, "이"), what, copula(thing, level)])
    return [plain, second, third]


def _as_object(spoken: str, level: str) -> str:
    return {"이거": "이걸"}.get(spoken, particle(spoken, "을")) if level != "합쇼체" else particle(spoken, "을")


def _say_having(reading: Reading, speaker: Speaker) -> list[str]:
    level, frame, words = speaker.level, reading.frame, _words(reading, speaker)
    has = frame.stem == "있"
    if reading.card("person") in HONORED:
        present = "계시" if has else "안 계시"
        third = "trail" if level == "합쇼체" and not has else "oh"
        names = ("plain", "plain?" if has and not reading.answers else "seem", third)
        return [sentence([*words, conjugate(present, "VV", name, level)]) for name in names]
    if reading.answers or reading.speaker:
        words = [*me(reading, speaker), *words]
        names = ("plain", "oh", "trail") if has else ("plain", "trail", "oh")
        return [sentence([*words, _state(reading, name, level)]) for name in names]
    if has:
        return [sentence([*words, _state(reading, name, level)]) for name in ("plain", "plain?", "oh")]
    topic = [particle(word(card, level), "은") for _, card, _ in reading.parts]
    return [
        sentence([*words, _state(reading, "plain", level)]),
        sentence([*topic, _state(reading, "plain" if level == "합쇼체" else "trail", level)]),
        sentence([*words, _state(reading, "oh", level)]),
    ]


def say_love(reading: Reading, speaker: Speaker) -> list[str]:
    """사랑하다 to the one who listens, or about somebody."""
    level, person = speaker.level, reading.card("person")
    much = ["많이"] if reading.card("adverb") else []
    if not person:
        return [sentence([*much, conjugate("사랑하", "VV", n, level)]) for n in ("plain", "heartful", "saylove")]
    whom, subject = particle(title(person), "을"), me(reading, speaker)
    if speaker.addressed(person):
        call = speaker.call(person) + ","
        leads = (([call, *subject], "plain"), ([*subject, whom], "plain"), ([call, *subject], "saylove"))
        return [sentence([*lead, *much, conjugate("사랑하", "VV", name, level)]) for lead, name in leads]
    second = [particle(word("나", level), "이"), *much, "사랑하는 사람은", copula(title(person), level)]
    return [
        sentence([*subject, whom, *much, conjugate("사랑하", "VV", "plain", level)]),
        sentence(second if subject else [*much, "사랑하는", copula(title(person), level)]),
        sentence([*subject, whom, *much, conjugate("사랑하", "VV", "saylove", level)]),
    ]


def say_unknown(reading: Reading, speaker: Speaker) -> list[str]:
    """모르다: what one does not know."""
    words = [said.text for said in before_predicate(reading, speaker)]
    tails = {
        "반말": ("모르겠어.", "몰라.", "모르겠는데."),
        "해요체": ("모르겠어요.", "몰라요.", "모르겠는데요."),
        "합쇼체": ("모르겠습니다.", "모릅니다.", "모르겠습니다만."),
    }
    return [sentence([*words, tail]) for tail in tails[speaker.level]]


def say_wish(reading: Reading, speaker: Speaker) -> list[str]:
    """원하다 with a thing: one wants it, asks for it, and says what for (먹고 싶어요)."""
    level = speaker.level
    said = before_predicate(reading, speaker)
    words = [part.text for part in said]
    objects = reading.cards("object")
    verb = _WISH_VERBS.get(category(objects[0]) if objects else "", "갖")
    spare = [_as_object(part.text, level) if part.text == "이거" else part.text for part in said]
    return [
        sentence([*spare, conjugate("원하", "VV", "plain", level)]),
        sentence([*words, conjugate(verb, "VV", "wishgive?", level)]),
        sentence([*words, conjugate(verb, "VV", "want", level)]),
    ]
