"""The operations of MiniSeg's Table III, by the rules of its authors' counter.

Its "FLOPs" are multiply-adds (one is one) of convolutions and linear layers, one more for each
output with a bias, one for each element that a batch norm or a ReLU gives, and a window for each
element that a max or average pooling gives. Only modules are seen: what a network calls as a
function is not counted, nor are transposed convolutions, matrix products, PReLU, ReLU6, adaptive
pooling and interpolation. A module that belongs to two others is counted twice.

The rules are inferred; they print all 26 baselines of the table to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn


def table3_operations(network: nn.Module, image: Tensor) -> int:
    """Count the operations of one forward pass.

    Args:
        network: The network, in the mode that is to be counted: auxiliary heads predict in training
            alone. On the meta device nothing is computed.
        image: Images `(N, C, H, W)` on the same device.

    Returns:
        The operations of all images together.
    """
    total = 0

    def add(module: nn.Module, _: tuple[Tensor, ...], output: Tensor | tuple[Tensor, ...]) -> None:
        nonlocal total
        out = output[0] if isinstance(output, tuple) else output
        total += out.numel() * _per_element(module)

    handles = [
        module.register_forward_hook(add)
        for module in _by_all_paths(network)
        if isinstance(module, _COUNTED)
    ]
    try:
        with torch.no_grad():
            network(image)
    finally:
        for handle in handles:
            handle.remove()
    return total


def _by_all_paths(module: nn.Module) -> Iterator[nn.Module]:
    """A module and what is inside it, once for each module that holds it."""
    yield module
    for child in module.children():
        yield from _by_all_paths(child)


_COUNTED = (nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.AvgPool2d)


def _per_element(module: nn.Module) -> int:
    """Operations for each element of a module's output."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        return module.weight[0].numel() + (module.bias is not None)
    if isinstance(module, nn.BatchNorm2d | nn.ReLU):
        return 1
    assert isinstance(module, nn.MaxPool2d | nn.AvgPool2d)
    window = module.kernel_size
    return window * window if isinstance(window, int) else window[0] * window[1]
