"""`train.py --feedback`: what is learned from, what is held out, and a model that got worse is not taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from aac.feedback import Consent, Feedback
from aac.io import UserError, read_json, write_json
from aac.records import load_samples, split_of
from train.loop import feedback as teaching

NAMES = ["1_물.png", "2_사과.png", "3_학교.png", "4_엄마.png", "5_공.png", "6_밥.png"]
CARDS = {name.split("_")[1][:-4]: name for name in NAMES}
OFFERED = ["물 주세요.", "물 있어요?", "물 좋아요."]


def journal(folder: Path, person: int = 7, train: bool = True) -> Feedback:
    """Every pair of cards, one edited and one chosen in turn; one request undone, one with an unknown card."""
    feedback = Feedback(folder)
    feedback.agree(person, Consent(keep=True, train=train), {"age": 30})
    words = list(CARDS)
    pairs = [[one, other] for one in words for other in words if one < other]
    for number, cards in enumerate([*pairs, ["물", "고래"], ["물"]]):
        request = f"r{number}"
        context = {"interaction_partner": "친구"}
        shown = {"event": "shown", "request": request, "cards": cards, "context": context, "offered": OFFERED}
        edited = {"event": "edited", "request": request, "place": 1, "text": f"{cards[0]} 좀 있어요?"}
        chosen = {"event": "chosen", "request": request, "place": 0, "text": OFFERED[0]}
        for event in (shown, chosen if number % 2 else edited):
            feedback.add(person, event)
    feedback.add(person, {"event": "undone", "request": request})
    return feedback


def test_edits_weigh_more_than_choices_and_other_splits_are_held_out(tmp_path: Path) -> None:
    feedback = journal(tmp_path)
    journal(tmp_path, 8, train=False)
    lesson = teaching.read_lesson(tmp_path, CARDS)
    assert lesson.skipped == 1 and len({row["id"] for row in lesson.learned}) == len(lesson.learned)
    assert {row["persona_id"] for row in lesson.learned} == {7}
    combinations = [tuple(row["input"]["AAC_card_combination"]) for row in lesson.learned]
    counts = {cards: combinations.count(cards) for cards in combinations}
    assert set(counts.values()) == {1, 4} and len(counts) + len(lesson.held_out) == 15
    assert all(split_of(list(cards)) == "train" for cards in counts)
    assert lesson.held_out and all(split_of(sample.cards) != "train" for sample, _ in lesson.held_out)
    for row in lesson.learned:
        edited = counts[tuple(row["input"]["AAC_card_combination"])] == 4
        place = row["output"][1]
        assert ("좀" in place) is edited and row["output"][0] == OFFERED[0] and row["output"][2] == OFFERED[2]
    assert teaching.read_lesson(feedback.path(7), CARDS) == lesson  # one journal alone
    for nothing in (feedback.path(8), tmp_path / "none.jsonl", tmp_path / "none"):
        with pytest.raises(UserError, match="allowed to train"):
            teaching.read_lesson(nothing, CARDS)


def test_what_is_worse_beyond_its_interval_is_not_taken() -> None:
    good, fails = [1.0] * 210 + [0.0] * 90, [1.0] * 30 + [0.0] * 270
    before = {"adoption": [0.0], "reference match": good, "gate failures": fails, "request suite": good}
    assert teaching.verdict(before, before) == []
    better = {**before, "adoption": [1.0], "reference match": [1.0], "gate failures": [0.0]}
    assert teaching.verdict(before, better) == []
    worse = {**before, "reference match": [0.6], "gate failures": [0.2], "request suite": [0.69]}
    assert teaching.verdict(before, worse) == ["reference match", "gate failures"]


@pytest.mark.slow
def test_an_update_is_trained_judged_and_taken_or_not(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from train.train import main

    monkeypatch.setattr(teaching, "JUDGED", 4)
    entries = [{"file": name, "keyword": word, "id": name[0]} for word, name in CARDS.items()]
    write_json(workspace / "dataset/processed/cards.json", {"cards": entries})
    line = ["--workspace", str(workspace), "--config", str(workspace / "tiny.json"), "--set", "max_steps=2"]
    assert main(line) == 0
    best = workspace / "train/checkpoints/best_model.pt"
    first = best.read_bytes()
    journal(workspace / "dataset/feedback")
    teach = [*line, "--feedback", str(workspace / "dataset/feedback"), "--init-from", str(best)]
    verdicts = iter([["request suite"], []])
    monkeypatch.setattr(teaching, "verdict", lambda *_: next(verdicts))
    assert main(teach) == 0
    assert best.read_bytes() == first and "Not taken: request suite" in capsys.readouterr().out
    rows = workspace / "train/feedback/rows.json"
    samples, _ = load_samples(rows)
    assert len(samples) == len(read_json(rows)) and any("좀" in text for s in samples for text in s.output)
    assert main(teach) == 0
    told = capsys.readouterr().out
    assert "Taken" in told and "reference match" in told and best.read_bytes() != first
    assert best.with_name("best_model.before_feedback.pt").read_bytes() == first


def test_it_needs_a_model_to_begin_with(capsys: pytest.CaptureFixture[str]) -> None:
    from train.train import main

    for more in ([], ["--init-from", "x.pt", "--dry-run"]):
        with pytest.raises(SystemExit):
            main(["--feedback", "dataset/feedback", *more])
        assert "--init-from" in capsys.readouterr().err
