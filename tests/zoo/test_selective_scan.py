"""The selective scan against a loop over positions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from zoo import selective_scan as module
from zoo.selective_scan import selective_scan

Arguments = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def loop(x: Tensor, step: Tensor, decay: Tensor, write: Tensor, read: Tensor) -> Tensor:
    """The definition, position by position."""
    batch, directions, length, channels = x.shape
    output = torch.zeros_like(x)
    for b in range(batch):
        for k in range(directions):
            state = torch.zeros(channels, decay.shape[-1], dtype=x.dtype)
            for at in range(length):
                size = step[b, k, at][:, None]
                state = state * torch.exp(size * decay[k])
                state = state + size * x[b, k, at][:, None] * write[b, k, at]
                output[b, k, at] = (state * read[b, k, at]).sum(-1)
    return output


def arguments(length: int, dtype: torch.dtype = torch.float64, largest: float = 1.0) -> Arguments:
    make = torch.Generator().manual_seed(length)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=make, dtype=torch.float64).to(dtype)

    step = largest * torch.rand(2, 3, length, 4, generator=make, dtype=torch.float64).to(dtype)
    decay = -torch.arange(1, 6, dtype=dtype).expand(3, 4, 5)
    return normal(2, 3, length, 4), step, decay, normal(2, 3, length, 5), normal(2, 3, length, 5)


def in_pieces(positions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST", positions)
    monkeypatch.setattr(module, "NUMBERS", {"cpu": 0})


@pytest.mark.parametrize("length", [1, 2, 3, 7, 16, 17, 50])
def test_it_equals_the_loop_at_any_length(length: int) -> None:
    given = arguments(length)
    torch.testing.assert_close(selective_scan(*given), loop(*given))


@pytest.mark.parametrize("piece", [1, 4, 7, 25])
def test_pieces_hand_their_state_on(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    in_pieces(piece, monkeypatch)
    given = arguments(26)
    with torch.no_grad():
        torch.testing.assert_close(selective_scan(*given), loop(*given))
    torch.testing.assert_close(selective_scan(*given), loop(*given))


def test_gradients_equal_those_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    in_pieces(5, monkeypatch)
    given = tuple(each.clone().requires_grad_() for each in arguments(13))
    weigh = torch.randn(2, 3, 13, 4, dtype=torch.float64)
    found = torch.autograd.grad((selective_scan(*given) * weigh).sum(), given)
    expected = torch.autograd.grad((loop(*given) * weigh).sum(), given)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("largest", [1e-4, 1.0, 1e3])
def test_float32_neither_overflows_nor_loses_digits(largest: float) -> None:
    """Steps so small that nothing decays, and so large that each factor is zero."""
    given = tuple(each.requires_grad_() for each in arguments(700, torch.float32, largest))
    found = selective_scan(*given)
    with torch.no_grad():
        exact = selective_scan(*(each.double() for each in given))
    scale = float(exact.abs().max())
    assert float((found.detach() - exact).abs().max()) < 1e-5 * scale
    found.sum().backward()
    assert all(each.grad is not None and each.grad.isfinite().all() for each in given)


def test_without_decay_the_state_is_a_running_sum() -> None:
    x = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]).view(1, 1, 5, 1)
    one = torch.ones(1, 1, 5, 1)
    found = selective_scan(x, one, torch.zeros(1, 1, 1), one, one)
    assert found.flatten().tolist() == [1.0, 3.0, 6.0, 10.0, 15.0]


def test_a_half_life_of_one_position() -> None:
    x = torch.tensor([8.0, 0.0, 0.0, 4.0]).view(1, 1, 4, 1)
    one = torch.ones(1, 1, 4, 1)
    decay = torch.full((1, 1, 1), 0.5).log()
    found = selective_scan(x, one, decay, one, 2 * one).flatten()
    torch.testing.assert_close(found, torch.tensor([16.0, 8.0, 4.0, 10.0]))
