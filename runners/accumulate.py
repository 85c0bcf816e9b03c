"""A step whose images don't fit on the GPU at once: the same gradient, from smaller parts.

The loss is that of the whole batch, whatever it is: a first pass without gradients gives the
outputs of all parts, their loss gives the gradient of each output, and a second pass takes every
part's share of it back to the weights. So pixels that don't count, class weights and the Dice loss
come out as they would at once. Batch normalisation alone differs: it sees one part at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.losses import Loss, Outputs
from runners.checkpoint import random_states, restore_random_states


@dataclass
class Backward:
    """Takes a batch's loss back to the weights, in parts once it did not fit.

    Attributes:
        model: Whose gradients are wanted.
        forward: Runs it, with its padding and its precision.
        loss_of: The loss of outputs and target.
        in_parts: Whether a batch that doesn't fit may be taken in parts.
        say: Told in a sentence when the parts become smaller.
        most: Images that go through the network at a time; None for all of a batch.
    """

    model: nn.Module
    forward: Callable[[Tensor], Outputs]
    loss_of: Loss
    in_parts: bool = False
    say: Callable[[str], object] = print
    most: int | None = None

    def __call__(self, images: Tensor, target: Tensor) -> Tensor:
        """Set the gradients of a batch.

        Args:
            images: `(N, C, H, W)`.
            target: Their labels.

        Returns:
            The loss of the whole batch, detached.

        Raises:
            torch.OutOfMemoryError: It doesn't fit, and parts are not allowed or one image is too
                much.
        """
        while True:
            before = _State(self.model) if self.in_parts else None
            self.model.zero_grad(set_to_none=True)
            most = min(self.most or len(images), len(images))
            try:
                if most == len(images):
                    return self._at_once(images, target)
                return self._by_parts(images, target, most)
            except torch.OutOfMemoryError:
                if before is None or most == 1:
                    raise
            # Here, no longer in the handler, where the error keeps what it failed for alive.
            before.restore()
            self.model.zero_grad(set_to_none=True)
            if torch.cuda.is_initialized():
                torch.cuda.empty_cache()
            self.most = -(-most // 2)
            self.say(
                f"out of GPU memory with {most} images at a time: from here at most {self.most}, "
                "their gradients summed up to the whole batch's"
            )

    def _at_once(self, images: Tensor, target: Tensor) -> Tensor:
        loss = self.loss_of(self.forward(images), target)
        loss.backward()
        return loss.detach()

    def _by_parts(self, images: Tensor, target: Tensor, most: int) -> Tensor:
        parts = images.tensor_split(-(-len(images) // most))
        before = _State(self.model)
        with torch.no_grad():
            outputs = [_as_tuple(self.forward(part)) for part in parts]
        whole = [torch.cat(each).requires_grad_() for each in zip(*outputs, strict=True)]
        loss = self.loss_of(whole[0] if len(whole) == 1 else tuple(whole), target)
        gradients = torch.autograd.grad(loss, whole)
        before.restore()  # so that the second pass drops and counts what the first one did
        start = 0
        for part in parts:
            rows = slice(start, start := start + len(part))
            torch.autograd.backward(
                _as_tuple(self.forward(part)), [gradient[rows] for gradient in gradients]
            )
        return loss.detach()


class _State:
    """What a pass through a network changes besides gradients: its buffers, and random states."""

    def __init__(self, model: nn.Module) -> None:
        self._buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
        self._random: dict[str, Any] = random_states()

    def restore(self) -> None:
        """Undo the passes since."""
        for buffer, value in self._buffers:
            buffer.copy_(value)
        restore_random_states(self._random)


def _as_tuple(outputs: Outputs) -> tuple[Tensor, ...]:
    return (outputs,) if isinstance(outputs, Tensor) else outputs
