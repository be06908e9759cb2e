"""The fake card: `torch.cuda` as it answers with one card, and fake tensors on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.nn import functional
from torch.utils import _foreach_utils

from benchmarks.fakecuda import kernels  # noqa: F401  for what it registers
from benchmarks.fakecuda.attention import chosen
from benchmarks.fakecuda.meter import Meter
from benchmarks.fakecuda.values import Values, outside, real

GIB = 2**30


def _answers(meter: Meter) -> dict[str, Any]:
    """What `torch.cuda` says and does where there is one card."""
    properties = SimpleNamespace(name="fake", total_memory=meter.memory, major=8, minor=9, multi_processor_count=128)
    return {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "init": lambda: None,
        "_lazy_init": lambda: None,
        "_lazy_call": lambda *_, **__: None,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "set_device": lambda *_: None,
        "device": lambda *_: nullcontext(),
        "get_device_properties": lambda *_, **__: properties,
        "get_device_capability": lambda *_, **__: (8, 9),
        "get_device_name": lambda *_, **__: "fake",
        "is_bf16_supported": lambda *_, **__: True,
        "synchronize": lambda *_: None,
        "empty_cache": lambda: None,
        "is_current_stream_capturing": lambda: False,
        "max_memory_allocated": lambda *_: meter.peak,
        "memory_allocated": lambda *_: meter.live,
        "memory_reserved": lambda *_: meter.live,
        "mem_get_info": lambda *_: (meter.memory - meter.live, meter.memory),
        "reset_peak_memory_stats": lambda *_: setattr(meter, "peak", meter.live),
        "get_rng_state": lambda *_: torch.zeros(16, dtype=torch.uint8),
        "get_rng_state_all": lambda: [],
        "set_rng_state": lambda *_: None,
        "set_rng_state_all": lambda *_: None,
        "manual_seed": lambda *_: None,
        "manual_seed_all": lambda *_: None,
    }


def _numpy(tensor: FakeTensor) -> np.ndarray:
    """`FakeTensor.numpy`: known numbers, or zeros."""
    if tensor.device.type != "cpu":
        raise TypeError(f"can't convert {tensor.device} device type tensor to numpy: it must be on the CPU")
    with outside():
        return _filled(tensor).numpy()


def _pickled(tensor: FakeTensor, protocol: int) -> Any:
    """What a file holds of a fake tensor: a real one with known numbers, or zeros."""
    with outside():
        return _filled(tensor).__reduce_ex__(protocol)


def _filled(tensor: FakeTensor) -> torch.Tensor:
    numbers = real(tensor)
    return torch.zeros(tensor.shape, dtype=tensor.dtype) if numbers is None else numbers


def _with_real_tensors(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with outside():
            return function(*args, **kwargs)

    return call


def _enter(mode: torch.inference_mode) -> None:
    """`inference_mode` without its tensors: under them composite operators would come whole."""
    mode.instead = torch.set_grad_enabled(torch.is_grad_enabled() and not mode.mode)


def _leave(mode: torch.inference_mode, *_: Any) -> None:
    torch.set_grad_enabled(mode.instead.prev)


def _apply(module: nn.Module, function: Callable[..., Any], recurse: bool = True) -> nn.Module:
    """`Module._apply` that replaces parameters: a fake one cannot be given another's memory."""
    for child in module.children() if recurse else ():
        child._apply(function)
    with torch.no_grad():
        for name, parameter in module._parameters.items():
            if parameter is not None and (moved := function(parameter)) is not parameter:
                module._parameters[name] = nn.Parameter(moved, parameter.requires_grad)
        module._buffers |= {name: function(held) for name, held in module._buffers.items() if held is not None}
    return module


@contextmanager
def fake_cuda(memory: int = 24 * GIB) -> Iterator[Meter]:
    """One fake card of so many bytes; a tensor that would not fit raises torch.OutOfMemoryError, as on a real one."""
    meter = Meter(memory)
    values = Values(meter)
    # A real tensor that was made outside (of NumPy, of a file) counts as a fake one with known numbers.
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    patches = [(torch.cuda, name, answer) for name, answer in _answers(meter).items()]
    patches += [(FakeTensor, "tolist", lambda tensor: values.tolist(tensor)), (FakeTensor, "numpy", _numpy)]
    patches += [(FakeTensor, "__reduce_ex__", _pickled)]
    patches += [(torch, name, _with_real_tensors(getattr(torch, name))) for name in ("load", "save")]
    patches += [(torch.inference_mode, "__enter__", _enter), (torch.inference_mode, "__exit__", _leave)]
    patches += [(nn.Module, "_apply", _apply)]
    patches += [(FakeTensorMode, "avoid_device_init", property(lambda _: True))]
    # Lists of tensors in one kernel, as clipping takes them.
    patches += [(_foreach_utils, "_foreach_supported_types", [*_foreach_utils._foreach_supported_types, FakeTensor])]
    attend = chosen(meter, functional.scaled_dot_product_attention)
    patches += [(functional, "scaled_dot_product_attention", attend)]
    with ExitStack() as stack:
        for holder, name, instead in patches:
            stack.enter_context(mock.patch.object(holder, name, instead))
        for mode in (fake, meter, values):
            stack.enter_context(mode)
        yield meter
