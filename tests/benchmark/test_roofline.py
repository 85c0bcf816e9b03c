from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmark.speed.peaks import measure_peaks, tf32_set
from benchmark.speed.roofline import Operation, attainable_seconds, operations
from tests.bodies import Body
from zoo.padding import forward_padded
from zoo.registry import create_model, get_card

NETWORKS = ["miniseg", "unet", "enet", "pspnet", "danet", "smp:segformer/mit_b0", "chsnet"]


class Padded(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.network, self.card = create_model(name, 3, 2), get_card(name)

    def forward(self, x: Tensor) -> object:
        return forward_padded(self.network, x, self.card.divisor, self.card.min_size)


def found(body, *layers: nn.Module, shape=(1, 3, 8, 8), dtype=torch.float32) -> list[Operation]:
    network = Body(body, *layers).to(device="meta", dtype=dtype).eval()
    return operations(network, torch.empty(shape, device="meta", dtype=dtype))


@pytest.mark.parametrize("name", NETWORKS)
def test_multiply_adds_are_those_of_the_flop_counter(name):
    with torch.device("meta"):
        network = Padded(name).eval()
        image = torch.empty(1, 3, 72, 64)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(image)
    assert counter.get_total_flops() > 0
    assert 2 * sum(each.macs for each in operations(network, image)) == counter.get_total_flops()


def test_a_convolution_reads_image_and_weights_and_writes_its_output():
    (operation,) = found(lambda x, conv: conv(x), nn.Conv2d(3, 4, 3, padding=1))
    assert operation.name == "aten.convolution"
    assert operation.macs == 4 * 3 * 9 * 64
    assert operation.bytes == 4 * (3 * 64 + (4 * 3 * 9 + 4) + 4 * 64)


def test_bytes_follow_the_precision():
    (full,) = found(lambda x, conv: conv(x), nn.Conv2d(3, 4, 1))
    (half,) = found(lambda x, conv: conv(x), nn.Conv2d(3, 4, 1), dtype=torch.bfloat16)
    assert (full.bytes, full.macs) == (2 * half.bytes, half.macs)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.flatten(1).unflatten(1, (3, 64)).transpose(1, 2),
        lambda x: x[:, :2].unsqueeze(0).expand(5, -1, -1, -1, -1),
        lambda x: x.chunk(3, 1),
        lambda x: torch.ops.aten._unsafe_view(x, (3, 64)),
        lambda x: x.detach().squeeze_(0),
        lambda x: torch.empty_like(x),
        lambda x: x.contiguous(),
    ],
)
def test_views_and_reserved_memory_cost_nothing(view):
    assert found(view) == []


@pytest.mark.parametrize(
    ("body", "elements"),
    [
        (torch.relu, 2),
        (lambda x: x + x, 2),  # one input, though named twice
        (lambda x: x + x.transpose(2, 3), 3),
        (lambda x: F.relu(x, inplace=True), 2),
        (lambda x: torch.empty_like(x).copy_(x), 2),
        (lambda x: torch.zeros(x.shape, device=x.device), 1),
        (torch.ones_like, 1),
        (lambda x: x.new_zeros(x.shape), 1),
        (lambda x: torch.cat([x, x], 1), 3),
        (lambda x: x.transpose(2, 3).contiguous(), 2),
    ],
)
def test_each_distinct_tensor_is_moved_once(body, elements):
    assert sum(each.bytes for each in found(body)) == elements * 4 * 192


def test_an_expanded_tensor_is_read_once():
    network = Body(lambda x: x.expand(10, -1, -1, -1) + 1).eval()
    moved = operations(network, torch.empty(1, 3, 8, 8, device="meta"))
    assert [each.bytes for each in moved] == [4 * 192 * (1 + 10)]


def test_attainable_time_is_that_of_the_slower_of_computing_and_moving():
    both = [Operation("a", macs=100, bytes=10), Operation("b", macs=0, bytes=50)]
    assert attainable_seconds(both, (50.0, 10.0)) == pytest.approx(2 + 5)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_peaks_of_a_cpu(precision):
    macs, moved = measure_peaks(torch.device("cpu"), precision)
    # Any machine that runs this is between these; a slip of units is a factor of a thousand.
    assert 1e7 < macs < 1e14
    assert 1e8 < moved < 1e13


def test_tf32_is_set_back():
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    for on in (True, False):
        with tf32_set(on):
            assert (matmul.allow_tf32, cudnn.allow_tf32) == (on, on)
    assert (matmul.allow_tf32, cudnn.allow_tf32) == before


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_peaks_of_a_gpu_rise_with_lower_precision():
    device = torch.device("cuda")
    fp32, tf32, bf16 = (measure_peaks(device, each)[0] for each in ("fp32", "tf32", "bf16"))
    if torch.cuda.get_device_capability() >= (8, 0):
        assert fp32 < tf32 < bf16
