"""Networks of segmentation-models-pytorch (SMP): five by name, the others by an open pattern.

`smp:<architecture>/<encoder>` is any architecture of the library with any encoder of the library
or of timm (`tu-convnext_tiny`), with random weights or `[weights=imagenet]`. No table row stands
for them; they are today's common baselines. Exact parameters with 3 channels and 2 classes:
unet/resnet34 24,436,514; unetplusplus/resnet34 26,078,754; fpn/resnet34 23,155,522;
deeplabv3plus/resnet50 26,677,842; segformer/mit_b0 3,714,658.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from torch import nn

from zoo.cards import Card
from zoo.encoders import build_on, encoder_name, smp, trains_on_one_image
from zoo.errors import CovbenchError, unknown
from zoo.registry import register_model, register_pattern

_FORM = "smp:<architecture>/<encoder>"


@dataclass(frozen=True)
class _Architecture:
    """What the card of every network of one architecture says.

    A batch of one can't train where a batch norm follows a global pooling.
    """

    paper: str = ""
    reference: str = ""
    year: int | None = None
    batch1: bool = True
    min_size: int = 32


_ARCHITECTURES = {
    "unet": _Architecture(
        "U-Net: Convolutional Networks for Biomedical Image Segmentation", "arXiv 1505.04597", 2015
    ),
    "unetplusplus": _Architecture(
        "UNet++: A Nested U-Net Architecture for Medical Image Segmentation",
        "arXiv 1807.10165",
        2018,
    ),
    "manet": _Architecture(
        "MA-Net: A Multi-Scale Attention Network for Liver and Tumor Segmentation",
        "doi 10.1109/ACCESS.2020.3025372",
        2020,
    ),
    "linknet": _Architecture(
        "LinkNet: Exploiting Encoder Representations for Efficient Semantic Segmentation",
        "arXiv 1707.03718",
        2017,
    ),
    "fpn": _Architecture("Panoptic Feature Pyramid Networks", "arXiv 1901.02446", 2019),
    "pspnet": _Architecture("Pyramid Scene Parsing Network", "arXiv 1612.01105", 2017),
    "deeplabv3": _Architecture(
        "Rethinking Atrous Convolution for Semantic Image Segmentation",
        "arXiv 1706.05587",
        2017,
        batch1=False,
    ),
    "deeplabv3plus": _Architecture(
        "Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation",
        "arXiv 1802.02611",
        2018,
        batch1=False,
    ),
    # Its attention halves the last map, a sixteenth of the image, three times.
    "pan": _Architecture(
        "Pyramid Attention Network for Semantic Segmentation",
        "arXiv 1805.10180",
        2018,
        batch1=False,
        min_size=128,
    ),
    "upernet": _Architecture(
        "Unified Perceptual Parsing for Scene Understanding",
        "arXiv 1807.10221",
        2018,
        batch1=False,
    ),
    "segformer": _Architecture(
        "SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers",
        "arXiv 2105.15203",
        2021,
    ),
    "dpt": _Architecture("Vision Transformers for Dense Prediction", "arXiv 2103.13413", 2021),
}


@register_pattern("smp:", _FORM)
def card(name: str) -> Card:
    """The card of any network of the library.

    Args:
        name: `smp:<architecture>/<encoder>`.

    Returns:
        The card, under the name that the library gives its encoder: `convnext_tiny` of timm is
        `tu-convnext_tiny`.

    Raises:
        CovbenchError: The library has no such architecture or encoder.
    """
    architecture, slash, encoder = name.removeprefix("smp:").partition("/")
    if not slash or not architecture or not encoder:
        raise CovbenchError(f"{name!r} is not of the form {_FORM}.", "Such as smp:unet/resnet34.")
    known = list(smp().MODEL_ARCHITECTURES_MAPPING)
    if architecture not in known:
        raise unknown("SMP architecture", architecture, known, ", ".join(known))
    encoder = encoder_name(encoder)
    if architecture == "dpt" and not encoder.startswith("tu-"):
        raise CovbenchError(
            f"The architecture dpt needs a vision transformer of timm, not {encoder!r}.",
            "Such as smp:dpt/tu-vit_base_patch16_224.",
        )
    about = _ARCHITECTURES.get(architecture, _Architecture())
    return Card(
        name=f"smp:{architecture}/{encoder}",
        builder=partial(_build, architecture, encoder),
        paper=about.paper,
        reference=about.reference,
        year=about.year,
        divisor=32,
        min_size=about.min_size,
        batch1=about.batch1 and trains_on_one_image(encoder),
        encoder="encoder",
        weights="those of segmentation-models-pytorch or timm, each under its own licence",
        source="pattern",
        module=__name__,
    )


def _build(
    architecture: str,
    encoder: str,
    in_channels: int,
    num_classes: int,
    *,
    weights: str | None = None,
) -> nn.Module:
    """Build one network.

    Args:
        architecture: The library's name of the architecture.
        encoder: The library's name of the encoder.
        in_channels: Channels of the input image.
        num_classes: Classes of the output.
        weights: Pretrained weights of the encoder, such as "imagenet"; none are fetched for a
            network on the meta device, which holds no values.

    Returns:
        The network.

    Raises:
        CovbenchError: There are no such weights, or the architecture does not fit the encoder.
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
            **options,
        )
        return network

    return build_on(encoder, weights, architecture, make)


def _register(name: str, params: int, macs: int, licence: str) -> None:
    """Register one network of the library by name, so that `all` holds it.

    Args:
        name: `smp:<architecture>/<encoder>`.
        params: Its parameters with 3 channels and 2 classes.
        macs: Its multiply-adds at 512x512.
        licence: Whose the ImageNet weights of its encoder are at first, and their licence.
    """
    architecture, _, encoder = name.removeprefix("smp:").partition("/")
    about = _ARCHITECTURES[architecture]
    register_model(
        name,
        paper=about.paper,
        reference=about.reference,
        year=about.year,
        tags=("demo",),
        params=params,
        macs=macs,
        encoder="encoder",
        weights=f"smp-hub/{encoder}.imagenet of huggingface.co; {licence}",
        divisor=32,
        min_size=about.min_size,
        batch1=about.batch1,
    )(partial(_build, architecture, encoder))


_TORCHVISION = "torchvision's first ones, BSD-3-Clause"
_NVIDIA = "NVIDIA's, NVIDIA Source Code License (non-commercial)"

_register("smp:unet/resnet34", 24_436_514, 31_293_702_144, _TORCHVISION)
_register("smp:unetplusplus/resnet34", 26_078_754, 73_572_286_464, _TORCHVISION)
_register("smp:fpn/resnet34", 23_155_522, 27_422_359_552, _TORCHVISION)
_register("smp:deeplabv3plus/resnet50", 26_677_842, 36_565_417_984, _TORCHVISION)
_register("smp:segformer/mit_b0", 3_714_658, 7_767_064_576, _NVIDIA)
