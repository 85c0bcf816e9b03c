"""How the slices of a DICOM series lie in space: their order, and what can't be a stack."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import CovbenchError

AGAIN = "Export the series again."
BROKEN = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    NotImplementedError,
    struct.error,
)
"""What pydicom has been seen to raise on damaged files."""

_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # DICOM's axes point to left and back


@dataclass(frozen=True)
class Header:
    """A file of a series, and its attributes without the pixels (a pydicom Dataset)."""

    path: Path
    data: Any


def stacked(folder: Path, headers: Sequence[Header]) -> tuple[list[Header], NDArray[np.float64]]:
    """Put slices in order, from the feet upwards.

    Returns:
        The slices, and the matrix (4, 4) that maps column, row and slice to right, front and up.

    Raises:
        CovbenchError: They are not one stack of parallel, evenly spaced axial planes.
    """
    one = headers[0]
    cosines = _numbers(one, "ImageOrientationPatient", 6)
    spacing = _numbers(one, "PixelSpacing", 2)  # between rows, then between columns
    for header in headers[1:]:
        same = (
            (header.data.Rows, header.data.Columns) == (one.data.Rows, one.data.Columns)
            and np.allclose(_numbers(header, "PixelSpacing", 2), spacing, rtol=1e-3)
            and np.allclose(_numbers(header, "ImageOrientationPatient", 6), cosines, atol=1e-3)
        )
        if not same:
            raise CovbenchError(
                f"{one.path} and {header.path} differ in size, pixel spacing or orientation.",
                "Choose a series whose slices are alike; remove scouts and reformatted slices.",
            )
    along_row, along_column = cosines[:3], cosines[3:]
    normal = np.cross(along_row, along_column)
    length = float(np.linalg.norm(normal))
    if abs(length - 1) > 0.01 or min(spacing) <= 0:
        raise CovbenchError(
            f"{one.path} has an orientation or a pixel spacing that no slice can have.", AGAIN
        )
    if abs(normal[2]) < max(abs(normal[0]), abs(normal[1])):
        raise CovbenchError(
            f"{folder} holds sagittal or coronal slices.", "Export the axial series instead."
        )
    upwards = normal / length * np.sign(normal[2])
    places = np.array([_numbers(header, "ImagePositionPatient", 3) for header in headers])
    order = np.argsort(places @ upwards, kind="stable")
    step = _step(folder, [headers[i] for i in order], places[order], upwards)
    affine = np.eye(4)
    affine[:3, 0] = along_row * spacing[1]
    affine[:3, 1] = along_column * spacing[0]
    affine[:3, 2] = step
    affine[:3, 3] = places[order[0]]
    return [headers[i] for i in order], _TO_RAS @ affine


def _step(
    folder: Path, ordered: Sequence[Header], places: NDArray[np.float64], upwards: NDArray[Any]
) -> NDArray[np.float64]:
    """The way from a slice to the next one, in DICOM's axes."""
    if len(ordered) == 1:
        for key in ("SpacingBetweenSlices", "SliceThickness"):
            try:
                thickness = abs(float(text(ordered[0].data, key)))
            except ValueError:
                continue
            if 0 < thickness < 1e3:
                return upwards * thickness
        return upwards
    heights = places @ upwards
    gaps = np.diff(heights)
    usual = float(np.median(gaps))
    tolerance = max(0.05, 0.02 * usual)
    twice = int((gaps < min(0.01, 0.1 * usual) if usual else gaps == 0).sum())
    if twice or usual <= 0:
        k = int(np.argmin(gaps))
        raise CovbenchError(
            f"{folder}: {twice} slices lie at a place where another one is, such as "
            f"{ordered[k].path.name} and {ordered[k + 1].path.name}.",
            "Remove the copies, or choose one of the phases or reconstructions.",
        )
    uneven = np.flatnonzero(np.abs(gaps - usual) > tolerance)
    if uneven.size:
        k = int(uneven[0])
        raise CovbenchError(
            f"{folder} lacks slices or is spaced unevenly: {gaps[k]:.2f} mm between "
            f"{ordered[k].path.name} and {ordered[k + 1].path.name}, {usual:.2f} mm elsewhere.",
            "Copy all files of the series into the folder.",
        )
    step = (places[-1] - places[0]) / (len(places) - 1)
    sideways = float(np.linalg.norm(step - upwards * (step @ upwards)))
    if sideways > 0.01 * usual + 1e-3:
        raise CovbenchError(
            f"{folder} was taken with a tilted gantry: each slice lies {sideways:.2f} mm beside "
            "the one below it.",
            "Straighten it with a program such as dcm2niix, and give the NIfTI file.",
        )
    return np.asarray(step, dtype=np.float64)


def _numbers(header: Header, key: str, count: int) -> NDArray[np.float64]:
    """A numeric attribute that has to be there."""
    try:
        values = np.array([float(value) for value in header.data[key].value], dtype=np.float64)
    except BROKEN:
        values = np.empty(0)
    if values.shape != (count,) or not np.isfinite(values).all():
        raise CovbenchError(
            f"{header.path} has no usable {key}, so that its place in space is not known.", AGAIN
        )
    return values


def text(data: Any, key: str) -> str:
    """An attribute as text; empty where it is missing or can't be read."""
    try:
        value = data.get(key)
    except BROKEN:  # pydicom converts a value only when it is asked for
        return ""
    return "" if value is None else str(value).strip()
