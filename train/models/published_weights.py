"""Weights in a published layout are all there, or named."""

from __future__ import annotations

from typing import Any

from aac.io import UserError


class WholeWeights:
    """`from_pretrained` for a `PreTrainedModel`, of a hub id or a folder: transformers alone fills what is missing at
    random."""

    @classmethod
    def from_pretrained(cls, path: Any, *args: Any, output_loading_info: bool = False, **kwargs: Any) -> Any:
        """The model, in evaluation mode.

        Raises:
            UserError: names missing, extra or misshapen tensors.
        """
        kwargs.setdefault("ignore_mismatched_sizes", True)  # so that all of them can be named below
        model, info = super().from_pretrained(path, *args, output_loading_info=True, **kwargs)
        problems = [
            f"{len(names)} {kind}: {', '.join(sorted(names)[:4])}{', ...' if len(names) > 4 else ''}"
            for kind, names in (
                ("missing", info["missing_keys"]),
                ("not of this model", info["unexpected_keys"]),
                ("of another shape", [f"{key[0]} {list(key[1])}" for key in info["mismatched_keys"]]),
            )
            if names
        ]
        if problems:
            raise UserError(f"{path}: tensors do not fit config.json ({'; '.join(problems)}); check the download")
        return (model, info) if output_loading_info else model
