"""Table III of MiniSeg counted again: parameters and operations, by the table's own rules.

A row that counted something else than the network (its encoder alone, a part that is never used,
layers twice) is counted as it was, from what `COUNTED` builds.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.table_rules import table3_operations
from results.published import published_table
from zoo.nets.deeplabv3plus import Block
from zoo.nets.mobilenetv3_miniseg import SqueezeExcite
from zoo.nets.ocnet import ObjectContext
from zoo.registry import cards, create_model, get_card

TABLE = published_table("miniseg-table3")
ROWS = {row["network"]: row for row in TABLE.rows}


class Both(nn.Module):
    """A network that is run, and a part that is only registered beside it."""

    def __init__(self, run: nn.Module, beside: nn.Module) -> None:
        super().__init__()
        self.run = run
        self.beside = beside

    def forward(self, image: Tensor) -> object:
        return self.run(image)


class Function(nn.Module):
    """A ReLU called as a function, which the rules don't see."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x)


def encoder_alone(network: nn.Module) -> nn.Module:
    return network.get_submodule("encoder")


def relu_as_function(network: nn.Module) -> nn.Module:
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.ReLU):
                setattr(parent, name, Function())
    return network


def relu_of_blocks_twice(network: nn.Module) -> nn.Module:
    for block in [each for each in network.modules() if isinstance(each, Block)]:
        block.again = nn.ModuleList(each for each in block.branch if isinstance(each, nn.ReLU))
    return network


def keys_apart_from_queries(network: nn.Module) -> nn.Module:
    context = network.get_submodule("head.1.context")
    assert isinstance(context, ObjectContext)
    context.compare.register_forward_hook(lambda compare, image, _: compare.forward(*image))
    return network


def resnet_twice_and_its_classifier(network: nn.Module) -> nn.Module:
    layers = network.get_submodule("encoder").children()
    return Both(network, nn.Sequential(*layers, nn.Linear(2048, 1000)))


def beside_unused_classifier(network: nn.Module) -> nn.Module:
    """MobileNetV3-Small with the two-class classifier of its own."""
    classifier = nn.Sequential(SqueezeExcite(576), nn.Conv2d(576, 1280, 1), nn.Conv2d(1280, 2, 1))
    return Both(network, classifier)


COUNTED: dict[str, Callable[[nn.Module], nn.Module]] = {
    "segnet": relu_as_function,
    "deeplabv3plus": relu_of_blocks_twice,
    "dfn": resnet_twice_and_its_classifier,
    "encnet": lambda network: Both(network, nn.Linear(512, 2)),
    "ocnet": keys_apart_from_queries,
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
        subject.train(name in ("miniseg", "dfn"))  # their auxiliary heads were counted
        image = torch.empty(1, 3, 512, 512)
    params = sum(each.numel() for each in subject.parameters())
    cell = printed["parameters_printed"]
    assert TABLE.print_params(printed["method"], params, cell) == cell
    operations = Decimal(table3_operations(subject, image)) / 10**9
    digits = Decimal(printed["flops_printed"].removesuffix("G"))
    assert operations.quantize(digits, ROUND_HALF_UP) == digits


@pytest.mark.parametrize("name", [name for name in ROWS if name in cards()])
def test_row_that_counted_something_else_says_so_on_its_card(name: str) -> None:
    if name in COUNTED:
        assert get_card(name).published, "explain the printed count"
    else:
        cell = ROWS[name]["parameters_printed"]
        assert TABLE.print_params(ROWS[name]["method"], get_card(name).params or 0, cell) == cell
