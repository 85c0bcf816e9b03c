"""Layers: the sums of a network's parts are the network."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from benchmark.complexity import count_by_dispatch
from benchmark.layers import Layer, count_layers
from benchmark.subject import build_subject
from zoo.registry import get_card


class Twice(nn.Module):
    """One convolution called twice, a list of two, and a product outside of all modules."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Conv2d(3, 3, 3, padding=1)
        self.several = nn.ModuleList([nn.Conv2d(3, 3, 1), nn.Conv2d(3, 5, 1)])

    def forward(self, image: Tensor) -> Tensor:
        image = self.shared(self.shared(image))
        one, other = (each(image) for each in self.several)
        return other + (one @ one).sum()


def test_layers_by_hand() -> None:
    root, shared, several, first, second = count_layers(Twice(), torch.zeros(1, 3, 4, 4))
    assert shared == Layer(
        path="shared",
        kind="Conv2d",
        depth=1,
        calls=2,
        params=84,
        macs=2 * 81 * 16,
        output=(1, 3, 4, 4),
        output_bytes=2 * 3 * 16 * 4,
    )
    assert (first.macs, second.macs) == (9 * 16, 15 * 16)
    assert (several.calls, several.macs, several.output) == (0, 24 * 16, ())
    product = 3 * 4 * 4 * 4
    assert root.macs == shared.macs + several.macs + product
    assert (root.params, root.output) == (84 + 12 + 20, (1, 5, 4, 4))


@pytest.mark.parametrize("name", ["miniseg", "raiunet", "ocnet", "smp:segformer/mit_b0"])
def test_the_network_is_at_least_the_sum_of_its_parts(name: str) -> None:
    with torch.device("meta"):
        subject, image = build_subject(get_card(name)), torch.zeros(1, 3, 64, 64)
    layers = count_layers(subject, image)
    assert layers[0].macs == count_by_dispatch(subject, image)
    assert layers[0].params == get_card(name).params
    for layer in layers:
        prefix = f"{layer.path}." if layer.path else ""
        inside = [
            each
            for each in layers
            if each.depth == layer.depth + 1 and each.path.startswith(prefix) and each.path
        ]
        assert sum(each.macs for each in inside) <= layer.macs, layer.path
