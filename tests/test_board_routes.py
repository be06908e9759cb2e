"""The board's routes without a browser: its cards, a person's own sentences, and what is refused."""

from __future__ import annotations

import base64
import errno
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aac import obf
from tests.board_site import application, workspace
from tests.boards import archive, board

ADULT = {"age": 30}
ALL = {"keep": True, "use": True, "train": True}
WATER = [{"id": "1"}, {"id": "3"}]  # 물 + 주세요


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return workspace(tmp_path)


@pytest.fixture
def client(home: Path) -> Iterator[Any]:
    from starlette.testclient import TestClient

    with TestClient(application(home)) as client:
        yield client


def agreed(client: Any, consent: dict[str, bool] = ALL) -> int:
    return client.post("/v1/board/people/new", json={"consent": consent, "persona": ADULT}).json()["id"]


def ask(client: Any, **more: Any) -> dict[str, Any]:
    reply = client.post("/v1/board/sentences", json={"cards": WATER, **more})
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_the_first_board_holds_every_card_once_in_fixed_places(client: Any) -> None:
    told = client.get("/v1/board").json()
    cells = {path: [cell for row in one["cells"] for cell in row if cell] for path, one in told["boards"].items()}
    home = cells.pop(told["root"])
    assert [cell["word"] for cell in home][:4] == ["주세요", "더", "가다", "먹다"]
    folders = {cell["word"]: cell["opens"] for cell in home if cell["opens"]}
    assert set(folders.values()) == set(cells) and [c["word"] for c in cells[folders["음식"]]] == ["밥"]
    cards = [cell for some in (home, *cells.values()) for cell in some if not cell["opens"]]
    assert sorted(int(cell["card"]["id"]) for cell in cards) == list(range(1, 17))
    kinds = {cell["word"]: cell["kind"] for cell in cards}
    assert (kinds["엄마"], kinds["먹다"], kinds["물"]) == ("person", "verb", "noun")
    assert [cell["word"] for cell in cards if not cell["picture"]] == ["자다"]
    assert told["missing"] == [{"label": "자다", "reason": "absent"}]
    assert client.get("/v1/board").json() == told


def test_a_board_is_imported_kept_and_exported_as_it_was(client: Any, home: Path) -> None:
    mine = board("판", ["물", "고래", "<script>alert(1)</script>"], ext_mine=5)
    mine["grid"] = {"rows": 2, "columns": 2, "order": [[None, 2], [0, 1]]}
    data = archive({"a.obf": mine})
    reply = client.post("/v1/board", json={"data": base64.b64encode(data).decode()})
    cells = reply.json()["boards"]["a.obf"]["cells"]
    assert cells[0][0] is None and cells[1][0]["card"]["id"] == "1" and cells[1][1]["card"] == {"word": "고래"}
    assert cells[0][1]["word"] == "<script>alert(1)</script>" and cells[1][0]["picture"].startswith("data:image/png")
    exported = client.get("/v1/board/export")
    assert obf.read_bytes(exported.content, "x") == obf.read_bytes(data, "x")
    assert client.get("/v1/board").json() == reply.json() and (home / "board.obz").exists()
    first = client.delete("/v1/board").json()
    assert first["root"] == "boards/home.obf" and not (home / "board.obz").exists()
    own = client.get("/v1/board/export").content  # the first board, exported and taken in, is the same board
    again = client.post("/v1/board", json={"data": base64.b64encode(own).decode()}).json()
    assert again == first


@pytest.mark.parametrize(
    "data", [None, 5, "?", "", base64.b64encode(b"PK\3\4").decode(), base64.b64encode(b"{}").decode()]
)
def test_what_is_no_board_leaves_the_board_there_is(client: Any, data: Any) -> None:
    before = client.get("/v1/board").json()
    assert client.post("/v1/board", json={"data": data}).status_code == 400
    assert client.get("/v1/board").json() == before


def test_without_consent_nothing_is_written(client: Any, home: Path) -> None:
    before = sorted(home.rglob("*"))
    told = ask(client, person=7)
    assert told["kept"] == "no" and len(told["candidates"]) == 3
    client.post("/v1/board/people/7/events", json={"event": "none", "request": told["id"]})
    client.post("/v1/board/people/new", json={"consent": {}, "persona": ADULT})
    client.post("/v1/board/people/new", json={"consent": {"use": True, "train": True}, "persona": ADULT})
    assert sorted(home.rglob("*")) == before
    assert agreed(client) == 1 and sorted(home.rglob("*")) != before  # the control


def test_an_edit_comes_back_first_and_goes_with_the_journal(client: Any, home: Path) -> None:
    person = agreed(client)
    first = ask(client, person=person)
    edit = {"event": "edited", "request": first["id"], "place": 0, "text": "물 좀 갖다 주세요."}
    assert client.post(f"/v1/board/people/{person}/events", json=edit).json() == {"kept": True}
    second = ask(client, person=person)
    assert second["kept"] == "yes" and second["candidates"][0]["text"] == edit["text"]
    assert second["candidates"][0]["source"] == "own" and len({c["text"] for c in second["candidates"]}) == 3
    other = agreed(client, {"keep": True})
    for plain in (
        ask(client),
        ask(client, person=other),
        ask(client, person=person, context={"place": "집", "상대": "엄마"}),
    ):
        assert all(candidate["source"] == "model" for candidate in plain["candidates"])
    kept = client.get(f"/v1/board/people/{person}").json()
    assert [event["event"] for event in kept["events"]] == ["consent", "shown", "edited", "shown", "shown"]
    assert kept["consent"] == ALL and kept["persona"]["age"] == "성인"
    assert client.get("/v1/board/people").json() == {"people": [{"id": person}, {"id": other}]}
    assert client.delete(f"/v1/board/people/{person}").json() == {"deleted": True}
    assert client.get(f"/v1/board/people/{person}").status_code == 404
    files = [path for path in home.rglob("*") if path.is_file()]
    assert files and not [path for path in files if edit["text"].encode() in path.read_bytes()]
    assert ask(client, person=person)["candidates"][0]["source"] == "model"


def test_a_full_disk_is_said_and_sentences_are_still_made(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import aac.feedback

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "no space")

    person = agreed(client)
    request = ask(client, person=person)["id"]
    monkeypatch.setattr(aac.feedback, "_append", full)
    told = ask(client, person=person)
    assert told["kept"] == "failed" and len(told["candidates"]) == 3
    reply = client.post(f"/v1/board/people/{person}/events", json={"event": "none", "request": request})
    assert reply.status_code == 507 and "disk" in reply.json()["error"]["message"]
    assert client.post("/v1/board/people/new", json={"consent": ALL, "persona": ADULT}).status_code == 507


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/board/sentences", {"cards": WATER, "person": "7"}),
        ("/v1/board/sentences", {"cards": WATER, "person": True}),
        ("/v1/board/people/new", {"consent": {"keep": True}, "persona": {"age": 9}}),
        ("/v1/board/people/new", {"consent": {"keep": True}}),
        ("/v1/board/people/new", {"consent": {"keep": "yes"}, "persona": ADULT}),
        ("/v1/board/people/new", {"consent": ALL, "persona": {"secret": "SECRET"}}),
        ("/v1/board/people/1/events", {"event": "shown", "request": "r", "cards": ["물"]}),
        ("/v1/board/people/1/events", {"event": "typed", "request": "r", "text": "SECRET" * 100}),
        ("/v1/board/people/1/events", {"event": "SECRET", "request": "r"}),
        ("/v1/board/people/../1", {"consent": ALL}),
        ("/v1/board/people/1.0", {"consent": ALL, "persona": ADULT}),
    ],
)
def test_what_is_refused_is_refused_without_its_content(client: Any, home: Path, path: str, body: Any) -> None:
    reply = client.post(path, json=body)
    assert reply.status_code in (400, 404, 405) and "SECRET" not in reply.text
    assert not (home / "feedback").exists()


def test_the_page_is_whole_and_nothing_else_of_the_machine_is_served(client: Any) -> None:
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for name in ("board.css", "app.js", "hangul.js"):
        assert client.get(f"/board/{name}").status_code == 200
    for name in ("..%2f..%2fserve.py", "%2fetc%2fpasswd", "none.js"):
        assert client.get(f"/board/{name}").status_code in (404, 405), name
    text = "".join(path.read_text(encoding="utf-8") for path in Path("train/pages/board").iterdir())
    assert "http:" not in text and "https:" not in text and "innerHTML" not in text
    assert json.loads(client.get("/v1/board/people").text) == {"people": []}


def test_the_servers_guard_stands_before_every_route_of_the_board(answerer: Any, home: Path) -> None:
    from starlette.testclient import TestClient

    from train.server.app import create_app
    from train.server.board import board_routes
    from train.server.guard import Settings
    from train.server.service import Service
    from train.server.shelf import Shelf

    shelf = Shelf(home, home / "processed/cards.json", home / "images")
    app = create_app(Service(answerer), Settings(key="secret"), shelf)
    with TestClient(app, base_url="http://localhost") as client:
        for route in board_routes():
            path = route.path.format(person="1", name="app.js")
            for method in route.methods - {"HEAD"}:
                assert client.request(method, path, json={}).status_code == 401, (method, path)
        allowed = {"authorization": "Bearer secret"}
        assert (
            client.get("/", headers=allowed).status_code == client.get("/v1/board", headers=allowed).status_code == 200
        )
        told = client.post("/v1/board/sentences", json={"cards": [{"word": "물"}]}, headers=allowed)
        assert len(told.json()["candidates"]) == 3
        foreign = {**allowed, "origin": "http://evil.example"}
        assert client.delete("/v1/board/people/1", headers=foreign).status_code == 403
