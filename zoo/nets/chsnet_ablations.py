"""The ablation of CHS-Net, arXiv 2012.07079: Tables 4 and 5, one network for each row.

Parameters with 3 input channels and 2 classes, and with 1 and 1:

    chsnet-bu (BU) 3,032,322 and 3,031,941; chsnet-bu-rib (BU+RIB) 3,097,469 and 3,097,148;
    chsnet-bu-rib-hp (BU+RIB+HP) 3,506,178 and 3,505,849. The row BU+RIB+HP+SSD is raiunet.

Table 4 segments the infection directly; in Table 5 one network finds the lungs and a second one of
the same kind the infection inside them. Neither prints a size; the widths are those of raiunet.
What the paper leaves open, and the choice made:

- BU is a plain U-Net: two 3x3 convolutions with bias and ReLU a level, max pooling, transposed
  2x2 convolutions, joined skips. No batch norm, which the U-Net paper does not have; `norm=True`
  puts one behind every convolution. The weights start by He's rule, as that paper's do.
- BU+RIB. Equation 3 puts hybrid pooling into the block that this row adds, though the next row is
  the one that adds it. Here all of it is left to the next row, and the block has max pooling and a
  1x1 convolution. `inception_pooling="hybrid"` puts it there, as the authors' other code does
  (3,437,878).
- BU+RIB+HP: hybrid pooling inside the blocks and between the levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from zoo.blocks import ConvBNAct, resize
from zoo.nets.raiunet import WIDTHS, Pooling, parse_widths, raiunet
from zoo.registry import register_model

PAPER: dict[str, Any] = {
    "paper": "CHS-Net: A Deep learning approach for hierarchical segmentation of COVID-19 infected "
    "CT images",
    "reference": "arXiv 2012.07079",
    "year": 2020,
    "tags": ("chsnet-table4", "chsnet-table5"),
}
"""What the cards have in common."""


def _level(in_channels: int, out_channels: int, norm: bool) -> nn.Sequential:
    """Two 3x3 convolutions, each with a ReLU."""
    layers: list[nn.Module] = []
    for channels in (in_channels, out_channels):
        if norm:
            layers += ConvBNAct(channels, out_channels, bias=True)
        else:
            layers += [nn.Conv2d(channels, out_channels, 3, padding=1), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class BaseUNet(nn.Module):
    """The baseline U-Net (BU); its options are those of `chsnet_bu`."""

    def __init__(
        self, in_channels: int, num_classes: int, widths: Sequence[int], norm: bool
    ) -> None:
        super().__init__()
        levels = list(pairwise(widths))
        self.encoder = nn.ModuleList(
            _level(shallow, deep, norm) for shallow, deep in pairwise((in_channels, *widths))
        )
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(deep, shallow, 2, stride=2) for shallow, deep in levels
        )
        self.decoder = nn.ModuleList(_level(2 * shallow, shallow, norm) for shallow, _ in levels)
        self.head = nn.Conv2d(widths[0], num_classes, 1)
        # Without normalisation torch's own start lets the maps fade away from layer to layer.
        for module in (*self.encoder.modules(), *self.decoder.modules()):
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Logits `(N, num_classes, H, W)`."""
        first, *deeper = self.encoder
        maps = [first(x)]
        for encode in deeper:
            maps.append(encode(self.pool(maps[-1])))
        x = maps.pop()
        for up, decode in zip(reversed(self.up), reversed(self.decoder), strict=True):
            skip = maps.pop()
            x = resize(up(x), (skip.shape[-2], skip.shape[-1]))
            x = decode(torch.cat((skip, x), dim=1))
        return self.head(x)


@register_model(
    "chsnet-bu",
    **PAPER,
    rows=("chsnet-table4/BU",),
    params=3_032_322,
    macs=18_921_553_920,
    notes="A plain U-Net without batch norm (norm=true for one behind every convolution), as wide "
    "as raiunet. The U-Net paper's widths are widths=64-128-256-512-1024.",
)
def chsnet_bu(
    in_channels: int,
    num_classes: int,
    *,
    widths: str = WIDTHS,
    norm: bool = False,
) -> nn.Module:
    """The baseline U-Net, BU.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        widths: Channels of every level, from the full resolution down, joined by hyphens; at
            least two levels.
        norm: Whether a batch norm stands behind every 3x3 convolution.
    """
    return BaseUNet(in_channels, num_classes, parse_widths(widths), norm)


@register_model(
    "chsnet-bu-rib",
    **PAPER,
    rows=("chsnet-table4/BU+RIB",),
    params=3_097_469,
    macs=20_001_226_752,
    notes="raiunet with plain skips and max pooling, between the levels and inside the blocks. By "
    "equation 3 the block has hybrid pooling inside (inception_pooling=hybrid, as the authors' "
    "other code has it), but hybrid pooling is what the next row adds.",
)
def chsnet_bu_rib(
    in_channels: int, num_classes: int, *, inception_pooling: Pooling = "max"
) -> nn.Module:
    """The baseline of residual inception blocks, BU+RIB.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        inception_pooling: "max" or "hybrid", inside the inception blocks.
    """
    return raiunet(
        in_channels,
        num_classes,
        attention="none",
        pooling="max",
        inception_pooling=inception_pooling,
    )


@register_model(
    "chsnet-bu-rib-hp",
    **PAPER,
    rows=("chsnet-table4/BU+RIB+HP",),
    params=3_506_178,
    macs=24_276_533_248,
    notes="raiunet with plain skips.",
)
def chsnet_bu_rib_hp(in_channels: int, num_classes: int) -> nn.Module:
    """The baseline of residual inception blocks with hybrid pooling, BU+RIB+HP."""
    return raiunet(in_channels, num_classes, attention="none")
