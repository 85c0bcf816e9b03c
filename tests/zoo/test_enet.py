"""ENet: size, operations, unpooling, contract."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from zoo.errors import CovbenchError
from zoo.nets.enet import Bottleneck, Down, ENet, Up, middle
from zoo.padding import forward_padded
from zoo.registry import create_model, get_card
from zoo.unpool import max_unpool


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def count(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def test_size_by_part() -> None:
    network = create_model("enet")
    assert isinstance(network, ENet)
    encoder = (network.initial, network.down1, network.stage1, network.down2, network.stage2)
    decoder = (network.up2, network.refine2, network.up1, network.refine1, network.head)
    assert (count(*encoder), count(*decoder)) == (338_147, 25_050)
    assert count(network) == get_card("enet").params == 363_197


def test_operations_of_the_table_row_on_meta() -> None:
    with torch.device("meta"):
        network = create_model("enet").eval()
        image = torch.zeros(1, 3, 512, 512)
    with FlopCounterMode(display=False) as counter:
        assert network(image).shape == (1, 2, 512, 512)
    assert f"{counter.get_total_flops() / 2e9:.3f}" == "1.890"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("channels_last", [False, True])
def test_unpooling_equals_the_one_of_torch(dtype: torch.dtype, channels_last: bool) -> None:
    layout = torch.channels_last if channels_last else torch.contiguous_format
    x = torch.randn(2, 3, 10, 14, dtype=dtype).contiguous(memory_format=layout)
    pooled, indices = F.max_pool2d(x, 2, return_indices=True)
    values = torch.randn_like(pooled)
    expected = F.max_unpool2d(values.contiguous(), indices.contiguous(), 2)
    unpooled = max_unpool(values, indices, (10, 14))
    assert unpooled.dtype == dtype
    torch.testing.assert_close(unpooled, expected, rtol=0, atol=0)


def test_unpooling_gives_every_value_its_own_gradient() -> None:
    x = torch.randn(1, 2, 4, 6, dtype=torch.float64)
    pooled, indices = F.max_pool2d(x, 2, return_indices=True)
    values = pooled.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda v: max_unpool(v, indices, (4, 6)), values)


def test_decoder_puts_values_where_the_encoder_took_them() -> None:
    down, up = Down(16, 64).eval(), Up(64, 16).eval()
    x = torch.rand(1, 16, 8, 8)
    _, indices = down(x)
    nn.init.zeros_(up.branch[-1][1].weight)  # silences the branch
    out = up(torch.rand(1, 64, 4, 4), indices)
    _, winners = F.max_pool2d(x, 2, return_indices=True)
    taken = torch.zeros(1, 16, 64).scatter(2, winners.flatten(2), 1.0).view(1, 16, 8, 8)
    assert out.any()
    assert not out[taken == 0].any()


def test_downsampling_shortcut_is_the_pooled_map_and_zero_maps() -> None:
    down = Down(16, 64).eval()
    nn.init.zeros_(down.branch[-1][1].weight)
    x = torch.rand(1, 16, 8, 8)
    out, _ = down(x)
    torch.testing.assert_close(out[:, :16], F.max_pool2d(x, 2))
    assert not out[:, 16:].any()


@pytest.mark.parametrize(("kind", "reach"), [("plain", 1), ("asymmetric", 2), (2, 2), (16, 16)])
def test_middle_convolution_reaches_as_far_as_its_kind_says(kind: str | int, reach: int) -> None:
    block = middle(4, kind, nn.PReLU).eval()
    x = torch.zeros(1, 4, 41, 41, requires_grad=True)
    block(x)[0, :, 20, 20].sum().backward()
    assert x.grad is not None
    rows, columns = x.grad[0].abs().sum(0).nonzero().T
    assert (rows - 20).abs().max() == (columns - 20).abs().max() == reach


def test_bottleneck_ends_in_a_rectified_sum() -> None:
    block = Bottleneck(16).eval()
    nn.init.zeros_(block.branch[-1][1].weight)
    x = torch.randn(1, 16, 8, 8)
    torch.testing.assert_close(block(x), x.relu())


@pytest.mark.parametrize(("channels", "classes"), [(1, 1), (3, 2), (1, 4), (4, 1)])
def test_channels_and_classes(channels: int, classes: int) -> None:
    network = create_model("enet", channels, classes).train()
    image = torch.randn(2, channels, 96, 80)
    assert network(image).shape == (2, classes, 96, 80)
    with torch.no_grad():
        assert network.eval()(image).shape == (2, classes, 96, 80)


def test_too_many_channels() -> None:
    with pytest.raises(CovbenchError, match="16 channels"):
        create_model("enet", 16)


@pytest.mark.parametrize("size", [(333, 500), (32, 32)])
def test_trains_with_a_batch_of_one_and_any_size(size: tuple[int, int]) -> None:
    card, network = get_card("enet"), create_model("enet").train()
    out = forward_padded(network, torch.randn(1, 3, *size), card.divisor, card.min_size)
    assert isinstance(out, Tensor)
    assert out.shape == (1, 2, *size)
    out.square().mean().backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []
    # Not the biases: where a BN follows, their gradient is 0 up to rounding.
    weights = [(n, p.grad) for n, p in network.named_parameters() if n.endswith("weight")]
    assert [n for n, grad in weights if grad is None or not grad.any()] == []


def test_bfloat16_autocast_trains() -> None:
    network = create_model("enet").train()
    with torch.autocast("cpu", torch.bfloat16):
        out = network(torch.randn(2, 3, 64, 64))
    assert out.dtype == torch.bfloat16
    out.float().square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_trace_runs_at_another_size() -> None:
    network = create_model("enet").eval()
    image = torch.randn(1, 3, 48, 64)
    with torch.no_grad():
        traced = torch.jit.trace(network, torch.randn(1, 3, 32, 32))
        torch.testing.assert_close(traced(image), network(image))
