"""FCN-8s: 15,904,066 parameters with 3 input channels and 2 classes.

Paper: Long, Shelhamer, Darrell, "Fully Convolutional Networks for Semantic Segmentation", arXiv
1411.4038. It stands for the row FCN-8s of MiniSeg's Table III. What that row's count meets shares
the name's stride of 8 and little else of the paper's network: VGG16 with batch normalisation, its
fourth pooling of stride 1 and its last scale dilated instead; neither the paper's fc6 and fc7 (as
convolutions they alone would be 119.5 million parameters) nor its skip connections from pool3 and
pool4; one 3x3 convolution as the head, and logits resized from 1/8.
"""

from __future__ import annotations

from torch import Tensor, nn

from zoo.backbones import vgg16_scales
from zoo.blocks import ConvBNAct, resize
from zoo.registry import register_model


class DilatedVGG16(nn.Module):
    """VGG16 with batch normalisation at output stride 8.

    Args:
        in_channels: Channels of the image.
        weights: "imagenet" for pretrained convolutions, None for random ones.
    """

    def __init__(self, in_channels: int, weights: str | None) -> None:
        super().__init__()
        self.scales = vgg16_scales(in_channels, weights)
        for layer in self.scales[4].modules():
            if isinstance(layer, nn.Conv2d):
                layer.dilation = layer.padding = (2, 2)
        # Without padding, the fourth takes one pixel off each side's length.
        self.pools = nn.ModuleList([*(nn.MaxPool2d(2) for _ in range(3)), nn.MaxPool2d(2, 1)])

    def forward(self, x: Tensor) -> Tensor:
        """The map of 512 channels, `(H // 8 - 1, W // 8 - 1)`."""
        x = self.scales[0](x)
        for pool, scale in zip(self.pools, self.scales[1:], strict=True):
            x = scale(pool(x))
        return x


class FCN8s(nn.Module):
    """A dilated VGG16 and one 3x3 convolution.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained encoder, None for a random one.
    """

    def __init__(self, in_channels: int, num_classes: int, weights: str | None) -> None:
        super().__init__()
        self.encoder = DilatedVGG16(in_channels, weights)
        self.head = nn.Sequential(
            ConvBNAct(512, 256, bias=True), nn.Dropout2d(0.1), nn.Conv2d(256, num_classes, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits `(N, num_classes, H, W)`."""
        return resize(self.head(self.encoder(x)), (x.shape[-2], x.shape[-1]))


@register_model(
    "fcn8s",
    paper="Fully Convolutional Networks for Semantic Segmentation",
    reference="arXiv 1411.4038",
    year=2014,
    tags=("miniseg-table3",),
    rows=("miniseg-table3/FCN-8s",),
    params=15_904_066,
    macs=105_706_750_464,
    encoder="encoder",
    weights="torchvision VGG16_BN_Weights.IMAGENET1K_V1, BSD-3-Clause",
    notes="As the table's count tells, a dilated VGG16 with batch normalisation at output stride "
    "8, without the paper's fc6 and fc7 and without its skip connections.",
)
def fcn8s(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """FCN on a VGG16 of output stride 8.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained encoder, None for a random one.

    Returns:
        The network.

    Raises:
        CovbenchError: The weights are unknown or can't be had.
    """
    return FCN8s(in_channels, num_classes, weights)
