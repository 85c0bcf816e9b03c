"""Read NIfTI: a volume as axial slices that display as radiologists expect (see `volume`)."""

from __future__ import annotations

import math
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.datasets.readers import check_finite
from benchmark.datasets.volume import Volume, check_same_grid, grey_slices, turned
from zoo.errors import CovbenchError, reason_of
from zoo.limits import limits, raising

__all__ = ["SUFFIXES", "Volume", "check_same_grid", "grey_slices", "is_volume", "read_volume"]

SUFFIXES = (".nii", ".nii.gz")
_MILLIMETRES = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # by the header's code of a unit
_AGAIN = "Download or export the file again."


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
    unit = _MILLIMETRES.get(int(image.header["xyzt_units"]) & 7, math.nan)
    return turned(path, values, image.affine, unit_mm=unit, stored_order=stored_order)


def is_volume(path: Path) -> bool:
    """Whether a NIfTI file's header speaks of more than one slice.

    Raises:
        CovbenchError: The file is damaged.
    """
    return _shape(_open(path))[2:] != (1,)


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


def _damaged(path: Path, error: Exception) -> CovbenchError:
    return CovbenchError(f"{path} is damaged or no NIfTI file ({reason_of(error)}).", _AGAIN)
