"""What endpoints really send, and what people really set: every answer that can be read is used, everything else is one
line that names it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import data_prepare
from aac.gate import check
from aac.io import UserError
from aac.records import Context
from dataset.prepare.journal import Journal
from dataset.prepare.teachers.ask import Ask
from dataset.prepare.teachers.openai_settings import Settings
from dataset.prepare.teachers.quality import parse, problems
from dataset.prepare.teachers.remote import HOPELESS
from tests.chat_server import CONTEXT, Chat, ChatServer, good_answer
from tests.test_teacher_remote import GOOD, KEY, asks, home, line, point_at, rows_of, settings, teach

__all__ = ["home", "settings"]
ANSWER = json.dumps({"context": CONTEXT, "interpretations": GOOD}, ensure_ascii=False)


def body(message: Any, usage: Any = None) -> str:
    """A whole reply with this message."""
    return json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage})


# ------------------------------------------------------------------ thinking aloud (kind 6)
DRAFT = '{"interpretations": ["초안", "초안 둘", "초안 셋"]}'


@pytest.mark.parametrize(
    "content",
    [
        ANSWER,
        f"\ufeff{ANSWER}",
        f"```json\n{ANSWER}\n```",
        f"```JSON\n{ANSWER}\n```\n",
        f"``` Json \r\n{ANSWER}```",
        f"<think>카드는 물이다. {DRAFT}</think>\n\n{ANSWER}",
        f"<THINK>\n{{ 물?\n</THINK>{ANSWER}",
        f"생각 없이 닫는다</think>{ANSWER}",
        f"<thinking>{DRAFT}</thinking>```json\n{ANSWER}\n```",
        f"물론입니다! {{카드}}를 읽었습니다.\n{ANSWER}\n도움이 되었기를 바랍니다 {{:-)}}.",
        f"Draft: {DRAFT}\nFinal: {ANSWER}",
        json.dumps({"context": CONTEXT, "interpretations": GOOD}, indent=4),
    ],
)
def test_the_answer_is_found_wherever_it_stands(content: str) -> None:
    assert parse(content, Ask((Path("1_물.png"),), ("물",))) == (GOOD, Context.parse(CONTEXT))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "물 주세요.",
        f"<think>{ANSWER}",  # cut off while it thought: a draft is no answer
        '{"interpretations": ["물 주',
        "[" * 100_000,
        '{"a":' * 200_000,
        '{"a' * 200_000,
        "{" * 1_000_000,
        '{"interpretations": ' + "9" * 5000 + "}",
        json.dumps([GOOD]),
        json.dumps({"interpretations": "물 주세요."}),
    ],
    ids=range(11),
)
def test_what_is_no_answer_is_none_and_soon(content: str) -> None:
    assert parse(content, Ask((Path("1_물.png"),), ("물",))) is None


def test_half_a_surrogate_pair_becomes_a_sign_that_the_gate_refuses(home: Path) -> None:
    bad = ANSWER.replace("물 주세요.", "물 \\ud800 주세요.")
    with ChatServer(lambda chat: ("ok", bad)) as server:
        (answer,), _ = teach(home, server, asks(home, "물 주세요"))
    assert answer.sentences[0] == "물 \ufffd 주세요." and (1, "control_text") in answer.reasons
    odd = {"content": ANSWER.replace("물 주세요.", "물 \ud800 주세요.")}
    with ChatServer(lambda chat: ("body", body(odd if chat.number == 1 else {"content": ANSWER}))) as server:
        (answer,), _ = teach(home, server, asks(home, "물"))
    assert answer.asked == 2 and answer.sentences == GOOD  # what it said could be sent back


def test_a_teacher_that_thinks_aloud_is_understood(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ChatServer(lambda chat: ("ok", f"<think>{{물}}</think>\n{good_answer(chat)}")) as server:
        point_at(server, monkeypatch)
        assert data_prepare.main(line(home)) == 0
        assert server.requests == 12 and all(row["output"] for row in rows_of(home))


def test_answers_that_nobody_can_use_stop_the_run(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AAC_TEACHER_CONCURRENCY", "2")
    with ChatServer(lambda chat: ("ok", "카드를 보니 물을 마시고 싶은 것 같아요.")) as server:
        point_at(server, monkeypatch)
        assert data_prepare.main(line(home, samples=60)) == 2
        assert HOPELESS <= server.requests <= HOPELESS + 2
        error = capsys.readouterr().err
        assert (
            f"no answer can be used ({HOPELESS} in a row" in error
            and "카드를 보니 물을" in error
            and "OPENAI_MODEL" in error
        )
        # Too few to stop for: none of them can be used, and that is no success.
        assert data_prepare.main([*line(home, samples=60), "--limit", "2"]) == 2
        assert "카드를 보니 물을" in capsys.readouterr().err
        # The other way round: words of the right form, and never one that may be kept.
        server.behave = lambda chat: ("ok", good_answer(chat, ["Water.", "Water please.", "Give me water."]))
        requests = server.requests
        assert data_prepare.main(line(home, samples=60)) == 2
        assert server.requests - requests <= 3 * HOPELESS + 2
        assert "not_hangul" in capsys.readouterr().err


def test_a_few_bad_answers_stop_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def behave(chat: Chat) -> tuple[str, str]:
        return "ok", "모르겠어요." if chat.number % HOPELESS else good_answer(chat)

    monkeypatch.setenv("AAC_TEACHER_CONCURRENCY", "1")
    with ChatServer(behave) as server:
        point_at(server, monkeypatch)
        assert data_prepare.main(line(home)) == 0
        assert any(row["output"] for row in rows_of(home)) and server.requests > 24


# ------------------------------------------------------------------ what is written passes the gate (kind 21)
def test_every_row_of_a_remote_teacher_passes_the_gate(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def behave(chat: Chat) -> tuple[str, str]:
        return "ok", good_answer(chat) if chat.again else good_answer(chat, ["어서요.", "빨리요.", "부탁이에요."])

    with ChatServer(behave) as server:
        point_at(server, monkeypatch)
        assert data_prepare.main(line(home)) == 0
        told = [chat.body["messages"][-1]["content"] for chat in server.chats if chat.again]
    assert len(told) == 12 and all("1번 문장: 카드의 말이 빠졌다: " in text for text in told)
    for row in rows_of(home):
        assert check(row["output"], row["keywords"], Context.parse(row["input"]["context"])) == [[], [], []]


def test_a_third_person_is_nobody_new_and_others_are(home: Path) -> None:
    (ask,) = asks(home, "물 주세요")
    three = ["소통이가 물을 주세요라고 해요.", "소통이는 물 좀 주세요 하고 부탁해요.", "소통이 물을 주시겠어요?"]
    context = Context.parse(CONTEXT)
    assert not problems(three, context, ask, "third")
    assert (2, "person_added") in problems([three[0], f"할머니와 {three[1]}", three[2]], context, ask, "third")


# ------------------------------------------------------------------ what is written can be read (kind 7)
USAGES = [
    ({"prompt_tokens": 10.0, "completion_tokens": "5"}, (10, 5)),
    ({"prompt_tokens": 10.5, "completion_tokens": "5"}, (10, 5)),
    ({"prompt_tokens": "many", "completion_tokens": 5}, None),
    ({"prompt_tokens": -1, "completion_tokens": float("nan")}, None),
    ({"prompt_tokens": 10**400, "completion_tokens": 1}, None),
    ({"prompt_tokens": {"all": 1}, "completion_tokens": [1]}, None),
    ({"completion_tokens": 5}, None),
    ([1, 2], None),
    ("5", None),
    (None, None),
]


@pytest.mark.parametrize(("usage", "tokens"), USAGES)
def test_costs_of_any_form_are_counted_or_unknown(home: Path, usage: Any, tokens: tuple[int, int] | None) -> None:
    with ChatServer(lambda chat: ("body", body({"content": ANSWER}, usage))) as server:
        (answer,), _ = teach(home, server, asks(home, "물 주세요"))
    again = Journal(home / "journal.jsonl").ledger
    assert not answer.reasons and again.answered == 1
    assert (again.prompt_tokens, again.completion_tokens, again.unmetered) == (*(tokens or (0, 0)), tokens is None)


def test_a_journal_of_an_earlier_version_opens(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = home / "dataset/teacher_journal.jsonl"
    lines = [
        {"event": "sent", "key": "a", "person": 1},
        {"event": "answer", "key": "a", "person": 1, "model": "m", "content": ANSWER, "prompt_tokens": 10.5,
         "completion_tokens": "5"},
    ]  # fmt: skip
    path.write_text("".join(json.dumps(entry) + "\n" for entry in lines), encoding="utf-8")
    journal = Journal(path)
    assert journal.answer_to("a") == ANSWER and journal.mean_cost("m") == (10, 5, 1)
    with ChatServer(lambda chat: ("ok", good_answer(chat))) as server:
        point_at(server, monkeypatch)
        assert data_prepare.main(line(home)) == 0
        assert data_prepare.main([*line(home), "--dry-run"]) == 0


DAMAGED = [
    "{}", "[]", "null", "5", '"sent"', "[" * 100_000, '{"event": ' + "9" * 5000 + "}", '{"event": "sent"}',
    '{"event": "sent", "key": 5}', '{"event": "failed", "key": "a"}', '{"event": "failed", "key": "a", "reason": []}',
    '{"event": "answer", "key": "a"}', '{"event": "answer", "key": "a", "model": "m", "content": null}',
    '{"event": "answer", "key": {}, "model": "m", "content": ""}', '{"event": "forgotten"}',
    '{"event": "forgotten", "sent": "1", "answered": 0, "failed": {}, "prompt_tokens": 0, "completion_tokens": 0, '
    '"unmetered": 0}', '{"event": ["answer"]}', '{"event": "unheard of"}', "\x00\x00", '{"event": "sent", "key": "a"',
]  # fmt: skip


def test_lines_that_nobody_can_read_are_counted_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "journal.jsonl"
    good = {"event": "answer", "key": "b", "model": "m", "content": "나", "prompt_tokens": 1, "completion_tokens": 2}
    path.write_text("\n".join([*DAMAGED, json.dumps(good)]), encoding="utf-8")
    journal = Journal(path)
    assert f"{len(DAMAGED)} damaged lines" in caplog.text
    assert journal.answer_to("b") == "나" and journal.answer_to("a") is None
    assert (journal.ledger.answered, journal.ledger.prompt_tokens) == (1, 1) and str(journal.ledger)


# ------------------------------------------------------------------ replies and settings of all kinds (kind 22)
@pytest.mark.parametrize(
    "message",
    [
        {"content": [{"type": "text", "text": ANSWER}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": DRAFT}]}, {"text": ANSWER}]},
        {"content": [{"type": "output_text", "text": ANSWER[:20]}, {"type": "output_text", "text": ANSWER[20:]}]},
        {"content": [ANSWER]},
        {"content": json.loads(ANSWER)},
        {"content": ANSWER, "reasoning_content": DRAFT},
        ANSWER,
    ],
)  # fmt: skip
def test_content_of_any_form_is_read(home: Path, message: Any) -> None:
    with ChatServer(lambda chat: ("body", body(message))) as server:
        (answer,), ledger = teach(home, server, asks(home, "물 주세요"))
    assert answer.sentences == GOOD and ledger.answered == 1


@pytest.mark.parametrize("message", [None, {}, {"content": None}, {"content": 5}, {"content": []}, {"content": ""}])
def test_an_empty_answer_is_asked_again_then_named(home: Path, message: Any) -> None:
    with ChatServer(lambda chat: ("body", body(message))) as server:
        with pytest.raises(UserError, match=r"\(3 in a row; the last, refused: empty\)"):
            teach(home, server, asks(home, "물 주세요"))
        assert server.requests == 3


@pytest.mark.parametrize(
    "reply",
    ["null", "[]", "5", "{}", "[" * 100_000, '{"choices": null}', '{"choices": "x"}', '{"choices": []}',
     '{"choices": [null]}', '{"choices": {"0": 1}}', '{"choices": [{}]}', '{"error": "no money"}',
     '{"error": {"message": "too long", "code": 400}}', "<html>log in</html>"],
)  # fmt: skip
def test_a_reply_without_an_answer_is_shown(home: Path, reply: str) -> None:
    with ChatServer(lambda chat: ("body", reply)) as server, pytest.raises(ConnectionError) as stopped:
        teach(home, server, asks(home, "물 주세요"), tries=2)
    shown = next((words for words in ("no money", "too long") if words in reply), reply[:50])
    assert f"2 tries of one request failed (last: broken body: {shown}" in str(stopped.value)
    assert "\n" not in str(stopped.value) and len(str(stopped.value)) < 600
    assert Journal(home / "journal.jsonl").ledger.failed == {"broken body": 2}


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        ('{"error": "no such model"}', "refused (404): no such model;"),
        ('{"error": {"message": "no such model"}}', "refused (404): no such model;"),
        ('{"message": "no such model"}', "refused (404): no such model;"),
        ('{"detail": [{"msg": "no pictures"}]}', 'refused (404): {"detail": [{"msg": "no pictures"}]};'),
        ('[{"error": {"message": "no such model"}}]', "no such model"),
        (f'{{"error": "bad key {KEY}"}}', "refused (404): bad key ***;"),
        ('{"error": null}', 'refused (404): {"error": null};'),
        ("", "refused (404);"),
        ('{"error": "\\ud800\\u001b[31m!"}', "refused (404): \ufffd\ufffd[31m!;"),
        ("Not\nFound", "refused (404): Not Found;"),
    ],
)
def test_why_a_server_refuses_is_told_in_its_words(home: Path, reply: str, shown: str) -> None:
    with ChatServer(lambda chat: ("body 404", reply)) as server, pytest.raises(UserError) as refused:
        teach(home, server, asks(home, "물 주세요"))
    assert shown in str(refused.value) and "\n" not in str(refused.value) and KEY not in str(refused.value)


@pytest.mark.parametrize("reply", ['{"error": {"code": "insufficient_quota"}}', '{"error": "insufficient_quota"}'])
def test_an_empty_account_is_no_busy_server(home: Path, reply: str) -> None:
    with ChatServer(lambda chat: ("body 429", reply)) as server:
        with pytest.raises(UserError, match="quota is used up"):
            teach(home, server, asks(home, "물 주세요"))
        assert server.requests == 1


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("OPENAI_BASE_URL", "http://127.0.0.1:99999/v1", "OPENAI_BASE_URL: must look like"),
        ("OPENAI_BASE_URL", "http://127.0.0.1:port/v1", "OPENAI_BASE_URL: must look like"),
        ("OPENAI_BASE_URL", "http://127.0.0.1 /v1", "OPENAI_BASE_URL: must look like"),
        ("OPENAI_BASE_URL", "http://[::1/v1", "OPENAI_BASE_URL: must look like"),
        ("OPENAI_BASE_URL", "http://예시..kr/v1", "OPENAI_BASE_URL: must look like"),
        ("OPENAI_BASE_URL", f"http://{'a' * 70}.kr/v1", "OPENAI_BASE_URL: must look like"),
        ("OPENAI_BASE_URL", "http://h\udcff/v1", "OPENAI_BASE_URL: must look like"),
        ("OPENAI_MODEL", "m\udcff", "OPENAI_MODEL: holds signs"),
        ("OPENAI_MODEL", "m\n", "OPENAI_MODEL: holds signs"),
        ("AAC_TEACHER_TIMEOUT", "nan", "AAC_TEACHER_TIMEOUT: must be a number above 0"),
        ("AAC_TEACHER_TIMEOUT", "0", "AAC_TEACHER_TIMEOUT: must be a number above 0"),
        ("AAC_TEACHER_TEMPERATURE", "inf", "AAC_TEACHER_TEMPERATURE: must be a number"),
        ("AAC_TEACHER_PAUSE", "-1", "AAC_TEACHER_PAUSE: must be a number"),
        ("AAC_TEACHER_CONCURRENCY", "0", "AAC_TEACHER_CONCURRENCY: must be a number above 0"),
        ("SSL_CERT_FILE", "/nowhere/certificates.pem", "SSL_CERT_FILE: /nowhere/certificates.pem: no such file"),
    ],
)
def test_a_setting_that_cannot_work_is_named_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, part: str
) -> None:
    monkeypatch.setenv("OPENAI_MODEL", "m")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("AAC_TEACHER_PAUSE")
    assert Settings.load(tmp_path / ".env").model == "m"
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError) as refused:
        Settings.load(tmp_path / ".env")
    assert part in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("ALL_PROXY", "socks5://me:secret@127.0.0.1:1", "SOCKS"),
        ("ALL_PROXY", "socks4://me:secret@127.0.0.1:1", "ALL_PROXY"),
        ("http_proxy", "me:secret://", "HTTP_PROXY"),
        ("SSL_CERT_FILE", str(Path(__file__)), "SSL_CERT_FILE"),
    ],
)
def test_a_way_out_that_cannot_be_taken_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, part: str
) -> None:
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(name, value)
    with ChatServer(lambda chat: ("ok", ANSWER)) as server, pytest.raises(UserError) as refused:
        teach(home, server, asks(home, "물 주세요"))
    assert part in str(refused.value) and "secret" not in str(refused.value) and "\n" not in str(refused.value)


def test_an_env_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes("# 열쇠\nOPENAI_MODEL=m\n".encode("cp949"))
    with pytest.raises(UserError, match=r"\.env: not UTF-8"):
        Settings.load(path)
    path.write_text("OPENAI_MODEL=m\u2028n\x85\nOPENAI_API_KEY=k\n", encoding="utf-8")
    with pytest.raises(UserError, match="OPENAI_MODEL: holds signs"):
        Settings.load(path)
