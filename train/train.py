"""Train the AAC interpreter: config, model, data, loop.

python train/train.py                                   Phi-3.5-Vision with LoRA, on CUDA
python train/train.py --config train/config/tiny.json   a small model from scratch, two CPU cores, no weights needed
python train/train.py --resume auto                     go on where the last run stopped
python train/train.py --feedback dataset/feedback --init-from best_model.pt   learn from what people chose and wrote
accelerate launch --multi_gpu train/train.py            several GPUs or machines (train/README.md)
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

# A busy neighbour must not make a step ten times slower: threads that wait sleep, after spinning for a few
# microseconds (without that a step takes a third longer on a quiet machine).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "5000")
# In bf16 a CPU makes kernels for every new shape of a batch; oneDNN, and PyTorch above it, would each keep the last
# thousand of them: half a gigabyte.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
os.environ.setdefault("LRU_CACHE_CAPACITY", "64")
if not sys.stderr.isatty():
    os.environ.setdefault("TQDM_MININTERVAL", "15")  # a log file wants no line a step
if __name__ == "__main__":  # Python put the script's folder first, with -P nothing; the packages lie here
    sys.path[: not sys.flags.safe_path] = [str(Path(__file__).resolve().parents[1])]

from aac.io import UserError, escape_unprintable
from train.config.train_config import ROOT, at_root, load_config
from train.loop.signals import StopSignal

if TYPE_CHECKING:
    from accelerate import Accelerator

    from train.data.run_data import RunData
    from train.loop.run_folder import Start
    from train.loop.runlog import RunLog
    from train.loop.trainer import Trainer
    from train.models.aac_multimodal_model import AACMultimodalModel

log = logging.getLogger("aac")
WITHOUT_GPU = "What works here: python train/train.py --config train/config/tiny.json"


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", metavar="FILE", help="JSON with keys of train/config/train_config.py")
    parser.add_argument("--set", metavar="KEY=VALUE", nargs="+", action="extend", default=[], help="override keys")
    parser.add_argument("--workspace", metavar="DIR", default=ROOT, help="root of the config's relative paths")
    parser.add_argument("--wandb", action="store_true", help="log to Weights & Biases (numbers only)")
    parser.add_argument("--dry-run", action="store_true", help="what the run needs, then two updates; saves nothing")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", metavar="auto|FILE", help="go on from the newest checkpoint, or from this one")
    again.add_argument("--init-from", metavar="FILE", help="a new run from a checkpoint's weights, on new data")
    parser.add_argument(
        *("--feedback",), metavar="JOURNAL", help="a person's journal, or the folder of them: --init-from's file learns"
    )
    parser.add_argument("--overwrite", action="store_true", help="start anew in a folder that holds checkpoints")
    args = parser.parse_args(argv)
    if args.resume and args.overwrite:
        parser.error("--resume goes on with what --overwrite would remove: choose one")
    if args.feedback and (not args.init_from or args.dry_run):
        parser.error("--feedback needs --init-from FILE, the model that is to learn, and has no --dry-run")
    return args


def check_hardware(config: dict[str, Any]) -> None:
    """Say the precision, before anything is loaded.

    Raises:
        UserError: what cannot work on this machine.
    """
    import torch

    from train.loop import estimate, processes
    from train.models.device import absent, computes_in_bf16

    device = config["device"]
    on_gpu = device.startswith("cuda")
    if problem := absent(device):
        remedy = f", and {config['model_path']} is fine-tuned on one. {WITHOUT_GPU}"
        remedy = "; choose one of them: --set device=cuda" if torch.cuda.is_available() else remedy
        raise UserError(f"device is {device!r}, but {problem}{remedy}")
    if on_gpu and config["use_bf16"] and not computes_in_bf16(device):
        raise UserError("use_bf16: this GPU does not compute in bf16; set use_fp16 to true and use_bf16 to false")
    together = int(os.environ.get("WORLD_SIZE", 1)) if processes.wants_sharding() else 1
    estimate.check_memory(config, estimate.available_bytes(device), together)
    half = processes.precision(config)
    why = " (use_fp16 needs CUDA; this is a CPU)" if config["use_fp16"] and not on_gpu else ""
    why = " (use_bf16: this processor only emulates it)" if config["use_bf16"] and half == "no" else why
    why = processes.without_overflow(device) if half == "fp16" else why
    log.info("Precision: %s%s", {"no": "fp32"}.get(half, f"{half}, trained weights in fp32"), why)


def set_up(
    config: dict[str, Any], root: Path, accelerator: Accelerator, start: Start, stop: StopSignal, dry_run: bool = False
) -> Trainer:
    """Config, rows, model, vision stage, cards, loop: a run that is ready to begin, or to go on."""
    from accelerate.utils import set_seed

    from train.data.run_data import RunData
    from train.loop import processes, resume
    from train.loop.trainer import Trainer

    config, micro_batches = resume.settle(config, start, accelerator.num_processes)
    log.info("Config: %s", json.dumps(config, ensure_ascii=False))
    set_seed(config["seed"])
    data = RunData(config, root)
    if start.resume:
        resume.check_same_data(start, **data.identity)
    model = make_model(config, data, start)
    processes.place(accelerator, model)
    if config["vision_pretrain_steps"] and not start.state and not dry_run:
        learn_to_see(model, data, config, accelerator)
    with accelerator.main_process_first():
        # A warm start takes the new data's clusters: the model reads a cluster by its centroid.
        data.encode_cards(model, new_clusters=not start.resume)
    data.prepare(model, accelerator.process_index, accelerator.num_processes, micro_batches)
    return Trainer(accelerator, model, data, config, root, start, stop)


def make_model(config: dict[str, Any], data: RunData, start: Start) -> AACMultimodalModel:
    """From a checkpoint, from pretrained weights, or from scratch."""
    from train.data.loading import scratch_tokenizer
    from train.models.aac_multimodal_model import AACMultimodalModel

    if start.state:
        model = AACMultimodalModel.from_state({**start.state, "config": config}, config, str(start.path))
        model.config = config
        return model
    return AACMultimodalModel.build(
        config, scratch_tokenizer(config, data.splits["train"]) if config["backbone"] else None
    )


def learn_to_see(model: AACMultimodalModel, data: RunData, config: dict[str, Any], accelerator: Accelerator) -> None:
    """Stage one of a model from scratch: its tower learns to name the cards, and is frozen then."""
    from aac.pictures import open_picture
    from train.models.vision_pretraining import pretrain_tower

    log.info("Stage 1, vision: the tower learns to name %d cards", len(data.images))
    images, steps = [open_picture(path) for path in data.images], config["vision_pretrain_steps"]
    # In fp16 gradients would want a loss scaler; the tower is small enough to learn in fp32 there.
    autocast = nullcontext if accelerator.mixed_precision == "fp16" else accelerator.autocast
    share = pretrain_tower(model, images, data.names, steps, config["seed"], autocast)
    log.info("The tower names %.1f %% of the cards", 100 * share)


def train(args: argparse.Namespace, stop: StopSignal) -> int:
    """Everything between the command line and the exit code.

    Raises:
        MemoryError: the device's memory is too small; says what to change.
    """
    from train.loop import run_folder, runlog

    config = load_config(args.config, args.set)
    root = Path(args.workspace).resolve()
    check_hardware(config)
    use_wandb = args.wandb and runlog.check_wandb()
    import torch

    from train.loop import estimate, processes

    accelerator = processes.start(config)
    folder = at_root(config["checkpoint_dir"], root)
    alone = run_folder.one_run_in(folder) if accelerator.is_main_process and not args.dry_run else nullcontext()
    with alone:
        start = run_folder.choose_start(folder, args.resume, args.init_from, args.overwrite or args.dry_run)
        accelerator.wait_for_everyone()  # each has read the folder before one of them changes it
        try:
            trainer = set_up(config, root, accelerator, start, stop, args.dry_run)
            if args.dry_run:
                return dry_run(trainer)
            with open_log(trainer, use_wandb, args.overwrite) if trainer.is_main else nullcontext() as run_log:
                return trainer.run(run_log)
        except torch.OutOfMemoryError as error:
            where = ("in the dry run", "") if args.dry_run else ("outside the loop",)
            raise MemoryError(estimate.out_of_memory(config, 1, error, *where)) from None


def teach(args: argparse.Namespace, stop: StopSignal) -> int:
    """`--feedback`: a short training in a folder of its own, then both models judged; one of them stays.

    Raises:
        UserError: nothing in the journal may be learned from; as of `train`.
    """
    from train.loop import feedback

    config, root, model = load_config(args.config, args.set), Path(args.workspace).resolve(), Path(args.init_from)
    lesson, settings = feedback.prepare(Path(args.feedback), config, root)
    own = argparse.Namespace(**{**vars(args), "set": [*settings, *args.set], "overwrite": True})
    code = train(own, stop)
    return code or feedback.settle(lesson, model, config, root, at_root(config["processed_data"], root))


def open_log(trainer: Trainer, use_wandb: bool, overwrite: bool) -> RunLog:
    """The run's log, once the checkpoints of an earlier run are out of its way."""
    from train.loop import estimate, run_folder
    from train.loop.runlog import RunLog

    config, folder, step = trainer.config, trainer.checkpoints, trainer.progress.step
    if overwrite:
        run_folder.clear(folder)
    run_folder.set_aside_after(folder, step)
    if warning := estimate.disk_warning(folder, trainer.model, config["max_checkpoints"]):
        log.warning("%s", warning)
    return RunLog(at_root(config["log_dir"], trainer.root), config, use_wandb, step if trainer.resumed else None)


def dry_run(trainer: Trainer) -> int:
    """What the run would need, then two updates of two batches of the longest rows, the second timed. Saves nothing."""
    from train.loop import estimate

    lengths = trainer.data.lengths
    print("\n".join(estimate.needs(trainer.model, trainer.config, max(lengths))), flush=True)
    window = trainer.data.longest_window()
    for _ in range(2):
        started = time.perf_counter()
        record = trainer.updater.gradients(window)
        trainer.updater.step(window)
    seconds = time.perf_counter() - started
    print("\n".join(estimate.measured(trainer.config, lengths, trainer.total, record, seconds)))
    return 0


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code: 0 done, 1 failed, 2 a user's mistake, 130 / 143 after Ctrl-C / SIGTERM (saved)."""
    escape_unprintable()
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    log.setLevel(logging.INFO if os.environ.get("RANK", "0") == "0" else logging.WARNING)  # one process speaks
    try:
        with StopSignal() as stop:
            return (teach if args.feedback else train)(args, stop)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (OSError, FloatingPointError, MemoryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
