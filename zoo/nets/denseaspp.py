"""DenseASPP: 28,603,250 parameters with 3 input channels and 2 classes.

Paper: Yang et al., "DenseASPP for Semantic Segmentation in Street Scenes", CVPR 2018. It stands
for the row DenseASPP of MiniSeg's Table III, whose count tells a DenseNet-201 at output stride 8
(the second and third transition keep the size, the blocks behind them are dilated by 2 and 4) with
a transition behind the last block, and dense units without a batch norm at the start of the first.
"""

from __future__ import annotations

import re
from collections import OrderedDict

import torch
from torch import Tensor, nn

from zoo.backbones import refit_stem
from zoo.blocks import resize
from zoo.pretrained import imagenet_weights
from zoo.registry import register_model

RATES = (3, 6, 12, 18, 24)
FEATURES = 960
GROWTH = 240
INNER = 480


def densenet201(in_channels: int, weights: str | None) -> nn.Sequential:
    """Torchvision's DenseNet-201 at output stride 8, its last map halved in channels.

    Args:
        in_channels: Channels of the image.
        weights: "imagenet" for torchvision's weights, None for random ones; the last transition,
            which they don't have, is random in both cases.
    """
    from torchvision import models

    network = models.densenet201()
    if weights is not None:
        state = imagenet_weights(weights, models.DenseNet201_Weights.IMAGENET1K_V1)
        # The published file has the names of an older torchvision: norm.1 for norm1.
        named = {re.sub(r"\.(norm|conv)\.([12])\.", r".\1\2.", key): state[key] for key in state}
        network.load_state_dict(named)
    layers = OrderedDict(network.features.named_children())
    layers["conv0"] = refit_stem(layers["conv0"], in_channels, pretrained=weights is not None)
    for name, dilation in (("denseblock3", 2), ("denseblock4", 4)):
        for layer in layers[name].modules():
            if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3):
                layer.dilation = layer.padding = (dilation, dilation)
    for name in ("transition2", "transition3"):
        del layers[name].pool
    channels = layers.pop("norm5").num_features
    layers["transition4"] = nn.Sequential(
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, FEATURES, 1, bias=False),
        nn.BatchNorm2d(FEATURES),
    )
    return nn.Sequential(layers)


def dense_unit(in_channels: int, rate: int, *, normalise: bool) -> nn.Sequential:
    """ReLU, 1x1, batch norm, ReLU, dilated 3x3; a batch norm first if wanted."""
    layers: list[nn.Module] = [nn.BatchNorm2d(in_channels)] if normalise else []
    layers += [
        nn.ReLU(),
        nn.Conv2d(in_channels, INNER, 1),
        nn.BatchNorm2d(INNER),
        nn.ReLU(inplace=True),
        nn.Conv2d(INNER, GROWTH, 3, padding=rate, dilation=rate),
        nn.Dropout2d(0.1),
    ]
    return nn.Sequential(*layers)


class DenseASPP(nn.Module):
    """DenseNet-201 and five dilated units, each reading all maps before it."""

    def __init__(self, in_channels: int, num_classes: int, weights: str | None) -> None:
        super().__init__()
        self.encoder = densenet201(in_channels, weights)
        self.units = nn.ModuleList(
            dense_unit(FEATURES + index * GROWTH, rate, normalise=index > 0)
            for index, rate in enumerate(RATES)
        )
        self.head = nn.Sequential(
            nn.Dropout2d(0.1), nn.Conv2d(FEATURES + len(RATES) * GROWTH, num_classes, 1)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        x = self.encoder(image)
        for unit in self.units:
            x = torch.cat([unit(x), x], dim=1)
        return resize(self.head(x), (image.shape[-2], image.shape[-1]))


@register_model(
    "denseaspp",
    paper="DenseASPP for Semantic Segmentation in Street Scenes",
    reference="doi 10.1109/CVPR.2018.00388",
    year=2018,
    tags=("miniseg-table3",),
    rows=("miniseg-table3/DenseASPP",),
    params=28_603_250,
    macs=121_184_845_824,
    encoder="encoder",
    weights="torchvision DenseNet201_Weights.IMAGENET1K_V1, BSD-3-Clause",
)
def denseaspp(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """DenseASPP on DenseNet-201 at output stride 8."""
    return DenseASPP(in_channels, num_classes, weights)
