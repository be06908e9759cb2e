"""Which of the devices that a config may name this machine has."""

from __future__ import annotations


def absent(device: str) -> str:
    """Why `device` is not to be had here, as a clause; empty where it is."""
    import torch

    kind, _, number = device.partition(":")
    if kind != "cuda":
        return ""
    if not torch.cuda.is_available():
        return "PyTorch sees no CUDA GPU here"
    count = torch.cuda.device_count()
    seen = f"PyTorch sees {count} CUDA GPU{'s' if count > 1 else ''} here, counted from cuda:0"
    return seen if number and int(number) >= count else ""


def computes_in_bf16(device: str) -> bool:
    """Whether it has instructions for bf16: emulated, it is several times slower than fp32 or fp16."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    own = torch.cpu.get_capabilities()
    return bool(own.get("avx512_bf16") or own.get("amx_bf16") or own.get("bf16"))
