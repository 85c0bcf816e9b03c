"""EncNet: 52,481,698 parameters with 3 input channels and 2 classes.

Paper: Zhang et al., "Context Encoding for Semantic Segmentation", arXiv 1803.08904. It stands for
the row EncNet of MiniSeg's Table III, whose counts tell the backbone, ResNet-101 at output stride
8, and that the lateral connections are off. The paper's second output, which classes are present,
needs a loss of its own (SE-loss) that the benchmark doesn't have, so its linear layer is left out;
the row counted it (1,026 parameters) although nothing used what it gave.

Left open by the paper: the codewords start within 1 / sqrt(32 * 512) of zero, the smoothing
factors between 0 and 1. The row's count tells a batch norm over the 32 encoders; they are averaged
behind it, which only scales the paper's sum. The weighed map is added to the map itself.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.backbones import resnet
from zoo.blocks import ConvBNAct, resize
from zoo.precision import no_autocast
from zoo.registry import register_model


class Encoding(nn.Module):
    """Residuals to learned codewords, summed over the map by soft assignment (section 3.1).

    Args:
        channels: Channels in.
        codewords: Codewords.
    """

    def __init__(self, channels: int, codewords: int) -> None:
        super().__init__()
        bound = (codewords * channels) ** -0.5
        self.codewords = nn.Parameter(torch.empty(codewords, channels).uniform_(-bound, bound))
        self.smoothing = nn.Parameter(torch.empty(codewords).uniform_(0, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Encoders `(N, codewords, channels)` in float32 of a map `(N, channels, H, W)`.

        Both sums over residuals are written out, so that no `(N, H * W, codewords, channels)` is
        ever formed; in float32, since they run over the whole map.
        """
        with no_autocast(x.device.type):
            points = x.float().flatten(2).mT
            squares = points.square().sum(2, keepdim=True) + self.codewords.square().sum(1)
            distances = squares - 2 * points @ self.codewords.T
            assigned = (-self.smoothing * distances).softmax(dim=2)
            return assigned.mT @ points - assigned.sum(1)[:, :, None] * self.codewords


class EncodingModule(nn.Module):
    """Adds to a map its own channels, weighed by what the encoding layer sees in it.

    Args:
        channels: Channels in, and out.
        codewords: Codewords of the encoding layer.
    """

    def __init__(self, channels: int, codewords: int) -> None:
        super().__init__()
        self.encode = nn.Sequential(
            ConvBNAct(channels, channels, 1),
            Encoding(channels, codewords),
            nn.BatchNorm1d(codewords),
            nn.ReLU(inplace=True),
        )
        self.weigh = nn.Sequential(nn.Linear(channels, channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same shape."""
        weights = self.weigh(self.encode(x).mean(1))
        return torch.relu(x + x * weights[:, :, None, None])


class EncNet(nn.Module):
    """ResNet-101 of output stride 8 under a context encoding module of 32 codewords.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained backbone, None for a random one.
    """

    def __init__(self, in_channels: int, num_classes: int, weights: str | None) -> None:
        super().__init__()
        self.encoder = resnet(101, in_channels, weights, output_stride=8)
        self.head = nn.Sequential(
            ConvBNAct(2048, 512),
            EncodingModule(512, 32),
            nn.Dropout(0.1),
            nn.Conv2d(512, num_classes, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits `(N, num_classes, H, W)`."""
        return resize(self.head(self.encoder(x)), (x.shape[-2], x.shape[-1]))


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
    notes="No lateral connections, no SE-loss: its linear layer would have no part in the logits.",
    published="The table's count, 52,482,724, holds the linear layer of the SE-loss as well (1,026 "
    "parameters), whose output was never used.",
)
def encnet(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """EncNet on ResNet-101 at output stride 8.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained backbone, None for a random one.

    Returns:
        The network.

    Raises:
        CovbenchError: The weights are unknown or can't be had.
    """
    return EncNet(in_channels, num_classes, weights)
