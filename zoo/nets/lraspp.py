"""LR-ASPP on MobileNetV3-Large: 3,218,308 parameters with 3 input channels and 2 classes.

Paper: Howard et al., "Searching for MobileNetV3", arXiv 1905.02244, section 6.4. The network is
torchvision's (BSD-3-Clause): the encoder at output stride 16, a head of 128 channels whose values
at 1/16 are weighed by their mean over the whole map, and logits of two scales summed at 1/8.

torchvision departs from the paper: the weights are a mean over the whole map, not over windows of
49x49 pixels that are resized.
"""

from __future__ import annotations

from torch import Tensor, nn

from zoo.backbones import refit_stem
from zoo.blocks import resize
from zoo.pretrained import imagenet_weights
from zoo.registry import register_model


class LRASPP(nn.Module):
    """torchvision's LR-ASPP, with its logits as a plain tensor.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained encoder, None for a random one.
    """

    def __init__(self, in_channels: int, num_classes: int, weights: str | None) -> None:
        super().__init__()
        from torchvision.models import MobileNet_V3_Large_Weights
        from torchvision.models.segmentation import lraspp_mobilenet_v3_large

        network = lraspp_mobilenet_v3_large(
            weights=None, weights_backbone=None, num_classes=num_classes
        )
        self.encoder, self.head = network.backbone, network.classifier
        if weights is not None:
            state = imagenet_weights(weights, MobileNet_V3_Large_Weights.IMAGENET1K_V1)
            features = "features."
            self.encoder.load_state_dict(
                {k.removeprefix(features): v for k, v in state.items() if k.startswith(features)}
            )
        stem = self.encoder["0"]
        stem[0] = refit_stem(stem[0], in_channels, pretrained=weights is not None)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        return resize(self.head(self.encoder(image)), (image.shape[-2], image.shape[-1]))


@register_model(
    "lraspp",
    paper="Searching for MobileNetV3",
    reference="arXiv 1905.02244",
    year=2019,
    tags=("modern", "lightweight"),
    params=3_218_308,
    macs=1_961_590_656,
    encoder="encoder",
    weights="torchvision MobileNet_V3_Large_Weights.IMAGENET1K_V1, BSD-3-Clause",
    notes="torchvision's network, BSD-3-Clause. The head's weights are a mean over the whole map; "
    "the paper's are means over windows of 49x49. The encoder's batch norms follow the data slowly "
    "(momentum 0.01): evaluation lags behind in the first hundreds of steps.",
    published="torchvision states 3,221,538 for 21 classes, and so has this network with them.",
)
def lraspp(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """LR-ASPP of arXiv 1905.02244 on MobileNetV3-Large.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        weights: "imagenet" for a pretrained encoder, None for a random one.

    Returns:
        The network.

    Raises:
        CovbenchError: The weights are unknown or can't be had.
    """
    return LRASPP(in_channels, num_classes, weights)
