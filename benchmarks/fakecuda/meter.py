"""What a GPU would hold and do: memory of live tensors, kernels, operations, bytes moved."""

from __future__ import annotations

import math
import weakref
from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

_BLOCK = 512  # bytes that PyTorch's CUDA allocator rounds up to
# Operators that give back their input's memory, or memory that nobody fills: no kernel runs.
_FREE = {"view", "_unsafe_view", "_reshape_alias", "alias", "as_strided", "detach", "lift_fresh", "transpose", "t"}
_FREE |= {"expand", "permute", "slice", "select", "unsqueeze", "squeeze", "split", "split_with_sizes", "unbind"}
_FREE |= {"device", "unfold", "diagonal", "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}


class Meter(TorchDispatchMode):
    """Counts of one device of `memory` bytes.

    Attributes:
        live, peak: bytes that tensors hold now, and held at most since `reset`; in blocks as PyTorch's allocator gives
            them, without its fragmentation and what libraries take for themselves.
        kernels: operators that would start one, by name; a composite one counts as its parts.
        flops: of matrix products and attention, recomputed ones too.
        moved: bytes that kernels read and write; an expanded tensor counts once.
        syncs: by place in the project's code, what makes the processor wait for the device (`values.py` counts them).
        attention: by back end and shapes, which one PyTorch would take (`attention.py` counts them).
    """

    def __init__(self, memory: int) -> None:
        super().__init__()
        self.memory = memory
        self.live = self.peak = 0
        self._storages: dict[int, weakref.finalize] = {}
        self.reset()

    def reset(self) -> None:
        """Count from here."""
        self.peak = self.live
        self.kernels, self.syncs, self.attention = Counter[str](), Counter[str](), Counter[str]()
        self.flops = self.moved = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        made = _on_device(result)
        for tensor in made:
            self._hold(tensor)
        name = func._schema.name.partition("::")[2]
        read = [] if name in _FREE else _on_device((args, kwargs))
        if name not in _FREE and (made or read):
            self.kernels[name] += 1
            self.moved += sum(map(_bytes, made)) + sum(map(_bytes, read))
            if func._overloadpacket in flop_registry:
                self.flops += flop_registry[func._overloadpacket](*args, **kwargs, out_val=result)
        return result

    def _hold(self, tensor: Tensor) -> None:
        """Raises torch.OutOfMemoryError where the device would be full."""
        storage = tensor.untyped_storage()
        key, size = id(storage), -(-storage.nbytes() // _BLOCK) * _BLOCK
        if key in self._storages or not size:
            return
        if self.live + size > self.memory:
            raise torch.OutOfMemoryError(
                f"CUDA out of memory. Tried to allocate {size / 2**30:.2f} GiB. Fake GPU 0 has a total capacity of "
                f"{self.memory / 2**30:.2f} GiB, of which {self.live / 2**30:.2f} GiB are in use."
            )
        self.live += size
        self.peak = max(self.peak, self.live)
        self._storages[key] = weakref.finalize(storage, self._release, key, size)

    def _release(self, key: int, size: int) -> None:
        self.live -= size
        del self._storages[key]


def _on_device(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, FakeTensor) and leaf.fake_device.type == "cuda"]


def _bytes(tensor: Tensor) -> int:
    sizes = (size for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride)
    return tensor.element_size() * math.prod(sizes) * bool(tensor.numel())
