"""Images that somebody brings to a trained network, and masks in the geometry of each.

A scan is a picture (PNG, JPEG, TIFF), a NIfTI volume or the folder of a DICOM series. Its slices
are displayed as those of every dataset: the patient's right is at the left edge. A mask goes back
the other way, into the voxel order and the header of the file that it belongs to.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmark.datasets import nifti
from benchmark.datasets.dicom_files import SUFFIXES, is_segmentation, says_dicom
from benchmark.datasets.readers import PICTURE_SUFFIXES, Grey, read_image
from benchmark.datasets.volume import Volume, grey_slices, own_window
from benchmark.window import LUNG_WINDOW, Window
from zoo.errors import CovbenchError
from zoo.limits import limits, raising

Kind = Literal["picture", "nifti", "dicom"]

_TIFF = (".tif", ".tiff")
_READABLE = "PNG, JPEG or TIFF pictures, .nii or .nii.gz volumes, or the folder of a DICOM series"


@dataclass(frozen=True)
class Scan:
    """An image that was read.

    Attributes:
        path: The file, or the folder of a series.
        kind: What it is.
        grey: Its slices as they are displayed, (N, H, W); one of a picture.
        window: The stored values that became 0 and 255.
        voxel_ml: Volume of a voxel in millilitres; None where the file has no lengths.
        affine: (4, 4), from column, row and slice to the header's coordinates; None of a picture.
    """

    path: Path
    kind: Kind
    grey: Grey
    window: Window
    voxel_ml: float | None = None
    affine: NDArray[np.float64] | None = None


def find_scans(path: Path, without: Path | None = None) -> list[Path]:
    """The images at a path.

    Args:
        path: One file, the folder of a series, or a folder of any of these, searched through.
        without: A folder to leave out, such as the one that results are written to.

    Returns:
        Files and folders of series, sorted.

    Raises:
        CovbenchError: There is nothing there, nothing that can be read, or far too much.
    """
    if not path.exists():
        raise CovbenchError(f"There is no file or folder {path}.", "Check the path after --input.")
    if path.is_file():
        if kind_of(path) is None:
            raise CovbenchError(f"{path} is no image that can be read here.", f"Give {_READABLE}.")
        return [path]
    left_out = without.resolve() if without is not None else None
    if left_out == path.resolve():
        raise CovbenchError(
            f"{path} holds the images and would hold the results.", "Give another --out."
        )
    found: list[Path] = []
    for folder in (path, *sorted(each for each in path.rglob("*") if each.is_dir())):
        hidden = any(part.startswith(".") for part in folder.relative_to(path).parts)
        inside = folder.resolve()
        if hidden or (left_out and (inside == left_out or left_out in inside.parents)):
            continue
        files = sorted(each for each in folder.iterdir() if each.is_file())
        if any(
            _may_be_slice(file) and says_dicom(file) and not is_segmentation(file) for file in files
        ):
            found.append(folder)
        found += [file for file in files if kind_of(file) and not file.name.startswith(".")]
        if len(found) > limits().dataset_files:
            raise CovbenchError(
                f"{path} holds more than {limits().dataset_files:,} images.",
                f"Give a smaller folder. {raising('dataset_files', len(found))}",
            )
    if not found:
        raise CovbenchError(f"There are no images in {path}.", f"Give {_READABLE}.")
    return sorted(found)


def kind_of(path: Path) -> Kind | None:
    """What an image is by its name, and a folder a series; None for other files."""
    if path.is_dir():
        return "dicom"
    name = path.name.lower()
    if name.endswith(PICTURE_SUFFIXES):
        return "picture"
    return "nifti" if name.endswith(nifti.SUFFIXES) else None


def stem_of(path: Path) -> str:
    """The name of an image without what says its format."""
    if path.is_dir():
        return path.name
    suffix = next(each for each in _SUFFIXES if path.name.lower().endswith(each))
    return path.name[: -len(suffix)]


def mask_suffix(path: Path) -> str:
    """What the name of an image's mask ends with: the image's own format where it can hold one.

    A JPEG alters labels and a series has a file for each slice, so that their masks are PNG and
    NIfTI.
    """
    name = path.name.lower()
    if path.is_dir():
        return ".nii.gz"
    if name.endswith(nifti.SUFFIXES):
        return ".nii.gz" if name.endswith(".gz") else ".nii"
    return ".tif" if name.endswith(_TIFF) else ".png"


def read_scan(path: Path, hounsfield: Window = LUNG_WINDOW, given: Window | None = None) -> Scan:
    """Read an image.

    Args:
        path: A file or folder that `find_scans` gave.
        hounsfield: The Hounsfield units that become black and white.
        given: The stored values that do so instead, whatever they are; images of 0..255 are taken
            as they are all the same.

    Raises:
        CovbenchError: It can't be read, or holds values that nothing says the grey of.
    """
    kind = kind_of(path)
    if kind == "picture":
        return _picture(path, given)
    volume = _series(path) if kind == "dicom" else nifti.read_volume(path)
    window = own_window(volume, given or hounsfield, given)
    return Scan(
        path=path,
        kind="dicom" if kind == "dicom" else "nifti",
        grey=grey_slices(volume, window),
        window=window,
        voxel_ml=_voxel_ml(volume),
        affine=volume.affine,
    )


def mask_writer(scan: Scan, mask: Grey, *, several: bool = False) -> Callable[[BinaryIO], object]:
    """What writes a mask into an open file, in the geometry of its scan.

    Args:
        scan: The scan.
        mask: (N, H, W), as the scan's slices are displayed: 0 or 1, or labels of several classes.
        several: Whether there are several classes.

    Returns:
        A function of an open binary file. A picture's mask is 0 and 255, or the labels as they
        are, in a picture of the same size. A volume's is the labels as uint8 with the shape, voxel
        order, directions and units of the volume's own header; that of a series is a new NIfTI
        volume in patient coordinates.
    """
    if scan.kind == "picture":
        picture = Image.fromarray(mask[0] if several else mask[0] * np.uint8(255))
        if mask_suffix(scan.path) == ".tif":
            return lambda file: picture.save(file, "TIFF", compression="tiff_lzw")
        return lambda file: picture.save(file, "PNG")
    image = _nifti_image(scan, mask)
    if mask_suffix(scan.path) == ".nii":
        return lambda file: image.to_stream(file)

    def write(file: BinaryIO) -> None:
        with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:  # the same bytes every time
            image.to_stream(packed)

    return write


_SUFFIXES = (*sorted(nifti.SUFFIXES, key=len, reverse=True), *PICTURE_SUFFIXES)


def source_files(path: Path) -> Iterator[Path]:
    """The files that an image consists of."""
    yield from (
        sorted(each for each in path.iterdir() if each.is_file()) if path.is_dir() else (path,)
    )


def _picture(path: Path, window: Window | None) -> Scan:
    try:
        grey = read_image(path)
        window = (0.0, 255.0)
    except CovbenchError:
        if window is None:
            raise
        grey = read_image(path, window)  # more than 8 bits, unless it is damaged
    return Scan(path=path, kind="picture", grey=grey[None], window=window)


def _series(folder: Path) -> Volume:
    from benchmark.datasets.dicom import read_series

    return read_series(folder)


def _may_be_slice(path: Path) -> bool:
    """Whether the name of a file leaves open that it is DICOM; others need not be looked into."""
    return path.suffix.lower() in (*SUFFIXES, "") or path.suffix[1:].isdigit()


def _voxel_ml(volume: Volume) -> float | None:
    if volume.spacing_mm is None:
        return None
    axes = volume.affine[:3, :3]
    unit = volume.spacing_mm[1] / float(np.linalg.norm(axes[:, 0]))
    size = abs(float(np.linalg.det(axes))) * unit**3 / 1000
    return size if np.isfinite(size) and size > 0 else None


def _nifti_image(scan: Scan, mask: Grey) -> Any:
    import nibabel as nib

    displayed = mask.transpose(2, 1, 0)
    if scan.kind == "dicom":
        image = nib.Nifti1Image(displayed, scan.affine)
        image.header.set_xyzt_units("mm")
        image.set_qform(scan.affine, 1)
        image.set_sform(scan.affine, 1)  # scanner coordinates
        return image
    source: Any = nib.load(scan.path)
    turn = nib.io_orientation(np.linalg.inv(source.affine) @ scan.affine)
    stored = nib.apply_orientation(displayed, turn).reshape(source.shape)
    header = source.header.copy()
    header.set_data_dtype(np.uint8)
    header["cal_min"] = header["cal_max"] = 0  # a range for showing grey values
    header.extensions.clear()  # may name the patient
    return type(source)(stored, source.affine, header)
