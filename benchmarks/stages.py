"""The training command, watched: what memory and time each of its stages takes.

python benchmarks/stages.py OUTPUT [arguments of train/train.py]

Writes OUTPUT, a JSON list with a row a stage: seconds since the process began, processor seconds spent, resident MB
when it ended and at most while it ran (Linux alone tells that; elsewhere 0). A stage is what ran since the last one
ended; one that comes again (updates, checkpoints) adds to its row.
"""

from __future__ import annotations

import functools
import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
BEGAN = time.perf_counter()
STATUS = Path("/proc/self/status")
# What ends a stage: a function, by its module (and class), and the stage's name the first time and after.
ENDS = (
    ("train.loop.processes", "start", "libraries"),
    ("train.data.loading", "load_splits", "rows read and checked"),
    ("train.data.loading", "scratch_tokenizer", "tokenizer"),
    ("train.models.vision_pretraining", "pretrain_tower", "stage one: vision"),
    ("train.data.run_data", "RunData.encode_cards", "cards encoded or found"),
    ("train.data.run_data", "RunData.prepare", "lengths of rows"),
    ("train.loop.update", "Updater.step", "first update", "later updates"),
    ("train.loop.validation", "losses", "validation"),
    ("train.models.checkpoint", "save", "first checkpoint", "later checkpoints"),
)


class Watch:
    """`rows`: by stage, in the order in which they first ended."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.spent = 0.0

    def ended(self, names: tuple[str, ...]) -> None:
        name = names[0] if names[0] not in self.rows else names[-1]
        cpu, memory = time.process_time(), _memory()
        before = self.rows.get(name, {"cpu s": 0.0, "peak MB": 0.0})
        self.rows[name] = {
            "stage": name,
            "ended at s": time.perf_counter() - BEGAN,
            "cpu s": before["cpu s"] + cpu - self.spent,
            "MB after": memory[0],
            "peak MB": max(before["peak MB"], memory[1]),
        }
        self.spent = cpu

    def end(self, module: str, path: str, *names: str) -> None:
        """Let the end of a function end a stage."""
        *owners, name = path.split(".")
        owner = functools.reduce(getattr, owners, importlib.import_module(module))
        function = getattr(owner, name)

        @functools.wraps(function)
        def watched(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            finally:
                self.ended(names)

        setattr(owner, name, watched)


def _memory() -> tuple[float, float]:
    """Resident MB now, and at most since this was last asked."""
    if not STATUS.exists():
        return 0.0, 0.0
    fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if ":" in line)
    now, most = (int(fields[key].split()[0]) / 1024 for key in ("VmRSS", "VmHWM"))
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    return now, most


def main(argv: list[str] | None = None) -> int:
    output, *line = sys.argv[1:] if argv is None else argv
    from train import train

    watch = Watch()
    for end in ENDS:
        watch.end(*end)
    code = train.main(line)
    watch.ended(("end",))
    Path(output).write_text(json.dumps(list(watch.rows.values())), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
