"""VM-UNet: 27,427,586 parameters with 3 input channels and 2 classes.

Paper: Ruan et al., "VM-UNet: Vision Mamba UNet for Medical Image Segmentation", arXiv 2402.02491.
A U-Net of visual state space (VSS) blocks: patches of 4x4, patch merging between four encoder
stages of 2, 2, 2 and 2 blocks, patch expanding between four decoder stages of 2, 2, 2 and 1, skips
that are added. A block scans the map in four directions, along rows and along columns, forth and
back, by the selective scan of Mamba with 16 states a channel.

As the released code has it, a skip joins in front of the expanding, where it meets the input of an
encoder stage, so that nothing joins at the first scale; and every other value that the paper does
not print is that of VMamba (arXiv 2401.10166): channels doubled inside a block, a rank of a
sixteenth of its channels for the step, initial steps between 0.001 and 0.1.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.precision import no_autocast
from zoo.registry import register_model
from zoo.selective_scan import selective_scan

STATES = 16
"""Numbers in the state of a channel."""

DIRECTIONS = 4
STEPS = (0.001, 0.1)
"""The range of the size of a step at first."""


class Scan2d(nn.Module):
    """The 2-D selective scan (SS2D): a map read as four sequences, their outputs summed.

    Args:
        channels: Channels in and out.
        rank: Rank of the map from channels to step sizes.
    """

    def __init__(self, channels: int, rank: int) -> None:
        super().__init__()
        self.split = (rank, STATES, STATES)
        bound = channels**-0.5
        self.project = nn.Parameter(
            torch.empty(DIRECTIONS, channels, sum(self.split)).uniform_(-bound, bound)
        )
        self.step = nn.Parameter(
            torch.empty(DIRECTIONS, rank, channels).uniform_(-(rank**-0.5), rank**-0.5)
        )
        least, most = (math.log(each) for each in STEPS)
        steps = torch.empty(DIRECTIONS, 1, channels).uniform_(least, most).exp()
        # What softplus turns into those steps.
        self.bias = nn.Parameter(steps + torch.log(-torch.expm1(-steps)))
        rates = torch.arange(1.0, STATES + 1).expand(DIRECTIONS, channels, STATES)
        self.log_rate = nn.Parameter(rates.log().contiguous())
        self.through = nn.Parameter(torch.ones(DIRECTIONS, 1, channels))

    def forward(self, x: Tensor) -> Tensor:
        """A map `(N, H, W, C)` of the same shape, in float32 or better."""
        height, width = x.shape[1:3]
        along = torch.stack([x.flatten(1, 2), x.transpose(1, 2).flatten(1, 2)], dim=1)
        sequences = torch.cat([along, along.flip(2)], dim=1)
        low, write, read = (sequences @ self.project).split(self.split, dim=-1)
        step = low @ self.step
        # The bits of a sum over a whole image, which bfloat16 does not have.
        dtype = torch.promote_types(x.dtype, self.bias.dtype)
        with no_autocast(x.device.type):
            sequences, step, write, read = (
                each.to(dtype) for each in (sequences, step, write, read)
            )
            steps = F.softplus(step + self.bias)
            found = selective_scan(sequences, steps, -self.log_rate.exp(), write, read)
            forth, back = (found + self.through * sequences).chunk(2, dim=1)
            rows, columns = (forth + back.flip(2)).unbind(1)
            columns = columns.unflatten(1, (width, height)).transpose(1, 2)
            return rows.unflatten(1, (height, width)) + columns


class VSSBlock(nn.Module):
    """Visual state space block: a gated scan beside a shortcut.

    Args:
        channels: Channels in and out; twice as many inside.
        drop: How often, in training, the branch is left out for an image.
    """

    def __init__(self, channels: int, drop: float) -> None:
        super().__init__()
        inner = 2 * channels
        self.norm = nn.LayerNorm(channels)
        self.enter = nn.Linear(channels, 2 * inner, bias=False)
        self.conv = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.scan = Scan2d(inner, math.ceil(channels / 16))
        self.scan_norm = nn.LayerNorm(inner)
        self.leave = nn.Linear(inner, channels, bias=False)
        self.drop = drop

    def forward(self, x: Tensor) -> Tensor:
        """A map `(N, H, W, C)` of the same shape."""
        y, gate = self.enter(self.norm(x)).chunk(2, dim=-1)
        y = F.silu(self.conv(y.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
        y = self.leave(self.scan_norm(self.scan(y)) * F.silu(gate))
        if self.training and self.drop > 0:
            kept = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.drop
            y = y * kept / (1 - self.drop)
        return x + y


class PatchMerging(nn.Module):
    """Four neighbouring pixels become one of twice the channels.

    Args:
        channels: Channels in.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels)
        self.reduce = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """A map `(N, H, W, C)` as `(N, H / 2, W / 2, 2 C)`."""
        parts = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.reduce(self.norm(torch.cat(parts, dim=-1)))


class PatchExpanding(nn.Module):
    """A pixel becomes a square of pixels.

    Args:
        channels: Channels in.
        side: Side of the square.
        out_channels: Channels out.
    """

    def __init__(self, channels: int, side: int, out_channels: int) -> None:
        super().__init__()
        self.side = side
        self.expand = nn.Linear(channels, side * side * out_channels, bias=False)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """A map `(N, H, W, C)` as `(N, side * H, side * W, out_channels)`."""
        x = self.expand(x).unflatten(3, (self.side, self.side, -1))
        return self.norm(x.permute(0, 1, 3, 2, 4, 5).flatten(1, 2).flatten(2, 3))


def rates(depths: tuple[int, ...], largest: float) -> list[list[float]]:
    """How often each block is left out: from 0 at the first to the largest at the last."""
    last = max(sum(depths) - 1, 1)
    return [
        [largest * (sum(depths[:index]) + block) / last for block in range(depth)]
        for index, depth in enumerate(depths)
    ]


class VMUNet(nn.Module):
    """VM-UNet; height and width of the image must be multiples of 32.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        width: Channels at a quarter of the size, doubled at every scale.
        encoder: Blocks of the encoder's stages.
        decoder: Blocks of the decoder's stages, the deepest first.
        drop: How often the last block of the encoder, and the first of the decoder, is left out.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        width: int = 96,
        encoder: tuple[int, ...] = (2, 2, 2, 2),
        decoder: tuple[int, ...] = (2, 2, 2, 1),
        drop: float = 0.2,
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(len(encoder))]
        self.patches = nn.Conv2d(in_channels, width, 4, stride=4)
        self.norm = nn.LayerNorm(width)
        self.encoder = nn.ModuleList()
        for level, drops in enumerate(rates(encoder, drop)):
            blocks: list[nn.Module] = [VSSBlock(widths[level], each) for each in drops]
            if level + 1 < len(encoder):
                blocks.append(PatchMerging(widths[level]))
            self.encoder.append(nn.Sequential(*blocks))
        self.decoder = nn.ModuleList()
        # The same rates from the last block to the first.
        deepest_first = [drops[::-1] for drops in rates(decoder[::-1], drop)[::-1]]
        for level, drops in zip(reversed(range(len(decoder))), deepest_first, strict=True):
            blocks = [VSSBlock(widths[level], each) for each in drops]
            if level + 1 < len(decoder):
                blocks.insert(0, PatchExpanding(widths[level + 1], 2, widths[level]))
            self.decoder.append(nn.Sequential(*blocks))
        self.enlarge = PatchExpanding(width, 4, width // 4)
        self.head = nn.Conv2d(width // 4, num_classes, 1)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        x = self.norm(self.patches(image).permute(0, 2, 3, 1))
        entered = []
        for stage in self.encoder:
            entered.append(x)
            x = stage(x)
        x = self.decoder[0](x)
        for stage, skip in zip(self.decoder[1:], entered[:0:-1], strict=True):
            x = stage(x + skip)
        return self.head(self.enlarge(x).permute(0, 3, 1, 2))


@register_model(
    "vm-unet",
    paper="VM-UNet: Vision Mamba UNet for Medical Image Segmentation",
    reference="arXiv 2402.02491",
    year=2024,
    tags=("modern",),
    params=27_427_586,
    macs=22_468_362_240,
    divisor=32,
    notes="Written from the paper, with the depths of its setting for skin lesions. The selective "
    "scan is plain PyTorch, without a compiled kernel: slower and larger in memory than the "
    "authors' on a GPU, so that its times say little about the method. Not in its multiply-adds, "
    "since no counter sees elementwise operations: the recurrence of the scan, 1.31G at 512x512, "
    "and as many multiplications each for the decay and for what is written; reading the states, a "
    "matrix product of as many, is in. Trained from random weights, where the paper starts from "
    "VMamba-S on ImageNet, and with a drop rate of 0.2.",
    published="For 256x256 and one class this network has 27,427,561 parameters, the 27.43M that "
    "later papers print for it, and 4.07G multiply-adds in the layers that a counter of modules "
    "sees; 5.62G with the projections of the scan, which are no modules of their own, and with "
    "the reading of its states.",
)
def vm_unet(in_channels: int, num_classes: int) -> nn.Module:
    """VM-UNet of arXiv 2402.02491: 27,427,586 parameters."""
    return VMUNet(in_channels, num_classes)
