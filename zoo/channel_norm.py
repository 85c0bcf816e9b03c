"""Layer normalisation of maps over their channels, at every pixel by itself."""

from __future__ import annotations

from torch import Tensor, nn


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation of maps `(N, C, H, W)` over `C`."""

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same shape."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)
