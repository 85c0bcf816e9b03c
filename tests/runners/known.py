"""A network whose logits are known, and a small dataset of slices of several sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.datasets import PreparedDataset, prepare_dataset
from runners.train import InputScale
from zoo.cards import Card

CARD = Card(name="known", builder=nn.Identity, min_size=1)
SCALE = InputScale((0.0,), (1.0,))  # so that the network sees grey / 255
SIZE = 16


class Known(nn.Module):
    """Logits that follow from the grey value: 20 * (grey / 255 - centre) for the foreground."""

    def __init__(self, classes: int, centre: float = 0.5) -> None:
        super().__init__()
        self.classes, self.centre = classes, centre

    def forward(self, x: Tensor) -> Tensor:
        assert not self.training
        logit = 20 * (x - self.centre)
        others = [torch.full_like(x, -30.0)] * (self.classes - 2)
        return logit if self.classes == 1 else torch.cat((torch.zeros_like(x), logit, *others), 1)


def slices(folder: Path, spaced: bool = False) -> PreparedDataset:
    """Three slices of 32x24 and 20x40 pixels with different masks, the last one without any."""
    import nibabel as nib
    from PIL import Image

    rng = np.random.default_rng(0)
    for i, (height, width) in enumerate([(32, 24), (20, 40), (20, 40)]):
        for kind in ("images", "masks"):
            (folder / "source" / kind).mkdir(parents=True, exist_ok=True)
        image = rng.integers(0, 256, (height, width), np.uint8)
        mask = np.zeros((height, width), np.uint8)
        mask[4:12, 4 : 4 + 5 * (2 - i)] = 255
        for kind, array in (("images", image), ("masks", mask)):
            path = folder / "source" / kind / f"s{i}"
            if spaced and i:
                volume = np.ascontiguousarray(array.T[:, :, None])
                nib.save(nib.Nifti1Image(volume, np.diag([-0.5, -0.5, 1, 1])), f"{path}.nii.gz")
            else:
                Image.fromarray(array).save(f"{path}.png")
    return prepare_dataset("folder", folder / "source", as_name="mine", root=folder / "data")
