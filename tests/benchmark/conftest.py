"""Files made up for the tests of readers and datasets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from benchmark.datasets import PreparedDataset, prepare_dataset
from zoo.errors import CovbenchError

GREY = np.tile(np.arange(16, dtype=np.uint8) * 10, (12, 1))
MASK = (GREY > 100).astype(np.uint8)


@contextmanager
def refusing(path: Path, *words: str) -> Iterator[None]:
    """A refusal that names the file and says these words, in two lines."""
    with pytest.raises(CovbenchError) as caught:
        yield
    error = caught.value
    assert path.name in error.problem
    assert [word for word in words if word not in str(error)] == []
    assert error.remedy and "\n" not in error.problem + error.remedy


@pytest.fixture
def refused() -> Callable[..., AbstractContextManager[None]]:
    return refusing


@dataclass
class Folder:
    path: Path

    def put(self, name: str, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith((".nii", ".nii.gz")):
            nib.save(nib.Nifti1Image(array, np.diag([-1.0, -1, 2, 1])), path)
            if affine is not None:
                nib.save(nib.Nifti1Image(array, affine), path)
        else:
            Image.fromarray(array).save(path)
        return path

    def pair(self, stem: str, ending: str = ".png") -> None:
        self.put(f"images/{stem}{ending}", GREY)
        self.put(f"masks/{stem}{ending if ending != '.jpg' else '.png'}", MASK)

    def groups(self, text: str) -> None:
        (self.path / "groups.csv").write_text(text, encoding="utf-8")

    def prepare(self, **options: object) -> PreparedDataset:
        return prepare_dataset(
            "folder", self.path, as_name="mine", root=self.path.parent / "data", **options
        )

    def refused(self, *words: str, **options: object) -> None:
        """Preparing it fails, says these words and leaves nothing behind."""
        with pytest.raises(CovbenchError) as caught:
            self.prepare(**options)
        assert [word for word in words if word not in str(caught.value)] == []
        left = self.path.parent / "data"
        assert not left.exists() or not list(left.iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "source")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three slices of two sizes, the last one without infection."""
    source = tmp_path / "pictures"
    rng = np.random.default_rng(0)
    for i, (height, width) in enumerate([(20, 30), (20, 30), (24, 16)]):
        for kind in ("images", "masks"):
            (source / kind).mkdir(parents=True, exist_ok=True)
        image = rng.integers(0, 256, (height, width), np.uint8)
        mask = np.zeros((height, width), np.uint8)
        mask[5:10, 5 : 5 + 5 * (2 - i)] = 255
        Image.fromarray(image).save(source / "images" / f"s{i}.png")
        Image.fromarray(mask).save(source / "masks" / f"s{i}.png")
    return source


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"
