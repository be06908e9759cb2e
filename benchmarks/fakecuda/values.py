"""Fake tensors hold no numbers, but the code asks for some: token ids, masks, counts. Small tensors keep theirs.

The same operator runs on the real values, on the CPU, beside the fake one. What nobody knows (a loss, a sampled token)
is answered with a plain number, and only where that decides no shape.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

from benchmarks.common import ROOT
from benchmarks.fakecuda.meter import Meter

aten = torch.ops.aten
_WHOLE, _FRACTIONS = 3_000_000, 64  # numbers of a tensor that are kept, of whole ones and of others
UNKNOWN = 5  # where a whole number is asked for and not known: a token that is no control token


def real(value: Any) -> Any:
    """A fake tensor's numbers, None where they are not known; anything else as it is."""
    return getattr(value, "numbers_known", None) if isinstance(value, FakeTensor) else value


@contextmanager
def outside() -> Iterator[None]:
    """Real tensors again, as if no fake device were there."""
    with _disable_current_modes():
        yield


class Values(TorchDispatchMode):
    """Answers what fake tensors cannot, and notes in `meter.syncs` where that would make the processor wait."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self.meter = meter
        self._answers: dict[Any, Callable[..., Any]] = {
            aten._local_scalar_dense.default: self._item,
            aten.nonzero.default: self._nonzero,
            aten.masked_select.default: self._masked_select,
            aten.equal.default: self._equal,
            aten.index.Tensor: self._index,
        }

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.prim.device.default:  # asked for everywhere
            return func(*args)
        if answer := self._answers.get(func):
            return answer(*args)
        if func is aten._to_copy.default and kwargs.get("device") is not None:
            ends = args[0].device.type, torch.device(kwargs["device"]).type
            if "cuda" in ends and "cpu" in ends and not kwargs.get("non_blocking"):
                self.waits("copy to the device" if ends[1] == "cuda" else "copy from the device")
        result = func(*args, **kwargs)
        self._keep(func, args, kwargs, result)
        return result

    def waits(self, what: str) -> None:
        self.meter.syncs[f"{what} at {place()}"] += 1

    def _keep(self, func: Any, args: Any, kwargs: Any, result: Any) -> None:
        """The operator on known numbers, where all that it reads are known and what it gives is small."""
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, FakeTensor)]
        read = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        drawn = any(tag is torch.Tag.nondeterministic_seeded for tag in func.tags)
        unknown = drawn or "empty" in func._schema.name or any(real(tensor) is None for tensor in read)
        if not made or unknown or not all(map(_small, made)):
            for tensor in made:
                tensor.numbers_known = None
            return
        with outside():
            found = tree_leaves(func(*tree_map(_on_cpu, args), **tree_map(_on_cpu, dict(kwargs))))
        for tensor, numbers in zip(made, found, strict=True):
            tensor.numbers_known = numbers

    # ------------------------------------------------------------------ what depends on numbers

    def _item(self, tensor: Tensor) -> Any:
        if tensor.device.type == "cuda":
            self.waits("item")
        numbers = real(tensor)
        if numbers is not None:
            with outside():
                return numbers.item()
        return _plain(tensor.dtype)

    def _nonzero(self, tensor: Tensor) -> Tensor:
        numbers = self._known(tensor, "nonzero")
        with outside():
            found = numbers.nonzero()
        return self._told(found, tensor.device)

    def _masked_select(self, tensor: Tensor, mask: Tensor) -> Tensor:
        numbers = self._known(mask, "masked_select")
        with outside():
            count = int(torch.broadcast_to(numbers, tensor.shape).sum())
        return torch.empty(count, dtype=tensor.dtype, device=tensor.device)

    def _equal(self, left: Tensor, right: Tensor) -> bool:
        """Without numbers, the same: a picture's only tile is its global view."""
        if left.device.type == "cuda":
            self.waits("equal")
        pair = real(left), real(right)
        if any(numbers is None for numbers in pair):
            return True
        with outside():
            return torch.equal(*pair)

    def _index(self, tensor: Tensor, indices: Any) -> Tensor:
        """A mask among the indices is the places where it is true."""
        plain: list[Tensor | None] = []
        for index in indices:
            if index is not None and index.dtype == torch.bool:
                numbers = self._known(index, "index by a mask")
                with outside():
                    columns = numbers.nonzero().unbind(1)
                plain += [self._told(column, tensor.device) for column in columns]
            else:
                plain.append(index)
        result = aten.index.Tensor(tensor, plain)
        self._keep(aten.index.Tensor, (tensor, plain), {}, result)
        return result

    def _known(self, tensor: Tensor, what: str) -> Tensor:
        if tensor.device.type == "cuda":
            self.waits(what)
        numbers = real(tensor)
        if numbers is None:
            raise RuntimeError(f"{what} at {place()}: its shape depends on numbers that a fake tensor does not hold")
        return numbers

    def _told(self, numbers: Tensor, device: torch.device) -> FakeTensor:
        """Known numbers as a tensor of the device."""
        made = torch.empty(numbers.shape, dtype=numbers.dtype, device=device)
        made.numbers_known = numbers
        return made

    def tolist(self, tensor: Tensor) -> Any:
        """`FakeTensor.tolist`: known numbers, or plain ones in the same shape; no fractions: nothing went wrong."""
        if tensor.device.type == "cuda":
            self.waits("tolist")
        numbers = real(tensor)
        with outside():
            plain = 0.0 if tensor.dtype.is_floating_point else _plain(tensor.dtype)
            return (torch.full(tensor.shape, plain) if numbers is None else numbers).tolist()


def place() -> str:
    """The innermost line of the project's own code, as `train/loop/update.py:64`."""
    frame = sys._getframe(1)
    while frame:
        path = frame.f_code.co_filename
        if path.startswith((f"{ROOT}/train/", f"{ROOT}/aac/")):
            return f"{path.removeprefix(f'{ROOT}/')}:{frame.f_lineno}"
        frame = frame.f_back
    return "a library"


def _small(tensor: Tensor) -> bool:
    return tensor.numel() <= (_FRACTIONS if tensor.dtype.is_floating_point else _WHOLE)


def _plain(dtype: torch.dtype) -> bool | float | int:
    return True if dtype == torch.bool else 1.0 if dtype.is_floating_point else UNKNOWN


def _on_cpu(value: Any) -> Any:
    return torch.device("cpu") if isinstance(value, torch.device) else real(value)
