"""DICOM series made up for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RLELossless, generate_uid

STUDY = "1.2.3.4"


def write_slice(path: Path, pixels: np.ndarray, position: tuple[float, float, float], **other: Any):
    """One slice of a series; `other` sets or (None) removes attributes."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = CTImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid(
        entropy_srcs=[str(path)]
    )
    data.Modality, data.SeriesInstanceUID, data.SeriesNumber = "CT", f"{STUDY}.1", 1
    data.SeriesDescription, data.FrameOfReferenceUID = "Thorax", f"{STUDY}.9"
    data.InstanceNumber = 1
    data.ImageOrientationPatient, data.ImagePositionPatient = [1, 0, 0, 0, 1, 0], list(position)
    data.PixelSpacing, data.SliceThickness = [0.8, 0.5], 2
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation = 15, int(pixels.dtype == np.int16)
    data.RescaleSlope, data.RescaleIntercept = 1, -1024
    data.PixelData = pixels.tobytes()
    compressed = other.pop("rle", False)
    for key, value in other.items():
        if value is None:
            delattr(data, key)
        else:
            setattr(data, key, value)
    if compressed:
        data.compress(RLELossless)
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)


def write_series(folder: Path, stored: np.ndarray, **other: Any) -> None:
    """Slices (N, H, W) from the feet upwards, 2 mm apart; names and numbers run the other way."""
    for k, pixels in enumerate(stored):
        place = (-10.0, -20.0, 100.0 + 2 * k)
        number = len(stored) - k
        write_slice(folder / f"{number:03d}.dcm", pixels, place, InstanceNumber=number, **other)
