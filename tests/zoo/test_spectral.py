"""Spectral pooling against a Fourier transform in float64, and in every place it must work."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from bench.spectral import fourier_pool
from zoo import spectral
from zoo.spectral import pooling_matrix, spectral_pool

SIZES = [
    ((256, 256), (128, 128)),
    ((64, 64), (32, 32)),
    ((65, 65), (32, 32)),
    ((65, 97), (32, 48)),
    ((33, 50), (16, 25)),
    ((66, 66), (33, 33)),
    ((63, 63), (31, 31)),
    ((5, 7), (2, 3)),
    ((2, 2), (1, 1)),
    ((16, 16), (16, 16)),
    ((12, 10), (12, 3)),
    ((9, 16), (5, 7)),
]


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(spectral, "_weights", {})


def reference(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Crop the spectrum of every axis; an even size's Nyquist bin is the mean of two."""
    spectrum = torch.fft.fft2(x.double())
    for axis, wanted in zip((-2, -1), size, strict=True):
        total = spectrum.shape[axis]
        low = [k % total for k in range(-((wanted - 1) // 2), (wanted - 1) // 2 + 1)]
        low.sort(key=lambda k: (k > total // 2, k))  # 0, 1, ..., -2, -1
        if wanted < total and wanted % 2 == 0:
            middle = (wanted + 1) // 2
            ends = spectrum.index_select(axis, torch.tensor([wanted // 2, total - wanted // 2]))
            halves = spectrum.index_select(axis, torch.tensor(low)).split(
                [middle, len(low) - middle], axis
            )
            spectrum = torch.cat((halves[0], ends.mean(axis, keepdim=True), halves[1]), axis)
        elif wanted < total:
            spectrum = spectrum.index_select(axis, torch.tensor(low))
        spectrum = spectrum * (wanted / total)
    pooled = torch.fft.ifft2(spectrum)
    assert pooled.imag.abs().max() < 1e-12
    return pooled.real


@pytest.mark.parametrize(("before", "after"), SIZES)
def test_equals_the_fourier_transform(before: tuple[int, int], after: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *before)
    pooled = spectral_pool(x, after)
    assert pooled.shape == (2, 3, *after) and pooled.dtype == torch.float32
    assert (pooled - reference(x, after)).abs().max() < 1e-5
    exact = spectral_pool(x.double(), after)
    assert exact.dtype == torch.float64
    assert (exact - reference(x, after)).abs().max() < 1e-12


@pytest.mark.parametrize(("size", "pooled"), [(32, 16), (33, 16), (50, 25), (7, 3)])
def test_keeps_low_waves_and_drops_high_ones(size: int, pooled: int) -> None:
    matrix = torch.from_numpy(pooling_matrix(size, pooled))
    for k in range(size // 2 + 1):
        wave = torch.cos(2 * math.pi * k * torch.arange(size).double() / size)
        kept = torch.cos(2 * math.pi * k * torch.arange(pooled).double() / pooled)
        if 2 * k != pooled:  # the Nyquist bin itself is in the other test
            torch.testing.assert_close(matrix @ wave, kept * (2 * k < pooled))


def test_same_size_is_the_same_tensor() -> None:
    x = torch.randn(1, 2, 6, 5)
    assert spectral_pool(x, (6, 5)) is x


@pytest.mark.parametrize("size", [(0, 3), (3, 0), (7, 6), (6, 7)])
def test_refuses_nothing_and_more(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="can't make"):
        spectral_pool(torch.randn(1, 1, 6, 6), size)


@pytest.mark.parametrize(("before", "after"), [((6, 8), (3, 4)), ((5, 7), (2, 3))])
def test_gradient(before: tuple[int, int], after: tuple[int, int]) -> None:
    x = torch.randn(1, 2, *before, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda each: spectral_pool(each, after), x)


@pytest.mark.parametrize("size", [32, 33])
def test_autocast_does_not_lower_its_precision(size: int) -> None:
    x = torch.randn(1, 4, size, size)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        plain = spectral_pool(x, (16, 16))
        low = spectral_pool(x.bfloat16(), (16, 16))
    assert torch.equal(plain, spectral_pool(x, (16, 16)))
    assert low.dtype == torch.bfloat16
    assert torch.equal(low, spectral_pool(x.bfloat16().float(), (16, 16)).bfloat16())


@pytest.mark.parametrize("size", [20, 21])
def test_cache_holds_only_what_training_can_use(size: int) -> None:
    x = torch.randn(1, 2, size, size, requires_grad=True)
    expected = reference(x.detach(), (10, 10)).float()
    for _ in range(2):  # before and after the cache holds something
        with FakeTensorMode():
            assert spectral_pool(torch.randn(1, 2, size, size), (10, 10)).shape == (1, 2, 10, 10)
        with FakeTensorMode(allow_non_fake_inputs=True):
            spectral_pool(x, (10, 10))
        with torch.inference_mode():
            spectral_pool(x.detach().clone(), (10, 10))
        with torch.device("meta"):
            assert spectral_pool(torch.empty(1, 2, size, size), (10, 10)).is_meta
        pooled = spectral_pool(x, (10, 10))
        pooled.sum().backward()
        torch.testing.assert_close(pooled.detach(), expected, rtol=0, atol=1e-5)


class Halve(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return spectral_pool(x, (x.shape[-2] // 2, x.shape[-1] // 2))


def test_compiles_to_products_in_one_graph() -> None:
    x = torch.randn(1, 2, 16, 17)
    graphs: list[str] = []

    def backend(graph: torch.fx.GraphModule, _: list[Tensor]) -> torch.fx.GraphModule:
        graphs.append(graph.code)
        return graph

    compiled = torch.compile(Halve(), fullgraph=True, backend=backend)
    torch.testing.assert_close(compiled(x), Halve()(x))
    assert len(graphs) == 1 and "cos" not in graphs[0]  # the matrices are constants of it


def test_exports() -> None:
    x = torch.randn(1, 2, 16, 17)
    exported = torch.export.export(Halve(), (x,)).module()
    torch.testing.assert_close(exported(x), Halve()(x))


def test_form_of_the_benchmark_differs_in_the_corner_bin_alone() -> None:
    x = torch.randn(1, 2, 32, 24, dtype=torch.float64)
    difference = torch.fft.fft2(fourier_pool(x, (16, 12)) - spectral_pool(x, (16, 12))).abs()
    corner = difference[..., 8, 6].clone()
    difference[..., 8, 6] = 0
    assert difference.max() < 1e-10 < corner.min()
