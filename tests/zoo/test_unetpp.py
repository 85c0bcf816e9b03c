"""UNet++: what every node of the nested grid sees."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from zoo.corners import resize_corners
from zoo.nets.unetpp import UNetPlusPlus


@pytest.mark.parametrize("size", [(32, 48), (35, 50)])
def test_node_sees_its_row_and_the_node_below(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    widths = (2, 3, 4, 5, 6)
    network = UNetPlusPlus(1, 2, widths).eval()
    seen: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    def watch(node: torch.nn.Module, i: int, j: int) -> None:
        node.register_forward_hook(lambda _, args, out: seen.update({(i, j): (args[0], out)}))

    for j, column in enumerate((network.encoder, *network.columns)):
        for i, node in enumerate(column):
            watch(node, i, j)
    with torch.no_grad():
        logits = network(torch.randn(1, 1, *size))
    assert set(seen) == {(i, j) for i in range(5) for j in range(5 - i)}
    for (i, j), (given, out) in seen.items():
        assert out.shape[1:] == (widths[i], size[0] // 2**i, size[1] // 2**i)
        if j == 0:
            expected = network.pool(seen[i - 1, 0][1]) if i else given
        else:
            row = [seen[i, k][1] for k in range(j)]
            expected = torch.cat((*row, resize_corners(seen[i + 1, j - 1][1], like=out)), dim=1)
        torch.testing.assert_close(given, expected)
    torch.testing.assert_close(logits, network.head(seen[0, 4][1]))
