"""Load a checkpoint of the full size, 4.15B parameters, on the CPU: peak memory, and one answer about two cards.

python benchmarks/full_size.py --work-dir DIR        8.3 GB of free disk there, about 10 GB of free memory

Random bf16 weights are written in the published sharded layout, loaded as fp16 in a process of its own whose anonymous
memory (RssAnon: the page cache is not counted) is read all along, and deleted.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.common import PUBLISHED, arguments, report

SHARD_BYTES = 5 * 10**9


def write_random(folder: Path, settings: dict[str, Any], shard_bytes: int = SHARD_BYTES) -> int:
    """bf16 weights of this geometry, in shards with their index and config.json; returns their bytes."""
    import torch
    from safetensors.torch import save_file

    from train.models.phi3_vision import Phi3VisionConfig, Phi3VisionForCausalLM

    config = Phi3VisionConfig(**settings, dtype="bfloat16")
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in Phi3VisionForCausalLM(config).state_dict().items()}
    groups: list[list[str]] = [[]]
    size = 0
    for name, shape in shapes.items():
        size += 2 * shape.numel()
        if size > shard_bytes and groups[-1]:
            groups.append([])
            size = 2 * shape.numel()
        groups[-1].append(name)
    torch.manual_seed(0)
    index = {}
    for number, names in enumerate(groups, start=1):
        file = f"model-{number:05d}-of-{len(groups):05d}.safetensors"
        tensors = {}
        for name in names:
            tensor = torch.empty(shapes[name], dtype=torch.bfloat16)
            tensors[name] = tensor.fill_(1.0) if "norm" in name else tensor.uniform_(-0.035, 0.035)
        save_file(tensors, folder / file, metadata={"format": "pt"})
        index |= dict.fromkeys(names, file)
    total = sum(2 * shape.numel() for shape in shapes.values())
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": total}, "weight_map": index})
    )
    config.save_pretrained(folder)
    return total


def anonymous_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status has no RssAnon; this measurement needs Linux")


def measure(folder: Path) -> dict[str, Any]:
    """In this process: load as fp16, read a prompt with two cards, generate; the peak of anonymous memory."""
    import torch
    from PIL import Image, ImageDraw

    from train.models.phi3_vision import Phi3VisionForCausalLM

    before = peak = anonymous_bytes()
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, anonymous_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        started = time.perf_counter()
        model = Phi3VisionForCausalLM.from_pretrained(folder, dtype=torch.float16).eval()
        loaded, after_load = time.perf_counter() - started, peak
        processor = model.config.image_processor(1)
        cards = []
        for colour in ("red", "blue"):
            cards.append(Image.new("RGB", (300, 300), "white"))
            ImageDraw.Draw(cards[-1]).ellipse((60, 60, 240, 240), fill=colour)
        pixels, sizes = processor.images(cards)
        ids = [1]
        for tag, size in enumerate(sizes.tolist(), start=1):
            ids += [-tag] * processor.num_tokens(tuple(size)) + [1]
        prompt = torch.tensor([[*ids, *range(40, 60)]])
        started = time.perf_counter()
        with torch.inference_mode():
            said = model.generate(
                input_ids=prompt, attention_mask=torch.ones_like(prompt), pixel_values=pixels.half(), image_sizes=sizes,
                max_new_tokens=4, do_sample=False, eos_token_id=None,
                output_logits=True, return_dict_in_generate=True,
            )  # fmt: skip
        answered = time.perf_counter() - started
    finally:
        done.set()
        watcher.join()
    return {
        "parameters": model.num_parameters(),
        "prompt tokens": prompt.shape[1],
        "new tokens": said.sequences[0, prompt.shape[1] :].tolist(),
        "finite": bool(torch.stack(said.logits).isfinite().all()),
        "MB before": before / 1e6,
        "peak MB loading": after_load / 1e6,
        "peak MB": peak / 1e6,
        "loading s": loaded,
        "answer s": answered,
    }


def main(argv: list[str] | None = None, settings: dict[str, Any] = PUBLISHED) -> int:
    parser = arguments(__doc__, "full_size")
    parser.add_argument("--work-dir", metavar="DIR", help="where the weights are written and deleted (default: TMPDIR)")
    parser.add_argument("--measure", metavar="DIR", help="only load and answer from this folder; print JSON")
    args = parser.parse_args(argv)
    if args.measure:
        print(json.dumps(measure(Path(args.measure))))
        return 0
    with tempfile.TemporaryDirectory(dir=args.work_dir) as folder:
        size = write_random(Path(folder), settings)
        line = [sys.executable, __file__, "--measure", folder]
        done = subprocess.run(line, capture_output=True, text=True)
        if done.returncode:
            print(done.stderr, file=sys.stderr)
            return 1
        row = json.loads(done.stdout.splitlines()[-1])
    ratio = row["peak MB"] * 1e6 / size
    report(
        [{"file MB": size / 1e6, "peak / file": ratio, **row}], args.output, "A full-size checkpoint, loaded as fp16"
    )
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the weights are deleted then, too
    sys.exit(main())
