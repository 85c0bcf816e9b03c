"""MiniSeg's decoder on any encoder of segmentation-models-pytorch (SMP) or timm: an open pattern.

`miniseg-decoder:<encoder>`, such as `miniseg-decoder:resnet34` or
`miniseg-decoder:tu-convnext_tiny`, with random weights or `[weights=imagenet]`. The decoder is
that of arXiv 2004.09750v1 with one head, as Table III has it on the five networks `*-miniseg`.
No table row stands for these.

It takes the encoder's maps from half or a quarter of the image's size, whichever is the first, to
a 32nd, as wide as they are. Encoders that give their channels last are turned; those that take
images of one size alone, or that give one scale alone, are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from zoo.cards import Card
from zoo.encoders import build_on, encoder_name, reason, smp, trains_on_one_image
from zoo.errors import CovbenchError
from zoo.miniseg_encoders import MiniSegOn
from zoo.registry import register_pattern

_PREFIX = "miniseg-decoder:"
_FORM = f"{_PREFIX}<encoder>"
_MIN_SIZE = 64
"""At 32 the deepest map is one pixel, too little for batch norm to train on a batch of one."""


class MiniSegOnLibrary(MiniSegOn):
    """An encoder of SMP, MiniSeg's decoder and one head; arguments as those of `MiniSegOn`."""

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Logits of the image's size."""
        height, width = image.shape[-2:]
        return self.decoder(_scales(self.encoder(image)), (height, width))


def _scales(maps: Sequence[Tensor]) -> list[Tensor]:
    """The maps that the decoder takes: neither the one of full size nor an empty stand-in."""
    return [each for each in maps[1:] if each.shape[1]]


@register_pattern(_PREFIX, _FORM)
def card(name: str) -> Card:
    """The card of MiniSeg's decoder on any encoder.

    Args:
        name: `miniseg-decoder:<encoder>`.

    Returns:
        The card, under SMP's name of the encoder: `convnext_tiny` of timm is `tu-convnext_tiny`.

    Raises:
        CovbenchError: There is no such encoder.
    """
    encoder = name.removeprefix(_PREFIX)
    if not encoder:
        raise CovbenchError(f"{name!r} is not of the form {_FORM}.", f"Such as {_PREFIX}resnet34.")
    encoder = encoder_name(encoder)
    return Card(
        name=f"{_PREFIX}{encoder}",
        builder=partial(_build, encoder),
        paper="MiniSeg: An Extremely Minimum Network for Efficient COVID-19 Segmentation",
        reference="arXiv 2004.09750v1",
        year=2020,
        encoder="encoder",
        weights="those that SMP or timm offers for the encoder, under their licences",
        divisor=32,
        min_size=_MIN_SIZE,
        batch1=trains_on_one_image(encoder),
        notes="The decoder of that paper, with one head; the encoder is that of the name.",
        source="pattern",
        module=__name__,
    )


def _build(
    encoder: str, in_channels: int, num_classes: int, *, weights: str | None = None
) -> nn.Module:
    """Build one network.

    Args:
        encoder: SMP's name of the encoder.
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: Pretrained weights of the encoder, such as "imagenet".

    Returns:
        The network.

    Raises:
        CovbenchError: There are no such weights, or the encoder does not suit.
        WeightsUnavailable: The weights can't be fetched.
    """
    channels = _channels(encoder)

    def make(weights: str | None, **options: bool) -> nn.Module:
        made = _encoder(encoder, in_channels, weights, **options)
        return MiniSegOnLibrary(made, channels, num_classes)

    return build_on(encoder, weights, "MiniSeg's decoder", make)


def _encoder(encoder: str, in_channels: int, weights: str | None, **options: bool) -> Any:
    """An encoder of SMP with maps down to a 32nd of the size."""
    # Of timm's weights the library wants to be told whether, of its own which.
    which = weights is not None or None if encoder.startswith("tu-") else weights
    make = smp().encoders.get_encoder
    return make(encoder, in_channels=in_channels, depth=5, weights=which, **options)


@cache
def _channels(encoder: str) -> tuple[int, ...]:
    """Channels of the maps that the decoder takes, shallowest first.

    They are followed on the meta device, through an image whose sides have little in common, so
    that what takes one size alone is found out before any training.
    """
    with torch.device("meta"), torch.no_grad():
        make = partial(_encoder, encoder, 3)
        probe: Any = build_on(encoder, None, "MiniSeg's decoder", make).eval()
        try:
            maps = _scales(probe(torch.empty(1, 3, _MIN_SIZE, 160)))
        except Exception as error:
            raise CovbenchError(
                f"{encoder} does not take images of any size: {reason(error)}.",
                "Choose another encoder.",
            ) from error
    channels = tuple(each.shape[1] for each in maps)
    stated = tuple(each for each in probe.out_channels[1:] if each)
    if channels != stated or len(channels) < 2:
        raise CovbenchError(
            f"{encoder} gives maps of {channels} channels and states {stated}.",
            "Choose another encoder.",
        )
    return channels
