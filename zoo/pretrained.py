"""Pretrained weights for encoders: torchvision's, timm's, and a local file's."""

from __future__ import annotations

from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo.errors import CovbenchError, WeightsUnavailable, unknown

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum


def imagenet_weights(weights: str, source: WeightsEnum) -> dict[str, Tensor]:
    """The state dict of a torchvision network trained on ImageNet, from the cache or the web.

    Args:
        weights: The user's word for them; "imagenet" is the only one known.
        source: Which weights of torchvision those are.

    Returns:
        The state dict, on the CPU.

    Raises:
        CovbenchError: The word is unknown.
        WeightsUnavailable: The weights are neither cached nor to be had.
    """
    check_word(weights)
    try:
        return dict(source.get_state_dict(progress=False, check_hash=True))
    except (OSError, HTTPException, RuntimeError) as error:
        raise WeightsUnavailable(
            f"The ImageNet weights {source} can't be had ({type(error).__name__}).",
            f"Put {source.url} into {torch.hub.get_dir()}/checkpoints, or leave weights out.",
        ) from error


def timm_weights(weights: str, model: str) -> dict[str, Tensor]:
    """The state dict of a timm network trained on ImageNet, from the cache or the web.

    Args:
        weights: The user's word for them; "imagenet" is the only one known.
        model: timm's name of the network, with the tag of the weights.

    Returns:
        The state dict, on the CPU.

    Raises:
        CovbenchError: The word is unknown.
        WeightsUnavailable: The weights are neither cached nor to be had.
    """
    check_word(weights)
    import timm

    try:
        return dict(timm.create_model(model, pretrained=True).state_dict())
    except Exception as error:  # the hub's client raises what it likes
        raise WeightsUnavailable(
            f"The ImageNet weights {model} of timm can't be had ({type(error).__name__}).",
            "Check the connection to huggingface.co, give weights=FILE.safetensors, or leave "
            "weights out.",
        ) from error


def unpublished(weights: str, name: str) -> WeightsUnavailable:
    """The error for ImageNet weights that nobody has published; the caller raises it.

    Args:
        weights: The user's word for them.
        name: The network.

    Raises:
        CovbenchError: The word is unknown.
    """
    check_word(weights)
    return WeightsUnavailable(
        f"Nobody has published ImageNet weights of the encoder of {name}.",
        f"Give your own, {name}[weights=FILE.safetensors], or leave weights out.",
    )


def check_word(weights: str) -> None:
    """Raise CovbenchError unless the word for pretrained weights is one that is known."""
    if weights != "imagenet":
        known = "imagenet, or a file that ends in .safetensors"
        raise unknown("value of weights", weights, ["imagenet"], known)


def load_encoder(network: nn.Module, encoder: str, path: Path) -> None:
    """Load a local file into a network's encoder.

    Args:
        network: The network; changed in place.
        encoder: Name of the submodule that is its encoder, as its card says; "" where it has none.
        path: A .safetensors file of that submodule's parameters and buffers, under their names
            inside it.

    Raises:
        CovbenchError: The network has no encoder of its own, or the file is missing, damaged or of
            another encoder.
    """
    if not encoder:
        raise CovbenchError(
            "This network has no encoder that could be loaded from a file.",
            "Leave weights out, or name the encoder on its card: encoder=...",
        )
    if not path.is_file():
        raise CovbenchError(f"There is no weights file {path}.", "Check the path after weights=.")
    try:
        state = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CovbenchError(
            f"{path} can't be read as safetensors: {(str(error) or '-').splitlines()[0]}",
            "Save the encoder's state_dict with safetensors.torch.save_file.",
        ) from error
    own = network.get_submodule(encoder).state_dict()
    odd = sorted(own.keys() ^ state.keys())
    odd += [key for key in own.keys() & state.keys() if own[key].shape != state[key].shape]
    if odd:
        raise CovbenchError(
            f"{path} does not fit this encoder: {len(odd)} entries are missing, foreign or of "
            f"another shape (for example {odd[0]!r}).",
            "Give the file of this very encoder; its entries are those of its state_dict.",
        )
    broken = [key for key, value in state.items() if not torch.isfinite(value).all()]
    if broken:
        raise CovbenchError(
            f"{path} holds weights that are not finite (for example {broken[0]!r}).",
            "Take another file: that training had diverged.",
        )
    network.get_submodule(encoder).load_state_dict(state)


def fit_channels(filters: Tensor, in_channels: int) -> Tensor:
    """First-layer filters for images of another number of channels than the three of RGB.

    Args:
        filters: Filters `(N, 3, h, w)`.
        in_channels: Channels of the image.

    Returns:
        Filters `(N, in_channels, h, w)`. For one channel the sum over the colours, which gives
        for a grey image what the filters give for it in all three; otherwise the colours in
        turn, scaled to keep the size of the response.
    """
    if in_channels == 1:
        return filters.sum(dim=1, keepdim=True)
    colours = [c % 3 for c in range(in_channels)]
    return filters[:, colours] * (3 / in_channels)
