"""`data_prepare.py --board`: a team's own board is the training vocabulary."""

from __future__ import annotations

from pathlib import Path

import pytest

from aac.io import read_json
from tests.boards import archive, board, data_uri, png
from tests.workshop import content, prepare

_SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect %s width="5" height="9"/></svg>'


@pytest.fixture
def team(tmp_path: Path) -> Path:
    """A board with a drawing, a shared picture, a lost one, a folder, an action and labels that no file name holds."""
    home = board("집", ["물", "밥", "주세요", "음식", "지우기", "물/주스", "더", "가다", "<script>"])
    home["buttons"][3]["load_board"] = {"path": "2.obf"}
    home["buttons"][4]["action"] = ":clear"
    home["images"][1]["data"] = data_uri(_SVG % b'fill="red"', "image/svg+xml")
    home["images"][6] = {"id": 6, "url": "https://example.invalid/more.png"}
    home["images"][7]["data"] = data_uri(_SVG % b'fill="red"/><image href="/etc/hostname"', "image/svg+xml")
    home["images"][8]["data"] = home["images"][0]["data"]
    path = tmp_path / "우리 판.obz"
    path.write_bytes(archive({"1.obf": home, "2.obf": board("음식", ["물", "사과"])}))
    return path


def test_a_board_becomes_cards_and_a_data_set(home: Path, team: Path) -> None:
    images = home / "dataset/images"
    before = {file.name for file in images.iterdir()}
    assert prepare(home, "--board", str(team), steps=["1", "2", "3"]) == 0
    entries = read_json(home / "dataset/processed/board.json")["cards"]
    words = {entry["word"]: entry for entry in entries}
    assert list(words) == ["물", "밥", "주세요", "물/주스", "더", "가다", "<script>", "사과"]
    lost = {word for word, entry in words.items() if entry["word_card"]}
    assert lost == {"더", "가다", "<script>"}
    assert "address" in words["더"]["word_card"] and "other files" in words["가다"]["word_card"]
    assert "that of" in words["<script>"]["word_card"]
    fresh = {file.name for file in images.iterdir()} - before
    assert fresh == {entry["file"] for entry in entries} and "17_물.png" in fresh
    assert (images / "17_물.png").stat().st_size and words["물/주스"]["file"] == "20_물 주스.png"
    cards = {card["file"] for card in read_json(home / "dataset/processed/cards.json")["cards"]}
    assert fresh - cards == {words["<script>"]["file"]}  # a word that no sentence may hold is rejected by step 1
    first = content(home)
    assert prepare(home, "--board", str(team), steps=["1", "2", "3"]) == 0
    assert content(home) == first and {file.name for file in images.iterdir()} == before | fresh


def test_what_is_no_board_is_refused(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "b.obf"
    for text, part in (("{}", "no board"), ('{"buttons": [{"id": 1, "label": "?!"}]}', "nothing becomes a card")):
        path.write_text(text, encoding="utf-8")
        assert prepare(home, "--board", str(path)) == 2
        assert part in capsys.readouterr().err
    assert prepare(home, "--board", str(tmp_path / "none.obz")) == 2
    with pytest.raises(SystemExit):
        prepare(home, "--board", str(path), "--dry-run")
    assert png(1) != png(2)
