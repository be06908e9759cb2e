"""ZIP archives from anywhere, read into memory: nothing is unpacked to a path that an archive names."""

from __future__ import annotations

import io
import re
import stat
import unicodedata
import zipfile
import zlib
from pathlib import PurePosixPath

from aac.io import UserError

MOST_FILES = 5_000
MOST_BYTES = 200_000_000  # of all files of an archive together, unpacked
_LITTER = re.compile(r"(^|/)(__MACOSX/|\._|\.DS_Store$|Thumbs\.db$)")


def tidy(path: str) -> str:
    """A path inside an archive as it is compared: composed Hangul, single slashes, none in front."""
    return re.sub("/+", "/", unicodedata.normalize("NFC", path)).removeprefix("./").strip("/")


def read_archive(data: bytes, name: str, faults: list[str]) -> dict[str, bytes]:
    """The files of an archive by their tidy paths. What may not be read is left out, and a line in `faults`.

    Raises:
        UserError: it is damaged, or holds more than a set of boards can.
    """
    files: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if len(members) > MOST_FILES:
                raise UserError(f"{name}: {len(members)} files in it; at most {MOST_FILES} are read")
            left = MOST_BYTES
            for member in members:
                path = _path(member)
                if _LITTER.search(path):
                    continue
                if reason := _refused(member, path) or ("the same name twice" if tidy(path) in files else ""):
                    faults.append(f"{path}: left out: {reason}")
                    continue
                content = _content(archive, member, left, path, faults)
                if content is None:
                    continue
                left -= len(content)
                if left < 0:  # judged by what comes out: what the header says may be a lie
                    raise UserError(f"{name}: more than {MOST_BYTES // 10**6} MB unpacked (a bomb?)")
                files[tidy(path)] = content
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise UserError(f"{name}: not an archive that can be read ({error}); save the board anew") from None
    return files


def _content(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int, path: str, faults: list[str]
) -> bytes | None:
    """At most one byte more than `most`; None where the file is damaged."""
    try:
        with archive.open(member) as file:
            return file.read(most + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        faults.append(f"{path}: left out: damaged ({error})")
        return None


def _path(member: zipfile.ZipInfo) -> str:
    """The name; Macs write UTF-8 without saying so, and Korean Windows writes CP949."""
    if member.flag_bits & 0x800:
        return member.filename
    for encoding in ("utf-8", "cp949"):
        try:
            return member.filename.encode("cp437").decode(encoding)
        except UnicodeError:
            continue
    return member.filename


def _refused(member: zipfile.ZipInfo, path: str) -> str:
    """Why a member is not read; empty: it is."""
    if path.startswith("/") or ".." in PurePosixPath(path).parts or re.search(r"[\\\0]|^\w:", path):
        return "its path leads out of the archive"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "a link"
    return "encrypted" if member.flag_bits & 1 else ""


def write_archive(files: dict[str, bytes]) -> bytes:
    """An archive of the files; the same files give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()
