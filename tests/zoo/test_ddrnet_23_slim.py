"""DDRNet-23-slim: the paper's counts, the order in which DAPPM fuses, the exchanges."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.complexity import count_by_dispatch
from zoo.nets.ddrnet_23_slim import DAPPM, DDRNet
from zoo.registry import create_model


def count(module: nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())


def test_counts_of_the_paper() -> None:
    with torch.device("meta"):
        network = DDRNet(3, 19).eval()
        image = torch.zeros(1, 3, 1024, 2048)
    assert count(network) - count(network.auxiliary) == 5_695_923  # 5.7M
    assert f"{count_by_dispatch(network, image) / 1e9:.1f}" == "36.3"


def sizes(network: DDRNet, image: Tensor) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for name, module in network.named_children():
        module.register_forward_hook(
            lambda _, __, output, name=name: found.update({name: tuple(output.shape[1:])})
        )
    network(image)
    return found


def test_branches_keep_an_eighth_and_go_down_to_a_sixty_fourth() -> None:
    with torch.device("meta"):
        found = sizes(DDRNet(1, 2).train(), torch.zeros(2, 1, 128, 192))
    assert found["stem"] == found["fine3"] == found["fine4"] == (64, 16, 24)
    assert (found["up3"], found["up4"]) == ((64, 8, 12), (64, 4, 6))
    assert (found["deep3"], found["deep4"]) == ((128, 8, 12), (256, 4, 6))
    assert (found["down3"], found["down4"]) == ((128, 8, 12), (256, 4, 6))
    assert (found["deep5"], found["pyramid"]) == ((512, 2, 3), (128, 2, 3))
    assert (found["fine5"], found["head"]) == ((128, 16, 24), (2, 16, 24))
    assert found["auxiliary"] == (2, 16, 24)


def test_every_scale_of_the_pyramid_hears_the_finer_ones() -> None:
    torch.manual_seed(0)
    pyramid = DAPPM(8, 4, 6).eval()
    inputs: list[Tensor] = []
    for fuse in pyramid.fuse:
        fuse.register_forward_hook(lambda _, args, __: inputs.append(args[0]))
    x = torch.randn(1, 8, 16, 16)
    with torch.no_grad():
        before = pyramid(x)
        scales, inputs = inputs[:], []
        nn.init.zeros_(pyramid.fuse[1][2].weight)
        assert not torch.equal(pyramid(x), before)
    same = [torch.equal(old, new) for old, new in zip(scales, inputs, strict=True)]
    assert same == [True, True, False, False]  # what comes behind the silenced one
    # The last scale is the mean of the whole map, the same everywhere, on top of a zero map.
    nn.init.zeros_(pyramid.fuse[2][2].weight)
    inputs = []
    with torch.no_grad():
        pyramid(x)
    torch.testing.assert_close(inputs[3], inputs[3][:, :, :1, :1].expand(-1, -1, 16, 16))


def test_the_auxiliary_head_reads_the_fine_branch_after_the_first_exchange() -> None:
    network = create_model("ddrnet-23-slim").train()
    _, extra = network(torch.randn(2, 3, 64, 64))
    extra.square().sum().backward()
    reached = {
        name.partition(".")[0]
        for name, each in network.named_parameters()
        if each.grad is not None and each.grad.any()
    }
    assert reached == {"stem", "fine3", "deep3", "up3", "auxiliary"}
