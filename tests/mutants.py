"""Files that people write, changed at random: whatever stands in them, a reader says UserError or reads on.

python -m tests.mutants --cases 20000      # figures: what each reader did, the slowest files, the memory
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aac.io import UserError, read_json
from aac.records import Persona, load_samples
from dataset.prepare.corrections import overlay, read_corrections
from dataset.prepare.journal import Journal, forget_person
from dataset.prepare.label_tables import read_labels
from dataset.prepare.personas import read_personas
from dataset.prepare.privacy import may_leave, persona_digest
from dataset.prepare.teachers.ask import Ask
from dataset.prepare.teachers.openai_settings import Settings, read_env
from dataset.prepare.teachers.openai_teacher import Teacher
from tests.workshop import draw_card
from train.scoring.predictions import read_predictions

ROOT = Path(__file__).resolve().parents[1]
THREE = ["물 주세요.", "물 좀 주시겠어요?", "물이요, 주세요."]
CONTEXT = {"time": "오후", "place": "집", "interaction_partner": "선생님", "current_activity": "쉬는 중"}
ODD: list[Any] = [
    None, True, False, 0, -1, 1.5, 3.0, 10**30, -(10**400), 1e308, float("nan"), float("inf"), "", " ", "\ufeff",
    "\x00", "\ud800", "가\udcff", "\u2028", "\x85", "\x1b[31m", "\u202e가", "각" * 3, "가" * 20_000, "오류",
    "Processing error", "25세", "만 25세", "999", "１２", "../../x.png", "a/b.png", "2462_.png", "null", "[]", "{}", [],
    {}, [None], [[]], [1, "가", None], {"": ""}, {"event": "answer"}, {"persona": {}},
    "</think>{\"interpretations\": 1}", "<think>" * 50, "{" * 200, '{"a":' * 200, "물" * 500 + " 주세요.",
]  # fmt: skip
BYTES = [b"\x00", b"\xff", b"\xfe\xff", b"\xed\xa0\x80", b"\r", b"\n", b"\r\n", b"\x1a", b'"', b"\\", b"{", b"}", b"[",
         b"]", b",", b":", b"\\ud800", b"\\u0000", b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b"[" * 3000,
         b'{"a":' * 2000,
         "물".encode("cp949"), "\u2028".encode(), "\u3000".encode(), "가".encode("utf-16")]  # fmt: skip


def mutant(data: bytes, draw: random.Random) -> bytes:
    """One to four changes: of a value where the file or one of its lines is JSON, else of bytes."""
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        data = _values_changed(data, draw) if draw.random() < 0.6 else _bytes_changed(data, draw)
    return data


def _values_changed(data: bytes, draw: random.Random) -> bytes:
    """A value somewhere in the JSON is odd, gone, renamed or twice there."""
    lines = data.split(b"\n")
    place = draw.randrange(len(lines)) if len(lines) > 2 else 0
    for whole in (False, True):  # a line of JSON lines, else the file
        try:
            value = json.loads(data if whole else lines[place])
        except (ValueError, RecursionError):
            continue
        lines[place] = json.dumps(_changed(value, draw), ensure_ascii=draw.random() < 0.5).encode(
            errors="surrogatepass"
        )
        return lines[place] if whole else b"\n".join(lines)
    return _bytes_changed(data, draw)


def _changed(value: Any, draw: random.Random) -> Any:
    if not isinstance(value, dict | list) or not value or draw.random() < 0.1:
        return draw.choice(ODD)
    if isinstance(value, list):
        place = draw.randrange(len(value))
        kind = draw.random()
        if kind < 0.1:
            return [*value, *value]
        return [*value[:place], *([] if kind < 0.2 else [_changed(value[place], draw)]), *value[place + 1 :]]
    key = draw.choice(list(value))
    kind = draw.random()
    if kind < 0.1:
        return {name: part for name, part in value.items() if name != key}
    if kind < 0.2:
        return {draw.choice((key.upper(), f"{key} ", key[:-1], "나이", "\ud800")) if name == key else name: part
                for name, part in value.items()}  # fmt: skip
    return {**value, key: _changed(value[key], draw)}


def _bytes_changed(data: bytes, draw: random.Random) -> bytes:
    start, end = sorted(draw.randrange(len(data) + 1) for _ in range(2))
    end = min(end, start + draw.choice((0, 1, 5, 200)))
    match draw.randrange(9):
        case 0:
            return data[:start]
        case 1:
            return data[:start] + data[end:]
        case 2:
            return data[:start] + data[start:end] * 3 + data[end:]
        case 3:
            return data.decode("utf-8", "replace").encode(
                draw.choice(("cp949", "utf-16", "utf-8-sig", "utf-32")), "replace"
            )
        case 4:
            lines = data.split(b"\n")
            draw.shuffle(lines)
            return draw.choice((b"\n", b"\r\n", b"\r", "\u2028".encode())).join(lines)
        case 5:
            flipped = bytes(sign ^ (1 << draw.randrange(8)) for sign in data[start:end])
            return data[:start] + flipped + data[end:]
    return data[:start] + draw.choice(BYTES) + data[end:]


class Readers:
    """What is read, from a sound file each: name → (file, what a command does with it)."""

    def __init__(self, folder: Path) -> None:
        draw_card(folder / "1_물.png", 1)
        self.asks = [Ask((folder / "1_물.png",), ("물",), {}, None, number, number) for number in range(3)]
        self.samples: list[Any] = []
        people = [{"id": e["id"], "persona": e["persona"]} for e in read_json(ROOT / "dataset/persona.json")[:3]]
        row = {"id": 1, "persona_id": 1, "key": "k", "keywords": ["물"], "output": THREE}
        source = {"persona": people[0]["persona"], "context": CONTEXT, "AAC_card_combination": ["1_물.png"]}
        rows = [{**row, "id": number, "key": f"k{number}", "input": source} for number in (1, 2, 3)]
        corrections = [{"key": f"k{number}", "output": THREE, "context": {"place": "집"}} for number in (1, 2, 3)]
        told = [{"id": number, "interpretations": THREE} for number in (1, 2, 3)]
        labels = 'file,id,keyword,sense,licence\n1.png,1,물,"마시는, 물",CC0\n2.png,2,손을 씻다,,\n'
        env = "# mine\nexport OPENAI_API_KEY='k#1'\nOPENAI_MODEL=small # cheap\nAAC_TEACHER_TIMEOUT=\"9\"\n"
        env += "OPENAI_BASE_URL=https://host/v1\n"
        self.of: dict[str, tuple[bytes, Callable[[Path], Any]]] = {
            "journal": (self._journal(folder / "sound.jsonl"), self.journal),
            "corrections": (_lines(corrections), self.corrections),
            "labels": (labels.encode(), read_labels),
            "personas": (json.dumps(people, ensure_ascii=False).encode(), self.personas),
            "rows": (json.dumps(rows, ensure_ascii=False).encode(), load_samples),
            "predictions": (_lines(told), self.predictions),
            "env": (env.encode(), lambda path: (read_env(path), Settings.load(path))),
        }
        sound = folder / "rows.json"
        sound.write_bytes(self.of["rows"][0])
        self.samples = load_samples(sound)[0]

    def _teacher(self, journal: Journal) -> Teacher:
        return Teacher(Settings("m", "https://host/v1", "k"), journal)

    def _journal(self, path: Path) -> bytes:
        answer = f"<think>물</think>{json.dumps({'context': CONTEXT, 'interpretations': THREE}, ensure_ascii=False)}"
        with Journal(path, write=True) as journal:
            for number, ask in enumerate(self.asks):
                key = self._teacher(journal)._replay(ask)[0]
                journal.sent(key, number)
                journal.answered(key, number, "m", answer, (100, 10))
            journal.failed("k", 1, "429")
        forget_person(path, 2)
        return path.read_bytes()

    def journal(self, path: Path) -> None:
        with Journal(path, write=True) as journal:
            str(self._teacher(journal).estimate(self.asks)), str(journal.ledger)
            journal.answered("k", 1, "m", "물\ud800", ("5", None))
        answered = Journal(path).ledger.answered
        forget_person(path, 1)
        again = Journal(path)
        assert again.ledger.answered == answered, "the sums changed"

    def corrections(self, path: Path) -> None:
        rows = [{"key": f"k{number}", "input": {"context": dict(CONTEXT)}} for number in (1, 2, 3)]
        overlay(rows, read_corrections(path))
        json.dumps(rows, ensure_ascii=False).encode()

    def personas(self, path: Path) -> None:
        for entry in read_personas(path):
            persona_digest(entry["persona"])
            json.dumps(may_leave(entry["persona"], ["age"]), ensure_ascii=False).encode()
            Persona.read(entry["persona"])

    def predictions(self, path: Path) -> None:
        read_predictions(path, self.samples)


def _lines(entries: list[Any]) -> bytes:
    return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries).encode()


def attack(cases: int, seed: int, folder: Path) -> tuple[Counter[tuple[str, str]], list[tuple[float, str, bytes]]]:
    """Give each reader its share of the cases.

    Returns:
        How often each reader read on, said UserError or broke, by its name, and (seconds of processor, reader, file) of
        the slowest and of those that broke it.
    """
    readers, draw = Readers(folder), random.Random(seed)
    counts: Counter[tuple[str, str]] = Counter()
    worst: list[tuple[float, str, bytes]] = []
    for number in range(cases):
        name = list(readers.of)[number % len(readers.of)]
        sound, read = readers.of[name]
        path = folder / f"case.{name}"
        path.write_bytes(data := mutant(sound, draw))
        begun, what = time.process_time(), "read"
        try:
            read(path)
        except UserError:
            what = "refused"
        except Exception as error:
            what = f"{type(error).__name__}: {error}"[:200]
        took = time.process_time() - begun
        counts[name, what] += 1
        worst.append((float("inf") if what not in ("read", "refused") else took, name, data))
        worst = sorted(worst, key=lambda case: case[0], reverse=True)[:20]
    return counts, worst


def main() -> int:
    import logging
    import resource

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    logging.disable()
    with tempfile.TemporaryDirectory() as folder:
        counts, worst = attack(args.cases, args.seed, Path(folder))
    for (name, what), count in sorted(counts.items()):
        print(f"{name:<12} {count:>6} {what}")
    for took, name, data in worst[:3]:
        print(f"{took:.2f} s: {name}: {data[:300]!r}")
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    return int(any(what not in ("read", "refused") for _, what in counts))


if __name__ == "__main__":
    raise SystemExit(main())
