"""The rows of MiniSeg's Tables I and II: what each costs, and what sets it apart."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmark.table_rules import table3_operations
from zoo.miniseg_blocks import AHSP, FeatureFusion, MultiBranch, SingleBranch
from zoo.miniseg_stages import SinglePathStage
from zoo.registry import create_model

# Registered parameters; operations by the rules of Table III and multiply-adds of convolutions,
# in thousands of millions, at 3x512x512 with every head.
ROWS = {
    "miniseg-t1-single-branch": (273_976, "1.3663", "1.3470"),
    "miniseg-t1-single-branch[grouped=false]": (390_712, "1.6179", "1.5986"),
    "miniseg-t1-multi-branch": (412_312, "1.6905", "1.6712"),
    "miniseg-t1-attentive-hierarchy": (415_512, "1.7254", "1.6819"),
    "miniseg": (472_440, "2.2733", "2.2269"),
    "miniseg-t2-relu": (468_520, "2.2927", "2.2269"),
    "miniseg-t2-no-decoder": (404_514, "2.4782", "2.4185"),
    "miniseg-t2-no-deep-supervision": (471_538, "2.2696", "2.2232"),
    "miniseg-t2-ahsp-stage1": (468_212, "2.0056", "1.9522"),
    "miniseg-t2-dsconv3": (465_272, "2.2439", "2.1976"),
    "miniseg-t2-ahsp-ffm": (444_680, "2.0443", "1.9920"),
}


def build(name: str, **options: Any) -> Any:
    with torch.device("meta"):
        return create_model(name, **options)


def kinds(module: nn.Module) -> set[type[nn.Module]]:
    return {type(each) for each in module.modules()}


@pytest.mark.parametrize("row", ROWS)
def test_cost_of_a_row(row: str) -> None:
    name, bracket, _ = row.partition("[")
    network = build(name, **({"grouped": False} if bracket else {})).train()
    image = torch.empty(1, 3, 512, 512, device="meta")
    params = sum(each.numel() for each in network.parameters())
    operations = table3_operations(network, image)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(image)
    macs = counter.get_total_flops() / 2
    assert (params, f"{operations / 1e9:.4f}", f"{macs / 1e9:.4f}") == ROWS[row]


@pytest.mark.parametrize(("residual", "factor"), [(True, 4), (False, 1)])
def test_a_single_path_adds_its_blocks_to_their_input_or_not(residual: bool, factor: int) -> None:
    stage = SinglePathStage([nn.AvgPool2d(2), nn.Identity(), nn.Identity()], residual=residual)
    image = torch.randn(1, 2, 8, 8)
    main, both = stage(image, image)
    torch.testing.assert_close(main, factor * nn.AvgPool2d(2)(image))
    assert both is main


@pytest.mark.parametrize("block", [MultiBranch, SingleBranch])
@pytest.mark.parametrize("stride", [1, 2])
def test_reduced_blocks_have_the_sizes_of_ahsp(block: type[nn.Module], stride: int) -> None:
    x = torch.randn(2, 8, 17, 9)
    assert block(8, 16, stride)(x).shape == AHSP(8, 16, stride)(x).shape


def test_multiple_branches_are_neither_summed_up_nor_attended_to() -> None:
    block: Any = MultiBranch(8, 8).eval()
    block.fuse = nn.Identity()
    for k, branch in enumerate(block.branches):  # each multiplies its input by k + 1
        nn.init.zeros_(branch.weight)
        branch.weight.data[:, :, 1, 1] = k + 1
    x = torch.randn(1, 8, 12, 12)
    reduced = block.reduce(x)
    torch.testing.assert_close(block(x), torch.cat([k * reduced for k in (1, 2, 3, 4)], dim=1))
    assert [branch.dilation[0] for branch in block.branches] == [1, 2, 4, 8]


def test_a_single_branch_sees_three_pixels() -> None:
    x = torch.zeros(1, 4, 15, 15)
    x[..., 7, 7] = 1
    block = SingleBranch(4, 4).eval()
    changed = (block(x) != block(torch.zeros_like(x))).any(dim=1)[0].nonzero()
    assert changed.min() == 6 and changed.max() == 8


def test_without_the_decoder_both_paths_of_stage_4_keep_the_size() -> None:
    network = build("miniseg-t2-no-decoder")
    seen: list[Tensor] = []
    stage = network.encoder.stages[3]
    stage.blocks[0].register_forward_hook(lambda *args: seen.append(args[2]))
    stage.second.register_forward_hook(lambda *args: seen.append(args[2]))
    logits = network.train()(torch.empty(2, 3, 64, 96, device="meta"))
    assert [tuple(each.shape) for each in seen] == [(2, 256, 8, 12)] * 2
    assert logits.shape == (2, 2, 64, 96)  # a tensor: no auxiliary head


def test_relu_is_everywhere() -> None:
    assert nn.PReLU in kinds(build("miniseg"))
    assert nn.PReLU not in kinds(build("miniseg-t2-relu"))


def test_the_3x3_is_in_every_downsampler_block() -> None:
    stages = build("miniseg-t2-dsconv3").encoder.stages
    convolutions = [stage.second.spatial[0] for stage in stages]
    assert [each.kernel_size for each in convolutions] == [(3, 3)] * 4
    assert [each.groups for each in convolutions] == [1, 64, 128, 256]


def test_where_ahsp_stands_in() -> None:
    assert AHSP in kinds(build("miniseg-t2-ahsp-stage1").encoder.stages[0].blocks)
    decoder = build("miniseg-t2-ahsp-ffm").decoder
    assert AHSP in kinds(decoder) and FeatureFusion not in kinds(decoder)
