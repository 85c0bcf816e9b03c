"""The same run twice, the same numbers: seeds, and PyTorch's deterministic algorithms."""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode

from benchmark.losses import Loss, Outputs
from runners.checkpoint import random_states, restore_random_states
from zoo.cards import Card
from zoo.errors import CovbenchError
from zoo.padding import forward_padded

_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"

# What the documentation of torch.use_deterministic_algorithms lists as having no deterministic
# implementation on CUDA, by the name under which PyTorch dispatches it. The bilinear
# interpolation is not among them: torch.nn.functional.interpolate replaces it in this mode.
_WITHOUT = {
    "avg_pool3d_backward": "gradient of AvgPool3d",
    "_adaptive_avg_pool2d_backward": "gradient of AdaptiveAvgPool2d",
    "_adaptive_avg_pool3d_backward": "gradient of AdaptiveAvgPool3d",
    "adaptive_max_pool2d_backward": "gradient of AdaptiveMaxPool2d",
    "fractional_max_pool2d_backward": "gradient of FractionalMaxPool2d",
    "fractional_max_pool3d_backward": "gradient of FractionalMaxPool3d",
    "max_unpool2d": "MaxUnpool2d",
    "max_unpool3d": "MaxUnpool3d",
    "upsample_linear1d_backward": "gradient of interpolate (linear)",
    "upsample_bicubic2d_backward": "gradient of interpolate (bicubic)",
    "upsample_trilinear3d_backward": "gradient of interpolate (trilinear)",
    "_upsample_bilinear2d_aa_backward": "gradient of interpolate (bilinear, antialias)",
    "_upsample_bicubic2d_aa_backward": "gradient of interpolate (bicubic, antialias)",
    "reflection_pad1d_backward": "gradient of ReflectionPad1d",
    "reflection_pad2d_backward": "gradient of ReflectionPad2d",
    "reflection_pad3d_backward": "gradient of ReflectionPad3d",
    "_ctc_loss_backward": "gradient of CTCLoss",
    "put_": "put_",
    "put": "put_",
    "histc": "histc",
    "grid_sampler_2d_backward": "gradient of grid_sample",
    "grid_sampler_3d_backward": "gradient of grid_sample",
}


def _named(name: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> str | None:
    """What an operator is called where it has no deterministic implementation on CUDA."""
    packet, _, overload = name.partition(".")
    if packet == "nll_loss2d_forward":  # reduction 0, which is none, is deterministic
        return "NLLLoss" if arguments[3] != 0 else None
    if packet == "bincount":
        weights = arguments[1] if len(arguments) > 1 else named.get("weights")
        return "bincount with weights" if weights is not None else None
    if packet in ("median", "nanmedian"):
        return "median with indices" if overload.startswith("dim") else None
    if packet == "scatter_reduce":
        return "scatter_reduce (prod)" if "prod" in arguments else None
    return _WITHOUT.get(packet)


class _Watch(TorchDispatchMode):
    """Notes the operators that have no deterministic implementation on CUDA."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, None] = {}

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        name = str(func).removeprefix("aten.")
        if found := _named(name, args, kwargs or {}):
            self.found[found] = None
        return func(*args, **(kwargs or {}))


def set_seeds(seed: int) -> None:
    """Seed every generator that a network or its parts may draw from: Python, NumPy, PyTorch."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)  # all GPUs too, and so the workers of a DataLoader


def use_deterministic() -> None:
    """Have PyTorch use deterministic algorithms alone, and fail where it has none.

    It must be called before anything is computed on a GPU.
    """
    os.environ.setdefault(_WORKSPACE, ":4096:8")  # else cuBLAS may add up in any order
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False


def operators_without(
    model: nn.Module, card: Card, loss_of: Loss, channels: int, size: int
) -> list[str]:
    """The operators of a training step that have no deterministic implementation on CUDA.

    Args:
        model: The network, on any device; nothing of it is changed.
        card: Its card, for the sizes that it accepts.
        loss_of: The loss.
        channels: Channels of its input.
        size: Side of its images.

    Returns:
        Their names in the order in which they come; none where the training is deterministic.
    """
    states, training = random_states(), model.training
    model.train()
    try:
        try:
            return _trace(_on_meta(model), card, loss_of, channels, size, "meta")
        except Exception:  # a network that looks at values needs real ones
            twin = copy.deepcopy(model).cpu()
            return _trace(twin, card, loss_of, channels, min(size, 64), "cpu")
    finally:
        model.train(training)
        restore_random_states(states)


def refuse_operators_without(names: list[str], title: str) -> None:
    """Refuse a training on a GPU that could not be deterministic, before it begins.

    Raises:
        CovbenchError: There are such operators.
    """
    if names:
        raise CovbenchError(
            f"{title} can't be trained deterministically on a GPU: CUDA has no deterministic "
            f"implementation of {', '.join(names)}.",
            "Leave --deterministic out for it, or train it with --gpus none.",
        )


def _on_meta(model: nn.Module) -> Callable[[Tensor], Outputs]:
    """The network on the meta device, where nothing is computed and nothing takes memory."""
    state = {
        **{
            name: torch.empty_like(each, device="meta", requires_grad=each.requires_grad)
            for name, each in model.named_parameters()
        },
        **{name: torch.empty_like(each, device="meta") for name, each in model.named_buffers()},
    }
    return lambda images: functional_call(model, state, (images,))


def _trace(
    model: Callable[[Tensor], Outputs],
    card: Card,
    loss_of: Loss,
    channels: int,
    size: int,
    device: str,
) -> list[str]:
    images = torch.zeros(2, channels, size, size, device=device)
    target = torch.zeros(2, size, size, dtype=torch.int64, device=device)
    with _Watch() as watch:
        outputs = forward_padded(cast(nn.Module, model), images, card.divisor, card.min_size)
        loss_of(outputs, target).backward()
    return list(watch.found)
