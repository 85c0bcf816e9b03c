"""An encoder of the zoo with a classification head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zoo.cards import Card
from zoo.errors import CovbenchError, reason_of
from zoo.padding import pad_to_divisor, padded_size
from zoo.registry import build, cards

IN_CHANNELS = 3

# The decoder is built along and thrown away; an encoder does not depend on it.
_CLASSES = 2


class Classifier(nn.Module):
    """An encoder, the average over its deepest map, and one linear layer.

    Args:
        encoder: Gives a map, or several in any nesting.
        channels: Channels of the deepest one.
        classes: Classes to tell apart.
        divisor: Height and width of the encoder's input become multiples of it.
        min_size: And at least this.
    """

    def __init__(
        self, encoder: nn.Module, channels: int, classes: int, divisor: int = 1, min_size: int = 1
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(channels, classes)
        self._divisor, self._min_size = divisor, min_size

    def forward(self, image: Tensor) -> Tensor:
        """Logits `(N, classes)`."""
        features = self.encoder(pad_to_divisor(image, self._divisor, self._min_size)[0])
        return self.head(deepest(features).mean(dim=(2, 3)))


def deepest(features: Any) -> Tensor:
    """The map of the smallest area among what an encoder gives; of equal ones the last.

    Raises:
        ValueError: There is no map.
    """
    maps = [each for each in _tensors(features) if each.ndim == 4 and each.numel()]
    if not maps:
        raise ValueError("it gives no map (N, C, H, W)")
    return min(reversed(maps), key=lambda each: each.shape[2] * each.shape[3])


def build_classifier(card: Card, options: dict[str, Any], classes: int, size: int) -> Classifier:
    """An encoder with random weights and its head, on the CPU.

    Args:
        card: The network whose encoder is meant.
        options: Options of that network.
        classes: Classes to tell apart.
        size: Side of the images, in pixels.

    Raises:
        CovbenchError: As `check_encoder`.
    """
    channels = check_encoder(card, options, size)
    network = build(card, IN_CHANNELS, _CLASSES, **options)
    encoder = network.get_submodule(card.encoder or "")
    return Classifier(encoder, channels, classes, card.divisor, card.min_size)


def check_encoder(card: Card, options: dict[str, Any], size: int) -> int:
    """Whether a network's encoder can be trained by itself, and used afterwards.

    Args:
        card: The network.
        options: Its options.
        size: Side of the images, in pixels.

    Returns:
        Channels of its deepest map.

    Raises:
        CovbenchError: Its card names no encoder, it takes no weights, it is to start from weights
            already, or the encoder does not run by itself.
    """
    if not card.encoder:
        raise CovbenchError(
            f"The card of {card.name} names no encoder, so there is nothing to pretrain.",
            f"These have one: {', '.join(pretrainable())}.",
        )
    if "weights" not in card.options:
        raise CovbenchError(
            f"{card.name} takes no weights, so that what is trained here could not be used.",
            f"Give its builder an option weights. These have one: {', '.join(pretrainable())}.",
        )
    if options.get("weights") is not None:
        raise CovbenchError(
            f"{card.name} is to start from weights, and pretraining begins from random ones.",
            "Leave weights out of the brackets.",
        )
    side = padded_size(size, card.divisor, card.min_size)
    try:
        with torch.device("meta"):
            network = build(card, IN_CHANNELS, _CLASSES, **options)
            image = torch.zeros(2, IN_CHANNELS, side, side)
            features = network.get_submodule(card.encoder)(image)
        return deepest(features).shape[1]
    except CovbenchError:
        raise
    except Exception as error:  # a submodule can fail in any way
        reason = reason_of(error)
        raise CovbenchError(
            f"The encoder of {card.name} ({card.encoder}) can't be run by itself: {reason}.",
            "An encoder is pretrained where it takes the image alone and gives its maps.",
        ) from error


def pretrainable() -> Sequence[str]:
    """The registered networks whose cards name an encoder that takes weights."""
    return [name for name, card in cards().items() if card.encoder and "weights" in card.options]


def _tensors(features: Any) -> Iterator[Tensor]:
    """All tensors in a nesting of lists, tuples and mappings, in order."""
    if isinstance(features, Tensor):
        yield features
    elif isinstance(features, dict):
        for each in features.values():
            yield from _tensors(each)
    elif isinstance(features, list | tuple):
        for each in features:
            yield from _tensors(each)
