"""The selective scan of Mamba (Gu and Dao, arXiv 2312.00752), in plain PyTorch.

A state of N numbers for each channel goes along a sequence. At every position it decays and takes
in the input there, by amounts that depend on the input:

    state = exp(step * decay) * state + step * input * write
    output = sum over N of state * read

The sequence is cut into pieces, so that the states of one piece alone are in memory; training
computes them again in the backward pass, as Mamba's own kernel does. Within a piece, groups of
positions go side by side: each first from a zero state, then, once the states at their ends are
known, with what the groups before leave behind. Every factor is the exponential of a number that is
not positive, products of factors are never divided, and so nothing overflows however long the
sequence or strong the decay.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

NUMBERS = {"cpu": 2**21}
"""About how many numbers of states are in memory at a time: on a CPU, what its cache can hold."""

MANY = 2**25
"""The same on other devices, where few large steps are quicker than many small ones."""

LEAST = 16
"""Positions of a piece at least."""


def selective_scan(x: Tensor, step: Tensor, decay: Tensor, write: Tensor, read: Tensor) -> Tensor:
    """Scan sequences, several directions of D channels at a time.

    Args:
        x: The input, `(B, K, L, D)`: images, directions, positions, channels.
        step: The size of a step, not negative, of the same shape.
        decay: The rate of decay, not positive, `(K, D, N)`.
        write: What the input writes into the state, `(B, K, L, N)`.
        read: How the state is read, `(B, K, L, N)`.

    Returns:
        The output, `(B, K, L, D)`. Sums run in the precision of the arguments.
    """
    state = x.new_zeros((x.shape[0], *decay.shape))
    positions = max(LEAST, NUMBERS.get(x.device.type, MANY) // state.numel())
    outputs = []
    for piece in zip(
        *(each.split(positions, dim=2) for each in (x, step, write, read)), strict=True
    ):
        if torch.is_grad_enabled():
            output, state = checkpoint(  # nothing random inside, so no state of generators
                _scan_piece, state, decay, *piece, use_reentrant=False, preserve_rng_state=False
            )
        else:
            output, state = _scan_piece(state, decay, *piece)
        outputs.append(output)
    return torch.cat(outputs, dim=2)


def _scan_piece(
    state: Tensor, decay: Tensor, x: Tensor, step: Tensor, write: Tensor, read: Tensor
) -> tuple[Tensor, Tensor]:
    """Scan one piece from a state `(B, K, D, N)`: its output, and the state behind it."""
    length = x.shape[2]
    group = math.isqrt(length - 1) + 1
    # Steps of size zero behind the end neither decay nor write.
    extra = -length % group
    x, step, write = (F.pad(each, (0, 0, 0, extra)) for each in (x, step, write))
    factors = (step[..., None] * decay[:, None]).exp()
    inputs = (step * x)[..., None] * write[..., None, :]
    # Lists over the positions of a group, of `(B, K, groups, D, N)`.
    factors_at = factors.unflatten(2, (-1, group)).unbind(3)
    inputs_at = inputs.unflatten(2, (-1, group)).unbind(3)
    own, left = [inputs_at[0]], [factors_at[0]]
    for factor, taken in zip(factors_at[1:], inputs_at[1:], strict=True):
        own.append(factor * own[-1] + taken)
        left.append(factor * left[-1])
    before = []
    for last, rest in zip(own[-1].unbind(2), left[-1].unbind(2), strict=True):
        before.append(state)
        state = rest * state + last
    states = torch.stack(own, 3) + torch.stack(left, 3) * torch.stack(before, 2)[:, :, :, None]
    states = states.flatten(2, 3)[:, :, :length]
    return (states @ read[..., None])[..., 0], state
