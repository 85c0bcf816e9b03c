"""FRRN: its two streams, and the weights that nobody has published."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from zoo.corners import resize_corners
from zoo.errors import CovbenchError, WeightsUnavailable
from zoo.nets.frrn import FRRN, FullResolutionUnit
from zoo.registry import create_model


def test_streams_of_an_odd_size() -> None:
    seen: list[tuple[int, ...]] = []
    with torch.device("meta"):
        network = FRRN(3, 2).eval()
        for unit in network.modules():
            if isinstance(unit, FullResolutionUnit):
                unit.register_forward_hook(
                    lambda _, args, output: seen.append((args[0].shape[1], *output[0].shape[1:]))
                )
        pooled, z = network.encoder(torch.empty(1, 3, 97, 70))
        assert [tuple(y.shape[1:]) for y in pooled] == [
            (96, 49, 35),
            (192, 25, 18),
            (384, 13, 9),
            (384, 7, 5),
        ]
        assert z.shape == (1, 32, 97, 70)
        seen.clear()
        network(torch.empty(1, 3, 97, 70))
    assert seen == [
        *((48, 96, 49, 35), *((96, 96, 49, 35),) * 2),
        *((96, 192, 25, 18), *((192, 192, 25, 18),) * 3),
        *((192, 384, 13, 9), (384, 384, 13, 9)),
        *((384, 384, 7, 5),) * 2,
        *((384, 192, 13, 9), (192, 192, 13, 9)),
        *((192, 192, 25, 18),) * 2,
        *((192, 96, 49, 35), (96, 96, 49, 35)),
    ]


def test_unit_reads_both_streams_and_adds_to_the_full_size_one() -> None:
    torch.manual_seed(0)
    unit = FullResolutionUnit(6, 8, 4).eval()
    y, z = torch.randn(1, 6, 5, 4), torch.randn(1, 32, 17, 16)
    out, full = unit(y, z)
    torch.testing.assert_close(full, z + resize_corners(unit.residual(out), like=z))
    other, _ = unit(y, -z)
    third, _ = unit(-y, z)
    assert not torch.allclose(other, out)
    assert not torch.allclose(third, out)


def test_full_size_stream_is_nowhere_cut() -> None:
    torch.manual_seed(0)
    network = FRRN(1, 2).eval()
    units = [each for each in network.modules() if isinstance(each, FullResolutionUnit)]
    for unit in units:
        nn.init.zeros_(unit.residual.weight)
        nn.init.ones_(unit.residual.bias)
    merged: list[Tensor] = []
    network.merge.register_forward_pre_hook(lambda _, args: merged.append(args[0]))
    x = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        network(x)
        first = network.encoder.split(network.encoder.stem(x))
    torch.testing.assert_close(merged[0][:, -32:], first + len(units))


def test_corners_stay_corners() -> None:
    x = torch.randn(1, 2, 3, 4)
    large = resize_corners(x, like=torch.empty(1, 1, 7, 10))
    assert large.shape == (1, 2, 7, 10)
    torch.testing.assert_close(large[..., ::3, ::3], x)  # two pixels between any two


def test_nobody_has_published_weights() -> None:
    with pytest.raises(WeightsUnavailable, match="frrn"):
        create_model("frrn", weights="imagenet")
    with pytest.raises(CovbenchError, match="imagnet"):
        create_model("frrn", weights="imagnet")
