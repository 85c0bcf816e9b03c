"""What a network costs before it runs: parameters and multiply-adds.

One multiply-add (MAC) is one multiplication with its addition; torch counts both, so its figure is
halved. Counted: convolutions, linear layers, matrix products and attention. Not counted:
normalisation, activations, pooling, interpolation.
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from torch.utils.flop_counter import FlopCounterMode

from zoo.cards import Card
from zoo.padding import forward_padded
from zoo.registry import create_model

SIZE = 512
"""Height and width at which multiply-adds are counted, as in both papers."""


class Cost(BaseModel):
    """Size of a network, and multiply-adds of one image by the name of the counter.

    Attributes:
        params: Registered parameters.
        params_trainable: Those that a gradient may change.
        params_unused: Those that no output depends on; None where that was not looked at.
        macs: Multiply-adds in evaluation mode, by counter; the first is the headline.
        input_size: Channels, height and width for which they were counted.
        uncounted: Operators that no counter has a rule for, and their calls.
        forward_bytes: Largest memory of activations in a forward pass without gradients.
        saved_bytes: Memory of what a training pass keeps for its backward pass.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    params: int
    params_trainable: int
    params_unused: int | None = None
    macs: dict[str, int]
    input_size: tuple[int, int, int]
    uncounted: dict[str, int] = {}
    forward_bytes: int | None = None
    saved_bytes: int | None = None


def measure_cost(
    card: Card,
    in_channels: int = 3,
    num_classes: int = 2,
    options: dict[str, Any] | None = None,
    size: int = SIZE,
) -> Cost:
    """Count a network's parameters and multiply-adds without any arithmetic (meta device).

    Args:
        card: The network.
        in_channels: Channels of the input.
        num_classes: Classes of the output.
        options: Options of the network; pretrained weights don't matter here and aren't loaded.
        size: Height and width of the input.

    Returns:
        The counts.
    """
    plain = {key: value for key, value in (options or {}).items() if key != "weights"}
    with torch.device("meta"):
        network = create_model(card.name, in_channels, num_classes, **plain)
        image = torch.zeros(1, in_channels, size, size)
    network.eval()
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        forward_padded(network, image, card.divisor, card.min_size)
    parameters = list(network.parameters())
    return Cost(
        params=sum(parameter.numel() for parameter in parameters),
        params_trainable=sum(p.numel() for p in parameters if p.requires_grad),
        macs={"flop_counter_mode": counter.get_total_flops() // 2},
        input_size=(in_channels, size, size),
    )
