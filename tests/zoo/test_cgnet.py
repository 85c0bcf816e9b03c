"""CGNet: size, operations, blocks, contract."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from zoo.errors import CovbenchError
from zoo.nets.cgnet import Block, Gate, LocalAndSurround, Stage
from zoo.registry import create_model, get_card


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("blocks3", "params"), [(21, 491_954), (15, 419_330)])
def test_size(blocks3: int, params: int) -> None:
    assert count(create_model("cgnet", blocks3=blocks3)) == params


def test_card() -> None:
    card = get_card("cgnet")
    assert card.params == 491_954
    assert card.options == {"blocks2": 3, "blocks3": 21}


def test_operations_of_the_table_row_on_meta() -> None:
    with torch.device("meta"):
        network = create_model("cgnet").eval()
        image = torch.zeros(1, 3, 512, 512)
    with FlopCounterMode(display=False) as counter:
        assert network(image).shape == (1, 2, 512, 512)
    assert f"{counter.get_total_flops() / 2e9:.3f}" == "3.363"


def test_block_is_a_gated_sum_with_its_input() -> None:
    block = Block(16, dilation=2, reduction=4).eval()
    x = torch.randn(2, 16, 9, 7)
    narrow, joined, gate = block
    torch.testing.assert_close(block(x), x + gate(joined(narrow(x))))


def test_gate_weighs_channels_by_their_means() -> None:
    gate = Gate(8, 4)
    x = torch.randn(2, 8, 5, 6)
    ratio = gate(x) / x
    torch.testing.assert_close(ratio, ratio[:, :, :1, :1].expand_as(x))
    shuffled = x.flatten(2)[:, :, torch.randperm(30)].view_as(x)
    torch.testing.assert_close((gate(shuffled) / shuffled)[..., 0, 0], ratio[..., 0, 0])


def test_surround_is_dilated_and_local_is_not() -> None:
    both = LocalAndSurround(2, dilation=4).eval()
    x = torch.zeros(1, 2, 21, 21, requires_grad=True)
    for half, reach in ((slice(0, 2), 1), (slice(2, 4), 4)):
        x.grad = None
        both(x)[0, half, 10, 10].sum().backward()
        assert x.grad is not None
        rows, columns = x.grad[0].abs().sum(0).nonzero().T
        assert (rows - 10).abs().max() == (columns - 10).abs().max() == reach


def test_stage_gives_its_last_and_first_block() -> None:
    stage = Stage(8, 16, 3, dilation=2, reduction=4).eval()
    x = torch.randn(1, 8, 11, 8)
    last, first = stage(x)
    assert last.shape == first.shape == (1, 16, 6, 4)
    torch.testing.assert_close(first, stage.down(x))
    torch.testing.assert_close(last, stage.blocks(first))
    alone, same = Stage(8, 16, 1, dilation=2, reduction=4).eval()(x)
    torch.testing.assert_close(alone, same)


def test_stage_without_blocks() -> None:
    with pytest.raises(CovbenchError, match="blocks"):
        create_model("cgnet", blocks2=0)


@pytest.mark.parametrize(("channels", "classes"), [(1, 1), (3, 2), (1, 4), (4, 1)])
def test_channels_and_classes(channels: int, classes: int) -> None:
    network = create_model("cgnet", channels, classes).train()
    image = torch.randn(2, channels, 96, 80)
    assert network(image).shape == (2, classes, 96, 80)
    with torch.no_grad():
        assert network.eval()(image).shape == (2, classes, 96, 80)


@pytest.mark.parametrize("size", [(333, 500), (32, 32)])
def test_trains_with_a_batch_of_one_and_any_size(size: tuple[int, int]) -> None:
    network = create_model("cgnet").train()
    out = network(torch.randn(1, 3, *size))
    assert out.shape == (1, 2, *size)
    out.square().mean().backward()
    starved = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert starved == []


def test_bfloat16_autocast_trains() -> None:
    network = create_model("cgnet").train()
    with torch.autocast("cpu", torch.bfloat16):
        out = network(torch.randn(2, 3, 64, 64))
    assert out.dtype == torch.bfloat16
    out.float().square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
