"""Small made-up scans, written in the layout and naming of each public dataset's download."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel import orientations as ornt

SPACING = (0.5, 0.75, 5.0)  # of columns, rows and slices in mm
Array = np.ndarray


@dataclass(frozen=True)
class Body:
    """A scan for display, (slices, rows, columns): from the feet up, front first, right first.

    `hu` are Hounsfield units; `infection` is 0 and 1; `lungs` 1 in the right half, 2 in the left.
    """

    hu: Array
    infection: Array
    lungs: Array

    @property
    def grey(self) -> Array:
        """The units from -1250 to 250 as 0 to 255, as Radiopaedia's were published."""
        return np.rint(np.clip((self.hu + 1250) / 1500, 0, 1) * 255).astype(np.uint8)

    @property
    def both(self) -> Array:
        """Lungs 1 and 2, infection 3."""
        return np.where(self.infection > 0, 3, self.lungs).astype(np.uint8)


def body(seed: int, slices: int = 6, side: int = 32) -> Body:
    """Blobs of tissue around two lungs; no two seeds look alike. The top slice is air."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(0, 350, (slices, 4, 4))
    hu = np.repeat(np.repeat(coarse, side // 4, axis=1), side // 4, axis=2) - 100
    lungs = np.zeros((slices, side, side), np.uint8)
    infection = np.zeros_like(lungs)
    upper, lower = side // 4, 3 * side // 4
    middle = side // 2
    lungs[:, upper:lower, upper : middle - 1] = 1
    lungs[:, upper:lower, middle + 1 : lower] = 2
    for k in range(1, slices - 1):
        infection[k, upper + 2 : upper + 4 + k, upper + 1 : upper + 5] = 1
    lungs[-1] = infection[-1] = 0
    hu = np.where(lungs > 0, -850 + 0.2 * hu, hu)
    hu = np.where(infection > 0, -300, hu)
    hu[-1] = -1000
    hu[:, 0, 0], hu[:, 0, -1] = 400, -1024  # front and right; front and left
    return Body(np.rint(hu).astype(np.int16), infection, lungs)


def save(path: Path, display: Array, axes: str = "LPS") -> Path:
    """Write a volume as NIfTI, its voxels stored along these axes and its header saying so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    place = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1])
    image = nib.Nifti1Image(display.transpose(2, 1, 0), place)
    turn = ornt.ornt_transform(ornt.axcodes2ornt("LPS"), ornt.axcodes2ornt(axes))
    nib.save(image.as_reoriented(turn), path)
    return path


def zipped(folder: Path, nested: bool = True) -> None:
    """Replace each folder in a folder by its zip archive, with its own name inside or without."""
    for part in sorted(path for path in folder.iterdir() if path.is_dir()):
        with zipfile.ZipFile(folder / f"{part.name}.zip", "w") as archive:
            for path in sorted(part.rglob("*.nii*")):
                archive.write(path, path.relative_to(folder if nested else part))
                path.unlink()
            archive.writestr(f"__MACOSX/._{part.name}.nii", b"junk")
        for left in sorted(part.rglob("*"), reverse=True):
            left.rmdir()
        part.rmdir()


def save_medseg9(folder: Path, bodies: dict[str, Body], ending: str = ".nii.gz") -> Path:
    """rp_im, rp_msk (ground-glass 1, the lowest lesion slice consolidation 2) and rp_lung_msk."""
    for name, made in bodies.items():
        labels = made.infection.copy()
        labels[1] *= 2
        save(folder / f"rp_im/{name}{ending}", made.hu, "LAS")
        save(folder / f"rp_msk/{name}{ending}", labels, "LAS")
        save(folder / f"rp_lung_msk/{name}{ending}", made.lungs, "LAS")
    return folder


def save_coronacases20(folder: Path, bodies: dict[str, Body]) -> Path:
    """Zenodo's four archives as folders; Radiopaedia's scans are windowed and stored otherwise."""
    for name, made in bodies.items():
        windowed = name.startswith("radiopaedia")
        axes = "RAS" if windowed else "LPS"
        image = made.grey if windowed else made.hu
        for part, values in (
            ("COVID-19-CT-Seg_20cases", image),
            ("Lung_Mask", made.lungs),
            ("Infection_Mask", made.infection),
            ("Lung_and_Infection_Mask", made.both),
        ):
            save(folder / part / f"{name}.nii.gz", values, axes)
    return folder


def save_mosmed(folder: Path, bodies: dict[str, Body]) -> Path:
    """studies/CT-0 to CT-4 and masks/; the study 9999 has no mask, like 1060 of the real ones."""
    for i, (name, made) in enumerate(bodies.items()):
        save(folder / f"studies/CT-{i % 2}/study_{name}.nii.gz", made.hu, "RAS")
        save(folder / f"masks/study_{name}_mask.nii.gz", made.infection, "RAS")
    save(folder / "studies/CT-4/study_9999.nii.gz", body(99).hu)
    return folder
