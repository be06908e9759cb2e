"""Ctrl-C and SIGTERM: finish the step, save, exit."""

from __future__ import annotations

import signal
import threading
from typing import Any


class StopSignal:
    """Notes the first signal once `wait` is set (the loop looks at `number` after each update); before that, and for a
    second signal, it exits at once. The exit code is 128 + number: 130 after Ctrl-C, 143 after SIGTERM.

    In another thread than the main one signals stay with the application.
    """

    def __init__(self) -> None:
        self.number, self.wait = 0, False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignal:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not Python's own

    def _receive(self, number: int, frame: object) -> None:
        impatient = bool(self.number) or not self.wait
        self.number = number
        if impatient:
            raise SystemExit(128 + number)
