"""Whether a remote teacher's answer may be kept. What fails is asked again with its problems named, then rejected."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from itertools import islice
from typing import Any

from aac.gate import check
from aac.korean import covers, seen_from_outside
from aac.records import Context, nfc
from aac.rules import CONTEXT_FIELDS, FAILED_MARKS, INTERPRETATIONS
from dataset.prepare.teachers.ask import Ask
from dataset.prepare.teachers.reply import unbroken

_LONGEST = 120  # signs: no utterance of four cards is longer
# "첫 번째 해석:", "해석 1.", "1)", "- ", "스타일 2:", "출력:", "문장: "
_LABEL = re.compile(
    r"^\W*((첫|두|세) ?번째( \w+)? ?[:.)]|[①②③]|\d+ ?번? ?([.)]|:(?!\d))"
    r"|(해석|스타일|문장|출력|답변?|형식|후보|의미) ?\d* ?[:.)])|^[-•*·–]"
)
_QUOTES = re.compile(r"^[\"'“‘「『].*[\"'”’」』]\W*$")
# What a teacher thinks aloud before it answers.
_OPENED, _CLOSED = (re.compile(rf"<{mark}(think|thinking|thought|reasoning)>", re.IGNORECASE) for mark in ("", "/"))
_MOST_OBJECTS = 50  # in one answer: drafts and the last word
_MEANING = {
    "malformed": "정해진 JSON 형식이 아니다",
    "refused": "답하지 않았다",
    "wrong_count": f"문장이 정확히 {INTERPRETATIONS}개가 아니다",
    "context": "상황의 네 칸이 모두 짧은 한국어로 채워지지 않았다",
    "empty": "빈 문장이다",
    "too_long": "너무 길다",
    "labelled": "번호, 제목, 따옴표가 붙어 있다",
    "control_text": "문장이 아닌 기호가 섞여 있다",
    "not_hangul": "한글이 아닌 글자가 섞여 있다",
    "particle_wrong": "조사나 어미가 앞말의 받침과 맞지 않는다",
    "repeats": "같은 말이 되풀이된다",
    "harm_wished": "아무도 바라지 않는 일을 바란다",
    "card_missing": "카드의 말이 빠졌다",
    "polarity_flipped": "카드의 부정을 빠뜨렸거나 없는 부정을 더했다",
    "person_added": "카드와 상황에 없는 사람이 나온다",
    "number_added": "카드와 상황에 없는 수가 나온다",
    "predicate_added": "거절하는 카드에 없는 행동이 나온다",
    "content_added": "카드와 상황에 없는 내용이 나온다",
    "ungrammatical": "말이 되지 않는 꼴이 있다",
    "question_lost": "묻는 카드인데 묻지 않는다",
    "order_wrong": "누가 누구에게 하는지가 카드의 순서와 다르다",
    "tense_wrong": "때를 나타내는 말과 시제가 맞지 않는다",
    "title_wrong": "그 자리에 없는 사람을 부른다",
    "many_sentences": "한 문장이 아니다",
    "register_wrong": "상대에게 쓸 수 없는 말투이다",
    "duplicate": "앞의 문장과 같다",
    "wrong_voice": "말하는 사람이 틀리다",
}


def parse(content: str, ask: Ask) -> tuple[list[str], Context] | None:
    """The sentences and the situation of an answer (the ask's own where it has one); None: not of the form."""
    answer = _answer_in(content)
    if answer is None or not isinstance(three := answer.get("interpretations"), list):
        return None
    if not all(isinstance(text, str) for text in three):
        return None
    sentences = [_text(text) for text in three]
    if ask.context is not None:
        return sentences, ask.context
    fields = answer.get("context")
    if not isinstance(fields, dict):
        return None
    parts = {name: _text(fields.get(name)) for name in CONTEXT_FIELDS}
    return sentences, Context(**{name: part for name, part in parts.items() if "\ufffd" not in part})


def problems(three: Sequence[str], context: Context, ask: Ask, voice: str) -> list[tuple[int, str]]:
    """(sentence from 1, code) of everything that is wrong; 0 stands for the whole answer."""
    found = [] if ask.context is not None or all(map(_fine, context.public().values())) else [(0, "context")]
    if len(three) != INTERPRETATIONS:
        return [*found, (0, "wrong_count")]
    for place, (sentence, codes) in enumerate(zip(three, check(three, ask.keywords, context), strict=True), start=1):
        if _LABEL.search(sentence) or _QUOTES.search(sentence):
            codes = [*codes, "labelled"]
        if any(unicodedata.category(sign) == "So" for sign in sentence):  # 😊
            codes = [*codes, "control_text"]
        if len(sentence) > _LONGEST:
            codes = [*codes, "too_long"]
        if sentence and seen_from_outside(sentence, ask.keywords) == (voice == "first"):
            codes = [*codes, "wrong_voice"]
        if sentence in FAILED_MARKS:
            codes = [*codes, "refused"]
        found += [(place, code) for code in codes]
    return found


def explain(found: Sequence[tuple[int, str]], three: Sequence[str], keywords: Sequence[str]) -> tuple[str, ...]:
    """The problems in Korean, as the teacher is told them."""
    lines = []
    for place, code in found:
        words = [word for word in keywords if not covers(three[place - 1], word)] if code == "card_missing" else []
        lines.append(f"{place}번 문장: " * (place > 0) + _MEANING[code] + (f": {', '.join(words)}" if words else ""))
    return tuple(lines)


def _answer_in(content: str) -> dict[str, Any] | None:
    """The outermost JSON object that is an answer, whatever stands around it: thoughts are passed over, and of several
    (a draft, then the last word) the last counts."""
    ends = [match.end() for match in _CLOSED.finditer(content)]
    said = content[ends[-1] :] if ends else content
    if endless := _OPENED.search(said):
        said = said[: endless.start()]
    decoder, found, end = json.JSONDecoder(strict=False), None, 0
    for start in islice(re.finditer(r'\{\s*"', said), _MOST_OBJECTS):
        if start.start() < end:
            continue  # inside of the one before
        try:
            value, end = decoder.raw_decode(said, start.start())
        except (ValueError, RecursionError):
            continue
        found = value if "interpretations" in value else found
    return found


def _text(value: Any) -> str:
    """Composed, white space collapsed; of a runaway so much as shows that it is one."""
    return " ".join(nfc(unbroken(value[: 5 * _LONGEST])).split()) if isinstance(value, str) else ""


def _fine(part: str) -> bool:
    """A few words: Hangul, or a clock time."""
    plain = not any(unicodedata.category(sign)[0] == "C" or sign in "<>{}|`" for sign in part)
    spoken = re.search("[가-힣]", part) or re.fullmatch(r"\d{1,2}:\d{2}", part)
    return bool(plain and spoken) and len(part) <= 60 and part not in FAILED_MARKS
