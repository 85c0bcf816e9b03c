"""A made-up chest in every form that `covbench predict` reads, and its table."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np

from tests.trained import SIDE

LUNG, TISSUE, LESION = -800, 40, 200
"""Hounsfield units; in the lung window their grey is 76, 219 and 246 of 255."""


Predict = Callable[..., int]


RAS = np.array([[0.7, 0, 0, -10], [0, 0.9, 0, 20], [0, 0, 3, 5], [0, 0, 0, 1.0]])


def chest() -> np.ndarray:
    """A volume of 32 x 32 x 5, stored R, A, S: two lungs, a lesion in the right one."""
    data = np.full((SIDE, SIDE, 5), TISSUE, np.int16)
    data[3:13, 8:24] = LUNG  # the patient's left: the first axis runs to the right
    data[19:29, 8:24] = LUNG
    data[21:25, 10:13, 1:3] = LESION
    return data


def turned(axes: str) -> nib.Nifti1Image:
    """The same volume, its voxels stored along other axes."""
    image = nib.Nifti1Image(chest(), RAS)
    wanted = nib.orientations.axcodes2ornt(tuple(axes))
    turn = nib.orientations.ornt_transform(nib.io_orientation(RAS), wanted)
    return image.as_reoriented(turn)


def series(folder: Path, data: np.ndarray) -> None:
    """Write a volume stored R, A, S as DICOM files whose names are in no order."""
    import pydicom
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir()
    one, frame, study = generate_uid(), generate_uid(), generate_uid()
    for place, plane in enumerate(data[::-1, ::-1].transpose(2, 1, 0)):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        file = pydicom.Dataset()
        file.file_meta = meta
        file.SOPClassUID, file.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        file.SeriesInstanceUID, file.FrameOfReferenceUID, file.StudyInstanceUID = one, frame, study
        file.Modality, file.SeriesNumber, file.InstanceNumber = "CT", "1", str(5 - place)
        file.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
        file.ImagePositionPatient = ["-12", "-31", str(3 * place)]
        file.PixelSpacing, file.SliceThickness = ["0.9", "0.7"], "3"
        file.Rows, file.Columns = plane.shape
        file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
        file.BitsAllocated, file.BitsStored, file.HighBit = 16, 16, 15
        file.PixelRepresentation = 0
        file.RescaleSlope, file.RescaleIntercept = "1", "-1024"
        file.PixelData = (plane + 1024).astype("<u2").tobytes()
        file.save_as(folder / f"IM{7 * place % 5}", enforce_file_format=True)


def table(tmp_path: Path) -> list[dict[str, str]]:
    with (tmp_path / "out" / "involvement.csv").open(newline="") as file:
        return list(csv.DictReader(file))
