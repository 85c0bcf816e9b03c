"""MedNeXt-S: widths, published counts, its parts against MONAI's own forward pass."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from zoo.blocks import resize
from zoo.errors import CovbenchError
from zoo.monai_nets import from_monai
from zoo.nets.mednext import MedNeXt
from zoo.registry import create_model, get_card, missing_packages

pytestmark = pytest.mark.skipif(bool(missing_packages(get_card("mednext-s"))), reason="needs MONAI")


def count(*modules: nn.Module) -> int:
    return sum(each.numel() for module in modules for each in module.parameters())


def block(channels: int, out: int, kernel: int = 3) -> int:
    """Parameters of a block: depthwise convolution, normalisation, 1x1 to twice, 1x1 to `out`."""
    depthwise = channels * kernel * kernel + channels
    wide = 2 * channels
    return depthwise + 2 * channels + channels * wide + wide + wide * out + out


@pytest.mark.parametrize("kernel", [3, 5])
def test_size_by_hand(kernel: int) -> None:
    with torch.device("meta"):
        network = create_model("mednext-s", kernel=kernel)
    assert isinstance(network, MedNeXt)
    widths = [32, 64, 128, 256, 512]
    assert [count(each) for each in network.encoder] == [
        2 * block(width, width, kernel) for width in widths[:4]
    ]
    assert [count(each) for each in network.decoder] == [
        2 * block(width, width, kernel) for width in widths[3::-1]
    ]
    # Beside the block a 1x1 convolution on the shortcut.
    assert [count(each) for each in network.down] == [
        block(width, 2 * width, kernel) + width * 2 * width + 2 * width for width in widths[:4]
    ]
    assert [count(each) for each in network.up] == [
        block(width, width // 2, kernel) + width * width // 2 + width // 2
        for width in widths[:0:-1]
    ]
    assert count(network.bottleneck) == 2 * block(512, 512, kernel)
    assert [count(each) for each in network.heads] == [2 * width + 2 for width in widths]


@pytest.mark.parametrize(("kernel", "printed", "exact"), [(3, "5.6", 5_564_806), (5, "6.0", 0)])
def test_in_3d_the_library_has_the_published_count(kernel: int, printed: str, exact: int) -> None:
    network = from_monai(
        lambda nets: nets.MedNeXtSmall(
            spatial_dims=3,
            in_channels=1,
            out_channels=14,
            kernel_size=kernel,
            deep_supervision=True,
        )
    )
    assert f"{count(network) / 1e6:.1f}" == printed
    if exact:
        assert count(network) == exact and f"{exact:,}" in get_card("mednext-s").published


def test_joined_parts_give_what_the_library_gives() -> None:
    torch.manual_seed(0)
    network = MedNeXt(3, 2, 3, True)
    torch.manual_seed(0)
    library = from_monai(
        lambda nets: nets.MedNeXtSmall(
            spatial_dims=2, in_channels=3, out_channels=2, deep_supervision=True
        )
    )
    image = torch.randn(2, 3, 32, 48)
    with torch.no_grad():
        outputs, expected = network.train()(image), library.train()(image)
        assert [tuple(each.shape[-2:]) for each in expected] == [
            (32 // scale, 48 // scale) for scale in (1, 2, 4, 8, 16)
        ]
        for output, each in zip(outputs, expected, strict=True):
            torch.testing.assert_close(output, resize(each, (32, 48)))
        torch.testing.assert_close(network.eval()(image), library.eval()(image))


def test_without_deep_supervision_there_is_one_output() -> None:
    network = create_model("mednext-s", deep_supervision=False).train()
    assert isinstance(network(torch.randn(1, 3, 32, 32)), Tensor)


def test_another_kernel_is_refused() -> None:
    with pytest.raises(CovbenchError, match=r"kernels of 4\.\n.*3 or 5"):
        create_model("mednext-s", kernel=4)
