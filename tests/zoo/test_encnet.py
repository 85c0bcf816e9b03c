"""EncNet: the encoding layer against its definition, and the weighing of channels."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.nets.encnet import Encoding, EncodingModule


def by_definition(layer: Encoding, x: Tensor) -> Tensor:
    """Section 3.1 of the paper, residual by residual, in float64."""
    points = x.double().flatten(2).mT[:, :, None]
    residuals = points - layer.codewords.double()
    scores = -layer.smoothing.double() * residuals.square().sum(3)
    return (scores.softmax(2)[..., None] * residuals).sum(1)


def layer_and_map() -> tuple[Encoding, Tensor]:
    torch.manual_seed(0)
    layer = Encoding(16, 5)
    with torch.no_grad():
        layer.codewords.normal_()
    return layer, torch.randn(2, 16, 9, 7)


def test_encoding_is_that_of_the_paper() -> None:
    layer, x = layer_and_map()
    torch.testing.assert_close(layer(x).double(), by_definition(layer, x), rtol=1e-4, atol=1e-4)


def test_encoding_keeps_float32_under_autocast() -> None:
    layer, x = layer_and_map()
    x = x.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        encoders = layer(x)
    assert encoders.dtype == torch.float32
    torch.testing.assert_close(encoders.double(), by_definition(layer, x), rtol=1e-4, atol=1e-4)


def test_smoothing_decides_how_hard_the_assignment_is() -> None:
    layer, x = layer_and_map()
    with torch.no_grad():
        layer.smoothing.zero_()
    points = x.flatten(2).mean(2)[:, None]
    torch.testing.assert_close(layer(x), (points - layer.codewords) * 63 / 5, rtol=1e-4, atol=1e-4)


def test_module_weighs_whole_channels_up_to_twice() -> None:
    torch.manual_seed(0)
    module = EncodingModule(8, 3).eval()
    x = torch.rand(2, 8, 5, 6) + 0.1
    ratio = module(x) / x
    torch.testing.assert_close(ratio, ratio[:, :, :1, :1].expand_as(x))
    assert 1 < ratio.min() < ratio.max() < 2
    assert (module(-x) == 0).all()
