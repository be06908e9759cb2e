"""Defective data: `--check` names each defect with its record, and training refuses it by the same rules."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import data_prepare
from aac.io import UserError, read_json, write_json
from aac.records import load_samples

ROOT = Path(__file__).resolve().parents[1]
RECORD = 7
Rows = list[dict[str, Any]]


@pytest.fixture
def good(workspace: Path) -> Path:
    """The finished data set of the shared fixture, with every field of the public format filled."""
    path = workspace / "dataset/processed/dataset_completed.json"
    rows = read_json(path)
    person = {"age": "adult", "gender": "male", "disability_type": "지적 장애"}
    person |= {"communication_characteristics": "카드를 천천히 고른다.", "selection_complexity": "moderate"}
    person |= {"interesting_topics": ["공", "물"], "preferred_category_types": [1, 0], "utterance_length": "짧게"}
    for row in rows:
        row["input"] |= {"persona": {**person, "speech_level": ""}, "past_interpretation": ""}
        row["keywords"] = [card.split("_")[1][:-4] for card in row["input"]["AAC_card_combination"]]
    write_json(path, rows)
    return workspace


def checked(root: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    code = data_prepare.main(["--workspace", str(root), "--check", *more])
    return code, capsys.readouterr().out


def trains(root: Path) -> dict[str, Any]:
    """What train.py does before its first update: rows, pictures, clusters."""
    from aac.pictures import open_picture
    from train.data.run_data import RunData

    config = {name: f"dataset/processed/{file}.json" for name, file in
              (("processed_data", "dataset_completed"), ("clustering_results", "clustering_results"))}  # fmt: skip
    data = RunData({**config, "images_folder": "dataset/images", "feature_cache_dir": ""}, root)
    for path in data.images:
        open_picture(path)
    return data.splits


def both_refuse(root: Path, capsys: pytest.CaptureFixture[str], *words: str) -> None:
    code, shown = checked(root, capsys)
    lines = [line for line in shown.splitlines() if all(word in line for word in words)]
    assert code == 2 and lines, shown
    with pytest.raises(UserError) as refused:
        trains(root)
    assert all(word in str(refused.value) for word in words), refused.value


def test_a_good_data_set_passes_both(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, shown = checked(good, capsys)
    assert code == 0 and "41: 41 complete" in shown and "third person in 0 of 123" in shown, shown
    assert "2.25 tokens a Korean syllable" in shown and "1_물.png 16" in shown
    assert sum(len(rows) for rows in trains(good).values()) == 41


def put(*path: str | int, value: Any) -> Callable[[dict[str, Any]], None]:
    def mutate(row: dict[str, Any]) -> None:
        target: Any = row
        for part in path[:-1]:
            target = target[part]
        target[path[-1]] = value

    return mutate


def drop(*path: str) -> Callable[[dict[str, Any]], None]:
    def mutate(row: dict[str, Any]) -> None:
        target: Any = row
        for part in path[:-1]:
            target = target[part]
        del target[path[-1]]

    return mutate


P, C, CARDS = ("input", "persona"), ("input", "context"), ("input", "AAC_card_combination")
WRONG: dict[str, tuple[Any, ...]] = {  # field: wrong values
    "age": (-1, 121, 999, 25.5, True, "어른이", "25년", [25], {"years": 25}, "200"),
    "gender": ("여성스러움", 1, ["여성"], True),
    "disability_type": (3, ["지적장애"], {}),
    "communication_characteristics": (12, ["천천히"], "천천\ufffd히"),
    "selection_complexity": ("hard", 2, ["simple"]),
    "interesting_topics": ("공", [1], ["공", ""], {"a": 1}),
    "preferred_category_types": ("1", [-1], ["one"], [1.5], [2], 1, [True]),
    "utterance_length": ("길게", 3),
    "speech_level": ("존댓말", 1),
}
MUTATIONS: list[tuple[str, Callable[[dict[str, Any]], None]]] = [
    *((f"input.persona.{field}", put(*P, field, value=v)) for field, values in WRONG.items() for v in values),
    *((f"input.persona.{field}", drop(*P, field)) for field in list(WRONG)[:7]),
    *(
        (f"input.context.{field}", put(*C, field, value=v))
        for field in ("time", "place")
        for v in (9, ["집"], "\ud800")
    ),
    *((f"input.context.{field}", drop(*C, field)) for field in ("place", "interaction_partner", "current_activity")),
    ("input.persona", put(*P, value=None)),
    ("input.persona", put(*P, value="성인 여성")),
    ("input.persona", drop(*P)),
    ("input.context", put(*C, value="집에서")),
    ("input.context", put(*C, value=[])),
    ("input.context", drop(*C)),
    ("input.past_interpretation", put("input", "past_interpretation", value=[1])),
    ("input.AAC_card_combination", drop(*CARDS)),
    ("input.AAC_card_combination", put(*CARDS, value=[])),
    ("input.AAC_card_combination", put(*CARDS, value="1_물.png")),
    ("input.AAC_card_combination", put(*CARDS, value=["1_물.png"] * 5)),
    *(
        ("input.AAC_card_combination[0]", put(*CARDS, 0, value=card))
        for card in (
            "../../etc/passwd",
            "..",
            "/etc/passwd",
            "a/1_물.png",
            "a\\1_물.png",
            "1_물\0.png",
            ".1_물.png",
            "",
            "  ",
            None,
            7,
            "1_물",
            "1_물.txt",
            "C:1_물.png",
        )
    ),
    ("keywords", put("keywords", value=["물"] * 4)),
    ("keywords", put("keywords", value="물")),
    ("keywords[0]", put("keywords", 0, value="")),
    ("keywords[0]", put("keywords", 0, value=3)),
    ("output", drop("output")),
    ("output", put("output", value=["물 주세요.", "물 있어요?"])),
    ("output", put("output", value="물 주세요.")),
    ("output", put("output", value={"1": "물"})),
    ("output", put("output", value=5)),
    *(("output[1]", put("output", 1, value=text)) for text in ("", "   ", None, 3, "I want water.", "123", "���")),
    ("input", drop("input")),
    ("input", put("input", value=[])),
    ("persona_id", put("persona_id", value="둘")),
    ("persona_id", put("persona_id", value=True)),
    ("key", put("key", value=5)),
]


@pytest.mark.parametrize(("field", "mutate"), MUTATIONS, ids=[f"{i}-{field}" for i, (field, _) in enumerate(MUTATIONS)])
def test_a_defect_is_named_with_its_record_and_training_refuses(
    good: Path, capsys: pytest.CaptureFixture[str], field: str, mutate: Callable[[dict[str, Any]], None]
) -> None:
    path = good / "dataset/processed/dataset_completed.json"
    rows: Rows = read_json(path)
    before = copy.deepcopy(rows[RECORD - 1])
    mutate(rows[RECORD - 1])
    assert rows[RECORD - 1] != before
    path.write_text(json.dumps(rows), encoding="utf-8")  # escaped: a lone surrogate stays one
    both_refuse(good, capsys, f"record {RECORD}:", f" {field}:")


def test_a_card_that_is_not_there(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = good / "dataset/processed/dataset_completed.json"
    rows: Rows = read_json(path)
    rows[RECORD - 1]["input"]["AAC_card_combination"][0] = "77_없는카드.png"
    write_json(path, rows)
    both_refuse(good, capsys, f"record {RECORD}:", "'77_없는카드.png'", "not in")


def identity(value: Any) -> Callable[[Rows], Any]:
    def mutate(rows: Rows) -> Any:
        rows[RECORD - 1]["id"] = value
        return rows

    return mutate


def replaced(value: Any) -> Callable[[Rows], Any]:
    def mutate(rows: Rows) -> Any:
        rows[RECORD - 1] = value
        return rows

    return mutate


@pytest.mark.parametrize(
    ("mutate", "words"),
    [
        (identity(3), ("record 3: id: 3: row no. 3 of the file has the same id",)),
        (identity("7"), ("record no. 7: id: '7'",)),
        (identity(None), ("record no. 7: id: None",)),
        (identity(-7), ("record -7: id: -7",)),
        (identity(7.0), ("record no. 7: id",)),
        (identity(True), ("record no. 7: id: True",)),
        (replaced(None), ("record no. 7: row: None",)),
        (replaced("row"), ("record no. 7: row: 'row'",)),
        (replaced([]), ("record no. 7: row: []",)),
        (replaced({}), ("record no. 7: id: missing",)),
        (lambda rows: {"rows": rows}, ("expected a list of rows, not dict",)),
        (lambda rows: None, ("expected a list of rows",)),
        (lambda rows: [], ("too few rows",)),
        (lambda rows: rows[:1], ("too few rows",)),
        (lambda rows: [{**row, "output": ""} for row in rows], ("too few rows",)),
    ],
)
def test_defects_of_rows_as_wholes(
    good: Path, capsys: pytest.CaptureFixture[str], mutate: Callable[[Rows], Any], words: tuple[str, ...]
) -> None:
    path = good / "dataset/processed/dataset_completed.json"
    write_json(path, mutate(read_json(path)))
    both_refuse(good, capsys, *words)


def swap(old: str, new: str) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(old.encode(), new.encode(), 1)


@pytest.mark.parametrize(
    ("mutate", "words"),
    [
        (lambda data: b"", ("the file is empty",)),
        (lambda data: b" \n", ("the file is empty",)),
        (lambda data: data[: len(data) // 2], ("not JSON at line", "record 2")),
        (lambda data: data[:-3], ("not JSON", "record 41")),
        (swap('"key":', '"key" '), ("not JSON", "record 1)")),
        (lambda data: data.rstrip()[:-1] + b",]", ("not JSON", "record 41")),
        (lambda data: data.replace(b'"id": 7,', b'"id": 7,,'), ("not JSON", "record 7")),
        (lambda data: data.replace(b'"', b"'"), ("not JSON",)),
        (lambda data: data + data, ("not JSON", "Extra data")),
        (lambda data: data.decode().encode("cp949", "replace"), ("not UTF-8",)),
        (lambda data: data.decode().encode("utf-16"), ("not UTF-8",)),
        (lambda data: data[:40] + b"\xff" + data[40:], ("not UTF-8 at byte 40",)),
        (lambda data: data[:40] + b"\0" + data[40:], ("not JSON",)),
        (lambda data: b"\x89PNG\r\n\x1a\n", ("not UTF-8",)),
        (lambda data: b"[" * 100_000, ("not JSON",)),
        (lambda data: data.replace(b'"id": 7,', b'"id": ' + b"9" * 5000 + b","), ("not JSON",)),
        (swap('"id": 7,', '"id": 7, "id": 8,'), ("record 8: id: twice",)),
        (swap('"id": 7,', '"id": NaN,'), ("record no. 7: id: nan",)),
    ],
)
def test_defects_of_the_file(
    good: Path, capsys: pytest.CaptureFixture[str], mutate: Callable[[bytes], bytes], words: tuple[str, ...]
) -> None:
    path = good / "dataset/processed/dataset_completed.json"
    path.write_bytes(mutate(path.read_bytes()))
    both_refuse(good, capsys, path.name, *words)


def test_a_file_that_is_missing_or_a_folder(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = good / "dataset/processed/dataset_completed.json"
    path.unlink()
    both_refuse(good, capsys, "not found", "data_prepare.py --steps")
    path.mkdir()
    both_refuse(good, capsys, "cannot be read")


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "not a readable picture"),
        (b"GIF89a", "not a readable picture"),
        (b"text", "not a readable picture"),
        (None, "not a readable picture"),  # cut in half
    ],
)
def test_defective_pictures(good: Path, capsys: pytest.CaptureFixture[str], data: bytes | None, word: str) -> None:
    path = good / "dataset/images/1_물.png"
    path.write_bytes(path.read_bytes()[:100] if data is None else data)
    code, shown = checked(good, capsys)
    assert code == 2 and f"record 1: input.AAC_card_combination: '1_물.png': {path}" in shown
    with pytest.raises(UserError, match=word):
        trains(good)


@pytest.mark.parametrize(
    ("mutate", "word"),
    [
        (lambda r: [], "expected an object"),
        (lambda r: {**r, "n_clusters": "two"}, "n_clusters"),
        (lambda r: {**r, "n_clusters": 0}, "n_clusters"),
        (lambda r: {"clustered_files": r["clustered_files"]}, "n_clusters"),
        (lambda r: {"n_clusters": 2}, "clustered_files"),
        (lambda r: {**r, "clustered_files": [[]]}, "clustered_files"),
        (lambda r: {**r, "clustered_files": {"0": "1_물.png"}}, "clustered_files"),
        (lambda r: {**r, "clustered_files": {"0": [], "5": []}}, "'5': clusters go from 0 to 1"),
        (lambda r: {**r, "clustered_files": {"a": []}}, "'a'"),
        (lambda r: {**r, "clustered_files": {"0": ["1_물.png"], "1": ["1_물.png"]}}, "two clusters"),
    ],
)
def test_defective_clusters(
    good: Path, capsys: pytest.CaptureFixture[str], mutate: Callable[[dict[str, Any]], Any], word: str
) -> None:
    path = good / "dataset/processed/clustering_results.json"
    write_json(path, mutate(read_json(path)))
    both_refuse(good, capsys, "clustering_results.json", word)


def test_a_byte_order_mark_and_all_spellings_are_understood(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = good / "dataset/processed/dataset_completed.json"
    rows: Rows = read_json(path)
    spellings = {
        "age": [25, "25", "25세", "adolescent", "Adult", "노인", None, "", 0, 120],
        "gender": ["남성", "여성", "male", "Female", "", None],
        "disability_type": ["지적 장애", "지적장애", "자폐 스펙트럼 장애", "자폐스펙트럼", "", None],
        "preferred_category_types": [[1, 0], ["1", "0"], [], None],
        "selection_complexity": ["simple", "복잡", "", None],
        "interesting_topics": [["공"], [], None],
    }
    for place, row in enumerate(rows):
        row["input"]["persona"] |= {field: values[place % len(values)] for field, values in spellings.items()}
        row["input"]["context"] |= {"time": None, "current_activity": ""}
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(rows).encode())
    code, shown = checked(good, capsys)
    assert code == 0, shown
    samples, skipped = load_samples(path)
    assert not skipped and {s.persona.age for s in samples} == {"아동", "청소년", "성인", "노인", ""}
    assert {s.persona.gender for s in samples} == {"남성", "여성", ""}
    assert {s.persona.disability_type for s in samples} == {"지적장애", "자폐스펙트럼장애", ""}
    assert all(isinstance(n, int) for s in samples for n in s.persona.preferred_category_types)


def test_failed_and_unprocessed_rows_are_counted_and_left_out(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = good / "dataset/processed/dataset_completed.json"
    rows: Rows = read_json(path)
    fields = ("time", "place", "interaction_partner", "current_activity")
    rows[0] |= {"output": ["Processing error"]}
    rows[0]["input"]["context"] = dict.fromkeys(fields, "오류")
    rows[1]["output"] = ["물 주세요.", "오류", "물 있어요?"]
    rows[2]["output"] = ""
    rows[3]["output"] = None
    rows[4]["output"] += ["네 번째 문장이에요."]
    rows[5]["output"] = ["물 주세요."] * 3
    write_json(path, rows)
    code, shown = checked(good, capsys)
    assert code == 0 and "37 complete, 2 failed, 2 incomplete, 0 defective" in shown, shown
    assert "note: " in shown and "record 5: output" in shown and "record 6: output" in shown
    samples, skipped = load_samples(path)
    assert len(samples) == 37 and skipped == {"failed": 2, "incomplete": 2, "sentences beyond the third": 1}
    assert not {1, 2, 3, 4} & {sample.id for sample in samples}


def test_a_blank_picture_is_a_note_and_a_third_person_is_counted(
    good: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (40, 40), "white").save(good / "dataset/images/2_사과.png")
    path = good / "dataset/processed/dataset_completed.json"
    rows: Rows = read_json(path)
    rows[RECORD - 1]["output"][0] = "소통이는 물을 마시고 싶어 해요."
    write_json(path, rows)
    code, shown = checked(good, capsys)
    assert code == 0 and "note: " in shown and "blank" in shown
    assert f"third person in 1 of 123 sentences (0.8%, first in record {RECORD})" in shown


def test_many_like_problems_are_counted_not_repeated(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = good / "dataset/processed/dataset_completed.json"
    rows: Rows = read_json(path)
    for row in rows:
        row["input"]["persona"]["gender"] = "?"
    write_json(path, rows)
    code, shown = checked(good, capsys)
    assert code == 2 and shown.count(": input.persona.gender: '?'") == 20 and "21 more records" in shown


def test_licences_and_tokens_are_told(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from train.models.prompt import train_tokenizer

    files = sorted(path.name for path in (good / "dataset/images").iterdir())
    cards = [{"file": name, "licence": "CC BY 4.0" if name[0] == "1" else ""} for name in files]
    write_json(good / "dataset/processed/cards.json", {"cards": cards})
    train_tokenizer(["물 주세요."], 300, ["<unk>"]).save(str(good / "tokenizer.json"))
    code, shown = checked(good, capsys, "--tokenizer", str(good / "tokenizer.json"))
    assert code == 0 and "not stated: 5 cards, CC BY 4.0: 1 cards" in shown and " a syllable" in shown
    assert checked(good, capsys, "--tokenizer", str(good / "none.json"))[0] == 2


def test_on_the_command_line(good: Path) -> None:
    """Someone else's file, by its path; then the same defect before training itself."""
    path = good / "dataset/processed/dataset_completed.json"
    line = [sys.executable, str(ROOT / "data_prepare.py"), "--check", str(path)]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0 and "fit to train on" in done.stdout, done.stderr
    rows: Rows = read_json(path)
    rows[RECORD - 1]["output"].pop()
    write_json(path, rows)
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 2 and f"record {RECORD}: output" in done.stdout
    line = [sys.executable, str(ROOT / "train/train.py"), "--workspace", str(good), "--config", str(good / "tiny.json")]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 2 and f"record {RECORD}: output" in done.stderr and "--check" in done.stderr
    assert not (good / "train/checkpoints/best_model.pt").exists()


def test_a_cluster_that_stands_twice(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON keeps the last one without a word, and the first one's cards are in no cluster."""
    path = good / "dataset/processed/clustering_results.json"
    path.write_text('{"n_clusters": 2, "clustered_files": {"0": ["1_물.png"], "0": []}}', encoding="utf-8")
    both_refuse(good, capsys, "clustering_results.json", "'0' stands twice")
