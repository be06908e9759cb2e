"""What a model reads of persona and context stays what it was trained to read, whatever the code says since."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import fresh_model, pictures

from aac.io import UserError, read_json
from aac.records import Context, Persona, load_samples
from dataset.prepare.privacy import is_shipped
from train.config.train_config import TRAIN_CONFIG
from train.data.loading import load_splits
from train.models.aac_multimodal_model import AACMultimodalModel
from train.models.prompt import PromptEncoder
from train.models.reading import Reading, today
from train.scoring.row import row_key

ROOT = Path(__file__).resolve().parents[1]
PERSONA = {"age": 9, "gender": "female", "speech_level": "반말", "utterance_length": "짧게"}
CONTEXT = {"place": "집", "interaction_partner": "친구", "current_activity": "쉬는 중"}


def loaded(state: dict[str, Any]) -> AACMultimodalModel:
    return AACMultimodalModel.from_state(state, {**TRAIN_CONFIG, "device": "cpu"}, "some.pt")


def asked(model: Any) -> list[int]:
    return model.encoder.prompt([4], Persona.parse(PERSONA), Context.parse(CONTEXT), ["물"])


def said(model: Any) -> list[str]:
    return model.generate_interpretation(pictures()[:1], PERSONA, CONTEXT, ["물"])


def reworded() -> Reading:
    """Today's, but for one label of the context, one value and one field."""
    plain = today().model_dump()
    plain["context"]["place"] = "있는 곳 {}"
    plain["vocabularies"]["gender"] = ["", "여성", "남성"]
    del plain["vocabularies"]["speech_level"], plain["persona"]["speech_level"]
    return Reading.model_validate(plain)


def unrecorded(state: dict[str, Any]) -> dict[str, Any]:
    """As checkpoints were before they kept what they read."""
    return {key: value for key, value in state.items() if key not in ("reading", "prompt")}


def test_a_model_goes_on_reading_in_the_words_that_it_was_trained_with(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = fresh_model(reading=reworded())
    model.save_model(tmp_path / "model.pt")
    again = AACMultimodalModel.load_model(tmp_path / "model.pt", {**TRAIN_CONFIG, "device": "cpu"})
    assert asked(again) == asked(model) and said(again) == said(model)
    assert [len(table.weight) for table in again.persona.fields] == [5, 3, 4, 4]
    assert "as it was trained to (not read: speech_level; worded otherwise: place)" in caplog.text


def test_another_wording_is_another_prompt() -> None:
    """Negative control: the words reach the ids."""
    assert asked(fresh_model(reading=reworded())) != asked(fresh_model())


@pytest.mark.parametrize("voice", ["first", "third"])
def test_a_checkpoint_without_a_record_reads_as_its_day_did(voice: str, caplog: pytest.LogCaptureFixture) -> None:
    plain = read_json(ROOT / "train/models/reading_unrecorded.json")["reading"]
    model = fresh_model(reading=Reading.model_validate(plain), voice=voice)
    again = loaded(unrecorded(model.state()))
    assert asked(again) == asked(model) and said(again) == said(model)
    assert again.encoder.reading.categories(Persona(gender="기타"))[1] == 0  # it has no vector of its own there
    assert today().categories(Persona(gender="기타"))[1] == 3
    assert not caplog.text  # as long as fields and words are those of that day


def test_a_model_is_asked_in_the_voice_that_it_was_trained_with() -> None:
    """`load_model(path, TRAIN_CONFIG)` says nothing of voices, and its default is the first person."""
    third = fresh_model(voice="third")
    assert asked(loaded(third.state())) == asked(third) != asked(fresh_model())


@pytest.mark.parametrize("recorded", [True, False])
def test_prompts_laid_out_otherwise_are_refused(monkeypatch: pytest.MonkeyPatch, recorded: bool) -> None:
    plain = read_json(ROOT / "train/models/reading_unrecorded.json")["reading"]
    state = fresh_model(reading=Reading.model_validate(plain)).state()
    state = state if recorded else unrecorded(state)
    loaded(state)  # negative control
    prompt = PromptEncoder.prompt

    def otherwise(self: PromptEncoder, *arguments: Any) -> list[int]:
        return [*prompt(self, *arguments), *self.text("세 문장:")]

    monkeypatch.setattr(PromptEncoder, "prompt", otherwise)
    with pytest.raises(UserError, match=r"some\.pt: trained to read prompts with .*세 문장.*train anew"):
        loaded(state)
    if recorded:
        loaded(fresh_model().state())  # trained so, it is read so


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: [], "malformed at its root"),
        (lambda r: {**r, "prose": "age"}, "malformed at prose"),
        (lambda r: {**r, "vocabularies": {"age": [1]}}, "malformed at vocabularies"),
        (lambda r: {**r, "later": {}}, "malformed at later"),
        (lambda r: {**r, "persona": {**r["persona"], "shoe_size": "{}"}}, "'shoe_size' .*upgrade"),
    ],
)
def test_a_record_that_cannot_be_read_is_refused(model: Any, change: Any, words: str) -> None:
    state = model.state()
    with pytest.raises(UserError, match=f"some.pt: .*{words}"):
        loaded({**state, "reading": change(state["reading"])})
    with pytest.raises(UserError, match=r"some\.pt: .*malformed"):
        loaded({**state, "prompt": 3})


def test_a_value_is_never_a_format(model: Any) -> None:
    assert today().persona_text(Persona(disability_type="{} {0} {age!r}")) == "사람: {}{0}{age!r}"


# ---------------------------------------------------------------------- a field is added, a label renamed, in a copy


def facts(data: str, checkpoint: str) -> dict[str, Any]:
    """What must not move when a field is added that nobody fills."""
    shipped = [e for name in ("persona", "persona_held_out") for e in read_json(ROOT / f"dataset/{name}.json")]
    samples, _ = load_samples(data)
    torch.set_num_threads(1)
    model = AACMultimodalModel.load_model(checkpoint, {**TRAIN_CONFIG, "device": "cpu"})
    return {
        "shipped": [len(shipped), sum(map(is_shipped, shipped))],
        "rows": load_splits(Path(data), 2).digest,
        "keys": [row_key(sample) for sample in samples],
        "asked": asked(model),
        "said": said(model),
    }


def facts_of_the_field() -> dict[str, Any]:
    """What a fresh model, a file's reader, a request and a remote teacher make of a field called `mood`."""
    from aac.rules import persona_problems
    from dataset.prepare.privacy import may_leave

    person = Persona.parse({"age": 9, "기분": "happy"})
    model = fresh_model()
    wrong = {**read_json(ROOT / "dataset/persona.json")[0]["persona"], "mood": "그냥"}
    return {
        "line": today().persona_text(person),
        "line without": today().persona_text(Persona(age="아동")),
        "category": dict(zip(today().vocabularies, today().categories(person), strict=True)),
        "tables": [[len(table.weight) for table in part] for part in (model.persona.fields, model.context.persona)],
        "problems": [f"{field}: {remedy}" for field, _, remedy in persona_problems(wrong)],
        "leaves": [may_leave(person.public(), listed) for listed in (None, ["mood"])],
        "shipped": is_shipped({**wrong, "mood": "좋음"}),
        "written": person.public(),
    }


def in_a_copy(folder: Path, edits: dict[str, str], code: str) -> tuple[str, str]:
    """What `code` prints in a copy of the project with `aac/persona.py` edited, and the log."""
    keep = shutil.ignore_patterns("__pycache__", "images", "processed", "checkpoints", "logs", "*.pt", ".*")
    for part in ("aac", "train", "dataset", "tests"):
        shutil.copytree(ROOT / part, folder / part, ignore=keep)
    table = folder / "aac/persona.py"
    text = table.read_text(encoding="utf-8")
    for before, after in edits.items():
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    table.write_text(text, encoding="utf-8")
    paths = {"PYTHONPATH": f"{folder}{os.pathsep}{folder / 'tests'}"}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env={**os.environ, **paths}, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout, run.stderr


FIELD = {
    '"speech_level": Word(': '"mood": Word("기분", values=("좋음", "나쁨"), spellings={"happy": "좋음"}, '
    'prompt=(6, "기분 {}"), embedded=True),\n    "speech_level": Word(',
    '    speech_level: str = ""\n': '    speech_level: str = ""\n    mood: str = ""\n',
}
RENAMED = {'"장소 {}"': '"있는 곳 {}"', '"말투 {}"': '"말씨 {}"'}


@pytest.mark.slow
def test_a_field_and_a_wording_are_added_in_the_table_alone(workspace: Path, tmp_path: Path) -> None:
    """CONTRIBUTING's "A persona field" and "A prompt wording", really done."""
    data, checkpoint = workspace / "dataset/processed/dataset_completed.json", tmp_path / "old.pt"
    fresh_model().save_model(checkpoint)
    before = facts(str(data), str(checkpoint))
    assert before["shipped"] == [30, 30]
    call = f"t.facts({str(data)!r}, {str(checkpoint)!r}), t.facts_of_the_field()"
    code = f"import json, tests.test_reading as t; print(json.dumps([{call}]))"
    told, log = in_a_copy(tmp_path / "copy", {**FIELD, **RENAMED}, code)
    after, field = json.loads(told)
    assert after == before
    assert "not read: mood" in log and "worded otherwise: speech_level, place" in log
    assert field["line"] == "사람: 아동, 기분 좋음" and field["line without"] == "사람: 아동"
    known = {name: len(words) for name, words in today().vocabularies.items()}
    assert field["category"] == {**dict.fromkeys(known, 0), "age": 1, "mood": 1}
    known["mood"] = 3
    assert field["tables"] == [[known[name] for name in field["category"]]] * 2
    assert field["problems"] == ["persona.mood: one of happy, 좋음, 나쁨; empty where unknown"]
    assert field["leaves"] == [{}, {"mood": "좋음"}] and field["written"]["mood"] == "좋음"
    assert not field["shipped"]  # filled, it tells something of the person


def test_a_field_stands_in_the_table_and_in_the_class(tmp_path: Path) -> None:
    """What complains where half of the declaration is forgotten."""
    half = dict([next(iter(FIELD.items()))])
    with pytest.raises(AssertionError, match=r"Persona\.mood: a field stands both in the table and in the class"):
        in_a_copy(tmp_path / "copy", half, "import aac.persona")
