"""The server under load, with a trained model: how quick it is with more and more clients, what batches gain, whether
an app of the field can read every answer, whether its memory grows.

python benchmarks/serve.py --workspace DIR [--checkpoint FILE]

The workspace is one of `make demo`. Every request is a row of its test split, which training never saw; clients are
threads of this process, each with one connection, and share the processor with the server. Batches are compared inside
one process, alternating, so that a busy neighbour hits both alike.
"""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.app_calls import analyse_call, as_the_app_reads, interpret_call, summarise_call
from benchmarks.common import ROOT, alternate, arguments, report

CHAT, AAC = "/v1/chat/completions", "/v1/aac/interpretations"


class Server:
    """`train/serve.py` in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process, self.address, self.local = process, address, threading.local()

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any], float]:
        """Status, answer and seconds; each thread keeps a connection of its own."""
        connection = getattr(self.local, "connection", None)
        if connection is None:
            connection = self.local.connection = http.client.HTTPConnection(self.address, timeout=300)
        started = time.perf_counter()
        connection.request("POST", path, json.dumps(body).encode(), {"content-type": "application/json"})
        answer = connection.getresponse()
        content = json.loads(answer.read())
        return answer.status, content, time.perf_counter() - started

    def health(self) -> float:
        """The seconds of `/healthz`."""
        started = time.perf_counter()
        connection = http.client.HTTPConnection(self.address, timeout=60)
        connection.request("GET", "/healthz")
        assert connection.getresponse().read()
        connection.close()
        return time.perf_counter() - started

    def megabytes(self) -> float:
        import psutil

        return psutil.Process(self.process.pid).memory_info().rss / 1e6


@contextmanager
def serving(workspace: Path, checkpoint: str | None) -> Iterator[Server]:
    line = [sys.executable, str(ROOT / "train/serve.py"), "--workspace", str(workspace), "--port", "0"]
    line += ["--checkpoint", checkpoint] if checkpoint else []
    process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
    try:
        for said in process.stderr:
            print(said, end="")
            if found := re.search(r"Serving on http://(\S+?): ", said):
                break
        else:
            raise SystemExit("the server did not start")
        threading.Thread(target=lambda: [None for _ in process.stderr], daemon=True).start()  # or its pipe fills up
        yield Server(process, found[1])
    finally:
        process.terminate()
        process.wait(60)


def by_id(sample: Any) -> dict[str, Any]:
    """A row as our own route takes it."""
    cards = [{"id": card.partition("_")[0]} for card in sample.cards]
    return {"cards": cards, "persona": sample.persona.public(), "context": sample.context.public()}


def as_app(sample: Any, pictures: dict[str, bytes], worded: bool = False) -> dict[str, Any]:
    """A row as an app's first call; `worded`: its first card has no picture."""
    from aac.persona import CONTEXT, PERSONA

    def labelled(table: Any, record: Any) -> dict[str, Any]:
        values = {kind.label: getattr(record, name) or None for name, kind in table.items()}
        return {label: ", ".join(map(str, v)) if isinstance(v, list) else v for label, v in values.items()}

    cards: list[bytes | None] = [pictures[card] for card in sample.cards]
    who, where = labelled(PERSONA, sample.persona), labelled(CONTEXT, sample.context)
    return interpret_call([None, *cards[1:]] if worded else cards, sample.keywords, who, where)


def load(server: Server, path: str, bodies: Sequence[dict[str, Any]], clients: int) -> dict[str, Any]:
    """All bodies from so many clients: requests a second, and how long one waits."""
    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        told = list(pool.map(lambda body: server.post(path, body), bodies))
    wall = time.perf_counter() - started
    good = sorted(seconds for status, _, seconds in told if status == 200)
    at = {f"p{share} ms": 1e3 * good[min(len(good) - 1, len(good) * share // 100)] for share in (50, 95, 99)}
    return {"clients": clients, "requests": len(told), "200": len(good), **at, "requests/s": len(good) / wall}


def batches(workspace: Path, checkpoint: str | None, samples: Sequence[Any], rounds: int) -> dict[str, Any]:
    """Questions one at a time against eight together, in this process; and whether they say the same."""
    from aac.persona import Context, Persona
    from train.serve import parse_args
    from train.server.batches import TOGETHER
    from train.server.question import Card, Question
    from train.server.run import load as load_answerer

    line = ["--workspace", str(workspace), *(["--checkpoint", checkpoint] if checkpoint else [])]
    answerer = load_answerer(parse_args(line))
    questions = [
        Question(
            tuple(Card(id=card.partition("_")[0]) for card in sample.cards),
            Persona.parse(sample.persona),
            Context.parse(sample.context),
        )
        for sample in samples
    ]
    groups = [questions[first : first + TOGETHER] for first in range(0, len(questions), TOGETHER)]
    steps: dict[str, Callable[[], list[Any]]] = {
        "one": lambda: [answer for question in questions for answer in answerer([question])],
        "eight": lambda: [answer for group in groups for answer in answerer(group)],
    }
    told = {name: [[c.text for c in answer.candidates] for answer in step()] for name, step in steps.items()}
    differing = sum(a != b for a, b in zip(told["one"], told["eight"], strict=True))
    clocks = alternate(steps, rounds)
    gain = clocks["one"].wall / clocks["eight"].wall
    return {"batch_of_8": gain, "batch_of_8_cpu": clocks["one"].cpu / clocks["eight"].cpu, "rows_differing": differing}


def app_reads(server: Server, samples: Sequence[Any], pictures: dict[str, bytes]) -> dict[str, Any]:
    """Rows whose three calls an app can read the answers to; of every fifth the first card has no picture."""
    read = 0
    for number, sample in enumerate(samples):
        status, told, _ = server.post(CHAT, as_app(sample, pictures, worded=number % 5 == 0))
        try:
            three = as_the_app_reads(told["choices"][0]["message"]["content"])
            cards = [pictures[card] for card in sample.cards]
            more = [server.post(CHAT, call) for call in (analyse_call(cards, three[0]), summarise_call())]
            read += status == 200 and all(s == 200 and t["choices"][0]["message"]["content"] for s, t, _ in more)
        except (KeyError, ValueError) as error:
            print(f"row {sample.id}: {type(error).__name__}: {error}")
    return {"app_rows": len(samples), "app_rows_read": read}


def growth(server: Server, bodies: Sequence[dict[str, Any]], requests: int) -> dict[str, Any]:
    """The server's memory after the first tenth of so many requests from eight clients, and what the rest adds."""
    warm = max(1, requests // 10)
    taken = cycle(bodies)
    load(server, AAC, list(islice(taken, warm)), 8)
    before = server.megabytes()
    for _ in range(9):
        load(server, AAC, list(islice(taken, warm)), 8)
    return {"memory_mb": before, "memory_growth_mb": server.megabytes() - before, "memory_requests": 10 * warm}


def busy_health(server: Server, bodies: Sequence[dict[str, Any]], clients: int) -> dict[str, Any]:
    """`/healthz` while so many clients ask at once; what they get."""
    times: list[float] = []
    with ThreadPoolExecutor(clients) as pool:
        waiting = [pool.submit(server.post, AAC, body) for body in bodies]
        while not all(future.done() for future in waiting):
            times.append(server.health())
            time.sleep(0.01)
    statuses = [future.result()[0] for future in waiting]
    p99 = sorted(times)[len(times) * 99 // 100]
    return {"rush": {s: statuses.count(s) for s in sorted(set(statuses))}, "health_p99_ms": 1e3 * p99}


def main(argv: list[str] | None = None) -> int:
    from aac.records import load_samples

    parser = arguments(__doc__, "serve")
    parser.add_argument("--workspace", metavar="DIR", default=ROOT, type=Path)
    parser.add_argument("--checkpoint", metavar="FILE", help="default: best_model.pt of the workspace")
    parser.add_argument("--clients", metavar="N", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--requests", metavar="N", type=int, default=256, help="of each number of clients")
    parser.add_argument("--rows", metavar="N", type=int, default=600, help="rows that an app's three calls ask for")
    parser.add_argument("--batch-rows", metavar="N", type=int, default=96, help="rows of the comparison of batches")
    parser.add_argument("--rounds", metavar="N", type=int, default=3)
    parser.add_argument("--memory-requests", metavar="N", type=int, default=10_000)
    parser.add_argument("--rush", metavar="N", type=int, default=200, help="clients that ask at once")
    args = parser.parse_args(argv)
    samples = [s for s in load_samples(args.workspace / "dataset/processed/dataset_completed.json")[0]]
    samples = [sample for sample in samples if sample.split == "test"]
    folder = args.workspace / "dataset/images"
    pictures = {card: (folder / card).read_bytes() for sample in samples for card in sample.cards}
    more = batches(args.workspace, args.checkpoint, samples[: args.batch_rows], args.rounds)
    rows = []
    with serving(args.workspace, args.checkpoint) as server:
        for name, path, bodies in (
            ("cards by id", AAC, [by_id(sample) for sample in samples]),
            ("an app's call", CHAT, [as_app(sample, pictures) for sample in samples]),
        ):
            rows += [
                {"": name, **load(server, path, list(islice(cycle(bodies), args.requests)), clients)}
                for clients in args.clients
            ]
        bodies = [by_id(sample) for sample in samples]
        more |= app_reads(server, samples[: args.rows], pictures)
        more |= busy_health(server, bodies[: args.rush], args.rush)
        more |= growth(server, bodies[:1000], args.memory_requests)
    report(rows, args.output, "The server under load", **more)
    return 0


if __name__ == "__main__":
    sys.exit(main())
