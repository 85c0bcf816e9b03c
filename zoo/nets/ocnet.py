"""OCNet (Base-OC): 52,859,970 parameters with 3 input channels and 2 classes.

Paper: Yuan, Wang, "OCNet: Object Context Network for Scene Parsing", arXiv 1809.00916. It stands
for the row OCNet of MiniSeg's Table III, whose count tells a ResNet-101 at output stride 8, the
base module (neither the pyramid nor the ASPP form) and no auxiliary head.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.backbones import resnet
from zoo.blocks import ConvBNAct, resize
from zoo.registry import register_model

CHANNELS = 512
KEYS = 256


class ObjectContext(nn.Module):
    """Self-attention over all pixels, put beside the map itself.

    Queries and keys come from the same layer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.key = ConvBNAct(CHANNELS, KEYS, 1, bias=True)
        self.value = nn.Conv2d(CHANNELS, KEYS, 1)
        self.out = nn.Conv2d(KEYS, CHANNELS, 1)
        self.join = nn.Sequential(
            ConvBNAct(2 * CHANNELS, CHANNELS, 1, bias=True), nn.Dropout2d(0.05)
        )

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same shape."""
        keys = self.key(x).flatten(2)
        values = self.value(x).flatten(2).transpose(1, 2)
        shares = F.softmax(KEYS**-0.5 * (keys.transpose(1, 2) @ keys), dim=-1)
        context = (shares @ values).transpose(1, 2).unflatten(2, (x.shape[-2], x.shape[-1]))
        return self.join(torch.cat([self.out(context), x], dim=1))


class OCNet(nn.Module):
    """A ResNet-101 of output stride 8 and the object context module."""

    def __init__(self, in_channels: int, num_classes: int, weights: str | None) -> None:
        super().__init__()
        self.encoder = resnet(101, in_channels, weights, output_stride=8)
        self.head = nn.Sequential(
            ConvBNAct(2048, CHANNELS), ObjectContext(), nn.Conv2d(CHANNELS, num_classes, 1)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        return resize(self.head(self.encoder(image)), (image.shape[-2], image.shape[-1]))


@register_model(
    "ocnet",
    paper="OCNet: Object Context Network for Scene Parsing",
    reference="arXiv 1809.00916",
    year=2018,
    tags=("miniseg-table3",),
    rows=("miniseg-table3/OCNet",),
    params=52_859_970,
    macs=228_254_023_680,
    encoder="encoder",
    weights="torchvision ResNet101_Weights.IMAGENET1K_V1, BSD-3-Clause",
    published="The table's 220.69G computes the shared queries and keys twice.",
    notes="Its attention holds a map of all pairs of pixels at an eighth of the size.",
)
def ocnet(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """OCNet's base form on ResNet-101 at output stride 8."""
    return OCNet(in_channels, num_classes, weights)
