"""EncNet: 52,481,698 parameters with 3 input channels and 2 classes.

Paper: Zhang et al., "Context Encoding for Semantic Segmentation", arXiv 1803.08904. It stands for
the row EncNet of MiniSeg's Table III, whose count tells a ResNet-101 at output stride 8 without
lateral connections. The row counts 1,026 parameters more: the linear layer of the paper's semantic
encoding loss, whose output nothing uses; it is left out here.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.backbones import resnet
from zoo.blocks import ConvBNAct, resize
from zoo.precision import no_autocast
from zoo.registry import register_model

CHANNELS = 512
CODEWORDS = 32


class Encoding(nn.Module):
    """Residual encoding: how far the pixels lie from each codeword, by soft assignment (eq. 1).

    The distances are expanded into products, so that no map of pixels by codewords by channels is
    held; sums over pixels are taken in float32.

    Args:
        channels: Channels of the map.
        codewords: Number of codewords.
    """

    def __init__(self, channels: int, codewords: int) -> None:
        super().__init__()
        spread = (codewords * channels) ** -0.5
        self.codewords = nn.Parameter(torch.empty(codewords, channels).uniform_(-spread, spread))
        self.scale = nn.Parameter(torch.empty(codewords).uniform_(-1, 0))

    def forward(self, x: Tensor) -> Tensor:
        """Residuals `(N, codewords, channels)` of a map `(N, channels, H, W)`."""
        with no_autocast(x.device.type):
            pixels = x.float().flatten(2).transpose(1, 2)
            words, scale = self.codewords.float(), self.scale.float()
            products = pixels @ words.T
            lengths = pixels.square().sum(-1, keepdim=True) + words.square().sum(-1)
            shares = F.softmax(scale * (lengths - 2 * products), dim=-1)
            return shares.transpose(1, 2) @ pixels - shares.sum(1).unsqueeze(-1) * words


class EncodingHead(nn.Module):
    """Weighs the channels of a map by its encoding, and predicts."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.reduce = ConvBNAct(2048, CHANNELS)
        self.encode = nn.Sequential(ConvBNAct(CHANNELS, CHANNELS, 1), Encoding(CHANNELS, CODEWORDS))
        self.norm = nn.Sequential(nn.BatchNorm1d(CODEWORDS), nn.ReLU(inplace=True))
        self.gate = nn.Sequential(nn.Linear(CHANNELS, CHANNELS), nn.Sigmoid())
        self.act = nn.ReLU(inplace=True)
        self.predict = nn.Sequential(nn.Dropout(0.1), nn.Conv2d(CHANNELS, num_classes, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Logits at the size of the map."""
        x = self.reduce(x)
        encoded = self.norm(self.encode(x)).mean(dim=1)
        return self.predict(self.act(x + x * self.gate(encoded)[:, :, None, None]))


class EncNet(nn.Module):
    """A ResNet-101 of output stride 8 and the encoding head."""

    def __init__(self, in_channels: int, num_classes: int, weights: str | None) -> None:
        super().__init__()
        self.encoder = resnet(101, in_channels, weights, output_stride=8)
        self.head = EncodingHead(num_classes)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        return resize(self.head(self.encoder(image)), (image.shape[-2], image.shape[-1]))


@register_model(
    "encnet",
    paper="Context Encoding for Semantic Segmentation",
    reference="arXiv 1803.08904",
    year=2018,
    tags=("miniseg-table3",),
    rows=("miniseg-table3/EncNet",),
    params=52_481_698,
    macs=217_114_214_400,
    encoder="encoder",
    weights="torchvision ResNet101_Weights.IMAGENET1K_V1, BSD-3-Clause",
    published="The row counts 1,026 parameters of a layer for the paper's semantic encoding loss, "
    "whose output nothing uses; it is left out here.",
)
def encnet(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """EncNet on ResNet-101 at output stride 8, without the semantic encoding loss."""
    return EncNet(in_channels, num_classes, weights)
