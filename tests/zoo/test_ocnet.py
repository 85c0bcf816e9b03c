"""OCNet: object context against its definition, and the order of what is fused."""

from __future__ import annotations

import torch

from zoo.nets.ocnet import BaseOC, ObjectContext


def test_context_is_a_mean_weighted_by_scaled_likeness() -> None:
    torch.manual_seed(0)
    layer = ObjectContext(6, 4).eval()
    x = torch.randn(2, 6, 3, 5)
    key, value = layer.compare(x).flatten(2), layer.value(x).flatten(2)
    likeness = torch.einsum("nci,ncj->nij", key, key) * 4**-0.5
    context = torch.einsum("nij,ncj->nci", likeness.softmax(2), value).view(2, 4, 3, 5)
    torch.testing.assert_close(layer(x), layer.out(context))


def test_context_stands_before_the_map() -> None:
    torch.manual_seed(0)
    module = BaseOC(6, 4).eval()
    x = torch.randn(1, 6, 3, 5)
    weight = module.fuse[0][0].weight
    with torch.no_grad():
        weight[:, :6] = 0
        without = module(x)
        module.context.value.weight.zero_()
        torch.testing.assert_close(module(x), without)
        assert not torch.equal(module(2 * x), without)
