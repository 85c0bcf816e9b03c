"""Masks of a DICOM series as one DICOM segmentation object (SEG), which names the slices it is of.

A viewer or an archive of DICOM shows it on the series by itself. It carries the patient's name and
study as the series does, as the standard demands. highdicom encodes it (extra `covbench[seg]`).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.datasets.dicom_files import choose, damaged, headers_in, quiet, read_file
from benchmark.datasets.dicom_geometry import stacked, text
from benchmark.datasets.readers import Grey
from zoo.errors import CovbenchError, one_line, reason_of

WARNING = "Research software, no medical device: not for diagnosis"

_MAY_BE_EMPTY = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber"),
    *("StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName", "SliceThickness"),
)
"""What every CT image has, if only empty; de-identified ones may have lost it."""

_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")

_NUMBER = 9100  # of the series: apart from those of the scanner
_LEAVE = "Leave --seg out: the NIfTI mask needs none of it."
_LONGEST = 64
"""Characters of a DICOM long string (LO)."""


@dataclass(frozen=True)
class Made:
    """What made a mask.

    Attributes:
        version: Of covbench.
        run: Id of the run.
        title: That run in words.
    """

    version: str
    run: str
    title: str


@dataclass(frozen=True)
class Source:
    """A series that masks are written for.

    Attributes:
        folder: Where it lies.
        slices: All attributes of its slices but the pixels (pydicom Datasets), from the feet up.
        affine: (4, 4), from column, row and slice as stored to right, front and up.
    """

    folder: Path
    slices: tuple[Any, ...]
    affine: NDArray[np.float64]


@quiet()
def read_source(folder: Path) -> Source:
    """The series of a folder, once it is sure that a segmentation of it can be written.

    Raises:
        CovbenchError: highdicom is not installed, the series can't be read, or its slices lack
            what a segmentation must name, such as their UIDs.
    """
    ordered, affine = stacked(folder, choose(folder, headers_in(folder), None))
    slices = tuple(_attributes(header.path) for header in ordered)
    _check_uids(folder, slices)
    frame = _frame(folder, slices)
    for one in slices:  # which differ by rounding at most: `stacked` refuses what lies otherwise
        one.ImageOrientationPatient = slices[0].ImageOrientationPatient
        one.PixelSpacing = slices[0].PixelSpacing
        one.FrameOfReferenceUID = frame
    trial = np.zeros((len(slices), int(slices[0].Rows), int(slices[0].Columns), 1), np.uint8)
    trial[0, 0, 0] = 1
    _encoded(folder, slices, trial, ["infection"], Made("0", "0", "a trial"))
    return Source(folder, slices, affine)


def _attributes(path: Path) -> Any:
    """All attributes of a slice but its pixels, with what a segmentation takes from them."""
    data = read_file(path, pixels=True)
    try:
        data.decode()
    except Exception as error:  # of many kinds: a character set that is none, text that is none
        raise damaged(path, error) from error
    data.SpecificCharacterSet = "ISO_IR 192"  # UTF-8, whatever the names here and there
    for key in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"):
        if key in data:
            del data[key]
    for key in _MAY_BE_EMPTY:
        if key not in data or not _is_valid(key, text(data, key)):
            setattr(data, key, "")
    return data


def _frame(folder: Path, slices: Sequence[Any]) -> str:
    """The frame of reference of a series; one that follows from its UID where none is left.

    Raises:
        CovbenchError: There are several.
    """
    from pydicom.uid import generate_uid

    known = {text(one, "FrameOfReferenceUID") for one in slices} - {""}
    if len(known) > 1:
        raise CovbenchError(
            f"{folder} allows no DICOM segmentation (slices of {len(known)} frames of reference).",
            _LEAVE,
        )
    return next(iter(known), "") or generate_uid(
        entropy_srcs=[text(slices[0], "SeriesInstanceUID")]
    )


@quiet()
def seg_bytes(
    source: Source, masks: Sequence[tuple[str, Grey]], affine: NDArray[np.float64], made: Made
) -> bytes:
    """A segmentation as a DICOM file.

    Args:
        source: From `read_source`.
        masks: The name of each segment and its mask (N, H, W), 0 or 1, as slices are displayed.
        affine: (4, 4), from displayed column, row and slice to right, front and up (`Scan.affine`).
        made: What made them.

    Returns:
        The file: BINARY, a segment for each mask, and of each the slices that it marks. Its UIDs
        and times are new each time.

    Raises:
        CovbenchError: The series lacks what the standard demands.
    """
    from nibabel import orientations as ornt

    turn = ornt.io_orientation(np.linalg.inv(source.affine) @ affine)
    stored = [
        ornt.apply_orientation(each.transpose(2, 1, 0), turn).transpose(2, 1, 0)
        for _, each in masks
    ]
    pixels = np.stack(stored, axis=-1)
    return _encoded(source.folder, source.slices, pixels, [name for name, _ in masks], made)


def _encoded(
    folder: Path, slices: Sequence[Any], pixels: Grey, names: Sequence[str], made: Made
) -> bytes:
    try:
        import highdicom as hd
    except ImportError as error:
        raise CovbenchError(
            "A DICOM segmentation is written by highdicom, which is not installed.",
            "pip install 'covbench[seg]', or leave --seg out.",
        ) from error
    file = io.BytesIO()
    try:
        hd.seg.Segmentation(
            source_images=slices,
            pixel_array=pixels,
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=_descriptions(names, made),
            series_instance_uid=hd.UID(),
            series_number=_NUMBER,
            sop_instance_uid=hd.UID(),
            instance_number=1,
            manufacturer="covbench",
            manufacturer_model_name="covbench predict",
            software_versions=_long_string(made.version),
            device_serial_number=_long_string(made.run),
            content_description=WARNING,
            content_label="COVBENCH",
            omit_empty_frames=bool(pixels.any()),
        ).save_as(file, enforce_file_format=True)
    except MemoryError:
        raise
    except Exception as error:  # of many kinds: what a file lacks or has wrong is found out late
        reason = reason_of(error)
        raise CovbenchError(f"{folder} allows no DICOM segmentation ({reason}).", _LEAVE) from error
    return file.getvalue()


def _descriptions(names: Sequence[str], made: Made) -> list[Any]:
    """What each segment is, in the standard's codes, and what found it."""
    import highdicom as hd
    from pydicom.sr.codedict import codes

    algorithm = hd.AlgorithmIdentificationSequence(
        name=_long_string(made.title),
        family=codes.DCM.ArtificialIntelligence,
        version=_long_string(made.run),
        source=_long_string(f"covbench {made.version}"),
    )
    organ, lesion = codes.SCT.AnatomicalStructure, codes.SCT.MorphologicallyAbnormalStructure
    types = {
        "lung": codes.SCT.Lung,
        "ground-glass": codes.DCM.GroundGlassOpacity,
        "effusion": codes.SCT.PleuralEffusion,
    }
    return [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=_long_string(name),
            segmented_property_category=organ if name == "lung" else lesion,
            segmented_property_type=types.get(name, codes.SCT.Lesion),
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
            anatomic_regions=None if name in ("lung", "effusion") else [codes.SCT.Lung],
        )
        for number, name in enumerate(names, start=1)
    ]


def _check_uids(folder: Path, slices: Sequence[Any]) -> None:
    """Refuse slices that nothing could name: without UIDs, or with those of one another."""
    for key in _UIDS:
        if not all(text(one, key) for one in slices):
            raise CovbenchError(f"{folder} allows no DICOM segmentation (no {key}).", _LEAVE)
    if len({text(one, "SOPInstanceUID") for one in slices}) < len(slices):
        raise CovbenchError(
            f"{folder} allows no DICOM segmentation (slices with the same SOPInstanceUID).", _LEAVE
        )


def _is_valid(key: str, value: str) -> bool:
    """Whether a value may be handed on; what de-identification put there often may not."""
    from pydicom.valuerep import DA, TM

    try:
        if key.endswith("Date"):
            return not value or DA(value) is not None
        if key.endswith("Time"):
            return not value or TM(value) is not None
    except ValueError:
        return False
    return key != "PatientSex" or value in ("", "M", "F", "O")


def _long_string(value: str) -> str:
    """A text that DICOM takes as one value (VR LO): 64 characters, and no backslash."""
    return one_line(value).replace("\\", "/")[:_LONGEST]
