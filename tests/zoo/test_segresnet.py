"""SegResNet: blocks and widths of the paper, dropout, options that can't be."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from zoo.errors import CovbenchError
from zoo.registry import create_model, get_card, missing_packages

pytestmark = pytest.mark.skipif(bool(missing_packages(get_card("segresnet"))), reason="needs MONAI")


def count(*modules: nn.Module) -> int:
    return sum(each.numel() for module in modules for each in module.parameters())


def block(width: int) -> int:
    """Parameters of a residual block: two normalisations, two convolutions without bias."""
    return 2 * (2 * width + 9 * width * width)


def test_size_by_hand() -> None:
    with torch.device("meta"):
        network: Any = create_model("segresnet")
    widths = [32, 64, 128, 256]
    assert [count(each) for each in network.down_layers] == [
        blocks * block(width) + (9 * width // 2 * width if width > 32 else 0)
        for blocks, width in zip((1, 2, 2, 4), widths, strict=True)
    ]
    assert [count(each) for each in network.up_layers] == [block(w) for w in (128, 64, 32)]
    assert [count(each) for each in network.up_samples] == [2 * w * w for w in (128, 64, 32)]
    groups = {each.num_groups for each in network.modules() if isinstance(each, nn.GroupNorm)}
    assert groups == {8}
    first, head = 9 * 3 * 32, 2 * 32 + 2 * 32 + 2
    assert count(network.convInit, network.conv_final) == first + head


def test_whole_channels_are_dropped_in_training_alone() -> None:
    torch.manual_seed(0)
    network: Any = create_model("segresnet", dropout=0.5)
    assert isinstance(network.dropout, nn.Dropout2d) and network.dropout.p == 0.5
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert not torch.equal(network.train()(image), network(image))
        assert torch.equal(network.eval()(image), network(image))


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"filters": 12}, "12 filters.\n.*8 groups"),
        ({"filters": 0}, "0 filters"),
        ({"dropout": 1.0}, "rate of 1.0"),
    ],
)
def test_what_can_not_be_is_refused(option: dict[str, Any], words: str) -> None:
    with pytest.raises(CovbenchError, match=words):
        create_model("segresnet", **option)
