"""Swin-Unet: 27,168,228 parameters with 3 input channels and 2 classes.

Paper: Cao et al., "Swin-Unet: Unet-like Pure Transformer for Medical Image Segmentation", arXiv
2105.05537. Two Swin blocks at each scale, down and up; a patch expanding layer for each patch
merging one; maps of the encoder joined by a linear layer; a last expansion by four.

What the paper leaves open is taken from Swin-T: windows of 7, heads of 32 channels, 96 channels at
a quarter of the size, stochastic depth up to 0.2 (here in the decoder too, from the deepest blocks
up). Skip connections begin behind the blocks of the encoder, as the paper's figure has it; the
authors' code takes the maps in front of them. The paper's images have 224 pixels; here windows
are padded inside, so that any size will do.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.registry import register_model
from zoo.swin import Swin, blocks, init_linear

DIM = 96
DEPTHS = (2, 2, 2, 2)
DROP_PATH = 0.2


class PatchExpand(nn.Module):
    """Enlarges a map: a linear layer makes `factor²` pixels of each, which are then normalised.

    Args:
        dim: Channels in.
        out_dim: Channels out.
        factor: How many times height and width grow.
    """

    def __init__(self, dim: int, out_dim: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.expand = nn.Linear(dim, factor * factor * out_dim, bias=False)
        self.norm = nn.LayerNorm(out_dim)

    def forward(self, x: Tensor) -> Tensor:
        """The map `(N, factor H, factor W, out_dim)`."""
        x = self.expand(x).unflatten(-1, (self.factor, self.factor, -1))
        return self.norm(x.transpose(2, 3).flatten(3, 4).flatten(1, 2))


class Up(nn.Module):
    """Doubles the size, joins the encoder's map, and runs Swin blocks.

    Args:
        dim: Channels out, and of the encoder's map; half of what comes in.
        drop_paths: `drop_path` of each block.
    """

    def __init__(self, dim: int, drop_paths: list[float]) -> None:
        super().__init__()
        self.expand = PatchExpand(2 * dim, dim, 2)
        self.join = nn.Linear(2 * dim, dim)
        self.blocks = blocks(dim, drop_paths)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """The map at twice the size."""
        return self.blocks(self.join(torch.cat([self.expand(x), skip], dim=-1)))


class SwinUnet(nn.Module):
    """Swin-Unet; height and width of the image must be multiples of 32.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for an encoder from Swin-T, None for a random one.
    """

    def __init__(self, in_channels: int, num_classes: int, weights: str | None) -> None:
        super().__init__()
        last = sum(DEPTHS) - 1
        rates = [DROP_PATH * i / last for i in range(last + 1)]
        decoder = [Up(DIM << i, rates[2 * i : 2 * i + 2]) for i in (2, 1, 0)]
        self.decoder = nn.ModuleList(decoder)
        self.norm = nn.LayerNorm(DIM)
        self.enlarge = PatchExpand(DIM, DIM, 4)
        self.head = nn.Conv2d(DIM, num_classes, 1, bias=False)
        self.apply(init_linear)
        self.encoder = Swin(
            in_channels, weights, dim=DIM, depths=DEPTHS, drop_path=DROP_PATH, norm=True
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        *skips, x = self.encoder(image)
        for up, skip in zip(self.decoder, reversed(skips), strict=True):
            x = up(x, skip)
        return self.head(self.enlarge(self.norm(x)).permute(0, 3, 1, 2))


@register_model(
    "swin-unet",
    paper="Swin-Unet: Unet-like Pure Transformer for Medical Image Segmentation",
    reference="arXiv 2105.05537",
    year=2021,
    tags=("modern",),
    params=27_168_228,
    macs=33_925_860_096,
    encoder="encoder",
    weights="timm swin_tiny_patch4_window7_224.ms_in1k (Microsoft's, MIT); they expect images "
    "normalised by ImageNet's mean and deviation",
    divisor=32,
    overfit_steps=80,
    notes="Written from the paper. Skip connections begin behind the encoder's blocks, as in the "
    "paper's figure; the authors' code takes the maps in front of them. Maps are padded to whole "
    "windows of 7 inside, unseen by attention. ImageNet weights of Swin-T fill the encoder, its "
    "third stage with the first two of their six blocks; the authors' code copies them into the "
    "decoder too.",
    published="27,168,900 with 9 classes, as for Synapse: the 27M by which the network is known.",
)
def swin_unet(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """Swin-Unet.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for an encoder from Swin-T, None for a random one.

    Returns:
        The network.

    Raises:
        CovbenchError: The weights are unknown or can't be had.
    """
    return SwinUnet(in_channels, num_classes, weights)
