"""The remote teacher against a local server that misbehaves: nothing is paid twice, nothing is lost, nothing leaks."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import data_prepare
from aac.io import UserError, read_json
from aac.records import Context, Persona, load_samples
from dataset.prepare.journal import Journal, Ledger, read_events
from dataset.prepare.privacy import SHIPPED_FILE, may_leave, persona_digest
from dataset.prepare.teachers.ask import Ask
from dataset.prepare.teachers.grammar import interpret
from dataset.prepare.teachers.openai_settings import Settings, read_env
from dataset.prepare.teachers.openai_teacher import Teacher
from dataset.prepare.teachers.quality import parse, problems
from tests.chat_server import CONTEXT, Chat, ChatServer, good_answer
from tests.workshop import draw_card

ROOT = Path(__file__).resolve().parents[1]
WORDS = ("물", "사과", "주세요", "우유", "밥", "먹다", "공", "놀다", "학교", "가다", "빵", "책", "보다", "집",
         "컵", "엄마")  # fmt: skip
KEY = "sk-a-secret-that-nobody-may-see"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A workspace with sixteen cards, and two shipped personas."""
    images = tmp_path / "dataset/images"
    images.mkdir(parents=True)
    for number, word in enumerate(WORDS, start=1):
        draw_card(images / f"{number}_{word}.png", number)
    people = read_json(ROOT / "dataset/persona.json")[:2]
    (tmp_path / "dataset/persona.json").write_text(json.dumps(people, ensure_ascii=False), encoding="utf-8")
    return tmp_path


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("OPENAI_", "AAC_TEACHER_"))]:
        monkeypatch.delenv(name)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.setenv("AAC_TEACHER_PAUSE", "0.01")


def point_at(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("BASE_URL", server.url), ("MODEL", "tiny-teacher"), ("API_KEY", KEY)):
        monkeypatch.setenv(f"OPENAI_{name}", value)


def line(home: Path, *arguments: str, samples: int = 6) -> list[str]:
    return ["--workspace", str(home), "--samples-per-persona", str(samples), "--teacher", "openai", *arguments]


def journal_of(home: Path) -> Journal:
    return Journal(home / "dataset/teacher_journal.jsonl")


def rows_of(home: Path) -> list[dict[str, Any]]:
    return read_json(home / "dataset/processed/dataset_completed.json")


def misbehaving(chat: Chat) -> tuple[str, str]:
    """10 % 429, 5 % 500, 5 % silence, 5 % malformed (a broken body or words that are no JSON)."""
    luck = random.Random(f"{chat.prompt}{chat.seen}").random()
    if luck < 0.2:
        return ("429" if luck < 0.1 else "500" if luck < 0.15 else "silent"), ""
    if luck < 0.25:
        return ("broken", "") if luck < 0.225 else ("ok", '{"interpretations": ["물 주')
    return "ok", good_answer(chat)


@pytest.mark.slow
def test_killed_twice_nothing_is_asked_twice_and_the_ledger_adds_up(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    concurrency, samples = 16, 250
    monkeypatch.setenv("AAC_TEACHER_CONCURRENCY", str(concurrency))
    monkeypatch.setenv("AAC_TEACHER_TIMEOUT", "3")
    interpret(["물"], Persona(), Context())  # loads Kiwi before anybody waits for it
    with ChatServer(misbehaving) as server:
        point_at(server, monkeypatch)
        assert data_prepare.main([*line(home, samples=samples), "--steps", *"1234567"]) == 0
        command = [sys.executable, str(ROOT / "data_prepare.py"), *line(home, "--steps", "8", samples=samples)]
        # Killed while every request in flight is unanswered: then no answer at all is lost.
        server.freeze_at = 150
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        wait_until(lambda: server.held >= concurrency, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        first = journal_of(home).ledger
        assert first.answered == sum(map(len, server.good.values())) > 80 and first.lost == concurrency
        server.freeze_at = None
        server.thaw.set()
        server.frozen.clear()
        # Killed at any moment: an answer on its way is lost, and stands in the ledger as lost.
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        wait_until(lambda: server.requests > 400, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        asked = server.requests
        # Again from scratch: all is known.
        assert data_prepare.main([*line(home, "--steps", "8", "--overwrite", samples=samples)]) == 0
        assert server.requests == asked
    finished, skipped = load_samples(home / "dataset/processed/dataset_completed.json")
    assert len(finished) == 2 * samples and not skipped
    assert all(sample.context.place and len(set(sample.output)) == 3 for sample in finished)
    assert read_json(home / "dataset/processed/rejected_rows.json") == []
    arrived = {entry["completion_tokens"] for entry in read_events(home / "dataset/teacher_journal.jsonl")
               if entry and entry["event"] == "answer"}  # fmt: skip
    assert all(len(arrived & set(serials)) <= 1 for serials in server.good.values())
    ledger, good = journal_of(home).ledger, sum(map(len, server.good.values()))
    assert ledger.answered == len(arrived) and good - ledger.answered <= concurrency
    assert ledger.completion_tokens == sum(arrived) and ledger.prompt_tokens == 100 * len(arrived)
    assert ledger.sent == ledger.answered + ledger.failed.total() + ledger.lost
    assert concurrency <= ledger.lost <= 2 * concurrency and 0 <= ledger.sent - server.requests <= 2 * concurrency
    for reason, share in (("429", 0.1), ("500", 0.05), ("time-out", 0.05), ("broken body", 0.025)):
        assert 0.3 * share < ledger.failed[reason] / server.requests < 2 * share, ledger
    assert str(ledger) in done.stdout and "HTTP Request" not in done.stdout
    assert KEY not in done.stdout + done.stderr and "Authorization" not in done.stdout


def wait_until(reached: Any, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not reached():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.005)


def asks(home: Path, *hands: str) -> list[Ask]:
    """A request for each hand of words: "물 주세요"."""
    file_of = {word: home / f"dataset/images/{number}_{word}.png" for number, word in enumerate(WORDS, start=1)}
    return [Ask(tuple(file_of[word] for word in hand.split()), tuple(hand.split())) for hand in hands]


def teach(home: Path, server: ChatServer, requests: list[Ask], **changes: Any) -> tuple[list[Any], Ledger]:
    """Answers and the ledger, through a journal in `home`."""
    settings = Settings("tiny-teacher", server.url, KEY, pause=0.01, **changes)
    with Journal(home / "journal.jsonl", write=True) as journal:
        return Teacher(settings, journal).interpret(requests), journal.ledger


GOOD = ["물 주세요.", "물 좀 주시겠어요?", "물이요, 주세요."]
BAD = {
    "wrong_count": GOOD[:2],
    "duplicate": [*GOOD[:2], "물 주세요!"],
    "labelled": ["첫 번째 해석: 물 주세요.", *GOOD[1:]],
    "empty": ["", *GOOD[1:]],
    "not_hangul": ["Water please.", *GOOD[1:]],
    "wrong_voice": ["소통이는 물을 달라고 해요.", *GOOD[1:]],
    "polarity_flipped": ["물 안 주세요.", *GOOD[1:]],
    "person_added": ["할머니, 물 주세요.", *GOOD[1:]],
    "number_added": ["물 세 개 주세요.", *GOOD[1:]],
    "control_text": ["물 주세요 😊", *GOOD[1:]],
    "too_long": ["물 " * 60 + "주세요.", *GOOD[1:]],
}


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_answer_is_found_and_a_good_one_is_not(home: Path, reason: str) -> None:
    (ask,) = asks(home, "물 주세요")
    for three, expected in ((GOOD, False), (BAD[reason], True)):
        read = parse(json.dumps({"context": CONTEXT, "interpretations": three}), ask)
        assert read is not None
        codes = {code for _, code in problems(*read, ask, "first")} - {"card_missing"}
        assert (reason in codes) is expected and (expected or not codes)


def test_labels_are_told_from_sentences() -> None:
    ask = Ask((Path("1_물.png"),), ())
    labels = ["첫 번째 해석: 물", "1. 물 줘요.", "2) 물", "해석 2: 물", "- 물", "③ 물", "“물 주세요.”", "스타일 1. 물"]
    plain = [
        "3번 버스 타요.",
        "10:30에 가요.",
        "첫 번째로 갈래요.",
        "의미 있는 날이에요.",
        "한 번 더요.",
        "2층에 가요.",
    ]
    for texts, expected in ((labels, True), (plain, False)):
        for text in texts:
            codes = {code for place, code in problems([text, *GOOD[1:]], Context(), ask, "first") if place == 1}
            assert ("labelled" in codes) is expected, text


def test_third_person_is_a_setting(home: Path) -> None:
    (ask,) = asks(home, "물 주세요")
    three = ["소통이는 물을 달라고 해요.", "소통이가 물을 주실 수 있는지 물어봐요.", "소통이는 물을 바라고 있어요."]
    assert not {code for _, code in problems(three, Context(), ask, "third")} - {"card_missing", "context"}
    assert {"wrong_voice"} <= {code for _, code in problems(GOOD, Context(), ask, "third")}


def test_bad_answers_are_asked_again_then_rejected_and_listed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row's first answer is bad; 우유 never gets a good one."""
    flaws = iter([*BAD, "malformed", "no_context"] * 3)

    def behave(chat: Chat) -> tuple[str, str]:
        if "우유" in chat.words:
            return "ok", good_answer(chat, ["할머니, 우유 주세요.", "우유 세 개요.", "우유 싫어요."])
        flaw = "" if chat.again else next(flaws)
        if flaw in ("malformed", "no_context"):
            return "ok", json.dumps({"interpretations": GOOD} if flaw == "no_context" else [GOOD])
        return "ok", good_answer(chat, BAD[flaw] if flaw else None)

    with ChatServer(behave) as server:
        point_at(server, monkeypatch)
        assert data_prepare.main(line(home)) == 0
        by_prompt = server.prompts.most_common(1)[0][1]
        answers = [chat for chat in server.chats if not chat.again]
        assert by_prompt == 1 and all("다시 쓴다" in c.body["messages"][-1]["content"] for c in server.chats if c.again)
        requests = server.requests
        assert data_prepare.main([*line(home), "--steps", "8", "--overwrite"]) == 0
        assert server.requests == requests
    rows = rows_of(home)
    stubborn = [row for row in rows if "우유" in row["keywords"]]
    assert stubborn and len(answers) == len(rows) == 12
    assert requests == 2 * (len(rows) - len(stubborn)) + 3 * len(stubborn)
    listed = read_json(home / "dataset/processed/rejected_rows.json")
    assert [entry["key"] for entry in listed] == [row["key"] for row in stubborn]
    assert {"sentence 1: person_added", "sentence 2: number_added"} <= set(listed[0]["reasons"])
    samples, skipped = load_samples(home / "dataset/processed/dataset_completed.json")
    assert len(samples) == len(rows) - len(stubborn) and skipped == {"incomplete": len(stubborn)}
    assert not any(row["output"] for row in stubborn)


def test_a_rejected_row_is_mended_by_hand(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ChatServer(lambda chat: ("ok", good_answer(chat, ["물", "물", "물"]))) as server:
        point_at(server, monkeypatch)
        assert data_prepare.main([*line(home, samples=1)]) == 0
        (home / "dataset/corrections.jsonl").write_text(
            "".join(json.dumps({"key": row["key"], "output": GOOD}) + "\n" for row in rows_of(home)), encoding="utf-8"
        )
        requests = server.requests
        assert data_prepare.main([*line(home, samples=1)]) == 0
        assert server.requests == requests
    assert all(row["output"] == GOOD and row["input"]["context"] == CONTEXT for row in rows_of(home))


def test_an_added_row_asks_for_itself_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ChatServer(lambda chat: ("ok", good_answer(chat))) as server:
        point_at(server, monkeypatch)
        assert data_prepare.main(line(home)) == 0
        before, requests = rows_of(home), server.requests
        path = home / "dataset/processed/dataset_with_cards.json"
        rows = read_json(path)
        twin = {**rows[0], "id": 999, "key": "of-its-own"}  # the same cards once more: another situation is asked for
        path.write_text(json.dumps([*rows, twin], ensure_ascii=False), encoding="utf-8")
        assert data_prepare.main([*line(home), "--steps", "8"]) == 0
        assert rows_of(home)[:-1] == before and rows_of(home)[-1]["output"]
        assert server.requests == requests + 1 and "벌써 1번" in server.chats[-1].text
        assert data_prepare.main([*line(home), "--steps", "8", "--start", "3", "--limit", "4"]) == 0
        assert server.requests == requests + 1
        assert [bool(row["output"]) for row in rows_of(home)[:9]] == [False] * 3 + [True] * 4 + [False] * 2


def test_a_dry_run_estimates_and_sends_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with ChatServer(lambda chat: ("ok", good_answer(chat))) as server:
        point_at(server, monkeypatch)
        monkeypatch.delenv("OPENAI_API_KEY")
        assert data_prepare.main([*line(home), "--dry-run"]) == 0
        assert "known once step 7 has run" in capsys.readouterr().out
        assert data_prepare.main([*line(home), "--steps", *"1234567"]) == 0
        assert data_prepare.main([*line(home), "--dry-run"]) == 0
        shown = capsys.readouterr().out
        assert "0 of 12 answers are known already; 12 requests, about" in shown and "rule of thumb" in shown
        assert "age" in shown and "disability_type" not in shown and server.requests == 0
        assert not (home / "dataset/teacher_journal.jsonl").exists()
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        assert data_prepare.main([*line(home), "--limit", "10"]) == 0
        assert data_prepare.main([*line(home), "--dry-run"]) == 0
        shown = capsys.readouterr().out
        assert "10 of 12 answers are known already; 2 requests, about 200 prompt + " in shown and "mean of 10" in shown


def test_own_people_stay_at_home_unless_their_fields_are_listed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = home / "dataset/persona.json"
    people = read_json(path)
    people[0]["persona"]["communication_characteristics"] = "비밀 병원에 다니는 아이"
    path.write_text(json.dumps(people, ensure_ascii=False), encoding="utf-8")
    with ChatServer(lambda chat: ("ok", good_answer(chat))) as server:
        point_at(server, monkeypatch)
        assert data_prepare.main(line(home)) == 0
        bodies = [json.dumps(chat.body, ensure_ascii=False) for chat in server.chats]
        own = [body for body in bodies if "나이: " not in body]
        assert len(own) >= 5 and not any("비밀" in body for body in bodies)  # some hands of one person repeat
        assert not any(f"{field}: " in body for body in own for field in ("소통 특성", "말 길이", "성별", "장애 유형"))
        others = [body for body in bodies if "나이: 청소년" in body]
        assert len(others) >= 5 and all("두세 장의 카드를" in body for body in others)
        server.chats.clear()
        assert data_prepare.main([*line(home), "--send-personas", "age", "gender"]) == 0
        texts = [chat.text for chat in server.chats]
        assert any("나이: 아동\n성별: 여성" in text for text in texts)
        assert not any("소통 특성" in text or "비밀" in text for text in texts)


def test_what_may_leave() -> None:
    shipped = read_json(ROOT / "dataset/persona.json") + read_json(ROOT / "dataset/persona_held_out.json")
    digests = [persona_digest(entry) for entry in shipped]
    assert digests == SHIPPED_FILE.read_text(encoding="utf-8").split(), "\n".join(["write these:", *digests])
    persona = {**shipped[0]["persona"], "preferred_category_types": [4, 2]}
    assert set(may_leave(persona, None)) == {"age", "communication_characteristics", "utterance_length"}
    assert may_leave(persona, ["gender"]) == {"gender": "여성"}
    assert may_leave({**persona, "gender": "남성"}, None) == {}


def test_the_key_shows_nowhere(home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    answers = iter(["401", "404", "429", "ok"])
    with ChatServer(lambda chat: (next(answers, "ok"), good_answer(chat))) as server:
        point_at(server, monkeypatch)
        monkeypatch.setenv("AAC_TEACHER_CONCURRENCY", "1")
        for code in (2, 2, 0):
            assert data_prepare.main(line(home)) == code
        assert server.chats[-1].headers["authorization"] == f"Bearer {KEY}"
    shown = capfd.readouterr()
    assert "the key was refused (401)" in shown.err and "refused (404)" in shown.err
    everything = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
    assert KEY not in shown.out + shown.err and not any(KEY.encode() in content for content in everything)
    assert KEY not in repr(Settings("m", "u", KEY))


def test_an_outage_exits_1_and_loses_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with ChatServer(lambda chat: ("ok" if chat.number <= 5 else "503", good_answer(chat))) as server:
        point_at(server, monkeypatch)
        assert data_prepare.main(line(home)) == 1
        error = capsys.readouterr().err
        assert "8 tries of one request failed (last: 503" in error and "run the same command again" in error
        ledger = journal_of(home).ledger
        assert ledger.answered == 5 and not (home / "dataset/processed/dataset_completed.json").exists()
        server.behave = lambda chat: ("ok", good_answer(chat))
        requests = server.requests
        assert data_prepare.main(line(home)) == 0
        assert server.requests - requests == 12 - 5


def test_pictures_are_sent_on_white(home: Path) -> None:
    import base64
    import io

    from PIL import Image

    path = home / "dataset/images/1_물.png"
    Image.new("RGBA", (700, 350), (0, 0, 0, 0)).save(path)
    with ChatServer(lambda chat: ("ok", good_answer(chat))) as server:
        (answer,), _ = teach(home, server, asks(home, "물"))
        assert not answer.reasons
        (url,) = server.chats[0].pictures
    sent = Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/png;base64,"))))
    assert sent.mode == "RGB" and sent.size == (512, 256) and sent.getpixel((9, 9)) == (255, 255, 255)


def test_given_situations_are_kept_and_equal_requests_asked_once(home: Path) -> None:
    (ask,) = asks(home, "물 주세요")
    given = replace(ask, context=Context(place="부엌", interaction_partner="형"))
    with ChatServer(lambda chat: ("ok", good_answer(chat))) as server:
        answers, ledger = teach(home, server, [given, ask, given, replace(ask, person=7)])
        assert server.requests == 2 and ledger.answered == 2
        assert answers[0].context == answers[2].context == given.context and answers[1] == answers[3]
        assert "장소: 부엌" in next(chat for chat in server.chats if not chat.wants_context).text
        _, ledger = teach(home, server, [given, ask])
        assert server.requests == 2 and ledger.sent == 2


def test_one_prompt_that_is_refused_is_rejected_alone(home: Path) -> None:
    with ChatServer(lambda chat: ("400" if "컵" in chat.words else "ok", good_answer(chat))) as server:
        with pytest.raises(UserError, match=r"refused \(400\)"):  # the model has never answered: the settings are wrong
            teach(home, server, asks(home, "컵"))
        answers, _ = teach(home, server, asks(home, "물", "컵", "빵"), concurrency=1)
        assert [answer.reasons for answer in answers] == [(), ((0, "refused"),), ()]
        answers, _ = teach(home, server, asks(home, "물", "컵", "빵"))  # again: it alone is asked
        assert [answer.reasons for answer in answers] == [(), ((0, "refused"),), ()] and server.requests == 5
        many = [replace(ask, occasion=n) for n in range(12) for ask in asks(home, "컵")]
        with pytest.raises(UserError, match=r"refused \(400\)"):  # one after another: not the prompts are wrong
            teach(home, server, many)


def test_a_journal_survives_a_torn_line_and_has_one_writer(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = home / "journal.jsonl"
    with Journal(path, write=True) as journal:
        journal.sent("a", 1)
        journal.answered("a", 1, "m", "가", (10, 5))
        journal.sent("b", 2)
        with pytest.raises(UserError, match="another run"):
            Journal(path, write=True)
    with path.open("ab") as file:
        file.write('{"event": "answer", "key": "b", "content": "나'.encode())
    with Journal(path, write=True) as journal:
        journal.answered("b", 2, "m", "다", (None, None))
    again = Journal(path)
    assert (again.answer_to("a"), again.answer_to("b"), again.answer_to("c")) == ("가", "다", None)
    assert "1 damaged lines" in caplog.text
    assert (again.ledger.sent, again.ledger.answered, again.ledger.unmetered) == (2, 2, 1)
    assert again.mean_cost("m") == (10, 5, 1) and again.mean_cost("n") == (0, 0, 0)


def test_settings_come_from_the_environment_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".env"
    text = "\ufeff# mine\nexport OPENAI_API_KEY='k#1'\nOPENAI_MODEL=small # cheap\n\nAAC_TEACHER_TIMEOUT=\"9\"\n"
    path.write_text(text, encoding="utf-8")
    assert read_env(path) == {"OPENAI_API_KEY": "k#1", "OPENAI_MODEL": "small", "AAC_TEACHER_TIMEOUT": "9"}
    loaded = Settings.load(path)
    assert (loaded.model, loaded.key, loaded.timeout, loaded.host) == ("small", "k#1", 9.0, "api.openai.com")
    monkeypatch.setenv("OPENAI_MODEL", "large")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://me:secret@example.org:8443/v1")
    assert (Settings.load(path).model, Settings.load(path).host) == ("large", "example.org:8443")
    monkeypatch.setenv("AAC_TEACHER_CONCURRENCY", "many")
    with pytest.raises(UserError, match="AAC_TEACHER_CONCURRENCY: must be a number"):
        Settings.load(path)
    path.write_text("just a secret\n", encoding="utf-8")
    with pytest.raises(UserError, match="line 1 must look like NAME=value") as refused:
        Settings.load(path)
    assert "secret" not in str(refused.value)
    monkeypatch.delenv("OPENAI_MODEL")
    with pytest.raises(UserError, match="OPENAI_MODEL"):
        Settings.load(tmp_path / "none")


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("OPENAI_BASE_URL", "api.example.org/v1", "must look like https://host/v1"),
        ("OPENAI_API_KEY", "sk-열쇠", "signs that no key has"),
        ("OPENAI_API_KEY", "", "no key; put OPENAI_API_KEY"),
        ("OPENAI_MODEL", "", "name the model"),
    ],
)
def test_settings_that_cannot_work_are_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str, part: str
) -> None:
    monkeypatch.setenv("OPENAI_MODEL", "m")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv(name, value)
    assert data_prepare.main(line(home)) == 2
    error = capsys.readouterr().err
    assert part in error and KEY not in error and "열쇠" not in error


def test_flags_that_contradict_are_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = ["--workspace", str(home)]
    assert data_prepare.main([*space, "--voice", "third"]) == 2
    assert data_prepare.main([*space, "--send-personas", "name"]) == 2
    with pytest.raises(SystemExit) as stopped:
        data_prepare.main([*space, "--forget", "1", "--dry-run"])
    assert stopped.value.code == 2 and "no field 'name'" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_stopped_by_a_signal_what_came_stays(home: Path, monkeypatch: pytest.MonkeyPatch, sign: signal.Signals) -> None:
    monkeypatch.setenv("AAC_TEACHER_CONCURRENCY", "2")
    with ChatServer(lambda chat: ("ok", good_answer(chat))) as server:
        point_at(server, monkeypatch)
        assert data_prepare.main([*line(home), "--steps", *"1234567"]) == 0
        server.freeze_at = 6
        command = [sys.executable, str(ROOT / "data_prepare.py"), *line(home, "--steps", "8")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        wait_until(lambda: server.held >= 2, process)
        process.send_signal(sign)
        shown = process.communicate(timeout=30)[0]
    assert process.returncode == (130 if sign == signal.SIGINT else 143)
    assert "8 requests sent = 6 answered + 0 failed + 2 lost" in shown and "run the same command again" in shown
    assert journal_of(home).ledger.answered == 6
