from __future__ import annotations

import statistics
import time

import pytest
import torch
from torch import Tensor, nn

from benchmark.speed import ways
from benchmark.speed.clock import Limits, time_passes
from benchmark.speed.ways import (
    GraphPass,
    Setting,
    busy_share,
    end_to_end_pass,
    graph_pass,
    place,
    prepare,
    published_times,
    single_pass,
)

CPU = torch.device("cpu")
SHORT = Limits(warm_seconds=0, warm_passes=2, seconds=0.5, passes=10, most_seconds=10)
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


class Net(nn.Module):
    """A convolution that looks at what it is given."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, classes, 3, padding=1)
        self.seen: list[tuple] = []

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        last = x.is_contiguous(memory_format=torch.channels_last)
        self.seen.append((tuple(x.shape), x.dtype, last, torch.is_inference_mode_enabled()))
        y = self.conv(x)
        return y, -y


class Sleeper(nn.Module):
    """Sleeps, and keeps for how long: on a busy machine a sleep takes longer than asked."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    def forward(self, x: Tensor) -> Tensor:
        began = time.perf_counter()
        time.sleep(0.05)
        self.slept.append(time.perf_counter() - began)
        return x


@pytest.fixture(autouse=True)
def switches():
    """torch's switches, set back after a test."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark
    yield
    matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = before


def random_image(batch: int = 1, size: int = 16) -> Tensor:
    return torch.randn(batch, 3, size, size)


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [
        ("fp32", torch.float32),
        ("tf32", torch.float32),
        ("bf16", torch.bfloat16),
        ("fp16", torch.float16),
    ],
)
@pytest.mark.parametrize("channels_last", [False, True])
def test_a_prepared_network(precision, dtype, channels_last):
    setting = Setting(precision, channels_last)
    network = prepare(Net().train(), CPU, setting)
    assert not network.training
    assert {each.dtype for each in network.parameters()} == {dtype}
    assert not any(each.requires_grad for each in network.parameters())
    weight = network.conv.weight
    assert weight.is_contiguous(memory_format=torch.channels_last) == channels_last
    image = place(random_image(), CPU, setting)
    assert (image.dtype, image.is_contiguous()) == (dtype, not channels_last)


@pytest.mark.parametrize("precision", ["tf32", "fp32", "bf16"])
def test_tf32_is_set_both_ways(precision):
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    for before in (True, False):
        matmul.allow_tf32 = cudnn.allow_tf32 = before
        prepare(Net(), CPU, Setting(precision))
        assert (matmul.allow_tf32, cudnn.allow_tf32) == (precision == "tf32",) * 2
    assert cudnn.benchmark


def test_a_compiled_network_is_compiled_for_one_size_each(monkeypatch):
    calls = []
    monkeypatch.setattr(torch, "compile", lambda net, **options: calls.append(options) or net)
    network = Net()
    assert prepare(network, CPU, Setting(compiled=True)) is network
    assert calls == [{"dynamic": False}]


def test_a_single_pass_runs_in_inference_mode_and_settles_first():
    network = prepare(Net(), CPU, Setting())
    run = single_pass(network, random_image(), CPU)
    assert len(network.seen) == 1
    run()
    assert network.seen[1] == ((1, 3, 16, 16), torch.float32, False, True)


def test_a_known_delay_is_measured():
    network = Sleeper()
    run = single_pass(network, random_image(), CPU)
    times = time_passes(run, SHORT)
    slept = statistics.median(network.slept[-len(times) :])
    assert 0.05 <= statistics.median(times) == pytest.approx(slept, rel=0.05)


def test_a_cpu_has_no_graph():
    assert graph_pass(Net(), random_image(), CPU) is None


@pytest.mark.parametrize("classes", [1, 2, 5])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_end_to_end_gives_labels_of_the_first_output(classes, precision):
    setting = Setting(precision, channels_last=True)
    network = prepare(Net(classes), CPU, setting)
    image = random_image(2)
    labels = end_to_end_pass(network, image, CPU, setting)()
    assert network.seen[-1] == ((2, 3, 16, 16), setting.dtype, True, True)
    with torch.no_grad():
        logits = network(place(image, CPU, setting))[0]
    expected = logits[:, 0] > 0 if classes == 1 else logits.argmax(1)
    assert labels.dtype == torch.uint8
    assert torch.equal(labels.long(), expected.long())
    assert labels.long().sum() > 0


def test_end_to_end_reads_the_image_anew_each_time():
    network, image = prepare(Net(), CPU, Setting()), random_image()
    run = end_to_end_pass(network, image, CPU, Setting())
    before = run().clone()
    image.copy_(random_image())
    assert not torch.equal(before, run())


def test_published_passes_drop_the_first(monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock) ** 2)
    times = published_times(lambda: None)
    # The end is set at 0; pass i runs from (2i+1)^2 to (2i+2)^2.
    assert times == [4 * i + 3 for i in range(11, 100)]


def test_published_times_end_where_they_would_take_too_long():
    times = published_times(lambda: time.sleep(0.02), most_seconds=0.21)
    assert 3 <= len(times) <= 6
    assert len(published_times(lambda: time.sleep(0.02), most_seconds=0.0)) == 1


class Replays(GraphPass):
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def gpu_seconds(self, replays: int = 50) -> float:
        return self.seconds


def test_the_busy_share_is_the_graphs_time_in_an_eager_pass():
    assert busy_share(Replays(0.002), 0.008) == pytest.approx(0.25)
    assert busy_share(Replays(0.00801), 0.008) == 1.0


class Waiter(nn.Module):
    """Keeps a GPU busy for a while."""

    CYCLES = 40_000_000

    def forward(self, x: Tensor) -> Tensor:
        torch.cuda._sleep(self.CYCLES)
        return x + 1


def cuda_net() -> tuple[nn.Module, Tensor, torch.device]:
    device = torch.device("cuda", 0)
    network = prepare(Net(), device, Setting())
    return network, place(random_image(2, 64), device, Setting()), device


@pytest.mark.gpu
@gpu
def test_a_graph_computes_what_the_network_does():
    network, image, device = cuda_net()
    run = graph_pass(network, image, device)
    assert run is not None
    image.copy_(torch.randn_like(image))
    run()
    with torch.no_grad():
        expected = network(image)[0]
    torch.testing.assert_close(run.output[0], expected)
    calls = len(network.seen)
    run()
    assert len(network.seen) == calls


@pytest.mark.gpu
@gpu
def test_a_network_that_asks_for_values_has_no_graph():
    class Asks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * x.sum().item()

    with pytest.raises(RuntimeError):
        graph_pass(Asks(), torch.ones(1, device="cuda"), torch.device("cuda"))


@pytest.mark.gpu
@gpu
def test_end_to_end_on_a_gpu_gives_the_hosts_labels():
    network, _, device = cuda_net()
    image = random_image(2, 64)
    run = end_to_end_pass(network, image, device, Setting())
    for _ in range(3):
        labels = run()
        with torch.no_grad():
            expected = network(image.to(device))[0].argmax(1).cpu()
        assert not labels.is_cuda
        assert (labels.long() == expected).float().mean() > 0.999


@pytest.mark.gpu
@gpu
def test_tf32_changes_products_and_fp32_does_not():
    if torch.cuda.get_device_capability() < (8, 0):
        pytest.skip("has no TF32")
    device = torch.device("cuda")
    wide, image = nn.Conv2d(64, 64, 3).double(), torch.randn(1, 64, 64, 64)
    exact = wide(image.double()).detach()
    errors = {}
    for precision in ("fp32", "tf32", "fp32"):
        network = prepare(wide, device, Setting(precision))
        with torch.inference_mode():
            output = network(place(image, device, Setting(precision))).cpu().double()
        errors[precision] = float((output - exact).abs().max())
    assert errors["fp32"] < 1e-5 < errors["tf32"]


@pytest.mark.gpu
@gpu
def test_a_known_delay_on_a_gpu_is_waited_for():
    device, image = torch.device("cuda", 0), torch.ones(1, device="cuda")
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    run = single_pass(Waiter(), image, device)
    time_passes(run, Limits(warm_seconds=1.0, seconds=0))  # the clock rises, and cycles shorten
    eager = statistics.median(time_passes(run, SHORT))
    begin.record()
    for _ in range(20):
        torch.cuda._sleep(Waiter.CYCLES)
    end.record()
    end.synchronize()
    delay = begin.elapsed_time(end) / 1e3 / 20
    assert eager == pytest.approx(delay, rel=0.05)
    graph = graph_pass(Waiter(), image, device)
    assert graph is not None
    assert statistics.median(time_passes(graph, SHORT)) == pytest.approx(delay, rel=0.05)
    assert busy_share(graph, eager) > 0.9


def test_synchronise_is_nothing_on_a_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: pytest.fail("a CPU waited"))
    ways.synchronise(CPU)
    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    ways.synchronise(torch.device("cuda", 1))
    assert waited == [torch.device("cuda", 1)]
