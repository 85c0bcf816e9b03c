"""The shape of a network in one line: how its maps shrink and grow again, and how wide they are."""

from __future__ import annotations

import math
from itertools import groupby

import torch
from torch import Tensor, nn

from zoo.cards import Card
from zoo.padding import forward_padded
from zoo.registry import build

BARS = "█▇▆▅▄▃▂▁"
"""Maps of the image's own size, of a half, a quarter, and so on."""

_SIZE = 512
_LONGEST = 24


def picture(card: Card) -> str:
    """Draw a network from what its convolutions and linear layers give, in the order they run.

    Args:
        card: The network.

    Returns:
        A bar for each change of size, taller for larger maps, and the most channels of a map:
        `█▇▆▅▄▅▆▇█ 1024`. A long row of bars is cut in the middle. Maps smaller than a 128th of
        the image, such as pooled vectors, are passed over.
    """
    scales: list[int] = []
    widths: list[int] = []

    def note(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
        if output.ndim != 4 or min(output.shape[-2:]) < _SIZE >> len(BARS) - 1:
            return
        scales.append(round(math.log2(_SIZE / output.shape[-2])))
        widths.append(output.shape[1])

    with torch.device("meta"):
        network = build(card).eval()
        image = torch.empty(1, 3, _SIZE, _SIZE)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(note)
    with torch.no_grad():
        forward_padded(network, image, card.divisor, card.min_size)
    bars = "".join(BARS[max(scale, 0)] for scale, _ in groupby(scales))
    if len(bars) > _LONGEST:
        half = _LONGEST // 2
        bars = f"{bars[:half]}…{bars[-half:]}"
    return f"{bars} {max(widths)}"
