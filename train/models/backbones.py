"""`model_type` chooses the backbone: all that heads, data and trainer know of one is `Backbone` below.

Another one (1 to 3B) is a module with a config class and a model class that have these names, and a line in KINDS;
`tests/test_backbones.py` adds one and trains it.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from aac.io import UserError
from train.models.attention import SHARED_PREFIX
from train.models.lora import add_lora, four_bits, without_lora

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

log = logging.getLogger("aac")

# model_type: module, its config class, its model class. The names of KINDS are also the config's choices.
KINDS = {"phi3_vision": ("train.models.phi3_vision", "Phi3VisionConfig", "Phi3VisionForCausalLM")}
PARAMETERS = {"3.8B": 4_146_621_440}  # the seed's label names the decoder; with its tower the model holds 4.15B

# Measured on the two-core preset: token embeddings of 0.02, right for width 3072, halve the speed of learning at 256.
SCRATCH_EMBEDDING_STD = 0.1


class Vision(Protocol):
    """Pictures to the decoder's embeddings. V views, P patches, C the tower's width, D the decoder's."""

    img_processor: nn.Module  # the tower
    img_projection: nn.Sequential  # from the tower to the decoder; its last module is linear

    def used_views(self, views: Tensor, size: tuple[int, int]) -> Tensor: ...  # the views of one picture worth encoding
    def encode(self, pixel_values: Tensor) -> Tensor: ...  # (V, 3, S, S) to (V, P, C)
    def project(self, features: Sequence[Tensor], image_sizes: Sequence[tuple[int, int]]) -> list[Tensor]: ...


class Core(Protocol):
    """The decoder without its head."""

    embed_tokens: nn.Embedding
    vision_embed_tokens: Vision

    def __call__(
        self,
        *,
        inputs_embeds: Tensor,  # (B, L, D)
        attention_mask: Tensor,  # (B, 1, L - prefix, cached + L) bool, True where a position may be seen
        prefix: int = 0,  # so many first positions are plainly causal: handed on to the layers' attention
        skip: int = 0,  # so many first positions (`prefix` or more) are not read: left out of the last hidden state
        position_ids: Tensor,  # (B, L); may restart within a row
        past_key_values: Any = None,
        use_cache: bool = False,
        after_layer: Any = None,  # after_layer(i, hidden) replaces the hidden states after layer i
    ) -> Any: ...  # .last_hidden_state (B, L - skip, D), .past_key_values


class Backbone(Protocol):
    """A vision-language model: a `PreTrainedModel` that reads and writes its published layout.

    `config`: `hidden_size`, `num_hidden_layers`, `tower.hidden_size`, `original_max_position_embeddings` (the length at
    which cached keys become void; without such a switch, the greatest length), `picture_processor(num_crops)`.
    `lora_parts`: patterns of the module names LoRA may adapt in the "decoder" (followed by a target's name), in the
    "vision" tower (layers without a gradient left out) and in the "projector".
    """

    config: Any
    model: Core
    lm_head: nn.Module
    lora_parts: dict[str, str]


def classes(model_type: str) -> tuple[Any, Any]:
    """The config class and the model class of a `model_type`."""
    module, *names = KINDS[model_type]
    found = importlib.import_module(module)
    return tuple(getattr(found, name) for name in names)


def build(
    config: dict[str, Any], tokenizer: Any | None = None, dtype: torch.dtype | None = None
) -> tuple[nn.Module, Any]:
    """The backbone and its tokenizer, with what does not train frozen.

    From scratch (`config['backbone']`): random weights under `config['seed']`; `tokenizer` must be given. Pretrained:
    loaded from `model_path`, in `dtype` (None: as the device and the precision of the config want), LoRA added where
    asked. The vision tower is frozen but for its LoRA.

    Raises:
        UserError: the weights are not there, or LoRA targets match nothing in the decoder.
    """
    import torch

    config_class, model_class = classes(config["model_type"])
    if config["backbone"]:
        if tokenizer is None:
            raise UserError(
                "a backbone from scratch needs a tokenizer: train first, or load a checkpoint that holds one"
            )
        shape = config_class(**config["backbone"], vocab_size=tokenizer.get_vocab_size())
        with torch.random.fork_rng():
            torch.manual_seed(config["seed"])
            model = model_class(shape)
        with torch.no_grad():
            model.model.embed_tokens.weight.mul_(SCRATCH_EMBEDDING_STD / shape.initializer_range)
        model.model.vision_embed_tokens.img_processor.requires_grad_(False)
        model.base = {"id": "from scratch", "digest": ""}
        model.set_attn_implementation(SHARED_PREFIX)
        return model, tokenizer
    from tokenizers import Tokenizer

    folder = Path(find_weights(config["model_path"]))
    on_gpu = config["device"].startswith("cuda")
    half = torch.bfloat16 if config["use_bf16"] else torch.float16 if config["use_fp16"] else torch.float32
    dtype = dtype or (half if on_gpu else torch.float32)
    loading: dict[str, Any] = {"dtype": dtype, "attn_implementation": SHARED_PREFIX}
    if config["load_in_4bit"] and on_gpu:
        loading |= {"quantization_config": four_bits(dtype), "device_map": {"": config["device"]}}
    elif config["load_in_4bit"]:
        log.warning("load_in_4bit needs CUDA: the base is loaded in full precision (%s)", str(dtype).split(".")[-1])
    model = model_class.from_pretrained(folder, **loading)
    model.base = {"id": config["model_path"], **fingerprint(folder)}
    check_size(config, model)
    freeze(model, config)
    if config["gradient_checkpointing"]:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model, tokenizer or Tokenizer.from_file(f"{folder}/tokenizer.json")


def freeze(model: nn.Module, config: dict[str, Any]) -> None:
    """Leave trainable what the config trains, in fp32: LoRA or the decoder, and the projector."""
    vision = model.model.vision_embed_tokens
    model.requires_grad_(not config["use_lora"])
    vision.img_processor.requires_grad_(False)
    if config["use_lora"]:
        add_lora(model, config)
    if not config["lora_projector"]:
        vision.img_projection.requires_grad_(config["train_projector"])
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def find_weights(model_path: str) -> str:
    """A local folder as it is; a hub id from the local cache or the hub.

    Raises:
        UserError: neither is to be had; says what works without.
    """
    if Path(model_path).is_dir():
        return model_path
    try:
        from huggingface_hub import snapshot_download

        return snapshot_download(model_path, allow_patterns=["*.json", "*.safetensors"], etag_timeout=5)
    except Exception as error:
        raise UserError(
            f"model_path {model_path!r}: not a local folder, not in the local cache, and no model hub can be reached "
            f"({type(error).__name__}). Download the model where there is a network and set model_path to its folder, "
            "or train the small model, which needs no weights: python train/train.py --config train/config/tiny.json"
        ) from None


def check_size(config: dict[str, Any], model: nn.Module) -> None:
    """`model_size` is a label: an error where it names another size than the weights have."""
    count = model.num_parameters()
    expected = PARAMETERS.get(config["model_size"])
    if expected and not 0.9 < count / expected < 1.1:
        raise UserError(
            f"model_size {config['model_size']!r} does not fit {config['model_path']}: {count:,} parameters"
        )


def processor(shape: Any, config: dict[str, Any]) -> Any:
    """The picture processor that fits a backbone's configuration."""
    return shape.picture_processor(config["num_crops"])


# --- cards, at the last frozen boundary -------------------------------------------------------------------------------
# What is cached of a card is what nothing trained comes before: its views (V, 3, S, S) while the tower trains, the
# tower's features (V, P, C) while the projector or its separators train, else its finished embeddings (tokens, D).
# The number of dimensions says which.


def boundary(model: nn.Module) -> str:
    """The last frozen boundary: "views", "tower" or "projector"."""
    vision = model.model.vision_embed_tokens
    if any(p.requires_grad or "lora_" in name for name, p in vision.img_processor.named_parameters()):
        return "views"
    return "tower" if any(parameter.requires_grad for parameter in vision.parameters()) else "projector"


def encode_cards(model: nn.Module, pixels: Tensor, frames: Sequence[tuple[int, int]]) -> list[Tensor]:
    """`pixels` (N, views, 3, S, S) of pictures in `frames` to their features, or views where the tower trains."""
    import torch

    vision = model.model.vision_embed_tokens
    used = [vision.used_views(views, frame) for views, frame in zip(pixels, frames, strict=True)]
    if boundary(model) == "views":
        return used
    return list(vision.encode(torch.cat(used)).split([len(views) for views in used]))


def embed_cards(model: nn.Module, cards: Sequence[Tensor], frames: Sequence[tuple[int, int]]) -> list[Tensor]:
    """Cards, whatever of them was cached, to embeddings (tokens, D) each."""
    import torch

    vision = model.model.vision_embed_tokens
    if not cards or cards[0].ndim == 2:
        return list(cards)
    if cards[0].ndim == 4:
        cards = vision.encode(torch.cat(list(cards))).split([len(views) for views in cards])
    return vision.project(cards, frames)


def pool_cards(model: nn.Module, cards: Sequence[Tensor]) -> Tensor:
    """Cards (views or features) to (N, C): the mean patch of the whole view, from the tower as it was before LoRA, so
    that a card stays in its cluster while the tower trains."""
    import torch

    if cards[0].ndim == 3:
        return torch.stack([features[0].float().mean(0) for features in cards])
    vision = model.model.vision_embed_tokens
    with without_lora(vision.img_processor), torch.no_grad():
        wholes = torch.cat([views[:1] for views in cards]).split(32)
        return torch.cat([vision.encode(part).float().mean(1) for part in wholes])


# --- which base a checkpoint stands on --------------------------------------------------------------------------------


def fingerprint(folder: Path) -> dict[str, str]:
    """Digest and, where the hub's cache tells it, revision of a folder's weights: names, shapes and the first numbers
    of every tensor as they stand in the files, so that neither precision nor quantisation matters."""
    from safetensors import safe_open

    digest = hashlib.sha256()
    entries: list[tuple[str, bytes]] = []
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118  not a dict
                part = tensors.get_slice(name)
                first = (part[:1] if part.get_shape() else part[...]).flatten()[:64].float()
                entries.append((name, f"{part.get_shape()}".encode() + first.numpy().tobytes()))
    for name, content in sorted(entries):
        digest.update(name.encode() + content)
    cached = folder.parent.name == "snapshots"
    return {"revision": folder.name if cached else "", "digest": digest.hexdigest()}


def identity(config: dict[str, Any], model: nn.Module) -> dict[str, str]:
    """Which base a checkpoint stands on: its id, its revision and a digest of its weights."""
    return model.base


def check_identity(stored: dict[str, str], here: dict[str, str], where: str) -> None:
    """Raises UserError where a checkpoint's adapters belong to another base model."""
    if stored["digest"] != here["digest"]:
        raise UserError(f"{where}: trained over {stored['id']}, but model_path gives other weights ({here['id']})")
