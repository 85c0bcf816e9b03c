"""CHS-Net: two RAIU-Nets in cascade, 8,314,835 parameters with 3 input channels and 2 classes.

Paper: Punn, Agarwal, "CHS-Net: A Deep learning approach for hierarchical segmentation of COVID-19
infected CT images", arXiv 2012.07079; the row CHS-Net+RAIU-Net of its Table 3 and the last row of
its Table 5. The first network finds the lungs (one logit; 4,157,407 parameters), the second one
the infection in what is left of the image (as many logits as classes; 4,157,428). With 1 channel
and 1 class there are 8,314,198 parameters; 4,157,099 in each.

The two are trained one after the other: the first on lungs, then, with the first one fixed, the
second on the lungs that it predicts. This module joins them for inference. Untrained, the first
network takes the whole image for lung, so that the cascade is then its second network alone.

What the paper leaves open, and the choice made:

- What the second network sees. "Lung contour maps" are read as the image inside the predicted
  lung, a probability over 0.5 ("hard"). `mask="soft"` weighs by the probability instead, and
  `mask="concat"` gives the whole image with the probability as one more channel (8,314,995
  parameters); through both, gradients reach the first network too.
- What stands outside the lung. The paper's images lie in 0..1, 0 being air, and are multiplied by
  the mask. Here they come normalised, where 0 is the mean of the data and no air; so the outside
  becomes the least value of the image itself, channel by channel, which in a CT slice is air.
  `air` sets a fixed value instead.
- Nothing is enlarged, filled or masked again after the prediction.
"""

from __future__ import annotations

from typing import Literal, Self

import torch
from torch import Tensor, nn

from zoo.errors import unknown
from zoo.nets.raiunet import WIDTHS, raiunet
from zoo.registry import register_model

Mask = Literal["hard", "soft", "concat"]
MASKS = ("hard", "soft", "concat")


def keep_inside(image: Tensor, lung: Tensor, air: float | None = None) -> Tensor:
    """An image with air outside the lung.

    Args:
        image: `(N, C, H, W)`, normalised in any way.
        lung: How much of each pixel is lung, 0 to 1, `(N, 1, H, W)`.
        air: The value of air; None for the least one of each image and channel.

    Returns:
        The image where `lung` is 1, air where it is 0.
    """
    outside = image.amin((-2, -1), keepdim=True) if air is None else air
    lung = lung.to(image.dtype)
    # Not outside + lung * (image - outside), which would round the image inside.
    return lung * image + (1 - lung) * outside


class CHSNet(nn.Module):
    """The cascade; its options are those of `chsnet`.

    Attributes:
        lung: The first network, one logit.
        infection: The second network.
    """

    def __init__(
        self, in_channels: int, num_classes: int, widths: str, mask: Mask, air: float | None
    ) -> None:
        super().__init__()
        self.mask = mask
        self.air = air
        self.lung = raiunet(in_channels, 1, widths=widths)
        self.infection = raiunet(in_channels + (mask == "concat"), num_classes, widths=widths)
        # All is lung until the first network is trained: half of it at random would hide lesions.
        head = self.lung.get_submodule("head")
        assert isinstance(head, nn.Conv2d) and head.bias is not None
        nn.init.normal_(head.weight, std=1e-3)
        nn.init.ones_(head.bias)

    def train(self, mode: bool = True) -> Self:
        """Switch the mode; a first network that learns nothing keeps its statistics too."""
        super().train(mode)
        if self.mask == "hard":
            self.lung.eval()
        return self

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the infection, `(N, num_classes, H, W)`."""
        if self.mask == "hard":
            with torch.no_grad():
                inside = self.lung(image) > 0
            return self.infection(keep_inside(image, inside, self.air))
        probability = torch.sigmoid(self.lung(image))
        if self.mask == "soft":
            return self.infection(keep_inside(image, probability, self.air))
        return self.infection(torch.cat((image, probability.to(image.dtype)), dim=1))


@register_model(
    "chsnet",
    paper="CHS-Net: A Deep learning approach for hierarchical segmentation of COVID-19 infected "
    "CT images",
    reference="arXiv 2012.07079",
    year=2020,
    tags=("chsnet-table3", "chsnet-table5"),
    rows=("chsnet-table3/CHS-Net+RAIU-Net",),
    params=8_314_835,
    unused=("lung.*",),
    trainable=False,
    macs=53_581_056_416,
    notes="Two raiunets in cascade, joined for inference: train the first (`lung`, one logit) on "
    "lungs, then the second (`infection`) on the lungs that it predicts. With mask=hard no "
    "gradient reaches the first and its statistics stay; untrained, it takes the whole image for "
    "lung. Outside the predicted lung the second sees air: the least value of the image, channel "
    "by channel, since 0 is no air in normalised images; air=NUMBER sets it. mask=soft weighs by "
    "the probability, mask=concat hands it over as a channel; through both, gradients reach the "
    "first network. 8,314,198 parameters with 1 channel and 1 class.",
)
def chsnet(
    in_channels: int,
    num_classes: int,
    *,
    mask: Mask = "hard",
    air: float | None = None,
    widths: str = WIDTHS,
) -> nn.Module:
    """The joined CHS-Net.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits of the infection.
        mask: What the second network sees: the image inside the predicted lung ("hard"), weighed
            by the lung's probability ("soft"), or whole with that as one more channel ("concat").
        air: What stands outside the lung, as the network gets it; None for the least value of
            each image.
        widths: Channels of every level of both networks, as in raiunet.

    Raises:
        CovbenchError: `mask` has a value that it can't have.
    """
    if mask not in MASKS:
        raise unknown("value of mask", str(mask), MASKS, ", ".join(MASKS))
    return CHSNet(in_channels, num_classes, widths, mask, air)
