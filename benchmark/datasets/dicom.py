"""Read a DICOM series: one file per slice, in a folder, as a volume in Hounsfield units.

Slices are put in order by where they lie along the normal of their planes, never by file name or
instance number. What can't be a stack of parallel axial slices is refused with its reason.
Segmentation objects (DICOM SEG) and multi-frame objects are not read.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.datasets.dicom_geometry import AGAIN, BROKEN, Header, stacked, text
from benchmark.datasets.readers import check_finite
from benchmark.datasets.volume import AIR_HU, Volume, turned
from zoo.errors import CovbenchError
from zoo.limits import limits, raising

_SUFFIXES = (".dcm", ".dicom", ".ima")
_PLAIN = "Save it uncompressed, for example with dcmconv +te of DCMTK."
_NIFTI = "Convert it to NIfTI, for example with dcm2niix."
_USED = (
    "Rows",
    "Columns",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "FrameOfReferenceUID",
    "NumberOfFrames",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "PixelSpacing",
    "SpacingBetweenSlices",
    "SliceThickness",
    "RescaleSlope",
    "RescaleIntercept",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "PixelRepresentation",
)
"""The attributes that are read, but for the pixels."""

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


@contextmanager
def _quiet() -> Iterator[None]:
    """Without pydicom's warnings about values: what matters of them is refused by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@_quiet()
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
    chosen = _choose(folder, _headers(folder), series)
    for header in chosen:
        _check_object(header)
    ordered, affine = stacked(folder, chosen)
    first = ordered[0].data
    try:
        rows, columns = int(first.Rows), int(first.Columns)
    except BROKEN as error:
        raise _damaged(ordered[0].path, error) from error
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


def series_files(folder: Path) -> list[Path]:
    """The files of a folder, and of those in it, that may be slices; hidden ones are left out.

    Raises:
        CovbenchError: The folder isn't there, or holds too many files.
    """
    if not folder.is_dir():
        raise CovbenchError(f"{folder} is no folder.", "Name the folder with the DICOM files.")
    found = []
    for path in sorted(folder.rglob("*")):
        within = path.relative_to(folder).parts
        hidden = any(part.startswith((".", "__MACOSX")) for part in within)
        if hidden or path.name.upper() == "DICOMDIR" or not path.is_file():
            continue
        found.append(path)
        if len(found) > limits().dataset_files:
            raise CovbenchError(
                f"{folder} holds more than {limits().dataset_files:,} files.",
                f"Name the folder of one series. {raising('dataset_files')}",
            )
    return found


def holds_series(folder: Path) -> bool:
    """Whether a folder, or one in it, has a file that says it is DICOM."""
    return any(_claims(path) for path in series_files(folder))


def _claims(path: Path) -> bool:
    if path.suffix.lower() in _SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _headers(folder: Path) -> list[Header]:
    """The DICOM images in a folder, without their pixels."""
    found = []
    for path in series_files(folder):
        data = _read(path, pixels=False)
        if data is None:
            continue
        if "Rows" in data and "Columns" in data:
            found.append(Header(path, data))
        elif _is_image(data):
            # Without it the others could look like a whole series.
            raise _damaged(path, ValueError("it has no Rows and Columns"))
    if not found:
        raise CovbenchError(
            f"{folder} holds no DICOM images.",
            "Name the folder with the slices of one CT series.",
        )
    return found


def _is_image(data: Any) -> bool:
    """Whether a file says that it is an image, or says nothing that can be believed."""
    from pydicom.uid import UID

    kind = text(data.file_meta, "MediaStorageSOPClassUID")
    name = UID(kind).name
    return not kind or name == kind or name.endswith("Image Storage")


def _read(path: Path, *, pixels: bool) -> Any:
    """A DICOM file; None where it is none and doesn't claim to be."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    _check_size(path)
    try:
        with _quiet():
            meta = pydicom.filereader.read_file_meta_info(path)
            if meta.get("TransferSyntaxUID") == pydicom.uid.DeflatedExplicitVRLittleEndian:
                # It would be unpacked whole, however much it holds.
                raise CovbenchError(f"{path} is deflated, which is not read.", _PLAIN)
            # Of the headers, which are kept until the slices are in order, nothing else stays.
            wanted = None if pixels else list(_USED)
            data = pydicom.dcmread(path, stop_before_pixels=not pixels, specific_tags=wanted)
            for key in _USED:  # a value is only converted, and found damaged, when it is asked for
                data.get(key)
            return data
    except CovbenchError:
        raise
    except InvalidDicomError as error:
        if path.suffix.lower() in _SUFFIXES:
            raise _damaged(path, error) from error
        return None
    except PermissionError as error:
        raise CovbenchError(f"{path} may not be read.", "Give yourself the right to.") from error
    except Exception as error:  # of many kinds, its own among them
        raise _damaged(path, error) from error


def _check_size(path: Path) -> None:
    """Refuse a file that no single slice needs."""
    size = path.stat().st_size
    if size > limits().slice_bytes:
        raise CovbenchError(
            f"{path} has {size:,} bytes, far more than one slice, and was not read.",
            f"Name a folder that holds one file per slice. {raising('slice_bytes', size)}",
        )


def _choose(folder: Path, headers: Sequence[Header], wanted: str | None) -> list[Header]:
    """The slices of one series."""
    by_uid: dict[str, list[Header]] = {}
    for header in headers:
        by_uid.setdefault(text(header.data, "SeriesInstanceUID"), []).append(header)
    if wanted is not None:
        numbered = [u for u, of in by_uid.items() if text(of[0].data, "SeriesNumber") == wanted]
        uids = [wanted] if wanted in by_uid else numbered
    else:
        uids = list(by_uid)
    if len(uids) == 1:
        return by_uid[uids[0]]
    listed = "; ".join(
        f"{text(of[0].data, 'SeriesNumber') or 'no number'} "
        f"{text(of[0].data, 'SeriesDescription') or 'no description'} "
        f"({len(of)} slices, {uid or 'no UID'})"
        for uid, of in list(by_uid.items())[:8]
    )
    more = f"; and {len(by_uid) - 8} more" if len(by_uid) > 8 else ""
    lead = f"{len(by_uid)} series" if wanted is None else f"no single series {wanted!r}, but"
    raise CovbenchError(
        f"{folder} holds {lead}: {listed}{more}.",
        "Choose one with series=NUMBER or series=UID, or give each a folder of its own.",
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
    data = _read(path, pixels=True)
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
        with _quiet():
            if not lacking:
                return np.asarray(data.pixel_array)
    except Exception as error:  # of many kinds, those of the decoders among them
        raise _damaged(path, error) from error
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


def _damaged(path: Path, error: Exception) -> CovbenchError:
    reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    return CovbenchError(f"{path} is damaged or no DICOM file ({reason}).", AGAIN)
