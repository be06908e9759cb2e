"""A CPU build of PyTorch that believes in a CUDA device: `device.cpp`, compiled once and loaded before PyTorch."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("device.cpp")


class NoFakeDevice(ImportError):
    """Why this machine cannot have one."""


def install() -> None:
    """Make PyTorch, not yet imported, believe.

    Raises:
        NoFakeDevice: PyTorch is loaded already, is a CUDA build, or there is no compiler that makes it.
    """
    if "torch" in sys.modules:
        raise NoFakeDevice("benchmarks.fakecuda must be imported before torch")
    if not importlib.metadata.version("torch").endswith("+cpu"):
        raise NoFakeDevice("only a CPU build of PyTorch can be told that it has a CUDA device")
    root = Path(importlib.util.find_spec("torch").origin).parent
    for name in ("libc10.so", "libtorch_cpu.so"):
        ctypes.CDLL(str(root / "lib" / name), mode=ctypes.RTLD_GLOBAL)
    ctypes.CDLL(str(_compiled(root)), mode=ctypes.RTLD_GLOBAL)


def _compiled(root: Path) -> Path:
    """The library for this PyTorch, beside the compiled Python files; made where it is not there yet."""
    version = importlib.metadata.version("torch")
    digest = hashlib.sha256(SOURCE.read_bytes() + version.encode()).hexdigest()[:16]
    library = SOURCE.parent / "__pycache__" / f"device-{digest}.so"
    if library.exists():
        return library
    compiler = next(filter(None, map(shutil.which, (os.environ.get("CXX", "c++"), "g++", "clang++"))), None)
    if compiler is None:
        raise NoFakeDevice("no C++ compiler (c++, g++, clang++) to make the fake CUDA device with")
    library.parent.mkdir(exist_ok=True)
    unfinished = library.with_suffix(f".{os.getpid()}")
    line = [compiler, "-shared", "-fPIC", "-std=c++20", f"-I{root / 'include'}", str(SOURCE), "-o", str(unfinished)]
    done = subprocess.run([*line, f"-L{root / 'lib'}", "-lc10", "-ltorch_cpu"], capture_output=True, text=True)
    if done.returncode:
        raise NoFakeDevice(f"{compiler} cannot make the fake CUDA device: {done.stderr.strip().splitlines()[:1]}")
    unfinished.replace(library)  # whole, or not there
    return library
