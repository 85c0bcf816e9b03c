"""The inverse of max-pooling, as ENet and SegNet decode."""

from __future__ import annotations

from torch import Tensor


def max_unpool(x: Tensor, indices: Tensor, size: tuple[int, int]) -> Tensor:
    """Put values back where max-pooling took them from; zero elsewhere.

    A scatter on flattened maps, which tracing, autocast and the meta device all take.

    Args:
        x: Values, `(N, C, h, w)`.
        indices: For each value its place in the flattened map, as `F.max_pool2d` returns it.
        size: Height and width of the map before pooling.

    Returns:
        `(N, C, *size)`.
    """
    height, width = size
    flat = x.new_zeros(*x.shape[:2], height * width)
    return flat.scatter(2, indices.flatten(2), x.flatten(2)).unflatten(2, (height, width))
