"""Runs that kept weights, made by hand: a network that finds what is brighter than a threshold."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.labels import ALL
from benchmark.protocols import load_protocol
from results.files import sha256_file
from results.record import RunRecord
from results.store import Store
from results.untrusted import WEIGHTS
from runners.weights import save_weights
from tests.factory import make_record
from zoo.registry import cards, get_card, register_model
from zoo.source import source_hash

NAME = "above-threshold"
SIDE = 32


class Above(nn.Module):
    """Foreground where `sign` times (grey - threshold) is positive, grey in 0..1.

    Of two classes of foreground, it is the second from 0.05 above the threshold.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.classes = num_classes
        self.register_buffer("threshold", torch.tensor(0.5))
        self.register_buffer("sign", torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        logit = 60 * self.sign * (x[:, :1] - self.threshold)
        if self.classes == 1:
            return logit
        planes = [torch.zeros_like(logit), logit, 2 * logit - 3]
        return torch.cat(planes[: self.classes], 1)


@functools.cache
def _register() -> None:
    if NAME not in cards():
        register_model(NAME)(Above)


def trained(
    root: Path,
    threshold: float,
    *changes: str,
    below: bool = False,
    keep: bool = True,
    kinds: Mapping[int, str] = MappingProxyType({}),
    **spec: Any,
) -> RunRecord:
    """Write a finished run of such a network into a store.

    Args:
        root: The folder of the store.
        threshold: In grey of 0..1.
        changes: Of the protocol.
        below: Whether it finds what is darker.
        keep: Whether the run kept its weights.
        kinds: Label to name of several kinds of lesion.
        spec: Changes of the spec.
    """
    _register()
    protocol = load_protocol("smoke", [f"size={SIDE}", "normalise=unit", *changes])
    fields = {"settings": protocol.canonical(), "source": source_hash(get_card(NAME)), **spec}
    data = {"mean": (0.0,) * 3, "std": (1.0,) * 3, "classes": dict(kinds)}
    record = make_record(NAME, data=data, **fields)
    if kinds:
        scores = next(iter(record.scores.values()))
        targets = dict.fromkeys((ALL, *kinds.values()), scores)
        record = record.model_copy(update={"scores": targets})
    if keep:
        network = Above(3, protocol.num_classes(max(2, 1 + len(kinds))))
        network.threshold.fill_(threshold)
        network.sign.fill_(-1.0 if below else 1.0)
        path = Store(root).folder(record.spec) / WEIGHTS
        save_weights(network, path)
        record = record.model_copy(update={"files": {WEIGHTS: sha256_file(path)}})
    Store(root).write(record)
    return record
