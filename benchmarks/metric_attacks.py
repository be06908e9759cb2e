"""What the AAC metrics say of good and of spoiled candidates: each attack should fall in the component made for it.

python benchmarks/metric_attacks.py [--data dataset/processed/dataset_completed.json] [--rows 600] [--json FILE]

The references of the test split are scored as if they were candidates, then after each change. The same changes are the
property tests of `tests/test_attacks.py`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from aac.korean import analyse, join, speech_level
from aac.records import Sample, load_samples
from train.scoring.aac_metrics import Habits
from train.scoring.similarity import LemmaTfidf
from train.utils.metrics import Prediction, measure

COLUMNS = {
    "card_coverage_worst": "cover",
    "polarity": "polar",
    "addition": "add",
    "grammatical": "gramm",
    "tense": "tense",
    "title": "title",
    "functions3": "func3",
    "illocution": "illoc",
    "register_accuracy": "reg=ref",
    "register": "reg",
    "register_macro": "regmac",
    "voice": "voice",
    "complexity": "compl",
    "interest": "inter",
    "vocabulary": "vocab",
    "persona_consistency": "person",
    "context_relevance": "context",
    "distinct3": "dist3",
    "set_score": "set",
    "semantic_similarity[lemma-tfidf]": "lexical",
}
Attack = Callable[[Sequence[Sample]], list[Prediction]]


def _each(change: Callable[[str, Sample], str]) -> Attack:
    return lambda samples: [Prediction(s, [change(text, s) for text in s.output]) for s in samples]


_DENIALS = {"반말": "어", "해요체": "어요", "합쇼체": "습니다"}


def negate(sentence: str) -> str | None:
    """The sentence denied in its own speech level: 먹어요 -> 먹지 않아요; None where no predicate ends it."""
    morphs = [m for m in analyse(sentence) if not m.tag.startswith("S")]
    ending = _DENIALS.get(speech_level(sentence))
    if ending is None or not morphs or morphs[-1].tag != "EF":
        return None
    while morphs[-1].tag in ("EF", "EP"):
        morphs.pop()
    if morphs[-1].tag not in ("VV", "VA", "VX"):
        return None
    mark = "?" if sentence.endswith("?") else "."
    ending = "습니까" if (mark, ending) == ("?", "습니다") else ending
    return join([*morphs, ("지", "EC"), ("않", "VX"), (ending, "EF")]) + mark


def _negated(samples: Sequence[Sample]) -> list[Prediction]:
    """Only rows whose three references can all be denied."""
    denied = [(sample, [negate(text) for text in sample.output]) for sample in samples]
    return [Prediction(sample, [str(text) for text in texts]) for sample, texts in denied if None not in texts]


def _exchanged(field: str) -> Attack:
    """The references as they are, judged beside another row's persona or context."""

    def attack(samples: Sequence[Sample]) -> list[Prediction]:
        draw = random.Random(0)
        values = [getattr(sample, field) for sample in samples]
        found = []
        for sample in samples:
            other = draw.choice(
                [value for value in draw.sample(values, min(20, len(values))) if value != getattr(sample, field)]
            )
            found.append(Prediction(sample.model_copy(update={field: other}), list(sample.output)))
        return found

    return attack


def _foreign(samples: Sequence[Sample]) -> list[Prediction]:
    outputs = [sample.output for sample in samples]
    random.Random(1).shuffle(outputs)
    return [Prediction(sample, list(output)) for sample, output in zip(samples, outputs, strict=True)]


def _pasted(text: str, sample: Sample) -> str:
    return f"{' '.join(part for part in sample.context.public().values() if part)} {text}"


def _injected(text: str, sample: Sample) -> str:
    return f"{' '.join(sample.persona.interesting_topics)} {text}"


ATTACKS: dict[str, Attack] = {
    "references": _each(lambda text, sample: text),
    "personas exchanged": _exchanged("persona"),
    "contexts exchanged": _exchanged("context"),
    "outputs exchanged": _foreign,
    "always 도와주세요": _each(lambda text, sample: "도와주세요."),
    "bare cards": _each(lambda text, sample: " ".join(sample.keywords)),
    "one reference thrice": lambda samples: [Prediction(s, [s.output[0]] * 3) for s in samples],
    "negated": _negated,
    "third person": _each(lambda text, sample: f"소통이는 {text}"),
    "context pasted": _each(_pasted),
    "topics injected": _each(_injected),
    "stranger called": _each(lambda text, sample: f"팀장님, {text}"),
    "to come told as over": _each(lambda text, sample: f"내일 갔어요, {text}"),
    "empty": _each(lambda text, sample: ""),
}


def table(samples: Sequence[Sample], learned: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """Every attack's scores by the keys of metrics.json; habits and idf are learned from `learned`."""
    habits = Habits(learned)
    lexical = LemmaTfidf(text for sample in learned for text in sample.output)
    return {name: measure(attack(samples), habits, similarity=lexical).values() for name, attack in ATTACKS.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = Path(__file__).resolve().parents[1]
    parser.add_argument("--data", type=Path, default=root / "dataset/processed/dataset_completed.json")
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--json", type=Path, help="also write the table here")
    args = parser.parse_args()
    samples, _ = load_samples(args.data)
    rows = [sample for sample in samples if sample.split == "test"][: args.rows]
    found = table(rows, [sample for sample in samples if sample.split == "train"])
    print(
        f"{len(rows)} rows of {args.data.name}, references as candidates\n{'':24}"
        + "".join(f"{c:>8}" for c in COLUMNS.values())
    )
    for name, scores in found.items():
        print(f"{name:24}" + "".join(f"{scores[key]:>8.2f}" if key in scores else f"{'–':>8}" for key in COLUMNS))
    if args.json:
        args.json.write_text(json.dumps({"rows": len(rows), "attacks": found}, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
