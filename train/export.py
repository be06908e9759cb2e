"""Write a trained model in its backbone's published layout, its LoRA merged, for any program that reads that.

python train/export.py --checkpoint train/checkpoints/best_model.pt --output merged

The persona embedding, the context attention and the styles are not part of that layout: they are written beside it, to
aac_heads.safetensors. To interpret cards with them, go on using the checkpoint.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "5000")
ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":  # Python put the script's folder first, with -P nothing; the packages lie here
    sys.path[: not sys.flags.safe_path] = [str(ROOT)]

from aac.io import UserError, escape_unprintable  # noqa: E402

if TYPE_CHECKING:
    from train.models.aac_multimodal_model import AACMultimodalModel

log = logging.getLogger("aac")
HEADS = "aac_heads.safetensors"
DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
# Of the base's own folder: tokenizer, processor, generation settings and the published code, not its weights or config.
_WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "*.bin", "*.bin.index.json", "config.json")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default=str(ROOT / "train/checkpoints/best_model.pt"), metavar="PATH")
    parser.add_argument("--output", required=True, metavar="DIR", help="a new or empty folder")
    parser.add_argument("--model-path", metavar="DIR|ID", help="the base, where the checkpoint's own is elsewhere")
    parser.add_argument("--dtype", choices=DTYPES, default="bf16", help="of the weights (default: as published)")
    return parser.parse_args(argv)


def export(checkpoint: str | Path, output: str | Path, dtype: str = "bf16", model_path: str | None = None) -> int:
    """Merge and write. Returns how many adapters were merged.

    The folder appears whole or not at all: it is written beside its place and renamed.

    Raises:
        UserError: no such checkpoint, another base than it was trained over, `output` holds something, or a precision
            that the backbone cannot take.
    """
    import torch

    from train.config.backbones import BACKBONES
    from train.config.train_config import validate
    from train.models import checkpoint as files
    from train.models.aac_multimodal_model import AACMultimodalModel
    from train.models.lora import merge_lora

    output = Path(output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"--output {output}: holds something already; name a new folder")
    state = files.load(checkpoint)
    fixed = BACKBONES[validate(state["config"], str(checkpoint))["model_type"]].fixed
    if dtype == "fp16" and "use_fp16" in fixed:
        raise UserError(f"--dtype fp16: {fixed['use_fp16']}")
    # Merged numbers are exact over the unquantised base, whatever trained over it.
    state["config"] |= {"load_in_4bit": False, "gradient_checkpointing": False}
    if model_path:
        state["config"]["model_path"] = model_path
    wanted = getattr(torch, DTYPES[dtype])
    model = AACMultimodalModel.from_state(state, {"device": "cpu"}, str(checkpoint), wanted)
    layout = getattr(model.backbone.config, "image_layout", "sub_glb")
    if layout != "sub_glb":
        log.warning("its pictures are laid out %r, which this project reads and the published code does not", layout)
    merged = merge_lora(model.backbone)
    log.info("%s: %d adapters merged", checkpoint, merged)
    unfinished = output.with_name(f".{output.name}.tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        write_model(model, unfinished, wanted)
        if output.exists():
            output.rmdir()
        unfinished.rename(output)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return merged


def write_model(model: AACMultimodalModel, folder: Path, dtype: Any) -> None:
    """The backbone with its tokenizer in the published layout, and the heads beside it."""
    from safetensors.torch import save_file

    from train.models.backbones import find_weights

    backbone = model.backbone.to(dtype)
    backbone.save_pretrained(folder, max_shard_size="5GB")
    if model.config["backbone"]:
        model.encoder.tokenizer.save(str(folder / "tokenizer.json"))
    else:
        source = Path(find_weights(model.config["model_path"]))
        for file in sorted(source.iterdir()):
            if file.is_file() and not any(file.match(pattern) for pattern in _WEIGHTS):
                shutil.copyfile(file, folder / file.name)
    own = model.state_dict()
    heads = {name: value.contiguous() for name, value in own.items() if not name.startswith("backbone.")}
    kept = ("voice", "persona_tokens", "context_width", "cluster_weight", "num_crops", "card_tokens")
    settings = {key: model.config[key] for key in kept} | {"reading": model.encoder.reading.model_dump()}
    save_file(heads, folder / HEADS, metadata={"format": "pt", "config": json.dumps(settings)})


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code: 0 done, 1 failed, 2 a user's mistake, 130 after Ctrl-C (nothing half-written is left)."""
    escape_unprintable()
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        export(args.checkpoint, args.output, args.dtype, args.model_path)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"{args.output}: the merged model in the published layout ({args.dtype})")
    print(
        f"{args.output}/{HEADS}: persona embedding, context attention, styles and clusters. They are not part of that "
        "layout: a program that reads it answers without them, so persona and context reach it through the prompt alone"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
