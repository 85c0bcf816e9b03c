"""Building blocks that many networks share."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

Activation = Callable[[int], nn.Module]


def relu(channels: int) -> nn.Module:
    """A ReLU; takes the number of channels as every other `Activation` does."""
    return nn.ReLU(inplace=True)


class ConvBNAct(nn.Sequential):
    """Convolution, batch normalisation, activation; keeps the size up to the stride.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        kernel: Kernel size, odd, for both axes or for each.
        stride: Stride of the convolution.
        dilation: Dilation of the convolution.
        groups: Groups of the convolution; `in_channels` makes it depthwise.
        bias: Whether the convolution has a bias.
        act: Builds the activation from the number of channels (`relu`, `nn.PReLU`); None for
            none.
        eps: Epsilon of the batch normalisation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | tuple[int, int] = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
        act: Activation | None = relu,
        eps: float = 1e-5,
    ) -> None:
        rows, columns = (kernel, kernel) if isinstance(kernel, int) else kernel
        layers: list[nn.Module] = [
            nn.Conv2d(
                in_channels,
                out_channels,
                (rows, columns),
                stride=stride,
                padding=(dilation * (rows // 2), dilation * (columns // 2)),
                dilation=dilation,
                groups=groups,
                bias=bias,
            ),
            nn.BatchNorm2d(out_channels, eps=eps),
        ]
        if act is not None:
            layers.append(act(out_channels))
        super().__init__(*layers)


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Feature maps or logits `(N, C, h, w)` at another height and width.

    Args:
        x: The maps.
        size: Height and width wanted.

    Returns:
        `(N, C, *size)`, bilinear without aligned corners; `x` itself where the size is right.
    """
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)
