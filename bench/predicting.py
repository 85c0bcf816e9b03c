"""Memory of predicting a whole scan: it must fit beside a user's other programs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmark.datasets import data_root

TARGET_BYTES = 4_000_000_000

# Not getrusage: its maximum is inherited from the process that started this one.
_PEAK = """
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print("peak", int(peak.split()[1]) * 1024)
"""

_COMMAND = (
    """
import sys
from runners.cli import run_cli

assert run_cli(sys.argv[1:]) == 0
"""
    + _PEAK
)

_READING = (
    """
import sys
from pathlib import Path

import torch
from benchmark.datasets.nifti import read_volume
from runners.cli import run_cli

volume = read_volume(Path(sys.argv[1]))
"""
    + _PEAK
)


def run(side: int = 512, slices: int = 300, size: int = 64) -> dict[str, float]:
    """Predict a generated volume in a process of its own.

    Args:
        side: Height and width of its slices.
        slices: How many.
        size: Side at which the network sees them; MiniSeg after one step of training.

    Returns:
        Peak memory of the command over that of reading the volume with the same packages loaded,
        both in megabytes, the target, and the seconds that the command took; then that of the same
        volume as a DICOM series with a lung network, without and with --seg.
    """
    with tempfile.TemporaryDirectory() as folder:
        runs, scan = Path(folder, "runs"), Path(folder, "scan.nii.gz")
        train = ["run", "--models", "miniseg", "--protocol", "smoke", "--set", f"size={size}"]
        train += ["--set", "max_steps=1", "--set", "keep=both", "--out", str(runs)]
        _peak(_COMMAND, *train)
        _write(scan, side, slices)
        reading = _peak(_READING, str(scan))
        record = next(runs.rglob("record.json")).parent
        words = ["predict", "--run", str(record), "--input", str(scan), "--device", "cpu"]
        started = time.perf_counter()
        predicting = _peak(_COMMAND, *words, "--out", str(Path(folder, "out")))
        seconds = time.perf_counter() - started
        series = Path(folder, "series")
        _write_series(series, scan)
        words[words.index(str(scan))] = str(series)
        _peak(_COMMAND, *train, "--task", "lung")
        lung = next(each for each in runs.rglob("record.json") if each.parent != record).parent
        words += ["--lung-run", str(lung)]
        plain = _peak(_COMMAND, *words, "--out", str(Path(folder, "plain")))
        with_seg = _peak(_COMMAND, *words, "--out", str(Path(folder, "seg")), "--seg")
    return {
        "ratio": predicting / reading,
        "predicting_MB": predicting / 1e6,
        "reading_MB": reading / 1e6,
        "target_MB": TARGET_BYTES / 1e6,
        "seconds": seconds,
        "series_MB": plain / 1e6,
        "series_with_seg_MB": with_seg / 1e6,
        "seg_ratio": with_seg / plain,
    }


def _peak(code: str, *arguments: str) -> int:
    """Peak memory in bytes of a process that runs some code."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "COVBENCH_DATA": str(data_root())},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return int(
        next(line for line in done.stdout.splitlines() if line.startswith("peak")).split()[1]
    )


def _write(path: Path, side: int, slices: int) -> None:
    """A volume of noise in Hounsfield units, air around a body with two lungs."""
    import nibabel as nib

    rng = np.random.default_rng(0)
    rows, columns = np.indices((side, side)) / side - 0.5
    body = np.where(rows**2 / 0.12 + columns**2 / 0.2 < 1, 40, -1000)
    body[(rows**2 / 0.06 + (np.abs(columns) - 0.2) ** 2 / 0.015) < 1] = -800
    data = np.empty((side, side, slices), dtype=np.int16)
    for place in range(slices):
        data[:, :, place] = body.T + rng.integers(-40, 40, (side, side))
    image = nib.Nifti1Image(data, np.diag([-0.7, -0.7, 1.0, 1.0]))
    image.header.set_xyzt_units("mm")
    nib.save(image, path)


def _write_series(folder: Path, scan: Path) -> None:
    """The same volume as DICOM files."""
    import nibabel as nib
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir()
    data = np.asarray(nib.load(scan).dataobj)
    series, frame, study = generate_uid(), generate_uid(), generate_uid()
    for place in range(data.shape[2]):
        file = Dataset()
        file.file_meta = FileMetaDataset()
        file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        file.file_meta.MediaStorageSOPClassUID = file.SOPClassUID = CTImageStorage
        file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        file.SeriesInstanceUID, file.FrameOfReferenceUID, file.StudyInstanceUID = (
            series,
            frame,
            study,
        )
        file.Modality, file.SeriesNumber, file.InstanceNumber = "CT", "1", str(place + 1)
        file.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
        file.ImagePositionPatient = ["0", "0", str(place)]
        file.PixelSpacing, file.SliceThickness = ["0.7", "0.7"], "1"
        file.Rows, file.Columns = data.shape[1], data.shape[0]
        file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
        file.BitsAllocated, file.BitsStored, file.HighBit = 16, 16, 15
        file.PixelRepresentation, file.RescaleSlope, file.RescaleIntercept = 1, "1", "0"
        file.PixelData = data[:, :, place].T.astype("<i2").tobytes()
        file.save_as(folder / f"{place:04}.dcm", enforce_file_format=True)
