"""The prompt, one code for training and inference, and the tokenizer behind it.

`[BOS, persona slots, <|user|>, picture 1, its word, picture 2, …, persona, context, request, <|end|>, <|assistant|>]`

Text of users is encoded as plain text: `<|end|>` typed in a persona field stays five characters of text. Ids equal the
published processor's where no such text occurs (every chunk after a picture opens with its own BOS).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aac.records import Context, Persona

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CONTROL = ("<unk>", "<s>", "</s>", "<|endoftext|>", "<|assistant|>", "<|user|>", "<|end|>")
_REQUEST = {"first": "카드로 내가 할 말:", "third": "카드로 그 사람이 전하는 말:"}


def persona_text(persona: Persona) -> str:
    """What of the persona shapes a sentence, as one Korean line; unknown fields are left out, nobody is empty.

    Characteristics and topics are prose of thirty tokens and more: the persona embedding and the context memory read
    them, the prompt does not repeat them.
    """
    parts = [
        persona.age,
        persona.gender,
        persona.disability_type,
        persona.speech_level and f"말투 {persona.speech_level}",
        persona.utterance_length and f"길이 {persona.utterance_length}",
    ]
    return "사람: " + ", ".join(part for part in parts if part) if any(parts) else ""


def context_text(context: Context) -> str:
    """The situation as one Korean line; absent parts are left out."""
    names = {"time": "시간", "place": "장소", "current_activity": "활동", "interaction_partner": "상대"}
    parts = [f"{label} {value}" for name, label in names.items() if (value := getattr(context, name))]
    return "상황: " + ", ".join(parts) if parts else ""


def request_text(voice: str) -> str:
    """The line that closes a prompt: whose words are asked for (`first` or `third` person)."""
    return _REQUEST[voice]


class PromptEncoder:
    """Texts to ids. `slots`: how many positions after the first BOS the persona's soft tokens take (filled with id 0).

    Args:
        tokenizer: a `tokenizers.Tokenizer` whose vocabulary holds CONTROL.
    """

    def __init__(self, tokenizer: Tokenizer, slots: int, voice: str = "first") -> None:
        self.tokenizer = tokenizer
        self.tokenizer.encode_special_tokens = True  # control tokens inside user text are text
        self.slots = slots
        self.request = request_text(voice)
        self.left_out: frozenset[str] = frozenset()  # "persona", "context": lines that an ablation leaves out
        ids = {name: tokenizer.token_to_id(name) for name in CONTROL}
        self.bos, self.user, self.assistant = ids["<s>"], ids["<|user|>"], ids["<|assistant|>"]
        self.end = ids["<|end|>"]
        self.stops = frozenset({ids["<|end|>"], ids["<|endoftext|>"], ids["</s>"]})
        self.text = lru_cache(maxsize=20_000)(self._text)

    def _text(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def prompt(
        self, image_tokens: Sequence[int], persona: Persona, context: Context, keywords: Sequence[str] | None = None
    ) -> list[int]:
        """Ids of a request; picture k takes `image_tokens[k-1]` positions of id -k."""
        ids = [self.bos, *[0] * self.slots, self.user, *self.text("\n")]
        for tag, count in enumerate(image_tokens, start=1):
            ids += [-tag] * count
            ids += [self.bos, *self.text(f"{keywords[tag - 1]}\n" if keywords else "\n")]
        lines = {"persona": persona_text(persona), "context": context_text(context), "request": self.request}
        for name, line in lines.items():
            if line and name not in self.left_out:
                ids += self.text(f"{line}\n")
        return [*ids, self.end, *self.text("\n"), self.assistant]

    def answer(self, sentence: str) -> list[int]:
        """Ids of an interpretation with its closing `<|end|>`; the style's position in front is the caller's."""
        return [*self.text(sentence), self.end]

    def decode(self, ids: Sequence[int]) -> str:
        """Whole sequences only: a byte-level piece alone may be half a syllable."""
        return self.tokenizer.decode([i for i in ids if i not in self.stops], skip_special_tokens=True).strip()


def train_tokenizer(texts: Sequence[str], vocab_size: int) -> Tokenizer:
    """A byte-fallback BPE in the manner of Phi's (spaces become ▁, no other pre-tokenisation), with its control tokens.

    For backbones trained from scratch; learned from the training split alone.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    byte_pieces = [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="always")])
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=[*CONTROL, *byte_pieces], show_progress=False, min_frequency=2
    )
    tokenizer.train_from_iterator(texts, trainer)
    # Byte pieces are ordinary entries, so that decoding turns them back into text.
    state: dict[str, Any] = _json(tokenizer)
    state["added_tokens"] = [entry for entry in state["added_tokens"] if entry["content"] in CONTROL]
    return Tokenizer.from_str(_dumps(state))


def _json(tokenizer: Tokenizer) -> dict[str, Any]:
    import json

    return json.loads(tokenizer.to_str())


def _dumps(state: dict[str, Any]) -> str:
    import json

    return json.dumps(state, ensure_ascii=False)
