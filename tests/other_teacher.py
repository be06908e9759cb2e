"""Two more teachers, added as CONTRIBUTING.md says: one on this machine, which reads the cards out, and one that is
asked by post."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from aac.records import Context, Persona
from dataset.prepare.teachers import grammar, openai_settings
from dataset.prepare.teachers.ask import Ask, Turn
from dataset.prepare.teachers.remote import Outcome, RemoteTeacher

PLACE = "도서관"


def sample_context(persona: Persona, keywords: list[str], draw: random.Random) -> Context:
    return Context(time="오전", place=PLACE, interaction_partner="친구", current_activity="카드 읽기")


def interpret(keywords: list[str], persona: Persona, context: Context, draw: random.Random) -> list[str]:
    words = ", ".join(keywords)
    return [f"{words}.", f"{words}?", f"{words}, {words}."]


def fits(keywords: Sequence[str], word: str) -> bool:
    return len(keywords) < 2


def joins(word: str) -> bool:
    return True


class Settings(openai_settings.Settings):
    @classmethod
    def load(cls, env_file: Path, voice: str = "first", need_key: bool = True) -> Settings:
        return cls("clerk", "post://office", voice=voice)


class Teacher(RemoteTeacher):
    variables = "POST"
    letters = 0

    def connect(self) -> Any:
        return nullcontext()

    async def send(self, client: Any, ask: Ask, turns: Sequence[Turn]) -> Outcome:
        Teacher.letters += 1
        context = ask.context or sample_context(Persona(), [], random.Random())
        three = grammar.interpret(list(ask.keywords), Persona(), context)
        return Outcome((json.dumps({"context": context.public(), "interpretations": three}), (7, 3)))
