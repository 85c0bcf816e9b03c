"""Read a DICOM series: one file per slice, in a folder, as a volume in Hounsfield units.

Slices are put in order by where they lie along the normal of their planes, never by file name or
instance number. What can't be a stack of parallel axial slices is refused with its reason.
Segmentation objects (DICOM SEG) are passed over, multi-frame objects are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.datasets.dicom_files import choose, damaged, headers_in, quiet, read_file
from benchmark.datasets.dicom_geometry import AGAIN, BROKEN, Header, stacked, text
from benchmark.datasets.readers import check_finite
from benchmark.datasets.volume import AIR_HU, Volume, turned
from zoo.errors import CovbenchError
from zoo.limits import limits, raising

_NIFTI = "Convert it to NIfTI, for example with dcm2niix."
_ROWS = 512
_MOST_HU = 1e7
"""Above it nothing is measured: a slope or an intercept is damaged."""

_PACKAGES = {"JPEG-LS": "pyjpegls", "JPEG": "pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg"}


@dataclass(frozen=True)
class Series(Volume):
    """A volume that was read from a DICOM series.

    Attributes:
        files: The file of each slice, in the order of `values`.
        uid: SeriesInstanceUID.
        frame: FrameOfReferenceUID; empty where none is given.
    """

    files: tuple[Path, ...]
    uid: str
    frame: str


@quiet()
def read_series(folder: Path, series: str | None = None, *, stored: bool = False) -> Series:
    """Read the series of a folder and of the folders in it.

    Hidden files, DICOMDIR and files that are no DICOM images are passed over.

    Args:
        folder: Where the files lie.
        series: Which one, where there are several: its UID, or its number (SeriesNumber).
        stored: Keep the stored numbers, such as the labels of a mask: no rescaling to Hounsfield
            units, and no air where the scanner padded.

    Returns:
        Slices as a `Volume` has them; int16 where every slope and intercept is a whole number
        (clipped to 16 bits), else float32.

    Raises:
        CovbenchError: There is no series or several; the slices are not one stack of parallel,
            evenly spaced axial planes of one size; or the pixels can't be read.
    """
    chosen = choose(folder, headers_in(folder), series)
    for header in chosen:
        _check_object(header)
    ordered, affine = stacked(folder, chosen)
    first = ordered[0].data
    try:
        rows, columns = int(first.Rows), int(first.Columns)
    except BROKEN as error:
        raise damaged(ordered[0].path, error) from error
    if rows * columns > limits().image_pixels:
        raise CovbenchError(
            f"{ordered[0].path} claims {rows:,} x {columns:,} pixels and was not read.",
            f"Check that it is a CT slice. {raising('image_pixels', rows * columns)}",
        )
    voxels = rows * columns * len(ordered)
    if voxels > limits().volume_voxels:
        raise CovbenchError(
            f"{folder} claims {voxels:,} voxels and was not read.",
            f"Check that it is one CT scan. {raising('volume_voxels', voxels)}",
        )
    whole = stored or all(_is_whole(header.data) for header in ordered)
    values = np.empty((len(ordered), rows, columns), np.int16 if whole else np.float32)
    for target, header in zip(values, ordered, strict=True):
        _fill(target, header, stored)
    check_finite(values, folder)
    volume = turned(folder, values.transpose(2, 1, 0), affine)
    # The slices were ordered upwards, so that turning the volume leaves their order alone.
    return Series(
        path=folder,
        values=volume.values,
        spacing_mm=volume.spacing_mm,
        axes=volume.axes,
        affine=volume.affine,
        files=tuple(header.path for header in ordered),
        uid=str(first.get("SeriesInstanceUID", "")),
        frame=str(first.get("FrameOfReferenceUID", "")),
    )


def _check_object(header: Header) -> None:
    """Refuse what is no single grey slice."""
    data, path = header.data, header.path
    if text(data, "NumberOfFrames") not in ("", "0", "1"):
        raise CovbenchError(
            f"{path} is a multi-frame object ({text(data, 'NumberOfFrames')} frames in one "
            "file), which is not read.",
            f"Export the series as one file per slice. {_NIFTI}",
        )
    if text(data, "SamplesPerPixel") not in ("", "1"):
        raise CovbenchError(
            f"{path} is in colour: a screen shot or a report, not a CT slice.", AGAIN
        )
    kind = text(data, "PhotometricInterpretation")
    if kind != "MONOCHROME2":
        raise CovbenchError(
            f"{path} is stored as {kind or 'an unknown kind of grey'}: its grey scale is not "
            "that of Hounsfield units.",
            "Export it as MONOCHROME2.",
        )


def _rescale(data: Any) -> tuple[float, float]:
    """Slope and intercept; 1 and 0 where none are given."""
    try:
        return float(data.get("RescaleSlope", 1) or 1), float(data.get("RescaleIntercept", 0) or 0)
    except BROKEN:
        return float("nan"), float("nan")


def _is_whole(data: Any) -> bool:
    return all(number.is_integer() for number in _rescale(data))


def _fill(target: NDArray[Any], header: Header, stored: bool) -> None:
    """Decode the pixels of one slice into its place."""
    path = header.path
    data = read_file(path, pixels=True)
    pixels = _decoded(path, data)
    if pixels.shape != target.shape:
        raise CovbenchError(
            f"{path} holds pixels of another shape than its header says: {pixels.shape}.", AGAIN
        )
    slope, intercept = (1.0, 0.0) if stored else _rescale(data)
    if not np.isfinite([slope, intercept]).all():
        raise CovbenchError(f"{path} has no usable RescaleSlope or RescaleIntercept.", AGAIN)
    for start in range(0, len(pixels), _ROWS):  # whole, it would take many times the file's size
        rows = pixels[start : start + _ROWS]
        with np.errstate(all="ignore"):
            units = rows.astype(np.float64) * slope + intercept
        if not stored:
            units[_padding(data, rows)] = AIR_HU
        if not np.isfinite(units).all() or np.abs(units).max(initial=0) > _MOST_HU:
            raise CovbenchError(f"{path} holds values that are no Hounsfield units.", AGAIN)
        if target.dtype == np.int16:
            units = np.clip(units, np.iinfo(np.int16).min, np.iinfo(np.int16).max)
        target[start : start + _ROWS] = units


def _decoded(path: Path, data: Any) -> NDArray[Any]:
    """The stored numbers of one slice."""
    if data is None or not any(key in data for key in ("PixelData", "FloatPixelData")):
        raise CovbenchError(f"{path} has no pixels.", AGAIN)
    try:
        syntax = data.file_meta.TransferSyntaxUID
        lacking = "JPEG" in syntax.name and syntax.is_compressed and not _can_decode(syntax)
        with quiet():
            if not lacking:
                return np.asarray(data.pixel_array)
    except Exception as error:  # of many kinds, those of the decoders among them
        raise damaged(path, error) from error
    package = next(package for word, package in _PACKAGES.items() if word in syntax.name)
    raise CovbenchError(
        f"{path} is compressed as {syntax.name}, which no installed package decodes.",
        f"Run `pip install {package}`, or export the series uncompressed.",
    )


def _can_decode(syntax: Any) -> bool:
    from pydicom.pixels.decoders.base import get_decoder

    try:
        return bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        return False


def _padding(data: Any, pixels: NDArray[Any]) -> NDArray[np.bool_]:
    """Where the scanner recorded nothing and filled up with a number."""
    none = np.zeros(pixels.shape, dtype=bool)
    try:
        low = int(data.PixelPaddingValue)
        high = int(data.get("PixelPaddingRangeLimit", low))
        signed = int(data.get("PixelRepresentation", 0)) == 1
    except BROKEN:
        return none
    # Some writers store a negative number as an unsigned one.
    bounds = sorted(n - 2**16 if signed and n >= 2**15 else n for n in (low, high))
    return (pixels >= bounds[0]) & (pixels <= bounds[1])
