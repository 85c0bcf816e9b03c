"""fvcore with our rules, against FlopCounterMode and against counts made by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from benchmark.complexity import count_by_dispatch
from benchmark.fvcore_count import fvcore_count
from benchmark.subject import build_subject
from zoo.registry import cards
from zoo.selection import list_models

BUILT_IN = list_models("all")


class Operation(nn.Module):
    def __init__(self, run) -> None:  # type: ignore[no-untyped-def]
        super().__init__()
        self.run = run

    def forward(self, image: Tensor) -> Tensor:
        result = self.run(image)
        assert isinstance(result, Tensor)
        return result


def attention(image: Tensor) -> Tensor:
    query, key = image.flatten(2), image.flatten(2)[:, :, :5]  # (1, 3, 64) against (1, 3, 5)
    return nn.functional.scaled_dot_product_attention(query.mT, key.mT, torch.ones(1, 5, 7))


OPERATIONS = {
    # (6, 8) @ (1, 3, 8, 8): the batch stands in the second operand alone
    "broadcast matmul": (lambda image: torch.ones(6, 8) @ image, 3 * 6 * 8 * 8),
    "batched matmul": (lambda image: image @ image, 3 * 8 * 8 * 8),
    "addition and batched product": (
        lambda image: torch.baddbmm(torch.zeros(3, 8, 8), image[0], image[0]),
        3 * 8 * 8 * 8,
    ),
    # 123,456, which fvcore's own rule rounds
    "einsum": (
        lambda image: torch.einsum("nchw,nciw->nchi", image, torch.ones(1, 3, 643, 8)),
        3 * 8 * 8 * 643,
    ),
    "same padding": (
        lambda image: nn.functional.conv2d(image, torch.ones(4, 3, 3, 5), padding="same"),
        4 * 3 * 3 * 5 * 8 * 8,
    ),
    "grouped, dilated": (
        lambda image: nn.functional.conv2d(
            image, torch.ones(6, 1, 3, 3), padding="same", dilation=2, groups=3
        ),
        6 * 3 * 3 * 8 * 8,
    ),
    "transposed": (
        lambda image: nn.functional.conv_transpose2d(image, torch.ones(3, 4, 2, 2), stride=2),
        3 * 4 * 2 * 2 * 8 * 8,
    ),
    "attention": (attention, 64 * 5 * (3 + 7)),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_has_the_count_made_by_hand(name: str) -> None:
    run, macs = OPERATIONS[name]
    image = torch.zeros(1, 3, 8, 8)
    counted = fvcore_count(Operation(run), image)
    assert (counted.macs, counted.uncounted) == (macs, {})
    assert count_by_dispatch(Operation(run), image) == macs


def test_a_fourier_transform_is_estimated() -> None:
    counted = fvcore_count(Operation(lambda image: torch.fft.rfft2(image)), torch.zeros(1, 3, 8, 8))
    assert counted.macs == 3 * 2.5 * 64 * math.log2(64) / 2
    back = fvcore_count(
        Operation(lambda image: torch.fft.irfft2(torch.fft.rfft2(image), s=(8, 8))),
        torch.zeros(1, 3, 8, 8),
    )
    assert back.macs == 2 * counted.macs


def test_unpooling_is_traced_and_costs_nothing() -> None:
    def run(image: Tensor) -> Tensor:
        pooled, places = nn.functional.max_pool2d(image, 2, return_indices=True)
        return nn.functional.max_unpool2d(pooled, places, 2, output_size=[8, 8])

    counted = fvcore_count(Operation(run), torch.zeros(1, 3, 8, 8))
    assert (counted.macs, counted.uncounted) == (0, {})


def test_an_operator_without_a_rule_is_named() -> None:
    counted = fvcore_count(Operation(lambda image: torch.linalg.inv(image)), torch.rand(1, 1, 4, 4))
    assert counted.uncounted == {"aten::linalg_inv": 1}


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_counters_agree_and_no_operator_is_unknown(name: str) -> None:
    card = cards()[name]
    subject, image = build_subject(card), torch.zeros(1, 3, 64, 64)
    counted = fvcore_count(subject, image)
    assert counted.uncounted == {}
    assert counted.macs == count_by_dispatch(subject, image)
