"""The server as a process: its signals, its clients that leave, what it refuses to start with."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import fresh_model

from tests.serving import listening
from train import serve

BODY = {"cards": [{"id": 1}]}


class Slow:
    """An answerer whose batches wait for `go`; it counts the questions that it decodes."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.known, self.decoded = inner, inner.known, 0
        self.go, self.started = threading.Event(), threading.Event()

    def cost(self) -> float:
        return 1.0

    def __call__(self, questions: Any) -> Any:
        self.decoded += len(questions)
        self.started.set()
        assert self.go.wait(60)
        return self.inner(questions)


@contextmanager
def slow_server(answerer: Any, **service: Any) -> Iterator[tuple[Slow, str, int]]:
    slow = Slow(answerer)
    with listening(slow, **service) as address:
        host, _, port = address.removeprefix("http://").partition(":")
        try:
            yield slow, host, int(port)
        finally:
            slow.go.set()


def post(host: str, port: int, **body: Any) -> http.client.HTTPConnection:
    """A request on the wire whose answer nobody has read yet."""
    connection = http.client.HTTPConnection(host, port, timeout=60)
    headers = {"content-type": "application/json", **body.pop("headers", {})}
    connection.request("POST", body.pop("path", "/v1/aac/interpretations"), json.dumps({**BODY, **body}), headers)
    return connection


def until(true: Any) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def metric(host: str, port: int, name: str) -> float:
    connection = http.client.HTTPConnection(host, port, timeout=60)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(name)), 0.0)


def test_a_client_that_leaves_while_it_waits_costs_no_decode(answerer: Any) -> None:
    with slow_server(answerer) as (slow, host, port):
        first = post(host, port)
        assert slow.started.wait(60)
        gone = [post(host, port, context="집"), post(host, port, context="학교", path="/v1/aac/interpretations")]
        chat = {"messages": [{"role": "user", "content": "카드 1: 물"}], "stream": True, "cards": None}
        gone.append(post(host, port, path="/v1/chat/completions", **chat))
        stays = post(host, port, context="식당")
        until(lambda: metric(host, port, "aac_waiting") == 4)
        for connection in gone:
            connection.close()
        until(lambda: metric(host, port, "aac_waiting") == 1)
        slow.go.set()
        assert first.getresponse().status == stays.getresponse().status == 200
        assert slow.decoded == 2 and metric(host, port, 'aac_dropped_total{why="gone"}') == 3


def test_a_late_request_is_let_go_and_equal_ones_are_one(answerer: Any) -> None:
    with slow_server(answerer) as (slow, host, port):
        first = post(host, port)
        assert slow.started.wait(60)
        late = post(host, port, context="집", headers={"x-stainless-read-timeout": "0.05"})
        same = [post(host, port, context="학교") for _ in range(3)]
        until(lambda: metric(host, port, "aac_waiting") == 2 and metric(host, port, "aac_shared_total") == 2)
        time.sleep(0.06)
        slow.go.set()
        answers = [json.loads(connection.getresponse().read()) for connection in same]
        assert len({json.dumps(a["candidates"]) for a in answers}) == 1 and len({a["id"] for a in answers}) == 3
        assert late.getresponse().status == 503 and first.getresponse().status == 200 and slow.decoded == 2


def test_a_full_line_loses_nothing_and_health_stays_quick(answerer: Any) -> None:
    """200 requests against a line of 64: 200 or 429, each with one whole answer."""
    with slow_server(answerer, longest_line=64) as (slow, host, port):
        connections = [post(host, port, context=f"장소 {number}") for number in range(200)]
        until(lambda: metric(host, port, 'aac_dropped_total{why="full"}') >= 200 - 64 - 8)
        slow.go.set()
        answers = [connection.getresponse() for connection in connections]
        found = [(answer.status, json.loads(answer.read())) for answer in answers]
    assert {status for status, _ in found} == {200, 429}
    assert all(len(body["candidates"]) == 3 for status, body in found if status == 200)
    assert all(answer.getheader("retry-after") for answer in answers if answer.status == 429)
    assert sum(status == 200 for status, _ in found) == slow.decoded >= 65


def test_a_stream_says_meanwhile_that_it_works(answerer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from train.server import routes

    monkeypatch.setattr(routes, "KEEP_ALIVE", 0.02)
    with slow_server(answerer) as (slow, host, port):
        chat = {"messages": [{"role": "user", "content": "카드 1: 물"}], "stream": True, "cards": None}
        answer = post(host, port, path="/v1/chat/completions", **chat).getresponse()
        assert answer.status == 200
        assert [answer.readline() for _ in range(4)] == [b": the model is at work\n", b"\n"] * 2
        slow.go.set()
        rest = answer.read().decode()
        assert rest.endswith("data: [DONE]\n\n") and '"role": "assistant"' in rest


@contextmanager
def process(workspace: Path, *more: str) -> Iterator[tuple[Any, int]]:
    """`serve.py` of a workspace in a process of its own, ready."""
    import subprocess
    import sys

    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    line = [sys.executable, str(serve.ROOT / "train/serve.py"), "--workspace", str(workspace), "--port", str(port)]
    started = subprocess.Popen([*line, *more], stderr=subprocess.PIPE, text=True)
    try:
        said = ""
        while "Serving on" not in said:
            said = started.stderr.readline()
            assert said, "it ended"
        yield started, port
    finally:
        started.kill()
        started.wait()


@pytest.mark.slow
def test_sigterm_finishes_the_batch_and_exits_0(workspace: Path) -> None:
    """In the middle of a batch: that one is answered, what waits is told so, and the exit code is 0."""
    fresh_model(max_new_tokens=400).save_model(workspace / "train/checkpoints/best_model.pt")
    words = [{"word": word} for word in ("강아지풀", "연필깎이", "우산꽂이")]  # no reviewed wording: it is decoded
    with process(workspace) as (started, port):
        connections = [post("127.0.0.1", port, cards=words, context=f"장소 {number}") for number in range(30)]
        until(lambda: metric("127.0.0.1", port, "aac_batch_size_count") >= 1)
        started.send_signal(signal.SIGTERM)
        statuses = [connection.getresponse().status for connection in connections]
        assert started.wait(60) == 0
        errors = started.stderr.read()
    assert set(statuses) == {200, 503} and "Traceback" not in errors


def test_it_refuses_to_start_where_others_reach_it_without_a_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.delenv(serve.KEY, raising=False)
    for host in ("0.0.0.0", "::", "192.168.0.9", "board.local"):
        assert serve.main(["--host", host, "--workspace", str(tmp_path)]) == 2
        assert serve.KEY in capsys.readouterr().err
    # Negative control: with one it goes on to what is missing next.
    monkeypatch.setenv(serve.KEY, "geheim")
    assert serve.main(["--host", "0.0.0.0", "--port", "0", "--workspace", str(tmp_path)]) == 2
    assert "best_model.pt" in capsys.readouterr().err


def test_a_port_in_use_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = str(held.getsockname()[1])
        assert serve.main(["--port", port, "--workspace", str(tmp_path)]) == 2
    assert f"--port {port}" in capsys.readouterr().err
