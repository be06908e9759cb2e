"""What is shown: a candidate, where it comes from, and what may stand where the model's own sentence may not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from aac import gate

if TYPE_CHECKING:
    from train.interpreter.requests import Request
    from train.models.known_cards import CardReading

STYLE_NAMES = ("기본", "다른 기능", "다른 형태")
# What is said of a picture that is none of the known cards: of nothing on it is spoken with confidence.
_STRANGE = ("모르는 카드예요.", "이 그림을 봐 주세요.", "이 그림으로 말하고 싶어요.")
# What can always be said of cards whose words nobody knows.
_WORDLESS = ("이 카드예요.", "이 카드를 봐 주세요.", "이 카드로 말하고 싶어요.")


class Source(StrEnum):
    """Who wrote a candidate: its name in files, its Korean one for people, whether the model speaks."""

    korean: str
    from_model: bool

    MODEL = "model", "모델의 문장", True
    MENDED = "model, ending mended", "받침에 맞게 고친 문장", True
    AGAIN = "model, decoded again", "모델이 다시 만든 문장", True
    REVIEWED = "reviewed", "검토해 둔 문장", False
    GRAMMAR = "grammar", "문법 규칙으로 만든 문장", False
    KEYWORDS = "keywords", "카드 낱말 그대로", False
    FIXED = "fixed", "미리 정해 둔 문장", False
    UNKNOWN = "unknown card", "모르는 그림", False
    OWN = "own", "전에 쓴 말", False
    LIKE_OWN = "like own", "전에 쓴 말처럼", False

    def __new__(cls, value: str, korean: str, from_model: bool) -> Self:
        member = str.__new__(cls, value)
        member._value_, member.korean, member.from_model = value, korean, from_model
        return member


@dataclass
class Candidate:
    """One of a request's three sentences.

    Attributes:
        style_confidence: of a classifier of styles, that the text has its style: no trust in what it says.
        reasons: why the gate stopped the model's first one, or why the model was not asked.
        told_less: of what (`persona`, `context`) the model was not told texts that are longer than trained.
        cards: what each picture was taken for; empty where the model has no table of known cards.
        checked: whether the gate knew the cards' words.
    """

    text: str
    style: str
    style_confidence: float = 0.0
    source: Source = Source.MODEL
    reasons: list[str] = field(default_factory=list)
    told_less: list[str] = field(default_factory=list)
    cards: list[CardReading] = field(default_factory=list)
    checked: bool = False

    @property
    def passed(self) -> bool:
        """Whether what is shown passed the gate as the model said it, or was reviewed by people beforehand."""
        return self.source.from_model or self.source is Source.REVIEWED

    @property
    def stopped(self) -> bool:
        """Whether it failed, and nothing stands in its place yet."""
        return bool(self.reasons) and self.source is Source.MODEL

    def public(self) -> dict[str, Any]:
        """Plain values: what `return_details` shows."""
        return {
            "text": self.text,
            "style": self.style,
            "style_confidence": self.style_confidence,
            "passed": self.passed,
            "source": str(self.source),
            "reasons": [*self.reasons, *(f"{name}_too_long" for name in self.told_less)],
            "cards": [reading.public() for reading in self.cards],
            "checked": self.checked,
        }


def settled(request: Request) -> list[Candidate] | None:
    """What is answered without asking the model: a lone core card or an emergency by its reviewed wording; a strange
    picture by the grammar where its word is told, else by saying that it is strange; None for everything else."""
    from dataset.prepare.teachers.reviewed import reviewed

    if request.words and (wording := reviewed(request.words, request.persona, request.context)):
        return [Candidate(t, style, 0.0, Source.REVIEWED) for t, style in zip(wording, STYLE_NAMES, strict=True)]
    if not request.strange:
        return None
    three = [Candidate("", style, reasons=["unknown_card"]) for style in STYLE_NAMES]
    for place, candidate in enumerate(three):
        if request.words:
            stand_in(request, three, place)
        else:
            candidate.text, candidate.source = _STRANGE[place], Source.UNKNOWN
    return three


def judge(request: Request, three: Sequence[Candidate]) -> None:
    """Write to each candidate why it may not be shown."""
    for candidate, reasons in zip(three, _reasons(request, [c.text for c in three]), strict=True):
        candidate.reasons = reasons


def offer(request: Request, three: Sequence[Candidate], place: int, sentence: str, source: Source) -> None:
    """Let a sentence take a candidate's place if it passes the gate there and repeats no sibling."""
    trial = [candidate.text for candidate in three]
    trial[place] = sentence
    # Of two equal ones the gate blames the later, which may be shown already.
    if not _reasons(request, trial)[place] and _unlike_siblings(sentence, three, place):
        three[place].text, three[place].source = sentence, source


def stand_in(request: Request, three: Sequence[Candidate], place: int) -> None:
    """Replace a candidate that failed twice: by the offline grammar, then the keywords, then what can always be said.
    A stand-in passes the gate itself, or is at least a whole sentence unlike its siblings."""
    for sentence, source in _always(request, place):
        offer(request, three, place, sentence, source)
        if three[place].source is source:
            return
    three[place].text, three[place].source = next(
        (text, source) for text, source in _always(request, place) if _unlike_siblings(text, three, place)
    )


def _always(request: Request, place: int) -> Iterator[tuple[str, Source]]:
    """What can be said without the model, the best first; one of the last three is unlike both siblings."""
    if words := request.words:
        from dataset.prepare.teachers.grammar import interpret

        written = interpret(list(words), request.persona, request.context)
        yield from ((sentence, Source.GRAMMAR) for sentence in (written[place], *written))
        yield f"{', '.join(words)}{'.' * (place + 1)}", Source.KEYWORDS
    yield from ((sentence, Source.FIXED) for sentence in _WORDLESS)


def _reasons(request: Request, three: Sequence[str]) -> list[list[str]]:
    speaker = request.persona if request.voice == "first" else None
    return gate.check(three, request.words, request.context, speaker)


def _unlike_siblings(sentence: str, three: Sequence[Candidate], place: int) -> bool:
    others = {gate.comparable(candidate.text) for k, candidate in enumerate(three) if k != place}
    return gate.comparable(sentence) not in others
