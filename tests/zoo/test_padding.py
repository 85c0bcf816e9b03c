from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from zoo.padding import forward_padded, pad_to_divisor, padded_size


class Seen(nn.Module):
    """Gives its input back and keeps it."""

    def __init__(self, heads: int = 0) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        self.seen = x
        return tuple(x + i for i in range(self.heads)) if self.heads else x


@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from([1, 8, 14, 32]), st.integers(1, 100))
def test_padded_size_is_the_smallest_that_fits(
    height: int, width: int, divisor: int, min_size: int
) -> None:
    x = torch.rand(1, 1, height, width)
    padded, crop = pad_to_divisor(x, divisor, min_size)
    for size, given_size in zip(padded.shape[2:], (height, width), strict=True):
        assert size % divisor == 0
        assert size >= max(given_size, min_size)
        assert size - divisor < max(given_size, min_size)
    assert torch.equal(padded[..., :height, :width], x)
    cropped = crop(padded)
    assert isinstance(cropped, Tensor)
    assert torch.equal(cropped, x)


def test_nothing_is_copied_where_nothing_is_to_be_done() -> None:
    x = torch.rand(2, 3, 64, 32)
    padded, crop = pad_to_divisor(x, 32, 32)
    assert padded is x
    assert crop(x) is x


def test_padding_repeats_the_bottom_and_right_border() -> None:
    x = torch.arange(6.0).reshape(1, 1, 2, 3)
    padded, _ = pad_to_divisor(x, 4)
    assert padded[0, 0].tolist() == [[0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5], [3, 4, 5, 5]]


def test_forward_padded_crops_every_output() -> None:
    x = torch.rand(1, 3, 33, 50)
    model = Seen(heads=3)
    outputs = forward_padded(model, x, 16)
    assert model.seen.shape == (1, 3, 48, 64)
    assert isinstance(outputs, tuple)
    assert [tuple(each.shape) for each in outputs] == [(1, 3, 33, 50)] * 3
    assert all(torch.equal(each, x + i) for i, each in enumerate(outputs))


def test_forward_padded_keeps_the_minimum_size() -> None:
    model = Seen()
    output = forward_padded(model, torch.rand(1, 1, 20, 20), 1, 128)
    assert model.seen.shape == (1, 1, 128, 128)
    assert isinstance(output, Tensor)
    assert output.shape == (1, 1, 20, 20)


def test_padding_follows_shapes_on_the_meta_device() -> None:
    output = forward_padded(Seen(), torch.empty(1, 3, 333, 500, device="meta"), 32)
    assert isinstance(output, Tensor)
    assert output.shape == (1, 3, 333, 500)


@pytest.mark.parametrize(("size", "expected"), [(1, 32), (32, 32), (33, 64), (352, 352)])
def test_padded_size(size: int, expected: int) -> None:
    assert padded_size(size, 32) == expected
