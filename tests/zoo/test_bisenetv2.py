"""BiSeNetV2: the branches of its table, what guides what, the boosters."""

from __future__ import annotations

import torch
from torch import nn

from benchmark.layers import count_layers
from zoo.nets.bisenetv2 import BiSeNetV2, ContextEmbedding, GatherExpand, GuidedAggregation
from zoo.registry import create_model


def test_branches_are_those_of_the_table() -> None:
    with torch.device("meta"):
        layers = count_layers(BiSeNetV2(3, 19).eval(), torch.zeros(1, 3, 512, 1024))
    found = {each.path: each for each in layers}
    detail = [found[f"detail.{index}"].output[1:] for index in range(8)]
    assert detail == ([(64, 256, 512)] * 2 + [(64, 128, 256)] * 3 + [(128, 64, 128)] * 3)
    semantic = [found[f"semantic.{index}"].output[1:] for index in range(4)]
    assert semantic == [(16, 128, 256), (32, 64, 128), (64, 32, 64), (128, 16, 32)]
    assert found["aggregate"].output[1:] == (128, 64, 128)
    # What its card says of the printed count.
    assert f"{found[''].macs / 1e9:.2f} {found['head'].macs / 1e9:.2f}" == "24.60 9.82"
    others, a_channel = found[""].macs - found["head"].macs, found["head"].macs / 1024
    assert 640 < (21.15e9 - others) / a_channel < 680


def test_a_gather_and_expansion_layer_is_six_times_as_wide_inside() -> None:
    plain, halving = GatherExpand(8, 8), GatherExpand(8, 12, 2)
    shapes = [
        [
            (each.in_channels, each.out_channels, each.groups, each.stride[0])
            for each in layer.modules()
            if isinstance(each, nn.Conv2d)
        ]
        for layer in (plain.branch, halving.branch, halving.shortcut)
    ]
    assert shapes == [
        [(8, 8, 1, 1), (8, 48, 8, 1), (48, 8, 1, 1)],
        [(8, 8, 1, 1), (8, 48, 8, 2), (48, 48, 48, 1), (48, 12, 1, 1)],
        [(8, 8, 8, 2), (8, 12, 1, 1)],
    ]


def test_context_is_the_same_at_every_pixel() -> None:
    torch.manual_seed(0)
    block = ContextEmbedding(4).eval()
    nn.init.dirac_(block.conv.weight)
    nn.init.zeros_(block.conv.bias)
    x = torch.randn(1, 4, 5, 6)
    with torch.no_grad():
        added = block(x) - x
    torch.testing.assert_close(added, added[:, :, :1, :1].expand_as(added))
    assert added.any()


def test_each_branch_can_shut_the_other() -> None:
    torch.manual_seed(0)
    aggregate = GuidedAggregation(4).eval()
    detail, semantic = torch.randn(1, 4, 16, 16), torch.randn(1, 4, 4, 4)
    with torch.no_grad():
        aggregate.semantic_large[1].bias.fill_(-1e3)
        aggregate.semantic[1].bias.fill_(-1e3)
        assert not (aggregate(detail, semantic) - aggregate.join[1].bias[:, None, None]).any()
        aggregate.semantic[1].bias.fill_(1e3)  # open: the small map of details goes through
        large = nn.functional.interpolate(
            aggregate.detail_small(detail), scale_factor=4, mode="bilinear"
        )
        torch.testing.assert_close(aggregate(detail, semantic), aggregate.join(large))


def test_boosters_read_the_semantic_branch_alone() -> None:
    network = create_model("bisenetv2").train()
    outputs = network(torch.randn(2, 3, 64, 64))
    assert len(outputs) == 5
    for depth, output in enumerate(outputs[1:]):
        network.zero_grad()
        output.square().sum().backward(retain_graph=True)
        learned = {n for n, each in network.named_parameters() if each.grad is not None}
        parts = {".".join(name.split(".")[:2]) for name in learned}
        assert parts == {f"semantic.{stage}" for stage in range(depth + 1)} | {f"boosters.{depth}"}
