"""The loop of a run: updates, evaluations and checkpoints, to the end or to a signal."""

from __future__ import annotations

import logging
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import set_seed

from train.config.train_config import at_root
from train.loop import estimate, generation_samples, optimization, processes, run_folder, runlog, validation
from train.loop.progress import Pace, Progress
from train.loop.update import Updater
from train.models import checkpoint

if TYPE_CHECKING:
    from accelerate import Accelerator

    from train.data.run_data import RunData
    from train.loop.run_folder import Start
    from train.loop.runlog import RunLog
    from train.loop.signals import StopSignal
    from train.models.network import Network

log = logging.getLogger("aac")


class Trainer:
    """Trains `model` on `data`, from the beginning or from where `start` stopped; one in each process of a run."""

    def __init__(
        self,
        accelerator: Accelerator,
        model: Network,
        data: RunData,
        config: dict[str, Any],
        root: Path,
        start: Start,
        stop: StopSignal,
    ) -> None:
        self.accelerator, self.model, self.data, self.config = accelerator, model, data, config
        self.is_main, self.root, self.stop, self.stopping = accelerator.is_main_process, root, stop, 0
        self.checkpoints = at_root(config["checkpoint_dir"], root)
        self.best_file = self.checkpoints / run_folder.BEST
        self.total = config["max_steps"] or data.updates_per_epoch * config["num_epochs"]
        self.warmup = optimization.warmup_updates(config, self.total)
        self.resumed = start.resume
        self.progress = Progress.read(start.state["progress"]) if start.resume else Progress()
        optimizer = optimization.make_optimizer(model, config)
        log.info("%s", "\n".join(estimate.parameter_lines(model, optimizer.param_groups)))
        self.updater = Updater(accelerator, model, optimizer, data, self.progress, config)
        if start.resume:
            self._restore(start.state)
        elif accelerator.num_processes > 1:
            set_seed(config["seed"], device_specific=True)  # dropout differs by process

    def run(self, run_log: RunLog | None) -> int:
        """Train to the end, or to a signal. Returns the exit code.

        Args:
            run_log: the main process's; the others have none.
        """
        from tqdm import tqdm
        from tqdm.contrib.logging import logging_redirect_tqdm

        progress, pace = self.progress, Pace(self.progress.step)
        log.info("Training: updates %d to %d (%d an epoch)", progress.step + 1, self.total, self.data.updates_per_epoch)
        hidden = None if self.is_main else True  # None: on a terminal; a log file has its lines
        bar = tqdm(total=self.total, initial=progress.step, unit="update", desc="train", disable=hidden)
        self.stop.wait = True
        with logging_redirect_tqdm([logging.getLogger()]), bar:
            if not self.resumed:
                self._save()  # a run killed before its first save goes on from here
            windows = self.data.windows(progress.epoch, progress.done)
            self._share_signals()
            while not (self._finished() or self.stopping):
                started = time.perf_counter()
                window = next(windows)
                waited = time.perf_counter() - started
                optimization.set_rates(self.updater.optimizer, progress.step, self.warmup, self.total)
                try:
                    record = self.updater.gradients(window)
                    record["grad_norm"] = self.updater.step(window)
                except torch.OutOfMemoryError as error:
                    self._split_batches(error)
                    windows = self.data.windows(progress.epoch, progress.done)
                    continue
                progress.advance(window)
                seconds = time.perf_counter() - started
                record |= pace.speeds(record.pop("samples"), record.pop("positions"), seconds, waited)
                bar.update()
                if run_log and (progress.step % self.config["logging_steps"] == 0 or progress.step == 1):
                    self._tell(run_log, record, pace.left(progress.step, self.total))
                if progress.step % self.config["eval_steps"] == 0 or progress.step == self.total:
                    self._evaluate(run_log)
                if progress.step % self.config["save_steps"] == 0 or self._finished():
                    self._save()
                self._share_signals()
        return self._ended()

    def _ended(self) -> int:
        """Say how the run ended, saved where a signal ended it. Returns the exit code."""
        if not self._finished():
            path = self._save()
            log.info("Stopped by a signal after update %d; go on with --resume %s", self.progress.step, path)
            return 128 + self.stopping
        if self.best_file.exists():
            log.info("Done. Best val_loss %.4f: %s", self.progress.best, self.best_file)
        else:
            newest = checkpoint.step_checkpoints(self.checkpoints)[:1]
            log.warning("Done, but %s is gone; newest checkpoint: %s", self.best_file, *(newest or ["none"]))
        return 0

    def _finished(self) -> bool:
        patience = self.config["early_stopping_patience"]
        return self.progress.step >= self.total or bool(patience and self.progress.stale >= patience)

    def _share_signals(self) -> None:
        """Where one process was told to stop, all stop after the same update."""
        if any(processes.summed(self.accelerator, {"signal": self.stop.number}).values()):
            self.stopping = self.stop.number or signal.SIGTERM

    def _split_batches(self, error: Exception) -> None:
        """Go through each batch in twice as many micro-batches: the same rows an update, so the same result.

        Raises:
            MemoryError: that is not wanted, or not possible; says what to change.
        """
        collator, size, update = self.data.collator, self.config["batch_size"], self.progress.step + 1
        together = self.accelerator.num_processes > 1
        if not self.config["auto_batch_size"] or together or collator.micro_batches >= size:
            where = f"in update {update}"
            raise MemoryError(estimate.out_of_memory(self.config, collator.micro_batches, error, where)) from None
        error.__traceback__ = None  # it holds the failed step's tensors
        self.updater.optimizer.zero_grad(set_to_none=True)
        torch.cuda.empty_cache()
        collator.micro_batches *= 2
        log.warning(
            "update %d: out of memory; going on with batch_size %d, gradient_accumulation_steps %d: as many rows an "
            "update as before",
            *(
                update,
                -(-size // collator.micro_batches),
                self.config["gradient_accumulation_steps"] * collator.micro_batches,
            ),
        )

    def _tell(self, run_log: RunLog, record: dict[str, float], left: float) -> None:
        """An update as a line on the console, and its numbers to the loggers."""
        record["memory_gib"] = estimate.peak_bytes(self.config["device"]) / estimate.GIB
        for group in self.updater.optimizer.param_groups:
            record["learning_rate" if group["name"] == "backbone" else "head_learning_rate"] = group["lr"]
        if self.accelerator.scaler:
            record["skipped_updates"] = self.progress.skipped
        log.info("%s", runlog.line(self.progress.step, self.total, record, estimate.duration(left)))
        run_log.write(self.progress.step, record)

    def _evaluate(self, run_log: RunLog | None) -> None:
        """Losses on the validation rows, and scores of generated sentences where asked; saves the best model so far."""
        progress = self.progress
        scores = validation.losses(self.updater, self.data)
        if run_log and self.config["generation_samples"]:  # the other processes wait
            found, items = generation_samples.evaluate(self.model, self.data, self.config)
            scores |= found
            if self.config["log_samples"]:
                images = at_root(self.config["images_folder"], self.root)
                generation_samples.log_picture(run_log, progress.step, items, images)
        value = scores[self.config["best_metric"]]
        better = value < progress.best
        told = ", ".join(f"{key} {score:.4f}" for key, score in scores.items())
        log.info("update %d: %s%s", progress.step, told, " (best)" if better else "")
        if run_log:
            run_log.write(progress.step, scores)
        progress.stale = 0 if better else progress.stale + 1
        if better:
            progress.best = value
            self._save_best(scores)
        elif self._finished() and progress.step < self.total:
            log.info("No better val_loss in %d evaluations: stopping early", progress.stale)

    # ------------------------------------------------------------------ state

    def _save_best(self, scores: dict[str, float]) -> None:
        state, _ = self.updater.whole_state()
        if self.is_main:
            state["model"] = checkpoint.compact(state["model"], processes.precision(self.config))
            extra = {"data": self.data.identity, "metrics": {**scores, "step": self.progress.step}}
            checkpoint.save(self.best_file, {**state, **extra})

    def _save(self) -> Path:
        """This update's checkpoint: all that going on needs."""
        path = self.checkpoints / f"checkpoint_step_{self.progress.step}.pt"
        scaler = self.accelerator.scaler
        state, moments = self.updater.whole_state()
        random = processes.random_states(self.accelerator)
        layout = {"parts": self.data.collator.micro_batches, "processes": self.accelerator.num_processes}
        if self.is_main:
            state |= {"optimizer": moments, "scaler": scaler.state_dict() if scaler else {}}
            state |= {"data": self.data.identity, "progress": self.progress.stored() | layout, "random": random}
            checkpoint.save(path, state)
            checkpoint.rotate(self.checkpoints, self.config["max_checkpoints"])
        self.accelerator.wait_for_everyone()
        return path

    def _restore(self, state: dict[str, Any]) -> None:
        """Optimizer, loss scaler and random states; the model was loaded before."""
        if self.progress.best < float("inf") and not self.best_file.exists():
            log.warning("%s is gone: the next evaluation writes it anew", self.best_file)
            self.progress.best = float("inf")
        self.updater.load_optimizer(state["optimizer"])
        if self.accelerator.scaler and state["scaler"]:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        if len(state["random"]) == self.accelerator.num_processes:
            processes.restore_random(state["random"], self.accelerator.process_index)
        else:
            log.warning("Another number of processes than before: dropout draws differ from an undisturbed run's")
