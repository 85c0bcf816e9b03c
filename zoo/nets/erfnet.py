"""ERFNet: 2,063,086 parameters with 3 input channels and 2 classes.

Paper: Romera et al., "ERFNet: Efficient Residual Factorized ConvNet for Real-Time Semantic
Segmentation", IEEE T-ITS 19 (1), 2018, doi 10.1109/TITS.2017.2750080. Residual blocks in which
every 3x3 convolution is split into 3x1 and 1x3; 1/8 of the size at the deepest; a decoder of
transposed convolutions without skips.

What the paper leaves open: all convolutions have a bias; in a block, batch norm follows each pair
of convolutions; epsilon is 1e-3. Whole feature maps are dropped at the end of the encoder's blocks.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn import functional

from zoo.blocks import relu
from zoo.errors import CovbenchError
from zoo.joined_down import JoinedDown
from zoo.registry import register_model

EPS = 1e-3
INITIAL = 16
"""Channels of the first halving, the pooled image among them."""
DILATIONS = (2, 4, 8, 16)
"""Dilations of the blocks at 1/8, gone through twice."""


def factorised(channels: int, dilation: int) -> nn.Sequential:
    """A 3x1 convolution with ReLU and a 1x3 one with batch norm, both dilated."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, (3, 1), padding=(dilation, 0), dilation=(dilation, 1)),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels, (1, 3), padding=(0, dilation), dilation=(1, dilation)),
        nn.BatchNorm2d(channels, eps=EPS),
    )


class NonBottleneck1D(nn.Module):
    """Residual block of two factorised convolutions, the second dilated.

    Args:
        channels: Channels in and out.
        dilation: Dilation of the second pair.
        dropout: Rate at which feature maps are dropped before the addition.
    """

    def __init__(self, channels: int, dilation: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            factorised(channels, 1),
            nn.ReLU(inplace=True),
            factorised(channels, dilation),
            nn.Dropout2d(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same shape."""
        return functional.relu(x + self.branch(x))


def blocks(channels: int, dilations: Iterable[int], dropout: float = 0.0) -> nn.Sequential:
    """Residual blocks one behind the other, one for each dilation."""
    return nn.Sequential(*(NonBottleneck1D(channels, d, dropout) for d in dilations))


def down(in_channels: int, out_channels: int) -> JoinedDown:
    """Half the size: strided convolution and max-pooling joined."""
    return JoinedDown(in_channels, out_channels, act=relu, bias=True, eps=EPS)


def up(in_channels: int, out_channels: int) -> nn.Sequential:
    """Twice the size: transposed 3x3 convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1),
        nn.BatchNorm2d(out_channels, eps=EPS),
        nn.ReLU(inplace=True),
    )


class ERFNet(nn.Module):
    """ERFNet; height and width of the image must be multiples of 8.

    Args:
        in_channels: Channels of the image, at most 15.
        num_classes: Channels of the logits.

    Raises:
        CovbenchError: The image has more channels than the first halving has room for.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        if in_channels >= INITIAL:
            raise CovbenchError(
                f"erfnet can't take {in_channels} channels.",
                f"Its first halving has {INITIAL}, the image among them: give it fewer.",
            )
        self.encoder = nn.Sequential(
            down(in_channels, INITIAL),
            down(INITIAL, 64),
            blocks(64, (1,) * 5, dropout=0.03),
            down(64, 128),
            blocks(128, DILATIONS * 2, dropout=0.3),
        )
        self.decoder = nn.Sequential(
            up(128, 64), blocks(64, (1, 1)), up(64, INITIAL), blocks(INITIAL, (1, 1))
        )
        self.head = nn.ConvTranspose2d(INITIAL, num_classes, 2, stride=2)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        return self.head(self.decoder(self.encoder(image)))


@register_model(
    "erfnet",
    paper="ERFNet: Efficient Residual Factorized ConvNet for Real-Time Semantic Segmentation",
    reference="doi 10.1109/TITS.2017.2750080",
    year=2018,
    tags=("modern", "lightweight"),
    params=2_063_086,
    macs=13_230_866_432,
    encoder="encoder",
    divisor=8,
    notes="Written from the paper. Feature maps are dropped in the encoder's blocks while "
    "training, at a rate of 0.03 at 1/4 of the size and 0.3 at 1/8. An image of other than 3 "
    "channels changes the first convolution, so that the block keeps its 16.",
    published="Later papers print 2.06M or 2.1M for it; with the 19 classes of Cityscapes this "
    "network has 2,064,191.",
)
def erfnet(in_channels: int, num_classes: int) -> nn.Module:
    """ERFNet, as in IEEE T-ITS 2018."""
    return ERFNet(in_channels, num_classes)
