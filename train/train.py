"""Train the AAC interpreter: config, data, model, loop.

python train/train.py                                   Phi-3.5-Vision with LoRA, on CUDA
python train/train.py --config train/config/tiny.json   a small model from scratch, two CPU cores, no weights needed
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

# A busy neighbour must not make a step ten times slower: threads that wait sleep instead of spinning.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if not sys.stderr.isatty():
    os.environ.setdefault("TQDM_MININTERVAL", "15")  # a log file wants no line a step
ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # not this folder, where `train` is this script

from dataset.prepare.records import Sample, Split, UserError, by_split, load_samples, read_clusters  # noqa: E402
from train.config.train_config import ROOT as CONFIG_ROOT  # noqa: E402
from train.config.train_config import at_root, load_config  # noqa: E402

if TYPE_CHECKING:
    from train.data.dataset import Batch

log = logging.getLogger("aac")
WITHOUT_GPU = "What works here: python train/train.py --config train/config/tiny.json"


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", metavar="FILE", help="JSON with keys of train/config/train_config.py")
    parser.add_argument("--set", metavar="KEY=VALUE", nargs="+", action="extend", default=[], help="override keys")
    parser.add_argument("--workspace", metavar="DIR", default=CONFIG_ROOT, help="root of the config's relative paths")
    parser.add_argument("--wandb", action="store_true", help="log to Weights & Biases (numbers only)")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", metavar="auto|FILE", help="go on from the newest checkpoint, or from this one")
    again.add_argument("--overwrite", action="store_true", help="start anew in a folder that holds checkpoints")
    return parser.parse_args(argv)


def check_hardware(config: dict[str, Any]) -> None:
    """Training refuses what cannot work, before anything is loaded."""
    import torch

    if config["device"].startswith("cuda") and not torch.cuda.is_available():
        raise UserError(
            f"device is {config['device']!r}, but PyTorch sees no CUDA GPU here, and {config['model_path']} "
            f"is fine-tuned on one. {WITHOUT_GPU}"
        )
    if config["device"] == "cpu" and not config["backbone"] and config["use_fp16"]:
        log.warning("use_fp16 on a CPU: training in fp32")


def load_data(config: dict[str, Any], root: Path) -> dict[Split, list[Sample]]:
    """Samples by split; rows that the teacher failed are counted and left out."""
    path, clustered = at_root(config["processed_data"], root), at_root(config["clustering_results"], root)
    samples, skipped = load_samples(path, read_clusters(clustered).count if clustered.exists() else None)
    splits = by_split(samples, path)
    log.info(
        "%s: %d train, %d val, %d test rows%s",
        path,
        *(len(rows) for rows in splits.values()),
        "".join(f", {count} {reason} left out" for reason, count in skipped.items()),
    )
    return splits


def scratch_tokenizer(config: dict[str, Any], samples: list[Sample]) -> Any:
    """A tokenizer for a backbone from scratch, learned from the training split's own texts, each distinct one once."""
    from train.models.prompt import context_text, persona_text, request_text, train_tokenizer

    texts: dict[str, None] = {request_text(config["voice"]): None}
    for sample in samples:
        persona = sample.persona
        lines = [persona_text(persona), persona.communication_characteristics, *persona.interesting_topics]
        texts.update(dict.fromkeys([*lines, context_text(sample.context), *sample.keywords, *sample.output]))
    return train_tokenizer(list(texts), config["vocab_size"])


class Trainer:
    """One run: what is trained on what, and the loop over it. `step` counts updates, `epoch` and `done` the data."""

    def __init__(self, config: dict[str, Any], root: Path, use_wandb: bool, resume: Path | None) -> None:
        import torch
        from accelerate import Accelerator

        from dataset.prepare.records import nfc
        from train.data.dataset import find_pictures
        from train.data.features import CardFeatures, open_picture
        from train.models.aac_multimodal_model import AACMultimodalModel
        from train.utils import checkpoint
        from train.utils.runlog import RunLog

        self.config, self.root = config, root
        self.checkpoints = at_root(config["checkpoint_dir"], root)
        on_gpu = config["device"].startswith("cuda")
        half = "bf16" if config["use_bf16"] else "fp16" if config["use_fp16"] and on_gpu else "no"
        self.accelerator = Accelerator(mixed_precision=half, cpu=not on_gpu)
        torch.manual_seed(config["seed"])
        splits = load_data(config, root)
        samples = [sample for rows in splits.values() for sample in rows]
        pictures = find_pictures(samples, at_root(config["images_folder"], root))
        state = checkpoint.load(resume) if resume else None
        if state:
            log.info("Resuming from %s (update %d)", resume, state["progress"]["step"])
            self.model = AACMultimodalModel.from_state(state, config, str(resume))
        else:
            tokenizer = scratch_tokenizer(config, splits["train"]) if config["backbone"] else None
            self.model = AACMultimodalModel.build(config, tokenizer)
            if config["backbone"] and config["vision_pretrain_steps"]:
                from train.models.vision_pretraining import pretrain_tower

                log.info("Stage 1, vision: the tower learns to name %d cards", len(pictures))
                images = [open_picture(path) for path in pictures]
                word_of = {card: word for s in samples for card, word in zip(s.cards, s.keywords, strict=True)}
                names = [word_of[nfc(path.name)] for path in pictures]
                share = pretrain_tower(self.model, images, names, config["vision_pretrain_steps"], config["seed"])
                log.info("The tower names %.1f %% of the cards", 100 * share)
        self.model.to(self.accelerator.device)
        self.features = CardFeatures(self.model, pictures, at_root(config["processed_data"], root).parent / "features")
        if not state:
            path = at_root(config["clustering_results"], root)
            self.model.centroids = cluster_centroids(self.features.pooled, pictures, path).to(self.model.device)
        self._prepare_data(splits, [path.name for path in pictures])
        self._prepare_optimizer()
        self.step, self.epoch, self.done, self.best, self.stale = 0, 0, 0, float("inf"), 0
        if state:
            self._restore(state)
        self.run_log = RunLog(at_root(config["log_dir"], root), config, use_wandb)
        self.stop_signal = 0

    # ------------------------------------------------------------------ set-up

    def _prepare_data(self, splits: dict[str, list[Sample]], names: list[str]) -> None:
        from dataset.prepare.records import nfc
        from train.data.dataset import AACDataset, BucketedBatches
        from train.models.conditioning import nearest_cluster

        config, model = self.config, self.model
        index = {nfc(name): place for place, name in enumerate(names)}
        counts = [model.processor.num_tokens(size) for size in self.features.sizes]
        self.clusters = nearest_cluster(self.features.pooled, model.centroids.cpu())
        drops = {name: config[f"{name}_dropout"] for name in ("persona", "context", "keyword")}
        common = {"max_length": config["max_length"], "style_labels": config["style_labels"], "seed": config["seed"]}
        self.train_set = AACDataset(splits["train"], model.encoder, index, counts, drops, **common)
        self.val_set = AACDataset(splits["val"][: config["eval_samples"]], model.encoder, index, counts, **common)
        full = AACDataset(splits["train"], model.encoder, index, counts, **common)
        lengths = [full[i].length for i in range(len(full))]
        log.info("Rows: %d tokens on average, %d at most", sum(lengths) / len(lengths), max(lengths))
        self.batches = BucketedBatches(lengths, config["batch_size"], config["seed"])

    def _prepare_optimizer(self) -> None:
        import math

        import torch

        config = self.config
        groups = [
            {"params": self.model.backbone_parameters(), "lr": config["learning_rate"]},
            {"params": self.model.head_parameters(), "lr": config["head_learning_rate"]},
        ]
        self.updates_per_epoch = math.ceil(len(self.batches) / config["gradient_accumulation_steps"])
        self.total = config["max_steps"] or self.updates_per_epoch * config["num_epochs"]
        warmup = max(1, round(self.total * config["warmup_ratio"]))

        def rate(step: int) -> float:
            if step < warmup:
                return (step + 1) / warmup
            return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, self.total - warmup))))

        optimizer = torch.optim.AdamW(groups, weight_decay=config["weight_decay"], fused=True)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
        self.wrapped, self.optimizer = self.accelerator.prepare(self.model, optimizer)
        trained = sum(p.numel() for p in self.model.parameters() if p.requires_grad)
        every = sum(p.numel() for p in self.model.parameters())
        log.info("Parameters: %s, of which %s train", f"{every:,}", f"{trained:,}")

    # ------------------------------------------------------------------ loop

    def run(self) -> int:
        """Train to the end, or to a signal. Returns the exit code."""
        from tqdm import tqdm

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        log.info("Training: %d updates (%d an epoch)", self.total, self.updates_per_epoch)
        progress = tqdm(total=self.total, initial=self.step, unit="update", desc="train")
        finished = self.step >= self.total
        while not finished:
            for window in self._windows():
                self._update(window, progress)
                finished = self._after_update()
                if finished or self.stop_signal:
                    break
            else:
                self.epoch, self.done = self.epoch + 1, 0
            if self.stop_signal:
                progress.close()
                path = self._save_step()
                log.info("Stopped by a signal after update %d; go on with --resume %s", self.step, path)
                self.run_log.close()
                return 128 + self.stop_signal
        progress.close()
        self.run_log.close()
        log.info("Done. Best val_loss %.4f: %s", self.best, self.checkpoints / "best_model.pt")
        return 0

    def _windows(self) -> Any:
        """Accumulation windows of the rest of this epoch: lists of batches, one update each."""
        from train.data.dataset import collate, loader

        self.train_set.epoch = self.batches.epoch = self.epoch
        self.batches.start = self.done
        seed, share = self.config["seed"], self.config["style_dropout"]

        def collate_rows(rows: list[Any]) -> Batch:
            import random

            drop = [random.Random(f"{seed}|{self.epoch}|style|{row.record}").random() < share for row in rows]
            return collate(rows, self.model.encoder, self.clusters, drop)

        window: list[Batch] = []
        for batch in loader(self.train_set, self.batches, collate_rows, self.config["num_workers"]):
            window.append(batch)
            if len(window) == self.config["gradient_accumulation_steps"]:
                yield window
                window = []
        if window:
            yield window

    def _update(self, window: list[Batch], progress: Any) -> None:
        """One optimizer step: the window's loss is that of one big batch, normalised by its answer tokens."""
        import time

        import torch

        started = time.perf_counter()
        self.wrapped.train()
        tokens = sum(batch.label_tokens for batch in window)
        told = max(1, sum(int((batch.style_labels >= 0).sum()) for batch in window))
        totals = {"language": 0.0, "style": 0.0, "style_correct": 0.0}
        for batch in window:
            moved = batch.to(self.accelerator.device)
            features, sizes = self.features.batch(batch.pictures, self.accelerator.device)
            with self.accelerator.autocast():
                sums = self.wrapped(moved, features, sizes)
            loss = sums["language"] / tokens + self.config["style_loss_weight"] * sums["style"] / told
            if not torch.isfinite(loss):
                raise FloatingPointError(f"update {self.step + 1}: loss is {loss.item()}; records {batch.records}")
            self.accelerator.backward(loss)
            for key in totals:
                totals[key] += float(sums[key].detach())
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.config["max_grad_norm"])
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.done += len(window)
        progress.update()
        seconds = time.perf_counter() - started
        if self.step % self.config["logging_steps"] == 0 or self.step == 1:
            rows = sum(len(batch.records) for batch in window)
            record = {
                "loss": totals["language"] / tokens,
                "style_loss": totals["style"] / told,
                "style_accuracy": totals["style_correct"] / told,
                "learning_rate": self.schedule.get_last_lr()[0],
                "grad_norm": float(norm),
                "samples_per_second": rows / seconds,
            }
            self.run_log.write(self.step, record)
            progress.set_postfix(loss=f"{record['loss']:.3f}", rows_s=f"{record['samples_per_second']:.0f}")

    def _after_update(self) -> bool:
        """Evaluate and save where it is time. True when the run is over."""
        config = self.config
        over = self.step >= self.total
        if self.step % config["eval_steps"] == 0 or over:
            value = self.evaluate()
            self.run_log.write(self.step, {"val_loss": value})
            log.info("update %d: val_loss %.4f%s", self.step, value, " (best)" if value < self.best else "")
            if value < self.best:
                self.best, self.stale = value, 0
                self.model.save_model(
                    self.checkpoints / "best_model.pt", metrics={"val_loss": value, "step": self.step}
                )
            else:
                self.stale += 1
                if config["early_stopping_patience"] and self.stale >= config["early_stopping_patience"]:
                    log.info("No better val_loss in %d evaluations: stopping early", self.stale)
                    over = True
        if self.step % config["save_steps"] == 0 or over:
            self._save_step()
        return over

    def evaluate(self) -> float:
        """Language loss per answer token on the validation rows: pictures only, nothing dropped."""
        import torch

        from train.data.dataset import collate

        self.model.eval()
        loss, tokens, size = 0.0, 0, self.config["batch_size"]
        with torch.inference_mode():
            for first in range(0, len(self.val_set), size):
                rows = [self.val_set[i] for i in range(first, min(first + size, len(self.val_set)))]
                batch = collate(rows, self.model.encoder, self.clusters).to(self.accelerator.device)
                with self.accelerator.autocast():
                    sums = self.model(batch, *self.features.batch(batch.pictures, self.accelerator.device))
                loss += float(sums["language"])
                tokens += int(sums["tokens"])
        return loss / tokens

    # ------------------------------------------------------------------ state

    def _on_signal(self, number: int, frame: Any) -> None:
        if self.stop_signal:  # a second one does not wait
            raise KeyboardInterrupt
        self.stop_signal = number

    def _save_step(self) -> Path:
        import random

        import torch

        from train.utils import checkpoint

        path = self.checkpoints / f"checkpoint_step_{self.step}.pt"
        scaler = self.accelerator.scaler
        self.model.save_model(
            path,
            optimizer=self.optimizer.state_dict(),
            schedule=self.schedule.state_dict(),
            scaler=scaler.state_dict() if scaler else {},
            progress={key: getattr(self, key) for key in ("step", "epoch", "done", "best", "stale")},
            random={
                "torch": torch.get_rng_state(),
                "cuda": torch.cuda.get_rng_state_all(),
                "python": list(random.getstate()[1]),
            },
        )
        checkpoint.rotate(self.checkpoints, self.config["max_checkpoints"])
        return path

    def _restore(self, state: dict[str, Any]) -> None:
        import random

        import torch

        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        if self.accelerator.scaler and state["scaler"]:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        for key, value in state["progress"].items():
            setattr(self, key, value)
        torch.set_rng_state(state["random"]["torch"])
        if torch.cuda.is_available():
            torch.cuda.set_rng_state_all(state["random"]["cuda"])
        random.setstate((3, tuple(state["random"]["python"]), None))


def cluster_centroids(pooled: Any, pictures: list[Path], path: Path) -> Any:
    """(K, C) means of the pictures' pooled features (N, C) by cluster of step 3, so that any picture finds its own."""
    from dataset.prepare.records import nfc

    clusters = read_clusters(path)
    place = {nfc(picture.name): i for i, picture in enumerate(pictures)}
    centroids = pooled.mean(0).repeat(clusters.count, 1)
    for cluster, files in clusters.files.items():
        members = [place[nfc(name)] for name in files if nfc(name) in place]
        if members:
            centroids[cluster] = pooled[members].mean(0)
    return centroids


def find_resume(args: argparse.Namespace, folder: Path) -> Path | None:
    """The checkpoint to go on from. A folder that holds checkpoints is never mixed with a second run by accident."""
    from train.utils.checkpoint import load, step_checkpoints

    existing = step_checkpoints(folder)
    if args.resume == "auto":
        for path in existing:
            try:
                load(path)
                return path
            except UserError as error:
                log.warning("%s", error)
        raise UserError(f"{folder}: no whole checkpoint to resume from")
    if args.resume:
        return Path(args.resume)
    if (existing or (folder / "best_model.pt").exists()) and not args.overwrite:
        raise UserError(
            f"{folder} holds checkpoints of an earlier run; use --resume auto, --overwrite, or another checkpoint_dir"
        )
    for path in existing if args.overwrite else []:
        path.unlink()
    return None


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code: 0 done, 1 failed, 2 a user's mistake, 130 / 143 after Ctrl-C / SIGTERM (saved)."""
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        config = load_config(args.config, args.set)
        root = Path(args.workspace).resolve()
        check_hardware(config)
        resume = find_resume(args, at_root(config["checkpoint_dir"], root))
        return Trainer(config, root, args.wandb, resume).run()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (OSError, FloatingPointError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
