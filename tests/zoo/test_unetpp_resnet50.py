"""UNet++ on ResNet-50, a row of CHS-Net's Table 3."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import ResNet50_Weights, resnet50

from zoo.registry import create_model


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_size_is_the_printed_one_but_for_the_order_within_the_encoder() -> None:
    with torch.device("meta"):
        network: Any = create_model("unetpp-resnet50", 3, 1)
    # Where activations come first, the image, the stem, each block's input and two of its widths
    # are normalised, and the last map; torchvision normalises each output and shortcut instead.
    widths, blocks = (64, 128, 256, 512), (3, 4, 6, 3)
    shifts = 3 + 2 * 64 + 2 * 2048  # the image is shifted, not scaled
    before = 64
    for width, number in zip(widths, blocks, strict=True):
        shifts += 2 * (before + (number - 1) * 4 * width) + number * 4 * width
        before = 4 * width
    norms = [m for m in network.encoder.modules() if isinstance(m, nn.BatchNorm2d)]
    theirs = count(network) - sum(count(norm) for norm in norms) + shifts
    assert theirs == 37_648_292


def test_each_node_reads_the_scale_below_and_all_maps_to_its_left() -> None:
    with torch.device("meta"):
        network: Any = create_model("unetpp-resnet50").eval()
        read: dict[tuple[int, int], tuple[Tensor, list[Tensor]]] = {}
        made: dict[tuple[int, int], Tensor] = {}
        for column, nodes in enumerate(network.nodes, start=1):
            for scale, node in enumerate(nodes):

                def note(
                    _: nn.Module, args: Any, output: Tensor, at: tuple[int, int] = (scale, column)
                ) -> None:
                    read[at] = args[0], list(args[1])
                    made[at] = output

                node.register_forward_hook(note)
        network(torch.empty(1, 3, 64, 96))
    assert len(made) == 10
    for (scale, column), (below, beside) in read.items():
        made.setdefault((scale, 0), beside[0])
        if column == 1:
            made.setdefault((scale + 1, 0), below)
    for (scale, column), (below, beside) in read.items():
        assert below is made[scale + 1, column - 1]
        assert len(beside) == column
        assert all(each is made[scale, left] for left, each in enumerate(beside))
        assert made[scale, column].shape[-2:] == (32 >> scale, 48 >> scale)


def test_imagenet_weights_reach_the_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    weights = resnet50().state_dict()
    monkeypatch.setattr(ResNet50_Weights, "get_state_dict", lambda *_, **__: weights)
    network: Any = create_model("unetpp-resnet50", weights="imagenet")
    expected = {name: each for name, each in weights.items() if not name.startswith("fc.")}
    torch.testing.assert_close(dict(network.encoder.state_dict()), expected)
