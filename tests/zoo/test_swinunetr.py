"""Swin UNETR: the paper's stages, windows and heads; the library's 3-D count; odd sizes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from zoo.errors import CovbenchError
from zoo.monai_nets import from_monai
from zoo.registry import create_model, get_card, missing_packages

pytestmark = pytest.mark.skipif(
    bool(missing_packages(get_card("swinunetr"))), reason="needs MONAI and einops"
)


def test_stages_windows_and_heads() -> None:
    with torch.device("meta"):
        network: Any = create_model("swinunetr")
        maps = network.swinViT(torch.empty(1, 3, 128, 96))
    assert [tuple(each.shape[1:]) for each in maps] == [
        (48, 64, 48),
        (96, 32, 24),
        (192, 16, 12),
        (384, 8, 6),
        (768, 4, 3),
    ]
    for number, heads in enumerate((3, 6, 12, 24), start=1):
        (stage,) = getattr(network.swinViT, f"layers{number}")
        assert [each.attn.num_heads for each in stage.blocks] == [heads] * 2
        assert [each.window_size for each in stage.blocks] == [(7, 7)] * 2
        # Every second block looks through windows that are shifted by half of their side.
        assert [each.shift_size for each in stage.blocks] == [(0, 0), (3, 3)]
        assert stage.blocks[0].attn.relative_position_bias_table.shape == (13 * 13, heads)


def test_the_card_tells_the_3d_count_of_the_library() -> None:
    network = from_monai(
        lambda nets: nets.SwinUNETR(in_channels=4, out_channels=3, feature_size=48)
    )
    count = sum(each.numel() for each in network.parameters())
    assert f"{count:,}" in get_card("swinunetr").published


def test_half_the_channels_are_about_a_quarter_of_the_size() -> None:
    with torch.device("meta"):
        network = create_model("swinunetr", feature_size=24)
    assert sum(each.numel() for each in network.parameters()) == 6_302_900


def test_channels_that_heads_can_not_share_are_refused() -> None:
    with pytest.raises(CovbenchError, match=r"of 32\.\n.*multiple of 12"):
        create_model("swinunetr", feature_size=32)
