"""DeepLabv3: 39,633,986 parameters with 3 input channels and 2 classes.

Paper: Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation",
arXiv 1706.05587. It stands for the row DeepLabv3 of MiniSeg's Table III, whose count tells the
backbone: ResNet-50 (ResNet-101 would give 58.6 million) at output stride 8, without an auxiliary
head. The backbone is torchvision's; the paper's multi-grid rates are not in it.
"""

from __future__ import annotations

from torch import Tensor, nn

from zoo.aspp import ASPP
from zoo.backbones import resnet
from zoo.blocks import ConvBNAct, resize
from zoo.registry import register_model


class DeepLabV3(nn.Module):
    """A ResNet-50 of output stride 8, ASPP of rates 12, 24 and 36, and one 3x3 convolution.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained backbone, None for a random one.
    """

    def __init__(self, in_channels: int, num_classes: int, weights: str | None) -> None:
        super().__init__()
        self.encoder = resnet(50, in_channels, weights, output_stride=8)
        self.head = nn.Sequential(
            ASPP(2048, 256, (12, 24, 36)),
            ConvBNAct(256, 256),
            nn.Dropout(0.1),
            nn.Conv2d(256, num_classes, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits `(N, num_classes, H, W)`."""
        return resize(self.head(self.encoder(x)), (x.shape[-2], x.shape[-1]))


@register_model(
    "deeplabv3",
    paper="Rethinking Atrous Convolution for Semantic Image Segmentation",
    reference="arXiv 1706.05587",
    year=2017,
    tags=("demo", "miniseg-table3"),
    rows=("miniseg-table3/DeepLabv3",),
    params=39_633_986,
    macs=163_559_505_920,
    encoder="encoder",
    weights="torchvision ResNet50_Weights.IMAGENET1K_V1, BSD-3-Clause",
    batch1=False,
    notes="No auxiliary head, no multi-grid rates.",
)
def deeplabv3(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """DeepLabv3 on ResNet-50 at output stride 8.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained backbone, None for a random one.

    Returns:
        The network.

    Raises:
        CovbenchError: The weights are unknown or can't be had.
    """
    return DeepLabV3(in_channels, num_classes, weights)
