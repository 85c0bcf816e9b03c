"""Memory of activations, found on the meta device: nothing is computed, and no GPU is needed.

Counted is what operators return. What a kernel takes and gives back while it runs (cuDNN's
workspace), what an allocator rounds up, and what cuDNN keeps beside an operator's outputs are not:
a GPU needs somewhat more.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode

from benchmark.tensors import storage_key, storages_of, tensors_in


def forward_bytes(network: nn.Module, image: Tensor) -> int:
    """The largest memory of live activations in one forward pass without gradients.

    Args:
        network: A network in evaluation mode, on the meta device.
        image: Images on the meta device.

    Returns:
        Bytes, at the operator where they are most; its outputs and all that is still needed count,
        parameters, buffers and the image itself don't.
    """
    follower = _Follower()
    with torch.no_grad(), follower:
        network(image)
    return follower.most


class _Follower(TorchDispatchMode):
    """Adds up the storages that operators make, from their making to their end."""

    def __init__(self) -> None:
        super().__init__()
        self.most = self._now = 0
        self._alive: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        # A view's storage came in with its argument: followed already, or a parameter's, a
        # buffer's, the image's.
        known = {storage_key(each) for each in tensors_in((args, kwargs))}
        result = func(*args, **kwargs)
        for each in tensors_in(result):
            if storage_key(each) not in known:
                self._follow(each)
        self.most = max(self.most, self._now)
        return result

    def _follow(self, tensor: Tensor) -> None:
        key, storage = storage_key(tensor), tensor.untyped_storage()
        if key in self._alive:  # two outputs with one storage
            return
        self._alive[key] = storage.nbytes()
        self._now += self._alive[key]
        # torch keeps a storage's Python object as long as the storage itself, tensors or not.
        weakref.finalize(storage, self._forget, key).atexit = False

    def _forget(self, key: int) -> None:
        self._now -= self._alive.pop(key)


def saved_bytes_and_unused(network: nn.Module, image: Tensor) -> tuple[int, tuple[str, ...]]:
    """What a training pass keeps for its backward pass, and the parameters that it doesn't reach.

    The network is in training mode meanwhile, and as before afterwards.

    Args:
        network: A network on the meta device.
        image: Images on the meta device; two, where a network normalises single pixels, for
            torch's batch normalisation refuses one value a channel in training.

    Returns:
        Bytes of the distinct storages that are kept, without parameters, buffers and the image;
        and the names of the trainable parameters that get no gradient from the sum of all outputs.
    """
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        # The tensor is held until the end, so that no later storage can have its key.
        kept.setdefault(storage_key(tensor), tensor)
        return tensor

    excluded = storages_of(network) | {storage_key(image)}
    modes = [(module, module.training) for module in network.modules()]
    network.train()
    try:
        with torch.enable_grad():
            with saved_tensors_hooks(keep, lambda tensor: tensor):
                outputs = list(tensors_in(network(image)))
            saved = sum(
                each.untyped_storage().nbytes() for key, each in kept.items() if key not in excluded
            )
            return saved, _unreached(network, outputs)
    finally:
        for module, training in modes:
            module.training = training


def _unreached(network: nn.Module, outputs: list[Tensor]) -> tuple[str, ...]:
    named = [(name, each) for name, each in network.named_parameters() if each.requires_grad]
    sums = [each.sum() for each in outputs if each.requires_grad]
    if not named or not sums:
        return tuple(name for name, _ in named)
    gradients = torch.autograd.grad(sums, [each for _, each in named], allow_unused=True)
    return tuple(
        name for (name, _), gradient in zip(named, gradients, strict=True) if gradient is None
    )
