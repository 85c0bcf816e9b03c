"""Roofline: what a machine can reach, and the time that a network's operations need at least.

Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for multicore
architectures", Communications of the ACM 52(4), 2009. The model takes operators one by one: each
reads its inputs and writes its outputs once. A compiler that fuses operators, a cache that holds
what the one before wrote, and an algorithm with fewer multiplications (Winograd) can beat it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmark.tensors import storage_key, tensors_in

aten = torch.ops.aten

_WRITES_ONLY = {aten.copy_, aten.fill_, aten.zero_}
"""In-place operators that don't read what they overwrite."""

_RESERVES = {
    aten.empty,
    aten.empty_like,
    aten.empty_strided,
    aten.new_empty,
    aten.new_empty_strided,
}
"""Operators that reserve memory and neither read nor write it."""


@dataclass(frozen=True)
class Operation:
    """One call of an operator.

    Attributes:
        name: The operator, such as `aten.convolution`.
        macs: Its multiply-adds, as `FlopCounterMode` counts them; 0 for all that it doesn't count.
        bytes: What it reads and writes: its distinct inputs, weights among them, and its outputs.
    """

    name: str
    macs: int
    bytes: int


def operations(network: nn.Module, image: Tensor) -> list[Operation]:
    """The operators of one forward pass without gradients, in their order.

    Args:
        network: A network in evaluation mode, on the meta device; its precision is that of its
            parameters.
        image: Images on the meta device, in the same precision.

    Returns:
        One operation for each call of an operator. Views are left out: they move nothing.
    """
    recorder = _Recorder()
    with torch.no_grad(), recorder:
        network(image)
    return recorder.found


def attainable_seconds(found: Iterable[Operation], peaks: tuple[float, float]) -> float:
    """The least time of operations that run one after another.

    Args:
        found: The operations.
        peaks: Multiply-adds a second and bytes a second, of `measure_peaks`.

    Returns:
        Seconds: for each operation the longer of computing and of moving.
    """
    macs_per_second, bytes_per_second = peaks
    return sum(max(each.macs / macs_per_second, each.bytes / bytes_per_second) for each in found)


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Operation] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        # As FlopCounterMode does: what consists of other operators is counted by these.
        with self:
            result = func.decompose(*args, **kwargs)
        if result is not NotImplemented:
            return result
        result = func(*args, **kwargs)
        packet = func._overloadpacket
        moved = _bytes_moved(func, args, kwargs, result)
        macs = 0
        if packet in flop_registry:
            flops = flop_registry[packet](*args, **kwargs, out_val=result)
            if flops % 2:  # halves would no longer add up to what FlopCounterMode says
                raise ValueError(f"{packet} counts {flops} operations, an odd number")
            macs = flops // 2
        if moved or macs:
            self.found.append(Operation(str(packet), macs, moved))
        return result


def _bytes_moved(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> int:
    """What an operator reads and writes; 0 for views and for memory that is only reserved."""
    packet = func._overloadpacket
    outputs = _distinct(tensors_in(result))
    if packet in _RESERVES or not outputs:
        return 0
    inputs = _distinct(tensors_in((args, kwargs)))
    # In-place views, such as squeeze_, are mutable by their schema, yet move nothing.
    moves_nothing = torch.Tag.inplace_view in func.tags
    if not func._schema.is_mutable:
        # By storage rather than by schema: _unsafe_view and others don't own up to being views.
        owned = {storage_key(each) for each in inputs}
        moves_nothing = all(storage_key(each) in owned for each in outputs)
    if moves_nothing:
        return 0
    name = packet.__name__
    if name.endswith("_like") or name.startswith("new_"):  # only the shape of their argument counts
        inputs = []
    if packet in _WRITES_ONLY:
        inputs = [each for each in inputs if each is not args[0]]
    return sum(_bytes(each) for each in inputs) + sum(_bytes(each) for each in outputs)


def _distinct(tensors: Iterable[Tensor]) -> list[Tensor]:
    return list({id(each): each for each in tensors}.values())


def _bytes(tensor: Tensor) -> int:
    """Memory of a tensor's elements; an expanded one has fewer than its shape says."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())
