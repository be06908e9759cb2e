"""The prompt, one code for training and inference, and the tokenizer behind it.

`[opening, persona slots, user, picture 1, its word, picture 2, …, persona, context, request, reply]`, or with persona
and context before the pictures (`ChatFormat.cards_last`).

What stands around users' text is the backbone's own (`chat.py`); ids equal its published processor's. Text of users is
encoded as plain text: `<|end|>` typed in a persona field stays five characters of text.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from aac.io import UserError
from aac.persona import Context, Persona
from aac.rules import spoken
from train.models.chat import ChatFormat
from train.models.reading import Reading, today

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_FIRST_LETTER = 1000  # of `_Letters`, above all control tokens


class PromptEncoder:
    """Texts to ids in a backbone's chat format.

    Args:
        tokenizer: a `tokenizers.Tokenizer`.
        chat: the backbone's format.
        slots: how many positions after the opening the persona's soft tokens take (filled with id 0).
        voice: whose words are asked for, `first` or `third` person.
        reading: what of persona and context the model reads, in which words; None: as a fresh model.

    Raises:
        UserError: the tokenizer lacks a control token of the format; it is named.
    """

    def __init__(
        self, tokenizer: Tokenizer, chat: ChatFormat, slots: int, voice: str = "first", reading: Reading | None = None
    ) -> None:
        self.tokenizer, self.chat, self.slots = tokenizer, chat, slots
        self.voice, self.reading = voice, reading or today()
        self.left_out: frozenset[str] = frozenset()  # "persona", "context": lines that an ablation leaves out
        self.control = {name: self._control_id(name) for name in chat.needed}
        self._set_up()
        self.opening, self.user, self.before, self.after, self.reply = (
            self._piece(piece)
            for piece in (chat.opening, chat.user, chat.before_picture, chat.after_picture, chat.reply)
        )
        self.closing = [*self.text(f"{self.reading.requests[voice]}\n"), *self.reply]
        self.end = self.control[chat.end]
        self.stops = frozenset({self.end, *(self.control[name] for name in chat.stops)})

    def _control_id(self, name: str) -> int:
        number = self.tokenizer.token_to_id(name)
        if number is None:
            raise UserError(
                f"tokenizer: it has no token {name!r}, which the backbone's chat format needs; put the tokenizer.json "
                "published with the weights into model_path, or choose the model_type that the tokenizer belongs to"
            )
        return number

    def _set_up(self) -> None:
        """What a copy does not keep: the tokenizer's switch, and the cache."""
        self.tokenizer.encode_special_tokens = True  # control tokens inside user text are text
        self.text = lru_cache(maxsize=20_000)(self._text)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "text"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._set_up()

    def _text(self, text: str) -> tuple[int, ...]:
        ids = self.tokenizer.encode(text, add_special_tokens=False).ids
        # A published file may call a control token of its own an ordinary one: typed by a user it is left out.
        return tuple(i for i in ids if i not in self.control.values())

    def _piece(self, piece: str) -> list[int]:
        parts = ([self.control[p]] if p in self.control else self.text(p) for p in self.chat.split(piece))
        return [i for part in parts for i in part]

    def prompt(
        self, image_tokens: Sequence[int], persona: Persona, context: Context, keywords: Sequence[str] | None = None
    ) -> list[int]:
        """Ids of a request; picture k takes `image_tokens[k-1]` positions of id -k."""
        cards: list[int] = []
        for tag, count in enumerate(image_tokens, start=1):
            word = self.text(f"{spoken(keywords[tag - 1])}\n" if keywords else "\n")
            cards += [*self.before, *[-tag] * count, *self.after, *word]
        lines = {name: line for name, line in self._lines(persona, context).items() if name not in self.left_out}
        about = [i for line in lines.values() if line for i in self.text(f"{line}\n")]
        told = [*about, *cards] if self.chat.cards_last else [*cards, *about]
        return [*self.opening, *[0] * self.slots, *self.user, *told, *self.closing]

    def rendered(self) -> str:
        """How prompts look, whatever the tokenizer: in each voice, two cards with and without words, a persona and a
        context whose every field holds its own name. Encoders of one look ask in one form."""
        letters = _Letters()
        twins = [type(self)(letters, self.chat, 1, voice, self.reading) for voice in self.reading.requests]
        persona = Persona.model_construct(**{name: name for name in self.reading.persona})
        context = Context.model_construct(**{name: name for name in self.reading.context})
        words = (["word 1", "word 2"], None)
        prompts = (twin.prompt([1, 1], persona, context, said) for twin in twins for said in words)
        return "\n".join("".join(map(letters.shown, prompt)) for prompt in prompts)

    def line_lengths(self, persona: Persona, context: Context) -> dict[str, int]:
        """Tokens of the lines that say who speaks (`persona`) and where (`context`)."""
        return {name: len(self.text(line)) for name, line in self._lines(persona, context).items()}

    def _lines(self, persona: Persona, context: Context) -> dict[str, str]:
        return {"persona": self.reading.persona_text(persona), "context": self.reading.context_text(context)}

    def answer(self, sentence: str) -> list[int]:
        """Ids of an interpretation with its closing token; the style's position in front is the caller's."""
        return [*self.text(sentence), self.end]

    def decode(self, ids: Sequence[int]) -> str:
        """Whole sequences only: a byte-level piece alone may be half a syllable."""
        said = [i for i in ids if i not in self.control.values()]
        return self.tokenizer.decode(said, skip_special_tokens=True).strip()


class _Letters:
    """A tokenizer that takes text letter by letter, so that ids can be shown again."""

    def __init__(self) -> None:
        self.names = ["[persona]"]  # control tokens by their ids; 0 stands for the persona's soft tokens

    def token_to_id(self, name: str) -> int:
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)

    def encode(self, text: str, add_special_tokens: bool) -> Any:
        return SimpleNamespace(ids=[ord(letter) + _FIRST_LETTER for letter in text])

    def shown(self, number: int) -> str:
        if number < 0:
            return f"[card {-number}]"
        return self.names[number] if number < _FIRST_LETTER else chr(number - _FIRST_LETTER)


def train_tokenizer(texts: Sequence[str], vocab_size: int, control: Sequence[str]) -> Tokenizer:
    """A byte-fallback BPE in the manner of Phi's (spaces become ▁, no other pre-tokenisation), `control` its first ids.

    For backbones trained from scratch; learned from the training split alone.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    byte_pieces = [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="always")])
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=[*control, *byte_pieces], show_progress=False, min_frequency=2
    )
    tokenizer.train_from_iterator(texts, trainer)
    # Byte pieces are ordinary entries, so that decoding turns them back into text.
    state: dict[str, Any] = _json(tokenizer)
    state["added_tokens"] = [entry for entry in state["added_tokens"] if entry["content"] in control]
    return Tokenizer.from_str(_dumps(state))


def _json(tokenizer: Tokenizer) -> dict[str, Any]:
    import json

    return json.loads(tokenizer.to_str())


def _dumps(state: dict[str, Any]) -> str:
    import json

    return json.dumps(state, ensure_ascii=False)
