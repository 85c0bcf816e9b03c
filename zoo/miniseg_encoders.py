"""Classification networks as encoders under MiniSeg's decoder, as Table III compares them.

Each gives the maps of all its scales; the decoder, with one head, stands on those.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from zoo.miniseg_blocks import MiniSegDecoder


class Scales(nn.Module):
    """An encoder whose scales run in turn.

    Args:
        scales: The layers of each scale, shallowest first.
    """

    def __init__(self, scales: Iterable[nn.Module]) -> None:
        super().__init__()
        self.scales = nn.ModuleList(scales)

    def forward(self, x: Tensor) -> list[Tensor]:
        """The map after each scale, shallowest first."""
        maps = []
        for scale in self.scales:
            x = scale(x)
            maps.append(x)
        return maps


class MiniSegOn(nn.Module):
    """An encoder, MiniSeg's decoder and one head.

    Args:
        encoder: Gives a list of maps, shallowest first.
        channels: Channels of those maps.
        num_classes: Channels of the logits.
    """

    def __init__(self, encoder: nn.Module, channels: Sequence[int], num_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = MiniSegDecoder(channels, num_classes)

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Logits of the image's size."""
        height, width = image.shape[-2:]
        return self.decoder(self.encoder(image), (height, width))
