"""The roofline: what this device can reach, and the least time that a network's operations need.

Williams, Waterman and Patterson, Communications of the ACM 52(4), 2009.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmark.speed.ways import DTYPES, set_tf32, synchronise
from benchmark.tensors import tensors_in

_GEMM = {"cuda": (4096, 8192), "cpu": (1024, 1536)}
"""Sizes of the square matrices that are multiplied."""

_CONV = {"cuda": (8, 512, 128), "cpu": (1, 256, 64)}
"""Images, channels and size of a 3x3 convolution: its library may use wider instructions."""

_COPY_BYTES = {"cuda": 1 << 30, "cpu": 1 << 28}
_REPEATS = 5


@dataclass(frozen=True)
class Operation:
    """One operator of a forward pass: its multiply-adds, and the bytes that it reads and writes."""

    name: str
    macs: int
    bytes: int


def measure_peaks(device: torch.device, precision: str) -> tuple[float, float]:
    """The best that the device does: large matrix products and convolutions, and a large copy.

    Args:
        device: The device.
        precision: `fp32`, `tf32`, `bf16` or `fp16`.

    Returns:
        Multiply-adds a second, and bytes a second (read and written).
    """
    set_tf32(precision == "tf32")
    dtype = DTYPES[precision]
    macs = 0.0
    for size in _GEMM[device.type]:
        one, other = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
        out = torch.empty_like(one)
        seconds = _best(partial(torch.mm, one, other, out=out), device)
        macs = max(macs, size**3 / seconds)
    images, channels, size = _CONV[device.type]
    image = torch.randn(images, channels, size, size, device=device, dtype=dtype)
    weight = torch.randn(channels, channels, 3, 3, device=device, dtype=dtype)
    seconds = _best(partial(torch.conv2d, image, weight, padding=1), device)
    macs = max(macs, images * 9 * channels**2 * size**2 / seconds)
    source = torch.empty(_COPY_BYTES[device.type] // 4, device=device)
    target = torch.empty_like(source)
    seconds = _best(lambda: target.copy_(source), device)
    return macs, 2 * _COPY_BYTES[device.type] / seconds


def _best(run: Callable[[], object], device: torch.device) -> float:
    """The shortest time of a few, after one that doesn't count."""
    times = []
    for _ in range(_REPEATS + 1):
        synchronise(device)
        began = time.perf_counter()
        run()
        synchronise(device)
        times.append(time.perf_counter() - began)
    return min(times[1:])


def operations(network: nn.Module, image: Tensor) -> list[Operation]:
    """The operators of one forward pass, in their order; views, which move nothing, are left out.

    Args:
        network: The network, in evaluation mode; on the meta device nothing is computed.
        image: Images `(N, C, H, W)` on the same device.

    Returns:
        The operators. Their multiply-adds add up to half of what FlopCounterMode says. Bytes are
        those of the distinct tensors that go in, weights included, and of those that come out.
    """
    recorder = _Recorder()
    with torch.no_grad(), recorder:
        network(image)
    return recorder.found


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Operation] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        inputs = {_place(each): each for each in tensors_in([*args, kwargs])}
        outputs = {_place(each): each for each in tensors_in(result)}
        storages = {each.untyped_storage()._cdata for each in inputs.values()}
        moves = not outputs or any(
            each.untyped_storage()._cdata not in storages for each in outputs.values()
        )
        if moves or func._schema.is_mutable:
            rule = flop_registry.get(func.overloadpacket)
            flops = rule(*args, **kwargs, out_val=result) if rule is not None else 0
            size = sum(_bytes(each) for each in (*inputs.values(), *outputs.values()))
            self.found.append(Operation(func.overloadpacket.__name__, flops // 2, size))
        return result


def _place(tensor: Tensor) -> tuple[Any, ...]:
    """What tells one view of a storage from another."""
    storage = tensor.untyped_storage()._cdata
    return storage, tensor.storage_offset(), tuple(tensor.shape), tuple(tensor.stride())


def _bytes(tensor: Tensor) -> int:
    """Memory that is touched; an expanded axis, of stride 0, is one element long."""
    elements = 1
    for length, stride in zip(tensor.shape, tensor.stride(), strict=True):
        elements *= length if stride or length == 0 else 1
    return elements * tensor.element_size()


def attainable_seconds(
    found: Sequence[Operation], macs_per_second: float, bytes_per_second: float
) -> float:
    """The least time of a pass, where each operator is bound by arithmetic or by memory.

    Args:
        found: Its operators.
        macs_per_second: Peak of multiply-adds.
        bytes_per_second: Peak of memory traffic.

    Returns:
        Seconds. An implementation that fuses operators may need less.
    """
    return sum(max(each.macs / macs_per_second, each.bytes / bytes_per_second) for each in found)
