"""Read NIfTI: a volume as axial slices that display as radiologists expect.

Whatever order a file stores its voxels in, the slices that come back run from the feet to the
head, their rows from front to back and their columns from the patient's right to the left (the
patient's right is at the left edge). The spacing is in millimetres.
"""

from __future__ import annotations

import math
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.datasets.readers import Grey, Window, check_finite, to_grey
from zoo.errors import CovbenchError
from zoo.limits import limits, raising

SUFFIXES = (".nii", ".nii.gz")
LUNG_WINDOW: Window = (-1250.0, 250.0)
"""Hounsfield units shown black and white by default: level -500, width 1500."""

_HU_BELOW = -100  # air, lung and fat lie lower; no 8-bit grey does
_MILLIMETRES = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # by the header's code of a unit
_AGAIN = "Download or export the file again."


@dataclass(frozen=True)
class Volume:
    """Axial slices (N, H, W) of one file, and how they lie in space.

    `spacing_mm` is the distance of rows and of columns, None where the header's is no length;
    `axes` the directions that the stored axes point to; `affine` (4, 4) maps column, row and
    slice to the header's own coordinates (right, front, up).
    """

    path: Path
    values: NDArray[np.generic]
    spacing_mm: tuple[float, float] | None
    axes: str
    affine: NDArray[np.float64]


def read_volume(path: Path, *, stored_order: bool = False) -> Volume:
    """Read a NIfTI file of two or three dimensions.

    Args:
        path: A .nii or .nii.gz file.
        stored_order: Keep the slices in the order of the stored third axis (for a stack that is
            no scan); rows and columns are still turned for display.

    Raises:
        CovbenchError: The file is damaged, truncated, empty, too large by what its header
            claims, not one grey volume, holds NaN or infinite voxels, or has no usable
            directions.
    """
    image = _open(path)
    shape = _shape(image)
    if len(shape) != 3:
        raise CovbenchError(
            f"{path} has the shape {shape}: a volume has three dimensions, a slice two.",
            "Save each volume of the series as a file of its own.",
        )
    _check_size(path, image, shape)
    values = _load(path, image).reshape(shape)
    check_finite(values, path)
    return _turned(path, image, values, stored_order)


def is_volume(path: Path) -> bool:
    """Whether a NIfTI file's header speaks of more than one slice.

    Raises:
        CovbenchError: The file is damaged.
    """
    return _shape(_open(path))[2:] != (1,)


def grey_slices(volume: Volume, window: Window | None) -> Grey:
    """The slices as 8-bit grey.

    Without a window, a volume whose values reach below -100 is taken for Hounsfield units and
    shown in `LUNG_WINDOW`; one whose values lie in 0..255 counts as windowed already.

    Raises:
        CovbenchError: Neither holds and no window is given.
    """
    values = volume.values
    if window is None:
        low, high = values.min(), values.max()
        whole = values.dtype.kind in "iu" or high > 1
        if low < _HU_BELOW:
            window = LUNG_WINDOW
        elif low >= 0 and high <= 255 and whole:
            window = (0.0, 255.0)
        else:
            raise CovbenchError(
                f"{volume.path} stores values from {low:g} to {high:g}: neither Hounsfield "
                "units of a chest nor 8-bit grey.",
                "Give the values that become black and white, for example --option window=0,1500.",
            )
    return to_grey(values, window, volume.path)


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


def _open(path: Path) -> Any:
    import nibabel as nib

    if not path.is_file():
        what = "is no plain file" if path.exists() else "does not exist"
        raise CovbenchError(f"{path} {what}.", "Check the path.")
    try:
        with _quiet():
            image = nib.load(path, mmap=False)
    except Exception as error:  # a damaged header breaks its reader in many ways
        raise _damaged(path, error) from error
    if not isinstance(image, nib.Nifti1Image):  # Nifti2Image is one too
        raise CovbenchError(f"{path} is no NIfTI file.", "Convert it to NIfTI (.nii.gz).")
    return image


@contextmanager
def _quiet() -> Iterator[None]:
    """What a damaged file makes its reader and NumPy say is dropped: the error tells it."""
    from nibabel.imageglobals import LoggingOutputSuppressor

    with warnings.catch_warnings(), np.errstate(all="ignore"), LoggingOutputSuppressor():
        warnings.simplefilter("ignore")
        yield


def _shape(image: Any) -> tuple[int, ...]:
    """The shape with trailing ones dropped, and one slice added to two dimensions."""
    shape = tuple(int(n) for n in image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    return (*shape, 1) if len(shape) == 2 else shape


def _check_size(path: Path, image: Any, shape: tuple[int, ...]) -> None:
    """Hold what the header claims against the limits and against the file, before reading."""
    if min(shape) < 1:
        raise CovbenchError(f"{path} has the shape {shape}: it has no voxels.", _AGAIN)
    dtype = image.get_data_dtype()
    if dtype.kind not in "iuf":
        raise CovbenchError(
            f"{path} stores {dtype} voxels: no grey values.", "Save it as one grey channel."
        )
    voxels = math.prod(shape)
    stored = voxels * dtype.itemsize
    decoded = voxels * max(dtype.itemsize, 1 if _unscaled(image) else 4)
    most = limits()
    for name, claimed in (("volume_voxels", voxels), ("volume_bytes", decoded)):
        if claimed > getattr(most, name):
            raise CovbenchError(
                f"{path} claims {voxels:,} voxels, {decoded / 2**30:,.1f} GiB, and was not read "
                f"(limit {most.volume_bytes / 2**30:g} GiB, {most.volume_voxels:,} voxels).",
                f"Check that it is a CT volume; crop or split it. {raising(name, claimed)}",
            )
    size = path.stat().st_size
    packed = path.suffix.lower() == ".gz"
    if stored > (size * most.gzip_ratio if packed else size):
        raise CovbenchError(
            f"{path} is truncated: its header claims {stored:,} bytes of voxels and the file "
            f"has {size:,} bytes.",
            _AGAIN,
        )
    if packed and stored > max(most.gzip_free_bytes, size * most.gzip_large_ratio):
        raise CovbenchError(
            f"{path} unpacks from {size:,} to {stored:,} bytes, far more than a scan does.",
            f"Check what it holds. {raising('gzip_free_bytes', stored)}",
        )


def _unscaled(image: Any) -> bool:
    return bool(image.dataobj.slope == 1 and image.dataobj.inter == 0)


def _load(path: Path, image: Any) -> NDArray[np.generic]:
    try:
        with _quiet():
            if _unscaled(image):
                return np.asarray(image.dataobj)
            return np.asarray(image.dataobj, dtype=np.float32)
    except (OSError, EOFError, OverflowError, zlib.error, ValueError) as error:
        raise _damaged(path, error) from error


def _turned(path: Path, image: Any, values: NDArray[np.generic], stored_order: bool) -> Volume:
    from nibabel import orientations as ornt
    from nibabel.affines import voxel_sizes

    if not np.isfinite(image.affine).all():
        raise CovbenchError(f"{path} has an orientation with NaN or infinite entries.", _AGAIN)
    stored = ornt.io_orientation(image.affine)
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
    affine = image.affine @ ornt.inv_ornt_aff(turn, values.shape)
    unit = _MILLIMETRES.get(int(image.header["xyzt_units"]) & 7, math.nan)
    column_mm, row_mm = (float(size) * unit for size in voxel_sizes(affine)[:2])
    known = math.isfinite(row_mm * column_mm) and min(row_mm, column_mm) > 0
    return Volume(
        path=path,
        values=slices,
        spacing_mm=(row_mm, column_mm) if known else None,
        axes="".join(ornt.aff2axcodes(image.affine)),
        affine=affine,
    )


def _damaged(path: Path, error: Exception) -> CovbenchError:
    reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    return CovbenchError(f"{path} is damaged or no NIfTI file ({reason}).", _AGAIN)
