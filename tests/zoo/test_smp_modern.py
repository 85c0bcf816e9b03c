"""The library's networks under names of their own: the papers' widths, and one card each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from zoo.errors import CovbenchError
from zoo.registry import create_model, find, get_card, register_model
from zoo.selection import list_models


def on_meta(name: str, classes: int = 2) -> Any:
    with torch.device("meta"):
        return create_model(name, 3, classes)


def count(module: nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("segformer-b2", 27_461_974),  # the paper: 27.5M
        ("upernet-convnext-tiny", 59_318_838),  # 60M with the auxiliary head
        ("upernet-swin-tiny", 59_018_064),
    ],
)
def test_size_for_the_150_classes_of_the_papers(name: str, params: int) -> None:
    assert count(on_meta(name, 150)) == params


@pytest.mark.parametrize("encoder", ["convnext", "swin"])
def test_with_the_auxiliary_head_upernet_has_the_60m_of_the_papers(encoder: str) -> None:
    # 3x3 from the 384 channels at 1/16 to 256, batch norm, 1x1 to the classes.
    auxiliary = 9 * 384 * 256 + 2 * 256 + 256 * 150 + 150
    assert round((count(on_meta(f"upernet-{encoder}-tiny", 150)) + auxiliary) / 1e6) == 60


def test_segformer_s_decoder_has_the_paper_s_width() -> None:
    decoder = on_meta("segformer-b2").decoder
    assert decoder.fuse_stage[0].in_channels == 4 * 768
    assert get_card("smp:segformer/mit_b2").name == "smp:segformer/mit_b2"
    assert on_meta("smp:segformer/mit_b2").decoder.fuse_stage[0].in_channels == 4 * 256


def test_dpt_takes_the_third_sixth_ninth_and_twelfth_layer_at_the_authors_widths() -> None:
    network = on_meta("dpt-vit-b16")
    assert network.encoder._output_indices == [2, 5, 8, 11]
    steps = network.decoder.reassemble_blocks
    assert [each.project_to_out_channel.out_channels for each in steps] == [96, 192, 384, 768]
    named = dict(network.encoder.model.named_parameters())
    assert not [name for name in named if name.startswith(("head", "norm"))]


def test_upernet_on_swin_pools_and_joins_all_four_scales() -> None:
    network = on_meta("upernet-swin-tiny").eval()
    sizes: list[tuple[int, ...]] = []
    network.decoder.register_forward_hook(
        lambda _, inputs, __: sizes.extend(tuple(each.shape[1:]) for each in inputs[0][2:])
    )
    assert network(torch.empty(1, 3, 64, 96, device="meta")).shape == (1, 2, 64, 96)
    assert sizes == [(96, 16, 24), (192, 8, 12), (384, 4, 6), (768, 2, 3)]


@pytest.mark.parametrize("architecture", ["manet", "linknet", "pan"])
def test_the_name_of_the_pattern_means_the_same_card(architecture: str) -> None:
    pattern, name = f"smp:{architecture}/resnet34", f"{architecture}-resnet34"
    assert find(pattern) == [get_card(name)]
    assert list_models(f"{pattern},{name}") == [name]
    assert get_card(name).source == "built-in"


def test_fpn_keeps_the_name_of_its_recorded_runs() -> None:
    assert list_models("fpn-resnet34,smp:fpn/resnet34") == ["smp:fpn/resnet34"]
    assert get_card("fpn-resnet34").tags == {"demo", "modern"}


def test_an_alias_with_options_selects_the_card_with_them() -> None:
    assert list_models("smp:pan/resnet34[weights=imagenet]") == ["pan-resnet34[weights=imagenet]"]


def test_an_alias_can_not_be_taken() -> None:
    with pytest.raises(CovbenchError, match="'fpn-resnet34' is taken"):
        register_model("fpn-resnet34")(lambda in_channels, num_classes: nn.Identity())


def test_a_misspelt_alias_is_recognised() -> None:
    with pytest.raises(CovbenchError, match="Did you mean fpn-resnet34"):
        get_card("fpn-resnet43")


def test_a_file_of_weights_fills_the_encoder(tmp_path: Path) -> None:
    name = "manet-resnet34"
    torch.manual_seed(1)
    given = create_model(name).get_submodule("encoder").state_dict()
    save_file(given, tmp_path / "encoder.safetensors")
    network = create_model(name, weights=str(tmp_path / "encoder.safetensors"))
    torch.testing.assert_close(dict(network.get_submodule("encoder").state_dict()), dict(given))


def test_imagenet_weights_are_those_on_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    import segmentation_models_pytorch as smp

    seen: list[Any] = []

    def create(*args: Any, **options: Any) -> nn.Module:
        seen.append((*args, options["encoder_weights"], options["in_channels"]))
        return nn.Identity()

    monkeypatch.setattr(smp, "create_model", create)
    for name in ("segformer-b2", "upernet-convnext-tiny", "pan-resnet34"):
        create_model(name, 1, weights="imagenet")
    assert seen == [
        ("segformer", "mit_b2", "imagenet", 1),
        ("upernet", "tu-convnext_tiny.fb_in1k", "imagenet", 1),
        ("pan", "resnet34", "imagenet", 1),
    ]


def test_unknown_weights_are_refused() -> None:
    with pytest.raises(CovbenchError, match="Unknown weights of mit_b2 'imagnet'"):
        create_model("segformer-b2", weights="imagnet")


def test_in_evaluation_a_small_image_and_a_large_one() -> None:
    network = create_model("dpt-vit-b16").eval()
    with torch.no_grad():
        outputs: list[Tensor] = [network(torch.zeros(1, 3, side, 64)) for side in (64, 128)]
    assert [tuple(each.shape) for each in outputs] == [(1, 2, 64, 64), (1, 2, 128, 64)]
