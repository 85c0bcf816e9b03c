"""nnU-Net: the plan for 512x512, its parts against MONAI's own forward pass, its heads."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.blocks import resize
from zoo.monai_nets import from_monai
from zoo.nets.nnunet import NNUNet
from zoo.registry import create_model, get_card, missing_packages

pytestmark = pytest.mark.skipif(bool(missing_packages(get_card("nnunet"))), reason="needs MONAI")

WIDTHS = [32, 64, 128, 256, 512, 512, 512, 512]


def count(*modules: nn.Module) -> int:
    return sum(each.numel() for module in modules for each in module.parameters())


def on_meta(name: str, **options: Any) -> NNUNet:
    with torch.device("meta"):
        network = create_model(name, **options)
    assert isinstance(network, NNUNet)
    return network


def convolution(channels: int, width: int, side: int = 3) -> int:
    """Parameters of a convolution without bias and of its instance normalisation."""
    return channels * width * side * side + 2 * width


@pytest.mark.parametrize("name", ["nnunet", "nnunet-residual"])
def test_size_by_hand(name: str) -> None:
    network = on_meta(name)
    ins = [3, *WIDTHS[:-1]]
    stages = [
        convolution(channels, width)
        + convolution(width, width)
        # The shortcut of a residual block: a 1x1 convolution with a normalisation.
        + (convolution(channels, width, 1) if name == "nnunet-residual" else 0)
        for channels, width in zip(ins, WIDTHS, strict=True)
    ]
    assert [count(stage) for stage in network.encoder] == stages
    below = WIDTHS[:0:-1]
    levels = [
        4 * deep * width + convolution(2 * width, width) + convolution(width, width)
        for deep, width in zip(below, WIDTHS[-2::-1], strict=True)
    ]
    assert [count(level) for level in network.decoder] == levels
    assert [count(head) for head in network.heads] == [2 * w + 2 for w in WIDTHS[:6]]
    assert count(network) == get_card(name).params


def test_the_count_of_nnunets_own_network_is_explained() -> None:
    """Biases of all convolutions, transposed ones too, and a head at 1/64."""
    encoder, decoder = 2 * sum(WIDTHS), 3 * sum(WIDTHS[:7])
    own = count(on_meta("nnunet")) + encoder + decoder + 2 * WIDTHS[6] + 2
    assert own == 46_325_134
    assert f"{own:,}" in get_card("nnunet").published


def test_the_deepest_map_of_the_planned_size_has_sides_of_four() -> None:
    network = on_meta("nnunet").eval()
    seen = []
    network.encoder[-1].register_forward_hook(lambda _, __, out: seen.append(tuple(out.shape)))
    with torch.no_grad():
        network(torch.empty(1, 3, 512, 512, device="meta"))
    assert seen == [(1, 512, 4, 4)]


@pytest.mark.parametrize("residual", [False, True])
def test_joined_parts_give_what_the_library_gives(residual: bool) -> None:
    torch.manual_seed(0)
    network = NNUNet(3, 2, residual, True)
    torch.manual_seed(0)
    library = from_monai(
        lambda nets: nets.DynUNet(
            2,
            3,
            2,
            [3] * 8,
            [1] + [2] * 7,
            [2] * 7,
            res_block=residual,
            deep_supervision=True,
            deep_supr_num=5,
        )
    )
    image = torch.randn(1, 3, 256, 256)
    with torch.no_grad():
        main, *others = network.train()(image)
        expected = library.eval()(image)
        torch.testing.assert_close(main, expected)
        torch.testing.assert_close(network.eval()(image), expected)
    # Between calls the library keeps what its heads gave, that at 1/2 first.
    assert [each.shape[-1] for each in library.heads] == [128, 64, 32, 16, 8]
    for other, head in zip(others, library.heads, strict=True):
        torch.testing.assert_close(other, resize(head, (256, 256)))


def test_a_small_image_is_padded_by_its_border() -> None:
    torch.manual_seed(0)
    network = create_model("nnunet", deep_supervision=False).eval()
    image = torch.randn(1, 3, 128, 128)
    with torch.no_grad():
        padded = network(F.pad(image, (0, 128, 0, 128), mode="replicate"))
        torch.testing.assert_close(network(image), padded[..., :128, :128])


def test_without_deep_supervision_there_is_one_output() -> None:
    network = on_meta("nnunet", deep_supervision=False).train()
    output = network(torch.empty(1, 3, 256, 256, device="meta"))
    assert isinstance(output, Tensor) and output.shape == (1, 2, 256, 256)
    assert count(network) == 46_313_004 - sum(2 * width + 2 for width in WIDTHS[1:6])
