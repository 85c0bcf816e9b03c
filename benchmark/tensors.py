"""Tensors inside of arguments and outputs, and the memory that they share."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def tensors_in(value: object) -> Iterator[Tensor]:
    """All tensors in nested tuples, lists and dicts, in their order.

    Yields:
        Each tensor as often as it stands there.
    """
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from tensors_in(each)
    elif isinstance(value, tuple | list):
        for each in value:
            yield from tensors_in(each)


def storage_key(tensor: Tensor) -> int:
    """What a tensor shares with its views: the address of the storage's own record.

    The address of the data is no use: it is 0 for everything on the meta device. The key is valid
    as long as the storage lives.
    """
    return int(tensor.untyped_storage()._cdata)


def storages_of(network: torch.nn.Module) -> set[int]:
    """Keys of the storages that hold a network's parameters and buffers."""
    return {storage_key(each) for each in (*network.parameters(), *network.buffers())}
