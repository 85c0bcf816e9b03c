"""Inf-Net with Res2Net-50 as encoder: 31,073,648 parameters with 3 input channels and 2 classes.

Paper: Fan et al., "Inf-Net: Automatic COVID-19 Lung Infection Segmentation from CT Images", arXiv
2004.14133. It stands for the row Inf-Net+Res2Net of CHS-Net's Table 3, which prints 33 million and
nothing else of the network. The semi-supervised training of the paper is not part of it.

A partial decoder joins the three deep maps into a global map of logits; from 1/32 to 1/8 of the
size, each reverse attention looks where the logits so far find nothing and corrects them, helped by
edge features of the map at 1/4. All four maps are trained, the last one predicts.

What the paper leaves open: the receptive field blocks and the partial decoder are those of
"Cascaded Partial Decoder for Fast and Accurate Salient Object Detection", arXiv 1904.08739, which
it cites, 32 channels wide; reverse attention has 256 channels and 5x5 convolutions at 1/32, 64
channels and 3x3 ones above. These widths give the row's total, with Res2Net's unused classifier.
The encoder is timm's res2net50d, the Res2Net-50 v1b that the authors used (three 3x3 convolutions
in the stem, average pooling in the shortcuts).

Two things differ by design. The reverse attention of the paper is one minus the sigmoid of a single
logit; here it is the probability of background, which for one logit is the same and for several
classes the softmax of class 0. The paper also trains an edge map on the mask's outline; networks
here are trained on the mask alone, hence the edge features have no map of their own and learn
through the reverse attention.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.blocks import ConvBNAct, resize
from zoo.pretrained import fit_channels, timm_weights
from zoo.registry import register_model

CHANNELS = (256, 512, 1024, 2048)
"""Channels of the encoder's maps at 1/4, 1/8, 1/16 and 1/32 of the size."""

WIDTH = 32
"""Channels of the receptive field blocks."""

EDGE = 64
"""Channels of the edge features."""


def size_of(x: Tensor) -> tuple[int, int]:
    """Height and width of a map."""
    return x.shape[-2], x.shape[-1]


def res2net50(in_channels: int, weights: str | None) -> nn.Module:
    """Res2Net-50 v1b as an encoder.

    Args:
        in_channels: Channels of the image.
        weights: "imagenet" for timm's ImageNet weights, None for random ones.

    Returns:
        The encoder; it gives the list of maps that `CHANNELS` describes.

    Raises:
        CovbenchError: The weights are unknown or can't be had.
    """
    import timm

    encoder: nn.Module = timm.create_model(
        "res2net50d", features_only=True, out_indices=(1, 2, 3, 4), in_chans=in_channels
    )
    if weights is not None:
        state = timm_weights(weights, "res2net50d.in1k")
        state = {name: each for name, each in state.items() if not name.startswith("fc.")}
        state["conv1.0.weight"] = fit_channels(state["conv1.0.weight"], in_channels)
        encoder.load_state_dict(state)
    return encoder


def plain(in_channels: int, channels: int, kernel: int | tuple[int, int] = 3) -> ConvBNAct:
    """Convolution and batch norm without activation."""
    return ConvBNAct(in_channels, channels, kernel, act=None)


class ReceptiveField(nn.Module):
    """Branches that see 1, 3, 5 and 7 pixels and as much dilation, joined and added to the input.

    Args:
        in_channels: Channels in; `WIDTH` come out.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList([plain(in_channels, WIDTH, 1)])
        for reach in (3, 5, 7):
            self.branches.append(
                nn.Sequential(
                    plain(in_channels, WIDTH, 1),
                    plain(WIDTH, WIDTH, (1, reach)),
                    plain(WIDTH, WIDTH, (reach, 1)),
                    ConvBNAct(WIDTH, WIDTH, dilation=reach, act=None),
                )
            )
        self.join = plain(len(self.branches) * WIDTH, WIDTH)
        self.shortcut = plain(in_channels, WIDTH, 1)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(N, WIDTH, H, W)`."""
        joined = self.join(torch.cat([branch(x) for branch in self.branches], dim=1))
        return self.act(joined + self.shortcut(x))


class PartialDecoder(nn.Module):
    """Joins three deep maps: the shallower ones weighed by the deeper ones, then concatenated."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.weigh_middle = plain(WIDTH, WIDTH)
        self.weigh_shallow = nn.ModuleList(plain(WIDTH, WIDTH) for _ in range(2))
        self.up_deep = plain(WIDTH, WIDTH)
        self.join_middle = plain(2 * WIDTH, 2 * WIDTH)
        self.up_middle = plain(2 * WIDTH, 2 * WIDTH)
        self.join_shallow = plain(3 * WIDTH, 3 * WIDTH)
        self.head = nn.Sequential(plain(3 * WIDTH, 3 * WIDTH), nn.Conv2d(3 * WIDTH, num_classes, 1))

    def forward(self, shallow: Tensor, middle: Tensor, deep: Tensor) -> Tensor:
        """Logits of the size of the shallowest map."""
        deep2 = resize(deep, size_of(middle))
        deep4, middle2 = resize(deep, size_of(shallow)), resize(middle, size_of(shallow))
        of_deep, of_middle = self.weigh_shallow
        shallow = of_deep(deep4) * of_middle(middle2) * shallow
        middle = self.weigh_middle(deep2) * middle
        middle = self.join_middle(torch.cat([middle, self.up_deep(deep2)], dim=1))
        above = self.up_middle(resize(middle, size_of(shallow)))
        return self.head(self.join_shallow(torch.cat([shallow, above], dim=1)))


class ReverseAttention(nn.Module):
    """Corrects logits by what the encoder sees where they find background (equations 1 and 2).

    Args:
        in_channels: Channels of the encoder's map.
        width: Channels of its convolutions.
        kernels: Their kernel sizes; the last one gives the logits.
        num_classes: Channels of the logits.
    """

    def __init__(
        self, in_channels: int, width: int, kernels: Sequence[int], num_classes: int
    ) -> None:
        super().__init__()
        self.reduce = ConvBNAct(in_channels, width, 1)
        first, *middle, last = kernels
        self.convs = nn.Sequential(
            ConvBNAct(width + EDGE, width, first),
            *(ConvBNAct(width, width, kernel) for kernel in middle),
            nn.Conv2d(width, num_classes, last, padding=last // 2),
        )

    def forward(self, encoded: Tensor, edge: Tensor, logits: Tensor) -> Tensor:
        """Logits of the size of the encoder's map."""
        size = size_of(encoded)
        logits = resize(logits, size)
        seen = torch.cat([self.reduce(encoded), resize(edge, size)], dim=1)
        return logits + self.convs(seen * background(logits))


def background(logits: Tensor) -> Tensor:
    """The probability `(N, 1, H, W)` that a pixel is of no class but background."""
    if logits.shape[1] == 1:
        return torch.sigmoid(-logits)
    return torch.softmax(logits, dim=1)[:, :1]


class InfNet(nn.Module):
    """Partial decoder and three reverse attentions on a Res2Net-50.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained encoder, None for a random one.
    """

    def __init__(self, in_channels: int, num_classes: int, weights: str | None) -> None:
        super().__init__()
        self.encoder = res2net50(in_channels, weights)
        self.edge = nn.Sequential(
            ConvBNAct(CHANNELS[0], EDGE, 1), ConvBNAct(EDGE, EDGE), ConvBNAct(EDGE, EDGE)
        )
        self.fields = nn.ModuleList(ReceptiveField(channels) for channels in CHANNELS[1:])
        self.decoder = PartialDecoder(num_classes)
        # From the deepest map up.
        self.reverse = nn.ModuleList(
            ReverseAttention(channels, width, kernels, num_classes)
            for channels, width, kernels in (
                (2048, 256, (5, 5, 5, 1)),
                (1024, 64, (3, 3, 3)),
                (512, 64, (3, 3, 3)),
            )
        )

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Logits of the image's size; in training those of the deeper maps behind them."""
        low, *high = self.encoder(image)
        edge = self.edge(low)
        fields = [field(x) for field, x in zip(self.fields, high, strict=True)]
        outputs = [self.decoder(*fields)]
        for reverse, encoded in zip(self.reverse, reversed(high), strict=True):
            outputs.append(reverse(encoded, edge, outputs[-1]))
        size = size_of(image)
        if self.training:
            return tuple(resize(each, size) for each in reversed(outputs))
        return resize(outputs[-1], size)


@register_model(
    "infnet-res2net50",
    paper="Inf-Net: Automatic COVID-19 Lung Infection Segmentation from CT Images",
    reference="arXiv 2004.14133",
    year=2020,
    tags=("chsnet-table3",),
    rows=("chsnet-table3/Inf-Net+Res2Net",),
    params=31_073_648,
    macs=29_282_271_232,
    encoder="encoder",
    weights="timm res2net50d.in1k; timm states no licence for them",
    min_size=64,
    notes="Four maps are trained on the mask. The paper also trains an edge map on the mask's "
    "outline; here the edge features learn through the reverse attention alone. Reverse attention "
    "weighs by the probability of background, for one logit as in the paper. Under 33 pixels the "
    "deepest map is one pixel, too little for batch normalisation to train on a batch of one.",
    published="CHS-Net prints 33M: 33,121,717 with one class, the edge map's layer (577) and the "
    "encoder's unused ImageNet classifier (2,049,000), both left out here.",
)
def infnet_res2net50(
    in_channels: int, num_classes: int, *, weights: str | None = None
) -> nn.Module:
    """Inf-Net on Res2Net-50 v1b.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained encoder, None for a random one.

    Returns:
        The network.

    Raises:
        CovbenchError: The weights are unknown or can't be had.
    """
    return InfNet(in_channels, num_classes, weights)
