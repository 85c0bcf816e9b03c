"""The Swin Transformer: windows of attention over images of any size.

Paper: Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", arXiv
2103.14030. Maps that windows don't divide are padded inside each block, before the shift, and no
pixel attends to the padding. (timm shifts first and pads then, so that its masks lie beside the
seam and opposite borders of an image see each other; where nothing is padded, both are the same.)
Parameters have timm's names.

Inside, maps have their channels last: `(N, H, W, C)`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.padding import padded_size
from zoo.pretrained import fit_channels, timm_weights

WINDOW = 7
HEAD = 32
"""Channels of an attention head."""


class WindowAttention(nn.Module):
    """Attention inside windows, with a learned bias for each offset between two pixels.

    Args:
        dim: Channels in, and out.
        heads: Attention heads.
    """

    relative_position_index: Tensor

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (dim // heads) ** -0.5
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * WINDOW - 1) ** 2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer("relative_position_index", offsets(), persistent=False)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, apart: Tensor | None) -> Tensor:
        """Windows of the same shape.

        Args:
            x: `(N, windows, WINDOW², dim)`.
            apart: `(windows, WINDOW², WINDOW²)`, true where a pixel must not see another.
        """
        query, key, value = (
            each.unflatten(-1, (self.heads, -1)).transpose(-3, -2)
            for each in self.qkv(x).chunk(3, dim=-1)
        )
        likeness = (query * self.scale) @ key.mT + self.bias()
        if apart is not None:
            likeness = likeness.masked_fill(apart[:, None], -torch.inf)
        seen = likeness.softmax(dim=-1) @ value
        return self.proj(seen.transpose(-3, -2).flatten(-2))

    def bias(self) -> Tensor:
        """What is added to the likeness of each two pixels, `(heads, WINDOW², WINDOW²)`."""
        return self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)


def offsets() -> Tensor:
    """The row of the bias table for each two pixels of a window, `(WINDOW², WINDOW²)`."""
    places = torch.arange(WINDOW)
    rows, columns = (each.flatten() for each in torch.meshgrid(places, places, indexing="ij"))
    down, right = (each[:, None] - each + WINDOW - 1 for each in (rows, columns))
    return down * (2 * WINDOW - 1) + right


def parts(size: int, padded: int, shift: int, device: torch.device) -> Tensor:
    """Which pixels along one axis belong together after the shift: equal numbers do.

    Args:
        size: Pixels of the map.
        padded: Pixels with the padding behind them.
        shift: How many pixels went from the front to the end.
        device: Where the numbers are wanted.

    Returns:
        `(padded,)`: 1 more for padding, 2 more for what went round.
    """
    places = torch.arange(padded, device=device)
    before = (places + shift) % padded
    return (before >= size).long() + 2 * (places >= padded - shift).long()


def windows_of(x: Tensor) -> Tensor:
    """A map `(N, H, W, C)` as windows `(N, windows, WINDOW², C)`."""
    n, height, width, channels = x.shape
    x = x.view(n, height // WINDOW, WINDOW, width // WINDOW, WINDOW, channels)
    return x.transpose(2, 3).reshape(n, -1, WINDOW * WINDOW, channels)


def map_of(windows: Tensor, height: int, width: int) -> Tensor:
    """What `windows_of` took apart, `(N, height, width, C)`."""
    n, _, _, channels = windows.shape
    x = windows.view(n, height // WINDOW, width // WINDOW, WINDOW, WINDOW, channels)
    return x.transpose(2, 3).reshape(n, height, width, channels)


class Mlp(nn.Module):
    """Two linear layers, the inner one four times as wide, with a GELU between them."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same shape."""
        return self.fc2(F.gelu(self.fc1(x)))


class SwinBlock(nn.Module):
    """Attention inside windows, then an MLP, both normalised before and added (section 3.2).

    Args:
        dim: Channels in, and out.
        shifted: Whether windows are moved by half their size, so that they join others.
        drop_path: Probability that a training image passes by each of the two.
    """

    def __init__(self, dim: int, shifted: bool, drop_path: float) -> None:
        super().__init__()
        from torchvision.ops import StochasticDepth

        self.shifted = shifted
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, dim // HEAD)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim)
        self.drop_path = StochasticDepth(drop_path, mode="row") if drop_path else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same shape."""
        x = x + self.drop_path(self.attend(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))

    def attend(self, x: Tensor) -> Tensor:
        """Attention inside the windows of a map."""
        size = height, width = int(x.shape[1]), int(x.shape[2])
        padded = bottom, right = padded_size(height, WINDOW), padded_size(width, WINDOW)
        # A side that is one window has no other window to be joined with.
        shift = [WINDOW // 2 if self.shifted and side > WINDOW else 0 for side in padded]
        x = F.pad(x, (0, 0, 0, right - width, 0, bottom - height))
        apart = None
        if any(shift) or padded != size:
            rows, columns = (
                parts(*each, device=x.device) for each in zip(size, padded, shift, strict=True)
            )
            part = windows_of((rows[:, None] * 4 + columns)[None, :, :, None])[0, :, :, 0]
            apart = part[:, :, None] != part[:, None]
        if any(shift):
            x = x.roll((-shift[0], -shift[1]), dims=(1, 2))
        x = map_of(self.attn(windows_of(x), apart), bottom, right)
        if any(shift):
            x = x.roll((shift[0], shift[1]), dims=(1, 2))
        return x[:, :height, :width]


class PatchEmbed(nn.Module):
    """Patches of 4x4 pixels as vectors: `(N, C, H, W)` to `(N, H / 4, W / 4, dim)`."""

    def __init__(self, in_channels: int, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, dim, 4, stride=4)
        self.norm = nn.LayerNorm(dim)

    def forward(self, image: Tensor) -> Tensor:
        """The map at a quarter of the size."""
        return self.norm(self.proj(image).permute(0, 2, 3, 1))


class PatchMerging(nn.Module):
    """Halves the size: the channels of 2x2 pixels together, reduced from 4 to 2 times `dim`."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The map at half the size, with twice the channels."""
        x = x.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))
        # The columns outside and the rows inside, as in the paper's code, which trained weights.
        return self.reduction(self.norm(x.permute(0, 1, 3, 4, 2, 5).flatten(3)))


class Stage(nn.Module):
    """Blocks at one size, behind a layer that brings the map there.

    Args:
        downsample: What halves the size.
        dim: Channels of the blocks.
        drop_paths: `drop_path` of each; every second is shifted.
    """

    def __init__(self, downsample: nn.Module, dim: int, drop_paths: list[float]) -> None:
        super().__init__()
        self.downsample = downsample
        self.blocks = blocks(dim, drop_paths)

    def forward(self, x: Tensor) -> Tensor:
        """The map behind the blocks."""
        return self.blocks(self.downsample(x))


def blocks(dim: int, drop_paths: list[float]) -> nn.Sequential:
    """Blocks of one size; every second is shifted."""
    return nn.Sequential(*(SwinBlock(dim, i % 2 == 1, each) for i, each in enumerate(drop_paths)))


class Swin(nn.Module):
    """The Swin Transformer without its classifier; height and width are multiples of 32.

    Args:
        in_channels: Channels of the image.
        weights: "imagenet" for those of Swin-T, as far as it has these blocks; None for random.
        dim: Channels of the first stage; each next one has twice as many.
        depths: Blocks of each stage.
        drop_path: `drop_path` of the last block; it grows evenly from 0.
        norm: Whether the last map is normalised.

    Raises:
        CovbenchError: The weights are unknown or can't be had.
    """

    def __init__(
        self,
        in_channels: int,
        weights: str | None,
        *,
        dim: int = 96,
        depths: tuple[int, ...] = (2, 2, 6, 2),
        drop_path: float = 0.2,
        norm: bool = False,
    ) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(in_channels, dim)
        self.layers = nn.ModuleList()
        last = sum(depths) - 1
        for i, depth in enumerate(depths):
            rates = [drop_path * (sum(depths[:i]) + j) / last for j in range(depth)]
            down = PatchMerging(dim << i - 1) if i else nn.Identity()
            self.layers.append(Stage(down, dim << i, rates))
        self.norm = nn.LayerNorm(dim << len(depths) - 1) if norm else nn.Identity()
        self.apply(init_linear)
        if weights is not None:
            given = timm_weights(weights, "swin_tiny_patch4_window7_224.ms_in1k")
            given["patch_embed.proj.weight"] = fit_channels(
                given["patch_embed.proj.weight"], in_channels
            )
            self.load_state_dict({name: given[name] for name in self.state_dict()})

    def forward(self, image: Tensor) -> list[Tensor]:
        """The maps behind each stage, `(N, H / 4, W / 4, dim)` first, each next half as large."""
        x = self.patch_embed(image)
        maps = []
        for stage in self.layers:
            x = stage(x)
            maps.append(x)
        return [*maps[:-1], self.norm(x)]


def init_linear(module: nn.Module) -> None:
    """First weights of a transformer's linear layers: a truncated normal of 0.02, no bias."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
