"""A network for tests, its forward pass given as a function."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


class Body(nn.Module):
    """A network whose body is given as a function."""

    def __init__(self, body: Callable[..., object], *layers: nn.Module) -> None:
        super().__init__()
        self.body, self.layers = body, nn.ModuleList(layers)

    def forward(self, x: Tensor) -> object:
        return self.body(x, *self.layers)
