"""A model of the full size on this machine's CPU: peak memory while it is loaded, and what three candidates cost.

python benchmarks/full_size.py --work-dir DIR                          Phi-3.5-Vision, 4.15B: 8.3 GB of free disk there
python benchmarks/full_size.py --work-dir DIR --model-type qwen3_vl    Qwen3-VL-2B: 4.3 GB

Random bf16 weights are written in the published sharded layout, loaded in each precision in a process of its own whose
anonymous memory (RssAnon: the page cache is not counted) is read all along, and deleted. Sentences are noise: they are
decoded without the gate, to a fixed length. Seconds are of processor time.
"""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.common import GEOMETRIES, arguments, report

SHARD_BYTES = 5 * 10**9
# Of the weights in memory; int8 and int4: of the decoder's, the rest in fp32.
PRECISIONS = ("fp32", "bf16", "fp16", "int8", "int4")


def write_random(
    folder: Path, settings: dict[str, Any], shard_bytes: int = SHARD_BYTES, model_type: str = "phi3_vision"
) -> int:
    """bf16 weights of this geometry, in shards with their index, config.json and a small tokenizer; returns their
    bytes."""
    import torch
    from safetensors.torch import save_file

    from train.models.backbones import model_class
    from train.models.prompt import train_tokenizer

    kind = model_class(model_type)
    config = kind.config_class(**settings, dtype="bfloat16")
    with torch.device("meta"):
        tied = kind._tied_weights_keys if config.tie_word_embeddings else ()
        shapes = {name: value.shape for name, value in kind(config).state_dict().items() if name not in tied}
    train_tokenizer(["물을 마시고 싶어요", "학교에서 선생님과"], 400, kind.chat.control).save(
        str(folder / "tokenizer.json")
    )
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


class Peak:
    """The most anonymous memory that this process has held since `with`."""

    def __enter__(self) -> Peak:
        self.before = self.bytes = anonymous_bytes()
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._done.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._done.wait(0.02):
            self.bytes = max(self.bytes, anonymous_bytes())


def load(folder: Path, model_type: str, precision: str) -> Any:
    """An AACMultimodalModel over the weights, its decoder rounded where the precision says so."""
    import torch

    from train.config.train_config import validate
    from train.models.aac_multimodal_model import AACMultimodalModel
    from train.models.quantized import KINDS, quantize

    settings = {"model_type": model_type, "model_path": str(folder), "model_size": "random", "device": "cpu"}
    config = validate({**settings, "use_lora": False, "gradient_checkpointing": False})
    dtype = {"fp32": torch.float32, "fp16": torch.float16}.get(precision, torch.bfloat16)
    model = AACMultimodalModel.build(config, dtype=dtype).eval().requires_grad_(False)
    if precision in KINDS:
        quantize(model.backbone, precision)
    return model.to(dtype if precision not in KINDS else torch.float32)


def answer(model: Any, cards: int, tokens: int) -> dict[str, Any]:
    """Three candidates for so many cards: processor seconds of the tower, of the prompt, of the candidates."""
    import torch
    from PIL import Image, ImageDraw

    from train.interpreter.decoding import Prefilled
    from train.interpreter.requests import parse_request, prompt_batch

    images = [Image.new("RGB", (300, 300), "white") for _ in range(cards)]
    for number, image in enumerate(images):
        ImageDraw.Draw(image).ellipse((60, 60, 120 + 40 * number, 240), fill=("red", "blue", "green", "black")[number])
    model.config["max_new_tokens"], model.encoder.stops = tokens, frozenset()
    request = {"images": images, "persona_info": {"age": "성인"}, "context_info": "집에서"}
    with torch.inference_mode():
        marks = [time.process_time()]
        parsed = parse_request(model, request)
        marks.append(time.process_time())
        batch, features, sizes = prompt_batch(model, [parsed])
        prefilled = Prefilled(model, batch, features, sizes)
        marks.append(time.process_time())
        said = prefilled.decode({number: [] for number in range(3)})
        marks.append(time.process_time())
    return {
        "cards": cards,
        "prompt tokens": batch.input_ids.shape[1],
        "new tokens": [len(candidate.tokens) for candidate in said.values()],
        "finite": all(math.isfinite(lead) for candidate in said.values() for lead in candidate.leads),
        "tower s": marks[1] - marks[0],
        "prefill s": marks[2] - marks[1],
        "candidates s": marks[3] - marks[2],
    }


def measure(folder: Path, model_type: str, precision: str, cards: list[int], tokens: int) -> list[dict[str, Any]]:
    """In this process: load, then three candidates for each number of cards; the peak of anonymous memory."""
    with Peak() as peak:
        started = time.perf_counter()
        model = load(folder, model_type, precision)
        loaded, after_load = time.perf_counter() - started, peak.bytes
        answers = [answer(model, count, tokens) for count in cards]
        held = anonymous_bytes()
    memory = {"MB before": peak.before / 1e6, "peak MB loading": after_load / 1e6, "MB held": held / 1e6}
    head = {"precision": precision, "parameters": model.backbone.num_parameters(), "loading s": loaded}
    return [{**head, **memory, "peak MB": peak.bytes / 1e6, **row} for row in answers]


def main(argv: list[str] | None = None, settings: dict[str, Any] | None = None) -> int:
    parser = arguments(__doc__, "full_size")
    parser.add_argument("--model-type", choices=GEOMETRIES, default="phi3_vision")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=["fp16"])
    parser.add_argument("--cards", nargs="+", type=int, default=[1, 4], metavar="N")
    parser.add_argument("--tokens", type=int, default=16, metavar="N", help="new tokens a candidate")
    parser.add_argument("--work-dir", metavar="DIR", help="where the weights are written and deleted (default: TMPDIR)")
    parser.add_argument("--measure", metavar="DIR", help="only load and answer from this folder; print JSON")
    args = parser.parse_args(argv)
    if args.measure:
        print(json.dumps(measure(Path(args.measure), args.model_type, args.precisions[0], args.cards, args.tokens)))
        return 0
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=args.work_dir) as folder:
        size = write_random(Path(folder), settings or GEOMETRIES[args.model_type], model_type=args.model_type)
        same = ["--model-type", args.model_type, "--tokens", str(args.tokens), "--cards", *map(str, args.cards)]
        for precision in args.precisions:
            line = [sys.executable, __file__, "--measure", folder, "--precisions", precision, *same]
            done = subprocess.run(line, capture_output=True, text=True)
            if done.returncode:
                print(done.stderr, file=sys.stderr)
                return 1
            found = json.loads(done.stdout.splitlines()[-1])
            rows += [{"file MB": size / 1e6, "peak / file": row["peak MB"] * 1e6 / size, **row} for row in found]
    report(rows, args.output, f"{args.model_type} of the full size on a CPU, random weights")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the weights are deleted then, too
    sys.exit(main())
