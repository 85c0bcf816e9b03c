"""UNETR: its parts against MONAI's own forward pass, any size, counts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from zoo.blocks import resize
from zoo.monai_nets import from_monai
from zoo.nets import unetr
from zoo.registry import create_model, get_card, missing_packages

pytestmark = pytest.mark.skipif(
    bool(missing_packages(get_card("unetr"))), reason="needs MONAI and einops"
)


def count(*modules: nn.Module) -> int:
    return sum(each.numel() for module in modules for each in module.parameters())


def test_size_of_the_transformer_by_hand() -> None:
    with torch.device("meta"):
        network = create_model("unetr")
    assert isinstance(network, unetr.UNETR)
    block = 4 * 768  # two normalisations
    block += 768 * 3 * 768 + 768 * 768 + 768  # queries, keys and values without bias; projection
    block += 2 * 768 * 3072 + 3072 + 768
    patches = 16 * 16 * 3 * 768 + 768
    assert [count(each) for each in network.encoder.blocks] == [block] * 12
    assert network.encoder.positions.shape == (1, 768, 32, 32)
    assert count(network.encoder) == 12 * block + patches + 1024 * 768 + 2 * 768


def test_the_card_tells_the_3d_count_of_the_library() -> None:
    network = from_monai(lambda nets: nets.UNETR(in_channels=1, out_channels=14, img_size=96))
    size = sum(
        each.numel() for name, each in network.named_parameters() if "cross_attn" not in name
    )
    assert f"{size:,}" in get_card("unetr").published


def test_joined_parts_give_what_the_library_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unetr, "GRID", 4)  # images of 64x64
    torch.manual_seed(0)
    network = unetr.UNETR(3, 2).eval()
    torch.manual_seed(0)
    library = from_monai(
        lambda nets: nets.UNETR(in_channels=3, out_channels=2, img_size=64, spatial_dims=2)
    )
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(network(image), library.eval()(image))


def test_positions_follow_the_size_of_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unetr, "GRID", 4)
    torch.manual_seed(0)
    encoder = unetr.UNETR(3, 2).encoder.eval()
    seen: list[torch.Tensor] = []
    encoder.blocks[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    image = torch.randn(1, 3, 32, 96)
    with torch.no_grad():
        maps = encoder(image)
        expected = encoder.patches(image) + resize(encoder.positions, (2, 6))
    assert [tuple(each.shape) for each in maps] == [(1, 768, 2, 6)] * 4
    torch.testing.assert_close(seen[0], expected.flatten(2).mT)
