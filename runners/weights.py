"""Weights in and out: safetensors written, and PyTorch files read without running their code."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from benchmark.protocols import Protocol, load_protocol
from results.files import sha256_file, write_atomically
from zoo.cards import Card
from zoo.errors import CovbenchError
from zoo.limits import limits, raising
from zoo.registry import get_card


def save_weights(network: nn.Module, path: Path) -> None:
    """Write a network's parameters and buffers as safetensors: no code in the file."""
    tensors = {
        key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()
    }
    write_atomically(path, save(tensors))


def encoder_name(path: Path) -> str:
    """What stands for a file of encoder weights in a run's options: its contents, not its path."""
    return f"{sha256_file(path)[:16]}.safetensors"


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file (.safetensors, or a PyTorch file of plain tensors).

    Raises:
        CovbenchError: The file is missing, damaged, or holds code, which is never run.
    """
    if not path.is_file():
        raise CovbenchError(f"There is no weights file {path}.", "Check the path after --weights.")
    _check_size(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the reader, about what is refused below anyway
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can break its reader in any way
        foreign = isinstance(error, pickle.UnpicklingError)
        if foreign and "GLOBAL" in str(error):
            raise CovbenchError(
                f"{path} holds more than tensors, so it could run code; it was not opened.",
                "Save the state_dict alone: torch.save(model.state_dict(), path), or safetensors.",
            ) from error
        lines = [] if foreign else str(error).splitlines()
        reason = lines[0] if lines else "its contents are no saved tensors"
        raise CovbenchError(
            f"{path} can't be read as weights: {reason}",
            "Fetch or save the file again; .safetensors and PyTorch files are read.",
        ) from error
    return _state_dict(loaded, path)


def _check_size(path: Path) -> None:
    """Refuse a file that is above the limit, or whose contents are once it is unpacked."""
    size = path.stat().st_size
    # What is no whole zip file is refused, or read, by what loads it.
    broken = (zipfile.BadZipFile, NotImplementedError, ValueError, OSError)
    with suppress(*broken), zipfile.ZipFile(path) as archive:
        size = max(size, sum(entry.file_size for entry in archive.infolist()))
    if size > limits().weights_bytes:
        raise CovbenchError(
            f"{path} holds {size:,} bytes, more than the limit of {limits().weights_bytes:,}.",
            f"Check that it holds weights alone. {raising('weights_bytes', size)}",
        )


def _state_dict(loaded: Any, path: Path) -> dict[str, Tensor]:
    """The tensors inside what was loaded: bare, or under a usual key, with or without `module.`."""
    for key in ("state_dict", "model", "model_state_dict"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not loaded:
        raise CovbenchError(f"{path} holds no state dict.", "Save model.state_dict() alone.")
    tensors = {str(key): value for key, value in loaded.items() if isinstance(value, Tensor)}
    if len(tensors) != len(loaded):
        raise CovbenchError(
            f"{path} holds values that are no tensors.", "Save model.state_dict() alone."
        )
    odd = [
        key
        for key, value in tensors.items()
        if value.layout != torch.strided
        or value.is_meta
        or value.is_quantized
        or value.is_complex()
    ]
    if odd:
        raise CovbenchError(
            f"{path} holds tensors that are sparse, quantised, complex or empty shells "
            f"(for example {odd[0]!r}).",
            "Save the plain weights: model.state_dict() of the network as it was trained.",
        )
    return {key.removeprefix("module."): value for key, value in tensors.items()}


def check_preprocessing(
    model: str, tensors: dict[str, Tensor], path: Path, protocol: Protocol
) -> None:
    """Refuse a released checkpoint under a protocol that prepares the images in another way.

    Raises:
        CovbenchError: The size, normalisation or output differs from what its card names.
    """
    released = get_card(model).released
    if released is None or not released.matches(tensors):
        return
    if protocol.input != load_protocol(released.protocol).input:
        raise CovbenchError(
            f"{path.name} was trained on {released.preprocessing}; "
            f"the protocol {protocol.name} prepares images in another way.",
            f"Use --protocol {released.protocol}, whose input is the one it was trained with.",
        )


def load_weights(network: nn.Module, path: Path, card: Card) -> None:
    """Load weights into a network, which must hold every one of them.

    Args:
        network: The network; changed in place.
        path: A weights file, of covbench or one that the network's authors published.
        card: The network's card.

    Raises:
        CovbenchError: Names or shapes don't fit, or a weight is not finite.
    """
    tensors = read_weights(path)
    if card.released is not None and card.released.matches(tensors):
        tensors = card.released.convert(tensors)
    own = network.state_dict()
    missing, foreign = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    shapes = [key for key in own.keys() & tensors.keys() if own[key].shape != tensors[key].shape]
    if missing or foreign or shapes:
        example = (missing or foreign or sorted(shapes))[0]
        raise CovbenchError(
            f"{path} does not fit {card.name}: {len(missing)} weights are missing, {len(foreign)} "
            f"are foreign, {len(shapes)} have another shape (for example {example!r}).",
            "Check --models and its options: the weights belong to another network.",
        )
    broken = [key for key, value in tensors.items() if not torch.isfinite(value).all()]
    if broken:
        raise CovbenchError(
            f"{path} holds weights that are not finite (for example {broken[0]!r}).",
            "Take another checkpoint: that training had diverged.",
        )
    network.load_state_dict(tensors)
