"""A scan as axial slices that display as radiologists expect, whatever file it came from.

Whatever order a file stores its voxels in, the slices run from the feet to the head, their rows
from front to back and their columns from the patient's right to the left (the patient's right is
at the left edge). The spacing is in millimetres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.datasets.readers import Grey, to_grey
from benchmark.window import LUNG_WINDOW, Window
from zoo.errors import CovbenchError

AIR_HU = -1024
"""What stands for air where a scanner recorded nothing."""

_HU_BELOW = -100  # air, lung and fat lie lower; no 8-bit grey does
_LIMITS = np.iinfo(np.int16)


@dataclass(frozen=True)
class Volume:
    """Axial slices (N, H, W) of one scan, and how they lie in space.

    `spacing_mm` is the distance of rows and of columns, None where the header's is no length;
    `axes` the directions that the stored axes point to; `affine` (4, 4) maps column, row and
    slice to the header's own coordinates (right, front, up).
    """

    path: Path
    values: NDArray[np.generic]
    spacing_mm: tuple[float, float] | None
    axes: str
    affine: NDArray[np.float64]


def turned(
    path: Path,
    values: NDArray[np.generic],
    affine: NDArray[np.float64],
    *,
    unit_mm: float = 1.0,
    stored_order: bool = False,
) -> Volume:
    """Stored voxels as a volume.

    Args:
        path: Where they come from, for errors.
        values: (I, J, K), as stored.
        affine: (4, 4), maps i, j and k to right, front and up.
        unit_mm: Millimetres of its unit of length; NaN where it has none.
        stored_order: Keep the slices in the order of the third axis (for a stack that is no
            scan); rows and columns are still turned for display.

    Raises:
        CovbenchError: The affine gives no direction for every axis, or a single slice that is
            not axial.
    """
    from nibabel import orientations as ornt
    from nibabel.affines import voxel_sizes

    if not np.isfinite(affine).all():
        raise CovbenchError(
            f"{path} has an orientation with NaN or infinite entries.",
            "Download or export the file again.",
        )
    stored = ornt.io_orientation(affine)
    if np.isnan(stored).any():
        raise CovbenchError(
            f"{path} has an orientation without a direction for every axis.",
            "Set a valid sform or qform in its header.",
        )
    turn = ornt.ornt_transform(stored, ornt.axcodes2ornt(("L", "P", "S")))
    if stored_order:
        # A stack of unrelated slices has no up or down; its header may even lay it on its side.
        turn = turn if turn[2, 0] == 2 else np.array([[0, 1], [1, 1], [2, 1]], dtype=float)
        turn[2, 1] = 1
    slices = ornt.apply_orientation(values, turn).transpose(2, 1, 0)
    if min(slices.shape[1:]) == 1 < max(slices.shape[1:]):
        raise CovbenchError(
            f"{path} is a single slice that is not axial by its header.",
            "Export axial slices, or mend the header's orientation.",
        )
    displayed = affine @ ornt.inv_ornt_aff(turn, values.shape)
    column_mm, row_mm = (float(size) * unit_mm for size in voxel_sizes(displayed)[:2])
    known = math.isfinite(row_mm * column_mm) and min(row_mm, column_mm) > 0
    return Volume(
        path=path,
        values=slices,
        spacing_mm=(row_mm, column_mm) if known else None,
        axes="".join(ornt.aff2axcodes(affine)),
        affine=displayed,
    )


def in_hounsfield(volume: Volume) -> bool:
    """Whether the values reach so low that they must be Hounsfield units."""
    return bool(volume.values.min() < _HU_BELOW)


def prepared_slices(volume: Volume, window: Window | None) -> Grey | NDArray[np.int16]:
    """The slices as a prepared dataset keeps them.

    Returns:
        (N, H, W): int16 Hounsfield units, rounded and clipped to 16 bits, where the values are
        such and no window is given; else uint8, as `grey_slices` gives it.

    Raises:
        CovbenchError: As `grey_slices`.
    """
    if window is not None or not in_hounsfield(volume):
        return grey_slices(volume, window)
    if volume.values.dtype == np.int16:
        return np.asarray(volume.values, dtype=np.int16)
    units = np.empty(volume.values.shape, dtype=np.int16)
    for target, plane in zip(units, volume.values, strict=True):  # one at a time spares memory
        target[...] = np.rint(np.clip(plane.astype(np.float64), _LIMITS.min, _LIMITS.max))
    return units


def grey_slices(volume: Volume, window: Window | None) -> Grey:
    """The slices as 8-bit grey.

    Without a window, a volume whose values reach below -100 is taken for Hounsfield units and
    shown in `LUNG_WINDOW`; one whose values lie in 0..255 counts as windowed already.

    Raises:
        CovbenchError: Neither holds and no window is given.
    """
    return to_grey(volume.values, window or own_window(volume), volume.path)


def own_window(
    volume: Volume, hounsfield: Window = LUNG_WINDOW, other: Window | None = None
) -> Window:
    """The stored values that become black and white, told from the values themselves.

    Args:
        volume: The volume.
        hounsfield: The window of Hounsfield units, which reach below -100.
        other: The window of values that are neither those nor 8-bit grey.

    Returns:
        (0, 255) where the values lie in 0..255, whatever the windows are.

    Raises:
        CovbenchError: They are neither and no other window is given.
    """
    values = volume.values
    low, high = values.min(), values.max()
    if in_hounsfield(volume):
        return hounsfield
    if low >= 0 and high <= 255 and (values.dtype.kind in "iu" or high > 1):
        return 0.0, 255.0
    if other is not None:
        return other
    raise CovbenchError(
        f"{volume.path} stores values from {low:g} to {high:g}: neither Hounsfield units of a "
        "chest nor 8-bit grey.",
        "Give the values that become black and white, for example --option window=0,1500.",
    )


def check_same_grid(image: Volume, mask: Volume) -> None:
    """Refuse an image and a mask whose headers place them differently in space.

    Raises:
        CovbenchError: Voxel sizes, directions or origins differ by more than rounding.
    """
    if not np.allclose(image.affine, mask.affine, rtol=1e-3, atol=0.02):
        raise CovbenchError(
            f"{image.path} and {mask.path} have headers that place their voxels differently.",
            "Resample the mask to the image, or copy the image's header where the voxels "
            "already correspond.",
        )
