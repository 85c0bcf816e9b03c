"""The training images in memory, where they fit, and the batches made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import psutil
import torch
from torch import Tensor

from benchmark.augment import Batch, draw_matrices, resample
from benchmark.labels import IGNORE
from benchmark.protocols import Protocol
from zoo.errors import CovbenchError

if TYPE_CHECKING:
    from benchmark.datasets.prepared import PreparedDataset, Windowed

# torchvision's statistics of ImageNet in red, green and blue, for values in 0..1.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Rows = np.ndarray | Sequence[int]


class ImageBank:
    """Images and masks of one fold at the protocol's size, ready on the training device.

    They are held there as one uint8 tensor each when they take at most `fraction` of its free
    memory; otherwise they stay where the arrays are (a memory map) and rows are read as they are
    needed. Both give the same batches. Rows are numbered from 0 in the order of `rows`.

    Args:
        images: (N, S, S) uint8, may be a memory map, or what windows one as it is read.
        masks: (N, S, S) uint8 class labels, 255 = ignore; may be a memory map.
        rows: Which of the N belong to the bank; None takes all.
        device: Where batches are wanted.
        fraction: Share of the device's free memory that the bank may take.
        relabel: 256 labels that replace 0..255 in the masks, such as a table that makes
            "infection" 1 and every other tissue 0; None leaves them.
    """

    def __init__(
        self,
        images: np.ndarray | Windowed,
        masks: np.ndarray,
        rows: Rows | None = None,
        *,
        device: torch.device | str = "cpu",
        fraction: float = 0.25,
        relabel: np.ndarray | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.size = int(images.shape[-1])
        self._images, self._masks = images, masks
        self._rows = np.arange(len(images)) if rows is None else np.asarray(rows, dtype=np.int64)
        self._relabel = None if relabel is None else np.asarray(relabel, dtype=np.uint8)
        self._held: tuple[Tensor, Tensor] | None = None
        if 2 * len(self) * self.size**2 <= fraction * free_memory(self.device):
            self._held = self._read(np.arange(len(self)))
        self._histograms: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        dataset: PreparedDataset,
        size: int,
        indices: Rows,
        *,
        device: torch.device | str = "cpu",
        fraction: float = 0.25,
        relabel: np.ndarray | None = None,
    ) -> Self:
        """The bank of some cases of a dataset; row k is case `indices[k]`."""
        images, masks = dataset.at_size(size)
        return cls(images, masks, indices, device=device, fraction=fraction, relabel=relabel)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def held(self) -> bool:
        """Whether all images lie on the device."""
        return self._held is not None

    def batch(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """Images and masks of some rows, (B, S, S) uint8 each, on the device."""
        rows = np.asarray(rows, dtype=np.int64)
        if self._held is None:
            return self._read(rows)
        at = torch.from_numpy(rows).to(self.device, non_blocking=True)
        return self._held[0].index_select(0, at), self._held[1].index_select(0, at)

    def statistics(
        self,
        kind: Literal["pooled", "per-image-average"] = "pooled",
        rows: Rows | None = None,
    ) -> tuple[float, float]:
        """Mean and standard deviation (population, ddof 0) of grey values in units of 0..1.

        Args:
            kind: "pooled" over all pixels; "per-image-average" averages each image's mean and
                each image's standard deviation, as the released MiniSeg code does.
            rows: Which rows; None takes all.

        Returns:
            Mean and standard deviation, exact sums of integers until the last step.
        """
        if self._histograms is None:
            self._histograms = np.stack(
                [np.bincount(self._images[row].ravel(), minlength=256) for row in self._rows]
            )
        counts = self._histograms[slice(None) if rows is None else np.asarray(rows)]
        if kind == "pooled":
            counts = counts.sum(axis=0, keepdims=True)
        grey = np.arange(256) / 255
        pixels = counts.sum(axis=1)
        means = counts @ grey / pixels
        variances = (counts * (grey - means[:, None]) ** 2).sum(axis=1) / pixels
        return float(means.mean()), float(np.sqrt(variances).mean())

    def class_pixels(self, num_classes: int, rows: Rows | None = None) -> np.ndarray:
        """How many pixels each class has, ignored ones left out.

        Args:
            num_classes: Classes, the background 0 included.
            rows: Which rows; None takes all.

        Returns:
            (num_classes,) int64.

        Raises:
            CovbenchError: A mask has a label that is neither a class nor 255.
        """
        counts = np.zeros(256, dtype=np.int64)
        for row in range(len(self)) if rows is None else rows:
            counts += np.bincount(self._mask(int(row)).ravel(), minlength=256)
        counts[IGNORE] = 0
        if counts[num_classes:].any():
            label = num_classes + int(counts[num_classes:].argmax())
            raise CovbenchError(
                f"A mask holds the label {label}, and there are only {num_classes} classes.",
                "Prepare the dataset again with the right labels, or choose another task.",
            )
        return counts[:num_classes]

    def _mask(self, row: int) -> np.ndarray:
        mask = self._masks[self._rows[row]]
        return mask if self._relabel is None else self._relabel[mask]

    def _read(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        # Indexing by an array copies, so that the tensors never alias a read-only map.
        images = torch.from_numpy(np.ascontiguousarray(self._images[self._rows[rows]]))
        masks = np.ascontiguousarray(self._masks[self._rows[rows]])
        if self._relabel is not None:
            masks = self._relabel[masks]
        return images.to(self.device), torch.from_numpy(masks).to(self.device)


def free_memory(device: torch.device) -> int:
    """Bytes free on a CUDA device; on any other, bytes of RAM that can be had."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def input_statistics(
    bank: ImageBank, protocol: Protocol, channels: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """What a network's input is normalised by under a protocol.

    Args:
        bank: The training fold.
        protocol: `input.normalise` and `input.statistics` are used.
        channels: Channels of the network's input.

    Returns:
        Mean and standard deviation per channel, in units of 0..1. ImageNet's for a network that
        has not three channels are the averages of the three.
    """
    kind = protocol.input.normalise
    if kind == "imagenet" and channels == 3:
        return IMAGENET_MEAN, IMAGENET_STD
    if kind == "imagenet":
        mean, std = float(np.mean(IMAGENET_MEAN)), float(np.mean(IMAGENET_STD))
    elif kind == "unit":
        mean, std = 0.0, 1.0
    else:
        mean, std = bank.statistics(protocol.input.statistics)
    return (mean,) * channels, (std,) * channels


def normalise(
    images: Tensor,
    mean: float | Sequence[float],
    std: float | Sequence[float],
    channels: int,
) -> Tensor:
    """Grey images as a network wants them: (x / 255 - mean) / std, repeated per channel.

    Args:
        images: (B, 1, H, W), grey values in 0..255.
        mean: In units of 0..1; one number, or one per channel.
        std: Likewise; 0 (a constant image) counts as 1.
        channels: Channels of the network's input.

    Returns:
        (B, channels, H, W) float32, contiguous.
    """
    means = (mean,) * channels if isinstance(mean, int | float) else tuple(mean)
    stds = (std,) * channels if isinstance(std, int | float) else tuple(std)
    grey = images.float()
    pairs = [(m, s or 1.0) for m, s in zip(means, stds, strict=True)]
    # One pass per distinct channel: memory traffic is what this costs.
    planes = {
        (m, s): torch.add(grey.new_tensor(-m / s), grey, alpha=1 / (255 * s)) for m, s in pairs
    }
    return torch.cat([planes[pair] for pair in pairs], dim=1)


def training_batch(
    bank: ImageBank,
    batch: Batch,
    protocol: Protocol,
    *,
    seed: int,
    epoch: int,
    mean: float | Sequence[float],
    std: float | Sequence[float],
    channels: int,
) -> tuple[Tensor, Tensor]:
    """One step's input and target: read, varied, normalised, on the bank's device.

    Args:
        bank: The training fold at `protocol.input.size`; rows are positions in the fold.
        batch: One entry of `plan_epoch`.
        protocol: Its section `augment` is used.
        seed: Seed of the run.
        epoch: Number of the epoch.
        mean: From `input_statistics`.
        std: From `input_statistics`.
        channels: Channels of the network's input.

    Returns:
        (B, channels, size, size) float32 and (B, size, size) int64 labels, 255 = ignore.
    """
    images, masks = bank.batch(batch.indices)
    matrices = draw_matrices(
        protocol.augment,
        seed,
        epoch,
        batch.indices,
        size=batch.size,
        factor_index=batch.factor_index,
        pass_index=batch.pass_index,
    )
    grey, labels = resample(images, masks, matrices, batch.size)
    return normalise(grey, mean, std, channels), labels
