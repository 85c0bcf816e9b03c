"""FCN-8s as MiniSeg's Table III counts it: 15,904,066 parameters with 3 channels and 2 classes.

Paper: Long, Shelhamer, Darrell, "Fully Convolutional Networks for Semantic Segmentation",
arXiv 1411.4038. The paper fuses predictions of three scales of VGG16; the count of the table's row
tells another network under that name: the convolutions of VGG16 with batch norm, no skip
connection, 1/8 of the size kept to the end by a fourth pooling of stride 1 and dilation 2 behind
it, and a small head in place of the fully connected layers.
"""

from __future__ import annotations

from torch import Tensor, nn

from zoo.backbones import vgg16_scales
from zoo.blocks import ConvBNAct, resize
from zoo.registry import register_model


class VGGEncoder(nn.Module):
    """VGG16 at output stride 8.

    Args:
        in_channels: Channels of the image.
        weights: "imagenet" for pretrained convolutions, None for random ones.
    """

    def __init__(self, in_channels: int, weights: str | None) -> None:
        super().__init__()
        self.scales = vgg16_scales(in_channels, weights)
        for layer in self.scales[-1].children():
            if isinstance(layer, nn.Conv2d):
                layer.dilation = layer.padding = (2, 2)
        strides = (2, 2, 2, 1)
        self.pools = nn.ModuleList(nn.MaxPool2d(2, stride) for stride in strides)

    def forward(self, x: Tensor) -> Tensor:
        """The last map, 512 channels at an eighth of the size, one pixel smaller on each axis."""
        x = self.scales[0](x)
        for pool, scale in zip(self.pools, self.scales[1:], strict=True):
            x = scale(pool(x))
        return x


class FCN8s(nn.Module):
    """VGG16, one 3x3 convolution, logits enlarged from an eighth of the size."""

    def __init__(self, in_channels: int, num_classes: int, weights: str | None) -> None:
        super().__init__()
        self.encoder = VGGEncoder(in_channels, weights)
        self.head = nn.Sequential(
            ConvBNAct(512, 256, bias=True), nn.Dropout2d(0.1), nn.Conv2d(256, num_classes, 1)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        return resize(self.head(self.encoder(image)), (image.shape[-2], image.shape[-1]))


@register_model(
    "fcn8s",
    paper="Fully Convolutional Networks for Semantic Segmentation",
    reference="arXiv 1411.4038",
    year=2015,
    tags=("miniseg-table3",),
    rows=("miniseg-table3/FCN-8s",),
    params=15_904_066,
    macs=105_706_750_464,
    encoder="encoder",
    weights="torchvision VGG16_BN_Weights.IMAGENET1K_V1, BSD-3-Clause",
    notes="The row's network, not the paper's: no skip connections and no fully connected layers, "
    "as its count tells.",
)
def fcn8s(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """FCN-8s of the table: VGG16 with batch norm at output stride 8 and a small head."""
    return FCN8s(in_channels, num_classes, weights)
