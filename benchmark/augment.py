"""What one training epoch looks like: its order, its sizes, and how every image is varied.

Nothing here keeps a state. Each draw is a function of (seed, epoch, image) or (seed, epoch,
batch), taken from a counter-based generator (Philox), so that it does not depend on which images
share a batch, on the number of workers, or on where an interrupted run was resumed.

Images and masks are resampled once, by one grid: bilinear for images, nearest neighbour for
masks, without anti-aliasing when they shrink (as OpenCV's linear resize, which the released
MiniSeg code uses).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.draws import shuffled, uniform
from benchmark.labels import IGNORE
from benchmark.protocols import AugmentRule, Protocol

AIR = 0  # grey value of padding: the lower end of a CT window
SIZE_MULTIPLE = 32  # the deepest common stride of encoders, so that no network has to pad

# What a generator is for: the first half of its key, the seed being the second.
_ORDER, _SIZE, _VARIATION = 1, 2, 3


@dataclass(frozen=True, eq=False)
class Batch:
    """The images of one training step.

    Attributes:
        indices: Positions in the training fold, int64.
        size: Side of the network's input in pixels.
        factor_index: Which of `augment.sizes` made that size; 0 in other modes.
        pass_index: Which pass of the epoch this is; above 0 only with sequential passes.
    """

    indices: np.ndarray
    size: int
    factor_index: int = 0
    pass_index: int = 0


def steps_per_epoch(protocol: Protocol, n_train: int) -> int:
    """Training steps of one epoch over `n_train` images, all passes counted."""
    batch = protocol.optim.batch
    full = n_train // batch
    dropped = protocol.optim.drop_last and full > 0
    return _passes(protocol) * (full if dropped else -(-n_train // batch))


def total_steps(protocol: Protocol, n_train: int) -> int:
    """Training steps of a whole run: all epochs, or `optim.max_steps` where that is less."""
    steps = protocol.optim.epochs * steps_per_epoch(protocol, n_train)
    return min(steps, protocol.optim.max_steps or steps)


def plan_epoch(protocol: Protocol, seed: int, epoch: int, n_train: int) -> list[Batch]:
    """The order of one epoch: every image once per pass, shuffled anew in each.

    With `optim.drop_last` an incomplete last batch is left out, except that a fold smaller than
    one batch gives one smaller batch. Sizes other than factor 1 are rounded to the nearest
    multiple of 32 pixels.

    Args:
        protocol: Sections `augment`, `input` and `optim` are used.
        seed: Seed of the run.
        epoch: Number of the epoch; any number from 0.
        n_train: Images in the training fold.

    Returns:
        `steps_per_epoch` batches in training order.
    """
    augment, batch = protocol.augment, protocol.optim.batch
    steps = steps_per_epoch(protocol, n_train) // _passes(protocol)
    sizes = batch_sizes(protocol)
    plan = []
    for number in range(_passes(protocol)):
        order = shuffled(_ORDER, seed, epoch, number, count=n_train)
        for step in range(steps):
            if augment.mode == "sizes" and augment.passes == "random":
                which = int(uniform(_SIZE, seed, epoch, step, count=1)[0] * len(sizes))
            else:
                which = number
            indices = order[step * batch : (step + 1) * batch]
            plan.append(Batch(indices, sizes[which], which, number))
    return plan


def batch_sizes(protocol: Protocol) -> tuple[int, ...]:
    """Sides in pixels of the batches a protocol trains on, one per entry of `augment.sizes`."""
    base = protocol.input.size
    if protocol.augment.mode != "sizes":
        return (base,)
    unit = SIZE_MULTIPLE
    return tuple(
        base if factor == 1 else max(unit, int(base * factor / unit + 0.5) * unit)
        for factor in protocol.augment.sizes
    )


def draw_matrices(
    augment: AugmentRule,
    seed: int,
    epoch: int,
    indices: np.ndarray | Sequence[int],
    *,
    size: int,
    factor_index: int = 0,
    pass_index: int = 0,
) -> Tensor:
    """How each image of a batch is zoomed, placed, cropped and mirrored.

    A zoom above 1 shows a random part of the image; below 1 the image lies at a random place
    inside padding. A border crop removes x pixels on the left and on the right and y above and
    below, and spreads the rest over the whole size. Every image takes the same number of draws
    whatever is switched on, so that two protocols that differ in one option share the others'.

    Args:
        augment: The protocol's section.
        seed: Seed of the run.
        epoch: Number of the epoch.
        indices: Positions of the images in the training fold.
        size: Side of the batch in pixels, which border crops are counted in.
        factor_index: Which entry of `border_crop_px` applies.
        pass_index: Pass of the epoch, which varies each image anew.

    Returns:
        (B, 2, 3) float32 on the CPU: from output to input coordinates in [-1, 1], as
        `torch.nn.functional.affine_grid` takes them. Neither rotation nor shear.
    """
    matrices = torch.zeros(len(indices), 2, 3, dtype=torch.float32)
    matrices[:, 0, 0] = matrices[:, 1, 1] = 1
    if augment.mode == "none":
        return matrices
    low, high = augment.zoom if augment.mode == "zoom" else (1.0, 1.0)
    most = augment.border_crop_px[factor_index] if augment.border_crop else 0
    for row, index in enumerate(indices):
        u = uniform(_VARIATION, seed, epoch, int(index), pass_index, count=8)
        scale = 1 / (low + (high - low) * u[0])
        room = abs(1 - scale)  # how far the window may move: inside the image, or around it
        cut = np.floor(u[6:8] * (most + 1)) if u[5] < augment.border_crop else np.zeros(2)
        mirror = np.where(u[3:5] < (augment.hflip, augment.vflip), -1.0, 1.0)
        matrices[row, [0, 1], [0, 1]] = _float32(scale * mirror * (1 - 2 * cut / size))
        matrices[row, :, 2] = _float32(room * (2 * u[1:3] - 1))
    return matrices


def resample(images: Tensor, masks: Tensor, matrices: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Images and masks under their matrices, at a new size, by the same grid.

    Pixels have their centres at half numbers (`align_corners=False`). Where the centre of an
    output pixel falls outside the input, the image is exactly air (0) and the mask exactly 255;
    inside, an image's edge is not blended with the padding. The identity at the same size gives
    the same values back. As nothing is rotated, rows and columns are interpolated one after the
    other, which costs a fraction of `grid_sample`.

    Args:
        images: (B, H, W) uint8, on any device.
        masks: (B, H, W) uint8, on the same device.
        matrices: (B, 2, 3) from `draw_matrices`.
        size: Side of the output in pixels.

    Returns:
        Images (B, 1, size, size) float32 in 0..255 and masks (B, size, size) int64.

    Raises:
        ValueError: A matrix rotates or shears.
    """
    if matrices[:, 0, 1].any() or matrices[:, 1, 0].any():
        raise ValueError("resample takes matrices without rotation and shear")
    rows = _taps(matrices[:, 1, 1:], images.shape[1], size, images.device)
    columns = _taps(matrices[:, 0, ::2], images.shape[2], size, images.device)
    # One row and one column of padding, which everything outside the input points to.
    images = F.pad(images, (0, 1, 0, 1), value=AIR)
    masks = F.pad(masks, (0, 1, 0, 1), value=IGNORE)
    first = torch.arange(len(images), device=images.device)[:, None] * images.shape[1]

    def down(pictures: Tensor, at: Tensor) -> Tensor:
        # Whole rows of all images at once: a copy of memory, far cheaper than single pixels.
        lines = pictures.flatten(0, 1).index_select(0, (first + at).flatten())
        return lines.unflatten(0, at.shape)

    def across(lines: Tensor, at: Tensor) -> Tensor:
        return lines.gather(2, at[:, None, :].expand(-1, size, -1))

    upper, lower = down(images, rows.low).float(), down(images, rows.high).float()
    lines = upper.lerp_(lower, rows.weight[:, :, None])
    left, right = across(lines, columns.low), across(lines, columns.high)
    image = left.lerp_(right, columns.weight[:, None, :])
    mask = across(down(masks, rows.nearest), columns.nearest)
    return image[:, None], mask.long()


@dataclass(frozen=True, eq=False)
class _Taps:
    """Input positions of the output's rows (or columns), (B, size) each."""

    low: Tensor
    high: Tensor
    nearest: Tensor
    weight: Tensor  # of `high`, float32


def _taps(axis: Tensor, source: int, size: int, device: torch.device) -> _Taps:
    """Where each output row lies in the input; index `source` is the padding.

    Found on the CPU, so that no device rounds a position differently, and in pixels from the
    middle, so that the identity comes out without rounding.
    """
    scale, shift = axis.cpu().double().unsqueeze(-1).unbind(1)
    centres = torch.arange(size, dtype=torch.float64) + 0.5 - size / 2
    at = scale * centres * (source / size) + shift * (source / 2) + (source / 2 - 0.5)
    inner = at.clamp(0, source - 1)
    low = inner.floor()
    nearest = (at + 0.5).floor().clamp(0, source - 1)
    indices = torch.stack([low, (low + 1).clamp(max=source - 1), nearest]).long()
    indices.masked_fill_((at < -0.5) | (at >= source - 0.5), source)
    weight = (inner - low).float()
    low_at, high_at, nearest_at = indices.to(device)
    return _Taps(low_at, high_at, nearest_at, weight.to(device))


def _passes(protocol: Protocol) -> int:
    augment = protocol.augment
    sequential = augment.mode == "sizes" and augment.passes == "sequential"
    return len(augment.sizes) if sequential else 1


def _float32(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
