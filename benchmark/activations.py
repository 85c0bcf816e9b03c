"""Memory of activations: the most that is alive in a forward pass, and what training keeps."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from benchmark.tensors import tensors_in


def forward_bytes(network: nn.Module, image: Tensor) -> int:
    """The most memory of activations that is alive at a time in a pass without gradients.

    Args:
        network: The network, in evaluation mode; on the meta device nothing is computed.
        image: Images `(N, C, H, W)` on the same device.

    Returns:
        Bytes, without parameters, buffers and the image itself. An operator's own working memory
        and what an allocator rounds up are not in it.
    """
    alive = _Alive([image, *network.parameters(), *network.buffers()])
    with torch.no_grad(), alive:
        network(image)
    return alive.peak


class _Alive(TorchDispatchMode):
    """Follows every storage from the operator that makes it until nobody holds it."""

    def __init__(self, known: list[Tensor]) -> None:
        super().__init__()
        self.peak = 0
        self._now = 0
        self._seen: dict[int, Any] = {}
        for tensor in known:
            self._seen[tensor.untyped_storage()._cdata] = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tensors_in(result):
            storage = tensor.untyped_storage()
            key = storage._cdata
            if key not in self._seen:
                # PyTorch keeps one Python object per storage for as long as that lives.
                self._seen[key] = weakref.finalize(storage, self._gone, key, storage.nbytes())
                self._now += storage.nbytes()
        self.peak = max(self.peak, self._now)
        return result

    def _gone(self, key: int, size: int) -> None:
        del self._seen[key]  # the address may be used again
        self._now -= size


def saved_bytes_and_unused(network: nn.Module, image: Tensor) -> tuple[int, tuple[str, ...]]:
    """What a training pass keeps for its backward pass, and the parameters without gradient.

    Args:
        network: The network; its mode is restored afterwards.
        image: Images `(N, C, H, W)`; at batch 1 some batch norms can't train, so a second image is
            added and the memory halved.

    Returns:
        Bytes for one image, without parameters, buffers and the image itself; and the names of
        the parameters that no output depends on, auxiliary ones included.
    """
    own = {each.untyped_storage()._cdata for each in (*network.parameters(), *network.buffers())}
    batch = torch.cat([image, image])
    own.add(batch.untyped_storage()._cdata)
    kept: dict[int, Any] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage
        return tensor

    was_training = network.training
    network.train()
    names = [name for name, each in network.named_parameters() if each.requires_grad]
    weights = [each for each in network.parameters() if each.requires_grad]
    try:
        with torch.enable_grad():
            with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
                outputs = [each for each in tensors_in(network(batch)) if each.requires_grad]
            size = sum(storage.nbytes() for storage in kept.values()) // 2
            gradients = torch.autograd.grad(
                [each.sum() for each in outputs], weights, allow_unused=True
            )
    finally:
        network.train(was_training)
    unused = (name for name, gradient in zip(names, gradients, strict=True) if gradient is None)
    return size, tuple(unused)
