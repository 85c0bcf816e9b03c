"""Networks of segmentation-models-pytorch (SMP, MIT) under names of their own.

Exact parameters with 3 channels and 2 classes: segformer-b2 27,348,162; upernet-convnext-tiny
59,242,914; dpt-vit-b16 110,847,682; manet-resnet34 31,783,778; linknet-resnet34 21,771,970;
pan-resnet34 21,476,105.

A name that stands for a paper's network has that paper's widths: SegFormer-B2 a decoder of 768
channels, UPerNet on ConvNeXt one of 512, DPT on ViT-B/16 the steps 96, 192, 384 and 768. The
library's defaults for these three, 256, 256 and 256 to 1024, are other networks, and are had by
the open pattern: `smp:segformer/mit_b2`. Where both are the same network, the pattern's name is
another name of the one here (`register_alias`), so that no network has two cards. FPN on ResNet-34
has been `smp:fpn/resnet34` from the first; `fpn-resnet34` is another name of that.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from zoo.encoders import build_on, smp
from zoo.registry import register_alias, register_model

_IMAGENET = "normalised by ImageNet's mean and deviation"
_RESNET34 = (
    "smp-hub/resnet34.imagenet of huggingface.co; torchvision's first ones, BSD-3-Clause; they "
    f"expect images {_IMAGENET}"
)


def _build(
    architecture: str,
    encoder: str,
    weights: str | None,
    in_channels: int,
    num_classes: int,
    **widths: Any,
) -> nn.Module:
    """Build one network.

    Args:
        architecture: The library's name of the architecture.
        encoder: The library's name of the encoder.
        weights: "imagenet" for a pretrained encoder, None for a random one.
        in_channels: Channels of the image.
        num_classes: Channels of the logits.
        **widths: What the library's builder of that architecture is told beyond that.

    Returns:
        The network.

    Raises:
        CovbenchError: There are no such weights.
        WeightsUnavailable: The weights can't be fetched.
    """
    library = smp()

    def make(weights: str | None, **options: bool) -> nn.Module:
        network: nn.Module = library.create_model(
            architecture,
            encoder,
            encoder_weights=weights,
            in_channels=in_channels,
            classes=num_classes,
            **widths,
            **options,
        )
        return network

    return build_on(encoder, weights, architecture, make)


@register_model(
    "segformer-b2",
    paper="SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers",
    reference="arXiv 2105.15203",
    year=2021,
    tags=("modern",),
    params=27_348_162,
    macs=60_475_572_224,
    encoder="encoder",
    weights="smp-hub/mit_b2.imagenet of huggingface.co; NVIDIA's, NVIDIA Source Code License "
    f"(non-commercial); they expect images {_IMAGENET}",
    divisor=32,
    notes="segmentation-models-pytorch (MIT) with the paper's decoder of 768 channels; "
    "smp:segformer/mit_b2 is another network, with 256.",
    published="The paper prints 27.5M and 62.4G for 150 classes: 27,461,974 and 62.34G here.",
)
def segformer_b2(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """SegFormer-B2; arguments as those of `_build`."""
    return _build(
        "segformer", "mit_b2", weights, in_channels, num_classes, decoder_segmentation_channels=768
    )


@register_model(
    "upernet-convnext-tiny",
    paper="Unified Perceptual Parsing for Scene Understanding",
    reference="arXiv 1807.10221; encoder: arXiv 2201.03545",
    year=2018,
    tags=("modern",),
    params=59_242_914,
    macs=233_394_601_984,
    encoder="encoder",
    weights="timm convnext_tiny.fb_in1k (Meta's, Apache-2.0 as timm states); they expect images "
    f"{_IMAGENET}",
    divisor=32,
    batch1=False,
    notes="segmentation-models-pytorch (MIT) with a decoder of 512 channels, as the ConvNeXt paper "
    "has it; smp:upernet/tu-convnext_tiny is another network, with 256, and timm's first choice of "
    "weights, which have seen ImageNet-12k.",
    published="The ConvNeXt paper prints 60M with 150 classes: 59,318,838 here, and an auxiliary "
    "head of about 0.9M that its training adds.",
)
def upernet_convnext_tiny(
    in_channels: int, num_classes: int, *, weights: str | None = None
) -> nn.Module:
    """UPerNet on ConvNeXt-T; arguments as those of `_build`."""
    encoder = "tu-convnext_tiny.fb_in1k"
    return _build("upernet", encoder, weights, in_channels, num_classes, decoder_channels=512)


@register_model(
    "dpt-vit-b16",
    paper="Vision Transformers for Dense Prediction",
    reference="arXiv 2103.13413; encoder: arXiv 2010.11929",
    year=2021,
    tags=("modern",),
    params=110_847_682,
    macs=217_177_933_824,
    encoder="encoder",
    weights="timm vit_base_patch16_224.augreg2_in21k_ft_in1k (ImageNet-21k, then ImageNet; "
    "Apache-2.0); they expect images normalised by a mean and a deviation of 0.5",
    divisor=32,
    min_size=64,
    overfit_steps=80,
    notes="segmentation-models-pytorch (MIT) with the authors' steps of 96, 192, 384 and 768 "
    "channels for ViT-B, without the classifier and the last normalisation of the ViT, which DPT "
    "never uses; smp:dpt/tu-vit_base_patch16_224 is another network, with 256, 512, 1024 and 1024. "
    "Positions are those of a 224-pixel image, interpolated to others.",
)
def dpt_vit_b16(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """DPT on ViT-B/16; arguments as those of `_build`."""
    network: Any = _build(
        "dpt",
        "tu-vit_base_patch16_224.augreg2_in21k_ft_in1k",
        weights,
        in_channels,
        num_classes,
        decoder_intermediate_channels=(96, 192, 384, 768),
    )
    vit = network.encoder.model
    vit.reset_classifier(0)
    vit.norm = nn.Identity()
    return network


@register_model(
    "manet-resnet34",
    paper="MA-Net: A Multi-Scale Attention Network for Liver and Tumor Segmentation",
    reference="doi 10.1109/ACCESS.2020.3025372; encoder: arXiv 1512.03385",
    year=2020,
    tags=("modern",),
    params=31_783_778,
    macs=33_327_962_112,
    encoder="encoder",
    weights=_RESNET34,
    divisor=32,
    min_size=64,
    notes="segmentation-models-pytorch (MIT); the same as smp:manet/resnet34.",
)
def manet_resnet34(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """MA-Net on ResNet-34; arguments as those of `_build`."""
    return _build("manet", "resnet34", weights, in_channels, num_classes)


@register_model(
    "linknet-resnet34",
    paper="LinkNet: Exploiting Encoder Representations for Efficient Semantic Segmentation",
    reference="arXiv 1707.03718; encoder: arXiv 1512.03385",
    year=2017,
    tags=("modern",),
    params=21_771_970,
    macs=20_128_464_896,
    encoder="encoder",
    weights=_RESNET34,
    divisor=32,
    min_size=64,
    notes="segmentation-models-pytorch (MIT); the same as smp:linknet/resnet34.",
    published="The paper prints 11.5M for its own network, which is on ResNet-18.",
)
def linknet_resnet34(
    in_channels: int, num_classes: int, *, weights: str | None = None
) -> nn.Module:
    """LinkNet on ResNet-34; arguments as those of `_build`."""
    return _build("linknet", "resnet34", weights, in_channels, num_classes)


@register_model(
    "pan-resnet34",
    paper="Pyramid Attention Network for Semantic Segmentation",
    reference="arXiv 1805.10180; encoder: arXiv 1512.03385",
    year=2018,
    tags=("modern",),
    params=21_476_105,
    macs=29_766_093_472,
    encoder="encoder",
    weights=_RESNET34,
    divisor=32,
    min_size=128,
    batch1=False,
    notes="segmentation-models-pytorch (MIT), at output stride 16; the same as smp:pan/resnet34. "
    "The paper's own encoder is ResNet-101.",
)
def pan_resnet34(in_channels: int, num_classes: int, *, weights: str | None = None) -> nn.Module:
    """PAN on ResNet-34; arguments as those of `_build`."""
    return _build("pan", "resnet34", weights, in_channels, num_classes)


for _name in ("manet", "linknet", "pan"):
    register_alias(f"smp:{_name}/resnet34", f"{_name}-resnet34")
register_alias("fpn-resnet34", "smp:fpn/resnet34", tags=("modern",))
