"""DeepLabv3: 39,633,986 parameters with 3 input channels and 2 classes.

Paper: Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation",
arXiv 1706.05587. It stands for the row DeepLabv3 of MiniSeg's Table III, whose count tells the
backbone: ResNet-50 (ResNet-101 would give 58.6 million) at output stride 8, without an auxiliary
head. The backbone is torchvision's; the paper's multi-grid rates are not in it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.blocks import ConvBNAct, resize
from zoo.pretrained import fit_channels, imagenet_weights
from zoo.registry import register_model


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling with the image's own mean as one more branch.

    Args:
        in_channels: Channels in.
        channels: Channels of every branch, and out.
        rates: Dilations of the 3x3 branches.
    """

    def __init__(self, in_channels: int, channels: int, rates: Sequence[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                ConvBNAct(in_channels, channels, 1),
                *(ConvBNAct(in_channels, channels, dilation=rate) for rate in rates),
            ]
        )
        self.image = ConvBNAct(in_channels, channels, 1)
        self.project = nn.Sequential(
            ConvBNAct((len(rates) + 2) * channels, channels, 1), nn.Dropout(0.5)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(N, channels, H, W)` at the size of `x`."""
        image = self.image(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[-2:])
        return self.project(torch.cat([*(branch(x) for branch in self.branches), image], dim=1))


class DeepLabV3(nn.Module):
    """A ResNet-50 of output stride 8, ASPP of rates 12, 24 and 36, and one 3x3 convolution.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained backbone, None for a random one.
    """

    def __init__(self, in_channels: int, num_classes: int, weights: str | None) -> None:
        super().__init__()
        self.backbone = _resnet50(in_channels, weights)
        self.head = nn.Sequential(
            ASPP(2048, 256, (12, 24, 36)),
            ConvBNAct(256, 256),
            nn.Dropout(0.1),
            nn.Conv2d(256, num_classes, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits `(N, num_classes, H, W)`."""
        return resize(self.head(self.backbone(x)), (x.shape[-2], x.shape[-1]))


def _resnet50(in_channels: int, weights: str | None) -> nn.Sequential:
    """The ResNet-50 of torchvision without its pooling and classifier, at output stride 8."""
    from torchvision.models import ResNet50_Weights, resnet50

    network = resnet50(replace_stride_with_dilation=[False, True, True])
    if in_channels != 3:
        network.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
    if weights is not None:
        state = imagenet_weights(weights, ResNet50_Weights.IMAGENET1K_V1)
        state["conv1.weight"] = fit_channels(state["conv1.weight"], in_channels)
        network.load_state_dict(state)
    kept = [(k, child) for k, child in network.named_children() if k not in ("avgpool", "fc")]
    return nn.Sequential(OrderedDict(kept))


@register_model(
    "deeplabv3",
    paper="Rethinking Atrous Convolution for Semantic Image Segmentation",
    reference="arXiv 1706.05587",
    year=2017,
    tags=("demo", "miniseg-table3"),
    row="miniseg-table3/DeepLabv3",
    params=39_633_986,
    batch1=False,
    notes="weights=imagenet takes torchvision's IMAGENET1K_V1; the published row started from "
    "ImageNet. No auxiliary head, no multi-grid rates.",
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
