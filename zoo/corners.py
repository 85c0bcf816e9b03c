"""Bilinear resizing with aligned corners, as the counted code of some networks has it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def resize_corners(x: Tensor, like: Tensor) -> Tensor:
    """Feature maps at the height and width of others, corner pixels on corner pixels.

    Args:
        x: The maps, `(N, C, h, w)`.
        like: Maps `(N, ?, H, W)` of the size wanted.

    Returns:
        `(N, C, H, W)`; `x` itself where the size is right.
    """
    height, width = like.shape[-2:]
    if tuple(x.shape[-2:]) == (height, width):
        return x
    return F.interpolate(x, size=(height, width), mode="bilinear", align_corners=True)
