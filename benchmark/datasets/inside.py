"""The second stage of a cascade: images restricted to lungs that a first network predicted.

CHS-Net (arXiv 2012.07079, section 3) segments the lungs first and the infection inside them. Any
two networks can play the two parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from benchmark.datasets.prepared import PreparedDataset
from benchmark.labels import IGNORE

Bytes = NDArray[np.uint8]

INSIDE = 128
"""The least stored probability (255 = certain) that counts as lung: one half, rounded up."""


class Cascade(BaseModel):
    """How the lungs reach the second network.

    Attributes:
        lungs: "predicted" by a first network, or the "truth": an oracle, which shows what better
            lungs could bring at most.
        mask: "hard" blackens what is not lung; "soft" darkens by the lung's probability;
            "channel" leaves the image as it is, and gives the mask as one channel more.
        dilation: Pixels of the image by which the mask is widened, for lesions at the pleura.
        inner_folds: Parts that the training slices are cut into, so that their lungs are predicted
            by networks that never saw them: as imperfect as the lungs of the test slices.
        lung_row: The first network, as a row is called; empty where both are the same.
        lung_source: Hash of that network's source, or of the true lungs; empty where both networks
            are the same.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    lungs: Literal["predicted", "truth"] = "predicted"
    mask: Literal["hard", "soft", "channel"] = "hard"
    dilation: Annotated[int, Field(ge=0, le=64)] = 0
    inner_folds: Annotated[int, Field(ge=2, le=20)] = 3
    lung_row: str = ""
    lung_source: str = ""

    @property
    def as_published(self) -> bool:
        """Whether it is CHS-Net's: one network twice, predicted lungs, a hard mask as it is."""
        usual = Cascade(inner_folds=self.inner_folds)
        return self == usual

    @property
    def words(self) -> str:
        """What differs from the default, for a row's name; empty where nothing does."""
        usual = Cascade()
        said = ["true lungs"] if self.lungs == "truth" else []
        if self.lung_row:
            said.append(f"lungs by {self.lung_row}")
        if self.mask != usual.mask:
            said.append("soft mask" if self.mask == "soft" else "mask as a channel")
        if self.dilation:
            said.append(f"dilated {self.dilation} px")
        if self.inner_folds != usual.inner_folds:
            said.append(f"{self.inner_folds} inner folds")
        return ", ".join(said)


def visible(lung: Bytes, cascade: Cascade) -> NDArray[np.bool_]:
    """Where a slice counts as lung.

    Args:
        lung: Probability of lung, (H, W), 255 = certain.
        cascade: Its dilation is a disc of that radius.

    Returns:
        (H, W).
    """
    inside = lung >= INSIDE
    if cascade.dilation == 0:
        return inside
    import cv2

    from_centre = np.arange(-cascade.dilation, cascade.dilation + 1)
    disc = np.add.outer(from_centre**2, from_centre**2) <= cascade.dilation**2
    return np.asarray(cv2.dilate(inside.astype(np.uint8), disc.astype(np.uint8))) > 0


def inside(grey: Bytes, lung: Bytes, cascade: Cascade) -> Bytes:
    """A slice as the second network sees it: outside the lungs it is 0, the grey of air.

    Args:
        grey: The slice, (H, W).
        lung: Probability of lung, (H, W), 255 = certain.
        cascade: With `channel` the slice stays as it is.

    Returns:
        (H, W) uint8.
    """
    if cascade.mask == "channel":
        return grey
    if cascade.mask == "hard":
        return np.where(visible(lung, cascade), grey, np.uint8(0))
    weight = lung.astype(np.float32)
    if cascade.dilation:
        weight = np.maximum(weight, visible(lung, cascade) * np.float32(255))
    return np.rint(grey * (weight / 255)).astype(np.uint8)


def region_of(lung: Bytes, cascade: Cascade) -> Bytes:
    """Where a slice counts as lung, (H, W), 0 or 255: what the mask as a channel is."""
    return visible(lung, cascade).astype(np.uint8) * np.uint8(255)


def stretch_region(region: Bytes, size: int) -> Bytes:
    """A region as a square of that side, by the nearest pixel, as masks are stretched."""
    import cv2

    resized = cv2.resize(region, (size, size), interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(resized, dtype=np.uint8)


class InsideLungs(PreparedDataset):
    """A dataset whose images are restricted to lungs; masks, cases and folds are its own.

    Args:
        dataset: The whole images.
        lungs: Probability of lung by a slice's id, each at the slice's own size. Slices without
            one can't be read.
        cascade: How they are restricted.
    """

    def __init__(
        self, dataset: PreparedDataset, lungs: Mapping[str, Bytes], cascade: Cascade
    ) -> None:
        super().__init__(dataset.path, task=dataset.task, window=dataset.window)
        self._probability = lungs
        self.cascade = cascade

    def image(self, i: int) -> Bytes:
        """Grey values of slice i as the second network sees them, (H, W) uint8."""
        return inside(super().image(i), self._lung_of(i), self.cascade)

    def at_size(self, size: int) -> tuple[Bytes, Bytes]:
        """See `PreparedDataset.at_size`; slices without lungs are black."""
        images = np.zeros((len(self.cases), size, size), dtype=np.uint8)
        masks = np.full_like(images, IGNORE)
        for i, case in enumerate(self.cases):
            if case.id in self._probability:
                images[i], masks[i] = self.stretched(i, size)
        return images, masks

    def planes(self, size: int) -> Bytes | None:
        """The mask that is one channel more, (N, size, size), 0 or 255; None without `channel`."""
        if self.cascade.mask != "channel":
            return None
        planes = np.zeros((len(self.cases), size, size), dtype=np.uint8)
        for i, case in enumerate(self.cases):
            if case.id in self._probability:
                planes[i] = stretch_region(self.region(i), size)
        return planes

    def inside_count(self, i: int, truth: Bytes) -> int:
        """Pixels of a slice's foreground that lie inside its lungs.

        Args:
            i: The slice.
            truth: Its labels, at its own size or as a square.
        """
        region = self.region(i)
        if region.shape != truth.shape:
            region = stretch_region(region, truth.shape[0])
        return int(((truth != 0) & (truth != IGNORE) & (region > 0)).sum())

    def region(self, i: int) -> Bytes:
        """Where slice i counts as lung, (H, W), 0 or 255."""
        return region_of(self._lung_of(i), self.cascade)

    def _lung_of(self, i: int) -> Bytes:
        return self._probability[self.cases[i].id]
