"""AACMultimodalModel: the network with its two doors, requests and files. The one class that others import."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from aac.io import UserError
from train.config.train_config import RUNTIME_KEYS, TRAIN_CONFIG, runtime, validate
from train.models import backbones, checkpoint, limits, parts, quantized
from train.models.device import absent, computes_in_bf16
from train.models.known_cards import KnownCards
from train.models.lora import fold_lora
from train.models.network import Network
from train.models.reading import Reading, check_same_prompt, stored, today

if TYPE_CHECKING:
    from train.interpreter.session import Session

log = logging.getLogger("aac")


class AACMultimodalModel(Network):
    """Backbone, persona embedding, context attention with clusters, interpretation styles; see `Network`."""

    def __init__(
        self,
        backbone: nn.Module,
        tokenizer: Any,
        config: dict[str, Any],
        centroids: Tensor | None = None,
        reading: Reading | None = None,
    ) -> None:
        super().__init__(backbone, tokenizer, config, centroids, reading)
        parts.leave_out(self, config["parts_off"])
        self.folded = False  # LoRA is part of the weights
        self.rounded = False  # `quantize`

    # ------------------------------------------------------------------ requests

    def generate_interpretation(
        self,
        images: Sequence[Any],
        persona_info: dict[str, Any] | None = None,
        context_info: dict[str, Any] | str | None = None,
        keywords: Sequence[str] | None = None,
        return_details: bool = False,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[Any]:
        """Three distinct Korean sentences for 1 to 4 cards.

        Args:
            images: 1 to 4 PIL pictures, paths, bytes of files, or arrays (see `aac.pictures.given_picture`).
            persona_info: any of the persona's fields; missing ones are unknown.
            context_info: a sentence, any of the four fields, or None.
            keywords: the cards' words in the order of the images, where the app knows them.
            return_details: dicts, not strings: `text`, `style`, `style_confidence`, `passed`, `source`, `reasons`,
                `cards` (what each picture was taken for) and `checked` (by the gate, knowing the cards' words).
            temperature: 0 is greedy, the likeliest words; above, words are drawn: other candidates for another `seed`.

        Raises:
            UserError: no or too many images, not as many keywords, a temperature below 0.
        """
        request = {"images": images, "persona_info": persona_info, "context_info": context_info, "keywords": keywords}
        return self.generate_interpretations([request], return_details, temperature, seed)[0]

    def generate_interpretations(
        self,
        requests: Sequence[dict[str, Any]],
        return_details: bool = False,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[list[Any]]:
        """`generate_interpretation` for many requests, decoded together; each a dict of its arguments."""
        from train.interpreter.answering import interpret_requests

        threes = interpret_requests(self, requests, temperature, seed)
        return [[c.public() if return_details else c.text for c in three] for three in threes]

    def session(
        self, persona_info: dict[str, Any] | None = None, context_info: dict[str, Any] | str | None = None
    ) -> Session:
        """An utterance read card by card, while somebody chooses: see `Session`."""
        from train.interpreter.session import Session

        return Session(self, persona_info, context_info)

    # ------------------------------------------------------------------ files

    @classmethod
    def build(
        cls,
        config: dict[str, Any],
        tokenizer: Any | None = None,
        centroids: Tensor | None = None,
        dtype: torch.dtype | None = None,
        reading: Reading | None = None,
    ) -> AACMultimodalModel:
        """A fresh model: pretrained backbone with LoRA, or, where `config['backbone']` describes one, from scratch.

        `dtype`: of a pretrained base; None: as device and precision of the config want.
        """
        backbone, tokenizer = backbones.build(config, tokenizer, dtype)
        return cls(backbone, tokenizer, config, centroids, reading)

    def save_model(self, path: str | Path, **extra: Any) -> None:
        """Write a checkpoint that `load_model` reads (atomic; tensors and plain data only).

        Raises:
            UserError: the model's weights were rounded (`quantize`).
        """
        if self.rounded:
            raise UserError("this model's weights were rounded to interpret (quantize); save it as it was trained")
        checkpoint.save(path, {**self.state(), **extra})

    @classmethod
    def load_model(
        cls, path: str | Path, config: dict[str, Any] | None = None, to_train: bool = False
    ) -> AACMultimodalModel:
        """A trained model, ready to interpret: its LoRA is added to the weights, and stands apart in what `save_model`
        writes. `to_train`: leave it apart, slower, so that it can be trained further.

        The checkpoint knows its own architecture; `config` gives run-time settings (device, precision, paths), and a
        disagreement elsewhere is said in the log. A GPU that is asked for but absent means the CPU, with one warning.

        Raises:
            UserError: no such file, a damaged one, one over another base model, or trained on other prompts; a GPU
                that is not among those of this machine.
        """
        model = cls.from_state(checkpoint.load(path), config, str(path), to_interpret=not to_train)
        model.folded = not to_train and model.config["use_lora"] and fold_lora(model.backbone)
        if kind := model.config["quantize"] if not to_train else "":
            if model.device.type != "cpu":
                raise UserError("quantize is for a CPU: set device to 'cpu', or leave quantize out")
            log.info("%d products of the decoder in %s", quantized.quantize(model.backbone, kind), kind)
            model.rounded = True
            if not computes_in_bf16("cpu"):
                model.float()
        return model

    def train(self, mode: bool = True) -> AACMultimodalModel:
        """Raises UserError for a model whose LoRA is part of the weights."""
        if mode and self.folded:
            raise UserError(
                "this model was loaded to interpret, its LoRA is part of the weights: to train it further use "
                "load_model(path, config, to_train=True), or python train/train.py --init-from FILE"
            )
        return super().train(mode)

    @classmethod
    def from_state(
        cls,
        state: dict[str, Any],
        config: dict[str, Any] | None,
        where: str,
        dtype: torch.dtype | None = None,
        to_interpret: bool = False,
    ) -> AACMultimodalModel:
        """`load_model` from a checkpoint already read, named `where` in messages. `to_interpret`: a pretrained base is
        held in bf16 on a CPU that computes in it, unless the config asks for neither half precision.

        Raises:
            UserError: as of `load_model`.
        """
        from tokenizers import Tokenizer

        _survive_forks()
        own = validate(state["config"], where)
        asked = validate(config or {"model_type": own["model_type"]}, "config")
        differing = [k for k, v in asked.items() if k not in RUNTIME_KEYS and v != own[k] and v != TRAIN_CONFIG[k]]
        if differing:
            log.warning("%s: the checkpoint's own settings are used for %s", where, ", ".join(differing))
        settings = {**own, **runtime(asked, own["model_type"])}
        device = settings["device"]
        if problem := absent(device):
            if torch.cuda.is_available():
                raise UserError(f"config asks for {device}, but {problem}; set device to one of them, or to 'cuda'")
            log.warning("config asks for %s, but this machine has no CUDA device: interpreting on the CPU", device)
            device = "cpu"
        settings["device"] = device
        tokenizer = Tokenizer.from_str(state["tokenizer"]) if state["tokenizer"] else None
        reading, looked = stored(state, where)
        if differing := reading.differences(today()):
            log.warning("%s: reads persona and context as it was trained to (%s)", where, differing)
        if to_interpret and device == "cpu" and not dtype:
            half = settings["use_fp16"] or settings["use_bf16"]
            small = settings["quantize"] or (half and computes_in_bf16(device))
            dtype = torch.bfloat16 if small else torch.float32
        model = cls.build(settings, tokenizer, state["model"]["centroids"], dtype, reading)
        check_same_prompt(looked, model.encoder.rendered(), where)
        backbones.check_identity(state["base"], model.backbone.base, where)
        if "cards" in state:
            model.cards = KnownCards.from_state(state["cards"], where)
        model.longest = limits.stored(state, where) or model.longest
        own = model.state_dict()
        reshaped = [name for name, value in state["model"].items() if name in own and value.shape != own[name].shape]
        if reshaped:
            raise UserError(f"{where}: tensors of another shape ({', '.join(reshaped[:3])}); retrain or upgrade")
        missing, unexpected = model.load_state_dict(state["model"], strict=False)
        trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        lost = [name for name in missing if settings["backbone"] or name in trained]
        if lost or unexpected:
            raise UserError(
                f"{where}: tensors do not fit ({len(lost)} missing, {len(unexpected)} unknown); retrain or upgrade"
            )
        return model.to(device).eval()


@lru_cache(maxsize=1)
def _survive_forks() -> None:
    """A process forked after a model was loaded (gunicorn --preload, multiprocessing) has none of its parent's threads,
    and would wait for them for ever: it computes in one."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))
