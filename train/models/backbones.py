"""The seam between a backbone and what stands on it: conditioning modules, data, trainer, decoding know `Backbone`.

Another one (1 to 3B) is a module with a model class that has these names, and an entry in `train/config/backbones.py`;
`tests/test_other_backbone.py` adds one and trains it.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from aac.io import UserError
from train.config.backbones import BACKBONES
from train.models import room
from train.models.attention import SHARED_PREFIX
from train.models.lora import add_lora, four_bits, without_lora

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from train.models.chat import ChatFormat

log = logging.getLogger("aac")

# Measured on the two-core preset: token embeddings of 0.02, right for width 3072, halve the speed of learning at 256.
SCRATCH_EMBEDDING_STD = 0.1

Size = tuple[int, int]  # (height, width) of an image as the processor lays it out, in pixels


class Vision(Protocol):
    """Pictures to the decoder's embeddings. V views, P patches, C the tower's width, D the decoder's."""

    tower: nn.Module
    projector: nn.Module  # from the tower to the decoder
    output: nn.Linear  # of the projector: gives the embeddings (asked for by the vision stage alone)

    def used_views(self, views: Tensor, image_size: Size) -> Tensor: ...  # the views of one picture worth encoding
    # (V, 3, H, W) to (V, P, C); a tower that is read at several depths gives (V, P, k C), its last layer first.
    def encode(self, pixel_values: Tensor) -> Tensor: ...
    # Each picture's features to (tokens, D), or (tokens, n D): the embeddings, then what is added to the hidden states
    # of the picture's positions after layers 0, 1, ...
    def project(self, features: Sequence[Tensor], image_sizes: Sequence[Size]) -> list[Tensor]: ...


class Processor(Protocol):
    """PIL pictures to what the tower reads."""

    identity: str  # its settings: pictures cached under others are read anew

    def images(self, images: Sequence[Any]) -> tuple[Sequence[Tensor], Tensor]: ...  # (V, 3, H, W) each; (N, 2) sizes
    def num_tokens(self, image_size: Size) -> int: ...  # positions that a picture takes in a row


class Core(Protocol):
    """The decoder without its head."""

    embed_tokens: nn.Embedding
    vision: Vision

    def __call__(
        self,
        *,
        inputs_embeds: Tensor,  # (B, L, D)
        attention_mask: Tensor,  # (B, 1, L - prefix, cached + L): True where a position may be seen, or `as_scores`
        prefix: int = 0,  # so many first positions are plainly causal: handed on to the layers' attention
        lanes: Any = None,  # rows share the keys that `past_key_values` gives (`attention.Lanes`): handed on likewise
        skip: int = 0,  # so many first positions (`prefix` or more) are not read: left out of the last hidden state
        position_ids: Tensor,  # as `Backbone.positions` gives them, or of answers alone (B, L)
        past_key_values: Any = None,
        use_cache: bool = False,
        after_layer: Any = None,  # after_layer(i, hidden) replaces the hidden states after layer i
    ) -> Any: ...  # .last_hidden_state (B, L - skip, D), .past_key_values


class Backbone(Protocol):
    """A vision-language model: a `PreTrainedModel` that reads and writes its published layout.

    `config`: `hidden_size`, `num_hidden_layers`, `tower.hidden_size`, `original_max_position_embeddings` (the length at
    which cached keys become void; without such a switch, the greatest length), `image_processor(num_crops)`, and
    `card_tokens`, which is set to that of TRAIN_CONFIG.
    """

    config: Any
    model: Core
    lm_head: nn.Module
    base: dict[str, str]  # which weights a checkpoint stands on: id, digest, revision; set by `build`
    chat: ChatFormat
    # Patterns of the module names LoRA may adapt in the "decoder" (followed by a target's name), in the "vision" tower
    # (layers without a gradient left out) and in the "projector".
    lora_parts: dict[str, str]
    # Full names of modules that, with all in them, stay as they are where the decoder is held in 4 bits.
    full_precision: Sequence[str]
    _no_split_modules: Sequence[str]  # classes of the layers that FSDP shards one by one

    def positions(
        self, counted: Tensor, input_ids: Tensor, image_sizes: Sequence[Sequence[Size]]
    ) -> tuple[Tensor, Tensor]:
        """Where rows' tokens stand for the rotary embedding.

        Args:
            counted: (B, L) one position a token, each answer's from where its prompt ends.
            input_ids: (B, L), -k where the row's picture k stands.
            image_sizes: of each row's pictures.

        Returns:
            The positions, (B, L) or on several axes (axes, B, L), and how far from where they were counted each row's
            answers stand (B,), the same on every axis.
        """


def model_class(model_type: str) -> Any:
    """The model class of a `model_type`."""
    module, _, name = BACKBONES[model_type].model.rpartition(".")
    return getattr(importlib.import_module(module), name)


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

    kind = model_class(config["model_type"])
    if config["backbone"]:
        if tokenizer is None:
            raise UserError(
                "a backbone from scratch needs a tokenizer: train first, or load a checkpoint that holds one"
            )
        entries, budget = tokenizer.get_vocab_size(), config["card_tokens"]
        shape = kind.config_class(**config["backbone"], vocab_size=entries, card_tokens=budget)
        with torch.random.fork_rng():
            torch.manual_seed(config["seed"])
            model = kind(shape)
        with torch.no_grad():
            model.model.embed_tokens.weight.mul_(SCRATCH_EMBEDDING_STD / shape.initializer_range)
        model.model.vision.tower.requires_grad_(False)
        model.base = {"id": "from scratch", "digest": ""}
        model.set_attn_implementation(SHARED_PREFIX)
        return model, tokenizer

    folder = Path(find_weights(config["model_path"]))
    on_gpu = config["device"].startswith("cuda")
    half = torch.bfloat16 if config["use_bf16"] else torch.float16 if config["use_fp16"] else torch.float32
    dtype = dtype or (half if on_gpu else torch.float32)
    if not on_gpu:
        room.check_room(folder, dtype)
    loading: dict[str, Any] = {"dtype": dtype, "attn_implementation": SHARED_PREFIX}
    loading["card_tokens"] = config["card_tokens"]
    if config["load_in_4bit"] and on_gpu:
        loading |= {"quantization_config": four_bits(dtype, kind.full_precision), "device_map": {"": config["device"]}}
    elif config["load_in_4bit"]:
        log.warning("load_in_4bit needs CUDA: the base is loaded in full precision (%s)", str(dtype).split(".")[-1])
    model = kind.from_pretrained(folder, **loading)
    model.base = {"id": config["model_path"], **fingerprint(folder)}
    check_size(config, model)
    freeze(model, config)
    if config["gradient_checkpointing"]:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model, tokenizer or read_tokenizer(folder, model.config.vocab_size)


def read_tokenizer(folder: Path, entries: int) -> Any:
    """`tokenizer.json` of a folder, for a model of so many embeddings.

    Raises:
        UserError: it is missing or damaged, or has more tokens than the model.
    """
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more particular
        raise UserError(f"{path}: no readable tokenizer ({error}); put the published one beside the weights") from None
    if tokenizer.get_vocab_size() > entries:
        raise UserError(
            f"{path}: {tokenizer.get_vocab_size()} tokens, but the model in {folder} has embeddings for {entries}; put "
            "the tokenizer published with the weights there"
        )
    return tokenizer


def freeze(model: nn.Module, config: dict[str, Any]) -> None:
    """Leave trainable what the config trains, in fp32: LoRA or the decoder, and the projector."""
    vision = model.model.vision
    model.requires_grad_(not config["use_lora"])
    vision.tower.requires_grad_(False)
    if config["use_lora"]:
        add_lora(model, config)
    if not config["lora_projector"]:
        vision.projector.requires_grad_(config["train_projector"])
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
    """`model_size` is a label.

    Raises:
        UserError: it names another size than the weights have.
    """
    count = model.num_parameters()
    expected = BACKBONES[config["model_type"]].parameters.get(config["model_size"])
    if expected and not 0.9 < count / expected < 1.1:
        raise UserError(
            f"model_size {config['model_size']!r} does not fit {config['model_path']}: {count:,} parameters"
        )


# --- cards, at the last frozen boundary -------------------------------------------------------------------------------
# What is cached of a card is what nothing trained comes before: its views (V, 3, H, W) while the tower trains, the
# tower's features (V, P, C) while the projector or its separators train, else its finished embeddings (tokens, D).
# The number of dimensions says which.


def boundary(model: nn.Module) -> str:
    """The last frozen boundary: "views", "tower" or "projector"."""
    vision = model.model.vision
    if any(p.requires_grad or "lora_" in name for name, p in vision.tower.named_parameters()):
        return "views"
    return "tower" if any(parameter.requires_grad for parameter in vision.parameters()) else "projector"


def encode_cards(model: nn.Module, pixels: Sequence[Tensor], image_sizes: Sequence[Size]) -> list[Tensor]:
    """Pictures' views (V, 3, H, W) to their features, or to the views worth encoding where the tower trains."""
    vision = model.model.vision
    used = [vision.used_views(views, size) for views, size in zip(pixels, image_sizes, strict=True)]
    return used if boundary(model) == "views" else _encoded(vision, used)


def _encoded(vision: Vision, cards: Sequence[Tensor]) -> list[Tensor]:
    """Views (V, 3, H, W) to features (V, P, C), one pass of the tower for all cards of the same size."""
    import torch

    by_size: dict[Any, list[int]] = {}
    for index, views in enumerate(cards):
        by_size.setdefault(views.shape[1:], []).append(index)
    found: dict[int, Tensor] = {}
    for indices in by_size.values():
        features = vision.encode(torch.cat([cards[i] for i in indices]))
        found |= zip(indices, features.split([len(cards[i]) for i in indices]), strict=True)
    return [found[index] for index in range(len(cards))]


def embed_cards(model: nn.Module, cards: Sequence[Tensor], image_sizes: Sequence[Size]) -> list[Tensor]:
    """Cards, whatever of them was cached, to embeddings (tokens, D) each, or (tokens, n D): see `Vision.project`."""
    if not cards or cards[0].ndim == 2:
        return list(cards)
    vision = model.model.vision
    return vision.project(_encoded(vision, cards) if cards[0].ndim == 4 else cards, image_sizes)


def pool_cards(model: nn.Module, cards: Sequence[Tensor]) -> Tensor:
    """Cards (views or features) to (N, C): the mean patch of the whole view, from the tower as it was before LoRA, so
    that a card stays in its cluster while the tower trains."""
    import torch

    if cards[0].ndim == 4:
        vision = model.model.vision
        with without_lora(vision.tower), torch.no_grad():
            chunks = (cards[first : first + 32] for first in range(0, len(cards), 32))
            cards = [card for chunk in chunks for card in _encoded(vision, [views[:1] for views in chunk])]
    width = model.config.tower.hidden_size
    return torch.stack([features[0, :, :width].float().mean(0) for features in cards])


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


def check_identity(stored: dict[str, str], here: dict[str, str], where: str) -> None:
    """Raises UserError where a checkpoint's adapters belong to another base model."""
    if stored["digest"] != here["digest"]:
        raise UserError(f"{where}: trained over {stored['id']}, but model_path gives other weights ({here['id']})")
