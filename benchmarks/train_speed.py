"""Training speed: ours against a plain path, and what each idea is worth.

python benchmarks/train_speed.py --workspace DIR

The plain path ("peer") is what a fine-tuner of this model would write with the usual tools: transformers' `Trainer` on
the same model, every interpretation its own row (prompt and pictures repeated), rows grouped by length, SDPA, the
frozen tower run in every step under no_grad, logits at every position. Same weights, data, precision, workers and
answers an update; equal losses on equal rows are shown first. It is spared reading pictures (they lie decoded in
memory) and the style classifier's loss, which ours pays for.

LoRA: over a pretrained base (`--config` or `--set model_path=...`) both sides train the same PEFT adapters. The
two-core preset is trained from scratch, so there both sides train all of the decoder and the projector: that is not
what a peer would do to a 4B model, but it is the same work on both sides, and the backward pass through all weights
makes the ratio smaller, not greater (the ideas save positions, and positions cost more the less of the step is spent
on weights and optimizer).

Ratios are of processor seconds, which a busy neighbour disturbs little; wall seconds stand beside them.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.common import ROOT, Clock, alternate, arguments, report
from benchmarks.subject import Stage, Subject, apart, data_arguments, load_data, plain_layers, row_batches

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from train.models.batch import Batch, Row


@dataclass(frozen=True)
class Ideas:
    """What a step makes use of."""

    shared_prefix: bool = True  # three answers in one row
    cached_features: bool = True  # cards read from the cache, not through the tower
    cards_once: bool = True  # a card that stands in several rows is encoded and projected once
    head_on_labels: bool = True  # logits only where there is a label
    last_layer_on_answers: bool = True  # of the last layer, a prompt's positions are keys and values only
    bucketing: bool = True  # rows of like length together


NONE = Ideas(**dict.fromkeys((field.name for field in fields(Ideas)), False))


def plainer_loss(
    subject: Stage, ideas: Ideas, batch: Batch, features: list[Tensor], sizes: list[tuple[int, int]]
) -> Tensor:
    """Summed cross-entropy of the answers with the last layer at every position, or the logits too."""
    import torch
    from torch.nn import functional

    model = subject.model
    skip = batch.prefix if ideas.last_layer_on_answers else 0
    inputs = model.embed(batch, features, sizes)
    hidden = model.hidden_states(batch, inputs, skip=skip, use_cache=False).last_hidden_state
    targets = batch.targets[:, skip:]
    read = targets >= 0 if ideas.head_on_labels else torch.ones_like(targets, dtype=torch.bool)
    logits = model.backbone.lm_head(hidden[read]).float()
    return functional.cross_entropy(logits, targets[read], reduction="sum")


class Ours:
    """Updates of our path on `source`'s rows with some ideas on: batch, forward, backward, clipping, optimizer."""

    def __init__(
        self, subject: Stage, ideas: Ideas, source: Iterator[Sequence[Row]], dtype: torch.dtype | None = None
    ) -> None:
        import torch

        self.subject, self.ideas, self.source, self.dtype = subject, ideas, source, dtype
        self.trained = [p for p in subject.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trained, lr=1e-4, fused=True)
        self.device = subject.config["device"].split(":")[0]
        self.scaler = torch.amp.GradScaler(self.device, enabled=dtype == torch.float16)
        self.optimizer.zero_grad(set_to_none=True)  # another path may have stopped half-way
        self.positions = self.kept = self.labels = 0

    def batch(self) -> Batch:
        rows = next(self.source)
        if not self.ideas.shared_prefix:
            rows = [one for row in rows for one in apart(row)]
        batch = self.subject.collate(rows)
        return batch if self.ideas.cards_once else self.subject.every_card_apart(batch)

    def loss(self, batch: Batch) -> Tensor:
        """Mean loss of an answer token."""
        subject = self.subject
        moved = batch.to(subject.config["device"])
        features, sizes = subject.cached(batch) if self.ideas.cached_features else subject.encoded(batch.images)
        if self.ideas.head_on_labels and self.ideas.last_layer_on_answers:
            return subject.model(moved, features, sizes)["loss"].total / batch.label_tokens
        return plainer_loss(subject, self.ideas, moved, features, sizes) / batch.label_tokens

    def __call__(self) -> None:
        import torch

        self.subject.model.train()
        batch = self.batch()
        self.positions += batch.input_ids.numel()
        self.kept += int((batch.segments >= 0).sum())
        self.labels += batch.label_tokens
        with torch.autocast(self.device, self.dtype, enabled=self.dtype is not None):
            loss = self.loss(batch)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)


def peer_module(subject: Subject) -> Any:
    """The same model as `Trainer` would be given it: plain causal rows with their pixels, a mean loss."""
    import torch
    from torch import nn
    from torch.nn import functional

    from train.models.published_call import decoder_mask

    class Peer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.aac = subject.model

        def forward(
            self, batch: Batch, pixel_values: Tensor, labels: Tensor, num_items_in_batch: Any = None, **_: Any
        ) -> dict[str, Tensor]:
            model, core = self.aac, self.aac.backbone.model
            batch, pixel_values = batch.to(labels.device), pixel_values.to(labels.device)
            sizes = [subject.features.image_sizes[picture] for picture in batch.images]
            vision = core.vision
            used = [vision.used_views(views, size) for views, size in zip(pixel_values, sizes, strict=True)]
            with torch.no_grad():
                features = vision.encode(torch.cat(used)).split([len(views) for views in used])
            embeds, there = model.embed(batch, features, sizes).embeds, (batch.segments >= 0).long()
            hidden = core(
                inputs_embeds=embeds,
                attention_mask=decoder_mask(core.config, embeds, there, None),
                position_ids=batch.position_ids,
                after_layer=model.after_layer(model.memory(batch)),
                use_cache=False,
            ).last_hidden_state
            logits = model.backbone.lm_head(hidden).float()
            total = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
            return {"loss": total / ((labels >= 0).sum() if num_items_in_batch is None else num_items_in_batch)}

    return Peer()


class PeerRows:
    """Every interpretation its own item, for `Trainer`."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    def __len__(self) -> int:
        return 3 * len(self.subject.data)

    def __getitem__(self, index: int) -> Any:
        return apart(self.subject.data[index // 3])[index % 3]

    def collate(self, rows: list[Any]) -> dict[str, Any]:
        batch = self.subject.every_card_apart(self.subject.collate(rows))
        return {"batch": batch, "pixel_values": self.subject.views[batch.images], "labels": batch.targets}


def run_peer(subject: Subject, size: int, updates: int, autocast: bool, folder: Path) -> Clock:
    """`Trainer` for `updates` updates of `size` samples (3 x `size` rows) after one that does not count."""
    import torch
    from transformers import Trainer, TrainerCallback, TrainingArguments

    clock, rows = Clock(), PeerRows(subject)
    running: Any = None

    class Watch(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            nonlocal running
            if state.global_step == 1:
                running = clock.running()
                running.__enter__()
            elif state.global_step == updates + 1:
                running.__exit__(None, None, None)

    lengths = [rows[i].length for i in range(len(rows))]

    class Grouped(Trainer):
        """Lengths are known beforehand: the peer need not ask every row for its own."""

        def _get_train_sampler(self, *_: Any) -> Any:
            from transformers.trainer_pt_utils import LengthGroupedSampler

            return LengthGroupedSampler(size, lengths=lengths, generator=torch.Generator().manual_seed(1))

    settings = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=size,
        gradient_accumulation_steps=3,
        max_steps=updates + 1,
        learning_rate=1e-4,
        max_grad_norm=1.0,
        optim="adamw_torch_fused",
        bf16=autocast,
        use_cpu=subject.config["device"] == "cpu",
        gradient_checkpointing=False,
        dataloader_num_workers=subject.config["num_workers"],
        remove_unused_columns=False,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    peer = peer_module(subject).train()
    with plain_layers(subject.model.backbone):
        Grouped(peer, settings, train_dataset=rows, data_collator=rows.collate, callbacks=[Watch()]).train()
    return clock


def compare_losses(subject: Subject, size: int) -> tuple[float, float]:
    """Mean loss of the same rows on both paths."""
    import torch

    subject.model.eval()
    rows = PeerRows(subject)
    samples = range(min(size, len(subject.data)))
    with torch.inference_mode():
        ours = Ours(subject, Ideas(), iter(()))
        mine = float(ours.loss(subject.collate([subject.data[i] for i in samples])))
        theirs = rows.collate([rows[3 * i + k] for i in samples for k in range(3)])
        theirs["labels"] = theirs["labels"].to(subject.config["device"])
        with plain_layers(subject.model.backbone):
            return mine, float(peer_module(subject).eval()(**theirs)["loss"])


def main(argv: list[str] | None = None) -> int:
    import torch

    from train.config.train_config import load_config

    parser = arguments(__doc__, "train_speed")
    data_arguments(parser)
    parser.add_argument("--config", metavar="FILE", default=ROOT / "train/config/tiny.json")
    parser.add_argument("--set", metavar="KEY=VALUE", nargs="+", action="extend", default=[])
    parser.add_argument("--updates", metavar="N", type=int, default=8, help="timed updates of each path, made even")
    parser.add_argument("--bf16", action="store_true", help="bf16 autocast on both sides (default: fp32)")
    args = parser.parse_args(argv)
    config = load_config(args.config, args.set)
    size = config["batch_size"]
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        samples, cards, origin = load_data(args.workspace, args.samples, scratch)
        subject = Subject(config, samples, cards, scratch / "features")
        mine, theirs = compare_losses(subject, size)
        paths = {"ours": Ideas()}
        paths |= {f"without {f.name.replace('_', ' ')}": replace(Ideas(), **{f.name: False}) for f in fields(Ideas)}
        paths["without any of them"] = NONE
        half = torch.bfloat16 if args.bf16 else None
        steps = {
            name: Ours(subject, ideas, row_batches(subject, size, ideas.bucketing), half)
            for name, ideas in paths.items()
        }
        # The peer before and after: a machine that others use is not equally fast for minutes.
        half = -(-args.updates // 2)
        peers = [run_peer(subject, size, half, args.bf16, scratch / "peer")]
        clocks = alternate(steps, 2 * half)
        peers.append(run_peer(subject, size, half, args.bf16, scratch / "peer"))
        clocks["peer: transformers Trainer"] = Clock(*(sum(getattr(p, f) for p in peers) for f in ("wall", "cpu")))
    count = size * 2 * half
    base = clocks["ours"].cpu
    rows = [
        {
            "path": name,
            "samples/s": count / clock.wall,
            "samples/cpu s": count / clock.cpu,
            "ours is faster": f"{clock.cpu / base:.2f}x",
            "padding %": 100 * (1 - steps[name].kept / steps[name].positions) if name in steps else "",
        }
        for name, clock in clocks.items()
    ]
    report(
        rows,
        args.output,
        f"Training, {size} samples an update, {2 * half} updates, {'bf16' if args.bf16 else 'fp32'}, {origin}",
        loss_ours=mine,
        loss_peer=theirs,
        loss_difference=abs(mine - theirs),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
