"""Table III of MiniSeg counted again: parameters and operations, by the table's own rules.

A row that counted something else than the network (its encoder alone, a part that is never used,
layers twice) is counted as it was, from what `COUNTED` builds.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from benchmark.table_rules import printed_parameters, table3_operations
from results.published import published_table
from zoo.nets.mobilenetv3_miniseg import SqueezeExcite
from zoo.registry import cards, create_model, get_card

ROWS = {row["network"]: row for row in published_table("miniseg-table3").rows}


class Counted(nn.Module):
    """A network as the table counted it.

    Args:
        run: What is run.
        also: What is registered beside it and never run.
        twice: Whether every layer is reachable by two paths.
    """

    def __init__(self, run: nn.Module, also: nn.Module | None = None, twice: bool = False) -> None:
        super().__init__()
        self.run = run
        self.also = also
        self.again = run if twice else None

    def forward(self, image: torch.Tensor) -> object:
        return self.run(image)


def encoder_alone(network: nn.Module) -> nn.Module:
    return network.get_submodule("encoder")


def beside_unused_classifier(network: nn.Module) -> nn.Module:
    """MobileNetV3-Small with the two-class classifier of its own."""
    classifier = nn.Sequential(SqueezeExcite(576), nn.Conv2d(576, 1280, 1), nn.Conv2d(1280, 2, 1))
    return Counted(network, also=classifier)


COUNTED: dict[str, Callable[[nn.Module], nn.Module]] = {
    "mobilenet-miniseg": encoder_alone,
    "mobilenetv2-miniseg": encoder_alone,
    "mobilenetv3-miniseg": beside_unused_classifier,
    "shufflenet-miniseg": encoder_alone,
    "shufflenetv2-miniseg": encoder_alone,
}


@pytest.mark.parametrize("name", [name for name in ROWS if name in cards()])
def test_row_is_counted_as_it_was_printed(name: str) -> None:
    printed = ROWS[name]
    with torch.device("meta"):
        subject = COUNTED.get(name, lambda network: network)(create_model(name))
        subject.train(name == "miniseg")  # its auxiliary heads were counted
        image = torch.empty(1, 3, 512, 512)
    params = sum(each.numel() for each in subject.parameters())
    unit = printed["parameters_printed"][-1]
    counted = printed_parameters(params, unit)
    if name == "mobilenetv3-miniseg":  # the one row whose M is a million
        counted = f"{params / 1e6:.2f}M"
    assert _trimmed(counted) == _trimmed(printed["parameters_printed"])
    operations = f"{table3_operations(subject, image) / 1e9:.2f}G"
    assert _trimmed(operations) == _trimmed(printed["flops_printed"])


@pytest.mark.parametrize("name", [name for name in ROWS if name in cards()])
def test_row_that_counted_something_else_says_so_on_its_card(name: str) -> None:
    if name in COUNTED:
        assert get_card(name).published, "explain the printed count"
    else:
        unit = ROWS[name]["parameters_printed"][-1]
        counted = printed_parameters(get_card(name).params or 0, unit)
        assert _trimmed(counted) == _trimmed(ROWS[name]["parameters_printed"])


def _trimmed(printed: str) -> str:
    """A printed number without trailing zeros: 12.50M is 12.5M."""
    return printed[:-1].rstrip("0").rstrip(".") + printed[-1]
