"""Train the AAC interpreter: config, model, data, loop.

python train/train.py                                   Phi-3.5-Vision with LoRA, on CUDA
python train/train.py --config train/config/tiny.json   a small model from scratch, two CPU cores, no weights needed
python train/train.py --resume auto                     go on where the last run stopped
accelerate launch train/train.py                        several GPUs or machines
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
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
ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # not this folder, where `train` is this script

from aac.io import UserError  # noqa: E402
from train.config.train_config import ROOT as CONFIG_ROOT  # noqa: E402
from train.config.train_config import at_root, load_config  # noqa: E402
from train.loop.signals import StopSignal  # noqa: E402

if TYPE_CHECKING:
    from accelerate import Accelerator

    from train.loop.run_folder import Start
    from train.models.aac_multimodal_model import AACMultimodalModel

log = logging.getLogger("aac")
WITHOUT_GPU = "What works here: python train/train.py --config train/config/tiny.json"


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", metavar="FILE", help="JSON with keys of train/config/train_config.py")
    parser.add_argument("--set", metavar="KEY=VALUE", nargs="+", action="extend", default=[], help="override keys")
    parser.add_argument("--workspace", metavar="DIR", default=CONFIG_ROOT, help="root of the config's relative paths")
    parser.add_argument("--wandb", action="store_true", help="log to Weights & Biases (numbers only)")
    parser.add_argument("--dry-run", action="store_true", help="one step, then what the run would need; saves nothing")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", metavar="auto|FILE", help="go on from the newest checkpoint, or from this one")
    again.add_argument("--init-from", metavar="FILE", help="a new run from a checkpoint's weights, on new data")
    parser.add_argument("--overwrite", action="store_true", help="start anew in a folder that holds checkpoints")
    args = parser.parse_args(argv)
    if args.resume and args.overwrite:
        parser.error("--resume goes on with what --overwrite would remove: choose one")
    return args


def check_hardware(config: dict[str, Any]) -> None:
    """Training refuses what cannot work, before anything is loaded."""
    import torch

    from train.loop import estimate, processes

    on_gpu = config["device"].startswith("cuda")
    if on_gpu and not torch.cuda.is_available():
        raise UserError(
            f"device is {config['device']!r}, but PyTorch sees no CUDA GPU here, and {config['model_path']} "
            f"is fine-tuned on one. {WITHOUT_GPU}"
        )
    if on_gpu and config["use_bf16"] and not torch.cuda.is_bf16_supported():
        raise UserError("use_bf16: this GPU does not compute in bf16; set use_fp16 to true and use_bf16 to false")
    together = int(os.environ.get("WORLD_SIZE", 1)) if os.environ.get("ACCELERATE_USE_FSDP") == "true" else 1
    estimate.check_memory(config, estimate.available_bytes(config["device"]), together)
    half = processes.precision(config)
    why = " (use_fp16 needs CUDA; this is a CPU)" if config["use_fp16"] and not on_gpu else ""
    why = " (use_bf16: this processor only emulates it)" if config["use_bf16"] and half == "no" else why
    log.info("Precision: %s%s", {"no": "fp32"}.get(half, f"{half}, trained weights in fp32"), why)


class Trainer:
    """One run: what is trained on what, and the loop over it. `step` counts updates, `epoch` and `done` the data."""

    def __init__(
        self,
        config: dict[str, Any],
        root: Path,
        accelerator: Accelerator,
        start: Start,
        stop: StopSignal,
        dry_run: bool = False,
    ) -> None:
        from accelerate.utils import set_seed

        from train.data.run_data import RunData
        from train.loop import estimate, optimization, resume
        from train.loop.update import Updater

        self.accelerator, self.is_main, self.stop, self.stopping = accelerator, accelerator.is_main_process, stop, 0
        config, parts = resume.settle(config, start, accelerator.num_processes)
        self.config, self.root, self.checkpoints = config, root, at_root(config["checkpoint_dir"], root)
        set_seed(config["seed"])
        self.data = RunData(config, root)
        if start.resume:
            resume.check_same_data(start, **self.data.identity)
        self.model = self._model(start, dry_run).to(accelerator.device)
        with accelerator.main_process_first():
            # A warm start takes the new data's clusters: the model reads a cluster by its centroid.
            self.data.encode_cards(self.model, new_clusters=not start.resume)
        self.data.prepare(self.model, accelerator.process_index, accelerator.num_processes, parts)
        self.total = config["max_steps"] or self.data.updates_per_epoch * config["num_epochs"]
        self.warmup = optimization.warmup_updates(config, self.total)
        optimizer = optimization.make_optimizer(self.model, config)
        log.info("%s", "\n".join(estimate.parameter_lines(self.model, optimizer.param_groups)))
        self.updater = Updater(accelerator, self.model, optimizer, self.data.features, config, self.data.alone)
        self.step = self.epoch = self.done = self.stale = 0
        self.best, self.resumed = float("inf"), start.resume
        if start.resume:
            self._restore(start.state)
        elif accelerator.num_processes > 1:
            set_seed(config["seed"], device_specific=True)  # dropout differs by process

    def _model(self, start: Start, dry_run: bool) -> AACMultimodalModel:
        """From a checkpoint, from pretrained weights, or from scratch; there the tower first learns to see."""
        from train.data.features import open_picture
        from train.data.loading import scratch_tokenizer
        from train.models.aac_multimodal_model import AACMultimodalModel
        from train.models.vision_pretraining import pretrain_tower

        config, pictures = self.config, self.data.pictures
        if start.state:
            model = AACMultimodalModel.from_state({**start.state, "config": config}, config, str(start.path))
        else:
            tokenizer = scratch_tokenizer(config, self.data.splits["train"]) if config["backbone"] else None
            model = AACMultimodalModel.build(config, tokenizer)
            if config["vision_pretrain_steps"] and not dry_run:
                log.info("Stage 1, vision: the tower learns to name %d cards", len(pictures))
                images = [open_picture(path) for path in pictures]
                share = pretrain_tower(
                    *(model, images, self.data.names, config["vision_pretrain_steps"], config["seed"]),
                    autocast=self.accelerator.autocast,
                )
                log.info("The tower names %.1f %% of the cards", 100 * share)
        model.config = config
        return model

    # ------------------------------------------------------------------ loop

    def run(self, use_wandb: bool = False, overwrite: bool = False) -> int:
        """Train to the end, or to a signal. Returns the exit code."""
        from tqdm import tqdm
        from tqdm.contrib.logging import logging_redirect_tqdm

        from train.loop import estimate, run_folder
        from train.loop.runlog import RunLog

        if self.is_main:
            if overwrite:
                run_folder.clear(self.checkpoints)
            run_folder.set_aside_after(self.checkpoints, self.step)
            if warning := estimate.disk_warning(self.checkpoints, self.model, self.config["max_checkpoints"]):
                log.warning("%s", warning)
            after = self.step if self.resumed else None
            self.run_log = RunLog(at_root(self.config["log_dir"], self.root), self.config, use_wandb, after)
        log.info("Training: updates %d to %d (%d an epoch)", self.step + 1, self.total, self.data.updates_per_epoch)
        hidden = None if self.is_main else True  # None: on a terminal; a log file has its lines
        self.bar = tqdm(total=self.total, initial=self.step, unit="update", desc="train", disable=hidden)
        self.began, self.began_at = time.perf_counter(), self.step
        self.waited = self.worked = 0.0  # seconds: for data, and of the updates with it
        self.stop.wait = True
        try:
            with logging_redirect_tqdm([logging.getLogger()]), self.bar:
                if not self.resumed:
                    self._save()  # a run killed before its first save goes on from here
                while not self._over():
                    self._train_epoch()
            if not self._finished():
                path = self._save()
                log.info("Stopped by a signal after update %d; go on with --resume %s", self.step, path)
                return 128 + self.stopping
        finally:
            if self.is_main:
                self.run_log.close()
        log.info("Done. Best val_loss %.4f: %s", self.best, self.checkpoints / run_folder.BEST)
        return 0

    def _finished(self) -> bool:
        patience = self.config["early_stopping_patience"]
        return self.step >= self.total or bool(patience and self.stale >= patience)

    def _over(self) -> bool:
        """Finished, or told to stop: where one process is told, all stop after the same update."""
        from train.loop.processes import summed

        if any(summed(self.accelerator, [self.stop.number])):
            self.stopping = self.stop.number or signal.SIGTERM
        return self._finished() or bool(self.stopping)

    def _train_epoch(self) -> None:
        """The rest of this epoch, a window an update, to the end of the run or a signal."""
        import torch

        from train.loop.optimization import set_rates

        started = time.perf_counter()
        for window in self.data.windows(self.epoch, self.done):
            self.waited += time.perf_counter() - started
            set_rates(self.updater.optimizer, self.step, self.warmup, self.total)
            try:
                record = self.updater.step(window, self.step + 1)
            except torch.OutOfMemoryError as error:
                self._split_batches(error)
                return  # and go on from this window
            self.step, self.done = self.step + 1, self.done + window.groups
            self._log_update(record, time.perf_counter() - started)
            if self.step % self.config["eval_steps"] == 0 or self.step == self.total:
                self._evaluate()
            if self.step % self.config["save_steps"] == 0 or self._finished():
                self._save()
            if self._over():
                return
            started = time.perf_counter()
        self.epoch, self.done = self.epoch + 1, 0

    def _split_batches(self, error: Exception) -> None:
        """Go through each batch in twice as many parts: the same rows an update, so the same result.

        Raises:
            MemoryError: that is not wanted, or not possible; says what to change.
        """
        import torch

        from train.loop import estimate

        collator, size = self.data.collator, self.config["batch_size"]
        together = self.accelerator.num_processes > 1
        if not self.config["auto_batch_size"] or together or collator.parts >= size:
            raise MemoryError(
                estimate.out_of_memory(self.config, f"in update {self.step + 1}", collator.parts, error)
            ) from None
        error.__traceback__ = None  # it holds the failed step's tensors
        self.updater.optimizer.zero_grad(set_to_none=True)
        torch.cuda.empty_cache()
        collator.parts *= 2
        log.warning(
            "update %d: out of memory; going on with batch_size %d, gradient_accumulation_steps %d: as many rows an "
            "update as before",
            *(self.step + 1, -(-size // collator.parts), self.config["gradient_accumulation_steps"] * collator.parts),
        )

    def _log_update(self, record: dict[str, float], seconds: float) -> None:
        """Every `logging_steps` a line, and the same numbers to the loggers."""
        from train.loop import estimate, runlog

        self.bar.update()
        self.worked += seconds
        if not self.is_main or (self.step % self.config["logging_steps"] and self.step != 1):
            return
        record["samples_per_second"] = record.pop("rows") / seconds
        record["tokens_per_second"] = record.pop("positions") / seconds
        record["data_wait"] = self.waited / self.worked  # share of the updates' time, since the run began
        record["memory_gib"] = estimate.peak_bytes(self.config["device"]) / estimate.GIB
        for group in self.updater.optimizer.param_groups:
            record["learning_rate" if group["name"] == "backbone" else "head_learning_rate"] = group["lr"]
        if self.accelerator.scaler:
            record["skipped_updates"] = self.updater.skipped
        pace = (time.perf_counter() - self.began) / (self.step - self.began_at)
        left = estimate.duration(pace * (self.total - self.step))
        log.info("%s", runlog.line(self.step, self.total, record, left))
        self.run_log.write(self.step, record)

    def _evaluate(self) -> None:
        """Validation loss, and scores of generated sentences where asked; the best model so far is saved."""
        from train.loop import processes, run_folder, validation
        from train.models import checkpoint

        scores = {"val_loss": validation.validation_loss(self.updater, self.data)}
        if self.config["generation_samples"]:
            scores |= validation.generation_scores(self)
        value = scores[self.config["best_metric"]]
        better = value < self.best
        told = ", ".join(f"{key} {score:.4f}" for key, score in scores.items())
        log.info("update %d: %s%s", self.step, told, " (best)" if better else "")
        if self.is_main:
            self.run_log.write(self.step, scores)
        self.stale = 0 if better else self.stale + 1
        if better:
            self.best = value
            state, _ = processes.whole_state(self.updater)
            if self.is_main:
                state["model"] = checkpoint.compact(state["model"], processes.precision(self.config))
                extra = {"data": self.data.identity, "metrics": {**scores, "step": self.step}}
                checkpoint.save(self.checkpoints / run_folder.BEST, {**state, **extra})
        elif self._finished() and self.step < self.total:
            log.info("No better val_loss in %d evaluations: stopping early", self.stale)

    # ------------------------------------------------------------------ state

    def _save(self) -> Path:
        """This update's checkpoint: all that going on needs."""
        from train.loop import processes
        from train.models import checkpoint

        path = self.checkpoints / f"checkpoint_step_{self.step}.pt"
        updater, scaler = self.updater, self.accelerator.scaler
        state, moments = processes.whole_state(updater)
        random = processes.random_states(self.accelerator)
        progress = {key: getattr(self, key) for key in ("step", "epoch", "done", "best", "stale")}
        progress |= {"skipped": updater.skipped, "skipped_in_a_row": updater.skipped_in_a_row}
        progress |= {"parts": self.data.collator.parts, "processes": self.accelerator.num_processes}
        if self.is_main:
            state |= {"optimizer": moments, "scaler": scaler.state_dict() if scaler else {}}
            state |= {"data": self.data.identity, "progress": progress, "random": random}
            checkpoint.save(path, state)
            checkpoint.rotate(self.checkpoints, self.config["max_checkpoints"])
        self.accelerator.wait_for_everyone()
        return path

    def _restore(self, state: dict[str, Any]) -> None:
        """Optimizer, loss scaler, position in the data and random states; the model was loaded before."""
        from train.loop import processes

        updater, progress = self.updater, state["progress"]
        processes.load_optimizer(updater, state["optimizer"])
        if self.accelerator.scaler and state["scaler"]:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        for key in ("step", "epoch", "done", "best", "stale"):
            setattr(self, key, progress[key])
        updater.skipped, updater.skipped_in_a_row = progress["skipped"], progress["skipped_in_a_row"]
        if len(state["random"]) == self.accelerator.num_processes:
            processes.restore_random(state["random"], self.accelerator.process_index)
        else:
            log.warning("Another number of processes than before: dropout draws differ from an undisturbed run's")


def train(args: argparse.Namespace, stop: StopSignal) -> int:
    """Everything between the command line and the exit code."""
    from train.loop import run_folder, runlog

    config = load_config(args.config, args.set)
    root = Path(args.workspace).resolve()
    check_hardware(config)
    if args.wandb:
        runlog.check_wandb()
    import torch

    from train.loop import estimate, processes

    accelerator = processes.start(config)
    folder = at_root(config["checkpoint_dir"], root)
    alone = run_folder.one_run_in(folder) if accelerator.is_main_process and not args.dry_run else nullcontext()
    with alone:
        start = run_folder.choose_start(folder, args.resume, args.init_from, args.overwrite or args.dry_run)
        accelerator.wait_for_everyone()  # each has read the folder before one of them changes it
        try:
            trainer = Trainer(config, root, accelerator, start, stop, args.dry_run)
            log.info("Config: %s", json.dumps(trainer.config, ensure_ascii=False))
            return dry_run(trainer) if args.dry_run else trainer.run(args.wandb, args.overwrite)
        except torch.OutOfMemoryError as error:
            raise MemoryError(estimate.out_of_memory(config, "outside the loop", 1, error)) from None


def dry_run(trainer: Trainer) -> int:
    """One update on the longest rows, then what the run would need. Saves nothing."""
    from train.loop import estimate

    window = trainer.data.longest_window()
    started = time.perf_counter()
    record = trainer.updater.step(window, 1)
    seconds = time.perf_counter() - started
    lines = estimate.report(trainer.model, trainer.config, trainer.data.lengths, trainer.total, record, seconds)
    print("\n".join(lines))
    return 0


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code: 0 done, 1 failed, 2 a user's mistake, 130 / 143 after Ctrl-C / SIGTERM (saved)."""
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    log.setLevel(logging.INFO if os.environ.get("RANK", "0") == "0" else logging.WARNING)  # one process speaks
    try:
        with StopSignal() as stop:
            return train(args, stop)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (OSError, FloatingPointError, MemoryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
