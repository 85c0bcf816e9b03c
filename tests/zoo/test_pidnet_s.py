"""PIDNet-S: the paper's counts, its two fusions, and what is left of the D branch."""

from __future__ import annotations

import torch
from torch import nn

from benchmark.complexity import count_by_dispatch
from zoo.nets.pidnet_s import PAPPM, LightBag, Pag, PIDNet
from zoo.registry import create_model


def count(module: nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())


def test_counts_beside_the_paper() -> None:
    with torch.device("meta"):
        network = PIDNet(3, 19).eval()
        image = torch.zeros(1, 3, 1024, 2048)
    assert count(network) - count(network.auxiliary) == 7_625_651  # 7.6M
    assert f"{count_by_dispatch(network, image) / 1e9:.2f}" == "47.19"


def test_fusion_by_attention_is_a_weighted_mean_that_likeness_decides() -> None:
    torch.manual_seed(0)
    pag = Pag(4, 2).eval()
    detail, context = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 2, 2)
    large = nn.functional.interpolate(context, scale_factor=4, mode="bilinear")
    nn.init.zeros_(pag.key[0].weight)  # a likeness of zero: half of each
    with torch.no_grad():
        torch.testing.assert_close(pag(detail, context), (detail + large) / 2)
        pag.key[1].bias.fill_(100.0)
        pag.query[0].weight.zero_()
        pag.query[1].bias.fill_(1.0)
        torch.testing.assert_close(pag(detail, context), large)
        pag.query[1].bias.fill_(-1.0)
        torch.testing.assert_close(pag(detail, context), detail)


def test_an_edge_takes_details_and_the_rest_takes_context() -> None:
    torch.manual_seed(0)
    bag = LightBag(4).eval()
    detail, context = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8)
    sure = torch.full_like(detail, 1e3)
    with torch.no_grad():
        at_edge = bag.detail(detail) + bag.context(context + detail)
        inside = bag.detail(detail + context) + bag.context(context)
        torch.testing.assert_close(bag(detail, context, sure), at_edge)
        torch.testing.assert_close(bag(detail, context, -sure), inside)


def test_scales_of_the_pyramid_are_fused_each_by_itself() -> None:
    pyramid = PAPPM(8, 4, 6)
    assert pyramid.fuse[2].groups == len(pyramid.pools) == 4
    assert pyramid.compress[2].in_channels == 5 * 4
    windows = [(each[0].kernel_size, each[0].stride) for each in list(pyramid.pools)[:3]]
    assert windows == [(5, 2), (9, 4), (17, 8)]


def test_the_d_branch_learns_from_the_main_output_alone() -> None:
    network = create_model("pidnet-s").train()
    main, extra = network(torch.randn(2, 3, 64, 64))
    extra.square().sum().backward(retain_graph=True)
    reached = {
        n.partition(".")[0] for n, each in network.named_parameters() if each.grad is not None
    }
    assert reached == {"stem", "p3", "i3", "compress3", "pag3", "auxiliary"}
    main.square().sum().backward()
    assert all(each.grad is not None for n, each in network.named_parameters() if n[0] == "d")
