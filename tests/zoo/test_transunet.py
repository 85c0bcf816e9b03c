"""TransUNet: the hybrid encoder against timm's, skips, positions, sizes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from zoo.nets.transunet import GRID, HybridEncoder, TransUNet
from zoo.registry import create_model


def count(module: nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())


def test_size_by_part() -> None:
    with torch.device("meta"):
        network = create_model("transunet")
    assert isinstance(network, TransUNet)
    encoder = network.encoder
    block = 4 * 768 * 768 + 4 * 768 + 2 * 4 * 768 * 768 + 5 * 768 + 4 * 768
    assert count(encoder.blocks) == 12 * block
    assert encoder.positions.shape == (1, 196, 768)
    widths = ((768, 512), (1024, 256), (256, 256), (512, 128), (128, 128), (192, 64), (64, 64))
    convs = sum(9 * a * b + 2 * b for a, b in (*widths, (64, 16), (16, 16)))
    assert count(network.bridge) + count(network.decoder) == convs
    assert count(network.head) == 9 * 16 * 2 + 2


def test_size_for_the_nine_classes_of_the_paper_s_data() -> None:
    with torch.device("meta"):
        assert count(create_model("transunet", 3, 9)) == 105_277_081


def test_maps_of_the_encoder() -> None:
    with torch.device("meta"):
        encoder = HybridEncoder(1, None)
        maps = encoder(torch.empty(2, 1, 96, 160))
    assert [tuple(each.shape[1:]) for each in maps] == [
        (64, 48, 80),
        (256, 24, 40),
        (512, 12, 20),
        (768, 6, 10),
    ]


def test_the_encoder_is_timm_s_hybrid_without_class_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import timm

    torch.manual_seed(0)
    theirs = timm.create_model("vit_base_r50_s16_224", class_token=False, global_pool="").eval()
    state = dict(theirs.state_dict())
    asked: list[str] = []

    def given(weights: str, model: str) -> dict[str, Tensor]:
        asked.append(model)
        token = torch.zeros(1, 1, 768)  # the published weights have one
        return {**state, "pos_embed": torch.cat([token, state["pos_embed"]], dim=1)}

    monkeypatch.setattr("zoo.nets.transunet.timm_weights", given)
    ours = HybridEncoder(3, "imagenet").eval()
    image = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        tokens = ours(image)[-1].flatten(2).mT
        torch.testing.assert_close(tokens, theirs.forward_features(image), rtol=1e-3, atol=1e-4)
    grey = HybridEncoder(1, "imagenet").get_parameter("backbone.stem.conv.weight")
    colour = ours.get_parameter("backbone.stem.conv.weight")
    torch.testing.assert_close(grey, colour.sum(1, keepdim=True))
    assert asked == ["vit_base_r50_s16_224.orig_in21k"] * 2


def test_positions_are_interpolated_and_kept_as_they_are_at_their_own_size() -> None:
    encoder = HybridEncoder(1, None)
    assert encoder.positions_for(GRID, GRID) is encoder.positions
    rows = torch.arange(GRID * GRID).div(GRID, rounding_mode="floor").float()
    encoder.positions.data = rows[None, :, None].expand(1, -1, 768)
    larger = encoder.positions_for(2 * GRID, GRID)[0, :, 0].view(2 * GRID, GRID)
    assert (larger == larger[:, :1]).all()
    # Inside, a ramp stays a ramp: one step over two of twice as many rows.
    inside = larger[6:-6, 0]
    torch.testing.assert_close(inside[2:] - inside[:-2], torch.ones(14))
