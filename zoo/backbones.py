"""Classification networks of torchvision as encoders: pretrained, dilated, for any channels."""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

from torch import Tensor, nn

from zoo.pretrained import fit_channels, imagenet_weights


class ResNetEncoder(nn.Sequential):
    """A ResNet without pooling and classifier; its children have torchvision's names."""

    def maps(self, x: Tensor) -> list[Tensor]:
        """The maps of the four stages, shallowest first: 1/4 of the size and deeper."""
        maps = []
        for name, child in self.named_children():
            x = child(x)
            if name.startswith("layer"):
                maps.append(x)
        return maps


def resnet(
    depth: Literal[18, 50, 101],
    in_channels: int,
    weights: str | None,
    *,
    output_stride: Literal[8, 32] = 32,
) -> ResNetEncoder:
    """A ResNet of torchvision without pooling and classifier.

    Args:
        depth: Its layers.
        in_channels: Channels of the image.
        weights: "imagenet" for torchvision's first ImageNet weights, None for random ones.
        output_stride: 8 dilates the last two stages instead of halving the size; not for depth 18.

    Returns:
        The encoder. Called, it gives the last map alone.

    Raises:
        CovbenchError: The weights are unknown or can't be had.
    """
    from torchvision import models

    build = {18: models.resnet18, 50: models.resnet50, 101: models.resnet101}[depth]
    dilated = output_stride == 8
    network = build(replace_stride_with_dilation=[False, dilated, dilated])
    if in_channels != 3:
        network.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
    kept = [(k, child) for k, child in network.named_children() if k not in ("avgpool", "fc")]
    encoder = ResNetEncoder(OrderedDict(kept))
    if weights is not None:
        load_resnet(encoder, depth, weights, in_channels)
    return encoder


def load_resnet(
    encoder: ResNetEncoder, depth: Literal[18, 50, 101], weights: str, in_channels: int
) -> None:
    """Load torchvision's first ImageNet weights into a ResNet whose layers have its names.

    Args:
        encoder: The ResNet; changed in place.
        depth: Its layers.
        weights: "imagenet".
        in_channels: Channels of the image.

    Raises:
        CovbenchError: The weights are unknown or can't be had.
    """
    from torchvision import models

    source = {
        18: models.ResNet18_Weights.IMAGENET1K_V1,
        50: models.ResNet50_Weights.IMAGENET1K_V1,
        101: models.ResNet101_Weights.IMAGENET1K_V1,
    }[depth]
    state = imagenet_weights(weights, source)
    state["conv1.weight"] = fit_channels(state["conv1.weight"], in_channels)
    encoder.load_state_dict({k: v for k, v in state.items() if not k.startswith("fc.")})


def refit_stem(stem: nn.Conv2d, in_channels: int, *, pretrained: bool) -> nn.Conv2d:
    """A first convolution for images of any number of channels.

    Args:
        stem: The convolution of a network for RGB images; it is changed.
        in_channels: Channels of the image.
        pretrained: Whether its filters are to be kept, fitted to the channels; otherwise new ones
            are drawn where the number changes.

    Returns:
        The same convolution.
    """
    if in_channels == stem.in_channels:
        return stem
    stem.in_channels = in_channels
    if pretrained:
        filters = fit_channels(stem.weight.detach(), in_channels)
    else:
        filters = stem.weight.new_empty(stem.out_channels, in_channels, *stem.kernel_size)
    stem.weight = nn.Parameter(filters)
    if not pretrained:
        stem.reset_parameters()
    return stem


def vgg16_scales(in_channels: int, weights: str | None) -> nn.ModuleList:
    """The thirteen convolutions of torchvision's VGG16 with batch norm, without its pooling.

    Args:
        in_channels: Channels of the image.
        weights: "imagenet" for torchvision's ImageNet weights, None for random ones.

    Returns:
        Five sequences of 3x3 convolution (with bias), batch norm and ReLU, one a scale; pooling
        stands between them.

    Raises:
        CovbenchError: The weights are unknown or can't be had.
    """
    from torchvision.models import VGG16_BN_Weights, vgg16_bn

    network = vgg16_bn()
    if weights is not None:
        network.load_state_dict(imagenet_weights(weights, VGG16_BN_Weights.IMAGENET1K_V1))
    layers = list(network.features)
    layers[0] = refit_stem(layers[0], in_channels, pretrained=weights is not None)
    scales: list[list[nn.Module]] = [[]]
    for layer in layers:
        if isinstance(layer, nn.MaxPool2d):
            scales.append([])
        else:
            scales[-1].append(layer)
    return nn.ModuleList(nn.Sequential(*scale) for scale in scales if scale)
