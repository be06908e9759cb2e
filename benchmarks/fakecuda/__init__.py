"""A CUDA card without one: the project's own code on tensors with a device, a precision and a shape, but no numbers.

    from benchmarks.fakecuda import fake_cuda      # before anything that imports torch

    with fake_cuda() as meter:                     # a card of 24 GiB
        model = ...                                # everything in here that says cuda is fake
        meter.reset()
        step(model)
        print(meter.peak, meter.kernels.total(), meter.flops, meter.moved, meter.syncs, meter.attention)

It finds what mixes devices or precisions, what does not fit, what waits for the card, and counts memory and work. It
knows nothing of results, speed, or kernels that fail. One card, compute capability 8.9, bf16. Importing it raises
`device.NoFakeDevice`, with the reason, where it cannot be had.
"""

from __future__ import annotations

from benchmarks.fakecuda.device import install

install()

from benchmarks.fakecuda.card import GIB, fake_cuda  # noqa: E402
from benchmarks.fakecuda.values import outside, real  # noqa: E402

__all__ = ["GIB", "fake_cuda", "outside", "real"]
