"""evaluate.py whole: a model, a file of predictions, comparisons, ratings, and the mistakes users make."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from unicodedata import normalize

import pytest

from aac.io import read_json, write_json
from aac.records import Sample, load_samples
from tests.conftest import WORDS, fresh_model
from train.evaluate import main
from train.interpreter.candidates import Source
from train.models import parts
from train.pages import demo_page
from train.scoring import ablations, registry
from train.scoring.baselines import nearest
from train.scoring.predictions import read_predictions, write_predictions
from train.scoring.suite import read_suite
from train.scoring.suite_judge import judge

ROOT = Path(__file__).resolve().parents[1]
LEXICAL = ["--similarity-model", "lemma-tfidf"]


def data_of(workspace: Path) -> list[Sample]:
    return load_samples(workspace / "dataset/processed/dataset_completed.json")[0]


def predict(workspace: Path, name: str, change=lambda texts, sample: texts) -> str:
    samples = data_of(workspace)
    path = workspace / name
    write_predictions(path, samples, [change(list(s.output), s) for s in samples])
    return str(path)


def run(workspace: Path, *more: str, output: str = "out") -> int:
    return main(["--workspace", str(workspace), "--output", str(workspace / output), "--split", "all", *more])


# ---------------------------------------------------------------------- a model


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One evaluation of a small random model with every ablation; its folder."""
    from tests.conftest import workspace as make

    root = make.__wrapped__(tmp_path_factory.mktemp("evaluated"))  # type: ignore[attr-defined]
    data = root / "dataset/processed/dataset_completed.json"
    rows = read_json(data)
    for row in rows[::2]:
        row["input"]["context"]["interaction_partner"] = "담임 선생님"
    write_json(data, rows)
    model = fresh_model()
    (root / "train/checkpoints").mkdir(parents=True)
    model.save_model(root / "train/checkpoints/best_model.pt")
    assert run(root, "--ablate", "--limit", "12", *LEXICAL) == 0
    return root


def test_metrics_hold_every_table(evaluated: Path) -> None:
    scores = read_json(evaluated / "out/metrics.json")
    seed_keys = ["bleu4", "rouge1", "rouge2", "rougeL", "chrf", "set_score", "distinct3", "card_coverage", "polarity"]
    seed_keys += ["addition", "illocution", "register_accuracy", "register", "register_macro", "complexity", "voice"]
    seed_keys += ["persona_consistency", "semantic_similarity[lemma-tfidf]", "style_accuracy"]
    seed_keys += ["rouge1_recall", "rougeL_recall", "from_again", "not_from_model", "rows"]
    assert set(seed_keys) <= scores.keys()
    assert {"bleu4", "register_accuracy", "style_accuracy"} <= scores["intervals"].keys()
    assert scores["ablations"].keys() == set(ablations.NAMES)
    assert scores["inputs"].keys() == {"pictures_only", "keywords_only", "pictures_and_keywords"}
    names = {"keywords", "grammar_cards_only", "nearest_neighbour", "model_without_persona_and_context"}
    assert scores["baselines"].keys() == names
    assert {"references", "candidates", "written_by"} == scores["leave_one_out"].keys()
    assert {"bleu4_syllable", "bleu4_whitespace", "leave_one_out"} <= scores["signatures"].keys()
    assert {"bleu4_syllable", "bleu4_whitespace", "from_again", "not_from_model"} <= scores["intervals"].keys()
    sources = [value for key, value in scores.items() if key.startswith("from_")]
    assert len(sources) == len(Source) and sum(sources) == pytest.approx(1)
    for entry in scores["ablations"].values():
        assert entry["gaps"]["rougeL"] == pytest.approx(scores["rougeL"] - entry["rougeL"])
        low, high = entry["gap_intervals"]["rougeL"]
        assert low <= high
    assert scores["baselines"]["keywords"]["card_coverage"] == 1
    assert scores["baselines"]["model_without_persona_and_context"]["rougeL"] == pytest.approx(
        scores["ablations"]["no_persona_no_context"]["rougeL"]
    )


def test_the_suite_is_asked_three_ways(evaluated: Path) -> None:
    """Of its requests those whose cards have pictures; what was said stands beside, and the tables come first."""
    asked = [one for one in read_suite() if set(one.cards) <= set(WORDS)]
    found = read_json(evaluated / "out/metrics.json")["requests"]
    assert list(found) == ["pictures", "keywords", "own"] and asked
    for values in found.values():
        assert values["rows"] == len(asked) == sum(kind["rows"] for kind in values["kinds"].values())
        assert 0 <= values["all_three"] <= values["one_of_three"] <= 1
    assert found["own"]["from_model"] == 1 > found["pictures"]["from_model"]  # the gate stops an untrained model
    lines = [json.loads(line) for line in (evaluated / "out/requests.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["id"] for line in lines] == [one.id for one in asked]
    for line, one in zip(lines, asked, strict=True):
        said = [sentence["text"] for sentence in line["own"]]
        assert [[list(f) for f in found] for found in judge(one, said).faults] == [s["faults"] for s in line["own"]]
    page = (evaluated / "out/report.html").read_text(encoding="utf-8")
    assert page.index("실제로 할 말: 그림만 보고") < page.index("<h2>점수")


def test_predictions_of_a_model_score_the_same_without_it(evaluated: Path) -> None:
    own = evaluated / "out/predictions.jsonl"
    assert run(evaluated, "--predictions", str(own), "--limit", "12", *LEXICAL, output="again") == 0
    first, second = (read_json(evaluated / name / "metrics.json") for name in ("out", "again"))
    for key, value in second.items():
        if isinstance(value, float):
            assert first[key] == pytest.approx(value), key
    paths = [str(evaluated / name / "metrics.json") for name in ("out", "again")]
    assert main(["--compare", *paths, "--output", str(evaluated / "gap")]) == 0
    differences = read_json(evaluated / "gap/comparison.json")["differences"]
    assert len(differences) > 20
    assert all(gap["gap"] == pytest.approx(0, abs=1e-6) for gap in differences.values())


def test_parts_change_the_model_and_come_back(model) -> None:
    """Each part away from zero: removing it changes the loss, and afterwards the loss is the same to the last bit."""
    import torch

    from tests.conftest import SENTENCES, pictures
    from train.interpreter.requests import parse_request
    from train.models.batch import Row, collate

    persona = {"age": 9, "gender": "여성", "interesting_topics": ["공"], "preferred_category_types": [1, 2]}
    context = {"place": "집", "interaction_partner": "친구"}
    request = parse_request(model, {"images": pictures(2), "persona_info": persona, "context_info": context})
    answers = [model.encoder.answer(sentence) for sentence in SENTENCES[:3]]

    def loss() -> float:
        prompt = model.encoder.prompt([4, 4], request.persona, request.context)
        row = Row(prompt, answers, [0, 1, 2], [0, 1], request.persona, request.context)
        batch = collate([row], model.encoder, model.image_clusters(request.features), [True])
        with torch.inference_mode():
            return float(model(batch, request.features, request.image_sizes)["loss"].total)

    whole = loss()
    for name, taken in ablations.PARTS.items():
        with parts.without(model, taken):
            # The answers of this batch are told no style: that embedding is looked at below.
            assert (loss() == whole) == (name == "no_style_embedding"), name
        assert loss() == whole, name
    opening = model.styles.embedding.weight.clone()
    with parts.without(model, ["style_embedding"]):
        assert (model.styles.embedding.weight == model.styles.embedding.weight[3]).all()
    assert torch.equal(model.styles.embedding.weight, opening)
    with pytest.raises(RuntimeError), parts.without(model, ["context_attention"]):
        raise RuntimeError
    assert loss() == whole


def test_without_persona_embedding_everybody_is_unknown(model) -> None:
    import torch

    from aac.records import Context, Persona
    from train.models.batch import Row, conditions

    def soft(persona: Persona) -> torch.Tensor:
        row = Row([], [], [], [], persona, Context())
        return model.persona(
            conditions([row], model.encoder, torch.zeros(0)), model.backbone.model.embed_tokens
        ).detach()

    somebody = Persona(age="아동", gender="여성", disability_type="자폐성장애", interesting_topics=["기차"])
    unknown = soft(Persona())
    assert not torch.allclose(soft(somebody), unknown)
    with parts.without(model, ["persona_embedding"]):
        assert torch.equal(soft(somebody), unknown)


def test_shuffles_give_everybody_something_else(model) -> None:
    from tests.conftest import pictures
    from train.interpreter.requests import parse_request

    asked = [
        {"images": [picture], "persona_info": {"age": age}, "context_info": {"place": place}}
        for picture, age, place in zip(pictures(6), ["9", "15", "30", "70", "9", "15"], "가나다라마바", strict=True)
    ]
    requests = [parse_request(model, one) for one in asked]
    people, places = (ablations.changed(f"shuffled_{name}", requests) for name in ("personas", "contexts"))
    cards = ablations.changed("shuffled_images", requests)
    for before, person, place, card in zip(requests, people, places, cards, strict=True):
        assert person.persona != before.persona and person.context == before.context
        assert place.context != before.context and place.persona == before.persona
        assert card.features[0] is not before.features[0] and card.persona == before.persona
    with pytest.raises(Exception, match="differ too little"):
        ablations.changed("shuffled_personas", requests[:1])


def test_nearest_neighbour_by_cards_then_by_person(workspace: Path) -> None:
    rows = data_of(workspace)
    assert nearest(rows, rows) == [row.output for row in rows]
    child = rows[0].model_copy(update={"id": 90, "output": ["a", "b", "c"]})
    adult = rows[0].model_copy(update={"id": 91, "output": ["d", "e", "f"], "persona": rows[1].persona})
    assert nearest([rows[0]], [adult, child]) == [["a", "b", "c"]]
    stranger = rows[0].model_copy(update={"cards": ["99_해.png"]})
    assert nearest([stranger], rows)[0] in [row.output for row in rows]


# ---------------------------------------------------------------------- the page


def test_report_stands_alone_and_begins_with_the_worst(workspace: Path) -> None:
    def spoil(texts: list[str], sample: Sample) -> list[str]:
        return ["안 </script><b> 해요."] * 3 if sample.id == 7 else texts

    assert run(workspace, "--predictions", predict(workspace, "a.jsonl", spoil), *LEXICAL) == 0
    page = (workspace / "out/report.html").read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="?http|<link|@import|<img', page)
    assert page.count("<script>") == page.count("</script>") == 1
    ids = re.findall(r'<p class="who">(\d+)번', page)
    assert ids[0] == "7" and len(ids) == len(data_of(workspace))
    assert "&lt;/script&gt;" in page
    assert page.count("url(data:image/png;base64,") == 6
    for words in ("점수의 분포", "참고 해요체", '<select id="person">', '<select id="cards">', "낱말 겹침"):
        assert words in page


def test_no_pictures_are_needed_for_predictions(workspace: Path) -> None:
    for card in (workspace / "dataset/images").iterdir():
        card.unlink()
    assert run(workspace, "--predictions", predict(workspace, "a.jsonl"), *LEXICAL) == 0
    page = (workspace / "out/report.html").read_text(encoding="utf-8")
    assert "url(data:" not in page and "<figcaption>물</figcaption>" in page


def test_perfect_predictions_score_perfectly(workspace: Path) -> None:
    assert run(workspace, "--predictions", predict(workspace, "a.jsonl"), *LEXICAL) == 0
    scores = read_json(workspace / "out/metrics.json")
    assert scores["rougeL"] == scores["set_score"] == scores["semantic_similarity[lemma-tfidf]"] == 1
    assert scores["chrf"] == pytest.approx(100) and scores["vocabulary"] == 1
    assert "style_accuracy" not in scores and "ablations" not in scores


def test_a_metric_is_declared_once_and_seen_everywhere(workspace: Path, monkeypatch, capsys) -> None:
    """Declared in one place it stands in the table, the pages, the comparison and the intervals; in none before."""

    def scored(output: str) -> tuple[dict, str, str]:
        assert run(workspace, "--predictions", told, *LEXICAL, output=output) == 0
        page = (workspace / output / "report.html").read_text(encoding="utf-8")
        return read_json(workspace / output / "metrics.json"), page, capsys.readouterr().out

    told = predict(workspace, "a.jsonl", lambda texts, sample: [texts[0], texts[0], texts[2]])
    scores, page, shown = scored("before")
    assert "echo" not in scores and "메아리" not in page and "echo" not in shown

    def echo(three, references) -> float:
        return float(three[0] == references[0]) - float(three[1] == references[1])

    declared = registry.Metric(
        "echo", "메아리", registry.with_references(echo), against="references", shown=registry.HEADLINE, judged=0.5
    )
    monkeypatch.setitem(registry.METRICS, "echo", declared)
    scores, page, shown = scored("after")
    assert scores["echo"] == 1 and scores["multi"]["echo"] == 1 and scores["intervals"]["echo"] == [1, 1]
    assert scores["baselines"]["keywords"]["echo"] == 0 == 1 - scores["baselines"]["keywords"]["gaps"]["echo"]
    assert all("echo" not in scores["leave_one_out"][side] for side in ("references", "candidates"))
    for place in ("<th>메아리</th>", '<option value="echo">메아리</option>', "<b>메아리</b>"):
        assert place in page
    assert "echo" in shown.splitlines()[0].split()
    demo_page.write_page(workspace / "demo.html", [], workspace, "해석", scores)
    assert "<th>메아리</th>" in (workspace / "demo.html").read_text(encoding="utf-8")
    paths = [str(workspace / "after/metrics.json")] * 2
    assert main(["--compare", *paths]) == 0
    assert re.search(r"^echo +1\.000 +1\.000", capsys.readouterr().out, re.MULTILINE)
    # Negative control: where it is not declared, its counts are no mean but a mistake.
    monkeypatch.delitem(registry.METRICS, "echo")
    assert main(["--compare", *paths]) == 2
    assert "run the evaluation again" in capsys.readouterr().err


def test_a_metric_with_a_place_on_pages_needs_a_korean_name() -> None:
    with pytest.raises(ValueError, match="Korean name"):
        registry.Metric("echo")


# ---------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (['{"id": 999, "interpretations": ["가", "나", "다"]}'], ["id 999", "no row", "--data"]),
        (['{"id": 1, "interpretations": ["가", "나", "다"]}'], ["id 2", "missing", "--split"]),
        (['{"id": 1, "interpretations": ["가", "나", "다"]}'] * 2, ["line 2", "id 1", "twice"]),
        (['{"id": "1", "interpretations": ["가요."]}'], ["line 1", "'id'"]),
        (['{"id": 1, "interpretations": "가요."}'], ["line 1", "'interpretations'", "3 sentences"]),
        (['{"id": 1, "interpretations": ["가", "나", "다", "라"]}'], ["id 1", "3 sentences"]),
        (['{"id": 1, "interpretations": ["가", "나"]}'], ["id 1", "'interpretations'", "3 sentences", "empty"]),
        (['{"id": 1, "interpretations": ["가", "나", 1]}'], ["line 1", "'interpretations'"]),
        (['{"id": 1, "sentences": ["가", "나", "다"]}'], ["line 1", "'interpretations'"]),
        (['["가요."]'], ["line 1", "not a list"]),
        (["not json"], ["line 1", "not JSON"]),
        (["[" * 100_000], ["line 1", "not JSON"]),
        (['{"id": ' + "9" * 5000 + "}"], ["line 1", "not JSON"]),
        ([], ["id 1", "missing"]),
    ],
)
def test_faulty_predictions_are_one_clear_error(workspace: Path, capsys, lines: list[str], words: list[str]) -> None:
    (workspace / "p.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert run(workspace, "--predictions", str(workspace / "p.jsonl"), *LEXICAL) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ") and all(word in error for word in ["p.jsonl", *words]), error
    assert not (workspace / "out").exists()


def test_rows_of_other_splits_may_stand_in_the_file(workspace: Path, caplog) -> None:
    samples = data_of(workspace)
    path = Path(predict(workspace, "a.jsonl"))
    test = [sample for sample in samples if sample.split == "test"]
    with caplog.at_level("INFO", "aac"):
        found = read_predictions(path, test, {sample.id for sample in samples})
    assert found == [sample.output for sample in test]
    assert f"{len(samples) - len(test)} lines of rows that are not scored" in caplog.text


def test_decomposed_hangul_is_the_same_hangul(workspace: Path) -> None:
    """macOS writes NFD: the same sentences, other bytes, equal scores."""
    composed = Path(predict(workspace, "a.jsonl", lambda texts, sample: [f"{texts[0]} 네.", *texts[1:]]))
    lines = [json.loads(line) for line in composed.read_text(encoding="utf-8").splitlines()]
    apart = [{**line, "interpretations": [normalize("NFD", t) for t in line["interpretations"]]} for line in lines]
    path = workspace / "b.jsonl"
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in apart), encoding="utf-8")
    assert path.stat().st_size > 1.5 * composed.stat().st_size
    for name in "ab":
        assert run(workspace, "--predictions", str(workspace / f"{name}.jsonl"), *LEXICAL, output=name) == 0
    first, second = (read_json(workspace / name / "metrics.json") for name in "ab")
    assert first["bleu4"] < 100
    assert first == second


def test_ctrl_c_is_one_line_and_130(workspace: Path) -> None:
    data = workspace / "dataset/processed/dataset_completed.json"
    rows = read_json(data)
    write_json(data, [{**row, "id": n * 100 + row["id"]} for n in range(50) for row in rows])  # seconds of work
    line = [
        str(ROOT / "train/evaluate.py"),
        "--workspace",
        str(workspace),
        "--predictions",
        predict(workspace, "a.jsonl"),
    ]
    running = subprocess.Popen([sys.executable, *line, "--split", "all"], stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    first = running.stderr.readline()
    running.send_signal(signal.SIGINT)
    rest = running.stderr.read()
    assert running.wait(timeout=60) == 130
    assert "rows (all)" in first and "Traceback" not in rest
    assert rest.splitlines()[-1] == "stopped: no scores were written"
    assert not (workspace / "train/logs/evaluation/metrics.json").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--predictions", "none.jsonl"], ["none.jsonl", "not found"]),
        (["--checkpoint", "none.pt"], ["none.pt"]),
        (["--data", "none.json"], ["none.json"]),
        (["--compare", "none.json", "none.json"], ["none.json"]),
        (["--similarity-model", "none/at-all", "--predictions", "a.jsonl"], ["none/at-all"]),
        (["--predictions", "a.jsonl", "--output", "a.jsonl"], ["--output", "a.jsonl", "choose another"]),
        (["--predictions", "."], ["Is a directory"]),
        ([], ["best_model.pt", "train one first"]),
        (["--data", "a.jsonl"], ["a.jsonl", "JSON"]),
        (["--data", "tiny.json"], ["tiny.json", "list of rows"]),
        (["--ablate", "persona"], ["'persona'", "no_persona"]),
    ],
)
def test_mistakes_exit_2(workspace: Path, capsys, monkeypatch, more: list[str], words: list[str]) -> None:
    predict(workspace, "a.jsonl")
    monkeypatch.chdir(workspace)
    assert run(workspace, *more) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ") and all(word in error for word in words), error


@pytest.mark.parametrize(
    "line",
    [
        ["--ratings", "a.csv"],
        ["--predictions", "a", "--ablate"],
        ["--limit", "0"],
        ["--predictions", "a", "--rate", "a", "b"],
        ["--predictions", "a", "--with-keywords"],
        ["--compare", "a", "b", "--limit", "3"],
    ],
)
def test_flags_that_do_not_go_together_are_refused(line: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(line)
    assert refused.value.code == 2


def test_compare_needs_rows_of_the_same_data(workspace: Path, capsys) -> None:
    a, b = predict(workspace, "a.jsonl"), predict(workspace, "b.jsonl", lambda texts, sample: [texts[0]] * 3)
    assert run(workspace, "--predictions", a, *LEXICAL, output="a") == 0
    assert run(workspace, "--predictions", b, *LEXICAL, output="b") == 0
    paths = [str(workspace / name / "metrics.json") for name in "ab"]
    assert main(["--compare", *paths]) == 0
    told = capsys.readouterr().out
    assert re.search(r"distinct3 +1\.000 +0\.000 +\+1\.000 +\[\+1\.000, \+1\.000\] \*", told)
    (workspace / "b/rows.jsonl").write_bytes((workspace / "a/rows.jsonl").read_bytes())
    assert main(["--compare", *paths]) == 2
    assert "not the rows of" in capsys.readouterr().err
    data = workspace / "dataset/processed/dataset_completed.json"
    data.write_text(data.read_text(encoding="utf-8").replace("주세요", "줘요"), encoding="utf-8")
    assert run(workspace, "--predictions", b, *LEXICAL, output="b") == 0
    assert main(["--compare", *paths]) == 2
    assert "share no row" in capsys.readouterr().err


def test_help_is_quick() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", str(ROOT / "train/evaluate.py"), "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0 and "--compare" in done.stdout
    assert not re.search(r"\b(torch|kiwipiepy|sklearn|transformers)\b", done.stderr)


# ---------------------------------------------------------------------- ratings


def fill(sheet: Path, target: Path, judge) -> str:
    rows = list(csv.DictReader(sheet.read_text(encoding="utf-8-sig").splitlines()))
    with target.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows({**row, **judge(row)} for row in rows)
    return str(target)


def test_ratings_come_back_to_the_systems(workspace: Path) -> None:
    """B denies every first sentence: raters who see only sentences give exactly that back, paired."""
    good = predict(workspace, "a.jsonl")
    bad = predict(workspace, "b.jsonl", lambda texts, sample: ["안 해요.", *texts[1:]])
    assert run(workspace, "--rate", good, bad) == 0
    sheet = workspace / "out/rating_sheet.csv"
    text = sheet.read_text(encoding="utf-8-sig")
    page = (workspace / "out/rating_sheet.html").read_text(encoding="utf-8")
    assert "a.jsonl" not in text + page and "b.jsonl" not in text + page
    rows = list(csv.DictReader(text.splitlines()))
    samples = data_of(workspace)
    assert len(rows) == 4 * len(samples)  # five distinct sentences of six? no: two are said by both
    places = [int(row["number"]) for row in rows if row["sentence"] == "안 해요."]
    assert set(places) == {1, 2, 3, 4}  # no place tells the system
    assert page.count("<fieldset>") == len(rows) and page.count("<script>") == 1

    def judge(row: dict[str, str]) -> dict[str, str]:
        flipped = row["sentence"] == "안 해요."
        return {"meaning": "reversed" if flipped else "같은 뜻", "would_offer": "" if flipped else "1"}

    one = fill(sheet, workspace / "one.csv", judge)
    strict = fill(sheet, workspace / "two.csv", lambda row: {**judge(row), "would_offer": ""})
    assert run(workspace, "--rate", good, bad, "--ratings", one, strict) == 0
    found = read_json(workspace / "out/ratings.json")
    assert (found["rows"], found["left_out"], found["raters"]) == (len(samples), 0, 2)
    reversed_ = found["differences"]["reversed"]
    assert (reversed_["first"], reversed_["second"]) == (0, pytest.approx(1 / 3))
    assert reversed_["low"] == reversed_["high"] == pytest.approx(-1 / 3)
    assert found["differences"]["would_offer"]["first"] == pytest.approx(1 / 2)
    assert found["agreement"]["meaning"] == {"sentences": len(rows), "equal": 1, "kappa": 1, "alpha": 1}
    assert found["agreement"]["would_offer"]["equal"] == pytest.approx(1 / 4)
    assert found["agreement"]["would_offer"]["kappa"] == pytest.approx(0)
    # By hand: 2N answers, 3N/4 of them yes; disagreeing pairs 3/4, expected 2 * 3/8 * 5/8 * 2N / (2N - 1).
    expected = 2 * 3 / 8 * 5 / 8 * 2 * len(rows) / (2 * len(rows) - 1)
    assert found["agreement"]["would_offer"]["alpha"] == pytest.approx(1 - 3 / 4 / expected)


def test_unfinished_and_foreign_sheets(workspace: Path, capsys) -> None:
    good = predict(workspace, "a.jsonl")
    bad = predict(workspace, "b.jsonl", lambda texts, sample: ["안 해요.", *texts[1:]])
    assert run(workspace, "--rate", good, bad) == 0
    sheet = workspace / "out/rating_sheet.csv"

    def summed(target: str, judge) -> str:
        fill(sheet, workspace / target, judge)
        code = run(workspace, "--rate", good, bad, "--ratings", str(workspace / target))
        return "" if code == 0 else capsys.readouterr().err.strip().splitlines()[-1]

    assert "nothing is rated" in summed("empty.csv", lambda row: {})
    assert "'meaning' is 'good'" in summed("odd.csv", lambda row: {"meaning": "good"})
    assert "'wrong_register'" in summed("odd.csv", lambda row: {"meaning": "same", "wrong_register": "maybe"})
    assert "neither file" in summed("odd.csv", lambda row: {"meaning": "same", "sentence": "다른 말"})
    assert "no row is rated" in summed("half.csv", lambda row: {"meaning": "same"} if row["number"] == "1" else {})
    whole = {str(sample.id) for sample in data_of(workspace)[:5]}
    assert summed("some.csv", lambda row: {"meaning": "same"} if row["row"] in whole else {}) == ""
    found = read_json(workspace / "out/ratings.json")
    assert (found["rows"], found["left_out"]) == (5, len(data_of(workspace)) - 5)
    assert "agreement" not in found
    (workspace / "bad.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    assert run(workspace, "--rate", good, bad, "--ratings", str(workspace / "bad.csv")) == 2
    assert "not a rating sheet" in capsys.readouterr().err


SEPARATORS = "물\u2028밥\u2029국\x85빵"  # JSON strings hold these as they are


def test_a_line_of_json_ends_at_a_line_feed_alone(workspace: Path, tmp_path: Path) -> None:
    samples = data_of(workspace)
    told = [[f"{SEPARATORS} {s.id}.", *s.output[1:]] for s in samples]
    write_predictions(tmp_path / "p.jsonl", samples, told)
    assert "\u2028" in (tmp_path / "p.jsonl").read_text(encoding="utf-8")
    assert read_predictions(tmp_path / "p.jsonl", samples) == told


def test_half_a_surrogate_pair_is_counted_and_written_as_no_letter(workspace: Path, caplog) -> None:
    samples = data_of(workspace)
    lines = [{"id": s.id, "interpretations": ["\ud83d", f"\ude00{s.output[1]}", s.output[2]]} for s in samples]
    path = workspace / "halves.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert run(workspace, "--predictions", str(path), *LEXICAL) == 0
    assert f"{2 * len(samples)} sentences hold half a surrogate pair" in caplog.text
    scores = read_json(workspace / "out/metrics.json")
    assert scores["rougeL"] == 0 == scores["card_coverage_worst"] and 0 < scores["set_score"] < 1
    read_predictions(workspace / "out/predictions.jsonl", samples)
    whole = predict(workspace, "whole.jsonl", lambda texts, sample: [f"{texts[0]} 😀", *texts[1:]])
    caplog.clear()
    assert run(workspace, "--predictions", whole, *LEXICAL) == 0
    assert "hold half a surrogate pair" not in caplog.text


def test_predictions_round_trip(tmp_path: Path, workspace: Path) -> None:
    samples = data_of(workspace)
    write_predictions(tmp_path / "p.jsonl", samples, [s.output for s in samples])
    line = json.loads((tmp_path / "p.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert line.keys() == {"id", "interpretations"}
    assert read_predictions(tmp_path / "p.jsonl", samples) == [s.output for s in samples]


# ---------------------------------------------------------------------- built without a part


@pytest.mark.parametrize("part", ["persona_embedding", "context_attention", "style_embedding", "text_persona"])
def test_a_part_left_out_stays_out_through_training_and_saving(part: str, tmp_path: Path) -> None:
    import torch

    from train.models.aac_multimodal_model import AACMultimodalModel

    model = fresh_model(parts_off=[part])
    if part == "context_attention":  # the fixture opens the gates
        parts.leave_out(model, [part])
    weights = {
        "persona_embedding": lambda m: m.persona.fields[0].weight,
        "context_attention": lambda m: next(iter(m.context.blocks.values())).gate,
        "style_embedding": lambda m: m.styles.embedding.weight,
        "text_persona": lambda m: torch.zeros(1),
    }[part]
    assert not weights(model).any()
    assert not weights(model).requires_grad
    optimizer = torch.optim.AdamW(model.conditioning_parameters(), lr=0.1)
    for weight in model.conditioning_parameters():
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    assert not weights(model).any()
    model.save_model(tmp_path / "m.pt")
    loaded = AACMultimodalModel.load_model(tmp_path / "m.pt", {"device": "cpu"})
    assert not weights(loaded).any()
    assert loaded.encoder.left_out == (frozenset({"persona"}) if part == "text_persona" else frozenset())


def test_an_unknown_part_is_named() -> None:
    with pytest.raises(Exception, match="parts_off: unknown part 'clusters'"):
        fresh_model(parts_off=["clusters"])
