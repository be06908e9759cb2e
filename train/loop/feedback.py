"""`train.py --feedback JOURNAL --init-from FILE`: learn from what people chose and wrote, and keep it only if nothing
else gets worse.

Sentences that people wrote stand in the place of those they were made of; what they chose counts less. Old rows are
read beside them, since every update on feedback alone made the rest worse. Requests whose cards are of the test split
are not learned from: on them, on rows of the old data and on the suite of requests both models are judged, and the new
one takes the old one's place only where reference match, gate and suite stay within the old one's intervals.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aac import gate
from aac.feedback import Feedback, consent_of, persona_of
from aac.io import UserError, read_json, write_json
from aac.persona import Context, Persona
from aac.records import Sample, sample_key, split_of
from aac.rules import INTERPRETATIONS
from train.config.train_config import at_root

if TYPE_CHECKING:
    from train.interpreter.candidates import Candidate
    from train.models.aac_multimodal_model import AACMultimodalModel

log = logging.getLogger("aac")
FOLDER = "train/feedback"
WEIGHTS = {True: 4, False: 1}  # how often a row is read: the person's own sentence, a chosen one
REPLAY, LEAST_REPLAY = 8, 512  # old rows beside one of feedback, and at least
VALIDATED, JUDGED = 256, 300  # old rows that validation reads, and that both models are judged on
_RESAMPLES = 1000
_LESS_IS_BETTER = frozenset({"gate failures"})
_DECIDES = ("reference match", "gate failures", "request suite")


@dataclass
class Lesson:
    """Rows to learn from, and requests to be judged on.

    Attributes:
        learned: rows of `dataset_completed.json`, of which no two share an id.
        held_out: requests of feedback whose cards are not learned from, with the sentence that the person wanted.
        skipped: requests with a card that is none of the workspace's.
    """

    learned: list[dict[str, Any]] = field(default_factory=list)
    held_out: list[tuple[Sample, str]] = field(default_factory=list)
    skipped: int = 0


def read_lesson(journal: Path, cards: dict[str, str]) -> Lesson:
    """The requests of a journal, or of a folder of them, whose persons allowed to train with them.

    Args:
        cards: the file of each card's word.

    Raises:
        UserError: there is no such journal, or nothing in it may be learned from.
    """
    folder, people = (journal, Feedback(journal).people()) if journal.is_dir() else (journal.parent, [])
    people = people or [n for n in Feedback(folder).people() if Feedback(folder).path(n).name == journal.name]
    lesson = Lesson()
    for person in people:
        events = Feedback(folder).events(person)
        if consent_of(events).train:
            _add(lesson, person, events, cards)
    if not lesson.learned:
        raise UserError(f"{journal}: no sentence in it that a person allowed to train with ({lesson.skipped} skipped)")
    return lesson


def _add(lesson: Lesson, person: int, events: Sequence[dict[str, Any]], cards: dict[str, str]) -> None:
    from train.interpreter.memory import said

    asked = {event["request"]: event for event in events if event["event"] == "shown"}
    persona = persona_of(list(events))
    for entry in said(events):
        shown = asked[entry.request]
        if not set(entry.cards) <= set(cards) or "context" not in shown or len(shown["offered"]) != INTERPRETATIONS:
            lesson.skipped += 1
            continue
        files = [cards[word] for word in entry.cards]
        output = [entry.text if place == entry.place else text for place, text in enumerate(shown["offered"])]
        source = {"persona": persona.public(), "context": shown["context"], "AAC_card_combination": files}
        row = {"persona_id": person, "input": source, "output": output, "keywords": list(entry.cards)}
        if split_of(files, persona) != "train":
            sample = Sample(
                id=0, persona=persona, context=Context.parse(shown["context"]), cards=files, output=output,
                keywords=list(entry.cards),
            )  # fmt: skip
            lesson.held_out.append((sample, entry.text))
            continue
        for _ in range(WEIGHTS[entry.own]):
            number = len(lesson.learned) + 1
            lesson.learned.append({"id": number, "key": sample_key(person, files, number), **row})


def prepare(journal: Path, config: dict[str, Any], root: Path) -> tuple[Lesson, list[str]]:
    """Write the rows of an update; the lesson, and settings as `--set` takes them.

    Raises:
        UserError: as of `read_lesson`.
    """
    data = at_root(config["processed_data"], root)
    entries = read_json(data.with_name("cards.json"), "run `python data_prepare.py --steps 1`")["cards"]
    lesson = read_lesson(journal, {entry["keyword"]: entry["file"] for entry in reversed(entries)})
    old: dict[str, list[dict[str, Any]]] = {"train": [], "val": [], "test": []}
    for row in read_json(data):
        source = row["input"]
        old[split_of(source["AAC_card_combination"], Persona.read(source["persona"]))].append(row)
    draw = random.Random(config["seed"])
    count = max(LEAST_REPLAY, REPLAY * len(lesson.learned))
    replayed = [row for name, most in (("train", count), ("val", VALIDATED)) for row in _some(draw, old[name], most)]
    rows = [*lesson.learned, *({**row, "id": len(lesson.learned) + n} for n, row in enumerate(replayed, start=1))]
    path = root / FOLDER / "rows.json"
    write_json(path, rows, None)
    log.info(
        "Feedback: %d rows (weighted), %d held out, %d skipped; %d old rows beside them",
        *(len(lesson.learned), len(lesson.held_out), lesson.skipped, len(replayed)),
    )
    steps = max(1, 2 * len(rows) // (config["batch_size"] * config["gradient_accumulation_steps"]))
    told = {"processed_data": str(path), "checkpoint_dir": str(root / FOLDER), "log_dir": str(root / FOLDER / "logs")}
    told |= {"max_steps": steps, "eval_steps": steps, "save_steps": steps, "vision_pretrain_steps": 0}
    told |= {name: config[name] / 4 for name in ("learning_rate", "head_learning_rate")}
    return lesson, [f"{key}={value}" for key, value in told.items()]


def _some(draw: random.Random, rows: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    return rows if len(rows) <= most else draw.sample(rows, most)


def settle(lesson: Lesson, old: Path, config: dict[str, Any], root: Path, data: Path) -> int:
    """Judge the old model and the new one, say both, and let the new one take its place where it may.

    Args:
        old: the file that training began with.
        config: of the old data.
        data: the old data.

    Returns:
        The exit code: 0, whichever model stays.
    """
    new = root / FOLDER / "best_model.pt"
    judge = Judge(lesson, config, root, data)
    before, after = (judge(path) for path in (old, new))
    print(f"\n{'':18}{'before':>10}{'':20}{'after':>10}")
    for name, values in before.items():
        low, high = interval(values)
        print(f"{name:18}{np.mean(values):10.3f} [{low:.3f}, {high:.3f}]    {np.mean(after[name]):10.3f}")
    if worse := verdict(before, after):
        print(f"Not taken: {', '.join(worse)} worse beyond its interval. {old} stays as it was; the update is {new}")
        return 0
    aside = old.with_name(f"{old.stem}.before_feedback{old.suffix}")
    os.replace(old, aside)
    os.replace(new, old)
    print(f"Taken: {old}; the model before it is {aside}")
    return 0


def verdict(before: dict[str, list[float]], after: dict[str, list[float]]) -> list[str]:
    """What got worse beyond its interval; empty: the update may be taken."""
    found = []
    for name in _DECIDES:
        (low, high), mean = interval(before[name]), float(np.mean(after[name]))
        if mean > high if name in _LESS_IS_BETTER else mean < low:
            found.append(name)
    return found


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The middle 95 % of the mean over rows drawn anew."""
    array = np.asarray(values, dtype=float)
    if not len(array):
        return float("nan"), float("nan")
    draws = np.random.default_rng(0).integers(0, len(array), (_RESAMPLES, len(array)))
    low, high = np.quantile(array[draws].mean(1), (0.025, 0.975))
    return float(low), float(high)


class Judge:
    """What a model is worth on rows that it did not learn from."""

    def __init__(self, lesson: Lesson, config: dict[str, Any], root: Path, data: Path) -> None:
        from aac.records import load_samples
        from train.scoring.suite import read_suite

        self.config, self.lesson = config, lesson
        self.images = at_root(config["images_folder"], root)
        tests = [sample for sample in load_samples(data)[0] if sample.split == "test"]
        self.rows = tests if len(tests) <= JUDGED else random.Random(0).sample(tests, JUDGED)
        entries = read_json(data.with_name("cards.json"))["cards"]
        files = {entry["keyword"]: entry["file"] for entry in reversed(entries)}
        self.suite = [
            (asked, _sample(asked, [files[word] for word in asked.cards]))
            for asked in read_suite()
            if set(asked.cards) <= set(files)
        ]

    def __call__(self, checkpoint: Path) -> dict[str, list[float]]:
        """One value a row of each measure."""
        from train.models.aac_multimodal_model import AACMultimodalModel
        from train.scoring.suite_judge import judge

        model = AACMultimodalModel.load_model(checkpoint, self.config)
        wanted = self._told(model, [sample for sample, _ in self.lesson.held_out])
        shown = self._told(model, self.rows)
        raw = self._told(model, self.rows, gated=False)
        suite = self._told(model, [sample for _, sample in self.suite])
        return {
            "adoption": [
                float(gate.comparable(text) in {gate.comparable(candidate.text) for candidate in three})
                for three, (_, text) in zip(wanted, self.lesson.held_out, strict=True)
            ],
            "reference match": [
                float(candidate.text == text)
                for three, row in zip(shown, self.rows, strict=True)
                for candidate, text in zip(three, row.output, strict=False)
            ],
            "gate failures": [float(bool(why)) for why in _failures(raw, self.rows)],
            "request suite": [
                float(judge(asked, [candidate.text for candidate in three]).all_three)
                for three, (asked, _) in zip(suite, self.suite, strict=True)
            ],
        }

    def _told(self, model: AACMultimodalModel, samples: Sequence[Sample], gated: bool = True) -> list[list[Candidate]]:
        from train.interpreter.answering import interpret_parsed
        from train.scoring.generation import encode_cards, requests_of

        if not samples:
            return []
        requests = requests_of(samples, encode_cards(model, samples, self.images), keywords=True)
        return interpret_parsed(model, requests, gated=gated, confidence=False)


def _sample(asked: Any, files: list[str]) -> Sample:
    words = list(asked.cards)
    return Sample(
        id=0, persona=asked.persona, context=asked.context, cards=files, output=list(asked.good[:3]) * 3, keywords=words
    )


def _failures(raw: Sequence[Sequence[Candidate]], rows: Sequence[Sample]) -> Iterator[list[str]]:
    for three, row in zip(raw, rows, strict=True):
        yield from gate.check([candidate.text for candidate in three], row.keywords, row.context, row.persona)
