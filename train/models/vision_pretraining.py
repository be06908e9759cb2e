"""A tower from scratch must see before the decoder can read: it learns to name the cards, then it is frozen.

Only for backbones trained from scratch. What the decoder will read of a picture (the projected 2x2 merges) is pulled
towards the embedding of the card's own word, the mean of its tokens', and away from all other cards' words, under
shifts, scales, turns and colour changes. A picture then reads like its word from the first step on.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from aac.io import UserError
from aac.rules import spoken

if TYPE_CHECKING:
    from PIL.Image import Image

    from train.models.network import Network

log = logging.getLogger("aac")
BATCH = 64
LEARNING_RATE = 1e-3
SHARPNESS = 16.0  # scale of the cosines between a position and the words


def augment(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Normalised pictures (B, 3, S, S), each moved, scaled, turned a little, its colours shifted; white fills in."""
    count = len(pixels)

    def draw(low: float, high: float) -> Tensor:
        return torch.empty(count).uniform_(low, high, generator=generator).to(pixels.device)

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


def pretrain_tower(
    model: Network,
    images: Sequence[Image],
    names: Sequence[str],
    steps: int,
    seed: int,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> float:
    """Train tower and projector, on the device where the model is, to give each picture the embedding of its name, then
    freeze the tower. Returns the share of pictures nearest to their own name.

    Args:
        autocast: makes the precision's context, entered anew in each step: weights cast within one stay as they were.

    Raises:
        UserError: the backbone's pictures differ in size.
    """
    from tqdm import tqdm

    core = model.backbone.model
    vision, words = core.vision, core.embed_tokens.weight.detach()
    pixels, sizes = model.processor.images(images)
    if len(set(map(tuple, sizes.tolist()))) > 1:
        raise UserError("vision_pretrain_steps: this backbone cuts pictures to several sizes; set it to 0")
    pixels, image_size = torch.stack([views[0] for views in pixels]).to(model.device), tuple(sizes[0].tolist())
    distinct = list(dict.fromkeys(names))
    targets = torch.tensor([distinct.index(name) for name in names], device=model.device)
    spelled = torch.stack([words[list(model.encoder.text(spoken(name)))].mean(0) for name in distinct])
    dictionary = functional.normalize(spelled, dim=-1).T.to(model.device)
    generator = torch.Generator().manual_seed(seed)

    def shown(features: Tensor) -> list[Tensor]:
        """What the decoder's first layer reads of pictures (B, P, C): (positions, D) each."""
        projected = vision.project(list(features[:, None]), [image_size] * len(features))
        return [tokens[:, : words.shape[1]] for tokens in projected]

    def scores(views: Tensor) -> Tensor:
        """(B, positions, names): how like each name each position is."""
        tokens = torch.stack(shown(vision.encode(views)))
        return functional.normalize(tokens, dim=-1) @ dictionary * SHARPNESS

    parameters = list(vision.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / 20) * 0.5 * (1 + math.cos(math.pi * step / steps))
    )
    vision.train().requires_grad_(True)
    progress = tqdm(range(steps), desc="vision", unit="step")
    for _ in progress:
        chosen = torch.randperm(len(images), generator=generator)[:BATCH]
        with autocast():
            seen = scores(augment(pixels[chosen], generator)).float()
        wanted = targets[chosen].repeat_interleave(seen.shape[1])
        loss = functional.cross_entropy(seen.flatten(0, 1), wanted)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        progress.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    vision.eval()
    with torch.no_grad():
        guesses = torch.cat([scores(views).mean(1).argmax(-1) for views in pixels.split(BATCH)])
        # Pictures as loud as words: the projector's output at the scale of the token embeddings.
        factor = words.std() / torch.cat(shown(vision.encode(pixels[:BATCH]))).std()
        vision.output.weight.mul_(factor)
        vision.output.bias.mul_(factor)
    vision.tower.requires_grad_(False)
    optimizer.zero_grad(set_to_none=True)  # what is frozen must not weigh in the next stage's gradient norm
    return (guesses == targets).float().mean().item()
