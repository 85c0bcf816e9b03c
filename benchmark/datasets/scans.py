"""A scan and its masks, read from their volumes: one shape, one grid, slices from feet to head."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.datasets.readers import Grey, to_labels
from benchmark.datasets.recipes import Decoded, Slice
from benchmark.datasets.volume import (
    Volume,
    check_same_grid,
    grey_slices,
    in_hounsfield,
    prepared_slices,
)
from benchmark.datasets.volume_files import VolumeFile
from benchmark.window import Window
from zoo.errors import CovbenchError


@dataclass(frozen=True)
class Scan:
    """A scan with its masks, still in its files; `name` begins the ids of its slices.

    `labels` turns the stored values of `mask` into classes; `lungs` gives the lungs' outlines.
    """

    name: str
    group: str
    image: VolumeFile
    mask: VolumeFile
    labels: Callable[[NDArray[np.generic], Path], Grey]
    lungs: VolumeFile | None = None
    source: str = ""


@dataclass(frozen=True)
class ScanRead:
    """A scan in memory: slices, (N, H, W) each, from feet to head; see `Slice`."""

    image: Grey | NDArray[np.int16]
    mask: Grey
    lung: Grey | None
    spacing_mm: tuple[float, float] | None
    hounsfield: bool


def read_scan(scan: Scan, window: Window | None) -> ScanRead:
    """A scan's slices. Its volumes are read one after the other, so that one is held at a time.

    Args:
        scan: The scan.
        window: The Hounsfield units that become black and white; None keeps the units. A volume
            of 0 to 255 counts as windowed and is kept as it is.

    Raises:
        CovbenchError: A volume can't be read, or image and masks do not lie on one another.
    """
    volume = scan.image.read()
    hounsfield = in_hounsfield(volume)
    image = prepared_slices(volume, window if hounsfield else None)
    frame = Volume(volume.path, volume.values[:0], volume.spacing_mm, volume.axes, volume.affine)
    del volume
    mask = _aligned(scan, scan.mask, frame, image.shape)
    labels = scan.labels(mask.values, mask.path)
    lung = None
    if scan.lungs is not None:
        lung = (_aligned(scan, scan.lungs, frame, image.shape).values != 0).astype(np.uint8)
    return ScanRead(image, labels, lung, frame.spacing_mm, hounsfield)


def _aligned(scan: Scan, file: VolumeFile, frame: Volume, shape: tuple[int, ...]) -> Volume:
    mask = file.read()
    if mask.values.shape != shape:
        sizes = (" x ".join(str(n) for n in of) for of in (shape, mask.values.shape))
        raise CovbenchError(
            f"The scan {scan.name} and its mask {file.path.name} differ in size: "
            f"{' and '.join(sizes)}.",
            "Download both again.",
        )
    check_same_grid(frame, mask)
    return mask


def slices(scan: Scan, read: ScanRead) -> list[Slice]:
    """The slices of a scan, numbered from 0 at the feet."""
    return [
        Slice(
            f"{scan.name}-{k:04d}",
            scan.group,
            read.image[k],
            read.mask[k],
            read.spacing_mm,
            None if read.lung is None else read.lung[k],
            scan.source,
        )
        for k in range(len(read.image))
    ]


def labels_by(label_map: Mapping[int, int]) -> Callable[[NDArray[np.generic], Path], Grey]:
    """What turns stored values into classes by a label map; see `readers.to_labels`."""
    return lambda values, path: to_labels(values, label_map, path)


class Reader:
    """Reads the scans of a dataset and counts what their values were."""

    def __init__(self, window: Window | None) -> None:
        self._window = window
        self._hounsfield = 0
        self._windowed = 0

    def read(self, scan: Scan) -> ScanRead:
        """See `read_scan`."""
        read = read_scan(scan, self._window)
        self._hounsfield += read.hounsfield
        self._windowed += not read.hounsfield
        return read

    def grey(self, scan: Scan) -> Grey:
        """The image alone, as 8-bit grey, (N, H, W)."""
        volume = scan.image.read()
        return grey_slices(volume, self._window if in_hounsfield(volume) else None)

    def decoded(self, scans: Sequence[Scan], notes: tuple[str, ...] = ()) -> Decoded:
        """The slices of scans whose patients are all known, one scan a step.

        Args:
            scans: In order.
            notes: What is said beside the grey values.
        """
        steps = (slices(scan, self.read(scan)) for scan in scans)
        return Decoded(steps, "all", notes=notes, closing=lambda: [self.told()])

    def told(self) -> str:
        """What to say of the grey values."""
        count = self._hounsfield + self._windowed
        parts = []
        if self._hounsfield:
            low, high = self._window or (0, 0)
            shown = f", shown from {low:g} to {high:g}" if self._window else ""
            parts.append(f"{self._hounsfield} of {count} scans store Hounsfield units{shown}")
        if self._windowed:
            parts.append(
                f"{self._windowed} of {count} are windowed to 0 to 255 already and kept as they are"
            )
        return "; ".join(parts) + "."
