from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from benchmark.activations import forward_bytes, saved_bytes_and_unused
from tests.bodies import Body
from zoo.padding import forward_padded
from zoo.registry import create_model, get_card

IMAGE = 4 * 3 * 16 * 16
"""Bytes of the image, and of everything that has its shape."""


class Frozen(nn.Module):
    """Stays in evaluation mode although its parent trains."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.aside = nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


def meta(body, *layers: nn.Module, batch: int = 1) -> tuple[nn.Module, Tensor]:
    return Body(body, *layers).to("meta"), torch.empty(batch, 3, 16, 16, device="meta")


def conv() -> nn.Module:
    return nn.Conv2d(3, 3, 3, padding=1)


def after(x: Tensor, relu) -> Tensor:
    return relu(relu(relu(x)))


def skip(x: Tensor) -> Tensor:
    kept = torch.relu(x)
    return kept + torch.tanh(torch.sigmoid(kept))


def views(x: Tensor) -> Tensor:
    y = torch.relu(x)
    part = y[:, :1]
    del y
    return part + part  # the whole storage of y lives as long as its part


@pytest.mark.parametrize(
    ("body", "images"),
    [
        (torch.relu, 1),
        (lambda x: after(x, torch.relu), 2),  # input and output of one
        (lambda x: F.relu(torch.relu(x), inplace=True), 1),
        (skip, 3),
        (views, 1 + 1 / 3),
        (lambda x: [torch.relu(x), {"aux": (torch.tanh(x),)}], 2),
        (lambda x: x.transpose(2, 3).flatten(1), 1),
        (lambda x: torch.cat([torch.relu(x), torch.tanh(x)], 1), 4),
        (lambda x: F.max_pool2d(x, 2), 1 / 4 + 2 / 4),  # with its indices of eight bytes
        (lambda x: x, 0),
    ],
)
def test_live_activations_of_toys(body, images):
    assert forward_bytes(*meta(body)) == round(images * IMAGE)


def test_parameters_and_buffers_are_not_activations():
    network, image = meta(lambda x, c, bn: bn(c(x)), conv(), nn.BatchNorm2d(3))
    # Normalisation also returns the two numbers of each channel, as it does on a GPU.
    assert forward_bytes(network.eval(), image) == 2 * IMAGE + 2 * 4 * 3


def test_two_passes_need_the_same():
    network, image = meta(skip)
    assert forward_bytes(network, image) == forward_bytes(network, image)


class Padded(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.network, self.card = create_model(name, 3, 2), get_card(name)

    def forward(self, x: Tensor) -> object:
        return forward_padded(self.network, x, self.card.divisor, self.card.min_size)


@pytest.mark.parametrize("name", ["miniseg", "enet", "espnet"])
def test_allocations_of_a_real_pass_agree(name):
    """The CPU allocator's own records, added up, against the meta device."""
    network = Padded(name).eval().requires_grad_(False)
    image = torch.randn(1, 3, 64, 64)
    followed = forward_bytes(network, image)
    with torch.no_grad():
        network(image)
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
            output = network(image)
    del output
    real = _largest_sum(profiled)
    meta = forward_bytes(network.to("meta"), image.to("meta"))
    assert meta == pytest.approx(followed, rel=0.01)
    # A convolution's kernel on a CPU copies its weights, or unfolds a
    # dilated one's image; these networks have little of that.
    assert 0.99 * meta <= real <= 1.15 * meta


def _largest_sum(profiled: profile) -> int:
    events = [
        each
        for each in profiled.profiler.kineto_results.events()  # type: ignore[union-attr]
        if each.name() == "[memory]"
    ]
    now = most = 0
    for each in sorted(events, key=lambda event: event.start_ns()):
        now += each.nbytes()
        most = max(most, now)
    return most


def test_saved_for_the_backward_pass():
    # Kept: the relu's output (for itself and the second convolution's weights); the image, that
    # the first one keeps, is excluded.
    network, image = meta(lambda x, a, b: b(torch.relu(a(x))), conv(), conv(), batch=2)
    assert saved_bytes_and_unused(network, image) == (2 * IMAGE, ())


def test_saved_by_batch_normalisation():
    network, image = meta(lambda x, a, bn: bn(a(x)), conv(), nn.BatchNorm2d(3), batch=2)
    saved, unused = saved_bytes_and_unused(network.eval(), image)
    # Its input, and mean and deviation of each channel.
    assert (saved, unused) == (2 * IMAGE + 2 * 4 * 3, ())
    assert not any(module.training for module in network.modules())


def test_a_storage_kept_twice_counts_once():
    network, image = meta(lambda x, a: [a(x).sigmoid().tanh(), a(x)], conv())
    assert saved_bytes_and_unused(network, image)[0] == 2 * IMAGE
    network, image = meta(lambda x, a: (y := a(x)) * y.transpose(2, 3), conv())
    assert saved_bytes_and_unused(network, image)[0] == IMAGE


def test_unused_parameters_have_names():
    network, image = meta(lambda x, a: {"out": a(x), "label": x.argmax(1)}, Frozen())
    names = saved_bytes_and_unused(network, image)[1]
    assert names == ("layers.0.aside.weight", "layers.0.aside.bias")
    assert all(each.grad is None for each in network.parameters())


def test_frozen_parameters_are_not_unused_ones():
    network, image = meta(lambda x, a: a(x), Frozen())
    network.requires_grad_(False)
    assert saved_bytes_and_unused(network, image) == (0, ())


def test_a_network_whose_outputs_depend_on_nothing():
    network, image = meta(lambda x, a: x.detach(), conv())
    assert saved_bytes_and_unused(network, image) == (0, ("layers.0.weight", "layers.0.bias"))


def test_modes_are_set_back_one_by_one():
    network, image = meta(lambda x, a, bn: bn(a(x)), conv(), nn.BatchNorm2d(3), batch=2)
    network.train()
    network.layers[1].eval()
    saved_bytes_and_unused(network, image)
    assert [module.training for module in network.layers] == [True, False]
