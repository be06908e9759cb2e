"""Open Board Format: what tools write is read, what is wrong is named, and what is written is read as the same."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from pathlib import Path

import pytest

from aac import archive as archives
from aac import obf
from aac.io import UserError
from tests.boards import archive, board, data_uri, png


def test_what_is_written_is_read_as_the_same() -> None:
    first = board("home", ["물", "더"], ext_tool_fold={"a": [1, None]}, locale="ko")
    first["grid"] = {"rows": 2, "columns": 3, "order": [[1, None, None], [None, None, 0]]}
    first["buttons"][1] |= {"load_board": {"path": "boards/2.obf"}, "ext_seen": True, "border_color": "rgb(1, 2, 3)"}
    first["images"][0] = {"id": 0, "path": "/images//custom/물.png", "license": {"type": "CC BY"}}
    data = archive(
        {"boards/1.obf": first, "boards/2.obf": board(2, ["가다"])}, {"images/custom/물.png": png(7)}, ext_x="kept"
    )
    pages = obf.read_bytes(data, "a.obz")
    again = obf.read_bytes(obf.write_bytes(pages), "b.obz")
    assert again == pages and not pages.faults and not pages.missing()
    assert obf.write_bytes(again) == obf.write_bytes(pages)
    home = again.boards["boards/1.obf"]
    assert home["grid"]["order"] == [["1", None, None], [None, None, "0"]]
    assert home["ext_tool_fold"] == {"a": [1, None]} and home["buttons"][1]["ext_seen"] is True
    assert again.manifest["ext_x"] == "kept" and home["images"][0]["license"] == {"type": "CC BY"}
    assert again.picture("boards/1.obf", home["buttons"][0]) == png(7)
    assert list(again.ordered()) == ["boards/1.obf", "boards/2.obf"]
    again.boards["boards/1.obf"]["grid"]["order"][0] = [None, None, None]  # a place counts, too
    assert again != pages


def test_a_lone_board_is_read_and_becomes_a_set() -> None:
    pages = obf.read_bytes("\ufeff".encode() + json.dumps(board(3, ["물"])).encode(), "one.obf")
    assert obf.read_bytes(obf.write_bytes(pages), "x") == pages
    assert pages.picture(pages.root, pages.boards[pages.root]["buttons"][0]) == png(0)


def test_pictures_are_found_by_the_manifest_alone_and_missing_ones_are_listed() -> None:
    told = board("a", ["물", "밥", "집", "공", "더"])
    told["images"] = [
        {"id": 0},
        {"id": 1, "url": "https://example.invalid/a.png"},
        {"id": 4, "data": "data:x;base64,?"},
    ]
    data = archive({"a.obf": told}, {"p/w.png": png(1)}, paths={"images": {"0": "p//w.png", "2": "p/none.png"}})
    pages = obf.read_bytes(data, "a.obz")
    buttons = pages.boards["a.obf"]["buttons"]
    assert [pages.picture("a.obf", button) for button in buttons] == [png(1), None, None, None, None]
    reasons = {entry.label: entry.reason for entry in pages.missing()}
    assert reasons == {"밥": "address", "집": "nowhere", "공": "nowhere", "더": "absent"}
    assert str(pages.missing()[0]) == "a.obf: 밥: its picture is only an address, which is not fetched"


def test_boards_that_link_in_circles_and_many_of_them() -> None:
    def linking(n: int, *to: int) -> dict:
        one = board(n, ["가"] * len(to))
        for button, target in zip(one["buttons"], to, strict=True):
            button["load_board"] = {"path": f"{target}.obf"} if target % 2 else {"id": target}
        return one

    boards = {f"{n}.obf": linking(n, (n + 1) % 98, n, 0) for n in range(98)}
    pages = obf.read_bytes(archive(boards), "circle.obz")
    assert list(pages.ordered()) == [f"{n}.obf" for n in range(98)] and not pages.faults
    boards["0.obf"] = linking(0, 1, 120)
    assert any("1 links lead" in fault for fault in obf.read_bytes(archive(boards), "x").faults)


def test_grids_that_do_not_fit_their_buttons() -> None:
    odd = board("a", ["물", "밥", "집", "공"], grid={"rows": "1", "columns": 2, "order": [[0, 9], "x", [2, None, 1]]})
    odd["buttons"] += [{"id": 0, "label": "twice"}, {"label": "none"}, "text"]
    pages = obf.read_bytes(json.dumps(odd).encode(), "a.obf")
    order = pages.boards[pages.root]["grid"]["order"]
    assert order == [["0", None, None], [None] * 3, ["2", None, "1"], ["3", None, None]]
    assert len(pages.faults) == 5
    bare = board("a", ["가"] * 5)
    del bare["grid"]
    order = obf.read_bytes(json.dumps(bare).encode(), "a.obf").boards["boards/1.obf"]["grid"]["order"]
    assert order == [["0", "1", "2"], ["3", "4", None]]
    for side in (10**9, "101"):
        with pytest.raises(UserError, match="at most 100"):
            obf.read_bytes(json.dumps(board("a", ["물"], grid={"rows": side, "columns": 1})).encode(), "a.obf")


def test_what_an_archive_may_not_hold_is_left_out_and_named(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("b.obf", json.dumps(board("b", ["<script>alert(1)</script>"])))
        for path in ("../evil.obf", "/abs.obf", "a\\..\\b.obf", "c:/x.obf"):
            file.writestr(path, json.dumps(board("evil", ["나쁨"])))
        link = zipfile.ZipInfo("link.obf")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, "/etc/passwd")
        file.writestr("__MACOSX/._b.obf", b"\x00\x05\x16\x07\xff")
        file.writestr("latin.obf", '{"buttons": [{"id": 1, "label": "caf\xe9"}]}'.encode("latin-1"))
        file.writestr("deep.obf", "[" * 200_000)
        file.writestr("list.obf", "[]")
    pages = obf.read_bytes(out.getvalue(), "x.obz")
    assert list(pages.boards) == ["b.obf"] and pages.root == "b.obf"
    assert pages.boards["b.obf"]["buttons"][0]["label"] == "<script>alert(1)</script>"  # text, to whoever shows it
    for part in ("evil", "abs", "a\\", "c:", "link.obf", "not UTF-8", "deep.obf: not JSON", "list.obf: no board"):
        assert any(part in fault for fault in pages.faults), part
    assert not any("MACOSX" in fault for fault in pages.faults)


def test_names_of_other_systems_are_read() -> None:
    out = io.BytesIO()
    one = board("b", ["물"])
    one["images"] = [{"id": 0, "path": "images/물.png"}]
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("b.obf", json.dumps(one))
        file.writestr("images/@@@@.png", png(3))
    for name in ("물".encode() + b"_", "물".encode("cp949") + b"__"):
        raw = out.getvalue().replace(b"@@@@", name).replace(b"_.png", b".png_").replace(b"_.png", b".png_")
        pages = obf.read_bytes(raw, "x")
        assert any(path.startswith("images/물.png") for path in pages.files)


def test_bombs_are_refused_before_they_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    monkeypatch.setattr(archives, "MOST_BYTES", 3_000_000)
    bomb = archive({"b.obf": board("b", ["물"])}, {f"{n}.png": bytes(1_000_000) for n in range(20)})
    assert len(bomb) < 100_000
    tracemalloc.start()
    with pytest.raises(UserError, match="a bomb"):
        obf.read_bytes(bomb, "bomb.obz")
    assert tracemalloc.get_traced_memory()[1] < 12_000_000
    tracemalloc.stop()
    monkeypatch.setattr(archives, "MOST_FILES", 10)
    with pytest.raises(UserError, match="at most 10"):
        obf.read_bytes(bomb, "bomb.obz")


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"PK\3\4 torn", "not an archive"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[]", "no board"),
        (archive({"a.obf": b"x"}), "no board in it"),
        (b'{"buttons": {}}', "no board"),
    ],
)
def test_what_is_no_board_is_named(data: bytes, part: str) -> None:
    with pytest.raises(UserError, match=part) as error:
        obf.read_bytes(data, "the_file.obz")
    assert "the_file.obz" in str(error.value)


def test_a_damaged_picture_costs_only_itself() -> None:
    whole = archive({"b.obf": board("b", ["물"])}, {"images/a.png": png(1) * 9})
    place = whole.index(b"images/a.png") + 40
    pages = obf.read_bytes(whole[:place] + b"\0\0\0\0" + whole[place + 4 :], "x")
    assert list(pages.boards) == ["b.obf"] and "images/a.png: left out: damaged" in pages.faults[0]
    assert data_uri(b"").endswith(",") and not obf.read_bytes(whole, "x").faults
