"""CHS-Net: what the second network sees, and what learns; the networks of its ablation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from zoo.contract import check_model
from zoo.errors import CovbenchError
from zoo.nets.chsnet import keep_inside
from zoo.registry import create_model

MASKS = ("hard", "soft", "concat")


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def count(module: nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())


def small(channels: int = 1, classes: int = 2, **options: Any) -> Any:
    return create_model("chsnet", channels, classes, widths="4-6-8", **options)


class Half(nn.Module):
    """A lung network that finds the left half, with a probability of 0.9 against 0.2."""

    def forward(self, image: Tensor) -> Tensor:
        probability = torch.full_like(image[:, :1], 0.2)
        probability[..., : image.shape[-1] // 2] = 0.9
        return torch.logit(probability)


def second_input(network: Any, image: Tensor) -> Tensor:
    """What the second network is given."""
    seen: list[Tensor] = []
    network.infection.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    network(image)
    return seen[0]


@pytest.mark.parametrize(
    ("channels", "classes", "mask", "parts"),
    [
        (1, 1, "hard", (4_157_099, 4_157_099)),
        (1, 1, "concat", (4_157_099, 4_157_251)),
        (3, 2, "hard", (4_157_407, 4_157_428)),
        (3, 2, "concat", (4_157_407, 4_157_588)),
    ],
)
def test_size_by_part(channels: int, classes: int, mask: str, parts: tuple[int, int]) -> None:
    with torch.device("meta"):
        network: Any = create_model("chsnet", channels, classes, mask=mask)
    assert (count(network.lung), count(network.infection)) == parts


def test_hard_mask_keeps_the_lung_and_puts_the_air_of_each_image_outside() -> None:
    network = small(3)
    network.lung = Half()
    image = torch.randn(2, 3, 16, 20) * torch.tensor([1.0, 2.0, 3.0])[:, None, None]
    seen = second_input(network, image)
    assert torch.equal(seen[..., :10], image[..., :10])
    air = image.flatten(2).min(2).values[..., None, None]
    assert torch.equal(seen[..., 10:], air.expand(2, 3, 16, 10))


def test_soft_mask_weighs_by_the_probability_from_air_on() -> None:
    network = small(mask="soft", air=-2.0)
    network.lung = Half()
    image = torch.randn(1, 1, 16, 20)
    seen = second_input(network, image)
    torch.testing.assert_close(seen[..., :10] + 2, 0.9 * (image[..., :10] + 2))
    torch.testing.assert_close(seen[..., 10:] + 2, 0.2 * (image[..., 10:] + 2))


def test_concat_leaves_the_image_and_adds_the_probability() -> None:
    network = small(mask="concat")
    network.lung = Half()
    image = torch.randn(1, 1, 16, 20)
    seen = second_input(network, image)
    assert torch.equal(seen[:, :1], image)
    torch.testing.assert_close(seen[:, 1:], torch.sigmoid(Half()(image)))


def test_masking_does_not_depend_on_the_normalisation() -> None:
    grey, lung = torch.rand(2, 1, 6, 7), torch.rand(2, 1, 6, 7) > 0.5
    grey[..., 0, 0] = 0  # air, as in any slice
    masked = (keep_inside(grey, lung) - 0.6) / 0.3
    torch.testing.assert_close(keep_inside((grey - 0.6) / 0.3, lung), masked)
    torch.testing.assert_close(keep_inside(grey, lung), grey * lung)  # the paper's product


@pytest.mark.parametrize("mask", MASKS)
def test_who_learns(mask: str) -> None:
    network = small(mask=mask).train()
    before = {name: each.clone() for name, each in network.lung.named_buffers()}
    network(torch.randn(2, 1, 32, 32)).square().mean().backward()
    learns = mask != "hard"
    assert all(each.grad is not None for each in network.infection.parameters())
    assert {each.grad is not None for each in network.lung.parameters()} == {learns}
    moved = [not torch.equal(each, before[name]) for name, each in network.lung.named_buffers()]
    assert set(moved) == {learns}


def test_the_untrained_first_network_takes_all_for_lung() -> None:
    network = small(3).train()
    image = torch.randn(2, 3, 64, 48)
    assert torch.equal(second_input(network, image), image)
    assert torch.equal(second_input(network.eval(), image), image)


@pytest.mark.filterwarnings("ignore")
def test_it_can_be_exported_and_traced() -> None:
    network, image = small().eval(), torch.randn(1, 1, 64, 48)
    with torch.no_grad():
        expected = network(image)
        exported = torch.export.export(network, (image,)).module()
        torch.testing.assert_close(exported(image), expected)
        torch.testing.assert_close(torch.jit.trace(network, image)(image), expected)


@pytest.mark.parametrize("mask", ["soft", "concat"])
def test_other_masks_keep_the_contract(mask: str) -> None:
    results = check_model(f"chsnet[mask={mask},widths=4-6-8]")
    assert [each for each in results if not each.passed] == []


def test_unknown_mask() -> None:
    with pytest.raises(CovbenchError, match="boundary"):
        small(mask="boundary")


# --- the ablation ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "params"),
    [
        ("chsnet-bu", {}, 3_031_941),
        ("chsnet-bu", {"norm": True}, 3_035_621),
        ("chsnet-bu", {"widths": "64-128-256-512-1024"}, 31_030_593),
        ("chsnet-bu-rib", {}, 3_097_148),
        ("chsnet-bu-rib", {"inception_pooling": "hybrid"}, 3_437_549),
        ("chsnet-bu-rib-hp", {}, 3_505_849),
    ],
)
def test_size_of_the_rows_of_the_ablation(name: str, options: Any, params: int) -> None:
    with torch.device("meta"):
        assert count(create_model(name, 1, 1, **options)) == params


@pytest.mark.parametrize("level", [0, 1, 2])
def test_every_level_of_the_baseline_reaches_the_logits(level: int) -> None:
    network: Any = create_model("chsnet-bu", 1, 2, widths="8-12-16")
    image = torch.randn(1, 1, 19, 22)  # odd: the upsampled map must reach the skip's size
    logits = network(image)
    assert logits.shape == (1, 2, 19, 22)
    if level < 2:  # without what comes from below, this level's skip is all that is left of it
        nn.init.zeros_(network.up[level].weight)
        assert not torch.equal(network(image), logits)
    seen: list[Tensor] = []

    def keep(*args: Any) -> None:
        args[2].retain_grad()
        seen.append(args[2])

    network.encoder[level].register_forward_hook(keep)
    network(image).square().sum().backward()
    assert seen[0].grad is not None and seen[0].grad.any()


def test_activations_of_the_baseline_do_not_fade() -> None:
    network: Any = create_model("chsnet-bu", 1, 2)
    seen: list[Tensor] = []
    network.encoder[-1].register_forward_hook(lambda *args: seen.append(args[2]))
    with torch.no_grad():
        network(torch.randn(1, 1, 64, 64))
    assert seen[0].std() > 0.2
