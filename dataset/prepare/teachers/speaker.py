"""Who speaks to whom, what the context asks of the form, and the words before the predicate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from aac import rules
from aac.persona import LENGTHS, Context, Persona
from aac.register import INTIMATE, levels, partner_class
from aac.verbs import UNWISHED
from dataset.prepare.teachers.contexts import phase_of
from dataset.prepare.teachers.endings import particle, sentence
from dataset.prepare.teachers.frames import frames, group
from dataset.prepare.teachers.utterance import Reading

HONORED = group("honored")
TITLES = {"의사": "의사 선생님", "간호사": "간호사님", "요리사": "요리사님"}
# Of whom one speaks with -시-, save in plain speech.
ELDERS = frozenset({"엄마", "아빠", "이모", "삼촌"})
_KIN = frozenset({"엄마·아빠", "부모님", "조부모", "상사", "형제"})
# By what one says to whom: no title for strangers, 여보 for one's spouse, 사장님 across a counter.
_ADDRESS = {
    "배우자": "여보",
    "자녀·손주": "너",
    "동생": "너",
    "친구": "너",
    "낯선 사람": "",
    "미상": "",
    "점원·직원": "사장님",
}
# A person card and the partners that it names.
_SAME = {
    "형": ("형", "오빠", "큰형", "작은형"), "누나": ("누나", "언니", "큰누나"),
    "동생": ("동생", "여동생", "남동생", "막냇동생"),
    "친구": ("친구", "짝꿍", "단짝"), "아기": ("아기",),
}  # fmt: skip
_UNTITLED = frozenset({"상사", "부모", "조부모"})
_CALLED = frozenset({"act", "give", "help", "state", "told"})
# Short speech keeps 에 where the place would read as an object.
_KEEPS_JOSA = frozenset({"침대", "의자", "집"})
_UNFUSED = frozenset({"이거", "다른 것", "퍼즐", "컴퓨터", "배드민턴"})


class Said(NamedTuple):
    """A spoken word and the card and role behind it; a person who is called has the role "call"."""

    role: str
    card: str
    text: str


class Speaker:
    """Who speaks to whom.

    Attributes:
        level: the speech level that the partner and the age ask for.
        phase: 전, 중 or 뒤, where the activity stands.
        length: 0 (short), 1, 2 (detailed).
        clock: 0 morning or unknown, 1 noon and afternoon, 2 evening and night.
        age: 0 for children and elders, 1 for the others; chooses between equal forms.
    """

    def __init__(self, persona: Persona, context: Context) -> None:
        self.partner = context.interaction_partner
        self.level = levels(self.partner, persona.age, persona.speech_level)[0]
        self.kind = partner_class(self.partner)
        self.phase = phase_of(context.current_activity)
        self.length = LENGTHS.index(persona.utterance_length or "보통")
        self.age = 0 if persona.age in ("아동", "노인") else 1
        self.clock = _clock(context.time)

    @property
    def respectful(self) -> bool:
        """Whether the partner's own deeds take -시-."""
        return self.level == "합쇼체" or (self.level == "해요체" and self.kind not in INTIMATE)

    def you(self) -> str:
        """The partner as one addresses them: never 당신, 너 for whom one says 너 to, and nothing for a stranger."""
        last = self.partner.split()[-1] if self.partner else ""
        if self.kind in _ADDRESS:
            return _ADDRESS[self.kind]
        if self.kind in _KIN or last in ("간호사님", "약사님", "코치님"):
            return last if last not in _UNTITLED else f"{last}님"
        return "선생님"

    def addressed(self, person: str) -> bool:
        """Whether a person card names the partner who listens."""
        if not self.partner or not person or person == "가족":
            return False
        if person in _SAME:
            return self.partner.split()[-1] in _SAME[person]
        teacher = person in ("선생님", "의사") and self.partner.endswith("선생님")
        named = self.partner.split()[-1].startswith(title(person))
        return named or (teacher and (person == "의사") == ("의사" in self.partner))

    def word(self, card: str) -> str:
        """A card as this speaker says it; 너 is the partner's title."""
        return self.you() or "저기요" if card == "너" else word(card, self.level)

    def call(self, person: str) -> str:
        """A partner as one calls them, by the word that stands on the card: 친구야, 동생아, 의사 선생님."""
        last = self.partner.split()[-1] if self.partner else ""
        if person in ("형", "누나") and last in _SAME[person]:
            return last  # 오빠 is what a sister calls a 형
        return {"친구": "친구야", "동생": "동생아", "아기": "아기야"}.get(person, title(person))


def _clock(time: str) -> int:
    return 1 if re.search("점심|낮|오후", time) else 2 if re.search("저녁|밤", time) else 0


def title(card: str) -> str:
    """A person card as one speaks of the person: 의사 선생님, 간호사님."""
    return TITLES.get(card, rules.spoken(card))


def word(card: str, level: str) -> str:
    """A card as it is spoken: 다른 거 but 다른 것 in formal speech."""
    if card == "나":
        return "나" if level == "반말" else "저"
    spoken = {"이거": "이것"} if level == "합쇼체" else {"다른 것": "다른 거"}
    return spoken.get(card, title(card))


def me(reading: Reading, speaker: Speaker, josa: str = "은") -> list[str]:
    """나 as the subject, where that card is chosen (저는, 제가); 너 is called."""
    if reading.speaker == "너":
        return [f"{speaker.word('너')},"]
    return [particle(word("나", speaker.level), josa)] if reading.speaker == "나" else []


def before_predicate(reading: Reading, speaker: Speaker, josa_of: dict[str, str] | None = None) -> list[Said]:
    """The words before the predicate, in order; a person who is the partner is called instead of told about.

    Args:
        josa_of: other josa than the reading's, by role.
    """
    said, calls = [], []
    objects = reading.cards("object")
    for role, card, own in reading.parts:
        josa = (josa_of or {}).get(role, own)
        if role == "before":
            continue
        feared = role == "object" and reading.kind == "state" and speaker.addressed(card)
        if role == "call" or feared or (role == "person" and _is_call(reading, speaker, card, josa)):
            calls.append(Said("call", card, f"{speaker.call(card)},"))
        elif role == "object" and len(objects) == 2 and card == objects[0]:
            said.append(Said(role, card, particle(word(card, speaker.level), "이랑")))
        elif card == "여기":
            here = {"에서": "여기서", "이": "여기가" if speaker.length else "여기"}
            said.append(Said(role, card, here.get(josa, "여기")))
        else:
            spoken = speaker.word(card) if role == "object" or card in ("나", "너") else title(card)
            # 기차 안 타 would be read as inside the train.
            short = reading.mood != "안" and _drops(role, josa, speaker, card)
            said.append(Said(role, card, spoken if short else particle(spoken, josa)))
    frame = reading.own or frames().get(reading.predicate)
    if frame and frame.lead:
        said.append(Said("verb", "", frame.lead))
    return [*calls, *said]


def _is_call(reading: Reading, speaker: Speaker, card: str, josa: str) -> bool:
    return (
        reading.kind in _CALLED
        and (josa in ("이랑", "한테", "") or reading.kind == "state" or reading.frame.kind == "body")
        and speaker.addressed(card)
    )


def _drops(role: str, josa: str, speaker: Speaker, card: str) -> bool:
    """Short speech leaves 을 and the 에 of a goal out, formal speech nothing."""
    if speaker.length or speaker.level == "합쇼체":
        return False
    return (role == "object" and josa == "을") or (role == "place" and josa == "에" and card not in _KEEPS_JOSA)


def stem_of(reading: Reading, speaker: Speaker, negation: str = "") -> tuple[list[str], str, str]:
    """Words right before the stem, the stem, its tag: under 안, 청소하다 is 청소를 안 하다."""
    frame = reading.frame
    noun = frame.noun if speaker.length == 0 and speaker.level != "합쇼체" else particle(frame.noun or "것", "을")
    if frame.stem == "하" and negation == "그만":
        return [noun] if frame.noun else [], "그만하", "VV"
    if frame.noun and negation:  # 숨 안 막혀요: what happens to one is no object
        return [frame.noun if frame.kind in UNWISHED else noun, negation], frame.stem, frame.tag
    return ([negation] if negation else []), frame.noun + frame.stem, frame.tag


def spoken(reading: Reading, lead: Sequence[str], said: Sequence[Said], verb: str, fuse: bool = False) -> str:
    """The sentence of a lead, the words before the predicate, and the predicate.

    숙제 + 하다 without josa, or where `fuse` asks for it, is one word: 숙제할래요.
    """
    words = [part.text for part in said]
    last = said[-1] if said else None
    deed = last and reading.predicate == "하다" and last.role == "object" and last.card not in _UNFUSED
    if deed and (fuse or last.text == last.card) and verb[0] in "하할해합한했":
        return sentence([*lead, *words[:-1], last.card + verb])
    return sentence([*lead, *words, verb])
