"""Swin and Swin-Unet: windows, padding, shifts, widths, and timm's Swin where nothing is padded."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from zoo.nets.swin_unet import PatchExpand, SwinUnet
from zoo.registry import create_model
from zoo.swin import Swin, SwinBlock, map_of, offsets, parts, windows_of


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def reach(block: SwinBlock, size: int, row: int, column: int) -> list[tuple[int, int]]:
    """The first and last row, and column, that one pixel of a block's output depends on."""
    x = torch.randn(1, size, size, 32, requires_grad=True)
    block(x)[0, row, column].sum().backward()
    assert x.grad is not None
    seen = x.grad[0].abs().sum(-1).nonzero()
    return [(int(each.min()), int(each.max())) for each in seen.T]


@pytest.mark.parametrize(
    ("shifted", "size", "at", "rows"),
    [
        (False, 14, 6, (0, 6)),
        (False, 14, 7, (7, 13)),
        (False, 16, 15, (14, 15)),  # the rest of the last window is padding
        (True, 14, 0, (0, 2)),  # what went round sees only itself
        (True, 14, 3, (3, 9)),
        (True, 14, 13, (10, 13)),
        (True, 16, 0, (0, 2)),
        (True, 16, 15, (10, 15)),  # never the other border, though the map is padded
        (True, 5, 0, (0, 4)),  # one window has nothing to be joined with
    ],
)
def test_a_pixel_sees_its_window_and_nothing_else(
    shifted: bool, size: int, at: int, rows: tuple[int, int]
) -> None:
    assert reach(SwinBlock(32, shifted, 0.0), size, at, at) == [rows, rows]


def test_padding_changes_nothing_inside_a_window() -> None:
    block = SwinBlock(32, False, 0.0).eval()
    x = torch.randn(1, 10, 7, 32)
    torch.testing.assert_close(block(x)[:, :7], block(x[:, :7]))


def test_parts_by_hand() -> None:
    # 5 pixels padded to 7, of which 3 went to the end: 3 4 p p 0 1 2.
    assert parts(5, 7, 3, torch.device("cpu")).tolist() == [0, 0, 1, 1, 2, 2, 2]


def test_offsets_by_hand() -> None:
    rows = offsets()
    assert rows.shape == (49, 49)
    assert rows[0, 0] == rows[48, 48] == 6 * 13 + 6  # no offset
    assert rows[0, 48] == 0  # 6 up and 6 to the left
    assert rows[0, 1] == 6 * 13 + 5
    assert rows[7, 0] == 7 * 13 + 6
    assert rows.unique().tolist() == list(range(169))


def test_windows_and_back() -> None:
    x = torch.randn(2, 14, 21, 3)
    windows = windows_of(x)
    assert windows.shape == (2, 6, 49, 3)
    assert torch.equal(windows[1, 4].view(7, 7, 3), x[1, 7:14, 7:14])
    assert torch.equal(map_of(windows, 14, 21), x)


def test_swin_t_is_that_of_timm_where_nothing_is_padded() -> None:
    import timm

    theirs = timm.create_model("swin_tiny_patch4_window7_224").eval()
    state = theirs.state_dict()
    ours = Swin(3, None, norm=True).eval()
    ours.load_state_dict({name: state[name] for name in ours.state_dict()})
    image = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(ours(image)[-1], theirs.forward_features(image))


def test_imagenet_weights_fill_the_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    asked: list[str] = []

    def given(weights: str, model: str) -> dict[str, Tensor]:
        asked.append(model)
        return dict(timm.create_model("swin_tiny_patch4_window7_224").state_dict())

    monkeypatch.setattr("zoo.swin.timm_weights", given)
    network = create_model("swin-unet", 1, 2, weights="imagenet")
    assert asked == ["swin_tiny_patch4_window7_224.ms_in1k"]
    first = network.get_parameter("encoder.patch_embed.proj.weight")
    assert first.shape == (96, 1, 4, 4)


def test_two_blocks_at_each_scale_and_skips_behind_them() -> None:
    network = create_model("swin-unet")
    assert isinstance(network, SwinUnet)
    stages = [*network.encoder.layers, *network.decoder]
    heads = [[block.attn.heads for block in stage.blocks] for stage in stages]
    shifted = [[block.shifted for block in stage.blocks] for stage in stages]
    assert heads == [[3, 3], [6, 6], [12, 12], [24, 24], [12, 12], [6, 6], [3, 3]]
    assert shifted == [[False, True]] * 7
    maps = network.encoder(torch.randn(1, 3, 64, 96))
    assert [tuple(each.shape[1:]) for each in maps] == [
        (16, 24, 96),
        (8, 12, 192),
        (4, 6, 384),
        (2, 3, 768),
    ]
    rates = [each.p for each in network.encoder.modules() if hasattr(each, "p")]
    assert rates == pytest.approx([0.2 * i / 7 for i in range(1, 8)])


def test_expanding_puts_the_parts_of_a_vector_side_by_side() -> None:
    expand = PatchExpand(4, 1, 2)
    nn.init.eye_(expand.expand.weight)
    expand.norm = nn.Identity()  # type: ignore[assignment]
    x = torch.arange(8.0).view(1, 1, 2, 4)
    assert expand(x)[0, :, :, 0].tolist() == [[0, 1, 4, 5], [2, 3, 6, 7]]


@pytest.mark.parametrize(("classes", "params"), [(4, 27_168_420), (9, 27_168_900)])
def test_size_for_the_classes_of_the_paper_s_data(classes: int, params: int) -> None:
    with torch.device("meta"):
        network = create_model("swin-unet", 3, classes)
    assert sum(each.numel() for each in network.parameters()) == params
