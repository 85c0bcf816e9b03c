"""The files of a DICOM series: which they are, of which series, and what their headers say."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmark.datasets.dicom_geometry import AGAIN, Header, text
from zoo.errors import CovbenchError, reason_of
from zoo.limits import limits, raising

SUFFIXES = (".dcm", ".dicom", ".ima")
_PLAIN = "Save it uncompressed, for example with dcmconv +te of DCMTK."
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


_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""Segmentation Storage and Label Map Segmentation Storage."""


@contextmanager
def quiet() -> Iterator[None]:
    """Without pydicom's warnings about values: what matters of them is refused by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


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
    return any(says_dicom(path) for path in series_files(folder))


def says_dicom(path: Path) -> bool:
    """Whether a file says that it is DICOM, by its name or by the mark at its byte 128."""
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def is_segmentation(path: Path) -> bool:
    """Whether a file is a DICOM segmentation object, which lies beside slices and is none."""
    import pydicom

    try:
        with quiet():
            meta = pydicom.filereader.read_file_meta_info(path)
        return text(meta, "MediaStorageSOPClassUID") in _SEGMENTATIONS
    except Exception:  # of many kinds; who reads the whole file will say what is wrong with it
        return False


def headers_in(folder: Path) -> list[Header]:
    """The DICOM images in a folder, without their pixels; segmentation objects are none."""
    found = []
    for path in series_files(folder):
        data = read_file(path, pixels=False)
        if data is None or text(data.file_meta, "MediaStorageSOPClassUID") in _SEGMENTATIONS:
            continue
        if "Rows" in data and "Columns" in data:
            found.append(Header(path, data))
        elif _is_image(data):
            # Without it the others could look like a whole series.
            raise damaged(path, ValueError("it has no Rows and Columns"))
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


def read_file(path: Path, *, pixels: bool) -> Any:
    """A DICOM file; None where it is none and doesn't claim to be."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    _check_size(path)
    try:
        with quiet():
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
        if path.suffix.lower() in SUFFIXES:
            raise damaged(path, error) from error
        return None
    except PermissionError as error:
        raise CovbenchError(f"{path} may not be read.", "Give yourself the right to.") from error
    except Exception as error:  # of many kinds, its own among them
        raise damaged(path, error) from error


def _check_size(path: Path) -> None:
    """Refuse a file that no single slice needs."""
    size = path.stat().st_size
    if size > limits().slice_bytes:
        raise CovbenchError(
            f"{path} has {size:,} bytes, far more than one slice, and was not read.",
            f"Name a folder that holds one file per slice. {raising('slice_bytes', size)}",
        )


def choose(folder: Path, headers: Sequence[Header], wanted: str | None) -> list[Header]:
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


def damaged(path: Path, error: Exception) -> CovbenchError:
    """The error for a file that its reader choked on."""
    return CovbenchError(f"{path} is damaged or no DICOM file ({reason_of(error)}).", AGAIN)
