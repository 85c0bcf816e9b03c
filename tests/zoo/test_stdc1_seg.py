"""STDC1-Seg: the module's widths, the backbone's count, the heads."""

from __future__ import annotations

import torch
from torch import nn

from zoo.nets.stdc1_seg import STDC1, ShortTermDense
from zoo.registry import create_model


def count(module: nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())


def test_the_classifier_of_the_paper_makes_up_its_count() -> None:
    with torch.device("meta"):
        backbone = STDC1(3)
    # A 1x1 convolution with batch norm, a linear layer of 1024, and one to 1000 classes.
    classifier = (1024 * 1024 + 2 * 1024) + 1024 * 1024 + 1024 * 1000
    assert count(backbone) == 5_318_304
    assert f"{(count(backbone) + classifier) / 1e6:.2f}" == "8.44"


def test_a_module_joins_a_half_a_quarter_and_twice_an_eighth() -> None:
    module = ShortTermDense(16, 64)
    assert [layer[0].out_channels for layer in (module.first, *module.rest)] == [32, 16, 8, 8]
    assert [layer[0].kernel_size[0] for layer in (module.first, *module.rest)] == [1, 3, 3, 3]
    # The parts reach 1, 3, 5 and 7 pixels far; ReLUs would hide some of them.
    for layer in (module.first, *module.rest):
        layer[2] = nn.Identity()
    reach = []
    for start, stop in ((0, 32), (32, 48), (48, 56), (56, 64)):
        x = torch.rand(1, 16, 15, 15, requires_grad=True)
        module.eval()(x)[0, start:stop, 7, 7].sum().backward()
        assert x.grad is not None
        reach.append(int((x.grad[0].abs().sum((0, 1)) > 0).sum()))
    assert reach == [1, 3, 5, 7]


def test_a_halving_module_takes_the_mean_of_its_first_part() -> None:
    torch.manual_seed(0)
    module = ShortTermDense(8, 32, stride=2).eval()
    x = torch.randn(1, 8, 9, 12)
    with torch.no_grad():
        found = module(x)
        first = nn.functional.avg_pool2d(module.first(x), 3, stride=2, padding=1)
    assert found.shape == (1, 32, 5, 6)
    torch.testing.assert_close(found[:, :16], first)


def test_maps_of_the_backbone() -> None:
    with torch.device("meta"):
        maps = STDC1(1)(torch.zeros(1, 1, 64, 96))
    shapes = [tuple(each.shape[1:]) for each in maps]
    assert shapes == [(256, 8, 12), (512, 4, 6), (1024, 2, 3)]


def test_two_heads_read_the_context_path_and_none_the_details() -> None:
    network = create_model("stdc1-seg").train()
    main, fine, coarse = network(torch.randn(2, 3, 64, 64))
    assert main.shape == fine.shape == coarse.shape == (2, 2, 64, 64)
    coarse.square().sum().backward(retain_graph=True)
    assert network.attend32.conv[0].weight.grad is not None
    assert network.attend16.conv[0].weight.grad is None
    fine.square().sum().backward()
    assert network.attend16.conv[0].weight.grad is not None
    assert network.fuse.join[0].weight.grad is None
