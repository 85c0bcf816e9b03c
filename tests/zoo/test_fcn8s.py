"""FCN-8s: stride, dilation, size by part, ImageNet weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import VGG16_BN_Weights, vgg16_bn

from zoo.nets.fcn8s import FCN8s
from zoo.registry import create_model


def convolutions(network: nn.Module) -> list[nn.Conv2d]:
    return [each for each in network.modules() if isinstance(each, nn.Conv2d)]


def test_size_by_part() -> None:
    with torch.device("meta"):
        network = FCN8s(3, 2, None)
    sizes = [sum(p.numel() for p in part.parameters()) for part in network.children()]
    assert sizes == [14_723_136, 1_180_930]  # the first is torchvision's, without its classifier


def test_last_scale_is_dilated_at_an_eighth_of_the_size() -> None:
    with torch.device("meta"):
        network = FCN8s(3, 2, None)
        assert network.encoder(torch.empty(1, 3, 512, 256)).shape == (1, 512, 63, 31)
    layers = convolutions(network.encoder)
    assert [each.dilation[0] for each in layers] == [1] * 10 + [2] * 3
    assert {each.stride for each in layers} == {(1, 1)}


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """Weights that stand in for the downloaded ones; the classifier's are zero."""
    torch.manual_seed(1)
    with torch.device("meta"):
        shapes = vgg16_bn().state_dict()
    weights = {
        name: (torch.zeros if name.startswith("classifier") else torch.randn)(each.shape)
        for name, each in shapes.items()
    }
    monkeypatch.setattr(VGG16_BN_Weights, "get_state_dict", lambda *_, **__: weights)
    return weights


def test_imagenet_weights_reach_the_encoder(state: dict[str, Tensor]) -> None:
    ours = [
        value
        for name, value in create_model("fcn8s", weights="imagenet").encoder.state_dict().items()
        if not name.endswith("num_batches_tracked")
    ]
    theirs = [
        value
        for name, value in state.items()
        if name.startswith("features") and not name.endswith("num_batches_tracked")
    ]
    assert len(ours) == len(theirs) == 13 * 6
    for our, their in zip(ours, theirs, strict=True):
        assert torch.equal(our, their)


def test_one_channel_responds_as_grey_in_three(state: dict[str, Tensor]) -> None:
    grey = torch.randn(1, 1, 8, 8)
    first = convolutions(create_model("fcn8s", 1, weights="imagenet"))[0]
    three = nn.functional.conv2d(
        grey.expand(-1, 3, -1, -1), state["features.0.weight"], state["features.0.bias"], padding=1
    )
    torch.testing.assert_close(first(grey), three, rtol=1e-4, atol=1e-5)
