"""A tower from scratch must see before the decoder can read: it learns to tell the cards apart, then it is frozen.

Only for backbones trained from scratch. The loss is cross-entropy over the cards, from the very features that the
decoder will read (the projected 2x2 merges), under shifts, scales, turns and colour changes.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from PIL.Image import Image

    from train.models.aac_multimodal_model import AACMultimodalModel

log = logging.getLogger("aac")
BATCH = 64
LEARNING_RATE = 1e-3


def augment(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Normalised pictures (B, 3, S, S), each moved, scaled, turned a little, its colours shifted; white fills in."""
    count = len(pixels)

    def draw(low: float, high: float) -> Tensor:
        return torch.empty(count).uniform_(low, high, generator=generator)

    angle, scale = draw(-0.2, 0.2), draw(0.85, 1.2)
    matrix = torch.stack(
        [
            torch.stack([scale * angle.cos(), -scale * angle.sin(), draw(-0.15, 0.15)], dim=1),
            torch.stack([scale * angle.sin(), scale * angle.cos(), draw(-0.15, 0.15)], dim=1),
        ],
        dim=1,
    )
    white = pixels.amax()
    grid = functional.affine_grid(matrix, list(pixels.shape), align_corners=False)
    moved = functional.grid_sample(pixels - white, grid, align_corners=False) + white
    return moved * draw(0.85, 1.15)[:, None, None, None] + draw(-0.15, 0.15)[:, None, None, None]


def pretrain_tower(model: AACMultimodalModel, images: Sequence[Image], steps: int, seed: int) -> float:
    """Train tower and projector to tell `images` apart, then freeze the tower. Returns the share recognised."""
    from tqdm import tqdm

    vision = model.backbone.model.vision_embed_tokens
    pixels, sizes = model.processor.images(images)
    pixels, frame = pixels[:, 0], tuple(sizes[0].tolist())
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        positions = model.processor.num_tokens(frame)
        head = nn.Linear(positions * vision.img_projection[-1].out_features, len(images))

    def scores(views: Tensor) -> Tensor:
        features = vision.encode(views)
        tokens = torch.stack(vision.project(list(features[:, None]), [frame] * len(features)))
        # Every position on its own, as the decoder reads them: of their mean a tower learns ten times slower.
        return head(functional.layer_norm(tokens.flatten(1), [head.in_features]))

    parameters = [*vision.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / 20) * 0.5 * (1 + math.cos(math.pi * step / steps))
    )
    vision.train().requires_grad_(True)
    progress = tqdm(range(steps), desc="vision", unit="step")
    for _ in progress:
        chosen = torch.randperm(len(images), generator=generator)[:BATCH]
        loss = functional.cross_entropy(scores(augment(pixels[chosen], generator)), chosen)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        progress.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    vision.eval()
    with torch.no_grad():
        guesses = torch.cat([scores(views).argmax(-1) for views in pixels.split(BATCH)])
        features = list(vision.encode(pixels[:BATCH])[:, None])
        shown = torch.cat(vision.project(features, [frame] * len(features)))
        # Pictures as loud as words: the projector's output at the scale of the token embeddings.
        last = vision.img_projection[-1]
        factor = model.backbone.model.embed_tokens.weight.std() / shown.std()
        last.weight.mul_(factor)
        last.bias.mul_(factor)
    vision.img_processor.requires_grad_(False)
    optimizer.zero_grad(set_to_none=True)  # what is frozen must not weigh in the next stage's gradient norm
    return (guesses == torch.arange(len(images))).float().mean().item()
