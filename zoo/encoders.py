"""Encoders of segmentation-models-pytorch (SMP) and of timm: their names, weights and building.

SMP takes seconds to import, hence only inside functions.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn

from zoo.errors import CovbenchError, WeightsUnavailable, unknown

# Encoders with a batch norm after a global pooling of their own.
_POOLED = ("skresne", "resnest")

# Transformers of timm that take images of any size when they are told so.
_RESIZABLE = ("vit_", "swin", "deit", "flexivit", "vitamin")


def smp() -> Any:
    """SMP, without the warnings that it makes on its way in."""
    # It imports parts of torch that, before torch 2.7, can't be imported under a meta device.
    with warnings.catch_warnings(), torch.device("cpu"):
        warnings.simplefilter("ignore")
        import segmentation_models_pytorch
    return segmentation_models_pytorch


def encoder_name(encoder: str) -> str:
    """SMP's name of an encoder, its own or one of timm.

    Args:
        encoder: The name as the user gave it.

    Returns:
        The name, with `tu-` before one of timm: `convnext_tiny` is `tu-convnext_tiny`.

    Raises:
        CovbenchError: There is no such encoder; the nearest names are given.
    """
    import timm

    own = smp().encoders.get_encoder_names()
    model = encoder.removeprefix("tu-")
    if encoder in own:
        return encoder
    if timm.is_model(model):
        try:
            timm.get_pretrained_cfg(model, allow_unregistered=False)
        except RuntimeError:
            base = model.partition(".")[0]
            tags = [each.partition(".")[2] for each in timm.list_pretrained(f"{base}.*")]
            tag = model.partition(".")[2]
            raise unknown(f"weights tag of {base}", tag, tags, ", ".join(tags) or "none") from None
        return f"tu-{model}"
    names = {*own, *(f"tu-{each}" for each in timm.list_models())}
    if not encoder.startswith("tu-"):
        names |= set(timm.list_models())
    listing = f"{', '.join(own[:3])}, ... or timm.list_models()"
    raise unknown("SMP or timm encoder", encoder, names, listing)


def trains_on_one_image(encoder: str) -> bool:
    """Whether an encoder, by SMP's name, can train on a batch of one."""
    return not any(word in encoder for word in _POOLED)


def build_on(
    encoder: str, weights: str | None, what: str, make: Callable[..., nn.Module]
) -> nn.Module:
    """Build a network on an encoder of SMP or timm.

    Args:
        encoder: SMP's name of the encoder.
        weights: Pretrained weights of the encoder, such as "imagenet"; none are fetched for a
            network on the meta device, which holds no values.
        what: What stands on the encoder, for messages.
        make: Builds the network from the weights to fetch, if any, and what that encoder is to be
            told as keyword arguments.

    Returns:
        The network.

    Raises:
        CovbenchError: There are no such weights, or the encoder does not suit.
        WeightsUnavailable: The weights can't be fetched.
    """
    if weights is not None:
        _check_weights(encoder, weights)
    # Asked of a tensor: before torch 2.7 the default device does not know `with torch.device(...)`.
    meta = torch.empty(0).device.type == "meta"
    # SMP's mix transformers read values while they are built, so not even meta suits them.
    on_cpu = torch.device("cpu") if meta and encoder.startswith("mit_") else nullcontext()
    try:
        with on_cpu:
            network = make(None if meta else weights, **_any_size(encoder))
    except Exception as error:
        if weights is not None and not meta:
            raise WeightsUnavailable(
                f"The {weights} weights of {encoder} can't be had: {reason(error)}.",
                "Check the connection to huggingface.co, or leave out [weights=...].",
            ) from error
        raise CovbenchError(
            f"{what} can't be built on {encoder}: {reason(error)}.", "Choose another encoder."
        ) from error
    # A first layer for other channels than three is made on the CPU wherever the rest is.
    return network.to("meta") if meta else network


def reason(error: Exception) -> str:
    """What an error says, in one line."""
    first = (str(error).strip() or "-").splitlines()[0]
    return f"{type(error).__name__}: {first.rstrip('.')}"


def _check_weights(encoder: str, weights: str) -> None:
    """Refuse weights that nobody offers, before anything is built."""
    if encoder.startswith("tu-"):
        import timm

        offered = ["imagenet"] if timm.models.is_model_pretrained(encoder[3:]) else []
    else:
        offered = list(smp().encoders.encoders[encoder]["pretrained_settings"])
    if weights not in offered:
        raise unknown(f"weights of {encoder}", weights, offered, ", ".join(offered) or "none")


def _any_size(encoder: str) -> dict[str, bool]:
    """What lets a transformer of timm take images of any size."""
    if not encoder.startswith("tu-"):
        return {}
    import timm

    settings = timm.get_pretrained_cfg(encoder[3:])
    fixed = settings is not None and settings.fixed_input_size
    return {"dynamic_img_size": True} if fixed and encoder[3:].startswith(_RESIZABLE) else {}
