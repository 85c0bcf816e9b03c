"""VM-UNet: its shape, the four directions of its scan, patches, what is counted."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from benchmark.layers import count_layers
from zoo.nets.vm_unet import (
    STATES,
    PatchExpanding,
    PatchMerging,
    Scan2d,
    VMUNet,
    VSSBlock,
    rates,
)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def blocks(stages: nn.ModuleList) -> list[list[VSSBlock]]:
    return [[each for each in stage if isinstance(each, VSSBlock)] for stage in stages]


def test_size_by_part() -> None:
    with torch.device("meta"):
        network = VMUNet(3, 1)
    assert sum(each.numel() for each in network.parameters()) == 27_427_561
    found = [
        [(each.enter.in_features, each.scan.split[0]) for each in stage]
        for stages in (network.encoder, network.decoder)
        for stage in blocks(stages)
    ]
    encoder = [[(96, 6)] * 2, [(192, 12)] * 2, [(384, 24)] * 2, [(768, 48)] * 2]
    decoder = [[(768, 48)] * 2, [(384, 24)] * 2, [(192, 12)] * 2, [(96, 6)]]
    assert found == encoder + decoder


def test_the_counts_that_its_card_tells_apart() -> None:
    with torch.device("meta"):
        layers = count_layers(VMUNet(3, 1).eval(), torch.zeros(1, 3, 256, 256))
    scans = [each for each in layers if each.kind == "Scan2d"]
    within = sum(each.macs for each in scans)
    assert f"{(layers[0].macs - within) / 1e9:.2f} {layers[0].macs / 1e9:.2f}" == "4.07 5.62"
    # Outputs are (1, H, W, C); one multiply-add for each direction, pixel, channel and state.
    states = sum(4 * each.output[1] * each.output[2] * each.output[3] * STATES for each in scans)
    assert f"{4 * states / 1e9:.2f}" == "1.31"  # at 512x512, four times as many pixels


def test_skips_come_from_three_scales_and_none_from_the_first() -> None:
    network = VMUNet(3, 2, width=8, drop=0.0).eval()
    entered: list[torch.Tensor] = []
    for stage in network.decoder:
        stage.register_forward_hook(lambda _, args, __: entered.append(args[0]))
    encoded: list[torch.Tensor] = []
    for stage in network.encoder:
        stage.register_forward_hook(lambda _, args, __: encoded.append(args[0]))
    given: list[torch.Tensor] = []
    for stage in network.decoder:
        stage.register_forward_hook(lambda _, __, output: given.append(output))
    with torch.no_grad():
        network(torch.randn(1, 3, 64, 64))
    assert [each.shape[1] for each in encoded] == [16, 8, 4, 2]
    for level in (1, 2, 3):
        torch.testing.assert_close(entered[level], given[level - 1] + encoded[4 - level])


def alike(scan: Scan2d) -> Scan2d:
    """The scan with the weights of its first direction in all four."""
    with torch.no_grad():
        for each in scan.parameters():
            each.copy_(each[:1].expand_as(each).clone())
    return scan


def test_directions_go_along_rows_and_columns_forth_and_back() -> None:
    scan, x = alike(Scan2d(4, 2).double()), torch.randn(2, 5, 7, 4, dtype=torch.float64)
    with torch.no_grad():
        found = scan(x)
        torch.testing.assert_close(scan(x.transpose(1, 2)), found.transpose(1, 2))
        torch.testing.assert_close(scan(x.flip(1, 2)), found.flip(1, 2))
        assert not torch.allclose(scan(x.flip(1)), found.flip(1))


# For each direction: the order in which it meets the pixels of a 3x4 map.
GRID = torch.arange(12).view(3, 4)
ORDERS = (GRID.flatten(), GRID.T.flatten(), GRID.flatten().flip(0), GRID.T.flatten().flip(0))


@pytest.mark.parametrize("direction", range(4))
def test_a_direction_hears_only_what_came_before(direction: int) -> None:
    scan = Scan2d(4, 2)
    with torch.no_grad():
        silent = [each for each in range(4) if each != direction]
        scan.project[silent, :, -STATES:] = 0.0  # what reads the states
        scan.through.zero_()
    x = torch.randn(1, 3, 4, 4, requires_grad=True)
    order = ORDERS[direction]
    for at in (0, 5, 11):
        (gradient,) = torch.autograd.grad(scan(x).flatten(1, 2)[0, order[at]].sum(), x)
        heard = gradient[0].abs().sum(-1).flatten()[order] > 0
        assert heard.tolist() == [each <= at for each in range(12)]


def test_steps_and_decays_start_where_mamba_has_them() -> None:
    scan = Scan2d(32, 2)
    steps = F.softplus(scan.bias).detach()
    assert 0.0009 < float(steps.min()) < 0.005 and 0.05 < float(steps.max()) <= 0.1001
    torch.testing.assert_close(scan.log_rate.exp()[2, 5], torch.arange(1.0, 17.0))
    assert (scan.through == 1).all()


def test_blocks_are_left_out_more_often_the_deeper_they_stand() -> None:
    assert rates((2, 1), 0.2) == [[0.0, 0.1], [0.2]]
    network = VMUNet(3, 2, width=8, encoder=(2, 1), decoder=(2, 1), drop=0.2)
    encoder, decoder = (
        [[each.drop for each in stage] for stage in blocks(stages)]
        for stages in (network.encoder, network.decoder)
    )
    assert (encoder, decoder) == ([[0.0, 0.1], [0.2]], [[0.2, 0.1], [0.0]])


def test_a_block_that_is_left_out_changes_nothing_and_the_others_make_up_for_it() -> None:
    block, x = VSSBlock(8, 0.5), torch.randn(64, 4, 4, 8)
    with torch.no_grad():
        whole = block.eval()(x) - x
        drawn = block.train()(x) - x
    kept = drawn.abs().amax((1, 2, 3)) > 0
    assert 10 < int(kept.sum()) < 54
    torch.testing.assert_close(drawn[kept], 2 * whole[kept], rtol=1e-4, atol=1e-5)


def test_merging_and_expanding_keep_pixels_in_their_place() -> None:
    merging, expanding = PatchMerging(1), PatchExpanding(1, 2, 1)
    merging.norm = expanding.norm = nn.Identity()  # type: ignore[assignment]
    x = torch.arange(16.0).view(1, 4, 4, 1)
    with torch.no_grad():
        merging.reduce.weight.copy_(torch.tensor([[1.0, 0, 0, 0], [0, 0, 1.0, 0]]))
        found = merging(x)
        expanding.expand.weight.copy_(torch.tensor([[1.0], [10.0], [100.0], [1000.0]]))
        spread = expanding(torch.tensor([[[[1.0], [2.0]]]]))
    # The upper left pixel of each square, and the upper right one.
    assert found[0, :, :, 0].tolist() == [[0, 2], [8, 10]]
    assert found[0, :, :, 1].tolist() == [[1, 3], [9, 11]]
    assert spread[0, :, :, 0].tolist() == [[1, 10, 2, 20], [100, 1000, 200, 2000]]
