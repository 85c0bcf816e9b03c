"""DANet: both attentions against their definitions."""

from __future__ import annotations

import torch
from torch import nn

from zoo.nets.danet import ChannelAttention, DualAttention, PositionAttention


def test_attentions_start_at_a_weight_of_zero() -> None:
    x = torch.randn(2, 16, 3, 5)
    assert torch.equal(PositionAttention(16)(x), x)
    assert torch.equal(ChannelAttention()(x), x)


def test_position_attention_does_not_scale() -> None:
    torch.manual_seed(0)
    layer = PositionAttention(32)
    nn.init.constant_(layer.alpha, 0.7)
    x = 3 * torch.randn(2, 32, 3, 5)
    query, key, value = (each(x).flatten(2) for each in (layer.query, layer.key, layer.value))
    assert query.shape[1] == 4
    weights = torch.einsum("nci,ncj->nij", query, key).softmax(2)
    context = torch.einsum("nij,ncj->nci", weights, value).view_as(x)
    torch.testing.assert_close(layer(x), x + 0.7 * context)


def test_channel_attention_takes_from_the_unlike() -> None:
    torch.manual_seed(0)
    layer = ChannelAttention()
    nn.init.constant_(layer.beta, 0.7)
    x = torch.randn(2, 6, 3, 5)
    likeness = torch.einsum("nip,njp->nij", x.flatten(2), x.flatten(2))
    context = (-likeness).softmax(2) @ x.flatten(2)
    torch.testing.assert_close(layer(x), x + 0.7 * context.view_as(x))


def test_channel_attention_computes_its_exponents_in_float32() -> None:
    torch.manual_seed(0)
    layer = ChannelAttention()
    nn.init.constant_(layer.beta, 1)
    # Products in the hundreds, whose differences bfloat16 would round away.
    x = (torch.randn(1, 6, 16, 16) + 1).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(x)
    rows = x.double().flatten(2)
    context = (-(rows @ rows.mT)).softmax(2) @ rows
    torch.testing.assert_close(out.double(), x + context.view_as(x), rtol=0.02, atol=0.02)


def test_branches_are_summed() -> None:
    torch.manual_seed(0)
    module = DualAttention(4, 8).eval()
    x = torch.randn(1, 4, 5, 6)
    position, channel = module.branches
    assert isinstance(position[1], PositionAttention)
    assert isinstance(channel[1], ChannelAttention)
    torch.testing.assert_close(module(x), position(x) + channel(x))
