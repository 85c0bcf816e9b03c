"""ImageNet weights of torchvision's networks, for the encoders that are built from them."""

from __future__ import annotations

from http.client import HTTPException
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.errors import WeightsUnavailable, unknown

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
    if weights != "imagenet":
        raise unknown("value of weights", weights, ["imagenet"], "imagenet")
    try:
        return dict(source.get_state_dict(progress=False, check_hash=True))
    except (OSError, HTTPException, RuntimeError) as error:
        raise WeightsUnavailable(
            f"The ImageNet weights {source} can't be had ({type(error).__name__}).",
            f"Put {source.url} into {torch.hub.get_dir()}/checkpoints, or leave weights out.",
        ) from error


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
