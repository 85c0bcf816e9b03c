"""What is profiled: a network, or its encoder alone, that takes images of any size."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from zoo.cards import Card
from zoo.errors import CovbenchError
from zoo.padding import forward_padded, pad_to_divisor
from zoo.registry import build

ENCODER = ":encoder"
"""Behind a network's name: its encoder alone."""


class Subject(nn.Module):
    """A network as covbench runs it, with the padding and cropping that its card asks for.

    Args:
        network: The network, or its encoder.
        card: The network's card.
        crop: Whether the output is cropped back; an encoder's features are not.
    """

    def __init__(self, network: nn.Module, card: Card, *, crop: bool = True) -> None:
        super().__init__()
        self.network = network
        self._divisor, self._min_size, self._crop = card.divisor, card.min_size, crop

    def forward(self, image: Tensor) -> Any:
        """Logits `(N, K, H, W)`, in training a tuple of them; an encoder gives its features."""
        if self._crop:
            return forward_padded(self.network, image, self._divisor, self._min_size)
        return self.network(pad_to_divisor(image, self._divisor, self._min_size)[0])


def build_subject(
    card: Card,
    options: dict[str, Any] | None = None,
    *,
    encoder: bool = False,
    in_channels: int = 3,
    num_classes: int = 2,
) -> Subject:
    """Build what is profiled, in evaluation mode.

    Args:
        card: The network.
        options: Its options. Pretrained weights change neither cost nor speed and aren't loaded.
        encoder: Whether its encoder alone is meant.
        in_channels: Channels of the input.
        num_classes: Classes of the output.

    Returns:
        The network or its encoder, on the present default device.

    Raises:
        CovbenchError: The card names no encoder.
    """
    plain = {key: value for key, value in (options or {}).items() if key != "weights"}
    network = build(card, in_channels, num_classes, **plain)
    if encoder:
        if not card.encoder:
            raise CovbenchError(
                f"The card of {card.name} names no encoder.",
                f"Profile the whole network: {card.name}.",
            )
        network = network.get_submodule(card.encoder)
    return Subject(network, card, crop=not encoder).eval()
